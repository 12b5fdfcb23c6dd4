-- 0005: the ends of flows beyond this machine's NAT. Facts that cannot be rebuilt. Histories of
-- before have none.
--
-- Of each end NULL, if NAT leaves it as it is. Few flows have a row; of these few have a changed
-- remote end (services that are published or balanced), for which they are sought.

CREATE TABLE flow_nat (
	end_us      INTEGER PRIMARY KEY,    -- of the flow
	local       INTEGER,
	local_port  INTEGER,
	remote      INTEGER,
	remote_port INTEGER
) STRICT;
CREATE INDEX flow_nat_by_remote ON flow_nat (remote) WHERE remote IS NOT NULL;

ALTER TABLE open_flow ADD COLUMN nat_local INTEGER;
ALTER TABLE open_flow ADD COLUMN nat_local_port INTEGER;
ALTER TABLE open_flow ADD COLUMN nat_remote INTEGER;
ALTER TABLE open_flow ADD COLUMN nat_remote_port INTEGER;
