/* Compiled on macOS only, and untested on hardware: nobody ran it yet. Without the request the
 * kernel hands out bare packets (BIOCSWANTPKTAP in xnu, bsd/net/bpf_private.h). Apple's libpcap has
 * the function, its header hides it. */
#include "source/capture_pktap.h"

#include <string.h>

int pcap_set_want_pktap(struct pcap *pcap, int want);

int capture_pktap_ask(struct pcap *pcap, const char *device)
{
	return strncmp(device, "pktap", 5) == 0 ? pcap_set_want_pktap(pcap, 1) : 0;
}
