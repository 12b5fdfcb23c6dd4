/* A destroyed socket's state and error are not told, but its counters are: with all acknowledged,
 * "acked" is the payload, one for the SYN of whoever connected, and one for a FIN of ours. */
#include "source/sock_diag_tcp.h"

#include <netinet/tcp.h>

static int64_t beyond_payload(const struct sock_diag_tcp *tcp)
{
	return (int64_t)(tcp->acked - tcp->sent);
}

bool sock_diag_tcp_forgotten(const struct sock_diag_socket *socket)
{
	return socket->tcp.segments_in == 0 && socket->tcp.segments_out == 0;
}

enum flow_direction sock_diag_tcp_direction(const struct sock_diag_socket *socket)
{
	const struct sock_diag_tcp *tcp = &socket->tcp;
	int64_t beyond = beyond_payload(tcp);

	if (socket->state == TCP_SYN_SENT)
		return FLOW_DIRECTION_OUT;
	if (!socket->counted || socket->unacked > 0)
		return FLOW_DIRECTION_UNKNOWN;
	switch (socket->state) {
	case TCP_FIN_WAIT2: /* our FIN is acknowledged */
		beyond--;
		/* fall through */
	case TCP_ESTABLISHED:
	case TCP_CLOSE_WAIT: /* no FIN of ours yet */
		if (beyond == 0 || beyond == 1)
			return beyond ? FLOW_DIRECTION_OUT : FLOW_DIRECTION_IN;
		break;
	case TCP_CLOSE:
		if (beyond == 2)
			return FLOW_DIRECTION_OUT;
		if (beyond == 0 && (tcp->sent > 0 || tcp->received > 0))
			return FLOW_DIRECTION_IN;
		break;
	default:
		break;
	}
	return FLOW_DIRECTION_UNKNOWN;
}

static bool has_fin(const struct sock_diag_socket *socket)
{
	return socket->state == TCP_CLOSE_WAIT || socket->state == TCP_LAST_ACK ||
	       socket->state == TCP_CLOSING || socket->state == TCP_TIME_WAIT;
}

uint64_t sock_diag_tcp_octets_in(
	const struct sock_diag_socket *socket, const struct sock_diag_socket *before)
{
	const struct sock_diag_tcp *tcp = &socket->tcp;
	uint64_t known = before ? sock_diag_tcp_octets_in(before, NULL) : 0;
	uint64_t less;

	if (tcp->received == 0 || tcp->data_segments_in == 0)
		return known;
	less = tcp->received - 1;
	if (has_fin(socket))
		return less;
	if (socket->state != TCP_CLOSE)
		return tcp->received;
	if (before && before->tcp.data_segments_in == tcp->data_segments_in)
		return known; /* what came since is the FIN */
	return less > known ? less : known;
}

enum flow_outcome sock_diag_tcp_outcome(const struct sock_diag_socket *socket,
	const struct sock_diag_socket *before, enum flow_direction direction)
{
	const struct sock_diag_tcp *tcp = &socket->tcp;
	bool connecting = before && before->state == TCP_SYN_SENT;

	if (!socket->counted)
		return FLOW_OUTCOME_LOST;
	if (sock_diag_tcp_forgotten(socket))
		return before && !connecting ? FLOW_OUTCOME_RESET : FLOW_OUTCOME_LOST;
	if (connecting && tcp->acked == 0)
		return tcp->segments_in > 0 ? FLOW_OUTCOME_REFUSED : FLOW_OUTCOME_LOST;
	if (direction == FLOW_DIRECTION_UNKNOWN)
		return FLOW_OUTCOME_LOST;
	if (socket->unacked == 0 &&
		beyond_payload(tcp) == (direction == FLOW_DIRECTION_OUT ? 2 : 1))
		return FLOW_OUTCOME_CLOSED;
	return tcp->unanswered ? FLOW_OUTCOME_LOST : FLOW_OUTCOME_RESET;
}
