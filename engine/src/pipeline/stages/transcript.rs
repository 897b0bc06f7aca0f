//! What is said: `transcript.json`, `.srt` and `.vtt`.

use super::{NO_SOUND, settings, write as write_file};
use crate::error::Result;
use crate::library::catalogue::rows::{Rows, SegmentRow, TranscriptRow, WordRow};
use crate::media::SoundFormat;
use crate::pipeline::process::{Spoken, WithSpeech};
use crate::pipeline::stage::{Begun, Film, FilmStage, Finished, ReadBy, StageWork, Wants};
use crate::pipeline::transcribe::{Transcribe, journal_path};
use crate::speech::journal::Journal;
use crate::speech::subtitles::{LineRules, SubtitleFormat, write};
use crate::speech::transcribe::Transcriber;
use crate::speech::transcript::{Segment, Transcript};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::sync::Arc;

/// The forms of the transcript in a film's folder.
const FORMATS: [SubtitleFormat; 3] =
    [SubtitleFormat::Json, SubtitleFormat::Srt, SubtitleFormat::WebVtt];

/// See the module.
pub(in crate::pipeline) struct Transcription<'s>(pub &'s WithSpeech);

impl Transcription<'_> {
    fn job(&self) -> Transcribe {
        let settings = self.0.settings.clone();
        Transcribe { settings, formats: FORMATS.to_vec(), ..Transcribe::default() }
    }
}

impl FilmStage for Transcription<'_> {
    fn name(&self) -> &'static str {
        "transcript"
    }

    fn version(&self) -> u32 {
        Transcribe::VERSION
    }

    fn parameters(&self) -> Value {
        let mut identity = settings(&self.0.speech.identity(&self.0.settings));
        if let Value::Object(fields) = &mut identity {
            // These are models, below.
            fields.remove("whisper");
            fields.remove("vad");
            let formats = FORMATS.iter().map(|format| format.as_str().into()).collect();
            fields.insert("formats".to_owned(), Value::Array(formats));
        }
        identity
    }

    fn models(&self) -> BTreeMap<String, String> {
        let models = self.0.speech.models();
        let vad = models.vad.as_ref().filter(|_| self.0.settings.vad.is_some());
        let roles = [Some(("recogniser", &models.whisper)), vad.map(|vad| ("voice", vad))];
        roles
            .into_iter()
            .flatten()
            .map(|(role, file)| (role.to_owned(), format!("{} {}", file.name, file.digest)))
            .collect()
    }

    fn is_long(&self) -> bool {
        true
    }

    fn begin<'a>(&'a self, film: &Film<'a>) -> Result<Begun<'a>> {
        if !film.has_audio() {
            return Ok(Begun::Nothing(NO_SOUND));
        }
        // What is recognised is kept until it is stored: a run that was killed goes on from there.
        let path = journal_path(film.library.folder(), OsStr::new(film.folder));
        let journal = Journal::open(&path, &self.job().journal_key(&self.0.speech)).map(Arc::new);
        let WithSpeech { speech, settings } = self.0;
        let sink = Transcriber::new(speech, settings, journal.clone(), &film.run.cancel)?
            .on_place(film.pace.on_place());
        Ok(Begun::Work(Box::new(Work { sink, journal })))
    }
}

struct Work {
    sink: Transcriber,
    journal: Option<Arc<Journal>>,
}

impl StageWork for Work {
    fn request<'w>(&'w mut self, wants: &mut Wants<'w>) -> Result<()> {
        wants.paced();
        wants.sound(SoundFormat::SPEECH, &mut self.sink);
        Ok(())
    }

    fn finish(self: Box<Self>, film: &Film<'_>, _: &ReadBy<'_>) -> Result<Finished> {
        let Self { sink, journal } = *self;
        let (transcript, counts) = sink.finish()?;
        let folder = film.staged("transcript")?;
        let rules = LineRules::for_language(&transcript.language);
        for format in FORMATS {
            let path = folder.join("transcript").with_extension(format.extension());
            write_file(&path, write(&transcript, format, &rules)?.as_bytes())?;
        }
        let spoken = Spoken {
            language: transcript.language.clone(),
            model: transcript.model.clone(),
            segments: transcript.segments.len(),
            dropped: transcript.dropped.len(),
            coverage: transcript.coverage.share(),
            counts,
        };
        Ok(Finished {
            rows: Rows { transcript: Some(row(transcript)), ..Rows::default() },
            summary: settings(&spoken),
            note: None,
            then: journal
                .map(|journal| -> Box<dyn FnOnce()> { Box::new(move || journal.remove()) }),
        })
    }
}

fn row(transcript: Transcript) -> TranscriptRow {
    TranscriptRow {
        coverage: transcript.coverage.share(),
        language: transcript.language,
        language_probability: transcript.language_probability,
        translated: transcript.translated,
        model: transcript.model,
        engine: transcript.engine,
        segments: transcript.segments.into_iter().map(segment).collect(),
    }
}

fn segment(segment: Segment) -> SegmentRow {
    // The word that JSON has for it, as in `transcript.json`.
    let doubt = segment.doubt.and_then(|doubt| settings(&doubt).as_str().map(str::to_owned));
    let word = |word: crate::speech::transcript::Word| WordRow {
        span: word.span,
        text: word.text,
        probability: word.probability,
        spaced: word.spaced,
    };
    SegmentRow {
        span: segment.span,
        text: segment.text,
        language: segment.language,
        language_probability: Some(segment.language_probability),
        avg_logprob: segment.avg_logprob,
        no_speech_prob: segment.no_speech_prob,
        doubt,
        words: segment.words.into_iter().map(word).collect(),
    }
}
