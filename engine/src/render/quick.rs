//! Edits that need no spec: a stretch of one film, films one after the other.

use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::limits::Limits;
use crate::media::{StreamKind, probe};
use crate::time::Timestamp;
use crate::timeline::{
    Asset, Canvas, ColourSpace, Output, Rate, Size, Timeline, VERSION, VideoItem, VideoSettings,
    VideoTrack,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A stretch of a film: from a time on (its start if absent) up to another (its end if absent).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The film.
    pub film: PathBuf,
    /// Where it starts.
    pub from: Option<Timestamp>,
    /// The first point that does not belong to it.
    pub to: Option<Timestamp>,
}

/// An edit of `stretches` one after the other, on a canvas like the first one: of its size as shown,
/// its rate and its colour. Pictures that cannot be copied are encoded well (x264, CRF 18).
///
/// # Errors
/// [`ErrorKind::Input`] if there are none, or the first holds no moving pictures.
pub fn sequence(stretches: &[Stretch], limits: &Limits, cancel: &Cancel) -> Result<Timeline> {
    let first = stretches
        .first()
        .ok_or_else(|| Error::new(ErrorKind::Input, Stage::Render, "nothing to put together"))?;
    let canvas = canvas_of(&first.film, limits, cancel)?;
    let mut assets = BTreeMap::new();
    let mut items = Vec::new();
    for stretch in stretches {
        let file = stretch.film.to_str().ok_or_else(|| {
            Error::new(ErrorKind::Input, Stage::Render, "has a name that is not Unicode")
                .input(&stretch.film)
        })?;
        let asset = Asset { file: Some(file.to_owned()), ..Asset::default() };
        let known = assets
            .iter()
            .find(|(_, known)| **known == asset)
            .map(|(name, _): (&String, _)| name.clone());
        let name = known.unwrap_or_else(|| format!("film{}", assets.len() + 1));
        assets.insert(name.clone(), asset);
        items.push(VideoItem {
            asset: Some(name),
            from: stretch.from.map(Into::into),
            to: stretch.to.map(Into::into),
            ..VideoItem::blank()
        });
    }
    let video =
        VideoSettings { crf: Some(18.0), preset: Some("fast".into()), ..VideoSettings::default() };
    Ok(Timeline {
        rushes: VERSION,
        name: None,
        variables: BTreeMap::new(),
        matrix: BTreeMap::new(),
        canvas,
        assets,
        video: vec![VideoTrack { name: None, items }],
        audio: Vec::new(),
        sound: None,
        captions: Vec::new(),
        fonts: Vec::new(),
        outputs: vec![Output { video: Some(video), ..Output::default() }],
    })
}

/// A canvas on which a film needs no change.
fn canvas_of(film: &Path, limits: &Limits, cancel: &Cancel) -> Result<Canvas> {
    let info = probe(film, limits, cancel)?;
    let video = match info.video().map(|stream| &stream.kind) {
        Some(StreamKind::Video(video)) => video,
        _ => {
            return Err(
                Error::new(ErrorKind::Input, Stage::Render, "holds no moving pictures").input(film)
            );
        }
    };
    let even = |side: u32| (side & !1).clamp(16, 16_384);
    let size = Size { width: even(video.display_width), height: even(video.display_height) };
    let rate = video.frame_rate.as_deref().and_then(Rate::parse);
    let colour = match video.colour.matrix.as_deref() {
        Some("bt709") => ColourSpace::Bt709,
        Some("bt2020nc" | "bt2020c") => ColourSpace::Bt2020,
        Some(_) => ColourSpace::Bt601,
        // The rule for what is unmarked.
        None if video.height >= 720 || video.width >= 1280 => ColourSpace::Bt709,
        None => ColourSpace::Bt601,
    };
    Ok(Canvas { size, rate: rate.unwrap_or(Rate::PAL), background: None, colour: Some(colour) })
}
