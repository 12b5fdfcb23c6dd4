-- What could have been missed, and when: the window and its covered share, then the newest first.
-- 'down' and its like: nothing was recorded. Losses and missing hooks: something may be missing.
-- Clock steps: when it was is in doubt. Snapshots and suspends: nothing is missing. What was recorded
-- is there too: each run of lastconnd, and each capture file that was read. Without 'since' the window
-- begins with the first of them. It ends with what is stored: with the last packet of capture files,
-- some seconds ago while lastconnd runs. Where lastconnd does not run any more it ends now. who,
-- flows, top, new, ps and at end with the one line that 'line=1' gives.
--
-- param since: from this time on [time]
-- param until: before this time [time]
-- param limit: rows at most [limit default=0]
-- param line: 1: only the line that other reports end with [integer]
-- param spared: with line, rules that hid nothing of what the report asks for, a JSON array [text]
-- param single: with line, 1: the report needs single flows [integer]
--
-- column from_time "from": begin of the interval [time_us]
-- column until_time "until": its end [time_us]
-- column duration_us: from begin to end [duration_us]
-- column what: the kind of interval; window: all that is asked for
-- column missed: all, some, owners (whose flows these are), names (of hosts) or none of what happened in it
-- column count: of what was lost; null: not countable [integer]
-- column means: in words [long]
-- column detail: what is known of it [wide]
-- column source: what would have seen it [wide]
-- column share: of the window that is covered, in percent; null: another interval [wide]

WITH
runs (id, from_us, until_us, what, means, detail) AS MATERIALIZED (
	SELECT r.id, r.start_us,
		max(r.start_us, coalesce(r.end_us, r.heartbeat_us)),
		'recorded', 'lastconnd ran', 'lastconnd ' || r.version || ', pid ' || r.pid || ', ' || r.host
	FROM run AS r
	JOIN boot AS b ON b.id = r.boot
	WHERE b.boot_uuid <> ''
	UNION ALL
	SELECT id, file_from_us, file_until_us + 1, 'file', 'a capture file was read',
		'lastconnd ' || version || ', pid ' || pid || ', ' || host
	FROM run
	WHERE file_from_us IS NOT NULL
),
-- Between two runs of lastconnd the coverage says what was missed.
spans (from_us, until_us, live) AS MATERIALIZED (
	SELECT min(from_us), max(until_us), what = 'recorded'
	FROM runs
	GROUP BY iif(what = 'recorded', 0, id)
),
-- Runs that were killed have no end either. A running lastconnd stores a heartbeat, the time up to
-- which it has stored all, about every 15 s.
total (from_us, until_us, live, live_us, runs, fresh) AS MATERIALIZED (
	SELECT min(from_us), max(until_us), max(live), max(until_us) FILTER (WHERE live), runs,
		runs AND max(until_us) BETWEEN :now_us - 60000000 AND :now_us
	FROM spans CROSS JOIN (
		SELECT coalesce((SELECT r.end_us IS NULL FROM run AS r JOIN boot AS b ON b.id = r.boot
			WHERE b.boot_uuid <> '' ORDER BY r.id DESC LIMIT 1), 0) AS runs
	)
),
-- stored_us: all up to then is stored; live_us: by lastconnd itself, not read from files.
asked (from_us, until_us, live, zone, stored_us, live_us, runs, fresh) AS MATERIALIZED (
	SELECT coalesce(:since, from_us),
		min(coalesce(:until, :now_us), iif(fresh OR (NOT live AND :until IS NULL), until_us, :now_us)),
		live, iif(:utc, '+0 seconds', 'localtime'), until_us, live_us, runs, fresh
	FROM total
	WHERE from_us IS NOT NULL
),
holes (from_us, until_us, what, asked_from_us, asked_until_us) AS (
	SELECT coalesce(s.reached_us, a.from_us), s.from_us,
		iif(a.live, 'not begun', 'not in the file'), a.from_us, a.until_us
	FROM (
		SELECT from_us, max(until_us) OVER (ORDER BY from_us
			ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached_us
		FROM spans
	) AS s
	CROSS JOIN asked AS a
	UNION ALL
	SELECT stored_us, until_us,
		iif(NOT live, 'not in the file', iif(runs, 'no sign of life', 'down')), from_us, until_us
	FROM asked
),
words (what, means) AS (VALUES
	('down', 'lastconnd did not run: nothing was recorded'),
	('no sign of life', 'lastconnd stored nothing since: it is dead, hangs or cannot write'),
	('not begun', 'lastconnd had not run yet: nothing was recorded'),
	('not in the file', 'no capture file that was read covers it'),
	('ring full', 'the kernel had more to tell than lastconnd read in time'),
	('map full', 'sockets, peers or processes found no room in the kernel'),
	('table full', 'a table of lastconnd was full'),
	('queue full', 'records were dropped, the disk was too slow, full or locked'),
	('file truncated', 'the capture file ends within a packet, or is damaged'),
	('packets skipped', 'packets of the capture file are cut off, malformed or of an unknown kind'),
	('filtered', 'packets of the capture file that the filter left out'),
	('ignored', 'a rule leaves flows out, so many so far'),
	('hook skipped', 'the kernel ran past a hook that it had interrupted, that many times'),
	('slot missing', 'the kernel refused a hook'),
	('slot degraded', 'a hook sees less than on other kernels'),
	('owners unsure', 'flows were seen, but less of whose they are'),
	('names unsure', 'flows were seen, but fewer of their names'),
	('unaccounted', 'the kernel counted what no flow explains: a hook may be blind'),
	('snapshot', 'flows were open before the start: how they began is not known'),
	('clock step', 'the wall clock was set, by that many ms, or is to be set: times are in doubt'),
	('suspend', 'the machine slept, that many ms: nothing could happen')
),
intervals (from_us, until_us, what, missed, count, detail, source) AS MATERIALIZED (
	SELECT max(c.from_us, a.from_us), min(iif(c.open, a.live_us, c.until_us), a.until_us), c.what,
		c.missed, c.count, c.detail, c.source
	FROM asked AS a
	CROSS JOIN coverage AS c
	WHERE iif(c.open, a.live_us, c.until_us) >= a.from_us AND c.from_us < a.until_us
--:spared		AND NOT (c.what = 'ignored' AND c.detail IN (SELECT value FROM json_each(:spared)))
	UNION ALL
	SELECT max(from_us, asked_from_us), min(until_us, asked_until_us), what, 'all', 0, NULL, NULL
	FROM holes
	WHERE until_us > asked_from_us AND from_us < asked_until_us AND from_us < until_us
),
-- place: 1 is the longest.
pieces (from_us, until_us, what, reached_us, place) AS (
	SELECT from_us, until_us, what || coalesce(', ' || detail, ''),
		max(until_us) OVER (ORDER BY from_us, until_us
			ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
		row_number() OVER (ORDER BY until_us - from_us DESC, from_us)
	FROM intervals
	WHERE missed = 'all' AND from_us < until_us
),
-- Pieces that overlap or touch are one gap.
gaps (gaps, pieces, from_us, until_us, uncovered_us, first_what, longest_from_us, longest_until_us,
	longest_what) AS (
	SELECT coalesce(sum(reached_us IS NULL OR from_us > reached_us), 0), count(*),
		min(from_us), max(until_us),
		coalesce(sum(max(0, until_us - max(from_us, coalesce(reached_us, from_us)))), 0),
		max(what) FILTER (WHERE reached_us IS NULL), max(from_us) FILTER (WHERE place = 1),
		max(until_us) FILTER (WHERE place = 1), max(what) FILTER (WHERE place = 1)
	FROM pieces
),
-- Several pieces that make one gap are told as a whole.
longest (gaps, uncovered_us, us, from_us, until_us, what) AS (
	SELECT gaps, uncovered_us, iif(whole, uncovered_us, longest_until_us - longest_from_us),
		iif(whole, from_us, longest_from_us), iif(whole, until_us, longest_until_us),
		iif(whole, first_what || ' and more', longest_what)
	FROM (SELECT *, gaps = 1 AND pieces > 1 AS whole FROM gaps)
),
losses (text, some, owners) AS (
	SELECT group_concat(text, '; '), coalesce(max(missed = 'some'), 0),
		coalesce(max(missed = 'owners'), 0)
	FROM (
		SELECT missed, CASE what
				WHEN 'ring full' THEN lost || 'events lost in the ring'
				WHEN 'map full' THEN lost || 'losses in full kernel maps'
				WHEN 'table full' THEN lost || 'losses in full tables'
				WHEN 'queue full' THEN lost || 'records dropped before the disk'
				WHEN 'unaccounted' THEN labels || ' in no flow'
				WHEN 'packets skipped' THEN 'packets that could not be read: ' || CAST(lost AS INTEGER)
				WHEN 'filtered' THEN 'packets that a filter left out: ' || CAST(lost AS INTEGER)
				WHEN 'ignored' THEN 'flows left out by rules: '
					|| iif(rules > 3, lost || 'by ' || rules || ' rules', labels)
				WHEN 'clock step' THEN
					iif(lost = '', 'the clock is wrong',
						printf('the clock was set by %.4g s', CAST(lost AS INTEGER) / 1000.0))
				WHEN 'suspend' THEN
					printf('the machine slept %.4g s', CAST(lost AS INTEGER) / 1000.0)
				WHEN 'hook skipped' THEN 'hooks skipped: ' || labels
				WHEN 'slot missing' THEN 'hooks missing: ' || labels
				WHEN 'slot degraded' THEN 'hooks that see less: ' || labels
				WHEN 'owners unsure' THEN 'owners less sure: ' || labels
				WHEN 'names unsure' THEN 'fewer names: ' || labels
				ELSE what END AS text
		FROM (
			-- Where nothing could be counted there is no number.
			SELECT what, missed, coalesce(nullif(sum(lost), 0) || ' ', '') AS lost, count(*) AS rules,
				group_concat(iif(lost, lost || ' ', '') || label, ', ') AS labels
			FROM (
				-- The hook's name, the rule, or what was counted.
				SELECT DISTINCT what, missed, sum(count) AS lost,
					iif(what = 'ignored', detail,
						substr(detail, 1, instr(detail || ':', ':') - 1)) AS label
				FROM intervals
				WHERE (missed IN ('some', 'owners', 'names') OR what = 'suspend')
					-- Not a rule: why those with addresses are in doubt.
					AND NOT (what = 'ignored' AND detail LIKE 'NAT: %')
				GROUP BY what, detail
			)
			GROUP BY what
		)
		ORDER BY missed DESC, what
	)
),
things (name, words, place) AS (VALUES
	('flow', 'single flows', 1), ('contact_hour', 'hours', 2), ('contact_day', 'days', 3)
),
-- What was forgotten by intent, see lastconn.conf(5). Without single flows hours count whole, and
-- without these days.
forgotten (text, some) AS (
	SELECT group_concat(text, '; '), coalesce(max(some), 0)
	FROM (
		SELECT t.words || ' before ' || datetime(r.whole_us / 1000000, 'unixepoch', a.zone)
				|| iif(r.since_us < r.whole_us, ' were forgotten in part', ' were forgotten')
				|| CASE WHEN t.place = 3 OR :single IS TRUE THEN ''
					WHEN t.place = 2 OR r.whole_us <= (SELECT whole_us FROM retention
						WHERE what = 'contact_hour')
						THEN ', whole days count there'
					ELSE ', whole hours count there' END AS text,
			t.place = 3 OR :single IS TRUE AS some
		FROM asked AS a
		CROSS JOIN things AS t
		CROSS JOIN retention AS r ON r.what = t.name AND r.whole_us >= a.from_us
		-- Hours are only of flows that are forgotten.
		WHERE t.place <> 2 OR (:single IS NOT TRUE AND r.whole_us <
			(SELECT whole_us FROM retention WHERE what = 'flow'))
		ORDER BY t.place
	)
),
summary (from_us, until_us, share, line, evidence) AS MATERIALIZED (
	SELECT from_us, until_us, share,
		CASE WHEN until_us <= from_us AND :since >= :now_us THEN 'the window is still to come'
			WHEN until_us <= from_us AND fresh AND coalesce(:until, :now_us) > from_us
				THEN 'the window is not stored yet; ask again in half a minute'
			WHEN until_us <= from_us AND :since IS NULL
				THEN 'the window ends before the first record of all'
			WHEN until_us <= from_us THEN 'the window is empty'
			WHEN ahead THEN 'the history goes on after now: the clock was set back, or is another machine''s'
			WHEN gaps = 0 THEN iif(some, 'recorded ', 'complete ') || span
				|| coalesce('; ' || losses, '')
			ELSE printf('%.2f %% of the time ', share) || span
				|| iif(gaps = 1, '; a gap of ', '; ' || gaps || ' gaps, the longest ')
				|| longest || coalesce('; ' || losses, '') END
			|| iif(until_us > from_us, coalesce('; ' || forgotten, ''), ''),
		iif(until_us > from_us AND gaps = 0 AND NOT some AND NOT ahead AND NOT needed,
			2 - owners, 0)
	FROM (
		SELECT a.from_us, a.until_us,
			-- Rounded down: 100 is all of it.
			CAST(10000 * (1 - 1.0 * g.uncovered_us / max(1, a.until_us - a.from_us)) AS INTEGER)
				/ 100.0 AS share,
			g.gaps, l.text AS losses, l.some, l.owners, f.text AS forgotten, f.some AS needed,
			a.fresh, a.live AND a.stored_us > :now_us AS ahead,
			'from ' || datetime(a.from_us / 1000000, 'unixepoch', a.zone)
				|| ' to ' || datetime(a.until_us / 1000000, 'unixepoch', a.zone) AS span,
			CASE
				WHEN g.us < 60000000 THEN printf('%.3gs', g.us / 1e6)
				WHEN g.us < 3600000000 THEN printf('%.3gm', g.us / 6e7)
				WHEN g.us < 86400000000 THEN printf('%.3gh', g.us / 3.6e9)
				ELSE printf('%.4gd', g.us / 8.64e10) END
			|| ' (' || g.what || ' ' || datetime(g.from_us / 1000000, 'unixepoch', a.zone)
			|| ' - ' || datetime(g.until_us / 1000000, 'unixepoch', a.zone) || ')' AS longest
		FROM asked AS a
		CROSS JOIN longest AS g
		CROSS JOIN losses AS l
		CROSS JOIN forgotten AS f
	)
)
--:line SELECT line, evidence FROM summary
--!line {
SELECT from_us AS from_time, until_us AS until_time, until_us - from_us AS duration_us,
	what, missed, count, means, detail, source, share
FROM (
	SELECT 0 AS place, from_us, until_us, 'window' AS what, NULL AS missed, NULL AS count,
		line AS means, NULL AS detail, NULL AS source, share
	FROM summary
	UNION ALL
	SELECT 1, i.from_us, i.until_us, i.what, i.missed, nullif(i.count, 0),
		w.means || coalesce(' (' || i.detail || ')', ''), i.detail, i.source, NULL
	FROM intervals AS i
	LEFT JOIN words AS w ON w.what = i.what
	WHERE i.from_us <= i.until_us -- but in a window that ends before it begins
	UNION ALL
	SELECT 2, r.from_us, r.until_us, r.what, 'none', NULL, r.means || ' (' || r.detail || ')',
		r.detail, NULL, NULL
	FROM asked AS a
	CROSS JOIN runs AS r ON r.until_us >= a.from_us AND r.from_us < a.until_us
)
ORDER BY place > 0, from_us DESC, until_us DESC, place
LIMIT :limit
--}
