/* SCTP, counted like datagrams: octets are those of its DATA chunks, as often as they are sent.
 *
 * The kernel sends and receives control chunks on sockets that are nobody's conversation
 * (listeners, its own): only data and an outgoing INIT begin a flow. Data that comes before
 * accept(2) is the listening socket's, and stays a flow of its own: nothing tells that socket from
 * the accepted one. Whose first packet is data is not who opened. */
#ifndef LASTCONN_BPF_SCTP_BPF_H
#define LASTCONN_BPF_SCTP_BPF_H

#include "maps.bpf.h"

enum sctp_chunk {
	SCTP_DATA = 0, /* RFC 9260 */
	SCTP_INIT = 1,
	SCTP_I_DATA = 64, /* RFC 8260 */
	SCTP_HEADER_SIZE = 12,
	SCTP_CHUNKS_MAX = 64, /* of one packet; those behind are not counted */
};

struct sctp_chunk_header {
	__u8 type;
	__u8 flags;
	__be16 length; /* without the padding to four octets */
};

struct sctp_content {
	__u32 octets;
	bool begins;
	bool opens;
};

/* offset: of the first chunk. */
static __always_inline void parse_sctp(
	struct __sk_buff *skb, int offset, bool out, struct sctp_content *content)
{
	for (int i = 0; i < SCTP_CHUNKS_MAX; i++) {
		struct sctp_chunk_header chunk;
		__u32 length, header;

		if (bpf_skb_load_bytes(skb, offset, &chunk, sizeof(chunk)))
			return;
		length = bpf_ntohs(chunk.length);
		if (length < sizeof(chunk))
			return;
		header = chunk.type == SCTP_I_DATA ? 20 : 16;
		if ((chunk.type == SCTP_DATA || chunk.type == SCTP_I_DATA) && length > header) {
			content->octets += length - header;
			content->begins = true;
		}
		if (chunk.type == SCTP_INIT && out)
			content->begins = content->opens = true;
		offset += (length + 3) & ~3;
	}
}

#endif
