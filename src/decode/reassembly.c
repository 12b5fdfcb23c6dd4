/* A map with a bit an octet: no list of holes that a stranger could make long. */
#include "decode/reassembly.h"

#include <assert.h>
#include <string.h>

static bool is_here(const struct reassembly *reassembly, size_t at)
{
	return reassembly->here[at / 8] & 1 << at % 8;
}

void reassembly_clear(struct reassembly *reassembly)
{
	memset(reassembly->here, 0, (reassembly->end + 7) / 8);
	reassembly->ready = reassembly->end = 0;
}

bool reassembly_add(
	struct reassembly *reassembly, uint64_t offset, const uint8_t *octets, size_t length)
{
	size_t start = (size_t)offset;

	if (offset > REASSEMBLY_MAX || length > REASSEMBLY_MAX - offset)
		return false;
	for (size_t at = start; at < start + length; at++) {
		if (is_here(reassembly, at))
			continue;
		reassembly->octets[at] = octets[at - start];
		reassembly->here[at / 8] |= (uint8_t)(1 << at % 8);
	}
	if (length && reassembly->end < start + length)
		reassembly->end = start + length;
	while (reassembly->ready < reassembly->end && is_here(reassembly, reassembly->ready))
		reassembly->ready++;
	return true;
}

void reassembly_drop(struct reassembly *reassembly, size_t count)
{
	size_t end = reassembly->end;

	assert(count <= reassembly->ready);
	for (size_t at = 0; at < end; at++) {
		bool here = at + count < end && is_here(reassembly, at + count);

		if (here)
			reassembly->octets[at] = reassembly->octets[at + count];
		reassembly->here[at / 8] &= (uint8_t) ~(1 << at % 8);
		reassembly->here[at / 8] |= (uint8_t)(here << at % 8);
	}
	reassembly->end -= count;
	reassembly->ready -= count;
}
