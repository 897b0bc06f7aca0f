//! What a file is made of. A file that is not what it is called is refused.

use super::AssetKind;
use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::limits::Limits;
use crate::media::{StreamKind, probe};
use crate::stills::read_picture;
use crate::timeline::{Template, read_otio};
use serde_json::{Value, json};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use swash::FontRef;
use swash::StringId;

const MOST_TEXT: u64 = 64 << 20;
const MOST_FONT: u64 = 128 << 20;

fn wrong(path: &Path, what: &str) -> Error {
    Error::new(ErrorKind::Input, Stage::Assets, what.to_owned()).input(path)
}

fn bytes(path: &Path, most: u64) -> Result<Vec<u8>> {
    let failed = |e| Error::io(Stage::Assets, path, e);
    let mut out = Vec::new();
    File::open(path).map_err(failed)?.take(most + 1).read_to_end(&mut out).map_err(failed)?;
    match out.len() as u64 > most {
        true => {
            Err(Error::new(ErrorKind::Limit, Stage::Assets, "is too large for its kind")
                .input(path))
        }
        false => Ok(out),
    }
}

fn text(path: &Path) -> Result<String> {
    String::from_utf8(bytes(path, MOST_TEXT)?).map_err(|_| wrong(path, "is no text"))
}

/// What `path`, a file of `kind`, is made of.
///
/// # Errors
/// [`ErrorKind::Input`] where it is no such file; as [`probe`]; I/O failures.
pub fn facts_of(path: &Path, kind: AssetKind, limits: &Limits, cancel: &Cancel) -> Result<Value> {
    match kind {
        AssetKind::Video | AssetKind::Audio => media(path, kind, limits, cancel),
        AssetKind::Image => {
            let (width, height) = read_picture(path)?.dimensions();
            Ok(json!({ "width": width, "height": height }))
        }
        AssetKind::Font => font(path),
        AssetKind::Lut => table(path),
        AssetKind::Template => template(path),
    }
}

fn media(path: &Path, kind: AssetKind, limits: &Limits, cancel: &Cancel) -> Result<Value> {
    let info = probe(path, limits, cancel)?;
    if kind == AssetKind::Audio && info.audio().is_none() {
        return Err(wrong(path, "has no sound"));
    }
    if kind != AssetKind::Audio && info.video().is_none() {
        return Err(wrong(path, "has no pictures"));
    }
    let mut facts = json!({ "container": info.container });
    if let Some(duration) = info.duration {
        facts["duration"] = serde_json::to_value(duration).unwrap_or_default();
    }
    for stream in &info.streams {
        match &stream.kind {
            StreamKind::Video(video) if facts["width"].is_null() => {
                facts["codec"] = stream.codec.clone().into();
                facts["width"] = video.display_width.into();
                facts["height"] = video.display_height.into();
            }
            StreamKind::Audio(audio) if facts["sample_rate"].is_null() => {
                facts["audio_codec"] = stream.codec.clone().into();
                facts["sample_rate"] = audio.sample_rate.into();
                facts["channels"] = audio.channels.into();
            }
            _ => {}
        }
    }
    Ok(facts)
}

fn font(path: &Path) -> Result<Value> {
    let data = bytes(path, MOST_FONT)?;
    let font = FontRef::from_index(&data, 0).ok_or_else(|| wrong(path, "is no font"))?;
    let name = |id| font.localized_strings().find_by_id(id, None).map(|name| name.to_string());
    let metrics = font.metrics(&[]);
    Ok(json!({
        "family": name(StringId::Family),
        "style": name(StringId::SubFamily),
        "glyphs": metrics.glyph_count,
        "variable": font.variations().next().is_some(),
    }))
}

/// Size and title alone: what is in it is checked when it is used.
fn table(path: &Path) -> Result<Value> {
    let text = text(path)?;
    let mut facts = json!({});
    for line in text.lines().map(str::trim) {
        let (key, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let field = match key {
            "LUT_1D_SIZE" => "size_1d",
            "LUT_3D_SIZE" => "size_3d",
            "TITLE" => {
                facts["title"] = rest.trim().trim_matches('"').into();
                continue;
            }
            _ => continue,
        };
        facts[field] =
            rest.trim().parse::<u32>().map_err(|_| wrong(path, "is no colour table"))?.into();
    }
    match facts["size_1d"].is_null() && facts["size_3d"].is_null() {
        true => Err(wrong(path, "is no colour table: it has no LUT_3D_SIZE and no LUT_1D_SIZE")),
        false => Ok(facts),
    }
}

fn template(path: &Path) -> Result<Value> {
    let text = text(path)?;
    let otio = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("otio"));
    let form = match otio {
        true => read_otio(&text).map(|_| "otio").map_err(|faults| faults.to_string()),
        false => Template::parse(&text).map(|_| "spec").map_err(|faults| faults.to_string()),
    };
    match form {
        Ok(form) => Ok(json!({ "form": form })),
        Err(what) => Err(wrong(path, &format!("is no edit spec: {what}"))),
    }
}
