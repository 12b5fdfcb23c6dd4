-- Follow: flows as they end and as they open, for 'lastconn tail', which asks twice a second.
-- It leaves out what it has printed. The first three columns are for it.
--
-- param after: ended later than this [time]
-- param seen: ids of the flows that were printed, a JSON array [text]
-- param open_after: open ones that began later than this [time]
-- param open_seen: ids of the open ones that were printed, a JSON array [text]
-- param host: remote address, network, name or *.example.com [host]
-- param exe: program, path or file name, may hold * and ? [text]
-- param pid: process id [integer]
-- param user: name or uid [user]
-- param unit: systemd unit, of the system or of a user, may hold * and ? [text]
-- param container: id or name of a container or pod, or how it begins [text]
-- param port: port of either end [integer]
-- param proto: protocol [protocol]
-- param direction: who began [in|out|forwarded]
-- param limit: stop after so many rows [limit default=0]
--
-- column flow_id: key of the flow when it is over [integer wide]
-- column open_id: key of the flow while it is open [integer wide]
-- column start_us: when it began [integer wide]
-- column end_time "last": when it ended, or was last seen [time_us]
-- column duration_us: from begin to end [duration_us]
-- column proto: protocol, and the tunnel that a captured flow was in [narrow]
-- column protocol: tcp, udp, icmp, ... [wide]
-- column way "dir": who began; for in, the local port [narrow]
-- column direction: who began: out, in, forwarded, unknown [wide]
-- column remote: remote address and port [narrow]
-- column remote_ip: remote address [wide]
-- column remote_port: remote port [integer wide]
-- column remote_name: name of the remote host as seen at the time [wide]
-- column local_ip: local address [wide]
-- column local_port: local port [integer wide]
-- column octets_out "out": payload sent [octets]
-- column octets_in "in": payload received [octets]
-- column outcome: how it ended, or open [outcome]
-- column pid: process that used the socket [integer]
-- column user: whose process [user]
-- column program: path of the program, as its container shows it, after CONTAINER: [long narrow]
-- column exe: path of the program, as its own root shows it [wide]
-- column cmdline: command line [wide]
-- column unit: systemd unit [wide]
-- column user_unit: unit of the user's own systemd [wide]
-- column container: id or name of the container [wide]
-- column method: how the process was found [wide]
-- column tunnel: that a captured flow was in: vxlan:NETWORK, gre:KEY, ipip, 6in4, ... [wide]

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
found (flow_id, open_id, start_us, end_us, actor, process, remote, local, remote_port, local_port,
	kind, octets_out, octets_in) AS (
	SELECT f.end_us, NULL, f.end_us - f.duration_us, f.end_us, f.actor, f.process, f.remote,
		f.local, f.remote_port, f.local_port, f.kind, f.octets_out, f.octets_in
	FROM flow AS f
	WHERE f.end_us > :after
	AND f.end_us NOT IN (SELECT value FROM json_each(:seen))
	UNION ALL
	SELECT NULL, (f.run << 40) + f.serial, f.start_us, f.seen_us, f.actor, f.process, f.remote,
		f.local, f.remote_port, f.local_port, f.kind, f.octets_out, f.octets_in
	FROM open_flow AS f
	WHERE f.start_us > :open_after
	AND (f.run << 40) + f.serial NOT IN (SELECT value FROM json_each(:open_seen))
)
SELECT
	f.flow_id,
	f.open_id,
	f.start_us,
	f.end_us AS end_time,
	f.end_us - f.start_us AS duration_us,
	k.protocol || coalesce(' in ' || nullif(l.interface, ''), '') AS proto,
	k.protocol,
	k.direction || CASE k.direction WHEN 'in' THEN ' :' || f.local_port
		WHEN 'forwarded' THEN ' from ' || l.ip ELSE '' END AS way,
	k.direction,
	iif(instr(r.ip, ':'), '[' || r.ip || ']', r.ip) || ':' || f.remote_port AS remote,
	r.ip AS remote_ip,
	f.remote_port,
	nullif(n.name, '') AS remote_name,
	l.ip AS local_ip,
	f.local_port,
	f.octets_out,
	f.octets_in,
	k.outcome,
	p.pid,
	nullif(a.uid, -1) AS user,
	coalesce(substr(u.container, 1, 12) || ':', '') || nullif(e.path, '') AS program,
	nullif(e.path, '') AS exe,
	nullif(p.cmdline, '') AS cmdline,
	u.unit,
	u.user_unit,
	u.container,
	k.method,
	nullif(l.interface, '') AS tunnel
FROM found AS f
LEFT JOIN kind AS k ON k.id = f.kind
LEFT JOIN local AS l ON l.id = f.local
LEFT JOIN remote AS r ON r.id = f.remote
LEFT JOIN name AS n ON n.id = r.name
LEFT JOIN actor AS a ON a.id = f.actor
LEFT JOIN executable AS e ON e.id = a.executable
LEFT JOIN unit AS u ON u.id = a.unit
LEFT JOIN process AS p ON p.id = f.process
WHERE TRUE
--:host	AND f.remote IN (SELECT id FROM remotes)
--:exe	AND (e.path GLOB :exe OR e.path = :exe
--:exe		OR (instr(:exe, '/') = 0 AND e.path GLOB '*/' || :exe))
--:pid	AND p.pid = :pid
--:user	AND a.uid = :user
--:unit	AND (:unit || '.service' IN (u.unit, u.user_unit) OR u.unit GLOB :unit
--:unit		OR u.user_unit GLOB :unit)
--:container	AND :container IN (substr(u.container, 1, length(:container)),
--:container		substr(u.pod, 1, length(:container)))
--:port	AND :port IN (f.remote_port, f.local_port)
--:proto	AND k.protocol_id = :proto
--:direction	AND k.direction = :direction
ORDER BY f.end_us
