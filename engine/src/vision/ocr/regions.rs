//! From the probability of text at each pixel to rectangles around lines.

use super::quad::Quad;

/// A pixel is text from this probability on.
const TEXT: f32 = 0.3;
/// A region's mean probability is at least this.
const REGION: f32 = 0.5;
/// What the network marks is the core of a line. Area times this over perimeter is how far it is
/// from the core to the line's edge (as the network was trained, on shrunk regions).
const GROW: f32 = 1.6;
/// Cores thinner than this are noise, in pixels of the map.
const THINNEST: f32 = 3.0;
/// No picture has more lines than this.
const MOST: usize = 1000;

/// The probability that each pixel is text, row by row.
pub(super) struct Map<'a> {
    pub width: usize,
    pub height: usize,
    pub values: &'a [f32],
}

/// The lines in `map`, in its pixels: at most 1000, in no order.
pub(super) fn regions(map: &Map<'_>) -> Vec<Quad> {
    let mut found = Vec::new();
    for points in components(map) {
        let Some(core) = smallest_rectangle(&hull(points)) else { continue };
        if core.length.min(core.height) < THINNEST || mean_inside(map, &core) < REGION {
            continue;
        }
        let perimeter = 2.0 * (core.length + core.height);
        let grow = 2.0 * core.length * core.height * GROW / perimeter;
        found.push(Quad { length: core.length + grow, height: core.height + grow, ..core });
        if found.len() == MOST {
            break;
        }
    }
    found
}

/// For each patch of text pixels that touch (corners too), the leftmost and rightmost of each of
/// its rows: enough for its hull. Pixels are widened by one to the right and below, so that a line
/// that is broken by a pixel stays whole.
fn components(map: &Map<'_>) -> Vec<Vec<[f32; 2]>> {
    let (width, height) = (map.width, map.height);
    let text = |x: usize, y: usize| map.values.get(y * width + x).is_some_and(|v| *v > TEXT);
    let mut unseen: Vec<bool> = (0..width * height)
        .map(|i| {
            let (x, y) = (i % width, i / width);
            text(x, y)
                || (x > 0 && text(x - 1, y))
                || (y > 0 && (text(x, y - 1) || (x > 0 && text(x - 1, y - 1))))
        })
        .collect();
    let mut all = Vec::new();
    let mut waiting = Vec::new();
    for start in 0..unseen.len() {
        if !std::mem::take(&mut unseen[start]) {
            continue;
        }
        let mut rows: std::collections::BTreeMap<usize, (usize, usize)> = Default::default();
        waiting.push(start);
        while let Some(i) = waiting.pop() {
            let (x, y) = (i % width, i / width);
            let row = rows.entry(y).or_insert((x, x));
            *row = (row.0.min(x), row.1.max(x));
            for ny in y.saturating_sub(1)..(y + 2).min(height) {
                for nx in x.saturating_sub(1)..(x + 2).min(width) {
                    if std::mem::take(&mut unseen[ny * width + nx]) {
                        waiting.push(ny * width + nx);
                    }
                }
            }
        }
        let ends = rows
            .iter()
            .flat_map(|(y, (from, to))| [[*from as f32, *y as f32], [*to as f32, *y as f32]]);
        all.push(ends.collect());
    }
    all
}

fn cross(o: [f32; 2], a: [f32; 2], b: [f32; 2]) -> f32 {
    (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0])
}

/// The convex hull (Andrew's monotone chain, 1979), without repetition.
fn hull(mut points: Vec<[f32; 2]>) -> Vec<[f32; 2]> {
    points.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
    points.dedup();
    if points.len() < 3 {
        return points;
    }
    let mut hull: Vec<[f32; 2]> = Vec::new();
    let back: Vec<[f32; 2]> = points.iter().rev().copied().collect();
    for side in [points, back] {
        let from = hull.len();
        for point in side {
            while hull.len() >= from + 2
                && cross(hull[hull.len() - 2], hull[hull.len() - 1], point) <= 0.0
            {
                hull.pop();
            }
            hull.push(point);
        }
        hull.pop();
    }
    hull
}

/// The smallest rectangle around a convex polygon: one of its sides lies on one of the polygon's
/// (Freeman and Shapira 1975). Read along what is nearer to horizontal; downwards if it is half as
/// tall again as it is wide.
fn smallest_rectangle(hull: &[[f32; 2]]) -> Option<Quad> {
    let mut best: Option<(f32, Quad)> = None;
    for (i, from) in hull.iter().enumerate() {
        let to = hull[(i + 1) % hull.len()];
        let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
        let length = dx.hypot(dy);
        if length == 0.0 {
            continue;
        }
        let along = [dx / length, dy / length];
        let across = [-along[1], along[0]];
        let extent = |axis: [f32; 2]| {
            let at = hull.iter().map(|p| p[0] * axis[0] + p[1] * axis[1]);
            at.fold((f32::MAX, f32::MIN), |(low, high), v| (low.min(v), high.max(v)))
        };
        let ((a0, a1), (c0, c1)) = (extent(along), extent(across));
        let area = (a1 - a0) * (c1 - c0);
        if best.is_some_and(|(smallest, _)| smallest <= area) {
            continue;
        }
        let (a, c) = ((a0 + a1) / 2.0, (c0 + c1) / 2.0);
        let centre = [a * along[0] + c * across[0], a * along[1] + c * across[1]];
        best = Some((area, Quad { centre, along, length: a1 - a0, height: c1 - c0 }));
    }
    best.map(|(_, quad)| readable(quad))
}

/// The same rectangle with the side as its direction along which it is read.
fn readable(mut quad: Quad) -> Quad {
    let quarter =
        |quad: Quad| Quad { along: quad.down(), length: quad.height, height: quad.length, ..quad };
    while quad.along[0] < quad.along[1].abs() - 1e-6 {
        quad = quarter(quad);
    }
    if quad.height >= 1.5 * quad.length { quarter(quad) } else { quad }
}

/// Mean of the map's values inside a rectangle.
fn mean_inside(map: &Map<'_>, quad: &Quad) -> f32 {
    let corners = quad.corners();
    let range = |axis: usize, size: usize| {
        let values = corners.map(|corner| corner[axis]);
        let low = values.into_iter().fold(f32::MAX, f32::min).floor().max(0.0) as usize;
        let high = values.into_iter().fold(0.0, f32::max).ceil() as usize;
        low..(high + 1).min(size)
    };
    let (mut sum, mut count) = (0.0, 0_u32);
    for y in range(1, map.height) {
        for x in range(0, map.width) {
            let (dx, dy) = (x as f32 - quad.centre[0], y as f32 - quad.centre[1]);
            let [ax, ay] = quad.along;
            let inside = (dx * ax + dy * ay).abs() <= quad.length / 2.0 + 0.5
                && (dy * ax - dx * ay).abs() <= quad.height / 2.0 + 0.5;
            if inside {
                sum += map.values.get(y * map.width + x).copied().unwrap_or(0.0);
                count += 1;
            }
        }
    }
    sum / count.max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A map with text wherever `is` says so.
    fn map(width: usize, height: usize, is: impl Fn(f32, f32) -> bool) -> Vec<f32> {
        let at = |i: usize| is((i % width) as f32, (i / width) as f32);
        (0..width * height).map(|i| if at(i) { 0.9 } else { 0.0 }).collect()
    }

    fn found(width: usize, height: usize, is: impl Fn(f32, f32) -> bool) -> Vec<Quad> {
        regions(&Map { width, height, values: &map(width, height, is) })
    }

    #[test]
    fn an_upright_line_is_found_and_grown() {
        // 60 × 10 pixels; one more of each by widening.
        let quads = found(100, 50, |x, y| (20.0..80.0).contains(&x) && (20.0..30.0).contains(&y));
        let [quad] = quads[..] else { panic!("{quads:?}") };
        let grow = 2.0 * 60.0 * 10.0 * GROW / 140.0;
        assert_eq!((quad.centre, quad.along), ([50.0, 25.0], [1.0, 0.0]));
        assert!((quad.length - 60.0 - grow).abs() < 1e-3, "{quad:?}");
        assert!((quad.height - 10.0 - grow).abs() < 1e-3, "{quad:?}");
    }

    #[test]
    fn turned_lines_keep_their_angle() {
        for degrees in [-80.0_f32, -40.0, -12.0, 5.0, 30.0, 44.0, 70.0] {
            let (sin, cos) = degrees.to_radians().sin_cos();
            let quads = found(200, 200, |x, y| {
                let (x, y) = (x - 100.0, y - 100.0);
                (x * cos + y * sin).abs() < 60.0 && (y * cos - x * sin).abs() < 6.0
            });
            let [quad] = quads[..] else { panic!("{degrees}: {quads:?}") };
            let angle = quad.along[1].atan2(quad.along[0]).to_degrees();
            // A tall line is read downwards.
            let expected = if degrees < -45.0 { degrees + 180.0 } else { degrees };
            assert!((angle - expected).abs() < 2.0, "{degrees}: {angle}");
            assert!((quad.length / quad.height - 120.0 / 12.0).abs() < 6.0, "{quad:?}");
        }
    }

    #[test]
    fn noise_and_what_is_hardly_text_is_left_out() {
        assert!(found(50, 50, |x, y| x == 25.0 && y == 25.0).is_empty());
        assert!(found(50, 50, |_, _| false).is_empty());
        let faint = vec![0.4; 2500];
        assert!(regions(&Map { width: 50, height: 50, values: &faint }).is_empty());
        assert!(regions(&Map { width: 0, height: 0, values: &[] }).is_empty());
        let apart = found(90, 30, |x, y| (10.0..20.0).contains(&y) && !(40.0..50.0).contains(&x));
        assert_eq!(apart.len(), 2);
    }

    proptest! {
        #[test]
        fn no_map_breaks_it(
            width in 1_usize..40,
            values in proptest::collection::vec(
                prop_oneof![0.0_f32..1.0, Just(f32::NAN), Just(f32::INFINITY)], 0..900)
        ) {
            let height = values.len() / width;
            for quad in regions(&Map { width, height, values: &values }) {
                prop_assert!(quad.length >= THINNEST && quad.height >= THINNEST);
                prop_assert!((quad.along[0].hypot(quad.along[1]) - 1.0).abs() < 1e-3);
            }
        }

        #[test]
        fn the_rectangle_holds_every_point(
            points in proptest::collection::vec((0_u8..200, 0_u8..200), 3..40)
        ) {
            let points: Vec<[f32; 2]> =
                points.into_iter().map(|(x, y)| [f32::from(x), f32::from(y)]).collect();
            if let Some(quad) = smallest_rectangle(&hull(points.clone())) {
                for point in points {
                    let (dx, dy) = (point[0] - quad.centre[0], point[1] - quad.centre[1]);
                    let [ax, ay] = quad.along;
                    prop_assert!((dx * ax + dy * ay).abs() <= quad.length / 2.0 + 1e-2);
                    prop_assert!((dy * ax - dx * ay).abs() <= quad.height / 2.0 + 1e-2);
                }
            }
        }
    }
}
