/* Each library but the usual ones has a witness, a process that has it loaded. When it ends, or
 * loads another, a new one is sought among all processes; without one the library goes. What else
 * is found among them is watched then: the memory of what was looked at errs where a mount
 * namespace has the number of one that is gone. */
#include "source/ebpf_libraries.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "source/ebpf_uprobe.h"
#include "source/libc_file.h"
#include "source/proc_list.h"

_Static_assert((int)LIBC_FILE_USUAL_MAX <= (int)EBPF_PIN_LIBRARIES_MAX, "a place for each");

enum {
	LOOKED_COUNT = 4096, /* power of two */
	NOTED_MAX = 1024,
	LOOKS_MAX = 3, /* at a process that has not loaded its library yet */
	USELESS_COUNT = 256,
};

#define LOOK_AGAIN_NS INT64_C(300000000)

struct library {
	struct libc_file_id id; /* inode 0: free */
	int begin, end;
	struct process_ref witness; /* pid 0: not known */
};

struct noted {
	uint64_t key;
	int64_t due_ns;
	uint32_t pid;
	uint32_t looks;
};

struct ebpf_libraries {
	int begin_fd, end_fd;
	const struct ebpf_pin *pin;
	struct libc_file_id usual[LIBC_FILE_USUAL_MAX];
	struct library at[EBPF_LIBRARIES_MAX];
	uint64_t looked[LOOKED_COUNT];
	struct noted noted[NOTED_MAX]; /* oldest first */
	size_t noted_count;
	struct libc_file_id
		useless[USELESS_COUNT]; /* files without getaddrinfo, the last of them */
	size_t useless_at;
	uint64_t refused;
};

int ebpf_libraries_new(
	int begin_fd, int end_fd, const struct ebpf_pin *pin, struct ebpf_libraries **ret_libraries)
{
	struct ebpf_libraries *libraries = calloc(1, sizeof(*libraries));

	if (!libraries)
		return -ENOMEM;
	libraries->pin = pin;
	libraries->begin_fd = fcntl(begin_fd, F_DUPFD_CLOEXEC, 0);
	libraries->end_fd = fcntl(end_fd, F_DUPFD_CLOEXEC, 0);
	if (libraries->begin_fd < 0 || libraries->end_fd < 0) {
		ebpf_libraries_free(libraries);
		return -EMFILE;
	}
	*ret_libraries = libraries;
	return 0;
}

static void let_go(struct library *library)
{
	if (library->id.inode) {
		close(library->begin);
		close(library->end);
	}
	memset(library, 0, sizeof(*library));
}

void ebpf_libraries_free(struct ebpf_libraries *libraries)
{
	if (!libraries)
		return;
	for (size_t i = 0; i < EBPF_LIBRARIES_MAX; i++)
		let_go(&libraries->at[i]);
	if (libraries->begin_fd >= 0)
		close(libraries->begin_fd);
	if (libraries->end_fd >= 0)
		close(libraries->end_fd);
	free(libraries);
}

static struct library *find(struct ebpf_libraries *libraries, const struct libc_file_id *id)
{
	for (size_t i = 0; i < EBPF_LIBRARIES_MAX; i++)
		if (libc_file_same(&libraries->at[i].id, id))
			return &libraries->at[i];
	return NULL;
}

static bool is_watched(const struct ebpf_libraries *libraries, const struct libc_file_id *id)
{
	for (size_t i = 0; i < EBPF_LIBRARIES_MAX; i++)
		if (libc_file_same(&libraries->at[i].id, id))
			return true;
	return false;
}

static bool is_useless(const struct ebpf_libraries *libraries, const struct libc_file_id *id)
{
	for (size_t i = 0; i < USELESS_COUNT; i++)
		if (libc_file_same(&libraries->useless[i], id))
			return true;
	return false;
}

/* The end first: a call that begins is one whose end is seen. */
static int attach(struct ebpf_libraries *libraries, int file, struct library *library)
{
	uint64_t offset;
	int error = libc_file_resolver(file, &offset);

	if (error && error != -ENOMEM)
		libraries->useless[libraries->useless_at++ % USELESS_COUNT] = library->id;
	if (error)
		return error;
	library->end = ebpf_uprobe_attach(libraries->end_fd, file, offset, true);
	if (library->end < 0)
		return library->end;
	library->begin = ebpf_uprobe_attach(libraries->begin_fd, file, offset, false);
	if (library->begin >= 0)
		return 0;
	close(library->end);
	return library->begin;
}

/* A library that is not watched yet. Returns negative errno if it cannot be. */
static int add(struct ebpf_libraries *libraries, const struct libc_file_id *id, int file,
	const struct process_ref *witness)
{
	static const struct libc_file_id none;
	struct library *library = find(libraries, &none), added = {.id = *id};
	int error;

	if (is_useless(libraries, id))
		return -ENOENT;
	if (!library) {
		libraries->refused++;
		return -ENOSPC;
	}
	if (witness)
		added.witness = *witness;
	error = attach(libraries, file, &added);
	if (!error)
		*library = added;
	return error;
}

/* What outlives the daemon */

static const char *pin_path(const struct ebpf_libraries *libraries, size_t index, const char *which,
	char path[static EBPF_PIN_PATH_MAX])
{
	char name[32];

	snprintf(name, sizeof(name), "library%zu_%s", index, which);
	return ebpf_pin_path(libraries->pin, EBPF_PIN_LINK, name, path);
}

/* The probes that an earlier daemon left in the usual place. */
static bool adopt(struct ebpf_libraries *libraries, size_t index, const struct libc_file_id *id)
{
	struct ebpf_pin_state *state = libraries->pin ? ebpf_pin_state(libraries->pin) : NULL;
	static const struct libc_file_id none;
	struct library *library = find(libraries, &none), left = {.id = *id};
	char path[EBPF_PIN_PATH_MAX];

	if (!library || !state || state->libraries[index].inode != id->inode ||
		state->libraries[index].device != id->device)
		return false;
	left.begin = bpf_obj_get(pin_path(libraries, index, "begin", path));
	left.end = bpf_obj_get(pin_path(libraries, index, "end", path));
	if (left.begin >= 0 && left.end >= 0) {
		*library = left;
		return true;
	}
	if (left.begin >= 0)
		close(left.begin);
	if (left.end >= 0)
		close(left.end);
	return false;
}

/* Leaves them to the next one, instead of those in the library that was there before. */
static void leave(struct ebpf_libraries *libraries, size_t index, const struct libc_file_id *id)
{
	const struct library *library = find(libraries, id);
	char begin[EBPF_PIN_PATH_MAX], end[EBPF_PIN_PATH_MAX];
	struct ebpf_pin_state *state;

	if (!libraries->pin || !library)
		return;
	state = ebpf_pin_state(libraries->pin);
	state->libraries[index].inode = 0;
	unlink(pin_path(libraries, index, "begin", begin));
	unlink(pin_path(libraries, index, "end", end));
	if (bpf_obj_pin(library->end, end) < 0)
		return;
	if (bpf_obj_pin(library->begin, begin) < 0) {
		unlink(end);
		return;
	}
	state->libraries[index].device = id->device;
	state->libraries[index].inode = id->inode;
}

/* Processes */

static uint64_t *looked_at(struct ebpf_libraries *libraries, uint64_t key)
{
	return &libraries->looked[key % LOOKED_COUNT];
}

void ebpf_libraries_note(struct ebpf_libraries *libraries, uint64_t key, uint32_t pid)
{
	if (*looked_at(libraries, key) == key)
		return;
	if (libraries->noted_count == NOTED_MAX) {
		libraries->refused++;
		return;
	}
	*looked_at(libraries, key) = key;
	libraries->noted[libraries->noted_count++] = (struct noted){.key = key, .pid = pid};
}

/* Returns 0 if all about the program is known now. */
static int look(struct ebpf_libraries *libraries, uint32_t pid)
{
	struct libc_file_id id;
	struct proc_stat stat;
	int file, error;

	if (proc_read_stat("/proc", pid, &stat) < 0)
		return -ESRCH;
	error = libc_file_of(pid, &id, &file);
	if (error)
		return error;
	if (!is_watched(libraries, &id))
		add(libraries, &id, file, &stat.ref);
	close(file);
	return 0;
}

/* It may have to be looked at again: one that is gone, another of its kind; one that has only just
 * begun, itself. */
static void look_at(struct ebpf_libraries *libraries, struct noted noted, int64_t now_ns)
{
	int error = look(libraries, noted.pid);

	if (error == -ESRCH)
		*looked_at(libraries, noted.key) = 0;
	if ((error != -ENOENT && error != -EAGAIN) || ++noted.looks == LOOKS_MAX)
		return;
	noted.due_ns = now_ns + LOOK_AGAIN_NS;
	libraries->noted[libraries->noted_count++] = noted;
}

/* The first of them that is due. */
static bool take_noted(struct ebpf_libraries *libraries, int64_t now_ns, struct noted *ret_noted)
{
	for (size_t i = 0; i < libraries->noted_count; i++) {
		if (libraries->noted[i].due_ns > now_ns)
			continue;
		*ret_noted = libraries->noted[i];
		libraries->noted_count--;
		memmove(&libraries->noted[i], &libraries->noted[i + 1],
			(libraries->noted_count - i) * sizeof(*ret_noted));
		return true;
	}
	return false;
}

void ebpf_libraries_look(struct ebpf_libraries *libraries, int64_t now_ns)
{
	struct noted noted;

	while (take_noted(libraries, now_ns, &noted))
		look_at(libraries, noted, now_ns);
}

int64_t ebpf_libraries_due_ns(const struct ebpf_libraries *libraries)
{
	int64_t due_ns = INT64_MAX;

	for (size_t i = 0; i < libraries->noted_count; i++)
		if (libraries->noted[i].due_ns < due_ns)
			due_ns = libraries->noted[i].due_ns;
	return due_ns;
}

uint64_t ebpf_libraries_refused(const struct ebpf_libraries *libraries)
{
	return libraries->refused;
}

/* Sweeps */

/* Tried again with the next sweep if it fails. */
static void look_at_usual(struct ebpf_libraries *libraries, size_t index)
{
	struct libc_file_id id = {0};
	int file;

	if (libc_file_usual(index, &id, NULL) < 0 || libc_file_same(&id, &libraries->usual[index]))
		return;
	if (libc_file_usual(index, &id, &file) < 0)
		return;
	if (!is_watched(libraries, &id) && !adopt(libraries, index, &id) &&
		add(libraries, &id, file, NULL) == 0)
		leave(libraries, index, &id);
	if (is_watched(libraries, &id))
		libraries->usual[index] = id;
	close(file);
}

static bool is_usual(const struct ebpf_libraries *libraries, const struct library *library)
{
	for (size_t i = 0; i < LIBC_FILE_USUAL_MAX; i++)
		if (libc_file_same(&libraries->usual[i], &library->id))
			return true;
	return false;
}

static bool still_has(const struct process_ref *witness, const struct libc_file_id *id)
{
	struct libc_file_id loaded;
	struct proc_stat stat;

	return process_ref_known(witness) && proc_read_stat("/proc", witness->pid, &stat) == 0 &&
	       process_ref_equal(&stat.ref, witness) &&
	       libc_file_of(witness->pid, &loaded, NULL) == 0 && libc_file_same(&loaded, id);
}

/* Forgets the witnesses that have it no more. Are there libraries without one? */
static bool need_witnesses(struct ebpf_libraries *libraries)
{
	bool need = false;

	for (size_t i = 0; i < EBPF_LIBRARIES_MAX; i++) {
		struct library *library = &libraries->at[i];

		if (!library->id.inode || is_usual(libraries, library) ||
			still_has(&library->witness, &library->id))
			continue;
		library->witness = (struct process_ref){0};
		need = true;
	}
	return need;
}

/* And libraries that are not watched yet. */
static void find_witnesses(struct ebpf_libraries *libraries, const struct proc_list *processes)
{
	for (size_t i = 0; i < processes->count; i++) {
		const struct proc_stat *process = &processes->at[i];
		struct libc_file_id id;
		struct library *library;

		if (process->kernel_thread || libc_file_of(process->ref.pid, &id, NULL) < 0)
			continue;
		library = find(libraries, &id);
		if (!library && !is_useless(libraries, &id))
			look(libraries, process->ref.pid);
		else if (library && !process_ref_known(&library->witness))
			library->witness = process->ref;
	}
}

static void let_go_unused(struct ebpf_libraries *libraries)
{
	for (size_t i = 0; i < EBPF_LIBRARIES_MAX; i++) {
		struct library *library = &libraries->at[i];

		if (!library->id.inode || is_usual(libraries, library) ||
			process_ref_known(&library->witness))
			continue;
		let_go(library);
		memset(libraries->looked, 0, sizeof(libraries->looked));
	}
}

void ebpf_libraries_sweep(struct ebpf_libraries *libraries)
{
	struct proc_list processes;

	for (size_t i = 0; i < LIBC_FILE_USUAL_MAX; i++)
		look_at_usual(libraries, i);
	if (!need_witnesses(libraries) || proc_list_read("/proc", &processes) < 0)
		return;
	find_witnesses(libraries, &processes);
	proc_list_done(&processes);
	let_go_unused(libraries);
}
