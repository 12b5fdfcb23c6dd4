/* What every source says, and to whom; and what a live one offers. A source pushes; it knows
 * nothing of who listens. */
#ifndef LASTCONN_SOURCE_SOURCE_H
#define LASTCONN_SOURCE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/coverage.h"
#include "flow/name_evidence.h"
#include "flow/nat_mapping.h"
#include "flow/observation.h"
#include "process/listener.h"
#include "process/process.h"

/* Called from within the source's own functions, on the loop thread. Arguments are borrowed. */
struct source_sink {
	void *ctx;
	void (*observe)(void *ctx, const struct observation *observation);
	void (*process)(void *ctx, const struct process_info *info); /* exec, or first socket act */
	void (*fork)(void *ctx, const struct process_ref *child, const struct process_ref *parent);
	void (*exit)(void *ctx, const struct process_ref *process);
	/* A listener came (gone false) or went, at time_ns of the source's clock; the receiver sets
	 * record's wall clock times. */
	void (*listener)(
		void *ctx, const struct listener_record *record, int64_t time_ns, bool gone);
	/* A packet told a host's name. NULL: nobody wants to know, and none is looked for. */
	void (*name)(void *ctx, const struct name_evidence *evidence);
	/* A process got the address of a name, at time_ns of the source's clock; the receiver sets
	 * evidence's wall clock time. NULL as above. */
	void (*asked)(void *ctx, const struct name_evidence *evidence, int64_t time_ns);
	/* NAT changes the ends of a connection (gone false), at time_ns of the source's clock or
	 * later, or does so no more, since time_ns or earlier. */
	void (*nat)(void *ctx, const struct nat_mapping *mapping, int64_t time_ns, bool gone);
	/* All connections that NAT changes are told between a call with complete false and one with
	 * complete true: others are gone since time_ns or earlier. */
	void (*nat_all)(void *ctx, int64_t time_ns, bool complete);
	/* Of a source that keeps what it tells until it is stored: all that follows has this
	 * position or a later one, which never is 0. */
	void (*position)(void *ctx, uint64_t position);
	/* count things were lost since the last call; text for coverage.detail */
	void (*loss)(void *ctx, enum coverage_what what, uint64_t count, const char *detail);
};

enum { SOURCE_RUNGS_MAX = 5 };

#define SOURCE_SLOT_NAMES "names"

/* One way to serve a slot. */
struct source_rung {
	const char *name; /* the kind of its programs: "tp_btf", "fentry", "kprobe", ... */
	const char *loss; /* what a user loses against the rung above, in words; NULL nothing */
	int error;        /* errno of the refusal, positive; 0 it serves, or was not needed */
	bool unfit;       /* nothing here for it to work on: not tried, and no loss */
};

/* A thing to observe, with the ways to do it from best to worst: the ladder. Those above the
 * serving one were tried and refused, those below were not tried. */
struct source_slot {
	const char *name; /* "tcp", "use", "datagram", ... */
	const char *loss; /* what a user loses without it, in words */
	struct source_rung rungs[SOURCE_RUNGS_MAX];
	size_t rung_count;
	int serving;      /* index of rungs, -1 none */
	bool owners_only; /* without it flows are there, but less is known of whose they are */
	bool names_only;  /* without it flows are there, but fewer have names */
	bool kept;        /* its programs went on since an earlier run */
	bool partial;     /* slot "sweep": an open flow may be missing in it */
};

/* The slot of this name, or NULL. */
const struct source_slot *source_slot_find(
	const struct source_slot *slots, size_t count, const char *name);

/* What a user loses, in words: one reason after the other, NULL when there are no more. */
const char *source_loss(const struct source_slot *slot, size_t index);

/* Why the rung was refused, in words. Valid until the next call. */
const char *source_refusal(const struct source_rung *rung);

#define SOURCE_ALL UINT64_MAX

struct source;

/* What the kernel goes on collecting while no daemon runs. */
struct source_kept {
	uint64_t id;      /* tells it from other such collections; 0: nothing is kept */
	uint64_t dropped; /* position: what came before may be gone unread */
	bool adopted;     /* it was there before this daemon */
};

/* What a source does while it records, and the kernel may want capabilities for. */
enum source_act {
	SOURCE_ACT_READ,   /* what the kernel collected */
	SOURCE_ACT_ATTACH, /* to C libraries that show up, on a thread of the source's own */
};

/* What a live source can do. All of it on one thread; the sink hears of events only from within
 * consume, snapshot and sweep. The int functions return negative errno when they fail. */
struct source_ops {
	enum flow_source source;
	/* Readable when there is enough to consume; consume on a timer too. */
	int (*fd)(const struct source *source);
	/* May this thread do it, with the capabilities that it has now? Returns 0 or negative
	 * errno; of what the source does not do -EOPNOTSUPP. NULL: nothing of it wants any. */
	int (*may)(const struct source *source, enum source_act act);
	/* Starts the threads of the source; before it has none. Their capabilities are those of the
	 * caller. Once, before snapshot. Returns 0 or negative errno. NULL: it has no threads. */
	int (*begin)(struct source *source);
	/* Hands what is waiting to the sink. */
	int (*consume)(struct source *source);
	/* What was there before: once, when the sink is ready. */
	int (*snapshot)(struct source *source);
	/* The counters so far of every open flow, and what was lost since the last sweep. */
	int (*sweep)(struct source *source);
	const struct source_slot *(*slots)(const struct source *source, size_t *ret_count);
	/* NULL unless more of what was consumed is told later, settle_ms after it: its name. Then
	 * settle hands that to the sink, and nothing that is newer but names. */
	void (*settle)(struct source *source);
	uint64_t settle_ms;
	/* Whether consume should not be put off any longer; NULL: it always may be. */
	bool (*presses)(const struct source *source);
	/* The rest is NULL for a source that keeps nothing, see source_sink.position. */
	struct source_kept (*kept)(const struct source *source);
	/* Before snapshot, if something was adopted: what came before position is stored, and only
	 * told as far as what follows needs it. SOURCE_ALL: all that is there by now. */
	void (*resume)(struct source *source, uint64_t position);
	/* What came before position is stored. */
	void (*stored)(struct source *source, uint64_t position);
	/* The last sweep is to follow: make ready for the next daemon, or leave nothing behind. */
	void (*leave)(struct source *source, bool keep);
	void (*free)(struct source *source);
};

/* First member of each live source. */
struct source {
	const struct source_ops *ops;
};

#endif
