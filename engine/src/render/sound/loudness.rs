//! Loudness by EBU R 128 (ITU-R BS.1770): measured first, then set in a second pass by one gain for
//! the whole programme and a limiter that holds true peaks.

use super::{RATE, Stereo, amplitude};
use crate::error::{Error, ErrorKind, Result, Stage};
use ebur128::{EbuR128, Mode};
use std::collections::VecDeque;

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

/// A programme that can be read as often as is wanted, in memory or on disk.
pub trait Programme {
    /// Samples of each channel.
    fn samples(&self) -> usize;

    /// Samples `from` up to, not including, `to`, both within the programme.
    ///
    /// # Errors
    /// What reading gives.
    fn read(&self, from: usize, to: usize) -> Result<Stereo>;
}

impl Programme for Stereo {
    fn samples(&self) -> usize {
        self.len()
    }

    fn read(&self, from: usize, to: usize) -> Result<Stereo> {
        Ok(Self { channels: [0, 1].map(|c: usize| self.channels[c][from..to].to_vec()) })
    }
}

/// Samples worked on at once: a second.
const BLOCK: usize = RATE as usize;

/// A meter that is fed.
struct Meter(EbuR128);

impl Meter {
    fn new() -> Result<Self> {
        EbuR128::new(2, RATE, Mode::I | Mode::TRUE_PEAK).map(Self).map_err(failed)
    }

    fn add(&mut self, sound: &Stereo) -> Result<()> {
        let [left, right] = &sound.channels;
        self.0.add_frames_planar_f32(&[left, right]).map_err(failed)
    }

    fn read(&self) -> Result<Loudness> {
        let integrated = self.0.loudness_global().map_err(failed)?;
        let peak = |channel| self.0.true_peak(channel).map_err(failed);
        Ok(Loudness { integrated, true_peak: 20.0 * peak(0)?.max(peak(1)?).log10() })
    }
}

/// Measures a whole programme.
///
/// # Errors
/// [`ErrorKind::Internal`] where the meter refuses, which would be a defect; what reading gives.
pub fn measure(sound: &dyn Programme) -> Result<Loudness> {
    Mastering::NOTHING.measure(sound)
}

/// What is done to a programme so that it is as loud as it should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mastering {
    /// A factor for everything.
    gain: f32,
    /// Then true peaks are held under this, in dBTP.
    ceiling: Option<f64>,
    /// Then a factor for everything again.
    trim: f32,
}

impl Mastering {
    /// Nothing at all.
    pub const NOTHING: Self = Self { gain: 1.0, ceiling: None, trim: 1.0 };

    /// What brings `programme` to `target`, and what it measures then. Silence stays as it is.
    /// Where peaks are in the way the limiter takes them down, and a second gain makes up for what
    /// that cost in loudness, up to [`PASSES`] times. The programme is read block by block, twice
    /// and more.
    ///
    /// # Errors
    /// As [`measure`].
    pub fn find(programme: &dyn Programme, target: &LoudnessTarget) -> Result<(Self, Loudness)> {
        let before = measure(programme)?;
        if !before.integrated.is_finite() {
            return Ok((Self::NOTHING, before));
        }
        let most = target.true_peak - METERS;
        let mut gain = target.integrated - before.integrated;
        let mut ceiling = most;
        let (mut way, mut made) = (Self::NOTHING, before);
        for _ in 0..PASSES {
            way = Self {
                gain: amplitude(gain) as f32,
                ceiling: (before.true_peak + gain > most).then_some(ceiling),
                trim: 1.0,
            };
            made = way.measure(programme)?;
            let (rest, over) = (target.integrated - made.integrated, made.true_peak - most);
            if rest.abs() < 0.1 && over <= 0.0 {
                return Ok((way, made));
            }
            // What lies between two samples may still be a little higher than the limiter saw.
            if over > 0.0 {
                ceiling -= over + 0.02;
            }
            gain += rest;
        }
        // The ceiling is a promise, the loudness a wish.
        if made.true_peak > most {
            way.trim = amplitude(most - made.true_peak - 0.01) as f32;
            made = way.measure(programme)?;
        }
        Ok((way, made))
    }

    fn measure(&self, programme: &dyn Programme) -> Result<Loudness> {
        let mut meter = Meter::new()?;
        self.apply(programme, &mut |block| meter.add(block))?;
        meter.read()
    }

    /// Gives the programme as it is then, block by block. The samples do not depend on the blocks.
    ///
    /// # Errors
    /// What reading and `take` give.
    pub fn apply(
        &self,
        programme: &dyn Programme,
        take: &mut dyn FnMut(&Stereo) -> Result<()>,
    ) -> Result<()> {
        let len = programme.samples();
        let mut limiter = self.ceiling.map(Limiter::new);
        for at in (0..len).step_by(BLOCK) {
            let to = (at + BLOCK).min(len);
            let mut block = match &mut limiter {
                None => {
                    let mut block = programme.read(at, to)?;
                    block.scale(self.gain);
                    block
                }
                Some(limiter) => {
                    let from = at.saturating_sub(TAPS);
                    let mut wide = programme.read(from, (to + LOOK + TAPS).min(len))?;
                    wide.scale(self.gain);
                    limiter.block(&wide, at - from, to - at)
                }
            };
            block.scale(self.trim);
            take(&block)?;
        }
        Ok(())
    }
}

/// Decibels kept free below the wanted peak: ffmpeg's meter reads white noise 0.2 dB higher than the
/// `ebur128` crate's.
const METERS: f64 = 0.25;

/// Rounds of gain, limiter and measurement.
const PASSES: usize = 10;

/// Samples over which the limiter goes down before a peak and comes up behind it.
const LOOK: usize = 240;
const RELEASE: usize = 4800;

/// Keeps true peaks under a ceiling: the gain that each sample needs (from the peak at it and between
/// it and the next), its least over 5 ms ahead, let go over 100 ms, and smoothed over 5 ms. Both
/// channels get the same gain, so the image stays. Fed block by block, in order.
struct Limiter {
    ceiling: f32,
    between: [[f32; TAPS]; 3],
    /// The gain of the sample before.
    gain: f32,
    /// The last [`LOOK`] gains, and their sum.
    last: VecDeque<f32>,
    sum: f64,
    /// What stands for those before the first sample: what that one needs, or a peak at the very
    /// start would pass.
    before: Option<f32>,
}

impl Limiter {
    fn new(ceiling: f64) -> Self {
        Self {
            // A little room for what the two filters see differently.
            ceiling: amplitude(ceiling - 0.1) as f32,
            between: quarters(),
            gain: 1.0,
            last: VecDeque::with_capacity(LOOK + 1),
            sum: 0.0,
            before: None,
        }
    }

    /// Samples `from` and the `count - 1` behind it of `wide`, limited. `wide` reaches as far ahead
    /// as the limiter looks, unless the programme ends.
    fn block(&mut self, wide: &Stereo, from: usize, count: usize) -> Stereo {
        let mut need: Vec<f32> = (from..wide.len())
            .map(|i| {
                let peaks = wide.channels.iter().map(|c| peak_at(c, i, &self.between));
                let peak = peaks.fold(0.0, f32::max);
                if peak > self.ceiling { self.ceiling / peak } else { 1.0 }
            })
            .collect();
        least_ahead(&mut need, LOOK);
        let mut out = Stereo {
            channels: [0, 1].map(|c: usize| wide.channels[c][from..from + count].to_vec()),
        };
        // Up again slowly.
        let rise = 1.0 / RELEASE as f32;
        for (i, need) in need.into_iter().take(count).enumerate() {
            let gain = self.gain;
            self.gain = (gain + (1.0 - gain).max(0.05) * rise * 3.0).min(1.0).min(need);
            let before = match self.before {
                Some(before) => before,
                None => {
                    self.sum = LOOK as f64 * f64::from(self.gain);
                    *self.before.insert(self.gain)
                }
            };
            // A mean over the same 5 ms behind: at the peak itself all of it is down.
            self.last.push_back(self.gain);
            let gone = match self.last.len() > LOOK {
                true => self.last.pop_front().unwrap_or(before),
                false => before,
            };
            self.sum += f64::from(self.gain) - f64::from(gone);
            let smooth = (self.sum / LOOK as f64) as f32;
            out.channels.iter_mut().for_each(|channel| channel[i] *= smooth);
        }
        out
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
    let mut queue: VecDeque<(usize, f32)> = VecDeque::new();
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

/// Brings a programme in memory to `target`, in place, and says what it measures then.
///
/// # Errors
/// As [`measure`].
#[cfg(test)]
pub(super) fn normalise(sound: &mut Stereo, target: &LoudnessTarget) -> Result<Loudness> {
    let (way, made) = Mastering::find(sound, target)?;
    let mut out = Stereo::default();
    way.apply(sound, &mut |block| {
        for (to, from) in out.channels.iter_mut().zip(&block.channels) {
            to.extend_from_slice(from);
        }
        Ok(())
    })?;
    *sound = out;
    Ok(made)
}
