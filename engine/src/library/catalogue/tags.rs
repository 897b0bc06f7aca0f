//! Words that people put on films, to search only among some.

use super::Catalogue;
use crate::error::{Error, ErrorKind, Result, Stage};
use serde::Serialize;
use std::fmt;

/// A word on a film: in lower case, 1 to 64 characters, letters, digits and `-_.:/` in it, the first
/// one a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Tag(String);

impl Tag {
    const LONGEST: usize = 64;

    /// The tag that `text` spells, in whatever case.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] for what cannot be one.
    pub fn parse(text: &str) -> Result<Self> {
        let tag = text.to_lowercase();
        let fits = |c: char| c.is_alphanumeric() || "-_.:/".contains(c);
        let first = tag.chars().next().is_some_and(char::is_alphanumeric);
        if !first || !tag.chars().all(fits) || tag.chars().count() > Self::LONGEST {
            let what = format!("`{}` is no tag", crate::text::plain(text));
            return Err(Error::new(ErrorKind::Input, Stage::Process, what).hint(
                "a tag is 1 to 64 letters, digits and -_.:/, beginning with a letter or digit",
            ));
        }
        Ok(Self(tag))
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Catalogue {
    /// The tags of a film, in alphabetical order.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn tags_of(&self, media: i64) -> Result<Vec<Tag>> {
        self.read(|db| {
            let mut all =
                db.prepare_cached("SELECT tag FROM tags WHERE media_id = ?1 ORDER BY tag")?;
            all.query_map([media], |row| row.get(0).map(Tag))?.collect()
        })
    }

    /// Takes the tags `gone` off a film and puts `new` on it; those that are there, or not there,
    /// already are passed over.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn change_tags(&self, media: i64, new: &[Tag], gone: &[Tag]) -> Result<()> {
        self.write(|db| {
            let mut take = db.prepare("DELETE FROM tags WHERE media_id = ?1 AND tag = ?2")?;
            for tag in gone {
                take.execute((media, &tag.0))?;
            }
            let mut put = db.prepare(
                "INSERT INTO tags (media_id, tag) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            )?;
            for tag in new {
                put.execute((media, &tag.0))?;
            }
            Ok(())
        })
    }

    /// The films that have all of `tags`, in order of their numbers; every film for none.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn tagged(&self, tags: &[Tag]) -> Result<Vec<i64>> {
        let names: std::collections::BTreeSet<&str> = tags.iter().map(Tag::as_str).collect();
        let list = serde_json::to_string(&names).unwrap_or_default();
        self.read(|db| {
            let mut all = db.prepare_cached(
                "SELECT id FROM media WHERE (SELECT count(*) FROM tags WHERE media_id = media.id \
                 AND tag IN (SELECT value FROM json_each(?1))) = ?2 ORDER BY id",
            )?;
            all.query_map((list, names.len() as i64), |row| row.get(0))?.collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_words() {
        for (text, wanted) in [
            ("Interview", "interview"),
            ("day-2", "day-2"),
            ("ÄRGER", "ärger"),
            ("a:b/c.d_e", "a:b/c.d_e"),
        ] {
            assert_eq!(Tag::parse(text).unwrap().as_str(), wanted);
        }
        for text in
            ["", " ", "-a", "--library", "a b", "a,b", "a\u{0}", "\u{202e}a", &"x".repeat(65)]
        {
            assert_eq!(Tag::parse(text).unwrap_err().kind(), ErrorKind::Input, "{text:?}");
        }
    }
}
