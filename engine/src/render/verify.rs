//! An output checked against its manifest, and looked at for what is seldom meant: black, frozen
//! and silent stretches.

use super::manifest::{Manifest, Piece};
use crate::control::Cancel;
use crate::error::Result;
use crate::limits::Limits;
use crate::media::{
    Channels, FilmCursor, PlanarConverter, PlanarSamples, SoundCursor, SoundFormat, StreamKind,
    film_packets, probe, sound_packets,
};
use crate::time::{Span, TimeBase, Timestamp};
use crate::timeline::Rate;
use serde::Serialize;
use std::num::NonZeroU32;
use std::path::Path;

/// What a check found.
#[derive(Clone, Debug, Serialize)]
pub struct VerifyReport {
    /// What is not as the manifest says: the file is damaged or was changed.
    pub faults: Vec<String>,
    /// Stretches that may not be meant.
    pub suspicions: Vec<Suspicion>,
    /// Frames that were counted.
    pub frames: u64,
}

/// A stretch that may not be meant.
#[derive(Clone, Debug, Serialize)]
pub struct Suspicion {
    /// What it is.
    pub what: Oddity,
    /// Where.
    pub span: Span,
}

/// What may not be meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Oddity {
    /// All dark.
    Black,
    /// The same picture again and again.
    Freeze,
    /// No sound.
    Silence,
}

/// Shorter stretches are not told.
const LEAST: Timestamp = Timestamp::from_millis(500);
/// A still picture is told from here on: titles stand that long.
const LEAST_FREEZE: Timestamp = Timestamp::from_secs(2);

/// Checks `output`. `look` has its pictures and sound decoded as well.
///
/// # Errors
/// If it or its manifest cannot be read.
pub fn verify(output: &Path, look: bool, limits: &Limits, cancel: &Cancel) -> Result<VerifyReport> {
    let manifest = Manifest::of(output)?;
    let mut faults = Vec::new();
    let info = probe(output, limits, cancel)?;
    if info.bytes != Some(manifest.bytes) {
        faults.push(format!("is {} bytes, was {}", info.bytes.unwrap_or(0), manifest.bytes));
    }
    match info.video().map(|stream| (stream, &stream.kind)) {
        Some((stream, StreamKind::Video(video))) => {
            let mut expect = |what: &str, found: String, wanted: String| {
                if found != wanted {
                    faults.push(format!("{what} is {found}, was {wanted}"));
                }
            };
            expect("the codec", stream.codec.clone(), manifest.codec.clone());
            let size = |w: u32, h: u32| format!("{w}x{h}");
            expect(
                "the size",
                size(video.width, video.height),
                size(manifest.width, manifest.height),
            );
            let matrix = video.colour.matrix.clone().unwrap_or_else(|| "not marked".into());
            expect("the matrix", matrix, manifest.matrix.clone());
        }
        _ => faults.push("holds no moving pictures".into()),
    }
    if let Some(rate) = Rate::parse(&manifest.rate) {
        let meant = rate.time(manifest.frames);
        let length = info.duration.unwrap_or(Timestamp::ZERO);
        let off = if length > meant { length.minus(meant) } else { meant.minus(length) };
        // Sound comes in packets, of which the last may hang over.
        if off > Timestamp::from_millis(100) {
            faults.push(format!("lasts {length}, was meant to last {meant}"));
        }
    }
    let (pieces, frames) = digests(output, &manifest, limits, cancel)?;
    if frames != manifest.frames.unsigned_abs() {
        faults.push(format!("has {frames} pictures, had {}", manifest.frames));
    }
    for (piece, coded) in manifest.segments.iter().zip(&pieces) {
        if piece.coded != *coded {
            faults
                .push(format!("frames {} to {} are not what was written", piece.start, piece.end));
        }
    }
    if let Some(wanted) = &manifest.sound
        && *wanted != sound_digest(output, limits, cancel)?
    {
        faults.push("the sound is not what was written".into());
    }
    let mut suspicions = Vec::new();
    if look && let Some(rate) = Rate::parse(&manifest.rate) {
        pictures(output, rate, manifest.frames, limits, cancel, &mut suspicions)?;
        if manifest.sound.is_some() {
            silence(output, limits, cancel, &mut suspicions)?;
        }
    }
    Ok(VerifyReport { faults, suspicions, frames })
}

/// The digest of each segment's packets as they are read from the file, and how many there are.
pub(super) fn digests(
    output: &Path,
    manifest: &Manifest,
    limits: &Limits,
    cancel: &Cancel,
) -> Result<(Vec<String>, u64)> {
    let mut lengths = manifest.segments.iter().map(|piece: &Piece| piece.end - piece.start);
    let mut left = lengths.next().unwrap_or(0);
    let mut digest = blake3::Hasher::new();
    let (mut made, mut count) = (Vec::new(), 0);
    film_packets(output, limits, cancel, &mut |packet| {
        digest.update(packet.data);
        count += 1;
        left -= 1;
        if left == 0 {
            made.push(digest.finalize().to_hex().to_string());
            digest.reset();
            left = lengths.next().unwrap_or(0);
        }
        Ok(())
    })?;
    while made.len() < manifest.segments.len() {
        made.push(String::new());
    }
    Ok((made, count))
}

/// The digest of the sound's packets as they are read from the file.
pub(super) fn sound_digest(output: &Path, limits: &Limits, cancel: &Cancel) -> Result<String> {
    let mut digest = blake3::Hasher::new();
    sound_packets(output, limits, cancel, &mut |packet| {
        digest.update(packet.data);
        Ok(())
    })?;
    Ok(digest.finalize().to_hex().to_string())
}

/// A stretch that may be going on.
#[derive(Default)]
struct Going {
    since: Option<Timestamp>,
}

impl Going {
    /// Notes whether it goes on at `at`; gives the stretch when it ends and was long enough.
    fn step(&mut self, on: bool, at: Timestamp, least: Timestamp) -> Option<Span> {
        if on {
            self.since.get_or_insert(at);
            return None;
        }
        let span = Span::new(self.since.take()?, at)?;
        (span.duration() >= least).then_some(span)
    }
}

fn pictures(
    output: &Path,
    rate: Rate,
    frames: i64,
    limits: &Limits,
    cancel: &Cancel,
    found: &mut Vec<Suspicion>,
) -> Result<()> {
    let mut cursor = FilmCursor::open(output, limits, cancel)?;
    let mut converter = PlanarConverter::default();
    let (mut black, mut freeze) = (Going::default(), Going::default());
    let mut last: Option<blake3::Hash> = None;
    for n in 0..=frames {
        let at = rate.time(n);
        let (dark, same) = if n < frames {
            let picture = converter.convert(&*cursor.frame_at(at)?)?;
            let (dark, hash) = judge(&picture.samples);
            let same = last.replace(hash) == Some(hash);
            (dark, same)
        } else {
            (false, false)
        };
        let mut add = |what, span: Option<Span>| {
            found.extend(span.map(|span| Suspicion { what, span }));
        };
        add(Oddity::Black, black.step(dark, at, LEAST));
        add(Oddity::Freeze, freeze.step(same && !dark, at, LEAST_FREEZE));
    }
    Ok(())
}

/// Whether a picture is black (98 % of its luma at most 32 of 255, as ffmpeg's blackdetect has
/// it), and a digest of its luma.
fn judge(samples: &PlanarSamples) -> (bool, blake3::Hash) {
    const DARK: u8 = 32;
    match samples {
        PlanarSamples::Eight([luma, ..]) => {
            let dark = luma.iter().filter(|y| **y <= DARK).count();
            (dark * 100 >= luma.len() * 98, blake3::hash(luma))
        }
        PlanarSamples::Ten([luma, ..]) => {
            let dark = luma.iter().filter(|y| **y <= u16::from(DARK) * 4).count();
            let bytes: Vec<u8> = luma.iter().flat_map(|y| y.to_le_bytes()).collect();
            (dark * 100 >= luma.len() * 98, blake3::hash(&bytes))
        }
    }
}

fn silence(
    output: &Path,
    limits: &Limits,
    cancel: &Cancel,
    found: &mut Vec<Suspicion>,
) -> Result<()> {
    const RATE: u32 = 48_000;
    const BLOCK: usize = 4800;
    /// -60 dBFS.
    const QUIET: f32 = 0.001;
    let format = SoundFormat { rate: NonZeroU32::new(RATE), channels: Channels::Stereo };
    let mut cursor = SoundCursor::open(output, Timestamp::ZERO, format, limits, cancel)?;
    let mut going = Going::default();
    let mut at = 0;
    loop {
        let samples = cursor.read(BLOCK)?;
        let time = Timestamp::new(at, TimeBase::per_second(RATE));
        let loudest = samples.iter().fold(0.0_f32, |most, s| most.max(s.abs()));
        let quiet = !samples.is_empty() && loudest < QUIET;
        let span = going.step(quiet, time, LEAST_FREEZE);
        found.extend(span.map(|span| Suspicion { what: Oddity::Silence, span }));
        if samples.is_empty() {
            return Ok(());
        }
        at += (samples.len() / 2) as i64;
    }
}
