//! Pixel formats and colour descriptions: names for people, and the one rule for what is unmarked.
//!
//! The rule: an unmarked matrix is BT.709 from 720 lines or 1280 columns on, else BT.601; an
//! unmarked range is limited, except in libav's `yuvj` formats. `null` in a probe means unmarked.

use super::info::ColourInfo;
use ffmpeg::{codec, ffi};
use ffmpeg_next as ffmpeg;
use std::ffi::{CStr, c_char};

/// The matrix between Y′CbCr and RGB (ITU-T H.273 MatrixCoefficients), as far as conversion
/// tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Matrix {
    /// BT.601, both systems: Kr 0.299, Kb 0.114.
    Bt601,
    /// BT.709: Kr 0.2126, Kb 0.0722.
    Bt709,
    /// BT.2020, non-constant luminance: Kr 0.2627, Kb 0.0593.
    Bt2020,
    /// FCC 47 CFR 73.682: Kr 0.30, Kb 0.11.
    Fcc,
    /// SMPTE 240M: Kr 0.212, Kb 0.087.
    Smpte240m,
}

impl Matrix {
    /// The shares of red and blue in luma, in thousandths.
    pub(super) fn luma_weights(self) -> (u16, u16) {
        match self {
            Self::Bt601 => (299, 114),
            Self::Bt709 => (213, 72),
            Self::Bt2020 => (263, 59),
            Self::Fcc => (300, 110),
            Self::Smpte240m => (212, 87),
        }
    }

    /// libswscale's number of its coefficients (`SWS_CS_*`).
    pub(super) fn sws(self) -> i32 {
        (match self {
            Self::Bt601 => ffi::SWS_CS_ITU601,
            Self::Bt709 => ffi::SWS_CS_ITU709,
            Self::Bt2020 => ffi::SWS_CS_BT2020,
            Self::Fcc => ffi::SWS_CS_FCC,
            Self::Smpte240m => ffi::SWS_CS_SMPTE240M,
        }) as i32
    }
}

/// How a picture's code values are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Colour {
    /// The matrix in force.
    pub matrix: Matrix,
    /// Whether code values fill the whole range (`pc`) or leave head- and footroom (`tv`).
    pub full_range: bool,
    /// Whether the matrix was marked, or taken by the rule above.
    pub matrix_marked: bool,
}

impl Colour {
    /// Resolves what a frame says by the rule of this module.
    pub(super) fn resolve(
        space: ffmpeg::color::Space,
        range: ffmpeg::color::Range,
        full_by_format: bool,
        width: u32,
        height: u32,
    ) -> Self {
        use ffmpeg::color::Space;
        let marked = match space {
            Space::BT709 => Some(Matrix::Bt709),
            Space::BT470BG | Space::SMPTE170M => Some(Matrix::Bt601),
            Space::BT2020NCL | Space::BT2020CL => Some(Matrix::Bt2020),
            Space::FCC => Some(Matrix::Fcc),
            Space::SMPTE240M => Some(Matrix::Smpte240m),
            _ => None,
        };
        let guess = if height >= 720 || width >= 1280 { Matrix::Bt709 } else { Matrix::Bt601 };
        let full_range = match range {
            ffmpeg::color::Range::JPEG => true,
            ffmpeg::color::Range::MPEG => false,
            _ => full_by_format,
        };
        Self { matrix: marked.unwrap_or(guess), full_range, matrix_marked: marked.is_some() }
    }
}

/// A pixel format's name and component depth.
pub(super) struct PixelFormat {
    pub name: String,
    pub depth: u32,
    pub rgb: bool,
}

/// libav's pixel format of this number; `None` for none or one it does not know.
pub(super) fn known_format(format: i32) -> Option<ffi::AVPixelFormat> {
    if format < 0 || format >= ffi::AVPixelFormat::AV_PIX_FMT_NB as i32 {
        return None;
    }
    // SAFETY: pixel formats are numbered without gaps from 0 to AV_PIX_FMT_NB, checked above.
    #[allow(unsafe_code)]
    unsafe {
        Some(std::mem::transmute::<i32, ffi::AVPixelFormat>(format))
    }
}

/// Describes libav's pixel format number; `None` for none or one it does not know.
pub(super) fn pixel_format(format: i32) -> Option<PixelFormat> {
    let format = known_format(format)?;
    // SAFETY: the descriptor is a static table entry or null.
    #[allow(unsafe_code)]
    unsafe {
        let descriptor = ffi::av_pix_fmt_desc_get(format).as_ref()?;
        Some(PixelFormat {
            name: text(descriptor.name)?,
            depth: u32::try_from(descriptor.comp[0].depth).unwrap_or(0),
            rgb: descriptor.flags & ffi::AV_PIX_FMT_FLAG_RGB as u64 != 0,
        })
    }
}

/// The name of libav's sample format number.
pub(super) fn sample_format(format: i32) -> Option<String> {
    if format < 0 || format >= ffi::AVSampleFormat::AV_SAMPLE_FMT_NB as i32 {
        return None;
    }
    // SAFETY: sample formats are numbered without gaps, checked above; the name is static or null.
    #[allow(unsafe_code)]
    unsafe {
        text(ffi::av_get_sample_fmt_name(std::mem::transmute::<i32, ffi::AVSampleFormat>(format)))
    }
}

/// The colour description a stream carries.
pub(super) fn of_parameters(parameters: &codec::Parameters) -> ColourInfo {
    let marked = |name: Option<String>| {
        name.filter(|n| !matches!(n.as_str(), "unknown" | "unspecified" | "reserved"))
    };
    // SAFETY: `Parameters` holds a valid AVCodecParameters; each function returns a static
    // string or null for any value.
    #[allow(unsafe_code)]
    unsafe {
        let raw = &*parameters.as_ptr();
        ColourInfo {
            primaries: marked(text(ffi::av_color_primaries_name(raw.color_primaries))),
            transfer: marked(text(ffi::av_color_transfer_name(raw.color_trc))),
            matrix: marked(text(ffi::av_color_space_name(raw.color_space))),
            range: marked(text(ffi::av_color_range_name(raw.color_range))),
            chroma_location: marked(text(ffi::av_chroma_location_name(raw.chroma_location))),
        }
    }
}

/// # Safety
/// `name` is null or a zero-terminated string that lives for ever.
#[allow(unsafe_code)]
unsafe fn text(name: *const c_char) -> Option<String> {
    // SAFETY: by the caller's contract.
    (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned())
}
