/* TCP through io_uring, by raw system calls: no system call of the socket kind is ever made for
 * what moves the octets, and a thread of the kernel may do it. */
#include <errno.h>
#include <linux/io_uring.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cases.h"
#include "net.h"
#include "pair.h"
#include "truth.h"

/* Of the process: each end of a pair sets its own up. */
static struct {
	int fd;
	uint32_t setup_flags; /* IORING_SETUP_SQPOLL or 0 */
	uint8_t flags;        /* of each request, IOSQE_ASYNC or 0 */
	char *memory;         /* both queues */
	struct io_uring_params params;
	struct io_uring_sqe *requests;
} ring;

static void *map(size_t size, off_t offset)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd, offset);

	if (memory == MAP_FAILED)
		truth_fail("io_uring mmap: %s", strerror(errno));
	return memory;
}

static void ring_open(void)
{
	struct io_uring_params *params = &ring.params;
	size_t submitted, completed;

	memset(params, 0, sizeof(*params));
	params->flags = ring.setup_flags;
	ring.fd = (int)syscall(SYS_io_uring_setup, 4, params);
	if (ring.fd < 0)
		truth_skip("io_uring: %s", strerror(errno));
	if (ring.setup_flags & IORING_SETUP_SQPOLL &&
		!(params->features & IORING_FEAT_SQPOLL_NONFIXED))
		truth_skip("SQPOLL wants registered files before Linux 5.11");
	submitted = params->sq_off.array + params->sq_entries * sizeof(uint32_t);
	completed = params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);
	ring.memory = map(submitted > completed ? submitted : completed, IORING_OFF_SQ_RING);
	ring.requests = map(params->sq_entries * sizeof(*ring.requests), IORING_OFF_SQES);
}

static _Atomic uint32_t *ring_word(uint32_t offset)
{
	return (_Atomic uint32_t *)(ring.memory + offset);
}

static void enter(unsigned submit, unsigned flags)
{
	if (ring.setup_flags & IORING_SETUP_SQPOLL) {
		submit = 0;
		if (*ring_word(ring.params.sq_off.flags) & IORING_SQ_NEED_WAKEUP)
			flags |= IORING_ENTER_SQ_WAKEUP;
	}
	if (syscall(SYS_io_uring_enter, ring.fd, submit, 1, flags, NULL, 0) < 0 && errno != EINTR)
		truth_fail("io_uring_enter: %s", strerror(errno));
}

/* One request to its end; its result. */
static int perform(struct io_uring_sqe request)
{
	uint32_t tail = *ring_word(ring.params.sq_off.tail);
	uint32_t index = tail & (ring.params.sq_entries - 1);
	uint32_t head = *ring_word(ring.params.cq_off.head);
	const struct io_uring_cqe *completions =
		(const void *)(ring.memory + ring.params.cq_off.cqes);
	unsigned submit = 1;
	int result;

	request.flags = ring.flags;
	ring.requests[index] = request;
	ring_word(ring.params.sq_off.array)[index] = index;
	*ring_word(ring.params.sq_off.tail) = tail + 1;
	do {
		enter(submit, IORING_ENTER_GETEVENTS);
		submit = 0;
	} while (*ring_word(ring.params.cq_off.tail) == head);
	result = completions[head & (ring.params.cq_entries - 1)].res;
	*ring_word(ring.params.cq_off.head) = head + 1;
	if (result < 0)
		truth_fail("io_uring request %d: %s", request.opcode, strerror(-result));
	return result;
}

static int connect_by_ring(const char *ip, int port)
{
	struct net_address peer = net_address(ip, port);
	int sock = net_socket(ip, SOCK_STREAM, 0);

	ring_open();
	perform((struct io_uring_sqe){.opcode = IORING_OP_CONNECT,
		.fd = sock,
		.addr = (uintptr_t)&peer.any,
		.off = peer.length});
	return sock;
}

static int accept_by_ring(int listener)
{
	ring_open();
	return perform((struct io_uring_sqe){.opcode = IORING_OP_ACCEPT, .fd = listener});
}

static void send_by_ring(int sock, long octets)
{
	static const char data[PAIR_ASKED];

	if (perform((struct io_uring_sqe){.opcode = IORING_OP_SEND,
		    .fd = sock,
		    .addr = (uintptr_t)data,
		    .len = (uint32_t)octets}) != octets)
		truth_fail("a short send");
}

static void receive_by_ring(int sock, long octets)
{
	static char data[PAIR_ASKED];

	if (perform((struct io_uring_sqe){.opcode = IORING_OP_RECV,
		    .fd = sock,
		    .addr = (uintptr_t)data,
		    .len = (uint32_t)octets,
		    .msg_flags = MSG_WAITALL}) != octets)
		truth_fail("a short receive");
}

static void ask(int sock)
{
	send_by_ring(sock, PAIR_ASKED);
	receive_by_ring(sock, PAIR_ANSWERED);
}

static void serve(int sock)
{
	receive_by_ring(sock, PAIR_ASKED);
	send_by_ring(sock, PAIR_ANSWERED);
}

static void talk(uint32_t setup_flags, uint8_t flags)
{
	ring.setup_flags = setup_flags;
	ring.flags = flags;
	pair_run(&(struct pair){.connect = connect_by_ring,
		.accept = accept_by_ring,
		.ask = ask,
		.serve = serve,
		.asked = PAIR_ASKED,
		.answered = PAIR_ANSWERED});
}

static void run_inline(void)
{
	talk(0, 0);
}

static void run_worker(void)
{
	talk(0, IOSQE_ASYNC);
}

static void run_polled(void)
{
	talk(IORING_SETUP_SQPOLL, 0);
}

static const struct case_entry entries[] = {
	{"uring_inline", run_inline},
	{"uring_worker", run_worker},
	{"uring_sqpoll", run_polled},
	{0},
};

const struct case_entry *case_uring(void)
{
	return entries;
}
