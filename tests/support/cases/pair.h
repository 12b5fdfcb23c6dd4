/* A TCP conversation between two processes: the server is the calling one, the client a child. */
#ifndef LASTCONN_TESTS_CASES_PAIR_H
#define LASTCONN_TESTS_CASES_PAIR_H

#include <stdbool.h>
#include <sys/types.h>

enum { PAIR_ASKED = 1000, PAIR_ANSWERED = 500 };

/* What is NULL or 0 is the default: plain calls at 127.0.0.1. */
struct pair {
	const char *listen_on, *connect_to;
	int (*listen)(const char *ip);
	int (*accept)(int listener);
	int (*connect)(const char *ip, int port);
	void (*ask)(int sock); /* client and server close afterwards */
	void (*serve)(int sock);
	long asked, answered; /* octets that these send; TRUTH_UNKNOWN */
	const char *outcome;  /* of both ends; "closed" */
	const char *name;     /* of the server, as ask() says it; NULL: does not */
	int client_error, server_error;
	bool suicide; /* ask() ends in SIGKILL */
};

void pair_run(const struct pair *pair);

/* The parts of it. */
pid_t pair_start_client(const struct pair *pair, int port);
void pair_ask(int sock);   /* PAIR_ASKED octets there, PAIR_ANSWERED back */
void pair_serve(int sock); /* the other way round */

#endif
