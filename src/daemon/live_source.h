/* Which source records this machine: BPF programs; packets of interfaces, or polling, where those
 * are refused. */
#ifndef LASTCONN_DAEMON_LIVE_SOURCE_H
#define LASTCONN_DAEMON_LIVE_SOURCE_H

#include "daemon/config.h"
#include "source/source.h"

enum { LIVE_SOURCE_TEXT_SIZE = 512 };

/* Of the option "interface": capture nowhere. */
#define LIVE_SOURCE_NO_INTERFACE "none"

/* Values of the option "source". */
enum live_source_choice {
	LIVE_SOURCE_AUTO,   /* the kernel source; if refused, capture if interfaces are named, or
			       polling */
	LIVE_SOURCE_EBPF,   /* the kernel source or nothing */
	LIVE_SOURCE_PROCFS, /* polling */
	LIVE_SOURCE_PCAP,   /* capture or nothing */
};

/* As the option "source" says. Returns 0, or -1 if there is none. ret_why: one line; after 0 why a
 * better source does not serve, "" if none is better. The sink must outlive the source. */
int live_source_open(const struct config *config, const struct source_sink *sink,
	struct source **ret_source, char ret_why[static LIVE_SOURCE_TEXT_SIZE]);

#endif
