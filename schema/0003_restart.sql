-- 0003: what lets the next run go on where the last one stopped. Rows of before have none of it.

ALTER TABLE run ADD COLUMN ring INTEGER;          -- id of the ring buffer that outlives the run; NULL none
ALTER TABLE run ADD COLUMN ring_position INTEGER; -- of its events, those before this one are stored
ALTER TABLE open_flow ADD COLUMN socket INTEGER NOT NULL DEFAULT 0; -- its cookie; 0 unknown
