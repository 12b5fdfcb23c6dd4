-- The public views: what reports, users' own SQL and other tools may rely on. They keep their
-- columns across schema versions; the tables behind them may change. Created anew whenever this
-- file or the schema changed.
--
-- Columns ending in _us are UTC microseconds since 1970, those ending in _time the same in ISO 8601.
-- What is not known is NULL. Dictionaries are joined by LEFT JOIN, so that what a query does not
-- ask for is not read, and nullif() around indexed text keeps the planner from starting there.
-- Both halves of flows have the same affinities, so that SQLite reads each in the order of end_us.

DROP VIEW IF EXISTS flows;
CREATE VIEW flows AS
-- One row a flow: those that are over, and those that are open with their counters as last seen.
SELECT
	f.end_us AS flow_id,            -- changes when an open flow ends
	CAST(f.end_us - f.duration_us AS INTEGER) AS start_us,
	f.end_us AS end_us,             -- unique; of an open flow: when it was last seen
	strftime('%Y-%m-%dT%H:%M:%S', (f.end_us - f.duration_us) / 1000000, 'unixepoch')
		|| printf('.%06dZ', (f.end_us - f.duration_us) % 1000000) AS start_time,
	strftime('%Y-%m-%dT%H:%M:%S', f.end_us / 1000000, 'unixepoch')
		|| printf('.%06dZ', f.end_us % 1000000) AS end_time,
	CAST(f.duration_us AS INTEGER) AS duration_us,
	0 AS open,                      -- 1: not over
	k.protocol AS protocol,         -- tcp udp icmp ipv6-icmp ...; else its number
	k.direction AS direction,       -- out: this machine began; in: the remote end; unknown;
	                                -- forwarded: neither end is this machine, local began
	k.outcome AS outcome,           -- closed reset refused timeout unreachable aborted idle open lost
	l.ip AS local_ip,
	f.local_port AS local_port,
	r.ip AS remote_ip,
	f.remote_port AS remote_port,
	nullif(n.name, '') AS remote_name,        -- as it was seen at the time
	nullif(r.name_source, '') AS name_source, -- where the name is from, see names
	f.octets_out AS octets_out,     -- payload of the transport protocol
	f.octets_in AS octets_in,
	f.packets_out AS packets_out,
	f.packets_in AS packets_in,
	f.retransmits AS retransmits,   -- segments sent again
	f.rtt_us AS rtt_us,             -- smoothed round trip
	p.pid AS pid,                   -- in the initial pid namespace
	nullif(p.start_us, 0) AS process_start_us, -- with pid tells a reused pid apart
	nullif(p.comm, '') AS comm,
	nullif(e.path, '') AS exe,      -- path; a name without slash where no path is known (pktap)
	nullif(p.cmdline, '') AS cmdline,
	nullif(a.uid, -1) AS uid,
	p.loginuid AS loginuid,         -- who logged in; NULL: no login
	p.ppid AS ppid,
	nullif(pe.path, '') AS parent_exe,
	u.unit AS unit,                 -- of the system's systemd
	u.container AS container,       -- id or name
	nullif(l.netns, 0) AS netns,    -- inode number of the network namespace
	op.pid AS opener_pid,           -- who made the socket, or (pktap) for whom it is used, if
	                                -- another process than the user
	nullif(oe.path, '') AS opener_exe,
	k.method AS method,             -- how the process was found: exact inherited listener snapshot ...
	k.source AS source,             -- ebpf file pcap procfs
	u.user_unit AS user_unit,       -- unit of the user's own systemd
	u.runtime AS container_runtime, -- docker podman containerd cri-o lxc ...; NULL: not told
	u.pod AS pod,                   -- Kubernetes pod uid, podman pod id
	p.inner_pid AS inner_pid,       -- in its own pid namespace
	k.error AS error,               -- errno of the socket at its end, 0 none
	nullif(l.interface, '') AS tunnel, -- that a captured flow was in: vxlan:NETWORK gre:KEY ipip 6in4 ...
	-- The ends beyond this machine's NAT. Who began: what left it (IPFIX postNATSourceIPv4Address,
	-- postNAPTSourceTransportPort, postNATDestinationIPv4Address, postNAPTDestinationTransportPort).
	-- Who answers: what came to it. NULL: that end is as it was, or there is no NAT.
	nullif(tl.ip, '') AS translated_local_ip,
	t.local_port AS translated_local_port,
	nullif(tr.ip, '') AS translated_remote_ip,
	t.remote_port AS translated_remote_port
FROM flow AS f
LEFT JOIN kind AS k ON k.id = f.kind
LEFT JOIN local AS l ON l.id = f.local
LEFT JOIN remote AS r ON r.id = f.remote
LEFT JOIN name AS n ON n.id = r.name
LEFT JOIN actor AS a ON a.id = f.actor
LEFT JOIN executable AS e ON e.id = a.executable
LEFT JOIN executable AS pe ON pe.id = a.parent_executable
LEFT JOIN unit AS u ON u.id = a.unit
LEFT JOIN process AS p ON p.id = f.process
LEFT JOIN process AS op ON op.id = f.opener
LEFT JOIN actor AS oa ON oa.id = op.actor
LEFT JOIN executable AS oe ON oe.id = oa.executable
LEFT JOIN flow_nat AS t ON t.end_us = f.end_us
LEFT JOIN local AS tl ON tl.id = t.local
LEFT JOIN remote AS tr ON tr.id = t.remote
UNION ALL
SELECT
	CAST(-f.serial AS INTEGER),
	CAST(f.start_us AS INTEGER),
	f.seen_us,
	strftime('%Y-%m-%dT%H:%M:%S', f.start_us / 1000000, 'unixepoch')
		|| printf('.%06dZ', f.start_us % 1000000),
	strftime('%Y-%m-%dT%H:%M:%S', f.seen_us / 1000000, 'unixepoch')
		|| printf('.%06dZ', f.seen_us % 1000000),
	CAST(f.seen_us - f.start_us AS INTEGER),
	1,
	k.protocol,
	k.direction,
	k.outcome,
	l.ip,
	f.local_port,
	r.ip,
	f.remote_port,
	nullif(n.name, ''),
	nullif(r.name_source, ''),
	f.octets_out,
	f.octets_in,
	f.packets_out,
	f.packets_in,
	f.retransmits,
	f.rtt_us,
	p.pid,
	nullif(p.start_us, 0),
	nullif(p.comm, ''),
	nullif(e.path, ''),
	nullif(p.cmdline, ''),
	nullif(a.uid, -1),
	p.loginuid,
	p.ppid,
	nullif(pe.path, ''),
	u.unit,
	u.container,
	nullif(l.netns, 0),
	op.pid,
	nullif(oe.path, ''),
	k.method,
	k.source,
	u.user_unit,
	u.runtime,
	u.pod,
	p.inner_pid,
	k.error,
	nullif(l.interface, ''),
	nullif(tl.ip, ''),
	f.nat_local_port,
	nullif(tr.ip, ''),
	f.nat_remote_port
FROM open_flow AS f
LEFT JOIN kind AS k ON k.id = f.kind
LEFT JOIN local AS l ON l.id = f.local
LEFT JOIN remote AS r ON r.id = f.remote
LEFT JOIN name AS n ON n.id = r.name
LEFT JOIN actor AS a ON a.id = f.actor
LEFT JOIN executable AS e ON e.id = a.executable
LEFT JOIN executable AS pe ON pe.id = a.parent_executable
LEFT JOIN unit AS u ON u.id = a.unit
LEFT JOIN process AS p ON p.id = f.process
LEFT JOIN process AS op ON op.id = f.opener
LEFT JOIN actor AS oa ON oa.id = op.actor
LEFT JOIN executable AS oe ON oe.id = oa.executable
LEFT JOIN local AS tl ON tl.id = f.nat_local
LEFT JOIN remote AS tr ON tr.id = f.nat_remote;

DROP VIEW IF EXISTS processes;
CREATE VIEW processes AS
-- One row a program run: a process between two execs, as far as flows or listeners name it or
-- descend from it.
SELECT
	p.id AS process_id,
	p.parent AS parent_id,          -- process_id of the parent
	p.pid AS pid,                   -- in the initial pid namespace
	nullif(p.start_us, 0) AS start_us,
	strftime('%Y-%m-%dT%H:%M:%S', nullif(p.start_us, 0) / 1000000, 'unixepoch')
		|| printf('.%06dZ', p.start_us % 1000000) AS start_time,
	p.exec_id AS exec_id,           -- counts the execs of the process; of a capture file: any number
	nullif(p.comm, '') AS comm,
	nullif(e.path, '') AS exe,
	e.flags & 1 AS exe_deleted,     -- 1: the file was gone when the record was made
	(e.flags >> 1) & 1 AS exe_memfd, -- 1: there never was a file
	nullif(p.cmdline, '') AS cmdline,
	p.script AS script,             -- behind an interpreter
	nullif(a.uid, -1) AS uid,
	p.loginuid AS loginuid,
	p.ppid AS ppid,
	nullif(pe.path, '') AS parent_exe,
	u.unit AS unit,
	u.container AS container,
	nullif(u.cgroup, '') AS cgroup,
	p.netns AS netns,
	p.inner_pid AS inner_pid,       -- in its own pid namespace
	(p.flags >> 5) & 1 AS polled,   -- 1: read from /proc, not made in the kernel
	b.boot_uuid AS boot_uuid,
	u.user_unit AS user_unit,       -- unit of the user's own systemd
	u.runtime AS container_runtime, -- docker podman containerd cri-o lxc ...; NULL: not told
	u.pod AS pod                    -- Kubernetes pod uid, podman pod id
FROM process AS p
LEFT JOIN actor AS a ON a.id = p.actor
LEFT JOIN executable AS e ON e.id = a.executable
LEFT JOIN executable AS pe ON pe.id = a.parent_executable
LEFT JOIN unit AS u ON u.id = a.unit
LEFT JOIN boot AS b ON b.id = p.boot;

DROP VIEW IF EXISTS listeners;
CREATE VIEW listeners AS
-- One row a listening socket: who waited for whom, from when until when.
SELECT
	li.from_us AS from_us,
	li.until_us AS until_us,        -- NULL: still there
	strftime('%Y-%m-%dT%H:%M:%S', li.from_us / 1000000, 'unixepoch')
		|| printf('.%06dZ', li.from_us % 1000000) AS from_time,
	strftime('%Y-%m-%dT%H:%M:%S', li.until_us / 1000000, 'unixepoch')
		|| printf('.%06dZ', li.until_us % 1000000) AS until_time,
	li.until_us IS NULL AS open,
	li.protocol AS protocol,
	l.ip AS local_ip,
	li.local_port AS local_port,
	p.pid AS pid,
	nullif(p.start_us, 0) AS process_start_us,
	nullif(p.comm, '') AS comm,
	nullif(e.path, '') AS exe,
	nullif(p.cmdline, '') AS cmdline,
	nullif(a.uid, -1) AS uid,
	p.loginuid AS loginuid,
	p.ppid AS ppid,
	nullif(pe.path, '') AS parent_exe,
	u.unit AS unit,
	u.container AS container,
	nullif(l.netns, 0) AS netns,
	li.method AS method,
	u.user_unit AS user_unit,
	u.runtime AS container_runtime,
	u.pod AS pod,
	p.inner_pid AS inner_pid
FROM listener AS li
LEFT JOIN local AS l ON l.id = li.local
LEFT JOIN process AS p ON p.id = li.process
LEFT JOIN actor AS a ON a.id = p.actor
LEFT JOIN executable AS e ON e.id = a.executable
LEFT JOIN executable AS pe ON pe.id = a.parent_executable
LEFT JOIN unit AS u ON u.id = a.unit;

DROP VIEW IF EXISTS contacts;
CREATE VIEW contacts AS
-- The ledger: first and last contact of each program with each host and port, kept for years.
-- Flows count here when they end. The table contact alone lacks those of the last days.
SELECT
	r.ip AS remote_ip,
	nullif(n.name, '') AS remote_name,
	nullif(r.name_source, '') AS name_source,
	nullif(e.path, '') AS exe,
	coalesce((SELECT k.protocol FROM kind AS k WHERE k.protocol_id = c.protocol_id LIMIT 1),
		CAST(c.protocol_id AS TEXT)) AS protocol,
	c.port AS port,                 -- of the service: local port of 'in', else remote port
	CASE c.direction WHEN 1 THEN 'out' WHEN 2 THEN 'in' WHEN 3 THEN 'forwarded' ELSE 'unknown'
		END AS direction,
	c.first_us AS first_us,         -- start of the first flow
	c.last_us AS last_us,           -- end of the last one
	strftime('%Y-%m-%dT%H:%M:%S', c.first_us / 1000000, 'unixepoch')
		|| printf('.%06dZ', c.first_us % 1000000) AS first_time,
	strftime('%Y-%m-%dT%H:%M:%S', c.last_us / 1000000, 'unixepoch')
		|| printf('.%06dZ', c.last_us % 1000000) AS last_time,
	c.flows AS flows,
	p.pid AS first_pid,             -- of the first contact
	nullif(p.comm, '') AS first_comm,
	nullif(p.cmdline, '') AS first_cmdline
FROM (
	SELECT remote, executable, protocol_id, port, direction, min(first_us) AS first_us,
		max(last_us) AS last_us, sum(flows) AS flows, max(process) AS process
	FROM (
		SELECT remote, executable, protocol_id, port, direction, first_us, last_us, flows, process
		FROM contact
		UNION ALL
		SELECT remote, executable, protocol_id, port, direction, NULL, last_us, flows, NULL
		FROM ledger_rest
	)
	GROUP BY remote, executable, protocol_id, port, direction
	HAVING min(first_us) IS NOT NULL
) AS c
LEFT JOIN remote AS r ON r.id = c.remote
LEFT JOIN name AS n ON n.id = r.name
LEFT JOIN executable AS e ON e.id = c.executable
LEFT JOIN process AS p ON p.id = c.process;

DROP VIEW IF EXISTS names;
CREATE VIEW names AS
-- Which name stood for which address, when, and who said so: one row for what was seen again and
-- again, each time within its TTL or ten minutes. name_source of flows also tells whose question it
-- was: dns the process's own, dns-other that of another one, dns-any nobody knows whose.
SELECT
	n.name AS name,                 -- asked for, or said in a flow
	n.reversed AS reversed_name,    -- com.example.www
	nullif(e.ip, '') AS ip,         -- NULL: a flow was said to be for the name, not an address
	e.source AS name_source,        -- dns mdns llmnr sni quic http getaddrinfo
	nullif(o.name, '') AS owner_name, -- of the address record, behind CNAMEs, or host of a service
	                                -- (mDNS); NULL: name itself
	e.first_us AS first_us,
	e.last_us AS last_us,
	e.until_us AS until_us,         -- until then the last answer may be kept (TTL)
	strftime('%Y-%m-%dT%H:%M:%S', e.first_us / 1000000, 'unixepoch')
		|| printf('.%06dZ', e.first_us % 1000000) AS first_time,
	strftime('%Y-%m-%dT%H:%M:%S', e.last_us / 1000000, 'unixepoch')
		|| printf('.%06dZ', e.last_us % 1000000) AS last_time,
	e.times AS times,               -- seen
	e.ttl_s AS ttl_s,               -- of the last answer
	e.ech AS ech,                   -- 1: the client sent encrypted client hello, or pretended to
	                                -- (GREASE): the name may be the outer one
	nullif(e.alpn, '') AS alpn,     -- first protocol that the client offered
	p.pid AS pid,                   -- who asked, or whose flow said it
	nullif(p.start_us, 0) AS process_start_us,
	nullif(p.comm, '') AS comm,
	nullif(x.path, '') AS exe,
	nullif(p.cmdline, '') AS cmdline,
	nullif(a.uid, -1) AS uid
FROM name_evidence AS e
LEFT JOIN name AS n ON n.id = e.name
LEFT JOIN name AS o ON o.id = e.owner
LEFT JOIN process AS p ON p.id = e.process
LEFT JOIN actor AS a ON a.id = p.actor
LEFT JOIN executable AS x ON x.id = a.executable;

DROP VIEW IF EXISTS coverage;
CREATE VIEW coverage AS
-- When something may have been missed. No row that touches a window: nothing is known to be
-- missing in it, from the first start of lastconnd on. What follows within a minute on its like is
-- one row with it.
SELECT
	c.from_us AS from_us,
	c.until_us AS until_us,
	strftime('%Y-%m-%dT%H:%M:%S', c.from_us / 1000000, 'unixepoch')
		|| printf('.%06dZ', c.from_us % 1000000) AS from_time,
	strftime('%Y-%m-%dT%H:%M:%S', c.until_us / 1000000, 'unixepoch')
		|| printf('.%06dZ', c.until_us % 1000000) AS until_time,
	c.source AS source,
	c.what AS what,
	c.count AS count,               -- of what was lost; 0: not countable
	nullif(c.detail, '') AS detail,
	c.missed AS missed,             -- all; some, or when is in doubt; owners, names: of some flows;
	                                -- none: nothing
	c.open AS open                  -- 1: it goes on as long as the last run; until_us: its heartbeat
FROM (
	SELECT i.from_us, coalesce(i.until_us, r.end_us, r.heartbeat_us) AS until_us, i.source,
		i.what, i.count, i.detail, i.until_us IS NULL AS open,
		CASE WHEN i.what IN ('down', 'not in the file') THEN 'all'
			WHEN i.what = 'owners unsure' THEN 'owners'
			WHEN i.what = 'names unsure' THEN 'names'
			WHEN i.what IN ('snapshot', 'suspend') THEN 'none'
			ELSE 'some' END AS missed
	FROM coverage_interval AS i
	LEFT JOIN run AS r ON r.id = i.run
) AS c;

DROP VIEW IF EXISTS contact_tail;
DROP VIEW IF EXISTS flow_contact;
CREATE VIEW flow_contact AS
-- Not for users: the flows that are over, one row a flow with the columns of contact_day.
SELECT
	f.end_us / 86400000000 AS day,
	f.remote AS remote,
	f.actor AS actor,
	k.protocol_id AS protocol_id,
	CASE k.direction
		WHEN 'out' THEN f.remote_port
		WHEN 'in' THEN f.local_port
		WHEN 'forwarded' THEN f.remote_port
		ELSE coalesce(min(nullif(f.remote_port, 0), nullif(f.local_port, 0)),
			max(f.remote_port, f.local_port))
	END AS port,
	CASE k.direction WHEN 'out' THEN 1 WHEN 'in' THEN 2 WHEN 'forwarded' THEN 3 ELSE 0
		END AS direction,
	1 AS flows,
	k.outcome IN ('refused', 'timeout', 'unreachable') AS failed,
	f.octets_out AS octets_out,
	f.octets_in AS octets_in,
	f.end_us - f.duration_us AS first_us,
	f.end_us AS last_us,
	1 << (f.end_us / 3600000000 % 24) AS hours,
	CASE k.method WHEN 'exact' THEN 2 WHEN 'inherited' THEN 4 WHEN 'listener' THEN 8
		WHEN 'snapshot' THEN 16 WHEN 'pktap' THEN 32 WHEN 'procfs' THEN 64 ELSE 1 END AS methods
FROM flow AS f
JOIN kind AS k ON k.id = f.kind;

CREATE VIEW contact_tail AS
-- Not for users: of these the newest, which are in no roll-up yet. Under load these are up to some ten
-- thousand, for ten seconds; else none. Who reads contact_day must read these too.
SELECT *
FROM flow_contact
WHERE last_us > (SELECT settled_us FROM rollup_state)
	AND NOT (last_us <= (SELECT cut_us FROM rollup_state)
		AND remote < (SELECT cut_remote FROM rollup_state));

DROP VIEW IF EXISTS ledger;
DROP VIEW IF EXISTS ledger_rest;
DROP VIEW IF EXISTS uncounted_day;
CREATE VIEW uncounted_day AS
-- Not for users: the days that contact does not count yet, or not for all remotes.
WITH RECURSIVE days (day) AS (
	SELECT min(day) FROM contact_day WHERE day >= (SELECT ledger_day FROM rollup_state)
	UNION ALL
	SELECT (SELECT min(day) FROM contact_day WHERE day > d.day) FROM days AS d
	WHERE d.day IS NOT NULL
)
SELECT day FROM days WHERE day IS NOT NULL;

CREATE VIEW ledger_rest AS
-- Not for users: the rows of contact_day that contact does not count yet.
SELECT
	d.remote AS remote,
	a.executable AS executable,
	d.protocol_id AS protocol_id,
	d.port AS port,
	d.direction AS direction,
	d.flows AS flows,
	d.last_us AS last_us
FROM rollup_state AS s
CROSS JOIN uncounted_day AS u
CROSS JOIN contact_day AS d ON d.day = u.day
CROSS JOIN actor AS a ON a.id = d.actor
WHERE u.day >= iif(d.remote < s.ledger_remote, s.ledger_next_day, s.ledger_day);

CREATE VIEW ledger AS
-- Not for users: contact with what it does not count yet, for those who seek a few rows by their key.
SELECT
	c.remote AS remote,
	c.executable AS executable,
	c.protocol_id AS protocol_id,
	c.port AS port,
	c.direction AS direction,
	c.first_us AS first_us,
	max(c.last_us, coalesce((
		SELECT max(t.last_us) FROM ledger_rest AS t
		WHERE t.remote = c.remote AND t.executable = c.executable
			AND t.protocol_id = c.protocol_id AND t.port = c.port
			AND t.direction = c.direction
	), 0)) AS last_us,
	c.flows + (
		SELECT coalesce(sum(t.flows), 0) FROM ledger_rest AS t
		WHERE t.remote = c.remote AND t.executable = c.executable
			AND t.protocol_id = c.protocol_id AND t.port = c.port
			AND t.direction = c.direction
	) AS flows,
	c.process AS process
FROM contact AS c
WHERE c.young IN (0, 1);
