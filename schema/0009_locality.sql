-- 0009: what is new lies together, so that few pages are written for it.
--
-- A contact of a host that is long known had a page of its own written. New ones are kept apart, as
-- young, until the ledger counts (store/retention_fold.h), which writes most of its pages anyway.
-- Who seeks a row asks for both: young IN (0, 1).

DROP INDEX contact_by_first;
ALTER TABLE contact RENAME TO contact_before;
CREATE TABLE contact (                  -- ledger: first and last contact, kept for years
	young       INTEGER NOT NULL,       -- 1: came since the ledger counted, 0: not
	remote      INTEGER NOT NULL,
	executable  INTEGER NOT NULL,
	protocol_id INTEGER NOT NULL,
	port        INTEGER NOT NULL,       -- the service's: remote port of 'out', local port of 'in'
	direction   INTEGER NOT NULL,       -- 0 unknown, 1 out, 2 in, 3 forwarded
	first_us    INTEGER NOT NULL,       -- start of the first flow
	last_us     INTEGER NOT NULL,       -- end of the last one that is counted
	flows       INTEGER NOT NULL,
	process     INTEGER,                -- of the first contact
	PRIMARY KEY (young, remote, executable, protocol_id, port, direction)
) STRICT, WITHOUT ROWID;
INSERT INTO contact SELECT 0, * FROM contact_before;
DROP TABLE contact_before;

-- Contacts are stored in the order of their remotes, processes in that of their ids: an index of the
-- first time, or of the actor, had most of its newest pages, or one of every actor, written anew each
-- time. With the day, or a block of ids, in front it is a few of them.

CREATE INDEX contact_by_day ON contact         -- covers what queries/new.sql reads first
	(first_us / 86400000000, remote, executable, protocol_id, port, direction, first_us);

DROP INDEX process_by_actor;
CREATE INDEX process_by_block ON process        -- for each block of 8,192 ids: queries/ps.sql
	(id / 8192, actor);
