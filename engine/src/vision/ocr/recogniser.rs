//! Reads lines of text.

use super::crop::HEIGHT;
use crate::control::Cancel;
use crate::error::{Result, Stage};
use crate::onnx::runtime::{OnnxRuntime, misfit, run_failed};
use image::RgbImage;
use ort::session::Session;
use ort::value::TensorRef;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Columns of pixels that are read at a time, those that fill up shorter lines included: the
/// network gives 18710 probabilities for every eighth column.
const COLUMNS: usize = 4096;
/// Shorter lines are filled up to this, as those that the network learned from.
const SHORTEST: usize = 320;

/// What a line says, and the mean probability of its characters (0 without any).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Read {
    pub text: String,
    pub probability: f32,
}

impl Read {
    /// How many characters it has that are not spaces; those of East Asia are as wide as two.
    pub(super) fn characters(&self) -> f32 {
        let wide = |c: char| if c >= '\u{2e80}' { 2.0 } else { 1.0 };
        self.text.chars().filter(|c| !c.is_whitespace()).map(wide).sum()
    }
}

/// See the module.
pub(super) struct Recogniser {
    session: Session,
    model: PathBuf,
    /// By class; the first is that of nothing.
    characters: Vec<String>,
}

impl Recogniser {
    pub(super) fn open(runtime: &OnnxRuntime, model: &Path, threads: NonZeroUsize) -> Result<Self> {
        let session = runtime.session(model, threads)?;
        let known = session.metadata().ok().and_then(|data| data.custom("character"));
        let Some(known) = known.filter(|_| session.outputs().len() == 1) else {
            return Err(misfit("PP-OCR's text recogniser", model));
        };
        let mut characters = vec![String::new()];
        characters.extend(known.split('\n').map(str::to_owned));
        characters.push(" ".to_owned());
        Ok(Self { session, model: model.to_path_buf(), characters })
    }

    /// Reads `lines`, all of them 48 pixels high.
    pub(super) fn read(&mut self, lines: &[RgbImage], cancel: &Cancel) -> Result<Vec<Read>> {
        let mut order: Vec<usize> = (0..lines.len()).collect();
        order.sort_by_key(|i| lines[*i].width());
        let mut reads = vec![Read { text: String::new(), probability: 0.0 }; lines.len()];
        let mut rest = order.as_slice();
        while !rest.is_empty() {
            cancel.check(Stage::Ocr)?;
            let width = |i: usize| (lines[i].width() as usize).max(SHORTEST);
            // Widths grow, so the last line's is the batch's.
            let fits = |n: &usize| n * rest.get(n - 1).map_or(usize::MAX, |i| width(*i)) <= COLUMNS;
            let count = (2..=rest.len()).take_while(fits).last().unwrap_or(1);
            let (batch, later) = rest.split_at(count);
            let pictures: Vec<&RgbImage> = batch.iter().map(|i| &lines[*i]).collect();
            let wide = batch.iter().map(|i| width(*i)).max().unwrap_or(SHORTEST);
            for (i, read) in batch.iter().zip(self.run(&pictures, wide)?) {
                reads[*i] = read;
            }
            rest = later;
        }
        Ok(reads)
    }

    fn run(&mut self, pictures: &[&RgbImage], width: usize) -> Result<Vec<Read>> {
        let (count, height) = (pictures.len(), HEIGHT as usize);
        // What fills up is grey.
        let mut input = vec![0.0_f32; count * 3 * height * width];
        for (picture, planes) in pictures.iter().zip(input.chunks_exact_mut(3 * height * width)) {
            for (x, y, pixel) in picture.enumerate_pixels() {
                for (plane, c) in [2, 1, 0].into_iter().enumerate() {
                    let at = (plane * height + y as usize) * width + x as usize;
                    if let Some(value) = planes.get_mut(at) {
                        *value = f32::from(pixel.0[c]) / 127.5 - 1.0;
                    }
                }
            }
        }
        let failed = |error: ort::Error| run_failed(&error, &self.model);
        let shape = [count, 3, height, width];
        let input = TensorRef::from_array_view((shape, input.as_slice())).map_err(failed)?;
        let outputs = self.session.run(ort::inputs![input]).map_err(failed)?;
        let (shape, values) = outputs[0].try_extract_tensor::<f32>().map_err(failed)?;
        let classes = self.characters.len();
        let fits = matches!(shape[..], [n, _, c] if n == count as i64 && c == classes as i64);
        if !fits || values.is_empty() {
            return Err(misfit("PP-OCR's text recogniser", &self.model));
        }
        let lines = values.chunks_exact(values.len() / count);
        Ok(lines.map(|steps| decode(steps, &self.characters)).collect())
    }
}

/// The likeliest class of each step, repetitions and nothing left out (greedy decoding).
fn decode(steps: &[f32], characters: &[String]) -> Read {
    let (mut text, mut sum, mut count, mut before) = (String::new(), 0.0, 0_u32, 0);
    for step in steps.chunks_exact(characters.len().max(1)) {
        let best = |a: (usize, f32), b: (usize, &f32)| if *b.1 > a.1 { (b.0, *b.1) } else { a };
        let (class, probability) = step.iter().enumerate().fold((0, f32::MIN), best);
        if class != before && class != 0 {
            text.push_str(&characters[class]);
            sum += probability;
            count += 1;
        }
        before = class;
    }
    Read { text, probability: sum / count.max(1) as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_and_nothing_are_left_out() {
        let characters: Vec<String> = ["", "a", "b"].map(str::to_owned).to_vec();
        let step = |class: usize, probability: f32| {
            let mut step = [0.0; 3];
            step[class] = probability;
            step
        };
        let steps: Vec<f32> =
            [(1, 0.9), (1, 0.5), (0, 1.0), (1, 0.7), (2, 0.8), (0, 1.0), (2, 0.6)]
                .into_iter()
                .flat_map(|(class, probability)| step(class, probability))
                .collect();
        let read = decode(&steps, &characters);
        assert_eq!(read.text, "aabb");
        assert!((read.probability - 0.75).abs() < 1e-6);
        let nothing = decode(&step(0, 1.0), &characters);
        assert_eq!(nothing, Read { text: String::new(), probability: 0.0 });
        assert_eq!(decode(&[f32::NAN; 3], &characters).text, "");
        let mixed = Read { text: "a b 年".to_owned(), probability: 1.0 };
        assert_eq!(mixed.characters(), 4.0);
    }
}
