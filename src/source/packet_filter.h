/* A filter expression of pcap-filter(7), for packets of any link type. */
#ifndef LASTCONN_SOURCE_PACKET_FILTER_H
#define LASTCONN_SOURCE_PACKET_FILTER_H

#include "source/packet_observer.h"

enum { PACKET_FILTER_TEXT_SIZE = 320 };

enum packet_filter_verdict {
	PACKET_FILTER_PASS,
	PACKET_FILTER_REJECT,
	PACKET_FILTER_UNFIT, /* the expression cannot be applied to this link type */
};

struct packet_filter;

/* Returns 0 or -ENOMEM. The expression is not looked at yet: it depends on the link type. */
int packet_filter_new(const char *expression, struct packet_filter **ret_filter);
void packet_filter_free(struct packet_filter *filter);

/* NULL, or libpcap's reason in words why the expression cannot be applied to this link type; of
 * PKTAP, which can carry any, to Ethernet. Valid as long as the filter. */
const char *packet_filter_refusal(struct packet_filter *filter, int link_type);

/* Of PKTAP the frame within is looked at. What cannot be read passes, to be counted as what it is.
 */
enum packet_filter_verdict packet_filter_take(
	struct packet_filter *filter, const struct packet_observer_frame *frame);

/* Why some packets were unfit, of the first such link type; NULL: none were. */
const char *packet_filter_unfit(const struct packet_filter *filter);

#endif
