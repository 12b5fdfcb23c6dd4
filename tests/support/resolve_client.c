/* Asks its C library for a host and connects to what it gets, again and again.
 *
 *   resolve_client HOST PORT
 *
 * For each line on standard input: getaddrinfo for HOST, one TCP connection to each address that it
 * tells, and one line out: the local ports, or "-" if there is no answer. Only what every C library
 * has, for it is built with more than one. */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Both kinds of address have their port at the same place. */
static void connect_to(const struct addrinfo *entry)
{
	struct sockaddr_in6 own;
	socklen_t length = sizeof(own);
	int sock = socket(entry->ai_family, SOCK_STREAM, 0);

	if (sock < 0)
		return;
	if (connect(sock, entry->ai_addr, entry->ai_addrlen) == 0 &&
		getsockname(sock, (struct sockaddr *)&own, &length) == 0)
		printf("%u ", ntohs(own.sin6_port));
	close(sock);
}

int main(int argc, char **argv)
{
	char line[16];

	if (argc != 3)
		return 2;
	while (fgets(line, sizeof(line), stdin)) {
		struct addrinfo *found = NULL;

		if (getaddrinfo(argv[1], argv[2], NULL, &found))
			printf("-");
		for (const struct addrinfo *entry = found; entry; entry = entry->ai_next)
			if (entry->ai_socktype == SOCK_STREAM)
				connect_to(entry);
		if (found)
			freeaddrinfo(found);
		printf("\n");
		fflush(stdout);
	}
	return 0;
}
