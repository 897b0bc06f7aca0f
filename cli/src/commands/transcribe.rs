//! `rushes transcribe`: several inputs side by side over one recogniser.

use super::{Session, speech};
use crate::args::{Transcribe as Args, TranscriptFormat};
use crate::inputs::{self, Input};
use crate::output::Status;
use crate::progress::Bars;
use rushes::Error;
use rushes::media::Notice;
use rushes::pipeline::{Made, Run, Transcribe, Transcribed};
use rushes::speech::subtitles::{LineWishes, SubtitleFormat, transcript_schema};
use rushes::speech::{Speech, TranscribeCounts};
use rushes::text::plain;
use serde::Serialize;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

#[derive(Serialize)]
struct Record {
    r#type: &'static str,
    input: String,
    outputs: Vec<String>,
    current: bool,
    language: Option<String>,
    language_probability: Option<f32>,
    duration: Option<f64>,
    model: Option<String>,
    engine: Option<String>,
    segments: usize,
    words: usize,
    dropped: usize,
    doubtful: usize,
    coverage: Option<f64>,
    counts: TranscribeCounts,
    /// The text itself, where no file was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    notices: Vec<Notice>,
}

/// What came of one input: with a folder its files, without one its text.
struct Done {
    path: PathBuf,
    files: Vec<PathBuf>,
    made: Made<Transcribed>,
    text: Option<String>,
}

pub fn run(session: &Session, args: &Args) -> anyhow::Result<Status> {
    if args.schema {
        session.output.bytes(transcript_schema()?.as_bytes())?;
        return Ok(Status::Ok);
    }
    if args.output.is_none() && args.format.len() > 1 {
        anyhow::bail!("several formats need a folder to go to: give -o DIR");
    }
    let speech = match speech::open(session, &args.speech)? {
        Ok(speech) => speech,
        Err(error) => return speech::refuse(session, &error),
    };
    let job = Transcribe {
        settings: speech::settings(&args.speech, &speech),
        formats: match args.format.as_slice() {
            [] if args.output.is_none() => vec![SubtitleFormat::Txt],
            [] => vec![SubtitleFormat::Srt],
            formats => formats.iter().map(|f| f.format()).collect(),
        },
        lines: LineWishes {
            max_chars_per_line: args.lines.line_chars,
            max_lines: args.lines.lines,
            max_chars_per_second: args.lines.reading_speed,
            min_gap: args.lines.min_gap,
        },
    };
    let inputs = inputs::resolve(&args.inputs);
    let names = inputs::output_names(&inputs);
    let lanes = speech::lanes(&speech, inputs.len());
    let bars = Bars::new(!session.output.quiet && !session.output.json);
    let work = Work { job: &job, folder: args.output.as_deref(), speech: &speech, bars: &bars };
    let mut status = Status::Ok;
    let next = AtomicUsize::new(0);
    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| -> anyhow::Result<Status> {
        for _ in 0..lanes.get() {
            let (send, next, inputs, names, work) = (send.clone(), &next, &inputs, &names, &work);
            scope.spawn(move || {
                while let Some((n, input, name)) = claim(next, inputs, names) {
                    // The receiver is gone only if standard output is.
                    if session.run.cancel.is_cancelled()
                        || send
                            .send((n, work.one(n, inputs.len(), input, name, &session.run)))
                            .is_err()
                    {
                        return;
                    }
                }
            });
        }
        drop(send);
        // Told in the order of the inputs, whichever is done first.
        let mut waiting = BTreeMap::new();
        let mut told = 0;
        for (n, done) in receive {
            waiting.insert(n, done);
            while let Some(done) = waiting.remove(&told) {
                let shown = bars.suspend(|| tell(session, done, &mut status, told));
                if let Err(error) = shown {
                    session.run.cancel.cancel();
                    return Err(error);
                }
                told += 1;
            }
        }
        // After a cancel some are missing in between.
        for (n, done) in waiting {
            bars.suspend(|| tell(session, done, &mut status, n))?;
        }
        Ok(if session.run.cancel.is_cancelled() { Status::Cancelled } else { status })
    })
}

fn claim<'a>(
    next: &AtomicUsize,
    inputs: &'a [Input],
    names: &'a [OsString],
) -> Option<(usize, &'a Input, &'a OsString)> {
    let n = next.fetch_add(1, Ordering::Relaxed);
    Some((n, inputs.get(n)?, names.get(n)?))
}

struct Work<'a> {
    job: &'a Transcribe,
    folder: Option<&'a Path>,
    speech: &'a Speech,
    bars: &'a Bars,
}

impl Work<'_> {
    fn one(
        &self,
        n: usize,
        count: usize,
        input: &Input,
        name: &OsString,
        run: &Run,
    ) -> Result<Done, Error> {
        let path = match input {
            Ok(path) => path.clone(),
            Err(error) => return Err(error_again(error)),
        };
        let bar = self.bars.add(&path, n + 1, count);
        let run = Run { on_progress: Some(bar.callback()), ..run.clone() };
        let Some(folder) = self.folder else {
            let done = self.job.transcript(&path, self.speech, &run)?;
            let format = self.job.formats.first().copied().unwrap_or(SubtitleFormat::Txt);
            let text = self.job.text(&done.transcript, format)?;
            let notices = done.notices.clone();
            let made = Made { output: PathBuf::new(), result: Some(done), notices };
            return Ok(Done { path, files: Vec::new(), made, text: Some(text) });
        };
        let made = self.job.run(&path, folder, name, self.speech, &run)?;
        Ok(Done { path, files: self.job.files(folder, name), made, text: None })
    }
}

/// An error of an input that is told on another thread.
fn error_again(error: &Error) -> Error {
    let mut again = Error::new(error.kind(), error.stage(), error.message().to_owned());
    if let Some(path) = error.path() {
        again = again.input(path);
    }
    match error.what_to_do() {
        Some(hint) => again.hint(hint.to_owned()),
        None => again,
    }
}

fn tell(
    session: &Session,
    done: Result<Done, Error>,
    status: &mut Status,
    n: usize,
) -> anyhow::Result<()> {
    let done = match done {
        Ok(done) => done,
        Err(error) => {
            session.output.failure(&error)?;
            let alone = n == 0 || *status != Status::Ok;
            *status = status.and_failure(&error, alone);
            return Ok(());
        }
    };
    *status = status.and_success();
    session.output.notices(&done.path, &done.made.notices);
    let result = done.made.result.as_ref();
    let transcript = result.map(|r| &r.transcript);
    let names = |path: &PathBuf| plain(&path.to_string_lossy()).into_owned();
    let files: Vec<String> = done.files.iter().map(names).collect();
    let text = match (&done.text, result) {
        (Some(text), _) => text.strip_suffix('\n').unwrap_or(text).to_owned(),
        (None, None) => format!("{}: up to date", files.join(", ")),
        (None, Some(done)) => {
            let transcript = &done.transcript;
            let mut text = format!(
                "{}: {}, {} segments, {:.0}% of the speech has text",
                files.join(", "),
                transcript.language,
                transcript.segments.len(),
                transcript.coverage.share() * 100.0,
            );
            if !transcript.dropped.is_empty() {
                text.push_str(&format!(", {} dropped", transcript.dropped.len()));
            }
            if done.counts.reused > 0 {
                text.push_str(&format!(
                    ", {} of {} chunks from the run before",
                    done.counts.reused, done.counts.chunks
                ));
            }
            text
        }
    };
    let record = Record {
        r#type: "transcript",
        input: done.path.to_string_lossy().into_owned(),
        outputs: done.files.iter().map(|p| p.to_string_lossy().into_owned()).collect(),
        current: done.made.is_current(),
        language: transcript.map(|t| t.language.clone()),
        language_probability: transcript.map(|t| t.language_probability),
        duration: transcript.map(|t| t.duration.as_secs_f64()),
        model: transcript.map(|t| t.model.clone()),
        engine: transcript.map(|t| t.engine.clone()),
        segments: transcript.map_or(0, |t| t.segments.len()),
        words: transcript.map_or(0, |t| t.segments.iter().map(|s| s.words.len()).sum()),
        dropped: transcript.map_or(0, |t| t.dropped.len()),
        doubtful: transcript.map_or(0, |t| t.segments.iter().filter(|s| s.doubt.is_some()).count()),
        coverage: transcript.map(|t| t.coverage.share()),
        counts: result.map(|r| r.counts).unwrap_or_default(),
        text: done.text.clone(),
        notices: done.made.notices.clone(),
    };
    if done.text.as_ref().is_some_and(String::is_empty) && !session.output.json {
        // Nobody speaks: no line is the right number of lines.
        return Ok(());
    }
    session.output.data(&text, &record)
}

impl TranscriptFormat {
    fn format(self) -> SubtitleFormat {
        match self {
            Self::Srt => SubtitleFormat::Srt,
            Self::Vtt => SubtitleFormat::WebVtt,
            Self::Ass => SubtitleFormat::Ass,
            Self::Txt => SubtitleFormat::Txt,
            Self::Tsv => SubtitleFormat::Tsv,
            Self::Json => SubtitleFormat::Json,
        }
    }
}
