/* Other systems have no such interface. */
#include "source/capture_pktap.h"

int capture_pktap_ask(struct pcap *pcap, const char *device)
{
	(void)pcap;
	(void)device;
	return 0;
}
