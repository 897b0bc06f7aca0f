//! The media path part by part, on a generated 640x360 film: what a probe, a keyframe, an exact
//! frame and a second of sound cost, each with its opening. `cargo bench -p rushes-benches`.
#![allow(clippy::unwrap_used, missing_docs)]

use criterion::{Criterion, criterion_group, criterion_main};
use rushes::control::Cancel;
use rushes::limits::Limits;
use rushes::media::{
    AudioChunk, FrameSink, Picked, PictureConverter, PictureSize, Reading, SoundFormat, SoundSink,
    probe,
};
use rushes::stills::PictureFormat;
use rushes::{FramePolicy, Precision, Result, Timestamp};
use rushes_fixtures::Film;
use std::hint::black_box;
use std::path::{Path, PathBuf};

/// Converts each frame to a small picture, as every consumer of thumbnails does.
struct Thumbnails;

impl FrameSink for Thumbnails {
    fn frame(&self, picked: Picked<'_>, converter: &mut PictureConverter) -> Result<()> {
        let width = std::num::NonZeroU32::new(320).unwrap();
        black_box(converter.convert(picked.frame, PictureSize::Width(width))?);
        Ok(())
    }
}

struct Samples;

impl SoundSink for Samples {
    fn chunk(&mut self, chunk: AudioChunk<'_>) -> Result<()> {
        black_box(chunk.samples);
        Ok(())
    }
}

fn film() -> PathBuf {
    Film { size: (640, 360), millis: 10_000, ..Film::default() }.make()
}

fn open<'a>(path: &Path) -> Reading<'a> {
    Reading::open(path, &Limits::default(), &Cancel::new()).unwrap()
}

fn media(c: &mut Criterion) {
    let path = film();
    c.bench_function("probe", |b| {
        b.iter(|| probe(&path, &Limits::default(), &Cancel::new()).unwrap());
    });
    c.bench_function("keyframes of 10 s, 320 wide", |b| {
        b.iter(|| {
            open(&path).frames(FramePolicy::Keyframes, Precision::Exact, &Thumbnails).run().unwrap()
        });
    });
    let every = FramePolicy::Every(Timestamp::from_secs(1));
    c.bench_function("exact frames of 10 s at 1 fps, 320 wide", |b| {
        b.iter(|| open(&path).frames(every.clone(), Precision::Exact, &Thumbnails).run().unwrap());
    });
    c.bench_function("sound of 10 s at 16 kHz mono", |b| {
        b.iter(|| open(&path).sound(SoundFormat::SPEECH, &mut Samples).run().unwrap());
    });
    let picture = image_1080p();
    c.bench_function("JPEG of 1920x1080", |b| {
        b.iter(|| PictureFormat::JPEG.encode(&picture).unwrap());
    });
}

/// A picture with detail everywhere, so that compressing it is work.
fn image_1080p() -> image::RgbImage {
    image::RgbImage::from_fn(1920, 1080, |x, y| {
        image::Rgb([(x ^ y) as u8, (x * y / 64) as u8, (x + 3 * y) as u8])
    })
}

criterion_group!(benches, media);
criterion_main!(benches);
