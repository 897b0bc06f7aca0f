-- Version 6: what matters in a film. Terms of dictionaries, concepts (key phrases, things known by
-- their form, topics), chapters, and patterns that rules found; sound in short windows.
CREATE TABLE keywords (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    media_id INTEGER NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    segment_id INTEGER REFERENCES segments (id) ON DELETE CASCADE,
    text_id INTEGER REFERENCES frame_texts (id) ON DELETE CASCADE,
    start_ticks INTEGER NOT NULL,
    start_base INTEGER NOT NULL,
    end_ticks INTEGER NOT NULL,
    end_base INTEGER NOT NULL,
    term TEXT NOT NULL,
    category TEXT NOT NULL,
    dictionary TEXT NOT NULL,
    found TEXT NOT NULL,
    how TEXT NOT NULL,
    weight REAL NOT NULL
) STRICT;
CREATE INDEX keywords_of_run ON keywords (run_id);
CREATE INDEX keywords_of_media ON keywords (media_id);
CREATE INDEX keywords_by_term ON keywords (term);
CREATE INDEX keywords_of_segment ON keywords (segment_id) WHERE segment_id IS NOT NULL;
CREATE INDEX keywords_of_text ON keywords (text_id) WHERE text_id IS NOT NULL;

CREATE TABLE concepts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    media_id INTEGER NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    segment_id INTEGER REFERENCES segments (id) ON DELETE CASCADE,
    text_id INTEGER REFERENCES frame_texts (id) ON DELETE CASCADE,
    start_ticks INTEGER NOT NULL,
    start_base INTEGER NOT NULL,
    end_ticks INTEGER NOT NULL,
    end_base INTEGER NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    value TEXT,
    score REAL NOT NULL
) STRICT;
CREATE INDEX concepts_of_run ON concepts (run_id);
CREATE INDEX concepts_of_media ON concepts (media_id);
CREATE INDEX concepts_of_segment ON concepts (segment_id) WHERE segment_id IS NOT NULL;
CREATE INDEX concepts_of_text ON concepts (text_id) WHERE text_id IS NOT NULL;

CREATE TABLE chapters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    media_id INTEGER NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    n INTEGER NOT NULL,
    start_ticks INTEGER NOT NULL,
    start_base INTEGER NOT NULL,
    end_ticks INTEGER NOT NULL,
    end_base INTEGER NOT NULL,
    title TEXT NOT NULL,
    about TEXT NOT NULL,
    UNIQUE (run_id, n)
) STRICT;
CREATE INDEX chapters_of_media ON chapters (media_id);

CREATE TABLE patterns (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    media_id INTEGER NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    rule TEXT NOT NULL,
    kind TEXT NOT NULL,
    start_ticks INTEGER NOT NULL,
    start_base INTEGER NOT NULL,
    end_ticks INTEGER NOT NULL,
    end_base INTEGER NOT NULL
) STRICT;
CREATE INDEX patterns_of_run ON patterns (run_id);
CREATE INDEX patterns_of_media ON patterns (media_id);

CREATE TABLE pattern_parts (
    pattern_id INTEGER NOT NULL REFERENCES patterns (id) ON DELETE CASCADE,
    n INTEGER NOT NULL,
    start_ticks INTEGER NOT NULL,
    start_base INTEGER NOT NULL,
    end_ticks INTEGER NOT NULL,
    end_base INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (pattern_id, n)
) STRICT, WITHOUT ROWID;

-- Measurements of a film's sound in windows of one length that follow each other: little-endian f32,
-- `width` numbers a window, named in `fields`.
CREATE TABLE sounds (
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    media_id INTEGER PRIMARY KEY REFERENCES media (id) ON DELETE CASCADE,
    step_ticks INTEGER NOT NULL,
    step_base INTEGER NOT NULL,
    fields TEXT NOT NULL,
    width INTEGER NOT NULL,
    windows BLOB NOT NULL CHECK (length(windows) % (4 * width) = 0)
) STRICT;
CREATE INDEX sounds_of_run ON sounds (run_id);

-- Clips say what they were made from; what each is worth for a purpose is explained.
ALTER TABLE clips ADD COLUMN kind TEXT;
ALTER TABLE clips ADD COLUMN text TEXT;
CREATE TABLE clip_scores (
    clip_id INTEGER NOT NULL REFERENCES clips (id) ON DELETE CASCADE,
    purpose TEXT NOT NULL,
    score REAL NOT NULL,
    reasons TEXT NOT NULL,
    PRIMARY KEY (clip_id, purpose)
) STRICT, WITHOUT ROWID;

-- Clips that did well, by the name of an index. They are a person's word and outlive the film's results:
-- nothing refers to these.
CREATE TABLE winners (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    list TEXT NOT NULL,
    content BLOB NOT NULL CHECK (length(content) = 32),
    film TEXT NOT NULL,
    start_ticks INTEGER NOT NULL,
    start_base INTEGER NOT NULL,
    end_ticks INTEGER NOT NULL,
    end_base INTEGER NOT NULL,
    title TEXT NOT NULL,
    note TEXT NOT NULL,
    added_ms INTEGER NOT NULL,
    features TEXT NOT NULL,
    model TEXT,
    vector BLOB,
    UNIQUE (list, content, start_ticks, start_base, end_ticks, end_base)
) STRICT;
