//! Decodes what is needed, not what is there: cuts a video stream into groups of pictures and
//! plans, for each, which packets a decoder must see to give the wanted frames.
//!
//! Within a group (a keyframe and what follows it in decode order) everything behind the last
//! wanted picture is dropped, and pictures that no other refers to are dropped unless wanted.
//! Groups without a wanted picture are not decoded at all. Groups are independent, so several
//! decoders can work on them at once. Leading pictures of the next group (shown before its
//! keyframe, decoded after it: open GOPs) are planned together with the group they are shown in.
//!
//! Pure: no libav, no clock, no I/O. A group too long to hold is given out in parts.

use super::decoder::Effort;
use super::select::{Pick, Schedule, Target};
use std::sync::Arc;

/// What the planner must know of a packet.
pub(super) trait Coded {
    /// Presentation time in stream ticks; the decode time where the container has no other.
    fn tick(&self) -> Option<i64>;
    /// Decode time in stream ticks.
    fn dts(&self) -> Option<i64>;
    /// Length in stream ticks, 0 where unknown.
    fn duration(&self) -> i64;
    /// Whether decoding can start here.
    fn is_key(&self) -> bool;
    /// Whether the container says it is decoded but not shown (edit lists).
    fn is_hidden(&self) -> bool;
    /// Bytes of payload.
    fn size(&self) -> u64;
}

/// A stretch of packets for one decoder, with the frames wanted of it.
#[derive(Debug)]
pub(super) struct Part<P> {
    /// In decode order, each with how much of it is needed.
    pub packets: Vec<(Arc<P>, Effort)>,
    /// In order of time.
    pub targets: Vec<Target>,
    /// Whether the decoder starts afresh here.
    pub first: bool,
    /// Whether the decoder drains behind it.
    pub last: bool,
    /// How many of the packets the targets need; the rest are there to be judged.
    pub reach: usize,
    /// How many of the packets are the group's own: what follows are the next keyframe and its
    /// leading pictures.
    pub own: usize,
}

impl<P: Coded> Part<P> {
    /// Bytes of its packets.
    pub(super) fn size(&self) -> u64 {
        self.packets.iter().map(|(packet, _)| packet.size()).sum()
    }
}

/// A group is given out in parts once it holds this much.
#[derive(Clone, Copy, Debug)]
pub(super) struct PartLimit {
    pub bytes: u64,
    pub packets: usize,
}

/// Packets held back when a group is cut: more than any codec reorders.
const HOLD_BACK: usize = 64;

/// Collects packets and gives out parts.
pub(super) struct Planner<P> {
    limit: PartLimit,
    /// Whether every group is given out with all its packets, wanted or not.
    whole: bool,
    /// The group being collected, from its keyframe.
    group: Vec<Arc<P>>,
    bytes: u64,
    /// The next keyframe and its leading pictures.
    tail: Vec<Arc<P>>,
    /// The keyframe's tick of the group being collected.
    key: i64,
    /// Whether leading pictures are left out: they were planned with the group before, or a seek
    /// has lost what they refer to. Not so at the very start of the stream.
    drop_leading: bool,
    /// Whether parts of this group were given out already.
    begun: bool,
    /// End of the last frame seen.
    end: i64,
}

impl<P: Coded> Planner<P> {
    pub(super) fn new(limit: PartLimit) -> Self {
        Self {
            limit,
            whole: false,
            group: Vec::new(),
            bytes: 0,
            tail: Vec::new(),
            key: 0,
            drop_leading: false,
            begun: false,
            end: i64::MIN,
        }
    }

    /// Gives out every group with all its packets, for somebody who judges them.
    pub(super) fn give_whole(mut self, whole: bool) -> Self {
        self.whole = whole;
        self
    }

    /// Takes the next packet in decode order; gives a part once one is complete.
    pub(super) fn push(&mut self, packet: P, schedule: &mut Schedule) -> Option<Part<P>> {
        let packet = Arc::new(packet);
        if let Some(tick) = packet.tick().filter(|_| !packet.is_hidden()) {
            self.end = self.end.max(tick.saturating_add(packet.duration().max(1)));
        }
        if let Some(next_key) = self.tail.first() {
            let leads = match (packet.tick(), next_key.tick()) {
                (Some(tick), Some(key)) => tick < key && !packet.is_key(),
                _ => false,
            };
            if leads {
                self.tail.push(packet);
                return None;
            }
            let part = self.close(schedule);
            self.start_next();
            self.collect(packet, schedule);
            return part;
        }
        self.collect(packet, schedule)
    }

    /// Says that the stream goes on until `end` though no packet shows it (a demuxer that gives
    /// keyframes only).
    pub(super) fn extend_to(&mut self, end: i64) {
        self.end = self.end.max(end);
    }

    /// Gives the last group. The stream has ended.
    pub(super) fn finish(&mut self, schedule: &mut Schedule) -> Vec<Part<P>> {
        let mut parts = Vec::new();
        parts.extend(self.close(schedule));
        if !self.tail.is_empty() {
            self.start_next();
            parts.extend(self.close(schedule));
        }
        self.restart();
        parts
    }

    /// Forgets what was collected, after a seek.
    pub(super) fn restart(&mut self) {
        self.group.clear();
        self.tail.clear();
        self.bytes = 0;
        self.begun = false;
        self.drop_leading = true;
    }

    /// Whether a group is being given out in parts.
    pub(super) fn is_within_group(&self) -> bool {
        self.begun
    }

    /// Tick of the keyframe being collected, once there is one.
    pub(super) fn key(&self) -> Option<i64> {
        self.group.first().map(|_| self.key)
    }

    fn collect(&mut self, packet: Arc<P>, schedule: &mut Schedule) -> Option<Part<P>> {
        let started = self.begun || !self.group.is_empty();
        if started && packet.is_key() && packet.tick().is_some() {
            self.tail.push(packet);
            return None;
        }
        if !started {
            // Packets before the first keyframe cannot be decoded.
            if !packet.is_key() {
                return None;
            }
            self.key = packet.tick().unwrap_or(i64::MIN);
        }
        if self.drop_leading && packet.tick().is_some_and(|tick| tick < self.key) {
            return None;
        }
        self.bytes += packet.size();
        self.group.push(packet);
        let full = self.bytes > self.limit.bytes || self.group.len() > self.limit.packets;
        if full && self.group.len() > HOLD_BACK { self.cut(schedule) } else { None }
    }

    fn start_next(&mut self) {
        self.group = std::mem::take(&mut self.tail);
        self.group.truncate(1);
        self.bytes = self.group.iter().map(|p| p.size()).sum();
        self.key = self.group.first().and_then(|p| p.tick()).unwrap_or(i64::MIN);
        self.drop_leading = true;
        self.begun = false;
    }

    /// The targets that fall into the group when it ends at `end`.
    fn take(&self, schedule: &mut Schedule, end: i64) -> Vec<Target> {
        let mut targets =
            if self.begun || self.group.is_empty() { Vec::new() } else { schedule.take_keyframe() };
        targets.extend(schedule.take_until(self.key, end));
        targets
    }

    /// Closes the group at the next keyframe, or at the end of the stream.
    fn close(&mut self, schedule: &mut Schedule) -> Option<Part<P>> {
        if self.group.is_empty() && !self.begun {
            return None;
        }
        let end = self.tail.first().and_then(|p| p.tick()).unwrap_or(self.end);
        let targets = self.take(schedule, end);
        let group = std::mem::take(&mut self.group);
        let first = !self.begun;
        if targets.is_empty() && first && !self.whole {
            return None;
        }
        // Leading pictures of the next group are shown in this one.
        let own = group.len();
        let shown_here = |packet: &Arc<P>| packet.tick().is_some_and(|tick| tick < end);
        let all: Vec<Arc<P>> = group.into_iter().chain(self.tail.iter().cloned()).collect();
        let usable =
            |i: usize, packet: &Arc<P>| !packet.is_hidden() && (i < own || shown_here(packet));
        let untimed = all.iter().any(|packet| packet.tick().is_none());
        let mut wanted = vec![untimed && own == all.len(); all.len()];
        let mut reach = 0;
        for target in &targets {
            let at = match target.pick {
                Pick::Key => 0,
                Pick::Shown(tick) => shown_at(&all, tick, usable).unwrap_or(0),
            };
            wanted[at] = true;
            reach = reach.max(at);
        }
        if untimed {
            reach = all.len() - 1;
        }
        let reach = if targets.is_empty() { 0 } else { reach + 1 };
        // Of a group that was given out in parts, everything is decoded where somebody judges it.
        let rest = self.whole && !first;
        let packets = all
            .into_iter()
            .take(if self.whole { usize::MAX } else { reach })
            .enumerate()
            .map(|(i, packet)| (packet, effort(wanted[i] || rest)))
            .collect();
        Some(Part { packets, targets, first, last: true, reach, own })
    }

    /// Gives out all but the last packets of a group that has grown too long to hold.
    fn cut(&mut self, schedule: &mut Schedule) -> Option<Part<P>> {
        let at = self.group.len() - HOLD_BACK;
        // Everything that comes later is shown at or after this tick.
        let settled = self.group[at..].iter().map(|p| p.dts().or(p.tick())).min()??;
        let targets = self.take(schedule, settled);
        let held = self.group.split_off(at);
        let given = std::mem::replace(&mut self.group, held);
        self.bytes = self.group.iter().map(|p| p.size()).sum();
        let first = !std::mem::replace(&mut self.begun, true);
        let usable = |_: usize, packet: &Arc<P>| !packet.is_hidden();
        // A picture near the cut may be the one shown at a time that is settled only later.
        let mut wanted: Vec<bool> =
            given.iter().map(|p| p.tick().is_none_or(|tick| tick >= settled)).collect();
        if let Some(last) = shown_at(&given, settled, usable) {
            wanted[last] = true;
        }
        for target in &targets {
            if let Pick::Shown(tick) = target.pick
                && let Some(at) = shown_at(&given, tick, usable)
            {
                wanted[at] = true;
            }
        }
        let packets: Vec<_> = given
            .into_iter()
            .enumerate()
            .map(|(i, packet)| (packet, effort(wanted[i] || self.whole)))
            .collect();
        let reach = packets.len();
        Some(Part { packets, targets, first, last: false, reach, own: reach })
    }
}

fn effort(wanted: bool) -> Effort {
    if wanted { Effort::Everything } else { Effort::ReferencesOnly }
}

/// The packet whose picture is shown at `tick`: the greatest tick not after it, or the first
/// picture of all where `tick` lies before.
fn shown_at<P: Coded>(
    packets: &[Arc<P>],
    tick: i64,
    usable: impl Fn(usize, &Arc<P>) -> bool,
) -> Option<usize> {
    let shown = || {
        packets
            .iter()
            .enumerate()
            .filter(|(i, packet)| usable(*i, packet))
            .filter_map(|(i, packet)| Some((packet.tick()?, i)))
    };
    shown().filter(|(t, _)| *t <= tick).max().or_else(|| shown().min()).map(|(_, i)| i)
}

#[cfg(test)]
#[path = "gop_tests.rs"]
mod tests;
