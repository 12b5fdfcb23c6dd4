/* The header that Darwin's pktap interface puts before each packet: interface, direction, process
 * (xnu, bsd/net/pktap.h). Pure; reads strangers' octets.
 *
 * Read: version 1 as long as it was at first (108 octets) and longer, and version 2. They are in
 * the byte order of the machine that captured; which one, and which version, is told by the
 * header's own fields. */
#ifndef LASTCONN_DECODE_PKTAP_H
#define LASTCONN_DECODE_PKTAP_H

#include <stdbool.h>

#include "decode/captured.h"
#include "decode/decode.h"
#include "util/cursor.h"

struct pktap {
	int link_type; /* of the packet that follows */
	enum decode_sender sender;
	struct captured_process process;   /* pid 0: none, as with ICMP and ARP */
	struct captured_process effective; /* on whose behalf; pid 0: none. May be the same */
};

/* LINKTYPE_PKTAP, or DLT_USER2, which Apple's tcpdump wrote before there was that number. */
bool pktap_link_type(int link_type);

/* Moves the cursor over the header. *ret_pktap borrows from it, and is untouched unless DECODE_OK
 * is returned. DECODE_NOT_IP: no packet follows. */
enum decode_result pktap_read(struct cursor *cursor, struct pktap *ret_pktap);

#endif
