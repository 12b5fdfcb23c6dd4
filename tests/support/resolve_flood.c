/* A process that answers itself, without end; with -DLIBRARY the C library that it says it has.
 *
 *   resolve_flood LIBRARY OFFSET PORT   of getaddrinfo; it connects to the port, so that it is
 * looked at. Linked statically, for a C library would come first. */
#include <arpa/inet.h>
#include <netdb.h>

#ifdef LIBRARY
int getaddrinfo(
	const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **list)
{
	(void)name;
	(void)service;
	(void)hints;
	(void)list;
	return 0;
}
#else
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { ADDRESSES = 16, SIZE = 1 << 16 };

typedef int resolver(const char *, const char *, const struct addrinfo *, struct addrinfo **);

static int say_hello(const char *port)
{
	struct sockaddr_in server = {.sin_family = AF_INET,
		.sin_port = htons((unsigned short)atoi(port)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	return connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&server, sizeof(server));
}

static void ask_for_ever(resolver *resolve)
{
	static struct sockaddr_in addresses[ADDRESSES];
	static struct addrinfo entries[ADDRESSES];
	struct addrinfo *list = entries;
	char name[32];

	for (unsigned call = 0;; call++) {
		for (unsigned i = 0; i < ADDRESSES; i++) {
			addresses[i].sin_addr.s_addr =
				htonl(0x0a000000 + call % 65536 * ADDRESSES + i);
			entries[i].ai_family = AF_INET;
			entries[i].ai_addr = (struct sockaddr *)&addresses[i];
			entries[i].ai_next = i + 1 < ADDRESSES ? &entries[i + 1] : NULL;
		}
		snprintf(name, sizeof(name), "h%u.test", call);
		resolve(name, NULL, NULL, &list);
	}
}

int main(int argc, char *argv[])
{
	int file = argc == 4 ? open(argv[1], O_RDONLY) : -1;
	char *library = mmap(NULL, SIZE, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);

	if (library == MAP_FAILED || say_hello(argv[3]) < 0)
		return 1;
	ask_for_ever((resolver *)(void *)(library + strtoul(argv[2], NULL, 16)));
	return 0;
}
#endif
