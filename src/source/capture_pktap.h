/* The live interface of macOS that tells each packet's process: "pktap", or "pktap,IFACE". */
#ifndef LASTCONN_SOURCE_CAPTURE_PKTAP_H
#define LASTCONN_SOURCE_CAPTURE_PKTAP_H

struct pcap;

/* Before pcap_activate: if device is a pktap, its packets are to come with the header that
 * decode/pktap.h reads. Returns 0 or a status of libpcap; nothing to do elsewhere. */
int capture_pktap_ask(struct pcap *pcap, const char *device);

#endif
