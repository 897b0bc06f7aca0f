//! How far two very small pictures are apart.

use crate::media::{SMALL_HEIGHT, SMALL_WIDTH, SmallPicture};

/// Mean absolute difference: luma, plus half of each colour difference. 0 to 510, in code values.
pub(super) fn difference(a: &SmallPicture, b: &SmallPicture) -> f32 {
    let cells = SMALL_WIDTH * SMALL_HEIGHT;
    let sums = a.planes().chunks_exact(cells).zip(b.planes().chunks_exact(cells)).map(|(a, b)| {
        a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum::<u32>() as f32 / cells as f32
    });
    sums.enumerate().map(|(i, sum)| if i == 0 { sum } else { sum * 0.5 }).sum()
}

/// Standard deviation of the luma.
pub(super) fn contrast(picture: &SmallPicture) -> f32 {
    let mean = picture.mean_luma();
    let sum: f32 = picture.luma().iter().map(|v| (f32::from(*v) - mean).powi(2)).sum();
    (sum / picture.luma().len() as f32).sqrt()
}

/// Pearson's correlation of the lumas; 1 where either is flat and so says nothing.
pub(super) fn correlation(a: &SmallPicture, b: &SmallPicture) -> f32 {
    let (mean_a, mean_b) = (a.mean_luma(), b.mean_luma());
    let spread = contrast(a) * contrast(b);
    if spread < 1.0 {
        return 1.0;
    }
    let products = a.luma().iter().zip(b.luma());
    let sum: f32 = products.map(|(a, b)| (f32::from(*a) - mean_a) * (f32::from(*b) - mean_b)).sum();
    sum / a.luma().len() as f32 / spread
}

/// How little the distributions of luma and colour have in common: 0 for equal ones, 1 for nothing.
/// Hardly moved by what moves within the picture.
pub(super) fn palette_distance(a: &SmallPicture, b: &SmallPicture) -> f32 {
    const BINS: usize = 32;
    let cells = SMALL_WIDTH * SMALL_HEIGHT;
    let spread = |values: &[u8]| {
        let mut bins = [0.0_f32; BINS];
        for value in values {
            // Shared between two bins, so that a small change of light moves little.
            let place = (f32::from(*value) / 8.0 - 0.5).clamp(0.0, BINS as f32 - 1.0);
            let low = place as usize;
            let share = place - low as f32;
            bins[low] += 1.0 - share;
            bins[(low + 1).min(BINS - 1)] += share;
        }
        bins
    };
    let planes = a.planes().chunks_exact(cells).zip(b.planes().chunks_exact(cells));
    let most = planes.map(|(a, b)| {
        let apart: f32 = spread(a).iter().zip(spread(b)).map(|(a, b)| (a - b).abs()).sum();
        apart / (2.0 * cells as f32)
    });
    most.fold(0.0, f32::max)
}

/// Mean absolute difference of the lumas after each block of `a` was looked for in `b`, within a
/// sixth of the picture either way: small where things only moved.
pub(super) fn moved_difference(a: &SmallPicture, b: &SmallPicture) -> f32 {
    const BLOCK: usize = 9;
    const REACH: isize = 8;
    // 48 = 5 × 9 + 3: the blocks begin one cell in.
    let (mut sum, mut count) = (0.0, 0.0);
    for top in (0..SMALL_HEIGHT).step_by(BLOCK) {
        for left in (1..SMALL_WIDTH - BLOCK).step_by(BLOCK) {
            let mut best = u32::MAX;
            for dy in -(REACH / 2)..=REACH / 2 {
                for dx in -REACH..=REACH {
                    let inside = |at: usize, by: isize, most: usize| {
                        at.checked_add_signed(by).filter(|at| at + BLOCK <= most)
                    };
                    let place = inside(top, dy, SMALL_HEIGHT).zip(inside(left, dx, SMALL_WIDTH));
                    let Some((y, x)) = place else { continue };
                    let mut apart = 0;
                    for row in 0..BLOCK {
                        let from = &a.luma()[(top + row) * SMALL_WIDTH + left..][..BLOCK];
                        let to = &b.luma()[(y + row) * SMALL_WIDTH + x..][..BLOCK];
                        apart += from
                            .iter()
                            .zip(to)
                            .map(|(a, b)| u32::from(a.abs_diff(*b)))
                            .sum::<u32>();
                    }
                    best = best.min(apart);
                }
            }
            sum += best as f32;
            count += (BLOCK * BLOCK) as f32;
        }
    }
    sum / count
}
