//! BERT's settings and weights, as sentence-transformers publishes them.

use super::weights::{Weights, misfit};
use crate::error::Result;
use serde::Deserialize;
use std::path::Path;

/// What of `config.json` decides the network.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct BertShape {
    pub(super) vocab_size: usize,
    pub(super) hidden_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) num_attention_heads: usize,
    pub(super) intermediate_size: usize,
    pub(super) max_position_embeddings: usize,
    pub(super) type_vocab_size: usize,
    pub(super) layer_norm_eps: f32,
    hidden_act: String,
    position_embedding_type: Option<String>,
}

impl BertShape {
    /// Reads the settings at `path`.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let shape: Self = super::weights::settings(path)?;
        let whole = shape.num_attention_heads > 0
            && shape.hidden_size.is_multiple_of(shape.num_attention_heads)
            && shape.max_position_embeddings > 2
            && shape.type_vocab_size > 0
            // Beyond any BERT, and short of what could not be counted.
            && [shape.vocab_size, shape.hidden_size, shape.intermediate_size]
                .iter()
                .all(|&n| (1..1 << 24).contains(&n))
            && (1..=256).contains(&shape.num_hidden_layers);
        let known = shape.hidden_act == "gelu"
            && shape.position_embedding_type.as_deref().is_none_or(|kind| kind == "absolute");
        if !(whole && known) {
            return Err(misfit(path, "describes a BERT that is not known here"));
        }
        Ok(shape)
    }
}

/// A matrix as inputs by outputs, which is how it is multiplied, and its bias.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
}

impl Layer {
    /// Row `input` of the matrix.
    pub(super) fn row(&mut self, input: usize) -> &mut [f32] {
        &mut self.weight[input * self.outputs..][..self.outputs]
    }
}

/// What is multiplied and added after a normalisation.
#[derive(Clone, Debug)]
pub(super) struct Gain {
    pub(super) scale: Vec<f32>,
    pub(super) shift: Vec<f32>,
}

/// One of BERT's layers.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// Query, key and value side by side.
    pub(super) attend: Layer,
    pub(super) attended: Layer,
    pub(super) attended_norm: Gain,
    pub(super) widen: Layer,
    pub(super) narrow: Layer,
    pub(super) narrow_norm: Gain,
}

/// All weights.
#[derive(Clone, Debug)]
pub(super) struct BertWeights {
    /// `[vocabulary, hidden]`.
    pub(super) words: Vec<f32>,
    /// `[positions, hidden]`, the vector of the first token type added.
    pub(super) positions: Vec<f32>,
    pub(super) norm: Gain,
    pub(super) blocks: Vec<Block>,
}

impl BertWeights {
    pub(super) fn of(file: &Weights<'_>, shape: &BertShape) -> Result<Self> {
        let hidden = shape.hidden_size;
        let gain = |name: &str| -> Result<Gain> {
            Ok(Gain {
                scale: file.data(&format!("{name}.weight"), &[hidden])?,
                shift: file.data(&format!("{name}.bias"), &[hidden])?,
            })
        };
        let layer = |names: &[&str], inputs: usize, each: usize| -> Result<Layer> {
            let outputs = each * names.len();
            let mut layer =
                Layer { inputs, outputs, weight: vec![0.0; inputs * outputs], bias: Vec::new() };
            for (at, name) in names.iter().enumerate() {
                // Stored output by output.
                let stored = file.data(&format!("{name}.weight"), &[each, inputs])?;
                for (output, row) in stored.chunks_exact(inputs).enumerate() {
                    for (input, value) in row.iter().enumerate() {
                        layer.weight[input * outputs + at * each + output] = *value;
                    }
                }
                layer.bias.extend(file.data(&format!("{name}.bias"), &[each])?);
            }
            Ok(layer)
        };
        let types =
            file.data("embeddings.token_type_embeddings.weight", &[shape.type_vocab_size, hidden])?;
        let mut positions = file.data(
            "embeddings.position_embeddings.weight",
            &[shape.max_position_embeddings, hidden],
        )?;
        for row in positions.chunks_exact_mut(hidden) {
            row.iter_mut().zip(&types).for_each(|(value, kind)| *value += kind);
        }
        let block = |number: usize| -> Result<Block> {
            let of = |name: &str| format!("encoder.layer.{number}.{name}");
            let own = |part: &str| of(&format!("attention.self.{part}"));
            let (query, key, value) = (own("query"), own("key"), own("value"));
            Ok(Block {
                attend: layer(&[&query, &key, &value], hidden, hidden)?,
                attended: layer(&[&of("attention.output.dense")], hidden, hidden)?,
                attended_norm: gain(&of("attention.output.LayerNorm"))?,
                widen: layer(&[&of("intermediate.dense")], hidden, shape.intermediate_size)?,
                narrow: layer(&[&of("output.dense")], shape.intermediate_size, hidden)?,
                narrow_norm: gain(&of("output.LayerNorm"))?,
            })
        };
        Ok(Self {
            words: file.data("embeddings.word_embeddings.weight", &[shape.vocab_size, hidden])?,
            positions,
            norm: gain("embeddings.LayerNorm")?,
            blocks: (0..shape.num_hidden_layers).map(block).collect::<Result<_>>()?,
        })
    }
}
