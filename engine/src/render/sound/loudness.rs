//! Loudness by EBU R 128 (ITU-R BS.1770): measured first, then set in a second pass by one gain for
//! the whole programme and a limiter that holds true peaks.

use super::{RATE, Stereo, amplitude};
use crate::error::{Error, ErrorKind, Result, Stage};
use ebur128::{EbuR128, Mode};

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loudness {
    /// Integrated loudness in LUFS; −∞ for silence.
    pub integrated: f64,
    /// Highest true peak of both channels in dBTP (four times oversampled); −∞ for silence.
    pub true_peak: f64,
}

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoudnessTarget {
    /// Integrated loudness in LUFS.
    pub integrated: f64,
    /// No true peak above this, in dBTP.
    pub true_peak: f64,
}

impl Default for LoudnessTarget {
    /// −14 LUFS and −1 dBTP, what most sites play at.
    fn default() -> Self {
        Self { integrated: -14.0, true_peak: -1.0 }
    }
}

fn failed(error: ebur128::Error) -> Error {
    Error::new(ErrorKind::Internal, Stage::Render, "loudness cannot be measured").source(error)
}

/// Measures a whole programme.
///
/// # Errors
/// [`ErrorKind::Internal`] where the meter refuses, which would be a defect.
pub fn measure(sound: &Stereo) -> Result<Loudness> {
    let mut meter = EbuR128::new(2, RATE, Mode::I | Mode::TRUE_PEAK).map_err(failed)?;
    let [left, right] = &sound.channels;
    let len = sound.len();
    // A second at a time keeps the meter's own copy small.
    for from in (0..len).step_by(RATE as usize) {
        let to = (from + RATE as usize).min(len);
        meter.add_frames_planar_f32(&[&left[from..to], &right[from..to]]).map_err(failed)?;
    }
    let integrated = meter.loudness_global().map_err(failed)?;
    let peak = meter.true_peak(0).map_err(failed)?.max(meter.true_peak(1).map_err(failed)?);
    Ok(Loudness { integrated, true_peak: 20.0 * peak.log10() })
}

/// Brings a programme to `target`, in place, and says what it measures then. Silence stays as it
/// is. Where peaks are in the way the limiter takes them down, and a second gain makes up for
/// what that cost in loudness, up to [`PASSES`] times.
///
/// # Errors
/// As [`measure`].
pub fn normalise(sound: &mut Stereo, target: &LoudnessTarget) -> Result<Loudness> {
    let before = measure(sound)?;
    if !before.integrated.is_finite() {
        return Ok(before);
    }
    let original = sound.clone();
    let most = target.true_peak - METERS;
    let mut gain = target.integrated - before.integrated;
    let mut ceiling = most;
    let mut made = before;
    for _ in 0..PASSES {
        let factor = amplitude(gain) as f32;
        for (to, from) in sound.channels.iter_mut().zip(&original.channels) {
            for (to, from) in to.iter_mut().zip(from) {
                *to = from * factor;
            }
        }
        if before.true_peak + gain > most {
            limit(sound, ceiling);
        }
        made = measure(sound)?;
        let (rest, over) = (target.integrated - made.integrated, made.true_peak - most);
        if rest.abs() < 0.1 && over <= 0.0 {
            return Ok(made);
        }
        // What lies between two samples may still be a little higher than the limiter saw.
        if over > 0.0 {
            ceiling -= over + 0.02;
        }
        gain += rest;
    }
    // The ceiling is a promise, the loudness a wish.
    if made.true_peak > most {
        let factor = amplitude(most - made.true_peak - 0.01) as f32;
        sound.channels.iter_mut().flatten().for_each(|s| *s *= factor);
        made = measure(sound)?;
    }
    Ok(made)
}

/// Decibels kept free below the wanted peak: ffmpeg's meter reads white noise 0.2 dB higher than the
/// `ebur128` crate's.
const METERS: f64 = 0.25;

/// Rounds of gain, limiter and measurement.
const PASSES: usize = 10;

/// Samples over which the limiter goes down before a peak and comes up behind it.
const LOOK: usize = 240;
const RELEASE: usize = 4800;

/// Keeps true peaks under `ceiling` dBTP: the gain that each sample needs (from the peak at it
/// and between it and the next), its least over 5 ms ahead, let go over
/// 100 ms, and smoothed over 5 ms. Both channels get the same gain, so the image stays.
fn limit(sound: &mut Stereo, ceiling: f64) {
    // A little room for what the two filters see differently.
    let ceiling = amplitude(ceiling - 0.1) as f32;
    let len = sound.len();
    let between = quarters();
    let mut need: Vec<f32> = (0..len)
        .map(|i| {
            let peaks = sound.channels.iter().map(|c| peak_at(c, i, &between));
            let peak = peaks.fold(0.0, f32::max);
            if peak > ceiling { ceiling / peak } else { 1.0 }
        })
        .collect();
    if need.iter().all(|g| *g >= 1.0) {
        return;
    }
    least_ahead(&mut need, LOOK);
    // Up again slowly.
    let rise = 1.0 / RELEASE as f32;
    let mut gain = 1.0f32;
    for need in &mut need {
        gain = (gain + (1.0 - gain).max(0.05) * rise * 3.0).min(1.0).min(*need);
        *need = gain;
    }
    // A mean over the same 5 ms behind: at the peak itself all of it is down. Before the first sample
    // the gain is what that one needs, or a peak at the very start would pass.
    let before = need.first().copied().unwrap_or(1.0);
    let mut sum = LOOK as f64 * f64::from(before);
    let smooth: Vec<f32> = (0..len)
        .map(|i| {
            let gone = if i >= LOOK { need[i - LOOK] } else { before };
            sum += f64::from(need[i]) - f64::from(gone);
            (sum / LOOK as f64) as f32
        })
        .collect();
    for channel in &mut sound.channels {
        for (sample, gain) in channel.iter_mut().zip(&smooth) {
            *sample *= gain;
        }
    }
}

/// The highest magnitude at sample `i` and at three places between it and the next: a sinc of
/// twelve samples under a Hann window, as long as the filter of BS.1770's annex 2.
fn peak_at(channel: &[f32], i: usize, between: &[[f32; TAPS]; 3]) -> f32 {
    let own = channel.get(i).copied().unwrap_or(0.0).abs();
    let first = i as isize - (TAPS as isize / 2 - 1);
    let near: [f32; TAPS] = std::array::from_fn(|k| {
        let at = usize::try_from(first + k as isize).ok();
        at.and_then(|at| channel.get(at)).copied().unwrap_or(0.0)
    });
    // Quiet neighbours cannot add up to a peak that matters.
    if near.iter().map(|s| s.abs()).sum::<f32>() < 0.4 {
        return own;
    }
    let at =
        |weights: &[f32; TAPS]| near.iter().zip(weights).map(|(s, w)| s * w).sum::<f32>().abs();
    between.iter().map(at).fold(own, f32::max)
}

/// Samples that a place between two is made from.
const TAPS: usize = 12;

/// Weights for a quarter, a half and three quarters of the way to the next sample.
fn quarters() -> [[f32; TAPS]; 3] {
    [0.25, 0.5, 0.75].map(|part: f64| {
        std::array::from_fn(|k| {
            let x = k as f64 - (TAPS as f64 / 2.0 - 1.0) - part;
            let phase = std::f64::consts::PI * x;
            let window = 0.5 + 0.5 * (phase / (TAPS as f64 / 2.0)).cos();
            (phase.sin() / phase * window) as f32
        })
    })
}

/// Each value becomes the least of itself and the next `reach` ones (a queue of candidates).
fn least_ahead(values: &mut [f32], reach: usize) {
    let mut queue: std::collections::VecDeque<(usize, f32)> = std::collections::VecDeque::new();
    for i in (0..values.len()).rev() {
        let value = values[i];
        while queue.back().is_some_and(|(_, v)| *v >= value) {
            queue.pop_back();
        }
        queue.push_back((i, value));
        while queue.front().is_some_and(|(at, _)| *at > i + reach) {
            queue.pop_front();
        }
        values[i] = queue.front().map_or(value, |(_, v)| *v);
    }
}
