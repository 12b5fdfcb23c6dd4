-- What a process was: program, user, who started it, what it reached and where it listened.
-- One block a process, the latest first. With 'since' only processes that began or had flows in the
-- window; without, the latest that began before 'until'. Of their flows those count that were alive in
-- the window.
--
-- param pid: process id; a pid that was reused gives several processes [integer]
-- param exe: program, path or file name, may hold * and ? [text]
-- param since: began or had flows at or after this time [time]
-- param until: began before this time [time]
-- param user: name or uid [user]
-- param unit: systemd unit, of the system or of a user, may hold * and ? [text]
-- param container: id or name of a container or pod, or how it begins [text]
-- param limit: processes at most [limit default=10]
--
-- layout record
-- footer coverage of flows
-- column pid: process id [integer]
-- column pid_inside "pid inside": the pid that it and its container know it by [integer narrow]
-- column start_time "started": when the process began [time_us]
-- column user: whose [user]
-- column login_user "login": who had logged in [user]
-- column exe "program": path of the program [long]
-- column note: what is special about the program file
-- column comm "name": short name [text]
-- column cmdline "command": command line [long]
-- column script: the script behind an interpreter [long]
-- column unit: systemd unit
-- column user_unit "user unit": unit of the user's own systemd
-- column container: id or name
-- column container_runtime "engine": docker, podman, containerd, cri-o, lxc, ...
-- column pod: uid of the Kubernetes pod, id of the podman pod
-- column inner_pid: its pid in its own pid namespace [integer wide]
-- column netns: inode number of the network namespace [integer wide]
-- column ancestors "started by": parent first: pid, program, command line [list]
-- column flows: how many, open ones included [integer]
-- column failed: refused, timed out or unreachable [integer]
-- column octets_out "out": payload sent [octets]
-- column octets_in "in": payload received [octets]
-- column first_time "first flow": begin of the first flow [time_us]
-- column last_time "last flow": end or last sighting of the last one [time_us]
-- column reached: direction, protocol, port of the service, host and number of flows [list]
-- column listened: protocol, address and port [list]

WITH RECURSIVE
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
--!pid {
-- process_by_block is by block of ids, and then by actor.
blocks (n) AS (
	SELECT min(id) / 8192 FROM process
	UNION ALL
	SELECT n + 1 FROM blocks WHERE n < (SELECT max(id) / 8192 FROM process)
),
--}
candidates (id, actor, start_us) AS MATERIALIZED (
--:pid	SELECT id, actor, start_us FROM process
--:pid	WHERE pid = :pid AND actor IN (SELECT id FROM actors)
--!pid	SELECT p.id, p.actor, p.start_us
--!pid	FROM blocks AS b
--!pid	CROSS JOIN actors AS a
--!pid	CROSS JOIN process AS p INDEXED BY process_by_block
--!pid		ON p.id / 8192 = b.n AND p.actor = a.id
--!pid	WHERE TRUE
--:until	AND start_us < :until
--!since	ORDER BY start_us DESC, 1 DESC LIMIT :limit
),
bits (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM bits WHERE n < 23),
hours (hour) AS MATERIALIZED (
	SELECT DISTINCT d.day * 24 + b.n
	FROM (
		SELECT DISTINCT day, hours
		FROM contact_day
		WHERE actor IN (SELECT actor FROM candidates)
		AND day >= (SELECT min(start_us) / 86400000000 FROM candidates)
--:since	AND day >= :since / 86400000000 AND last_us >= :since
	) AS d
	CROSS JOIN bits AS b ON (d.hours >> b.n) & 1
),
flows (process, remote, service_port, kind, octets_out, octets_in, start_us, end_us) AS MATERIALIZED (
	SELECT f.process, f.remote,
		CASE k.direction WHEN 'out' THEN f.remote_port WHEN 'in' THEN f.local_port
			WHEN 'forwarded' THEN f.remote_port
			ELSE coalesce(min(nullif(f.remote_port, 0), nullif(f.local_port, 0)),
				max(f.remote_port, f.local_port)) END, f.kind,
		f.octets_out, f.octets_in, f.end_us - f.duration_us, f.end_us
	FROM flow_hour AS h
	CROSS JOIN flow AS f
		ON f.end_us >= h.hour * 3600000000 AND f.end_us < (h.hour + 1) * 3600000000
	LEFT JOIN kind AS k ON k.id = f.kind
	WHERE (+h.hour IN (SELECT hour FROM hours)
		OR h.hour >= (SELECT settled_us / 3600000000 FROM rollup_state))
	AND f.process IN (SELECT id FROM candidates)
--:since	AND +f.end_us >= :since
--:until	AND f.end_us - f.duration_us < :until
	UNION ALL
	SELECT f.process, f.remote,
		CASE k.direction WHEN 'out' THEN f.remote_port WHEN 'in' THEN f.local_port
			WHEN 'forwarded' THEN f.remote_port
			ELSE coalesce(min(nullif(f.remote_port, 0), nullif(f.local_port, 0)),
				max(f.remote_port, f.local_port)) END, f.kind,
		f.octets_out, f.octets_in, f.start_us, f.seen_us
	FROM open_flow AS f
	LEFT JOIN kind AS k ON k.id = f.kind
	WHERE f.process IN (SELECT id FROM candidates)
--:since	AND f.seen_us >= :since
--:until	AND f.start_us < :until
),
chosen (id) AS MATERIALIZED (
	SELECT id FROM candidates
--:since	WHERE start_us >= :since OR id IN (SELECT process FROM flows)
	ORDER BY start_us DESC, id DESC
	LIMIT :limit
),
sums AS (
	SELECT f.process, count(*) AS flows,
		sum(k.outcome IN ('refused', 'timeout', 'unreachable')) AS failed,
		sum(f.octets_out) AS octets_out, sum(f.octets_in) AS octets_in,
		min(f.start_us) AS first_us, max(f.end_us) AS last_us
	FROM flows AS f
	LEFT JOIN kind AS k ON k.id = f.kind
	WHERE f.process IN (SELECT id FROM chosen)
	GROUP BY f.process
),
reached AS (
	SELECT process, json_group_array(text) AS texts
	FROM (
		SELECT process,
			iif(place <= 20, direction || ' ' || protocol
				|| iif(service_port, '/' || service_port, '')
				|| ' ' || ip || iif(name <> '', ' (' || name || ')', '')
				|| iif(flows > 1, ' x' || flows, '')
				|| iif(failed, ', ' || failed || ' failed', ''),
				(places - 20) || ' more') AS text
		FROM (
			SELECT f.process, k.direction, k.protocol, f.service_port, r.ip, n.name,
				count(*) AS flows,
				sum(k.outcome IN ('refused', 'timeout', 'unreachable')) AS failed,
				row_number() OVER (PARTITION BY f.process
					ORDER BY count(*) DESC, max(f.end_us) DESC) AS place,
				count(*) OVER (PARTITION BY f.process) AS places
			FROM flows AS f
			LEFT JOIN kind AS k ON k.id = f.kind
			LEFT JOIN remote AS r ON r.id = f.remote
			LEFT JOIN name AS n ON n.id = r.name
			WHERE f.process IN (SELECT id FROM chosen)
			GROUP BY f.process, k.direction, k.protocol, f.service_port, r.ip, n.name
		)
		WHERE place <= 21
		ORDER BY process, place
	)
	GROUP BY process
),
listened AS (
	SELECT li.process, json_group_array(DISTINCT li.protocol || ' '
		|| iif(instr(l.ip, ':'), '[' || l.ip || ']', l.ip) || ':' || li.local_port) AS texts
	FROM listener AS li
	LEFT JOIN local AS l ON l.id = li.local
	WHERE li.process IN (SELECT id FROM chosen)
	GROUP BY li.process
),
ancestors (process, place, parent) AS (
	SELECT c.id, 1, p.parent FROM chosen AS c CROSS JOIN process AS p ON p.id = c.id
	UNION ALL
	SELECT x.process, x.place + 1, p.parent
	FROM ancestors AS x CROSS JOIN process AS p ON p.id = x.parent
	WHERE x.place < 32
),
lines AS (
	SELECT process, json_group_array(text) AS texts
	FROM (
		SELECT x.process, p.pid || ' ' || coalesce(nullif(e.path, ''), p.comm)
			|| iif(p.cmdline <> '', ': ' || p.cmdline, '') AS text
		FROM ancestors AS x
		CROSS JOIN process AS p ON p.id = x.parent
		LEFT JOIN actor AS a ON a.id = p.actor
		LEFT JOIN executable AS e ON e.id = a.executable
		ORDER BY x.process, x.place
	)
	GROUP BY process
)
SELECT
	p.pid,
	nullif(p.inner_pid, p.pid) AS pid_inside,
	nullif(p.start_us, 0) AS start_time,
	nullif(a.uid, -1) AS user,
	p.loginuid AS login_user,
	nullif(e.path, '') AS exe,
	nullif(rtrim(iif(e.flags & 1, 'file deleted, ', '') || iif(e.flags & 2, 'memory file, ', '')
		|| iif(e.flags & 4, 'path cut, ', '') || iif(p.flags & 8, 'command line cut, ', '')
		|| iif(p.flags & 16, 'kernel thread, ', '') || iif(p.flags & 32, 'polled, ', ''), ', '),
		'') AS note,
	nullif(p.comm, '') AS comm,
	nullif(p.cmdline, '') AS cmdline,
	p.script,
	u.unit,
	u.user_unit,
	u.container,
	u.runtime AS container_runtime,
	u.pod,
	p.inner_pid,
	p.netns,
	coalesce(y.texts, iif(p.ppid IS NULL, '[]', json_array('' || p.ppid))) AS ancestors,
	coalesce(s.flows, 0) AS flows,
	coalesce(s.failed, 0) AS failed,
	coalesce(s.octets_out, 0) AS octets_out,
	coalesce(s.octets_in, 0) AS octets_in,
	s.first_us AS first_time,
	s.last_us AS last_time,
	coalesce(r.texts, '[]') AS reached,
	coalesce(li.texts, '[]') AS listened
FROM chosen AS c
CROSS JOIN process AS p ON p.id = c.id
LEFT JOIN actor AS a ON a.id = p.actor
LEFT JOIN executable AS e ON e.id = a.executable
LEFT JOIN unit AS u ON u.id = a.unit
LEFT JOIN sums AS s ON s.process = c.id
LEFT JOIN reached AS r ON r.process = c.id
LEFT JOIN listened AS li ON li.process = c.id
LEFT JOIN lines AS y ON y.process = c.id
ORDER BY p.start_us DESC, p.id DESC
