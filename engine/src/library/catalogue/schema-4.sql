-- Version 4: how sure the language of a segment is. Null for segments of earlier versions.
ALTER TABLE segments ADD COLUMN language_probability REAL;
