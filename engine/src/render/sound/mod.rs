//! Sound for a finished film: 48 kHz stereo in 32-bit floats, planar, laid by absolute sample counts.
//!
//! Every place is an index from the programme's start, so nothing can drift: a clip that begins at
//! 59 minutes is as exact as the first. Times become indices once, by the caller.

mod duck;
mod loudness;
mod speed;
#[cfg(test)]
mod tests;

pub use duck::{Ducking, duck};
pub use loudness::{Loudness, LoudnessTarget, Mastering, Programme, measure};
pub use speed::Stretcher;

/// Samples a second of everything here.
pub const RATE: u32 = 48_000;

/// Stereo sound: as many samples left as right.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stereo {
    /// Left and right.
    pub channels: [Vec<f32>; 2],
}

impl Stereo {
    /// Silence of `len` samples.
    pub fn silence(len: usize) -> Self {
        Self { channels: [vec![0.0; len], vec![0.0; len]] }
    }

    /// From interleaved samples: one channel goes to both sides, two are left and right, of more the
    /// first two are taken (have them mixed down while decoding).
    pub fn from_interleaved(samples: &[f32], channels: usize) -> Self {
        let channels = channels.max(1);
        let right = usize::from(channels > 1);
        let side = |at: usize| {
            samples.chunks_exact(channels).map(move |frame| frame.get(at).copied().unwrap_or(0.0))
        };
        Self { channels: [side(0).collect(), side(right).collect()] }
    }

    /// Interleaved left and right.
    pub fn interleaved(&self) -> Vec<f32> {
        let [left, right] = &self.channels;
        left.iter().zip(right).flat_map(|(l, r)| [*l, *r]).collect()
    }

    /// Everything times `factor`.
    pub fn scale(&mut self, factor: f32) {
        if factor != 1.0 {
            self.channels.iter_mut().flatten().for_each(|sample| *sample *= factor);
        }
    }

    /// Samples a channel.
    pub fn len(&self) -> usize {
        self.channels[0].len().min(self.channels[1].len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The course of a fade.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FadeShape {
    /// Amplitude in a straight line: two that cross keep what they have in common at its level.
    Linear,
    /// Power in a straight line (quarter of a sine): two that cross and have nothing in common
    /// stay equally loud.
    #[default]
    EqualPower,
}

impl FadeShape {
    /// Gain at `part` (0 to 1) of a fade in.
    pub fn gain(self, part: f64) -> f64 {
        let part = part.clamp(0.0, 1.0);
        match self {
            Self::Linear => part,
            Self::EqualPower => (part * std::f64::consts::FRAC_PI_2).sin(),
        }
    }
}

/// A sound with its place in a mix.
#[derive(Clone, Copy, Debug)]
pub struct Clip<'a> {
    /// The sound. What lies past its end is silence.
    pub sound: &'a Stereo,
    /// Its first sample that is heard.
    pub from: usize,
    /// Samples heard.
    pub len: usize,
    /// Where in the programme the first of them lies.
    pub at: u64,
    /// In decibels.
    pub gain: f64,
    /// −1 (left) to 1 (right): the far side is lowered, the near side stays (a balance, as mixing
    /// desks have it for stereo).
    pub pan: f64,
    /// Samples over which it comes in, from its start.
    pub fade_in: usize,
    /// Samples over which it goes out, to its end.
    pub fade_out: usize,
    /// The course of both.
    pub shape: FadeShape,
}

impl<'a> Clip<'a> {
    /// All of `sound` from sample `at` of the programme on.
    pub fn new(sound: &'a Stereo, at: u64) -> Self {
        Self {
            sound,
            from: 0,
            len: sound.len(),
            at,
            gain: 0.0,
            pan: 0.0,
            fade_in: 0,
            fade_out: 0,
            shape: FadeShape::default(),
        }
    }

    /// Gain of its sample `i` by the fades: each lies at the sample's middle, so that a fade out and a
    /// fade in of the same length mirror each other.
    fn fade(&self, i: usize) -> f64 {
        let mut gain = 1.0;
        if i < self.fade_in {
            gain *= self.shape.gain((i as f64 + 0.5) / self.fade_in as f64);
        }
        let left = self.len - 1 - i;
        if left < self.fade_out {
            gain *= self.shape.gain((left as f64 + 0.5) / self.fade_out as f64);
        }
        gain
    }
}

/// Decibels to a factor.
pub fn amplitude(decibels: f64) -> f64 {
    10f64.powf(decibels / 20.0)
}

/// A window of the programme that is being mixed.
#[derive(Clone, Debug)]
pub struct Mix {
    start: u64,
    sound: Stereo,
}

impl Mix {
    /// Silence from sample `start` of the programme on, `len` samples.
    pub fn new(start: u64, len: usize) -> Self {
        Self { start, sound: Stereo::silence(len) }
    }

    /// Adds what of `clip` falls into the window. Nothing depends on how the programme is cut into
    /// windows: the same clips give the same samples.
    pub fn add(&mut self, clip: &Clip<'_>) {
        let end = self.start + self.sound.len() as u64;
        let first = clip.at.max(self.start);
        let last = clip.at.saturating_add(clip.len as u64).min(end);
        let pan = if clip.pan.is_finite() { clip.pan.clamp(-1.0, 1.0) } else { 0.0 };
        let gain = amplitude(clip.gain);
        if !gain.is_finite() {
            return;
        }
        let sides = [gain * (1.0 - pan).min(1.0), gain * (1.0 + pan).min(1.0)];
        for n in first..last {
            let i = (n - clip.at) as usize;
            let fade = clip.fade(i);
            let to = (n - self.start) as usize;
            for (side, gain) in sides.iter().enumerate() {
                if let Some(sample) = clip.sound.channels[side].get(clip.from + i) {
                    self.sound.channels[side][to] += (f64::from(*sample) * fade * gain) as f32;
                }
            }
        }
    }

    /// Adds `sound` as it is, its first sample on the window's first.
    pub fn add_track(&mut self, sound: &Stereo) {
        for (to, from) in self.sound.channels.iter_mut().zip(&sound.channels) {
            for (to, from) in to.iter_mut().zip(from) {
                *to += from;
            }
        }
    }

    /// What was mixed; beyond full scale where it is.
    pub fn finish(self) -> Stereo {
        self.sound
    }
}
