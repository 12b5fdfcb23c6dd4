/* The kernel source is tried once, at the start: a kernel or a container that refuses it will do so
 * again, and a daemon that ends for it would be started anew for ever. */
#include "daemon/live_source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/privilege.h"
#include "source/source_capture.h"
#include "source/source_ebpf.h"
#include "source/source_named.h"
#include "source/source_procfs.h"
#include "util/log.h"

static void say(const char *text)
{
	log_warning("%s", text);
}

static bool hears_names(const struct source *source)
{
	size_t count;
	const struct source_slot *slots = source->ops->slots(source, &count);
	const struct source_slot *names = source_slot_find(slots, count, SOURCE_SLOT_NAMES);

	return names && names->serving >= 0;
}

/* If no interface is named, names are heard where the kernel source sees the packets with their
 * sockets; where it does not, on all interfaces, which costs a copy of each packet. */
static int add_names(
	const struct config *config, const struct source_sink *sink, struct source **source)
{
	const struct source_named_options options = {
		.devices = config->interfaces ? config->interfaces : "any",
		.say = say,
	};

	if (!sink->name || strcmp(options.devices, LIVE_SOURCE_NO_INTERFACE) == 0 ||
		hears_names(*source))
		return 0;
	return source_named_new(&options, sink, source);
}

static int open_ebpf(const struct config *config, const struct source_sink *sink,
	struct source **ret_source, bool *ret_usage, char ret_why[static LIVE_SOURCE_TEXT_SIZE])
{
	struct source_ebpf_options options = {
		.pin_directory = config->pin_path,
		.ring_octets = config->ring_octets,
		.max_peers = (uint32_t)config->max_peers,
		.max_processes = (uint32_t)config->max_processes,
		.idle_timeout_ns = config->idle_timeout_ns,
		.hear_names = sink->name && !config->interfaces,
		.disable_slots = config->disable_slots,
		.disable_programs = config->disable_programs,
	};
	struct source_ebpf_error error = {0};
	char missing[128];

	*ret_usage = false;
	if (source_ebpf_new(&options, sink, ret_source, &error) == 0) {
		if (*error.text)
			log_warning("%s", error.text);
		return 0;
	}
	privilege_missing(missing, sizeof(missing));
	if (*missing && (error.error == EPERM || error.error == EACCES))
		snprintf(ret_why, LIVE_SOURCE_TEXT_SIZE,
			"the kernel source needs root, this process lacks %s: run it with sudo or "
			"as a systemd unit",
			missing);
	else
		snprintf(ret_why, LIVE_SOURCE_TEXT_SIZE, "%s", error.text);
	*ret_usage = error.usage;
	return -1;
}

static int open_procfs(const struct config *config, const struct source_sink *sink,
	struct source **ret_source, char ret_why[static LIVE_SOURCE_TEXT_SIZE])
{
	struct source_procfs_options options = {
		.max_sockets = config->max_flows,
		.max_processes = config->max_processes,
	};
	int error = source_procfs_new(&options, sink, ret_source);
	size_t used = strlen(ret_why);

	if (error)
		snprintf(ret_why + used, LIVE_SOURCE_TEXT_SIZE - used,
			"%sthe kernel cannot be polled either (sock_diag: %s); it needs "
			"CONFIG_INET_DIAG",
			used ? "; " : "", strerror(-error));
	return error;
}

static int open_capture(const struct config *config, const struct source_sink *sink,
	struct source **ret_source, char ret_why[static LIVE_SOURCE_TEXT_SIZE])
{
	struct source_capture_options options = {
		.devices = config->interfaces,
		.buffer_octets = config->ring_octets,
		.max_sockets = config->max_flows,
		.max_processes = config->max_processes,
		.say = say,
	};
	char why[CAPTURE_DEVICE_TEXT_SIZE];
	size_t used = strlen(ret_why);
	int error = source_capture_new(&options, sink, ret_source, why);

	if (error)
		snprintf(ret_why + used, LIVE_SOURCE_TEXT_SIZE - used, "%s%s", used ? "; " : "",
			why);
	return error;
}

int live_source_open(const struct config *config, const struct source_sink *sink,
	struct source **ret_source, char ret_why[static LIVE_SOURCE_TEXT_SIZE])
{
	enum live_source_choice choice = (enum live_source_choice)config->source;
	bool usage;

	*ret_why = '\0';
	if (choice == LIVE_SOURCE_AUTO || choice == LIVE_SOURCE_EBPF) {
		if (open_ebpf(config, sink, ret_source, &usage, ret_why) == 0) {
			if (add_names(config, sink, ret_source))
				log_warning("names of hosts are not heard: no memory");
			return 0;
		}
		if (choice == LIVE_SOURCE_EBPF || usage)
			return -1;
	}
	if (config->interfaces && choice != LIVE_SOURCE_PROCFS &&
		strcmp(config->interfaces, LIVE_SOURCE_NO_INTERFACE) != 0)
		return open_capture(config, sink, ret_source, ret_why) ? -1 : 0;
	return open_procfs(config, sink, ret_source, ret_why) ? -1 : 0;
}
