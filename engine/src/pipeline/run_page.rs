//! A run over many films as one page, `report.html` in the library: what came of each, how long it
//! took, what was left out and why; each leads to the film's own page.

use super::{Made, ProcessReport};
use crate::error::Result;
use crate::library::Library;
use crate::text::html::{escape, picture};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

const TEMPLATE: &str = include_str!("run_page.html");

/// Bytes of pictures on a page at most; films behind that have none.
const MAX_PICTURE_BYTES: u64 = 4 << 20;
/// Films on a page; a longer run is cut, and says so.
const MAX_FILMS: usize = 5000;

/// The page of a run, film by film.
#[derive(Debug, Default)]
pub struct RunPage {
    films: Vec<Entry>,
    more: usize,
    took: Duration,
    failed: usize,
    current: usize,
    /// What was left out of films, why, and of how many.
    left_out: BTreeMap<(String, String), usize>,
}

#[derive(Debug)]
struct Entry {
    input: String,
    took: Duration,
    came: Came,
}

#[derive(Debug)]
enum Came {
    /// Nothing had to be done.
    Current(PathBuf),
    /// These stages ran, with the seconds of their own; the reading that they shared.
    Made {
        folder: PathBuf,
        stages: Vec<(String, f64)>,
        reading: f64,
    },
    Failed(String),
}

impl RunPage {
    /// Whether nothing came of any film that was not there before.
    pub fn is_empty(&self) -> bool {
        self.current == self.films.len() + self.more
    }

    /// Adds what came of `input`.
    pub fn add(&mut self, input: &Path, made: &Result<Made<ProcessReport>>, took: Duration) {
        self.took += took;
        let came = match made {
            Err(error) => {
                self.failed += 1;
                Came::Failed(error.to_string())
            }
            Ok(made) => match &made.result {
                None => {
                    self.current += 1;
                    Came::Current(made.output.clone())
                }
                Some(report) => {
                    for left in &report.left_out {
                        let left = (left.stage.clone(), left.why.clone());
                        *self.left_out.entry(left).or_default() += 1;
                    }
                    let ran: Vec<_> = report
                        .stages
                        .iter()
                        .filter(|stage| report.ran.contains(&stage.stage.as_str()))
                        .collect();
                    let reading = ran.iter().filter_map(|stage| stage.reading).fold(0.0, f64::max);
                    let stages = ran.iter().map(|s| (s.stage.clone(), s.seconds)).collect();
                    Came::Made { folder: made.output.clone(), stages, reading }
                }
            },
        };
        if self.films.len() == MAX_FILMS {
            self.more += 1;
        } else {
            let input = input.to_string_lossy().into_owned();
            self.films.push(Entry { input, took, came });
        }
    }

    /// The page, for a file in the library's folder.
    ///
    /// # Errors
    /// As [`crate::library::Catalogue::open`].
    pub fn html(&self, library: &Library) -> Result<String> {
        let films = self.films.len() + self.more;
        let facts = format!(
            "{films} films in {:.1} s: {} made, {} up to date, {} failed",
            self.took.as_secs_f64(),
            films - self.current - self.failed,
            self.current,
            self.failed
        );
        let mut body = String::new();
        let mut left = MAX_PICTURE_BYTES;
        body.push_str("<ul class=\"films\">\n");
        for entry in &self.films {
            self.film(library, entry, &mut left, &mut body)?;
        }
        if self.more > 0 {
            let _ = writeln!(body, "<li>and {} more films</li>", self.more);
        }
        body.push_str("</ul>\n");
        if !self.left_out.is_empty() {
            body.push_str("<h2>What was left out</h2>\n<table><tr><th>stage</th><th>films</th><th>why</th></tr>\n");
            for ((stage, why), films) in &self.left_out {
                let (stage, why) = (escape(stage), escape(why));
                let _ = writeln!(
                    body,
                    "<tr><td>{stage}</td><td class=\"n\">{films}</td><td>{why}</td></tr>"
                );
            }
            body.push_str("</table>\n");
        }
        let mut out = String::with_capacity(TEMPLATE.len() + body.len());
        let mut rest = TEMPLATE;
        while let Some((before, after)) = rest.split_once("{{") {
            out.push_str(before);
            let (name, after) = after.split_once("}}").unwrap_or((after, ""));
            out.push_str(if name == "body" { &body } else { &facts });
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }

    fn film(
        &self,
        library: &Library,
        entry: &Entry,
        left: &mut u64,
        body: &mut String,
    ) -> Result<()> {
        let (folder, told) = match &entry.came {
            Came::Failed(message) => (None, format!("<p class=\"bad\">{}</p>", escape(message))),
            Came::Current(folder) => (Some(folder), "<p>up to date</p>".to_owned()),
            Came::Made { folder, stages, reading } => {
                // The stages side by side, as long as they took; the reading before them.
                let total = reading + stages.iter().map(|(_, took)| took).sum::<f64>();
                let share = |took: f64| 100.0 * took / total.max(1e-9);
                let mut bar = String::new();
                let reading = ("reading".to_owned(), *reading);
                for (stage, took) in std::iter::once(&reading).chain(stages) {
                    if share(*took) >= 0.5 {
                        let title = format!("{}: {took:.2} s", escape(stage));
                        let _ = write!(
                            bar,
                            "<span style=\"width:{:.2}%\" title=\"{title}\">{title}</span>",
                            share(*took)
                        );
                    }
                }
                (Some(folder), format!("<div class=\"bar\">{bar}</div>"))
            }
        };
        let shown = match folder {
            Some(folder) => thumbnail(library, folder, left)?,
            None => None,
        };
        let shown = shown.map_or_else(
            || "<div class=\"none\"></div>".to_owned(),
            |uri| format!("<img alt=\"\" src=\"{uri}\">"),
        );
        let name = Path::new(&entry.input).file_name().unwrap_or_default().to_string_lossy();
        let name = escape(&name);
        let name = match folder.and_then(|folder| folder.file_name()) {
            Some(folder) => {
                let url = crate::text::html::file_url(Path::new(folder));
                // Beside this page: what it is in stays out of the address.
                let url = url.trim_start_matches("file://");
                format!("<a href=\"{}/report.html\">{name}</a>", escape(url))
            }
            None => name,
        };
        let _ = writeln!(
            body,
            "<li>{shown}<div><b>{name}</b> <span class=\"facts\">{:.2} s</span>{told}</div></li>",
            entry.took.as_secs_f64()
        );
        Ok(())
    }
}

/// The first picture that stands for a film, if there is one and room for it.
fn thumbnail(library: &Library, folder: &Path, left: &mut u64) -> Result<Option<String>> {
    if *left < 64 << 10 {
        return Ok(None);
    }
    let (Some(catalogue), Some(name)) = (library.catalogue()?, folder.file_name()) else {
        return Ok(None);
    };
    let Ok(media) = library.find(Path::new(name)) else { return Ok(None) };
    let frames = catalogue.frames_of(media.id, None)?;
    let chosen = frames.iter().filter(|frame| frame.row.shot.is_some()).chain(&frames);
    let file = chosen.filter_map(|frame| frame.row.file.as_deref()).next();
    let place = file.and_then(|file| library.place(&format!("{}/{file}", media.folder)).ok());
    Ok(place.and_then(|place| picture(&place, left)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind, Stage};

    #[test]
    fn names_and_messages_are_text() {
        let folder = tempfile::tempdir().unwrap();
        let evil = "</li><script>x</script>{{body}}";
        let error = Error::new(ErrorKind::Input, Stage::Open, evil);
        let mut page = RunPage::default();
        assert!(page.is_empty());
        page.add(Path::new(evil), &Err(error), Duration::from_millis(1500));
        page.add(Path::new("b.mp4"), &Ok(Made::current("library/b-1".into())), Duration::ZERO);
        assert!(!page.is_empty());
        let html = page.html(&Library::at(folder.path())).unwrap();
        assert!(!html.contains("<script>x"), "{html}");
        assert_eq!(html.matches("<ul class=\"films\">").count(), 1);
        assert!(html.contains("2 films in 1.5 s: 0 made, 1 up to date, 1 failed"), "{html}");
        assert!(html.contains("<a href=\"b-1/report.html\">b.mp4</a>"), "{html}");
    }
}
