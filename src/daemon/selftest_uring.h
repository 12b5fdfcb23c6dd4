/* Just enough of io_uring to send once, without a library for it. */
#ifndef LASTCONN_DAEMON_SELFTEST_URING_H
#define LASTCONN_DAEMON_SELFTEST_URING_H

#include <stddef.h>

/* send(2) by way of io_uring. Returns the octets sent or negative errno. */
int selftest_uring_send(int fd, const void *octets, size_t length);

#endif
