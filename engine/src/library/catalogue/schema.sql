-- The catalogue, version 1. Times are exact: `X_ticks` counts ticks of `X_base`, whose upper 32
-- bits are the numerator and lower 32 bits the denominator of the seconds per tick.

-- One row per content, however many files hold it.
CREATE TABLE media (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    content BLOB NOT NULL UNIQUE CHECK (length(content) = 32),
    bytes INTEGER NOT NULL,
    name TEXT NOT NULL,
    folder TEXT NOT NULL UNIQUE,
    added_ms INTEGER NOT NULL
) STRICT;

-- Where that content was seen, with what the file system said of the file when it was hashed.
CREATE TABLE paths (
    path BLOB PRIMARY KEY,
    media_id INTEGER NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    dev INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    hashed_ns INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX paths_of_media ON paths (media_id);
CREATE INDEX paths_by_file ON paths (dev, inode);

-- What a stage made of a content (outcome `done`), and how it failed last.
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    media_id INTEGER NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    stage TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('done', 'failed')),
    key BLOB NOT NULL CHECK (length(key) = 32),
    parts TEXT NOT NULL,
    started_ms INTEGER NOT NULL,
    wall_us INTEGER NOT NULL,
    note TEXT,
    summary TEXT,
    damage TEXT,
    UNIQUE (media_id, stage, outcome)
) STRICT;

-- Which results a result was made from: with them it goes.
CREATE TABLE run_inputs (
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    input_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    PRIMARY KEY (run_id, input_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_inputs_back ON run_inputs (input_id);

CREATE TABLE artefacts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    media_id INTEGER NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    path TEXT NOT NULL UNIQUE,
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    bytes INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL
) STRICT;
CREATE INDEX artefacts_of_run ON artefacts (run_id);
CREATE INDEX artefacts_of_media ON artefacts (media_id);
CREATE INDEX artefacts_by_digest ON artefacts (digest);

-- Probing.
CREATE TABLE probes (
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    media_id INTEGER PRIMARY KEY REFERENCES media (id) ON DELETE CASCADE,
    container TEXT NOT NULL,
    origin_ticks INTEGER NOT NULL,
    origin_base INTEGER NOT NULL,
    duration_ticks INTEGER,
    duration_base INTEGER,
    info TEXT NOT NULL
) STRICT;
CREATE INDEX probes_of_run ON probes (run_id);

CREATE TABLE streams (
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    media_id INTEGER NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    n INTEGER NOT NULL,
    kind TEXT NOT NULL,
    codec TEXT NOT NULL,
    language TEXT,
    decodable INTEGER NOT NULL,
    width INTEGER,
    height INTEGER,
    frame_rate TEXT,
    sample_rate INTEGER,
    channels INTEGER,
    PRIMARY KEY (media_id, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX streams_of_run ON streams (run_id);

-- Speech.
CREATE TABLE transcripts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    media_id INTEGER NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    language TEXT NOT NULL,
    language_probability REAL NOT NULL,
    translated INTEGER NOT NULL,
    model TEXT NOT NULL,
    engine TEXT NOT NULL,
    coverage REAL NOT NULL
) STRICT;
CREATE INDEX transcripts_of_run ON transcripts (run_id);
CREATE INDEX transcripts_of_media ON transcripts (media_id);

CREATE TABLE segments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    transcript_id INTEGER NOT NULL REFERENCES transcripts (id) ON DELETE CASCADE,
    media_id INTEGER NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    n INTEGER NOT NULL,
    start_ticks INTEGER NOT NULL,
    start_base INTEGER NOT NULL,
    end_ticks INTEGER NOT NULL,
    end_base INTEGER NOT NULL,
    text TEXT NOT NULL,
    language TEXT NOT NULL,
    avg_logprob REAL NOT NULL,
    no_speech_prob REAL NOT NULL,
    doubt TEXT,
    UNIQUE (transcript_id, n)
) STRICT;
CREATE INDEX segments_of_media ON segments (media_id);

CREATE TABLE words (
    segment_id INTEGER NOT NULL REFERENCES segments (id) ON DELETE CASCADE,
    n INTEGER NOT NULL,
    start_ticks INTEGER NOT NULL,
    start_base INTEGER NOT NULL,
    end_ticks INTEGER NOT NULL,
    end_base INTEGER NOT NULL,
    text TEXT NOT NULL,
    probability REAL NOT NULL,
    spaced INTEGER NOT NULL,
    PRIMARY KEY (segment_id, n)
) STRICT, WITHOUT ROWID;

-- Pictures.
CREATE TABLE shots (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    media_id INTEGER NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    n INTEGER NOT NULL,
    start_ticks INTEGER NOT NULL,
    start_base INTEGER NOT NULL,
    end_ticks INTEGER NOT NULL,
    end_base INTEGER NOT NULL,
    transition TEXT NOT NULL,
    confidence REAL NOT NULL,
    UNIQUE (run_id, n)
) STRICT;
CREATE INDEX shots_of_media ON shots (media_id);

CREATE TABLE frames (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    media_id INTEGER NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    shot_id INTEGER REFERENCES shots (id) ON DELETE CASCADE,
    n INTEGER NOT NULL,
    time_ticks INTEGER NOT NULL,
    time_base INTEGER NOT NULL,
    wanted_ticks INTEGER,
    wanted_base INTEGER,
    pts INTEGER NOT NULL,
    is_key INTEGER NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    file TEXT,
    UNIQUE (run_id, n)
) STRICT;
CREATE INDEX frames_of_media ON frames (media_id);
CREATE INDEX frames_of_shot ON frames (shot_id);

-- Text seen in a frame (OCR).
CREATE TABLE frame_texts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    media_id INTEGER NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    frame_id INTEGER NOT NULL REFERENCES frames (id) ON DELETE CASCADE,
    text TEXT NOT NULL,
    confidence REAL NOT NULL,
    x REAL NOT NULL,
    y REAL NOT NULL,
    width REAL NOT NULL,
    height REAL NOT NULL
) STRICT;
CREATE INDEX frame_texts_of_run ON frame_texts (run_id);
CREATE INDEX frame_texts_of_media ON frame_texts (media_id);
CREATE INDEX frame_texts_of_frame ON frame_texts (frame_id);

CREATE TABLE clips (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER REFERENCES runs (id) ON DELETE CASCADE,
    media_id INTEGER NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    start_ticks INTEGER NOT NULL,
    start_base INTEGER NOT NULL,
    end_ticks INTEGER NOT NULL,
    end_base INTEGER NOT NULL,
    title TEXT NOT NULL,
    score REAL
) STRICT;
CREATE INDEX clips_of_run ON clips (run_id);
CREATE INDEX clips_of_media ON clips (media_id);

-- A measured or recognised property of a medium, segment, shot, frame or clip: of the medium if
-- all others are null.
CREATE TABLE features (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    media_id INTEGER NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    segment_id INTEGER REFERENCES segments (id) ON DELETE CASCADE,
    shot_id INTEGER REFERENCES shots (id) ON DELETE CASCADE,
    frame_id INTEGER REFERENCES frames (id) ON DELETE CASCADE,
    clip_id INTEGER REFERENCES clips (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    value REAL NOT NULL
) STRICT;
CREATE INDEX features_of_run ON features (run_id);
CREATE INDEX features_of_media ON features (media_id);
CREATE INDEX features_of_segment ON features (segment_id) WHERE segment_id IS NOT NULL;
CREATE INDEX features_of_shot ON features (shot_id) WHERE shot_id IS NOT NULL;
CREATE INDEX features_of_frame ON features (frame_id) WHERE frame_id IS NOT NULL;
CREATE INDEX features_of_clip ON features (clip_id) WHERE clip_id IS NOT NULL;

-- A vector of little-endian f32, owned as a feature is.
CREATE TABLE embeddings (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    media_id INTEGER NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    segment_id INTEGER REFERENCES segments (id) ON DELETE CASCADE,
    shot_id INTEGER REFERENCES shots (id) ON DELETE CASCADE,
    frame_id INTEGER REFERENCES frames (id) ON DELETE CASCADE,
    clip_id INTEGER REFERENCES clips (id) ON DELETE CASCADE,
    model TEXT NOT NULL,
    kind TEXT NOT NULL,
    dim INTEGER NOT NULL,
    vector BLOB NOT NULL CHECK (length(vector) = 4 * dim)
) STRICT;
CREATE INDEX embeddings_of_run ON embeddings (run_id);
CREATE INDEX embeddings_of_media ON embeddings (media_id);
CREATE INDEX embeddings_by_model ON embeddings (model, kind);
CREATE INDEX embeddings_of_segment ON embeddings (segment_id) WHERE segment_id IS NOT NULL;
CREATE INDEX embeddings_of_shot ON embeddings (shot_id) WHERE shot_id IS NOT NULL;
CREATE INDEX embeddings_of_frame ON embeddings (frame_id) WHERE frame_id IS NOT NULL;
CREATE INDEX embeddings_of_clip ON embeddings (clip_id) WHERE clip_id IS NOT NULL;

-- Full text. The index holds no text of its own; triggers keep it in step, cascades included.
CREATE VIRTUAL TABLE segments_fts USING fts5 (
    text, content = 'segments', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
);
CREATE TRIGGER segments_added AFTER INSERT ON segments BEGIN
    INSERT INTO segments_fts (rowid, text) VALUES (new.id, new.text);
END;
CREATE TRIGGER segments_removed AFTER DELETE ON segments BEGIN
    INSERT INTO segments_fts (segments_fts, rowid, text) VALUES ('delete', old.id, old.text);
END;

CREATE VIRTUAL TABLE frame_texts_fts USING fts5 (
    text, content = 'frame_texts', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
);
CREATE TRIGGER frame_texts_added AFTER INSERT ON frame_texts BEGIN
    INSERT INTO frame_texts_fts (rowid, text) VALUES (new.id, new.text);
END;
CREATE TRIGGER frame_texts_removed AFTER DELETE ON frame_texts BEGIN
    INSERT INTO frame_texts_fts (frame_texts_fts, rowid, text) VALUES ('delete', old.id, old.text);
END;
