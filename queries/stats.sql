-- The history itself: size, rows, span, rates, who wrote it, what was lost.
-- Flows are counted by the hour (flow_hour), so that this takes no scan of them. Bound by lastconn:
-- file_path, file_octets, now_us.
--
-- layout record
-- column file: the database
-- column file_octets "size": of the file and its write-ahead log [octets]
-- column octets_a_flow "octets a flow": size by flows that are kept, everything included [integer]
-- column first_time "first flow": end of the first one that is kept [time_us]
-- column last_time "last flow": end of the last one [time_us]
-- column flows: flows that are over, also those that were forgotten [integer]
-- column flows_kept "flows kept": of these those that are kept one by one [integer]
-- column failed: of these refused, timed out or unreachable [integer]
-- column open_flows "open": not over [integer]
-- column octets_out "out": payload sent [octets]
-- column octets_in "in": payload received [octets]
-- column processes: program runs [integer]
-- column programs: program files [integer]
-- column remotes "hosts": remote hosts [integer]
-- column names: names of hosts [integer]
-- column contacts: pairs of program and host, port [integer]
-- column contact_hours "hour rows": rows of the hourly roll-up, of flows that are forgotten [integer]
-- column contact_days "day rows": rows of the daily roll-up [integer]
-- column listeners: listening sockets [integer]
-- column runs: starts of lastconnd [integer]
-- column host: machine of the last run
-- column version: of the last lastconnd
-- column running_since "last start": begin of the last run [time_us]
-- column heartbeat_time "heartbeat": when the last run was last known to live [time_us]
-- column ended_time "ended": end of the last run; null: running, or killed [time_us]
-- column forgotten: rows that went by age or for want of room, by table [list]
-- column flows_since "flows whole": all single flows that ended after this time are kept; null: none was forgotten [time_us]
-- column hours_since "hours whole": the same of the hours of those that were forgotten [time_us]
-- column days_since "days whole": the same of what programs did on a day [time_us]
-- column next_retention "forgets next": when lastconnd looks again for what is due [time_us]
-- column lost: what may have been missed, by kind: intervals, records [list]
-- column days "flows a day": the last days with flows, UTC [list]

WITH
last_run AS MATERIALIZED (SELECT * FROM run ORDER BY id DESC LIMIT 1),
totals AS MATERIALIZED (
	SELECT coalesce(sum(flows), 0) AS flows,
		coalesce(sum(failed), 0) AS failed, coalesce(sum(octets_out), 0) AS octets_out,
		coalesce(sum(octets_in), 0) AS octets_in
	FROM flow_hour
)
SELECT
	:file_path AS file,
	:file_octets AS file_octets,
	:file_octets / nullif(k.flows, 0) AS octets_a_flow,
	(SELECT min(end_us) FROM flow) AS first_time,
	(SELECT max(end_us) FROM flow) AS last_time,
	t.flows,
	k.flows AS flows_kept,
	t.failed,
	(SELECT count(*) FROM open_flow) AS open_flows,
	t.octets_out,
	t.octets_in,
	(SELECT count(*) FROM process) AS processes,
	(SELECT count(*) FROM executable WHERE id <> 0) AS programs,
	(SELECT count(DISTINCT address) FROM remote) AS remotes,
	(SELECT count(*) FROM name WHERE id <> 0) AS names,
	(SELECT count(*) FROM contact) AS contacts,
	(SELECT count(*) FROM contact_hour) AS contact_hours,
	(SELECT count(*) FROM contact_day) AS contact_days,
	(SELECT count(*) FROM listener) AS listeners,
	(SELECT count(*) FROM run) AS runs,
	r.host,
	r.version,
	r.start_us AS running_since,
	r.heartbeat_us AS heartbeat_time,
	r.end_us AS ended_time,
	(SELECT json_group_array(what || ': ' || pruned)
	FROM (SELECT what, pruned FROM retention WHERE pruned > 0 AND what <> 'sweep' ORDER BY what))
		AS forgotten,
	(SELECT whole_us FROM retention WHERE what = 'flow') AS flows_since,
	(SELECT whole_us FROM retention WHERE what = 'contact_hour') AS hours_since,
	(SELECT whole_us FROM retention WHERE what = 'contact_day') AS days_since,
	(SELECT at_us FROM retention WHERE what = 'next') AS next_retention,
	(SELECT json_group_array(what || ': ' || intervals || iif(intervals = 1, ' interval', ' intervals')
		|| iif(records, ', ' || records || ' lost', ''))
	FROM (SELECT what, count(*) AS intervals, sum(count) AS records
		FROM coverage_interval GROUP BY what ORDER BY what)) AS lost,
	(SELECT json_group_array(date(day * 86400, 'unixepoch') || ': ' || flows)
	FROM (SELECT hour / 24 AS day, sum(flows) AS flows
		FROM flow_hour GROUP BY hour / 24 ORDER BY day DESC LIMIT 7)) AS days
FROM totals AS t
CROSS JOIN (SELECT coalesce(sum(flows), 0) AS flows FROM executable_flows) AS k
LEFT JOIN last_run AS r
