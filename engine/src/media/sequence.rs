//! Decodes every picture in order with one decoder and its frame threads; consumers run on
//! threads of their own behind a queue.

use super::decoder::{Decoder, Step};
use super::deinterlace::Deinterlacer;
use super::frame::VideoFrame;
use super::groups::past_the_end;
use super::hwaccel;
use super::picture::PictureConverter;
use super::queue::{AbortOnDrop, ByteQueue, CloseOnDrop};
use super::reading::{Demux, DemuxCounts, VideoContext, VideoPlan};
use super::select::{Pick, Target};
use crate::error::{Error, ErrorKind, Result, Stage};
use ffmpeg::Packet;
use ffmpeg_next as ffmpeg;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering;

type Found = (Target, Arc<VideoFrame>);

pub(super) struct Sequence<'a> {
    plan: VideoPlan,
    context: VideoContext<'a>,
}

impl<'a> Sequence<'a> {
    pub(super) fn new(plan: VideoPlan, context: VideoContext<'a>) -> Self {
        Self { plan, context }
    }

    pub(super) fn run(self, demux: &mut Demux<'_>) -> Result<DemuxCounts> {
        let Self { plan, context } = self;
        let index = plan.index;
        let packets = ByteQueue::new(context.limits.in_flight_bytes / 4);
        let found = ByteQueue::<Found>::new(context.limits.in_flight_bytes / 2);
        std::thread::scope(|scope| {
            let (packets, found) = (&packets, &found);
            for _ in 0..context.threads.get() {
                scope.spawn(move || {
                    let _abort = AbortOnDrop(found);
                    let mut converter = PictureConverter::default();
                    context.failure.catch(|| {
                        while let Some((target, frame)) = found.pop() {
                            context.give(target, &frame, &mut converter)?;
                        }
                        Ok(())
                    })
                });
            }
            let decoding = scope.spawn(move || {
                let _abort = AbortOnDrop(packets);
                let _close = CloseOnDrop(found);
                context.failure.catch(|| Decoding::open(plan, context, found)?.run(packets))
            });
            let counts = {
                let _close = CloseOnDrop(packets);
                feed(demux, index, packets)
            };
            if decoding.join().is_err() {
                return Err(Error::new(
                    ErrorKind::Internal,
                    Stage::Decode,
                    "the decoding thread panicked",
                ));
            }
            counts
        })
    }
}

/// Sends the stream's packets to the decoder; ends early once the decoder wants no more.
fn feed(demux: &mut Demux<'_>, index: usize, packets: &ByteQueue<Packet>) -> Result<DemuxCounts> {
    let mut counts = DemuxCounts::default();
    while let Some(packet) = demux.next_video(index)? {
        counts.packets += 1;
        if packets.push(packet.size() as u64 + 256, packet).is_err() {
            demux.finish_sound()?;
            break;
        }
    }
    Ok(counts)
}

struct Decoding<'a> {
    plan: VideoPlan,
    context: VideoContext<'a>,
    found: &'a ByteQueue<Found>,
    decoder: Decoder,
    deinterlacer: Option<Deinterlacer>,
    /// The last frame seen, and the last keyframe.
    shown: Option<Arc<VideoFrame>>,
    key: Option<Arc<VideoFrame>>,
    shape: Option<(u32, u32, i32)>,
    /// Ticks from one frame to the next at the stated rate, for frames without a timestamp.
    step: i64,
    /// How late decode times are, where they stand for presentation times.
    late: Option<i64>,
}

impl<'a> Decoding<'a> {
    fn open(
        plan: VideoPlan,
        context: VideoContext<'a>,
        found: &'a ByteQueue<Found>,
    ) -> Result<Self> {
        // Frame threads would only take up surfaces of a GPU's decoder.
        let threads = context.hardware.map_or(context.threads, |_| NonZeroUsize::MIN);
        let decoder = Decoder::open_on(
            context.hardware,
            plan.parameters.clone(),
            plan.clock.base,
            threads,
            context.limits,
        )?;
        let (base, step) = (plan.clock.base, plan.step());
        Ok(Self {
            deinterlacer: context.deinterlace.then(|| Deinterlacer::new(base)),
            plan,
            context,
            found,
            decoder,
            shown: None,
            key: None,
            shape: None,
            step,
            late: None,
        })
    }

    fn run(mut self, packets: &ByteQueue<Packet>) -> Result<()> {
        while let Some(packet) = packets.pop() {
            self.context.failure.check()?;
            self.decoder.send(&packet)?;
            self.pump()?;
            if self.plan.schedule.next_tick().is_none() {
                return Ok(());
            }
        }
        self.context.failure.check()?;
        self.decoder.drain()?;
        self.pump()?;
        if let Some(deinterlacer) = &mut self.deinterlacer {
            let rest = deinterlacer.finish()?;
            for raw in rest {
                self.frame(raw)?;
            }
        }
        self.context.tally.undecodable.fetch_add(self.decoder.damaged(), Ordering::Relaxed);
        // What is shown until the end of the last frame.
        if let Some(last) = self.shown.clone() {
            let end = last.pts().saturating_add(last.duration().unwrap_or(self.step).max(1));
            self.settle(end, &last)?;
        }
        past_the_end(self.plan.schedule.unreached())
    }

    fn pump(&mut self) -> Result<()> {
        while let Step::Frame(raw) = self.decoder.receive_video()? {
            self.context.count(raw.width(), raw.height())?;
            match &mut self.deinterlacer {
                None => self.frame(raw)?,
                Some(deinterlacer) => {
                    for raw in deinterlacer.push(raw)? {
                        self.frame(raw)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn frame(&mut self, raw: ffmpeg::frame::Video) -> Result<()> {
        let tick = self.repaired_tick(raw.timestamp());
        let on_gpu = hwaccel::is_on_gpu(&raw);
        // Pictures wait in the queue for their consumers, and a GPU's decoder has few to lend.
        let raw = if on_gpu { hwaccel::fetch(&raw)? } else { raw };
        let frame =
            Arc::new(VideoFrame::new(raw, tick, self.plan.clock.time(tick), self.plan.look));
        let shape = (frame.width(), frame.height(), frame.raw_format());
        if self.shape.replace(shape) != Some(shape) {
            if self.context.hardware.is_some() && !on_gpu {
                self.context.tally.software.store(true, Ordering::Relaxed);
            }
            self.context.limits.check_picture(Stage::Decode, frame.width(), frame.height())?;
            self.context.tally.see(&frame);
        }
        self.settle(tick, &frame)?;
        if frame.is_key() || self.key.is_none() {
            self.key = Some(frame.clone());
        }
        if frame.is_key() {
            for target in self.plan.schedule.take_keyframe() {
                self.send(target, &frame)?;
            }
        }
        for target in self.plan.schedule.take_frame(tick) {
            self.send(target, &frame)?;
        }
        self.shown = Some(frame);
        Ok(())
    }

    /// Gives every target before tick `end`: the frame shown last, or `frame` before the first.
    fn settle(&mut self, end: i64, frame: &Arc<VideoFrame>) -> Result<()> {
        // A stream that states no length is held to the limit here: one picture that lasts for
        // months would be written a million times.
        self.context.limits.check_duration(Stage::Decode, self.plan.clock.time(end))?;
        let key = self.key.clone().unwrap_or_else(|| frame.clone());
        for target in self.plan.schedule.take_until(key.pts(), end) {
            let found = match target.pick {
                Pick::Key => key.clone(),
                Pick::Shown(_) => self.shown.clone().unwrap_or_else(|| frame.clone()),
            };
            self.send(target, &found)?;
        }
        Ok(())
    }

    /// A timestamp for every frame, each later than the one before.
    fn repaired_tick(&mut self, stamped: Option<i64>) -> i64 {
        let stamped = if self.plan.untimed {
            let start = self.plan.clock.tick(self.plan.start);
            stamped.map(|tick| {
                tick.saturating_sub(*self.late.get_or_insert(tick.saturating_sub(start)))
            })
        } else {
            stamped
        };
        let last = self.shown.as_ref().map(|frame| frame.pts());
        match (stamped, last) {
            (Some(tick), None) => tick,
            (Some(tick), Some(last)) if tick > last => tick,
            (None, None) => self.plan.clock.tick(crate::time::Timestamp::ZERO),
            (_, Some(last)) => {
                self.context.tally.repaired.fetch_add(1, Ordering::Relaxed);
                last.saturating_add(if stamped.is_some() { 1 } else { self.step })
            }
        }
    }

    fn send(&self, target: Target, frame: &Arc<VideoFrame>) -> Result<()> {
        // A closed queue means that a consumer failed; `failure` says why.
        match self.found.push(frame.bytes(), (target, frame.clone())) {
            Ok(()) => Ok(()),
            Err(_) => Err(Error::cancelled(Stage::Decode)),
        }
    }
}
