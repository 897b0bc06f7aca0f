//! A stretch of a film's sound as it was coded, for where nothing is done to it: whole packets of AAC,
//! one more in front than is heard (what a decoder needs to start) and the first partly before 0, as an
//! encoder's own beginning is.

use super::film_write::{SoundHeader, SoundPacket};
use super::info::StreamKind;
use super::input::{Input, Want};
use super::probe;
use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::limits::Limits;
use crate::time::{Rounding, TimeBase, Timestamp};
use std::path::Path;

/// Samples of a packet of AAC-LC, the only kind that is copied: others count their own way.
const FRAME: i64 = 1024;

/// Whether the main sound stream of `path` may be copied by [`copy_sound`], and its header then.
///
/// # Errors
/// As [`probe()`](crate::media::probe()).
pub fn copyable_sound(
    path: &Path,
    limits: &Limits,
    cancel: &Cancel,
) -> Result<Option<SoundHeader>> {
    let mut input = Input::open(path, limits, cancel)?;
    Ok(header(&mut input).map(|(_, header)| header))
}

fn header(input: &mut Input) -> Option<(usize, SoundHeader)> {
    let info = probe::describe(input);
    let stream = info.audio()?;
    let StreamKind::Audio(_) = &stream.kind else { return None };
    // Elsewhere each packet has a header of its own, or times are rounded to milliseconds.
    if stream.codec != "aac" || !info.container.starts_with("mov") {
        return None;
    }
    if !input.is_seekable() {
        return None;
    }
    let mut header = SoundHeader::of_parameters(&input.parameters(stream.index)?)?;
    // Demuxers do not always say how much a packet holds; its times do, and are compared.
    if header.frame() != 0 && header.frame() != FRAME {
        return None;
    }
    header.set_frame(FRAME);
    Some((stream.index, header))
}

/// Gives the packets that are heard from media time `from` up to `to`; the first ones' times lie
/// before 0 by what is decoded and not heard. Gives the header, its padding set so.
///
/// # Errors
/// [`ErrorKind::Input`] where packets do not follow each other without gaps; read errors.
pub fn copy_sound(
    path: &Path,
    (from, to): (Timestamp, Timestamp),
    limits: &Limits,
    cancel: &Cancel,
    take: &mut dyn FnMut(SoundPacket) -> Result<()>,
) -> Result<SoundHeader> {
    let uneven =
        || Error::new(ErrorKind::Input, Stage::Demux, "its sound cannot be copied").input(path);
    let mut input = Input::open(path, limits, cancel)?;
    let (index, mut header) = header(&mut input).ok_or_else(uneven)?;
    let origin = probe::describe(&mut input).origin;
    let (base, samples) = (input.time_base(index), TimeBase::per_second(header.rate()));
    input.want(|i| if i == index { Want::Everything } else { Want::Nothing });
    let at = |time: Timestamp| time.rescale(samples, Rounding::Nearest).ticks();
    let (first, end) = (at(from), at(to));
    let start = from.plus(origin).minus(Timestamp::from_millis(200));
    if from > Timestamp::from_secs(1) {
        // Where it cannot be sought, everything before is read.
        let _ = input.seek(index, start.rescale(base, Rounding::Floor).ticks());
    }
    // The packet before the first that is heard.
    let mut before: Option<(i64, Vec<u8>)> = None;
    let mut next: Option<i64> = None;
    while let Some(packet) = input.read()? {
        if packet.stream() != index {
            continue;
        }
        let Some(tick) = packet.pts() else { return Err(uneven()) };
        let tick = at(Timestamp::new(tick, base).minus(origin)) - first;
        if tick >= end - first {
            break;
        }
        let data = packet.data().unwrap_or_default().to_vec();
        if tick + FRAME <= 0 {
            before = Some((tick, data));
            continue;
        }
        let begins = next.is_none();
        let place = *next.get_or_insert(tick);
        // Times of a track are rounded where its clock is not that of its samples.
        if (place - tick).abs() > 1 {
            return Err(uneven());
        }
        if begins {
            let early = before.take().filter(|(at, _)| (at + FRAME - tick).abs() <= 1);
            let lead = tick - if early.is_some() { FRAME } else { 0 };
            if lead > 0 {
                return Err(uneven());
            }
            header.set_padding(-lead);
            if let Some((_, data)) = early {
                take(SoundPacket { pts: lead, duration: FRAME, data })?;
            }
        }
        take(SoundPacket { pts: place, duration: FRAME, data })?;
        next = Some(place + FRAME);
    }
    // What is missing at the end would be told by nobody else.
    match next {
        Some(next) if next >= end - first - FRAME => Ok(header),
        _ => Err(uneven()),
    }
}
