//! What the decoder may write next: Whisper's rules for timestamps (OpenAI's `decoding.py`,
//! `ApplyTimestampRules`, `SuppressTokens`, `SuppressBlank`).

use super::logits::{exp_sum, greatest};
use super::tokens::Tokens;

/// The first timestamp is at most 1 s after the chunk's start.
const LATEST_START: u32 = 50;

/// Bars from `logits` what may not follow `written` (without the prompt).
pub(super) fn apply(tokens: &Tokens, written: &[u32], logits: &mut [f32]) {
    let stamps = tokens.timestamps();
    for token in &tokens.suppressed {
        bar(logits, *token..*token + 1);
    }
    let after_stamps = stamps..logits.len() as u32;
    if written.is_empty() {
        for token in &tokens.suppressed_first {
            bar(logits, *token..*token + 1);
        }
        bar(logits, 0..stamps);
        bar(logits, stamps + LATEST_START + 1..after_stamps.end);
        return;
    }
    let is_stamp = |at: usize| written.len().checked_sub(at).is_none_or(|i| written[i] >= stamps);
    let last_is_stamp = is_stamp(1);
    if last_is_stamp {
        if is_stamp(2) {
            // A stretch has begun: text.
            bar(logits, after_stamps.clone());
        } else {
            // A stretch has ended: the next one's start, or the end of all.
            bar(logits, 0..tokens.end);
        }
    }
    // Time does not run backwards, and a stretch is not empty.
    if let Some(last) = written.iter().rev().find(|token| **token >= stamps) {
        let closes = last_is_stamp && !is_stamp(2);
        bar(logits, stamps..if closes { *last } else { *last + 1 });
    }
    // If a timestamp, whichever, is likelier than any one word, it is a timestamp.
    let (text, times) = logits.split_at(stamps as usize);
    let of_times = log_sum(times);
    if of_times.is_finite() && of_times > greatest(text) {
        bar(logits, 0..stamps);
    }
}

fn bar(logits: &mut [f32], tokens: std::ops::Range<u32>) {
    let end = (tokens.end as usize).min(logits.len());
    if let Some(range) = logits.get_mut(tokens.start as usize..end) {
        range.fill(f32::NEG_INFINITY);
    }
}

/// The natural log of the sum of `exp` of all of `logits`.
pub(super) fn log_sum(logits: &[f32]) -> f32 {
    let best = greatest(logits);
    if !best.is_finite() {
        return best;
    }
    best + exp_sum(logits, best).ln()
}

/// The most probable token.
pub(super) fn best(logits: &[f32]) -> u32 {
    let best = greatest(logits);
    logits.iter().position(|logit| *logit == best).unwrap_or(0) as u32
}

/// A token drawn with probabilities at `temperature`; `random` is uniform in `[0, 1)`.
pub(super) fn draw(logits: &[f32], temperature: f32, random: f32) -> u32 {
    let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weight = |logit: &f32| ((logit - best) / temperature).exp();
    let mut left = random * logits.iter().map(weight).sum::<f32>();
    let mut last = 0;
    for (token, logit) in logits.iter().enumerate() {
        let weight = weight(logit);
        if weight > 0.0 {
            last = token;
            left -= weight;
            if left < 0.0 {
                break;
            }
        }
    }
    last as u32
}

/// The `count` most probable tokens, best first.
pub(super) fn top(logits: &[f32], count: usize) -> Vec<u32> {
    let mut top: Vec<u32> = Vec::with_capacity(count + 1);
    for (token, logit) in logits.iter().enumerate() {
        let worse = top.len() == count && top.last().is_some_and(|t| logits[*t as usize] >= *logit);
        if worse || !logit.is_finite() {
            continue;
        }
        let at = top.partition_point(|t| logits[*t as usize] >= *logit);
        top.insert(at, token as u32);
        top.truncate(count);
    }
    top
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> Tokens {
        let vocabulary: Vec<Vec<u8>> = (0..50_257_u32).map(|i| i.to_le_bytes().to_vec()).collect();
        Tokens::new(&vocabulary, 51_865)
    }

    #[test]
    fn begins_with_a_timestamp_within_a_second() {
        let tokens = tokens();
        let mut logits = vec![0.0; tokens.count];
        apply(&tokens, &[], &mut logits);
        let stamps = tokens.timestamps() as usize;
        assert!(logits[..stamps].iter().all(|l| !l.is_finite()));
        assert!(logits[stamps..=stamps + 50].iter().all(|l| l.is_finite()));
        assert!(logits[stamps + 51..].iter().all(|l| !l.is_finite()));
    }

    #[test]
    fn stretches_open_close_and_never_run_back() {
        let tokens = tokens();
        let stamps = tokens.timestamps();
        let allowed = |written: &[u32], token: u32| {
            let mut logits = vec![0.0; tokens.count];
            // Text so likely that the rule on their sum does not interfere.
            logits[1000] = 30.0;
            logits[tokens.end as usize] = 30.0;
            apply(&tokens, written, &mut logits);
            logits[token as usize].is_finite()
        };
        // Opened: text, no second stamp.
        assert!(allowed(&[stamps], 1000) && !allowed(&[stamps], stamps + 5));
        // Text: goes on, or closes later than it opened.
        assert!(allowed(&[stamps + 3, 7], 1000) && allowed(&[stamps + 3, 7], stamps + 4));
        assert!(!allowed(&[stamps + 3, 7], stamps + 3));
        // Closed: opens again at once or later, or ends.
        let closed = [stamps, 7, stamps + 9];
        assert!(allowed(&closed, stamps + 9) && allowed(&closed, tokens.end));
        assert!(!allowed(&closed, stamps + 8) && !allowed(&closed, 1000));
    }

    #[test]
    fn draws_follow_the_probabilities() {
        let logits = [0.0, f32::NEG_INFINITY, 0.0];
        assert_eq!(draw(&logits, 1.0, 0.1), 0);
        assert_eq!(draw(&logits, 1.0, 0.9), 2);
        assert_eq!(draw(&logits, 1.0, 0.999_999_9), 2);
        assert_eq!(best(&logits), 0);
        assert_eq!(top(&[1.0, 3.0, 2.0, f32::NEG_INFINITY], 3), [1, 2, 0]);
        assert!((log_sum(&[0.0, 0.0]) - 2.0_f32.ln()).abs() < 1e-6);
    }
}
