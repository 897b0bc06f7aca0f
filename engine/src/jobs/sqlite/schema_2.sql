-- From version 1: whose a job is stands beside it, and effort outlives its jobs.
ALTER TABLE jobs ADD COLUMN tenant TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN gpu_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN bytes_out INTEGER NOT NULL DEFAULT 0;
UPDATE jobs SET tenant = coalesce(json_extract(message, '$.tenant'), '');

CREATE TABLE efforts (
    id INTEGER PRIMARY KEY,
    -- When the attempt ended.
    at INTEGER NOT NULL,
    job INTEGER NOT NULL,
    batch TEXT NOT NULL,
    tenant TEXT NOT NULL,
    action TEXT NOT NULL,
    wall_ms INTEGER NOT NULL,
    cpu_ms INTEGER NOT NULL,
    gpu_ms INTEGER NOT NULL,
    peak_bytes INTEGER NOT NULL,
    bytes_in INTEGER NOT NULL,
    bytes_out INTEGER NOT NULL
) STRICT;
CREATE INDEX efforts_at ON efforts (at);
CREATE INDEX efforts_of_batch ON efforts (batch);
INSERT INTO efforts (at, job, batch, tenant, action, wall_ms, cpu_ms, gpu_ms, peak_bytes, bytes_in,
    bytes_out)
SELECT coalesce(finished_at, started_at, created_at), id, batch, tenant, action, wall_ms, cpu_ms, 0,
    peak_bytes, bytes_in, 0
FROM jobs WHERE wall_ms > 0;
