//! The way in for subtitle files: encoding, format and limits.

use super::captions::{Caption, Captions, Region, Style};
use super::{SubtitleFormat, ass, srt, webvtt};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::limits::Limits;

/// What a subtitle file may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptionLimits {
    /// Bytes of the file. Default 64 MiB.
    pub bytes: usize,
    /// Captions in it, overlapping or not. Default 200,000.
    pub cues: usize,
}

impl Default for CaptionLimits {
    fn default() -> Self {
        Self { bytes: 64 << 20, cues: 200_000 }
    }
}

/// Reads SRT, WebVTT, ASS or SSA, whichever it is, with the default limits.
///
/// # Errors
/// As [`read_with`].
pub fn read(bytes: &[u8]) -> Result<Captions> {
    read_with(bytes, None, &CaptionLimits::default())
}

/// Reads `bytes` as `format`, or as what they look like.
///
/// The encoding is UTF-8, or UTF-16 where a byte order mark says so; what is not valid UTF-8 is
/// taken for Windows-1252, except in WebVTT, which is always UTF-8.
///
/// # Errors
/// [`ErrorKind::Input`] where it is no subtitle file (or WebVTT without its signature),
/// [`ErrorKind::Unsupported`] for a `format` that is only written, [`ErrorKind::Limit`] where
/// `limits` are passed.
pub fn read_with(
    bytes: &[u8],
    format: Option<SubtitleFormat>,
    limits: &CaptionLimits,
) -> Result<Captions> {
    if bytes.len() > limits.bytes {
        return Err(Limits::exceeded(
            Stage::Subtitles,
            format!("a subtitle file of {} bytes", bytes.len()),
            format!("{} bytes", limits.bytes),
        ));
    }
    let (text, encoding) = decode(bytes, format);
    let format = match format {
        Some(format) => format,
        None => detect(&text).ok_or_else(|| {
            Error::new(ErrorKind::Input, Stage::Subtitles, "not SRT, WebVTT or ASS subtitles")
                .hint("check that it is the right file")
        })?,
    };
    let mut budget = Budget { left: limits.cues, limit: limits.cues };
    let parsed = match format {
        SubtitleFormat::Srt => srt::parse(&text, &mut budget)?,
        SubtitleFormat::WebVtt => webvtt::parse(&text, &mut budget)?,
        SubtitleFormat::Ass => ass::parse(&text, &mut budget)?,
        SubtitleFormat::Txt | SubtitleFormat::Tsv | SubtitleFormat::Json => {
            let message = format!("{} is written and not read as subtitles", format.as_str());
            return Err(Error::new(ErrorKind::Unsupported, Stage::Subtitles, message));
        }
    };
    Ok(Captions {
        format,
        encoding,
        language: parsed.language,
        cues: parsed.cues,
        regions: parsed.regions,
        stylesheets: parsed.stylesheets,
        styles: parsed.styles,
        notes: parsed.notes,
        info: parsed.info,
        skipped: parsed.skipped,
    })
}

/// What a format's reader found.
#[derive(Default)]
pub(super) struct Parsed {
    pub language: Option<String>,
    pub cues: Vec<Caption>,
    pub regions: Vec<Region>,
    pub stylesheets: Vec<String>,
    pub styles: Vec<Style>,
    pub notes: Vec<String>,
    pub info: Vec<(String, String)>,
    pub skipped: usize,
}

/// How many more captions may come.
pub(super) struct Budget {
    left: usize,
    limit: usize,
}

impl Budget {
    /// Asks for room for one more caption (or style, or note).
    pub(super) fn cue(&mut self) -> Result<()> {
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            Limits::exceeded(
                Stage::Subtitles,
                "the number of captions".into(),
                format!("{} captions", self.limit),
            )
        })?;
        Ok(())
    }
}

fn decode(bytes: &[u8], format: Option<SubtitleFormat>) -> (String, &'static str) {
    let encoding = match encoding_rs::Encoding::for_bom(bytes) {
        Some((encoding, _)) => encoding,
        None if format == Some(SubtitleFormat::WebVtt)
            || bytes.starts_with(b"WEBVTT")
            || std::str::from_utf8(bytes).is_ok() =>
        {
            encoding_rs::UTF_8
        }
        None => encoding_rs::WINDOWS_1252,
    };
    let (text, _) = encoding.decode_with_bom_removal(bytes);
    (text.into_owned(), encoding.name())
}

fn detect(text: &str) -> Option<SubtitleFormat> {
    if text.starts_with("WEBVTT") {
        return Some(SubtitleFormat::WebVtt);
    }
    for line in text.split(['\n', '\r']) {
        if srt::is_timing(line) {
            return Some(SubtitleFormat::Srt);
        }
        if ass::is_head(line) {
            return Some(SubtitleFormat::Ass);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn encodings() {
        let srt = "1\n00:00:01,000 --> 00:00:02,000\nFüße\n";
        let utf16: Vec<u8> =
            "\u{feff}".chars().chain(srt.chars()).flat_map(|c| (c as u16).to_le_bytes()).collect();
        let big: Vec<u8> =
            "\u{feff}".chars().chain(srt.chars()).flat_map(|c| (c as u16).to_be_bytes()).collect();
        let latin: Vec<u8> = srt.chars().map(|c| c as u8).collect();
        let bom = format!("\u{feff}{srt}");
        for (bytes, name) in [
            (srt.as_bytes(), "UTF-8"),
            (bom.as_bytes(), "UTF-8"),
            (&utf16, "UTF-16LE"),
            (&big, "UTF-16BE"),
            (&latin, "windows-1252"),
        ] {
            let captions = read(bytes).unwrap();
            assert_eq!(captions.encoding, name);
            assert_eq!(captions.cues.len(), 1);
            assert_eq!(captions.cues[0].text(), "Füße", "{name}");
            assert_eq!(captions.cues[0].start, Timestamp::from_secs(1));
        }
    }

    #[test]
    fn limits_and_other_files() {
        let limits = CaptionLimits { bytes: 1 << 20, cues: 10 };
        let many = "00:00:01,000 --> 00:00:02,000\na\n\n".repeat(11);
        let error = read_with(many.as_bytes(), None, &limits).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit);
        let error = read_with(&vec![b' '; (1 << 20) + 1], None, &limits).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit);
        for other in [&b""[..], b"some text", b"{\"a\": 1}", b"\x00\x01\x02", b"1"] {
            assert_eq!(read(other).unwrap_err().kind(), ErrorKind::Input);
        }
        let json = read_with(b"{}", Some(SubtitleFormat::Json), &limits).unwrap_err();
        assert_eq!(json.kind(), ErrorKind::Unsupported);
    }
}
