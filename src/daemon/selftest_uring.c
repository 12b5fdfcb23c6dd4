/* io_uring(7): one entry in the submission ring, one out of the completion ring. */
#include "daemon/selftest_uring.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct rings {
	int fd;
	struct io_uring_params params;
	unsigned char *submissions, *completions;
	size_t submissions_size, completions_size;
	struct io_uring_sqe *entries;
};

static void *map(const struct rings *rings, size_t size, off_t offset)
{
	void *memory = mmap(
		NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, rings->fd, offset);

	return memory == MAP_FAILED ? NULL : memory;
}

static int open_rings(struct rings *rings)
{
	const struct io_uring_params *params = &rings->params;

	rings->fd = (int)syscall(__NR_io_uring_setup, 1, &rings->params);
	if (rings->fd < 0)
		return -errno;
	rings->submissions_size = params->sq_off.array + params->sq_entries * sizeof(uint32_t);
	rings->completions_size =
		params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);
	rings->submissions = map(rings, rings->submissions_size, IORING_OFF_SQ_RING);
	rings->completions = map(rings, rings->completions_size, IORING_OFF_CQ_RING);
	rings->entries = map(rings, sizeof(*rings->entries), IORING_OFF_SQES);
	return rings->submissions && rings->completions && rings->entries ? 0 : -ENOMEM;
}

static void close_rings(const struct rings *rings)
{
	if (rings->submissions)
		munmap(rings->submissions, rings->submissions_size);
	if (rings->completions)
		munmap(rings->completions, rings->completions_size);
	if (rings->entries)
		munmap(rings->entries, sizeof(*rings->entries));
	if (rings->fd >= 0)
		close(rings->fd);
}

static int submit_and_wait(const struct rings *rings)
{
	const struct io_uring_params *params = &rings->params;
	uint32_t *tail = (void *)(rings->submissions + params->sq_off.tail);
	uint32_t *array = (void *)(rings->submissions + params->sq_off.array);
	const struct io_uring_cqe *done = (const void *)(rings->completions + params->cq_off.cqes);

	array[0] = 0;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(__NR_io_uring_enter, rings->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -errno;
	return done->res;
}

int selftest_uring_send(int fd, const void *octets, size_t length)
{
	struct rings rings = {.fd = -1};
	int result = open_rings(&rings);

	if (result == 0) {
		memset(rings.entries, 0, sizeof(*rings.entries));
		rings.entries->opcode = IORING_OP_SEND;
		rings.entries->fd = fd;
		rings.entries->addr = (uint64_t)(uintptr_t)octets;
		rings.entries->len = (uint32_t)length;
		result = submit_and_wait(&rings);
	}
	close_rings(&rings);
	return result;
}
