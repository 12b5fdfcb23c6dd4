/* A packet between two local ends as each of them sees it, and copies that do not count. */
#include "source/packet_observer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { LINK_RAW = 101, LINK_SLL = 113, SEEN_MAX = 4 };

static struct observation seen[SEEN_MAX];
static size_t seen_count;

static void keep(void *ctx, const struct observation *observation)
{
	(void)ctx;
	assert_true(seen_count < SEEN_MAX);
	seen[seen_count++] = *observation;
}

static const struct source_sink sink = {.observe = keep};

/* A datagram of 4 octets, 127.0.0.1:40000 to 127.0.0.1:53. */
static const uint8_t datagram[] = {0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0,
	0, 1, 0x9c, 0x40, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4};

static struct packet_observer make(bool both_ends)
{
	struct source_pcap_range loopback = {0};
	struct orientation_options options = {.local = &loopback,
		.local_count = 1,
		.max_conversations = 8,
		.both_ends = both_ends,
		.hash_key = {1, 2}};
	struct packet_observer observer;

	seen_count = 0;
	assert_int_equal(addr_parse_range("127.0.0.0/8", &loopback.first, &loopback.last), 0);
	assert_int_equal(packet_observer_init(&observer, &options, &sink, FLOW_SOURCE_PCAP), 0);
	return observer;
}

static void take(struct packet_observer *observer, uint32_t interface)
{
	struct packet_observer_frame frame = {
		.link_type = LINK_RAW,
		.octets = datagram,
		.captured = sizeof(datagram),
		.wire = sizeof(datagram),
		.time_ns = 1000,
		.interface = interface,
	};

	packet_observer_take(observer, &frame);
}

static void a_packet_between_local_ends_is_seen_from_both(void **state)
{
	struct packet_observer observer = make(true);

	(void)state;
	take(&observer, 0);
	assert_int_equal(seen_count, 2);
	assert_int_equal(seen[0].direction, FLOW_DIRECTION_OUT);
	assert_int_equal(seen[0].key.local_port, 40000);
	assert_int_equal(seen[0].counters.octets_out, 4);
	assert_int_equal(seen[0].counters.packets_out, 1);
	assert_true(seen[0].from_local);
	assert_int_equal(seen[1].direction, FLOW_DIRECTION_IN);
	assert_int_equal(seen[1].key.local_port, 53);
	assert_int_equal(seen[1].key.remote_port, 40000);
	assert_int_equal(seen[1].counters.octets_in, 4);
	assert_int_equal(seen[1].counters.octets_out, 0);
	assert_int_equal(seen[1].counters.packets_in, 1);
	assert_false(seen[1].from_local);
	packet_observer_done(&observer);
}

static void in_files_it_is_one_flow(void **state)
{
	struct packet_observer observer = make(false);

	(void)state;
	take(&observer, 0);
	assert_int_equal(seen_count, 1);
	packet_observer_done(&observer);
}

static void what_counts_at_another_device_is_counted_as_a_copy(void **state)
{
	struct packet_observer observer = make(false);

	(void)state;
	take(&observer, 3);
	take(&observer, 7);
	take(&observer, 3);
	assert_int_equal(seen_count, 2);
	assert_int_equal(observer.copies, 1);
	assert_int_equal(observer.results[DECODE_OK], 3);
	packet_observer_done(&observer);
}

static size_t name_count;

static void count_name(void *ctx, const struct name_evidence *evidence)
{
	(void)ctx;
	(void)evidence;
	name_count++;
}

/* A request for "Host: a.test" from 192.0.2.1:40000 to 198.51.100.7:80, in a cooked frame. */
static void take_request(struct packet_observer *observer, uint8_t packet_type)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
	uint8_t octets[16 + 20 + 20 + sizeof(request) - 1] = {0, packet_type, 0, 1, 0, 6, [14] = 8,
		0, 0x45, 0, 0, sizeof(octets) - 16, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 198, 51,
		100, 7, 0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18};
	struct packet_observer_frame frame = {
		.link_type = LINK_SLL,
		.octets = octets,
		.captured = sizeof(octets),
		.wire = sizeof(octets),
		.time_ns = 1000,
	};

	memcpy(octets + sizeof(octets) - (sizeof(request) - 1), request, sizeof(request) - 1);
	packet_observer_take(observer, &frame);
}

static void what_comes_from_outside_with_an_own_address_names_nothing(void **state)
{
	static const struct source_sink names = {.observe = keep, .name = count_name};
	struct source_pcap_range own = {0};
	struct orientation_options options = {
		.local = &own, .local_count = 1, .max_conversations = 8, .hash_key = {1, 2}};
	struct packet_observer observer;

	(void)state;
	seen_count = name_count = 0;
	assert_int_equal(addr_parse_range("192.0.2.1", &own.first, &own.last), 0);
	assert_int_equal(packet_observer_init(&observer, &options, &names, FLOW_SOURCE_PCAP), 0);
	take_request(&observer, 0);
	assert_int_equal(name_count, 0);
	take_request(&observer, 4);
	assert_int_equal(name_count, 1);
	packet_observer_done(&observer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packet_between_local_ends_is_seen_from_both),
		cmocka_unit_test(in_files_it_is_one_flow),
		cmocka_unit_test(what_counts_at_another_device_is_counted_as_a_copy),
		cmocka_unit_test(what_comes_from_outside_with_an_own_address_names_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
