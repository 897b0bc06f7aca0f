//! Music that makes room for speech.

use super::{RATE, Stereo, amplitude};

/// How music steps back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ducking {
    /// Decibels by which it is lowered under speech; negative.
    pub depth: f64,
    /// Samples before speech over which it goes down: it is down when the first word comes.
    pub attack: u32,
    /// Samples after speech over which it comes up again.
    pub release: u32,
    /// Pauses of speech shorter than this do not bring it up.
    pub hold: u32,
}

impl Default for Ducking {
    /// −12 dB, down within 0.2 s, up within 0.6 s, held for 0.5 s.
    fn default() -> Self {
        Self { depth: -12.0, attack: RATE / 5, release: RATE * 3 / 5, hold: RATE / 2 }
    }
}

/// Lowers `sound`, whose first sample is sample `start` of the programme, where `speech` (spans of
/// samples of the programme, half-open, in order) is. Gain moves in decibels along half a cosine.
pub fn duck(sound: &mut Stereo, start: u64, speech: &[(u64, u64)], ducking: &Ducking) {
    let spans = joined(speech, u64::from(ducking.hold));
    let (attack, release) = (f64::from(ducking.attack), f64::from(ducking.release));
    let mut next = 0;
    for i in 0..sound.len() {
        let at = start + i as u64;
        while spans.get(next).is_some_and(|(_, end)| end + u64::from(ducking.release) <= at) {
            next += 1;
        }
        // Two spans may reach a sample, the release of one and the attack of the next: the deeper
        // counts.
        let depth = spans[next..].iter().take(2).fold(0.0f64, |most, (from, to)| {
            let part = if at < *from {
                1.0 - (*from - at) as f64 / attack.max(1.0)
            } else if at < *to {
                1.0
            } else {
                1.0 - (at - *to + 1) as f64 / release.max(1.0)
            };
            most.max(part.clamp(0.0, 1.0))
        });
        if depth > 0.0 {
            let course = 0.5 - 0.5 * (depth * std::f64::consts::PI).cos();
            let gain = amplitude(ducking.depth * course) as f32;
            for channel in &mut sound.channels {
                channel[i] *= gain;
            }
        }
    }
}

/// Spans with pauses of less than `hold` between them made one; empty ones left out.
fn joined(spans: &[(u64, u64)], hold: u64) -> Vec<(u64, u64)> {
    let mut out: Vec<(u64, u64)> = Vec::new();
    for (from, to) in spans.iter().filter(|(from, to)| from < to) {
        match out.last_mut() {
            Some(last) if *from < last.1.saturating_add(hold) => last.1 = last.1.max(*to),
            _ => out.push((*from, *to)),
        }
    }
    out
}
