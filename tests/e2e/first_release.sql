-- A history as the first release (schema/0001_base.sql) left it when it was killed: it is what
-- upgrades are tested with. A dump by the sqlite3 module; never edited, or it would test another past.
PRAGMA application_id = 1279479630;
PRAGMA user_version = 1;
PRAGMA auto_vacuum = INCREMENTAL;
BEGIN TRANSACTION;
CREATE TABLE actor (                    -- a kind of process: the roll-up's idea of who
	id                INTEGER PRIMARY KEY,
	executable        INTEGER NOT NULL REFERENCES executable,
	parent_executable INTEGER NOT NULL REFERENCES executable,
	uid               INTEGER NOT NULL, -- -1 unknown
	unit              INTEGER NOT NULL REFERENCES unit,
	UNIQUE (executable, parent_executable, uid, unit)
) STRICT;
INSERT INTO "actor" VALUES(0,0,0,-1,0);
INSERT INTO "actor" VALUES(1,1,2,1000,0);
INSERT INTO "actor" VALUES(2,3,0,0,1);
INSERT INTO "actor" VALUES(3,4,0,101,0);
INSERT INTO "actor" VALUES(4,5,2,1000,2);
CREATE TABLE boot (                     -- one boot of the machine
	id         INTEGER PRIMARY KEY,
	boot_uuid  TEXT NOT NULL UNIQUE,    -- /proc/sys/kernel/random/boot_id; '' for capture files
	start_us   INTEGER NOT NULL
) STRICT;
INSERT INTO "boot" VALUES(1,'00000000-1111-2222-3333-444444444444',1763989200000000);
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
INSERT INTO "contact" VALUES(1,1,6,443,1,1763992298000000,1763992300000000,1,1);
INSERT INTO "contact" VALUES(1,5,6,443,1,1763992809000000,1763992810000000,1,4);
INSERT INTO "contact" VALUES(2,1,6,80,1,1763989290000000,1763992890000000,1,1);
INSERT INTO "contact" VALUES(2,3,6,22,2,1763992765000000,1763992770000000,1,2);
INSERT INTO "contact" VALUES(3,4,17,53,1,1763992370000000,1763992400000000,1,3);
INSERT INTO "contact" VALUES(4,1,6,8443,1,1763992301000000,1763992301000000,1,1);
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
INSERT INTO "contact_day" VALUES(20416,1,1,6,443,1,1,0,517,4096,1763992298000000,1763992300000000,8192,2);
INSERT INTO "contact_day" VALUES(20416,1,4,6,443,1,1,0,700,8589934592,1763992809000000,1763992810000000,16384,2);
INSERT INTO "contact_day" VALUES(20416,2,1,6,80,1,1,0,1,2,1763989290000000,1763992890000000,16384,2);
INSERT INTO "contact_day" VALUES(20416,2,2,6,22,2,1,0,9000,4000,1763992765000000,1763992770000000,8192,4);
INSERT INTO "contact_day" VALUES(20416,3,3,17,53,1,1,0,60,240,1763992370000000,1763992400000000,8192,2);
INSERT INTO "contact_day" VALUES(20416,4,1,6,8443,1,1,1,0,0,1763992301000000,1763992301000000,8192,2);
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
INSERT INTO "coverage_interval" VALUES(1,2,1763992750000000,1763992760000000,'ebpf','down',0,'stopped');
INSERT INTO "coverage_interval" VALUES(2,2,1763992800000000,1763992801000000,'ebpf','ring full',12,'');
CREATE TABLE executable (               -- a program file
	id       INTEGER PRIMARY KEY,
	path     TEXT NOT NULL,             -- as the process's own root shows it
	flags    INTEGER NOT NULL,          -- 1 deleted, 2 memfd, 4 path truncated
	build_id BLOB NOT NULL DEFAULT x'',
	sha256   BLOB,
	package  TEXT,
	UNIQUE (path, flags, build_id)
) STRICT;
INSERT INTO "executable" VALUES(0,'',0,X'',NULL,NULL);
INSERT INTO "executable" VALUES(1,'/usr/bin/curl',0,X'0101010101010101010101010101010101010101',NULL,NULL);
INSERT INTO "executable" VALUES(2,'/usr/bin/bash',0,X'0202020202020202020202020202020202020202',NULL,NULL);
INSERT INTO "executable" VALUES(3,'/usr/sbin/sshd',0,X'0303030303030303030303030303030303030303',NULL,NULL);
INSERT INTO "executable" VALUES(4,'/usr/lib/systemd/systemd-resolved',0,X'0404040404040404040404040404040404040404',NULL,NULL);
INSERT INTO "executable" VALUES(5,'/opt/café/☃',4,X'0505050505050505050505050505050505050505',NULL,NULL);
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
INSERT INTO "flow" VALUES(1763992300000000,2000000,1,1,NULL,1,1,443,40000,1,517,4096,9,8,0,250);
INSERT INTO "flow" VALUES(1763992301000000,0,1,1,NULL,4,1,8443,40001,2,0,0,1,1,0,250);
INSERT INTO "flow" VALUES(1763992400000000,30000000,3,3,NULL,3,1,53,50000,3,60,240,2,2,0,250);
INSERT INTO "flow" VALUES(1763992770000000,5000000,2,2,NULL,2,2,51515,22,4,9000,4000,60,55,0,250);
INSERT INTO "flow" VALUES(1763992810000000,1000000,4,4,NULL,1,1,443,40002,1,700,8589934592,20,6000000,0,250);
INSERT INTO "flow" VALUES(1763992890000000,3600000000,1,1,NULL,2,2,80,40003,1,1,2,3,4,0,250);
CREATE TABLE flow_hour (                -- derived: one row an hour in which flows ended
	hour            INTEGER PRIMARY KEY, -- hours since 1970 UTC
	flows           INTEGER NOT NULL,
	failed          INTEGER NOT NULL,
	octets_out      INTEGER NOT NULL,
	octets_in       INTEGER NOT NULL,
	max_duration_us INTEGER NOT NULL    -- how far back from their end flows of this hour reach
) STRICT;
INSERT INTO "flow_hour" VALUES(489997,4,1,9577,8336,30000000);
INSERT INTO "flow_hour" VALUES(489998,2,0,701,8589934594,3600000000);
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
INSERT INTO "kind" VALUES(1,6,'tcp','out','closed',0,'exact','ebpf');
INSERT INTO "kind" VALUES(2,6,'tcp','out','refused',111,'exact','ebpf');
INSERT INTO "kind" VALUES(3,17,'udp','out','idle',0,'exact','ebpf');
INSERT INTO "kind" VALUES(4,6,'tcp','in','closed',0,'inherited','ebpf');
INSERT INTO "kind" VALUES(5,6,'tcp','out','open',0,'exact','ebpf');
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
INSERT INTO "listener" VALUES(1,1,31,2,1,22,6,'tcp','exact',1763992200000000,1763992750000000);
INSERT INTO "listener" VALUES(2,2,31,2,1,22,6,'tcp','snapshot',1763992760000000,NULL);
CREATE TABLE local (                    -- a local end without its port
	id        INTEGER PRIMARY KEY,
	address   BLOB NOT NULL,
	ip        TEXT NOT NULL,
	interface TEXT NOT NULL DEFAULT '',
	netns     INTEGER NOT NULL,         -- inode number, 0 unknown
	UNIQUE (address, netns, interface)
) STRICT;
INSERT INTO "local" VALUES(1,X'C000020A','192.0.2.10','',4026531840);
INSERT INTO "local" VALUES(2,X'20010DB8000000000000000000000010','2001:db8::10','',4026531840);
CREATE TABLE meta (                     -- about this file
	key   TEXT PRIMARY KEY,
	value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE name (                     -- of hosts
	id       INTEGER PRIMARY KEY,
	name     TEXT NOT NULL UNIQUE,      -- www.example.com
	reversed TEXT NOT NULL              -- com.example.www, so that *.example.com is a range
) STRICT;
INSERT INTO "name" VALUES(0,'','');
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
INSERT INTO "open_flow" VALUES(2,77,1763992820000000,1763992910000000,2,2,NULL,4,1,51000,22,4,10,20,3,4,0,NULL);
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
INSERT INTO "process" VALUES(1,1,3001000000000,5001,0,1763992799000000,1,NULL,1,1000,NULL,4026531840,0,'curl','curl -s https://example.net/',NULL);
INSERT INTO "process" VALUES(2,1,3002000000000,700,0,1763992798000000,2,NULL,1,NULL,NULL,4026531840,0,'sshd','sshd: /usr/sbin/sshd -D',NULL);
INSERT INTO "process" VALUES(3,1,3003000000000,612,0,1763992797000000,3,NULL,1,NULL,NULL,4026531840,0,'systemd-resolve','/lib/systemd/systemd-resolved',NULL);
INSERT INTO "process" VALUES(4,1,3004000000000,5002,0,1763992796000000,4,2,1,1000,NULL,4026531840,0,'☃','☃ --secret',NULL);
CREATE TABLE remote (                   -- a remote host as seen at a time
	id          INTEGER PRIMARY KEY,
	address     BLOB NOT NULL,          -- 4 or 16 octets
	ip          TEXT NOT NULL,
	name        INTEGER NOT NULL DEFAULT 0,  -- 0: none known
	name_source TEXT NOT NULL DEFAULT '',
	UNIQUE (address, name, name_source)
) STRICT;
INSERT INTO "remote" VALUES(1,X'C6336401','198.51.100.1',0,'');
INSERT INTO "remote" VALUES(2,X'20010DB8000000000000000000000007','2001:db8::7',0,'');
INSERT INTO "remote" VALUES(3,X'C0000235','192.0.2.53',0,'');
INSERT INTO "remote" VALUES(4,X'CB007109','203.0.113.9',0,'');
CREATE TABLE rollup_state (             -- what contact and contact_day count, see store/rollup.h:
	settled_us INTEGER NOT NULL,        -- flows that ended up to then; the greatest integer: all
	cut_us     INTEGER NOT NULL,        -- and those that ended up to then
	cut_remote INTEGER NOT NULL         -- with a lower remote
) STRICT;
INSERT INTO "rollup_state" VALUES(9223372036854775807,0,0);
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
INSERT INTO "run" VALUES(1,1,411,'first','0.1.0',1763992200000000,1763992740000000,1763992750000000,NULL,NULL);
INSERT INTO "run" VALUES(2,1,907,'first','0.1.0',1763992760000000,1763992920000000,NULL,NULL,NULL);
CREATE TABLE unit (                     -- what the service manager or container engine calls it
	id        INTEGER PRIMARY KEY,
	cgroup    TEXT NOT NULL UNIQUE,     -- path in the cgroup v2 hierarchy
	unit      TEXT,                     -- systemd unit
	container TEXT                      -- container id
) STRICT;
INSERT INTO "unit" VALUES(0,'',NULL,NULL);
INSERT INTO "unit" VALUES(1,'/system.slice/ssh.service','ssh.service',NULL);
INSERT INTO "unit" VALUES(2,'/system.slice/docker-0000000000000000000000000000000000000000000000000000000000000007.scope',NULL,'0000000000000000000000000000000000000000000000000000000000000007');
CREATE INDEX process_by_actor ON process (actor);
CREATE INDEX name_by_reversed ON name (reversed);
CREATE INDEX remote_by_name ON remote (name) WHERE name <> 0;
CREATE UNIQUE INDEX listener_open ON listener (run, socket) WHERE until_us IS NULL;
CREATE INDEX coverage_by_what ON coverage_interval (run, what);
COMMIT;
