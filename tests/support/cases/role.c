/* The programs that the cases execute: this one, in other roles. */
#include "role.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net.h"
#include "truth.h"

static void connect_and_send(const char *port)
{
	net_send(net_connect("127.0.0.1", atoi(port)), ROLE_OCTETS);
}

static void remove_self(void)
{
	char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

	path[length > 0 ? length : 0] = '\0';
	if (unlink(path) < 0)
		truth_fail("unlink %s", path);
}

void role_run(int argc, char **argv)
{
	const char *role = argc > 2 ? argv[1] : "";

	if (strcmp(role, "@connect") == 0) {
		connect_and_send(argv[argc - 1]);
	} else if (strcmp(role, "@vanish") == 0) {
		remove_self();
		connect_and_send(argv[argc - 1]);
	} else if (strcmp(role, "@exec") == 0) {
		execv(argv[2], argv + 2);
		truth_fail("exec of %s", argv[2]);
	} else if (strcmp(role, "@send") == 0) {
		net_send(atoi(argv[2]), ROLE_OCTETS);
	} else if (strcmp(role, "@serve") == 0) {
		net_receive(net_accept(atoi(argv[2])), ROLE_OCTETS);
	} else {
		return;
	}
	_exit(0);
}
