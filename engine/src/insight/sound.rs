//! What a film sounds like in short windows: level, loudness, pitch, tone. Measured once, in the one
//! reading of the film; clips of any length are made of windows later.

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::library::catalogue::insight::SoundRow;
use crate::media::{AudioChunk, SoundSink};
use crate::time::Timestamp;
use ebur128::{EbuR128, Mode};
use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use std::sync::Arc;

/// Samples a second that are measured: those of speech recognition, so nothing is resampled twice.
pub const RATE: u32 = 16_000;
/// A window.
pub const STEP: Timestamp = Timestamp::from_millis(250);
/// Samples of a window.
const WINDOW: usize = 4000;
/// Samples of a transform: 128 ms, four periods of the lowest voice.
const FRAME: usize = 2048;
/// Frames of 10 ms, whose levels tell speech from music.
const SHORT: usize = 160;
/// What is written for silence.
pub const SILENCE: f32 = -100.0;
/// The pitch of voices, in Hz.
const LOWEST: f32 = 60.0;
const HIGHEST: f32 = 500.0;
/// How periodic a voice is at least (normalised autocorrelation).
const VOICED: f32 = 0.5;

/// What is measured of each window, in this order.
pub const FIELDS: [&str; 8] =
    ["rms", "peak", "loudness", "pitch", "periodicity", "centroid", "flatness", "modulation"];

/// A window's measurements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Level in dBFS (a full-scale sine has −3.01); [`SILENCE`] at least.
    pub rms: f32,
    /// The highest sample in dBFS.
    pub peak: f32,
    /// Momentary loudness (EBU R 128, 400 ms) at the window's end in LUFS.
    pub loudness: f32,
    /// The pitch of a voice in Hz; 0 where there is none.
    pub pitch: f32,
    /// How periodic it is, 0 to 1: the highest normalised autocorrelation within the range of voices.
    pub periodicity: f32,
    /// The spectrum's centre in Hz.
    pub centroid: f32,
    /// The spectrum's geometric over its arithmetic mean: 1 for noise, near 0 for tones.
    pub flatness: f32,
    /// How much the level goes up and down within it: the deviation of the levels of 10 ms in dB. Speech
    /// has syllables and gaps, music less.
    pub modulation: f32,
}

impl Window {
    fn values(self) -> [f32; FIELDS.len()] {
        [
            self.rms,
            self.peak,
            self.loudness,
            self.pitch,
            self.periodicity,
            self.centroid,
            self.flatness,
            self.modulation,
        ]
    }

    /// The windows that are stored; none where other things were measured.
    pub fn of(row: &SoundRow) -> Vec<Self> {
        if row.fields != FIELDS {
            return Vec::new();
        }
        let (windows, _) = row.values.as_chunks::<{ FIELDS.len() }>();
        let window = |values: &[f32; FIELDS.len()]| {
            let [rms, peak, loudness, pitch, periodicity, centroid, flatness, modulation] = *values;
            Self { rms, peak, loudness, pitch, periodicity, centroid, flatness, modulation }
        };
        windows.iter().map(window).collect()
    }
}

/// Measures sound as it comes.
pub struct SoundMeter {
    pending: Vec<f32>,
    meter: EbuR128,
    forward: Arc<dyn RealToComplex<f32>>,
    back: Arc<dyn ComplexToReal<f32>>,
    hann: Vec<f32>,
    values: Vec<f32>,
}

impl SoundMeter {
    /// A meter for sound of [`RATE`] in one channel.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`], which would be a defect.
    pub fn new() -> Result<Self> {
        let mut planner = RealFftPlanner::new();
        let turn = std::f32::consts::TAU / FRAME as f32;
        Ok(Self {
            pending: Vec::with_capacity(WINDOW),
            meter: EbuR128::new(1, RATE, Mode::M).map_err(|e| failed(&e))?,
            forward: planner.plan_fft_forward(FRAME),
            back: planner.plan_fft_inverse(FRAME),
            hann: (0..FRAME).map(|i| 0.5 - 0.5 * (turn * i as f32).cos()).collect(),
            values: Vec::new(),
        })
    }

    /// Takes the next samples.
    ///
    /// # Errors
    /// As [`SoundMeter::new`].
    pub fn push(&mut self, mut samples: &[f32]) -> Result<()> {
        while !samples.is_empty() {
            let take = samples.len().min(WINDOW - self.pending.len());
            let (now, later) = samples.split_at(take);
            self.pending.extend_from_slice(now);
            samples = later;
            if self.pending.len() == WINDOW {
                self.window()?;
            }
        }
        Ok(())
    }

    /// The measurements; what is left at the end is measured as if silence followed.
    ///
    /// # Errors
    /// As [`SoundMeter::new`].
    pub fn finish(mut self) -> Result<SoundRow> {
        if !self.pending.is_empty() {
            self.pending.resize(WINDOW, 0.0);
            self.window()?;
        }
        let fields = FIELDS.iter().map(|field| (*field).to_owned()).collect();
        Ok(SoundRow { step: STEP, fields, values: self.values })
    }

    fn window(&mut self) -> Result<()> {
        let samples = std::mem::take(&mut self.pending);
        self.meter.add_frames_f32(&samples).map_err(|e| failed(&e))?;
        let loudness = self.meter.loudness_momentary().map_err(|e| failed(&e))? as f32;
        let peak = samples.iter().fold(0.0_f32, |peak, s| peak.max(s.abs()));
        let levels: Vec<f32> = samples.chunks(SHORT).map(level).collect();
        let mean = levels.iter().sum::<f32>() / levels.len().max(1) as f32;
        let spread =
            levels.iter().map(|l| (l - mean).powi(2)).sum::<f32>() / levels.len().max(1) as f32;
        let rms = level(&samples);
        let (mut pitch, mut periodicity, mut centroid, mut flatness) = (0.0, 0.0, 0.0, 0.0);
        if rms > SILENCE {
            // The middle of the window.
            let from = (WINDOW - FRAME) / 2;
            (centroid, flatness) = self.tone(&samples[from..from + FRAME])?;
            (pitch, periodicity) = self.pitch(&samples[from..from + FRAME])?;
        }
        let window = Window {
            rms,
            peak: decibels(peak),
            loudness: if loudness.is_finite() { loudness.max(SILENCE) } else { SILENCE },
            pitch,
            periodicity,
            centroid,
            flatness,
            modulation: spread.sqrt(),
        };
        self.values.extend(window.values());
        self.pending = samples;
        self.pending.clear();
        Ok(())
    }

    /// The spectrum's centre and flatness, from 50 Hz on.
    fn tone(&self, samples: &[f32]) -> Result<(f32, f32)> {
        let mut input: Vec<f32> = samples.iter().zip(&self.hann).map(|(s, w)| s * w).collect();
        let mut spectrum = self.forward.make_output_vec();
        self.forward.process(&mut input, &mut spectrum).map_err(|e| failed(&e))?;
        let hertz = RATE as f32 / FRAME as f32;
        let first = (50.0 / hertz) as usize;
        let (mut sum, mut moment, mut logs, mut count) = (0.0_f64, 0.0_f64, 0.0_f64, 0.0_f64);
        for (bin, value) in spectrum.iter().enumerate().skip(first) {
            let power = f64::from(value.norm_sqr()) + 1e-12;
            sum += power;
            moment += power * bin as f64 * f64::from(hertz);
            logs += power.ln();
            count += 1.0;
        }
        Ok(((moment / sum) as f32, ((logs / count).exp() / (sum / count)) as f32))
    }

    /// The pitch by autocorrelation, normalised by the energy of both halves (after McLeod and Wyvill,
    /// "A smarter way to find pitch", 2005), and how periodic it is.
    fn pitch(&self, samples: &[f32]) -> Result<(f32, f32)> {
        // Half a frame against the whole: lags up to FRAME / 2 without wrapping round.
        let mean = samples.iter().sum::<f32>() / samples.len() as f32;
        let half = FRAME / 2;
        let mut whole: Vec<f32> = samples.iter().map(|s| s - mean).collect();
        let mut part = vec![0.0; FRAME];
        part[..half].copy_from_slice(&whole[..half]);
        let energies = whole.clone();
        let mut a = self.forward.make_output_vec();
        let mut b = self.forward.make_output_vec();
        self.forward.process(&mut whole, &mut a).map_err(|e| failed(&e))?;
        self.forward.process(&mut part, &mut b).map_err(|e| failed(&e))?;
        let mut product: Vec<Complex32> = a.iter().zip(&b).map(|(a, b)| a * b.conj()).collect();
        // The first and last of a real signal's spectrum are real.
        if let Some(first) = product.first_mut() {
            first.im = 0.0;
        }
        if let Some(last) = product.last_mut() {
            last.im = 0.0;
        }
        let mut correlation = self.back.make_output_vec();
        self.back.process(&mut product, &mut correlation).map_err(|e| failed(&e))?;
        let scale = 1.0 / FRAME as f32;
        let own: f32 = energies[..half].iter().map(|s| s * s).sum();
        let mut shifted = own;
        let (shortest, longest) =
            ((RATE as f32 / HIGHEST) as usize, ((RATE as f32 / LOWEST) as usize).min(half - 1));
        let mut curve = vec![0.0_f32; longest + 2];
        for (lag, value) in curve.iter_mut().enumerate() {
            if lag > 0 {
                shifted += energies[lag + half - 1].powi(2) - energies[lag - 1].powi(2);
            }
            let scale = scale * 2.0 / (own + shifted).max(1e-9);
            *value = correlation[lag] * scale;
        }
        let peaks = (shortest..=longest)
            .filter(|lag| curve[*lag] >= curve[lag - 1] && curve[*lag] >= curve[lag + 1]);
        let peaks: Vec<usize> = peaks.collect();
        let top = peaks.iter().map(|lag| curve[*lag]).fold(0.0, f32::max).clamp(0.0, 1.0);
        // The first that is nearly the highest: later ones are its multiples.
        let first = peaks.iter().find(|lag| curve[**lag] >= 0.9 * top);
        let Some(lag) = first.filter(|_| top >= VOICED) else { return Ok((0.0, top)) };
        let (before, at, behind) = (curve[lag - 1], curve[*lag], curve[lag + 1]);
        let bend = before - 2.0 * at + behind;
        let shift = if bend < 0.0 { 0.5 * (before - behind) / bend } else { 0.0 };
        Ok((RATE as f32 / (*lag as f32 + shift), top))
    }
}

impl SoundSink for SoundMeter {
    fn chunk(&mut self, chunk: AudioChunk<'_>) -> Result<()> {
        self.push(chunk.samples)
    }
}

fn decibels(amplitude: f32) -> f32 {
    (20.0 * amplitude.max(1e-9).log10()).max(SILENCE)
}

fn level(samples: &[f32]) -> f32 {
    let power = samples.iter().map(|s| s * s).sum::<f32>() / samples.len().max(1) as f32;
    decibels(power.sqrt())
}

fn failed(error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, Stage::Insight, format!("sound cannot be measured: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(seconds: usize, wave: impl Fn(f32) -> f32) -> Vec<Window> {
        let mut meter = SoundMeter::new().unwrap();
        let samples: Vec<f32> =
            (0..seconds * RATE as usize).map(|i| wave(i as f32 / RATE as f32)).collect();
        // In odd pieces, as decoders give them.
        samples.chunks(1023).for_each(|piece| meter.push(piece).unwrap());
        let row = meter.finish().unwrap();
        assert_eq!((row.step, row.values.len()), (STEP, seconds * 4 * FIELDS.len()));
        Window::of(&row)
    }

    fn sine(hertz: f32, amplitude: f32) -> impl Fn(f32) -> f32 {
        move |t| amplitude * (std::f32::consts::TAU * hertz * t).sin()
    }

    #[test]
    fn a_sine_has_its_level_pitch_and_tone() {
        let window = measured(2, sine(200.0, 0.5))[4];
        assert!((window.rms - -9.03).abs() < 0.01, "{window:?}");
        assert!((window.peak - -6.02).abs() < 0.01);
        assert!((window.pitch - 200.0).abs() < 1.0 && window.periodicity > 0.98, "{window:?}");
        assert!((window.centroid - 200.0).abs() < 5.0 && window.flatness < 0.01);
        assert!(window.modulation < 1.0);
        // A sine of 997 Hz at −20 dBFS peak has −23 LUFS in one channel (EBU Tech 3341: −23 in both gives −20).
        let window = measured(2, sine(997.0, 0.1))[6];
        assert!((window.loudness - -23.0).abs() < 0.2, "{window:?}");
    }

    #[test]
    fn a_voice_with_overtones_has_the_pitch_of_its_first() {
        for hertz in [90.0_f32, 130.0, 220.0, 330.0] {
            let wave = |t: f32| (1..6).map(|n| sine(hertz * n as f32, 0.3 / n as f32)(t)).sum();
            let window = measured(1, wave)[1];
            assert!((window.pitch - hertz).abs() < 0.02 * hertz, "{hertz}: {window:?}");
        }
    }

    #[test]
    fn noise_and_silence_have_no_pitch() {
        let mut seed = 1_u32;
        let mut noise = Vec::new();
        for _ in 0..RATE {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            noise.push((seed >> 8) as f32 / (1 << 23) as f32 - 1.0);
        }
        let window = measured(1, |t| noise[(t * RATE as f32).round() as usize % noise.len()])[1];
        assert!(window.pitch == 0.0 && window.flatness > 0.4, "{window:?}");
        let window = measured(1, |_| 0.0)[2];
        assert_eq!((window.rms, window.loudness, window.pitch), (SILENCE, SILENCE, 0.0));
    }

    #[test]
    fn syllables_are_modulation() {
        let wave =
            |t: f32| if ((t * 8.0) as u32).is_multiple_of(2) { sine(200.0, 0.5)(t) } else { 0.0 };
        assert!(measured(1, wave)[1].modulation > 20.0);
    }
}
