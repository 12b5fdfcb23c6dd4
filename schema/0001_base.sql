-- 0001: the first release.
--
-- Facts cannot be rebuilt: boot run executable unit actor process name remote local kind flow
-- open_flow listener contact coverage_interval. Derived from facts: contact_day, flow_hour.
-- Times ending in _us are UTC microseconds since 1970, in _ns nanoseconds since boot.
-- Row 0 of executable, unit and actor is "unknown", so that no key part is NULL.

CREATE TABLE meta (                     -- about this file
	key   TEXT PRIMARY KEY,
	value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE boot (                     -- one boot of the machine
	id         INTEGER PRIMARY KEY,
	boot_uuid  TEXT NOT NULL UNIQUE,    -- /proc/sys/kernel/random/boot_id; '' for capture files
	start_us   INTEGER NOT NULL
) STRICT;

CREATE TABLE run (                      -- one run of lastconnd
	id           INTEGER PRIMARY KEY,
	boot         INTEGER NOT NULL REFERENCES boot,
	pid          INTEGER NOT NULL,
	host         TEXT NOT NULL,
	version      TEXT NOT NULL,
	start_us     INTEGER NOT NULL,
	heartbeat_us INTEGER NOT NULL,      -- what was seen up to then is stored
	end_us       INTEGER,               -- NULL: running, or killed
	file_from_us  INTEGER,              -- of the capture file that was read: its first packet
	file_until_us INTEGER               -- and its last
) STRICT;

CREATE TABLE executable (               -- a program file
	id       INTEGER PRIMARY KEY,
	path     TEXT NOT NULL,             -- as the process's own root shows it
	flags    INTEGER NOT NULL,          -- 1 deleted, 2 memfd, 4 path truncated
	build_id BLOB NOT NULL DEFAULT x'',
	sha256   BLOB,
	package  TEXT,
	UNIQUE (path, flags, build_id)
) STRICT;

CREATE TABLE unit (                     -- what the service manager or container engine calls it
	id        INTEGER PRIMARY KEY,
	cgroup    TEXT NOT NULL UNIQUE,     -- path in the cgroup v2 hierarchy
	unit      TEXT,                     -- systemd unit
	container TEXT                      -- container id
) STRICT;

CREATE TABLE actor (                    -- a kind of process: the roll-up's idea of who
	id                INTEGER PRIMARY KEY,
	executable        INTEGER NOT NULL REFERENCES executable,
	parent_executable INTEGER NOT NULL REFERENCES executable,
	uid               INTEGER NOT NULL, -- -1 unknown
	unit              INTEGER NOT NULL REFERENCES unit,
	UNIQUE (executable, parent_executable, uid, unit)
) STRICT;

CREATE TABLE process (                  -- one program run: a process between two execs
	id         INTEGER PRIMARY KEY,
	boot       INTEGER NOT NULL REFERENCES boot,
	start_ns   INTEGER NOT NULL,        -- since boot; with pid tells a reused pid apart
	pid        INTEGER NOT NULL,        -- in the initial pid namespace
	exec_id    INTEGER NOT NULL,        -- counts the execs of the process
	start_us   INTEGER NOT NULL,        -- wall clock
	actor      INTEGER NOT NULL REFERENCES actor,
	parent     INTEGER REFERENCES process,
	ppid       INTEGER,
	loginuid   INTEGER,                 -- NULL: no login
	inner_pid  INTEGER,                 -- in its own pid namespace
	netns      INTEGER,
	flags      INTEGER NOT NULL,        -- 8 command line truncated, 16 kernel thread, 32 polled
	comm       TEXT NOT NULL,
	cmdline    TEXT NOT NULL,
	script     TEXT,                    -- behind an interpreter
	UNIQUE (boot, start_ns, pid, exec_id)
) STRICT;
CREATE INDEX process_by_actor ON process (actor);

CREATE TABLE name (                     -- of hosts
	id       INTEGER PRIMARY KEY,
	name     TEXT NOT NULL UNIQUE,      -- www.example.com
	reversed TEXT NOT NULL              -- com.example.www, so that *.example.com is a range
) STRICT;
CREATE INDEX name_by_reversed ON name (reversed);

CREATE TABLE remote (                   -- a remote host as seen at a time
	id          INTEGER PRIMARY KEY,
	address     BLOB NOT NULL,          -- 4 or 16 octets
	ip          TEXT NOT NULL,
	name        INTEGER NOT NULL DEFAULT 0,  -- 0: none known
	name_source TEXT NOT NULL DEFAULT '',
	UNIQUE (address, name, name_source)
) STRICT;
CREATE INDEX remote_by_name ON remote (name) WHERE name <> 0;

CREATE TABLE local (                    -- a local end without its port
	id        INTEGER PRIMARY KEY,
	address   BLOB NOT NULL,
	ip        TEXT NOT NULL,
	interface TEXT NOT NULL DEFAULT '',
	netns     INTEGER NOT NULL,         -- inode number, 0 unknown
	UNIQUE (address, netns, interface)
) STRICT;

CREATE TABLE kind (                     -- the few combinations that occur
	id          INTEGER PRIMARY KEY,
	protocol_id INTEGER NOT NULL,       -- IANA number
	protocol    TEXT NOT NULL,
	direction   TEXT NOT NULL,          -- out in unknown
	outcome     TEXT NOT NULL,          -- open closed reset refused timeout unreachable aborted idle lost
	error       INTEGER NOT NULL,       -- errno of the socket, 0 none
	method      TEXT NOT NULL,          -- how the process was found
	source      TEXT NOT NULL,          -- ebpf file pcap procfs
	UNIQUE (protocol_id, direction, outcome, error, method, source)
) STRICT;

CREATE TABLE flow (                     -- flows that are over; no secondary index on purpose
	end_us      INTEGER PRIMARY KEY,    -- made unique by adding single microseconds
	duration_us INTEGER NOT NULL,
	actor       INTEGER NOT NULL,
	process     INTEGER,                -- NULL: not known
	opener      INTEGER,                -- if another process than the user
	remote      INTEGER NOT NULL,
	local       INTEGER NOT NULL,
	remote_port INTEGER NOT NULL,
	local_port  INTEGER NOT NULL,
	kind        INTEGER NOT NULL,
	octets_out  INTEGER NOT NULL,       -- payload of the transport protocol
	octets_in   INTEGER NOT NULL,
	packets_out INTEGER NOT NULL,
	packets_in  INTEGER NOT NULL,
	retransmits INTEGER NOT NULL,
	rtt_us      INTEGER                 -- smoothed; NULL not measured
) STRICT;

CREATE TABLE open_flow (                -- flows that are not over
	run         INTEGER NOT NULL REFERENCES run,
	serial      INTEGER NOT NULL,       -- of the flow within the run
	start_us    INTEGER NOT NULL,
	seen_us     INTEGER NOT NULL,       -- counters are as of then
	actor       INTEGER NOT NULL,
	process     INTEGER,
	opener      INTEGER,
	remote      INTEGER NOT NULL,
	local       INTEGER NOT NULL,
	remote_port INTEGER NOT NULL,
	local_port  INTEGER NOT NULL,
	kind        INTEGER NOT NULL,
	octets_out  INTEGER NOT NULL,
	octets_in   INTEGER NOT NULL,
	packets_out INTEGER NOT NULL,
	packets_in  INTEGER NOT NULL,
	retransmits INTEGER NOT NULL,
	rtt_us      INTEGER,
	PRIMARY KEY (run, serial)
) STRICT, WITHOUT ROWID;

CREATE TABLE listener (                 -- who waited for connections where
	id          INTEGER PRIMARY KEY,
	run         INTEGER NOT NULL REFERENCES run,
	socket      INTEGER NOT NULL,       -- cookie of the socket
	process     INTEGER,
	local       INTEGER NOT NULL REFERENCES local,
	local_port  INTEGER NOT NULL,
	protocol_id INTEGER NOT NULL,
	protocol    TEXT NOT NULL,
	method      TEXT NOT NULL,
	from_us     INTEGER NOT NULL,
	until_us    INTEGER                 -- NULL: still there
) STRICT;
CREATE UNIQUE INDEX listener_open ON listener (run, socket) WHERE until_us IS NULL;

CREATE TABLE contact (                  -- ledger: first and last contact, kept for years
	remote      INTEGER NOT NULL,
	executable  INTEGER NOT NULL,
	protocol_id INTEGER NOT NULL,
	port        INTEGER NOT NULL,       -- the service's: remote port of 'out', local port of 'in'
	direction   INTEGER NOT NULL,       -- 0 unknown, 1 out, 2 in
	first_us    INTEGER NOT NULL,       -- start of the first flow
	last_us     INTEGER NOT NULL,       -- end of the last one
	flows       INTEGER NOT NULL,
	process     INTEGER,                -- of the first contact
	PRIMARY KEY (remote, executable, protocol_id, port, direction)
) STRICT, WITHOUT ROWID;

CREATE TABLE contact_day (              -- derived: the index of flow
	day         INTEGER NOT NULL,       -- of the end, days since 1970 UTC
	remote      INTEGER NOT NULL,
	actor       INTEGER NOT NULL,
	protocol_id INTEGER NOT NULL,
	port        INTEGER NOT NULL,
	direction   INTEGER NOT NULL,
	flows       INTEGER NOT NULL,
	failed      INTEGER NOT NULL,       -- refused, timeout, unreachable
	octets_out  INTEGER NOT NULL,
	octets_in   INTEGER NOT NULL,
	first_us    INTEGER NOT NULL,
	last_us     INTEGER NOT NULL,
	hours       INTEGER NOT NULL,       -- bit h: flows ended in hour h of the day
	methods     INTEGER NOT NULL,       -- bit m: flow_method m occurred
	PRIMARY KEY (day, remote, actor, protocol_id, port, direction)
) STRICT, WITHOUT ROWID;

CREATE TABLE rollup_state (             -- what contact and contact_day count, see store/rollup.h:
	settled_us INTEGER NOT NULL,        -- flows that ended up to then; the greatest integer: all
	cut_us     INTEGER NOT NULL,        -- and those that ended up to then
	cut_remote INTEGER NOT NULL         -- with a lower remote
) STRICT;

CREATE TABLE flow_hour (                -- derived: one row an hour in which flows ended
	hour            INTEGER PRIMARY KEY, -- hours since 1970 UTC
	flows           INTEGER NOT NULL,
	failed          INTEGER NOT NULL,
	octets_out      INTEGER NOT NULL,
	octets_in       INTEGER NOT NULL,
	max_duration_us INTEGER NOT NULL    -- how far back from their end flows of this hour reach
) STRICT;

CREATE TABLE coverage_interval (        -- when something may have been missed
	id       INTEGER PRIMARY KEY,
	run      INTEGER REFERENCES run,
	from_us  INTEGER NOT NULL,
	until_us INTEGER,                   -- NULL: as long as the run
	source   TEXT NOT NULL,
	what     TEXT NOT NULL,
	count    INTEGER NOT NULL,          -- of what was lost; 0 not countable
	detail   TEXT NOT NULL
) STRICT;
CREATE INDEX coverage_by_what ON coverage_interval (run, what);

INSERT INTO executable (id, path, flags) VALUES (0, '', 0);
INSERT INTO unit (id, cgroup) VALUES (0, '');
INSERT INTO actor (id, executable, parent_executable, uid, unit) VALUES (0, 0, 0, -1, 0);
INSERT INTO rollup_state (settled_us, cut_us, cut_remote) VALUES (9223372036854775807, 0, 0);
INSERT INTO name (id, name, reversed) VALUES (0, '', '');
