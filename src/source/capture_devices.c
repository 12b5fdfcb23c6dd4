/* A device that goes away makes its descriptor readable and its reading fail. */
#include "source/capture_devices.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "util/clock.h"

enum {
	SLICE_PACKETS = 1024, /* of one device before the next one's turn */
	RETRY_MS = 1000,
};

static void say(const struct capture_devices *devices, const char *format, const char *name)
{
	char text[CAPTURE_DEVICE_TEXT_SIZE];

	snprintf(text, sizeof(text), format, name);
	devices->say(text);
}

static void tell_loss(
	const struct capture_devices *devices, uint64_t count, const char *format, const char *name)
{
	char detail[COVERAGE_DETAIL_SIZE];

	if (count == 0)
		return;
	snprintf(detail, sizeof(detail), format, name);
	devices->sink->loss(devices->sink->ctx, devices->lack, count, detail);
}

static void tell_lost(const struct capture_devices *devices, struct capture_device *device)
{
	uint64_t dropped, refused;

	capture_device_lost(device, &dropped, &refused);
	tell_loss(devices, dropped, "packets on %s, the buffer was full: raise ring-size",
		device->name);
	tell_loss(
		devices, refused, "packets on %s, lost by the device or its driver", device->name);
}

void capture_devices_tell_losses(struct capture_devices *devices)
{
	for (size_t i = 0; i < devices->count; i++)
		if (devices->devices[i].pcap)
			tell_lost(devices, &devices->devices[i]);
}

static void lose(struct capture_devices *devices, struct capture_device *device, int64_t now_ns)
{
	tell_lost(devices, device);
	capture_device_close(device);
	devices->retry_ns = now_ns + RETRY_MS * (int64_t)NS_PER_MS;
	say(devices, "the interface %s is gone or down; capture goes on when it is back",
		device->name);
}

bool capture_devices_read(struct capture_devices *devices, int64_t now_ns,
	void (*take)(void *ctx, const struct packet_observer_frame *frame), void *ctx)
{
	bool more = false;

	for (size_t i = 0; i < devices->count; i++) {
		struct capture_device *device = &devices->devices[i];
		int taken;

		if (!device->pcap)
			continue;
		taken = capture_device_read(device, SLICE_PACKETS, take, ctx);
		more |= taken == SLICE_PACKETS;
		if (taken < 0)
			lose(devices, device, now_ns);
	}
	return more;
}

static int open_one(
	const struct capture_devices *devices, struct capture_device *device, char *ret_why)
{
	struct epoll_event event = {.events = EPOLLIN};
	int error = capture_device_open(device, &devices->options, ret_why);

	if (error)
		return error;
	if (epoll_ctl(devices->epoll_fd, EPOLL_CTL_ADD, capture_device_fd(device), &event) == 0)
		return 0;
	error = -errno;
	snprintf(ret_why, CAPTURE_DEVICE_TEXT_SIZE, "cannot wait for packets on %s: %s",
		device->name, strerror(-error));
	capture_device_close(device);
	return error;
}

static bool may_come(int error)
{
	return error == -ENODEV || error == -ENETDOWN;
}

/* Once for each time that it comes. */
static void say_refused(const struct capture_devices *devices, struct capture_device *device,
	int error, const char *why)
{
	if (!may_come(error) && !device->refusal_said)
		devices->say(why);
	device->refusal_said = !may_come(error);
}

static bool came_back(const struct capture_devices *devices, struct capture_device *device)
{
	char why[CAPTURE_DEVICE_TEXT_SIZE];
	int error = open_one(devices, device, why);

	if (error)
		say_refused(devices, device, error, why);
	return error == 0;
}

void capture_devices_retry(struct capture_devices *devices, int64_t now_ns)
{
	char detail[COVERAGE_DETAIL_SIZE];

	if (now_ns < devices->retry_ns)
		return;
	devices->retry_ns = now_ns + RETRY_MS * (int64_t)NS_PER_MS;
	for (size_t i = 0; i < devices->count; i++) {
		struct capture_device *device = &devices->devices[i];

		if (device->pcap || !came_back(devices, device))
			continue;
		device->refusal_said = false;
		snprintf(detail, sizeof(detail),
			"packets: the interface %s came back, its first moments are missing",
			device->name);
		devices->sink->loss(devices->sink->ctx, devices->lack, 0, detail);
		say(devices, "the interface %s is there; capture goes on", device->name);
	}
}

/* Names. */

static bool is_named(const struct capture_devices *devices, const char *name)
{
	for (size_t i = 0; i < devices->count; i++)
		if (strcmp(devices->devices[i].name, name) == 0)
			return true;
	return false;
}

static int add(struct capture_devices *devices, const char *name, size_t length, char *ret_why)
{
	char text[CAPTURE_DEVICE_NAME_SIZE] = "";

	if (length == 0 || length >= sizeof(text)) {
		snprintf(ret_why, CAPTURE_DEVICE_TEXT_SIZE,
			"there is no network interface '%.*s'; 'ip link' lists them",
			length < sizeof(text) ? (int)length : CAPTURE_DEVICE_NAME_SIZE, name);
		return -EINVAL;
	}
	memcpy(text, name, length);
	if (is_named(devices, text))
		return 0; /* once is enough */
	if (devices->count == CAPTURE_DEVICES_MAX) {
		snprintf(ret_why, CAPTURE_DEVICE_TEXT_SIZE,
			"more than %d interfaces: capture on 'any'", CAPTURE_DEVICES_MAX);
		return -E2BIG;
	}
	memcpy(devices->devices[devices->count++].name, text, sizeof(text));
	return 0;
}

static int add_all(struct capture_devices *devices, const char *names, char *ret_why)
{
	do {
		size_t length = strcspn(names, ",");
		int error = add(devices, names, length, ret_why);

		if (error)
			return error;
		names += length + (names[length] == ',');
	} while (*names);
	if (devices->count == 1 || !is_named(devices, "any"))
		return 0;
	snprintf(ret_why, CAPTURE_DEVICE_TEXT_SIZE,
		"'any' is every interface: name it alone, or others without it");
	return -EINVAL;
}

static void say_awaited(const struct capture_devices *devices)
{
	for (size_t i = 0; i < devices->count; i++)
		if (!devices->devices[i].pcap)
			say(devices,
				"there is no interface %s yet ('ip link' lists them); capture "
				"begins when it comes",
				devices->devices[i].name);
}

int capture_devices_open(struct capture_devices *devices, const char *names,
	char ret_why[static CAPTURE_DEVICE_TEXT_SIZE])
{
	char why[CAPTURE_DEVICE_TEXT_SIZE];
	size_t opened = 0;
	int error = add_all(devices, names, ret_why), first = 0;

	for (size_t i = 0; i < devices->count && !error; i++) {
		int result = open_one(devices, &devices->devices[i], why);

		opened += result == 0;
		if (result && !may_come(result))
			error = result;
		if (result && (!first || error)) {
			first = result;
			memcpy(ret_why, why, sizeof(why));
		}
	}
	if (error || (opened == 0 && !devices->may_wait))
		return error ? error : first;
	say_awaited(devices);
	*ret_why = '\0';
	return 0;
}

void capture_devices_close(struct capture_devices *devices)
{
	for (size_t i = 0; i < devices->count; i++)
		capture_device_close(&devices->devices[i]);
}
