//! Where a line of text is: a rectangle that may be turned.

use serde::Serialize;

/// A turned rectangle around a line of text, in pixels of the picture; it may reach a little beyond
/// its edges.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Quad {
    /// The middle.
    pub centre: [f32; 2],
    /// The direction in which it is read, of length 1 (x to the right, y down).
    pub along: [f32; 2],
    /// Its length along that direction.
    pub length: f32,
    /// Its height across.
    pub height: f32,
}

impl Quad {
    /// The corners, clockwise as they are read from the first letter's top left.
    pub fn corners(&self) -> [[f32; 2]; 4] {
        let [ax, ay] = self.along.map(|v| v * self.length / 2.0);
        let [dx, dy] = self.down().map(|v| v * self.height / 2.0);
        let [x, y] = self.centre;
        [
            [x - ax - dx, y - ay - dy],
            [x + ax - dx, y + ay - dy],
            [x + ax + dx, y + ay + dy],
            [x - ax + dx, y - ay + dy],
        ]
    }

    /// From the top of the letters to their feet.
    pub(super) fn down(&self) -> [f32; 2] {
        [-self.along[1], self.along[0]]
    }

    /// The upright rectangle around it inside a picture of `width` × `height`: left edge, top edge,
    /// width and height as shares of the picture's, 0 to 1.
    pub fn bounds(&self, width: u32, height: u32) -> [f32; 4] {
        let corners = self.corners();
        let share = |axis: usize, of: u32| {
            let values = corners.map(|corner| (corner[axis] / of.max(1) as f32).clamp(0.0, 1.0));
            let low = values.into_iter().fold(1.0, f32::min);
            (low, values.into_iter().fold(0.0, f32::max) - low)
        };
        let ((x, w), (y, h)) = (share(0, width), share(1, height));
        [x, y, w, h]
    }

    /// The same rectangle, read from the other side.
    pub(super) fn turned(&self) -> Self {
        Self { along: self.along.map(|v| -v), ..*self }
    }
}

/// Sorts lines as they are read: rows from the top down, in a row from left to right. Lines are of
/// one row if the middle of one lies within the upper and lower edge of the row's first.
pub(super) fn in_reading_order(quads: &mut [Quad]) {
    quads.sort_by(|a, b| a.centre[1].total_cmp(&b.centre[1]));
    let mut from = 0;
    while from < quads.len() {
        let [_, y] = quads[from].centre;
        let half = quads[from].height * 0.5;
        let row = quads[from..].iter().take_while(|quad| quad.centre[1] <= y + half).count().max(1);
        quads[from..from + row].sort_by(|a, b| a.centre[0].total_cmp(&b.centre[0]));
        from += row;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: f32, y: f32) -> Quad {
        Quad { centre: [x, y], along: [1.0, 0.0], length: 40.0, height: 20.0 }
    }

    #[test]
    fn corners_and_bounds_are_those_of_the_rectangle() {
        let quad = at(50.0, 30.0);
        assert_eq!(quad.corners(), [[30.0, 20.0], [70.0, 20.0], [70.0, 40.0], [30.0, 40.0]]);
        let bounds = quad.bounds(100, 100).map(|share| (share * 1000.0).round());
        assert_eq!(bounds, [300.0, 200.0, 400.0, 200.0]);
        assert_eq!(quad.turned().corners()[0], [70.0, 40.0]);
        let upright = Quad { along: [0.0, 1.0], ..quad };
        // Read downwards: the letters' tops are on the right.
        assert_eq!(upright.corners()[0], [60.0, 10.0]);
        assert_eq!(at(-50.0, 0.0).bounds(100, 100), [0.0, 0.0, 0.0, 0.1]);
    }

    #[test]
    fn rows_are_read_from_the_left() {
        let mut quads = [at(200.0, 52.0), at(50.0, 100.0), at(50.0, 54.0), at(100.0, 10.0)];
        in_reading_order(&mut quads);
        let order: Vec<_> = quads.iter().map(|quad| quad.centre).collect();
        assert_eq!(order, [[100.0, 10.0], [50.0, 54.0], [200.0, 52.0], [50.0, 100.0]]);
    }
}
