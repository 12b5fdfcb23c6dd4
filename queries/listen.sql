-- Who listened where, since when, until when, and how many reached it.
-- One row a program, user and unit at one local end, however often it began to listen there; those that
-- still listen first, of these the latest. Flows are read in those hours in which some of these ports
-- were reached.
--
-- param since: still listened at or after this time [time]
-- param until: began to listen before this time [time]
-- param exe: program, path or file name, may hold * and ? [text]
-- param pid: process id [integer]
-- param user: name or uid [user]
-- param unit: systemd unit, of the system or of a user, may hold * and ? [text]
-- param container: id or name of a container or pod, or how it begins [text]
-- param port: local port [integer]
-- param proto: protocol [protocol]
-- param limit: rows at most [limit default=0]
--
-- column protocol "proto": tcp, udp, ...
-- column local: local address and port [narrow]
-- column local_ip: local address, 0.0.0.0 and :: are all [wide]
-- column local_port: local port [integer wide]
-- column from_time "since": when it was first seen to listen there [time_us]
-- column until_time "until": when it ceased; null: not yet [time_us]
-- column times: how often it began [integer]
-- column flows "reached": flows that came in, open ones included [integer]
-- column hosts: different remote addresses of these [integer]
-- column last_time "last reached": end or last sighting of the last of them [time_us]
-- column pid: the latest process [integer]
-- column user: whose process [user]
-- column program: path of the program, as its container shows it, after CONTAINER: [long narrow]
-- column exe: path of the program, as its own root shows it [wide]
-- column cmdline: command line [wide]
-- column unit: systemd unit [wide]
-- column user_unit: unit of the user's own systemd [wide]
-- column container: id or name of the container [wide]
-- column netns: inode number of the network namespace [integer wide]
-- column method: how the process was found [wide]

WITH
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
),
-- id: of the latest of them.
chosen (id, protocol_id, protocol, local_port, ip, netns, actor, from_us, until_us, times)
	AS MATERIALIZED (
	SELECT json_extract(max(json_array(printf('%020d', li.from_us), li.id)), '$[1]'),
		li.protocol_id, li.protocol, li.local_port, l.ip, l.netns, p.actor, min(li.from_us),
		iif(count(*) > count(li.until_us), NULL, max(li.until_us)), count(*)
	FROM listener AS li
	LEFT JOIN local AS l ON l.id = li.local
	LEFT JOIN process AS p ON p.id = li.process
	WHERE TRUE
--:since	AND (li.until_us IS NULL OR li.until_us >= :since)
--:until	AND li.from_us < :until
--:exe,user,unit,container	AND p.actor IN (SELECT id FROM actors)
--:pid	AND p.pid = :pid
--:port	AND li.local_port = :port
--:proto	AND li.protocol_id = :proto
	GROUP BY li.protocol_id, li.local, li.local_port, p.actor
	ORDER BY count(*) = count(li.until_us), min(li.from_us) DESC, li.local_port
	LIMIT :limit
),
bits (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM bits WHERE n < 23),
hours (hour) AS MATERIALIZED (
	SELECT DISTINCT d.day * 24 + b.n
	FROM (
		SELECT DISTINCT day, hours
		FROM contact_day
		WHERE day >= (SELECT min(from_us) / 86400000000 FROM chosen)
		AND direction = 2
		AND (protocol_id, port) IN (SELECT protocol_id, local_port FROM chosen)
	) AS d
	CROSS JOIN bits AS b ON (d.hours >> b.n) & 1
),
incoming (kind, local, local_port, remote, start_us, end_us) AS (
	SELECT f.kind, f.local, f.local_port, f.remote, f.end_us - f.duration_us, f.end_us
	FROM flow_hour AS h
	CROSS JOIN flow AS f
		ON f.end_us >= h.hour * 3600000000 AND f.end_us < (h.hour + 1) * 3600000000
	WHERE (+h.hour IN (SELECT hour FROM hours)
		OR h.hour >= (SELECT settled_us / 3600000000 FROM rollup_state))
	AND f.local_port IN (SELECT local_port FROM chosen)
	UNION ALL
	SELECT f.kind, f.local, f.local_port, f.remote, f.start_us, f.seen_us
	FROM open_flow AS f
	WHERE f.local_port IN (SELECT local_port FROM chosen)
),
-- '::' may take IPv4 as well: that is the socket's own choice (IPV6_V6ONLY), which is not known.
reached (id, flows, hosts, last_us) AS MATERIALIZED (
	SELECT c.id, count(*), count(DISTINCT r.ip), max(f.end_us)
	FROM incoming AS f
	CROSS JOIN kind AS k ON k.id = f.kind AND k.direction = 'in'
	CROSS JOIN chosen AS c ON c.local_port = f.local_port AND c.protocol_id = k.protocol_id
	CROSS JOIN local AS l ON l.id = f.local AND l.netns = c.netns
	CROSS JOIN remote AS r ON r.id = f.remote
	WHERE (c.ip IN ('::', l.ip) OR (c.ip = '0.0.0.0' AND length(l.address) = 4))
	AND f.end_us >= c.from_us
	AND (c.until_us IS NULL OR f.start_us <= c.until_us)
	GROUP BY c.id
)
SELECT
	c.protocol,
	iif(instr(c.ip, ':'), '[' || c.ip || ']', c.ip) || ':' || c.local_port AS local,
	c.ip AS local_ip,
	c.local_port,
	c.from_us AS from_time,
	c.until_us AS until_time,
	c.times,
	coalesce(r.flows, 0) AS flows,
	coalesce(r.hosts, 0) AS hosts,
	r.last_us AS last_time,
	p.pid,
	nullif(a.uid, -1) AS user,
	coalesce(substr(u.container, 1, 12) || ':', '') || nullif(e.path, '') AS program,
	nullif(e.path, '') AS exe,
	nullif(p.cmdline, '') AS cmdline,
	u.unit,
	u.user_unit,
	u.container,
	nullif(c.netns, 0) AS netns,
	li.method
FROM chosen AS c
CROSS JOIN listener AS li ON li.id = c.id
LEFT JOIN reached AS r ON r.id = c.id
LEFT JOIN process AS p ON p.id = li.process
LEFT JOIN actor AS a ON a.id = c.actor
LEFT JOIN executable AS e ON e.id = a.executable
LEFT JOIN unit AS u ON u.id = a.unit
ORDER BY c.until_us IS NOT NULL, c.from_us DESC, c.local_port
