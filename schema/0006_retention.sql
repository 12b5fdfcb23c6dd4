-- 0006: what the history forgets, so that its file stays within its bounds, see store/retention.h.

CREATE TABLE retention (                -- what was forgotten so far
	what     TEXT PRIMARY KEY,          -- table
	pruned   INTEGER NOT NULL,          -- rows
	since_us INTEGER NOT NULL,          -- nothing that ended before is kept; 0 nothing was forgotten
	whole_us INTEGER NOT NULL,          -- all that ended after it is kept
	at_us    INTEGER NOT NULL           -- when the last row went; of 'sweep': when rows that nothing
	                                    -- names were sought last; of 'next': when the next look is
) STRICT, WITHOUT ROWID;

CREATE TABLE executable_flows (         -- how many rows of flow each program has
	executable INTEGER PRIMARY KEY,
	flows      INTEGER NOT NULL
) STRICT;

INSERT INTO executable_flows (executable, flows)
	SELECT a.executable, count(*) FROM flow AS f JOIN actor AS a ON a.id = f.actor GROUP BY 1;
