//! Pictures as a network wants them: size, crop, scale of values.

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::media::{ResizeFilter, Resizer, resize_rgb};
use image::RgbImage;

/// How a picture is brought to the network's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// The shorter side becomes so many pixels; what stands over on the longer is cut off evenly.
    Shortest(u32),
    /// Width and height become the network's, whatever the shape was.
    Stretch,
}

/// How values between pixels are found. Both widen over what they shrink, as Pillow does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Two pixels wide, linear.
    Bilinear,
    /// Catmull and Rom's cubic, Pillow's `BICUBIC`.
    Bicubic,
}

/// What is done to a picture before a network sees it: red, green and blue as
/// `(value / 255 − mean) / deviation`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preparation {
    /// The network's width and height.
    pub size: (u32, u32),
    /// How it gets there.
    pub fit: Fit,
    /// By what filter.
    pub filter: Filter,
    /// What is taken from each colour.
    pub mean: [f32; 3],
    /// What each colour is divided by.
    pub deviation: [f32; 3],
}

impl Preparation {
    /// The values of `picture`, colour by colour, row by row.
    pub(super) fn apply(&self, picture: &RgbImage, resizer: &mut Resizer) -> Result<Vec<f32>> {
        let refused = |message: String| Error::new(ErrorKind::Input, Stage::Embed, message);
        let (width, height) = picture.dimensions();
        if width == 0 || height == 0 {
            return Err(refused("a picture without area cannot be embedded".into()));
        }
        let (wide, high) = self.scaled(width, height);
        let filter = match self.filter {
            Filter::Bilinear => ResizeFilter::Bilinear,
            Filter::Bicubic => ResizeFilter::CatmullRom,
        };
        let scaled = resize_rgb(resizer, picture.as_raw(), (width, height), (wide, high), filter)?;
        let (size_x, size_y) = (self.size.0 as usize, self.size.1 as usize);
        let left = (wide as usize).saturating_sub(size_x) / 2;
        let top = (high as usize).saturating_sub(size_y) / 2;
        let mut values = Vec::with_capacity(3 * size_x * size_y);
        for colour in 0..3 {
            let (mean, deviation) = (self.mean[colour], self.deviation[colour]);
            let rows = scaled.chunks_exact(3 * wide as usize).skip(top).take(size_y);
            for row in rows {
                let row = row[3 * left..].chunks_exact(3).take(size_x);
                values.extend(row.map(|p| (f32::from(p[colour]) / 255.0 - mean) / deviation));
            }
        }
        Ok(values)
    }

    /// The size before the crop: the longer side is rounded down, as in transformers.
    fn scaled(&self, width: u32, height: u32) -> (u32, u32) {
        let Fit::Shortest(edge) = self.fit else { return self.size };
        let long = |long: u32, short: u32, least: u32| {
            let long = u64::from(edge) * u64::from(long) / u64::from(short);
            // A strip far longer than wide would unfold into more than is ever looked at.
            u32::try_from(long.min(16 * u64::from(edge))).unwrap_or(u32::MAX).max(least)
        };
        let (wide, high) = if width <= height {
            (edge, long(height, width, self.size.1))
        } else {
            (long(width, height, self.size.0), edge)
        };
        (wide.max(self.size.0), high.max(self.size.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Preparation = Preparation {
        size: (4, 4),
        fit: Fit::Shortest(4),
        filter: Filter::Bicubic,
        mean: [0.5, 0.0, 0.0],
        deviation: [0.5, 1.0, 1.0],
    };

    #[test]
    fn the_middle_is_kept_and_colours_are_apart() {
        // Columns 0 to 7, of which 2 to 5 are the middle.
        let picture = RgbImage::from_fn(8, 4, |x, y| image::Rgb([x as u8 * 30, y as u8 * 30, 255]));
        let values = PLAIN.apply(&picture, &mut Resizer::new()).unwrap();
        assert_eq!(values.len(), 48);
        let red: Vec<f32> = (2..6).map(|x| (x as f32 * 30.0 / 255.0 - 0.5) / 0.5).collect();
        assert!(values[..4].iter().zip(&red).all(|(a, b)| (a - b).abs() < 1e-6));
        assert!((values[16 + 15] - 90.0 / 255.0).abs() < 1e-6);
        assert!(values[32..].iter().all(|&v| v == 1.0));
    }

    #[test]
    fn odd_shapes_are_taken_and_empty_ones_refused() {
        for (width, height) in [(1, 1), (1, 5000), (5000, 1), (3, 7)] {
            for fit in [Fit::Shortest(4), Fit::Shortest(5), Fit::Stretch] {
                let prepared = Preparation { fit, ..PLAIN };
                let values = prepared.apply(&RgbImage::new(width, height), &mut Resizer::new());
                assert_eq!(values.unwrap().len(), 48);
            }
        }
        let error = PLAIN.apply(&RgbImage::new(0, 4), &mut Resizer::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
    }
}
