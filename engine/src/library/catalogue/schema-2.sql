-- Version 2: what a frame stands for, where it was chosen to stand for a stretch, and for how long
-- a text is to be read. Null for frames by a policy and for texts of version 1.
ALTER TABLE frames ADD COLUMN from_ticks INTEGER;
ALTER TABLE frames ADD COLUMN from_base INTEGER;
ALTER TABLE frames ADD COLUMN until_ticks INTEGER;
ALTER TABLE frames ADD COLUMN until_base INTEGER;
ALTER TABLE frame_texts ADD COLUMN from_ticks INTEGER;
ALTER TABLE frame_texts ADD COLUMN from_base INTEGER;
ALTER TABLE frame_texts ADD COLUMN until_ticks INTEGER;
ALTER TABLE frame_texts ADD COLUMN until_base INTEGER;
