//! The segments of an edit worked on by several threads: each composes and encodes whole segments
//! alone, so that their bytes do not depend on how many there are.

use super::compose::{Depth, Picture, Planes};
use super::edit::Edit;
use super::pace;
use super::parts::{Footer, Part, Store};
use super::plan::{How, Plan, Segment};
use super::scene::{Scene, Setting};
use super::target::Target;
use super::twice;
use crate::control::Progress;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::media::{FilmEncoder, FilmPacket, PlanarRef};
use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Segments being worked on by several threads.
pub(super) struct Work<'a> {
    edit: &'a Edit,
    plan: &'a Plan,
    store: &'a Store,
    jobs: NonZeroUsize,
    next: AtomicUsize,
    done: AtomicU64,
    cached: AtomicU64,
    /// Bytes of parts that are finished.
    bytes: AtomicU64,
    /// Microseconds of processor time that composing and encoding took.
    spent: AtomicU64,
    failed: AtomicBool,
    error: Mutex<Option<Error>>,
    parts: Mutex<HashMap<String, Part>>,
}

/// What was worked out.
pub(super) struct Done {
    /// The parts by key.
    pub parts: HashMap<String, Part>,
    /// The sound's part.
    pub sound: Option<Part>,
    /// Frames that had been encoded before.
    pub cached: u64,
    /// Frames that were composed and encoded, and the seconds of processor time it took.
    pub encoded: u64,
    pub cpu_seconds: f64,
}

impl<'a> Work<'a> {
    pub fn new(edit: &'a Edit, plan: &'a Plan, store: &'a Store, jobs: NonZeroUsize) -> Self {
        Self {
            edit,
            plan,
            store,
            jobs,
            next: AtomicUsize::new(0),
            done: AtomicU64::new(0),
            cached: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            spent: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            error: Mutex::new(None),
            parts: Mutex::new(HashMap::new()),
        }
    }

    /// Looks at what is encoded in two passes for the first time; what was looked at before is found.
    pub fn look(self) -> Result<()> {
        let todo = self.todo();
        let depth = self.depth();
        let setting = self.edit.setting(depth);
        self.share(&todo, &setting, &|work, segment, key, scene| {
            let part = twice::first_key(key);
            if work.store.find(&part).is_none() {
                let film = &work.plan.target.film;
                twice::look(film, work.store, &part, &mut |encoder, take| {
                    work.pictures(segment, scene, encoder, take).map(drop)
                })?;
            }
            Ok(())
        });
        self.result()
    }

    fn result(&self) -> Result<()> {
        let error = self.error.lock().unwrap_or_else(PoisonError::into_inner).take();
        error.map_or(Ok(()), Err)
    }

    fn depth(&self) -> Depth {
        if self.plan.target.film.depth == 10 { Depth::Ten } else { Depth::Eight }
    }

    /// The segments to encode, each only once: variants and repeats ask for the same part again.
    fn todo(&self) -> Vec<&'a Segment> {
        let mut seen = HashSet::new();
        let segments = self.plan.segments.iter();
        segments
            .filter(|segment| match &segment.how {
                How::Encoded { key, .. } => seen.insert(key.as_str()),
                How::Copied { .. } => false,
            })
            .collect()
    }

    /// Encodes what is not found, and the sound.
    pub fn run(self, target: &Target) -> Result<Done> {
        let todo = self.todo();
        let heard = self.edit.heard();
        let setting = self.edit.setting(self.depth());
        let mut sound = None;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                self.share(&todo, &setting, &|work, segment, key, scene| {
                    let part = match work.store.find(key) {
                        Some(part) => {
                            let frames = (segment.end - segment.start).unsigned_abs();
                            work.cached.fetch_add(frames, Ordering::Relaxed);
                            work.advance(frames);
                            part
                        }
                        None => work.encode(segment, key, scene)?,
                    };
                    work.bytes.fetch_add(part.bytes(), Ordering::Relaxed);
                    let mut parts = work.parts.lock().unwrap_or_else(PoisonError::into_inner);
                    parts.insert(key.to_owned(), part);
                    Ok(())
                });
            });
            if !heard.is_silent() {
                // On the caller's thread: it costs a few hundredths of what pictures do.
                sound = self.catch(|| {
                    let key = heard.key(target)?;
                    match self.store.find(&key) {
                        Some(part) => Ok(part),
                        None => heard.encode(self.store, &key, target),
                    }
                });
            }
        });
        self.result()?;
        let cached = self.cached.into_inner();
        Ok(Done {
            parts: self.parts.into_inner().unwrap_or_else(PoisonError::into_inner),
            sound,
            cached,
            encoded: self.done.into_inner() - cached,
            cpu_seconds: self.spent.into_inner() as f64 / 1e6,
        })
    }

    /// Has the threads do `work` on each of `todo`; stops at the first failure.
    fn share(
        &self,
        todo: &[&Segment],
        setting: &Setting<'_>,
        work: &(dyn Fn(&Self, &Segment, &str, &mut Scene<'_>) -> Result<()> + Sync),
    ) {
        std::thread::scope(|scope| {
            for _ in 0..self.jobs.get().min(todo.len().max(1)) {
                scope.spawn(|| self.catch(|| self.segments(todo, setting, work)));
            }
        });
    }

    fn catch<T>(&self, work: impl FnOnce() -> Result<T>) -> Option<T> {
        match work() {
            Ok(value) => Some(value),
            Err(error) => {
                // In this order: whoever stops because of it has an error of its own.
                self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                self.failed.store(true, Ordering::SeqCst);
                None
            }
        }
    }

    fn segments(
        &self,
        todo: &[&Segment],
        setting: &Setting<'_>,
        work: &dyn Fn(&Self, &Segment, &str, &mut Scene<'_>) -> Result<()>,
    ) -> Result<()> {
        // Each thread composes on its own: segments are what is shared out.
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build();
        let _alone =
            alone.map_err(|e| Error::new(ErrorKind::Resource, Stage::Render, e.to_string()))?;
        let mut scene = Scene::new(setting);
        loop {
            let i = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(segment) = todo.get(i) else { break };
            let How::Encoded { key, .. } = &segment.how else { continue };
            work(self, segment, key, &mut scene)?;
        }
        Ok(())
    }

    fn encode(&self, segment: &Segment, key: &str, scene: &mut Scene<'_>) -> Result<Part> {
        let began = pace::thread_time();
        let shared = self.plan.shares.get(key);
        // Kept until the encoder is done with what it reads.
        let (film, _stats) = twice::settle(&self.plan.target.film, shared, self.store)?;
        let mut encoder = FilmEncoder::open(&film)?;
        let header = encoder.header().clone();
        let mut writer = self.store.write(key)?;
        let mut take = |p: FilmPacket| writer.packet(p.pts, 1, p.key, &p.data);
        let pictures = self.pictures(segment, scene, &mut encoder, &mut take)?;
        encoder.finish(&mut take)?;
        let part = writer.finish(Footer {
            film: Some(header),
            sound: None,
            packets: 0,
            pictures: Some(pictures.finalize().to_hex().to_string()),
            coded: String::new(),
            reorder: 0,
        });
        let spent = pace::thread_time().saturating_sub(began).as_micros();
        self.spent.fetch_add(u64::try_from(spent).unwrap_or(0), Ordering::Relaxed);
        part
    }

    /// Composes a segment into an encoder; gives the digest of its pictures.
    fn pictures(
        &self,
        segment: &Segment,
        scene: &mut Scene<'_>,
        encoder: &mut FilmEncoder,
        take: &mut dyn FnMut(FilmPacket) -> Result<()>,
    ) -> Result<blake3::Hasher> {
        let mut pictures = blake3::Hasher::new();
        for n in segment.start..segment.end {
            if self.failed.load(Ordering::Relaxed) {
                return Err(Error::cancelled(Stage::Render));
            }
            self.edit.cancel.check(Stage::Render)?;
            let picture = scene.frame(n)?;
            let planes = planes(&picture);
            digest(&planes, &mut pictures);
            encoder.push(planes, n - segment.start, take)?;
            self.advance(1);
        }
        Ok(pictures)
    }

    fn advance(&self, frames: u64) {
        let done = self.done.fetch_add(frames, Ordering::Relaxed) + frames;
        if let Some(progress) = &self.edit.progress {
            let rate = self.edit.timeline.canvas.rate;
            progress(Progress {
                at: rate.time(done.cast_signed()),
                total: Some(self.edit.duration()),
                frames: done,
                bytes: self.bytes.load(Ordering::Relaxed),
            });
        }
    }
}

/// A picture as encoders take it.
pub(super) fn planes(picture: &Picture) -> PlanarRef<'_> {
    match &picture.planes {
        Planes::Eight(yuv) => PlanarRef::Eight([0, 1, 2].map(|i| yuv.planes[i].data.as_slice())),
        Planes::Ten(yuv) => PlanarRef::Ten([0, 1, 2].map(|i| yuv.planes[i].data.as_slice())),
    }
}

fn digest(planes: &PlanarRef<'_>, into: &mut blake3::Hasher) {
    match planes {
        PlanarRef::Eight(planes) => planes.iter().for_each(|plane| {
            into.update(plane);
        }),
        PlanarRef::Ten(planes) => {
            for plane in planes {
                for chunk in plane.chunks(4096) {
                    let bytes: Vec<u8> = chunk.iter().flat_map(|v| v.to_le_bytes()).collect();
                    into.update(&bytes);
                }
            }
        }
    }
}
