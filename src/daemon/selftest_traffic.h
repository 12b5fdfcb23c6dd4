/* The flows of the self-test: made by processes of their own, which note what is true of them. All
 * on the loopback, or in a network namespace that vanishes with its processes. */
#ifndef LASTCONN_DAEMON_SELFTEST_TRAFFIC_H
#define LASTCONN_DAEMON_SELFTEST_TRAFFIC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One conversation: two flows, one for each end. In memory that all processes share. */
struct selftest_talk {
	const char *what;
	const char *unpolled; /* why a source that polls does not see it; NULL it does */
	int skipped;          /* errno of what this system does not allow; 0 it was done */
	uint8_t protocol;
	uint16_t client_port, server_port;
	pid_t client, server; /* who used the sockets */
	uint64_t question, answer;
};

enum { SELFTEST_TALKS_MAX = 16 };

/* Makes them all; returns their number. */
size_t selftest_traffic(struct selftest_talk talks[static SELFTEST_TALKS_MAX]);

#endif
