-- 0004: how names of hosts are known. Facts that cannot be rebuilt. Histories of before have no names.

CREATE TABLE name_evidence (            -- a name was seen to stand for an address
	id       INTEGER PRIMARY KEY,
	name     INTEGER NOT NULL REFERENCES name, -- that was asked for, or said in a flow
	owner    INTEGER NOT NULL REFERENCES name, -- of the address record, behind CNAMEs; 0: name itself
	address  BLOB NOT NULL,             -- 4 or 16 octets; none: only a flow was said to be for name
	ip       TEXT NOT NULL,
	source   TEXT NOT NULL,             -- dns mdns llmnr sni quic http getaddrinfo
	process  INTEGER,                   -- who asked, or whose flow said it; NULL: not known
	first_us INTEGER NOT NULL,
	last_us  INTEGER NOT NULL,
	until_us INTEGER NOT NULL,          -- until then the last answer may be kept (TTL)
	times    INTEGER NOT NULL,          -- seen, each within its TTL, or ten minutes, of the one before
	ttl_s    INTEGER NOT NULL,          -- of the last answer
	ech      INTEGER NOT NULL,          -- 1: the client sent encrypted client hello, or pretended
	                                    -- to (GREASE): the name may be the outer one
	alpn     TEXT NOT NULL              -- first protocol that the client offered; '' not told
) STRICT;
CREATE INDEX name_evidence_by_address ON name_evidence (address, name, process, source, owner);
CREATE INDEX name_evidence_by_name ON name_evidence (name);
CREATE INDEX name_evidence_by_owner ON name_evidence (owner) WHERE owner <> 0;
