//! The drawings of ASS: outlines written as text.

use swash::zeno::Command;

/// Outlines in the drawing's own units, y downward.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Drawing {
    pub path: Vec<Command>,
    /// What its coordinates are multiplied by: `\p2` halves them, `\p3` quarters.
    pub scale: f64,
    /// Left, top, right and bottom of its points.
    pub bounds: [f64; 4],
}

/// No drawing has more points.
pub(super) const MOST_POINTS: usize = 200_000;
/// Coordinates are held within this: far outside of any picture, and exact enough.
const FAR: f64 = 1e6;

/// Reads `m 0 0 l 100 0 b … s … p … c n`; what cannot be read is left out, as renderers do. `None` where
/// there are too many points.
pub(super) fn parse(text: &str, power: u32) -> Option<Drawing> {
    let scale = 0.5f64.powi(power.clamp(1, 30) as i32 - 1);
    let mut pen = Pen {
        path: Vec::new(),
        at: (0.0, 0.0),
        open: false,
        points: 0,
        bounds: [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY],
    };
    let mut verb = ' ';
    let mut numbers: Vec<f64> = Vec::new();
    for word in words(text) {
        match word {
            // Further points of the same spline.
            Word::Verb('p') if verb == 's' => {}
            Word::Verb(next) => {
                pen.end(verb, next == 'c', &mut numbers);
                verb = next;
            }
            Word::Number(number) => {
                numbers.push(number.clamp(-FAR, FAR));
                pen.take(verb, &mut numbers);
            }
        }
        if pen.points > MOST_POINTS || numbers.len() > 2 * MOST_POINTS {
            return None;
        }
    }
    pen.end(verb, false, &mut numbers);
    pen.close();
    let bounds = if pen.bounds[0] > pen.bounds[2] { [0.0; 4] } else { pen.bounds };
    Some(Drawing { path: pen.path, scale, bounds })
}

enum Word {
    Verb(char),
    Number(f64),
}

fn words(text: &str) -> impl Iterator<Item = Word> + '_ {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start();
            let first = rest.chars().next()?;
            let length = rest
                .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+')))
                .unwrap_or(rest.len());
            if length > 0 {
                let (number, after) = rest.split_at(length);
                rest = after;
                // A sign inside ends nothing here; such words are left out.
                if let Ok(number) = number.parse::<f64>() {
                    return Some(Word::Number(number));
                }
            } else {
                rest = &rest[first.len_utf8()..];
                if "mnlbspc".contains(first) {
                    return Some(Word::Verb(first));
                }
            }
        }
    })
}

struct Pen {
    path: Vec<Command>,
    at: (f64, f64),
    open: bool,
    points: usize,
    /// Of everything that was named, moves and the points that splines only tend to as well.
    bounds: [f64; 4],
}

impl Pen {
    fn point((x, y): (f64, f64)) -> swash::zeno::Point {
        [x as f32, y as f32].into()
    }

    fn see(&mut self, points: &[(f64, f64)]) {
        let [left, top, right, bottom] = &mut self.bounds;
        for (x, y) in points {
            (*left, *right) = (left.min(*x), right.max(*x));
            (*top, *bottom) = (top.min(*y), bottom.max(*y));
        }
    }

    fn close(&mut self) {
        if std::mem::take(&mut self.open) {
            self.path.push(Command::Close);
        }
    }

    fn start(&mut self) {
        if !self.open {
            self.path.push(Command::MoveTo(Self::point(self.at)));
            self.open = true;
        }
    }

    fn curve(&mut self, a: (f64, f64), b: (f64, f64), to: (f64, f64)) {
        self.start();
        self.points += 3;
        self.path.push(Command::CurveTo(Self::point(a), Self::point(b), Self::point(to)));
        self.at = to;
    }

    /// Uses up numbers as soon as there are enough of them for `verb`.
    fn take(&mut self, verb: char, numbers: &mut Vec<f64>) {
        match (verb, numbers.len()) {
            ('m' | 'n', 2) => {
                if verb == 'm' {
                    self.close();
                }
                self.at = (numbers[0], numbers[1]);
                self.see(&[self.at]);
                // `n` moves and leaves the figure as it is, which a renderer of areas closes as well.
                if verb == 'n' {
                    self.close();
                }
                self.points += 1;
                numbers.clear();
            }
            ('l', 2) => {
                self.start();
                self.at = (numbers[0], numbers[1]);
                self.see(&[self.at]);
                self.path.push(Command::LineTo(Self::point(self.at)));
                self.points += 1;
                numbers.clear();
            }
            ('b', 6) => {
                let n = numbers.as_slice();
                let (a, b, to) = ((n[0], n[1]), (n[2], n[3]), (n[4], n[5]));
                self.see(&[a, b, to]);
                self.curve(a, b, to);
                numbers.clear();
            }
            (' ' | 'c', _) => numbers.clear(),
            _ => {}
        }
    }

    /// What `verb` needed all numbers for: a B-spline from where the pen is, which `c` makes go round by
    /// taking its first three points again.
    fn end(&mut self, verb: char, closed: bool, numbers: &mut Vec<f64>) {
        if matches!(verb, 's' | 'p') && numbers.len() >= 6 {
            let mut points = vec![self.at];
            points.extend(numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])));
            self.see(&points);
            if closed {
                points.extend_from_within(..3);
            }
            // Uniform cubic B-spline pieces as Bézier curves.
            for p in points.windows(4) {
                let mix = |a: usize, b: usize, t: f64| {
                    (p[a].0 + (p[b].0 - p[a].0) * t, p[a].1 + (p[b].1 - p[a].1) * t)
                };
                let middle = |a: (f64, f64), b: (f64, f64)| ((a.0 + b.0) / 2.0, (a.1 + b.1) / 2.0);
                let (first, second) = (mix(1, 2, 1.0 / 3.0), mix(1, 2, 2.0 / 3.0));
                let from = middle(mix(0, 1, 2.0 / 3.0), first);
                let to = middle(second, mix(2, 3, 1.0 / 3.0));
                if !self.open {
                    self.at = from;
                }
                self.curve(first, second, to);
            }
        }
        numbers.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Command::{Close, CurveTo, LineTo, MoveTo};

    fn p(x: f32, y: f32) -> swash::zeno::Point {
        [x, y].into()
    }

    #[test]
    fn lines_and_curves() {
        let drawing = parse("m 0 0 l 10 0 10 5 b 10 6 9 7 0 7 m 20 20 l 30-1", 2).unwrap();
        assert_eq!(drawing.scale, 0.5);
        assert_eq!(
            drawing.path,
            [
                MoveTo(p(0.0, 0.0)),
                LineTo(p(10.0, 0.0)),
                LineTo(p(10.0, 5.0)),
                CurveTo(p(10.0, 6.0), p(9.0, 7.0), p(0.0, 7.0)),
                Close,
            ]
        );
        // Moves count for the size, as in libass.
        assert_eq!(drawing.bounds, [0.0, 0.0, 20.0, 20.0]);
    }

    #[test]
    fn splines_stay_within_their_points() {
        let drawing = parse("m 0 0 s 0 30 30 30 30 0 0 0 c", 1).unwrap();
        assert!(drawing.path.iter().any(|c| matches!(c, CurveTo(..))));
        let [left, top, right, bottom] = drawing.bounds;
        assert!(left >= 0.0 && top >= 0.0 && right <= 30.0 && bottom <= 30.0);
    }

    #[test]
    fn what_is_too_much_is_refused() {
        assert!(parse(&"m 0 0 l 1 1 ".repeat(MOST_POINTS), 1).is_none());
        assert!(parse(&format!("m 0 0 s {}", "1 1 ".repeat(2 * MOST_POINTS)), 1).is_none());
        let far = parse("m 0 0 l 1e9 99999999999 -99999999999 0 l", 1).unwrap();
        assert!(far.bounds.iter().all(|b| b.abs() <= FAR));
    }
}
