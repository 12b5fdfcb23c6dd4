-- 0008: the ledger counts flows by whole days, long after them, see store/retention_fold.h.
--
-- A row of contact is made with the first contact; its count and its last time lack the days that
-- are not counted yet. The views contacts and ledger have them all.

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
