//! Faster or slower at the same pitch, by WSOLA (Verhelst and Roelands, "An overlap-add technique
//! based on waveform similarity", 1993): overlapping windows are taken from the source at the new
//! pace, each moved a little to where it continues the one before best.

use super::Stereo;
use crate::error::Result;

/// Samples of a window; half of it overlaps with the next. 40 ms at 48 kHz, more than two periods of
/// a low voice.
const WINDOW: usize = 1920;
const HOP: usize = WINDOW / 2;
/// How far a window may be moved, 10 ms.
const SEEK: isize = 480;

/// Sound at another pace, made as it is wanted: holds a few windows of it, however long it is.
pub struct Stretcher {
    speed: f64,
    /// Samples of the source.
    len: usize,
    /// Samples of the result.
    wanted: usize,
    window: Vec<f32>,
    /// Where the last window came from, and where the next one goes.
    before: Option<isize>,
    at: isize,
    /// Samples given out, and those begun behind them.
    done: usize,
    begun: Stereo,
    /// A stretch of the source from sample `base` on, and the sum of its sides.
    source: Stereo,
    mono: Vec<f32>,
    base: usize,
}

impl Stretcher {
    /// For a source of `len` samples.
    pub fn new(len: usize, speed: f64) -> Self {
        let speed = if speed.is_finite() { speed.clamp(0.25, 4.0) } else { 1.0 };
        let window = (0..WINDOW)
            .map(|i| {
                let part = (i as f64 + 0.5) / WINDOW as f64;
                (0.5 - 0.5 * (part * std::f64::consts::TAU).cos()) as f32
            })
            .collect();
        Self {
            speed,
            len,
            wanted: (len as f64 / speed).round() as usize,
            window,
            before: None,
            // The first window lies half before the start, so that the first half window is whole too.
            at: -(HOP as isize),
            done: 0,
            begun: Stereo::default(),
            source: Stereo::default(),
            mono: Vec::new(),
            base: 0,
        }
    }

    /// The next `count` samples of the result, fewer at its end. `read` gives as many samples of the
    /// source as it is asked for, in order; where it has fewer, silence follows.
    ///
    /// # Errors
    /// What `read` gives.
    pub fn next(
        &mut self,
        count: usize,
        read: &mut dyn FnMut(usize) -> Result<Stereo>,
    ) -> Result<Stereo> {
        let to = (self.done + count).min(self.wanted);
        if (self.speed - 1.0).abs() < 1e-9 || self.len < WINDOW {
            let mut same = read(to - self.done)?;
            same.channels.iter_mut().for_each(|channel| channel.resize(to - self.done, 0.0));
            self.done = to;
            return Ok(same);
        }
        while self.at < to as isize {
            self.window(read)?;
        }
        let ready = to - self.done;
        self.done = to;
        let channels = self.begun.channels.each_mut();
        Ok(Stereo { channels: channels.map(|channel| channel.drain(..ready).collect()) })
    }

    /// Lays the next window.
    fn window(&mut self, read: &mut dyn FnMut(usize) -> Result<Stereo>) -> Result<()> {
        let hop = HOP as isize;
        let ideal = ((self.at + hop) as f64 * self.speed).round() as isize - hop;
        let natural = self.before.map(|before| before + hop);
        // What is looked at: every place that it may come from, and what would have followed.
        let reach = SEEK + 4;
        let first = natural.map_or(ideal - reach, |natural| natural.min(ideal - reach));
        let last = natural.map_or(ideal, |natural| natural.max(ideal)) + reach;
        self.fill(first, last + WINDOW as isize, read)?;
        let place = natural.map_or(ideal, |natural| best(&self.mono, self.base, ideal, natural));
        let from = (place - self.base as isize, self.at - self.done as isize);
        let room = usize::try_from(from.1 + WINDOW as isize).unwrap_or(0);
        for (channel, source) in self.begun.channels.iter_mut().zip(&self.source.channels) {
            if channel.len() < room {
                channel.resize(room, 0.0);
            }
            for (i, weight) in self.window.iter().enumerate() {
                let i = i as isize;
                let (Ok(to), Ok(from)) = (usize::try_from(from.1 + i), usize::try_from(from.0 + i))
                else {
                    continue;
                };
                if let (Some(to), Some(from)) = (channel.get_mut(to), source.get(from)) {
                    *to += weight * from;
                }
            }
        }
        self.before = Some(place);
        self.at += hop;
        Ok(())
    }

    /// Has the source's samples from `first` to `last` at hand, and forgets those before.
    fn fill(
        &mut self,
        first: isize,
        last: isize,
        read: &mut dyn FnMut(usize) -> Result<Stereo>,
    ) -> Result<()> {
        let first = usize::try_from(first).unwrap_or(0).min(self.len);
        let last = usize::try_from(last).unwrap_or(0).min(self.len);
        let end = self.base + self.mono.len();
        if last > end {
            let mut more = read(last - end)?;
            more.channels.iter_mut().for_each(|channel| channel.resize(last - end, 0.0));
            let [left, right] = &more.channels;
            self.mono.extend(left.iter().zip(right).map(|(l, r)| l + r));
            for (to, from) in self.source.channels.iter_mut().zip(&more.channels) {
                to.extend_from_slice(from);
            }
        }
        // Not for each window: moving what stays costs as much as reading it.
        let gone = first.saturating_sub(self.base).min(self.mono.len());
        if gone > 1 << 16 {
            self.mono.drain(..gone);
            self.source.channels.iter_mut().for_each(|channel| drop(channel.drain(..gone)));
            self.base += gone;
        }
        Ok(())
    }
}

/// The place within [`SEEK`] of `ideal` whose samples are most like those at `natural`, which would
/// have followed: coarsely by every fourth sample first, then exactly about the best. `mono` begins
/// at sample `base`.
fn best(mono: &[f32], base: usize, ideal: isize, natural: isize) -> isize {
    let score = |place: isize, step: usize| -> f32 {
        let (mut product, mut energy) = (0.0f32, 1e-6f32);
        for i in (0..HOP).step_by(step) {
            let at = |from: isize| {
                let at = from + i as isize - base as isize;
                usize::try_from(at).ok().and_then(|k| mono.get(k)).copied()
            };
            let (a, b) = (at(place).unwrap_or(0.0), at(natural).unwrap_or(0.0));
            product += a * b;
            energy += a * a;
        }
        product / energy.sqrt()
    };
    let pick = |places: &mut dyn Iterator<Item = isize>, step: usize| {
        let mut most = (f32::NEG_INFINITY, ideal);
        for place in places {
            let score = score(place, step);
            if score > most.0 {
                most = (score, place);
            }
        }
        most.1
    };
    let coarse = pick(&mut (ideal - SEEK..=ideal + SEEK).step_by(4), 4);
    pick(&mut (coarse - 4..=coarse + 4), 1)
}

/// All of `sound` at `speed` times its pace (0.25 to 4), pitch kept. The result has
/// `round(len / speed)` samples. Left and right are moved together.
#[cfg(test)]
pub(super) fn change_speed(sound: &Stereo, speed: f64) -> Stereo {
    let mut stretcher = Stretcher::new(sound.len(), speed);
    let mut at = 0;
    let made = stretcher.next(stretcher.wanted, &mut |count| {
        let to = (at + count).min(sound.len());
        let from = std::mem::replace(&mut at, to);
        Ok(Stereo { channels: [0, 1].map(|c: usize| sound.channels[c][from..to].to_vec()) })
    });
    // Memory gives no error.
    made.unwrap_or_default()
}
