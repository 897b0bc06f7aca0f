//! Pictures laid over each other, beside what the memory moves.

use super::{Bench, Found};
use crate::bench::ceiling::memory_bandwidth;
use crate::bench::film::Film;
use crate::bench::turns::rate;
use rushes::render::compose::{ColourTags, Depth, Layer, Picture, compose};

pub fn run(bench: &Bench<'_>) -> anyhow::Result<Found> {
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
