//! What file is made of an edit: container, codecs and settings, with what is not said filled in.

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::media::{
    FilmCodec, FilmColour, FilmEncoding, FilmFormat, Quality, RateLimit, SoundCodec,
};
use crate::stills::AnimationFormat;
use crate::timeline::{
    AudioCodec, Canvas, ColourSpace, Container, Output, VideoCodec, VideoSettings,
};
use std::path::Path;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
pub enum OutputFormat {
    /// A film.
    Film(FilmFormat),
    /// Pictures in quick succession, without sound.
    Animation(AnimationFormat),
}

/// What file is made of an edit.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Target {
    /// The container.
    pub format: OutputFormat,
    /// How pictures are encoded.
    pub film: FilmEncoding,
    /// How sound is encoded.
    pub sound: SoundCodec,
    /// Bits a second of all channels of sound; the codec's usual if absent.
    pub sound_rate: Option<u32>,
    /// Whether whole groups of pictures may be copied.
    pub copy: bool,
    /// Whether everything is looked at first, and the bits divided by what needs them.
    pub two_passes: bool,
}

impl Target {
    /// The file called `file` of an edit on `canvas`, as `output` wants it.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] for a file name that no container is known for, and for a preset,
    /// quality or depth that the codec does not have.
    pub fn new(canvas: &Canvas, output: Option<&Output>, file: &Path) -> Result<Self> {
        let container = output.and_then(|output| output.container);
        let settled = output.map(Output::settled);
        let output = settled.as_ref();
        let container = container
            .or_else(|| Container::of_file(file.to_str()?))
            .or_else(|| output?.container)
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Input,
                    Stage::Render,
                    "needs a name that ends in mp4, mov, mkv, webm, gif or webp",
                )
                .input(file)
            })?;
        let video = output.and_then(|output| output.video.clone());
        let audio = output.and_then(|output| output.audio.clone());
        let codec = match video.as_ref().and_then(|video| video.codec) {
            Some(codec) => film_codec(codec),
            None if container == Container::Webm => FilmCodec::Vp9,
            None => FilmCodec::H264,
        };
        let sound = match audio.as_ref().and_then(|audio| audio.codec) {
            Some(AudioCodec::Aac) => SoundCodec::Aac,
            Some(AudioCodec::Opus) => SoundCodec::Opus,
            Some(AudioCodec::Flac) => SoundCodec::Flac,
            None if container == Container::Webm => SoundCodec::Opus,
            None => SoundCodec::Aac,
        };
        Ok(Self {
            format: match container {
                Container::Mp4 => OutputFormat::Film(FilmFormat::Mp4),
                Container::Mov => OutputFormat::Film(FilmFormat::Mov),
                Container::Mkv => OutputFormat::Film(FilmFormat::Mkv),
                Container::Webm => OutputFormat::Film(FilmFormat::Webm),
                Container::Gif => OutputFormat::Animation(AnimationFormat::Gif),
                Container::Webp => OutputFormat::Animation(AnimationFormat::WebP),
            },
            film: film(canvas, codec, video.as_ref()).map_err(|e| e.input(file))?,
            sound,
            sound_rate: audio.and_then(|audio| audio.bitrate),
            copy: output.and_then(|output| output.copy).unwrap_or(true),
            two_passes: video.is_some_and(|video| video.passes == Some(2)),
        })
    }
}

impl Target {
    /// Trades quality for time, for a look at the edit.
    pub fn hurry(&mut self) {
        self.two_passes = false;
        self.film.preset = self.film.codec.presets().first().map(|preset| (*preset).to_owned());
        if matches!(self.film.codec, FilmCodec::H264 | FilmCodec::Hevc) {
            self.film.quality = Quality::Crf(28.0);
        }
    }
}

fn film_codec(codec: VideoCodec) -> FilmCodec {
    match codec {
        VideoCodec::H264 => FilmCodec::H264,
        VideoCodec::Hevc => FilmCodec::Hevc,
        VideoCodec::Vp9 => FilmCodec::Vp9,
        VideoCodec::Av1 => FilmCodec::Av1,
        VideoCodec::Prores => FilmCodec::Prores,
    }
}

fn film(canvas: &Canvas, codec: FilmCodec, wanted: Option<&VideoSettings>) -> Result<FilmEncoding> {
    let refuse = |what: String| Err(Error::new(ErrorKind::Input, Stage::Render, what));
    let preset = wanted.and_then(|w| w.preset.clone());
    if let Some(preset) = &preset
        && !codec.presets().contains(&preset.as_str())
    {
        let known = codec.presets().join(", ");
        let known = if known.is_empty() { "none".to_owned() } else { known };
        return refuse(format!("the codec has no preset \"{preset}\" (it has: {known})"));
    }
    let (most, usual) = match codec {
        FilmCodec::H264 => (51.0, 23.0),
        FilmCodec::Hevc => (51.0, 28.0),
        FilmCodec::Vp9 | FilmCodec::Av1 | FilmCodec::Prores => (63.0, 32.0),
    };
    let crf = wanted.and_then(|w| w.crf).unwrap_or(usual);
    if crf > most {
        return refuse(format!("crf {crf} is over the codec's {most}"));
    }
    let depth = wanted.and_then(|w| w.depth).unwrap_or(8);
    Ok(FilmEncoding {
        codec,
        width: canvas.size.width,
        height: canvas.size.height,
        base: canvas.rate.frame(),
        rate: (canvas.rate.num(), canvas.rate.den()),
        quality: wanted.and_then(|w| w.bitrate).map_or(Quality::Crf(crf), Quality::Bitrate),
        limit: wanted.and_then(|w| {
            let most = w.maxrate?;
            Some(RateLimit { most, buffer: w.bufsize.unwrap_or(most.saturating_mul(2)) })
        }),
        pass: None,
        preset,
        gop: wanted.and_then(|w| w.gop),
        depth: if codec == FilmCodec::Prores || depth == 10 { 10 } else { 8 },
        colour: colour(canvas),
        fit: None,
    })
}

/// The colour space of a canvas.
pub(super) fn colour(canvas: &Canvas) -> FilmColour {
    match canvas.colour.unwrap_or_default() {
        ColourSpace::Bt709 => FilmColour::Bt709,
        ColourSpace::Bt601 => FilmColour::Bt601,
        ColourSpace::Bt2020 => FilmColour::Bt2020,
    }
}
