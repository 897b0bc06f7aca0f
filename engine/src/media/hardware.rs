//! What a GPU's video coders can do: found out by opening a session of each, since drivers do not tell.

use super::input::quiet;
use ffmpeg_next as ff;

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Of a decoder (NVDEC).
    Decode,
    /// Of an encoder (NVENC).
    Encode,
}

/// What came of opening one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionTried {
    /// The codec, as people call it.
    pub codec: &'static str,
    /// What for.
    pub coding: Coding,
    /// Why it could not be opened; `None` if it could.
    pub fault: Option<String>,
}

/// Codecs with libav's names for what decodes and encodes them on NVIDIA's GPUs; there are no encoders of
/// the last two.
const CODECS: [(&str, &str, Option<&str>); 4] = [
    ("h264", "h264_cuvid", Some("h264_nvenc")),
    ("hevc", "hevc_cuvid", Some("hevc_nvenc")),
    ("av1", "av1_cuvid", Some("av1_nvenc")),
    ("vp9", "vp9_cuvid", None),
];

/// Each side of the pictures of a session that is tried: all coders take pictures so large.
const SIDE: u32 = 256;

/// Opens a session for each codec and way on the GPU that CUDA calls `gpu`, and closes it again. Where
/// there is no driver every one of them fails, and says so.
pub fn try_hardware(gpu: u32) -> Vec<SessionTried> {
    quiet();
    let mut tried = Vec::new();
    for (codec, decoder, encoder) in CODECS {
        let fault = decode(decoder, gpu).err();
        tried.push(SessionTried { codec, coding: Coding::Decode, fault });
        if let Some(encoder) = encoder {
            let fault = encode(encoder, gpu).err();
            tried.push(SessionTried { codec, coding: Coding::Encode, fault });
        }
    }
    tried
}

fn on(gpu: u32) -> ff::Dictionary<'static> {
    let mut options = ff::Dictionary::new();
    options.set("gpu", &gpu.to_string());
    options
}

fn absent(name: &str) -> String {
    format!("this FFmpeg was built without {name}")
}

/// A cuvid decoder makes a session of the size it is given when it is opened, to see whether it can.
#[allow(unsafe_code)]
fn decode(name: &str, gpu: u32) -> Result<(), String> {
    let codec = ff::codec::decoder::find_by_name(name).ok_or_else(|| absent(name))?;
    let mut context = ff::codec::context::Context::new_with_codec(codec);
    // SAFETY: the context is ours and not open yet; width and height are plain fields.
    unsafe {
        (*context.as_mut_ptr()).width = SIDE as i32;
        (*context.as_mut_ptr()).height = SIDE as i32;
    }
    let opened = context.decoder().open_as_with(codec, on(gpu));
    opened.map(|_| ()).map_err(|error| error.to_string())
}

fn encode(name: &str, gpu: u32) -> Result<(), String> {
    let codec = ff::codec::encoder::find_by_name(name).ok_or_else(|| absent(name))?;
    let context = ff::codec::context::Context::new_with_codec(codec);
    let mut video = context.encoder().video().map_err(|error| error.to_string())?;
    video.set_width(SIDE);
    video.set_height(SIDE);
    video.set_format(ff::format::Pixel::YUV420P);
    video.set_time_base(ff::Rational(1, 25));
    video.set_frame_rate(Some(ff::Rational(25, 1)));
    video.open_as_with(codec, on(gpu)).map(|_| ()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where no GPU is nothing opens; where one is, whatever opens does so every time.
    #[test]
    fn sessions_are_tried_for_every_codec_and_given_back() {
        let first = try_hardware(0);
        assert_eq!(first.len(), 7);
        let decoders = first.iter().filter(|tried| tried.coding == Coding::Decode).count();
        assert_eq!(decoders, CODECS.len());
        for _ in 0..12 {
            assert_eq!(try_hardware(0), first, "more than the driver allows at once");
        }
        if !std::path::Path::new("/dev/nvidiactl").exists() {
            assert!(first.iter().all(|tried| tried.fault.is_some()), "{first:?}");
        }
    }
}
