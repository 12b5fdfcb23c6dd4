/* snmp and netstat have pairs of lines, names and then values, each with the group's name in front;
 * snmp6 (missing where IPv6 is disabled) has a name and a value on each line. */
#include "daemon/netns_counters.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_SIZE = 32768 }; /* some 6 KB are in use */

static const struct {
	const char *group; /* "" in snmp6 */
	const char *name;
	size_t offset;
} known[] = {
	{"Tcp:", "InSegs", offsetof(struct netns_counters, tcp_in)},
	{"Tcp:", "OutSegs", offsetof(struct netns_counters, tcp_out)},
	{"Tcp:", "OutRsts", offsetof(struct netns_counters, tcp_resets_out)},
	{"Tcp:", "AttemptFails", offsetof(struct netns_counters, tcp_failed)},
	{"TcpExt:", "SyncookiesSent", offsetof(struct netns_counters, tcp_cookies)},
	{"Udp:", "InDatagrams", offsetof(struct netns_counters, udp_in)},
	{"Udp:", "OutDatagrams", offsetof(struct netns_counters, udp_out)},
	{"", "Udp6InDatagrams", offsetof(struct netns_counters, udp_in)},
	{"", "Udp6OutDatagrams", offsetof(struct netns_counters, udp_out)},
	{"IpExt:", "InOctets", offsetof(struct netns_counters, ip_octets_in)},
	{"", "Ip6InOctets", offsetof(struct netns_counters, ip_octets_in)},
	/* InReceives counts what GRO has joined; these count the segments (ip_input.c). */
	{"IpExt:", "InNoECTPkts", offsetof(struct netns_counters, ip_packets_in)},
	{"IpExt:", "InECT1Pkts", offsetof(struct netns_counters, ip_packets_in)},
	{"IpExt:", "InECT0Pkts", offsetof(struct netns_counters, ip_packets_in)},
	{"IpExt:", "InCEPkts", offsetof(struct netns_counters, ip_packets_in)},
	{"", "Ip6InNoECTPkts", offsetof(struct netns_counters, ip_packets_in)},
	{"", "Ip6InECT1Pkts", offsetof(struct netns_counters, ip_packets_in)},
	{"", "Ip6InECT0Pkts", offsetof(struct netns_counters, ip_packets_in)},
	{"", "Ip6InCEPkts", offsetof(struct netns_counters, ip_packets_in)},
};

struct word {
	const char *text;
	size_t length;
};

/* The next word of the line. */
static struct word next_word(const char **at)
{
	struct word word = {.text = *at + strspn(*at, " \t")};

	word.length = strcspn(word.text, " \t\n");
	*at = word.text + word.length;
	return word;
}

static int is_word(struct word word, const char *text)
{
	return strlen(text) == word.length && strncmp(word.text, text, word.length) == 0;
}

static void add(
	struct netns_counters *counters, struct word group, struct word name, struct word value)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (is_word(group, known[i].group) && is_word(name, known[i].name))
			*(uint64_t *)((char *)counters + known[i].offset) +=
				strtoull(value.text, NULL, 10);
}

static void add_pair(struct netns_counters *counters, const char *names, const char *values)
{
	struct word group = next_word(&names), name, value;

	next_word(&values);
	while ((name = next_word(&names)).length > 0 && (value = next_word(&values)).length > 0)
		add(counters, group, name, value);
}

void netns_counters_parse(const char *text, struct netns_counters *counters)
{
	while (*text) {
		const char *line = text, *at = text;
		struct word first = next_word(&at);

		text += strcspn(text, "\n");
		text += *text == '\n';
		if (first.length > 0 && first.text[first.length - 1] == ':') {
			add_pair(counters, line, text);
			text += strcspn(text, "\n");
			text += *text == '\n';
		} else {
			add(counters, (struct word){.text = ""}, first, next_word(&at));
		}
	}
}

static int read_one(const char *path, struct netns_counters *counters)
{
	char text[TEXT_SIZE];
	FILE *file = fopen(path, "re");
	size_t length;

	if (!file)
		return -errno;
	length = fread(text, 1, sizeof(text) - 1, file);
	text[length] = '\0';
	fclose(file);
	if (length == sizeof(text) - 1)
		return -EFBIG;
	netns_counters_parse(text, counters);
	return 0;
}

int netns_counters_read(struct netns_counters *ret_counters)
{
	struct netns_counters counters = {0};
	int error = read_one("/proc/net/snmp", &counters);

	if (!error)
		error = read_one("/proc/net/netstat", &counters);
	if (error)
		return error;
	error = read_one("/proc/net/snmp6", &counters);
	if (error && error != -ENOENT)
		return error;
	*ret_counters = counters;
	return 0;
}
