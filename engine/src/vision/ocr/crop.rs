//! A line of text cut out of a picture, upright, at the height that the recogniser reads.

use super::quad::Quad;
use image::{Rgb, RgbImage};

/// Height of the lines that the recogniser reads.
pub(super) const HEIGHT: u32 = 48;
/// A line is squeezed to this width if it would be wider: 66 times its height.
const WIDEST: u32 = 3200;

/// Cuts out `quad`. Where the picture is larger than the crop, each pixel is the mean of several,
/// so that thin strokes do not break; beyond the picture its edge goes on.
pub(super) fn cut(picture: &RgbImage, quad: &Quad) -> RgbImage {
    let width = (HEIGHT as f32 * quad.length / quad.height.max(1.0)).ceil();
    let width = (width as u32).clamp(HEIGHT / 4, WIDEST);
    let (step_x, step_y) = (quad.length / width as f32, quad.height / HEIGHT as f32);
    // Samples of one pixel, a side.
    let fine = |step: f32| (step.ceil() as u32).clamp(1, 8);
    let (fine_x, fine_y) = (fine(step_x), fine(step_y));
    let ([first_x, first_y], along, down) = (quad.corners()[0], quad.along, quad.down());
    let count = (fine_x * fine_y) as f32;
    RgbImage::from_fn(width, HEIGHT, |x, y| {
        let mut sum = [0.0; 3];
        for (sy, sx) in (0..fine_y).flat_map(|sy| (0..fine_x).map(move |sx| (sy, sx))) {
            let a = (x as f32 + (sx as f32 + 0.5) / fine_x as f32) * step_x;
            let d = (y as f32 + (sy as f32 + 0.5) / fine_y as f32) * step_y;
            // Pixels' centres lie at halves.
            let px = first_x + a * along[0] + d * down[0] - 0.5;
            let py = first_y + a * along[1] + d * down[1] - 0.5;
            let here = between(picture, px, py);
            sum.iter_mut().zip(here).for_each(|(sum, value)| *sum += value);
        }
        Rgb(sum.map(|value| (value / count).round().clamp(0.0, 255.0) as u8))
    })
}

/// The colour at a place between pixels, linear in both directions.
fn between(picture: &RgbImage, x: f32, y: f32) -> [f32; 3] {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let (x, y) = (x.clamp(0.0, (width - 1) as f32), y.clamp(0.0, (height - 1) as f32));
    let (left, top) = (x as usize, y as usize);
    let (right, bottom) = ((left + 1).min(width - 1), (top + 1).min(height - 1));
    let (fx, fy) = (x - left as f32, y - top as f32);
    let raw = picture.as_raw();
    let at = |x: usize, y: usize, c: usize| f32::from(raw[(y * width + x) * 3 + c]);
    std::array::from_fn(|c| {
        let upper = at(left, top, c) * (1.0 - fx) + at(right, top, c) * fx;
        let lower = at(left, bottom, c) * (1.0 - fx) + at(right, bottom, c) * fx;
        upper * (1.0 - fy) + lower * fy
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Red grows to the right and green downwards, by one a pixel.
    fn slope() -> RgbImage {
        RgbImage::from_fn(200, 200, |x, y| Rgb([x as u8, y as u8, 0]))
    }

    #[test]
    fn a_crop_of_the_same_size_is_the_pixels_themselves() {
        let quad = Quad { centre: [100.0, 74.0], along: [1.0, 0.0], length: 96.0, height: 48.0 };
        let crop = cut(&slope(), &quad);
        assert_eq!(crop.dimensions(), (96, 48));
        for (x, y, pixel) in crop.enumerate_pixels() {
            assert_eq!(pixel.0, [x as u8 + 52, y as u8 + 50, 0]);
        }
    }

    #[test]
    fn a_turned_line_comes_out_upright() {
        // Read downwards: to the right in the crop is down in the picture, down is to the left.
        let quad = Quad { centre: [100.0, 100.0], along: [0.0, 1.0], length: 96.0, height: 48.0 };
        let crop = cut(&slope(), &quad);
        assert_eq!(crop.dimensions(), (96, 48));
        assert_eq!(crop.get_pixel(0, 0).0, [123, 52, 0]);
        assert_eq!(crop.get_pixel(95, 47).0, [76, 147, 0]);
    }

    #[test]
    fn shrinking_takes_means_and_edges_go_on() {
        let stripes = RgbImage::from_fn(400, 400, |x, _| Rgb([(x % 2) as u8 * 200; 3]));
        let quad = Quad { centre: [200.0, 200.0], along: [1.0, 0.0], length: 384.0, height: 192.0 };
        let crop = cut(&stripes, &quad);
        assert!(crop.pixels().all(|pixel| pixel.0[0].abs_diff(100) <= 1));
        let outside =
            Quad { centre: [-500.0, 900.0], along: [1.0, 0.0], length: 48.0, height: 48.0 };
        assert!(cut(&slope(), &outside).pixels().all(|pixel| pixel.0 == [0, 199, 0]));
        let tiny = Quad { centre: [5.0, 5.0], along: [1.0, 0.0], length: 1e9, height: 1e-9 };
        assert_eq!(cut(&slope(), &tiny).dimensions(), (WIDEST, HEIGHT));
    }
}
