//! Tables that kernels read, kept in device memory: weights of resizes, colour tables, curves.

use super::machine::{Machine, Memory, stored};
use super::params;
use crate::error::Result;
use crate::render::compose::axis::{Axis, Filter, Grid};
use crate::render::compose::light::Light;
use crate::render::compose::turn;
use crate::render::lut::CubeLut;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A [`Grid`] by its bits, and the length of the row that it lies on.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct AxisKey {
    numbers: [u64; 3],
    counts: [usize; 4],
}

impl AxisKey {
    fn new(grid: &Grid, length: usize) -> Self {
        let sigma = match grid.filter {
            Filter::Cubic => 0.0,
            Filter::Gauss(sigma) => sigma.max(1e-300),
        };
        Self {
            numbers: [grid.first, grid.step, sigma].map(f64::to_bits),
            counts: [grid.count, grid.low, grid.high, length],
        }
    }
}

/// The two tables of a colour table; each begins with its domain.
type LutTables = [Option<(Memory, usize)>; 2];

#[derive(Default)]
struct Kept {
    axes: HashMap<AxisKey, (Memory, params::Axis)>,
    // What a table was made from stays alive beside it, so that its address stands for it.
    luts: Vec<(Arc<CubeLut>, LutTables)>,
    lights: Vec<(Arc<Light>, Memory)>,
    phases: Option<Memory>,
}

/// Tables in a machine's memory, made at first use.
#[derive(Default)]
pub struct Tables(Mutex<Kept>);

impl std::fmt::Debug for Tables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tables")
    }
}

/// Axes kept: a zoom makes four new ones a frame, a cut edit uses the same few.
const MOST_AXES: usize = 256;
/// Colour tables kept, and curves.
const MOST_LUTS: usize = 8;

fn bytes_of(floats: &[f32]) -> Vec<u8> {
    floats.iter().flat_map(|v| v.to_le_bytes()).collect()
}

impl Tables {
    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `grid` over a row of `length` samples; the memory must live until the kernel is queued.
    pub(super) fn axis(
        &self,
        machine: &dyn Machine,
        grid: &Grid,
        length: usize,
    ) -> Result<(Option<Memory>, params::Axis)> {
        if let Some(by) = grid.shift() {
            return Ok((None, params::Axis { first: by as i32, ..Default::default() }));
        }
        let key = AxisKey::new(grid, length);
        let mut kept = self.kept();
        if let Some((memory, axis)) = kept.axes.get(&key) {
            return Ok((Some(memory.clone()), *axis));
        }
        let axis = Axis::new(grid, length, 1);
        let mut bytes: Vec<u8> = axis.start.iter().flat_map(|v| v.to_le_bytes()).collect();
        let weights = bytes.len() as u64;
        bytes.extend(axis.weights.iter().flat_map(|v| v.to_le_bytes()));
        let memory = stored(machine, &bytes)?;
        let start = memory.address;
        let made =
            params::Axis { start, weights: start + weights, taps: axis.taps as i32, first: 0 };
        if kept.axes.len() >= MOST_AXES {
            kept.axes.clear();
        }
        kept.axes.insert(key, (memory.clone(), made));
        Ok((Some(memory), made))
    }

    /// The curve and the cube of a colour table, each with its points a side.
    pub(super) fn lut(&self, machine: &dyn Machine, lut: &Arc<CubeLut>) -> Result<LutTables> {
        let mut kept = self.kept();
        if let Some((_, made)) = kept.luts.iter().find(|(own, _)| Arc::ptr_eq(own, lut)) {
            return Ok(made.clone());
        }
        let [curve, cube] = lut.device_tables();
        let put = |table: Option<(Vec<f32>, usize)>| -> Result<Option<(Memory, usize)>> {
            let Some((floats, side)) = table else { return Ok(None) };
            Ok(Some((stored(machine, &bytes_of(&floats))?, side)))
        };
        let made = [put(curve)?, put(cube)?];
        if kept.luts.len() >= MOST_LUTS {
            kept.luts.remove(0);
        }
        kept.luts.push((lut.clone(), made.clone()));
        Ok(made)
    }

    /// The curves or the cube of a conversion through light.
    pub(super) fn light(&self, machine: &dyn Machine, light: &Arc<Light>) -> Result<Memory> {
        let mut kept = self.kept();
        if let Some((_, made)) = kept.lights.iter().find(|(own, _)| Arc::ptr_eq(own, light)) {
            return Ok(made.clone());
        }
        let made = stored(machine, &bytes_of(&light.device_table()))?;
        if kept.lights.len() >= MOST_LUTS {
            kept.lights.remove(0);
        }
        kept.lights.push((light.clone(), made.clone()));
        Ok(made)
    }

    /// The cubic at the places between two samples.
    pub(super) fn phases(&self, machine: &dyn Machine) -> Result<Memory> {
        let mut kept = self.kept();
        if let Some(phases) = &kept.phases {
            return Ok(phases.clone());
        }
        let made = stored(machine, &bytes_of(turn::phases().as_flattened()))?;
        kept.phases = Some(made.clone());
        Ok(made)
    }
}
