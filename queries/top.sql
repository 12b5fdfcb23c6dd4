-- Who moved most: sums by program, host, user, unit, port or parent, the largest first.
-- A flow counts if it was alive in the window: it ended at or after 'since' and began before
-- 'until'; what it moved counts whole. Answered by the daily roll-up contact_day (and contact_tail,
-- what it does not count yet); only where the window cuts a row of it, or a pid is asked for, flows
-- are read, and contact_hour, which has the hours of flows that are forgotten.
--
-- param by: what to sum by [exe|host|user|unit|port|parent default=exe]
-- param host: remote address, network, name or *.example.com [host]
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
-- param limit: rows at most [limit default=20]
--
-- footer coverage
-- column what "by": program, host, ... as asked for; null: not known [user]
-- column octets_out "out": payload sent [octets]
-- column octets_in "in": payload received [octets]
-- column flows: how many, open ones included [integer]
-- column failed: refused, timed out or unreachable [integer]
-- column open: not over [integer]
-- column hosts: different remote hosts [integer]
-- column first_time "first": begin of the first flow [time_us]
-- column last_time "last": end or last sighting of the last one [time_us]

WITH RECURSIVE
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
--}
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
directions (id, name) AS (VALUES (0, 'unknown'), (1, 'out'), (2, 'in'),
	(3, 'forwarded')),
-- Up to this day neither single flows nor their hours may be there: what the window cuts counts
-- whole.
--:since,until,host_loose {
forgotten (day) AS MATERIALIZED (
	SELECT coalesce(max(whole_us) / 86400000000, -1) FROM retention WHERE what = 'contact_hour'
--:since		AND whole_us >= :since
),
--}
--:since,until {
--!host,exe,pid,user,unit,container,port,proto,direction {
-- Without filter days that the window cuts are answered from their flows alone: most of their hours
-- would be read for some row that is cut.
edges (since_day, until_day) AS MATERIALIZED (
	SELECT
--:since		iif(:since % 86400000000 AND :since / 86400000000 > day, :since / 86400000000, NULL),
--!since		NULL,
--:until		iif(:until / 86400000000 > day, :until / 86400000000, NULL)
--!until		NULL
	FROM forgotten
),
--}
--}
days AS NOT MATERIALIZED (
--:host {
	SELECT d.*
	FROM visits AS v CROSS JOIN contact_day AS d ON d.day = v.day AND d.remote = v.remote
	UNION ALL
--}
	SELECT d.*
--!host	FROM contact_day AS d WHERE TRUE
--:host	FROM few AS w CROSS JOIN contact_day AS d
--:host	WHERE NOT w.yes AND d.remote IN (SELECT id FROM remotes)
--:since {
--:host,exe,pid,user,unit,container,port,proto,direction	AND d.day >= :since / 86400000000
--!host,exe,pid,user,unit,container,port,proto,direction	AND d.day >
--!host,exe,pid,user,unit,container,port,proto,direction		coalesce((SELECT since_day FROM edges), :since / 86400000000 - 1)
--}
--:until {
--!host,exe,pid,user,unit,container,port,proto,direction	AND d.day IS NOT (SELECT until_day FROM edges)
--}
),
fitting AS NOT MATERIALIZED (
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
-- Most rows are whole, and many: only the others are kept.
--:since,until,pid,host_loose {
--:until,host,exe,pid,user,unit,container,port,proto,direction {
cut AS MATERIALIZED (SELECT * FROM fitting WHERE NOT whole),
hours (hour) AS MATERIALIZED (
	SELECT DISTINCT d.day * 24 + b.n
	FROM (SELECT DISTINCT day, hours FROM cut) AS d
	CROSS JOIN bits AS b ON (d.hours >> b.n) & 1
),
--}
--}
parts (remote, actor, protocol_id, port, direction, flows, failed, open, octets_out, octets_in,
	first_us, last_us) AS NOT MATERIALIZED (
	SELECT remote, actor, protocol_id, port, direction, flows, failed, 0, octets_out, octets_in,
		first_us, last_us
	FROM fitting
	WHERE whole
--:since,until {
--!host,exe,pid,user,unit,container,port,proto,direction {
	UNION ALL
	SELECT f.remote, f.actor, f.protocol_id, f.port, f.direction, f.flows, f.failed, 0, f.octets_out,
		f.octets_in, f.first_us, f.last_us
	FROM (SELECT since_day AS day FROM edges UNION SELECT until_day FROM edges) AS e
	CROSS JOIN flow_hour AS h ON h.hour >= e.day * 24 AND h.hour < (e.day + 1) * 24
	CROSS JOIN flow_contact AS f
		ON f.last_us >= h.hour * 3600000000 AND f.last_us < (h.hour + 1) * 3600000000
	WHERE TRUE
--:since	AND h.hour >= :since / 3600000000 AND +f.last_us >= :since
--:until	AND h.hour * 3600000000 - h.max_duration_us < :until
--:until	AND f.first_us < :until
	UNION ALL
	SELECT c.remote, c.actor, c.protocol_id, c.port, c.direction, c.flows, c.failed, 0,
		c.octets_out, c.octets_in, c.first_us, c.last_us
	FROM (SELECT since_day AS day FROM edges UNION SELECT until_day FROM edges) AS e
	CROSS JOIN contact_hour AS c ON c.hour >= e.day * 24 AND c.hour < (e.day + 1) * 24
	WHERE TRUE
--:since	AND c.last_us >= :since
--:until	AND c.first_us < :until
--}
--}
--:since,until,pid,host_loose {
--:until,host,exe,pid,user,unit,container,port,proto,direction {
	UNION ALL
	SELECT f.remote, f.actor, k.protocol_id,
		CASE k.direction WHEN 'out' THEN f.remote_port WHEN 'in' THEN f.local_port
			WHEN 'forwarded' THEN f.remote_port
			ELSE coalesce(min(nullif(f.remote_port, 0), nullif(f.local_port, 0)),
				max(f.remote_port, f.local_port)) END AS service_port,
		s.id, 1, k.outcome IN ('refused', 'timeout', 'unreachable'), 0,
		f.octets_out, f.octets_in, f.end_us - f.duration_us, f.end_us
	FROM flow_hour AS h
	CROSS JOIN flow AS f
		ON f.end_us >= h.hour * 3600000000 AND f.end_us < (h.hour + 1) * 3600000000
	CROSS JOIN kind AS k ON k.id = f.kind
	CROSS JOIN directions AS s ON s.name = k.direction
	WHERE (+h.hour IN (SELECT hour FROM hours)
--:pid		OR h.hour >= (SELECT settled_us / 3600000000 FROM rollup_state)
		)
--:since	AND +f.end_us >= :since
--:until	AND h.hour * 3600000000 - h.max_duration_us < :until
--:until	AND f.end_us - f.duration_us < :until
--:host	AND f.remote IN (SELECT id FROM remotes)
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
		FROM cut)
--}
--:pid {
	AND f.process IN (SELECT id FROM processes)
	AND f.actor IN (SELECT id FROM actors)
--:proto	AND k.protocol_id = :proto
--:port	AND service_port = :port
--:direction	AND k.direction = :direction
--}
--}
--}
--!pid {
--:since,until,host_loose {
--:until,host,exe,pid,user,unit,container,port,proto,direction {
	-- of flows that are forgotten: whole hours
	UNION ALL
	SELECT c.remote, c.actor, c.protocol_id, c.port, c.direction, c.flows, c.failed, 0,
		c.octets_out, c.octets_in, c.first_us, c.last_us
	FROM cut AS d
	CROSS JOIN bits AS b ON (d.hours >> b.n) & 1
	CROSS JOIN contact_hour AS c ON c.hour = d.day * 24 + b.n AND c.remote = d.remote
		AND c.actor = d.actor AND c.protocol_id = d.protocol_id AND c.port = d.port
		AND c.direction = d.direction
	WHERE TRUE
--:since	AND c.last_us >= :since
--:until	AND c.first_us < :until
--:host_loose	AND (c.remote NOT IN (SELECT remote FROM loose) OR EXISTS (SELECT 1
--:host_loose		FROM loose AS w WHERE w.remote = c.remote
--:host_loose		AND w.from_us <= c.last_us AND c.first_us <= w.until_us))
--}
--}
	UNION ALL
	SELECT remote, actor, protocol_id, port, direction, flows, failed, 0, octets_out, octets_in,
		first_us, last_us
	FROM contact_tail
	WHERE TRUE
--:since,until {
--!host,exe,pid,user,unit,container,port,proto,direction	AND day IS NOT (SELECT since_day FROM edges) AND day IS NOT (SELECT until_day FROM edges)
--}
--:host	AND remote IN (SELECT id FROM remotes)
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
	UNION ALL
	SELECT f.remote, f.actor, k.protocol_id,
		CASE k.direction WHEN 'out' THEN f.remote_port WHEN 'in' THEN f.local_port
			WHEN 'forwarded' THEN f.remote_port
			ELSE coalesce(min(nullif(f.remote_port, 0), nullif(f.local_port, 0)),
				max(f.remote_port, f.local_port)) END AS service_port,
		s.id, 1, 0, 1, f.octets_out, f.octets_in, f.start_us, f.seen_us
	FROM open_flow AS f
	CROSS JOIN kind AS k ON k.id = f.kind
	CROSS JOIN directions AS s ON s.name = k.direction
	WHERE TRUE
--:host	AND f.remote IN (SELECT id FROM remotes)
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
),
-- sums() adds them up: GROUP BY would sort them all. What a row is summed by is looked up once for
-- each kind of process. One unit may have many cgroups, a program that was replaced in place several
-- rows of executable.
sums (what, remote, flows, failed, open, octets_out, octets_in, hosts, first_us, last_us) AS (
	SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
		json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'),
		json_extract(value, '$[6]'), json_extract(value, '$[7]'), json_extract(value, '$[8]'),
		json_extract(value, '$[9]')
	FROM json_each((
		SELECT sums(:limit,
			CASE :by
				WHEN 'exe' THEN 'SELECT nullif(e.path, '''')
					FROM actor AS a JOIN executable AS e ON e.id = a.executable
					WHERE a.id = ?1'
				WHEN 'parent' THEN 'SELECT nullif(e.path, '''')
					FROM actor AS a JOIN executable AS e ON e.id = a.parent_executable
					WHERE a.id = ?1'
				WHEN 'user' THEN 'SELECT nullif(uid, -1) FROM actor WHERE id = ?1'
				WHEN 'unit' THEN 'SELECT coalesce(u.unit || coalesce(''/'' || u.user_unit, ''''),
						u.container, nullif(u.cgroup, ''''))
					FROM actor AS a JOIN unit AS u ON u.id = a.unit
					WHERE a.id = ?1'
				WHEN 'port' THEN 'SELECT CASE ?1 >> 24 WHEN 1 THEN ''out'' WHEN 2 THEN ''in''
						WHEN 3 THEN ''forwarded'' ELSE ''unknown'' END
					|| '' '' || coalesce((SELECT protocol FROM kind
						WHERE protocol_id = (?1 >> 16) & 255 LIMIT 1), (?1 >> 16) & 255)
					|| ''/'' || (?1 & 65535)'
			END,
			CASE :by
				WHEN 'host' THEN r.name
				WHEN 'port' THEN (p.direction << 24) | (p.protocol_id << 16) | p.port
				ELSE p.actor
			END,
			:by = 'host', r.id, r.address,
			p.flows, p.failed, p.open, p.octets_out, p.octets_in, p.first_us, p.last_us)
		FROM parts AS p
		CROSS JOIN remote AS r ON r.id = p.remote
	))
)
SELECT
	iif(:by = 'host', (SELECT r.ip || iif(n.name <> '', ' ' || n.name, '')
		FROM remote AS r LEFT JOIN name AS n ON n.id = r.name WHERE r.id = s.remote), what) AS what,
	octets_out, octets_in, flows, failed, open, hosts, first_us AS first_time,
	last_us AS last_time
FROM sums AS s
ORDER BY octets_out + octets_in DESC, flows DESC
