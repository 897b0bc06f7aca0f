//! What an earlier render left: whether an output is what is asked for already, and if not, which
//! of its segments, and whether its sound, can be taken over without encoding them again.

use super::manifest::{Manifest, SoundLeft, Stamp, manifest_path};
use super::parts::{Coded, Footer, Part, Store};
use super::verify;
use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::library::StagedFile;
use crate::limits::Limits;
use crate::media::{film_packets, sound_packets};
use std::path::Path;

/// Bytes of a segment that are held at once; larger ones are encoded again.
const MAX_HELD: usize = 64 << 20;

/// The manifest of `output`, if the file was made under `key` and is as it was left. A file that
/// was moved or touched is read and compared.
pub(super) fn current(
    output: &Path,
    key: &str,
    limits: &Limits,
    cancel: &Cancel,
) -> Result<Option<Manifest>> {
    let Some(mut made) = Manifest::of(output).ok().filter(|made| made.key == key) else {
        return Ok(None);
    };
    let Ok(stamp) = Stamp::of(output) else { return Ok(None) };
    if made.stamp == Some(stamp) {
        return Ok(Some(made));
    }
    if stamp.file[2] != made.bytes {
        return Ok(None);
    }
    let same = || -> Result<bool> {
        if let Some(whole) = &made.whole {
            return Ok(*whole == verify::whole_digest(output, cancel)?);
        }
        let (coded, frames) = verify::digests(output, &made, limits, cancel)?;
        let sound = match &made.sound {
            Some(sound) => *sound == verify::sound_digest(output, limits, cancel)?,
            None => true,
        };
        let pictures = made.segments.iter().zip(&coded).all(|(piece, coded)| piece.coded == *coded);
        Ok(sound && pictures && frames == made.frames.unsigned_abs())
    };
    match same() {
        Ok(true) => {
            made.stamp = Some(stamp);
            write(&made, output)?;
            Ok(Some(made))
        }
        Err(error) if error.kind() == ErrorKind::Cancelled => Err(error),
        // What cannot be read is made anew.
        _ => Ok(None),
    }
}

/// Writes the manifest of `output` beside it.
pub(super) fn write(made: &Manifest, output: &Path) -> Result<()> {
    let text = serde_json::to_vec_pretty(made)
        .map_err(|e| Error::new(ErrorKind::Internal, Stage::Write, e.to_string()))?;
    let mut beside = StagedFile::new(&manifest_path(output))?;
    beside.write(&text)?;
    beside.publish()
}

/// Puts what an earlier `output` holds of `wanted` keys into `store`. Everything is compared with
/// the digests of when it was written; what does not fit is encoded again.
///
/// # Errors
/// [`ErrorKind::Cancelled`], and what writing into the store gives.
pub(super) fn take_over(
    output: &Path,
    wanted: &dyn Fn(&str) -> bool,
    store: &Store,
    limits: &Limits,
    cancel: &Cancel,
) -> Result<()> {
    let Ok(made) = Manifest::of(output) else { return Ok(()) };
    let missing = |key: &str| wanted(key) && !store.has(key);
    let pictures = made.film.is_some()
        && made.segments.iter().filter_map(|piece| piece.key.as_deref()).any(missing);
    let sound = made.heard.as_ref().filter(|heard| missing(&heard.key));
    let done = || -> Result<()> {
        if pictures {
            take_pictures(output, &made, &missing, store, limits, cancel)?;
        }
        if let Some(heard) = sound {
            take_sound(output, &made, heard, store, limits, cancel)?;
        }
        Ok(())
    };
    match done() {
        // A file that is gone or damaged gives nothing.
        Err(e) if !matches!(e.kind(), ErrorKind::Cancelled | ErrorKind::Storage) => Ok(()),
        done => done,
    }
}

fn take_pictures(
    output: &Path,
    made: &Manifest,
    missing: &dyn Fn(&str) -> bool,
    store: &Store,
    limits: &Limits,
    cancel: &Cancel,
) -> Result<()> {
    let mut pieces = made.segments.iter();
    let mut piece = pieces.next();
    let mut held = Held::default();
    film_packets(output, limits, cancel, &mut |packet| {
        let Some(now) = piece else { return Ok(()) };
        let key = now.key.as_deref().filter(|key| missing(key));
        held.count += 1;
        if key.is_some() {
            held.add(packet.tick, packet.key, packet.data);
        }
        if held.count < (now.end - now.start).unsigned_abs() {
            return Ok(());
        }
        let held = std::mem::take(&mut held);
        piece = pieces.next();
        match key {
            Some(key) => held.store(key, &now.coded, now.pictures.clone(), made, store),
            None => Ok(()),
        }
    })
}

/// The packets of a segment.
#[derive(Default)]
struct Held {
    count: u64,
    bytes: usize,
    packets: Vec<(Option<i64>, bool, Vec<u8>)>,
}

impl Held {
    fn add(&mut self, tick: Option<i64>, key: bool, data: &[u8]) {
        self.bytes += data.len();
        if self.bytes <= MAX_HELD {
            self.packets.push((tick, key, data.to_vec()));
        }
    }

    fn store(
        self,
        key: &str,
        coded: &str,
        pictures: Option<String>,
        made: &Manifest,
        store: &Store,
    ) -> Result<()> {
        let mut ticks: Vec<i64> = self.packets.iter().filter_map(|(tick, ..)| *tick).collect();
        ticks.sort_unstable();
        ticks.dedup();
        let mut digest = blake3::Hasher::new();
        for (.., data) in &self.packets {
            digest.update(data);
        }
        // Each picture is shown for one frame: its place among the others is its time.
        if ticks.len() as u64 != self.count || digest.finalize().to_hex().as_str() != coded {
            return Ok(());
        }
        let mut writer = store.write(key)?;
        for (tick, key, data) in &self.packets {
            let pts = tick.and_then(|tick| ticks.binary_search(&tick).ok()).unwrap_or(0);
            writer.packet(pts as i64, 1, *key, data)?;
        }
        let footer = Footer { film: made.film.clone(), pictures, ..Footer::default() };
        writer.finish(footer).map(drop)
    }
}

fn take_sound(
    output: &Path,
    made: &Manifest,
    heard: &SoundLeft,
    store: &Store,
    limits: &Limits,
    cancel: &Cancel,
) -> Result<()> {
    let runs = heard.packets.iter();
    let mut durations = runs.flat_map(|[samples, count]| (0..*count).map(move |_| *samples));
    let mut writer = store.write(&heard.key)?;
    let mut pts = heard.first;
    let mut digest = blake3::Hasher::new();
    let mut fits = true;
    sound_packets(output, limits, cancel, &mut |packet| {
        let Some(duration) = durations.next() else {
            fits = false;
            return Ok(());
        };
        digest.update(packet.data);
        writer.packet(pts, duration, true, packet.data)?;
        pts += duration;
        Ok(())
    })?;
    let whole = fits && durations.next().is_none();
    if whole && made.sound.as_deref() == Some(digest.finalize().to_hex().as_str()) {
        writer.finish(Footer { sound: Some(heard.header.clone()), ..Footer::default() })?;
    }
    Ok(())
}

/// How the packets of a sound part lie, if they follow each other without gaps.
///
/// # Errors
/// If the part cannot be read.
pub(super) fn of_sound(key: &str, part: &Part) -> Result<Option<SoundLeft>> {
    let Some(header) = part.footer.sound.clone() else { return Ok(None) };
    let mut packets = part.packets()?;
    let mut runs: Vec<[i64; 2]> = Vec::new();
    let (mut first, mut next) = (0, None);
    while let Some(Coded { pts, duration, .. }) = packets.next()? {
        if *next.get_or_insert(pts) != pts {
            return Ok(None);
        }
        if runs.is_empty() {
            first = pts;
        }
        next = Some(pts + duration);
        match runs.last_mut() {
            Some([samples, count]) if *samples == duration => *count += 1,
            _ => runs.push([duration, 1]),
        }
    }
    Ok(Some(SoundLeft { key: key.to_owned(), header, first, packets: runs }))
}
