//! Where within a word's time there is sound: alignment gives the pauses between words to one of
//! them.

use super::recogniser::{PieceWord, SAMPLE_RATE};

/// Loudness is looked at in steps of 10 ms.
const STEP: usize = SAMPLE_RATE as usize / 100;

/// A word is left at least this long, 40 ms.
const LEAST: u32 = 4 * STEP as u32;

/// Draws the start and end of each word in to where there is sound in it. `samples` are those that
/// the words' times count. What is quiet is told by the sound itself: less than a fiftieth of its
/// loud parts (34 dB), or, where it is noisy, twice its quietest parts, if these are quiet at all. A
/// word in which all is quiet stays as it is.
pub fn draw_in(words: &mut [PieceWord], samples: &[f32]) {
    let levels: Vec<f32> = samples
        .chunks(STEP)
        .map(|step| (step.iter().map(|s| s * s).sum::<f32>() / step.len() as f32).sqrt())
        .collect();
    let mut sorted = levels.clone();
    sorted.sort_unstable_by(f32::total_cmp);
    let at = |percent: usize| sorted.get(sorted.len() * percent / 100).copied().unwrap_or(0.0);
    let loud = at(95);
    let quiet = (at(5) * 2.0).max(loud / 50.0).min(loud / 10.0);
    for word in words {
        let steps = word.samples.start as usize / STEP
            ..(word.samples.end as usize).div_ceil(STEP).min(levels.len());
        let Some(inside) = levels.get(steps.clone()) else { continue };
        let Some(first) = inside.iter().position(|level| *level > quiet) else { continue };
        let last = inside.iter().rposition(|level| *level > quiet).unwrap_or(first);
        let begins = ((steps.start + first) * STEP) as u32;
        let ends = ((steps.start + last + 1) * STEP) as u32;
        let (start, end) = (word.samples.start.max(begins), word.samples.end.min(ends));
        if end.saturating_sub(start) >= LEAST {
            word.samples = start..end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(samples: std::ops::Range<u32>) -> PieceWord {
        PieceWord { samples, text: " word".to_owned(), probability: 1.0 }
    }

    /// A second of silence (or hum), one of tone, one of silence.
    fn sound(hum: f32) -> Vec<f32> {
        (0..48_000)
            .map(|i| {
                let wave = (i as f32 * 0.3).sin();
                if (16_000..32_000).contains(&i) { 0.5 * wave } else { hum * wave }
            })
            .collect()
    }

    #[test]
    fn pauses_are_left_to_nobody() {
        for hum in [0.0, 0.01, 0.02] {
            let mut words = [word(8_000..40_000), word(20_000..30_000), word(100..8_000)];
            draw_in(&mut words, &sound(hum));
            assert_eq!(words[0].samples, 16_000..32_000, "{hum}");
            assert_eq!(words[1].samples, 20_000..30_000);
            assert_eq!(words[2].samples, 100..8_000, "nothing but quiet: as it was");
        }
    }

    #[test]
    fn odd_times_are_left_alone() {
        let mut words = [word(90_000..95_000), word(31_900..47_000), word(5..5)];
        draw_in(&mut words, &sound(0.0));
        assert_eq!(words[0].samples, 90_000..95_000);
        assert_eq!(words[1].samples, 31_900..47_000, "too little would be left");
        assert_eq!(words[2].samples, 5..5);
        draw_in(&mut words, &[]);
    }
}
