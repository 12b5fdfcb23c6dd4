-- What is known of a name or an address, and from where: the newest first.
-- One row for each name, address, source and program that asked or said it. What was seen again and
-- again counts.
--
-- param host: address, network, name or *.example.com [host required]
-- param since: seen at or after this time [time]
-- param until: seen before this time [time]
-- param exe: program that asked or said it, path or file name, may hold * and ? [text]
-- param limit: rows at most [limit default=0]
--
-- column name: that was asked for, or that a flow said
-- column address: that it stood for; null: the flow said it of no address
-- column source "from": dns, mdns, llmnr, sni, quic, http, getaddrinfo
-- column first_time "first": when it was seen first [time_us]
-- column last_time "last": and last [time_us]
-- column times: how often [integer]
-- column ttl_s "ttl": of the last answer, in seconds [integer]
-- column flows: over, by address and name: rows of a pair repeat it; null: no address [integer]
-- column owner_name "answered as": owner of the address record, behind CNAMEs, or host of a service (mDNS) [long]
-- column program "by": program that asked or said it; null: not known [long]
-- column users: whose processes [users]
-- column processes: how many [integer wide]
-- column alpn: protocols that the clients offered first [list wide]
-- column ech: 1: encrypted client hello, or GREASE: the name may be the outer one [integer wide]

WITH
--:host_name,host_suffix {
wanted (id) AS MATERIALIZED (
	SELECT id FROM name
--:host_name	WHERE reversed = :host_name
--:host_suffix	WHERE reversed > :host_suffix AND reversed < rtrim(:host_suffix, '.') || '/'
),
--}
found (id) AS MATERIALIZED (
	SELECT NULL WHERE FALSE
--:host_first	UNION SELECT id FROM name_evidence WHERE address BETWEEN :host_first AND :host_last
--:host_first		AND length(address) = length(:host_first)
--:host_name,host_suffix	UNION SELECT id FROM name_evidence WHERE name IN (SELECT id FROM wanted)
--:host_name,host_suffix	UNION SELECT id FROM name_evidence
--:host_name,host_suffix		WHERE owner IN (SELECT id FROM wanted) AND owner <> 0
--:host_ips	UNION SELECT id FROM name_evidence WHERE ip IN (SELECT value FROM json_each(:host_ips))
),
sums AS (
	SELECT e.name, e.owner, e.address, e.ip, e.source, x.path,
		min(e.first_us) AS first_us, max(e.last_us) AS last_us, sum(e.times) AS times,
		max(e.ech) AS ech, count(DISTINCT e.process) AS processes,
		json_group_array(DISTINCT a.uid) FILTER (WHERE a.uid >= 0) AS users,
		json_group_array(DISTINCT e.alpn) FILTER (WHERE e.alpn <> '') AS alpn,
		json_extract(max(json_array(printf('%020d', e.last_us), e.ttl_s)), '$[1]') AS ttl_s
	FROM found AS f
	CROSS JOIN name_evidence AS e ON e.id = f.id
	LEFT JOIN process AS p ON p.id = e.process
	LEFT JOIN actor AS a ON a.id = p.actor
	LEFT JOIN executable AS x ON x.id = a.executable
	WHERE TRUE
--:since	AND e.last_us >= :since
--:until	AND e.first_us < :until
--:exe	AND (x.path GLOB :exe OR x.path = :exe
--:exe		OR (instr(:exe, '/') = 0 AND x.path GLOB '*/' || :exe))
	GROUP BY e.name, e.owner, e.address, e.source, x.path
),
-- What the ledger cannot know of yet, see contact_tail in schema/views.sql.
pending (remote, flows) AS MATERIALIZED (
	SELECT remote, count(*) FROM contact_tail GROUP BY remote
)
SELECT
	n.name,
	nullif(s.ip, '') AS address,
	s.source,
	s.first_us AS first_time,
	s.last_us AS last_time,
	s.times,
	iif(s.source IN ('dns', 'mdns', 'llmnr'), s.ttl_s, NULL) AS ttl_s,
	iif(s.ip = '', NULL,
		(SELECT coalesce(sum(c.flows), 0)
			FROM remote AS r CROSS JOIN ledger AS c ON c.remote = r.id
			WHERE r.address = s.address AND r.name = s.name)
		+ (SELECT coalesce(sum(p.flows), 0)
			FROM remote AS r CROSS JOIN pending AS p ON p.remote = r.id
			WHERE r.address = s.address AND r.name = s.name)) AS flows,
	nullif(o.name, '') AS owner_name,
	nullif(s.path, '') AS program,
	s.users,
	s.processes,
	s.alpn,
	s.ech
FROM sums AS s
LEFT JOIN name AS n ON n.id = s.name
LEFT JOIN name AS o ON o.id = s.owner
ORDER BY s.last_us DESC, n.name, s.ip, s.source
LIMIT :limit
