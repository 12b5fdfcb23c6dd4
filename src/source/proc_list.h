/* The processes of this moment, as /proc lists them. */
#ifndef LASTCONN_SOURCE_PROC_LIST_H
#define LASTCONN_SOURCE_PROC_LIST_H

#include <stddef.h>

#include "source/proc_read.h"

struct proc_list {
	struct proc_stat *at; /* sorted by pid */
	size_t count;
};

/* Returns 0, -ENOMEM or the error of reading proc. */
int proc_list_read(const char *proc, struct proc_list *ret_list);
void proc_list_done(struct proc_list *list);

/* NULL if there is none. */
const struct proc_stat *proc_list_find(const struct proc_list *list, uint32_t pid);

#endif
