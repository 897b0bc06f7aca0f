//! A group of pictures before it is decoded, for those who decide how much of it is worth it.

use super::decoder::Effort;
use super::frame::VideoFrame;
use super::gop::{Coded, Part};
use super::groups::{Picker, Worker};
use super::packet::CodedPacket;
use super::picture::PictureConverter;
use super::reading::GroupJudge;
use crate::error::Result;
use crate::time::Timestamp;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

/// What a packet says of its picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodedPicture {
    /// When it is shown, in the stream's ticks.
    pub pts: Option<i64>,
    /// How many bytes it was coded to: the more, the less of it could be predicted.
    pub bytes: u64,
}

/// A keyframe and what is shown until the next one, on the thread that can decode it.
pub struct CodedGroup<'w, 'a> {
    worker: &'w mut Worker<'a>,
    number: u64,
    longest: usize,
    part: Part<CodedPacket>,
    rest: Receiver<Part<CodedPacket>>,
    picker: Picker,
    /// Whether the requests for frames have theirs.
    served: bool,
}

/// What a decoded frame is shown to; `false` says that no more are needed.
pub type SeeFrame<'s> = &'s mut dyn FnMut(&VideoFrame, &mut PictureConverter) -> Result<bool>;

impl<'w, 'a> CodedGroup<'w, 'a> {
    pub(super) fn new(
        worker: &'w mut Worker<'a>,
        (number, longest): (u64, usize),
        rest: Receiver<Part<CodedPacket>>,
    ) -> Option<Self> {
        let mut part = rest.recv().ok()?;
        let mut picker = Picker::default();
        picker.want(std::mem::take(&mut part.targets));
        Some(Self { worker, number, longest, served: part.reach == 0, part, rest, picker })
    }

    /// Has it judged, then gives what requests for frames still want of it.
    pub(super) fn judge(mut self, judge: &dyn GroupJudge) -> Result<()> {
        judge.group(&mut self)?;
        if self.served {
            return Ok(());
        }
        self.decode(&|_| false, &mut |_, _| Ok(false))
    }

    /// Its place among the groups of the stream, from 0.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Pictures in the longest group so far, this one counted: how far apart keyframes lie where
    /// nothing made the encoder set one early.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// Whether all of it is here. A group too long to hold is not: of that, everything is decoded.
    pub fn is_whole(&self) -> bool {
        self.part.last
    }

    /// The pictures shown in it, as far as they are here, in decode order; the first is the
    /// keyframe. Leading pictures of the next keyframe are among them.
    pub fn pictures(&self) -> Vec<CodedPicture> {
        let next = self.next_key();
        let shown = |(i, tick): (usize, Option<i64>)| {
            i < self.part.own || tick.zip(next).is_some_and(|(tick, next)| tick < next)
        };
        let packets = self.part.packets.iter().map(|(packet, _)| packet);
        packets
            .enumerate()
            .filter(|(i, packet)| !packet.is_hidden() && shown((*i, packet.tick())))
            .map(|(_, packet)| CodedPicture { pts: packet.tick(), bytes: packet.size() })
            .collect()
    }

    /// Tick of its keyframe.
    pub fn key(&self) -> Option<i64> {
        self.part.packets.first().and_then(|(packet, _)| packet.tick())
    }

    /// Tick of the next group's keyframe; `None` at the end of the stream, or if not all is here.
    pub fn next_key(&self) -> Option<i64> {
        self.next().and_then(|packet| packet.tick())
    }

    /// Bytes of its own keyframe and of the next one.
    pub fn key_bytes(&self) -> (u64, Option<u64>) {
        let own = self.part.packets.first().map_or(0, |(packet, _)| packet.size());
        (own, self.next().map(|packet| packet.size()))
    }

    /// A tick on the media clock.
    pub fn time(&self, tick: i64) -> Timestamp {
        self.worker.clock.time(tick)
    }

    /// Whether the work is to go on: the reading was not cancelled and nobody else has failed.
    ///
    /// # Errors
    /// The reading is over.
    pub fn check(&self) -> Result<()> {
        self.worker.context.failure.check()
    }

    /// As [`CodedGroup::check`], to be called while it decodes.
    pub fn watch(&self) -> impl Fn() -> Result<()> + use<'a> {
        let context = self.worker.context;
        move || context.failure.check()
    }

    fn next(&self) -> Option<&Arc<CodedPacket>> {
        self.part.packets.get(self.part.own).map(|(packet, _)| packet).filter(|_| self.part.last)
    }

    /// Decodes the keyframe alone. Nothing is seen where it is damaged or hidden.
    ///
    /// # Errors
    /// Those of the decoder and of `see`.
    pub fn decode_key(&mut self, see: SeeFrame<'_>) -> Result<()> {
        let key = self.part.packets.first().map(|(packet, _)| packet.clone());
        self.decode_alone(key, see)
    }

    /// Decodes the next group's keyframe alone.
    ///
    /// # Errors
    /// Those of the decoder and of `see`.
    pub fn decode_next_key(&mut self, see: SeeFrame<'_>) -> Result<()> {
        let key = self.next().cloned();
        self.decode_alone(key, see)
    }

    fn decode_alone(&mut self, key: Option<Arc<CodedPacket>>, see: SeeFrame<'_>) -> Result<()> {
        let Some(key) = key else { return Ok(()) };
        self.worker.begin(key.tick());
        self.worker.decoder.set_rough(true);
        self.worker.send(&key, Effort::Everything)?;
        self.worker.decoder.drain()?;
        while let Some(frame) = self.worker.receive()? {
            if !see(&frame, &mut self.worker.converter)? {
                break;
            }
        }
        Ok(())
    }

    /// Decodes the group and shows the frames in order of time until `see` has had enough. Of the
    /// pictures that no other refers to, only those with a `wanted` tick are decoded; more may be
    /// seen where requests for frames want them. A group that is not whole is decoded in full.
    ///
    /// # Errors
    /// Those of the decoder, of `see`, and of those who take frames.
    pub fn decode(&mut self, wanted: &dyn Fn(i64) -> bool, see: SeeFrame<'_>) -> Result<()> {
        let serving = !std::mem::replace(&mut self.served, true);
        self.worker.begin(self.key());
        self.worker.decoder.set_rough(!serving);
        let mut seeing = true;
        let mut part = std::mem::replace(
            &mut self.part,
            Part {
                packets: Vec::new(),
                targets: Vec::new(),
                first: true,
                last: true,
                reach: 0,
                own: 0,
            },
        );
        if part.last {
            // It may be decoded again.
            let decoded = self.decode_part(&part, wanted, serving, &mut seeing, see);
            self.part = part;
            decoded?;
        } else {
            loop {
                self.decode_part(&part, &|_| true, true, &mut seeing, see)?;
                let Ok(mut next) = self.rest.recv() else { break };
                self.picker.want(std::mem::take(&mut next.targets));
                part = next;
            }
        }
        if serving {
            self.worker.finish(&mut self.picker)?;
        }
        Ok(())
    }

    fn decode_part(
        &mut self,
        part: &Part<CodedPacket>,
        wanted: &dyn Fn(i64) -> bool,
        serving: bool,
        seeing: &mut bool,
        see: SeeFrame<'_>,
    ) -> Result<()> {
        let reach = if serving { part.reach } else { 0 };
        // The next keyframe may be decoded for its leading pictures; it is not of this group.
        let next = part.packets.get(part.own).filter(|_| part.last);
        let end = next.and_then(|(key, _)| key.tick()).unwrap_or(i64::MAX);
        for (i, (packet, effort)) in part.packets.iter().enumerate() {
            if !*seeing && i >= reach {
                break;
            }
            // Behind the group's own packets only leading pictures need what is there.
            if i == part.own && part.packets.len() == i + 1 && i >= reach {
                break;
            }
            let seen = *seeing && packet.tick().is_none_or(wanted);
            let given = i < reach && *effort == Effort::Everything;
            self.worker.send(
                packet,
                if seen || given { Effort::Everything } else { Effort::ReferencesOnly },
            )?;
            self.pump(serving, end, seeing, see)?;
        }
        if part.last && (*seeing || serving) {
            self.worker.decoder.drain()?;
            self.pump(serving, end, seeing, see)?;
        }
        Ok(())
    }

    fn pump(
        &mut self,
        serving: bool,
        end: i64,
        seeing: &mut bool,
        see: SeeFrame<'_>,
    ) -> Result<()> {
        while let Some(frame) = self.worker.receive()? {
            if *seeing && frame.pts() < end {
                *seeing = see(&frame, &mut self.worker.converter)?;
            }
            if serving {
                self.worker.offer(frame, &mut self.picker)?;
            }
        }
        Ok(())
    }
}
