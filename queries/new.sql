-- First contacts: programs that tried to reach a host, or were reached, for the first time; the newest
-- first. A host is its name, if the flow had one, else its address. What the same program, by its path,
-- had with the same host, protocol, port and direction before the window is not new. As far back as the
-- ledger reaches: lastconn stats tells if contacts were forgotten.
--
-- param host: remote address, network, name or *.example.com [host]
-- param since: first contact at or after this time; else a day before until [time]
-- param until: first contact before this time [time]
-- param exe: program, path or file name, may hold * and ? [text]
-- param port: port of the service, the remote one of out, the local one of in [integer]
-- param proto: protocol [protocol]
-- param direction: who began [in|out|forwarded]
-- param limit: rows at most [limit default=50]
--
-- footer coverage
-- column first_time "first": begin of the first flow [time_us]
-- column exe "program": path of the program; null: not known [long]
-- column host: name of the remote host, else its address [long]
-- column remote_ip: address of the first flow [wide]
-- column service: direction, protocol and port of the service
-- column flows: since, open ones included [integer]
-- column open: not over [integer]
-- column last_time "last": end or last sighting of the last one [time_us]
-- column user: whose process the first one was [user]
-- column pid: process of the first one [integer]
-- column cmdline: its command line [long wide]
-- column parent: program that started it [long wide]

WITH
span (since_us, until_us) AS MATERIALIZED (
	SELECT coalesce(:since, coalesce(:until, :now_us) - 86400000000),
		coalesce(:until, 9223372036854775807)
),
--:host {
--:host_loose {
-- Hosts that had the name by evidence about their address, and when: README tells more.
loose (remote, name, from_us, until_us) AS MATERIALIZED (
	-- SQLite makes an index only of what it knows to be a number as remote.id is
	SELECT CAST(json_extract(value, '$[0]') AS INTEGER), json_extract(value, '$[1]'),
		json_extract(value, '$[2]'), json_extract(value, '$[3]')
	FROM json_each(:host_loose)
),
--}
remotes (id) AS MATERIALIZED (
	SELECT NULL WHERE FALSE
--:host_first	UNION SELECT id FROM remote WHERE address BETWEEN :host_first AND :host_last
--:host_first		AND length(address) = length(:host_first)
--:host_remotes	UNION SELECT value FROM json_each(:host_remotes)
),
--}
--:exe {
programs (id) AS MATERIALIZED (
	SELECT id FROM executable
	WHERE path GLOB :exe OR path = :exe OR (instr(:exe, '/') = 0 AND path GLOB '*/' || :exe)
),
--}
-- Programs that were replaced in place have several rows of executable: the first stands for all.
replaced (id, first) AS MATERIALIZED (
	SELECT e.id, f.first
	FROM (
		SELECT path, min(id) AS first FROM executable GROUP BY path HAVING count(*) > 1
	) AS f
	CROSS JOIN executable AS e ON e.path = f.path
),
directions (id, name) AS (VALUES (0, 'unknown'), (1, 'out'), (2, 'in'), (3, 'forwarded')),
-- What began in the window, of which an index has all that is asked here, and what the ledger does
-- not have yet, whenever it began.
begun (remote, executable, protocol_id, port, direction, first_us, in_ledger, last_us, flows, open,
	process, end_us) AS NOT MATERIALIZED (
	SELECT c.remote, c.executable, c.protocol_id, c.port, c.direction, c.first_us, 1, NULL, 0, 0,
		NULL, NULL
	FROM contact AS c
	WHERE c.first_us / 86400000000 >= (SELECT since_us / 86400000000 FROM span)
		AND c.first_us >= (SELECT since_us FROM span)
	UNION ALL
	SELECT t.remote, a.executable, t.protocol_id, t.port, t.direction, t.first_us, 0, t.last_us, 1,
		0, NULL, t.last_us
	FROM contact_tail AS t
	CROSS JOIN actor AS a ON a.id = t.actor
	UNION ALL
	SELECT f.remote, a.executable, k.protocol_id,
		CASE k.direction WHEN 'out' THEN f.remote_port WHEN 'in' THEN f.local_port
			WHEN 'forwarded' THEN f.remote_port
			ELSE coalesce(min(nullif(f.remote_port, 0), nullif(f.local_port, 0)),
				max(f.remote_port, f.local_port)) END,
		s.id, f.start_us, 0, f.seen_us, 1, 1, f.process, NULL
	FROM open_flow AS f
	CROSS JOIN kind AS k ON k.id = f.kind
	CROSS JOIN directions AS s ON s.name = k.direction
	CROSS JOIN actor AS a ON a.id = f.actor
),
found AS MATERIALIZED (
	SELECT coalesce(x.first, y.executable) AS program, r.name AS name,
		iif(r.name = 0, r.address, NULL) AS address, y.*
	FROM begun AS y
	CROSS JOIN remote AS r ON r.id = y.remote
	LEFT JOIN replaced AS x ON x.id = y.executable
	WHERE TRUE
--:host	AND y.remote IN (SELECT id FROM remotes)
--:host_loose	AND (y.remote NOT IN (SELECT remote FROM loose) OR EXISTS (SELECT 1
--:host_loose		FROM loose AS w WHERE w.remote = y.remote
--:host_loose		AND y.first_us BETWEEN w.from_us AND w.until_us))
--:exe	AND y.executable IN (SELECT id FROM programs)
--:proto	AND y.protocol_id = :proto
--:port	AND y.port = :port
--:direction	AND y.direction = (SELECT id FROM directions WHERE name = :direction)
),
contacts (program, name, address, protocol_id, port, direction, first_us, remote, executable,
	in_ledger, process, end_us) AS (
	-- the last five are of the row that has the minimum
	SELECT program, name, address, protocol_id, port, direction, min(first_us), remote, executable,
		in_ledger, process, end_us
	FROM found
	GROUP BY program, name, address, protocol_id, port, direction
	HAVING min(first_us) >= (SELECT since_us FROM span)
		AND min(first_us) < (SELECT until_us FROM span)
	ORDER BY min(first_us) DESC
),
-- Addresses that had a name when they were reached before the ledger counts it, or in the window.
older (address, program, protocol_id, port, direction, first_us) AS MATERIALIZED (
	SELECT r.address, f.program, f.protocol_id, f.port, f.direction, min(f.first_us)
	FROM found AS f
	CROSS JOIN remote AS r ON r.id = f.remote
	WHERE f.name <> 0
	GROUP BY r.address, f.program, f.protocol_id, f.port, f.direction
),
--:host {
-- What began before the window and is in no ledger yet, with hosts that are not asked for, too: they
-- may have the same name.
early (name, address, program, protocol_id, port, direction) AS MATERIALIZED (
	SELECT r.name, r.address, coalesce(x.first, y.executable), y.protocol_id, y.port, y.direction
	FROM begun AS y
	CROSS JOIN remote AS r ON r.id = y.remote
	LEFT JOIN replaced AS x ON x.id = y.executable
	WHERE NOT y.in_ledger AND y.first_us < (SELECT since_us FROM span)
),
--}
-- Of the contacts in their order no more are looked at than are asked for.
newest AS MATERIALIZED (
	SELECT *
	FROM contacts AS n
	WHERE NOT EXISTS (
		SELECT 1
		FROM remote AS r
		CROSS JOIN executable AS e
		CROSS JOIN contact AS c ON c.young IN (0, 1) AND c.remote = r.id
			AND c.executable = e.id AND c.protocol_id = n.protocol_id AND c.port = n.port
			AND c.direction = n.direction
		WHERE (r.name = n.name AND r.name <> 0 OR r.address = n.address)
			AND e.path = (SELECT path FROM executable WHERE id = n.program)
			AND c.first_us < (SELECT since_us FROM span)
	) AND NOT EXISTS (
		SELECT 1
		FROM older AS o
		WHERE o.address = n.address AND o.program = n.program AND o.protocol_id = n.protocol_id
			AND o.port = n.port AND o.direction = n.direction AND o.first_us < n.first_us
	)
--:host {
	AND NOT EXISTS (
		SELECT 1
		FROM early AS o
		WHERE (o.name = n.name AND o.name <> 0 OR o.address = n.address)
			AND o.program = n.program AND o.protocol_id = n.protocol_id
			AND o.port = n.port AND o.direction = n.direction
	)
--}
	LIMIT :limit
),
counts (program, name, address, protocol_id, port, direction, flows, open, last_us)
	AS MATERIALIZED (
	SELECT f.program, f.name, f.address, f.protocol_id, f.port, f.direction,
		sum(iif(f.in_ledger, (
			SELECT l.flows FROM ledger AS l
			WHERE l.remote = f.remote AND l.executable = f.executable
				AND l.protocol_id = f.protocol_id AND l.port = f.port
				AND l.direction = f.direction
		), f.flows)),
		sum(f.open),
		max(iif(f.in_ledger, (
			SELECT l.last_us FROM ledger AS l
			WHERE l.remote = f.remote AND l.executable = f.executable
				AND l.protocol_id = f.protocol_id AND l.port = f.port
				AND l.direction = f.direction
		), f.last_us))
	FROM newest AS n
	CROSS JOIN found AS f ON f.program = n.program AND f.name = n.name AND f.address IS n.address
		AND f.protocol_id = n.protocol_id AND f.port = n.port AND f.direction = n.direction
	GROUP BY 1, 2, 3, 4, 5, 6
)
SELECT
	n.first_us AS first_time,
	nullif(x.path, '') AS exe,
	coalesce(nullif(d.name, ''), r.ip) AS host,
	r.ip AS remote_ip,
	(SELECT name FROM directions WHERE id = n.direction) || ' '
		|| coalesce((SELECT protocol FROM kind WHERE protocol_id = n.protocol_id LIMIT 1),
			n.protocol_id) || iif(n.port, '/' || n.port, '') AS service,
	s.flows,
	s.open,
	s.last_us AS last_time,
	nullif(a.uid, -1) AS user,
	p.pid,
	nullif(p.cmdline, '') AS cmdline,
	nullif(px.path, '') AS parent
FROM newest AS n
CROSS JOIN counts AS s ON s.program = n.program AND s.name = n.name AND s.address IS n.address
	AND s.protocol_id = n.protocol_id AND s.port = n.port AND s.direction = n.direction
CROSS JOIN remote AS r ON r.id = n.remote
CROSS JOIN name AS d ON d.id = r.name
CROSS JOIN executable AS x ON x.id = n.program
LEFT JOIN process AS p ON p.id = coalesce(n.process,
	(SELECT process FROM flow WHERE end_us = n.end_us),
	(SELECT c.process FROM contact AS c WHERE n.in_ledger AND c.young IN (0, 1)
		AND c.remote = n.remote AND c.executable = n.executable
		AND c.protocol_id = n.protocol_id AND c.port = n.port AND c.direction = n.direction))
LEFT JOIN actor AS a ON a.id = p.actor
LEFT JOIN executable AS px ON px.id = a.parent_executable
ORDER BY n.first_us DESC
