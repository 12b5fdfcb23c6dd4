-- 0008: the ledger counts flows by whole days, long after them, see store/retention_fold.h.
--
-- Of the days since, contact has the first contact of each, with a last one and no flows: who wants
-- all of them adds the view ledger_rest.

ALTER TABLE rollup_state ADD COLUMN             -- contact counts what ended before this day,
	ledger_day INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollup_state ADD COLUMN             -- and what ended before this one
	ledger_next_day INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollup_state ADD COLUMN             -- with a lower remote
	ledger_remote INTEGER NOT NULL DEFAULT 0;

UPDATE rollup_state SET
	ledger_day = (SELECT coalesce(max(day) + 1, 0) FROM contact_day),
	ledger_next_day = (SELECT coalesce(max(day) + 1, 0) FROM contact_day);

CREATE INDEX contact_by_first ON contact (first_us);
