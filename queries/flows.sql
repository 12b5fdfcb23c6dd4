-- Single flows, newest first; those that are still open are among them.
-- A flow is in the window if it was alive in it: it ended at or after 'since' and began before
-- 'until'. Flows are read from the newest hour backwards; what is known of a host or a program
-- (contact_day; rollup_state says what it does not count yet) names the hours worth reading.
--
-- param host: remote address, before or beyond NAT, network, name or *.example.com [host]
-- param since: alive at or after this time [time]
-- param until: begun before this time [time]
-- param exe: program, path or file name, may hold * and ? [text]
-- param pid: process id [integer]
-- param user: name or uid [user]
-- param unit: systemd unit, of the system or of a user, may hold * and ? [text]
-- param container: id or name of a container or pod, or how it begins [text]
-- param port: port of either end [integer]
-- param proto: protocol [protocol]
-- param direction: who began [in|out|forwarded]
-- param limit: rows at most [limit default=50]
--
-- footer coverage of flows
-- column flow_id: key of the flow while it is over; null while it is open [integer wide]
-- column end_time "last": when it ended, or was last seen [time_us]
-- column start_time: when it began [time_us wide]
-- column duration_us: from begin to end [duration_us]
-- column proto: protocol, and the tunnel that a captured flow was in [narrow]
-- column protocol: tcp, udp, icmp, ... [wide]
-- column way "dir": who began; for in, the local port; as, at: the local end beyond NAT [narrow]
-- column direction: who began: out, in, forwarded, unknown [wide]
-- column remote: remote address and port; to, from: beyond NAT [narrow]
-- column remote_ip: remote address [wide]
-- column remote_port: remote port [integer wide]
-- column name: name of the remote host, and how it is known: see lastconn(1) [long narrow]
-- column remote_name: name of the remote host as seen at the time [wide]
-- column name_source: where the name is from [wide]
-- column address_name: name of host that only evidence about the address tells [wide]
-- column local_ip: local address [wide]
-- column local_port: local port [integer wide]
-- column octets_out "out": payload sent [octets]
-- column octets_in "in": payload received [octets]
-- column packets_out: packets sent [integer wide]
-- column packets_in: packets received [integer wide]
-- column retransmits: segments sent again [integer wide]
-- column rtt_us: smoothed round trip in microseconds [integer wide]
-- column outcome: how it ended, or open [outcome]
-- column error: errno of the socket, 0 none [integer wide]
-- column pid: process that used the socket [integer]
-- column user: whose process [user]
-- column uid: its number [integer wide]
-- column login_user: who had logged in [user wide]
-- column program: path of the program, as its container shows it, after CONTAINER: [long narrow]
-- column exe: path of the program, as its own root shows it [wide]
-- column comm: short name of the process [wide]
-- column cmdline: command line [wide]
-- column process_start: tells a reused pid apart [time_us wide]
-- column ppid: parent [integer wide]
-- column parent_exe: program of the parent [wide]
-- column unit: systemd unit [wide]
-- column user_unit: unit of the user's own systemd [wide]
-- column container: id or name of the container [wide]
-- column container_runtime: docker, podman, containerd, cri-o, lxc, ... [wide]
-- column pod: uid of the Kubernetes pod, id of the podman pod [wide]
-- column netns: inode number of the network namespace [integer wide]
-- column opener_pid: process that made the socket, if another one [integer wide]
-- column opener_exe: its program [wide]
-- column method: how the process was found [wide]
-- column source: what saw the flow [wide]
-- column tunnel: that a captured flow was in: vxlan:NETWORK, gre:KEY, ipip, 6in4, ... [wide]
-- column translated_local_ip: local address beyond NAT, if it is another one [wide]
-- column translated_local_port: its port [integer wide]
-- column translated_remote_ip: remote address beyond NAT, if it is another one [wide]
-- column translated_remote_port: its port [integer wide]

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
--:host_first {
-- Flows whose remote end is the host only beyond NAT.
beyond (end_us) AS MATERIALIZED (
	SELECT t.end_us FROM remotes AS r CROSS JOIN flow_nat AS t ON t.remote = r.id
),
--}
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
kinds (id) AS MATERIALIZED (
	SELECT id FROM kind
	WHERE TRUE
--:proto	AND protocol_id = :proto
--:direction	AND direction = :direction
),
bits (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM bits WHERE n < 23),
--:host {
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
days (day, actor, hours, first_us, last_us) AS (
	SELECT d.day, d.actor, d.hours, d.first_us, d.last_us
	FROM visits AS v CROSS JOIN contact_day AS d ON d.day = v.day AND d.remote = v.remote
--:since	WHERE v.day >= :since / 86400000000
	UNION ALL
	SELECT d.day, d.actor, d.hours, d.first_us, d.last_us
	FROM few AS w CROSS JOIN contact_day AS d
	WHERE NOT w.yes AND d.remote IN (SELECT id FROM remotes)
--:since	AND d.day >= :since / 86400000000
),
hours (hour) AS MATERIALIZED (
	SELECT DISTINCT d.day * 24 + b.n
	FROM (
		SELECT DISTINCT day, hours FROM days
		WHERE actor IN (SELECT id FROM actors)
--:since	AND last_us >= :since
--:until	AND first_us < :until
	) AS d
	CROSS JOIN bits AS b ON (d.hours >> b.n) & 1
),
--}
--!host {
--:exe,user,unit,container,pid {
-- Day after day back, until there are enough flows. Those count that are kept, each of their row, and
-- that no other condition leaves out.
whole (from_us) AS MATERIALIZED (
	SELECT coalesce(max(whole_us), 0) FROM retention WHERE what = 'flow'
),
days (day, after) AS (
	SELECT (SELECT max(day) FROM contact_day), NULL WHERE EXISTS (SELECT 1 FROM actors)
	UNION ALL
	SELECT (SELECT max(day) FROM contact_day WHERE day < d.day), d.day FROM days AS d
	WHERE d.day IS NOT NULL
--:since	AND d.day > :since / 86400000000
--:pid	AND d.day > (SELECT min(start_us) / 86400000000 FROM process WHERE pid = :pid)
),
back (day, found, flows) AS (
	VALUES (NULL, '[0,[]]', 0)
	UNION ALL
	SELECT b.day, (
			SELECT json_array(
--:pid			0,
--!pid			coalesce(sum(d.flows) FILTER (WHERE d.first_us > (SELECT from_us FROM whole)
--!pid {
--:port				AND d.port = :port -- of the service, which is one of both ends
--:since				AND d.first_us >= :since
--:until				AND d.last_us < :until
--:proto				AND d.protocol_id = :proto
--:direction				AND d.direction = CASE :direction WHEN 'out' THEN 1 WHEN 'in' THEN 2
--:direction					WHEN 'forwarded' THEN 3 END
				), 0),
--}
				json_group_array(DISTINCT d.hours))
			FROM contact_day AS d
			WHERE d.day = b.day AND d.actor IN (SELECT id FROM actors)
--:since		AND d.last_us >= :since
--:until		AND d.first_us < :until
		), w.flows + json_extract(w.found, '$[0]')
	FROM back AS w CROSS JOIN days AS b ON b.after IS w.day AND b.day IS NOT NULL
	WHERE :limit < 0 OR w.flows + json_extract(w.found, '$[0]') < :limit
),
hours (hour) AS MATERIALIZED (
	SELECT DISTINCT d.day * 24 + b.n
	FROM back AS d CROSS JOIN json_each(d.found, '$[1]') AS h
	CROSS JOIN bits AS b ON (h.value >> b.n) & 1
),
--}
--}
ended AS MATERIALIZED (
	SELECT f.*
	FROM flow_hour AS h
	CROSS JOIN flow AS f
		ON f.end_us >= h.hour * 3600000000 AND f.end_us < (h.hour + 1) * 3600000000
	WHERE TRUE
--:since	AND h.hour >= :since / 3600000000 AND +f.end_us >= :since
--:until	AND h.hour * 3600000000 - h.max_duration_us < :until
--:until	AND f.end_us - f.duration_us < :until
--:host,exe,user,unit,container,pid	AND (+h.hour IN (SELECT hour FROM hours)
--:host_first		OR +h.hour IN (SELECT end_us / 3600000000 FROM beyond)
--:host,exe,user,unit,container,pid		OR h.hour >= (SELECT settled_us / 3600000000 FROM rollup_state))
--:host	AND (f.remote IN (SELECT id FROM remotes)
--:host_first		OR +f.end_us IN (SELECT end_us FROM beyond)
--:host	)
--:host_loose	AND (f.remote NOT IN (SELECT remote FROM loose) OR EXISTS (SELECT 1
--:host_loose		FROM loose AS w WHERE w.remote = f.remote
--:host_loose		AND f.end_us - f.duration_us BETWEEN w.from_us AND w.until_us))
--:exe,user,unit,container,pid	AND f.actor IN (SELECT id FROM actors)
--:pid	AND h.hour >= (SELECT min(start_us) / 3600000000 FROM process WHERE pid = :pid)
--:pid	AND f.process IN (SELECT id FROM process WHERE pid = :pid)
--:port	AND :port IN (f.remote_port, f.local_port)
--:proto,direction	AND f.kind IN (SELECT id FROM kinds)
	ORDER BY h.hour DESC, f.end_us DESC
	LIMIT :limit
),
opened AS MATERIALIZED (
	SELECT f.*
	FROM open_flow AS f
	WHERE TRUE
--:since	AND f.seen_us >= :since
--:until	AND f.start_us < :until
--:host	AND (f.remote IN (SELECT id FROM remotes)
--:host_first		OR f.nat_remote IN (SELECT id FROM remotes)
--:host	)
--:host_loose	AND (f.remote NOT IN (SELECT remote FROM loose) OR EXISTS (SELECT 1
--:host_loose		FROM loose AS w WHERE w.remote = f.remote
--:host_loose		AND f.start_us BETWEEN w.from_us AND w.until_us))
--:exe,user,unit,container,pid	AND f.actor IN (SELECT id FROM actors)
--:pid	AND f.process IN (SELECT id FROM process WHERE pid = :pid)
--:port	AND :port IN (f.remote_port, f.local_port)
--:proto,direction	AND f.kind IN (SELECT id FROM kinds)
	ORDER BY f.seen_us DESC
	LIMIT :limit
),
found AS MATERIALIZED (
	SELECT end_us AS flow_id, end_us, duration_us, actor, process, opener, remote, local,
		remote_port, local_port, kind, octets_out, octets_in, packets_out, packets_in,
		retransmits, rtt_us, NULL AS nat_local, NULL AS nat_local_port, NULL AS nat_remote,
		NULL AS nat_remote_port
	FROM ended
	UNION ALL
	SELECT NULL, seen_us, seen_us - start_us, actor, process, opener, remote, local,
		remote_port, local_port, kind, octets_out, octets_in, packets_out, packets_in,
		retransmits, rtt_us, nat_local, nat_local_port, nat_remote, nat_remote_port
	FROM opened
	ORDER BY 2 DESC -- by its name it would be the first one, end_us AS flow_id
	LIMIT :limit
)
SELECT
	f.flow_id,
	f.end_us AS end_time,
	f.end_us - f.duration_us AS start_time,
	f.duration_us,
	k.protocol || coalesce(' in ' || nullif(l.interface, ''), '') AS proto,
	k.protocol,
	k.direction || CASE k.direction WHEN 'in' THEN ' :' || f.local_port
		WHEN 'forwarded' THEN ' from ' || l.ip ELSE '' END
		|| coalesce(iif(k.direction = 'in', ' at ', ' as ')
			|| iif(instr(tl.ip, ':'), '[' || tl.ip || ']', tl.ip)
			|| ':' || coalesce(f.nat_local_port, t.local_port), '') AS way,
	k.direction,
	iif(instr(r.ip, ':'), '[' || r.ip || ']', r.ip) || ':' || f.remote_port
		|| coalesce(iif(k.direction = 'in', ' (from ', ' (to ')
			|| iif(instr(tr.ip, ':'), '[' || tr.ip || ']', tr.ip)
			|| ':' || coalesce(f.nat_remote_port, t.remote_port) || ')', '') AS remote,
	r.ip AS remote_ip,
	f.remote_port,
--!host_loose	n.name || ' (' || nullif(r.name_source, '') || ')' AS name,
--:host_loose	coalesce((SELECT w.name || ' (address)' FROM loose AS w
--:host_loose		WHERE w.remote = f.remote
--:host_loose		AND f.end_us - f.duration_us BETWEEN w.from_us AND w.until_us LIMIT 1),
--:host_loose		n.name || ' (' || nullif(r.name_source, '') || ')') AS name,
	nullif(n.name, '') AS remote_name,
	nullif(r.name_source, '') AS name_source,
--!host_loose	NULL AS address_name,
--:host_loose	(SELECT w.name FROM loose AS w WHERE w.remote = f.remote
--:host_loose		AND f.end_us - f.duration_us BETWEEN w.from_us AND w.until_us LIMIT 1)
--:host_loose		AS address_name,
	l.ip AS local_ip,
	f.local_port,
	f.octets_out,
	f.octets_in,
	f.packets_out,
	f.packets_in,
	f.retransmits,
	f.rtt_us,
	k.outcome,
	k.error,
	p.pid,
	nullif(a.uid, -1) AS user,
	nullif(a.uid, -1) AS uid,
	p.loginuid AS login_user,
	coalesce(substr(u.container, 1, 12) || ':', '') || nullif(e.path, '') AS program,
	nullif(e.path, '') AS exe,
	nullif(p.comm, '') AS comm,
	nullif(p.cmdline, '') AS cmdline,
	nullif(p.start_us, 0) AS process_start,
	p.ppid,
	nullif(pe.path, '') AS parent_exe,
	u.unit,
	u.user_unit,
	u.container,
	u.runtime AS container_runtime,
	u.pod,
	nullif(l.netns, 0) AS netns,
	op.pid AS opener_pid,
	nullif(oe.path, '') AS opener_exe,
	k.method,
	k.source,
	nullif(l.interface, '') AS tunnel,
	tl.ip AS translated_local_ip,
	coalesce(f.nat_local_port, t.local_port) AS translated_local_port,
	tr.ip AS translated_remote_ip,
	coalesce(f.nat_remote_port, t.remote_port) AS translated_remote_port
FROM found AS f
LEFT JOIN flow_nat AS t ON t.end_us = f.flow_id
LEFT JOIN local AS tl ON tl.id = coalesce(f.nat_local, t.local)
LEFT JOIN remote AS tr ON tr.id = coalesce(f.nat_remote, t.remote)
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
ORDER BY f.end_us DESC
