//! How long the kernels take, as a share of what the memory could move.

use crate::pictures::{ink, picture, table, tags};
use anyhow::Result;
use rushes::media::Matrix;
use rushes::render::compose::cuda::driver::Gpu;
use rushes::render::compose::cuda::{
    DeviceLayer, DevicePicture, Ground, Layout, Machine as _, Numbers, TensorForm,
    compose_on_device, mix_on_device, small_planes, tensor,
};
use rushes::render::compose::{ChromaSite, ColourTags, Depth, Rect, Transfer};
use rushes::render::effect::{Effect, Grade};
use rushes::render::transition::TransitionKind;
use serde_json::{Value, json};

const T: ColourTags = ColourTags::BT709;
/// Frames taken in turn, so that no cache holds what is read: four times this many 4K frames are past
/// a GB, 1080p frames past 300 MB, and the largest cache has 50 MB.
const TURNS: usize = 24;

/// The device's seconds for each of `count` calls, after a warm-up, the median of five rounds.
fn seconds(gpu: &Gpu, count: usize, mut call: impl FnMut(usize) -> Result<()>) -> Result<f64> {
    for i in 0..count.min(TURNS) {
        call(i)?;
    }
    let mut rounds = Vec::new();
    for _ in 0..5 {
        let begin = gpu.mark()?;
        for i in 0..count {
            call(i)?;
        }
        let end = gpu.mark()?;
        rounds.push(begin.seconds_until(&end)? / count as f64);
    }
    rounds.sort_by(f64::total_cmp);
    Ok(rounds[2])
}

/// Bytes a second that copies on the device read and write.
pub fn copy(gpu: &Gpu) -> Result<f64> {
    let bytes = 512 << 20;
    let (from, to) = (gpu.allocate(bytes)?, gpu.allocate(bytes)?);
    let time = seconds(gpu, 20, |_| Ok(gpu.copy(&from, &to)?))?;
    Ok(2.0 * bytes as f64 / time)
}

/// The layers of a frame, by its number.
type Laid<'a> = Box<dyn Fn(usize) -> Vec<DeviceLayer<'a>> + 'a>;

struct Size {
    name: &'static str,
    width: u32,
    height: u32,
}

/// Measures everything, beside copies that move `bandwidth` bytes a second, and adds it to `measured`.
pub fn all(gpu: &Gpu, quick: bool, bandwidth: f64, measured: &mut Vec<Value>) -> Result<()> {
    let count = if quick { 48 } else { 240 };
    // What a launch costs when there is nothing to do.
    let (tiny, mut to) = (frames(gpu, 16, 16, 1, Depth::Eight, T)?, blank(gpu, 16, 16)?);
    let layer = DeviceLayer { opacity: 0.5, ..DeviceLayer::at(&tiny[0], 0.0, 0.0) };
    let time =
        seconds(gpu, count, |_| Ok(compose_on_device(gpu, &mut to, Ground::Kept, &[layer])?))?;
    measured.push(json!({ "what": "a launch of 16 x 16", "microseconds": time * 1e6 }));
    let mut note = |what: String, time: f64, bytes: f64| {
        measured.push(json!({
            "what": what,
            "microseconds": time * 1e6,
            "frames_per_second": 1.0 / time,
            "megabytes": bytes / 1e6,
            "gb_s": bytes / time / 1e9,
            "share_of_copy": bytes / time / bandwidth,
        }));
    };
    for size in [
        Size { name: "1080p", width: 1920, height: 1080 },
        Size { name: "4K", width: 3840, height: 2160 },
    ] {
        let Size { name, width: w, height: h } = size;
        let frame = f64::from(w * h) * 1.5;
        let pool = frames(gpu, w, h, TURNS, Depth::Eight, T)?;
        let mut outs = (0..TURNS).map(|_| blank(gpu, w, h)).collect::<Result<Vec<_>>>()?;
        for layers in [1, 2, 4] {
            let time = seconds(gpu, count, |i| {
                let layer = |n: usize| DeviceLayer {
                    opacity: if n == 0 { 1.0 } else { 0.6 },
                    ..DeviceLayer::at(&pool[(i + n * 7) % TURNS], 0.0, 0.0)
                };
                let layers: Vec<_> = (0..layers).map(layer).collect();
                Ok(compose_on_device(gpu, &mut outs[i % TURNS], Ground::Kept, &layers)?)
            })?;
            let bytes = frame * (layers as f64 + 1.0);
            note(format!("{layers} layers as they lie, {name}"), time, bytes);
        }
        // Scaled: from the other common size, and a window of it.
        let half = frames(gpu, w / 2, h / 2, TURNS, Depth::Eight, T)?;
        for layers in [1, 2, 4] {
            let time = seconds(gpu, count, |i| {
                let layer = |n: usize| DeviceLayer {
                    opacity: if n == 0 { 1.0 } else { 0.6 },
                    centre: (f64::from(w) / 2.0, f64::from(h) / 2.0),
                    size: (f64::from(w), f64::from(h)),
                    ..DeviceLayer::at(&half[(i + n * 7) % TURNS], 0.0, 0.0)
                };
                let layers: Vec<_> = (0..layers).map(layer).collect();
                Ok(compose_on_device(gpu, &mut outs[i % TURNS], Ground::Kept, &layers)?)
            })?;
            let bytes = frame * (layers as f64 / 4.0 + 1.0);
            note(format!("{layers} layers enlarged twice, {name}"), time, bytes);
        }
        let grade =
            [Effect::Grade(Grade { exposure: 0.3, ..Grade::default() }), Effect::Lut(table()?)];
        let bt601 = tags(Matrix::Bt601, false, ChromaSite::Left, Transfer::Sdr);
        let hdr = tags(Matrix::Bt2020, false, ChromaSite::Left, Transfer::Pq);
        let other = frames(gpu, w, h, TURNS, Depth::Eight, bt601)?;
        let ten = frames(gpu, w, h, TURNS, Depth::Ten, hdr)?;
        let logo = DevicePicture::upload(gpu, &ink(w / 2, 120, T)?, Layout::Planar)?;
        let place = (f64::from(w / 4), f64::from(h - 200));
        let cases: [(&str, f64, Laid<'_>); 5] = [
            ("BT.601 to BT.709", 2.0, Box::new(|i| vec![DeviceLayer::at(&other[i], 0.0, 0.0)])),
            ("PQ of 10 bit to BT.709", 3.0, Box::new(|i| vec![DeviceLayer::at(&ten[i], 0.0, 0.0)])),
            (
                "grade and table",
                2.0,
                Box::new(|i| {
                    vec![DeviceLayer { effects: &grade, ..DeviceLayer::at(&pool[i], 0.0, 0.0) }]
                }),
            ),
            (
                "turned by 7 degrees",
                2.0,
                Box::new(|i| {
                    vec![DeviceLayer { rotation: 7.0, ..DeviceLayer::at(&pool[i], 0.0, 0.0) }]
                }),
            ),
            (
                "a caption",
                2.0,
                Box::new(|i| {
                    let caption = DeviceLayer::at(&logo, place.0, place.1);
                    vec![DeviceLayer::at(&pool[i], 0.0, 0.0), caption]
                }),
            ),
        ];
        for (what, times, layers) in &cases {
            let time = seconds(gpu, count, |i| {
                let layers = layers(i % TURNS);
                Ok(compose_on_device(gpu, &mut outs[i % TURNS], Ground::Kept, &layers)?)
            })?;
            note(format!("{what}, {name}"), time, times * frame);
        }
        for kind in [TransitionKind::Dissolve, TransitionKind::Zoom, TransitionKind::Clock] {
            let time = seconds(gpu, count, |i| {
                let (a, b) = (&pool[i % TURNS], &pool[(i + 7) % TURNS]);
                Ok(mix_on_device(gpu, a, b, kind, 0.4, &mut outs[i % TURNS])?)
            })?;
            note(format!("transition {}, {name}", kind.as_str()), time, 3.0 * frame);
        }
        for numbers in [Numbers::Single, Numbers::Half] {
            let form = TensorForm {
                crop: Rect::of_size(w, h),
                size: (224, 224),
                mean: [0.5; 3],
                deviation: [0.5; 3],
                numbers,
            };
            let time = seconds(gpu, count, |i| {
                tensor(gpu, &pool[i % TURNS], &form)?;
                Ok(())
            })?;
            note(format!("tensor of 224 x 224 {numbers:?}, {name}"), time, frame);
        }
        let time = seconds(gpu, count, |i| {
            small_planes(gpu, &pool[i % TURNS])?;
            Ok(())
        })?;
        note(format!("small planes, {name}"), time, frame / 2.0);
    }
    Ok(())
}

/// So many random frames of NV12 or P010.
fn frames(
    gpu: &Gpu,
    width: u32,
    height: u32,
    count: usize,
    depth: Depth,
    tags: ColourTags,
) -> Result<Vec<DevicePicture>> {
    let one = picture((width, height), depth, tags, 1)?;
    let upload = |_| Ok(DevicePicture::upload(gpu, &one, Layout::SemiPlanar)?);
    (0..count).map(upload).collect()
}

fn blank(gpu: &Gpu, width: u32, height: u32) -> Result<DevicePicture> {
    let size = (width, height);
    Ok(DevicePicture::new(gpu, size, Depth::Eight, T, Layout::SemiPlanar, false)?)
}
