/* "any" is asked for cooked headers of version 2, which tell each packet's device. */
#include "source/capture_device.h"

#include <errno.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "source/capture_pktap.h"
#include "util/clock.h"

enum {
	SNAPSHOT_OCTETS = 4096, /* all of usual links; of larger packets a long ClientHello */
	BUFFER_OCTETS_MIN = 1 << 20,
};

static bool is_any(const struct capture_device *device)
{
	return strcmp(device->name, "any") == 0;
}

static const char *mend_name(const struct capture_device *device)
{
	if (strncmp(device->name, "pktap", 5) == 0)
		return "it is one of macOS: capture there, and read the file with -r";
	return "'ip link' lists them";
}

static int refuse(const struct capture_device *device, int status, char *ret_why)
{
	switch (status) {
	case PCAP_ERROR_PERM_DENIED:
	case PCAP_ERROR_PROMISC_PERM_DENIED:
		snprintf(ret_why, CAPTURE_DEVICE_TEXT_SIZE,
			"capture on %s needs CAP_NET_RAW: run lastconnd with sudo or as a systemd "
			"unit",
			device->name);
		return -EPERM;
	case PCAP_ERROR_NO_SUCH_DEVICE:
		snprintf(ret_why, CAPTURE_DEVICE_TEXT_SIZE,
			"there is no network interface '%s'; %s", device->name, mend_name(device));
		return -ENODEV;
	case PCAP_ERROR_IFACE_NOT_UP:
		snprintf(ret_why, CAPTURE_DEVICE_TEXT_SIZE, "the interface %s is not up",
			device->name);
		return -ENETDOWN;
	default:
		snprintf(ret_why, CAPTURE_DEVICE_TEXT_SIZE, "cannot capture on %s: %.256s",
			device->name, pcap_geterr(device->pcap));
		return -EIO;
	}
}

static void set_options(pcap_t *pcap, const struct capture_device_options *options)
{
	uint64_t buffer_octets = options->buffer_octets;

	if (buffer_octets < BUFFER_OCTETS_MIN)
		buffer_octets = BUFFER_OCTETS_MIN;
	pcap_set_snaplen(pcap, SNAPSHOT_OCTETS);
	pcap_set_promisc(pcap, 0);
	pcap_set_timeout(pcap, options->hold_ms);
	pcap_set_buffer_size(pcap, (int)buffer_octets);
	pcap_set_tstamp_precision(pcap, PCAP_TSTAMP_PRECISION_NANO);
}

static int check_link_type(struct capture_device *device, char *ret_why)
{
	const char *name;

	if (is_any(device))
		pcap_set_datalink(device->pcap, DLT_LINUX_SLL2); /* else version 1 has to do */
	device->link_type = pcap_datalink(device->pcap);
	if (packet_observer_reads(device->link_type))
		return 0;
	name = pcap_datalink_val_to_name(device->link_type);
	snprintf(ret_why, CAPTURE_DEVICE_TEXT_SIZE,
		"%s: link type %s (%d) cannot be read; capture on a device with IP packets",
		device->name, name ? name : "unknown", device->link_type);
	return -EPROTONOSUPPORT;
}

/* Without a filter the kernel copies packets whole, whatever libpcap was asked to hand over. */
static int cut_all(const struct capture_device *device)
{
	struct bpf_insn cut = BPF_STMT(BPF_RET | BPF_K, SNAPSHOT_OCTETS);
	struct bpf_program program = {.bf_len = 1, .bf_insns = &cut};

	return pcap_setfilter(device->pcap, &program);
}

/* What was let through before is harmless. */
static int set_filter(const struct capture_device *device, int filter, char *ret_why)
{
	int error;

	if (filter < 0)
		return cut_all(device) < 0 ? refuse(device, PCAP_ERROR, ret_why) : 0;
	if (setsockopt(pcap_fileno(device->pcap), SOL_SOCKET, SO_ATTACH_BPF, &filter,
		    sizeof(filter)) == 0)
		return 0;
	error = -errno;
	snprintf(ret_why, CAPTURE_DEVICE_TEXT_SIZE, "cannot filter packets on %s: %s", device->name,
		strerror(-error));
	return error;
}

static int activate(
	struct capture_device *device, const struct capture_device_options *options, char *ret_why)
{
	char reason[PCAP_ERRBUF_SIZE];
	int status;

	set_options(device->pcap, options);
	status = capture_pktap_ask(device->pcap, device->name);
	if (status == 0)
		status = pcap_activate(device->pcap);
	if (status < 0)
		return refuse(device, status, ret_why);
	if (pcap_setnonblock(device->pcap, 1, reason) < 0)
		return refuse(device, PCAP_ERROR, ret_why);
	status = set_filter(device, options->filter, ret_why);
	return status ? status : check_link_type(device, ret_why);
}

int capture_device_open(struct capture_device *device, const struct capture_device_options *options,
	char ret_why[static CAPTURE_DEVICE_TEXT_SIZE])
{
	char reason[PCAP_ERRBUF_SIZE];
	int error;

	device->pcap = pcap_create(device->name, reason);
	if (!device->pcap) {
		snprintf(ret_why, CAPTURE_DEVICE_TEXT_SIZE, "cannot capture on %s: %.256s",
			device->name, reason);
		return -ENOMEM;
	}
	error = activate(device, options, ret_why);
	if (error) {
		capture_device_close(device);
		return error;
	}
	device->interface = is_any(device) ? 0 : if_nametoindex(device->name);
	device->dropped = device->refused = 0;
	return 0;
}

void capture_device_close(struct capture_device *device)
{
	if (device->pcap)
		pcap_close(device->pcap);
	device->pcap = NULL;
}

int capture_device_fd(const struct capture_device *device)
{
	return pcap_get_selectable_fd(device->pcap);
}

struct reading {
	const struct capture_device *device;
	int64_t ns_per_fraction;
	void (*take)(void *ctx, const struct packet_observer_frame *frame);
	void *ctx;
};

static void take_packet(u_char *user, const struct pcap_pkthdr *header, const u_char *octets)
{
	const struct reading *reading = (const void *)user;
	struct packet_observer_frame frame = {
		.link_type = reading->device->link_type,
		.octets = octets,
		.captured = header->caplen,
		.wire = header->len,
		.time_ns = (int64_t)header->ts.tv_sec * NS_PER_S +
			   (int64_t)header->ts.tv_usec * reading->ns_per_fraction,
		.interface = reading->device->interface,
	};

	reading->take(reading->ctx, &frame);
}

int capture_device_read(struct capture_device *device, int max,
	void (*take)(void *ctx, const struct packet_observer_frame *frame), void *ctx)
{
	bool nano = pcap_get_tstamp_precision(device->pcap) == PCAP_TSTAMP_PRECISION_NANO;
	struct reading reading = {
		.device = device,
		.ns_per_fraction = nano ? 1 : NS_PER_US,
		.take = take,
		.ctx = ctx,
	};
	int taken = pcap_dispatch(device->pcap, max, take_packet, (u_char *)&reading);

	return taken < 0 ? -1 : taken;
}

void capture_device_lost(
	struct capture_device *device, uint64_t *ret_dropped, uint64_t *ret_refused)
{
	struct pcap_stat now;

	*ret_dropped = *ret_refused = 0;
	if (pcap_stats(device->pcap, &now) < 0)
		return;
	*ret_dropped = now.ps_drop - device->dropped; /* counted modulo 2^32 */
	*ret_refused = now.ps_ifdrop - device->refused;
	device->dropped = now.ps_drop;
	device->refused = now.ps_ifdrop;
}
