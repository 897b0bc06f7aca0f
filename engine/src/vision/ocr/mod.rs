//! Text in pictures: lines are found, cut out, and read.
//!
//! ```text
//! picture ─► Detector ─► probability of text ─► regions ─► crops, 48 high ─► Recogniser ─► lines
//!            (PP-OCR)    at each pixel          turned      upright           (CTC, batches)
//!                                               rectangles
//! ```
//!
//! Both networks are PP-OCR's, run by ONNX Runtime: detection by differentiable binarisation (Liao
//! et al. 2020, "Real-time Scene Text Detection with Differentiable Binarization"), recognition by
//! connectionist temporal classification (Graves et al. 2006).

mod crop;
mod detector;
mod quad;
mod recogniser;
mod regions;

pub use quad::Quad;

use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::onnx::OnnxRuntime;
use crate::onnx::owner::Owner;
use crop::cut;
use detector::Detector;
use image::RgbImage;
use recogniser::{Read, Recogniser};
use serde::Serialize;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// A line read with less certainty than this is no text, or none that can be read.
const LEAST_PROBABILITY: f32 = 0.5;

/// A line read with less certainty than this is read upside down as well, and so is one of fewer
/// characters than this for each time its height: upside down, letters that look the same are read
/// with certainty and others not at all.
const DOUBTFUL: f32 = 0.7;
const SPARSE: f32 = 1.8;

/// Lines that are held cut out.
const CROPS: usize = 64;

/// A line of text in a picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TextLine {
    /// What it says.
    pub text: String,
    /// Mean probability of its characters, 0.5 to 1.
    pub probability: f32,
    /// Where it is.
    pub quad: Quad,
}

/// A model's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OcrFile {
    /// The model's name in reports.
    pub name: String,
    /// What tells it from any other, such as its sha256.
    pub digest: String,
    /// The ONNX file.
    pub path: PathBuf,
}

/// The files that reading needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OcrModels {
    /// The library of ONNX Runtime.
    pub runtime: PathBuf,
    /// Finds lines, e.g. `pp-ocr-det`.
    pub detector: OcrFile,
    /// Reads a line, e.g. `pp-ocr-rec`; its characters are in the graph's metadata.
    pub recogniser: OcrFile,
}

/// Reads text for any number of jobs. The networks are loaded when the first picture comes, and
/// live in one thread.
#[derive(Debug)]
pub struct Ocr {
    models: OcrModels,
    threads: NonZeroUsize,
    nets: Mutex<Option<Arc<Owner<Nets>>>>,
}

struct Nets {
    detector: Detector,
    recogniser: Recogniser,
}

impl Ocr {
    /// A reader with `models`, run by `threads` threads. Nothing is loaded yet.
    pub fn new(models: OcrModels, threads: NonZeroUsize) -> Self {
        Self { models, threads, nets: Mutex::default() }
    }

    /// The files in use.
    pub fn models(&self) -> &OcrModels {
        &self.models
    }

    /// The lines in `picture`, from the top down and from left to right; those that cannot be read
    /// are left out. A picture of more than 2 megapixels is looked at shrunk, but read as it is.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] where a model is missing, damaged or another one;
    /// [`ErrorKind::Cancelled`].
    pub fn read(&self, picture: RgbImage, cancel: &Cancel) -> Result<Vec<TextLine>> {
        cancel.check(Stage::Ocr)?;
        let cancel = cancel.clone();
        self.nets()?.ask(move |nets| nets.read(&picture, &cancel))?
    }

    fn nets(&self) -> Result<Arc<Owner<Nets>>> {
        let mut slot = self.nets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(nets) = &*slot {
            return Ok(nets.clone());
        }
        let (models, threads) = (self.models.clone(), self.threads);
        let nets = Arc::new(Owner::start(move || {
            let runtime = OnnxRuntime::load(&models.runtime)?;
            Ok(Nets {
                detector: Detector::open(&runtime, &models.detector.path, threads)?,
                recogniser: Recogniser::open(&runtime, &models.recogniser.path, threads)?,
            })
        })?);
        *slot = Some(nets.clone());
        Ok(nets)
    }
}

impl Nets {
    fn read(&mut self, picture: &RgbImage, cancel: &Cancel) -> Result<Vec<TextLine>> {
        if picture.width() == 0 || picture.height() == 0 {
            return Err(Error::new(ErrorKind::Input, Stage::Ocr, "a picture without area"));
        }
        let mut quads = self.detector.find(picture)?;
        quad::in_reading_order(&mut quads);
        let mut lines = Vec::new();
        for quads in quads.chunks(CROPS) {
            lines.extend(self.read_lines(picture, quads, cancel)?);
        }
        Ok(lines)
    }

    fn read_lines(
        &mut self,
        picture: &RgbImage,
        quads: &[Quad],
        cancel: &Cancel,
    ) -> Result<Vec<TextLine>> {
        let mut quads = quads.to_vec();
        let crops: Vec<_> = quads.iter().map(|quad| cut(picture, quad)).collect();
        let mut reads = self.recogniser.read(&crops, cancel)?;
        // Upside-down lines are rare, and a network of its own would look at every line for them.
        let doubtful: Vec<usize> = (0..reads.len())
            .filter(|i| {
                let long = crops[*i].width() as f32 / crops[*i].height() as f32;
                reads[*i].probability < DOUBTFUL || reads[*i].characters() < SPARSE * long
            })
            .collect();
        let turned: Vec<_> = doubtful.iter().map(|i| cut(picture, &quads[*i].turned())).collect();
        for (i, read) in doubtful.into_iter().zip(self.recogniser.read(&turned, cancel)?) {
            let sure = |read: &Read| read.probability * read.characters();
            if read.probability >= LEAST_PROBABILITY && sure(&read) > sure(&reads[i]) {
                reads[i] = read;
                quads[i] = quads[i].turned();
            }
        }
        let read = |(quad, Read { text, probability }): (Quad, Read)| {
            let text = text.trim().to_owned();
            let is_text = probability >= LEAST_PROBABILITY && !text.is_empty();
            is_text.then_some(TextLine { text, probability, quad })
        };
        Ok(quads.into_iter().zip(reads).filter_map(read).collect())
    }
}

#[cfg(test)]
mod tests;
