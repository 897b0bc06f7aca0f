//! A launch of the compositor's kernel being filled with layers.

use super::machine::{Launch, Machine, Memory};
use super::mask::{Kernel, MOST_HALO, Mask, TILE_COLUMNS};
use super::params::{self, MAX_LAYERS, MAX_STEPS, Params};
use super::picture::DevicePicture;
use crate::error::Result;
use crate::render::compose::{ChromaSite, Depth};

/// Bits by which a code value of this depth is moved up between the passes of a resize.
pub(super) fn up(depth: Depth) -> i32 {
    match depth {
        Depth::Eight => 6,
        Depth::Ten => 4,
    }
}

/// The number of a canvas's site in the kernels. Only layers are mirrored, and their samples' places are
/// counted from [`ChromaSite::offset`]; the canvas that they are resized to is not.
pub(super) fn number(site: ChromaSite) -> i32 {
    match site {
        ChromaSite::Left | ChromaSite::Right => 0,
        ChromaSite::Centre => 1,
        ChromaSite::TopLeft | ChromaSite::TopRight => 2,
    }
}

/// A layer's samples on their way to the canvas: where they come from, and what is done to them.
pub(super) struct Drawn {
    pub planes: [params::Plane; 5],
    pub axis: [params::Axis; 4],
    /// The depth of the planes, and the one that is worked in.
    pub ups: (i32, i32),
    pub steps: Vec<params::Step>,
    pub mask: Mask,
    /// Chroma samples of halo that the steps use up.
    pub halo: i32,
    /// Whether there is coverage behind the steps.
    pub alpha: bool,
    /// What the steps and axes read.
    pub tables: Vec<Memory>,
}

impl Drawn {
    /// Room for a step that uses up so much halo.
    pub(super) fn has_room(&self, halo: i32) -> bool {
        self.halo + halo <= MOST_HALO && self.steps.len() < MAX_STEPS / 2
    }

    pub(super) fn step(&mut self, step: params::Step, halo: i32, mask: Mask) {
        self.steps.push(step);
        self.halo += halo;
        self.mask = self.mask.with(mask);
    }

    /// Whether samples are taken as they are, wherever they lie.
    pub(super) fn is_shift(&self) -> bool {
        self.axis.iter().all(|axis| axis.taps == 0)
    }
}

/// Layers that one launch lays on a canvas.
pub(super) struct Pass<'a> {
    machine: &'a dyn Machine,
    canvas: &'a DevicePicture,
    params: Box<params::Compose>,
    mask: Mask,
    plain: bool,
    steps: usize,
    /// Until the launch is queued.
    kept: Vec<Memory>,
}

impl<'a> Pass<'a> {
    /// On `canvas`, chroma of whose layers lies at `site`; it begins as `ground`, or as it is.
    pub(super) fn new(
        machine: &'a dyn Machine,
        canvas: &'a DevicePicture,
        site: ChromaSite,
        ground: Option<[i32; 3]>,
    ) -> Self {
        let params = params::Compose {
            canvas: canvas.planes,
            width: canvas.width() as i32,
            height: canvas.height() as i32,
            site: number(site),
            up: up(canvas.depth()),
            clear: i32::from(ground.is_some()),
            ground: ground.unwrap_or_default(),
            ..Default::default()
        };
        let mut made = Self {
            machine,
            canvas,
            params: Box::new(params),
            mask: Mask::default(),
            plain: true,
            steps: 0,
            kept: Vec::new(),
        };
        made.restart();
        made
    }

    fn restart(&mut self) {
        self.mask = Mask::default();
        if self.canvas.has_alpha() {
            self.mask = self.mask.with(Mask::COVER);
        }
        if self.canvas.depth() == Depth::Ten {
            self.mask = self.mask.with(Mask::WIDE);
        }
        self.plain = !self.canvas.has_alpha();
        self.steps = 0;
        self.params.count = 0;
        self.kept.clear();
    }

    /// Adds a layer; what it reads is kept until it is queued.
    pub(super) fn push(&mut self, mut layer: params::Layer, drawn: Drawn) -> Result<()> {
        let full = self.params.count as usize >= MAX_LAYERS;
        if full || self.steps + drawn.steps.len() > MAX_STEPS {
            self.flush()?;
        }
        layer.plane = drawn.planes;
        layer.axis = drawn.axis;
        (layer.in_up, layer.work_up) = drawn.ups;
        layer.first_step = self.steps as i32;
        layer.steps = drawn.steps.len() as i32;
        layer.halo = drawn.halo;
        let mut mask = drawn.mask.with_halo(drawn.halo);
        if drawn.planes[0].wide != 0 {
            mask = mask.with(Mask::WIDE);
        }
        if drawn.planes[3].base != 0 {
            mask = mask.with(Mask::COVER);
        }
        if !drawn.is_shift() {
            mask = mask.with(Mask::SCALE);
        }
        if layer.turned != 0 {
            mask = mask.with(Mask::ROTATE);
            let phases = self.machine.tables().phases(self.machine)?;
            self.params.phases = phases.address;
            self.kept.push(phases);
        }
        if layer.raw != 0 {
            mask = mask.with(Mask::RAW);
        }
        let same = drawn.ups == (self.params.up, self.params.up);
        self.plain &= drawn.is_shift() && drawn.steps.is_empty() && same;
        self.plain &= layer.turned == 0 && layer.raw == 0;
        self.mask = self.mask.with(mask);
        let end = self.steps + drawn.steps.len();
        self.params.steps[self.steps..end].copy_from_slice(&drawn.steps);
        self.steps = end;
        self.params.layers[self.params.count as usize] = layer;
        self.params.count += 1;
        self.kept.extend(drawn.tables);
        Ok(())
    }

    /// Queues what was added.
    pub(super) fn flush(&mut self) -> Result<()> {
        if self.params.count == 0 && self.params.clear == 0 {
            return Ok(());
        }
        let (kernel, grid) = if self.plain {
            // Segments of sixteen bytes; both chroma planes together have half as many rows.
            let bytes = if self.canvas.depth() == Depth::Ten { 2 } else { 1 };
            let segments = (self.canvas.width() * bytes).div_ceil(16);
            let threads = Kernel::ComposePlain.threads();
            let blocks = (segments * self.canvas.height() * 2).div_ceil(threads);
            (Kernel::ComposePlain, [blocks, 1])
        } else {
            let columns = self.canvas.width().div_ceil(TILE_COLUMNS);
            (Kernel::Compose, [columns, self.canvas.height().div_ceil(self.mask.tile_rows())])
        };
        let mask = self.mask;
        let params = Params::Compose(self.params.clone());
        self.machine.launch(Launch { kernel, mask, grid, params: &params })?;
        self.params.clear = 0;
        self.restart();
        Ok(())
    }
}
