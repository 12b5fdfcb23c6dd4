/* The life of the chain behind the sources. */
#include "daemon/recorder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/log.h"

enum {
	UUID_SIZE = 37,
	HOST_NAME_SIZE = 256,
	LOST_AFTER_SWEEPS = 4, /* a socket that so many sweeps did not show is gone */
	LOST_AFTER_S = 60,
	FILE_QUEUE_OCTETS =
		8 << 20, /* some batches: the reader waits for room, so more buys nothing */
	MAX_NAT = 65536,
};

/* The inode number of our network namespace; 0 if it cannot be told. */
static uint32_t own_netns(void)
{
	struct stat status;

	return stat("/proc/self/ns/net", &status) == 0 ? (uint32_t)status.st_ino : 0;
}

int recorder_init(struct recorder *recorder, const struct config *config, enum flow_source source)
{
	struct pipeline_options options = {
		.max_flows = config->max_flows,
		.max_processes = config->max_processes,
		.max_listeners = config->max_listeners,
		.max_names = config->max_names,
		.max_nat = MAX_NAT,
		.active_timeout_ns = config->active_timeout_ns,
		.idle_timeout_ns = config->idle_timeout_ns,
		.lost_timeout_ns = LOST_AFTER_SWEEPS * config->sweep_interval_ns +
				   LOST_AFTER_S * (int64_t)NS_PER_S,
		.source = source,
		.cmdline = (enum cmdline_mode)config->cmdline,
		.ignore = config->ignore,
		.ignore_count = config->ignore_count,
		.netns = own_netns(),
		.flush_octets = config->pin_path ? config->ring_octets / 16 : 0,
		.wait_for_room = source == FLOW_SOURCE_FILE,
	};

	memset(recorder, 0, sizeof(*recorder));
	recorder->source = source;
	return pipeline_new(&options, &recorder->pipeline);
}

/* "" if it cannot be read: then runs of this boot and others cannot be told apart. */
static void read_boot_uuid(char ret_uuid[static UUID_SIZE])
{
	FILE *stream = fopen("/proc/sys/kernel/random/boot_id", "re");

	ret_uuid[0] = '\0';
	if (!stream)
		return;
	if (fgets(ret_uuid, UUID_SIZE, stream))
		ret_uuid[strcspn(ret_uuid, "\n")] = '\0';
	fclose(stream);
}

struct store_retention recorder_retention(const struct config *config)
{
	return (struct store_retention){
		.flow_age_us = config->keep_flows_ns / NS_PER_US,
		.hour_age_us = config->keep_hours_ns / NS_PER_US,
		.day_age_us = config->keep_days_ns / NS_PER_US,
		.contact_age_us = config->keep_contacts_ns / NS_PER_US,
		.max_octets = config->max_size,
		.max_contacts = config->max_contacts,
	};
}

static int open_store(struct recorder *recorder, const struct config *config,
	struct store_ring ring, struct store_error *ret_error)
{
	char boot_uuid[UUID_SIZE] = "", host_name[HOST_NAME_SIZE] = "";
	struct store_options options = {
		.path = config->db_path,
		.boot_uuid = boot_uuid,
		.host_name = host_name,
		.version = LASTCONN_VERSION,
		.synchronous_full = config->synchronous_full,
		.ring = ring,
	};

	gethostname(host_name, sizeof(host_name) - 1);
	if (recorder->source != FLOW_SOURCE_FILE) {
		read_boot_uuid(boot_uuid);
		options.boot_start_us = pipeline_wall_offset_ns(recorder->pipeline) / NS_PER_US;
		options.built_us = LASTCONN_BUILT_S * INT64_C(1000000);
		options.retention = recorder_retention(config);
		options.unattended = true;
	}
	if (store_open(&options, &recorder->store, ret_error) < 0)
		return -1;
	if (store_aside(recorder->store))
		log_error("%s; it is now %s, a new history begins", ret_error->text,
			store_aside(recorder->store));
	return 0;
}

static uint64_t queue_octets(const struct recorder *recorder, const struct config *config)
{
	if (recorder->source == FLOW_SOURCE_FILE && config->queue_octets > FILE_QUEUE_OCTETS)
		return FILE_QUEUE_OCTETS;
	return config->queue_octets;
}

int recorder_open(struct recorder *recorder, const struct config *config, struct store_ring ring,
	void (*failed)(void *), void *ctx, struct store_error *ret_error)
{
	struct writer_options options = {
		.queue_octets = queue_octets(recorder, config),
		.failed = failed,
		.ctx = ctx,
	};
	struct batch *before;
	int error;

	if (open_store(recorder, config, ring, ret_error))
		return -1;
	if (store_resume(recorder->store, &before, ret_error)) {
		store_close(recorder->store);
		recorder->store = NULL;
		return -1;
	}
	options.store = recorder->store;
	error = writer_new(&options, &recorder->writer);
	if (!error)
		error = pipeline_connect(recorder->pipeline, recorder->writer);
	if (!error)
		pipeline_resume(recorder->pipeline, before);
	batch_free(before);
	if (!error)
		return 0;
	ret_error->class = STORE_FATAL;
	snprintf(ret_error->text, sizeof(ret_error->text), "cannot start the writer: %s",
		strerror(-error));
	return -1;
}

static void leave_damaged(struct recorder *recorder)
{
	struct store_error error;

	store_close_damaged(recorder->store, &error);
	recorder->store = NULL;
	log_error("%s", error.text);
}

int recorder_close(
	struct recorder *recorder, int64_t timeout_ns, struct store_counters *ret_counters)
{
	uint64_t lost = pipeline_end(recorder->pipeline), lost_by_writer;
	int error = writer_stop(recorder->writer, timeout_ns, &lost_by_writer);
	struct writer_counters counters;

	lost += lost_by_writer;
	if (lost > 0)
		log_error("%llu records were lost: they could not be written within %lld s",
			(unsigned long long)lost, (long long)(timeout_ns / NS_PER_S));
	if (error) {
		log_error("the disk does not answer; leaving without closing the database");
		_exit(EXIT_FAILURE);
	}
	writer_counters(recorder->writer, &counters);
	*ret_counters = counters.store;
	if (counters.damaged) {
		leave_damaged(recorder);
		return -1;
	}
	if (recorder->file_until_us && store_set_file_span(recorder->store, recorder->file_from_us,
					       recorder->file_until_us) < 0)
		log_warning("the span of the capture file could not be written");
	store_close(recorder->store);
	recorder->store = NULL;
	return lost > 0 ? -1 : 0;
}

void recorder_done(struct recorder *recorder)
{
	uint64_t lost;

	if (recorder->writer && recorder->store) /* opened in part only: nothing was put */
		writer_stop(recorder->writer, 0, &lost);
	pipeline_free(recorder->pipeline);
	writer_free(recorder->writer);
	store_close(recorder->store);
	memset(recorder, 0, sizeof(*recorder));
}
