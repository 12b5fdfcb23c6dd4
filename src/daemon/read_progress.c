/* Rewritten in place, and wiped before the log writes a line of its own. */
#include "daemon/read_progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "util/clock.h"

enum { PERIOD_MS = 1000 };

void read_progress_init(struct read_progress *progress, uint64_t total_octets)
{
	*progress = (struct read_progress){
		.start_ns = clock_boottime_ns(),
		.total_octets = total_octets,
		.terminal = isatty(STDERR_FILENO),
	};
	progress->shown_ns = progress->start_ns;
}

double read_progress_seconds(const struct read_progress *progress)
{
	double seconds = (double)(clock_boottime_ns() - progress->start_ns) / NS_PER_S;

	return seconds > 0.001 ? seconds : 0.001;
}

bool read_progress_due(const struct read_progress *progress)
{
	return progress->terminal &&
	       clock_boottime_ns() - progress->shown_ns >= PERIOD_MS * (int64_t)NS_PER_MS;
}

void read_progress_show(struct read_progress *progress, const struct read_state *state)
{
	double total = (double)progress->total_octets;
	char share[32] = "";

	if (progress->total_octets > 0)
		snprintf(share, sizeof(share), "%.0f %%, ", 100.0 * (double)state->octets / total);
	fprintf(stderr, "\r%s%.1f MB, %" PRIu64 " packets, %" PRIu64 " flows, %.0f packets/s\033[K",
		share, (double)state->octets / 1e6, state->packets, state->flows,
		(double)state->packets / read_progress_seconds(progress));
	progress->shown_ns = clock_boottime_ns();
	progress->visible = true;
}

void read_progress_clear(struct read_progress *progress)
{
	if (progress->visible)
		fputs("\r\033[K", stderr);
	progress->visible = false;
}
