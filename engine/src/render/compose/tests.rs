//! Composing against the oracle, and against what must hold of itself.

use super::fit::{Fit, Fitted, Placement, Turn, place};
use super::reference::{self, Exact};
use super::*;
use crate::media::Matrix;
use proptest::prelude::*;

/// A picture with edges, ramps and noise, the same each time.
pub(super) fn picture(w: u32, h: u32, depth: Depth, tags: ColourTags, seed: u32) -> Picture {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    let mut noise = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as i32
    };
    let mut plane = |w: u32, h: u32, low: i32, high: i32| -> Vec<u16> {
        let mut data = Vec::new();
        for y in 0..h as i32 {
            for x in 0..w as i32 {
                let ramp = low + (high - low) * x / w as i32;
                let value = match (x / 13 + y / 9) % 4 {
                    0 => ramp,
                    1 => high - (ramp - low),
                    2 => low + (noise() * (high - low)) / 255,
                    _ => {
                        if (x + y) % 2 == 0 {
                            low
                        } else {
                            high
                        }
                    }
                };
                data.push(value as u16);
            }
        }
        data
    };
    let ten = depth == Depth::Ten;
    let by = if ten { 4 } else { 1 };
    let planes = [
        plane(w, h, 16 * by, 235 * by),
        plane(w / 2, h / 2, 80 * by, 180 * by),
        plane(w / 2, h / 2, 70 * by, 190 * by),
    ];
    if ten {
        Picture::from_planes10(w, h, tags, planes).unwrap()
    } else {
        let bytes = planes.map(|p| p.into_iter().map(|v| v as u8).collect());
        Picture::from_planes8(w, h, tags, bytes).unwrap()
    }
}

/// Largest and mean difference in code values, over all planes.
pub(super) fn difference(made: &Picture, wanted: &Exact) -> (f64, f64) {
    let made = Exact::of(made);
    let (mut most, mut sum, mut count) = (0.0f64, 0.0, 0);
    for (a, b) in made.planes.iter().zip(&wanted.planes) {
        for (a, b) in a.iter().zip(b) {
            // The oracle's value rounded, as a code value has to be.
            let d = (a - b.round()).abs();
            most = most.max(d);
            sum += d;
            count += 1;
        }
    }
    (most, sum / f64::from(count))
}

fn check(canvas: &Picture, layers: &[Layer<'_>]) -> (f64, f64) {
    let mut wanted = Exact::of(canvas);
    for layer in layers {
        reference::draw(&mut wanted, canvas.tags, canvas.depth(), layer);
    }
    let mut made = canvas.clone();
    compose(&mut made, layers);
    difference(&made, &wanted)
}

fn tags(matrix: Matrix, full_range: bool, site: ChromaSite) -> ColourTags {
    ColourTags { matrix, full_range, transfer: Transfer::Sdr, site }
}

const T: ColourTags = ColourTags::BT709;

#[test]
fn scales_as_the_oracle() {
    for depth in [Depth::Eight, Depth::Ten] {
        let source = picture(322, 182, depth, T, 1);
        let canvas = picture(200, 240, depth, T, 2);
        let cases = [
            ((100.0, 120.0), (200.0, 240.0)),
            ((100.0, 120.0), (200.0, 112.0)),
            ((31.3, 40.7), (97.1, 55.9)),
            ((100.0, 120.0), (900.0, 800.0)),
            ((180.0, 10.0), (322.0, 182.0)),
            ((50.0, 50.0), (3.0, 2.0)),
        ];
        for (centre, size) in cases {
            let layer = Layer { centre, size, ..Layer::at(&source, 0.0, 0.0) };
            let (most, mean) = check(&canvas, &[layer]);
            assert!(most <= 1.0 && mean <= 0.05, "{depth:?} {centre:?} {size:?}: {most} {mean}");
        }
    }
}

#[test]
fn identity_is_a_copy() {
    let source = picture(64, 48, Depth::Eight, T, 3);
    let mut canvas = Picture::new(64, 48, Depth::Eight, T, false).unwrap();
    compose(&mut canvas, &[Layer::at(&source, 0.0, 0.0)]);
    assert_eq!(canvas, source);
    // A part of it at an even place is a copy of that part.
    let mut canvas = Picture::new(32, 32, Depth::Eight, T, false).unwrap();
    compose(&mut canvas, &[Layer::at(&source, -10.0, -6.0)]);
    let (Planes::Eight(made), Planes::Eight(from)) = (&canvas.planes, &source.planes) else {
        panic!("8 bit");
    };
    for y in 0..32 {
        assert_eq!(made.planes[0].row(y), &from.planes[0].row(y + 6)[10..42]);
    }
    for y in 0..16 {
        assert_eq!(made.planes[2].row(y), &from.planes[2].row(y + 3)[5..21]);
    }
}

#[test]
fn matrices_ranges_and_depths() {
    let kinds = [
        tags(Matrix::Bt601, false, ChromaSite::Left),
        tags(Matrix::Bt601, true, ChromaSite::Centre),
        tags(Matrix::Bt709, false, ChromaSite::Left),
        tags(Matrix::Bt2020, false, ChromaSite::TopLeft),
        tags(Matrix::Bt2020, true, ChromaSite::Left),
        tags(Matrix::Smpte240m, false, ChromaSite::Left),
    ];
    for from in kinds {
        for to in kinds {
            for (own, depth) in [
                (Depth::Eight, Depth::Eight),
                (Depth::Ten, Depth::Eight),
                (Depth::Eight, Depth::Ten),
                (Depth::Ten, Depth::Ten),
            ] {
                let source = picture(96, 64, own, from, 4);
                let canvas = Picture::new(96, 64, depth, to, false).unwrap();
                let (most, mean) = check(&canvas, &[Layer::at(&source, 0.0, 0.0)]);
                // A ten-bit code value of difference is a quarter of an eight-bit one.
                assert!(
                    most <= 2.0 && mean <= 0.25,
                    "{from:?} {own:?} {to:?} {depth:?}: {most} {mean}"
                );
            }
        }
    }
}

#[test]
fn coverage_and_opacity() {
    let rgba: Vec<u8> = (0..50 * 30u32)
        .flat_map(|i| {
            let (x, y) = (i % 50, i / 50);
            [
                (x * 5) as u8,
                (y * 8) as u8,
                200,
                if (x / 7 + y / 5) % 3 == 0 { 0 } else { (x * 5) as u8 },
            ]
        })
        .collect();
    let logo = Picture::from_rgba(50, 30, &rgba, T).unwrap();
    let canvas = picture(120, 80, Depth::Eight, T, 5);
    for (centre, size, opacity) in [
        ((45.0, 35.0), (50.0, 30.0), 1.0),
        ((45.0, 35.0), (50.0, 30.0), 0.37),
        ((60.2, 41.5), (77.0, 33.3), 1.0),
        ((0.0, 0.0), (20.5, 18.25), 0.8),
    ] {
        let layer = Layer { centre, size, opacity, ..Layer::at(&logo, 0.0, 0.0) };
        let (most, mean) = check(&canvas, &[layer]);
        assert!(most <= 2.0 && mean <= 0.25, "{centre:?} {size:?}: {most} {mean}");
    }
    // An opaque picture, half there.
    let source = picture(64, 64, Depth::Eight, T, 6);
    let layer = Layer { opacity: 0.5, ..Layer::at(&source, 20.5, 3.25) };
    let (most, mean) = check(&canvas, &[layer]);
    assert!(most <= 2.0 && mean <= 0.25, "{most} {mean}");
}

#[test]
fn threads_do_not_change_a_bit() {
    let source = picture(640, 360, Depth::Eight, tags(Matrix::Bt601, false, ChromaSite::Left), 7);
    let made = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut canvas = Picture::new(720, 1280, Depth::Eight, T, false).unwrap();
            let layers = [
                Layer {
                    centre: (360.0, 640.0),
                    size: (2275.0, 1280.0),
                    ..Layer::at(&source, 0.0, 0.0)
                },
                Layer { rotation: 20.0, opacity: 0.7, ..Layer::at(&source, 40.0, 200.0) },
            ];
            compose(&mut canvas, &layers);
            canvas
        })
    };
    let one = made(1);
    assert_eq!(one, made(2));
    assert_eq!(one, made(5));
}

#[test]
fn quarter_turns_lose_nothing() {
    let centre = tags(Matrix::Bt709, false, ChromaSite::Centre);
    let source = picture(48, 32, Depth::Eight, centre, 8);
    let turned = |picture: &Picture, rotation: f64| {
        let (w, h) = (picture.height(), picture.width());
        let mut canvas = Picture::new(w, h, Depth::Eight, centre, false).unwrap();
        let middle = (f64::from(w) / 2.0, f64::from(h) / 2.0);
        let layer = Layer { centre: middle, rotation, ..Layer::at(picture, 0.0, 0.0) };
        compose(&mut canvas, &[layer]);
        canvas
    };
    let mut round = source.clone();
    for _ in 0..4 {
        round = turned(&round, 90.0);
    }
    assert_eq!(round, source);
    let there = turned(&source, 90.0);
    assert_eq!(turned(&there, 270.0), source);
    assert_eq!(turned(&there, -90.0), source);
    // Clockwise: the first row becomes the last column.
    let (Planes::Eight(t), Planes::Eight(s)) = (&there.planes, &source.planes) else { panic!("8") };
    assert_eq!(t.planes[0].row(0)[31], s.planes[0].row(0)[0]);
    assert_eq!(t.planes[0].row(47)[31], s.planes[0].row(0)[47]);
}

#[test]
fn free_rotation_meets_the_quarter_turn() {
    // Smooth, so that the tables' phases do not matter.
    let mut source = picture(64, 64, Depth::Eight, T, 9);
    effect_blur(&mut source, 3.0);
    let canvas = Picture::new(96, 96, Depth::Eight, T, false).unwrap();
    let at = |rotation: f64| {
        let mut made = canvas.clone();
        compose(&mut made, &[Layer { rotation, ..Layer::at(&source, 16.0, 16.0) }]);
        made
    };
    let (most, mean) = difference(&at(90.0001), &Exact::of(&at(90.0)));
    assert!(most <= 2.0 && mean <= 0.25, "{most} {mean}");
    let (most, mean) = difference(&at(0.0001), &Exact::of(&at(0.0)));
    assert!(most <= 2.0 && mean <= 0.25, "{most} {mean}");
}

fn effect_blur(picture: &mut Picture, sigma: f64) {
    crate::render::effect::blur(&mut picture.planes, sigma);
}

#[test]
fn curves_through_light() {
    let hdr = |transfer| ColourTags { matrix: Matrix::Bt2020, transfer, ..T };
    for (from, own) in
        [(hdr(Transfer::Pq), Depth::Ten), (hdr(Transfer::Hlg), Depth::Ten), (T, Depth::Eight)]
    {
        let to = if from.transfer == Transfer::Sdr { hdr(Transfer::Pq) } else { T };
        let depth = if from.transfer == Transfer::Sdr { Depth::Ten } else { Depth::Eight };
        // Every colour of a coarse cube, in blocks of 8 × 8.
        let mut source = Picture::new(8 * 32, 8 * 32, own, from, false).unwrap();
        for i in 0..1000u32 {
            let rgb = [i % 10, i / 10 % 10, i / 100].map(|v| v as f64 / 9.0);
            let codes = convert::codes_of(rgb, from, own);
            let (x, y) = ((i % 32) as usize, (i / 32) as usize);
            for (p, code) in codes.into_iter().enumerate() {
                let size = if p == 0 { 8 } else { 4 };
                for row in y * size..(y + 1) * size {
                    let columns = x * size..(x + 1) * size;
                    match &mut source.planes {
                        Planes::Eight(yuv) => yuv.planes[p].row_mut(row)[columns].fill(code as u8),
                        Planes::Ten(yuv) => yuv.planes[p].row_mut(row)[columns].fill(code),
                    }
                }
            }
        }
        let canvas = Picture::new(256, 256, depth, to, false).unwrap();
        let (most, mean) = check(&canvas, &[Layer::at(&source, 0.0, 0.0)]);
        // In code values of 8 bit.
        let unit = if depth == Depth::Ten { 4.0 } else { 1.0 };
        let (most, mean) = (most / unit, mean / unit);
        assert!(most <= 2.0 && mean <= 0.25, "{from:?}: {most} {mean}");
    }
}

#[test]
fn fits() {
    let frame = Rect::of_size(1080, 1920);
    let wide = Fitted { crop: Rect::of_size(1920, 1080), aspect: 1.0, turn: Turn::None };
    let contain = place(Fit::Contain, wide, frame, (0.5, 0.5));
    assert_eq!((contain.size, contain.centre), ((1080.0, 608.0), (540.0, 960.0)));
    let cover = place(Fit::Cover, wide, frame, (0.0, 0.5));
    assert_eq!(cover.crop, Rect { x: 0.0, y: 0.0, width: 607.5, height: 1080.0 });
    let cover = place(Fit::Cover, wide, frame, (0.9, 0.5));
    assert_eq!(cover.crop.x, 1920.0 - 607.5);
    // Held upright by the camera's mark: nothing is cut off.
    let turned = Fitted { turn: Turn::Quarter, ..wide };
    let Placement { crop, size, rotation, .. } = place(Fit::Cover, turned, frame, (0.5, 0.5));
    assert_eq!((crop, size, rotation), (wide.crop, (1920.0, 1080.0), 90.0));
    // Wide samples: 720 × 576 at 16:15 is 768 × 576.
    let pal = Fitted { crop: Rect::of_size(720, 576), aspect: 16.0 / 15.0, turn: Turn::None };
    let made = place(Fit::Contain, pal, Rect::of_size(768, 576), (0.5, 0.5));
    assert_eq!(made.size, (768.0, 576.0));
}

#[test]
fn what_is_refused() {
    assert!(Picture::new(3, 2, Depth::Eight, T, false).is_err());
    assert!(Picture::new(0, 2, Depth::Eight, T, false).is_err());
    assert!(Picture::new(1 << 20, 2, Depth::Eight, T, false).is_err());
    assert!(Picture::from_planes8(4, 4, T, [vec![0; 16], vec![0; 4], vec![0; 3]]).is_err());
    assert!(Picture::from_rgba(u32::MAX, 1, &[], T).is_err());
}

/// How far the worst sample lies outside of what rounding explains, against the oracle's value
/// before it is rounded. A layer of 8 bit is rounded to code values at its size (off by at most a
/// half, of which the blend leaves the layer's share) and once more where it is blended (another half).
/// Only the second happens where nothing of the layer is. What the whole numbers between the passes
/// leave is `SUMS`: words of 1/64 code value, weights of 2⁻¹⁴.
fn beyond_rounding(canvas: &Picture, layer: &Layer<'_>) -> f64 {
    const SUMS: f64 = 0.1;
    let mut wanted = Exact::of(canvas);
    reference::draw(&mut wanted, canvas.tags, canvas.depth(), layer);
    let mut made = canvas.clone();
    compose(&mut made, std::slice::from_ref(layer));
    let made = Exact::of(&made);
    let allowed = 0.5 + f64::from(layer.opacity.clamp(0.0, 1.0)) * (0.5 + SUMS);
    let pairs = made.planes.iter().flatten().zip(wanted.planes.iter().flatten());
    pairs.map(|(made, wanted)| (made - wanted).abs() - allowed).fold(f64::MIN, f64::max)
}

/// What `anywhere` met: a layer enlarged 170 times, nearly opaque. Two roundings, one after the other,
/// put more than a quarter of the samples one code value off the exact value rounded once.
#[test]
fn two_roundings_and_no_more() {
    let source = picture(60, 44, Depth::Eight, T, 11);
    let canvas = picture(80, 62, Depth::Eight, T, 12);
    let crop = Rect { x: 0.0, y: 0.0, width: 34.026600668774456, height: 2.263899549717089 };
    let layer = Layer {
        crop,
        centre: (0.0, 0.0),
        size: (365.7840167473557, 375.6752688403542),
        opacity: 0.988727,
        ..Layer::at(&source, 0.0, 0.0)
    };
    let off = beyond_rounding(&canvas, &layer);
    assert!(off <= 0.0, "{off}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Any place at all: as the oracle but for rounding, or nothing, and never a panic.
    #[test]
    fn anywhere(
        x in -200.0..300.0f64, y in -200.0..300.0f64, w in 0.0..400.0f64, h in 0.0..400.0f64,
        cx in -20.0..60.0f64, cy in -20.0..60.0f64, cw in 0.0..90.0f64, ch in 0.0..90.0f64,
        opacity in 0.0..1.2f32,
    ) {
        let source = picture(60, 44, Depth::Eight, T, 11);
        let canvas = picture(80, 62, Depth::Eight, T, 12);
        let crop = Rect { x: cx, y: cy, width: cw, height: ch };
        let layer = Layer { crop, centre: (x, y), size: (w, h), opacity, ..Layer::at(&source, 0.0, 0.0) };
        let off = beyond_rounding(&canvas, &layer);
        prop_assert!(off <= 0.0, "{off}");
    }

    /// Numbers that mean nothing change nothing.
    #[test]
    fn wild(v in prop::array::uniform8(prop::num::f64::ANY), opacity in prop::num::f32::ANY) {
        let source = picture(20, 16, Depth::Eight, T, 13);
        let mut canvas = Picture::new(20, 16, Depth::Eight, T, true).unwrap();
        let crop = Rect { x: v[0], y: v[1], width: v[2], height: v[3] };
        for rotation in [0.0, 90.0, v[7]] {
            let layer = Layer {
                crop, centre: (v[4], v[5]), size: (v[6], v[6]), rotation, opacity,
                ..Layer::at(&source, 0.0, 0.0)
            };
            compose(&mut canvas, &[layer]);
        }
    }
}

/// libswscale's bicubic, with chroma on the left, as an outside reference.
#[test]
fn scales_as_ffmpeg_does() {
    use crate::render::outside::{ffmpeg, film, psnr, raw};
    let Some(source) = film("testsrc2", 640, 360) else { return };
    for (w, h) in [(320u32, 180u32), (1280, 720), (500, 282), (640, 482), (96, 54)] {
        let mut made = Picture::new(w, h, Depth::Eight, T, false).unwrap();
        let centre = (f64::from(w) / 2.0, f64::from(h) / 2.0);
        let size = (f64::from(w), f64::from(h));
        compose(&mut made, &[Layer { centre, size, ..Layer::at(&source, 0.0, 0.0) }]);
        let scale = format!(
            "scale={w}:{h}:flags=bicubic+accurate_rnd+bitexact:in_h_chr_pos=0:out_h_chr_pos=0:\
             in_v_chr_pos=128:out_v_chr_pos=128"
        );
        let args = [
            "-f", "rawvideo", "-s", "640x360", "-pix_fmt", "yuv420p", "-i", "-", "-vf", &scale,
            "-f", "rawvideo", "-pix_fmt", "yuv420p", "-",
        ];
        let theirs = ffmpeg(&args, &raw(&source)).unwrap();
        let decibels = psnr(&raw(&made), &theirs);
        eprintln!("{w}x{h}: {decibels:.1} dB");
        assert!(decibels > 45.0, "{w}x{h}: {decibels:.1} dB");
    }
}

/// libswscale's matrices and ranges, by way of R′G′B′ in 8 bit, as an outside reference.
#[test]
fn converts_as_ffmpeg_does() {
    use crate::render::outside::{ffmpeg, film, psnr, raw};
    let Some(mut source) = film("testsrc2", 320, 180) else { return };
    // How chroma is brought to luma's places is another matter, and so is what R′G′B′ of 8 bit cuts
    // off: smooth, and half as colourful.
    effect_blur(&mut source, 3.0);
    if let Planes::Eight(yuv) = &mut source.planes {
        for value in yuv.planes[1..].iter_mut().flat_map(|p| &mut p.data) {
            *value = (*value / 2) + 64;
        }
    }
    for (name, other) in [
        ("out_color_matrix=bt601:out_range=tv", tags(Matrix::Bt601, false, ChromaSite::Left)),
        ("out_color_matrix=bt2020:out_range=tv", tags(Matrix::Bt2020, false, ChromaSite::Left)),
        ("out_color_matrix=bt709:out_range=pc", tags(Matrix::Bt709, true, ChromaSite::Left)),
    ] {
        let mut made = Picture::new(320, 180, Depth::Eight, other, false).unwrap();
        compose(&mut made, &[Layer::at(&source, 0.0, 0.0)]);
        let there = format!(
            "scale=in_color_matrix=bt709:in_range=tv:flags=accurate_rnd+full_chroma_int+full_chroma_inp,\
             format=gbrp,scale={name}:flags=accurate_rnd+full_chroma_int+full_chroma_inp,format=yuv420p"
        );
        let there = there.replace("in_range=tv", "in_range=tv:out_range=pc");
        let args = [
            "-f", "rawvideo", "-s", "320x180", "-pix_fmt", "yuv420p", "-i", "-", "-vf", &there,
            "-f", "rawvideo", "-",
        ];
        let theirs = ffmpeg(&args, &raw(&source)).unwrap();
        let luma = 320 * 180;
        let decibels = psnr(&raw(&made)[..luma], &theirs[..luma]);
        eprintln!("{name}: {decibels:.1} dB in luma");
        assert!(decibels > 45.0, "{name}: {decibels:.1} dB");
    }
}
