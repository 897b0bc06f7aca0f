//! Decodes wanted frames group by group, on several decoders at once; seeks over what nobody
//! wants where that is cheaper than reading on.

use super::coded::CodedGroup;
use super::decoder::{Decoder, Effort, Step};
use super::frame::VideoFrame;
use super::gop::{Coded, Part, PartLimit, Planner};
use super::hwaccel;
use super::input::IndexEntry;
use super::packet::{CodedPacket, PacketReader};
use super::picture::PictureConverter;
use super::queue::{AbortOnDrop, ByteQueue, CloseOnDrop};
use super::reading::{Demux, DemuxCounts, VideoContext, VideoPlan};
use super::select::{Pick, Target};
use crate::error::{Error, ErrorKind, Result, Stage};
use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Reading on costs a copy of the bytes; a seek costs its system calls and the buffers thrown
/// away. From this gap on the seek is taken to be cheaper where an index says where to go: an
/// estimate of the right order, not a measurement.
const SEEK_WITH_INDEX: u64 = 4 << 20;
/// Without an index, libav searches by timestamps: tens of reads.
const SEEK_BY_SEARCH: u64 = 64 << 20;

/// A group on its way to a worker; long ones come in parts.
struct Group {
    /// Its place among the groups of the stream, from 0.
    number: u64,
    /// Packets in the longest group so far, itself counted.
    longest: usize,
    parts: Receiver<Part<CodedPacket>>,
}

pub(super) struct Groups<'a> {
    plan: VideoPlan,
    context: VideoContext<'a>,
}

impl<'a> Groups<'a> {
    pub(super) fn new(plan: VideoPlan, context: VideoContext<'a>) -> Self {
        Self { plan, context }
    }

    pub(super) fn run(self, demux: &mut Demux<'_>) -> Result<DemuxCounts> {
        let Self { plan, context } = self;
        let queue = ByteQueue::new(context.limits.in_flight_bytes / 2);
        let (parameters, clock, look) = (plan.parameters.clone(), plan.clock, plan.look);
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..context.threads.get())
                .map(|_| {
                    let (queue, parameters) = (&queue, parameters.clone());
                    scope.spawn(move || {
                        let _abort = AbortOnDrop(queue);
                        context.failure.catch(|| {
                            let mut decoder = Decoder::open_on(
                                context.hardware,
                                parameters,
                                clock.base,
                                NonZeroUsize::MIN,
                                context.limits,
                            )?;
                            decoder.give_unrecovered();
                            Worker {
                                decoder,
                                config: None,
                                key: i64::MIN,
                                context,
                                clock,
                                look,
                                converter: PictureConverter::default(),
                                shape: None,
                            }
                            .work(queue)
                        })
                    })
                })
                .collect();
            let driven = {
                let _close = CloseOnDrop(&queue);
                Driver::new(plan, context, &queue).drive(demux)
            };
            for worker in workers {
                if worker.join().is_err() {
                    return Err(Error::new(
                        ErrorKind::Internal,
                        Stage::Decode,
                        "a decoding thread panicked",
                    ));
                }
            }
            driven
        })
    }
}

/// The demuxer's side.
struct Driver<'a> {
    plan: VideoPlan,
    context: VideoContext<'a>,
    queue: &'a ByteQueue<Group>,
    planner: Planner<CodedPacket>,
    open: Option<SyncSender<Part<CodedPacket>>>,
    counts: DemuxCounts,
    /// Keyframes of the container's index: (tick, byte position), by tick.
    index: Vec<(i64, u64)>,
    bytes_per_tick: f64,
    /// Groups given out so far.
    groups: u64,
    longest: usize,
    /// Set after a seek for a wanted tick: how often it was tried.
    landing: Option<(i64, u32)>,
}

impl<'a> Driver<'a> {
    fn new(plan: VideoPlan, context: VideoContext<'a>, queue: &'a ByteQueue<Group>) -> Self {
        let limit = PartLimit { bytes: context.limits.in_flight_bytes / 4, packets: 2048 };
        Self {
            plan,
            context,
            queue,
            planner: Planner::new(limit).give_whole(context.judge.is_some()),
            open: None,
            groups: 0,
            longest: 0,
            counts: DemuxCounts::default(),
            index: Vec::new(),
            bytes_per_tick: 0.0,
            landing: None,
        }
    }

    fn drive(mut self, demux: &mut Demux<'_>) -> Result<DemuxCounts> {
        let mut reader = PacketReader::new(&self.plan.parameters, self.plan.step());
        self.survey(demux);
        let mut position = 0;
        self.seek_if_far(demux, i64::MIN, position);
        let mut group = None;
        let mut ended = false;
        while self.context.judge.is_some() || self.plan.schedule.next_tick().is_some() {
            let Some(packet) = demux.next_video(self.plan.index)? else {
                ended = true;
                break;
            };
            self.counts.packets += 1;
            if packet.position() > 0 {
                position = packet.position().unsigned_abs() as u64;
            }
            let packet = reader.read(packet);
            if packet.is_key() && self.seek_again(demux, packet.tick()) {
                continue;
            }
            let part = self.planner.push(packet, &mut self.plan.schedule);
            if let Some(part) = part {
                self.send(part)?;
            }
            if self.planner.key() != group && !self.planner.is_within_group() {
                group = self.planner.key();
                self.seek_if_far(demux, group.unwrap_or(i64::MIN), position);
            }
        }
        if ended && self.plan.schedule.keys_suffice() {
            self.planner.extend_to(self.plan.end.unwrap_or(i64::MAX));
        }
        if ended || self.planner.is_within_group() {
            for part in self.planner.finish(&mut self.plan.schedule) {
                self.send(part)?;
            }
        }
        if ended {
            self.check_reached()?;
        } else {
            demux.finish_sound()?;
        }
        Ok(self.counts)
    }

    /// Learns the container's index and byte rate, for the choice between seeking and reading on.
    fn survey(&mut self, demux: &mut Demux<'_>) {
        let entries = demux.input.index_entries(self.plan.index);
        let keys = entries.iter().filter(|e: &&IndexEntry| e.key && e.position >= 0);
        self.index = keys.map(|e| (e.tick, e.position.unsigned_abs())).collect();
        self.index.sort_unstable();
        let base = self.plan.clock.base;
        let seconds = demux.input.context().duration() as f64 / 1e6;
        if let Some(bytes) = demux.input.facts().size.filter(|_| seconds > 0.0) {
            self.bytes_per_tick =
                bytes as f64 / seconds * f64::from(base.num()) / f64::from(base.den());
        }
    }

    /// Seeks to the next wanted tick where reading on from `now` would cost more.
    fn seek_if_far(&mut self, demux: &mut Demux<'_>, now: i64, position: u64) {
        let Some(target) = self.plan.schedule.next_tick().filter(|t| *t > now) else { return };
        let judged = self.context.judge.is_some();
        if judged || demux.needs_everything() || !demux.input.is_seekable() {
            return;
        }
        let far = if self.index.len() > 1 {
            let next = self.index.partition_point(|(tick, _)| *tick <= target);
            let place = next.checked_sub(1).map_or(0, |i| self.index[i].1);
            place.saturating_sub(position) > SEEK_WITH_INDEX
        } else {
            let from = if now == i64::MIN {
                self.plan.clock.tick(crate::time::Timestamp::ZERO)
            } else {
                now
            };
            let gap = target.saturating_sub(from) as f64 * self.bytes_per_tick;
            gap > SEEK_BY_SEARCH as f64
        };
        if far && demux.input.seek(self.plan.index, target) {
            self.counts.seeks += 1;
            self.planner.restart();
            self.landing = Some((target, 0));
        }
    }

    /// After a seek: whether the first keyframe lies too late, so that another was tried from
    /// further back. Containers index by decode time, and some only roughly.
    fn seek_again(&mut self, demux: &mut Demux<'_>, landed: Option<i64>) -> bool {
        const TRIES: u32 = 5;
        let Some((target, tries)) = self.landing.take() else { return false };
        let Some(landed) = landed.filter(|landed| *landed > target && tries < TRIES) else {
            return false;
        };
        // Twice as far back each time, from two seconds on; at last from the beginning.
        let base = self.plan.clock.base;
        let second = (f64::from(base.den()) / f64::from(base.num())).max(1.0) as i64;
        let back = landed.saturating_sub(target).saturating_add(second << (tries + 1));
        let to = if tries + 1 == TRIES { i64::MIN + 1 } else { target.saturating_sub(back) };
        let moved = demux.input.seek(self.plan.index, to);
        self.counts.seeks += u64::from(moved);
        self.planner.restart();
        self.landing = Some((target, tries + 1));
        moved
    }

    fn send(&mut self, part: Part<CodedPacket>) -> Result<()> {
        let last = part.last;
        let size = part.size();
        self.longest = self.longest.max(part.own);
        if part.first {
            // One part may wait while one is decoded.
            let (sender, parts) = sync_channel(1);
            let _ = sender.send(part);
            self.open = Some(sender);
            // A closed queue means that the workers have failed; `failure` says why.
            let number = self.groups;
            self.groups += 1;
            if self.queue.push(size, Group { number, longest: self.longest, parts }).is_err() {
                self.context.failure.check()?;
            }
        } else if let Some(sender) = &self.open
            && sender.send(part).is_err()
        {
            self.context.failure.check()?;
        }
        if last {
            self.open = None;
        }
        Ok(())
    }

    fn check_reached(&self) -> Result<()> {
        past_the_end(self.plan.schedule.unreached())
    }
}

/// The error of a time asked for that the film does not reach.
pub(super) fn past_the_end(unreached: Option<crate::time::Timestamp>) -> Result<()> {
    match unreached {
        None => Ok(()),
        Some(time) => Err(Error::new(
            ErrorKind::Input,
            Stage::Decode,
            format!("has no frame at {time}: that is past its end"),
        )
        .hint("`rushes probe` shows how long it is")),
    }
}

/// Finds each wanted frame among those that come out of a decoder in order of time.
#[derive(Default)]
pub(super) struct Picker {
    targets: VecDeque<Target>,
    shown: Option<Arc<VideoFrame>>,
    key: Option<Arc<VideoFrame>>,
}

impl Picker {
    pub(super) fn want(&mut self, targets: Vec<Target>) {
        self.targets.extend(targets);
    }

    /// Takes the next frame; gives every target that is settled by it.
    pub(super) fn offer(
        &mut self,
        frame: Arc<VideoFrame>,
        give: &mut dyn FnMut(Target, &VideoFrame) -> Result<()>,
    ) -> Result<()> {
        if self.key.is_none() {
            self.key = Some(frame.clone());
        }
        while let Some(target) = self.targets.front().copied() {
            let found = match target.pick {
                Pick::Key => self.key.as_ref(),
                Pick::Shown(tick) if frame.pts() > tick => self.shown.as_ref().or(Some(&frame)),
                Pick::Shown(_) => None,
            };
            let Some(found) = found else { break };
            give(target, found)?;
            self.targets.pop_front();
        }
        self.shown = Some(frame);
        Ok(())
    }

    /// Gives the rest: no more frames come.
    pub(super) fn finish(
        &mut self,
        give: &mut dyn FnMut(Target, &VideoFrame) -> Result<()>,
    ) -> Result<()> {
        for target in std::mem::take(&mut self.targets) {
            let found = match target.pick {
                Pick::Key => self.key.as_ref(),
                Pick::Shown(_) => self.shown.as_ref(),
            };
            if let Some(found) = found {
                give(target, found)?;
            }
        }
        Ok(())
    }
}

/// One decoder with what belongs to it.
pub(super) struct Worker<'a> {
    pub(super) decoder: Decoder,
    config: Option<Arc<[u8]>>,
    /// Tick of the group's keyframe.
    key: i64,
    pub(super) context: VideoContext<'a>,
    pub(super) clock: super::select::StreamClock,
    look: super::frame::StreamLook,
    pub(super) converter: PictureConverter,
    /// Shape of the last picture, to notice changes cheaply.
    shape: Option<(u32, u32, i32)>,
}

impl Worker<'_> {
    fn work(mut self, queue: &ByteQueue<Group>) -> Result<()> {
        while let Some(group) = queue.pop() {
            if let Some(judge) = self.context.judge {
                CodedGroup::new(&mut self, (group.number, group.longest), group.parts)
                    .map_or(Ok(()), |coded| coded.judge(judge))?;
                continue;
            }
            let mut picker = Picker::default();
            for part in group.parts {
                self.part(part, &mut picker)?;
            }
        }
        self.context.tally.undecodable.fetch_add(self.decoder.damaged(), Ordering::Relaxed);
        Ok(())
    }

    fn part(&mut self, part: Part<CodedPacket>, picker: &mut Picker) -> Result<()> {
        if part.first {
            self.begin(part.packets.first().and_then(|(key, _)| key.tick()));
        }
        picker.want(part.targets);
        for (packet, effort) in part.packets {
            self.send(&packet, effort)?;
            self.pump(picker)?;
        }
        if part.last {
            self.decoder.drain()?;
            self.pump(picker)?;
            self.finish(picker)?;
        }
        Ok(())
    }

    /// Starts afresh, at the keyframe with this tick.
    pub(super) fn begin(&mut self, key: Option<i64>) {
        self.decoder.set_rough(false);
        self.key = key.unwrap_or(i64::MIN);
        self.decoder.flush();
    }

    pub(super) fn send(&mut self, packet: &CodedPacket, effort: Effort) -> Result<()> {
        self.context.failure.check()?;
        self.decoder.set_effort(effort);
        match packet.for_decoder(&mut self.config) {
            Some(configured) => self.decoder.send(&configured),
            None => self.decoder.send(packet.packet()),
        }
    }

    /// Gives the frames that are still wanted: the group has ended.
    pub(super) fn finish(&mut self, picker: &mut Picker) -> Result<()> {
        let Self { context, converter, .. } = self;
        picker.finish(&mut |target, frame| context.give(target, frame, converter))
    }

    fn pump(&mut self, picker: &mut Picker) -> Result<()> {
        while let Some(frame) = self.receive()? {
            self.offer(frame, picker)?;
        }
        Ok(())
    }

    /// Lets those see a frame who wait for one.
    pub(super) fn offer(&mut self, frame: Arc<VideoFrame>, picker: &mut Picker) -> Result<()> {
        let Self { context, converter, .. } = self;
        picker.offer(frame, &mut |target, frame| context.give(target, frame, converter))
    }

    /// The next picture that the decoder has ready.
    pub(super) fn receive(&mut self) -> Result<Option<Arc<VideoFrame>>> {
        while let Step::Frame(raw) = self.decoder.receive_video()? {
            let context = self.context;
            context.count(raw.width(), raw.height())?;
            let Some(tick) = raw.timestamp() else { continue };
            // Leading pictures at the start of the stream refer to what is not there.
            if raw.is_corrupt() && tick < self.key {
                continue;
            }
            let frame = Arc::new(VideoFrame::new(raw, tick, self.clock.time(tick), self.look));
            let shape = (frame.width(), frame.height(), frame.raw_format());
            if self.shape.replace(shape) != Some(shape) {
                if context.hardware.is_some() && !hwaccel::is_on_gpu(&frame.raw) {
                    context.tally.software.store(true, Ordering::Relaxed);
                }
                context.limits.check_picture(Stage::Decode, frame.width(), frame.height())?;
                context.tally.see(&frame);
            }
            return Ok(Some(frame));
        }
        Ok(None)
    }
}
