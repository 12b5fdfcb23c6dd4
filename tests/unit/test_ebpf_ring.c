/* The reader of the ring buffer, on a ring in ordinary memory that the test fills as the kernel
 * would. */
#include "source/ebpf_ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <linux/bpf.h>

enum { SIZE = 256, KEEP = 64, READ_MAX = 64 };

struct bench {
	uint64_t consumer, producer;
	_Alignas(8) uint8_t data[SIZE]; /* the kernel maps it twice */
	_Alignas(8) uint8_t twice[2 * SIZE];
	struct ebpf_ring ring;
	char read[READ_MAX]; /* first octet of each event */
	uint64_t ends[READ_MAX];
	size_t sizes[READ_MAX];
	size_t count;
};

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	bench->ring = (struct ebpf_ring){
		.consumer = &bench->consumer,
		.producer = &bench->producer,
		.data = bench->twice,
		.size = SIZE,
		.keep = KEEP,
		.epoll_fd = -1,
	};
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	free(*state);
	return 0;
}

static void show(struct bench *bench)
{
	memcpy(bench->twice, bench->data, SIZE);
	memcpy(bench->twice + SIZE, bench->data, SIZE);
}

static void put_octet(struct bench *bench, uint64_t position, uint8_t octet)
{
	bench->data[position % SIZE] = octet;
}

static void set_header(struct bench *bench, uint64_t position, uint32_t header)
{
	memcpy(bench->data + position % SIZE, &header, sizeof(header));
	show(bench);
}

/* An event of so many octets of this letter; returns its position. */
static uint64_t produce(struct bench *bench, char letter, uint32_t size, uint32_t flags)
{
	uint64_t at = bench->producer;

	assert_true(at + size + 8 - bench->consumer <= SIZE);
	for (uint32_t i = 0; i < size; i++)
		put_octet(bench, at + 8 + i, (uint8_t)letter);
	bench->producer += (size + 8 + 7) / 8 * 8;
	set_header(bench, at, size | flags);
	return at;
}

static void take(void *ctx, const void *data, size_t size, uint64_t end)
{
	struct bench *bench = ctx;
	const char *octets = data;

	assert_true(bench->count < READ_MAX);
	for (size_t i = 1; i < size; i++)
		assert_int_equal(octets[i], octets[0]);
	bench->read[bench->count] = octets[0];
	bench->ends[bench->count] = end;
	bench->sizes[bench->count++] = size;
}

static void check_read(struct bench *bench, const char *letters)
{
	bench->count = 0;
	memset(bench->read, 0, sizeof(bench->read));
	ebpf_ring_read(&bench->ring, ebpf_ring_end(&bench->ring), take, bench);
	assert_string_equal(bench->read, letters);
}

static void each_event_is_handed_out_once_and_not_given_back(void **state)
{
	struct bench *bench = *state;

	produce(bench, 'a', 5, 0);
	produce(bench, 'b', 16, 0);
	check_read(bench, "ab");
	assert_int_equal(bench->sizes[0], 5);
	assert_int_equal(bench->ends[0], 16);
	assert_int_equal(bench->sizes[1], 16);
	assert_int_equal(bench->ends[1], 40);
	check_read(bench, "");
	assert_int_equal(bench->consumer, 0);
}

static void reading_stops_at_what_is_still_being_written(void **state)
{
	struct bench *bench = *state;
	uint64_t busy;

	produce(bench, 'a', 8, 0);
	busy = produce(bench, 'b', 8, BPF_RINGBUF_BUSY_BIT);
	produce(bench, 'c', 8, 0);
	check_read(bench, "a");
	set_header(bench, busy, 8);
	check_read(bench, "bc");
}

static void discarded_events_are_stepped_over(void **state)
{
	struct bench *bench = *state;

	produce(bench, 'a', 8, BPF_RINGBUF_DISCARD_BIT);
	produce(bench, 'b', 8, 0);
	produce(bench, 'c', 8, BPF_RINGBUF_DISCARD_BIT);
	check_read(bench, "b");
	assert_int_equal(bench->ring.position, 48);
}

static void events_go_on_over_the_end_of_the_memory(void **state)
{
	struct bench *bench = *state;

	for (int i = 0; i < 100; i++) {
		char letters[2] = {(char)('a' + i % 26)};

		produce(bench, letters[0], 40, 0);
		check_read(bench, letters);
		assert_int_equal(bench->sizes[0], 40);
		ebpf_ring_release(&bench->ring, bench->ring.position);
	}
	assert_int_equal(bench->consumer, 4800);
}

static void what_was_not_released_is_read_again_by_the_next_reader(void **state)
{
	struct bench *bench = *state;

	produce(bench, 'a', 8, 0);
	produce(bench, 'b', 8, 0);
	produce(bench, 'c', 8, 0);
	check_read(bench, "abc");
	ebpf_ring_release(&bench->ring, bench->ends[0]);
	bench->ring.position = ebpf_ring_released(&bench->ring);
	check_read(bench, "bc");
}

static void no_more_is_kept_than_allowed(void **state)
{
	struct bench *bench = *state;

	for (int i = 0; i < 6; i++)
		produce(bench, (char)('a' + i), 16, 0); /* 24 octets each, 2 of them may stay */
	check_read(bench, "abcdef");
	assert_int_equal(bench->consumer, 4 * 24);
}

static void release_goes_neither_back_nor_beyond_what_was_read(void **state)
{
	struct bench *bench = *state;

	produce(bench, 'a', 8, 0);
	check_read(bench, "a");
	produce(bench, 'b', 8, 0);
	ebpf_ring_release(&bench->ring, 1000);
	assert_int_equal(bench->consumer, 16);
	ebpf_ring_release(&bench->ring, 0);
	assert_int_equal(bench->consumer, 16);
	check_read(bench, "b");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_event_is_handed_out_once_and_not_given_back),
		TEST(reading_stops_at_what_is_still_being_written),
		TEST(discarded_events_are_stepped_over),
		TEST(events_go_on_over_the_end_of_the_memory),
		TEST(what_was_not_released_is_read_again_by_the_next_reader),
		TEST(no_more_is_kept_than_allowed),
		TEST(release_goes_neither_back_nor_beyond_what_was_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
