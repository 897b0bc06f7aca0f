-- From version 2: tenants share fairly, and more is known of where a job ran, why, and what it said.
ALTER TABLE jobs ADD COLUMN energy_mj INTEGER NOT NULL DEFAULT 0;
-- JSON: of the last attempt that ended.
ALTER TABLE jobs ADD COLUMN way TEXT;
ALTER TABLE jobs ADD COLUMN stages TEXT;
-- What a worker must have to take it.
ALTER TABLE jobs ADD COLUMN memory INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN gpu INTEGER NOT NULL DEFAULT 0;
-- What its tenant was charged when it was claimed, and the weight that it had then.
ALTER TABLE jobs ADD COLUMN charged INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN weight INTEGER NOT NULL DEFAULT 1;
ALTER TABLE logs ADD COLUMN said INTEGER NOT NULL DEFAULT 0;
ALTER TABLE efforts ADD COLUMN energy_mj INTEGER NOT NULL DEFAULT 0;
CREATE INDEX efforts_of_action ON efforts (action, id);

-- Virtual time: microseconds of devices that a tenant was given, over its weight; and of whoever was
-- served last.
CREATE TABLE shares (
    tenant TEXT PRIMARY KEY,
    given INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO shares SELECT DISTINCT tenant, 0 FROM jobs;
ALTER TABLE queue ADD COLUMN clock INTEGER NOT NULL DEFAULT 0;

DROP INDEX jobs_next;
CREATE INDEX jobs_next ON jobs (tenant, rank, bytes DESC, id) WHERE state = 'ready';
CREATE INDEX jobs_of_tenant ON jobs (tenant) WHERE state = 'running';

CREATE TABLE stage_efforts (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    batch TEXT NOT NULL,
    stage TEXT NOT NULL,
    wall_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX stage_efforts_at ON stage_efforts (at);
