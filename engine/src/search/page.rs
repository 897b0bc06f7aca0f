//! An answer as one page that needs nothing but itself: pictures are in it, and times lead to the
//! films where they lie.

use super::moment::{Hit, Reason};
use super::query::Answer;
use crate::error::Result;
use crate::library::Library;
use crate::text::html::{escape, file_url, picture};
use std::fmt::Write;
use std::path::Path;

const TEMPLATE: &str = include_str!("page.html");

/// Bytes of pictures on a page at most.
const MAX_PICTURE_BYTES: u64 = 6 << 20;

/// `answer` as a page with the heading `question`. Whatever films and their names hold is text in
/// it, never markup.
///
/// # Errors
/// As [`Catalogue::open`](crate::library::Catalogue::open).
pub fn page(library: &Library, question: &str, answer: &Answer) -> Result<String> {
    let mut left = MAX_PICTURE_BYTES;
    let mut body = String::new();
    for note in &answer.notes {
        let _ = writeln!(body, "<p>{}</p>", escape(note));
    }
    if answer.hits.is_empty() {
        body.push_str("<p>Nothing was found.</p>");
    }
    body.push_str("<ol>\n");
    for hit in &answer.hits {
        let shown = picture_of(library, hit)?;
        let uri = shown.and_then(|file| picture(&library.place(&file).ok()?, &mut left));
        let shown = match uri {
            Some(uri) => format!("<img alt=\"\" src=\"{uri}\">"),
            None => "<div class=\"none\"></div>".to_owned(),
        };
        let url = format!(
            "{}#t={:.3},{:.3}",
            file_url(Path::new(&hit.path)),
            hit.span.start.as_secs_f64().max(0.0),
            hit.span.end.as_secs_f64()
        );
        let _ = write!(
            body,
            "<li>{shown}<div><a href=\"{}\">{} – {}</a> <span class=\"film\">{}</span>",
            escape(&url),
            hit.span.start,
            hit.span.end,
            escape(&hit.name)
        );
        for why in &hit.why {
            let (way, what) = words(why);
            let _ = write!(body, "<p class=\"why\"><b>{way}</b> {}</p>", escape(&what));
        }
        for also in &hit.also {
            let at = format!("{} at {}", also.name, also.span.start);
            let _ = write!(body, "<p class=\"why\"><b>also in</b> {}</p>", escape(&at));
        }
        body.push_str("</div></li>\n");
    }
    body.push_str("</ol>");
    let mut out = String::with_capacity(TEMPLATE.len() + body.len());
    let mut rest = TEMPLATE;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        out.push_str(if name == "body" { body.as_str() } else { "" });
        if name == "title" {
            out.push_str(&escape(question));
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// The picture that a hit is about, or the last one kept before it begins, in the library.
fn picture_of(library: &Library, hit: &Hit) -> Result<Option<String>> {
    let of_reason = |why: &Reason| match why {
        Reason::Shown { picture, .. } | Reason::Looks { picture, .. } => picture.clone(),
        _ => None,
    };
    if let Some(picture) = hit.why.iter().find_map(of_reason) {
        return Ok(Some(picture));
    }
    let Some(catalogue) = library.catalogue()? else { return Ok(None) };
    let mut frames = catalogue.frames_of(hit.media, None)?;
    frames.retain(|frame| frame.row.file.is_some());
    frames.sort_by_key(|frame| frame.row.time);
    let before = frames.iter().rfind(|frame| frame.row.time <= hit.span.start);
    let file = before.or(frames.first()).and_then(|frame| frame.row.file.as_ref());
    Ok(file.map(|file| format!("{}/{file}", hit.folder)))
}

/// A reason in words: the way, and what was found on it.
fn words(why: &Reason) -> (&'static str, String) {
    match why {
        Reason::Said { text, .. } => ("said", text.clone()),
        Reason::Meant { likeness, text } => ("meant", format!("{text} ({likeness:.2})")),
        Reason::Written { text, .. } => ("written", text.clone()),
        Reason::Shown { label, probability, .. } => {
            ("shown", format!("{label} ({:.0} %)", probability * 100.0))
        }
        Reason::Looks { likeness, .. } => ("looks alike", format!("({likeness:.2})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Span, Timestamp};

    #[test]
    fn nothing_in_a_film_or_question_becomes_markup() {
        let folder = tempfile::tempdir().unwrap();
        let evil = "</script><img src=x onerror=\"1\">'{{body}}";
        let hit = Hit {
            media: 1,
            name: evil.into(),
            path: format!("/films/{evil}"),
            folder: "../..".into(),
            span: Span { start: Timestamp::from_secs(1), end: Timestamp::from_secs(2) },
            score: 1.0,
            why: vec![
                Reason::Said { words: vec![evil.into()], text: evil.into() },
                Reason::Looks { likeness: 0.5, picture: Some("../../etc/x.jpg".into()) },
            ],
            also: vec![super::super::moment::Also {
                media: 2,
                name: evil.into(),
                path: evil.into(),
                span: Span { start: Timestamp::ZERO, end: Timestamp::ZERO },
            }],
        };
        let answer = Answer { hits: vec![hit], notes: vec![evil.into()] };
        let page = page(&Library::at(folder.path()), evil, &answer).unwrap();
        assert!(!page.contains("<img src=x") && !page.contains("</script>"), "{page}");
        assert_eq!(page.matches("<ol>").count(), 1, "the question is not filled in again");
        assert!(page.contains("#t=1.000,2.000"), "{page}");
    }
}
