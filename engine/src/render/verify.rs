//! An output checked against its manifest, and looked at for what is seldom meant: black, frozen
//! and silent stretches, and clicks where sounds meet.

use super::manifest::{Manifest, Piece};
use crate::control::Cancel;
use crate::error::{Error, Result, Stage};
use crate::limits::Limits;
use crate::media::{
    Channels, FilmCursor, PlanarConverter, PlanarSamples, SoundCursor, SoundFormat, StreamKind,
    film_packets, probe, sound_packets,
};
use crate::time::{Span, TimeBase, Timestamp};
use crate::timeline::Rate;
use serde::Serialize;
use std::fs::File;
use std::io::Read as _;
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
    /// A caption that hangs over the picture's edge.
    Overflow,
    /// Sound that jumps where one clip gives way to the next.
    Click,
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
    if let Some(whole) = &manifest.whole {
        if *whole != whole_digest(output, cancel)? {
            faults.push("is not what was written".into());
        }
        let frames = manifest.frames.unsigned_abs();
        return Ok(VerifyReport { faults, suspicions: Vec::new(), frames });
    }
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
            let colour = &video.colour;
            // What was copied says of itself what its source did: perhaps nothing.
            let copied = manifest.segments.iter().any(|piece| piece.copied);
            let (primaries, transfer) = beside(&manifest.matrix);
            for (what, found, wanted) in [
                ("the matrix", &colour.matrix, manifest.matrix.as_str()),
                ("the range", &colour.range, "tv"),
                ("the primaries", &colour.primaries, primaries),
                ("the transfer", &colour.transfer, transfer),
            ] {
                if found.is_none() && copied {
                    continue;
                }
                let found = found.clone().unwrap_or_else(|| "not marked".into());
                expect(what, found, wanted.to_owned());
            }
            // Containers count in ticks of their own: what they say is rounded.
            let parsed = video.frame_rate.as_deref().and_then(Rate::parse);
            let near = parsed.zip(Rate::parse(&manifest.rate)).is_some_and(|(a, b)| {
                let share = f64::from(a.num()) * f64::from(b.den())
                    / (f64::from(a.den()) * f64::from(b.num()));
                (share - 1.0).abs() < 1e-3
            });
            if !near {
                let found = video.frame_rate.as_deref().unwrap_or("not marked");
                faults.push(format!("the rate is {found}, was {}", manifest.rate));
            }
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
    // What hangs over was known when it was made.
    let overflows = manifest.cut_off.iter().filter_map(|[start, end]| {
        let span = Span::new(start.parse().ok()?, end.parse().ok()?)?;
        Some(Suspicion { what: Oddity::Overflow, span })
    });
    let mut suspicions: Vec<_> = overflows.collect();
    if look && let Some(rate) = Rate::parse(&manifest.rate) {
        pictures(output, rate, manifest.frames, limits, cancel, &mut suspicions)?;
        if manifest.sound.is_some() {
            sound(output, &manifest.seams, limits, cancel, &mut suspicions)?;
        }
    }
    Ok(VerifyReport { faults, suspicions, frames })
}

/// The primaries and the transfer that go with a matrix, by libav's names.
fn beside(matrix: &str) -> (&'static str, &'static str) {
    match matrix {
        "smpte170m" => ("smpte170m", "smpte170m"),
        "bt2020nc" => ("bt2020", "bt2020-10"),
        _ => ("bt709", "bt709"),
    }
}

/// The digest of a whole file.
pub(super) fn whole_digest(output: &Path, cancel: &Cancel) -> Result<String> {
    let failed = |e: std::io::Error| Error::io(Stage::Open, output, e);
    let mut file = File::open(output).map_err(failed)?;
    let mut digest = blake3::Hasher::new();
    let mut block = vec![0; 1 << 20];
    loop {
        cancel.check(Stage::Open)?;
        match file.read(&mut block).map_err(failed)? {
            0 => return Ok(digest.finalize().to_hex().to_string()),
            n => digest.update(&block[..n]),
        };
    }
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
    // The first picture of those that look the same.
    let mut first: Vec<u8> = Vec::new();
    for n in 0..=frames {
        let at = rate.time(n);
        let (dark, same) = if n < frames {
            let luma = luma(converter.convert(&*cursor.frame_at(at)?)?.samples);
            let same = is_same(&first, &luma);
            let dark = is_dark(&luma);
            if !same {
                first = luma;
            }
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

/// Luma in 8 bits.
fn luma(samples: PlanarSamples) -> Vec<u8> {
    match samples {
        PlanarSamples::Eight([luma, ..]) => luma,
        PlanarSamples::Ten([luma, ..]) => luma.iter().map(|y| (y >> 2) as u8).collect(),
    }
}

/// Whether a picture is black: 98 % of its luma at most 32 of 255, as ffmpeg's blackdetect has it.
fn is_dark(luma: &[u8]) -> bool {
    let dark = luma.iter().filter(|y| **y <= 32).count();
    dark * 100 >= luma.len() * 98
}

/// Whether two pictures differ by at most a thousandth of the range on average, ffmpeg's freezedetect
/// at its usual -60 dB: what stands still is coded anew at each keyframe, and never quite the same.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let rows = a.chunks(4096).zip(b.chunks(4096));
    let sum: u64 = rows
        .map(|(a, b)| {
            let far = a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b)));
            u64::from(far.sum::<u32>())
        })
        .sum();
    sum * 1000 <= a.len() as u64 * 255
}

/// Samples about a seam that are looked at on either side, and those among which a jump belongs to it:
/// coders smear it a little.
const REACH: usize = 2048;
const NEAR: usize = 64;

/// The least jump from one sample to the next that is told, of full scale.
const JUMP: f32 = 0.1;

/// Whether the sound jumps in the middle of `window` (interleaved stereo) as it does nowhere around.
fn clicks(window: &[f32]) -> bool {
    let frames = window.len() / 2;
    let step = |i: usize| {
        let side = |c: usize| (window[2 * i + c] - window[2 * i - 2 + c]).abs();
        side(0).max(side(1))
    };
    let (from, to) = ((frames / 2).saturating_sub(NEAR).max(1), (frames / 2 + NEAR).min(frames));
    let most = |range: std::ops::Range<usize>| range.map(step).fold(0.0, f32::max);
    let jump = most(from..to);
    let around = most(1..from).max(most(to..frames));
    jump > JUMP && jump > 3.0 * around
}

/// Silent stretches, and jumps at `seams` (samples at 48 kHz, rising).
fn sound(
    output: &Path,
    seams: &[u64],
    limits: &Limits,
    cancel: &Cancel,
    found: &mut Vec<Suspicion>,
) -> Result<()> {
    const RATE: u32 = 48_000;
    const BLOCK: usize = 4800;
    /// -60 dBFS.
    const QUIET: f32 = 0.001;
    let format = SoundFormat { rate: NonZeroU32::new(RATE), channels: Channels::Stereo };
    let time =
        |at: u64| Timestamp::new(i64::try_from(at).unwrap_or(i64::MAX), TimeBase::per_second(RATE));
    let mut cursor = SoundCursor::open(output, Timestamp::ZERO, format, limits, cancel)?;
    let mut going = Going::default();
    let mut seams = seams.iter().copied().filter(|seam| *seam >= REACH as u64).peekable();
    // The last samples, for the seams among them, and where they begin.
    let (mut held, mut first) = (Vec::new(), 0u64);
    let mut at = 0;
    loop {
        let samples = cursor.read(BLOCK)?;
        let loudest = samples.iter().fold(0.0_f32, |most, s| most.max(s.abs()));
        let quiet = !samples.is_empty() && loudest < QUIET;
        let span = going.step(quiet, time(at), LEAST_FREEZE);
        found.extend(span.map(|span| Suspicion { what: Oddity::Silence, span }));
        if samples.is_empty() {
            return Ok(());
        }
        at += (samples.len() / 2) as u64;
        held.extend_from_slice(&samples);
        while let Some(seam) = seams.next_if(|seam| seam + REACH as u64 <= at) {
            let middle = (seam - first) as usize;
            let window = &held[2 * (middle - REACH)..2 * (middle + REACH)];
            if clicks(window) {
                let span = Span::new(time(seam), time(seam + 1));
                found.extend(span.map(|span| Suspicion { what: Oddity::Click, span }));
            }
        }
        let wanted = seams.peek().map_or(at, |seam| (seam - REACH as u64).min(at));
        let gone = (wanted - first) as usize;
        held.drain(..2 * gone);
        first = wanted;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_is_a_click_only_where_nothing_else_jumps_as_far() {
        let tone = |hertz: f32, phase: f32, level: f32, i: usize| {
            (i as f32 * hertz / 48_000.0 * std::f32::consts::TAU + phase).sin() * level
        };
        let window = |make: &dyn Fn(usize) -> f32| -> Vec<f32> {
            (0..2 * REACH).flat_map(|i| [make(i), make(i) * 0.5]).collect()
        };
        let cut = |i: usize| {
            if i < REACH { tone(330.0, 0.3, 0.6, i) } else { tone(330.0, 2.6, 0.6, i) }
        };
        assert!(clicks(&window(&cut)));
        assert!(!clicks(&window(&|i| tone(330.0, 0.3, 0.6, i))));
        // Noise hides it, and so does a tone whose own steps are as large.
        let noise = |i: usize| ((i * 7919 % 1000) as f32 / 500.0 - 1.0) * 0.4;
        assert!(!clicks(&window(&|i| if i < REACH { noise(i) } else { -noise(i) })));
        // A quiet one is not heard.
        assert!(!clicks(&window(&|i| cut(i) * 0.05)));
    }

    #[test]
    fn what_hardly_changes_is_the_same() {
        let flat = vec![90; 10_000];
        let mut near = flat.clone();
        near.iter_mut().step_by(5).for_each(|y| *y += 1);
        let mut far = flat.clone();
        far.iter_mut().step_by(3).for_each(|y| *y += 1);
        assert!(is_same(&flat, &near) && !is_same(&flat, &far) && !is_same(&flat, &flat[1..]));
    }
}
