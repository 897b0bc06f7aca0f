//! Finds lines of text: the network, and what it is given.

use super::quad::Quad;
use super::regions::{Map, regions};
use crate::error::Result;
use crate::media::{ResizeFilter, Resizer, resize_rgb};
use crate::onnx::runtime::{OnnxRuntime, misfit, run_failed};
use image::RgbImage;
use ort::session::Session;
use ort::value::TensorRef;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// The shorter side is enlarged to this; small print is found then.
const SHORTER: f32 = 736.0;
/// Pixels that the network sees at most, and so its memory.
const MOST_PIXELS: f32 = 2.1e6;
/// Sides are multiples of this.
const GRAIN: f32 = 32.0;

/// See the module.
pub(super) struct Detector {
    session: Session,
    model: PathBuf,
    resizer: Resizer,
}

impl Detector {
    pub(super) fn open(runtime: &OnnxRuntime, model: &Path, threads: NonZeroUsize) -> Result<Self> {
        let session = runtime.session(model, threads)?;
        if session.inputs().len() != 1 || session.outputs().len() != 1 {
            return Err(misfit("PP-OCR's text detector", model));
        }
        Ok(Self { session, model: model.to_path_buf(), resizer: Resizer::new() })
    }

    /// The lines in `picture`, in its pixels and in no order.
    pub(super) fn find(&mut self, picture: &RgbImage) -> Result<Vec<Quad>> {
        let (width, height) = size(picture.width(), picture.height());
        let input = self.prepare(picture, width, height)?;
        let failed = |error: ort::Error| run_failed(&error, &self.model);
        let shape = [1_usize, 3, height as usize, width as usize];
        let input = TensorRef::from_array_view((shape, input.as_slice())).map_err(failed)?;
        let outputs = self.session.run(ort::inputs![input]).map_err(failed)?;
        let (_, values) = outputs[0].try_extract_tensor::<f32>().map_err(failed)?;
        let (width, height) = (width as usize, height as usize);
        if values.len() != width * height {
            return Err(misfit("PP-OCR's text detector", &self.model));
        }
        let (to_x, to_y) =
            (picture.width() as f32 / width as f32, picture.height() as f32 / height as f32);
        let found = regions(&Map { width, height, values });
        Ok(found.into_iter().map(|quad| scaled(&quad, to_x, to_y)).collect())
    }

    /// Blue, green and red as planes, −1 to 1.
    fn prepare(&mut self, picture: &RgbImage, width: u32, height: u32) -> Result<Vec<f32>> {
        let (from, to) = (picture.dimensions(), (width, height));
        let rgb =
            resize_rgb(&mut self.resizer, picture.as_raw(), from, to, ResizeFilter::Bilinear)?;
        let (pixels, _) = rgb.as_chunks::<3>();
        let plane = |c: usize| pixels.iter().map(move |p| f32::from(p[c]) / 127.5 - 1.0);
        Ok([2, 1, 0].into_iter().flat_map(plane).collect())
    }
}

/// The size at which a picture is looked at.
fn size(width: u32, height: u32) -> (u32, u32) {
    let (w, h) = (width.max(1) as f32, height.max(1) as f32);
    let enlarge = (SHORTER / w.min(h)).max(1.0);
    let shrink = (MOST_PIXELS / (w * enlarge * h * enlarge)).sqrt().min(1.0);
    let side = |side: f32, other: f32| {
        // A ribbon has a short side of one grain at least, and the other within the limit then.
        let whole = (side * enlarge * shrink / GRAIN).round().max(1.0);
        let most = (MOST_PIXELS / GRAIN / (other * enlarge * shrink).max(GRAIN)).max(1.0).floor();
        (whole.min(most) * GRAIN) as u32
    };
    (side(w, h), side(h, w))
}

/// A rectangle of the map in the picture. Both sides are scaled by nearly the same, so it stays one
/// but for less than a pixel.
fn scaled(quad: &Quad, to_x: f32, to_y: f32) -> Quad {
    // The map's pixels are counted from their centres.
    let centre = [(quad.centre[0] + 0.5) * to_x, (quad.centre[1] + 0.5) * to_y];
    let (ax, ay) = (quad.along[0] * to_x, quad.along[1] * to_y);
    let stretch = ax.hypot(ay);
    let across = (quad.along[1] * to_x).hypot(quad.along[0] * to_y);
    Quad {
        centre,
        along: [ax / stretch, ay / stretch],
        length: quad.length * stretch,
        height: quad.height * across,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_looked_at_within_bounds() {
        assert_eq!(size(1280, 720), (1312, 736));
        assert_eq!(size(1920, 1080), (1920, 1088));
        assert_eq!(size(640, 360), (1312, 736));
        for (width, height) in [(1, 1), (1, 65_535), (65_535, 3), (20_000, 20_000), (4000, 31)] {
            let (w, h) = size(width, height);
            assert!(w >= 32 && h >= 32 && w % 32 == 0 && h % 32 == 0, "{width}x{height}");
            assert!(w * h <= 2_100_000, "{width}x{height}: {w}x{h}");
        }
    }

    #[test]
    fn a_region_lands_where_it_was() {
        let quad = Quad { centre: [99.5, 49.5], along: [1.0, 0.0], length: 40.0, height: 10.0 };
        let back = scaled(&quad, 2.0, 1.0);
        assert_eq!((back.centre, back.length, back.height), ([200.0, 50.0], 80.0, 10.0));
    }
}
