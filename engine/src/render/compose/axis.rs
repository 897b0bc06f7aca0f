//! One axis of a resize: which samples make each output sample, with which weights.

use pulp::bytemuck;

/// Weights sum to this (14 bits).
pub(super) const ONE: i32 = 1 << 14;
/// Taps across are padded with zeros to a multiple of this, the words of a 128-bit register.
pub(super) const LANES: usize = 8;

/// How a run of output samples lies on a run of input samples: output `i` has its centre at
/// `first + i × step` on the input, in samples from the centre of sample 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Grid {
    pub first: f64,
    pub step: f64,
    /// Output samples.
    pub count: usize,
    /// Input samples that may be used: those from `low` to before `high`. What lies beyond counts
    /// as the nearest of them.
    pub low: usize,
    pub high: usize,
    pub filter: Filter,
}

/// What input samples around an output sample count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Filter {
    /// For sizes: [`cubic`].
    Cubic,
    /// For blurring: a normal distribution of this standard deviation in samples.
    Gauss(f64),
}

impl Filter {
    fn reach(self) -> f64 {
        match self {
            Self::Cubic => 2.0,
            Self::Gauss(sigma) => 3.0 * sigma,
        }
    }

    fn at(self, x: f64) -> f64 {
        match self {
            Self::Cubic => cubic(x),
            Self::Gauss(sigma) => (-x * x / (2.0 * sigma * sigma)).exp(),
        }
    }
}

impl Grid {
    /// Whether output `i` is input `i + n`, exactly; then `n`.
    pub(super) fn shift(&self) -> Option<usize> {
        let close = |a: f64, b: f64| (a - b).abs() < 1e-6;
        let whole = self.first.round();
        let same = self.filter == Filter::Cubic
            && close(self.step, 1.0)
            && close(self.first, whole)
            && whole >= self.low as f64
            && whole as usize + self.count <= self.high;
        // A step of 1 + 1e-6 adds up to a few hundredths of a sample over the longest side.
        same.then_some(whole as usize)
    }
}

/// Eight words that one instruction takes.
#[cfg(target_arch = "x86_64")]
pub(super) type Eight = std::arch::x86_64::__m128i;
#[cfg(not(target_arch = "x86_64"))]
pub(super) type Eight = [i16; LANES];

/// Weights for a [`Grid`].
#[derive(Clone, Debug)]
pub(super) struct Axis {
    /// First input sample of each output sample.
    pub start: Vec<u32>,
    /// Taps of every output sample, padded.
    pub taps: usize,
    /// `taps` weights for each output sample, summing to [`ONE`].
    pub weights: Vec<i16>,
    /// The same, in registers, where `taps` is a multiple of [`LANES`].
    pub eights: Vec<Eight>,
}

/// The cubic of Mitchell and Netravali ("Reconstruction Filters in Computer Graphics", 1988) with
/// B = 0 and C = 0.6: what libswscale calls bicubic. A little crisper than Catmull-Rom (C = 0.5).
pub(super) fn cubic(x: f64) -> f64 {
    const C: f64 = 0.6;
    let x = x.abs();
    if x < 1.0 {
        ((2.0 - C) * x + (C - 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((-C * x + 5.0 * C) * x - 8.0 * C) * x + 4.0 * C
    } else {
        0.0
    }
}

/// Weights of input samples for an output centre, before rounding: the first sample and as many
/// weights as there are, normalised, folded into `low..high`.
pub(super) fn exact(grid: &Grid, i: usize, out: &mut Vec<f64>) -> usize {
    let centre = grid.first + i as f64 * grid.step;
    // Shrinking widens the filter, so that every input sample counts.
    let wide = grid.step.max(1.0);
    let reach = grid.filter.reach() * wide;
    let from = (centre - reach).ceil() as i64;
    let to = (centre + reach).floor() as i64;
    let (low, last) = (grid.low as i64, grid.high as i64 - 1);
    let (first, end) = (from.clamp(low, last), to.clamp(low, last));
    out.clear();
    out.resize((end - first + 1) as usize, 0.0);
    for k in from..=to {
        let at = (k.clamp(first, end) - first) as usize;
        out[at] += grid.filter.at((k as f64 - centre) / wide);
    }
    let sum: f64 = out.iter().sum();
    for weight in out.iter_mut() {
        *weight /= sum;
    }
    first as usize
}

impl Axis {
    /// Weights for `grid` over a row of `length` samples, padded to a multiple of `lanes`.
    pub(super) fn new(grid: &Grid, length: usize, lanes: usize) -> Self {
        let mut rows: Vec<(usize, Vec<i16>)> = Vec::with_capacity(grid.count);
        let mut weights = Vec::new();
        for i in 0..grid.count {
            let first = exact(grid, i, &mut weights);
            rows.push((first, whole(&weights)));
        }
        let taps = rows.iter().map(|(_, w)| w.len()).max().unwrap_or(1).next_multiple_of(lanes);
        let mut made = Self {
            start: Vec::with_capacity(grid.count),
            taps,
            weights: vec![0; taps * grid.count],
            eights: Vec::new(),
        };
        for (i, (first, weights)) in rows.into_iter().enumerate() {
            // Zeros in front where the padding would reach past the row's end.
            let start = first.min(length.saturating_sub(taps));
            let at = i * taps + (first - start);
            made.weights[at..at + weights.len()].copy_from_slice(&weights);
            made.start.push(start as u32);
        }
        if taps.is_multiple_of(LANES) {
            made.eights = vec![bytemuck::Zeroable::zeroed(); made.weights.len() / LANES];
            bytemuck::cast_slice_mut(&mut made.eights).copy_from_slice(&made.weights);
        }
        made
    }

    /// The weights of output sample `i`.
    pub(super) fn of(&self, i: usize) -> &[i16] {
        &self.weights[i * self.taps..(i + 1) * self.taps]
    }
}

/// Weights in 14 bits whose sum is exact: what rounding leaves goes to the largest.
fn whole(weights: &[f64]) -> Vec<i16> {
    let mut out: Vec<i32> = weights.iter().map(|w| (w * f64::from(ONE)).round() as i32).collect();
    let rest = ONE - out.iter().sum::<i32>();
    if let Some(largest) = out.iter_mut().max() {
        *largest += rest;
    }
    out.into_iter().map(|w| w.clamp(-32768, 32767) as i16).collect()
}
