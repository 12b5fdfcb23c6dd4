/* Where names are on the wire, for those that look at packets. */
#ifndef LASTCONN_BPF_HELLO_BPF_H
#define LASTCONN_BPF_HELLO_BPF_H

#include "compat.bpf.h"

enum {
	PORT_DNS = 53,
	PORT_MDNS = 5353,
	PORT_LLMNR = 5355,
	QUIC_BEGINNING = 5, /* octets that tell an Initial packet */
	QUIC_LONG = 0xc0,   /* long header, fixed bit */
	QUIC_TYPE = 0x30,
};

#define QUIC_V1 0x00000001U
#define QUIC_V2 0x6b3343cfU

static __always_inline bool is_name_port(__u16 port)
{
	return port == PORT_DNS || port == PORT_MDNS || port == PORT_LLMNR;
}

static __always_inline bool is_quic_initial(const __u8 head[QUIC_BEGINNING])
{
	__u32 version = (__u32)head[1] << 24 | head[2] << 16 | head[3] << 8 | head[4];

	if ((head[0] & QUIC_LONG) != QUIC_LONG)
		return false;
	return (version == QUIC_V1 && (head[0] & QUIC_TYPE) == 0x00) ||
	       (version == QUIC_V2 && (head[0] & QUIC_TYPE) == 0x10);
}

#endif
