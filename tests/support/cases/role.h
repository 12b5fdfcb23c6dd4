/* What this program is when a case executes it anew, as argv[1] tells. */
#ifndef LASTCONN_TESTS_CASES_ROLE_H
#define LASTCONN_TESTS_CASES_ROLE_H

enum { ROLE_OCTETS = 77 };

/*  @connect ... PORT   sends ROLE_OCTETS to this port of 127.0.0.1
 *  @vanish ... PORT    the same, after it has removed its own file
 *  @exec PATH ARG...   executes that, as PATH
 *  @send FD            sends ROLE_OCTETS through this socket
 *  @serve FD           accepts one from this listener, reads ROLE_OCTETS, closes
 * Ends the process; returns if argv names no role. */
void role_run(int argc, char **argv);

#endif
