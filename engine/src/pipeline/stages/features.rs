//! What frames and shots look like, as numbers; and for each shot the frames that stand for it, as
//! pictures in `shots/`.
//!
//! Samples are keyframes, at most one a second, and the frame shown at every fifth second: shots are
//! found from keyframes too, and `frames/` has every fifth second unless told otherwise, so beside
//! them samples cost no decoding. Each is compressed on the thread that decoded it, because which of them stand for a
//! shot is known only when all shots are; the others are removed. Only a shot in which no keyframe
//! lies is looked at again, at its middle.

use super::NO_PICTURES;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::library::catalogue::rows::{FeatureRow, FrameRow, Owner, RowRef, Rows, ShotRow, Stored};
use crate::media::{FramePolicy, FrameSink, Picked, PictureConverter, PictureSize, Precision};
use crate::pipeline::stage::{
    Begun, Film, FilmStage, Finished, ReadBy, StageInputs, StageWork, Wants,
};
use crate::stills::{NameTemplate, PictureFormat};
use crate::time::{Span, Timestamp};
use crate::vision::features::{Bars, FrameFeatures, Sample, ShotFeatures, compare};
use crate::vision::representatives::{Representative, representatives};
use image::RgbImage;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// The name of the stage: its frames are those that stand for shots.
pub(in crate::pipeline) const NAME: &str = "features";

/// The folder of the pictures in the film's.
const FOLDER: &str = "shots";

/// Longer sides are shrunk to this: small print on a slide can still be read.
const SIDE: NonZeroU32 = match NonZeroU32::new(1280) {
    Some(side) => side,
    None => NonZeroU32::MIN,
};

/// Between keyframes that are looked at, in a film of up to two hours; in longer ones less often,
/// so that there are no more of them.
const KEYS: Timestamp = Timestamp::from_secs(1);
const MOST_KEYS: u32 = 7200;

/// Between other frames that are looked at.
const FRAMES: Timestamp = Timestamp::from_secs(5);

/// See the module.
pub(in crate::pipeline) struct Features {
    /// Whether interlaced pictures are made whole, as for the other frames of the reading.
    pub deinterlace: bool,
}

impl FilmStage for Features {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Value {
        json!({
            "side": SIDE,
            "keys_ms": KEYS.as_millis(),
            "frames_ms": FRAMES.as_millis(),
            "deinterlace": self.deinterlace,
        })
    }

    fn inputs(&self) -> StageInputs {
        StageInputs::Of(&["shots"])
    }

    fn begin<'a>(&'a self, film: &Film<'a>) -> Result<Begun<'a>> {
        if !film.has_video() {
            return Ok(Begun::Nothing(NO_PICTURES));
        }
        let folder = film.staged(NAME)?.join(FOLDER);
        fs::create_dir(&folder).map_err(|e| Error::io(Stage::Write, &folder, e))?;
        let length = film.info.duration.unwrap_or(Timestamp::ZERO);
        let keys = length.times(1, MOST_KEYS).max(KEYS);
        let sampler = Sampler { folder, begun: Mutex::default(), taken: Mutex::default() };
        Ok(Begun::Work(Box::new(Work { keys, deinterlace: self.deinterlace, sampler })))
    }
}

struct Work {
    keys: Timestamp,
    deinterlace: bool,
    sampler: Sampler,
}

/// A sample whose picture waits in a file.
struct Taken {
    sample: Sample,
    pts: i64,
    key: bool,
    size: (u32, u32),
    file: PathBuf,
}

/// Looks at frames on the threads that decode them.
struct Sampler {
    folder: PathBuf,
    /// The timestamps of those that are looked at: a frame that is given twice is one sample.
    begun: Mutex<BTreeSet<i64>>,
    /// By timestamp.
    taken: Mutex<BTreeMap<i64, Taken>>,
}

impl FrameSink for Sampler {
    fn frame(&self, picked: Picked<'_>, converter: &mut PictureConverter) -> Result<()> {
        let frame = picked.frame;
        if !self.begun.lock().unwrap_or_else(PoisonError::into_inner).insert(frame.pts()) {
            return Ok(());
        }
        let (width, height) = frame.display_size();
        let large = width.max(height) > SIDE.get();
        let size = if large { PictureSize::Fit(SIDE, SIDE) } else { PictureSize::Native };
        let picture: RgbImage = converter.convert(frame, size)?;
        let sample = Sample::new(frame.time(), &picture, &converter.small(frame)?);
        let file = self.folder.join(format!("{}.part", frame.pts()));
        let bytes = PictureFormat::JPEG.encode(&picture)?;
        fs::write(&file, bytes).map_err(|e| Error::io(Stage::Write, &file, e))?;
        let size = picture.dimensions();
        let taken = Taken { sample, pts: frame.pts(), key: frame.is_key(), size, file };
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).insert(frame.pts(), taken);
        Ok(())
    }
}

impl Sampler {
    /// The samples so far, in order of time.
    fn in_order(self) -> Vec<Taken> {
        let taken = self.taken.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut taken: Vec<Taken> = taken.into_values().collect();
        taken.sort_by_key(|one| one.sample.time);
        taken
    }

    /// Takes a sample in the middle of every one of `shots` that has none.
    fn fill(&self, shots: &[Span], deinterlace: bool, film: &Film<'_>) -> Result<()> {
        let mut times: Vec<Timestamp> = {
            let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken.values().map(|one| one.sample.time).collect()
        };
        times.sort_unstable();
        let empty = shots.iter().filter(|shot| {
            let at = times.partition_point(|time| *time < shot.start);
            times.get(at).is_none_or(|time| *time >= shot.end)
        });
        let middles: Vec<Timestamp> =
            empty.map(|shot| shot.start.plus(shot.duration().times(1, 2))).collect();
        if middles.is_empty() {
            return Ok(());
        }
        let reading = film.run.open_quiet(film.input)?.deinterlace(deinterlace);
        let read = reading.frames(FramePolicy::At(middles), Precision::Exact, self).run();
        match read {
            // The film was read before; a shot that cannot be looked at again has no frame.
            Err(error) if error.kind() != ErrorKind::Input => Err(error),
            _ => Ok(()),
        }
    }
}

impl StageWork for Work {
    fn request<'w>(&'w mut self, wants: &mut Wants<'w>) -> Result<()> {
        let keys = FramePolicy::Every(self.keys);
        wants.frames(keys, Precision::Snap, self.deinterlace, &self.sampler);
        let frames = FramePolicy::Every(FRAMES);
        wants.frames(frames, Precision::Exact, self.deinterlace, &self.sampler);
        Ok(())
    }

    fn finish(self: Box<Self>, film: &Film<'_>, _: &ReadBy<'_>) -> Result<Finished> {
        let shots: Vec<Stored<ShotRow>> = film.catalogue()?.shots_of(film.media()?)?;
        let spans: Vec<Span> = shots.iter().map(|shot| shot.row.span).collect();
        self.sampler.fill(&spans, self.deinterlace, film)?;
        let mut taken = self.sampler.in_order();
        let mut samples: Vec<Sample> = taken.iter().map(|one| one.sample.clone()).collect();
        compare(&mut samples);
        let chosen = representatives(&spans, &samples);
        let mut rows = Rows::default();
        for (shot, span) in shots.iter().zip(&spans) {
            let from = samples.partition_point(|sample| sample.time < span.start);
            let to = samples.partition_point(|sample| sample.time < span.end).max(from);
            if let Some(features) = ShotFeatures::of(&samples[from..to]) {
                rows.features.extend(of_shot(Owner::Shot(RowRef::Known(shot.id)), &features));
            }
        }
        keep_pictures(&mut taken, &chosen)?;
        for (n, one) in chosen.iter().enumerate() {
            let (shown, picture) = (&taken[one.sample], &taken[one.picture]);
            let name = picture.file.file_name().unwrap_or_default().to_string_lossy();
            rows.frames.push(FrameRow {
                time: shown.sample.time,
                wanted: None,
                pts: shown.pts,
                key: shown.key,
                width: picture.size.0,
                height: picture.size.1,
                file: Some(format!("{FOLDER}/{name}")),
                shot: shots.get(one.shot).map(|shot| RowRef::Known(shot.id)),
                span: Some(one.span),
            });
            let owner = Owner::Frame(RowRef::New(n));
            rows.features.extend(of_frame(owner, &samples[one.sample].features));
        }
        let pictures = chosen.iter().filter(|one| one.picture == one.sample).count();
        let summary = json!({
            "samples": samples.len(), "representatives": chosen.len(), "pictures": pictures,
        });
        Ok(Finished { rows, summary, ..Finished::default() })
    }
}

/// Gives the pictures that are referred to their names and removes the others.
fn keep_pictures(taken: &mut [Taken], chosen: &[Representative]) -> Result<()> {
    let mut n = 0;
    let wanted: BTreeSet<usize> = chosen.iter().map(|one| one.picture).collect();
    for (i, one) in taken.iter_mut().enumerate() {
        if wanted.contains(&i) {
            let name = NameTemplate::default().name(n, one.sample.time, one.pts);
            let file = one.file.with_file_name(format!("{name}.jpg"));
            fs::rename(&one.file, &file).map_err(|e| Error::io(Stage::Write, &file, e))?;
            one.file = file;
            n += 1;
        } else {
            fs::remove_file(&one.file).map_err(|e| Error::io(Stage::Write, &one.file, e))?;
        }
    }
    Ok(())
}

fn rows(
    owner: Owner,
    values: impl IntoIterator<Item = (&'static str, f32)>,
) -> impl Iterator<Item = FeatureRow> {
    values.into_iter().map(move |(name, value)| FeatureRow {
        owner,
        name: name.to_owned(),
        value: f64::from(value),
    })
}

fn of_bars(bars: Bars) -> [(&'static str, f32); 2] {
    [("letterbox", bars.top + bars.bottom), ("pillarbox", bars.left + bars.right)]
}

fn of_frame(owner: Owner, features: &FrameFeatures) -> impl Iterator<Item = FeatureRow> {
    let flag = |is: bool| f32::from(u8::from(is));
    let values = [
        ("brightness", features.brightness),
        ("contrast", features.contrast),
        ("colourfulness", features.colourfulness),
        ("sharpness", features.sharpness),
        ("black", flag(features.black)),
        ("frozen", flag(features.frozen)),
    ];
    let motion = features.motion.map(|motion| ("motion", motion));
    rows(owner, values.into_iter().chain(motion).chain(of_bars(features.bars)))
}

fn of_shot(owner: Owner, features: &ShotFeatures) -> impl Iterator<Item = FeatureRow> {
    let values = [
        ("brightness", features.brightness),
        ("contrast", features.contrast),
        ("colourfulness", features.colourfulness),
        ("sharpness", features.sharpness),
        ("black", features.black),
        ("frozen", features.frozen),
    ];
    let motion = features.motion.map(|motion| ("motion", motion));
    rows(owner, values.into_iter().chain(motion).chain(of_bars(features.bars)))
}
