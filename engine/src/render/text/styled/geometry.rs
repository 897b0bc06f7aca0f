//! Outlines as polygons: flattened, seen in perspective, and cut to what a canvas can show before anything
//! is drawn, so that no size and no place costs more than the canvas.

use crate::render::text::stamp::{Stamp, stamp};
use swash::zeno::{Command, Point, Transform};

/// A closed line.
pub(super) type Polygon = Vec<[f64; 2]>;

/// Farthest that a flattened curve may be from the true one, in samples.
const TOLERANCE: f64 = 0.02;
/// Pieces of a curve.
const MOST_PIECES: f64 = 200.0;

/// `path` as closed lines.
pub(super) fn flatten(path: &[Command]) -> Vec<Polygon> {
    let mut made: Vec<Polygon> = Vec::new();
    let mut own: Polygon = Vec::new();
    let of = |p: &Point| [f64::from(p.x), f64::from(p.y)];
    let end = |own: &mut Polygon, made: &mut Vec<Polygon>| {
        if own.len() > 2 {
            made.push(std::mem::take(own));
        } else {
            own.clear();
        }
    };
    for command in path {
        let last = own.last().copied().unwrap_or([0.0; 2]);
        match command {
            Command::MoveTo(p) => {
                end(&mut own, &mut made);
                own.push(of(p));
            }
            Command::LineTo(p) => own.push(of(p)),
            Command::QuadTo(a, p) => {
                let (a, p) = (of(a), of(p));
                let third = |i: usize, x: [f64; 2]| x[i] + (a[i] - x[i]) * 2.0 / 3.0;
                let b = [third(0, last), third(1, last)];
                let c = [third(0, p), third(1, p)];
                curve(&mut own, last, b, c, p);
            }
            Command::CurveTo(a, b, p) => curve(&mut own, last, of(a), of(b), of(p)),
            Command::Close => {
                let first = own.first().copied();
                end(&mut own, &mut made);
                // What follows without a move goes on from the start.
                own.extend(first);
            }
        }
    }
    end(&mut own, &mut made);
    made.retain(|polygon| polygon.iter().flatten().all(|x| x.is_finite()));
    made
}

fn curve(own: &mut Polygon, p: [f64; 2], a: [f64; 2], b: [f64; 2], q: [f64; 2]) {
    let bend = |x: [f64; 2], y: [f64; 2], z: [f64; 2]| {
        (x[0] - 2.0 * y[0] + z[0]).hypot(x[1] - 2.0 * y[1] + z[1])
    };
    let most = bend(p, a, b).max(bend(a, b, q));
    let pieces = (0.75 * most / TOLERANCE).sqrt().ceil().clamp(1.0, MOST_PIECES);
    for i in 1..=pieces as usize {
        let t = i as f64 / pieces;
        let u = 1.0 - t;
        let (w0, w1, w2, w3) = (u * u * u, 3.0 * u * u * t, 3.0 * u * t * t, t * t * t);
        own.push([0, 1].map(|i| w0 * p[i] + w1 * a[i] + w2 * b[i] + w3 * q[i]));
    }
}

/// A rectangle.
pub(super) fn rectangle([left, top, right, bottom]: [f64; 4]) -> Polygon {
    vec![[left, top], [right, top], [right, bottom], [left, bottom]]
}

/// How turned text is seen: about a point, from a distance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct View {
    centre: [f64; 2],
    /// Sine and cosine for x, y, z.
    turns: [[f64; 2]; 3],
    distance: f64,
    plain: bool,
}

impl View {
    /// `angle` in degrees about x, y and z; libass sees the picture from 312.5 of its units.
    pub fn new(angle: [f64; 3], centre: (f64, f64), soft: f64) -> Self {
        let [x, y, z] = angle.map(|a| a.to_radians().sin_cos());
        Self {
            centre: [centre.0, centre.1],
            turns: [[-x.0, x.1], [y.0, y.1], [-z.0, z.1]],
            distance: 312.5 * soft.max(1e-3),
            plain: angle.iter().all(|a| *a == 0.0),
        }
    }

    fn of(&self, p: [f64; 2]) -> [f64; 2] {
        let [[sx, cx], [sy, cy], [sz, cz]] = self.turns;
        let (x, y) = (p[0] - self.centre[0], p[1] - self.centre[1]);
        let (x, y) = (x * cz - y * sz, x * sz + y * cz);
        let (y, z) = (y * cx, y * sx);
        let (x, z) = (x * cy - z * sy, x * sy + z * cy);
        // What is behind the eye, or nearly, is held in front of it.
        let near = self.distance / (z + self.distance).max(self.distance * 0.05);
        [self.centre[0] + x * near, self.centre[1] + y * near]
    }

    /// `polygons` as they are seen.
    pub fn see(&self, polygons: &mut [Polygon]) {
        if !self.plain {
            for point in polygons.iter_mut().flatten() {
                *point = self.of(*point);
            }
        }
    }
}

/// What is left of `polygons` on one side of a line: where coordinate `axis` is below `limit`, or above it.
pub(super) fn half(polygons: &[Polygon], axis: usize, limit: f64, below: bool) -> Vec<Polygon> {
    let inside = |p: &[f64; 2]| if below { p[axis] <= limit } else { p[axis] >= limit };
    let mut made = Vec::with_capacity(polygons.len());
    for polygon in polygons {
        if polygon.iter().all(inside) {
            made.push(polygon.clone());
            continue;
        }
        let mut own: Polygon = Vec::new();
        for (i, p) in polygon.iter().enumerate() {
            let q = &polygon[(i + 1) % polygon.len()];
            let (here, there) = (inside(p), inside(q));
            if here {
                own.push(*p);
            }
            if here != there {
                let t = (limit - p[axis]) / (q[axis] - p[axis]);
                let mut cut = [0, 1].map(|i| p[i] + (q[i] - p[i]) * t);
                cut[axis] = limit;
                own.push(cut);
            }
        }
        if own.len() > 2 {
            made.push(own);
        }
    }
    made
}

/// Coverage of `polygons` within a window (left, top, right, bottom).
pub(super) fn cover(polygons: &[Polygon], window: [f64; 4]) -> Option<Stamp> {
    let [left, top, right, bottom] = window;
    let seen: Vec<Polygon> = polygons
        .iter()
        .filter(|polygon| {
            let any = |f: &dyn Fn(&[f64; 2]) -> bool| polygon.iter().any(f);
            any(&|p| p[0] > left)
                && any(&|p| p[0] < right)
                && any(&|p| p[1] > top)
                && any(&|p| p[1] < bottom)
        })
        .cloned()
        .collect();
    let seen = half(&half(&seen, 0, left, false), 0, right, true);
    let seen = half(&half(&seen, 1, top, false), 1, bottom, true);
    let path = outlined(&seen);
    if path.is_empty() { None } else { stamp(&path, Transform::IDENTITY, None) }
}

/// Closed lines as a path.
pub(super) fn outlined(polygons: &[Polygon]) -> Vec<Command> {
    let mut path = Vec::with_capacity(polygons.iter().map(|p| p.len() + 1).sum());
    for polygon in polygons {
        for (i, [x, y]) in polygon.iter().enumerate() {
            let point: Point = [*x as f32, *y as f32].into();
            path.push(if i == 0 { Command::MoveTo(point) } else { Command::LineTo(point) });
        }
        path.push(Command::Close);
    }
    path
}
