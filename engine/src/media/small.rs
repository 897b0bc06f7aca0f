//! Pictures made very small, straight from the decoder's planes: what shot detectors look at.

use super::frame::{Plane, VideoFrame, planar8};
use super::picture::PictureConverter;
use crate::error::Result;

/// Width of a [`SmallPicture`].
pub const SMALL_WIDTH: usize = 48;
/// Height of a [`SmallPicture`].
pub const SMALL_HEIGHT: usize = 27;

const CELLS: usize = SMALL_WIDTH * SMALL_HEIGHT;

/// A picture of 48 × 27, each value the mean of the pixels it stands for: luma and two colour
/// differences, full range, 0 to 255, row by row. Neither turned nor corrected for aspect.
#[derive(Clone, PartialEq, Eq)]
pub struct SmallPicture {
    /// Luma, blue difference, red difference, one after the other.
    planes: Box<[u8]>,
    /// Share of red and blue in luma, in thousandths.
    weights: (u16, u16),
}

impl std::fmt::Debug for SmallPicture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SmallPicture").field("luma", &self.mean_luma()).finish()
    }
}

impl SmallPicture {
    /// From packed RGB of 48 × 27; what is missing is black.
    pub fn from_rgb(rgb: &[u8]) -> Self {
        let mut planes = vec![0; CELLS * 3].into_boxed_slice();
        for (i, plane) in planes.chunks_exact_mut(CELLS).enumerate() {
            for (value, cell) in plane.iter_mut().zip(0..) {
                let at = |c: usize| f32::from(rgb.get(cell * 3 + c).copied().unwrap_or(0));
                let luma = 0.299 * at(0) + 0.587 * at(1) + 0.114 * at(2);
                *value = match i {
                    0 => luma,
                    1 => 128.0 + (at(2) - luma) / 1.772,
                    _ => 128.0 + (at(0) - luma) / 1.402,
                }
                .round()
                .clamp(0.0, 255.0) as u8;
            }
        }
        Self { planes, weights: (299, 114) }
    }

    /// Luma, row by row.
    pub fn luma(&self) -> &[u8] {
        &self.planes[..CELLS]
    }

    /// Luma, blue difference and red difference, one after the other.
    pub fn planes(&self) -> &[u8] {
        &self.planes
    }

    /// Mean of the luma.
    pub fn mean_luma(&self) -> f32 {
        self.luma().iter().map(|v| u32::from(*v)).sum::<u32>() as f32 / CELLS as f32
    }

    /// Packed RGB of 48 × 27.
    pub fn rgb(&self) -> Vec<u8> {
        let (kr, kb) = (f32::from(self.weights.0) / 1000.0, f32::from(self.weights.1) / 1000.0);
        let kg = 1.0 - kr - kb;
        let mut rgb = Vec::with_capacity(CELLS * 3);
        for i in 0..CELLS {
            let y = f32::from(self.planes[i]);
            let b = y + (f32::from(self.planes[CELLS + i]) - 128.0) * 2.0 * (1.0 - kb);
            let r = y + (f32::from(self.planes[2 * CELLS + i]) - 128.0) * 2.0 * (1.0 - kr);
            let g = (y - kr * r - kb * b) / kg;
            rgb.extend([r, g, b].map(|v| v.round().clamp(0.0, 255.0) as u8));
        }
        rgb
    }
}

impl PictureConverter {
    /// The frame as a [`SmallPicture`].
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] for a pixel format that cannot be converted.
    pub fn small(&mut self, frame: &VideoFrame) -> Result<SmallPicture> {
        let Some((planes, true)) = planar8(&frame.raw).map(|planes| (planes, frame.is_yuv()))
        else {
            return Ok(SmallPicture::from_rgb(&self.rgb_of(
                frame,
                SMALL_WIDTH as u32,
                SMALL_HEIGHT as u32,
            )?));
        };
        let colour = frame.colour();
        let mut small = vec![128; CELLS * 3].into_boxed_slice();
        for (i, (plane, cells)) in planes.iter().zip(small.chunks_exact_mut(CELLS)).enumerate() {
            shrink(plane, cells);
            if !colour.full_range {
                let (low, span) = if i == 0 { (16, 219) } else { (128, 224) };
                let middle = if i == 0 { 0 } else { 128 };
                for value in cells {
                    let wide = (i32::from(*value) - low) * 255 * 2 / span;
                    *value = ((wide + wide.signum()) / 2 + middle).clamp(0, 255) as u8;
                }
            }
        }
        Ok(SmallPicture { planes: small, weights: colour.matrix.luma_weights() })
    }
}

/// Means of a plane's pixels over the cells of the small picture.
fn shrink(plane: &Plane<'_>, cells: &mut [u8]) {
    /// Rows that can be added up in 16 bits.
    const ROWS: usize = 257;
    let edge = |i: usize, of: usize, size: usize| i * size / of;
    // Every other row of a large picture: the mean of a cell hardly moves.
    let step = if plane.height >= 8 * SMALL_HEIGHT { 2 } else { 1 };
    let edges: Vec<(usize, usize)> = (0..SMALL_WIDTH)
        .map(|i| {
            let left = edge(i, SMALL_WIDTH, plane.width);
            (left, edge(i + 1, SMALL_WIDTH, plane.width).max(left + 1))
        })
        .collect();
    // Rows are added up before cells are: whole rows go through wide registers.
    let mut columns = vec![0_u16; plane.width];
    for (row, cells) in cells.chunks_exact_mut(SMALL_WIDTH).enumerate() {
        let top = edge(row, SMALL_HEIGHT, plane.height);
        let bottom = edge(row + 1, SMALL_HEIGHT, plane.height).max(top + 1);
        let lines: Vec<usize> = (top..bottom).step_by(step).collect();
        let mut sums = [0_u32; SMALL_WIDTH];
        for lines in lines.chunks(ROWS) {
            columns.fill(0);
            for y in lines {
                for (column, value) in columns.iter_mut().zip(plane.row(*y)) {
                    *column = column.wrapping_add(u16::from(*value));
                }
            }
            for (sum, (left, right)) in sums.iter_mut().zip(&edges) {
                *sum += columns[*left..*right].iter().map(|v| u32::from(*v)).sum::<u32>();
            }
        }
        for ((cell, sum), (left, right)) in cells.iter_mut().zip(sums).zip(&edges) {
            let count = ((right - left) * lines.len()).max(1) as u32;
            *cell = ((sum + count / 2) / count) as u8;
        }
    }
}
