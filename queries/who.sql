-- Which programs talked to a host: one row a program, the newest contact first.
-- A flow counts if it was alive in the window: it ended at or after 'since' and began before
-- 'until'; what it moved counts whole. Days that lie wholly in the window are answered by the daily
-- roll-up contact_day (and contact_tail, what it does not count yet); only where the window cuts a
-- row of it, or a pid is asked for, the flows of that row are read, in the hours that it names; and
-- contact_hour, which has the hours of flows that are forgotten.
--
-- param host: remote address, before or beyond NAT, network, name or *.example.com [host required]
-- param since: alive at or after this time [time]
-- param until: begun before this time [time]
-- param exe: program, path or file name, may hold * and ? [text]
-- param pid: process id [integer]
-- param user: name or uid [user]
-- param unit: systemd unit, of the system or of a user, may hold * and ? [text]
-- param container: id or name of a container or pod, or how it begins [text]
-- param port: port of the service, the remote one of out, the local one of in [integer]
-- param proto: protocol [protocol]
-- param direction: who began [in|out|forwarded]
-- param limit: rows at most [limit default=0]
--
-- footer coverage
-- column exe "program": path of the program; null: not known [long]
-- column users: whose processes [users]
-- column flows: how many, open ones included [integer]
-- column failed: refused, timed out or unreachable [integer]
-- column open: not over [integer]
-- column octets_out "out": payload sent [octets]
-- column octets_in "in": payload received [octets]
-- column first_time "first": begin of the first flow [time_us]
-- column last_time "last": end or last sighting of the last one [time_us]
-- column services: direction, protocol and port of the service, the busiest first [list]
-- column hosts: different remote addresses [integer]
-- column names: names of the hosts, the newest first, and how they are known: see lastconn(1); nat: the address that NAT changed into the host [long_list]
-- column parents: programs that started it [long_list]
-- column units: systemd units, those of users as user@UID.service/UNIT [list wide]
-- column containers: their ids or names [list wide]
-- column known "how known": how the processes were found [list]

WITH RECURSIVE
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
--:exe,user,unit,container,pid {
actors (id) AS MATERIALIZED (
	SELECT a.id
	FROM actor AS a
	JOIN executable AS e ON e.id = a.executable
	JOIN unit AS u ON u.id = a.unit
	WHERE TRUE
--:exe	AND (e.path GLOB :exe OR e.path = :exe
--:exe		OR (instr(:exe, '/') = 0 AND e.path GLOB '*/' || :exe))
--:user	AND a.uid = :user
--:unit	AND (:unit || '.service' IN (u.unit, u.user_unit) OR u.unit GLOB :unit
--:unit		OR u.user_unit GLOB :unit)
--:container	AND :container IN (substr(u.container, 1, length(:container)),
--:container		substr(u.pod, 1, length(:container)))
--:pid	AND a.id IN (SELECT actor FROM process WHERE pid = :pid)
),
--}
--:pid processes (id) AS MATERIALIZED (SELECT id FROM process WHERE pid = :pid),
bits (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM bits WHERE n < 23),
methods (bit, name) AS (VALUES (1, 'unknown'), (2, 'exact'), (4, 'inherited'), (8, 'listener'),
	(16, 'snapshot'), (32, 'pktap'), (64, 'procfs')),
directions (id, name) AS (VALUES (0, 'unknown'), (1, 'out'), (2, 'in'),
	(3, 'forwarded')),
-- A few remotes are sought day by day between their first and last contact, or in all days if
-- contacts were forgotten for want of room; many are read through.
thinned (yes) AS MATERIALIZED (
	SELECT count(*) FROM retention WHERE what = 'contact' AND whole_us > since_us
),
few (yes) AS MATERIALIZED (SELECT count(*) <= 500 FROM (SELECT 1 FROM remotes LIMIT 501)),
visits (remote, day, last_day) AS (
	SELECT c.remote, min(c.first_us) / 86400000000,
		min(max(c.last_us) / 86400000000, (SELECT ledger_day - 1 FROM rollup_state))
	FROM few AS w CROSS JOIN remotes AS r CROSS JOIN contact AS c
		ON c.young IN (0, 1) AND c.remote = r.id
	WHERE w.yes AND NOT (SELECT yes FROM thinned)
	GROUP BY c.remote
	HAVING min(c.first_us) / 86400000000 < (SELECT ledger_day FROM rollup_state)
	UNION ALL
	-- the last days, which the ledger does not count yet
	SELECT r.id, u.day, u.day
	FROM few AS w CROSS JOIN remotes AS r CROSS JOIN uncounted_day AS u
	WHERE w.yes AND NOT (SELECT yes FROM thinned)
	UNION ALL
	SELECT r.id, (SELECT min(day) FROM contact_day), (SELECT max(day) FROM contact_day)
	FROM few AS w CROSS JOIN remotes AS r
	WHERE w.yes AND (SELECT yes FROM thinned)
	UNION ALL
	SELECT remote, day + 1, last_day FROM visits WHERE day < last_day
),
days AS NOT MATERIALIZED (
	SELECT d.*
	FROM visits AS v CROSS JOIN contact_day AS d ON d.day = v.day AND d.remote = v.remote
	UNION ALL
	SELECT d.*
	FROM few AS w CROSS JOIN contact_day AS d
	WHERE NOT w.yes AND d.remote IN (SELECT id FROM remotes)
--:since	AND d.day >= :since / 86400000000
),
-- Up to this day neither single flows nor their hours may be there: what the window cuts counts
-- whole.
--:since,until,host_loose {
forgotten (day) AS MATERIALIZED (
	SELECT coalesce(max(whole_us) / 86400000000, -1) FROM retention WHERE what = 'contact_hour'
--:since		AND whole_us >= :since
),
--}
--!since,until,pid,host_loose fitting AS NOT MATERIALIZED (
--:since,until,pid,host_loose fitting AS MATERIALIZED (
	SELECT *, TRUE
--:since	AND (first_us >= :since OR day * 86400000000 >= :since
--:since		OR day <= (SELECT day FROM forgotten))
--:until	AND (last_us < :until OR day <= (SELECT day FROM forgotten))
--:pid	AND FALSE
--:host_loose	AND (remote NOT IN (SELECT remote FROM loose)
--:host_loose		OR day <= (SELECT day FROM forgotten) OR EXISTS (SELECT 1
--:host_loose		FROM loose AS w WHERE w.remote = days.remote
--:host_loose		AND w.from_us <= first_us AND last_us <= w.until_us))
		AS whole                -- no flow of this row is to be left out
	FROM days
	WHERE TRUE
--:host_loose	AND (remote NOT IN (SELECT remote FROM loose) OR EXISTS (SELECT 1
--:host_loose		FROM loose AS w WHERE w.remote = days.remote
--:host_loose		AND w.from_us <= last_us AND first_us <= w.until_us))
--:since	AND last_us >= :since
--:until	AND first_us < :until
--:exe,user,unit,container,pid	AND actor IN (SELECT id FROM actors)
--:proto	AND protocol_id = :proto
--:port	AND port = :port
--:direction	AND direction = (SELECT id FROM directions WHERE name = :direction)
),
--:since,until,pid,host_loose {
hours (hour) AS MATERIALIZED (
	SELECT DISTINCT d.day * 24 + b.n
	FROM (SELECT DISTINCT day, hours FROM fitting WHERE NOT whole) AS d
	CROSS JOIN bits AS b ON (d.hours >> b.n) & 1
),
--}
-- Flows one by one: the open ones, those of rows that are cut, those not counted yet.
singles (remote, actor, protocol_id, port, direction, flows, failed, open, octets_out, octets_in,
	first_us, last_us, methods) AS NOT MATERIALIZED (
	SELECT f.remote, f.actor, k.protocol_id,
		CASE k.direction WHEN 'out' THEN f.remote_port WHEN 'in' THEN f.local_port
			WHEN 'forwarded' THEN f.remote_port
			ELSE coalesce(min(nullif(f.remote_port, 0), nullif(f.local_port, 0)),
				max(f.remote_port, f.local_port)) END AS service_port,
		s.id, 1, 0, 1, f.octets_out, f.octets_in, f.start_us, f.seen_us, m.bit
	FROM open_flow AS f
	CROSS JOIN kind AS k ON k.id = f.kind
	CROSS JOIN methods AS m ON m.name = k.method
	CROSS JOIN directions AS s ON s.name = k.direction
	WHERE (f.remote IN (SELECT id FROM remotes)
--:host_first		OR f.nat_remote IN (SELECT id FROM remotes)
		)
--:host_loose	AND (f.remote NOT IN (SELECT remote FROM loose) OR EXISTS (SELECT 1
--:host_loose		FROM loose AS w WHERE w.remote = f.remote
--:host_loose		AND f.start_us BETWEEN w.from_us AND w.until_us))
--:since	AND f.seen_us >= :since
--:until	AND f.start_us < :until
--:exe,user,unit,container,pid	AND f.actor IN (SELECT id FROM actors)
--:pid	AND f.process IN (SELECT id FROM processes)
--:proto	AND k.protocol_id = :proto
--:port	AND service_port = :port
--:direction	AND k.direction = :direction
--:host_first {
	-- whose remote end is the host only beyond NAT
	UNION ALL
	SELECT f.remote, f.actor, k.protocol_id,
		CASE k.direction WHEN 'out' THEN f.remote_port WHEN 'in' THEN f.local_port
			WHEN 'forwarded' THEN f.remote_port
			ELSE coalesce(min(nullif(f.remote_port, 0), nullif(f.local_port, 0)),
				max(f.remote_port, f.local_port)) END AS service_port,
		s.id, 1, k.outcome IN ('refused', 'timeout', 'unreachable'), 0,
		f.octets_out, f.octets_in, f.end_us - f.duration_us, f.end_us, m.bit
	FROM remotes AS r
	CROSS JOIN flow_nat AS t ON t.remote = r.id
	CROSS JOIN flow AS f ON f.end_us = t.end_us
	CROSS JOIN kind AS k ON k.id = f.kind
	CROSS JOIN methods AS m ON m.name = k.method
	CROSS JOIN directions AS s ON s.name = k.direction
	WHERE f.remote NOT IN (SELECT id FROM remotes)
--:since	AND f.end_us >= :since
--:until	AND f.end_us - f.duration_us < :until
--:exe,user,unit,container,pid	AND f.actor IN (SELECT id FROM actors)
--:pid	AND f.process IN (SELECT id FROM processes)
--:proto	AND k.protocol_id = :proto
--:port	AND service_port = :port
--:direction	AND k.direction = :direction
--}
--:since,until,pid,host_loose {
	UNION ALL
	SELECT f.remote, f.actor, k.protocol_id,
		CASE k.direction WHEN 'out' THEN f.remote_port WHEN 'in' THEN f.local_port
			WHEN 'forwarded' THEN f.remote_port
			ELSE coalesce(min(nullif(f.remote_port, 0), nullif(f.local_port, 0)),
				max(f.remote_port, f.local_port)) END AS service_port,
		s.id, 1, k.outcome IN ('refused', 'timeout', 'unreachable'), 0,
		f.octets_out, f.octets_in, f.end_us - f.duration_us, f.end_us, m.bit
	FROM flow_hour AS h
	CROSS JOIN flow AS f
		ON f.end_us >= h.hour * 3600000000 AND f.end_us < (h.hour + 1) * 3600000000
	CROSS JOIN kind AS k ON k.id = f.kind
	CROSS JOIN methods AS m ON m.name = k.method
	CROSS JOIN directions AS s ON s.name = k.direction
	WHERE (+h.hour IN (SELECT hour FROM hours)
--:pid		OR h.hour >= (SELECT settled_us / 3600000000 FROM rollup_state)
		)
--:since	AND +f.end_us >= :since
--:until	AND h.hour * 3600000000 - h.max_duration_us < :until
--:until	AND f.end_us - f.duration_us < :until
	AND f.remote IN (SELECT id FROM remotes)
--:host_loose	AND (f.remote NOT IN (SELECT remote FROM loose) OR EXISTS (SELECT 1
--:host_loose		FROM loose AS w WHERE w.remote = f.remote
--:host_loose		AND f.end_us - f.duration_us BETWEEN w.from_us AND w.until_us))
--!pid {
	-- what contact_tail has is counted there
	AND (+f.end_us <= (SELECT settled_us FROM rollup_state)
		OR f.end_us <= (SELECT cut_us FROM rollup_state)
			AND f.remote < (SELECT cut_remote FROM rollup_state))
	AND (h.hour / 24, f.remote, f.actor, k.protocol_id, service_port, s.id) IN (
		SELECT day, remote, actor, protocol_id, port, direction
		FROM fitting WHERE NOT whole)
--}
--:pid {
	AND f.process IN (SELECT id FROM processes)
	AND f.actor IN (SELECT id FROM actors)
--:proto	AND k.protocol_id = :proto
--:port	AND service_port = :port
--:direction	AND k.direction = :direction
--}
--}
--!pid {
--:since,until,host_loose {
	-- of flows that are forgotten: whole hours
	UNION ALL
	SELECT c.remote, c.actor, c.protocol_id, c.port, c.direction, c.flows, c.failed, 0,
		c.octets_out, c.octets_in, c.first_us, c.last_us, c.methods
	FROM fitting AS d
	CROSS JOIN bits AS b ON (d.hours >> b.n) & 1
	CROSS JOIN contact_hour AS c ON c.hour = d.day * 24 + b.n AND c.remote = d.remote
		AND c.actor = d.actor AND c.protocol_id = d.protocol_id AND c.port = d.port
		AND c.direction = d.direction
	WHERE NOT d.whole
--:since	AND c.last_us >= :since
--:until	AND c.first_us < :until
--:host_loose	AND (c.remote NOT IN (SELECT remote FROM loose) OR EXISTS (SELECT 1
--:host_loose		FROM loose AS w WHERE w.remote = c.remote
--:host_loose		AND w.from_us <= c.last_us AND c.first_us <= w.until_us))
--}
	UNION ALL
	SELECT remote, actor, protocol_id, port, direction, flows, failed, 0, octets_out, octets_in,
		first_us, last_us, methods
	FROM contact_tail
	WHERE remote IN (SELECT id FROM remotes)
--:host_loose	AND (contact_tail.remote NOT IN (SELECT remote FROM loose) OR EXISTS (SELECT 1
--:host_loose		FROM loose AS w WHERE w.remote = contact_tail.remote
--:host_loose		AND first_us BETWEEN w.from_us AND w.until_us))
--:since	AND last_us >= :since
--:until	AND first_us < :until
--:exe,user,unit,container	AND actor IN (SELECT id FROM actors)
--:proto	AND protocol_id = :proto
--:port	AND port = :port
--:direction	AND direction = (SELECT id FROM directions WHERE name = :direction)
--}
),
-- service is methods, protocol, port and direction in one number, which sorts faster.
parts (remote, actor, service, flows, failed, open, octets_out, octets_in, first_us, last_us)
	AS NOT MATERIALIZED (
	SELECT remote, actor, (methods << 26) | (protocol_id << 18) | (port << 2) | direction,
		flows, failed, 0, octets_out, octets_in, first_us, last_us
	FROM fitting
	WHERE whole
	UNION ALL
	SELECT remote, actor, (methods << 26) | (protocol_id << 18) | (port << 2) | direction,
		flows, failed, open, octets_out, octets_in, first_us, last_us
	FROM singles
),
-- Programs that were replaced in place have several rows of executable: the first stands for all.
replaced (id, first) AS MATERIALIZED (
	SELECT e.id, f.first
	FROM (
		SELECT path, min(id) AS first FROM executable GROUP BY path HAVING count(*) > 1
	) AS f
	CROSS JOIN executable AS e ON e.path = f.path
),
-- SQLite prepares this anew for each place that names it: there are few of them.
sums AS MATERIALIZED (
	SELECT coalesce(x.first, a.executable) AS exe, actor, remote, service >> 26 AS methods,
		service & 0x3ffffff AS service, flows, failed, open, octets_out, octets_in, first_us,
		last_us
	FROM (
		SELECT actor, remote, service, sum(flows) AS flows, sum(failed) AS failed,
			sum(open) AS open, sum(octets_out) AS octets_out, sum(octets_in) AS octets_in,
			min(first_us) AS first_us, max(last_us) AS last_us
		FROM parts AS p
		GROUP BY p.actor, p.remote, p.service
	) AS s
	CROSS JOIN actor AS a ON a.id = s.actor
	LEFT JOIN replaced AS x ON x.id = a.executable
),
services AS (
	SELECT exe, json_group_array(text) AS texts
	FROM (
		SELECT s.exe,
			iif(s.place <= 8, d.name || ' ' || coalesce((SELECT k.protocol FROM kind AS k
				WHERE k.protocol_id = s.service >> 18 LIMIT 1), s.service >> 18)
				|| iif(s.service >> 2 & 0xffff, '/' || (s.service >> 2 & 0xffff), ''),
				(s.places - 8) || ' more') AS text
		FROM (
			SELECT s.exe, s.service,
				row_number() OVER (PARTITION BY s.exe ORDER BY sum(s.flows) DESC) AS place,
				count(*) OVER (PARTITION BY s.exe) AS places
			FROM sums AS s
			GROUP BY s.exe, s.service
		) AS s
		JOIN directions AS d ON d.id = s.service & 3
		WHERE s.place <= 9
		ORDER BY s.exe, s.place
	)
	GROUP BY exe
),
-- The lists are made of what is different, not of each row.
people (exe, users, parents, units, containers) AS (
	SELECT s.exe,
		json_group_array(DISTINCT a.uid) FILTER (WHERE a.uid >= 0),
		json_group_array(DISTINCT pe.path) FILTER (WHERE pe.path <> ''),
		json_group_array(DISTINCT u.unit || coalesce('/' || u.user_unit, '')) FILTER (WHERE u.unit <> ''),
		json_group_array(DISTINCT u.container) FILTER (WHERE u.container <> '')
	FROM (SELECT DISTINCT exe, actor FROM sums) AS s
	CROSS JOIN actor AS a ON a.id = s.actor
	CROSS JOIN executable AS pe ON pe.id = a.parent_executable
	CROSS JOIN unit AS u ON u.id = a.unit
	GROUP BY s.exe
),
hosts (exe, hosts) AS (
	SELECT exe, count(*)
	FROM (
		SELECT DISTINCT s.exe, r.address
		FROM sums AS s
		CROSS JOIN remote AS r ON r.id = s.remote
	)
	GROUP BY exe
),
-- A host that is it only beyond NAT, or by evidence about its address, has that as another name.
called (exe, texts) AS (
	SELECT exe, json_group_array(iif(place <= 8, text, (places - 8) || ' more'))
	FROM (
		SELECT exe, text, row_number() OVER (PARTITION BY exe ORDER BY last_us DESC, text)
			AS place, count(*) OVER (PARTITION BY exe) AS places
		FROM (
			SELECT s.exe,
				CASE WHEN o.own THEN n.name || ' (' || r.name_source || ')'
--:host_first				ELSE r.ip || ' (nat)'
--:host_loose				ELSE w.name || ' (address)'
				END AS text,
				max(s.last_us) AS last_us
			FROM sums AS s
			CROSS JOIN (SELECT TRUE AS own
--:host_first,host_loose				UNION ALL SELECT FALSE
			) AS o
			CROSS JOIN remote AS r ON r.id = s.remote
			CROSS JOIN name AS n ON n.id = r.name
--:host_loose			LEFT JOIN loose AS w ON NOT o.own AND w.remote = s.remote
--:host_loose				AND w.from_us <= s.last_us AND s.first_us <= w.until_us
			WHERE (NOT o.own OR r.name <> 0)
--:host_first			AND (o.own OR s.remote NOT IN (SELECT id FROM remotes))
--:host_loose			AND (o.own OR w.name IS NOT NULL)
			GROUP BY s.exe, text
		)
		ORDER BY exe, place
	)
	WHERE place <= 9
	GROUP BY exe
),
who AS (
	SELECT s.exe,
		sum(s.flows) AS flows, sum(s.failed) AS failed, sum(s.open) AS open,
		sum(s.octets_out) AS octets_out, sum(s.octets_in) AS octets_in,
		min(s.first_us) AS first_us, max(s.last_us) AS last_us,
		max(s.methods & 1) | max(s.methods & 2) | max(s.methods & 4) | max(s.methods & 8)
			| max(s.methods & 16) | max(s.methods & 32) | max(s.methods & 64) AS methods
	FROM sums AS s
	GROUP BY s.exe
)
SELECT
	nullif(e.path, '') AS exe,
	p.users,
	w.flows,
	w.failed,
	w.open,
	w.octets_out,
	w.octets_in,
	w.first_us AS first_time,
	w.last_us AS last_time,
	s.texts AS services,
	h.hosts,
	c.texts AS names,
	p.parents,
	p.units,
	p.containers,
	(SELECT json_group_array(m.name) FROM methods AS m WHERE w.methods & m.bit) AS known
FROM who AS w
CROSS JOIN executable AS e ON e.id = w.exe
LEFT JOIN people AS p ON p.exe = w.exe
LEFT JOIN services AS s ON s.exe = w.exe
LEFT JOIN hosts AS h ON h.exe = w.exe
LEFT JOIN called AS c ON c.exe = w.exe
ORDER BY w.last_us DESC
LIMIT :limit
