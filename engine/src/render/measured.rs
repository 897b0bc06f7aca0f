//! What encoders were seen to take and to hold, for foretelling what a render will.

use super::target::Target;
use crate::media::FilmCodec;

/// An encoder at a preset.
pub(super) struct Encoder {
    codec: FilmCodec,
    preset: &'static str,
    /// Megapixels that it encodes in a second of one processor.
    pub megapixels_per_second: f64,
    /// What it holds in memory, in pictures of what it encodes (4:2:0).
    pub pictures_held: u64,
}

/// Seen on 2026-11-27 on one thread of an AMD EPYC (2 processors, busy): `ffmpeg` 5.1 on 40 pictures of
/// 1280 x 720 (`1-video/bigbuckbunny.mp4` of the shared data as y4m) with the options of
/// `media/film_encode.rs`, user and system time and peak memory less those of `-c:v rawvideo`.
const SEEN: &[Encoder] = &[
    seen(FilmCodec::H264, "ultrafast", 97.0, 6),
    seen(FilmCodec::H264, "veryfast", 38.0, 47),
    seen(FilmCodec::H264, "fast", 15.0, 91),
    seen(FilmCodec::H264, "medium", 12.6, 107),
    seen(FilmCodec::H264, "slow", 8.9, 110),
    seen(FilmCodec::Av1, "12", 29.0, 103),
    seen(FilmCodec::Prores, "", 4.6, 2),
];

const fn seen(
    codec: FilmCodec,
    preset: &'static str,
    megapixels_per_second: f64,
    pictures_held: u64,
) -> Encoder {
    Encoder { codec, preset, megapixels_per_second, pictures_held }
}

/// The one that is nearest to what `target` asks for: of the same codec and the nearest preset that
/// was looked at; where none of the codec was, x264 at its usual preset.
pub(super) fn nearest(target: &Target) -> &'static Encoder {
    let codec = target.film.codec;
    let wanted = target.film.preset.as_deref().unwrap_or(codec.usual_preset());
    let place = |preset: &str| codec.presets().iter().position(|known| *known == preset);
    let far = |seen: &&Encoder| match (place(seen.preset), place(wanted)) {
        (Some(a), Some(b)) => a.abs_diff(b),
        _ => 0,
    };
    let own = SEEN.iter().filter(|seen| seen.codec == codec).min_by_key(far);
    own.unwrap_or(&USUAL)
}

/// For codecs that were not looked at: x264 at its usual preset, the most that was seen to be held.
const USUAL: Encoder = seen(FilmCodec::H264, "medium", 12.6, 110);
