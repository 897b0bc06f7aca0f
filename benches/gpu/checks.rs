//! Every kernel against the CPU.

use crate::pictures::{Chance, ink, picture, table, tags};
use anyhow::Result;
use rushes::media::Matrix;
use rushes::render::compose::cuda::driver::{DownloadRing, Gpu};
use rushes::render::compose::cuda::{
    DeviceLayer, DevicePicture, Ground, Layout, Numbers, TensorForm, compose_on_device,
    luma_histogram, mix_on_device, read_floats, small_difference, small_planes, tensor,
};
use rushes::render::compose::{
    ChromaSite, ColourTags, Depth, Layer, Picture, Planes, Rect, Transfer, compose,
};
use rushes::render::effect::{ChromaKey, Effect, Grade, Vignette};
use rushes::render::transition::{TransitionKind, mix};
use serde_json::{Value, json};

/// How far two results are apart, in code values.
pub struct Check {
    what: String,
    most: f64,
    mean: f64,
    decibels: f64,
}

impl Check {
    /// From pairs of samples whose largest value is `peak`.
    fn of(what: impl Into<String>, pairs: impl Iterator<Item = (f64, f64)>, peak: f64) -> Self {
        let (mut most, mut sum, mut square, mut count) = (0.0f64, 0.0, 0.0, 0.0);
        for (a, b) in pairs {
            // What is not a number is as far off as can be.
            let apart = if (a - b).is_finite() { (a - b).abs() } else { peak };
            most = most.max(apart);
            sum += apart;
            square += apart * apart;
            count += 1.0;
        }
        let count = f64::max(count, 1.0);
        let decibels = 10.0 * (peak * peak / (square / count).max(1e-12)).log10();
        Self { what: what.into(), most, mean: sum / count, decibels }
    }

    fn pictures(what: impl Into<String>, made: &Picture, wanted: &Picture) -> Self {
        let (a, b) = (samples(made), samples(wanted));
        let peak = f64::from((1u32 << made.depth().bits()) - 1);
        let mut check = Self::of(what, a.iter().copied().zip(b.iter().copied()), peak);
        if !made.same_shape(wanted) {
            check.most = peak;
        }
        check
    }

    /// At most 2 code values, 0.25 in the mean, 50 dB.
    pub fn is_close(&self) -> bool {
        self.most <= 2.0 && self.mean <= 0.25 && self.decibels >= 50.0
    }

    pub fn json(&self) -> Value {
        json!({
            "what": self.what,
            "most": self.most,
            "mean": self.mean,
            "psnr_db": self.decibels,
            "close": self.is_close(),
        })
    }
}

fn samples(picture: &Picture) -> Vec<f64> {
    let mut made: Vec<f64> = Vec::new();
    match &picture.planes {
        Planes::Eight(yuv) => {
            let alpha = yuv.alpha.iter().flat_map(|a| [&a.luma, &a.chroma]);
            let all = yuv.planes.iter().chain(alpha);
            all.for_each(|plane| made.extend(plane.data.iter().map(|v| f64::from(*v))));
        }
        Planes::Ten(yuv) => {
            let alpha = yuv.alpha.iter().flat_map(|a| [&a.luma, &a.chroma]);
            let all = yuv.planes.iter().chain(alpha);
            all.for_each(|plane| made.extend(plane.data.iter().map(|v| f64::from(*v))));
        }
    }
    made
}

const T: ColourTags = ColourTags::BT709;
const LAYOUTS: [Layout; 2] = [Layout::SemiPlanar, Layout::Planar];

fn composed(
    gpu: &Gpu,
    what: &str,
    canvas: &Picture,
    layers: &[Layer<'_>],
    layout: Layout,
) -> Result<Check> {
    let mut wanted = canvas.clone();
    compose(&mut wanted, layers);
    let mut made = DevicePicture::upload(gpu, canvas, layout)?;
    let pictures = layers.iter().map(|layer| DevicePicture::upload(gpu, layer.picture, layout));
    let pictures = pictures.collect::<rushes::Result<Vec<_>>>()?;
    let layers: Vec<_> = layers
        .iter()
        .zip(&pictures)
        .map(|(layer, picture)| DeviceLayer::of(layer, picture))
        .collect();
    compose_on_device(gpu, &mut made, Ground::Kept, &layers)?;
    let what = format!("{what}, {layout:?}, {:?}", canvas.depth());
    Ok(Check::pictures(what, &made.download(gpu)?, &wanted))
}

/// Some of the checks: on this GPU, with this seed, added to those that were made.
pub type Group = fn(&Gpu, u32, &mut Vec<Check>) -> Result<()>;

/// All checks.
pub const GROUPS: [(&str, Group); 4] = [
    ("looks", looks),
    ("transitions", transitions),
    ("conversions", conversions),
    ("layers", layers),
];

fn layers(gpu: &Gpu, seed: u32, checks: &mut Vec<Check>) -> Result<()> {
    let mut chance = Chance::new(seed);
    let grade =
        Effect::Grade(Grade { exposure: 0.3, contrast: 1.2, saturation: 1.4, temperature: 5000.0 });
    let key = ChromaKey { colour: [90, 140, 100], tolerance: 0.05, softness: 0.3, despill: 0.6 };
    let effects = [
        ("grade", grade.clone()),
        ("table", Effect::Lut(table()?)),
        ("vignette", Effect::Vignette(Vignette { amount: 0.7, radius: 0.3 })),
        ("key", Effect::ChromaKey(key)),
        ("blur", Effect::Blur { sigma: 1.7 }),
        ("wide blur", Effect::Blur { sigma: 14.0 }),
        ("sharpen", Effect::Sharpen { amount: 0.8, sigma: 1.1 }),
    ];
    let chain: Vec<Effect> = effects.iter().map(|(_, effect)| effect.clone()).collect();
    for depth in [Depth::Eight, Depth::Ten] {
        for layout in LAYOUTS {
            let canvas = picture((642, 362), depth, T, seed)?;
            let whole = picture((642, 362), depth, T, seed + 1)?;
            let film = picture((1280, 534), depth, T, seed + 2)?;
            let logo = ink(120, 80, T)?;
            let mut check = |what: &str, layers: &[Layer<'_>]| -> Result<()> {
                checks.push(composed(gpu, what, &canvas, layers, layout)?);
                Ok(())
            };
            let half = Layer { opacity: 0.37, ..Layer::at(&whole, 0.0, 0.0) };
            check("one over another", &[half])?;
            check(
                "four",
                &[half, Layer::at(&whole, 32.0, 16.0), half, Layer::at(&whole, 5.0, 3.0)],
            )?;
            check("ink", &[Layer { opacity: 0.8, ..Layer::at(&logo, 40.0, 22.0) }])?;
            for n in 0..6 {
                let mut any = |low, high| chance.between(low, high);
                let rotation = [0.0, 90.0, 180.0, 270.0, any(0.0, 360.0), any(0.0, 360.0)][n];
                let layer = Layer {
                    crop: Rect {
                        x: any(-20.0, 200.0),
                        y: any(-20.0, 100.0),
                        width: any(100.0, 900.0),
                        height: any(100.0, 500.0),
                    },
                    centre: (any(0.0, 642.0), any(0.0, 362.0)),
                    size: (any(30.0, 900.0), any(30.0, 600.0)),
                    rotation,
                    opacity: any(0.2, 1.1) as f32,
                    ..Layer::at(&film, 0.0, 0.0)
                };
                check(&format!("anywhere at {rotation:.1} degrees"), &[layer])?;
                let layer =
                    Layer { rotation, centre: (200.0, 100.0), ..Layer::at(&logo, 0.0, 0.0) };
                check(&format!("ink at {rotation:.1} degrees"), &[layer])?;
            }
            let middle = Layer {
                centre: (321.0, 181.0),
                size: (500.0, 300.0),
                ..Layer::at(&film, 0.0, 0.0)
            };
            for (what, effect) in &effects {
                check(what, &[Layer { effects: std::slice::from_ref(effect), ..middle }])?;
            }
            check("a chain", &[Layer { effects: &chain, ..middle }])?;
        }
    }
    Ok(())
}

fn conversions(gpu: &Gpu, seed: u32, checks: &mut Vec<Check>) -> Result<()> {
    let hdr = |transfer| tags(Matrix::Bt2020, false, ChromaSite::TopLeft, transfer);
    let sdr = |matrix, full, site| tags(matrix, full, site, Transfer::Sdr);
    let kinds = [
        (sdr(Matrix::Bt601, false, ChromaSite::Left), Depth::Eight),
        (sdr(Matrix::Bt601, true, ChromaSite::Centre), Depth::Eight),
        (T, Depth::Eight),
        (sdr(Matrix::Bt2020, true, ChromaSite::TopLeft), Depth::Ten),
        (hdr(Transfer::Pq), Depth::Ten),
        (hdr(Transfer::Hlg), Depth::Ten),
    ];
    for (from, own) in kinds {
        for (to, depth) in kinds {
            let source = picture((322, 182), own, from, seed)?;
            let canvas = Picture::new(322, 182, depth, to, false)?;
            let name = |tags: ColourTags| {
                let range = if tags.full_range { "full" } else { "limited" };
                format!("{:?} {range} {:?}", tags.matrix, tags.transfer)
            };
            let what = format!("{} to {}", name(from), name(to));
            let layer = Layer::at(&source, 0.0, 0.0);
            checks.push(composed(gpu, &what, &canvas, &[layer], Layout::SemiPlanar)?);
        }
    }
    Ok(())
}

fn transitions(gpu: &Gpu, seed: u32, checks: &mut Vec<Check>) -> Result<()> {
    for depth in [Depth::Eight, Depth::Ten] {
        let (a, b) =
            (picture((322, 182), depth, T, seed)?, picture((322, 182), depth, T, seed + 1)?);
        let on = |picture| DevicePicture::upload(gpu, picture, Layout::SemiPlanar);
        let (da, db, mut out) = (on(&a)?, on(&b)?, on(&a)?);
        let mut ring = DownloadRing::new(gpu, &out, 3)?;
        for kind in TransitionKind::ALL {
            let mut wanted = Vec::new();
            let mut made = Vec::new();
            for progress in [0.0, 0.21, 0.5, 0.77, 1.0] {
                let mut frame = a.clone();
                mix(&a, &b, kind, progress, &mut frame)?;
                wanted.push(frame);
                mix_on_device(gpu, &da, &db, kind, progress, &mut out)?;
                made.extend(ring.push(gpu, &out)?);
                // The next one is written over this one.
                gpu.synchronize()?;
                out = on(&a)?;
            }
            while let Some(frame) = ring.pop()? {
                made.push(frame);
            }
            for (made, wanted) in made.iter().zip(&wanted) {
                checks.push(Check::pictures(kind.as_str(), made, wanted));
            }
            let lost = (wanted.len() as f64, made.len() as f64);
            checks.push(Check::of("frames through the ring", std::iter::once(lost), 255.0));
        }
    }
    Ok(())
}

/// What embedders and shot detectors get.
fn looks(gpu: &Gpu, seed: u32, checks: &mut Vec<Check>) -> Result<()> {
    let source = picture((1280, 720), Depth::Eight, T, seed)?;
    let on = DevicePicture::upload(gpu, &source, Layout::SemiPlanar)?;
    let all = samples(&source);
    let mut bins = [0.0; 256];
    for v in &all[..1280 * 720] {
        bins[*v as usize] += 1.0;
    }
    let made = luma_histogram(gpu, &on)?;
    let pairs = made.iter().map(|v| f64::from(*v)).zip(bins);
    checks.push(Check::of("histogram", pairs, 255.0));

    // Means of every other row's samples, stretched to the full range.
    let mut wanted = Vec::new();
    for (k, (w, h, at)) in
        [(1280, 720, 0), (640, 360, 921_600), (640, 360, 1_152_000)].into_iter().enumerate()
    {
        for cell in 0..48 * 27 {
            let edges = |i: usize, of: usize, size: usize| i * size / of..(i + 1) * size / of;
            let (mut sum, mut count) = (0.0, 0.0);
            for y in edges(cell / 48, 27, h).step_by(2) {
                for x in edges(cell % 48, 48, w) {
                    sum += all[at + y * w + x];
                    count += 1.0;
                }
            }
            let mean = f64::floor(sum / count + 0.5);
            let wide = if k == 0 {
                (mean - 16.0) * 255.0 / 219.0
            } else {
                (mean - 128.0) * 255.0 / 224.0 + 128.0
            };
            wanted.push(wide.clamp(0.0, 255.0));
        }
    }
    let small = small_planes(gpu, &on)?;
    use rushes::render::compose::cuda::Machine as _;
    let made = gpu.read(&small)?;
    // The CPU rounds too: up to one code value.
    let pairs = made.iter().map(|v| f64::from(*v)).zip(wanted.iter().map(|v| v.round()));
    checks.push(Check::of("small planes", pairs, 255.0));
    let other = picture((1280, 720), Depth::Eight, T, seed + 9)?;
    let other = small_planes(gpu, &DevicePicture::upload(gpu, &other, Layout::Planar)?)?;
    let theirs = gpu.read(&other)?;
    let apart = small_difference(gpu, &small, &other)?;
    let cells = 48 * 27;
    let sums = (0..3).map(|k| {
        let pairs = made[k * cells..(k + 1) * cells].iter().zip(&theirs[k * cells..]);
        pairs.map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / cells as f64
    });
    let pairs = apart.iter().map(|v| f64::from(*v)).zip(sums);
    checks.push(Check::of("difference", pairs, 255.0));

    // A grey ramp and a colour: what R′G′B′ must be is known without a resize.
    let grey: Vec<u8> = (0..1280 * 720).map(|i| 16 + (i % 1280 * 219 / 1279) as u8).collect();
    let planes = [grey.clone(), vec![128; 640 * 360], vec![128; 640 * 360]];
    let ramp = DevicePicture::upload(
        gpu,
        &Picture::from_planes8(1280, 720, T, planes)?,
        Layout::SemiPlanar,
    )?;
    let form = TensorForm {
        crop: Rect::of_size(1280, 720),
        size: (1280, 720),
        mean: [0.0; 3],
        deviation: [1.0; 3],
        numbers: Numbers::Single,
    };
    let made = read_floats(gpu, &tensor(gpu, &ramp, &form)?)?;
    let wanted = grey.iter().map(|v| (f64::from(*v) - 16.0) / 219.0 * 255.0);
    let pairs = made.iter().map(|v| f64::from(*v) * 255.0).zip(wanted.cycle());
    checks.push(Check::of("tensor of greys", pairs, 255.0));
    // Of another size every colour of a picture of one colour stays.
    let mut red = Picture::new(1280, 720, Depth::Ten, T, false)?;
    red.fill([200, 30, 60]);
    let red = DevicePicture::upload(gpu, &red, Layout::SemiPlanar)?;
    let small = TensorForm { size: (224, 224), ..form };
    let made = read_floats(gpu, &tensor(gpu, &red, &small)?)?;
    let wanted = [200.0, 30.0, 60.0].into_iter().flat_map(|v| std::iter::repeat_n(v, 224 * 224));
    let pairs = made.iter().map(|v| f64::from(*v) * 255.0).zip(wanted);
    checks.push(Check::of("tensor of one colour", pairs, 255.0));
    Ok(())
}
