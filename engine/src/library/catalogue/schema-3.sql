-- Version 3: words in scripts that put no spaces between them. The full text takes every Han
-- character, kana and Hangul syllable for a word of its own (a query is a phrase of them), by way of
-- views that put an invisible separator (U+2063) around each. Longer texts, which would take long,
-- stay as they are.
CREATE VIEW segments_words (id, text) AS SELECT id, CASE
    WHEN length(text) <= 16384 AND text GLOB '*[぀-ヿㇰ-ㇿ々〇㐀-䶿一-鿿豈-﫿가-힣ｦ-ﾟ𠀀-𿿽]*' THEN (
        WITH RECURSIVE letters (at, letter, next) AS (
            SELECT 1, substr(text, 1, 1), substr(text, 2, 1)
            UNION ALL SELECT at + 1, next, substr(text, at + 2, 1) FROM letters WHERE next <> ''
        )
        SELECT group_concat(letter || CASE
            WHEN letter GLOB '[぀-ヿㇰ-ㇿ々〇㐀-䶿一-鿿豈-﫿가-힣ｦ-ﾟ𠀀-𿿽]'
                OR next GLOB '[぀-ヿㇰ-ㇿ々〇㐀-䶿一-鿿豈-﫿가-힣ｦ-ﾟ𠀀-𿿽]'
            THEN char(0x2063) ELSE '' END, '')
        FROM letters
    ) ELSE text END
FROM segments;
CREATE VIEW frame_texts_words (id, text) AS SELECT id, CASE
    WHEN length(text) <= 16384 AND text GLOB '*[぀-ヿㇰ-ㇿ々〇㐀-䶿一-鿿豈-﫿가-힣ｦ-ﾟ𠀀-𿿽]*' THEN (
        WITH RECURSIVE letters (at, letter, next) AS (
            SELECT 1, substr(text, 1, 1), substr(text, 2, 1)
            UNION ALL SELECT at + 1, next, substr(text, at + 2, 1) FROM letters WHERE next <> ''
        )
        SELECT group_concat(letter || CASE
            WHEN letter GLOB '[぀-ヿㇰ-ㇿ々〇㐀-䶿一-鿿豈-﫿가-힣ｦ-ﾟ𠀀-𿿽]'
                OR next GLOB '[぀-ヿㇰ-ㇿ々〇㐀-䶿一-鿿豈-﫿가-힣ｦ-ﾟ𠀀-𿿽]'
            THEN char(0x2063) ELSE '' END, '')
        FROM letters
    ) ELSE text END
FROM frame_texts;

DROP TRIGGER segments_added;
DROP TRIGGER segments_removed;
DROP TABLE segments_fts;
CREATE VIRTUAL TABLE segments_fts USING fts5 (
    text, content = 'segments_words', content_rowid = 'id',
    tokenize = 'unicode61 remove_diacritics 2'
);
CREATE TRIGGER segments_added AFTER INSERT ON segments BEGIN
    INSERT INTO segments_fts (rowid, text) SELECT id, text FROM segments_words WHERE id = new.id;
END;
-- Before: the view has the row no more afterwards.
CREATE TRIGGER segments_removed BEFORE DELETE ON segments BEGIN
    INSERT INTO segments_fts (segments_fts, rowid, text)
        SELECT 'delete', id, text FROM segments_words WHERE id = old.id;
END;

DROP TRIGGER frame_texts_added;
DROP TRIGGER frame_texts_removed;
DROP TABLE frame_texts_fts;
CREATE VIRTUAL TABLE frame_texts_fts USING fts5 (
    text, content = 'frame_texts_words', content_rowid = 'id',
    tokenize = 'unicode61 remove_diacritics 2'
);
CREATE TRIGGER frame_texts_added AFTER INSERT ON frame_texts BEGIN
    INSERT INTO frame_texts_fts (rowid, text)
        SELECT id, text FROM frame_texts_words WHERE id = new.id;
END;
CREATE TRIGGER frame_texts_removed BEFORE DELETE ON frame_texts BEGIN
    INSERT INTO frame_texts_fts (frame_texts_fts, rowid, text)
        SELECT 'delete', id, text FROM frame_texts_words WHERE id = old.id;
END;

INSERT INTO segments_fts (segments_fts) VALUES ('rebuild');
INSERT INTO frame_texts_fts (frame_texts_fts) VALUES ('rebuild');
