/* Frames come with the time of the wall clock, which may be set at any time: each read asks anew
 * how far the two clocks are apart. */
#include "source/packet_reader.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "util/clock.h"
#include "util/hash.h"

enum { TURNS_MAX = 16 }; /* before the loop's turn; what is left waits in the kernel */

#define LATE_NS (5 * (int64_t)NS_PER_S) /* behind the read before, with a full buffer */

/* A clock that was set since leaves no packet in the future, nor long ago. */
static void on_frame(void *ctx, const struct packet_observer_frame *frame)
{
	struct packet_reader *reader = ctx;
	struct packet_observer_frame timed = *frame;

	timed.time_ns -= reader->wall_offset_ns;
	if (timed.time_ns > reader->now_ns)
		reader->now_ns = clock_boottime_ns();
	if (timed.time_ns > reader->now_ns)
		timed.time_ns = reader->now_ns;
	if (timed.time_ns < reader->since_ns)
		timed.time_ns = reader->since_ns;
	packet_observer_take(&reader->observer, &timed);
}

static void on_observed(void *ctx, const struct observation *observation)
{
	const struct packet_reader *reader = ctx;

	reader->sink->observe(reader->sink->ctx, observation);
}

static void on_name(void *ctx, const struct name_evidence *evidence)
{
	const struct packet_reader *reader = ctx;
	struct name_evidence told = *evidence;

	told.time_us += reader->wall_offset_ns / NS_PER_US;
	reader->sink->name(reader->sink->ctx, &told);
}

static void follow_addresses(struct packet_reader *reader)
{
	if (!local_addresses_changed(&reader->addresses))
		return;
	reader->devices.retry_ns = 0; /* a device may be back */
	if (local_addresses_read(&reader->addresses) == 0)
		orientation_set_local(reader->observer.orientation, reader->addresses.ranges,
			reader->addresses.count);
}

void packet_reader_read(struct packet_reader *reader)
{
	bool more = true;

	reader->since_ns = reader->now_ns > LATE_NS ? reader->now_ns - LATE_NS : 1;
	reader->now_ns = clock_boottime_ns();
	reader->wall_offset_ns = clock_wall_offset_ns();
	follow_addresses(reader);
	for (int turn = 0; turn < TURNS_MAX && more; turn++)
		more = capture_devices_read(&reader->devices, reader->now_ns, on_frame, reader);
	capture_devices_retry(&reader->devices, reader->now_ns);
}

void packet_reader_tell_losses(struct packet_reader *reader)
{
	const uint64_t *results = reader->observer.results;
	uint64_t skipped =
		results[DECODE_TRUNCATED] + results[DECODE_MALFORMED] + results[DECODE_UNSUPPORTED];

	capture_devices_tell_losses(&reader->devices);
	if (skipped > reader->skipped)
		reader->sink->loss(
			reader->sink->ctx, COVERAGE_PACKETS_SKIPPED, skipped - reader->skipped, "");
	reader->skipped = skipped;
}

static int open_observer(struct packet_reader *reader, const struct packet_reader_options *options)
{
	struct orientation_options orientation = {
		.local = reader->addresses.ranges,
		.local_count = reader->addresses.count,
		.max_conversations = options->max_conversations,
		.both_ends = options->both_ends,
		.hash_key = hash_key_random(),
	};

	reader->observed = (struct source_sink){
		.ctx = reader,
		.observe = on_observed,
		.name = reader->sink->name ? on_name : NULL,
	};
	return packet_observer_init(
		&reader->observer, &orientation, &reader->observed, FLOW_SOURCE_PCAP);
}

static int open_addresses(struct packet_reader *reader, int epoll_fd)
{
	struct epoll_event event = {.events = EPOLLIN};
	int error = local_addresses_init(&reader->addresses);

	if (error)
		reader->addresses.fd = -1;
	else if (reader->addresses.fd >= 0 &&
		 epoll_ctl(epoll_fd, EPOLL_CTL_ADD, reader->addresses.fd, &event) < 0)
		error = -errno;
	return error;
}

static int fail(int error, const char *what, char *ret_why)
{
	snprintf(ret_why, CAPTURE_DEVICE_TEXT_SIZE, "%s: %s", what, strerror(-error));
	return error;
}

static int build(
	struct packet_reader *reader, const struct packet_reader_options *options, char *ret_why)
{
	int error = open_addresses(reader, options->epoll_fd);

	if (error)
		return fail(error, "cannot read the addresses of this machine", ret_why);
	error = open_observer(reader, options);
	if (error)
		return fail(error, "the tables of the capture", ret_why);
	return capture_devices_open(&reader->devices, options->devices, ret_why);
}

int packet_reader_open(struct packet_reader *reader, const struct packet_reader_options *options,
	char ret_why[static CAPTURE_DEVICE_TEXT_SIZE])
{
	int error;

	*reader = (struct packet_reader){
		.devices =
			{
				.options = options->device,
				.epoll_fd = options->epoll_fd,
				.sink = options->sink,
				.lack = options->lack,
				.may_wait = options->may_wait,
				.say = options->say,
			},
		.addresses = {.fd = -1},
		.sink = options->sink,
	};
	error = build(reader, options, ret_why);
	if (error)
		packet_reader_close(reader);
	return error;
}

void packet_reader_close(struct packet_reader *reader)
{
	capture_devices_close(&reader->devices);
	packet_observer_done(&reader->observer);
	local_addresses_done(&reader->addresses);
}
