/* What lastconnd is told: one table of options serves the command line, the configuration file and
 * --help. The command line overrides the file, the file the defaults. */
#ifndef LASTCONN_DAEMON_CONFIG_H
#define LASTCONN_DAEMON_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "flow/addr.h"
#include "process/ignore_rule.h"

enum {
	CONFIG_OPTIONS_MAX = 64,
	CONFIG_TEXT_SIZE = 512, /* of a message */
};

struct config_range {
	struct addr first, last;
};

struct config {
	char *config_path;
	char *db_path;
	char *user;          /* to become */
	char *pin_path;      /* NULL: the programs end with the daemon */
	char *metrics_path;  /* for Prometheus; NULL: none */
	char **read_paths;   /* capture files to read, in this order */
	uint64_t read_count; /* 0: record this machine */
	char *filter;        /* of them, pcap-filter(7); NULL: all packets */
	struct config_range *local;
	uint64_t local_count;
	struct ignore_rule *ignore;
	uint64_t ignore_count;
	char *interfaces;    /* to capture on; comma separated, NULL none */
	char *disable_slots; /* same */
	char *disable_programs;
	int64_t active_timeout_ns;
	int64_t idle_timeout_ns;
	int64_t sweep_interval_ns;
	int64_t reconcile_interval_ns;
	int64_t flush_interval_ns;
	int64_t shutdown_timeout_ns;
	int64_t keep_flows_ns; /* 0: for ever */
	int64_t keep_hours_ns;
	int64_t keep_days_ns;
	int64_t keep_contacts_ns;
	uint64_t max_size; /* octets; 0 no limit */
	uint64_t max_contacts;
	uint64_t max_flows;
	uint64_t max_processes;
	uint64_t max_listeners;
	uint64_t max_names;
	uint64_t max_peers;
	uint64_t queue_octets;
	uint64_t ring_octets;
	int source;                               /* enum live_source_choice */
	int privileges;                           /* enum privilege_choice */
	int cmdline;                              /* enum cmdline_mode */
	int synchronous_full;                     /* 0 or 1 */
	int log_level;                            /* enum log_level */
	int check;                                /* asked for */
	int unload;                               /* asked for */
	int selftest;                             /* asked for */
	int retention_now;                        /* asked for */
	int dry_run;                              /* asked for */
	int json;                                 /* asked for */
	int version;                              /* asked for */
	int help;                                 /* asked for */
	unsigned char origin[CONFIG_OPTIONS_MAX]; /* enum config_origin of each option */
};

struct config_error {
	char text[CONFIG_TEXT_SIZE]; /* one line without the program's name */
};

/* Reads the command line, then the file that it or the default names. On failure nothing is to be
 * freed. Returns 0 or -1. Strings are owned by the config: config_done. */
int config_load(
	int argc, char *const argv[], struct config *ret_config, struct config_error *ret_error);
void config_done(struct config *config);

/* Was this option ("db") given by the command line or the file? */
bool config_given(const struct config *config, const char *name);

/* Takes over from next what can change in a running daemon. The names of what changed go into
 * ret_applied, of what would need a restart into ret_kept, separated by spaces. */
void config_apply(struct config *config, const struct config *next,
	char ret_applied[static CONFIG_TEXT_SIZE], char ret_kept[static CONFIG_TEXT_SIZE]);

void config_help(FILE *out);

#endif
