/* A block: type, total length, body, total length again. Options: code, length, value padded to 4.
 *
 * A block that contradicts itself ends the reading, for the next one cannot be trusted to begin
 * where it says. Options that do so are not believed from there on; the packet is. */
#include "decode/pcapng.h"

#include <string.h>

#include "decode/process_comment.h"
#include "util/clock.h"
#include "util/cursor.h"

enum block_type {
	BLOCK_INTERFACE = 1,
	BLOCK_PACKET = 2, /* obsolete */
	BLOCK_SIMPLE_PACKET = 3,
	BLOCK_ENHANCED_PACKET = 6,
};

#define BLOCK_SECTION        0x0a0d0d0au /* the same in either byte order */
#define BLOCK_DARWIN_PROCESS 0x80000001u

#define BYTE_ORDER_MAGIC 0x1a2b3c4du

enum option_code {
	OPTION_END = 0,
	OPTION_COMMENT = 1,
	OPTION_INTERFACE_RESOLUTION = 9,
	OPTION_INTERFACE_OFFSET = 14,
	OPTION_PACKET_FLAGS = 2,
	OPTION_PACKET_PROCESS = 0x8001, /* Apple's; 0x8002 is the service class */
	OPTION_PACKET_EFFECTIVE_PROCESS = 0x8003,
	OPTION_PROCESS_NAME = 2,
	OPTION_PROCESS_PATH = 3,
};

enum {
	TAIL = 4,
	INTERFACE_FIXED = 8,
	PACKET_FIXED = 20,
	SIMPLE_PACKET_FIXED = 4,
	PROCESS_FIXED = 4,
	SECTION_FIXED = 16,
};

enum { RESOLUTION_DEFAULT = 6, RESOLUTION_BINARY = 0x80, DECIMAL_MAX = 19, BINARY_MAX = 63 };

#define LAST_SECOND (INT64_MAX / NS_PER_S - 1)

struct option {
	uint16_t code;
	struct captured_text value;
};

static uint16_t read16(const struct pcapng *pcapng, const uint8_t *octets)
{
	return cursor_16(octets, pcapng->big_endian);
}

static uint32_t read32(const struct pcapng *pcapng, const uint8_t *octets)
{
	return cursor_32(octets, pcapng->big_endian);
}

static size_t padded(size_t length)
{
	return (length + 3) & ~(size_t)3;
}

/* Heads. */

static const char *begin_section(struct pcapng *pcapng, const uint8_t *head)
{
	if (cursor_be32(head + 8) == BYTE_ORDER_MAGIC)
		pcapng->big_endian = true;
	else if (cursor_32(head + 8, false) == BYTE_ORDER_MAGIC)
		pcapng->big_endian = false;
	else
		return "has a section without byte order";
	pcapng->begun = true;
	pcapng->interface_count = 0;
	return NULL;
}

static bool is_wanted(uint32_t type)
{
	switch (type) {
	case BLOCK_SECTION:
	case BLOCK_INTERFACE:
	case BLOCK_PACKET:
	case BLOCK_SIMPLE_PACKET:
	case BLOCK_ENHANCED_PACKET:
	case BLOCK_DARWIN_PROCESS:
		return true;
	default:
		return false;
	}
}

const char *pcapng_begin_block(struct pcapng *pcapng, const uint8_t head[static PCAPNG_HEAD],
	struct pcapng_block *ret_block)
{
	const char *why = cursor_be32(head) == BLOCK_SECTION ? begin_section(pcapng, head) : NULL;
	struct pcapng_block block;

	if (why)
		return why;
	if (!pcapng->begun)
		return "does not begin with a section";
	block.type = read32(pcapng, head);
	block.length = read32(pcapng, head + 4);
	block.wanted = is_wanted(block.type);
	if (block.length < PCAPNG_HEAD || block.length % 4)
		return "has a block of an impossible length";
	if (block.wanted && block.length > PCAPNG_BLOCK_MAX)
		return "has a block of more than 16 MiB";
	*ret_block = block;
	return NULL;
}

/* Options. */

static bool next_option(const struct pcapng *pcapng, struct cursor *cursor, struct option *option)
{
	const uint8_t *head = cursor_take(cursor, 4), *value;
	size_t length;

	if (!head)
		return false;
	length = read16(pcapng, head + 2);
	value = cursor_take(cursor, padded(length));
	*option = (struct option){read16(pcapng, head), {(const char *)value, length}};
	return value && option->code != OPTION_END;
}

static bool option_number(
	const struct pcapng *pcapng, const struct option *option, uint32_t *ret_number)
{
	if (option->value.length != 4)
		return false;
	*ret_number = read32(pcapng, (const uint8_t *)option->value.at);
	return true;
}

/* Interfaces and times. */

static int64_t signed64(const struct pcapng *pcapng, const uint8_t *octets)
{
	uint64_t first = read32(pcapng, octets), second = read32(pcapng, octets + 4);

	return (int64_t)(pcapng->big_endian ? first << 32 | second : second << 32 | first);
}

static void read_interface_options(
	const struct pcapng *pcapng, struct cursor cursor, struct pcapng_interface *interface)
{
	struct option option;

	while (next_option(pcapng, &cursor, &option)) {
		const uint8_t *value = (const uint8_t *)option.value.at;

		if (option.code == OPTION_INTERFACE_RESOLUTION && option.value.length == 1)
			interface->resolution = value[0];
		else if (option.code == OPTION_INTERFACE_OFFSET && option.value.length == 8)
			interface->offset_s = signed64(pcapng, value);
	}
}

static const char *read_interface(struct pcapng *pcapng, struct cursor body)
{
	const uint8_t *fixed = cursor_take(&body, INTERFACE_FIXED);
	struct pcapng_interface interface = {.resolution = RESOLUTION_DEFAULT};
	unsigned power;

	if (!fixed || pcapng->interface_count == UINT32_MAX)
		return "has an interface block that is too short";
	interface.link_type = read16(pcapng, fixed);
	interface.snap_length = read32(pcapng, fixed + 4);
	read_interface_options(pcapng, body, &interface);
	power = interface.resolution & ~RESOLUTION_BINARY;
	if (power > (interface.resolution & RESOLUTION_BINARY ? BINARY_MAX : DECIMAL_MAX))
		return "has an interface with an impossible unit of time";
	if (pcapng->interface_count < PCAPNG_INTERFACES_MAX)
		pcapng->interfaces[pcapng->interface_count] = interface;
	pcapng->interface_count++;
	return NULL;
}

/* Nanoseconds of a part of a second that is counted in units of 2 to the power of -bits. */
static int64_t binary_ns(uint64_t part, unsigned bits)
{
	if (bits > 32) {
		part >>= bits - 32;
		bits = 32;
	}
	return (int64_t)(part * NS_PER_S >> bits);
}

static int64_t decimal_ns(uint64_t part, uint64_t units_a_second)
{
	if (units_a_second > NS_PER_S)
		return (int64_t)(part / (units_a_second / NS_PER_S));
	return (int64_t)(part * (NS_PER_S / units_a_second));
}

static int64_t time_of(const struct pcapng_interface *interface, uint64_t units)
{
	unsigned power = interface->resolution & ~RESOLUTION_BINARY;
	bool binary = interface->resolution & RESOLUTION_BINARY;
	uint64_t units_a_second = 1, seconds;
	int64_t ns;

	for (unsigned i = 0; i < power; i++)
		units_a_second *= binary ? 2 : 10;
	seconds = units / units_a_second;
	ns = binary ? binary_ns(units % units_a_second, power)
		    : decimal_ns(units % units_a_second, units_a_second);
	if (seconds > LAST_SECOND)
		seconds = LAST_SECOND;
	if (interface->offset_s > LAST_SECOND - (int64_t)seconds)
		return LAST_SECOND * NS_PER_S;
	if (interface->offset_s < -(int64_t)seconds)
		return 0;
	return ((int64_t)seconds + interface->offset_s) * NS_PER_S + ns;
}

/* Packets. */

static enum decode_sender sender_of(uint32_t flags)
{
	switch (flags & 3) {
	case 1:
		return DECODE_SENDER_REMOTE; /* inbound */
	case 2:
		return DECODE_SENDER_LOCAL;
	default:
		return DECODE_SENDER_UNKNOWN;
	}
}

static void read_packet_options(
	const struct pcapng *pcapng, struct cursor cursor, struct pcapng_packet *packet)
{
	struct option option;
	uint32_t number;

	while (next_option(pcapng, &cursor, &option)) {
		switch (option.code) {
		case OPTION_COMMENT:
			process_comment_read(
				&packet->comments, option.value.at, option.value.length);
			break;
		case OPTION_PACKET_FLAGS:
			if (option_number(pcapng, &option, &number))
				packet->sender = sender_of(number);
			break;
		case OPTION_PACKET_PROCESS:
			if (option_number(pcapng, &option, &number))
				packet->process = number;
			break;
		case OPTION_PACKET_EFFECTIVE_PROCESS:
			if (option_number(pcapng, &option, &number))
				packet->effective = number;
			break;
		default:
			break;
		}
	}
}

/* The octets of a packet, and after them its options. */
static const char *read_octets(
	const struct pcapng *pcapng, struct cursor body, struct pcapng_packet *packet)
{
	packet->octets = body.at;
	if (!cursor_take(&body, packet->captured))
		return "has a packet that is longer than its block";
	if (packet->wire < packet->captured)
		packet->wire = packet->captured;
	if (cursor_take(&body, padded(packet->captured) - packet->captured))
		read_packet_options(pcapng, body, packet);
	return NULL;
}

static const char *read_packet(const struct pcapng *pcapng, bool enhanced, struct cursor body,
	struct pcapng_packet *packet)
{
	const uint8_t *fixed = cursor_take(&body, PACKET_FIXED);
	uint32_t index;

	if (!fixed)
		return "has a packet block that is too short";
	index = enhanced ? read32(pcapng, fixed) : read16(pcapng, fixed);
	if (index >= pcapng->interface_count)
		return "has a packet of an interface that it does not describe";
	if (index < PCAPNG_INTERFACES_MAX) {
		packet->link_type = pcapng->interfaces[index].link_type;
		packet->time_ns = time_of(&pcapng->interfaces[index],
			(uint64_t)read32(pcapng, fixed + 4) << 32 | read32(pcapng, fixed + 8));
	}
	packet->captured = read32(pcapng, fixed + 12);
	packet->wire = read32(pcapng, fixed + 16);
	return read_octets(pcapng, body, packet);
}

static const char *read_simple_packet(
	const struct pcapng *pcapng, struct cursor body, struct pcapng_packet *packet)
{
	const struct pcapng_interface *interface = &pcapng->interfaces[0];
	const uint8_t *fixed = cursor_take(&body, SIMPLE_PACKET_FIXED);

	if (!fixed)
		return "has a packet block that is too short";
	if (pcapng->interface_count == 0)
		return "has a packet of an interface that it does not describe";
	packet->link_type = interface->link_type;
	packet->wire = packet->captured = read32(pcapng, fixed);
	if (interface->snap_length && packet->captured > interface->snap_length)
		packet->captured = interface->snap_length;
	cursor_limit(&body, packet->captured); /* no options follow */
	return read_octets(pcapng, body, packet);
}

static const char *read_process(
	const struct pcapng *pcapng, struct cursor body, struct captured_process *ret_process)
{
	const uint8_t *fixed = cursor_take(&body, PROCESS_FIXED);
	struct option option;

	*ret_process = (struct captured_process){.uid = CAPTURED_UID_NONE};
	if (!fixed)
		return "has a process block that is too short";
	ret_process->pid = captured_pid(read32(pcapng, fixed));
	while (next_option(pcapng, &body, &option)) {
		if (option.code == OPTION_PROCESS_NAME)
			ret_process->name = option.value;
		else if (option.code == OPTION_PROCESS_PATH)
			ret_process->exe = option.value;
	}
	return NULL;
}

static const char *read_body(
	struct pcapng *pcapng, uint32_t type, struct cursor body, struct pcapng_content *content)
{
	switch (type) {
	case BLOCK_SECTION:
		content->kind = PCAPNG_SECTION;
		return body.captured < SECTION_FIXED ? "has a section block that is too short"
						     : NULL;
	case BLOCK_INTERFACE:
		return read_interface(pcapng, body);
	case BLOCK_DARWIN_PROCESS:
		content->kind = PCAPNG_PROCESS;
		return read_process(pcapng, body, &content->process);
	case BLOCK_SIMPLE_PACKET:
		content->kind = PCAPNG_PACKET;
		return read_simple_packet(pcapng, body, &content->packet);
	default: /* what is left of those wanted */
		content->kind = PCAPNG_PACKET;
		return read_packet(pcapng, type == BLOCK_ENHANCED_PACKET, body, &content->packet);
	}
}

void pcapng_read_block(struct pcapng *pcapng, const struct pcapng_block *block,
	const uint8_t *octets, struct pcapng_content *ret_content)
{
	size_t length = block->length - PCAPNG_HEAD;
	struct cursor body = {octets + PCAPNG_HEAD - TAIL, length, length};

	memset(ret_content, 0, sizeof(*ret_content));
	ret_content->packet.time_ns = ret_content->packet.link_type = -1;
	ret_content->packet.process = ret_content->packet.effective = -1;
	ret_content->packet.comments.uid = CAPTURED_UID_NONE;
	ret_content->why = "has a block whose two lengths differ";
	if (read32(pcapng, octets + block->length - TAIL) == block->length)
		ret_content->why = read_body(pcapng, block->type, body, ret_content);
	if (ret_content->why)
		ret_content->kind = PCAPNG_DAMAGED;
}
