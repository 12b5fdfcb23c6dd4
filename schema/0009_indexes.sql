-- 0009: indexes whose new entries lie together.
--
-- Contacts are stored in the order of their remotes, processes in that of their ids: an index of the
-- first time, or of the actor, had most of its newest pages, or one of every actor, written anew each
-- time. With the hour, or a block of ids, in front it is a few of them.

DROP INDEX contact_by_first;
CREATE INDEX contact_by_hour ON contact         -- covers what queries/new.sql reads first
	(first_us / 3600000000, remote, executable, protocol_id, port, direction, first_us);

DROP INDEX process_by_actor;
CREATE INDEX process_by_block ON process        -- for each block of 8,192 ids: queries/ps.sql
	(id / 8192, actor);
