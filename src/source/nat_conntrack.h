/* Tells the sink which connections the kernel's NAT changes: conntrack, of our own network
 * namespace. Not a source of flows, and nothing but more words about them: where it does not work,
 * translated ends are missing.
 *
 * It changes nothing in the kernel: without NAT no module is loaded for it, and conntrack is asked
 * only where it runs already. While it is asked conntrack makes a message of each connection's
 * begin and end; those without NAT do not leave the kernel. */
#ifndef LASTCONN_SOURCE_NAT_CONNTRACK_H
#define LASTCONN_SOURCE_NAT_CONNTRACK_H

#include <stdint.h>

#include "source/source.h"

struct nat_conntrack;

/* The sink must outlive it. Returns 0 or -ENOMEM. */
int nat_conntrack_new(const struct source_sink *sink, struct nat_conntrack **ret_nat);
void nat_conntrack_free(struct nat_conntrack *nat); /* NULL is fine */

/* Looks whether there is NAT by now, unless it is asked already or that was looked at less than
 * half a minute ago; begins with what is there. Returns 1 if it has begun just now; 0; or negative
 * errno if the kernel refuses, once: it is not tried again. What passes, as want of memory, is a
 * loss, and tried again. */
int nat_conntrack_begin(struct nat_conntrack *nat, int64_t now_ns);

/* Tells the sink what has come to pass. Waits only where all that is there is asked for again:
 * every two minutes or more rarely, and after a loss. */
void nat_conntrack_consume(struct nat_conntrack *nat, int64_t now_ns);

/* Whether it works here. Returns 1; 0 without NAT; or negative errno if the kernel refuses. */
int nat_conntrack_probe(void);

#endif
