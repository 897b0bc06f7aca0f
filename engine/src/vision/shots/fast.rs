//! The fast detector: differences of very small pictures against their neighbourhood.
//!
//! A cut is a jump that stands out from the jumps around it (the ratio to their mean, as in
//! PySceneDetect's AdaptiveDetector) and that is not taken back soon (a flash). Dissolves are found
//! as mixes ([`super::mix`]), fades by what is black or white between them ([`super::fade`]).

use super::difference::difference;
use super::fade::{Fades, blank};
use super::mix::mixed;
use super::{Boundary, ShotDetector, SmallFrame, Transition};
use crate::error::Result;
use crate::time::Timestamp;
use serde::Serialize;
use std::collections::VecDeque;

/// Frames either way that make the neighbourhood of a jump.
const AROUND: usize = 5;
/// ... and its nearest part.
const NEAR: usize = 2;
/// Lengths of film, in milliseconds, in which a dissolve is looked for.
const DISSOLVES: [i64; 5] = [300, 600, 1200, 2000, 3000];
/// Frames held at most.
const HELD: usize = 400;

/// What the fast detector takes for a cut.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FastSettings {
    /// The least jump, in code values of very small pictures (luma plus half of each colour).
    pub least_jump: f32,
    /// How far a jump must stand out from those around it.
    pub ratio: f32,
    /// What is taken back within this time is a flash, in milliseconds.
    pub flash_millis: i64,
}

impl Default for FastSettings {
    fn default() -> Self {
        Self { least_jump: 8.0, ratio: 3.0, flash_millis: 300 }
    }
}

/// See the module.
pub struct FastDetector {
    settings: FastSettings,
    fades: Fades,
    held: VecDeque<Held>,
    /// How many of the held frames are judged.
    judged: usize,
    /// No dissolve is looked for in frames before this.
    clear: Timestamp,
    found: Vec<Boundary>,
    seen: u64,
    /// Whether frames were left out before the next one.
    gap: bool,
}

struct Held {
    frame: SmallFrame,
    blank: bool,
    /// Difference to the frame before; absent for the first one and where frames were left out.
    jump: Option<f32>,
    /// Whether frames before it were left out.
    gap: bool,
}

impl FastDetector {
    /// A detector for one film.
    pub fn new(settings: FastSettings) -> Self {
        Self {
            fades: Fades::new(Timestamp::from_millis(settings.flash_millis)),
            settings,
            held: VecDeque::new(),
            judged: 0,
            clear: Timestamp::new(i64::MIN, crate::time::TimeBase::NANOS),
            found: Vec::new(),
            seen: 0,
            gap: false,
        }
    }

    /// Judges the frames that have enough behind them; all of them `at_end`.
    fn judge(&mut self, at_end: bool) {
        while self.judged < self.held.len() {
            let i = self.judged;
            let (now, last) = (self.held[i].frame.time, self.held[self.held.len() - 1].frame.time);
            let flash = Timestamp::from_millis(self.settings.flash_millis);
            let enough = last.minus(now) >= flash && self.held.len() > i + AROUND;
            if !at_end && !enough && self.held.len() < HELD {
                break;
            }
            if let Some(boundary) = self.cut_at(i) {
                self.clear = boundary.at;
                self.found.push(boundary);
            }
            self.judged += 1;
        }
        let keep = Timestamp::from_millis(3200);
        while self.judged > 1
            && self.held.len() > 1
            && (self.held[self.judged - 1].frame.time.minus(self.held[0].frame.time) > keep
                || self.held.len() > HELD)
        {
            self.held.pop_front();
            self.judged -= 1;
        }
    }

    fn cut_at(&self, i: usize) -> Option<Boundary> {
        let here = &self.held[i];
        let before = self.held.get(i.checked_sub(1)?)?;
        if here.blank || before.blank || (here.gap && !here.frame.announced) {
            return None;
        }
        let jump = match here.jump {
            Some(jump) => jump,
            None => difference(&before.frame.picture, &here.frame.picture),
        };
        let second = Timestamp::from_secs(1);
        let mean = |reach: usize| {
            let around = i.saturating_sub(reach)..=i + reach;
            let near = around.filter(|j| *j != i).filter_map(|j| self.held.get(j));
            // What lies farther off was seen before frames were left out.
            let near = near.filter(|h| {
                let apart = h.frame.time.minus(here.frame.time);
                apart <= second && Timestamp::ZERO.minus(apart) <= second
            });
            let jumps = near.filter_map(|h| h.jump);
            // What was left out before it hardly jumped, or it would not have been.
            let calm = if here.gap { reach as f32 } else { 0.0 };
            let (sum, count) = jumps.fold((0.0, calm), |(s, n), jump| (s + jump, n + 1.0));
            sum / count.max(1.0)
        };
        // What rushes through the picture makes a hill of jumps; its flanks are near.
        let usual = mean(AROUND).max(mean(NEAR));
        let needed = (usual * self.settings.ratio).max(self.settings.least_jump);
        if jump < needed || self.is_flash(i, jump) {
            return None;
        }
        let confidence = (jump / (jump + needed * 0.5)).clamp(0.0, 1.0);
        Some(Boundary { at: here.frame.time, kind: Transition::Cut, confidence })
    }

    /// Whether a jump is taken back soon, or takes one back.
    fn is_flash(&self, i: usize, jump: f32) -> bool {
        let flash = Timestamp::from_millis(self.settings.flash_millis);
        let (here, before) = (&self.held[i].frame, &self.held[i - 1].frame);
        let like = |a: &SmallFrame, b: &SmallFrame| {
            difference(&a.picture, &b.picture) < (jump * 0.35).max(4.0)
        };
        let after = self.held.iter().skip(i + 1);
        let mut after = after.take_while(|h| h.frame.time.minus(here.time) < flash);
        if after.any(|h| like(before, &h.frame)) {
            return true;
        }
        let earlier = self.held.iter().take(i - 1).rev();
        let mut earlier = earlier.take_while(|h| here.time.minus(h.frame.time) <= flash);
        earlier.any(|h| like(&h.frame, here))
    }

    /// Looks for a dissolve that ends about here; at once where frames are left out behind, since they
    /// are of one scene with the last one.
    fn dissolve(&mut self, still_behind: bool) {
        let Some(last) = self.held.back().map(|h| h.frame.time) else { return };
        for (scale, millis) in DISSOLVES.into_iter().enumerate() {
            // Long ones change slowly: they need not be looked for at every frame.
            if !still_behind && !self.seen.is_multiple_of(1 << scale.min(2)) {
                continue;
            }
            let length = Timestamp::from_millis(millis);
            let clear = self.clear;
            let stretch: Vec<&Held> = self
                .held
                .iter()
                .rev()
                .take_while(|h| last.minus(h.frame.time) <= length && h.frame.time >= clear)
                .collect();
            let broken = stretch.iter().position(|h| h.gap || h.blank);
            let stretch = &stretch[..broken.map_or(stretch.len(), |at| at + 1)];
            if stretch.iter().any(|h| h.blank) {
                continue;
            }
            let pictures: Vec<_> = stretch.iter().rev().map(|h| &h.frame.picture).collect();
            let still_before = stretch.last().is_some_and(|h| h.gap);
            let Some(mix) = mixed(&pictures, (still_before, still_behind)) else { continue };
            let time = |n: usize| stretch.iter().rev().nth(n).map(|h| h.frame.time);
            if let (Some(at), Some(end)) = (time(mix.middle), time(mix.end)) {
                self.found.push(Boundary {
                    at,
                    kind: Transition::Dissolve,
                    confidence: mix.confidence,
                });
                self.clear = end;
                return;
            }
        }
    }
}

impl Default for FastDetector {
    fn default() -> Self {
        Self::new(FastSettings::default())
    }
}

impl ShotDetector for FastDetector {
    fn may_skip(&self) -> bool {
        true
    }

    fn frame(&mut self, frame: SmallFrame) -> Result<()> {
        let kind = blank(&frame.picture);
        self.fades.frame(&frame, kind);
        self.seen += 1;
        let gap = std::mem::take(&mut self.gap);
        let before = self.held.back().filter(|_| !gap);
        let jump = before.map(|b| difference(&b.frame.picture, &frame.picture));
        self.held.push_back(Held { frame, blank: kind.is_some(), jump, gap });
        self.judge(false);
        self.dissolve(false);
        Ok(())
    }

    fn left_out(&mut self, times: &[Timestamp]) {
        self.fades.left_out(times);
        if !times.is_empty() && !self.gap {
            self.dissolve(true);
        }
        self.gap |= !times.is_empty();
    }

    fn finish(&mut self) -> Result<Vec<Boundary>> {
        self.judge(true);
        let mut found = std::mem::take(&mut self.found);
        found.extend(self.fades.finish());
        Ok(found)
    }
}
