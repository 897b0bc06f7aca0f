//! Pictures out: planar YUV into packets. One thread per encoder, so that the same pictures give
//! the same bytes whatever the machine; whoever wants more cores encodes several stretches.

use super::avc::{self, ParameterSets};
use super::colour::Matrix;
use super::input::{libav_error, quiet};
use super::nal::NalLayout;
use super::planar::{PlanarRef, to_frame};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::time::TimeBase;
use ffmpeg::format::Pixel;
use ffmpeg::software::scaling;
use ffmpeg::{Dictionary, Packet, Rational, codec, ffi, frame, picture};
use ffmpeg_next as ffmpeg;
use std::path::PathBuf;

/// The codecs that pictures can be put into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FilmCodec {
    /// H.264 by x264.
    H264,
    /// H.265 by x265.
    Hevc,
    /// VP9 by libvpx.
    Vp9,
    /// AV1 by SVT-AV1.
    Av1,
    /// ProRes 422 HQ.
    Prores,
}

impl FilmCodec {
    /// libav's name of the one encoder used for it.
    fn encoder(self) -> &'static str {
        match self {
            Self::H264 => "libx264",
            Self::Hevc => "libx265",
            Self::Vp9 => "libvpx-vp9",
            Self::Av1 => "libsvtav1",
            Self::Prores => "prores_ks",
        }
    }

    /// libav's number of it.
    pub(super) fn id(self) -> codec::Id {
        match self {
            Self::H264 => codec::Id::H264,
            Self::Hevc => codec::Id::HEVC,
            Self::Vp9 => codec::Id::VP9,
            Self::Av1 => codec::Id::AV1,
            Self::Prores => codec::Id::PRORES,
        }
    }

    /// The codec that a probe calls so.
    pub fn of_name(name: &str) -> Option<Self> {
        match name {
            "h264" => Some(Self::H264),
            "hevc" => Some(Self::Hevc),
            "vp9" => Some(Self::Vp9),
            "av1" => Some(Self::Av1),
            "prores" => Some(Self::Prores),
            _ => None,
        }
    }

    /// Whether this build of FFmpeg can encode it.
    pub fn is_available(self) -> bool {
        quiet();
        codec::encoder::find_by_name(self.encoder()).is_some()
    }

    /// The preset that is used where none is named; empty where there is nothing to choose.
    pub fn usual_preset(self) -> &'static str {
        match self {
            Self::H264 | Self::Hevc => "medium",
            Self::Vp9 => "4",
            Self::Av1 => "8",
            Self::Prores => "",
        }
    }

    /// The presets that may be asked for, from quick to thorough.
    pub fn presets(self) -> &'static [&'static str] {
        match self {
            Self::H264 | Self::Hevc => &[
                "ultrafast",
                "superfast",
                "veryfast",
                "faster",
                "fast",
                "medium",
                "slow",
                "slower",
                "veryslow",
            ],
            Self::Vp9 => &["8", "7", "6", "5", "4", "3", "2", "1", "0"],
            Self::Av1 => {
                &["13", "12", "11", "10", "9", "8", "7", "6", "5", "4", "3", "2", "1", "0"]
            }
            Self::Prores => &[],
        }
    }
}

/// How good the pictures are to be.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Quality {
    /// Constant quality: 0 to 51 for H.264 and HEVC, 0 to 63 for VP9 and AV1; lower is better.
    Crf(f64),
    /// Mean bits a second.
    Bitrate(u32),
}

/// The most bits a second, and the bits of the buffer that they fill (a decoder's, which must never
/// run empty). Each stretch that is encoded for itself begins with a buffer that is nearly full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RateLimit {
    /// Bits a second.
    pub most: u32,
    /// Bits.
    pub buffer: u32,
}

/// One of two passes over the same pictures (H.264 only).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Writes down what each picture needs, into a file of this name.
    First(PathBuf),
    /// Divides the bits by what was written down there.
    Second(PathBuf),
}

/// What pictures are tagged with, always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
pub enum FilmColour {
    /// HD: BT.709 throughout.
    Bt709,
    /// SD: BT.601 (525 lines) throughout.
    Bt601,
    /// UHD: BT.2020 primaries and matrix with BT.709's transfer.
    Bt2020,
}

impl FilmColour {
    /// Its matrix.
    pub fn matrix(self) -> Matrix {
        match self {
            Self::Bt709 => Matrix::Bt709,
            Self::Bt601 => Matrix::Bt601,
            Self::Bt2020 => Matrix::Bt2020,
        }
    }

    /// libav's numbers of primaries, transfer and matrix.
    pub(super) fn tags(
        self,
    ) -> (ffi::AVColorPrimaries, ffi::AVColorTransferCharacteristic, ffi::AVColorSpace) {
        use ffi::{AVColorPrimaries as P, AVColorSpace as S, AVColorTransferCharacteristic as T};
        match self {
            Self::Bt709 => (P::AVCOL_PRI_BT709, T::AVCOL_TRC_BT709, S::AVCOL_SPC_BT709),
            Self::Bt601 => (P::AVCOL_PRI_SMPTE170M, T::AVCOL_TRC_SMPTE170M, S::AVCOL_SPC_SMPTE170M),
            Self::Bt2020 => (P::AVCOL_PRI_BT2020, T::AVCOL_TRC_BT2020_10, S::AVCOL_SPC_BT2020_NCL),
        }
    }
}

/// How pictures are encoded.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct FilmEncoding {
    /// Into what.
    pub codec: FilmCodec,
    /// Width in pixels, even.
    pub width: u32,
    /// Height in pixels, even.
    pub height: u32,
    /// Ticks in which pictures are stamped; one picture is one tick unless the rate varies.
    #[serde(skip)]
    pub base: TimeBase,
    /// Frames a second, as a fraction.
    pub rate: (u32, u32),
    /// How good.
    pub quality: Quality,
    /// What it may take at most, in H.264, HEVC and VP9.
    pub limit: Option<RateLimit>,
    /// Which of two passes it is, if there are two.
    #[serde(skip)]
    pub pass: Option<Pass>,
    /// The encoder's effort, one of [`FilmCodec::presets`]; its default if absent.
    pub preset: Option<String>,
    /// Most pictures from one keyframe to the next.
    pub gop: Option<u32>,
    /// 8 or 10.
    pub depth: u8,
    /// Tags, and the space that the pictures are in. Limited range.
    pub colour: FilmColour,
    /// H.264 only: profile and level to keep to, and the number of the parameter sets, so that they
    /// can stand beside another encoder's.
    pub fit: Option<FitH264>,
}

/// What an H.264 encoder keeps to so that its pictures can stand beside others in one stream.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FitH264 {
    /// libav's name of the profile: `baseline`, `main` or `high`.
    pub profile: &'static str,
    /// The level times ten.
    pub level: u8,
    /// The number of its parameter sets, 0 to 31.
    pub number: u32,
}

/// A compressed picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilmPacket {
    /// When it is shown, in ticks of the stream's base.
    pub pts: i64,
    /// Whether decoding can start here.
    pub key: bool,
    /// Its bytes. H.264: NAL units behind lengths of four bytes, without parameter sets.
    pub data: Vec<u8>,
}

/// What a decoder has to know before the first packet.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FilmHeader {
    /// The codec.
    pub codec: FilmCodec,
    /// The codec's own record. H.264: an `avcC` record.
    pub extradata: Vec<u8>,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The four letters that a QuickTime file calls it by, 0 for the usual ones.
    pub tag: u32,
    /// libav's number of its pixel format.
    pub pixel_format: i32,
}

/// An open encoder.
pub struct FilmEncoder {
    encoder: codec::encoder::video::Encoder,
    encoding: FilmEncoding,
    header: FilmHeader,
    converter: Option<scaling::Context>,
    format: Pixel,
    layout: NalLayout,
}

impl FilmEncoder {
    /// Opens it.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if this FFmpeg lacks the encoder or it refuses the settings.
    pub fn open(encoding: &FilmEncoding) -> Result<Self> {
        quiet();
        let name = encoding.codec.encoder();
        let codec = codec::encoder::find_by_name(name).ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, Stage::Encode, format!("this FFmpeg has no {name}"))
                .hint("install FFmpeg with it, or choose another codec")
        })?;
        let format = pixel_format(encoding);
        let base = Rational(encoding.base.num().cast_signed(), encoding.base.den().cast_signed());
        let rate = Rational(encoding.rate.0.cast_signed(), encoding.rate.1.cast_signed());
        let mut context = codec::Context::new_with_codec(codec);
        context.set_flags(match &encoding.pass {
            None => codec::Flags::GLOBAL_HEADER,
            Some(Pass::First(_)) => codec::Flags::GLOBAL_HEADER | codec::Flags::PASS1,
            Some(Pass::Second(_)) => codec::Flags::GLOBAL_HEADER | codec::Flags::PASS2,
        });
        context.set_threading(codec::threading::Config {
            kind: codec::threading::Type::None,
            count: 1,
            ..Default::default()
        });
        let mut video = context.encoder().video().map_err(|e| libav_error(e, Stage::Encode))?;
        video.set_width(encoding.width);
        video.set_height(encoding.height);
        video.set_format(format);
        video.set_aspect_ratio(Rational(1, 1));
        video.set_time_base(base);
        video.set_frame_rate(Some(rate));
        if let Some(gop) = encoding.gop {
            video.set_gop(gop);
        }
        if let Quality::Bitrate(rate) = encoding.quality {
            video.set_bit_rate(rate as usize);
        }
        let (primaries, transfer, matrix) = encoding.colour.tags();
        // SAFETY: the context is ours and not opened yet; these are plain fields that the
        // documentation says the caller sets before opening.
        #[allow(unsafe_code)]
        unsafe {
            let raw = &mut *video.as_mut_ptr();
            raw.color_primaries = primaries;
            raw.color_trc = transfer;
            raw.colorspace = matrix;
            raw.color_range = ffi::AVColorRange::AVCOL_RANGE_MPEG;
            raw.chroma_sample_location = ffi::AVChromaLocation::AVCHROMA_LOC_LEFT;
            if let Some(limit) = encoding.limit {
                raw.rc_max_rate = i64::from(limit.most);
                raw.rc_buffer_size = i32::try_from(limit.buffer).unwrap_or(i32::MAX);
            }
        }
        let opened = video.open_as_with(codec, options(encoding)).map_err(|e| {
            Error::new(
                ErrorKind::Unsupported,
                Stage::Encode,
                format!(
                    "{name} refuses {}x{} with these settings: {e}",
                    encoding.width, encoding.height
                ),
            )
            .hint("change the size, the preset or the quality")
        })?;
        // SAFETY: the encoder is open; extradata is null or a buffer of `extradata_size` bytes.
        #[allow(unsafe_code)]
        let (extradata, tag) = unsafe {
            let raw = &*opened.as_ptr();
            let bytes = match usize::try_from(raw.extradata_size) {
                Ok(size) if !raw.extradata.is_null() => {
                    std::slice::from_raw_parts(raw.extradata, size).to_vec()
                }
                _ => Vec::new(),
            };
            (bytes, raw.codec_tag)
        };
        let layout = avc::layout_of(&extradata);
        let extradata = match encoding.codec {
            FilmCodec::H264 => ParameterSets::read(&extradata)
                .ok_or_else(|| {
                    Error::new(ErrorKind::Internal, Stage::Encode, "x264 gave no parameter sets")
                })?
                .record(),
            _ => extradata,
        };
        let header = FilmHeader {
            codec: encoding.codec,
            extradata,
            width: encoding.width,
            height: encoding.height,
            tag: match encoding.codec {
                FilmCodec::Hevc => u32::from_le_bytes(*b"hvc1"),
                FilmCodec::Prores => tag,
                _ => 0,
            },
            pixel_format: ffi::AVPixelFormat::from(format) as i32,
        };
        Ok(Self {
            encoder: opened,
            encoding: encoding.clone(),
            header,
            converter: None,
            format,
            layout,
        })
    }

    /// What a decoder has to know.
    pub fn header(&self) -> &FilmHeader {
        &self.header
    }

    /// Encodes the next picture, shown at `pts`.
    ///
    /// # Errors
    /// What libav says.
    pub fn push(
        &mut self,
        picture: PlanarRef<'_>,
        pts: i64,
        take: &mut dyn FnMut(FilmPacket) -> Result<()>,
    ) -> Result<()> {
        let made = to_frame(picture, self.encoding.width, self.encoding.height)?;
        let mut made = self.converted(made)?;
        made.set_pts(Some(pts));
        made.set_kind(picture::Type::None);
        let (primaries, transfer, matrix) = self.encoding.colour.tags();
        // Some encoders write what each picture says and not what they were opened with.
        made.set_color_primaries(primaries.into());
        made.set_color_transfer_characteristic(transfer.into());
        made.set_color_space(matrix.into());
        made.set_color_range(ffmpeg::color::Range::MPEG);
        self.encoder.send_frame(&made).map_err(|e| libav_error(e, Stage::Encode))?;
        self.receive(take)
    }

    /// Gives the packets that are still held.
    ///
    /// # Errors
    /// What libav says.
    pub fn finish(mut self, take: &mut dyn FnMut(FilmPacket) -> Result<()>) -> Result<()> {
        self.encoder.send_eof().map_err(|e| libav_error(e, Stage::Encode))?;
        self.receive(take)
    }

    fn converted(&mut self, made: frame::Video) -> Result<frame::Video> {
        if made.format() == self.format {
            return Ok(made);
        }
        let (width, height) = (made.width(), made.height());
        let scaler = match &mut self.converter {
            Some(scaler) => scaler,
            None => {
                let flags = scaling::Flags::BILINEAR | scaling::Flags::ACCURATE_RND;
                let made = scaling::Context::get(
                    made.format(),
                    width,
                    height,
                    self.format,
                    width,
                    height,
                    flags,
                );
                self.converter.insert(made.map_err(|e| libav_error(e, Stage::Convert))?)
            }
        };
        let mut out = frame::Video::empty();
        scaler.run(&made, &mut out).map_err(|e| libav_error(e, Stage::Convert))?;
        Ok(out)
    }

    fn receive(&mut self, take: &mut dyn FnMut(FilmPacket) -> Result<()>) -> Result<()> {
        loop {
            let mut packet = Packet::empty();
            match self.encoder.receive_packet(&mut packet) {
                Ok(()) => {
                    let bytes = packet.data().unwrap_or_default();
                    let data = match self.encoding.codec {
                        FilmCodec::H264 => avc::with_lengths(bytes, self.layout),
                        _ => bytes.to_vec(),
                    };
                    let pts = packet.pts().unwrap_or(0);
                    take(FilmPacket { pts, key: packet.is_key(), data })?;
                }
                Err(ffmpeg::Error::Eof | ffmpeg::Error::Other { errno: ffmpeg::error::EAGAIN }) => {
                    return Ok(());
                }
                Err(error) => return Err(libav_error(error, Stage::Encode)),
            }
        }
    }
}

fn pixel_format(encoding: &FilmEncoding) -> Pixel {
    match (encoding.codec, encoding.depth) {
        (FilmCodec::Prores, _) => Pixel::YUV422P10LE,
        (_, 10) => Pixel::YUV420P10LE,
        _ => Pixel::YUV420P,
    }
}

fn options(encoding: &FilmEncoding) -> Dictionary<'static> {
    let mut options = Dictionary::new();
    let crf = match encoding.quality {
        Quality::Crf(crf) => Some(crf.to_string()),
        Quality::Bitrate(_) => None,
    };
    // Only what stands in our own lists: values of specs never become libav's syntax.
    let presets = encoding.codec.presets();
    let preset = encoding.preset.as_deref().filter(|name| presets.contains(name));
    match encoding.codec {
        FilmCodec::H264 => {
            options.set("preset", preset.unwrap_or(encoding.codec.usual_preset()));
            let mut own = "threads=1:lookahead-threads=1:sliced-threads=0".to_owned();
            if let Some(fit) = &encoding.fit {
                own += &format!(":sps-id={}", fit.number);
                options.set("profile", fit.profile);
                options.set("level", &format!("{}.{}", fit.level / 10, fit.level % 10));
            }
            options.set("x264-params", &own);
            // A value of its own, which nobody takes apart.
            if let Some(Pass::First(path) | Pass::Second(path)) = &encoding.pass
                && let Some(path) = path.to_str()
            {
                options.set("stats", path);
            }
        }
        FilmCodec::Hevc => {
            options.set("preset", preset.unwrap_or(encoding.codec.usual_preset()));
            options.set("x265-params", "pools=none:frame-threads=1:log-level=none:open-gop=0");
        }
        FilmCodec::Vp9 => {
            options.set("deadline", "good");
            options.set("cpu-used", preset.unwrap_or(encoding.codec.usual_preset()));
            options.set("row-mt", "0");
        }
        FilmCodec::Av1 => {
            options.set("preset", preset.unwrap_or(encoding.codec.usual_preset()));
            options.set("svtav1-params", "lp=1");
        }
        FilmCodec::Prores => {
            options.set("profile", "hq");
            options.set("vendor", "apl0");
        }
    }
    if let Some(crf) = crf.filter(|_| encoding.codec != FilmCodec::Prores) {
        options.set("crf", &crf);
    }
    options
}
