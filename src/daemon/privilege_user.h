/* The user that root becomes: the one whom the history belongs to, so that it can be written
 * afterwards, and by whom its reader is. */
#ifndef LASTCONN_DAEMON_PRIVILEGE_USER_H
#define LASTCONN_DAEMON_PRIVILEGE_USER_H

#include <stdbool.h>
#include <sys/types.h>

#include "daemon/privilege.h"

struct privilege_user {
	bool change; /* to uid and gid; else why not */
	uid_t uid;
	gid_t gid;
	bool known; /* in the user database: has further groups */
	char name[64];
	char why[256];
};

/* As the option "user" says; changes nothing. Returns 0, or -1 with one line in ret_why. */
int privilege_user_choose(const struct config *config, struct privilege_user *ret_user,
	char ret_why[static PRIVILEGE_TEXT_SIZE]);

/* Keeps all capabilities, in effect. Returns 0 or negative errno. */
int privilege_user_become(const struct privilege_user *user);

/* Would root, without the capabilities to do so all the same, be kept from writing the history, or
 * from giving the files beside it to its owner? From reading the capture files? */
bool privilege_user_history_is_foreign(const struct config *config);
bool privilege_user_files_are_foreign(const struct config *config);

#endif
