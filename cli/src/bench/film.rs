//! The film that suites work on: made here, the same on every machine, with cuts where they are known.

use rushes::media::{
    FilmCodec, FilmColour, FilmEncoder, FilmEncoding, FilmFormat, FilmTrack, FilmWriter, PlanarRef,
    Quality,
};
use rushes::time::TimeBase;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Frames a second.
pub const RATE: u32 = 25;

/// What it is like.
#[derive(Clone, Copy, Debug)]
pub struct Film {
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// How long.
    pub seconds: u32,
}

impl Film {
    /// The one that is measured: 1080p.
    pub fn of(quick: bool) -> Self {
        Self { width: 1920, height: 1080, seconds: if quick { 10 } else { 40 } }
    }

    /// Its frames.
    pub fn frames(self) -> u32 {
        self.seconds * RATE
    }

    /// The frames with which shots begin, the first one left out: at prime distances about 4 s, so that
    /// they fall on keyframes seldom.
    pub fn cuts(self) -> Vec<u32> {
        (1..).map(|n| n * 97).take_while(|cut| *cut < self.frames()).collect()
    }

    /// Its luma, Cb and Cr at frame `n`: soft shapes that move, with a grain like a camera's, so that a
    /// codec finds neither nothing nor noise alone.
    pub fn draw(self, n: u32) -> [Vec<u8>; 3] {
        let (w, h) = (self.width as usize, self.height as usize);
        let shot = n / 97;
        let at = f64::from(n % 97);
        let wave = |x: f64| ((x.sin() + 1.0) * 0.5) as f32;
        let speed = 0.02 + f64::from(shot % 3) * 0.01;
        let (fx, fy) = (0.004 + f64::from(shot % 5) * 0.002, 0.006 + f64::from(shot % 7) * 0.001);
        let across: Vec<f32> = (0..w).map(|x| wave(x as f64 * fx + at * speed)).collect();
        let down: Vec<f32> = (0..h).map(|y| wave(y as f64 * fy - at * speed * 0.7)).collect();
        let base = 40.0 + 90.0 * wave(f64::from(shot) * 2.4);
        let mut grain = 0x9e37_79b9_u32 ^ n.wrapping_mul(0x85eb_ca6b);
        let mut luma = Vec::with_capacity(w * h);
        for row in &down {
            for column in &across {
                // xorshift32 (Marsaglia, 2003).
                grain ^= grain << 13;
                grain ^= grain >> 17;
                grain ^= grain << 5;
                let value = base + 70.0 * row * column + 30.0 * (row - column).abs();
                luma.push((value + (grain >> 30) as f32) as u8);
            }
        }
        let tint = |phase: f64| {
            let middle = 128.0 + 40.0 * (wave(f64::from(shot) * 1.7 + phase) - 0.5);
            let rows = down.iter().step_by(2);
            rows.flat_map(|row| {
                across.iter().step_by(2).map(move |column| (middle + 12.0 * row * column) as u8)
            })
            .collect()
        };
        [luma, tint(0.0), tint(2.0)]
    }

    /// How it is encoded.
    pub fn encoding(self) -> FilmEncoding {
        FilmEncoding {
            codec: FilmCodec::H264,
            width: self.width,
            height: self.height,
            base: TimeBase::per_second(RATE),
            rate: (RATE, 1),
            quality: Quality::Crf(23.0),
            preset: Some("veryfast".into()),
            gop: Some(2 * RATE),
            depth: 8,
            colour: FilmColour::Bt709,
            fit: None,
            limit: None,
            pass: None,
        }
    }

    /// Writes it into `folder`.
    pub fn write(self, folder: &Path) -> anyhow::Result<PathBuf> {
        let path = folder.join("bench.mp4");
        let encoding = self.encoding();
        let mut encoder = FilmEncoder::open(&encoding)?;
        let track = FilmTrack {
            header: encoder.header().clone(),
            base: encoding.base,
            rate: encoding.rate,
            colour: encoding.colour,
            reorder: 4,
            pictures: u64::from(self.frames()),
        };
        let mut writer = FilmWriter::create(File::create(&path)?, FilmFormat::Mp4, &track, None)?;
        // Drawing is plain code, a frame by itself: a batch at a time, on all processors.
        let lanes = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
        for first in (0..self.frames()).step_by(lanes as usize) {
            let batch = first..(first + lanes).min(self.frames());
            let drawn = std::thread::scope(|scope| {
                let hands: Vec<_> =
                    batch.clone().map(|n| scope.spawn(move || self.draw(n))).collect();
                hands.into_iter().map(|hand| hand.join()).collect::<Result<Vec<_>, _>>()
            });
            let drawn = drawn.map_err(|_| anyhow::anyhow!("a picture could not be drawn"))?;
            for (n, [y, u, v]) in batch.zip(&drawn) {
                encoder.push(PlanarRef::Eight([y, u, v]), i64::from(n), &mut |packet| {
                    writer.picture(packet, 1)
                })?;
            }
        }
        encoder.finish(&mut |packet| writer.picture(packet, 1))?;
        writer.finish()?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_a_shot_are_alike_and_shots_are_not() {
        let film = Film { width: 64, height: 36, seconds: 8 };
        assert_eq!(film.cuts(), [97, 194]);
        let mean = |n: u32| {
            let [luma, ..] = film.draw(n);
            luma.iter().map(|v| f64::from(*v)).sum::<f64>() / luma.len() as f64
        };
        assert!((mean(95) - mean(96)).abs() < 2.0, "{} {}", mean(95), mean(96));
        assert!((mean(96) - mean(97)).abs() > 8.0, "{} {}", mean(96), mean(97));
        assert_eq!(film.draw(5), film.draw(5));
    }
}
