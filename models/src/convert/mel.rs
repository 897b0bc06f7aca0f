//! The mel filters that Whisper hears with: Slaney's, as `librosa.filters.mel` computes them for
//! 16 kHz and a 400-point transform.

use super::ggml::{BINS, MelFilters};

/// Hz of one bin: 16000 / 400.
const BIN_HZ: f64 = 40.0;
const TOP_HZ: f64 = 8_000.0;
/// Below this frequency the scale is linear, above it logarithmic.
const BEND_HZ: f64 = 1_000.0;
const LINEAR_HZ: f64 = 200.0 / 3.0;
const BEND_MEL: f64 = BEND_HZ / LINEAR_HZ;

/// The mel filters for `bands` bands: 80 for most Whisper models, 128 from large-v3 on.
///
/// Rounded where librosa rounds, so that the values are those of PyPI `openai-whisper`'s
/// `mel_filters.npz`, bit for bit.
pub fn mel_filters(bands: usize) -> MelFilters {
    // linspace(0, top, bands + 2), with the last point exact.
    let top = BEND_MEL + (TOP_HZ / BEND_HZ).ln() / step();
    let width = top / (bands + 1) as f64;
    let edges: Vec<f64> = (0..bands + 2)
        .map(|i| hertz(if i == bands + 1 { top } else { i as f64 * width }))
        .collect();
    let mut values = Vec::with_capacity(bands * BINS);
    for edge in edges.windows(3) {
        let (low, middle, high) = (edge[0], edge[1], edge[2]);
        let area = 2.0 / (high - low);
        for bin in 0..BINS {
            let frequency = bin as f64 * BIN_HZ;
            let rising = -(low - frequency) / (middle - low);
            let falling = (high - frequency) / (high - middle);
            let weight = rising.min(falling);
            values.push(if weight > 0.0 {
                (f64::from(weight as f32) * area) as f32
            } else if frequency <= 0.0 && low <= 0.0 {
                // At 0 Hz the published value is -0. Written out: what arithmetic makes of the sign
                // of zero was seen to differ from build to build.
                -0.0
            } else {
                0.0
            });
        }
    }
    MelFilters { bands, bins: BINS, values }
}

fn step() -> f64 {
    6.4f64.ln() / 27.0
}

fn hertz(mel: f64) -> f64 {
    if mel >= BEND_MEL { BEND_HZ * (step() * (mel - BEND_MEL)).exp() } else { LINEAR_HZ * mel }
}

#[cfg(test)]
mod tests;
