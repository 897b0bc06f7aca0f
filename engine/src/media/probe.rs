//! Fills [`MediaInfo`] from an opened container.

use super::info::{
    AudioInfo, Cadence, Chapter, HdrInfo, MediaInfo, Rotation, Scan, StreamInfo, StreamKind,
    VideoInfo,
};
use super::input::{Input, picture_size};
use super::{colour, decoder, editlist};
use crate::control::Cancel;
use crate::error::Result;
use crate::limits::Limits;
use crate::time::{Span, TimeBase, Timestamp};
use ffmpeg::codec::packet::side_data::Type as SideDataType;
use ffmpeg::format::stream::{Disposition, Stream};
use ffmpeg::{DictionaryRef, Rational, codec, ffi, media};
use ffmpeg_next as ffmpeg;
use std::collections::BTreeMap;
use std::path::Path;

/// Reads what `path` is made of, without decoding more than its headers need.
///
/// # Errors
/// Missing, empty, foreign or damaged files are [`crate::ErrorKind::Input`]; headers past the
/// limits are [`crate::ErrorKind::Limit`].
pub fn probe(path: &Path, limits: &Limits, cancel: &Cancel) -> Result<MediaInfo> {
    Ok(describe(&mut Input::open(path, limits, cancel)?))
}

/// The description of an opened container.
pub(super) fn describe(input: &mut Input) -> MediaInfo {
    let container = input.format_name();
    let edits = if input.is_seekable() && container.starts_with("mov") {
        editlist::read(input.path())
    } else {
        BTreeMap::new()
    };
    let origin = origin(input.context());
    let cadences: Vec<Cadence> =
        (0..input.context().nb_streams() as usize).map(|index| cadence(input, index)).collect();
    let context = input.context();
    let streams = context
        .streams()
        .zip(cadences)
        .map(|(stream, cadence)| {
            let mut info = stream_info(&stream, origin, cadence);
            if let Some(edits) = edits.get(&info.id) {
                info.edit_list.clone_from(edits);
            }
            info
        })
        .collect::<Vec<_>>();
    let chapters = context
        .chapters()
        .filter_map(|chapter| {
            let base = time_base(chapter.time_base());
            let span = Span::new(
                Timestamp::new(chapter.start(), base).minus(origin),
                Timestamp::new(chapter.end(), base).minus(origin),
            )?;
            Some(Chapter { span, title: tags(&chapter.metadata()).remove("title") })
        })
        .collect();
    MediaInfo {
        container,
        bytes: input.facts().size,
        origin,
        duration: duration(context, origin, &streams),
        bit_rate: positive(context.bit_rate()),
        chapters,
        tags: tags(&context.metadata()),
        streams,
    }
}

/// The container's start time; zero where it has none.
fn origin(context: &ffmpeg::format::context::Input) -> Timestamp {
    // SAFETY: the context is valid while borrowed; `start_time` is a plain field.
    #[allow(unsafe_code)]
    let start = unsafe { (*context.as_ptr()).start_time };
    if start == ffi::AV_NOPTS_VALUE {
        Timestamp::ZERO
    } else {
        Timestamp::new(start, TimeBase::MICROS)
    }
}

/// The length on the media clock. A container may count time from 0 although its first frame is
/// later (an MP4 with a leading empty edit): the end of the longest stream then decides.
fn duration(
    context: &ffmpeg::format::context::Input,
    origin: Timestamp,
    streams: &[StreamInfo],
) -> Option<Timestamp> {
    let ticks = context.duration();
    if ticks <= 0 {
        return None;
    }
    let stated = Timestamp::new(ticks, TimeBase::MICROS);
    let longest = streams.iter().filter_map(|s| Some(s.start?.plus(s.duration?))).max();
    let ends_at_origin = origin > Timestamp::ZERO
        && longest.is_some_and(|end| {
            end < stated && end.plus(origin) >= stated.minus(Timestamp::from_millis(50))
        });
    if ends_at_origin { longest } else { Some(stated) }
}

fn stream_info(stream: &Stream<'_>, origin: Timestamp, cadence: Cadence) -> StreamInfo {
    let parameters = stream.parameters();
    let base = time_base(stream.time_base());
    let tags = tags(&stream.metadata());
    let disposition = stream.disposition();
    let id = parameters.id();
    let ticks = |value: i64| (value != ffi::AV_NOPTS_VALUE).then(|| Timestamp::new(value, base));
    StreamInfo {
        index: stream.index(),
        id: i64::from(stream.id()),
        codec: if id == codec::Id::None { "unknown".into() } else { id.name().to_owned() },
        profile: profile(&parameters),
        decodable: decoder::is_allowed(id),
        time_base: format!("{}/{}", base.num(), base.den()),
        start: ticks(stream.start_time()).map(|start| start.minus(origin)),
        duration: ticks(stream.duration()).filter(|d| !d.is_negative()),
        frames: positive(stream.frames()),
        bit_rate: positive(parameters.bit_rate()),
        language: tags.get("language").filter(|l| *l != "und").cloned(),
        default: disposition.contains(Disposition::DEFAULT),
        forced: disposition.contains(Disposition::FORCED),
        cover: disposition.contains(Disposition::ATTACHED_PIC),
        edit_list: Vec::new(),
        kind: match parameters.medium() {
            media::Type::Video => {
                StreamKind::Video(Box::new(video_info(stream, &parameters, cadence)))
            }
            media::Type::Audio => StreamKind::Audio(audio_info(&parameters)),
            media::Type::Subtitle => StreamKind::Subtitle,
            media::Type::Attachment => StreamKind::Attachment {
                filename: tags.get("filename").cloned(),
                mimetype: tags.get("mimetype").cloned(),
            },
            _ => StreamKind::Data,
        },
        tags,
    }
}

fn video_info(stream: &Stream<'_>, parameters: &codec::Parameters, cadence: Cadence) -> VideoInfo {
    let (width, height) = picture_size(parameters);
    // SAFETY: `Parameters` holds a valid AVCodecParameters; plain fields are read.
    #[allow(unsafe_code)]
    let (format, aspect, order, reorder, bits) = unsafe {
        let raw = &*parameters.as_ptr();
        (
            raw.format,
            raw.sample_aspect_ratio,
            raw.field_order,
            raw.video_delay,
            raw.bits_per_raw_sample,
        )
    };
    let container_aspect = {
        // SAFETY: the stream is valid while borrowed; a plain field is read.
        #[allow(unsafe_code)]
        unsafe {
            (*stream.as_ptr()).sample_aspect_ratio
        }
    };
    // The container's word on aspect wins over the codec's, as in ffmpeg and players.
    let aspect = [container_aspect, aspect]
        .into_iter()
        .map(Rational::from)
        .find(|a| a.numerator() > 0 && a.denominator() > 0)
        .unwrap_or(Rational(1, 1));
    let (rotation, mirrored) = orientation(stream);
    let (display_width, display_height) = display_size(width, height, aspect, rotation);
    let pixel = colour::pixel_format(format);
    VideoInfo {
        width,
        height,
        sample_aspect: format!("{}:{}", aspect.numerator(), aspect.denominator()),
        display_aspect: ratio(
            i64::from(width) * i64::from(aspect.numerator()),
            i64::from(height) * i64::from(aspect.denominator()),
        ),
        display_width,
        display_height,
        rotation,
        mirrored,
        bit_depth: positive(i64::from(bits))
            .and_then(|b| u32::try_from(b).ok())
            .or(pixel.as_ref().map(|p| p.depth)),
        pixel_format: pixel.map(|p| p.name),
        colour: colour::of_parameters(parameters),
        hdr: hdr(stream),
        frame_rate: rate(stream.avg_frame_rate()).or_else(|| rate(stream.rate())),
        cadence,
        scan: scan(order),
        reorder: u32::try_from(reorder).unwrap_or(0),
    }
}

fn scan(order: ffi::AVFieldOrder) -> Scan {
    use ffi::AVFieldOrder as Order;
    match order {
        Order::AV_FIELD_PROGRESSIVE => Scan::Progressive,
        Order::AV_FIELD_TT | Order::AV_FIELD_BT => Scan::TopFirst,
        Order::AV_FIELD_BB | Order::AV_FIELD_TB => Scan::BottomFirst,
        _ => Scan::Unknown,
    }
}

/// Width and height in square pixels after aspect and rotation, each at least 1 where known.
pub(super) fn display_size(
    width: u32,
    height: u32,
    aspect: Rational,
    rotation: Rotation,
) -> (u32, u32) {
    let (num, den) = (aspect.numerator().max(1) as u64, aspect.denominator().max(1) as u64);
    // Only ever enlarge one side, as players do: no sample is thrown away.
    let (w, h) = if num >= den {
        ((u64::from(width) * num + den / 2) / den, u64::from(height))
    } else {
        (u64::from(width), (u64::from(height) * den + num / 2) / num)
    };
    // An absurd aspect must not ask for absurd memory: beyond 32 times it is not believed.
    let absurd =
        w > u64::from(width).saturating_mul(32) || h > u64::from(height).saturating_mul(32);
    let (w, h) = if absurd { (width, height) } else { (w as u32, h as u32) };
    if rotation.swaps_axes() { (h, w) } else { (w, h) }
}

fn audio_info(parameters: &codec::Parameters) -> AudioInfo {
    // SAFETY: `Parameters` holds a valid AVCodecParameters; the description is written into a
    // buffer whose size is passed along and is cut at its terminating zero.
    #[allow(unsafe_code)]
    let (rate, channels, layout, format, bits) = unsafe {
        let raw = &*parameters.as_ptr();
        let mut text = [0u8; 128];
        let length =
            ffi::av_channel_layout_describe(&raw.ch_layout, text.as_mut_ptr().cast(), text.len());
        let end = text.iter().position(|b| *b == 0).unwrap_or(0);
        let layout = if length > 0 {
            String::from_utf8_lossy(&text[..end]).into_owned()
        } else {
            String::new()
        };
        (raw.sample_rate, raw.ch_layout.nb_channels, layout, raw.format, raw.bits_per_raw_sample)
    };
    AudioInfo {
        sample_rate: u32::try_from(rate).unwrap_or(0),
        channels: u32::try_from(channels).unwrap_or(0),
        layout,
        sample_format: colour::sample_format(format),
        bit_depth: u32::try_from(bits).ok().filter(|b| *b > 0),
    }
}

fn profile(parameters: &codec::Parameters) -> Option<String> {
    // SAFETY: a static string or null is returned for any codec id and profile number.
    #[allow(unsafe_code)]
    unsafe {
        let raw = &*parameters.as_ptr();
        let name = ffi::avcodec_profile_name(raw.codec_id, raw.profile);
        (!name.is_null()).then(|| std::ffi::CStr::from_ptr(name).to_string_lossy().into_owned())
    }
}

/// Reads the display matrix: how the coded picture must be mirrored and turned.
fn orientation(stream: &Stream<'_>) -> (Rotation, bool) {
    stream
        .side_data()
        .find(|data| data.kind() == SideDataType::DisplayMatrix)
        .map_or((Rotation::None, false), |data| matrix_orientation(data.data()))
}

/// A 3×3 display matrix (nine native-endian `i32`, 16.16 fixed point, row vectors) as a mirror
/// left to right followed by a clockwise turn, to the nearest right angle.
pub(super) fn matrix_orientation(bytes: &[u8]) -> (Rotation, bool) {
    let mut cells = [0i64; 9];
    for (cell, chunk) in cells.iter_mut().zip(bytes.chunks_exact(4)) {
        *cell = i64::from(i32::from_ne_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]));
    }
    // A point (x, y) goes to (a·x + c·y, b·x + d·y), y pointing down.
    let (a, b, c, d) = (cells[0], cells[1], cells[3], cells[4]);
    let mirrored = a * d - b * c < 0;
    // Undo the mirror (x → −x first), then read the turn from where +x points.
    let (a, b) = if mirrored { (-a, -b) } else { (a, b) };
    let rotation = if a.abs() >= b.abs() {
        if a >= 0 { Rotation::None } else { Rotation::Half }
    } else if b > 0 {
        Rotation::Quarter
    } else {
        Rotation::ThreeQuarters
    };
    (rotation, mirrored)
}

fn hdr(stream: &Stream<'_>) -> Option<HdrInfo> {
    let mut info = HdrInfo {
        max_luminance: None,
        min_luminance: None,
        primaries: None,
        white_point: None,
        max_content_light: None,
        max_average_light: None,
        dolby_vision: false,
    };
    let mut found = false;
    for data in stream.side_data() {
        match data.kind() {
            // AVMasteringDisplayMetadata: eight fractions of two `int`s for red, green, blue and
            // white (x, y each), two more for luminance, then two flags.
            SideDataType::MasteringDisplayMetadata => {
                let cells = ints(data.data());
                let fraction = |i: usize| {
                    let (num, den) = (*cells.get(2 * i)?, *cells.get(2 * i + 1)?);
                    (den != 0).then(|| f64::from(num) / f64::from(den))
                };
                let point = |i: usize| Some([fraction(2 * i)?, fraction(2 * i + 1)?]);
                found = true;
                if cells.get(20).is_some_and(|flag| *flag != 0) {
                    info.primaries = (|| Some([point(0)?, point(1)?, point(2)?]))();
                    info.white_point = point(3);
                }
                if cells.get(21).is_some_and(|flag| *flag != 0) {
                    info.min_luminance = fraction(8);
                    info.max_luminance = fraction(9);
                }
            }
            // AVContentLightMetadata: two `unsigned`s.
            SideDataType::ContentLightLevel => {
                let cells = ints(data.data());
                found = true;
                info.max_content_light = cells.first().map(|v| v.cast_unsigned());
                info.max_average_light = cells.get(1).map(|v| v.cast_unsigned());
            }
            SideDataType::DOVI_CONF => {
                found = true;
                info.dolby_vision = true;
            }
            _ => {}
        }
    }
    found.then_some(info)
}

/// A C struct made of `int`s, as its numbers.
fn ints(bytes: &[u8]) -> Vec<i32> {
    bytes.chunks_exact(4).map(|c| i32::from_ne_bytes([c[0], c[1], c[2], c[3]])).collect()
}

/// Judges the steps between frames by the container's index, where it lists every frame.
fn cadence(input: &mut Input, index: usize) -> Cadence {
    let Some(stream) = input.context().stream(index) else { return Cadence::Unknown };
    if stream.parameters().medium() != media::Type::Video {
        return Cadence::Unknown;
    }
    let frames = stream.frames();
    let (average, nominal) = (stream.avg_frame_rate(), stream.rate());
    let ticks: Vec<i64> = input.index_entries(index).iter().map(|entry| entry.tick).collect();
    if frames > 2 && ticks.len() as i64 == frames {
        let steps = ticks.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
        let (low, high) = steps.fold((i64::MAX, i64::MIN), |(l, h), s| (l.min(s), h.max(s)));
        // One tick of rounding each way; the last step is often odd, but it is not in the list.
        return if high.saturating_sub(low) <= 2 { Cadence::Constant } else { Cadence::Variable };
    }
    let (a, n) = (f64::from(average), f64::from(nominal));
    // A nominal rate well above the average one is libav's sign of uneven steps; field rates
    // (twice the frame rate) and millisecond clocks are not.
    let ratio = n / a;
    if ratio.is_finite() && ratio > 1.02 && (ratio - 2.0).abs() > 0.02 && n < 500.0 {
        Cadence::Variable
    } else {
        Cadence::Unknown
    }
}

fn time_base(base: Rational) -> TimeBase {
    TimeBase::new(base.numerator(), base.denominator()).unwrap_or(TimeBase::MICROS)
}

fn rate(rate: Rational) -> Option<String> {
    (rate.numerator() > 0 && rate.denominator() > 0)
        .then(|| format!("{}/{}", rate.numerator(), rate.denominator()))
}

fn ratio(num: i64, den: i64) -> String {
    let (mut a, mut b) = (num.max(1), den.max(1));
    while b != 0 {
        (a, b) = (b, a % b);
    }
    format!("{}:{}", num / a, den / a)
}

fn positive(value: i64) -> Option<u64> {
    u64::try_from(value).ok().filter(|v| *v > 0)
}

/// Copies tags out. Files may hold any bytes: what is not UTF-8 is replaced (ffmpeg-next's own
/// iterator takes them unchecked for `str`).
fn tags(dictionary: &DictionaryRef<'_>) -> BTreeMap<String, String> {
    const MAX_TAGS: usize = 10_000;
    let mut tags = BTreeMap::new();
    let mut entry: *const ffi::AVDictionaryEntry = std::ptr::null();
    while tags.len() < MAX_TAGS {
        // SAFETY: the dictionary lives as long as the borrow; an entry returned by `av_dict_get`
        // is valid until the dictionary changes, and its key and value are C strings.
        #[allow(unsafe_code)]
        unsafe {
            entry = ffi::av_dict_get(
                dictionary.as_ptr(),
                c"".as_ptr(),
                entry,
                ffi::AV_DICT_IGNORE_SUFFIX as i32,
            );
            let Some(found) = entry.as_ref() else { break };
            let text = |raw| std::ffi::CStr::from_ptr(raw).to_string_lossy().into_owned();
            tags.insert(text(found.key), text(found.value));
        }
    }
    tags
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::allow;

    fn matrix(a: i32, b: i32, c: i32, d: i32) -> Vec<u8> {
        [a, b, 0, c, d, 0, 0, 0, 1 << 14].iter().flat_map(|v| (v << 16).to_ne_bytes()).collect()
    }

    #[test]
    fn display_matrices() {
        assert_eq!(matrix_orientation(&matrix(1, 0, 0, 1)), (Rotation::None, false));
        assert_eq!(matrix_orientation(&matrix(0, 1, -1, 0)), (Rotation::Quarter, false));
        assert_eq!(matrix_orientation(&matrix(-1, 0, 0, -1)), (Rotation::Half, false));
        assert_eq!(matrix_orientation(&matrix(0, -1, 1, 0)), (Rotation::ThreeQuarters, false));
        assert_eq!(matrix_orientation(&matrix(-1, 0, 0, 1)), (Rotation::None, true));
        assert_eq!(matrix_orientation(&matrix(1, 0, 0, -1)), (Rotation::Half, true));
        assert_eq!(matrix_orientation(&[]), (Rotation::None, false));
    }

    #[test]
    fn display_sizes() {
        assert_eq!(display_size(176, 144, Rational(128, 117), Rotation::None), (193, 144));
        assert_eq!(display_size(1080, 720, Rational(1, 1), Rotation::Quarter), (720, 1080));
        assert_eq!(display_size(100, 100, Rational(1, i32::MAX), Rotation::None), (100, 100));
    }

    #[test]
    fn allow_lists_name_no_playlist() {
        for bad in ["hls", "concat", "dash", "image2", "rtsp", "sdp"] {
            assert!(!allow::DEMUXERS.split(',').any(|d| d == bad), "{bad}");
        }
        assert!(!allow::DECODERS.split(',').any(|d| d == "magicyuv"));
    }
}
