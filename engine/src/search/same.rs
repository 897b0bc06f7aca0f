//! Whether two moments of different films are one moment twice: a film that was exported again, cut
//! down, or copied with another head.
//!
//! Something must speak for it, what is said or what is seen, and nothing against it.

use super::films::{Film, Films};
use crate::error::Result;
use crate::media::{SMALL_HEIGHT, SMALL_WIDTH, SmallPicture};
use crate::stills::read_picture;
use crate::time::{Span, Timestamp};
use crate::vision::features::Sample;
use std::collections::HashMap;

/// Fewer words are said alike in films that have nothing to do with each other.
const FEWEST_WORDS: usize = 5;
/// Shares of words in common (Dice) from which texts are the same, and below which they are others:
/// recognisers hear a word or two differently in another encoding.
const SAME_WORDS: f64 = 0.85;
const OTHER_WORDS: f64 = 0.5;
/// Bits of 64 by which fingerprints of the same picture differ at most, and of another at least.
/// (Pictures that have nothing in common differ in about 32.)
const SAME_BITS: u32 = 8;
const OTHER_BITS: u32 = 20;
/// Cells of 1296 that may have another luma in the same picture, scaled and encoded again.
const SAME_CELLS: usize = 65;
/// Pictures of less contrast (standard deviation of the luma, 0 to 0.5) tell nothing: black, white.
const FLAT: f32 = 0.03;

/// What tells a moment from others.
#[derive(Default)]
pub(super) struct Look {
    words: HashMap<String, usize>,
    picture: Option<Sample>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Same,
    Unknown,
    Other,
}

impl Look {
    /// The moment of a film. A picture that cannot be read is done without.
    pub fn of(films: &mut Films<'_>, media: i64, span: Span) -> Result<Self> {
        let film = films.film(media)?;
        let (words, path) = (words(film, span), film.picture_at(span));
        let picture = path.and_then(|path| {
            let picture = read_picture(&films.place(&path).ok()?).ok()?;
            let (width, height) = (SMALL_WIDTH as u32, SMALL_HEIGHT as u32);
            let small = image::imageops::thumbnail(&picture, width, height);
            let small = SmallPicture::from_rgb(small.as_raw());
            Some(Sample::new(Timestamp::ZERO, &picture, &small))
        });
        Ok(Self { words, picture: picture.filter(|p| p.features.contrast >= FLAT) })
    }

    /// Whether both are the same moment.
    pub fn is_same(&self, other: &Self) -> bool {
        // Pictures first: that they differ costs least to see.
        match self.by_picture(other) {
            Verdict::Other => false,
            Verdict::Same => self.by_words(other) != Verdict::Other,
            Verdict::Unknown => self.by_words(other) == Verdict::Same,
        }
    }

    fn by_words(&self, other: &Self) -> Verdict {
        let count = |look: &Self| look.words.values().sum::<usize>();
        let (own, others) = (count(self), count(other));
        if own.min(others) < FEWEST_WORDS {
            // Something is said in one of them, and nothing in the other.
            return if own.max(others) > 2 * FEWEST_WORDS {
                Verdict::Other
            } else {
                Verdict::Unknown
            };
        }
        let common = self.words.iter().map(|(word, n)| n.min(other.words.get(word).unwrap_or(&0)));
        let share = 2.0 * common.sum::<usize>() as f64 / (own + others) as f64;
        verdict(share >= SAME_WORDS, share < OTHER_WORDS)
    }

    fn by_picture(&self, other: &Self) -> Verdict {
        let (Some(own), Some(other)) = (&self.picture, &other.picture) else {
            return Verdict::Unknown;
        };
        let (bits, cells) = own.apart(other);
        verdict(bits <= SAME_BITS && cells <= SAME_CELLS, bits >= OTHER_BITS)
    }
}

fn verdict(same: bool, other: bool) -> Verdict {
    match (same, other) {
        (true, _) => Verdict::Same,
        (_, true) => Verdict::Other,
        _ => Verdict::Unknown,
    }
}

/// The words that are said within `span`, without case and marks, and how often each.
fn words(film: &Film, span: Span) -> HashMap<String, usize> {
    let said = film.marks.said.iter().flat_map(|said| &said.words);
    let inside = said.filter(|(word, _)| word.start < span.end && span.start < word.end);
    let mut words = HashMap::new();
    for word in inside.flat_map(|(_, text)| text.split_whitespace()) {
        let letters = word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase);
        let word: String = letters.collect();
        if !word.is_empty() {
            *words.entry(word).or_default() += 1;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgb, RgbImage};

    fn look(text: &str, picture: Option<&RgbImage>) -> Look {
        let span = Span { start: Timestamp::ZERO, end: Timestamp::from_secs(9) };
        let mut film = Film::default();
        let words = vec![(span, text.to_owned())];
        film.marks.said.push(super::super::snap::Said { span, words });
        let picture = picture.map(|picture| {
            let small = image::imageops::thumbnail(picture, 48, 27);
            Sample::new(Timestamp::ZERO, picture, &SmallPicture::from_rgb(small.as_raw()))
        });
        Look { words: words_of(&film, span), picture }
    }

    fn words_of(film: &Film, span: Span) -> HashMap<String, usize> {
        super::words(film, span)
    }

    /// A picture of blobs that depends on `seed` alone.
    fn picture(seed: u32, side: u32) -> RgbImage {
        RgbImage::from_fn(16 * side, 9 * side, |x, y| {
            let cell = (x / (2 * side)) * 31 + (y / (2 * side)) * 17 + seed * 101;
            let value = (cell.wrapping_mul(2_654_435_761) >> 24) as u8;
            Rgb([value, value / 2 + 60, 255 - value])
        })
    }

    #[test]
    fn something_must_speak_for_it_and_nothing_against() {
        let times = "It was the best of times, it was the worst of times.";
        let heard = "it was the best of times it was the worst of time";
        let price = "The price of the new machine is thirty dollars a month.";
        let (a, again, b) = (picture(1, 40), picture(1, 24), picture(2, 40));
        for (one, other, same) in [
            (look(times, None), look(heard, None), true),
            (look(times, None), look(price, None), false),
            (look("", Some(&a)), look("", Some(&again)), true),
            (look("", Some(&a)), look("", Some(&b)), false),
            (look(times, Some(&a)), look(heard, Some(&again)), true),
            (look(times, Some(&a)), look(price, Some(&again)), false),
            (look(times, Some(&a)), look(heard, Some(&b)), false),
            (look(times, Some(&a)), look("", Some(&again)), false),
            (look("Thank you.", None), look("Thank you.", None), false),
            (look("", None), look("", None), false),
        ] {
            assert_eq!(one.is_same(&other), same, "{:?} {:?}", one.words, other.words);
            assert_eq!(other.is_same(&one), same);
        }
    }
}
