-- Sockets open at a moment: flows that had begun and not ended, and listeners.
-- Flows are read from that moment on, only in those hours whose longest flow reaches back to it.
--
-- param time: the moment [time required]
-- param host: remote address, network, name or *.example.com [host]
-- param exe: program, path or file name, may hold * and ? [text]
-- param pid: process id [integer]
-- param user: name or uid [user]
-- param unit: systemd unit, of the system or of a user, may hold * and ? [text]
-- param container: id or name of a container or pod, or how it begins [text]
-- param port: port of either end [integer]
-- param proto: protocol [protocol]
-- param direction: who began; leaves listeners out [in|out|forwarded]
-- param limit: rows at most [limit default=0]
--
-- footer coverage of flows
-- column state: listen, open: not over yet, or how the flow ended later [outcome]
-- column protocol "proto": tcp, udp, icmp, ...
-- column direction "dir": who began: out, in, forwarded, unknown; null: listener
-- column local: local address and port [narrow]
-- column remote: remote address and port [narrow]
-- column local_ip: local address [wide]
-- column local_port: local port [integer wide]
-- column remote_ip: remote address [wide]
-- column remote_port: remote port [integer wide]
-- column remote_name: name of the remote host as seen at the time [wide]
-- column start_time "since": when the flow or the listener began [time_us]
-- column end_time "until": when it ended; null: not yet [time_us]
-- column octets_out "out": payload sent in its whole life [octets]
-- column octets_in "in": payload received [octets]
-- column pid: process [integer]
-- column user: whose process [user]
-- column program: path of the program, as its container shows it, after CONTAINER: [long narrow]
-- column exe: path of the program, as its own root shows it [wide]
-- column cmdline: command line [wide]
-- column unit: systemd unit [wide]
-- column user_unit: unit of the user's own systemd [wide]
-- column container: id or name of the container [wide]
-- column method: how the process was found [wide]

WITH
remotes (id) AS MATERIALIZED (
	SELECT NULL WHERE FALSE
--:host_first	UNION SELECT id FROM remote WHERE address BETWEEN :host_first AND :host_last
--:host_first		AND length(address) = length(:host_first)
--:host_name	UNION SELECT r.id FROM name AS n CROSS JOIN remote AS r ON r.name = n.id
--:host_name		WHERE n.reversed = :host_name AND r.name <> 0
--:host_suffix	UNION SELECT r.id FROM name AS n CROSS JOIN remote AS r ON r.name = n.id
--:host_suffix		WHERE n.reversed > :host_suffix AND n.reversed < rtrim(:host_suffix, '.') || '/'
--:host_suffix		AND r.name <> 0
--:host_ips	UNION SELECT id FROM remote WHERE ip IN (SELECT value FROM json_each(:host_ips))
),
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
--:pid processes (id) AS MATERIALIZED (SELECT id FROM process WHERE pid = :pid),
found (start_us, end_us, actor, process, remote, local, remote_port, local_port, kind, octets_out,
	octets_in) AS (
	SELECT f.end_us - f.duration_us, f.end_us, f.actor, f.process, f.remote, f.local,
		f.remote_port, f.local_port, f.kind, f.octets_out, f.octets_in
	FROM flow_hour AS h
	CROSS JOIN flow AS f
		ON f.end_us >= h.hour * 3600000000 AND f.end_us < (h.hour + 1) * 3600000000
	WHERE h.hour >= :time / 3600000000
	AND h.hour * 3600000000 - h.max_duration_us <= :time
	AND +f.end_us >= :time
	AND f.end_us - f.duration_us <= :time
	UNION ALL
	SELECT f.start_us, NULL, f.actor, f.process, f.remote, f.local,
		f.remote_port, f.local_port, f.kind, f.octets_out, f.octets_in
	FROM open_flow AS f
	WHERE f.start_us <= :time
),
flows AS (
	SELECT * FROM found AS f
	WHERE TRUE
--:host	AND f.remote IN (SELECT id FROM remotes)
--:exe,user,unit,container	AND f.actor IN (SELECT id FROM actors)
--:pid	AND f.process IN (SELECT id FROM processes)
--:port	AND :port IN (f.remote_port, f.local_port)
--:proto,direction	AND f.kind IN (SELECT id FROM kind WHERE TRUE
--:proto		AND protocol_id = :proto
--:direction		AND direction = :direction
--:proto,direction		)
),
sockets AS (
	SELECT k.outcome AS state, k.protocol, k.direction, f.local, f.local_port, r.ip AS remote_ip,
		f.remote_port, nullif(n.name, '') AS remote_name, f.start_us, f.end_us, f.octets_out,
		f.octets_in, f.process, f.actor, k.method
	FROM flows AS f
	LEFT JOIN kind AS k ON k.id = f.kind
	LEFT JOIN remote AS r ON r.id = f.remote
	LEFT JOIN name AS n ON n.id = r.name
--!host,direction {
	UNION ALL
	SELECT 'listen', li.protocol, NULL, li.local, li.local_port, NULL, NULL, NULL, li.from_us,
		li.until_us, NULL, NULL, li.process, p.actor, li.method
	FROM listener AS li
	LEFT JOIN process AS p ON p.id = li.process
	WHERE li.from_us <= :time AND (li.until_us IS NULL OR li.until_us > :time)
--:exe,user,unit,container	AND p.actor IN (SELECT id FROM actors)
--:pid	AND li.process IN (SELECT id FROM processes)
--:port	AND li.local_port = :port
--:proto	AND li.protocol_id = :proto
--}
)
SELECT
	s.state,
	s.protocol,
	s.direction,
	iif(instr(l.ip, ':'), '[' || l.ip || ']', l.ip) || ':' || s.local_port AS local,
	iif(instr(s.remote_ip, ':'), '[' || s.remote_ip || ']', s.remote_ip) || ':' || s.remote_port
		AS remote,
	l.ip AS local_ip,
	s.local_port,
	s.remote_ip,
	s.remote_port,
	s.remote_name,
	s.start_us AS start_time,
	s.end_us AS end_time,
	s.octets_out,
	s.octets_in,
	p.pid,
	nullif(a.uid, -1) AS user,
	coalesce(substr(u.container, 1, 12) || ':', '') || nullif(e.path, '') AS program,
	nullif(e.path, '') AS exe,
	nullif(p.cmdline, '') AS cmdline,
	u.unit,
	u.user_unit,
	u.container,
	s.method
FROM sockets AS s
LEFT JOIN local AS l ON l.id = s.local
LEFT JOIN process AS p ON p.id = s.process
LEFT JOIN actor AS a ON a.id = s.actor
LEFT JOIN executable AS e ON e.id = a.executable
LEFT JOIN unit AS u ON u.id = a.unit
ORDER BY s.state = 'listen' DESC, s.protocol, s.start_us
LIMIT :limit
