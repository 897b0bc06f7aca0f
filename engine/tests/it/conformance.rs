//! Known answers of others: pictures, timestamps and frame numbers published with third-party
//! media in `../shared/data`.

use crate::support::{
    arg, difference, every_frame, frames_at, frames_of, json, native, number, open, output,
};
use rushes::media::SoundFormat;
use rushes::{FramePolicy, Precision, Timestamp};
use rushes_fixtures::{make, shared};
use sha1::{Digest, Sha1};
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

#[test]
fn openh264_streams_decode_to_the_given_sha1() {
    let Some(folder) = shared("3-frames-shots/openh264") else { return };
    let table = std::fs::read_to_string(folder.join("sha1.tsv")).unwrap();
    let rows = table.lines().skip(1).filter_map(|line| line.split_once('\t'));
    let mut checked = 0;
    for (file, expected) in rows {
        let (planes, _) = every_frame(&folder.join(file), |picked, _| {
            let mut planes = Vec::new();
            picked.frame.copy_planes(&mut planes)?;
            Ok(planes)
        });
        let mut hash = Sha1::new();
        planes.iter().for_each(|planes| hash.update(planes));
        let hash = hash.finalize().iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        });
        assert_eq!(hash, expected, "{file}, {} frames", planes.len());
        checked += 1;
    }
    assert_eq!(checked, 8);
}

/// (`pts_time`, `duration_time`) of every frame listed.
fn listed(path: &Path) -> Vec<(f64, f64)> {
    let list = json(&std::fs::read(path).unwrap());
    let pair = |frame: &serde_json::Value| {
        (number(&frame["pts_time"]).unwrap(), number(&frame["duration_time"]).unwrap())
    };
    list.as_array().unwrap().iter().map(pair).collect()
}

/// Times agree to the microsecond that the lists are rounded to.
fn same_times(ours: &[f64], listed: &[(f64, f64)], what: &str) {
    assert_eq!(ours.len(), listed.len(), "{what}: number of frames");
    for (i, (ours, (theirs, _))) in ours.iter().zip(listed).enumerate() {
        assert!((ours - theirs).abs() < 1.1e-6, "{what}: frame {i} at {ours}, not {theirs}");
    }
}

#[test]
fn torchcodec_lists_the_same_times() {
    let Some(folder) = shared("3-frames-shots/torchcodec") else { return };
    let film = folder.join("nasa_13013.mp4");
    for stream in [0, 3] {
        let list =
            listed(&folder.join(format!("nasa_13013.mp4.stream{stream}.all_frames_info.json")));
        let (ours, _) = frames_of(
            &film,
            |reading| reading.video_stream(stream),
            FramePolicy::All,
            Precision::Exact,
            |picked, _| Ok(picked.frame.time().as_secs_f64()),
        )
        .unwrap();
        same_times(&ours, &list, &format!("stream {stream}"));
        assert_eq!(list.len(), if stream == 0 { 325 } else { 390 });
        // The frame shown just before each listed frame ends is that frame.
        let inside = |(pts, duration): &(f64, f64)| {
            Timestamp::new(((pts + duration * 0.9) * 1e6) as i64, rushes::time::TimeBase::MICROS)
        };
        let times = list.iter().step_by(7).map(inside).collect();
        let (ours, _) = frames_of(
            &film,
            |reading| reading.video_stream(stream),
            FramePolicy::At(times),
            Precision::Exact,
            |picked, _| Ok(picked.frame.time().as_secs_f64()),
        )
        .unwrap();
        let list: Vec<_> = list.into_iter().step_by(7).collect();
        same_times(&ours, &list, &format!("stream {stream}, asked for by time"));
    }
}

#[test]
fn torchcodec_lists_the_same_sound_times() {
    let Some(folder) = shared("3-frames-shots/torchcodec") else { return };
    let mut heard = crate::support::Heard::default();
    let film = open(&folder.join("nasa_13013.mp4")).audio_stream(4);
    film.sound(SoundFormat::SOURCE, &mut heard).run().unwrap();
    let starts: Vec<f64> = heard.starts.iter().map(|(_, time)| *time).collect();
    let list = listed(&folder.join("nasa_13013.mp4.stream4.all_frames_info.json"));
    same_times(&starts, &list, "stream 4");

    // The file that this list is of is not among the data; its like is made: 4 s, 16 kHz, mono.
    let list = listed(&folder.join("sine_mono_s16.wav.stream0.all_frames_info.json"));
    let tone =
        make("sine-mono", "wav", &["-f", "lavfi", "-i", "sine=sample_rate=16000:duration=4"]);
    let (heard, _) = crate::support::sound(&tone, SoundFormat::SOURCE);
    let end = list.last().map(|(pts, duration)| pts + duration).unwrap();
    assert!((heard.samples.len() as f64 / 16_000.0 - end).abs() < 1e-6);
    let starts: Vec<f64> = heard.starts.iter().map(|(_, time)| *time).collect();
    same_times(&starts, &list, "sine_mono_s16.wav");
}

/// The one tensor of a `.pt` file: bytes, height × width × 3.
fn tensor(path: &Path) -> Vec<u8> {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
    let is_data = |name: &str| name.ends_with("/data/0");
    let place =
        (0..archive.len()).find(|i| is_data(&archive.by_index(*i).unwrap().name().unwrap()));
    let mut bytes = Vec::new();
    archive.by_index(place.unwrap()).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// Code values that a picture may differ by from the reference anywhere.
const TOLERANCE: u8 = 2;

fn same_picture(ours: &image::RgbImage, reference: &[u8], what: &str) {
    let d = difference(ours.as_raw(), reference);
    assert!(d.most <= TOLERANCE, "{what}: differs by up to {}, {:.3} on average", d.most, d.mean);
}

#[test]
fn torchcodec_shows_the_same_pictures() {
    let Some(folder) = shared("3-frames-shots/torchcodec") else { return };
    let numbered = |film: &str, stream: usize, numbers: std::ops::RangeInclusive<u64>| {
        let path = folder.join(film);
        let wanted = numbers.clone();
        let (pictures, _) = frames_of(
            &path,
            |reading| reading.video_stream(stream),
            FramePolicy::All,
            Precision::Exact,
            |picked, converter| {
                let wanted = wanted.contains(&picked.n);
                wanted.then(|| Ok((picked.n, native(picked, converter)?))).transpose()
            },
        )
        .unwrap();
        let found: Vec<_> = pictures.into_iter().flatten().collect();
        assert_eq!(found.len() as u64, numbers.end() - numbers.start() + 1);
        for (n, picture) in found {
            let name = format!("{film}.stream{stream}.frame{n:06}.pt");
            same_picture(&picture, &tensor(&folder.join(&name)), &name);
        }
    };
    numbered("nasa_13013.mp4", 0, 0..=4);
    numbered("nasa_13013.mp4", 3, 386..=389);
    numbered("h265_video.mp4", 0, 5..=5);
    numbered("av1_video.mkv", 0, 10..=10);
    // Named after a seek to 6 s, which gives the first frame from there on: it is shown at 6.006 s,
    // and at 6 s itself still the one before.
    let after_six = Timestamp::from_millis(6006);
    let six = frames_at(&folder.join("nasa_13013.mp4"), vec![after_six], native);
    same_picture(&six[0], &tensor(&folder.join("nasa_13013.mp4.time6.000000.pt")), "time 6");
}

/// No pictures come with these; libav's accurate path, told matrix and range, is the reference.
#[test]
fn ten_bit_pictures_are_converted_rightly() {
    let Some(folder) = shared("3-frames-shots/torchcodec") else { return };
    for film in ["h264_10bits.mp4", "h265_10bits.mp4"] {
        let path = folder.join(film);
        let flags = "flags=bicubic+accurate_rnd+full_chroma_int";
        let scale = format!("scale={flags}:in_color_matrix=bt601:in_range=limited");
        let mut args = vec!["-v", "error", "-i", arg(&path), "-frames:v", "3", "-vf", &scale];
        args.extend(["-pix_fmt", "rgb24", "-f", "rawvideo", "-"]);
        let reference = output("ffmpeg", &args);
        let pictures = frames_at(&path, [0, 40, 70].map(Timestamp::from_millis).to_vec(), native);
        let references = reference.chunks(pictures[0].as_raw().len());
        assert_eq!(references.len(), 3);
        for (picture, reference) in pictures.iter().zip(references) {
            same_picture(picture, reference, film);
        }
    }
}

/// 4:2:0 code values as RGB by the formulas of BT.709, full range; a chroma sample serves the
/// four pixels it covers.
fn by_formula(planes: &[u8], width: usize, height: usize) -> Vec<u8> {
    let (luma, chroma) = planes.split_at(width * height);
    let (blue, red) = chroma.split_at(chroma.len() / 2);
    let pixel = |x: usize, y: usize| {
        let at = y / 2 * (width / 2) + x / 2;
        let (l, b, r) =
            (luma[y * width + x], f64::from(blue[at]) - 128.0, f64::from(red[at]) - 128.0);
        let l = f64::from(l);
        [l + 1.5748 * r, l - 0.187_324 * b - 0.468_124 * r, l + 1.8556 * b]
    };
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    // `as` saturates
    places.flat_map(|(x, y)| pixel(x, y).map(|v| v.round() as u8)).collect()
}

#[test]
fn full_range_bt709_is_converted_by_the_formula() {
    let Some(folder) = shared("3-frames-shots/torchcodec") else { return };
    let wanted = FramePolicy::Every(Timestamp::from_millis(500));
    let path = folder.join("bt709_full_range.mp4");
    let (pairs, _) = frames_of(
        &path,
        |r| r,
        wanted,
        Precision::Exact,
        |picked, converter| {
            let mut planes = Vec::new();
            picked.frame.copy_planes(&mut planes)?;
            Ok((planes, native(picked, converter)?))
        },
    )
    .unwrap();
    assert_eq!(pairs.len(), 2);
    for (planes, picture) in pairs {
        let (w, h) = picture.dimensions();
        same_picture(
            &picture,
            &by_formula(&planes, w as usize, h as usize),
            "bt709_full_range.mp4",
        );
    }
}

/// A picture, thinned to every fourth pixel of its lower right part, where the counter is.
fn thinned(picture: &image::RgbImage) -> Vec<u8> {
    let (w, h) = picture.dimensions();
    let pixels =
        (h * 7 / 10..h).step_by(4).flat_map(|y| (w * 2 / 3..w).step_by(4).map(move |x| (x, y)));
    pixels.flat_map(|(x, y)| picture.get_pixel(x, y).0).collect()
}

/// The number of the reference picture that is nearest, and how far it and the next are.
fn nearest(picture: &[u8], references: &[Vec<u8>]) -> (usize, [f64; 2]) {
    let mean = |reference: &Vec<u8>| difference(picture, reference).mean;
    let mut all: Vec<_> = references.iter().map(mean).enumerate().collect();
    all.sort_by(|a, b| a.1.total_cmp(&b.1));
    (all[0].0, [all[0].1, all[1].1])
}

#[test]
fn pyscenedetect_counts_the_same_frames() {
    let Some(folder) = shared("3-frames-shots/pyscenedetect") else { return };
    // `frameNNN.png` shows "Frame = NNN", counted from 1, and its time, a tenth less each.
    let references: Vec<Vec<u8>> = (1..=30)
        .map(|n| image::open(folder.join(format!("counter/frame{n:03}.png"))).unwrap())
        .map(|picture| thinned(&picture.into_rgb8()))
        .collect();
    let film = folder.join("counter.mp4");
    let thin = |picked: &rushes::media::Picked<'_>,
                converter: &mut rushes::media::PictureConverter| {
        Ok((picked.frame.time().as_millis(), thinned(&native(picked, converter)?)))
    };
    let right = |n: usize, (millis, picture): &(i64, Vec<u8>)| {
        let (found, [first, second]) = nearest(picture, &references);
        assert_eq!((found, *millis), (n, n as i64 * 100), "frame {}", n + 1);
        // Not closer, as the film does not mark its matrix and theirs was another than ours.
        assert!(first < 8.0 && first * 1.2 < second, "frame {}: {first:.2}, {second:.2}", n + 1);
    };
    let (all, _) = every_frame(&film, thin);
    assert_eq!(all.len(), 30);
    all.iter().enumerate().for_each(|(n, found)| right(n, found));
    // At a frame's very time, in its middle and less than a tick before its end.
    for offset in [0, 50_000, 99_999] {
        let times =
            (0..30).map(|n| Timestamp::new(n * 100_000 + offset, rushes::time::TimeBase::MICROS));
        let asked = frames_at(&film, times.collect(), thin);
        asked.iter().enumerate().for_each(|(n, found)| right(n, found));
    }
}

/// Times of the samples of each video track, microseconds, in order of showing.
fn dumped(path: &Path) -> Vec<i64> {
    let text = std::fs::read_to_string(path).unwrap();
    let tracks = text.split("\ntrack ").skip(1);
    let pictures = tracks.filter(|track| track.contains("sampleMimeType = video/"));
    let times = |track: &str| {
        let lines = track.lines().filter_map(|line| line.strip_prefix("    time = "));
        lines.map(|time| time.parse().unwrap()).collect::<Vec<i64>>()
    };
    let mut times: Vec<i64> = pictures.map(times).next().unwrap();
    times.sort_unstable();
    times
}

#[test]
fn androidx_extracts_the_same_times() {
    let Some(folder) = shared("3-frames-shots/androidx-extractordumps") else { return };
    let Some(clips) = shared("1-video") else { return };
    for clip in [
        "bt601.mov",
        "sample.avi",
        "sample.flv",
        "sample.mkv",
        "sample_fragmented.mp4",
        "sample_h264.ts",
        "sample_h265.ts",
        "sample_rotate_and_reflect.mp4",
        "sample_with_chapters.mkv",
        "sample_with_htc_rotation_track_name.mkv",
        "sample_with_srt.mkv",
    ] {
        let theirs = dumped(&folder.join(format!("{clip}.0.dump")));
        let (ours, _) = every_frame(&clips.join(clip), |picked, _| {
            Ok((picked.frame.time().as_secs_f64() * 1e6).round() as i64)
        });
        // Where time 0 lies differs between players; the steps do not.
        let from_first = |times: &[i64]| times.iter().map(|t| t - times[0]).collect::<Vec<_>>();
        let (ours, theirs) = (from_first(&ours), from_first(&theirs));
        assert_eq!(ours.len(), theirs.len(), "{clip}: number of frames");
        for (i, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            assert!((ours - theirs).abs() <= 2, "{clip}: frame {i} at {ours} us, not {theirs}");
        }
    }
}
