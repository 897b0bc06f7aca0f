//! Pictures through any network: preparation, batches, one owner thread.

use super::embedder::ImageEmbedder;
use super::embedding::{Embedding, ModelId};
use super::picture::Preparation;
use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::media::Resizer;
use crate::onnx::owner::Owner;
use image::RgbImage;

/// Pixels of a batch at the network's size: 16 pictures of 224 x 224.
const BATCH_PIXELS: usize = 16 * 224 * 224;

/// Prepared pictures of one size.
pub(super) struct PixelBatch {
    /// `[pictures, 3, height, width]`.
    pub(super) values: Vec<f32>,
    pub(super) pictures: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

/// What a network makes of a batch.
pub(super) struct ImageMade {
    /// The vectors, one after the other.
    pub(super) vectors: Vec<f32>,
    /// A probability for each label of each picture, from networks that know labels.
    pub(super) labels: Vec<f32>,
}

/// A network that gives one vector for each picture of a batch.
pub(super) trait ImageNet {
    fn run(&mut self, batch: PixelBatch) -> Result<ImageMade>;
}

/// An [`ImageEmbedder`] for any [`ImageNet`].
pub(super) struct ImageEncoder {
    pub(super) id: ModelId,
    pub(super) dim: usize,
    pub(super) engine: &'static str,
    pub(super) preparation: Preparation,
    pub(super) net: Owner<Box<dyn ImageNet>>,
}

impl ImageEncoder {
    /// The vector of each picture, and its labels' probabilities.
    pub(super) fn see(
        &self,
        pictures: &[&RgbImage],
        cancel: &Cancel,
    ) -> Result<Vec<(Embedding, Vec<f32>)>> {
        let (width, height) = self.preparation.size;
        let (width, height) = (width as usize, height as usize);
        let most = (BATCH_PIXELS / (width * height).max(1)).max(1);
        let mut resizer = Resizer::new();
        let mut made = Vec::with_capacity(pictures.len());
        for batch in pictures.chunks(most) {
            let mut values = Vec::with_capacity(batch.len() * 3 * width * height);
            for picture in batch {
                cancel.check(Stage::Embed)?;
                values.extend(self.preparation.apply(picture, &mut resizer)?);
            }
            let batch = PixelBatch { values, pictures: batch.len(), width, height };
            let count = batch.pictures;
            let found = self.net.ask(move |net| net.run(batch))??;
            let labels = found.labels.len() / count.max(1);
            if found.vectors.len() != count * self.dim || found.labels.len() != count * labels {
                let message = format!("{} made vectors of another length", self.id);
                return Err(Error::new(ErrorKind::Model, Stage::Embed, message));
            }
            for (at, vector) in found.vectors.chunks_exact(self.dim).enumerate() {
                let embedding = Embedding::new(self.id.clone(), vector.to_vec())?;
                made.push((embedding, found.labels[at * labels..][..labels].to_vec()));
            }
        }
        Ok(made)
    }
}

impl ImageEmbedder for ImageEncoder {
    fn model(&self) -> &ModelId {
        &self.id
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn input_size(&self) -> (u32, u32) {
        self.preparation.size
    }

    fn engine(&self) -> &'static str {
        self.engine
    }

    fn embed_images(&self, pictures: &[&RgbImage], cancel: &Cancel) -> Result<Vec<Embedding>> {
        Ok(self.see(pictures, cancel)?.into_iter().map(|(embedding, _)| embedding).collect())
    }
}
