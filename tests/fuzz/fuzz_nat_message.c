/* Fuzz target: messages of conntrack. They come from the kernel; still nothing in them is trusted
 * as a length. Checked beside what the sanitizers see: what is told is a connection that NAT
 * changes. */
#undef NDEBUG /* the asserts are the test */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "source/nat_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nlmsghdr *message;
	struct nat_mapping mapping;

	if (size < sizeof(*message))
		return 0;
	message = malloc(size); /* of its very size, for the sanitizer */
	assert(message);
	memcpy(message, data, size);
	message->nlmsg_len = (uint32_t)size;
	switch (nat_message_read(message, &mapping)) {
	case NAT_MESSAGE_NEW:
	case NAT_MESSAGE_GONE:
		assert(mapping.original.tunnel == 0 && mapping.reply.socket_cookie == 0);
		assert(!addr_equal(&mapping.original.local, &mapping.reply.remote) ||
			!addr_equal(&mapping.original.remote, &mapping.reply.local) ||
			mapping.original.local_port != mapping.reply.remote_port ||
			mapping.original.remote_port != mapping.reply.local_port);
		break;
	case NAT_MESSAGE_OTHER:
	case NAT_MESSAGE_MALFORMED:
		break;
	}
	free(message);
	return 0;
}
