//! The report as one page, `report.html`: opened from disk, it needs nothing but itself (and, to
//! play, the film or `audio.flac` beside it).
//!
//! Every text of the film's passes [`escape`](crate::text::html::escape); no text of the film's goes into script or style, and
//! a content security policy keeps the page from loading anything from elsewhere.

use super::features::NAME as FEATURES;
use crate::error::Result;
use crate::library::Library;
use crate::library::catalogue::rows::{FrameRow, Stored};
use crate::library::{Catalogue, MediaRow};
use crate::pipeline::process::ProcessReport;
use crate::text::html::{escape, file_url, picture};
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

const TEMPLATE: &str = include_str!("page.html");

/// Pictures on a page: this many, spread over the film, of no more bytes than this in all.
const MAX_PICTURES: usize = 60;
const MAX_PICTURE_BYTES: u64 = 6 << 20;
/// Lines of text on a page; a longer list is cut, and says so.
const MAX_LINES: usize = 20_000;

/// A button that plays from `time` on.
fn at(time: Timestamp, class: &str, content: &str) -> String {
    let seconds = time.as_secs_f64().max(0.0);
    format!("<button type=\"button\"{class} data-at=\"{seconds:.3}\">{content}</button>")
}

/// What a page is made of.
pub(super) struct Page<'a> {
    pub catalogue: &'a Catalogue,
    pub library: &'a Library,
    pub media: &'a MediaRow,
    pub report: &'a ProcessReport,
    /// Where the film is.
    pub film: &'a Path,
    pub duration: Option<Timestamp>,
    pub has_video: bool,
}

impl Page<'_> {
    /// The page.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub(super) fn html(&self) -> Result<String> {
        let title = self.film.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut facts = Vec::new();
        facts.extend(self.duration.map(|duration| duration.to_string()));
        facts.push(format!("{} bytes", self.media.bytes));
        for stream in self.report.media["streams"].as_array().into_iter().flatten() {
            let text = |field: &str| stream[field].as_str().unwrap_or_default().to_owned();
            let mut fact = format!("{} {}", text("kind"), text("codec"));
            if let (Some(width), Some(height)) =
                (stream["display_width"].as_u64(), stream["display_height"].as_u64())
            {
                fact.push_str(&format!(" {width}×{height}"));
            }
            facts.push(fact);
        }
        facts.push(format!("content {}", self.report.content));
        let body = [
            self.player(),
            self.shots()?,
            self.pictures()?,
            self.chapters()?,
            self.speech()?,
            self.texts()?,
            self.stages(),
        ];
        // In one pass over the template, so that no text can name a place of it.
        let mut out = String::new();
        let mut rest = TEMPLATE;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, after) = after.split_once("}}").unwrap_or((after, ""));
            out.push_str(before);
            match name {
                "title" => out.push_str(&escape(&title)),
                "facts" => out.push_str(&escape(&facts.join(" · "))),
                _ => body.iter().for_each(|part| out.push_str(part)),
            }
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }

    fn player(&self) -> String {
        let tag = if self.has_video { "video" } else { "audio" };
        let mut sources = format!("<source src=\"{}\">", escape(&file_url(self.film)));
        if self.report.audio {
            sources.push_str("<source src=\"audio.flac\">");
        }
        format!(
            "<div class=\"player\"><{tag} id=\"player\" controls preload=\"none\">{sources}</{tag}></div>\n"
        )
    }

    fn shots(&self) -> Result<String> {
        let shots = self.catalogue.shots_of(self.media.id)?;
        let end = shots.last().map(|shot| shot.row.span.end);
        let length = self.duration.into_iter().chain(end).max().map_or(0.0, Timestamp::as_secs_f64);
        if shots.is_empty() || length <= 0.0 {
            return Ok(String::new());
        }
        let mut out = format!("<h2>{} shots</h2>\n<div class=\"timeline\">", shots.len());
        for shot in shots.iter().take(MAX_LINES) {
            let span = shot.row.span;
            let share = |time: Timestamp| 100.0 * (time.as_secs_f64() / length).clamp(0.0, 1.0);
            let (left, width) = (share(span.start), share(span.end) - share(span.start));
            let title = escape(&format!("{} - {} {}", span.start, span.end, shot.row.transition));
            let look = format!(
                " style=\"left:{left:.4}%;width:{width:.4}%\" title=\"{title}\" aria-label=\"{title}\""
            );
            out.push_str(&at(span.start, &look, ""));
        }
        out.push_str("</div>\n");
        Ok(out)
    }

    fn pictures(&self) -> Result<String> {
        // Those that stand for shots, which are chosen to be looked at; where there are none, others.
        let frames = match self.catalogue.frames_of(self.media.id, Some(FEATURES))? {
            frames if frames.is_empty() => self.catalogue.frames_of(self.media.id, None)?,
            mut frames => {
                // A picture that comes again is shown where it comes first.
                let mut seen = BTreeSet::new();
                frames.retain(|frame| seen.insert(frame.row.file.clone()));
                frames
            }
        };
        let frames: Vec<_> = frames.iter().filter(|frame| frame.row.file.is_some()).collect();
        let step = frames.len().div_ceil(MAX_PICTURES).max(1);
        let mut left = MAX_PICTURE_BYTES;
        let mut shown = String::new();
        let mut count = 0;
        for frame in frames.iter().step_by(step) {
            if let Some(uri) = self.data_uri(frame, &mut left) {
                let time = escape(&frame.row.time.to_string());
                let picture = format!("<img src=\"{uri}\" alt=\"at {time}\">{time}");
                shown.push_str(&at(frame.row.time, "", &picture));
                count += 1;
            }
        }
        if count == 0 {
            return Ok(String::new());
        }
        let all = frames.len();
        let of =
            if count < all { format!("{count} of {all} frames") } else { format!("{all} frames") };
        Ok(format!("<h2>{of}</h2>\n<div class=\"frames\">{shown}</div>\n"))
    }

    /// The picture of a frame as a `data:` URI, if there is room for it.
    fn data_uri(&self, frame: &Stored<FrameRow>, left: &mut u64) -> Option<String> {
        let file = frame.row.file.as_deref()?;
        let path = self.library.place(&format!("{}/{file}", self.media.folder)).ok()?;
        picture(&path, left)
    }

    /// Chapters, each with the terms that are said or written in it.
    fn chapters(&self) -> Result<String> {
        let chapters = self.catalogue.chapters_of(self.media.id)?;
        if chapters.is_empty() {
            return Ok(String::new());
        }
        let keywords = self.catalogue.keywords_of(self.media.id)?;
        let mut out = String::from("<h2>Chapters</h2>\n<ul class=\"lines\">\n");
        for chapter in chapters.iter().take(MAX_LINES) {
            let own = keywords.iter().filter(|row| chapter.span.contains(row.span.start));
            let terms: std::collections::BTreeSet<&str> =
                own.map(|row| row.term.as_str()).collect();
            let terms = terms.into_iter().collect::<Vec<_>>().join(", ");
            let text = match terms.is_empty() {
                true => chapter.title.clone(),
                false => format!("{} ({terms})", chapter.title),
            };
            let time = at(chapter.span.start, "", &escape(&chapter.span.start.to_string()));
            let _ = writeln!(out, "<li>{time}<span>{}</span></li>", escape(&text));
        }
        out.push_str(&cut(chapters.len()));
        out.push_str("</ul>\n");
        Ok(out)
    }

    fn speech(&self) -> Result<String> {
        let Some(transcript) = self.catalogue.transcript_of(self.media.id)? else {
            return Ok(String::new());
        };
        let row = transcript.row;
        let mut out = format!(
            "<h2>What is said</h2>\n<p class=\"facts\">{}; {:.0} % of the detected speech has text</p>\n<ul class=\"lines\" lang=\"{}\">\n",
            escape(&format!("{}, by {} ({})", row.language, row.model, row.engine)),
            row.coverage * 100.0,
            escape(&row.language),
        );
        for segment in row.segments.iter().take(MAX_LINES) {
            let doubt = segment.doubt.as_deref().map_or_else(String::new, |doubt| {
                format!(" class=\"doubt\" title=\"{}\"", escape(doubt))
            });
            let time = at(segment.span.start, "", &escape(&segment.span.start.to_string()));
            let _ = writeln!(out, "<li{doubt}>{time}<span>{}</span></li>", escape(&segment.text));
        }
        out.push_str(&cut(row.segments.len()));
        out.push_str("</ul>\n");
        Ok(out)
    }

    fn texts(&self) -> Result<String> {
        let texts = self.catalogue.texts_of(self.media.id)?;
        if texts.is_empty() {
            return Ok(String::new());
        }
        let frames = self.catalogue.frames_of(self.media.id, None)?;
        let times: std::collections::BTreeMap<i64, Timestamp> =
            frames.iter().map(|frame| (frame.id, frame.row.time)).collect();
        let mut out = String::from("<h2>What is written</h2>\n<ul class=\"lines\">\n");
        for text in texts.iter().take(MAX_LINES) {
            let crate::library::catalogue::rows::RowRef::Known(frame) = text.row.frame else {
                continue;
            };
            let shown = times.get(&frame).copied().unwrap_or(Timestamp::ZERO);
            let time = text.row.span.map_or(shown, |span| span.start);
            let button = at(time, "", &escape(&time.to_string()));
            let _ = writeln!(out, "<li>{button}<span>{}</span></li>", escape(&text.row.text));
        }
        out.push_str(&cut(texts.len()));
        out.push_str("</ul>\n");
        Ok(out)
    }

    fn stages(&self) -> String {
        let mut out = String::from("<h2>How it was made</h2>\n");
        // One reading for each run that some of these results are of.
        let mut readings: BTreeMap<i64, (f64, Vec<&str>)> = BTreeMap::new();
        for stage in &self.report.stages {
            if let Some(took) = stage.reading {
                let reading = readings.entry(stage.began_ms).or_insert((took, Vec::new()));
                reading.1.push(&stage.stage);
            }
        }
        out.push_str("<table><tr><th>stage</th><th>seconds of its own</th><th></th></tr>\n");
        for (took, stages) in readings.values() {
            let _ = writeln!(
                out,
                "<tr><td>reading the film</td><td class=\"n\">{took:.2}</td><td>once for {}</td></tr>",
                escape(&stages.join(", "))
            );
        }
        for stage in &self.report.stages {
            let (class, note) = match (&stage.note, stage.done) {
                (Some(note), false) => (" class=\"bad\"", format!("failed: {note}")),
                (Some(note), true) => ("", note.clone()),
                (None, _) => ("", String::new()),
            };
            let _ = writeln!(
                out,
                "<tr><td>{}</td><td class=\"n\">{:.2}</td><td{class}>{}</td></tr>",
                escape(&stage.stage),
                stage.seconds,
                escape(&note)
            );
        }
        out.push_str("</table>\n");
        if !self.report.left_out.is_empty() {
            out.push_str("<h2>What was left out</h2>\n<table>\n");
            for left in &self.report.left_out {
                let (stage, why) = (escape(&left.stage), escape(&left.why));
                let _ = writeln!(out, "<tr><td>{stage}</td><td>{why}</td></tr>");
            }
            out.push_str("</table>\n");
        }
        for notice in &self.report.notices {
            let text = notice["text"].as_str().unwrap_or_default();
            let _ = writeln!(out, "<p>{}</p>", escape(text));
        }
        out
    }
}

fn cut(lines: usize) -> String {
    match lines.checked_sub(MAX_LINES) {
        None | Some(0) => String::new(),
        Some(more) => format!("<li>and {more} more lines</li>\n"),
    }
}
