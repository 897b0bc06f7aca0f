//! The front door of rendering: an edit with its files, asked for plans, frames and films.

use super::again;
use super::assets::{self, Sources};
use super::compose::Depth;
use super::heard::Heard;
use super::inks::Inks;
use super::join::Joining;
use super::key::Keys;
use super::looks::Looks;
use super::manifest::{self, Manifest, Spent, Stamp, manifest_path};
use super::memory::Memory;
use super::pace::Pace;
use super::parts::{Part, Store};
use super::plan::{How, Plan, Planning, Segment};
use super::scene::{Scene, Setting};
use super::target::{OutputFormat, Target};
use super::text::FontShelf;
use super::twice;
use super::work::{Work, planes};
use crate::control::{Cancel, OnProgress, Progress};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::library::{StagedFile, refuse_same_file};
use crate::limits::Limits;
use crate::media::{FilmHeader, libraries, planar_to_rgb};
use crate::stills::{Animation, AnimationFormat};
use crate::time::{Rounding, TimeBase, Timestamp};
use crate::timeline::{Draft, Faults, Layout, Size, Timeline};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::io::BufWriter;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

/// Raised when the same edit gives other pictures.
const VERSION: u32 = 3;

/// Speeds at which sound keeps its pitch, in millionths.
const SOUND_SPEEDS: std::ops::RangeInclusive<u32> = 250_000..=4_000_000;

/// An edit whose files were found to fit it.
pub struct Edit {
    pub(super) timeline: Timeline,
    pub(super) layout: Layout,
    pub(super) sources: Sources,
    folder: PathBuf,
    shelf: FontShelf,
    inks: Inks,
    looks: Looks,
    /// What tells the font files apart.
    fonts: Vec<String>,
    limits: Limits,
    pub(super) cancel: Cancel,
    jobs: NonZeroUsize,
    memory: Option<u64>,
    cache: Option<PathBuf>,
    cache_bytes: u64,
    force: bool,
    pub(super) progress: Option<OnProgress>,
    /// How much smaller than written the canvas is.
    scale: f64,
}

/// What a render would do.
#[derive(Clone, Debug, Serialize)]
pub struct PlanReport {
    /// Frames in all.
    pub frames: i64,
    /// Frames that are taken as they were coded.
    pub copied: i64,
    /// Frames that are encoded already and kept.
    pub cached: i64,
    /// Frames that have to be composed and encoded.
    pub encoded: i64,
    /// Pixels that have to be encoded, in millions: what time goes by.
    pub megapixels: f64,
    /// Seconds of processors that it is likely to take.
    pub cpu_seconds: f64,
    /// Seconds that it is likely to take, with as many processors free as there are jobs.
    pub seconds: f64,
    /// What these are predicted by.
    pub pace: Pace,
    /// What it is likely to need.
    pub memory: Memory,
    /// How many segments are worked on at once.
    pub jobs: NonZeroUsize,
    /// Every segment in order.
    pub segments: Vec<Planned>,
}

/// A segment of a plan.
#[derive(Clone, Debug, Serialize)]
pub struct Planned {
    /// What is done for it.
    #[serde(flatten)]
    pub segment: Segment,
    /// Whether its part is kept already.
    pub cached: bool,
}

/// What a render did.
#[derive(Clone, Debug, Serialize)]
pub struct RenderReport {
    /// The file.
    pub output: PathBuf,
    /// Frames in all.
    pub frames: i64,
    /// Frames that were taken as they were coded.
    pub copied: i64,
    /// Frames that had been encoded before.
    pub cached: i64,
    /// Frames that were composed and encoded.
    pub encoded: i64,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Whether it was there already, and nothing was done.
    pub current: bool,
}

impl Edit {
    /// Looks at the files of `timeline`, whose names are relative to `folder`, and lays it out.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] with everything that does not fit.
    pub fn open(
        timeline: Timeline,
        folder: &Path,
        limits: &Limits,
        cancel: &Cancel,
    ) -> Result<Self> {
        Self::open_with_fonts(timeline, folder, FontShelf::default(), limits, cancel)
    }

    /// As [`Edit::open`], with fonts to turn to for what the default one and the timeline's lack.
    ///
    /// # Errors
    /// As [`Edit::open`].
    pub fn open_with_fonts(
        timeline: Timeline,
        folder: &Path,
        shelf: FontShelf,
        limits: &Limits,
        cancel: &Cancel,
    ) -> Result<Self> {
        Self::of_draft(timeline.into(), folder, shelf, limits, cancel)
    }

    /// As [`Edit::open_with_fonts`], of an edit that may have faults already: they are told together
    /// with those of its files, of its place on the clock, of its texts and of its colour tables.
    ///
    /// # Errors
    /// As [`Edit::open`]; [`Faults::of`] gives them one by one.
    pub fn of_draft(
        mut draft: Draft,
        folder: &Path,
        shelf: FontShelf,
        limits: &Limits,
        cancel: &Cancel,
    ) -> Result<Self> {
        let Some(timeline) = draft.timeline().cloned() else {
            return Err(draft.faults().clone().into());
        };
        let (sources, facts) = assets::look(&timeline, folder, limits, cancel)?;
        let (mut layout, faults) = timeline.lay_out(&facts);
        draft.add_laid(faults);
        draft.add(Self::check(&layout));
        let tags = super::scene::tags(&timeline);
        let inks = if draft.has_canvas() {
            Inks::new(&timeline, &layout, (folder, &shelf), tags)
        } else {
            // Whether a text fits cannot be told.
            Ok(Inks::default())
        };
        let looks = Looks::new(&timeline, folder);
        let (inks, looks) = match (inks, looks) {
            (Ok(inks), Ok(looks)) => (inks, looks),
            (inks, looks) => {
                for faults in [inks.err(), looks.err()].into_iter().flatten() {
                    draft.add(faults);
                }
                return Err(draft.faults().clone().into());
            }
        };
        let timeline = draft.whole()?;
        super::follow::settle(&mut layout, &timeline, &sources, limits, cancel)?;
        let fonts = timeline.fonts.iter().map(|font| assets::identity(&folder.join(font)));
        let fonts = fonts.collect::<Result<_>>()?;
        Ok(Self {
            timeline,
            layout,
            sources,
            folder: folder.to_path_buf(),
            shelf,
            inks,
            looks,
            fonts,
            limits: limits.clone(),
            cancel: cancel.clone(),
            jobs: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            memory: None,
            cache: None,
            cache_bytes: 8 << 30,
            force: false,
            progress: None,
            scale: 1.0,
        })
    }

    /// Makes the canvas so small that its shorter side is at most `side` pixels: everything is
    /// placed as before, and quickly seen.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] where a text does not fit the small canvas.
    pub fn preview(mut self, side: u32) -> Result<Self> {
        let size = self.timeline.canvas.size;
        let shorter = size.width.min(size.height);
        if shorter > side.max(16) {
            let scale = f64::from(side.max(16)) / f64::from(shorter);
            let even = |n: u32| (((f64::from(n) * scale / 2.0).round() * 2.0) as u32).max(16);
            self.scale = scale;
            self.timeline.canvas.size = Size { width: even(size.width), height: even(size.height) };
            let tags = super::scene::tags(&self.timeline);
            let fonts = (&*self.folder, &self.shelf);
            self.inks = Inks::new(&self.timeline, &self.layout, fonts, tags)?;
        }
        Ok(self)
    }

    /// What this engine cannot do yet is said before the first frame.
    fn check(layout: &Layout) -> Faults {
        let mut faults = Faults::default();
        for sound in &layout.sound {
            if !SOUND_SPEEDS.contains(&sound.speed) {
                faults.add(
                    &sound.pointer,
                    "sound can be heard at 0.25 to 4 times its speed: add \"mute\": true",
                );
            }
        }
        faults
    }

    /// How many segments are worked on at once. Default: one per core.
    #[must_use]
    pub fn jobs(mut self, jobs: NonZeroUsize) -> Self {
        self.jobs = jobs.min(NonZeroUsize::new(64).unwrap_or(jobs));
        self
    }

    /// How much memory the whole may take, about, in bytes: as many segments are worked on at once as
    /// fit by [`PlanReport::memory`], at least one. Default: no limit.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// Keeps finished segments in `folder` and looks for them there, at most `bytes` of them.
    /// Default: beside the output while it is made, removed once it is published.
    #[must_use]
    pub fn cache(mut self, folder: &Path, bytes: u64) -> Self {
        self.cache = Some(folder.to_path_buf());
        self.cache_bytes = bytes;
        self
    }

    /// Renders even what is there already, and takes nothing over from it. Default: no.
    #[must_use]
    pub fn force(mut self, force: bool) -> Self {
        self.force = force;
        self
    }

    /// Has progress reported after each frame.
    #[must_use]
    pub fn on_progress(mut self, progress: OnProgress) -> Self {
        self.progress = Some(progress);
        self
    }

    /// The edit.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// The edit on the clock.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// How long it is.
    pub fn duration(&self) -> Timestamp {
        self.timeline.canvas.rate.time(self.layout.frames)
    }

    /// The frame shown at `time`.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] for a time past the end; what reading its files gives.
    pub fn frame(&self, time: Timestamp) -> Result<image::RgbImage> {
        let rate = self.timeline.canvas.rate;
        let n = time.rescale(rate.frame(), crate::time::Rounding::Floor).ticks();
        if !(0..self.layout.frames).contains(&n) {
            let what = format!("has no frame at {time}: it is {} long", self.duration());
            return Err(Error::new(ErrorKind::Input, Stage::Render, what));
        }
        let setting = self.setting(Depth::Eight);
        let frame = Scene::new(&setting).frame(n)?;
        let size = (frame.width(), frame.height());
        planar_to_rgb(planes(&frame), size, super::target::colour(&self.timeline.canvas).matrix())
    }

    pub(super) fn setting(&self, depth: Depth) -> Setting<'_> {
        Setting {
            timeline: &self.timeline,
            layout: &self.layout,
            sources: &self.sources,
            inks: &self.inks,
            looks: &self.looks,
            limits: &self.limits,
            cancel: &self.cancel,
            depth,
            tags: super::scene::tags(&self.timeline),
            scale: self.scale,
            stills: Mutex::default(),
        }
    }

    pub(super) fn heard(&self) -> Heard<'_> {
        Heard {
            timeline: &self.timeline,
            layout: &self.layout,
            sources: &self.sources,
            inks: &self.inks,
            limits: &self.limits,
            cancel: &self.cancel,
        }
    }

    fn keys(&self) -> Keys<'_> {
        Keys {
            timeline: &self.timeline,
            layout: &self.layout,
            sources: &self.sources,
            inks: &self.inks,
            looks: &self.looks,
            codecs: libraries().codec,
            fonts: &self.fonts,
            scale: self.scale,
            version: VERSION,
        }
    }

    fn plan_for(&self, target: &Target) -> Result<Plan> {
        let planning = Planning {
            timeline: &self.timeline,
            layout: &self.layout,
            sources: &self.sources,
            inks: &self.inks,
            limits: &self.limits,
            cancel: &self.cancel,
        };
        let keys = self.keys();
        planning.plan(target, &|target, start, end| keys.of_segment(target, (start, end)))
    }

    /// What rendering to `target` would do.
    ///
    /// # Errors
    /// What reading the packets of its files gives.
    pub fn plan(&self, target: &Target, output: &Path) -> Result<PlanReport> {
        let plan = self.plan_for(target)?;
        let folder = self.cache.clone().unwrap_or_else(|| parts_folder(output));
        let store = if folder.is_dir() { Some(Store::open(&folder)?) } else { None };
        let earlier: HashSet<String> = match Manifest::of(output) {
            Ok(made) if !self.force => made.segments.into_iter().filter_map(|p| p.key).collect(),
            _ => HashSet::new(),
        };
        let segments: Vec<Planned> = plan
            .segments
            .into_iter()
            .map(|segment| {
                let cached = match &segment.how {
                    How::Encoded { key, .. } => {
                        earlier.contains(key) || store.as_ref().is_some_and(|s| s.has(key))
                    }
                    How::Copied { .. } => false,
                };
                Planned { segment, cached }
            })
            .collect();
        let frames = |wanted: &dyn Fn(&Planned) -> bool| -> i64 {
            segments.iter().filter(|s| wanted(s)).map(|s| s.segment.end - s.segment.start).sum()
        };
        let copied = frames(&|s| matches!(s.segment.how, How::Copied { .. }));
        let cached = frames(&|s| s.cached);
        let encoded = self.layout.frames - copied - cached;
        let area = f64::from(target.film.width) * f64::from(target.film.height);
        let megapixels = encoded as f64 * area / 1e6;
        let memory = Memory::of(self, target);
        let jobs = memory.jobs(self.jobs, self.memory);
        let pace = Pace::of(target, Manifest::of(output).ok().as_ref());
        let passes = if target.two_passes { 2.0 } else { 1.0 };
        let cpu_seconds = pace.seconds(megapixels) * passes;
        Ok(PlanReport {
            frames: self.layout.frames,
            copied,
            cached,
            encoded,
            megapixels,
            cpu_seconds,
            seconds: cpu_seconds / jobs.get() as f64,
            pace,
            memory,
            jobs,
            segments,
        })
    }

    /// Refuses an output that is one of the edit's files.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`] (refused) if it is.
    pub fn refuse(&self, output: &Path) -> Result<()> {
        let timeline = &self.timeline;
        let captions = timeline.captions.iter().map(|captions| &captions.file);
        let effects = timeline.video.iter().flat_map(|track| &track.items);
        let tables =
            effects.flat_map(|item| &item.effects).filter_map(|effect| effect.lut.as_ref());
        let named = captions.chain(&timeline.fonts).chain(tables).map(|f| self.folder.join(f));
        let assets = self.sources.values().map(|source| source.path.clone());
        assets.chain(named).try_for_each(|path| refuse_same_file(&path, output))
    }

    /// Renders to `output`, which appears whole or not at all, with its manifest beside it. Nothing
    /// is done if it is there already, made from the same things and as it was left. What a render
    /// that was killed has finished is not done again, nor what an earlier `output` holds of it.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`] if `output` is one of its files; what reading, encoding and writing give.
    pub fn render(&self, target: &Target, output: &Path) -> Result<RenderReport> {
        self.refuse(output)?;
        let heard = self.heard();
        let sound = (!heard.is_silent()).then(|| heard.key(target)).transpose()?;
        let key = self.keys().of_output(target, sound.as_deref());
        if !self.force
            && let Some(made) = again::current(output, &key, &self.limits, &self.cancel)?
        {
            return Ok(report(output, &made, 0, true));
        }
        let folder = self.cache.clone().unwrap_or_else(|| parts_folder(output));
        let staged = match self.cache {
            Some(_) => StagedFile::new(output)?,
            // With the parts goes what a killed render leaves.
            None => StagedFile::within(&folder, output)?,
        };
        if let OutputFormat::Animation(format) = target.format {
            return self.animate(format, key, staged, output);
        }
        let mut plan = self.plan_for(target)?;
        let store = Store::open(&folder)?;
        let jobs = Memory::of(self, target).jobs(self.jobs, self.memory);
        if target.two_passes {
            Work::new(self, &plan, &store, jobs).look()?;
            twice::divide(&mut plan, &store)?;
        }
        if !self.force {
            let wanted: HashSet<&str> = plan.keys().chain(sound.as_deref()).collect();
            let wanted = |key: &str| wanted.contains(key);
            again::take_over(output, &wanted, &store, &self.limits, &self.cancel)?;
        }
        let done = Work::new(self, &plan, &store, jobs).run(target)?;
        let (parts, heard, cached) = (done.parts, done.sound, done.cached);
        let joining = Joining {
            plan: &plan,
            parts: &parts,
            sound: heard.as_ref(),
            sources: &self.sources,
            limits: &self.limits,
            cancel: &self.cancel,
        };
        let pieces = joining.write(staged.handle()?).map_err(|e| e.input(output))?;
        let bytes =
            staged.handle()?.metadata().map_err(|e| Error::io(Stage::Write, output, e))?.len();
        let left = match (&sound, &heard) {
            (Some(key), Some(part)) => again::of_sound(key, part)?,
            _ => None,
        };
        let film = &plan.target.film;
        let made = Manifest {
            version: manifest::VERSION,
            file: output.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            key,
            stamp: None,
            bytes,
            width: film.width,
            height: film.height,
            rate: self.timeline.canvas.rate.to_string(),
            frames: self.layout.frames,
            samples: heard.as_ref().map(|_| self.layout.samples),
            codec: serde_json::to_value(film.codec)
                .ok()
                .and_then(|v| v.as_str().map(str::to_owned))
                .unwrap_or_default(),
            matrix: match film.colour {
                crate::media::FilmColour::Bt709 => "bt709",
                crate::media::FilmColour::Bt601 => "smpte170m",
                crate::media::FilmColour::Bt2020 => "bt2020nc",
            }
            .into(),
            sound: heard.as_ref().map(|part| part.footer.coded.clone()),
            segments: pieces,
            film: one_header(&parts),
            heard: left,
            seams: if heard.is_some() { self.heard().seams() } else { Vec::new() },
            cut_off: {
                let spans = self.inks.cut_off().into_iter();
                spans.map(|span| [span.start, span.end].map(|time| time.to_string())).collect()
            },
            pace: Spent::of(target, done.encoded, done.cpu_seconds),
            whole: None,
        };
        // An older manifest does not belong to the new file.
        let _ = std::fs::remove_file(manifest_path(output));
        staged.publish()?;
        let made = self.read_back(made, output)?;
        again::write(&made, output)?;
        if self.cache.is_none() {
            // Ours alone: made for this output, and of no more use.
            let _ = std::fs::remove_dir_all(&folder);
        } else {
            let used: HashSet<&str> = parts.keys().map(String::as_str).collect();
            store.trim(self.cache_bytes, &|key| used.contains(key));
        }
        Ok(report(output, &made, cached.cast_signed(), false))
    }
}

impl Edit {
    /// Pictures in quick succession: composed one after the other and written as they come.
    fn animate(
        &self,
        format: AnimationFormat,
        key: String,
        staged: StagedFile,
        output: &Path,
    ) -> Result<RenderReport> {
        let rate = self.timeline.canvas.rate;
        let size = self.timeline.canvas.size;
        let matrix = super::target::colour(&self.timeline.canvas).matrix();
        let setting = self.setting(Depth::Eight);
        let mut scene = Scene::new(&setting);
        let file = staged.handle()?;
        let mut animation = Animation::new(BufWriter::new(file), format)?;
        for n in 0..self.layout.frames {
            self.cancel.check(Stage::Render)?;
            let picture =
                planar_to_rgb(planes(&*scene.frame(n)?), (size.width, size.height), matrix)?;
            let end =
                rate.time(n + 1).rescale(TimeBase::per_second(1_000_000_000), Rounding::Nearest);
            let end = u64::try_from(end.ticks()).unwrap_or(0);
            animation.push(picture, Duration::from_nanos(end)).map_err(|e| e.input(output))?;
            if let Some(progress) = &self.progress {
                progress(Progress {
                    at: rate.time(n + 1),
                    total: Some(self.duration()),
                    frames: (n + 1).unsigned_abs(),
                    bytes: 0,
                });
            }
        }
        animation.finish().map_err(|e| e.input(output))?;
        let _ = std::fs::remove_file(manifest_path(output));
        staged.publish()?;
        let stamp = Stamp::of(output).map_err(|e| Error::io(Stage::Write, output, e))?;
        let made = Manifest {
            version: manifest::VERSION,
            file: output.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            key,
            stamp: Some(stamp),
            bytes: stamp.file[2],
            width: size.width,
            height: size.height,
            rate: rate.to_string(),
            frames: self.layout.frames,
            codec: match format {
                AnimationFormat::Gif => "gif".into(),
                AnimationFormat::WebP => "webp".into(),
            },
            whole: Some(super::verify::whole_digest(output, &self.cancel)?),
            ..Manifest::default()
        };
        again::write(&made, output)?;
        Ok(report(output, &made, 0, false))
    }
}

fn report(output: &Path, made: &Manifest, cached: i64, current: bool) -> RenderReport {
    let copied = made.segments.iter().filter(|p| p.copied).map(|p| p.end - p.start).sum();
    RenderReport {
        output: output.to_path_buf(),
        frames: made.frames,
        copied,
        cached: if current { made.frames - copied } else { cached },
        encoded: if current { 0 } else { made.frames - copied - cached },
        bytes: made.bytes,
        current,
    }
}

/// The header of all encoded parts, if it is the same one.
fn one_header(parts: &HashMap<String, Part>) -> Option<FilmHeader> {
    let mut headers = parts.values().filter_map(|part| part.footer.film.as_ref());
    let first = headers.next()?;
    headers.all(|header| header == first).then(|| first.clone())
}

impl Edit {
    /// The digests as a reader of the file finds them: containers change how some codecs lay out
    /// their packets. That it can be read, and has the pictures it should have, is seen thereby.
    fn read_back(&self, mut made: Manifest, output: &Path) -> Result<Manifest> {
        let (coded, frames) = super::verify::digests(output, &made, &self.limits, &self.cancel)?;
        if frames != made.frames.unsigned_abs() {
            let what = format!("was written with {frames} pictures instead of {}", made.frames);
            return Err(Error::new(ErrorKind::Internal, Stage::Mux, what).input(output));
        }
        for (piece, coded) in made.segments.iter_mut().zip(coded) {
            if piece.coded != coded {
                piece.key = None;
            }
            piece.coded = coded;
        }
        if let Some(sound) = &mut made.sound {
            let coded = super::verify::sound_digest(output, &self.limits, &self.cancel)?;
            if *sound != coded {
                made.heard = None;
            }
            *sound = coded;
        }
        made.stamp = Stamp::of(output).ok();
        Ok(made)
    }
}

/// Where the parts of an output are kept while it is made.
fn parts_folder(output: &Path) -> PathBuf {
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    output.with_file_name(format!(".{name}.rushes-parts"))
}
