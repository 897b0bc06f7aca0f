//! Pictures and sound that belong together stay together, however many cuts lie before them: each
//! flash of a test film comes with a click, and both are found again by the ffmpeg program.

use crate::support::output;
use rushes::control::Cancel;
use rushes::limits::Limits;
use rushes::render::{Edit, Target};
use rushes::timeline::Timeline;
use std::path::Path;

/// A flash and a click every 30 frames, which is 1.001 s.
const EVERY: u32 = 30;
const SECONDS: f64 = 1001.0 / 30_000.0;
/// What a packet of AAC holds.
const PACKET: f64 = 1024.0 / 48_000.0;
const SAMPLES: f64 = 8000.0;

fn film(path: &Path) {
    let picture = "color=black:size=64x48:rate=30000/1001:duration=20";
    let flash = format!("drawbox=color=white:t=fill:enable='not(mod(n,{EVERY}))'");
    let click = "aevalsrc='0.8*lt(mod(t,1.001),0.012)*sin(2*PI*1500*t)':s=48000:d=20";
    let args = ["-v", "error", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", click, "-vf"];
    let coding = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "30", "-pix_fmt", "yuv420p"];
    let sound = ["-c:a", "flac", path.to_str().unwrap()];
    output("ffmpeg", &[&args[..], &[flash.as_str()], &coding, &sound].concat());
}

/// Cuts of uneven lengths until there are `frames`, each the same on every machine.
fn cuts(frames: u32) -> String {
    let (mut items, mut total, mut state) = (String::new(), 0, 12_345_u32);
    let mut roll = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % below
    };
    while total < frames {
        let length = 31 + roll(150);
        let from = roll(550 - length);
        items += &format!("{{ asset: 'a', from: '{from}f', to: '{}f' }},", from + length);
        total += length;
    }
    items
}

#[track_caller]
fn in_step(minutes: u32) {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("flashes.mkv");
    film(&source);
    let spec = format!(
        "{{ rushes: 1, canvas: {{ size: '64x48', rate: '30000/1001', colour: 'bt601' }},
            assets: {{ a: {{ file: '{}' }} }}, video: [{{ items: [{}] }}],
            outputs: [{{ copy: false, video: {{ preset: 'ultrafast' }} }}] }}",
        source.display(),
        cuts(minutes * 1800)
    );
    let timeline = Timeline::parse(&spec).unwrap();
    let edit = Edit::open(timeline, Path::new("/"), &Limits::default(), &Cancel::new()).unwrap();
    let file = dir.path().join("out.mp4");
    let target =
        Target::new(&edit.timeline().canvas, edit.timeline().outputs.first(), &file).unwrap();
    edit.render(&target, &file).unwrap();

    let file = file.to_str().unwrap();
    let gray =
        ["-v", "error", "-i", file, "-map", "0:v", "-f", "rawvideo", "-pix_fmt", "gray", "-"];
    let flashes: Vec<f64> = output("ffmpeg", &gray)
        .chunks_exact(64 * 48)
        .enumerate()
        .filter(|(_, picture)| picture[24 * 64 + 32] > 128)
        .map(|(n, _)| n as f64 * SECONDS)
        .collect();
    let tone = ["-v", "error", "-i", file, "-map", "0:a", "-ac", "1", "-ar", "8000"];
    let sound = output("ffmpeg", &[&tone[..], &["-f", "s16le", "-"]].concat());
    let loud = sound
        .chunks_exact(2)
        .enumerate()
        .filter(|(_, s)| i16::from_le_bytes([s[0], s[1]]).unsigned_abs() > 6000);
    let mut clicks: Vec<f64> = Vec::new();
    let mut last = f64::MIN;
    for (i, _) in loud {
        let at = i as f64 / SAMPLES;
        if at - last > 0.01 {
            clicks.push(at);
        }
        last = at;
    }
    assert!(flashes.len() as u32 > minutes * 50, "{} flashes", flashes.len());
    assert_eq!(flashes.len(), clicks.len());
    let far = |(a, b): (&f64, &f64)| (a - b).abs();
    let worst = flashes.iter().zip(&clicks).map(far).fold(0.0, f64::max);
    let end = far((flashes.last().unwrap(), clicks.last().unwrap()));
    assert!(worst <= PACKET, "{worst} s, at the end {end} s");
}

#[test]
fn pictures_and_sound_of_a_minute() {
    in_step(1);
}

#[test]
#[ignore = "an hour of it: minutes of work"]
fn pictures_and_sound_of_an_hour() {
    in_step(60);
}
