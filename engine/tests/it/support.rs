//! What the tests of this binary share: consumers that keep what they are given, and the
//! programs of ffmpeg's family as a second opinion.

use rushes::control::Cancel;
use rushes::limits::Limits;
use rushes::media::{
    AudioChunk, FrameSink, Picked, PictureConverter, PictureSize, ReadReport, Reading, SoundFormat,
    SoundShape, SoundSink,
};
use rushes::{FramePolicy, Precision, Result, Timestamp};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

/// Keeps what `map` makes of each frame, by its number in the request.
struct Keep<T, F> {
    map: F,
    found: Mutex<BTreeMap<u64, T>>,
}

impl<T: Send, F> FrameSink for Keep<T, F>
where
    F: Fn(&Picked<'_>, &mut PictureConverter) -> Result<T> + Sync,
{
    fn frame(&self, picked: Picked<'_>, converter: &mut PictureConverter) -> Result<()> {
        let made = (self.map)(&picked, converter)?;
        let twice = self.found.lock().unwrap().insert(picked.n, made);
        assert!(twice.is_none(), "frame {} was given twice", picked.n);
        Ok(())
    }
}

/// `path`, opened with default limits.
pub fn open<'a>(path: &Path) -> Reading<'a> {
    Reading::open(path, &Limits::default(), &Cancel::new())
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Reads `path` for frames; gives what `map` makes of each, in order of their numbers.
pub fn frames_of<T: Send>(
    path: &Path,
    set_up: impl for<'a> FnOnce(Reading<'a>) -> Reading<'a>,
    policy: FramePolicy,
    precision: Precision,
    map: impl Fn(&Picked<'_>, &mut PictureConverter) -> Result<T> + Sync,
) -> Result<(Vec<T>, ReadReport)> {
    let sink = Keep { map, found: Mutex::default() };
    let report = set_up(open(path)).frames(policy, precision, &sink).run()?;
    Ok((sink.found.into_inner().unwrap().into_values().collect(), report))
}

/// Every frame of `path`.
pub fn every_frame<T: Send>(
    path: &Path,
    map: impl Fn(&Picked<'_>, &mut PictureConverter) -> Result<T> + Sync,
) -> (Vec<T>, ReadReport) {
    frames_of(path, |reading| reading, FramePolicy::All, Precision::Exact, map)
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The exact frames of `path` at these times.
pub fn frames_at<T: Send>(
    path: &Path,
    times: Vec<Timestamp>,
    map: impl Fn(&Picked<'_>, &mut PictureConverter) -> Result<T> + Sync,
) -> Vec<T> {
    frames_of(path, |reading| reading, FramePolicy::At(times), Precision::Exact, map)
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        .0
}

/// A frame as an upright picture in its own size.
pub fn native(picked: &Picked<'_>, converter: &mut PictureConverter) -> Result<image::RgbImage> {
    converter.convert(picked.frame, PictureSize::Native)
}

/// Keeps all sound.
#[derive(Default)]
pub struct Heard {
    pub shape: Option<SoundShape>,
    pub samples: Vec<f32>,
    /// Where each stretch starts: index of its first sample, seconds.
    pub starts: Vec<(u64, f64)>,
}

impl SoundSink for Heard {
    fn chunk(&mut self, chunk: AudioChunk<'_>) -> Result<()> {
        let channels = usize::from(chunk.shape.channels);
        assert!(self.shape.is_none_or(|shape| shape == chunk.shape), "the shape changed");
        assert_eq!(chunk.start as usize, self.samples.len() / channels, "a hole between chunks");
        assert_eq!(chunk.samples.len() % channels, 0, "a torn chunk");
        self.shape = Some(chunk.shape);
        self.starts.push((chunk.start, chunk.time().as_secs_f64()));
        self.samples.extend_from_slice(chunk.samples);
        Ok(())
    }
}

impl Heard {
    pub fn rate(&self) -> u32 {
        self.shape.expect("sound came").rate
    }

    pub fn channels(&self) -> usize {
        usize::from(self.shape.expect("sound came").channels)
    }

    /// The samples of one channel.
    pub fn channel(&self, channel: usize) -> Vec<f32> {
        self.samples.iter().skip(channel).step_by(self.channels()).copied().collect()
    }
}

/// The sound of `path`.
pub fn sound(path: &Path, format: SoundFormat) -> (Heard, ReadReport) {
    let mut heard = Heard::default();
    let report = open(path).sound(format, &mut heard).run();
    (heard, report.unwrap_or_else(|e| panic!("{}: {e}", path.display())))
}

/// The standard output of a program that succeeds.
pub fn output<S: AsRef<OsStr>>(program: &str, args: &[S]) -> Vec<u8> {
    let done = Command::new(program).args(args).output().expect("the program is installed");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{program} failed: {said}");
    done.stdout
}

/// The path for a command line.
pub fn arg(path: &Path) -> &str {
    path.to_str().expect("test files have plain names")
}

/// A number that JSON holds as a number or as text.
pub fn number(value: &serde_json::Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

pub fn json(bytes: &[u8]) -> serde_json::Value {
    serde_json::from_slice(bytes).expect("JSON")
}

/// How two pictures (or any samples) of one size differ.
#[derive(Clone, Copy, Debug)]
pub struct Difference {
    pub most: u8,
    pub mean: f64,
}

pub fn difference(a: &[u8], b: &[u8]) -> Difference {
    assert_eq!(a.len(), b.len(), "sizes differ");
    let steps = || a.iter().zip(b).map(|(a, b)| a.abs_diff(*b));
    let sum: u64 = steps().map(u64::from).sum();
    Difference { most: steps().max().unwrap_or(0), mean: sum as f64 / a.len().max(1) as f64 }
}
