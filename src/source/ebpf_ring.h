/* Reads the BPF ring buffer without giving back at once what was read: so that events whose records
 * are not on disk yet can be read again by the next daemon, when this one is killed.
 *
 * The layout is the kernel's ABI (kernel/bpf/ringbuf.c; libbpf's own reader gives back each event
 * as it goes): a page with the consumer's position, a page with the producer's, the data twice. An
 * event is an 8 octet header, whose first word is the length with a BUSY and a DISCARD bit, and the
 * data, padded to 8 octets. Positions count octets since the ring was made. */
#ifndef LASTCONN_SOURCE_EBPF_RING_H
#define LASTCONN_SOURCE_EBPF_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ebpf_ring {
	uint64_t *consumer; /* what came before may be overwritten */
	const uint64_t *producer;
	const uint8_t *data;
	size_t size;       /* octets of data */
	uint64_t position; /* read up to here */
	size_t keep;       /* octets at most that are read and not given back */
	int epoll_fd;      /* readable when the kernel has woken us since the last ebpf_ring_read */
};

/* Maps the ring of a BPF map. Returns 0, or negative errno; -EIO if its positions make no sense.
 * ebpf_ring_done also after a failure. */
int ebpf_ring_init(struct ebpf_ring *ring, int map_fd, size_t size, size_t keep);
void ebpf_ring_done(struct ebpf_ring *ring);

/* The position behind the newest event. */
uint64_t ebpf_ring_end(const struct ebpf_ring *ring);

/* Hands out what was not handed out yet, up to end (of ebpf_ring_end) or the first event that is
 * still being written. handle's end: the position behind the event. */
void ebpf_ring_read(struct ebpf_ring *ring, uint64_t end,
	void (*handle)(void *ctx, const void *data, size_t size, uint64_t end), void *ctx);

/* Whether what was not handed out yet fills half of the room for it. */
bool ebpf_ring_presses(const struct ebpf_ring *ring);

/* What came before position, one that was handed out, will not be read again. */
void ebpf_ring_release(struct ebpf_ring *ring, uint64_t position);

uint64_t ebpf_ring_released(const struct ebpf_ring *ring);

#endif
