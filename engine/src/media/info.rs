//! What a file is made of: the types that probing fills. `docs/schema/probe.schema.json` is
//! generated from them.

use crate::time::{Span, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// A file's container, streams and clock.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct MediaInfo {
    /// The container's short names as libav lists them, e.g. `mov,mp4,m4a,3gp,3g2,mj2`.
    pub container: String,
    /// Size of the file in bytes; absent for a pipe.
    pub bytes: Option<u64>,
    /// Where the container's clock starts. Media time 0, the zero of every time this engine
    /// reports or accepts, is this point: media time = pts − origin (the rule of ffmpeg's
    /// command line).
    pub origin: Timestamp,
    /// Length on the media clock, from the container; absent where it does not say.
    pub duration: Option<Timestamp>,
    /// Bits a second over all streams; absent where unknown.
    pub bit_rate: Option<u64>,
    /// Every stream, in the container's order. A stream's `index` is its place here.
    pub streams: Vec<StreamInfo>,
    /// Chapters, on the media clock.
    pub chapters: Vec<Chapter>,
    /// The container's tags, as stored.
    pub tags: BTreeMap<String, String>,
}

impl MediaInfo {
    /// Whether it is a raw stream without a container: it has no times and no length.
    pub fn is_elementary(&self) -> bool {
        super::allow::is_elementary(&self.container)
    }

    /// The video stream that players show: the default one, else the largest; cover pictures
    /// do not count.
    pub fn video(&self) -> Option<&StreamInfo> {
        let streams = self.streams.iter().filter(|s| !s.cover);
        best(streams, |s| match &s.kind {
            StreamKind::Video(v) => Some(u64::from(v.width) * u64::from(v.height)),
            _ => None,
        })
    }

    /// The audio stream that players play: the default one, else the one with most channels.
    pub fn audio(&self) -> Option<&StreamInfo> {
        best(self.streams.iter(), |s| match &s.kind {
            StreamKind::Audio(a) => Some(u64::from(a.channels)),
            _ => None,
        })
    }
}

/// The decodable stream that ranks highest by (default, `size`); the first among equals.
fn best<'a>(
    streams: impl Iterator<Item = &'a StreamInfo>,
    size: impl Fn(&StreamInfo) -> Option<u64>,
) -> Option<&'a StreamInfo> {
    let mut best: Option<((bool, bool, u64), &StreamInfo)> = None;
    for stream in streams {
        let Some(size) = size(stream) else { continue };
        let rank = (stream.decodable, stream.default, size);
        if best.is_none_or(|(top, _)| rank > top) {
            best = Some((rank, stream));
        }
    }
    best.map(|(_, stream)| stream)
}

/// One stream of a container.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct StreamInfo {
    /// Its place in the container, from 0.
    pub index: usize,
    /// The container's own id of it (MPEG-TS PID, MP4 track id), 0 where it has none.
    pub id: i64,
    /// The codec's short name, e.g. `h264`; `unknown` if libav does not know it.
    pub codec: String,
    /// The codec's profile, e.g. `High`.
    pub profile: Option<String>,
    /// Whether this build may decode it: a decoder exists and is on the allow-list.
    pub decodable: bool,
    /// The time base of its timestamps, seconds per tick, as `NUM/DEN`.
    pub time_base: String,
    /// First timestamp on the media clock; absent where unknown. Late audio shows here.
    pub start: Option<Timestamp>,
    /// Length by the stream's own record.
    pub duration: Option<Timestamp>,
    /// Number of frames or packets by the container's record.
    pub frames: Option<u64>,
    /// Bits a second.
    pub bit_rate: Option<u64>,
    /// ISO 639 language, as tagged.
    pub language: Option<String>,
    /// Whether the container marks it as the one to play.
    pub default: bool,
    /// Whether it is for forced display (subtitles).
    pub forced: bool,
    /// Whether it is a cover picture rather than film.
    pub cover: bool,
    /// The MP4 edit list that applies, if the file has one.
    pub edit_list: Vec<Edit>,
    /// Its tags, as stored.
    pub tags: BTreeMap<String, String>,
    /// What only this kind of stream has.
    #[serde(flatten)]
    pub kind: StreamKind,
}

/// The kind of a stream, with what belongs to it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum StreamKind {
    /// Moving (or cover) pictures.
    Video(Box<VideoInfo>),
    /// Sound.
    Audio(AudioInfo),
    /// Timed text or pictures of text.
    Subtitle,
    /// A file carried along, e.g. a font. Its name is only ever shown, never used as a path.
    Attachment {
        /// The name the file gives it.
        filename: Option<String>,
        /// The media type the file gives it.
        mimetype: Option<String>,
    },
    /// Anything else.
    Data,
}

/// Pictures of a video stream.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct VideoInfo {
    /// Coded width in pixels, before sample aspect and rotation.
    pub width: u32,
    /// Coded height in pixels.
    pub height: u32,
    /// Width of one sample over its height, as `NUM:DEN`; `1:1` if unmarked.
    pub sample_aspect: String,
    /// Width over height as shown before rotation, as `NUM:DEN`.
    pub display_aspect: String,
    /// Width in square pixels after aspect and rotation.
    pub display_width: u32,
    /// Height in square pixels after aspect and rotation.
    pub display_height: u32,
    /// Clockwise turn needed to show it upright, in degrees.
    pub rotation: Rotation,
    /// Whether the shown picture is also mirrored left to right (before the turn).
    pub mirrored: bool,
    /// libav's name of the pixel format, e.g. `yuv420p10le`.
    pub pixel_format: Option<String>,
    /// Bits of one component.
    pub bit_depth: Option<u32>,
    /// Colour description; what is unmarked is `null` here.
    pub colour: ColourInfo,
    /// Mastering display and light level, where marked.
    pub hdr: Option<HdrInfo>,
    /// Average frames a second as a fraction, e.g. `30000/1001`.
    pub frame_rate: Option<String>,
    /// Whether frames come at even steps.
    pub cadence: Cadence,
    /// How fields make frames.
    pub scan: Scan,
    /// Frames a decoder must hold back to give them in order.
    pub reorder: u32,
}

/// A turn by a right angle, clockwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(into = "u32")]
#[schemars(with = "u32")]
pub enum Rotation {
    /// As coded.
    #[default]
    None,
    /// 90° clockwise.
    Quarter,
    /// 180°.
    Half,
    /// 270° clockwise.
    ThreeQuarters,
}

impl From<Rotation> for u32 {
    fn from(rotation: Rotation) -> u32 {
        match rotation {
            Rotation::None => 0,
            Rotation::Quarter => 90,
            Rotation::Half => 180,
            Rotation::ThreeQuarters => 270,
        }
    }
}

impl Rotation {
    /// Whether width and height change places.
    pub fn swaps_axes(self) -> bool {
        matches!(self, Self::Quarter | Self::ThreeQuarters)
    }
}

/// ITU-T H.273 colour description, by libav's names; `None` where unmarked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ColourInfo {
    /// Colour primaries, e.g. `bt709`.
    pub primaries: Option<String>,
    /// Transfer characteristic, e.g. `smpte2084` (PQ).
    pub transfer: Option<String>,
    /// Matrix from RGB to Y′CbCr, e.g. `bt709`.
    pub matrix: Option<String>,
    /// `tv` (limited) or `pc` (full).
    pub range: Option<String>,
    /// Where chroma samples sit, e.g. `left`.
    pub chroma_location: Option<String>,
}

/// HDR10 static metadata.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct HdrInfo {
    /// Mastering display's highest luminance, cd/m².
    pub max_luminance: Option<f64>,
    /// Mastering display's lowest luminance, cd/m².
    pub min_luminance: Option<f64>,
    /// Mastering display's primaries, x and y of red, green, blue.
    pub primaries: Option<[[f64; 2]; 3]>,
    /// Mastering display's white point, x and y.
    pub white_point: Option<[f64; 2]>,
    /// Brightest pixel (MaxCLL), cd/m².
    pub max_content_light: Option<u32>,
    /// Brightest frame average (MaxFALL), cd/m².
    pub max_average_light: Option<u32>,
    /// Whether a Dolby Vision record is present.
    pub dolby_vision: bool,
}

/// Whether frames come at even steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Cadence {
    /// Every step in the container's index is the same, give or take a tick.
    Constant,
    /// The index, or the gap between nominal and average rate, shows uneven steps.
    Variable,
    /// The container has no full index; only reading it all would tell.
    Unknown,
}

/// How fields make frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scan {
    /// Whole frames.
    Progressive,
    /// Interlaced, top field shown first.
    TopFirst,
    /// Interlaced, bottom field shown first.
    BottomFirst,
    /// Unmarked.
    Unknown,
}

/// Samples of an audio stream.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AudioInfo {
    /// Samples a second of one channel.
    pub sample_rate: u32,
    /// Number of channels.
    pub channels: u32,
    /// Their arrangement, e.g. `5.1(side)`.
    pub layout: String,
    /// libav's name of the sample format, e.g. `fltp`.
    pub sample_format: Option<String>,
    /// Bits of one sample where the codec has such a number.
    pub bit_depth: Option<u32>,
}

/// One entry of an MP4 edit list (ISO/IEC 14496-12, `elst`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Edit {
    /// How long the entry plays.
    pub duration: Timestamp,
    /// Where in the stream's own media it starts; absent for an empty edit (nothing is shown).
    pub media_start: Option<Timestamp>,
    /// Playback speed as a 16.16 fixed-point number; 65536 is normal.
    pub rate: i32,
}

/// A chapter mark.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Chapter {
    /// Where it lies on the media clock.
    pub span: Span,
    /// Its title.
    pub title: Option<String>,
}
