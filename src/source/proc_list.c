/* A process that is gone before its stat is read is not in the list. */
#include "source/proc_list.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

static int add(struct proc_list *list, size_t *room, const struct proc_stat *process)
{
	if (list->count == *room) {
		size_t wider = *room ? 2 * *room : 256;
		struct proc_stat *grown = reallocarray(list->at, wider, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		list->at = grown;
		*room = wider;
	}
	list->at[list->count++] = *process;
	return 0;
}

static int compare_pids(const void *left, const void *right)
{
	const struct proc_stat *a = left, *b = right;

	return (a->ref.pid > b->ref.pid) - (a->ref.pid < b->ref.pid);
}

int proc_list_read(const char *proc, struct proc_list *ret_list)
{
	struct proc_list list = {0};
	const struct dirent *entry;
	struct proc_stat process;
	size_t room = 0;
	int error = 0;
	DIR *directory = opendir(proc);

	if (!directory)
		return -errno;
	while (!error && (entry = readdir(directory)))
		if (isdigit((unsigned char)entry->d_name[0]) &&
			proc_read_stat(
				proc, (uint32_t)strtoul(entry->d_name, NULL, 10), &process) == 0)
			error = add(&list, &room, &process);
	closedir(directory);
	if (error) {
		proc_list_done(&list);
		return error;
	}
	if (list.count > 0)
		qsort(list.at, list.count, sizeof(*list.at), compare_pids);
	*ret_list = list;
	return 0;
}

void proc_list_done(struct proc_list *list)
{
	free(list->at);
	*list = (struct proc_list){0};
}

const struct proc_stat *proc_list_find(const struct proc_list *list, uint32_t pid)
{
	const struct proc_stat key = {.ref.pid = pid};

	if (list->count == 0)
		return NULL;
	return bsearch(&key, list->at, list->count, sizeof(key), compare_pids);
}
