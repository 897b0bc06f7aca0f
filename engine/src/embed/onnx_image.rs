//! Any network for pictures in an ONNX file, as its manifest describes it.

use super::image_encoder::{ImageMade, ImageNet, PixelBatch};
use super::picture::{Filter, Fit, Preparation};
use crate::error::Result;
use crate::onnx::OnnxRuntime;
use crate::onnx::runtime::{misfit, run_failed};
use ort::session::Session;
use ort::value::{Tensor, ValueType};
use rushes_models::{PictureFilter, PictureLayout};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// In which order a network wants values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Colour by colour: `[pictures, 3, height, width]`.
    ColourFirst,
    /// Pixel by pixel: `[pictures, height, width, 3]`.
    ColourLast,
}

/// What an ONNX file takes and gives.
#[derive(Clone, Debug, PartialEq)]
pub struct OnnxImageShape {
    /// The input's name.
    pub input: String,
    /// The name of the output that holds the vectors; its values are taken as they lie.
    pub output: String,
    /// The order of values.
    pub layout: Layout,
    /// The length of the vectors.
    pub dim: usize,
    /// What is done to pictures before.
    pub preparation: Preparation,
}

impl OnnxImageShape {
    /// What a manifest of the catalogue says; `None` where it says nothing of pictures.
    pub fn of(artefact: &rushes_models::Artefact) -> Option<Self> {
        let (pictures, dims) = (artefact.pictures.as_ref()?, artefact.dims?);
        let filter = match pictures.filter {
            PictureFilter::Bilinear => Filter::Bilinear,
            PictureFilter::Bicubic => Filter::Bicubic,
            _ => return None,
        };
        let layout = match pictures.layout {
            PictureLayout::ColourFirst => Layout::ColourFirst,
            PictureLayout::ColourLast => Layout::ColourLast,
            _ => return None,
        };
        Some(Self {
            input: pictures.input.clone(),
            output: pictures.output.clone(),
            layout,
            dim: dims as usize,
            preparation: Preparation {
                size: (pictures.size[0], pictures.size[1]),
                fit: pictures.shortest.map_or(Fit::Stretch, Fit::Shortest),
                filter,
                mean: pictures.mean,
                deviation: pictures.deviation,
            },
        })
    }
}

pub(super) struct OnnxImage {
    session: Session,
    shape: OnnxImageShape,
    path: PathBuf,
    /// Whether it takes one picture at a time only.
    single: bool,
}

impl OnnxImage {
    pub(super) fn open(
        runtime: &OnnxRuntime,
        path: &Path,
        shape: OnnxImageShape,
        threads: NonZeroUsize,
    ) -> Result<Self> {
        let session = runtime.session(path, threads)?;
        let input = session.inputs().iter().find(|input| input.name() == shape.input);
        let output = session.outputs().iter().any(|output| output.name() == shape.output);
        let (Some(input), true) = (input, output) else {
            return Err(misfit("what its manifest says: inputs or outputs differ", path));
        };
        let single = match input.dtype() {
            ValueType::Tensor { shape, .. } => shape.first() == Some(&1),
            _ => return Err(misfit("what its manifest says: the input is no tensor", path)),
        };
        Ok(Self { session, shape, path: path.to_owned(), single })
    }

    fn some(
        &mut self,
        batch: &PixelBatch,
        values: Vec<f32>,
        count: usize,
    ) -> ort::Result<Vec<f32>> {
        let (height, width) = (batch.height, batch.width);
        let pixels = match self.shape.layout {
            Layout::ColourFirst => Tensor::from_array(([count, 3, height, width], values))?,
            Layout::ColourLast => {
                let area = height * width;
                let mut turned = Vec::with_capacity(values.len());
                for picture in values.chunks_exact((3 * area).max(1)) {
                    for at in 0..area {
                        turned.extend([picture[at], picture[area + at], picture[2 * area + at]]);
                    }
                }
                Tensor::from_array(([count, height, width, 3], turned))?
            }
        };
        let outputs = self.session.run(ort::inputs![self.shape.input.as_str() => pixels])?;
        Ok(outputs[self.shape.output.as_str()].try_extract_tensor::<f32>()?.1.to_vec())
    }
}

impl ImageNet for OnnxImage {
    fn run(&mut self, mut batch: PixelBatch) -> Result<ImageMade> {
        let values = std::mem::take(&mut batch.values);
        let each = 3 * batch.height * batch.width;
        let count = if self.single { 1 } else { batch.pictures.max(1) };
        let mut vectors = Vec::with_capacity(batch.pictures * self.shape.dim);
        for some in values.chunks(each * count) {
            let made = self.some(&batch, some.to_vec(), some.len() / each);
            vectors.extend(made.map_err(|error| run_failed(&error, &self.path))?);
        }
        Ok(ImageMade { vectors, labels: Vec::new() })
    }
}
