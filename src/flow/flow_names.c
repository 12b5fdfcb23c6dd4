/* One table a vocabulary, guarded against a forgotten word. */
#include "flow/flow_names.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow/coverage.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const char *const direction_names[] = {"unknown", "out", "in", "forwarded"};
_Static_assert(COUNT(direction_names) == FLOW_DIRECTION_COUNT, "a name for each direction");

static const char *const outcome_names[] = {
	"open", "closed", "reset", "refused", "timeout", "unreachable", "aborted", "idle", "lost"};
_Static_assert(COUNT(outcome_names) == FLOW_OUTCOME_COUNT, "a name for each outcome");

static const char *const method_names[] = {
	"unknown", "exact", "inherited", "listener", "snapshot", "pktap", "procfs"};
_Static_assert(COUNT(method_names) == FLOW_METHOD_COUNT, "a name for each method");

static const char *const source_names[] = {"ebpf", "file", "pcap", "procfs"};
_Static_assert(COUNT(source_names) == FLOW_SOURCE_COUNT, "a name for each source");

static const char *const name_source_names[] = {
	"", "dns", "mdns", "llmnr", "sni", "quic", "http", "getaddrinfo"};
_Static_assert(COUNT(name_source_names) == NAME_SOURCE_COUNT, "a name for each source of names");

static const char *const asker_suffixes[] = {"", "-other", "-any"};
_Static_assert(COUNT(asker_suffixes) == NAME_ASKER_COUNT, "a suffix for each asker");

static const char *const tunnel_names[] = {
	"", "ipip", "6in4", "4in6", "6in6", "gre", "vxlan", "geneve"};
_Static_assert(COUNT(tunnel_names) == FLOW_TUNNEL_COUNT, "a name for each tunnel");

static const char *const coverage_names[] = {"down", "ring full", "map full", "table full",
	"queue full", "file truncated", "slot missing", "snapshot", "clock step", "suspend",
	"unaccounted", "slot degraded", "owners unsure", "packets skipped", "hook skipped",
	"names unsure", "filtered", "not in the file", "ignored"};
_Static_assert(COUNT(coverage_names) == COVERAGE_COUNT, "a name for each kind of gap");

/* IANA keywords in lower case. */
static const struct {
	uint8_t number;
	const char *name;
} protocols[] = {
	{IPPROTO_ICMP, "icmp"}, {2, "igmp"}, {4, "ipip"}, {IPPROTO_TCP, "tcp"},
	{IPPROTO_UDP, "udp"}, {33, "dccp"}, {41, "ipv6"}, {47, "gre"}, {50, "esp"}, {51, "ah"},
	{58, "ipv6-icmp"}, {89, "ospf"}, {103, "pim"}, {112, "vrrp"}, {132, "sctp"},
	{136, "udplite"},
	{255, "packet"}, /* reserved by IANA; here frames of AF_PACKET sockets without IP */
};

const char *flow_direction_name(enum flow_direction direction)
{
	return direction_names[direction];
}

const char *flow_outcome_name(enum flow_outcome outcome)
{
	return outcome_names[outcome];
}

const char *flow_method_name(enum flow_method method)
{
	return method_names[method];
}

const char *flow_source_name(enum flow_source source)
{
	return source_names[source];
}

const char *name_source_name(enum name_source source)
{
	return name_source_names[source];
}

const char *flow_tunnel_format(
	enum flow_tunnel tunnel, uint32_t id, char buf[static FLOW_TUNNEL_TEXT_SIZE])
{
	if (tunnel < FLOW_TUNNEL_GRE || (tunnel == FLOW_TUNNEL_GRE && id == 0))
		return tunnel_names[tunnel];
	snprintf(buf, FLOW_TUNNEL_TEXT_SIZE, "%s:%" PRIu32, tunnel_names[tunnel], id);
	return buf;
}

const char *coverage_what_name(enum coverage_what what)
{
	return coverage_names[what];
}

const char *flow_name_source(const struct flow_name *name, char buf[static FLOW_NAME_SOURCE_SIZE])
{
	buf[0] = '\0';
	if (name->text)
		snprintf(buf, FLOW_NAME_SOURCE_SIZE, "%s%s", name_source_names[name->source],
			asker_suffixes[name->asker]);
	return buf;
}

const char *flow_protocol_name(uint8_t protocol, char buf[static FLOW_PROTOCOL_NAME_SIZE])
{
	for (size_t i = 0; i < COUNT(protocols); i++)
		if (protocols[i].number == protocol)
			return protocols[i].name;
	snprintf(buf, FLOW_PROTOCOL_NAME_SIZE, "%u", protocol);
	return buf;
}

int flow_protocol_parse(const char *text)
{
	char *end;
	unsigned long number;

	for (size_t i = 0; i < COUNT(protocols); i++)
		if (strcmp(protocols[i].name, text) == 0)
			return protocols[i].number;
	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	number = strtoul(text, &end, 10);
	return *end || number > 255 ? -EINVAL : (int)number;
}
