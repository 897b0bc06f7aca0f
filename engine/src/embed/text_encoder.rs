//! Texts through any network: tokens, batches, one owner thread.

use super::batch::plan;
use super::embedder::{EmbeddedText, TextEmbedder};
use super::embedding::{Embedding, ModelId};
use super::tokens::{TokenBatch, Tokenised, Tokens};
use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::onnx::owner::Owner;

/// Tokens of a batch, padding included. Batches of 512 to 2048 took equally long per token; few keep
/// memory small and other callers' turns near.
pub(super) const BATCH_TOKENS: usize = 1024;

/// A network that gives one vector for each text of a batch.
pub(super) trait TextNet {
    /// The vectors, one after the other, of any length.
    fn run(&mut self, batch: &TokenBatch) -> Result<Vec<f32>>;
}

/// How a model wants its rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    /// What is behind a short text.
    pub(super) pad: u32,
    /// The width that rows have at least.
    pub(super) width: usize,
}

/// A [`TextEmbedder`] for any [`TextNet`].
pub(super) struct TextEncoder {
    pub(super) id: ModelId,
    pub(super) dim: usize,
    pub(super) engine: &'static str,
    pub(super) tokens: Tokens,
    pub(super) rows: Rows,
    pub(super) net: Owner<Box<dyn TextNet>>,
}

impl TextEmbedder for TextEncoder {
    fn model(&self) -> &ModelId {
        &self.id
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn max_tokens(&self) -> usize {
        self.tokens.longest()
    }

    fn engine(&self) -> &'static str {
        self.engine
    }

    fn embed_texts(&self, texts: &[&str], cancel: &Cancel) -> Result<Vec<EmbeddedText>> {
        let mut found: Vec<Tokenised> = Vec::with_capacity(texts.len());
        for text in texts {
            cancel.check(Stage::Embed)?;
            found.push(self.tokens.encode(text)?);
        }
        let lengths: Vec<usize> = found.iter().map(|t| t.ids.len().max(self.rows.width)).collect();
        let plan = plan(&lengths, BATCH_TOKENS);
        let mut made: Vec<Option<EmbeddedText>> = vec![None; texts.len()];
        for batch in plan.batches {
            cancel.check(Stage::Embed)?;
            let members = &plan.order[batch];
            let rows: Vec<&[u32]> = members.iter().map(|&at| found[at].ids.as_slice()).collect();
            let rows = TokenBatch::new(&rows, self.rows.width, self.rows.pad);
            let vectors = self.net.ask(move |net| net.run(&rows))??;
            if vectors.len() != members.len() * self.dim {
                let message = format!("{} made vectors of another length", self.id);
                return Err(Error::new(ErrorKind::Model, Stage::Embed, message));
            }
            for (&at, vector) in members.iter().zip(vectors.chunks_exact(self.dim)) {
                made[at] = Some(EmbeddedText {
                    embedding: Embedding::new(self.id.clone(), vector.to_vec())?,
                    tokens: found[at].ids.len(),
                    truncated: found[at].truncated,
                });
            }
        }
        Ok(made.into_iter().flatten().collect())
    }
}
