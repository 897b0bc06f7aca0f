//! Pictures laid over each other, beside what the memory moves.

use super::{Bench, Found};
use crate::bench::ceiling::memory_bandwidth;
use crate::bench::film::Film;
use crate::bench::turns::rate;
use rushes::device::Compute;
use rushes::render::compose::{ColourTags, Depth, Layer, Picture, compose};

pub fn run(bench: &Bench<'_>) -> anyhow::Result<Found> {
    match bench.session.compute()? {
        Compute::Cpu => on_cpu(bench),
        #[cfg(feature = "cuda-kernels")]
        Compute::Cuda(number) => on_gpu(bench, number as usize),
        #[cfg(not(feature = "cuda-kernels"))]
        Compute::Cuda(_) => Ok(Found::nothing("this build has no compositor for GPUs")),
    }
}

fn on_cpu(bench: &Bench<'_>) -> anyhow::Result<Found> {
    let mut found = Found::default();
    let ceiling = memory_bandwidth();
    let frames = if bench.quick { 10 } else { 40 };
    let cancel = &bench.session.run.cancel;
    for (name, width, height) in [("1080p", 1920, 1080), ("4K", 3840, 2160)] {
        let film = Film { width: 1920, height: 1080, seconds: 1 };
        let below = Picture::from_planes8(1920, 1080, ColourTags::BT709, film.draw(0))?;
        let above = Picture::from_planes8(1920, 1080, ColourTags::BT709, film.draw(200))?;
        let mut canvas = Picture::new(width, height, Depth::Eight, ColourTags::BT709, false)?;
        let whole = (f64::from(width), f64::from(height));
        let centre = (whole.0 / 2.0, whole.1 / 2.0);
        // A layer that fills the canvas; a second one, smaller, half seen through.
        let one = Layer { centre, size: whole, ..Layer::at(&below, 0.0, 0.0) };
        let two = Layer {
            centre,
            size: (whole.0 * 0.37, whole.1 * 0.37),
            opacity: 0.5,
            ..Layer::at(&above, 0.0, 0.0)
        };
        for (layers, words) in [(&[one][..], "1 layer"), (&[one, two][..], "2 layers")] {
            let (times, ()) = bench.turns.time(cancel, || {
                for _ in 0..frames {
                    compose(&mut canvas, layers);
                }
                Ok(())
            })?;
            let name = format!("{name}, {words}");
            found.measures.push(rate(&name, "frames/s", f64::from(frames), &times));
            // What must be moved: each layer's samples read once, the canvas written once.
            let read = layers.len() as f64 * f64::from(1920 * 1080) * 1.5;
            let bytes = f64::from(frames) * (read + whole.0 * whole.1 * 1.5);
            let mut moved = rate(&format!("{name}, moved"), "GB/s", bytes / 1e9, &times);
            moved.ceiling = Some(ceiling);
            found.measures.push(moved);
        }
        let plain = Layer { centre, size: whole, ..Layer::at(&below, 0.0, 0.0) };
        if width == 1920 {
            compose(&mut canvas, &[plain]);
            let same = canvas.planes == below.planes;
            found.check("a layer that fits is copied to the sample", same, name);
        }
    }
    Ok(found)
}

/// The same layers in a GPU's memory, beside what copies there move.
#[cfg(feature = "cuda-kernels")]
fn on_gpu(bench: &Bench<'_>, number: usize) -> anyhow::Result<Found> {
    use rushes::render::compose::cuda::driver::Gpu;
    use rushes::render::compose::cuda::{
        DeviceLayer, DevicePicture, Ground, Layout, Machine as _, compose_on_device,
    };

    /// Pictures taken in turn, so that no cache holds what is read.
    const POOL: usize = 24;
    const NV12: Layout = Layout::SemiPlanar;
    let gpu = Gpu::open(number)?;
    let mut found = Found::default();
    let cancel = &bench.session.run.cancel;
    let frames: usize = if bench.quick { 48 } else { 240 };

    let (bytes, copies) = (512_usize << 20, 20);
    let (from, to) = (gpu.allocate(bytes)?, gpu.allocate(bytes)?);
    let (times, ()) = bench.turns.time(cancel, || {
        for _ in 0..copies {
            gpu.copy(&from, &to)?;
        }
        Ok(gpu.synchronize()?)
    })?;
    let moved = f64::from(copies) * 2.0 * bytes as f64 / 1e9;
    let copied = rate("copying, moved", "GB/s", moved, &times);
    let ceiling = copied.median();
    found.measures.push(copied);

    let film = Film { width: 1920, height: 1080, seconds: 1 };
    let below = Picture::from_planes8(1920, 1080, ColourTags::BT709, film.draw(0))?;
    let above = Picture::from_planes8(1920, 1080, ColourTags::BT709, film.draw(200))?;
    let (mut belows, mut aboves) = (Vec::new(), Vec::new());
    for _ in 0..POOL {
        belows.push(DevicePicture::upload(&gpu, &below, NV12)?);
        aboves.push(DevicePicture::upload(&gpu, &above, NV12)?);
    }
    for (name, width, height) in [("1080p", 1920_u32, 1080_u32), ("4K", 3840, 2160)] {
        let mut outs = Vec::new();
        for _ in 0..POOL {
            let (size, tags) = ((width, height), ColourTags::BT709);
            outs.push(DevicePicture::new(&gpu, size, Depth::Eight, tags, NV12, false)?);
        }
        let whole = (f64::from(width), f64::from(height));
        let centre = (whole.0 / 2.0, whole.1 / 2.0);
        for (count, words) in [(1_usize, "1 layer"), (2, "2 layers")] {
            let (times, ()) = bench.turns.time(cancel, || {
                for i in 0..frames {
                    let at = i % POOL;
                    let one = DeviceLayer {
                        centre,
                        size: whole,
                        ..DeviceLayer::at(&belows[at], 0.0, 0.0)
                    };
                    let two = DeviceLayer {
                        centre,
                        size: (whole.0 * 0.37, whole.1 * 0.37),
                        opacity: 0.5,
                        ..DeviceLayer::at(&aboves[at], 0.0, 0.0)
                    };
                    let layers = [one, two];
                    compose_on_device(&gpu, &mut outs[at], Ground::Kept, &layers[..count])?;
                }
                Ok(gpu.synchronize()?)
            })?;
            let name = format!("{name}, {words}");
            found.measures.push(rate(&name, "frames/s", frames as f64, &times));
            let read = count as f64 * f64::from(1920 * 1080) * 1.5;
            let bytes = frames as f64 * (read + whole.0 * whole.1 * 1.5);
            let mut moved = rate(&format!("{name}, moved"), "GB/s", bytes / 1e9, &times);
            moved.ceiling = Some(ceiling);
            found.measures.push(moved);
        }
        if width == 1920 {
            let plain = DeviceLayer::at(&belows[0], 0.0, 0.0);
            compose_on_device(&gpu, &mut outs[0], Ground::Kept, &[plain])?;
            let same = outs[0].download(&gpu)?.planes == below.planes;
            found.check("a layer that fits is copied to the sample", same, name);
        }
    }
    Ok(found)
}
