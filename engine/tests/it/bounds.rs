//! What an input may cost: every limit refuses, cancelling ends the work, and a slow consumer
//! holds the reader back.

use crate::support::{Heard, sound};
use rushes::control::Cancel;
use rushes::limits::Limits;
use rushes::media::{
    AudioChunk, FrameSink, Picked, PictureConverter, ReadReport, Reading, SoundFormat, SoundSink,
    probe,
};
use rushes::{Error, ErrorKind, FramePolicy, Precision, Result, Timestamp};
use rushes_fixtures::{self as fixtures, Codec, Film, Sound, Variant, numbered};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Long enough for the slowest machine, short enough to tell a hang.
const PATIENCE: Duration = Duration::from_secs(5);

struct Nobody;

impl FrameSink for Nobody {
    fn frame(&self, _: Picked<'_>, _: &mut PictureConverter) -> Result<()> {
        Ok(())
    }
}

fn read_all(path: &Path, limits: &Limits, cancel: &Cancel) -> Result<ReadReport> {
    let reading = Reading::open(path, limits, cancel)?;
    reading.frames(FramePolicy::All, Precision::Exact, &Nobody).run()
}

fn refused(path: &Path, limits: Limits, what: &str) {
    let error = read_all(path, &limits, &Cancel::new()).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit, "{what}: {error}");
    assert!(error.to_string().contains(path.file_name().unwrap().to_str().unwrap()), "{error}");
    // and by default it is read
    read_all(path, &Limits::default(), &Cancel::new()).unwrap();
}

#[test]
fn every_limit_refuses() {
    let film = fixtures::film();
    let d = Limits::default;
    let area = 320 * 180;
    refused(&film, Limits { pixels_per_frame: area - 1, ..d() }, "pixels of a frame");
    refused(&film, Limits { decoded_pixels: area * 74, ..d() }, "pixels in all");
    refused(&film, Limits { duration: Duration::from_millis(2900), ..d() }, "duration");
    refused(&film, Limits { file_bytes: 1000, ..d() }, "bytes");
    refused(&film, Limits { wall: Duration::ZERO, ..d() }, "wall time");
    refused(&film, Limits { frames_out: 74, ..d() }, "frames given");
    refused(&fixtures::rich(), Limits { streams: 3, ..d() }, "streams");
}

#[test]
fn limits_admit_what_they_name() {
    let film = fixtures::film();
    let limits = Limits {
        pixels_per_frame: 320 * 180,
        decoded_pixels: 320 * 180 * 75,
        frames_out: 75,
        streams: 2,
        ..Limits::default()
    };
    assert_eq!(read_all(&film, &limits, &Cancel::new()).unwrap().frames_given, 75);
}

/// The size that counts is that of the pictures, not of the header: it may grow on the way.
#[test]
fn pictures_that_grow_are_refused() {
    let limits = Limits { pixels_per_frame: 320 * 180, ..Limits::default() };
    for policy in [FramePolicy::All, FramePolicy::Every(Timestamp::from_millis(500))] {
        let reading = Reading::open(&fixtures::size_change(), &limits, &Cancel::new());
        let read = reading.and_then(|r| r.frames(policy.clone(), Precision::Exact, &Nobody).run());
        // Either refused outright or left out and told; never given.
        match read {
            Err(error) => assert_eq!(error.kind(), ErrorKind::Limit, "{error}"),
            Ok(report) => assert!(report.is_damaged(), "{policy:?}: {report:?}"),
        }
    }
}

/// A named pipe, and a thread that feeds it until nobody reads any more.
struct Pipe {
    path: PathBuf,
    written: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    _folder: tempfile::TempDir,
}

impl Pipe {
    /// `next` gives what is to be written; nothing more ends the stream, an empty piece waits.
    fn new(mut next: impl FnMut() -> Option<Vec<u8>> + Send + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let (written, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, stopped, target) = (written.clone(), stop.clone(), path.clone());
        std::thread::spawn(move || {
            let mut pipe = std::fs::OpenOptions::new().write(true).open(target).unwrap();
            while let Some(bytes) = next().filter(|_| !stopped.load(Ordering::SeqCst)) {
                for piece in bytes.chunks(4096) {
                    if pipe.write_all(piece).is_err() {
                        return;
                    }
                    count.fetch_add(piece.len() as u64, Ordering::SeqCst);
                }
                if bytes.is_empty() {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        });
        Self { path, written, stop, _folder: folder }
    }

    fn endless(bytes: Vec<u8>) -> Self {
        Self::new(move || Some(bytes.clone()))
    }

    fn once(bytes: Vec<u8>) -> Self {
        let mut bytes = Some(bytes);
        Self::new(move || bytes.take())
    }

    fn silent(first: Vec<u8>) -> Self {
        let mut first = Some(first);
        Self::new(move || Some(first.take().unwrap_or_default()))
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

fn within<T>(work: impl FnOnce() -> Result<T>) -> Error {
    let since = Instant::now();
    let error = work().map(drop).expect_err("it ends by an error");
    assert!(since.elapsed() < PATIENCE, "{:?}: {error}", since.elapsed());
    error
}

#[test]
fn a_pipe_that_never_ends_is_cut_off() {
    let bytes = std::fs::read(fixtures::mpeg2_ts()).unwrap();
    let pipe = Pipe::endless(bytes);
    let limits = Limits { pipe_bytes: 4 << 20, ..Limits::default() };
    let error = read_all(&pipe.path, &limits, &Cancel::new()).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
    let written = pipe.written.load(Ordering::SeqCst);
    assert!(written < (4 << 20) + (256 << 10), "{written} bytes were taken");
}

#[test]
fn a_pipe_that_falls_silent_is_given_up() {
    let limits = Limits { pipe_silence: Duration::from_millis(300), ..Limits::default() };
    let bytes = std::fs::read(fixtures::mpeg2_ts()).unwrap();
    for first in [Vec::new(), bytes] {
        let pipe = Pipe::silent(first);
        let error = within(|| read_all(&pipe.path, &limits, &Cancel::new()));
        assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
    }
}

/// Cancels after a moment.
fn soon() -> Cancel {
    let cancel = Cancel::new();
    let switch = cancel.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        switch.cancel();
    });
    cancel
}

#[test]
fn cancelling_ends_a_silent_pipe() {
    let bytes = std::fs::read(fixtures::mpeg2_ts()).unwrap();
    for first in [Vec::new(), bytes] {
        let pipe = Pipe::silent(first);
        let cancel = soon();
        let error = within(|| {
            probe(&pipe.path, &Limits::default(), &cancel)
                .and_then(|_| read_all(&pipe.path, &Limits::default(), &cancel))
        });
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    }
}

struct Slow(Duration);

impl FrameSink for Slow {
    fn frame(&self, _: Picked<'_>, _: &mut PictureConverter) -> Result<()> {
        std::thread::sleep(self.0);
        Ok(())
    }
}

#[test]
fn cancelling_ends_a_long_film() {
    let film = numbered(Variant::Long).path;
    let every = FramePolicy::Every(Timestamp::from_millis(40));
    for policy in [FramePolicy::All, every, FramePolicy::Keyframes] {
        let cancel = soon();
        let sink = Slow(Duration::from_millis(100));
        let error = within(|| {
            let reading = Reading::open(&film, &Limits::default(), &cancel)?;
            reading.frames(policy.clone(), Precision::Exact, &sink).run()
        });
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{policy:?}: {error}");
    }
}

/// Waits at the first thing it is given until the writer has had ample time to run ahead, and
/// notes how far it came.
struct Sleeper {
    written: Arc<AtomicU64>,
    slept: AtomicBool,
    ahead: AtomicU64,
}

impl Sleeper {
    fn new(pipe: &Pipe) -> Self {
        Self { written: pipe.written.clone(), slept: false.into(), ahead: 0.into() }
    }

    fn sleep(&self) {
        if !self.slept.swap(true, Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(700));
            self.ahead.store(self.written.load(Ordering::SeqCst), Ordering::SeqCst);
        }
    }
}

impl FrameSink for Sleeper {
    fn frame(&self, _: Picked<'_>, _: &mut PictureConverter) -> Result<()> {
        self.sleep();
        Ok(())
    }
}

impl SoundSink for Sleeper {
    fn chunk(&mut self, _: AudioChunk<'_>) -> Result<()> {
        self.sleep();
        Ok(())
    }
}

/// Bytes of a film that no queue of a test could hold.
fn large(codec: Codec, sound: Sound, container: &'static str) -> Vec<u8> {
    let film = Film {
        name: "large",
        size: (640, 360),
        millis: if codec == Codec::None { 60_000 } else { 5000 },
        codec,
        sound,
        container,
        filter: if codec == Codec::None { "" } else { "noise=alls=60:allf=t" },
        ..Film::default()
    };
    let bytes = std::fs::read(film.make()).unwrap();
    assert!(bytes.len() > 10 << 20, "{}", bytes.len());
    bytes
}

/// Limit on what is in flight, and what may be read by then: the probing of the stream, the pipe's
/// own buffer and what is being worked on come on top.
const IN_FLIGHT: u64 = 1 << 20;
const AHEAD: u64 = 6 << 20;

#[test]
fn slow_consumers_of_pictures_hold_the_reader_back() {
    let bytes = large(Codec::Ffv1, Sound::None, "mkv");
    let limits = Limits { in_flight_bytes: IN_FLIGHT, ..Limits::default() };
    for policy in [FramePolicy::All, FramePolicy::Every(Timestamp::from_millis(40))] {
        let pipe = Pipe::once(bytes.clone());
        let sink = Sleeper::new(&pipe);
        let reading = Reading::open(&pipe.path, &limits, &Cancel::new()).unwrap();
        let one = std::num::NonZeroUsize::MIN;
        let report =
            reading.threads(one).frames(policy.clone(), Precision::Exact, &sink).run().unwrap();
        assert_eq!(report.frames_given, 125);
        let ahead = sink.ahead.load(Ordering::SeqCst);
        assert!(ahead < AHEAD, "{policy:?}: {ahead} bytes of {}", bytes.len());
    }
}

#[test]
fn slow_consumers_of_sound_hold_the_reader_back() {
    let bytes = large(Codec::None, Sound::Pcm, "wav");
    let limits = Limits { in_flight_bytes: IN_FLIGHT, ..Limits::default() };
    let pipe = Pipe::once(bytes.clone());
    let mut sink = Sleeper::new(&pipe);
    let reading = Reading::open(&pipe.path, &limits, &Cancel::new()).unwrap();
    let report = reading.sound(SoundFormat::SOURCE, &mut sink).run().unwrap();
    assert_eq!(report.sound[0].samples, 60 * 48_000);
    let ahead = sink.ahead.load(Ordering::SeqCst);
    assert!(ahead < AHEAD, "{ahead} bytes of {}", bytes.len());
}

struct Failing;

impl SoundSink for Failing {
    fn chunk(&mut self, _: AudioChunk<'_>) -> Result<()> {
        Err(Error::new(ErrorKind::Storage, rushes::error::Stage::Write, "the disk is full"))
    }
}

/// A consumer's error is the reading's, whatever else runs.
#[test]
fn a_failing_consumer_ends_the_reading() {
    let film = numbered(Variant::Long).path;
    let error = within(|| {
        let reading = Reading::open(&fixtures::film(), &Limits::default(), &Cancel::new())?;
        let sink = Slow(Duration::from_millis(1));
        reading
            .frames(FramePolicy::All, Precision::Exact, &sink)
            .sound(SoundFormat::SPEECH, &mut Failing)
            .run()
    });
    assert_eq!(error.kind(), ErrorKind::Storage, "{error}");
    let fails =
        |_: Picked<'_>| Err(Error::new(ErrorKind::Storage, rushes::error::Stage::Write, "full"));
    struct Fails<F>(F);
    impl<F: Fn(Picked<'_>) -> Result<()> + Sync> FrameSink for Fails<F> {
        fn frame(&self, picked: Picked<'_>, _: &mut PictureConverter) -> Result<()> {
            (self.0)(picked)
        }
    }
    for policy in [FramePolicy::All, FramePolicy::Every(Timestamp::from_secs(1))] {
        let error = within(|| {
            let reading = Reading::open(&film, &Limits::default(), &Cancel::new())?;
            reading.frames(policy, Precision::Exact, &Fails(fails)).run()
        });
        assert_eq!(error.kind(), ErrorKind::Storage, "{error}");
    }
}

/// A pipe is read like the file it comes from.
#[test]
fn a_pipe_gives_what_the_file_gives() {
    let file = fixtures::mpeg2_ts();
    let pipe = Pipe::once(std::fs::read(&file).unwrap());
    let mut heard = Heard::default();
    let reading = Reading::open(&pipe.path, &Limits::default(), &Cancel::new()).unwrap();
    reading.sound(SoundFormat::SPEECH, &mut heard).run().unwrap();
    assert!(heard.samples == sound(&file, SoundFormat::SPEECH).0.samples);
}
