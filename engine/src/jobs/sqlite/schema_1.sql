CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    batch TEXT NOT NULL,
    message TEXT NOT NULL,
    action TEXT NOT NULL,
    -- Smaller comes first: the period of ten minutes in which it came, less its priority.
    rank INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('ready', 'running', 'done', 'failed', 'dead', 'cancelled')),
    attempts INTEGER NOT NULL DEFAULT 0,
    attempts_most INTEGER NOT NULL,
    kills INTEGER NOT NULL DEFAULT 0,
    losses INTEGER NOT NULL DEFAULT 0,
    worker TEXT,
    fence INTEGER NOT NULL DEFAULT 0,
    lease_until INTEGER,
    cancel INTEGER NOT NULL DEFAULT 0,
    checkpoint BLOB,
    ready_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    error_kind TEXT,
    error TEXT,
    wall_ms INTEGER NOT NULL DEFAULT 0,
    cpu_ms INTEGER NOT NULL DEFAULT 0,
    peak_bytes INTEGER NOT NULL DEFAULT 0,
    bytes_in INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX jobs_next ON jobs (rank, bytes DESC, id) WHERE state = 'ready';
CREATE INDEX jobs_held ON jobs (lease_until) WHERE state = 'running';
CREATE INDEX jobs_of_batch ON jobs (batch, state);

CREATE TABLE needs (
    job INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    needs INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    PRIMARY KEY (job, needs)
) STRICT, WITHOUT ROWID;
CREATE INDEX needed_by ON needs (needs);

CREATE TABLE logs (
    id INTEGER PRIMARY KEY,
    job INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE INDEX logs_of_job ON logs (job, id);

-- One row: the last fencing token that was given, and whether jobs may be claimed.
CREATE TABLE queue (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    fence INTEGER NOT NULL,
    paused INTEGER NOT NULL
) STRICT;
INSERT INTO queue VALUES (1, 0, 0);
