//! Runs the stages that must run on a film: one reading for all of them, then each is finished and
//! stored.

use super::Run;
use super::plan::Planned;
use super::stage::{Begun, Film, FilmStage, Finished, ReadBy, StageInputs, StageWork, Wants};
use super::transcribe::Pace;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::library::catalogue::StageResult;
use crate::library::{Identity, Library, Made, Staged, Staging};
use crate::media::{Notice, ReadReport};
use serde_json::{Value, json};
use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A stage that runs.
struct Job<'a> {
    stage: &'a dyn FilmStage,
    planned: &'a Planned,
    begun: Begun<'a>,
    /// How many requests for sound it made.
    sounds: usize,
    /// Whether it took part in the reading.
    reads: bool,
}

/// What came of it.
pub(super) struct Outcome {
    /// The film's number in the catalogue.
    pub media: Option<i64>,
    /// The reading, if there was one.
    pub reading: Option<ReadReport>,
}

/// Runs what `plan` says on `input`.
///
/// # Errors
/// The first error of any stage; what others made is stored all the same.
pub(super) fn run(
    stages: &[Box<dyn FilmStage + '_>],
    plan: &[Planned],
    input: &Path,
    identity: &Identity,
    library: &Library,
    folder: &str,
    run: &Run,
) -> Result<Outcome> {
    let started_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let started_ms = i64::try_from(started_ms).unwrap_or(i64::MAX);
    let reading = run.open_quiet(input)?;
    let info = reading.info().clone();
    let staging = Staging::new(library.folder())?;
    let film = Film {
        input,
        info: &info,
        identity,
        run,
        library,
        folder,
        staging: &staging,
        pace: Arc::new(Pace::new(run.on_progress.clone(), info.duration)),
        media: Cell::new(identity.media.as_ref().map(|media| media.id)),
    };
    if !film.has_video() && !film.has_audio() {
        return Err(Error::new(
            ErrorKind::Unsupported,
            Stage::Process,
            "holds neither pictures nor sound that this build can decode",
        )
        .input(input)
        .hint("`rushes probe` shows what it holds"));
    }
    let mut jobs = Vec::new();
    for (stage, planned) in stages.iter().zip(plan).filter(|(_, planned)| planned.runs()) {
        let begun = stage.begin(&film)?;
        jobs.push(Job { stage: stage.as_ref(), planned, begun, sounds: 0, reads: false });
    }

    let began = Instant::now();
    let mut wants = Wants::default();
    for job in &mut jobs {
        let (frames, before) = (wants.frames.len(), wants.sound.len());
        let judged = wants.judge.is_some();
        if let Begun::Work(work) = &mut job.begun {
            work.request(&mut wants)?;
        }
        job.sounds = wants.sound.len() - before;
        let judges = wants.judge.is_some() != judged;
        job.reads = job.sounds > 0 || judges || wants.frames.len() > frames;
    }
    let read = if wants.is_empty() {
        drop(reading);
        None
    } else {
        let mut reading = reading;
        if wants.paced {
            reading = reading.on_progress(film.pace.on_progress());
        } else if let Some(on_progress) = &run.on_progress {
            reading = reading.on_progress(on_progress.clone());
        }
        reading = reading.deinterlace(wants.deinterlace);
        for (policy, precision, sink) in wants.frames {
            reading = reading.frames(policy, precision, sink);
        }
        if let Some(judge) = wants.judge {
            reading = reading.judge(judge);
        }
        for (format, sink) in wants.sound {
            reading = reading.sound(format, sink);
        }
        let read = reading.run();
        if let Err(error) = &read {
            note_failure(plan, identity, library, error)?;
        }
        Some(read?)
    };
    let reading_took = read.as_ref().map_or(Duration::ZERO, |_| began.elapsed());

    let mut finisher = Finisher {
        film: &film,
        read: read.as_ref(),
        reading_took,
        started_ms,
        waiting: Vec::new(),
        then: Vec::new(),
        failed: Vec::new(),
        error: None,
    };
    let mut sounds = 0;
    for job in jobs {
        let own = sounds..sounds + job.sounds;
        sounds = own.end;
        finisher.finish(job, own)?;
    }
    finisher.store()?;
    let error = finisher.error.take();
    let media = film.media.get();
    drop(finisher);
    match error {
        Some(error) => Err(error.input(input)),
        None => Ok(Outcome { media, reading: read }),
    }
}

/// Notes of a film that the library knows that it could not be read.
fn note_failure(
    plan: &[Planned],
    identity: &Identity,
    library: &Library,
    error: &Error,
) -> Result<()> {
    let (Some(media), Some(catalogue)) = (&identity.media, library.catalogue()?) else {
        return Ok(());
    };
    if error.kind() == ErrorKind::Cancelled {
        return Ok(());
    }
    let failed = plan.iter().filter(|planned| planned.runs());
    failed.into_iter().try_for_each(|planned| {
        catalogue.store_failure(media.id, &planned.parts, &error.to_string())
    })
}

/// Finishes stages one after the other and stores them in batches.
struct Finisher<'f, 'a> {
    film: &'f Film<'a>,
    read: Option<&'f ReadReport>,
    reading_took: Duration,
    started_ms: i64,
    waiting: Vec<Made>,
    then: Vec<Box<dyn FnOnce()>>,
    failed: Vec<&'static str>,
    error: Option<Error>,
}

impl Finisher<'_, '_> {
    fn finish(&mut self, job: Job<'_>, sounds: std::ops::Range<usize>) -> Result<()> {
        let name = job.stage.name();
        let needs_stored = job.stage.inputs() != StageInputs::Film || job.stage.is_long();
        if needs_stored && matches!(job.begun, Begun::Work(_)) {
            self.store()?;
        }
        let began = Instant::now();
        if self.failed_input(job.stage.inputs()) {
            // Its inputs are not there: not its own failure, and it runs once they are.
            self.failed.push(name);
            return Ok(());
        }
        let finished = match job.begun {
            Begun::Nothing(why) => {
                Ok(Finished { note: Some(why.to_owned()), ..Finished::default() })
            }
            Begun::Work(work) => self.finish_work(work, sounds),
        };
        match finished {
            Ok(finished) => {
                self.take(job.planned, name, finished, began.elapsed(), job.reads);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Cancelled => Err(error),
            Err(error) => {
                self.failed.push(name);
                // What a failed stage staged is nobody's.
                let _ = std::fs::remove_dir_all(self.film.staging.path().join(name));
                if let (Some(media), Some(catalogue)) =
                    (self.film.media.get(), self.film.library.catalogue()?)
                {
                    catalogue.store_failure(media, &job.planned.parts, &error.to_string())?;
                }
                self.error.get_or_insert(error);
                Ok(())
            }
        }
    }

    fn finish_work(
        &self,
        work: Box<dyn StageWork + '_>,
        sounds: std::ops::Range<usize>,
    ) -> Result<Finished> {
        let nothing = ReadReport::default();
        let report = self.read.unwrap_or(&nothing);
        let sound = report.sound.get(sounds).unwrap_or_default();
        work.finish(self.film, &ReadBy { report, sound })
    }

    fn failed_input(&self, inputs: StageInputs) -> bool {
        match inputs {
            StageInputs::Of(names) => names.iter().any(|name| self.failed.contains(name)),
            StageInputs::Film | StageInputs::All => false,
        }
    }

    fn take(
        &mut self,
        planned: &Planned,
        name: &str,
        finished: Finished,
        own: Duration,
        reads: bool,
    ) {
        let read = self.read.filter(|_| reads);
        let told = |notice: &Notice| {
            let mut value = serde_json::to_value(notice).unwrap_or_default();
            value["text"] = notice.to_string().into();
            value
        };
        let notices: Vec<Value> =
            read.into_iter().flat_map(|read| &read.notices).map(told).collect();
        let folder = self.film.staging.path().join(name);
        let reading = reads.then_some(self.reading_took);
        let result = StageResult {
            parts: planned.parts.clone(),
            started_ms: self.started_ms,
            wall: reading.unwrap_or_default() + own,
            note: finished.note,
            summary: json!({
                "result": finished.summary,
                "notices": notices,
                "reading": reading.map(|reading| reading.as_secs_f64()),
            }),
            rows: finished.rows,
            replace: planned.replace,
        };
        let staged = folder.is_dir().then_some(Staged { folder });
        self.waiting.push(Made { result, staged });
        self.then.extend(finished.then);
    }

    /// Stores what waits.
    fn store(&mut self) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        if waiting.is_empty() {
            return Ok(());
        }
        let Film { library, identity, folder, run, .. } = self.film;
        let media = library.store(identity, folder, waiting, &run.cancel)?;
        self.film.media.set(Some(media.id));
        for then in self.then.drain(..) {
            then();
        }
        Ok(())
    }
}
