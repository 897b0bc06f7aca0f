//! The runner with stages that depend on each other, as later ones will.

use super::plan::{Known, Planned, Why, plan};
use super::stage::{Begun, Film, FilmStage, Finished, ReadBy, StageInputs, StageWork, Wants};
use super::{Run, runner};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::library::catalogue::rows::{EmbeddingRow, Owner, RowRef, Rows, ShotRow};
use crate::library::{Identity, Library, Trust};
use crate::media::{FramePolicy, FrameSink, Picked, PictureConverter, Precision};
use crate::time::Span;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Keyframes as shots: a stage that reads.
#[derive(Default)]
struct Shots {
    setting: u32,
    fails: bool,
    ran: AtomicUsize,
}

struct ShotsWork<'a> {
    stage: &'a Shots,
    frames: Seen,
}

#[derive(Default)]
struct Seen(Mutex<Vec<crate::time::Timestamp>>);

impl FrameSink for Seen {
    fn frame(&self, picked: Picked<'_>, _: &mut PictureConverter) -> Result<()> {
        self.0.lock().unwrap().push(picked.frame.time());
        Ok(())
    }
}

impl FilmStage for Shots {
    fn name(&self) -> &'static str {
        "shots"
    }

    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Value {
        json!({ "setting": self.setting })
    }

    fn begin<'a>(&'a self, film: &Film<'a>) -> Result<Begun<'a>> {
        if !film.has_video() {
            return Ok(Begun::Nothing("no pictures"));
        }
        Ok(Begun::Work(Box::new(ShotsWork { stage: self, frames: Seen::default() })))
    }
}

impl StageWork for ShotsWork<'_> {
    fn request<'w>(&'w mut self, wants: &mut Wants<'w>) -> Result<()> {
        wants.frames(FramePolicy::Keyframes, Precision::Exact, false, &self.frames);
        Ok(())
    }

    fn finish(self: Box<Self>, film: &Film<'_>, read: &ReadBy<'_>) -> Result<Finished> {
        self.stage.ran.fetch_add(1, Ordering::Relaxed);
        assert!(read.report.frames_given > 0);
        std::fs::write(film.staged("shots")?.join("shots.txt"), "shots").unwrap();
        if self.stage.fails {
            return Err(Error::new(ErrorKind::Internal, Stage::Process, "no shots today"));
        }
        let mut times = self.frames.0.into_inner().unwrap();
        times.sort();
        let shots = times.into_iter().map(|time| ShotRow {
            span: Span::new(time, time).unwrap(),
            transition: "cut".into(),
            confidence: 1.0,
        });
        Ok(Finished {
            rows: Rows { shots: shots.collect(), ..Rows::default() },
            ..Finished::default()
        })
    }
}

/// A vector for each shot: a stage that reads no film, only another's rows.
#[derive(Default)]
struct Embed {
    ran: AtomicUsize,
}

struct EmbedWork<'a>(&'a Embed);

impl FilmStage for Embed {
    fn name(&self) -> &'static str {
        "embed"
    }

    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Value {
        Value::Null
    }

    fn inputs(&self) -> StageInputs {
        StageInputs::Of(&["shots"])
    }

    fn begin<'a>(&'a self, _: &Film<'a>) -> Result<Begun<'a>> {
        Ok(Begun::Work(Box::new(EmbedWork(self))))
    }
}

impl StageWork for EmbedWork<'_> {
    fn finish(self: Box<Self>, film: &Film<'_>, _: &ReadBy<'_>) -> Result<Finished> {
        self.0.ran.fetch_add(1, Ordering::Relaxed);
        let shots = film.catalogue()?.shots_of(film.media()?)?;
        assert!(!shots.is_empty());
        let vector = |shot: &crate::library::catalogue::rows::Stored<ShotRow>| EmbeddingRow {
            owner: Owner::Shot(RowRef::Known(shot.id)),
            model: "m".into(),
            kind: "image".into(),
            vector: vec![shot.id as f32],
        };
        let rows = Rows { embeddings: shots.iter().map(vector).collect(), ..Rows::default() };
        Ok(Finished { rows, ..Finished::default() })
    }
}

struct Bench {
    _dir: tempfile::TempDir,
    library: Library,
    input: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let library = Library::at(dir.path().join("library"));
        Self { _dir: dir, library, input: rushes_fixtures::film() }
    }

    fn plan(&self, stages: &[Box<dyn FilmStage + '_>], force: bool) -> (Identity, Vec<Planned>) {
        let run = Run::default();
        let catalogue = self.library.catalogue().unwrap();
        let identity =
            Identity::find(&self.input, catalogue.as_ref(), Trust::Stamp, &run.cancel).unwrap();
        let known =
            Known::look(&self.library, catalogue.as_deref(), &identity, Trust::Stamp, &run.cancel)
                .unwrap();
        let planned = plan(stages, &identity.content, &known, force);
        (identity, planned)
    }

    /// Runs what must be run; gives the reasons and what came of it.
    fn run(&self, shots: &Shots, embed: Option<&Embed>, force: bool) -> (Vec<Why>, Result<bool>) {
        let mut stages: Vec<Box<dyn FilmStage + '_>> = vec![Box::new(Borrowed(shots))];
        stages.extend(embed.map(|embed| Box::new(Borrowed(embed)) as Box<dyn FilmStage + '_>));
        let (identity, planned) = self.plan(&stages, force);
        let why = planned.iter().map(|planned| planned.why.clone()).collect();
        let done = runner::run(
            &stages,
            &planned,
            &self.input,
            &identity,
            &self.library,
            "film",
            &Run::default(),
        );
        (why, done.map(|outcome| outcome.reading.is_some()))
    }

    fn vectors(&self) -> usize {
        let mut count = 0;
        let catalogue = self.library.existing().unwrap();
        catalogue.each_embedding(None, |_, _| count += 1).unwrap();
        count
    }

    fn file(&self) -> PathBuf {
        self.library.folder().join("film/shots.txt")
    }
}

struct Borrowed<'s, T>(&'s T);

impl<T: FilmStage> FilmStage for Borrowed<'_, T> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn version(&self) -> u32 {
        self.0.version()
    }

    fn parameters(&self) -> Value {
        self.0.parameters()
    }

    fn inputs(&self) -> StageInputs {
        self.0.inputs()
    }

    fn begin<'a>(&'a self, film: &Film<'a>) -> Result<Begun<'a>> {
        self.0.begin(film)
    }
}

fn count(ran: &AtomicUsize) -> usize {
    ran.load(Ordering::Relaxed)
}

#[test]
fn a_stage_runs_after_its_inputs_and_again_only_when_they_change() {
    let bench = Bench::new();
    let (shots, embed) = (Shots::default(), Embed::default());
    let (why, read) = bench.run(&shots, Some(&embed), false);
    assert_eq!((why, read.unwrap()), (vec![Why::New, Why::New], true));
    let all = bench.vectors();
    assert!(all > 0);
    let (why, read) = bench.run(&shots, Some(&embed), false);
    // Nothing to do, and nothing was read.
    assert_eq!((why, read.unwrap()), (vec![Why::Current, Why::Current], false));
    assert_eq!((count(&shots.ran), count(&embed.ran)), (1, 1));

    // A lost file: the stage runs, and what was made from its rows stays.
    std::fs::remove_file(bench.file()).unwrap();
    let (why, read) = bench.run(&shots, Some(&embed), false);
    assert!(matches!(why[..], [Why::Damaged { .. }, Why::Current]), "{why:?}");
    assert!(read.unwrap() && bench.file().exists() && bench.vectors() == all);
    assert_eq!((count(&shots.ran), count(&embed.ran)), (2, 1));

    let other = Shots { setting: 1, ..Shots::default() };
    // Without the second stage its result goes: it is of shots that are no more.
    let (why, read) = bench.run(&other, None, false);
    assert!(matches!(why[..], [Why::Changed { .. }]) && read.unwrap(), "{why:?}");
    assert_eq!(bench.vectors(), 0);
    let (why, read) = bench.run(&other, Some(&embed), false);
    // Only rows are read, not the film.
    assert_eq!((why, read.unwrap()), (vec![Why::Current, Why::New], false));
    assert_eq!(bench.vectors(), all);
    let (why, _) = bench.run(&other, Some(&embed), true);
    assert_eq!(why, [Why::Forced, Why::Forced]);
    assert_eq!((bench.vectors(), count(&embed.ran)), (all, 3));
    assert!(bench.library.existing().unwrap().check().unwrap().is_empty());
}

#[test]
fn what_fails_stops_only_what_needs_it() {
    let bench = Bench::new();
    let (good, embed) = (Shots::default(), Embed::default());
    bench.run(&good, None, false).1.unwrap();
    let bad = Shots { setting: 1, fails: true, ..Shots::default() };
    let error = bench.run(&bad, Some(&embed), false).1.unwrap_err();
    assert!(error.to_string().contains("no shots today"), "{error}");
    assert_eq!(count(&embed.ran), 0);
    // The earlier result and its file are there still.
    assert_eq!(bench.run(&good, None, false).0, [Why::Current]);
    // Nothing half made.
    let left = std::fs::read_dir(bench.library.folder()).unwrap().map(|e| e.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| !Path::new(name).starts_with("film")).collect();
    assert!(left.iter().all(|name| name.to_string_lossy().starts_with("library.db")), "{left:?}");
    let fixed = Shots { setting: 1, ..Shots::default() };
    bench.run(&fixed, Some(&embed), false).1.unwrap();
    assert_eq!(count(&embed.ran), 1);
}

#[test]
fn a_new_film_that_fails_leaves_no_library() {
    let bench = Bench::new();
    let bad = Shots { fails: true, ..Shots::default() };
    bench.run(&bad, None, false).1.unwrap_err();
    assert!(!bench.library.folder().exists());
}
