//! The clips of an edit chosen from a library, and the edit.

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::library::{Catalogue, Library};
use crate::search::snap::{Edge, Marks, Snapped, snap};
use crate::search::{Hit, Reason, marks};
use crate::time::{Span, Timestamp};
use crate::timeline::{
    Animated, Asset, Canvas, CaptionSpec, Fit, Focus, Outline, Output, Preset, Rate, Rgb, Safe,
    Size, Sound, TextLook, Timeline, VERSION, VideoItem, VideoSettings, VideoTrack,
};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// A stretch of a film that somebody wants, best first.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The film's number in the catalogue.
    pub media: i64,
    /// The stretch.
    pub span: Span,
    /// Why.
    pub why: Why,
}

/// Why a stretch is wanted.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "wanted")]
pub enum Why {
    /// It answers a question.
    Answer {
        /// The question.
        question: String,
        /// Its place among the answers, from 1.
        rank: usize,
        /// What makes it an answer, the weightiest reason first.
        reasons: Vec<Reason>,
    },
    /// It is a shot of the film.
    Shot {
        /// Its number, from 1.
        number: usize,
    },
    /// It was named.
    Named,
}

impl Wish {
    /// The answers to a question.
    pub fn of_hits(question: &str, hits: &[Hit]) -> Vec<Self> {
        let why = |(i, hit): (usize, &Hit)| Why::Answer {
            question: question.to_owned(),
            rank: i + 1,
            reasons: hit.why.clone(),
        };
        let wish =
            |hit: (usize, &Hit)| Self { media: hit.1.media, span: hit.1.span, why: why(hit) };
        hits.iter().enumerate().map(wish).collect()
    }

    /// Every shot of a film.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn of_shots(catalogue: &Catalogue, media: i64) -> Result<Vec<Self>> {
        let shots = catalogue.shots_of(media)?;
        let wish = |(i, span)| Self { media, span, why: Why::Shot { number: i + 1 } };
        Ok(shots.into_iter().map(|shot| shot.row.span).enumerate().map(wish).collect())
    }
}

/// In which order clips follow each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The most wanted first.
    #[default]
    Rank,
    /// As they follow each other in their films, films in order of what is most wanted of them.
    Time,
}

/// How an edit is put together.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The longest clip.
    pub clip: Timestamp,
    /// How long the edit may be; what does not fit any more is left out.
    pub length: Timestamp,
    /// The order.
    pub order: Order,
    /// The canvas's size; that of the first film if absent.
    pub size: Option<Size>,
    /// The destination that it is for, which says the size too.
    pub preset: Option<String>,
    /// Whether what is said is written, the word that is being said lit up.
    pub captions: bool,
}

/// A clip that was chosen.
#[derive(Clone, Debug, Serialize)]
pub struct Choice {
    /// The film.
    pub film: PathBuf,
    /// What was wanted.
    pub wanted: Span,
    /// What is shown.
    pub span: Span,
    /// Why it begins there.
    pub start: Edge,
    /// Why it ends there.
    pub end: Edge,
    /// Why it is there at all.
    pub why: Why,
    /// What is said in it.
    pub said: String,
    #[serde(skip)]
    media: i64,
}

/// A stretch that was wanted and is not in the edit.
#[derive(Clone, Debug, Serialize)]
pub struct LeftOut {
    /// The film.
    pub media: i64,
    /// What was wanted.
    pub wanted: Span,
    /// Why it is not there.
    pub because: String,
}

/// An edit and how it came about.
#[derive(Clone, Debug)]
pub struct Remix {
    /// The edit; each item's `note` holds its choice.
    pub timeline: Timeline,
    /// Its clips in order.
    pub choices: Vec<Choice>,
    /// What is not in it.
    pub left_out: Vec<LeftOut>,
}

/// Films of a library, looked up once each.
pub(super) struct Films<'a> {
    library: &'a Library,
    catalogue: &'a Catalogue,
    known: HashMap<i64, Known>,
}

/// What an edit needs to know of a film.
pub(super) struct Known {
    /// A file that is there, if any is.
    pub path: Option<PathBuf>,
    folder: PathBuf,
    pub marks: Marks,
    info: Value,
}

impl<'a> Films<'a> {
    pub(super) fn new(library: &'a Library, catalogue: &'a Catalogue) -> Self {
        Self { library, catalogue, known: HashMap::new() }
    }

    pub(super) fn know(&mut self, media: i64) -> Result<&Known> {
        if !self.known.contains_key(&media) {
            let known = self.look(media)?;
            self.known.insert(media, known);
        }
        self.known.get(&media).ok_or_else(|| {
            Error::new(ErrorKind::Internal, Stage::Search, "a film that was just looked up is gone")
        })
    }

    fn look(&self, media: i64) -> Result<Known> {
        let row = self.catalogue.by_id(media)?.ok_or_else(|| {
            Error::new(ErrorKind::Input, Stage::Search, format!("there is no film {media}"))
        })?;
        let paths = self.catalogue.paths_of(media)?;
        let probe = self.catalogue.probe_of(media)?;
        Ok(Known {
            path: paths.into_iter().map(|seen| seen.path).find(|path| path.is_file()),
            folder: self.library.place(&row.folder)?,
            marks: marks(self.catalogue, media)?,
            info: probe.map_or(Value::Null, |probe| probe.info),
        })
    }
}

/// The edit of what is wanted. Stretches that overlap one that is wanted more are left out, and so
/// is what does not fit the length.
///
/// # Errors
/// [`ErrorKind::Input`] if nothing of it can be shown; as [`Catalogue::open`].
pub fn remix(
    library: &Library,
    catalogue: &Catalogue,
    wishes: &[Wish],
    rules: &Rules,
) -> Result<Remix> {
    let mut films = Films::new(library, catalogue);
    let mut choices: Vec<Choice> = Vec::new();
    let mut left_out = Vec::new();
    let mut total = Timestamp::ZERO;
    for wish in wishes {
        match choose(wish, films.know(wish.media)?, &choices, rules, total) {
            Ok(choice) => {
                total = total.plus(choice.span.duration());
                choices.push(choice);
            }
            Err(because) => {
                let (media, wanted) = (wish.media, wish.span);
                left_out.push(LeftOut { media, wanted, because });
            }
        }
    }
    if choices.is_empty() {
        let why = left_out.first().map_or("nothing was found".into(), |left| left.because.clone());
        return Err(Error::new(ErrorKind::Input, Stage::Search, format!("nothing to show: {why}"))
            .hint("ask for something else, or `rushes process` more films"));
    }
    if rules.order == Order::Time {
        let mut first: Vec<i64> = Vec::new();
        for choice in &choices {
            if !first.contains(&choice.media) {
                first.push(choice.media);
            }
        }
        let place = |media| first.iter().position(|m| *m == media);
        choices.sort_by_key(|choice| (place(choice.media), choice.span.start));
    }
    let timeline = timeline(&mut films, &choices, rules)?;
    Ok(Remix { timeline, choices, left_out })
}

fn choose(
    wish: &Wish,
    film: &Known,
    before: &[Choice],
    rules: &Rules,
    total: Timestamp,
) -> std::result::Result<Choice, String> {
    let path = film.path.clone().ok_or("none of the film's files is where it was")?;
    let Snapped { span, start, end } =
        snap(wish.span, &film.marks, rules.clip).ok_or("it is too short or lies past the end")?;
    let overlaps = |choice: &&Choice| {
        choice.media == wish.media && choice.span.start < span.end && span.start < choice.span.end
    };
    if let Some(other) = before.iter().find(overlaps) {
        let at = other.span.start.as_secs_f64();
        return Err(format!("it overlaps the clip from {at:.2} s, which is wanted more"));
    }
    if !before.is_empty() && total.plus(span.duration()) > rules.length {
        return Err("the edit is long enough without it".into());
    }
    let words = film.marks.said.iter().flat_map(|said| &said.words);
    let inside = words.filter(|(word, _)| span.start <= word.start && word.end <= span.end);
    let said: Vec<&str> = inside.map(|(_, text)| text.as_str()).collect();
    Ok(Choice {
        film: path,
        wanted: wish.span,
        span,
        start,
        end,
        why: wish.why.clone(),
        said: said.join(" "),
        media: wish.media,
    })
}

fn timeline(films: &mut Films<'_>, choices: &[Choice], rules: &Rules) -> Result<Timeline> {
    let mut assets: BTreeMap<String, Asset> = BTreeMap::new();
    let mut names: HashMap<i64, String> = HashMap::new();
    let mut captions = Vec::new();
    let mut items = Vec::new();
    let preset = rules.preset.as_deref().map(|name| Preset::named(name, "")).transpose()?;
    let size = preset.as_ref().map(|preset| preset.size).or(rules.size);
    let canvas = canvas(&films.know(choices[0].media)?.info, size);
    let upright = canvas.size.height > canvas.size.width;
    for choice in choices {
        let focus = is_narrower(canvas.size, &films.know(choice.media)?.info).then_some(Focus {
            x: Animated::Still(0.5),
            y: Animated::Still(0.5),
            follow: Some(true),
        });
        let name = match names.get(&choice.media) {
            Some(name) => name.clone(),
            None => {
                let name = format!("film{}", names.len() + 1);
                let file = Some(text(&choice.film)?);
                assets.insert(name.clone(), Asset { file, ..Asset::default() });
                names.insert(choice.media, name.clone());
                let said = films.know(choice.media)?.folder.join("transcript.json");
                if rules.captions && said.is_file() {
                    captions.push(caption(text(&said)?, &name, upright));
                }
                name
            }
        };
        items.push(VideoItem {
            asset: Some(name),
            from: Some(choice.span.start.into()),
            to: Some(choice.span.end.into()),
            fit: Some(Fit::Cover),
            focus,
            note: Some(json!(choice)),
            ..VideoItem::blank()
        });
    }
    let output = match &rules.preset {
        Some(_) => Output { preset: rules.preset.clone(), ..Output::default() },
        None => Output {
            video: Some(VideoSettings {
                crf: Some(20.0),
                preset: Some("fast".into()),
                ..VideoSettings::default()
            }),
            ..Output::default()
        },
    };
    let loud = preset.and_then(|preset| preset.sound);
    Ok(Timeline {
        rushes: VERSION,
        name: None,
        variables: BTreeMap::new(),
        matrix: BTreeMap::new(),
        canvas,
        assets,
        video: vec![VideoTrack { name: None, items }],
        audio: Vec::new(),
        sound: loud.or(Some(Sound { loudness: Some(-16.0), true_peak: None })),
        captions,
        fonts: Vec::new(),
        outputs: vec![output],
    })
}

pub(super) fn text(path: &Path) -> Result<String> {
    let path = std::path::absolute(path).map_err(|e| Error::io(Stage::Search, path, e))?;
    path.to_str().map(str::to_owned).ok_or_else(|| {
        let what = "has a name that is not Unicode, which a spec cannot hold";
        Error::new(ErrorKind::Input, Stage::Search, what).input(&path)
    })
}

fn caption(file: String, asset: &str, upright: bool) -> CaptionSpec {
    const YELLOW: Rgb = Rgb { rgb: [0xff, 0xde, 0x00], alpha: 255 };
    CaptionSpec {
        file,
        asset: Some(asset.to_owned()),
        styles: None,
        look: Some(TextLook {
            family: None,
            size: Some(if upright { 0.07 } else { 0.055 }),
            weight: None,
            italic: None,
            colour: None,
            outline: Some(Outline { width: Some(0.08), colour: None }),
            shadow: None,
            r#box: None,
            align: None,
            line_height: None,
        }),
        upcoming: None,
        active: Some(YELLOW),
        active_scale: None,
        said: None,
        x: None,
        y: upright.then_some(0.85),
        safe: upright.then_some(Safe::Phone),
        columns: upright.then_some(20),
        lines: None,
    }
}

/// Whether a canvas shows less of a film's width than there is, so that somebody has to choose.
fn is_narrower(canvas: Size, info: &Value) -> bool {
    own_size(info).is_some_and(|(width, height)| {
        u64::from(canvas.width) * u64::from(height) < u64::from(canvas.height) * u64::from(width)
    })
}

/// A film's pictures.
fn pictures(info: &Value) -> Option<&Value> {
    let mut streams = info["streams"].as_array()?.iter();
    streams.find(|stream| stream["kind"] == "video" && stream["cover"] != true)
}

/// Width and height as shown.
fn own_size(info: &Value) -> Option<(u32, u32)> {
    let side = |name: &str| u32::try_from(pictures(info)?[name].as_u64()?).ok();
    side("display_width").zip(side("display_height"))
}

/// Of the wanted size, else of the film's; at the film's rate where it is known.
fn canvas(info: &Value, size: Option<Size>) -> Canvas {
    let rate = pictures(info).and_then(|video| Rate::parse(video["frame_rate"].as_str()?));
    let even = |side: u32| (side & !1).clamp(16, 16_384);
    let own =
        own_size(info).map(|(width, height)| Size { width: even(width), height: even(height) });
    Canvas {
        size: size.or(own).unwrap_or(Size { width: 1920, height: 1080 }),
        rate: rate.unwrap_or(Rate::PAL),
        background: None,
        colour: None,
    }
}
