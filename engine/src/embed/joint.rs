//! Models of pictures and texts in one space, run by candle: CLIP and SigLIP, as Hugging Face
//! publishes them (`config.json`, `model.safetensors`, `tokenizer.json`).

use super::candle_net::Place;
use super::image_encoder::{ImageMade, ImageNet, PixelBatch};
use super::picture::{Filter, Fit, Preparation};
use super::text_encoder::{Rows, TextNet};
use super::tokens::TokenBatch;
use super::weights::{misfit, settings};
use crate::device::Compute;
use crate::error::Result;
use candle_core::{DType, Tensor};
use candle_transformers::models::clip::text_model::{Activation, ClipTextConfig};
use candle_transformers::models::clip::vision_model::ClipVisionConfig;
use candle_transformers::models::clip::{ClipConfig, ClipModel};
use candle_transformers::models::siglip;
use serde::Deserialize;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

/// OpenAI's mean and deviation of the pictures that CLIP was trained on.
const CLIP_MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const CLIP_DEVIATION: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

/// What a model's settings say that is needed outside the network.
#[derive(Clone, Debug)]
pub(super) struct JointShape {
    pub(super) dim: usize,
    pub(super) max_tokens: usize,
    pub(super) vocabulary: usize,
    pub(super) rows: Rows,
    pub(super) preparation: Preparation,
}

enum Model {
    Clip(ClipModel),
    Siglip(siglip::Model),
}

/// The network; texts and pictures are run by owners of their own, which share the weights.
#[derive(Clone)]
pub(super) struct Joint {
    model: Arc<Model>,
    place: Arc<Place>,
}

#[derive(Deserialize)]
struct Kind {
    model_type: String,
}

/// CLIP's `config.json`. transformers leaves out what is at its default, that of ViT-B/32.
#[derive(Deserialize)]
struct ClipSettings {
    #[serde(default = "five_hundred_and_twelve")]
    projection_dim: usize,
    #[serde(default)]
    text_config: ClipTower,
    #[serde(default)]
    vision_config: ClipTower,
}

#[derive(Default, Deserialize)]
struct ClipTower {
    hidden_size: Option<usize>,
    intermediate_size: Option<usize>,
    num_hidden_layers: Option<usize>,
    num_attention_heads: Option<usize>,
    hidden_act: Option<String>,
    vocab_size: Option<usize>,
    max_position_embeddings: Option<usize>,
    num_channels: Option<usize>,
    image_size: Option<usize>,
    patch_size: Option<usize>,
}

fn five_hundred_and_twelve() -> usize {
    512
}

impl ClipSettings {
    fn config(&self) -> Option<ClipConfig> {
        let (text, vision) = (&self.text_config, &self.vision_config);
        let plain = ClipConfig::vit_base_patch32();
        let quick = |tower: &ClipTower| {
            tower.hidden_act.as_deref().is_none_or(|activation| activation == "quick_gelu")
        };
        // candle knows no other activation.
        if !(quick(text) && quick(vision)) {
            return None;
        }
        let (t, v) = (plain.text_config, plain.vision_config);
        let image_size = vision.image_size.unwrap_or(v.image_size);
        Some(ClipConfig {
            text_config: ClipTextConfig {
                vocab_size: text.vocab_size.unwrap_or(t.vocab_size),
                embed_dim: text.hidden_size.unwrap_or(t.embed_dim),
                activation: Activation::QuickGelu,
                intermediate_size: text.intermediate_size.unwrap_or(t.intermediate_size),
                max_position_embeddings: text
                    .max_position_embeddings
                    .unwrap_or(t.max_position_embeddings),
                pad_with: None,
                num_hidden_layers: text.num_hidden_layers.unwrap_or(t.num_hidden_layers),
                num_attention_heads: text.num_attention_heads.unwrap_or(t.num_attention_heads),
                projection_dim: self.projection_dim,
            },
            vision_config: ClipVisionConfig {
                embed_dim: vision.hidden_size.unwrap_or(v.embed_dim),
                activation: Activation::QuickGelu,
                intermediate_size: vision.intermediate_size.unwrap_or(v.intermediate_size),
                num_hidden_layers: vision.num_hidden_layers.unwrap_or(v.num_hidden_layers),
                num_attention_heads: vision.num_attention_heads.unwrap_or(v.num_attention_heads),
                projection_dim: self.projection_dim,
                num_channels: vision.num_channels.unwrap_or(v.num_channels),
                image_size,
                patch_size: vision.patch_size.unwrap_or(v.patch_size),
            },
            logit_scale_init_value: plain.logit_scale_init_value,
            image_size,
        })
    }
}

enum Config {
    Clip(ClipConfig),
    Siglip(siglip::Config),
}

fn config(path: &Path) -> Result<(Config, JointShape)> {
    let unknown = || misfit(path, "describes no CLIP or SigLIP that is known here");
    let square = |side: usize| -> Result<(u32, u32)> {
        let known = u32::try_from(side).ok().filter(|side| (1..=4096).contains(side));
        let side = known.ok_or_else(unknown)?;
        Ok((side, side))
    };
    match settings::<Kind>(path)?.model_type.as_str() {
        "clip" => {
            let config = settings::<ClipSettings>(path)?.config().ok_or_else(unknown)?;
            let whole = [
                (config.text_config.embed_dim, config.text_config.num_attention_heads),
                (config.vision_config.embed_dim, config.vision_config.num_attention_heads),
                (config.image_size, config.vision_config.patch_size),
            ];
            if whole.iter().any(|&(whole, part)| part == 0 || whole < part) {
                return Err(unknown());
            }
            let size = square(config.image_size)?;
            let shape = JointShape {
                dim: config.text_config.projection_dim,
                max_tokens: config.text_config.max_position_embeddings,
                vocabulary: config.text_config.vocab_size,
                // The vector is read at the token of the highest number, the end of text; what is
                // behind it is not attended to.
                rows: Rows { pad: 0, width: 0 },
                preparation: Preparation {
                    size,
                    fit: Fit::Shortest(size.0),
                    filter: Filter::Bicubic,
                    mean: CLIP_MEAN,
                    deviation: CLIP_DEVIATION,
                },
            };
            Ok((Config::Clip(config), shape))
        }
        "siglip" => {
            let config: siglip::Config = settings(path)?;
            let whole = [
                (config.text_config.hidden_size, config.text_config.num_attention_heads),
                (config.vision_config.hidden_size, config.vision_config.num_attention_heads),
                (config.vision_config.image_size, config.vision_config.patch_size),
            ];
            if whole.iter().any(|&(whole, part)| part == 0 || whole < part) {
                return Err(unknown());
            }
            let longest = config.text_config.max_position_embeddings;
            let shape = JointShape {
                dim: config.text_config.hidden_size,
                max_tokens: longest,
                vocabulary: config.text_config.vocab_size,
                // It was trained on full rows, without a mask, and is read at the last place.
                rows: Rows { pad: config.text_config.pad_token_id, width: longest },
                preparation: Preparation {
                    size: square(config.vision_config.image_size)?,
                    fit: Fit::Stretch,
                    filter: Filter::Bicubic,
                    mean: [0.5; 3],
                    deviation: [0.5; 3],
                },
            };
            Ok((Config::Siglip(config), shape))
        }
        _ => Err(unknown()),
    }
}

impl JointShape {
    /// Reads the settings at `path`.
    pub(super) fn open(path: &Path) -> Result<Self> {
        Ok(config(path)?.1)
    }
}

impl Joint {
    pub(super) fn open(
        weights: &Path,
        settings: &Path,
        compute: Compute,
        threads: NonZeroUsize,
    ) -> Result<Self> {
        let (config, _) = config(settings)?;
        let (place, weights) = Place::open(weights, compute, DType::F16, threads)?;
        let model = match &config {
            Config::Clip(config) => ClipModel::new(weights, config).map(Model::Clip),
            Config::Siglip(config) => siglip::Model::new(config, weights).map(Model::Siglip),
        };
        let model = model.map_err(|error| place.refused(&error))?;
        // Every thread has a queue of its own on a GPU: what this one copies there must have arrived.
        place.device.synchronize().map_err(|error| place.refused(&error))?;
        Ok(Self { model: Arc::new(model), place: Arc::new(place) })
    }
}

impl TextNet for Joint {
    fn run(&mut self, batch: &TokenBatch) -> Result<Vec<f32>> {
        let shape = (batch.lengths.len(), batch.width);
        self.place.run(|| {
            let ids = Tensor::from_slice(&batch.ids, shape, &self.place.device)?;
            let made = match &*self.model {
                Model::Clip(model) => model.get_text_features(&ids)?,
                Model::Siglip(model) => model.get_text_features(&ids)?,
            };
            made.flatten_all()?.to_dtype(DType::F32)?.to_vec1()
        })
    }
}

impl ImageNet for Joint {
    fn run(&mut self, batch: PixelBatch) -> Result<ImageMade> {
        let shape = (batch.pictures, 3, batch.height, batch.width);
        self.place.run(|| {
            let pixels = Tensor::from_vec(batch.values, shape, &self.place.device)?;
            let pixels = pixels.to_dtype(self.place.numbers)?;
            let made = match &*self.model {
                Model::Clip(model) => model.get_image_features(&pixels)?,
                Model::Siglip(model) => model.get_image_features(&pixels)?,
            };
            let vectors = made.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?;
            Ok(ImageMade { vectors, labels: Vec::new() })
        })
    }
}
