//! Fonts that can be had by name (`rushes models pull noto-sans-thai`): what each is for, and in which
//! order they are asked. They are read only when a text needs them.

use super::fonts::FontSet;
use crate::error::Result;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// A family of the catalogue.
#[derive(Debug)]
pub(super) struct Known {
    /// Its name in the catalogue.
    pub name: &'static str,
    /// What its files call it.
    pub family: &'static str,
    covers: &'static [RangeInclusive<u32>],
}

const EMOJI: usize = 0;
const JP: usize = 1;
const KR: usize = 2;
const SC: usize = 3;

/// What the three East Asian families share: ideographs, their signs, and wide forms.
const HAN: &[RangeInclusive<u32>] = &[
    0x2e80..=0x303f,
    0x3100..=0x312f,
    0x31a0..=0x31ef,
    0x3200..=0x9fff,
    0xf900..=0xfaff,
    0xfe30..=0xfe4f,
    0xff00..=0xffef,
    0x2_0000..=0x3_ffff,
];
const KANA: &[RangeInclusive<u32>] = &[0x3040..=0x30ff, 0x31f0..=0x31ff, 0xff66..=0xff9f];
const HANGUL: &[RangeInclusive<u32>] =
    &[0x1100..=0x11ff, 0x3130..=0x318f, 0xa960..=0xa97f, 0xac00..=0xd7ff];

/// In the order in which they are asked.
const KNOWN: &[Known] = &[
    // By whole clusters: see `is_emoji`.
    Known { name: "noto-emoji", family: "Noto Emoji", covers: &[0x1_f000..=0x1_faff] },
    Known { name: "noto-sans-jp", family: "Noto Sans JP", covers: KANA },
    Known { name: "noto-sans-kr", family: "Noto Sans KR", covers: HANGUL },
    Known { name: "noto-sans-sc", family: "Noto Sans SC", covers: HAN },
    Known {
        name: "noto-sans",
        family: "Noto Sans",
        covers: &[
            0x0000..=0x052f,
            0x1ab0..=0x1aff,
            0x1c80..=0x1c8f,
            0x1d00..=0x218f,
            0x2c60..=0x2c7f,
            0x2de0..=0x2e7f,
            0xa640..=0xa69f,
            0xa700..=0xa7ff,
            0xab30..=0xab6f,
            0xfb00..=0xfb06,
        ],
    },
    Known {
        name: "noto-sans-arabic",
        family: "Noto Sans Arabic",
        covers: &[
            0x0600..=0x06ff,
            0x0750..=0x077f,
            0x0870..=0x08ff,
            0xfb50..=0xfdff,
            0xfe70..=0xfefe,
        ],
    },
    Known {
        name: "noto-sans-hebrew",
        family: "Noto Sans Hebrew",
        covers: &[0x0590..=0x05ff, 0xfb1d..=0xfb4f],
    },
    Known {
        name: "noto-sans-devanagari",
        family: "Noto Sans Devanagari",
        covers: &[0x0900..=0x097f, 0x1cd0..=0x1cff, 0xa8e0..=0xa8ff],
    },
    Known { name: "noto-sans-thai", family: "Noto Sans Thai", covers: &[0x0e00..=0x0e7f] },
];

fn within(c: char, ranges: &[RangeInclusive<u32>]) -> bool {
    ranges.iter().any(|range| range.contains(&u32::from(c)))
}

/// Whether a grapheme cluster is drawn as an emoji: by its first character's own nature, by the
/// selector that asks for it, or by being a sequence (UTS #51).
pub(super) fn is_emoji(cluster: &str) -> bool {
    /// Those with Emoji_Presentation before U+1F000.
    const OWN: &[RangeInclusive<u32>] = &[
        0x231a..=0x231b,
        0x23e9..=0x23ec,
        0x23f0..=0x23f0,
        0x23f3..=0x23f3,
        0x25fd..=0x25fe,
        0x2614..=0x2615,
        0x2648..=0x2653,
        0x267f..=0x267f,
        0x2693..=0x2693,
        0x26a1..=0x26a1,
        0x26aa..=0x26ab,
        0x26bd..=0x26be,
        0x26c4..=0x26c5,
        0x26ce..=0x26ce,
        0x26d4..=0x26d4,
        0x26ea..=0x26ea,
        0x26f2..=0x26f3,
        0x26f5..=0x26f5,
        0x26fa..=0x26fa,
        0x26fd..=0x26fd,
        0x2705..=0x2705,
        0x270a..=0x270b,
        0x2728..=0x2728,
        0x274c..=0x274c,
        0x274e..=0x274e,
        0x2753..=0x2755,
        0x2757..=0x2757,
        0x2795..=0x2797,
        0x27b0..=0x27b0,
        0x27bf..=0x27bf,
        0x2b1b..=0x2b1c,
        0x2b50..=0x2b50,
        0x2b55..=0x2b55,
        0x1_f000..=0x1_faff,
    ];
    // The selector for text asks for the opposite.
    if cluster.contains('\u{fe0e}') {
        return false;
    }
    let first = cluster.chars().next();
    first.is_some_and(|c| within(c, OWN)) || cluster.contains('\u{fe0f}')
}

/// What has to be known of a whole text to choose between the East Asian families, whose ideographs
/// look different.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ideographs {
    Japanese,
    Korean,
    Chinese,
}

impl Ideographs {
    /// Kana are Japanese, Hangul is Korean, ideographs alone are Chinese.
    pub(super) fn of(texts: &[&str]) -> Self {
        let any = |ranges| texts.iter().any(|text| text.chars().any(|c| within(c, ranges)));
        match (any(KANA), any(HANGUL)) {
            (true, _) => Self::Japanese,
            (_, true) => Self::Korean,
            _ => Self::Chinese,
        }
    }

    fn order(self) -> [usize; 3] {
        match self {
            Self::Japanese => [JP, SC, KR],
            Self::Korean => [KR, JP, SC],
            Self::Chinese => [SC, JP, KR],
        }
    }
}

/// The families that may have `c`, best first, as numbers of [`known`].
pub(super) fn for_char(c: char, ideographs: Ideographs) -> impl Iterator<Item = usize> {
    let asian = [HAN, KANA, HANGUL].iter().any(|ranges| within(c, ranges));
    let first = ideographs.order().into_iter().filter(move |_| asian);
    let rest = KNOWN.iter().enumerate();
    first.chain(
        rest.filter(move |(i, known)| ![JP, KR, SC].contains(i) && within(c, known.covers))
            .map(|(i, _)| i),
    )
}

/// The family for emoji.
pub(super) fn for_emoji() -> usize {
    EMOJI
}

pub(super) fn known(i: usize) -> Option<&'static Known> {
    KNOWN.get(i)
}

/// Where the files of known families are.
#[derive(Clone, Debug, Default)]
pub struct FontShelf {
    files: Vec<(usize, Vec<PathBuf>)>,
}

impl FontShelf {
    /// Puts the files of a family of the catalogue (`noto-sans-jp`) on the shelf. Says whether this
    /// engine knows what the family is for; if not, nothing is done.
    pub fn put(&mut self, name: &str, files: Vec<PathBuf>) -> bool {
        let Some(i) = KNOWN.iter().position(|known| known.name == name) else { return false };
        self.files.retain(|(own, _)| *own != i);
        self.files.push((i, files));
        true
    }

    fn take(&mut self, i: usize) -> Option<Vec<PathBuf>> {
        let at = self.files.iter().position(|(own, _)| *own == i)?;
        Some(self.files.swap_remove(at).1)
    }
}

impl FontSet {
    /// Fonts to turn to where the others lack something; see [`FontShelf`].
    #[must_use]
    pub fn with_shelf(mut self, shelf: FontShelf) -> Self {
        self.shelf = shelf;
        self
    }

    /// The families that were taken from the shelf so far, by their names in the catalogue.
    pub fn taken(&self) -> Vec<&'static str> {
        self.taken.iter().filter_map(|i| known(*i)).map(|known| known.name).collect()
    }

    /// The family of this number, read if it was not yet; `None` where it is not on the shelf.
    ///
    /// # Errors
    /// Where its files cannot be read.
    pub(super) fn fetch(&mut self, i: usize) -> Result<Option<&'static str>> {
        let family = known(i).map(|known| known.family);
        if self.taken.contains(&i) {
            return Ok(family);
        }
        let Some(files) = self.shelf.take(i) else { return Ok(None) };
        for file in &files {
            self.add_file(file)?;
        }
        self.taken.push(i);
        Ok(family)
    }

    /// Reads the family of this name from the shelf, if it is one of those.
    ///
    /// # Errors
    /// Where its files cannot be read.
    pub(super) fn fetch_named(&mut self, family: &str) -> Result<()> {
        match KNOWN.iter().position(|known| known.family.eq_ignore_ascii_case(family)) {
            Some(i) => self.fetch(i).map(|_| ()),
            None => Ok(()),
        }
    }
}

/// What to do about characters that no font has.
pub(super) fn advice(missing: &[char], ideographs: Ideographs) -> String {
    let mut names: Vec<&str> = Vec::new();
    for c in missing {
        let emoji = is_emoji(c.encode_utf8(&mut [0; 4])).then_some(EMOJI);
        let known = emoji.or_else(|| for_char(*c, ideographs).next()).and_then(known);
        names.extend(known.map(|known| known.name));
    }
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        "add a font that has it under \"fonts\"".into()
    } else {
        format!("rushes models pull {}, or add a font that has it under \"fonts\"", names.join(" "))
    }
}
