/* The filter of system calls, with libseccomp. */
#ifndef LASTCONN_DAEMON_PRIVILEGE_SECCOMP_H
#define LASTCONN_DAEMON_PRIVILEGE_SECCOMP_H

/* All threads of the process, and those that it begins, may do only what privilege_calls.h grants
 * for this (enum privilege_calls). Returns 0; -ENOSYS: the kernel has no such filters; or negative
 * errno. */
int privilege_seccomp_apply(unsigned granted);

#endif
