//! Ends, an oracle in floating point, and ffmpeg's `xfade`.

use super::*;
use crate::render::compose::{ColourTags, Depth, Picture};
use crate::render::outside::{ffmpeg, film, psnr, raw};

fn pair() -> Option<(Picture, Picture)> {
    Some((film("testsrc2", 320, 180)?, film("mandelbrot", 320, 180)?))
}

fn at(a: &Picture, b: &Picture, kind: TransitionKind, progress: f64) -> Picture {
    let mut out = Picture::new(a.width(), a.height(), a.depth(), a.tags, false).unwrap();
    mix(a, b, kind, progress, &mut out).unwrap();
    out
}

#[test]
fn ends_are_the_pictures() {
    let mut a = Picture::new(34, 18, Depth::Ten, ColourTags::BT709, false).unwrap();
    let mut b = a.clone();
    a.fill([200, 30, 10]);
    b.fill([10, 90, 250]);
    for kind in TransitionKind::ALL {
        assert_eq!(at(&a, &b, kind, 0.0), a, "{}", kind.as_str());
        assert_eq!(at(&a, &b, kind, 1.0), b, "{}", kind.as_str());
        assert_eq!(at(&a, &b, kind, -3.0), a);
        assert_eq!(at(&a, &b, kind, f64::NAN), a);
        // Never a panic, and something of both or of the colour between.
        for i in 1..50 {
            let _ = at(&a, &b, kind, f64::from(i) / 50.0);
        }
    }
    let small = Picture::new(2, 2, Depth::Ten, ColourTags::BT709, false).unwrap();
    assert!(mix(&a, &small, TransitionKind::Cut, 0.5, &mut b).is_err());
}

#[test]
fn smallest_pictures() {
    let a = Picture::new(2, 2, Depth::Eight, ColourTags::BT709, false).unwrap();
    for kind in TransitionKind::ALL {
        let _ = at(&a, &a, kind, 0.3);
    }
}

#[test]
fn a_dissolve_is_the_weighted_mean() {
    let Some((a, b)) = pair() else { return };
    let (p, q) = (raw(&a), raw(&b));
    for progress in [0.1, 0.37, 0.5, 0.9] {
        for (i, v) in raw(&at(&a, &b, TransitionKind::Dissolve, progress)).iter().enumerate() {
            let exact = f64::from(p[i]) * (1.0 - progress) + f64::from(q[i]) * progress;
            assert!((f64::from(*v) - exact).abs() <= 0.52, "{progress} {i}");
        }
    }
}

/// `xfade` computes progress from 1 to 0 by frames; frame 6 of 25 of a second is 0.24 of the way.
#[test]
fn as_xfade_draws_them() {
    use Direction::{Down, Left, Right, Up};
    use TransitionKind as K;
    let Some((a, b)) = pair() else { return };
    let mut input = Vec::new();
    for picture in [&a, &b] {
        let one = raw(picture);
        for _ in 0..25 {
            input.extend_from_slice(&one);
        }
    }
    // `xfade` cuts fractions off where this rounds: half a code value, 51 dB. Its wipes have one
    // column or row more on one side: 33 dB on these pictures.
    let cases = [
        (K::Dissolve, "fade", 50.0),
        (K::Dip([0, 0, 0]), "fadeblack", 50.0),
        (K::Dip([255, 255, 255]), "fadewhite", 50.0),
        (K::Wipe(Left), "wipeleft", 32.0),
        (K::Wipe(Right), "wiperight", 32.0),
        (K::Wipe(Up), "wipeup", 32.0),
        (K::Wipe(Down), "wipedown", 32.0),
        (K::Push(Left), "slideleft", 40.0),
        (K::Push(Right), "slideright", 40.0),
        (K::Push(Up), "slideup", 40.0),
        (K::Push(Down), "slidedown", 40.0),
        (K::CircleOpen, "circleopen", 50.0),
        (K::CircleClose, "circleclose", 50.0),
        (K::BarnDoor, "vertopen", 50.0),
        (K::Zoom, "zoomin", 25.0),
        // Its hand has a soft edge of a third of a radian, ours one of a sample: half of a third of a
        // radian of the picture differs by half of what both pictures do.
        (K::Clock, "radial", 10.0),
    ];
    let size = raw(&a).len();
    let mut faults = Vec::new();
    for (kind, name, least) in cases {
        let filter = format!(
            "[0:v]split[x][y];[x]trim=end_frame=25,setpts=PTS-STARTPTS,settb=1/25,fps=25[a];\
             [y]trim=start_frame=25,setpts=PTS-STARTPTS,settb=1/25,fps=25[b];\
             [a][b]xfade=transition={name}:duration=1:offset=0"
        );
        let args = [
            "-f",
            "rawvideo",
            "-s",
            "320x180",
            "-r",
            "25",
            "-pix_fmt",
            "yuv420p",
            "-i",
            "-",
            "-filter_complex",
            &filter,
            "-f",
            "rawvideo",
            "-pix_fmt",
            "yuv420p",
            "-",
        ];
        let theirs = ffmpeg(&args, &input).unwrap();
        for frame in [6, 12, 19] {
            // Enlarged without end, its nearest sample and the mean of four are two plain colours.
            if kind == K::Zoom && frame > 6 {
                continue;
            }
            // Its black is 0 and its white 255: those of full range.
            let full = |picture: &Picture| {
                let mut made = picture.clone();
                made.tags.full_range = matches!(kind, K::Dip(_));
                made
            };
            let ours = raw(&at(&full(&a), &full(&b), kind, frame as f64 / 25.0));
            // `xfade` works in 4:4:4: chroma comes back from two conversions, luma as it was.
            let luma = 320 * 180;
            let decibels = psnr(&ours[..luma], &theirs[frame * size..frame * size + luma]);
            eprintln!("{name} at {frame}: {decibels:.1} dB");
            faults
                .extend((decibels < least).then(|| format!("{name} at {frame}: {decibels:.1} dB")));
        }
    }
    assert!(faults.is_empty(), "{faults:?}");
}
