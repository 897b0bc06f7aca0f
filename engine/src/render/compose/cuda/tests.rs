//! The kernels, as CPU code, against the CPU's compositor: on every sample at most 2 code values, 0.25 in
//! the mean, 50 dB; and not a byte outside of the picture is written.

use super::emulated::Emulated;
use super::mask::Kernel;
use super::*;
use crate::media::{Matrix, SMALL_HEIGHT, SMALL_WIDTH};
use crate::render::compose::axis::{Filter, Grid};
use crate::render::compose::convert::{Codes, to_rgb};
use crate::render::compose::reference::{Exact, resampled};
use crate::render::compose::tests::picture;
use crate::render::compose::{
    ChromaSite, ColourTags, Depth, Layer, Picture, Planes, Rect, Sample, Transfer, compose,
};
use crate::render::effect::{ChromaKey, Effect, Grade, Vignette};
use crate::render::lut::CubeLut;
use crate::render::transition::{TransitionKind, mix};
use proptest::prelude::*;
use std::sync::Arc;

const T: ColourTags = ColourTags::BT709;

/// Whether there is a C++ compiler; says so where there is none.
fn compiler() -> bool {
    let there = std::process::Command::new("g++").arg("--version").output().is_ok();
    if !there {
        eprintln!("no g++ on this machine: the kernels are not tested");
    }
    there
}

fn tags(matrix: Matrix, full_range: bool, site: ChromaSite) -> ColourTags {
    ColourTags { matrix, full_range, transfer: Transfer::Sdr, site }
}

/// All samples, coverage too.
fn samples(picture: &Picture) -> Vec<f64> {
    fn all<T: Sample>(yuv: &crate::render::compose::Yuv<T>) -> Vec<f64> {
        let mut made: Vec<f64> = Vec::new();
        let alpha = yuv.alpha.iter().flat_map(|a| [&a.luma, &a.chroma]);
        for plane in yuv.planes.iter().chain(alpha) {
            made.extend(plane.data.iter().map(|v| f64::from(v.to_i32())));
        }
        made
    }
    match &picture.planes {
        Planes::Eight(yuv) => all(yuv),
        Planes::Ten(yuv) => all(yuv),
    }
}

/// Holds `made` to `wanted`.
#[track_caller]
fn close(made: &Picture, wanted: &Picture, what: &str) {
    assert!(made.same_shape(wanted), "{what}");
    let (a, b) = (samples(made), samples(wanted));
    let apart: Vec<f64> = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).collect();
    let most = apart.iter().copied().fold(0.0, f64::max);
    let mean = apart.iter().sum::<f64>() / apart.len() as f64;
    let square = apart.iter().map(|d| d * d).sum::<f64>() / apart.len() as f64;
    let peak = f64::from((1u32 << made.depth().bits()) - 1);
    let decibels = 10.0 * (peak * peak / square.max(1e-12)).log10();
    assert!(most <= 2.0 && mean <= 0.25 && decibels >= 50.0, "{what}: {most} {mean} {decibels} dB");
}

/// Whether nothing but samples of `picture` differs between two copies of its memory.
fn only_samples(picture: &DevicePicture, before: &[u8], after: &[u8]) -> bool {
    let mut belongs = vec![false; before.len()];
    let base = picture.memory.as_ref().unwrap().address;
    for plane in picture.planes.iter().filter(|plane| plane.base != 0) {
        for y in 0..plane.height as usize {
            for x in 0..plane.width as usize {
                let at =
                    (plane.base - base) as usize + y * plane.sy as usize + x * plane.sx as usize;
                belongs[at] = true;
                if plane.wide != 0 {
                    belongs[at + 1] = true;
                }
            }
        }
    }
    belongs.iter().zip(before.iter().zip(after)).all(|(own, (a, b))| *own || a == b)
}

/// Composes on the CPU and by the kernels, holds one to the other, and gives back what ran.
#[track_caller]
fn check(canvas: &Picture, layers: &[Layer<'_>], layout: Layout, what: &str) -> Vec<Kernel> {
    check_on(&Emulated::default(), canvas, layers, layout, what)
}

#[track_caller]
fn check_on(
    machine: &Emulated,
    canvas: &Picture,
    layers: &[Layer<'_>],
    layout: Layout,
    what: &str,
) -> Vec<Kernel> {
    let mut wanted = canvas.clone();
    compose(&mut wanted, layers);
    let mut made = DevicePicture::upload(machine, canvas, layout).unwrap();
    let pictures: Vec<DevicePicture> = layers
        .iter()
        .map(|layer| DevicePicture::upload(machine, layer.picture, layout).unwrap())
        .collect();
    let on: Vec<DeviceLayer<'_>> = layers
        .iter()
        .zip(&pictures)
        .map(|(layer, picture)| DeviceLayer::of(layer, picture))
        .collect();
    let memory = made.memory.clone().unwrap();
    let before = machine.read(&memory).unwrap();
    compose_on_device(machine, &mut made, Ground::Kept, &on).unwrap();
    let after = machine.read(&memory).unwrap();
    assert!(only_samples(&made, &before, &after), "{what}: written outside of the picture");
    close(&made.download(machine).unwrap(), &wanted, what);
    let ran = machine.ran.lock().unwrap();
    ran.iter().map(|(kernel, _)| *kernel).collect()
}

/// A picture with coverage: blobs, some of it none, some whole.
fn logo(w: u32, h: u32) -> Picture {
    let pixel = |i: u32| {
        let (x, y) = (i % w, i / w);
        let a = if (x / 7 + y / 5) % 3 == 0 { 0 } else { (x * 9).min(255) as u8 };
        [(x * 5) as u8, (y * 8) as u8, 200, a]
    };
    let rgba: Vec<u8> = (0..w * h).flat_map(pixel).collect();
    Picture::from_rgba(w, h, &rgba, T).unwrap()
}

const LAYOUTS: [Layout; 2] = [Layout::Planar, Layout::SemiPlanar];

#[test]
fn layers_that_are_only_shifted() {
    if !compiler() {
        return;
    }
    for depth in [Depth::Eight, Depth::Ten] {
        for layout in LAYOUTS {
            // Wide enough for whole segments, and with a rest.
            let canvas = picture(150, 62, depth, T, 1);
            let whole = picture(150, 62, depth, T, 2);
            let small = picture(50, 30, depth, T, 3);
            let layers = [
                Layer { opacity: 0.31, ..Layer::at(&whole, 0.0, 0.0) },
                Layer::at(&small, 16.0, 10.0),
                Layer { opacity: 0.8, ..Layer::at(&whole, -32.0, 6.0) },
                Layer { opacity: 0.5, ..Layer::at(&small, 120.0, 50.0) },
                Layer { opacity: 0.25, ..Layer::at(&small, 7.0, 3.0) },
            ];
            let ran = check(&canvas, &layers[..4], layout, "four");
            assert_eq!(ran, [Kernel::ComposePlain]);
            check(&canvas, &layers[1..2], layout, "one");
            check(&canvas, &layers, layout, "five, one of them between chroma samples");
        }
    }
    let canvas = picture(150, 62, Depth::Eight, T, 1);
    let ink = logo(48, 28);
    let layers =
        [Layer::at(&ink, 30.0, 12.0), Layer { opacity: 0.4, ..Layer::at(&ink, 64.0, 20.0) }];
    for layout in LAYOUTS {
        assert_eq!(check(&canvas, &layers, layout, "ink"), [Kernel::ComposePlain]);
    }
}

#[test]
fn a_new_canvas_and_nothing_on_it() {
    if !compiler() {
        return;
    }
    let machine = Emulated::default();
    for depth in [Depth::Eight, Depth::Ten] {
        for layout in LAYOUTS {
            let mut made = DevicePicture::new(&machine, (70, 38), depth, T, layout, false).unwrap();
            compose_on_device(&machine, &mut made, Ground::New, &[]).unwrap();
            let mut wanted = Picture::new(70, 38, depth, T, false).unwrap();
            assert_eq!(made.download(&machine).unwrap(), wanted);
            let blue = [10, 20, 250];
            compose_on_device(&machine, &mut made, Ground::Colour(blue), &[]).unwrap();
            wanted.fill(blue);
            assert_eq!(made.download(&machine).unwrap(), wanted);
            // Layers that are nowhere.
            let source = made.clone();
            let nowhere =
                DeviceLayer { size: (f64::NAN, 3.0), ..DeviceLayer::at(&source, 0.0, 0.0) };
            let off = DeviceLayer::at(&source, 500.0, 0.0);
            compose_on_device(&machine, &mut made, Ground::Kept, &[nowhere, off]).unwrap();
            assert_eq!(made.download(&machine).unwrap(), wanted);
        }
    }
    let mut clear =
        DevicePicture::new(&machine, (32, 18), Depth::Eight, T, Layout::Planar, true).unwrap();
    compose_on_device(&machine, &mut clear, Ground::New, &[]).unwrap();
    assert_eq!(
        clear.download(&machine).unwrap(),
        Picture::new(32, 18, Depth::Eight, T, true).unwrap()
    );
}

#[test]
fn scaled_layers() {
    if !compiler() {
        return;
    }
    let kinds = [Depth::Eight, Depth::Ten];
    for (own, depth) in kinds.iter().flat_map(|own| kinds.map(|depth| (*own, depth))) {
        let source = picture(322, 182, own, T, 1);
        let canvas = picture(150, 90, depth, T, 2);
        for (centre, size) in [
            ((75.0, 45.0), (150.0, 90.0)),
            ((31.3, 40.7), (97.1, 55.9)),
            ((75.0, 45.0), (900.0, 800.0)),
            ((50.0, 50.0), (3.0, 2.0)),
        ] {
            let layer = Layer { centre, size, ..Layer::at(&source, 0.0, 0.0) };
            let what = format!("{own:?} {depth:?} {centre:?} {size:?}");
            check(&canvas, &[layer], Layout::SemiPlanar, &what);
        }
    }
    // Coverage, also on a canvas that has some.
    let ink = logo(50, 30);
    for canvas in [
        picture(120, 80, Depth::Eight, T, 5),
        Picture::new(120, 80, Depth::Eight, T, true).unwrap(),
        Picture::new(120, 80, Depth::Ten, T, true).unwrap(),
    ] {
        let layers = [
            Layer { centre: (60.2, 41.5), size: (77.0, 33.3), ..Layer::at(&ink, 0.0, 0.0) },
            Layer { opacity: 0.4, ..Layer::at(&ink, 4.0, 6.0) },
        ];
        check(&canvas, &layers, Layout::Planar, "coverage");
    }
}

/// Colours change smoothly, but much.
fn table(side: usize, curve: bool) -> Arc<CubeLut> {
    let mut text = String::new();
    if curve {
        text += "LUT_1D_SIZE 17\nLUT_3D_SIZE 9\n";
        for i in 0..17 {
            let v = f64::from(i) / 16.0;
            text += &format!("{} {} {}\n", v.powf(0.8), v.powf(1.2), v);
        }
    } else {
        text += &format!("LUT_3D_SIZE {side}\n");
    }
    let side = if curve { 9 } else { side };
    let last = (side - 1) as f64;
    for i in 0..side * side * side {
        let [r, g, b] = [i % side, i / side % side, i / side / side].map(|v| v as f64 / last);
        text += &format!("{} {} {}\n", r.powf(0.9), 0.1 + 0.7 * g + 0.2 * r * b, 1.0 - b * 0.9);
    }
    Arc::new(CubeLut::parse(&text).unwrap())
}

#[test]
fn effects() {
    if !compiler() {
        return;
    }
    let grade = Grade { exposure: 0.3, contrast: 1.2, saturation: 1.4, temperature: 5000.0 };
    let key = ChromaKey { colour: [90, 140, 100], tolerance: 0.05, softness: 0.3, despill: 0.6 };
    let all = [
        Effect::Grade(grade),
        Effect::Lut(table(17, false)),
        Effect::Vignette(Vignette { amount: 0.7, radius: 0.3 }),
        Effect::ChromaKey(key),
        Effect::Blur { sigma: 1.7 },
        Effect::Sharpen { amount: 0.8, sigma: 1.1 },
        Effect::Lut(table(9, true)),
    ];
    for depth in [Depth::Eight, Depth::Ten] {
        for site in [ChromaSite::Left, ChromaSite::Centre, ChromaSite::TopLeft] {
            let own = tags(Matrix::Bt709, false, site);
            let canvas = picture(150, 90, depth, own, 2);
            let source = picture(120, 70, depth, tags(Matrix::Bt601, true, site), 8);
            for effect in &all {
                let effects = std::slice::from_ref(effect);
                let layer = Layer {
                    centre: (71.0, 44.0),
                    size: (133.0, 81.0),
                    effects,
                    ..Layer::at(&source, 0.0, 0.0)
                };
                check(&canvas, &[layer], Layout::Planar, &format!("{effect:?} {depth:?} {site:?}"));
            }
        }
    }
    let canvas = picture(150, 90, Depth::Eight, T, 2);
    let source = picture(120, 70, Depth::Eight, T, 8);
    let ink = logo(50, 30);
    // Longer than a tile's halo, and than a launch's steps.
    let chain: Vec<Effect> = [&all[..], &all[..3], &all[..2]].concat();
    for effects in [&chain[..], &all[3..5], &all[1..3], &chain[7..], &chain[5..9]] {
        let layer = Layer { effects, opacity: 0.9, ..Layer::at(&source, 14.0, 10.0) };
        check(&canvas, &[layer], Layout::SemiPlanar, &format!("{} effects", effects.len()));
        let layer = Layer { effects, ..Layer::at(&ink, 14.0, 10.0) };
        check(&canvas, &[layer; 6], Layout::SemiPlanar, &format!("{} on ink", effects.len()));
    }
    // A blur so wide that it is done on a smaller picture.
    let wide = [Effect::Blur { sigma: 11.0 }];
    let layer = Layer { effects: &wide, ..Layer::at(&source, 14.0, 10.0) };
    check(&canvas, &[layer], Layout::Planar, "wide blur");
    let layer = Layer { effects: &wide, rotation: 31.0, ..Layer::at(&ink, 14.0, 10.0) };
    check(&canvas, &[layer], Layout::Planar, "wide blur of ink");
}

/// Modules that have only what their launch needs, one feature after the other.
#[test]
fn modules_cut_to_measure() {
    if !compiler() {
        return;
    }
    let machine = Emulated::cut();
    let check = |canvas: &Picture, layer: Layer<'_>, what: &str| {
        check_on(&machine, canvas, &[layer], Layout::SemiPlanar, what);
    };
    let canvas = picture(150, 90, Depth::Eight, T, 2);
    let source = picture(120, 70, Depth::Eight, T, 8);
    let other = picture(120, 70, Depth::Eight, tags(Matrix::Bt601, false, ChromaSite::Left), 8);
    let pq = ColourTags { matrix: Matrix::Bt2020, transfer: Transfer::Pq, ..T };
    let hdr = picture(120, 70, Depth::Ten, pq, 8);
    let ink = logo(50, 30);
    let at = |picture| Layer { opacity: 0.7, ..Layer::at(picture, 14.0, 10.0) };
    check(&canvas, at(&source), "shifted");
    check(&canvas, at(&ink), "ink");
    check(&canvas, at(&other), "matrix");
    check(&canvas, at(&hdr), "light");
    check(&canvas, Layer { size: (77.0, 33.3), ..at(&source) }, "scaled");
    check(&canvas, Layer { size: (77.0, 33.3), ..at(&ink) }, "scaled ink");
    check(&canvas, Layer { rotation: 20.0, ..at(&source) }, "turned");
    let key = ChromaKey { colour: [90, 140, 100], tolerance: 0.05, softness: 0.3, despill: 0.6 };
    for effect in [
        Effect::Grade(Grade { saturation: 1.4, ..Grade::default() }),
        Effect::Lut(table(9, false)),
        Effect::Vignette(Vignette { amount: 0.7, radius: 0.3 }),
        Effect::ChromaKey(key),
        Effect::Blur { sigma: 1.7 },
    ] {
        let effects = std::slice::from_ref(&effect);
        check(&canvas, Layer { effects, ..at(&source) }, &format!("{effect:?}"));
    }
    let ten = picture(150, 90, Depth::Ten, T, 2);
    check(&ten, at(&picture(120, 70, Depth::Ten, T, 8)), "10 bit");
}

#[test]
fn conversions() {
    if !compiler() {
        return;
    }
    let hdr = |transfer| ColourTags { matrix: Matrix::Bt2020, transfer, ..T };
    let kinds = [
        (tags(Matrix::Bt601, false, ChromaSite::Left), Depth::Eight),
        (tags(Matrix::Bt601, true, ChromaSite::Centre), Depth::Eight),
        (T, Depth::Ten),
        (tags(Matrix::Bt2020, true, ChromaSite::TopLeft), Depth::Ten),
        (hdr(Transfer::Pq), Depth::Ten),
        (hdr(Transfer::Hlg), Depth::Ten),
    ];
    for (from, own) in kinds {
        for (to, depth) in kinds {
            let source = picture(96, 64, own, from, 4);
            let canvas = picture(96, 64, depth, to, 5);
            let what = format!("{from:?} {own:?} {to:?} {depth:?}");
            check(&canvas, &[Layer::at(&source, 0.0, 0.0)], Layout::SemiPlanar, &what);
        }
    }
    let canvas = picture(96, 64, Depth::Eight, tags(Matrix::Bt2020, true, ChromaSite::Left), 5);
    check(&canvas, &[Layer::at(&logo(50, 30), 4.0, 6.0)], Layout::Planar, "ink");
}

#[test]
fn turns() {
    if !compiler() {
        return;
    }
    let canvas = picture(150, 110, Depth::Eight, T, 2);
    let source = picture(96, 64, Depth::Eight, tags(Matrix::Bt709, false, ChromaSite::Centre), 9);
    let ten = picture(96, 64, Depth::Ten, T, 9);
    let ink = logo(50, 30);
    let crop = Rect { x: 6.5, y: 3.0, width: 71.0, height: 50.5 };
    for rotation in [90.0, 180.0, -90.0, 17.0, 122.0, 359.0, 45.0] {
        for picture in [&source, &ten, &ink] {
            let layer = Layer {
                rotation,
                centre: (70.0, 50.0),
                crop: if picture.width() > 60 { crop } else { Layer::at(picture, 0.0, 0.0).crop },
                size: (83.0, 61.0),
                opacity: 0.9,
                ..Layer::at(picture, 0.0, 0.0)
            };
            for layout in LAYOUTS {
                check(&canvas, &[layer], layout, &format!("{rotation}° of {}", picture.width()));
            }
        }
    }
    let clear = Picture::new(150, 110, Depth::Eight, T, true).unwrap();
    let layer = Layer { rotation: 33.0, ..Layer::at(&ink, 40.0, 30.0) };
    check(&clear, &[layer], Layout::Planar, "on nothing");
}

#[test]
fn transitions() {
    if !compiler() {
        return;
    }
    let machine = Emulated::default();
    for (depth, layout) in [
        (Depth::Eight, Layout::SemiPlanar),
        (Depth::Ten, Layout::SemiPlanar),
        (Depth::Eight, Layout::Planar),
    ] {
        let (a, b) = (picture(98, 66, depth, T, 1), picture(98, 66, depth, T, 2));
        let on = |picture| DevicePicture::upload(&machine, picture, layout).unwrap();
        let (da, db, mut out) = (on(&a), on(&b), on(&a));
        for kind in TransitionKind::ALL.into_iter().chain([TransitionKind::Dip([255, 40, 90])]) {
            for progress in [0.0, 0.001, 0.21, 0.5, 0.77, 0.999, 1.0, f64::NAN] {
                let mut wanted = a.clone();
                mix(&a, &b, kind, progress, &mut wanted).unwrap();
                let memory = out.memory.clone().unwrap();
                let before = machine.read(&memory).unwrap();
                mix_on_device(&machine, &da, &db, kind, progress, &mut out).unwrap();
                assert!(only_samples(&out, &before, &machine.read(&memory).unwrap()));
                let what = format!("{kind:?} {progress} {depth:?}");
                close(&out.download(&machine).unwrap(), &wanted, &what);
            }
        }
    }
}

#[test]
fn tensors() {
    if !compiler() {
        return;
    }
    let machine = Emulated::default();
    for (depth, tags) in [
        (Depth::Eight, T),
        (Depth::Ten, tags(Matrix::Bt2020, true, ChromaSite::TopLeft)),
        (Depth::Eight, tags(Matrix::Bt601, true, ChromaSite::Centre)),
    ] {
        let source = picture(130, 74, depth, tags, 3);
        let on = DevicePicture::upload(&machine, &source, Layout::SemiPlanar).unwrap();
        for (crop, size) in [
            (Rect::of_size(130, 74), (31, 17)),
            (Rect { x: 11.0, y: 3.5, width: 60.0, height: 60.0 }, (97, 96)),
        ] {
            let (mean, deviation) = ([0.48, 0.45, 0.4], [0.26, 0.27, 0.28]);
            let form = TensorForm { crop, size, mean, deviation, numbers: Numbers::Single };
            let made = read_floats(&machine, &tensor(&machine, &on, &form).unwrap()).unwrap();
            let wanted = exact_tensor(&source, &form);
            let half = TensorForm { numbers: Numbers::Half, ..form };
            let halves = machine.read(&tensor(&machine, &on, &half).unwrap()).unwrap();
            let halves = halves.chunks_exact(2).map(|b| half::f16::from_le_bytes([b[0], b[1]]));
            for ((made, wanted), small) in made.iter().zip(&wanted).zip(halves) {
                // A code value is 1/255 of R′G′B′, about 1/66 of what is normalised.
                assert!((f64::from(*made) - wanted).abs() < 0.006, "{made} {wanted}");
                assert_eq!(small, half::f16::from_f32(*made));
            }
        }
        let off = Rect { x: 100.0, ..Rect::of_size(130, 74) };
        let form = TensorForm {
            crop: off,
            size: (8, 8),
            mean: [0.0; 3],
            deviation: [1.0; 3],
            numbers: Numbers::Single,
        };
        assert!(tensor(&machine, &on, &form).is_err());
    }
}

/// The tensor in floating point, sample by sample.
fn exact_tensor(source: &Picture, form: &TensorForm) -> Vec<f64> {
    let exact = Exact::of(source);
    let codes = Codes::of(source.tags.full_range, source.depth());
    let top = f64::from((1u32 << source.depth().bits()) - 1);
    let site = source.tags.site.offset();
    let (w, h) = (form.size.0 as usize, form.size.1 as usize);
    let grid = |begin: f64, length: f64, count: usize, own: Option<f64>| {
        let step = length / count as f64;
        let (low, high) = (begin.floor() as usize, (begin + length).ceil() as usize);
        let filter = Filter::Cubic;
        match own {
            None => Grid { first: begin + step / 2.0 - 0.5, step, count, low, high, filter },
            Some(own) => {
                let first = (begin + step / 2.0 - own) / 2.0;
                Grid {
                    first,
                    step: step / 2.0,
                    count,
                    low: low / 2,
                    high: high.div_ceil(2),
                    filter,
                }
            }
        }
    };
    let Rect { x, y, width, height } = form.crop;
    let luma = (grid(x, width, w, None), grid(y, height, h, None));
    let chroma = (grid(x, width, w, Some(site.0)), grid(y, height, h, Some(site.1)));
    let mut made = vec![0.0; 3 * w * h];
    for j in 0..h {
        for i in 0..w {
            let at = |p: usize| {
                let (grids, stride) =
                    if p == 0 { (&luma, exact.width) } else { (&chroma, exact.width / 2) };
                resampled(&exact.planes[p], stride, &grids.0, i, &grids.1, j).clamp(0.0, top)
            };
            let read = |v: f64, (zero, span): (f64, f64)| (v - zero) / span;
            let ycc =
                [read(at(0), codes.luma), read(at(1), codes.chroma), read(at(2), codes.chroma)];
            for (c, v) in to_rgb(ycc, source.tags.matrix).into_iter().enumerate() {
                let normal =
                    (v.clamp(0.0, 1.0) - f64::from(form.mean[c])) / f64::from(form.deviation[c]);
                made[(c * h + j) * w + i] = normal;
            }
        }
    }
    made
}

#[test]
fn histograms_and_small_pictures() {
    if !compiler() {
        return;
    }
    let machine = Emulated::default();
    let mut kept = None;
    for (w, h, depth, full) in [
        (150, 90, Depth::Eight, false),
        (640, 362, Depth::Eight, true),
        (98, 66, Depth::Ten, false),
        (20, 16, Depth::Eight, false),
    ] {
        let source = picture(w, h, depth, ColourTags { full_range: full, ..T }, w);
        let on = DevicePicture::upload(&machine, &source, Layout::SemiPlanar).unwrap();
        let shift = depth.bits() - 8;
        let [luma, cb, cr] = Exact::of(&source).planes;
        let mut bins = [0u32; 256];
        for v in &luma {
            bins[*v as usize >> shift] += 1;
        }
        assert_eq!(luma_histogram(&machine, &on).unwrap(), bins);

        // Means over the cells, as `media/small.rs` takes them.
        let mut wanted = Vec::new();
        for (k, (plane, (w, h))) in
            [(luma, (w, h)), (cb, (w / 2, h / 2)), (cr, (w / 2, h / 2))].iter().enumerate()
        {
            let (w, h) = (*w as usize, *h as usize);
            let step = if h >= 8 * SMALL_HEIGHT { 2 } else { 1 };
            for cell in 0..SMALL_WIDTH * SMALL_HEIGHT {
                let (x, y) = (cell % SMALL_WIDTH, cell / SMALL_WIDTH);
                let edges = |i: usize, of: usize, size: usize| {
                    let first = i * size / of;
                    first..((i + 1) * size / of).max(first + 1)
                };
                let (mut sum, mut count) = (0.0, 0.0);
                for row in edges(y, SMALL_HEIGHT, h).step_by(step) {
                    for column in edges(x, SMALL_WIDTH, w) {
                        let v = plane[row * w + column];
                        sum += if shift == 2 { ((v + 2.0) / 4.0).floor() } else { v };
                        count += 1.0;
                    }
                }
                let mean = (sum / count + 0.5).floor();
                let (low, span, middle) =
                    if k == 0 { (16.0, 219.0, 0.0) } else { (128.0, 224.0, 128.0) };
                let wide = if full { mean } else { (mean - low) * 255.0 / span + middle };
                wanted.push(wide.clamp(0.0, 255.0));
            }
        }
        let made = small_planes(&machine, &on).unwrap();
        let values = machine.read(&made).unwrap();
        for (made, wanted) in values.iter().zip(&wanted) {
            assert!((f64::from(*made) - wanted).abs() <= 1.0, "{made} {wanted}");
        }
        if let Some((before, old)) = kept.replace((made.clone(), values.clone())) {
            let before: Memory = before;
            let old: Vec<u8> = old;
            let apart = small_difference(&machine, &before, &made).unwrap();
            let cells = SMALL_WIDTH * SMALL_HEIGHT;
            for (k, apart) in apart.iter().enumerate() {
                let planes = old[k * cells..].iter().zip(&values[k * cells..]).take(cells);
                let sum: u32 = planes.map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
                assert_eq!(*apart, sum as f32 / cells as f32);
            }
        }
    }
    let other = machine.allocate(5).unwrap();
    assert!(small_difference(&machine, &other, &other).is_err());
}

/// Threads of a block that run at the same time, with barriers, do what one does.
#[test]
fn blocks_of_threads() {
    if !compiler() {
        return;
    }
    let canvas = picture(98, 66, Depth::Eight, T, 2);
    let source = picture(60, 44, Depth::Eight, tags(Matrix::Bt601, false, ChromaSite::Left), 8);
    let effects = [
        Effect::Grade(Grade { saturation: 1.3, ..Grade::default() }),
        Effect::ChromaKey(ChromaKey::default()),
        Effect::Sharpen { amount: 0.5, sigma: 1.0 },
    ];
    let made = |threads: u32| {
        let machine = Emulated::with_threads(threads);
        let on = DevicePicture::upload(&machine, &source, Layout::SemiPlanar).unwrap();
        let mut to = DevicePicture::upload(&machine, &canvas, Layout::SemiPlanar).unwrap();
        let layer = DeviceLayer {
            centre: (50.0, 30.0),
            size: (81.0, 55.0),
            effects: &effects,
            ..DeviceLayer::at(&on, 0.0, 0.0)
        };
        let turned = DeviceLayer { rotation: 20.0, opacity: 0.5, effects: &[], ..layer };
        compose_on_device(&machine, &mut to, Ground::Kept, &[layer, turned]).unwrap();
        let bins = luma_histogram(&machine, &to).unwrap();
        let small = machine.read(&small_planes(&machine, &to).unwrap()).unwrap();
        (to.download(&machine).unwrap(), bins, small)
    };
    let one = made(1);
    assert!(one == made(5));
}

#[test]
#[allow(unsafe_code)]
fn surfaces_of_others() {
    if !compiler() {
        return;
    }
    let machine = Emulated::default();
    let source = picture(98, 66, Depth::Ten, T, 2);
    let own = DevicePicture::upload(&machine, &source, Layout::SemiPlanar).unwrap();
    let at = ForeignPlanes {
        luma: own.planes[0].base,
        luma_pitch: own.planes[0].sy as u32,
        chroma: own.planes[1].base,
        chroma_pitch: own.planes[1].sy as u32,
    };
    let keeper: Keeper = Arc::new(own);
    let surface = |at| {
        let keeper = keeper.clone();
        // SAFETY: the planes are those of a picture that the keeper holds.
        unsafe { DevicePicture::foreign((98, 66), Depth::Ten, T, at, keeper) }
    };
    let foreign = surface(at).unwrap();
    let mut made =
        DevicePicture::new(&machine, (98, 66), Depth::Ten, T, Layout::Planar, false).unwrap();
    let layer = DeviceLayer::at(&foreign, 0.0, 0.0);
    compose_on_device(&machine, &mut made, Ground::New, &[layer]).unwrap();
    assert_eq!(made.download(&machine).unwrap(), source);
    assert!(foreign.download(&machine).is_err());
    assert!(surface(ForeignPlanes { luma_pitch: 195, ..at }).is_err());
    assert!(surface(ForeignPlanes { chroma: 0, ..at }).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Any place, any two pictures.
    #[test]
    fn anywhere(
        seed in 0u32..1_000_000,
        x in -60.0..200.0f64, y in -60.0..160.0f64, w in 0.5..300.0f64, h in 0.5..300.0f64,
        cx in -20.0..60.0f64, cy in -20.0..60.0f64, cw in 1.0..90.0f64, ch in 1.0..90.0f64,
        opacity in 0.05..1.2f32, turn in 0usize..6, semi: bool, ink: bool,
    ) {
        if compiler() {
            let source = if ink { logo(60, 44) } else { picture(60, 44, Depth::Eight, T, seed) };
            let canvas = picture(130, 78, Depth::Eight, T, seed ^ 77);
            let crop = Rect { x: cx, y: cy, width: cw, height: ch };
            let rotation = [0.0, 0.0, 90.0, 180.0, 270.0, f64::from(seed % 360) + 0.5][turn];
            let layer = Layer {
                crop, centre: (x, y), size: (w, h), opacity, rotation, ..Layer::at(&source, 0.0, 0.0)
            };
            check(&canvas, &[layer], LAYOUTS[usize::from(semi)], "anywhere");
        }
    }
}
