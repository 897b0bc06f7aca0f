//! Effects on colours that are known.

use super::*;
use crate::media::Matrix;
use crate::render::compose::{Depth, Layer, Picture, Planes, compose};

const T: ColourTags = ColourTags::BT709;

/// Codes of an even picture of `rgb` after `effect`, in its middle.
fn after(rgb: [u8; 3], effect: Effect, depth: Depth) -> [i32; 3] {
    let mut source = Picture::new(64, 64, depth, T, false).unwrap();
    source.fill(rgb);
    let mut canvas = Picture::new(64, 64, depth, T, false).unwrap();
    let effects = [effect];
    compose(&mut canvas, &[Layer { effects: &effects, ..Layer::at(&source, 0.0, 0.0) }]);
    match &canvas.planes {
        Planes::Eight(yuv) => [0, 1, 2].map(|i| {
            let p = &yuv.planes[i];
            i32::from(p.row(p.height / 2)[p.width / 2])
        }),
        Planes::Ten(yuv) => [0, 1, 2].map(|i| {
            let p = &yuv.planes[i];
            i32::from(p.row(p.height / 2)[p.width / 2])
        }),
    }
}

fn codes(rgb: [f64; 3], depth: Depth) -> [i32; 3] {
    let rgb = rgb.map(|v| v.clamp(0.0, 1.0));
    crate::render::compose::convert::codes_of(rgb, T, depth).map(i32::from)
}

fn near(made: [i32; 3], wanted: [i32; 3], by: i32) {
    let close = made.iter().zip(wanted).all(|(a, b)| (a - b).abs() <= by);
    assert!(close, "{made:?} {wanted:?}");
}

#[test]
fn grades() {
    for (depth, by) in [(Depth::Eight, 1), (Depth::Ten, 4)] {
        let rgb = [120u8, 90, 60];
        let own = rgb.map(|v| f64::from(v) / 255.0);
        let grade = |grade: Grade| after(rgb, Effect::Grade(grade), depth);
        let plain = Grade::default();
        near(grade(plain), codes(own, depth), by);
        // A stop of light is 2^(1/2.4) of code.
        let up = 2f64.powf(1.0 / 2.4);
        near(grade(Grade { exposure: 1.0, ..plain }), codes(own.map(|v| v * up), depth), by);
        let luma = 0.2126 * own[0] + 0.7152 * own[1] + 0.0722 * own[2];
        near(grade(Grade { saturation: 0.0, ..plain }), codes([luma; 3], depth), by);
        let middle = 0.18f64.powf(1.0 / 2.4);
        let contrast = own.map(|v| (v - middle) * 1.5 + middle);
        near(grade(Grade { contrast: 1.5, ..plain }), codes(contrast, depth), by);
        // Warmer: more red, less blue; so Cr up and Cb down.
        let warm = grade(Grade { temperature: 4000.0, ..plain });
        let neutral = codes(own, depth);
        assert!(warm[1] < neutral[1] && warm[2] > neutral[2], "{warm:?} {neutral:?}");
        let wild = Grade { exposure: f64::NAN, contrast: f64::INFINITY, ..plain };
        near(grade(wild), codes(own, depth), by);
    }
}

#[test]
fn tables_in_pictures() {
    let text = "LUT_1D_SIZE 2\n1 1 1\n0 0 0\n";
    let lut = Effect::Lut(Arc::new(CubeLut::parse(text).unwrap()));
    let rgb = [200u8, 30, 90];
    let inverse = rgb.map(|v| 1.0 - f64::from(v) / 255.0);
    near(after(rgb, lut.clone(), Depth::Eight), codes(inverse, Depth::Eight), 1);
    near(after(rgb, lut, Depth::Ten), codes(inverse, Depth::Ten), 4);
}

#[test]
fn vignettes() {
    let vignette = Vignette { amount: 0.5, radius: 0.3 };
    assert_eq!(vignette.left_at(0.5, 0.5), 1.0);
    assert_eq!(vignette.left_at(0.6, 0.5), 1.0);
    assert!((vignette.left_at(0.0, 1.0) - 0.5).abs() < 1e-12);
    near(
        after([90; 3], Effect::Vignette(vignette), Depth::Eight),
        codes([90.0 / 255.0; 3], Depth::Eight),
        0,
    );
}

#[test]
fn blur_keeps_the_mean_and_sharpen_flat_ground() {
    for sigma in [0.0, 1.0, 7.9, 8.0, 30.0] {
        near(
            after([50, 100, 150], Effect::Blur { sigma }, Depth::Eight),
            codes([50.0, 100.0, 150.0].map(|v| v / 255.0), Depth::Eight),
            0,
        );
    }
    let sharp = Effect::Sharpen { amount: 2.0, sigma: 1.5 };
    near(
        after([50, 100, 150], sharp, Depth::Ten),
        codes([50.0, 100.0, 150.0].map(|v| v / 255.0), Depth::Ten),
        0,
    );
}

#[test]
fn wide_blur_is_that_of_the_full_size() {
    // Half black, half white: the blurred edge is the normal distribution's sum.
    let (w, h) = (256usize, 64usize);
    let row: Vec<u8> = (0..w).map(|x| if x < w / 2 { 16 } else { 235 }).collect();
    let luma: Vec<u8> = row.iter().copied().cycle().take(w * h).collect();
    let chroma = vec![128; w * h / 4];
    let source = Picture::from_planes8(256, 64, T, [luma, chroma.clone(), chroma]).unwrap();
    for sigma in [4.0, 8.0, 16.0] {
        let mut canvas = Picture::new(256, 64, Depth::Eight, T, false).unwrap();
        let effects = [Effect::Blur { sigma }];
        compose(&mut canvas, &[Layer { effects: &effects, ..Layer::at(&source, 0.0, 0.0) }]);
        let Planes::Eight(yuv) = &canvas.planes else { panic!("8 bit") };
        let weights: Vec<f64> =
            (-200..=200).map(|k| (-f64::from(k * k) / (2.0 * sigma * sigma)).exp()).collect();
        let sum: f64 = weights.iter().sum();
        for x in 0..w {
            let exact: f64 = weights
                .iter()
                .enumerate()
                .map(|(k, weight)| {
                    let at = (x as i64 + k as i64 - 200).clamp(0, w as i64 - 1) as usize;
                    weight * f64::from(row[at])
                })
                .sum::<f64>()
                / sum;
            let made = f64::from(yuv.planes[0].row(32)[x]);
            assert!((made - exact).abs() <= 2.0, "{sigma} at {x}: {made} {exact}");
        }
    }
}

#[test]
fn a_green_cloth_goes() {
    let mut source = Picture::new(64, 32, Depth::Eight, T, false).unwrap();
    source.fill([0, 177, 64]);
    let mut actor = Picture::new(32, 32, Depth::Eight, T, false).unwrap();
    actor.fill([200, 150, 120]);
    compose(&mut source, &[Layer::at(&actor, 0.0, 0.0)]);
    let mut canvas = Picture::new(64, 32, Depth::Eight, T, false).unwrap();
    canvas.fill([20, 20, 200]);
    let key = [Effect::ChromaKey(ChromaKey { despill: 0.0, ..ChromaKey::default() })];
    compose(&mut canvas, &[Layer { effects: &key, ..Layer::at(&source, 0.0, 0.0) }]);
    let Planes::Eight(yuv) = &canvas.planes else { panic!("8 bit") };
    let at = |x: usize| {
        [0, 1, 2].map(|i: usize| i32::from(yuv.planes[i].row(8)[x >> usize::from(i > 0)]))
    };
    near(at(8), codes([200.0, 150.0, 120.0].map(|v| v / 255.0), Depth::Eight), 1);
    near(at(56), codes([20.0, 20.0, 200.0].map(|v| v / 255.0), Depth::Eight), 1);
}

#[test]
fn matrices_know_their_effects() {
    // The same grade gives the same colour whatever the matrix of the source.
    let grade = [Effect::Grade(Grade { exposure: 0.5, temperature: 5000.0, ..Grade::default() })];
    let made = [Matrix::Bt601, Matrix::Bt709].map(|matrix| {
        let mut source =
            Picture::new(16, 16, Depth::Ten, ColourTags { matrix, ..T }, false).unwrap();
        source.fill([120, 90, 60]);
        let mut canvas = Picture::new(16, 16, Depth::Ten, T, false).unwrap();
        compose(&mut canvas, &[Layer { effects: &grade, ..Layer::at(&source, 0.0, 0.0) }]);
        match &canvas.planes {
            Planes::Ten(yuv) => [0, 1, 2].map(|i| i32::from(yuv.planes[i].data[0])),
            Planes::Eight(_) => panic!("10 bit"),
        }
    });
    near(made[0], made[1], 4);
}
