//! Parts and copied groups put one behind the other into a file: no picture is encoded here.

use super::assets::Sources;
use super::manifest::Piece;
use super::parts::{Coded, Packets, Part};
use super::plan::{How, Plan};
use super::target::OutputFormat;
use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::limits::Limits;
use crate::media::{
    FilmFormat, FilmHeader, FilmPacket, FilmTrack, FilmWriter, ParameterSets, SoundPacket,
    copy_packets,
};
use crate::time::{Rounding, TimeBase, Timestamp};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;

/// What is joined.
pub(super) struct Joining<'a> {
    pub plan: &'a Plan,
    /// Encoded parts by key.
    pub parts: &'a HashMap<String, Part>,
    pub sound: Option<&'a Part>,
    pub sources: &'a Sources,
    pub limits: &'a Limits,
    pub cancel: &'a Cancel,
}

fn internal(what: &'static str) -> Error {
    Error::new(ErrorKind::Internal, Stage::Mux, what)
}

impl Joining<'_> {
    /// Writes the film into `file`; gives what each segment came to.
    pub fn write(&self, file: File) -> Result<Vec<Piece>> {
        let plan = self.plan;
        let encoding = &plan.target.film;
        let encoded = || {
            plan.segments.iter().filter_map(|segment| match &segment.how {
                How::Encoded { key, .. } => self.parts.get(key),
                How::Copied { .. } => None,
            })
        };
        let track = FilmTrack {
            header: self.header(encoded())?,
            base: encoding.base,
            rate: encoding.rate,
            colour: encoding.colour,
            reorder: encoded().map(|part| part.footer.reorder).max().unwrap_or(0).max(plan.reorder),
            pictures: plan.segments.iter().map(|s| (s.end - s.start).unsigned_abs()).sum(),
        };
        let sound = match self.sound {
            Some(part) => {
                let header =
                    part.footer.sound.as_ref().ok_or_else(|| internal("no sound header"))?;
                Some((header, part.footer.packets))
            }
            None => None,
        };
        let OutputFormat::Film(format) = plan.target.format else {
            return Err(internal("an animation is not joined"));
        };
        let writer = FilmWriter::create(file, format, &track, sound)?;
        let mut out = Out {
            writer,
            base: encoding.base,
            sound: self.sound.map(Part::packets).transpose()?,
            clock: TimeBase::per_second(
                sound.map_or(super::heard::RATE, |(header, _)| header.rate()),
            ),
            waiting: None,
        };
        let mut pieces = Vec::new();
        for segment in &plan.segments {
            self.cancel.check(Stage::Mux)?;
            let piece = |copied, key, pictures, coded| Piece {
                start: segment.start,
                end: segment.end,
                copied,
                key,
                pictures,
                coded,
            };
            match &segment.how {
                How::Encoded { key, .. } => {
                    let part =
                        self.parts.get(key).ok_or_else(|| internal("a segment is missing"))?;
                    let own = part.footer.film.as_ref().map(|film| film.extradata.as_slice());
                    let mut sets = self.sets_in_front(own.and_then(ParameterSets::read).as_ref());
                    let mut packets = part.packets()?;
                    while let Some(Coded { pts, key, mut data, .. }) = packets.next()? {
                        if let Some(mut sets) = sets.take() {
                            sets.append(&mut data);
                            data = sets;
                        }
                        out.picture(pts + segment.start, key, data)?;
                    }
                    pieces.push(piece(
                        false,
                        Some(key.clone()),
                        part.footer.pictures.clone(),
                        part.footer.coded.clone(),
                    ));
                }
                How::Copied { asset, from, to } => {
                    let coded = self.copy(&mut out, segment.start, asset, (*from, *to))?;
                    pieces.push(piece(true, None, None, coded));
                }
            }
        }
        out.finish()?;
        Ok(pieces)
    }

    fn copy(
        &self,
        out: &mut Out,
        start: i64,
        asset: &str,
        span: (i64, Option<i64>),
    ) -> Result<String> {
        let source = self.sources.get(asset).ok_or_else(|| internal("an asset went away"))?;
        let ticks = self.plan.ticks.get(&start).ok_or_else(|| internal("a copy without times"))?;
        let frames: BTreeMap<i64, i64> =
            ticks.iter().zip(start..).map(|(tick, n)| (*tick, n)).collect();
        let mut sets = self.sets_in_front(self.plan.own_sets.get(&start));
        let mut digest = blake3::Hasher::new();
        let mut count = 0;
        copy_packets(&source.path, span, self.limits, self.cancel, &mut |mut packet| {
            if let Some(mut sets) = sets.take() {
                sets.append(&mut packet.data);
                packet.data = sets;
            }
            let n = frames.get(&packet.pts).ok_or_else(|| {
                Error::new(ErrorKind::Input, Stage::Demux, "is not what it was a moment ago")
                    .input(&source.path)
            })?;
            digest.update(&packet.data);
            count += 1;
            out.picture(*n, packet.key, packet.data)
        })?;
        if count != ticks.len() {
            return Err(Error::new(
                ErrorKind::Input,
                Stage::Demux,
                "is not what it was a moment ago",
            )
            .input(&source.path));
        }
        Ok(digest.finalize().to_hex().to_string())
    }

    /// What stands in front of a stretch's first picture, where stretches bring their sets along.
    fn sets_in_front(&self, own: Option<&ParameterSets>) -> Option<Vec<u8>> {
        own.filter(|_| self.plan.in_band).map(ParameterSets::in_band)
    }

    /// The one header of all segments.
    fn header<'b>(&self, mut encoded: impl Iterator<Item = &'b Part>) -> Result<FilmHeader> {
        let first = encoded.next().and_then(|part| part.footer.film.clone());
        let copied = self.plan.segments.iter().find_map(|segment| match &segment.how {
            How::Copied { asset, .. } => self.sources.get(asset),
            How::Encoded { .. } => None,
        });
        let Some(sets) = self.plan.sets.as_ref().filter(|_| copied.is_some()) else {
            return first.ok_or_else(|| internal("nothing to join"));
        };
        let own = first.as_ref().and_then(|header| ParameterSets::read(&header.extradata));
        let both = match own {
            _ if self.plan.in_band => sets.clone(),
            Some(own) => sets.with(&own).ok_or_else(|| internal("parameter sets of one number"))?,
            None => sets.clone(),
        };
        let film = &self.plan.target.film;
        Ok(FilmHeader {
            codec: film.codec,
            extradata: both.record(),
            width: film.width,
            height: film.height,
            // Sets in packets as well (ISO/IEC 14496-15, 5.4.2.1.1); Matroska does not tell them apart.
            tag: match self.plan.target.format {
                OutputFormat::Film(FilmFormat::Mp4 | FilmFormat::Mov) if self.plan.in_band => {
                    u32::from_le_bytes(*b"avc3")
                }
                _ => 0,
            },
            pixel_format: first.map_or(0, |header| header.pixel_format),
        })
    }
}

struct Out {
    writer: FilmWriter,
    base: TimeBase,
    sound: Option<Packets>,
    /// What the sound's packets are stamped in.
    clock: TimeBase,
    waiting: Option<Coded>,
}

impl Out {
    fn picture(&mut self, n: i64, key: bool, data: Vec<u8>) -> Result<()> {
        let at = Timestamp::new(n, self.base);
        let at = at.rescale(self.clock, Rounding::Floor).ticks();
        self.sound_until(at)?;
        self.writer.picture(FilmPacket { pts: n, key, data }, 1)
    }

    /// Sound is written up to the picture that follows: players read both together.
    fn sound_until(&mut self, sample: i64) -> Result<()> {
        let Some(packets) = &mut self.sound else { return Ok(()) };
        loop {
            let packet = match self.waiting.take() {
                Some(packet) => packet,
                None => match packets.next()? {
                    Some(packet) => packet,
                    None => {
                        self.sound = None;
                        return Ok(());
                    }
                },
            };
            if packet.pts > sample {
                self.waiting = Some(packet);
                return Ok(());
            }
            let sound =
                SoundPacket { pts: packet.pts, duration: packet.duration, data: packet.data };
            self.writer.sound(&sound)?;
        }
    }

    fn finish(mut self) -> Result<()> {
        self.sound_until(i64::MAX)?;
        self.writer.finish()
    }
}
