//! The `ffmpeg` command as an outside reference for tests.

use super::compose::{ColourTags, Picture, Planes};
use std::io::Write;
use std::process::{Command, Stdio};

/// What `ffmpeg` writes to its standard output when given `input`; `None` (said aloud) where there
/// is no such program.
pub(crate) fn ffmpeg(args: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin"]).args(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        eprintln!("no ffmpeg command here: not compared");
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {said}");
    Some(output.stdout)
}

/// A picture of 8 bit from raw planes.
pub(crate) fn picture(w: u32, h: u32, raw: &[u8]) -> Picture {
    let (n, m) = ((w * h) as usize, (w * h / 4) as usize);
    let planes = [raw[..n].to_vec(), raw[n..n + m].to_vec(), raw[n + m..n + 2 * m].to_vec()];
    Picture::from_planes8(w, h, ColourTags::BT709, planes).unwrap()
}

/// The raw planes of a picture of 8 bit.
pub(crate) fn raw(picture: &Picture) -> Vec<u8> {
    match &picture.planes {
        Planes::Eight(yuv) => yuv.planes.iter().flat_map(|p| p.data.iter().copied()).collect(),
        Planes::Ten(_) => panic!("8 bit only"),
    }
}

/// One frame of a test film, with edges, text, ramps and moving parts.
pub(crate) fn film(source: &str, w: u32, h: u32) -> Option<Picture> {
    let source = format!("{source}=s={w}x{h}:r=25");
    let args = [
        "-f",
        "lavfi",
        "-i",
        &source,
        "-frames:v",
        "1",
        "-pix_fmt",
        "yuv420p",
        "-f",
        "rawvideo",
        "-",
    ];
    Some(picture(w, h, &ffmpeg(&args, &[])?))
}

/// Peak signal to noise in decibels over all bytes; 99 where they are equal.
pub(crate) fn psnr(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let sum: f64 = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    if sum == 0.0 { 99.0 } else { 10.0 * (255.0f64.powi(2) * a.len() as f64 / sum).log10() }
}

/// Integrated loudness and true peak of 48 kHz stereo floats, by ffmpeg's `ebur128`.
pub(crate) fn loudness(bytes: &[u8]) -> Option<(f64, f64)> {
    let mut child = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostats", "-f", "f32le", "-ar", "48000", "-ac", "2", "-i", "-"])
        .args(["-af", "ebur128=peak=true:framelog=verbose", "-f", "null", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let mut stdin = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let feeder = std::thread::spawn(move || {
        let _ = stdin.write_all(&bytes);
    });
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let value = |name: &str| -> f64 {
        let line = said.lines().rev().find(|l| l.trim().starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    Some((value("I:"), value("Peak:")))
}

/// Writes a picture for a person to look at.
pub(crate) fn png(picture: &Picture, path: &std::path::Path) {
    use super::compose::convert::to_rgb;
    let (w, h) = (picture.width() as usize, picture.height() as usize);
    let Planes::Eight(yuv) = &picture.planes else { panic!("8 bit only") };
    let mut out = image::RgbImage::new(w as u32, h as u32);
    for y in 0..h {
        for x in 0..w {
            let luma = f64::from(yuv.planes[0].row(y)[x]);
            let chroma = |p: usize| (f64::from(yuv.planes[p].row(y / 2)[x / 2]) - 128.0) / 224.0;
            let rgb = to_rgb([(luma - 16.0) / 219.0, chroma(1), chroma(2)], picture.tags.matrix);
            let rgb = rgb.map(|v| (v.clamp(0.0, 1.0) * 255.0).round() as u8);
            out.put_pixel(x as u32, y as u32, image::Rgb(rgb));
        }
    }
    out.save(path).unwrap();
}
