//! The log-mel spectrogram that Whisper listens to (OpenAI's `audio.py`: Hann window of 25 ms,
//! every 10 ms, Slaney mel bands, log10 clamped to 8 below the loudest, scaled by 1/4).

use realfft::{RealFftPlanner, RealToComplex};
use rushes_models::convert::MelFilters;
use std::f32::consts::PI;
use std::sync::Arc;

/// Samples of one window.
const WINDOW: usize = 400;
/// Samples from one frame to the next: 10 ms.
pub(super) const HOP: usize = 160;

/// Makes spectrograms.
pub(super) struct MelSpectrum {
    bands: usize,
    /// For each band the first frequency with a weight, and the weights from there.
    filters: Vec<(usize, Vec<f32>)>,
    window: Vec<f32>,
    fft: Arc<dyn RealToComplex<f32>>,
}

/// A spectrogram of `bands × frames`, band by band.
pub(super) struct Mel {
    pub(super) values: Vec<f32>,
    /// What silence reads as beside this sound.
    pub(super) floor: f32,
}

impl MelSpectrum {
    pub(super) fn new(filters: &MelFilters) -> Self {
        let bands = filters.values.chunks_exact(filters.bins.max(1)).map(|row| {
            let first = row.iter().position(|w| *w != 0.0).unwrap_or(0);
            let last = row.iter().rposition(|w| *w != 0.0).map_or(first, |last| last + 1);
            (first, row[first..last].to_vec())
        });
        let window = (0..WINDOW).map(|i| 0.5 - 0.5 * (2.0 * PI * i as f32 / WINDOW as f32).cos());
        Self {
            bands: filters.bands,
            filters: bands.collect(),
            window: window.collect(),
            fft: RealFftPlanner::new().plan_fft_forward(WINDOW),
        }
    }

    /// The first `frames` frames of `samples`, which silence goes on after.
    pub(super) fn of(&self, samples: &[f32], frames: usize) -> Mel {
        // Frame `i` is centred on sample `160 i`; before the start the sound is mirrored.
        let half = WINDOW / 2;
        let at = |i: isize| samples.get(i.unsigned_abs()).copied().unwrap_or(0.0);
        let mut windowed = self.fft.make_input_vec();
        let mut spectrum = self.fft.make_output_vec();
        let mut scratch = self.fft.make_scratch_vec();
        let mut values = vec![0.0; self.bands * frames];
        let mut loudest = f32::MIN;
        for frame in 0..frames {
            let start = (frame * HOP) as isize - half as isize;
            match usize::try_from(start).ok().and_then(|s| samples.get(s..s + WINDOW)) {
                Some(whole) => {
                    for ((out, sample), weight) in windowed.iter_mut().zip(whole).zip(&self.window)
                    {
                        *out = sample * weight;
                    }
                }
                None => {
                    for (i, (out, weight)) in windowed.iter_mut().zip(&self.window).enumerate() {
                        *out = at(start + i as isize) * weight;
                    }
                }
            }
            // Fails only for buffers of other lengths than its own.
            let _ = self.fft.process_with_scratch(&mut windowed, &mut spectrum, &mut scratch);
            for (band, (first, weights)) in self.filters.iter().enumerate() {
                let power: f32 = weights
                    .iter()
                    .zip(spectrum.get(*first..).unwrap_or_default())
                    .map(|(w, c)| w * c.norm_sqr())
                    .sum();
                let log = power.max(1e-10).log10();
                loudest = loudest.max(log);
                values[band * frames + frame] = log;
            }
        }
        let least = loudest - 8.0;
        for value in &mut values {
            *value = (value.max(least) + 4.0) / 4.0;
        }
        Mel { values, floor: (least + 4.0) / 4.0 }
    }
}
