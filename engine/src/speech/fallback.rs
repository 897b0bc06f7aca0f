//! Whether a decoded chunk is good enough, or is to be decoded again at a higher temperature: the
//! rule of OpenAI's `transcribe.py`, the same for every recogniser.

use super::recogniser::Wanted;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::io::Write;

/// Length of `text` in UTF-8 over its length once compressed by zlib; 0 for no text. Ordinary
/// speech lies between 1 and 2; the same words again and again go beyond 2.4.
pub fn compression_ratio(text: &str) -> f32 {
    if text.is_empty() {
        return 0.0;
    }
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(6));
    // Writing to memory does not fail; if it did, the text would count as incompressible.
    let written = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
    written.map_or(1.0, |packed| text.len() as f32 / packed.len().max(1) as f32)
}

/// Whether text with these measures is to be decoded again at the next temperature.
pub fn is_poor(
    wanted: &Wanted,
    avg_logprob: f32,
    compression_ratio: f32,
    no_speech_prob: f32,
) -> bool {
    if is_silence(wanted, avg_logprob, no_speech_prob) {
        return false;
    }
    // Also where the mean is no number.
    let improbable = avg_logprob.is_nan() || avg_logprob < wanted.logprob_threshold;
    improbable || compression_ratio > wanted.compression_threshold
}

/// How good a text with these measures is beside others of the same chunk, all of them poor: first
/// whether it is probable, then whether it does not repeat itself, then how probable it is.
///
/// Not the other way round: prompts that repeat a sentence compress too well at every temperature
/// until chance has made nonsense of them, which does not. (base, 750 s of prompts in a row: one
/// chunk of such nonsense took whisper.cpp's error rate from 3.1 to 6.9 %.) Real loops are cut by
/// [`super::guard`].
pub fn rank(wanted: &Wanted, avg_logprob: f32, compression_ratio: f32) -> (bool, bool, f32) {
    let probable = avg_logprob >= wanted.logprob_threshold;
    (probable, compression_ratio <= wanted.compression_threshold, avg_logprob)
}

/// Whether two texts say much the same: apart from one place of at most a quarter of their tokens.
/// What comes out again where chance had a hand in it is what was said, however poor it looks.
pub fn agree<T: PartialEq>(a: &[T], b: &[T]) -> bool {
    let same = |pair: &(&T, &T)| pair.0 == pair.1;
    let front = a.iter().zip(b).take_while(same).count();
    let back = a[front..].iter().rev().zip(b[front..].iter().rev()).take_while(same).count();
    (front + back) * 4 >= a.len().max(b.len()) * 3
}

/// Whether a chunk with these measures is taken to hold no speech: nothing better comes of trying
/// again.
pub fn is_silence(wanted: &Wanted, avg_logprob: f32, no_speech_prob: f32) -> bool {
    no_speech_prob > wanted.no_speech_threshold && avg_logprob < wanted.logprob_threshold
}

/// Whether the last of `tokens` repeat so often that the decoder is in a loop: a pattern of up to
/// 32 tokens, four times or more and 40 tokens or more in all.
pub fn is_loop(tokens: &[i32]) -> bool {
    const LEAST: usize = 40;
    (1..=32).any(|period| {
        let same = tokens
            .iter()
            .rev()
            .zip(tokens.iter().rev().skip(period))
            .take_while(|(late, early)| late == early)
            .count();
        same >= period * 3 && same + period >= LEAST
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compression_tells_a_loop_from_speech() {
        // Python's zlib gives 1.35 and 13.75; miniz packs long repeats a little less well.
        let speech = "And so, my fellow Americans, ask not what your country can do for you, ask \
                      what you can do for your country.";
        let ratio = compression_ratio(speech);
        assert!((1.2..1.5).contains(&ratio), "{ratio}");
        let ratio = compression_ratio(&"Thank you. ".repeat(30));
        assert!(ratio > 8.0, "{ratio}");
        assert!(compression_ratio("no") < 1.0);
        assert!(compression_ratio("").abs() < f32::EPSILON);
    }

    #[test]
    fn thresholds_are_openais() {
        let wanted = Wanted::default();
        assert!(!is_poor(&wanted, -0.3, 1.5, 0.1));
        assert!(is_poor(&wanted, -1.1, 1.5, 0.1));
        assert!(is_poor(&wanted, -0.3, 2.5, 0.1));
        assert!(is_poor(&wanted, f32::NAN, 1.5, 0.1));
        // Silence is not tried again, unless its text is probable.
        assert!(!is_poor(&wanted, -1.1, 1.5, 0.7));
        assert!(is_poor(&wanted, -0.3, 2.5, 0.7));
    }

    #[test]
    fn nonsense_is_no_better_than_what_was_said_twice() {
        let wanted = Wanted::default();
        // As measured: prompts that repeat themselves, a loop, what temperature 1 made of both.
        let (said, looped, nonsense) = ((-0.2, 2.6), (-0.1, 9.0), (-2.4, 1.6));
        let rank = |(logprob, ratio): (f32, f32)| rank(&wanted, logprob, ratio);
        assert!(rank(said) > rank(nonsense) && rank(looped) > rank(nonsense));
        // Of probable ones the one that does not repeat itself, and of nonsense the more probable.
        assert!(rank((-0.9, 1.5)) > rank(looped));
        assert!(rank((-1.4, 1.6)) > rank(nonsense));
        assert!(rank(nonsense) > rank((f32::NAN, 9.0)));
    }

    #[test]
    fn texts_agree_but_for_one_place() {
        let text: Vec<u32> = (0..20).collect();
        let mut other = text.clone();
        other.splice(5..9, [90, 91]);
        assert!(agree(&text, &text) && agree(&text, &other) && agree(&other, &text));
        other[0] = 99;
        assert!(!agree(&text, &other));
        assert!(!agree(&text, &[]) && agree::<u32>(&[], &[]));
    }

    #[test]
    fn loops_are_found_and_lists_are_not() {
        let once: Vec<i32> = (0..7).collect();
        assert!(is_loop(&once.repeat(6)));
        assert!(!is_loop(&once.repeat(5)));
        assert!(is_loop(&[5; 40]));
        assert!(!is_loop(&[5; 39]));
        let mut late = (100..150).collect::<Vec<i32>>();
        assert!(!is_loop(&late));
        late.extend(once.repeat(6));
        late.push(0);
        assert!(is_loop(&late));
        assert!(!is_loop(&[]));
    }
}
