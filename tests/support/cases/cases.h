/* The cases, by theme. Each is a process group of its own and ends by itself. */
#ifndef LASTCONN_TESTS_CASES_CASES_H
#define LASTCONN_TESTS_CASES_CASES_H

struct case_entry {
	const char *name;
	void (*run)(void);
};

/* Tables that end with an entry without name. Those of case_before() hold until they are released.
 */
const struct case_entry *case_before(void);
const struct case_entry *case_failed(void);
const struct case_entry *case_packet(void);
const struct case_entry *case_tcp(void);
const struct case_entry *case_transport(void);
const struct case_entry *case_end(void);
const struct case_entry *case_owner(void);
const struct case_entry *case_program(void);
const struct case_entry *case_raw(void);
const struct case_entry *case_namespace(void);
const struct case_entry *case_udp(void);
const struct case_entry *case_uring(void);

#endif
