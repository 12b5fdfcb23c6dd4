-- 0007: what single flows were by the hour, once they are forgotten, see store/retention_hours.h.
--
-- A fact: it cannot be made anew. Where the flows of an hour are kept they are not counted here.

CREATE TABLE contact_hour (             -- columns as in contact_day
	hour        INTEGER NOT NULL,       -- of the end, hours since 1970 UTC
	remote      INTEGER NOT NULL,
	actor       INTEGER NOT NULL,
	protocol_id INTEGER NOT NULL,
	port        INTEGER NOT NULL,
	direction   INTEGER NOT NULL,
	flows       INTEGER NOT NULL,
	failed      INTEGER NOT NULL,
	octets_out  INTEGER NOT NULL,
	octets_in   INTEGER NOT NULL,
	first_us    INTEGER NOT NULL,
	last_us     INTEGER NOT NULL,
	methods     INTEGER NOT NULL,
	PRIMARY KEY (hour, remote, actor, protocol_id, port, direction)
) STRICT, WITHOUT ROWID;

-- What was forgotten before has no hours.
INSERT INTO retention (what, pruned, since_us, whole_us, at_us)
	SELECT 'contact_hour', 0, whole_us, whole_us, at_us FROM retention WHERE what = 'flow';
