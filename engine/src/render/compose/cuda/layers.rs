//! Layers over a canvas, on the device: what [`compose`](super::super::compose) does, as launches.
//!
//! All that a tile can do goes into one launch. What needs a whole layer (blurs, turns at an angle,
//! chains of colour changes longer than the halo) is made into a picture first.

use super::machine::{Launch, Machine, Memory};
use super::mask::{Kernel, Mask};
use super::params::{self, Params, StepKind};
use super::pass::{Drawn, Pass, up};
use super::picture::{DevicePicture, Layout};
use crate::error::Result;
use crate::media::Matrix;
use crate::render::compose::axis::{Filter, Grid};
use crate::render::compose::convert::{Codes, Conversion, codes_of, to_rgb, to_ycc};
use crate::render::compose::geometry::Area;
use crate::render::compose::light::Light;
use crate::render::compose::{ColourTags, Depth, Rect, layer, rotate};
use crate::render::effect::{self, Effect};

/// A picture on the device to lay on a canvas there; fields as in [`Layer`](super::super::Layer).
#[derive(Clone, Copy, Debug)]
pub struct DeviceLayer<'a> {
    /// The picture.
    pub picture: &'a DevicePicture,
    /// The part of it to show, in its luma samples.
    pub crop: Rect,
    /// Where the middle of that part lies on the canvas, in luma samples.
    pub centre: (f64, f64),
    /// Width and height of that part on the canvas before the rotation, in luma samples.
    pub size: (f64, f64),
    /// Degrees, clockwise, about `centre`.
    pub rotation: f64,
    /// 0 (nothing) to 1.
    pub opacity: f32,
    /// Looks, in order, applied at the size on the canvas.
    pub effects: &'a [Effect],
}

impl<'a> DeviceLayer<'a> {
    /// All of `picture` at its own size, upper left corner at (`x`, `y`).
    pub fn at(picture: &'a DevicePicture, x: f64, y: f64) -> Self {
        let crop = Rect::of_size(picture.width(), picture.height());
        let centre = (x + crop.width / 2.0, y + crop.height / 2.0);
        let size = (crop.width, crop.height);
        Self { picture, crop, centre, size, rotation: 0.0, opacity: 1.0, effects: &[] }
    }

    /// `layer` with its picture on the device.
    pub fn of(layer: &super::super::Layer<'a>, picture: &'a DevicePicture) -> Self {
        Self {
            picture,
            crop: layer.crop,
            centre: layer.centre,
            size: layer.size,
            rotation: layer.rotation,
            opacity: layer.opacity,
            effects: layer.effects,
        }
    }
}

/// What a canvas shows before its first layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// What it has.
    Kept,
    /// One colour (8-bit R′G′B′).
    Colour([u8; 3]),
    /// What a new [`Picture`](super::super::Picture) shows: black, or nothing where it has coverage.
    New,
}

/// Lays `layers` on `canvas`, the first one lowest, as [`compose`](super::super::compose) does: the
/// same samples but for what floats of another order round, at most a code value or two. Layers that
/// are nowhere change nothing. The work is queued, not waited for.
///
/// # Errors
/// [`crate::ErrorKind::Resource`] when there is not enough memory; the device's failures.
pub fn compose_on_device(
    machine: &dyn Machine,
    canvas: &mut DevicePicture,
    ground: Ground,
    layers: &[DeviceLayer<'_>],
) -> Result<()> {
    let ground = match ground {
        Ground::Kept => None,
        // An opaque colour over coverage would need its planes filled: a canvas with coverage starts
        // empty.
        Ground::Colour(rgb) if !canvas.has_alpha() => {
            let rgb = rgb.map(|c| f64::from(c) / 255.0);
            Some(codes_of(rgb, canvas.tags, canvas.depth()).map(i32::from))
        }
        Ground::Colour(_) | Ground::New => Some(canvas.ground()),
    };
    let mut pass = Pass::new(machine, canvas, canvas.tags.site, ground);
    for layer in layers {
        draw(machine, &mut pass, canvas, layer)?;
    }
    pass.flush()?;
    for keeper in layers.iter().filter_map(|layer| layer.picture.keeper.as_ref()) {
        machine.hold(keeper.0.clone())?;
    }
    Ok(())
}

fn draw(
    machine: &dyn Machine,
    pass: &mut Pass<'_>,
    canvas: &DevicePicture,
    layer: &DeviceLayer<'_>,
) -> Result<()> {
    let sane = [layer.size.0, layer.size.1, layer.centre.0, layer.centre.1, layer.rotation]
        .iter()
        .all(|v| v.is_finite());
    if !sane || layer.opacity.is_nan() || layer.opacity <= 0.0 {
        return Ok(());
    }
    if let [Effect::Blur { sigma }] = layer.effects
        && let Some(small) = effect::small_enough(*sigma)
    {
        return draw_blurred(machine, pass, canvas, layer, *sigma, small);
    }
    let own = layer.picture.depth();
    let work = if own == Depth::Ten { Depth::Ten } else { canvas.depth() };
    let conversion =
        Conversion::new((layer.picture.tags, own), (canvas.tags, canvas.depth()), work);
    Job { machine, layer, canvas, work, conversion }.run(pass)
}

/// A wide blur leaves nothing that a picture `by` times smaller could not hold.
fn draw_blurred(
    machine: &dyn Machine,
    pass: &mut Pass<'_>,
    canvas: &DevicePicture,
    layer: &DeviceLayer<'_>,
    sigma: f64,
    by: f64,
) -> Result<()> {
    let even = |v: f64| ((v / by / 2.0).ceil() * 2.0).clamp(2.0, 4096.0) as u32;
    let (w, h) = (even(layer.size.0), even(layer.size.1));
    let alpha = layer.picture.has_alpha();
    let mut small =
        DevicePicture::new(machine, (w, h), canvas.depth(), canvas.tags, Layout::Planar, alpha)?;
    let scaled = DeviceLayer {
        centre: (f64::from(w) / 2.0, f64::from(h) / 2.0),
        size: (f64::from(w), f64::from(h)),
        rotation: 0.0,
        opacity: 1.0,
        effects: &[],
        ..*layer
    };
    compose_on_device(machine, &mut small, Ground::New, &[scaled])?;
    blur(machine, &small, sigma / (layer.size.0 / f64::from(w)))?;
    let large = DeviceLayer { picture: &small, crop: Rect::of_size(w, h), effects: &[], ..*layer };
    draw(machine, pass, canvas, &large)?;
    // Queued while `small` lives.
    pass.flush()
}

/// What an effect may know of the layer whose visible part it is given.
#[derive(Clone, Copy)]
struct View {
    codes: Codes,
    layer: (f64, f64),
    origin: (f64, f64),
}

struct Job<'a> {
    machine: &'a dyn Machine,
    layer: &'a DeviceLayer<'a>,
    canvas: &'a DevicePicture,
    /// The depth that the layer is worked in.
    work: Depth,
    conversion: Conversion,
}

impl Job<'_> {
    fn run(&self, pass: &mut Pass<'_>) -> Result<()> {
        let layer = self.layer;
        let turns = (layer.rotation / 90.0).round();
        let rest = layer.rotation - turns * 90.0;
        let turns = turns.rem_euclid(4.0) as u8;
        if rest.abs() > 1e-6 {
            return self.turned(pass);
        }
        let (planes, site) =
            quarters(layer.picture.planes, turns, layer.picture.tags.site.offset());
        let stored = (layer.picture.width() as usize, layer.picture.height() as usize);
        let picture = (planes[0].width as usize, planes[0].height as usize);
        let (size, crop) = match turns {
            0 => (layer.size, layer.crop),
            2 => (layer.size, layer::turned_crop(layer.crop, stored, turns)),
            _ => {
                let size = (layer.size.1, layer.size.0);
                (size, layer::turned_crop(layer.crop, stored, turns))
            }
        };
        let canvas = (self.canvas.width() as usize, self.canvas.height() as usize);
        let Some(area) = Area::new(canvas, picture, layer.centre, size, crop) else {
            return Ok(());
        };
        let grids = [area.luma(), area.chroma(self.canvas.tags.site, site)];
        let (left, top) = (area.x.from, area.y.from);
        let part = (area.x.count, area.y.count);
        let origin = (
            left as f64 - (layer.centre.0 - layer.size.0 / 2.0),
            top as f64 - (layer.centre.1 - layer.size.1 / 2.0),
        );
        let view = self.view(layer.size, origin);
        let drawn = self.finished(self.drawn(planes, grids)?, part, &view)?;
        let ([e0, e1], [e2, e3]) = (area.x.ends(), area.y.ends());
        let made = params::Layer {
            x: left as i32,
            y: top as i32,
            width: part.0 as i32,
            height: part.1 as i32,
            edge: [e0, e1, e2, e3],
            opacity: layer.opacity,
            opaque: i32::from(!drawn.alpha && layer.opacity >= 1.0 && area.is_whole()),
            ..self.coloured(&view)
        };
        pass.push(made, drawn)
    }

    fn view(&self, layer: (f64, f64), origin: (f64, f64)) -> View {
        let (tags, own) = (self.layer.picture.tags, self.layer.picture.depth());
        View { codes: Codes::moved(tags.full_range, own, self.work), layer, origin }
    }

    /// The fields that steps read.
    fn coloured(&self, view: &View) -> params::Layer {
        let matrix = self.layer.picture.tags.matrix;
        let narrow = |(a, b): (f64, f64)| [a as f32, b as f32];
        let (back, there) = matrices(matrix);
        params::Layer {
            origin: narrow(view.origin),
            size: narrow((view.layer.0.max(1.0), view.layer.1.max(1.0))),
            back,
            there,
            luma: narrow(view.codes.luma),
            chroma: narrow(view.codes.chroma),
            ..Default::default()
        }
    }

    fn drawn(&self, planes: [params::Plane; 5], grids: [(Grid, Grid); 2]) -> Result<Drawn> {
        let mut axis = [params::Axis::default(); 4];
        let mut tables = Vec::new();
        for (half, (x, y)) in grids.iter().enumerate() {
            let plane = &planes[half];
            for (i, (grid, length)) in [(x, plane.width), (y, plane.height)].into_iter().enumerate()
            {
                let made = self.machine.tables().axis(self.machine, grid, length as usize)?;
                tables.extend(made.0);
                axis[2 * half + i] = made.1;
            }
        }
        Ok(Drawn {
            planes,
            axis,
            ups: (up(self.layer.picture.depth()), up(self.work)),
            steps: Vec::new(),
            mask: Mask::default(),
            halo: 0,
            alpha: planes[3].base != 0,
            tables,
        })
    }

    /// `drawn`, of the size `part`, with the layer's effects and its conversion to the canvas's colour.
    fn finished(&self, mut drawn: Drawn, part: (usize, usize), view: &View) -> Result<Drawn> {
        let tags = self.layer.picture.tags;
        let room = |drawn: &mut Drawn, halo: i32| -> Result<()> {
            if !drawn.has_room(halo) {
                self.made(drawn, part, view, self.work)?;
            }
            Ok(())
        };
        for effect in self.layer.effects {
            let (kind, halo, mask) = match effect {
                Effect::Blur { sigma } => {
                    if !(sigma.is_nan() || *sigma <= 0.05) {
                        let made = self.made(&mut drawn, part, view, self.work)?;
                        blur(self.machine, &made, sigma.min(100.0))?;
                    }
                    continue;
                }
                Effect::Sharpen { amount, sigma } => {
                    if amount.is_finite() && *sigma > 0.05 {
                        let made = self.made(&mut drawn, part, view, self.work)?;
                        sharpen(self.machine, &made, *amount, sigma.min(100.0))?;
                    }
                    continue;
                }
                Effect::Grade(_) => (StepKind::Grade, 1, Mask::GRADE),
                Effect::Lut(_) => (StepKind::Lut, 1, Mask::LUT),
                Effect::Vignette(_) => (StepKind::Vignette, 0, Mask::VIGNETTE),
                // What already has coverage has no cloth to take away.
                Effect::ChromaKey(_) if drawn.alpha => continue,
                Effect::ChromaKey(_) => (StepKind::Key, 2, Mask::KEY),
            };
            room(&mut drawn, halo)?;
            let step = self.step(effect, kind, tags, &mut drawn)?;
            drawn.step(step, halo, mask);
        }
        let mut step = params::Step::default();
        match &self.conversion {
            Conversion::Nothing => return Ok(drawn),
            Conversion::Linear(linear) => {
                step.kind = StepKind::Matrix as i32;
                let numbers = linear.gain.as_flattened().iter().chain(&linear.shift);
                for (to, v) in step.f.iter_mut().zip(numbers) {
                    *to = *v as f32;
                }
                room(&mut drawn, 1)?;
                drawn.step(step, 1, Mask::MATRIX);
            }
            Conversion::Light(light) => {
                let table = self.machine.tables().light(self.machine, light)?;
                step.table[0] = table.address;
                step.kind = match &**light {
                    Light::Down(_) => StepKind::LightDown as i32,
                    Light::Cube(cube) => {
                        let (side, scale) = cube.scale();
                        step.count[0] = side as i32;
                        step.f[0] = scale;
                        StepKind::LightCube as i32
                    }
                };
                room(&mut drawn, 1)?;
                drawn.tables.push(table);
                drawn.step(step, 1, Mask::LIGHT);
            }
        }
        Ok(drawn)
    }

    fn step(
        &self,
        effect: &Effect,
        kind: StepKind,
        tags: ColourTags,
        drawn: &mut Drawn,
    ) -> Result<params::Step> {
        let mut step = params::Step { kind: kind as i32, ..Default::default() };
        match effect {
            Effect::Grade(grade) => step.f = grade.device_factors(tags.matrix),
            Effect::Lut(lut) => {
                for (i, table) in
                    self.machine.tables().lut(self.machine, lut)?.into_iter().enumerate()
                {
                    let Some((memory, side)) = table else { continue };
                    step.table[i] = memory.address;
                    step.count[i] = side as i32;
                    drawn.tables.push(memory);
                }
            }
            Effect::Vignette(vignette) => {
                step.f[0] = vignette.amount.clamp(0.0, 1.0) as f32;
                step.f[1] = vignette.radius.clamp(0.0, 0.99) as f32;
            }
            Effect::ChromaKey(key) => {
                let rgb = key.colour.map(|c| f64::from(c) / 255.0);
                let [_, kb, kr] = to_ycc(rgb, tags.matrix);
                let length = kb.hypot(kr).max(1e-6);
                let numbers = [
                    kb,
                    kr,
                    key.tolerance,
                    key.softness.max(1e-6),
                    key.despill.clamp(0.0, 1.0),
                    kb / length,
                    kr / length,
                ];
                for (to, v) in step.f.iter_mut().zip(numbers) {
                    *to = v as f32;
                }
                drawn.alpha = true;
            }
            Effect::Blur { .. } | Effect::Sharpen { .. } => {}
        }
        Ok(step)
    }

    /// Makes `drawn` so far into a picture of its size and of `depth`, and goes on from that.
    fn made(
        &self,
        drawn: &mut Drawn,
        (width, height): (usize, usize),
        view: &View,
        depth: Depth,
    ) -> Result<DevicePicture> {
        let size = (width as u32, height as u32);
        let tags = self.canvas.tags;
        let made =
            DevicePicture::new(self.machine, size, depth, tags, Layout::Planar, drawn.alpha)?;
        let next = Drawn {
            planes: made.planes,
            axis: Default::default(),
            ups: (up(depth), up(depth)),
            steps: Vec::new(),
            mask: Mask::default(),
            halo: 0,
            alpha: drawn.alpha,
            // The picture's own memory: it goes when what reads it is queued.
            tables: made.memory.clone().into_iter().collect(),
        };
        let layer = params::Layer {
            width: width as i32,
            height: height as i32,
            opacity: 1.0,
            opaque: 1,
            raw: 1,
            ..self.coloured(view)
        };
        let mut pass = Pass::new(self.machine, &made, tags.site, None);
        pass.push(layer, std::mem::replace(drawn, next))?;
        pass.flush()?;
        Ok(made)
    }

    /// A layer at any angle: see `rotate.rs`.
    fn turned(&self, pass: &mut Pass<'_>) -> Result<()> {
        let layer = self.layer;
        let (w, h) = layer.size;
        let picture = (layer.picture.width(), layer.picture.height());
        let crop = rotate::inside(layer.crop, picture);
        if !(w > 0.0 && h > 0.0 && crop.width > 0.0 && crop.height > 0.0) {
            return Ok(());
        }
        let even = |v: f64| ((v / 2.0).ceil() * 2.0).max(2.0);
        let upright = (even(w.min(crop.width)), even(h.min(crop.height)));
        let size = (upright.0 as usize, upright.1 as usize);
        let middle = (upright.0 / 2.0, upright.1 / 2.0);
        let stored = (picture.0 as usize, picture.1 as usize);
        let Some(area) = Area::new(size, stored, middle, upright, crop) else { return Ok(()) };
        let (sin, cos) = layer.rotation.to_radians().sin_cos();
        let reach = (
            (w * cos.abs() + h * sin.abs()) / 2.0 + 1.0,
            (w * sin.abs() + h * cos.abs()) / 2.0 + 1.0,
        );
        let run = |centre: f64, reach: f64, most: u32| {
            let most = most as usize;
            let from = (centre - reach).floor().clamp(0.0, most as f64) as usize & !1;
            let to = ((centre + reach).ceil().clamp(0.0, most as f64) as usize).next_multiple_of(2);
            (from, to.min(most))
        };
        let (x0, x1) = run(layer.centre.0, reach.0, self.canvas.width());
        let (y0, y1) = run(layer.centre.1, reach.1, self.canvas.height());
        if x0 >= x1 || y0 >= y1 {
            return Ok(());
        }
        let theirs = layer.picture.tags.site.offset();
        let site = self.canvas.tags.site;
        let grids = [area.luma(), area.chroma(site, theirs)];
        let view = self.view(upright, (0.0, 0.0));
        let part = (area.x.count, area.y.count);
        let mut drawn = self.finished(self.drawn(layer.picture.planes, grids)?, part, &view)?;
        self.made(&mut drawn, part, &view, self.canvas.depth())?;

        let shrink = (upright.0 / w, upright.1 / h);
        let within = |x: f64, y: f64| {
            let (dx, dy) = (x - layer.centre.0, y - layer.centre.1);
            (dx * cos + dy * sin + w / 2.0, -dx * sin + dy * cos + h / 2.0)
        };
        let mut made = params::Layer {
            x: x0 as i32,
            y: y0 as i32,
            width: (x1 - x0) as i32,
            height: (y1 - y0) as i32,
            opacity: layer.opacity,
            turned: 1,
            dx: [cos * shrink.0, -sin * shrink.1],
            dy: [sin * shrink.0, cos * shrink.1],
            turn: [sin, cos],
            whole: [w, h],
            ..Default::default()
        };
        for half in 0..2 {
            let cell = f64::from(1 << half);
            let (ox, oy) = if half == 0 { (0.5, 0.5) } else { site.offset() };
            let (u, v) = within(x0 as f64 + ox, y0 as f64 + oy);
            made.place[half] = [(u * shrink.0 - ox) / cell, (v * shrink.1 - oy) / cell];
            let (u, v) = within(x0 as f64 + cell / 2.0, y0 as f64 + cell / 2.0);
            made.middle[half] = [u, v];
        }
        pass.push(made, drawn)
    }
}

/// Columns of the matrices from Y′CbCr to R′G′B′ and back.
pub(super) fn matrices(matrix: Matrix) -> ([f32; 9], [f32; 9]) {
    let (mut back, mut there) = ([0.0; 9], [0.0; 9]);
    for k in 0..3 {
        let mut unit = [0.0; 3];
        unit[k] = 1.0;
        for (i, v) in to_rgb(unit, matrix).into_iter().enumerate() {
            back[3 * k + i] = v as f32;
        }
        for (i, v) in to_ycc(unit, matrix).into_iter().enumerate() {
            there[3 * k + i] = v as f32;
        }
    }
    (back, there)
}

/// Planes turned clockwise by so many quarters, and where chroma lies then: only the steps from sample
/// to sample change.
fn quarters(
    planes: [params::Plane; 5],
    turns: u8,
    (sx, sy): (f64, f64),
) -> ([params::Plane; 5], (f64, f64)) {
    let turned = |p: params::Plane| {
        let (right, bottom) = (i64::from(p.width - 1), i64::from(p.height - 1));
        let (across, down) = (i64::from(p.sx), p.sy);
        let (first, sx, sy) = match turns {
            1 => (bottom * down, -down, across),
            2 => (right * across + bottom * down, -across, -down),
            3 => (right * across, down, -across),
            _ => (0, across, down),
        };
        let (width, height) =
            if turns % 2 == 1 { (p.height, p.width) } else { (p.width, p.height) };
        params::Plane {
            base: if p.base == 0 { 0 } else { p.base.wrapping_add_signed(first) },
            sx: sx as i32,
            sy,
            width,
            height,
            ..p
        }
    };
    let site = match turns {
        1 => (2.0 - sy, sx),
        2 => (2.0 - sx, 2.0 - sy),
        3 => (sy, 2.0 - sx),
        _ => (sx, sy),
    };
    (planes.map(turned), site)
}

/// Blurs all planes of `picture`: see `effect/blur.rs`.
fn blur(machine: &dyn Machine, picture: &DevicePicture, sigma: f64) -> Result<()> {
    if sigma.is_nan() || sigma <= 0.05 {
        return Ok(());
    }
    let sigma = sigma.min(100.0);
    for (i, plane) in picture.planes.iter().enumerate().filter(|(_, plane)| plane.base != 0) {
        let sigma = if matches!(i, 1 | 2 | 4) { sigma / 2.0 } else { sigma };
        smooth(machine, *plane, *plane, sigma, up(picture.depth()))?;
    }
    Ok(())
}

fn sharpen(machine: &dyn Machine, picture: &DevicePicture, amount: f64, sigma: f64) -> Result<()> {
    let luma = picture.planes[0];
    let size = (picture.width(), picture.height());
    let (depth, tags) = (picture.depth(), picture.tags);
    let soft = DevicePicture::new(machine, size, depth, tags, Layout::Planar, false)?;
    smooth(machine, luma, soft.planes[0], sigma, up(depth))?;
    let params = Params::Resample(params::Resample {
        from: soft.planes[0],
        to: luma,
        width: luma.width,
        height: luma.height,
        up: up(depth),
        amount: (amount.clamp(-1.0, 10.0) * 256.0).round() as i32,
        ..Default::default()
    });
    over_plane(machine, Kernel::Sharpen, luma, &params)
}

/// `from` smoothed by a normal distribution of `sigma` samples into `to`, which may be the same plane.
fn smooth(
    machine: &dyn Machine,
    from: params::Plane,
    to: params::Plane,
    sigma: f64,
    up: i32,
) -> Result<()> {
    let grid = |count: i32| Grid {
        first: 0.0,
        step: 1.0,
        count: count as usize,
        low: 0,
        high: count as usize,
        filter: Filter::Gauss(sigma.max(0.01)),
    };
    let words: Memory = machine.allocate(2 * from.width as usize * from.height as usize)?;
    let pass = |length: i32| machine.tables().axis(machine, &grid(length), length as usize);
    let (across, down) = (pass(from.width)?, pass(from.height)?);
    let mut params = params::Resample {
        from,
        to,
        axis: across.1,
        words: words.address,
        width: from.width,
        height: from.height,
        up,
        amount: 0,
    };
    over_plane(machine, Kernel::ResampleAcross, from, &Params::Resample(params))?;
    params.axis = down.1;
    over_plane(machine, Kernel::ResampleDown, to, &Params::Resample(params))
}

fn over_plane(
    machine: &dyn Machine,
    kernel: Kernel,
    plane: params::Plane,
    params: &Params,
) -> Result<()> {
    let mask = if plane.wide != 0 { Mask::WIDE } else { Mask::default() };
    let blocks = (plane.width as u32 * plane.height as u32).div_ceil(kernel.threads());
    machine.launch(Launch { kernel, mask, grid: [blocks.max(1), 1], params })
}
