//! ImageNet's labels, and how they meet a text: so that things shown can be found by words where
//! no joint model of pictures and texts is on disk.

use super::embedding::Embedding;
use super::image_encoder::ImageEncoder;
use crate::control::Cancel;
use crate::error::Result;
use image::RgbImage;
use serde::Serialize;
use std::sync::{Arc, OnceLock};

/// The names of the labels, in the order of the networks trained on ImageNet.
pub fn imagenet_labels() -> &'static [&'static str] {
    static NAMES: OnceLock<Vec<&'static str>> = OnceLock::new();
    NAMES.get_or_init(|| {
        include_str!("imagenet_labels.txt").lines().filter(|line| !line.starts_with('#')).collect()
    })
}

/// What a picture shows, perhaps.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Label {
    /// Its place in [`imagenet_labels`].
    pub index: usize,
    /// Its name.
    pub name: &'static str,
    /// How likely the network holds it to be, 0 to 1; all labels of a picture sum to 1.
    pub probability: f32,
}

/// A picture's vector and its labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The vector: pictures that look alike lie close together.
    pub embedding: Embedding,
    /// The most likely labels, most likely first.
    pub labels: Vec<Label>,
}

/// A network that gives pictures vectors and labels in one run.
pub struct Labeller {
    pub(super) encoder: Arc<ImageEncoder>,
}

impl std::fmt::Debug for Labeller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Labeller").field("model", &self.encoder.id).finish_non_exhaustive()
    }
}

impl Labeller {
    /// The vector of each of `pictures` and its `most` likeliest labels.
    ///
    /// # Errors
    /// As [`super::ImageEmbedder::embed_images`].
    pub fn see(&self, pictures: &[&RgbImage], most: usize, cancel: &Cancel) -> Result<Vec<Seen>> {
        let found = self.encoder.see(pictures, cancel)?;
        Ok(found
            .into_iter()
            .map(|(embedding, probabilities)| Seen { embedding, labels: top(&probabilities, most) })
            .collect())
    }
}

fn top(probabilities: &[f32], most: usize) -> Vec<Label> {
    let mut labels: Vec<Label> = imagenet_labels()
        .iter()
        .zip(probabilities)
        .enumerate()
        .map(|(index, (name, &probability))| Label { index, name, probability })
        .collect();
    labels.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    labels.truncate(most);
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_a_thousand_labels_and_the_likeliest_come_first() {
        let names = imagenet_labels();
        assert_eq!((names.len(), names[0], names[999]), (1000, "tench", "toilet tissue"));
        let mut probabilities = vec![0.0; 1000];
        (probabilities[3], probabilities[7]) = (0.25, 0.75);
        let labels = top(&probabilities, 2);
        assert_eq!((labels[0].index, labels[1].name), (7, names[3]));
    }
}
