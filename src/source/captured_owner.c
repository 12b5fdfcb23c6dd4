/* Of an exe only the name may be known (PKTAP): then that stands for it, without a slash. */
#include "source/captured_owner.h"

#include <stdlib.h>
#include <string.h>

#include "util/utf8.h"

enum { COMM_SIZE = 64, CGROUP_SIZE = 80, BLOCKS_AT_FIRST = 64 };

struct texts {
	char comm[COMM_SIZE];
	char exe[PROCESS_PATH_MAX];
	char cgroup[CGROUP_SIZE];
};

void captured_owners_init(
	struct captured_owners *owners, const struct source_sink *sink, struct hash_key hash_key)
{
	memset(owners, 0, sizeof(*owners));
	owners->sink = sink;
	owners->hash_key = hash_key;
}

void captured_owners_done(struct captured_owners *owners)
{
	free(owners->blocks);
	owners->blocks = NULL;
	owners->block_count = owners->block_room = 0;
}

static uint64_t hash_text(const struct captured_owners *owners, const struct captured_text *text)
{
	return text->length ? hash_octets(&owners->hash_key, text->at, text->length) : 0;
}

/* Of what tells one program of a pid from another. */
static uint64_t identity_of(
	const struct captured_owners *owners, const struct captured_process *process)
{
	const uint64_t parts[] = {process->pid, hash_text(owners, &process->name),
		hash_text(owners, &process->exe), hash_text(owners, &process->cmdline)};

	return hash_octets(&owners->hash_key, parts, sizeof(parts));
}

/* Of all that is said of it. Never 0. */
static uint64_t details_of(const struct captured_owners *owners, uint64_t identity,
	const struct captured_process *process)
{
	const uint64_t parts[] = {identity, process->uid, process->parent_pid,
		hash_text(owners, &process->parent_exe),
		hash_text(owners, &process->parent_cmdline),
		hash_text(owners, &process->container)};

	return hash_octets(&owners->hash_key, parts, sizeof(parts)) | 1;
}

static void copy(char *dst, size_t size, const struct captured_text *text)
{
	dst[0] = '\0';
	if (text->length)
		utf8_sanitize(dst, size, text->at, text->length);
}

static void copy_texts(struct texts *texts, const struct captured_process *process)
{
	copy(texts->comm, sizeof(texts->comm), &process->name);
	copy(texts->exe, sizeof(texts->exe), process->exe.length ? &process->exe : &process->name);
	texts->cgroup[0] = '\0';
	if (process->container.length) {
		texts->cgroup[0] = '/';
		copy(texts->cgroup + 1, sizeof(texts->cgroup) - 1, &process->container);
	}
}

static void tell(const struct captured_owners *owners, const struct process_ref *ref,
	const struct process_ref *parent, const struct captured_process *process)
{
	struct texts texts;
	const struct process_info info = {
		.ref = *ref,
		.parent = *parent,
		.uid = process->uid == CAPTURED_UID_NONE ? PROCESS_UID_NONE : process->uid,
		.loginuid = PROCESS_UID_NONE,
		.comm = texts.comm,
		.exe = texts.exe,
		.arguments = process->cmdline.at,
		.arguments_length = process->cmdline.length,
		.cmdline = "",
		.cgroup = texts.cgroup,
	};

	copy_texts(&texts, process);
	owners->sink->process(owners->sink->ctx, &info);
}

/* Whether the sink has yet to hear of it. */
static bool is_news(struct captured_owners *owners, uint64_t hash)
{
	uint64_t *told = &owners->told[hash / 2 % CAPTURED_OWNER_TOLD];

	if (*told == hash)
		return false;
	*told = hash;
	return true;
}

/* A process of which no parent is told. */
static struct process_ref ref_of_orphan(
	struct captured_owners *owners, const struct captured_process *process)
{
	static const struct process_ref nobody;
	uint64_t identity = identity_of(owners, process);
	const struct process_ref ref = {.pid = process->pid, .exec_id = (uint32_t)identity};

	if (is_news(owners, details_of(owners, identity, process)))
		tell(owners, &ref, &nobody, process);
	return ref;
}

static struct process_ref parent_of(
	struct captured_owners *owners, const struct captured_process *process)
{
	const struct captured_process parent = {
		.pid = process->parent_pid,
		.uid = CAPTURED_UID_NONE,
		.exe = process->parent_exe,
		.cmdline = process->parent_cmdline,
	};

	return ref_of_orphan(owners, &parent);
}

struct process_ref captured_owners_ref(
	struct captured_owners *owners, const struct captured_process *process)
{
	uint64_t identity;
	struct process_ref ref, parent;

	if (!process->pid)
		return (struct process_ref){0};
	if (!process->parent_pid)
		return ref_of_orphan(owners, process);
	identity = identity_of(owners, process);
	ref = (struct process_ref){.pid = process->pid, .exec_id = (uint32_t)identity};
	if (is_news(owners, details_of(owners, identity, process))) {
		parent = parent_of(owners, process);
		tell(owners, &ref, &parent, process);
	}
	return ref;
}

void captured_owners_begin_section(struct captured_owners *owners)
{
	owners->block_count = 0;
	owners->full = false;
}

static bool make_room(struct captured_owners *owners)
{
	size_t room = owners->block_room ? 2 * owners->block_room : BLOCKS_AT_FIRST;
	struct process_ref *blocks;

	if (owners->block_count < owners->block_room)
		return true;
	if (owners->block_room >= CAPTURED_OWNER_BLOCKS)
		return false;
	blocks = realloc(owners->blocks, room * sizeof(*blocks));
	if (!blocks)
		return false;
	owners->blocks = blocks;
	owners->block_room = room;
	return true;
}

void captured_owners_add_block(
	struct captured_owners *owners, const struct captured_process *process)
{
	if (owners->full || !make_room(owners)) {
		owners->full = true;
		owners->refused++;
		return;
	}
	owners->blocks[owners->block_count++] = captured_owners_ref(owners, process);
}

struct process_ref captured_owners_of_block(const struct captured_owners *owners, int64_t index)
{
	if (index < 0 || (uint64_t)index >= owners->block_count)
		return (struct process_ref){0};
	return owners->blocks[index];
}
