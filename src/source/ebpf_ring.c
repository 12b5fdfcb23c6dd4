/* Order of memory as in libbpf: what the producer wrote before it moved its position, or cleared a
 * BUSY bit, is read after; what we read is read before our position moves. */
#include "source/ebpf_ring.h"

#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

/* The kernel's positions are unsigned longs. */
_Static_assert(sizeof(unsigned long) == sizeof(uint64_t), "machines of 64 bits");

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static void *map_part(int map_fd, size_t size, int protection, size_t offset)
{
	void *part = mmap(NULL, size, protection, MAP_SHARED, map_fd, (off_t)offset);

	return part == MAP_FAILED ? NULL : part;
}

/* The kernel wakes whoever waits for the ring when a program tells it to. What is kept makes the
 * ring readable for ever: so only the waking counts. */
static int watch(struct ebpf_ring *ring, int map_fd)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};

	ring->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (ring->epoll_fd < 0 || epoll_ctl(ring->epoll_fd, EPOLL_CTL_ADD, map_fd, &event) < 0)
		return -errno;
	return 0;
}

int ebpf_ring_init(struct ebpf_ring *ring, int map_fd, size_t size, size_t keep)
{
	*ring = (struct ebpf_ring){.size = size, .keep = keep, .epoll_fd = -1};
	ring->consumer = map_part(map_fd, page_size(), PROT_READ | PROT_WRITE, 0);
	if (!ring->consumer)
		return -errno;
	ring->producer = map_part(map_fd, page_size() + 2 * size, PROT_READ, page_size());
	if (!ring->producer)
		return -errno;
	ring->data = (const uint8_t *)ring->producer + page_size();
	ring->position = ebpf_ring_released(ring);
	if (ring->position % 8 != 0 || ebpf_ring_end(ring) - ring->position > size)
		return -EIO;
	return watch(ring, map_fd);
}

void ebpf_ring_done(struct ebpf_ring *ring)
{
	if (ring->consumer)
		munmap(ring->consumer, page_size());
	if (ring->producer)
		munmap((void *)(uintptr_t)ring->producer, page_size() + 2 * ring->size);
	if (ring->epoll_fd >= 0)
		close(ring->epoll_fd);
	memset(ring, 0, sizeof(*ring));
	ring->epoll_fd = -1;
}

static const uint8_t *at(const struct ebpf_ring *ring, uint64_t position)
{
	return ring->data + (position & (ring->size - 1));
}

static uint32_t header(const struct ebpf_ring *ring, uint64_t position)
{
	return __atomic_load_n(
		(const uint32_t *)(const void *)at(ring, position), __ATOMIC_ACQUIRE);
}

static uint32_t length(uint32_t header)
{
	return header & ~(uint32_t)(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
}

/* From one event to the next. */
static uint64_t step(uint32_t header)
{
	return ((uint64_t)length(header) + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
}

void ebpf_ring_release(struct ebpf_ring *ring, uint64_t position)
{
	if (position > ring->position)
		position = ring->position;
	if (position > ebpf_ring_released(ring))
		__atomic_store_n(ring->consumer, position, __ATOMIC_RELEASE);
}

/* Gives back the oldest events, one by one, until no more than allowed are kept. */
static void release_surplus(struct ebpf_ring *ring)
{
	uint64_t from = ebpf_ring_released(ring);

	while (ring->position - from > ring->keep)
		from += step(header(ring, from));
	ebpf_ring_release(ring, from);
}

uint64_t ebpf_ring_end(const struct ebpf_ring *ring)
{
	return __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);
}

void ebpf_ring_read(struct ebpf_ring *ring, uint64_t end,
	void (*handle)(void *ctx, const void *data, size_t size, uint64_t end), void *ctx)
{
	struct epoll_event woken;

	if (ring->epoll_fd >= 0)
		epoll_wait(ring->epoll_fd, &woken, 1, 0);
	while (ring->position < end) {
		uint32_t word = header(ring, ring->position);
		const uint8_t *data = at(ring, ring->position) + BPF_RINGBUF_HDR_SZ;

		if (word & BPF_RINGBUF_BUSY_BIT)
			return;
		ring->position += step(word);
		if (!(word & BPF_RINGBUF_DISCARD_BIT))
			handle(ctx, data, length(word), ring->position);
		release_surplus(ring);
	}
}

bool ebpf_ring_presses(const struct ebpf_ring *ring)
{
	uint64_t unread = ebpf_ring_end(ring) - ring->position;

	return unread >= (ring->size - ring->keep) / 2;
}

uint64_t ebpf_ring_released(const struct ebpf_ring *ring)
{
	return __atomic_load_n(ring->consumer, __ATOMIC_RELAXED);
}
