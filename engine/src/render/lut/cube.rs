//! Reading and applying `.cube` tables.

use super::tetrahedral;
use crate::error::{Error, ErrorKind, Result, Stage};

/// The largest tables that are read: the specification's own limits.
const LARGEST_1D: usize = 65_536;
const LARGEST_3D: usize = 256;

/// A curve for each channel.
#[derive(Clone, Debug, PartialEq)]
struct Curves {
    points: Vec<[f32; 3]>,
    low: [f32; 3],
    high: [f32; 3],
}

/// A cube, red fastest.
#[derive(Clone, Debug, PartialEq)]
struct Cube {
    points: Vec<[f32; 3]>,
    side: usize,
    low: [f32; 3],
    high: [f32; 3],
}

/// A colour table: a curve, a cube, or a curve before a cube. Works on R′G′B′, nominally 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct CubeLut {
    curves: Option<Curves>,
    cube: Option<Cube>,
}

fn refuse(line: usize, what: &str) -> Error {
    let what = format!("line {line} of the colour table: {what}");
    Error::new(ErrorKind::Input, Stage::Render, what)
}

fn numbers<const N: usize>(text: &str, line: usize) -> Result<[f32; N]> {
    let mut out = [0.0; N];
    let mut words = text.split_whitespace();
    for to in &mut out {
        let word = words.next().and_then(|w| w.parse::<f32>().ok()).filter(|v| v.is_finite());
        *to = word.ok_or_else(|| refuse(line, &format!("{N} numbers were expected")))?;
    }
    match words.next() {
        None => Ok(out),
        Some(_) => Err(refuse(line, &format!("more than {N} numbers"))),
    }
}

impl CubeLut {
    /// Reads the text of a `.cube` file.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] with the line for what the format does not allow, for tables larger than
    /// it allows, and for tables that are cut off.
    pub fn parse(text: &str) -> Result<Self> {
        let mut sizes = [None::<usize>; 2];
        // Domains of the curve and the cube; Adobe's keyword means the one there is.
        let mut domains = [([0.0f32; 3], [1.0f32; 3]); 2];
        let mut points: Vec<[f32; 3]> = Vec::new();
        for (n, line) in text.lines().enumerate() {
            let (n, line) = (n + 1, line.trim().trim_start_matches('\u{feff}'));
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            match key {
                "TITLE" => {}
                "LUT_1D_SIZE" | "LUT_3D_SIZE" => {
                    let which = usize::from(key == "LUT_3D_SIZE");
                    let most = [LARGEST_1D, LARGEST_3D][which];
                    let size = rest.trim().parse().ok().filter(|s| (2..=most).contains(s));
                    let size = size.ok_or_else(|| refuse(n, &format!("size not in 2..={most}")))?;
                    if sizes[which].replace(size).is_some() {
                        return Err(refuse(n, "a second size"));
                    }
                }
                "DOMAIN_MIN" => domains.iter_mut().try_for_each(|d| {
                    d.0 = numbers(rest, n)?;
                    Ok::<_, Error>(())
                })?,
                "DOMAIN_MAX" => domains.iter_mut().try_for_each(|d| {
                    d.1 = numbers(rest, n)?;
                    Ok::<_, Error>(())
                })?,
                "LUT_1D_INPUT_RANGE" | "LUT_3D_INPUT_RANGE" => {
                    let [low, high] = numbers(rest, n)?;
                    domains[usize::from(key == "LUT_3D_INPUT_RANGE")] = ([low; 3], [high; 3]);
                }
                _ if key.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => {
                    let most = wanted(sizes);
                    if points.len() >= most {
                        return Err(refuse(n, &format!("more than {most} colours")));
                    }
                    points.push(numbers(line, n)?);
                }
                _ => return Err(refuse(n, "not a keyword of the format")),
            }
        }
        if sizes == [None, None] {
            return Err(refuse(1, "no LUT_1D_SIZE and no LUT_3D_SIZE"));
        }
        if points.len() != wanted(sizes) {
            let what = format!("{} colours of {}", points.len(), wanted(sizes));
            return Err(refuse(text.lines().count(), &what));
        }
        if domains.iter().any(|(low, high)| low.iter().zip(high).any(|(l, h)| l >= h)) {
            return Err(refuse(1, "an empty domain"));
        }
        let cube = sizes[1].map(|side| Cube {
            points: points.split_off(sizes[0].unwrap_or(0)),
            side,
            low: domains[1].0,
            high: domains[1].1,
        });
        let curves = sizes[0].map(|_| Curves { points, low: domains[0].0, high: domains[0].1 });
        Ok(Self { curves, cube })
    }

    /// The curve and the cube as the kernels read them: the domain's low and high ends, then the
    /// points; with how many points there are on a side.
    #[cfg(any(test, feature = "cuda-kernels"))]
    pub(crate) fn device_tables(&self) -> [Option<(Vec<f32>, usize)>; 2] {
        let table = |points: &[[f32; 3]], low: [f32; 3], high: [f32; 3], side: usize| {
            ([&low[..], &high[..], points.as_flattened()].concat(), side)
        };
        [
            self.curves.as_ref().map(|c| table(&c.points, c.low, c.high, c.points.len())),
            self.cube.as_ref().map(|c| table(&c.points, c.low, c.high, c.side)),
        ]
    }

    /// The colour for a colour. What lies outside the table's domain is taken at its edge.
    #[inline]
    pub fn at(&self, rgb: [f32; 3]) -> [f32; 3] {
        let rgb = match &self.curves {
            None => rgb,
            Some(curves) => {
                let last = curves.points.len() - 1;
                [0, 1, 2].map(|i| {
                    let place = placed(rgb[i], curves.low[i], curves.high[i], last);
                    let cell = (place as usize).min(last - 1);
                    let (a, b) = (curves.points[cell][i], curves.points[cell + 1][i]);
                    a + (b - a) * (place - cell as f32)
                })
            }
        };
        match &self.cube {
            None => rgb,
            Some(cube) => {
                let last = cube.side - 1;
                // Blue is slowest in the file.
                let place = [2, 1, 0].map(|i| placed(rgb[i], cube.low[i], cube.high[i], last));
                let cell = place.map(|v| (v as usize).min(last - 1));
                let part = [0, 1, 2].map(|i| place[i] - cell[i] as f32);
                tetrahedral(&cube.points, cube.side, cell, part)
            }
        }
    }
}

/// Colours that tables of these sizes hold.
fn wanted(sizes: [Option<usize>; 2]) -> usize {
    sizes[0].unwrap_or(0) + sizes[1].map_or(0, |side| side * side * side)
}

#[inline]
fn placed(value: f32, low: f32, high: f32, last: usize) -> f32 {
    // A maximum first, so that what is not a number lies at the lower end.
    let place = ((value - low) / (high - low)).max(0.0);
    if place < 1.0 { place * last as f32 } else { last as f32 }
}
