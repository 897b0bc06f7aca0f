//! Texts as tokens, by a model's `tokenizer.json`.

use crate::error::{Error, ErrorKind, Result, Stage};
use std::path::Path;
use tokenizers::{Tokenizer, TruncationDirection, TruncationParams, TruncationStrategy};

/// Bytes of a text per token that is read, beyond which it is cut before it is tokenised: a text of
/// gigabytes must not be held in tokens first. Words of any language take far fewer.
const BYTES_PER_TOKEN: usize = 256;
/// The largest `tokenizer.json` that is read. That of SigLIP has 2.4 MB, of a large vocabulary 17.
const MOST_BYTES: u64 = 128 << 20;

/// Splits texts as the model was trained to.
pub(super) struct Tokens {
    tokenizer: Tokenizer,
    longest: usize,
}

/// One text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tokenised {
    pub(super) ids: Vec<u32>,
    pub(super) truncated: bool,
}

impl Tokens {
    /// Reads the tokenizer at `path`; texts are cut to `longest` tokens, its own marks included.
    pub(super) fn open(path: &Path, longest: usize) -> Result<Self> {
        let bytes = super::weights::read(path, MOST_BYTES)?;
        let mut tokenizer = Tokenizer::from_bytes(&bytes)
            .map_err(|error| damaged(path, &format!("is no tokenizer: {error}")))?;
        // The file's own padding and truncation are those of some training run.
        tokenizer.with_padding(None);
        let truncation = TruncationParams {
            max_length: longest,
            strategy: TruncationStrategy::LongestFirst,
            stride: 0,
            direction: TruncationDirection::Right,
        };
        tokenizer
            .with_truncation(Some(truncation))
            .map_err(|error| damaged(path, &format!("cannot cut texts: {error}")))?;
        Ok(Self { tokenizer, longest })
    }

    /// The number of ids, added ones included.
    pub(super) fn vocabulary(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    pub(super) fn encode(&self, text: &str) -> Result<Tokenised> {
        let most = self.longest.saturating_mul(BYTES_PER_TOKEN);
        let mut end = text.len().min(most);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let found = self.tokenizer.encode(&text[..end], true).map_err(|error| {
            Error::new(ErrorKind::Input, Stage::Embed, format!("the text has no tokens: {error}"))
        })?;
        let truncated = end < text.len() || !found.get_overflowing().is_empty();
        Ok(Tokenised { ids: found.get_ids().to_vec(), truncated })
    }
}

fn damaged(path: &Path, message: &str) -> Error {
    Error::new(ErrorKind::Model, Stage::Model, message.to_owned())
        .input(path)
        .hint("`rushes models verify` tells whether the file is damaged")
}

/// A batch of texts, padded on the right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TokenBatch {
    /// `[texts, width]`.
    pub(super) ids: Vec<u32>,
    /// How many ids of each row are the text's.
    pub(super) lengths: Vec<usize>,
    /// The length of every row.
    pub(super) width: usize,
}

impl TokenBatch {
    /// Puts `texts` into rows of `width`, or of the longest where that is more, with `pad` behind.
    pub(super) fn new(texts: &[&[u32]], width: usize, pad: u32) -> Self {
        let width = texts.iter().map(|text| text.len()).max().unwrap_or(0).max(width).max(1);
        let mut ids = Vec::with_capacity(texts.len() * width);
        for text in texts {
            ids.extend_from_slice(text);
            ids.resize(ids.len() + width - text.len(), pad);
        }
        Self { ids, lengths: texts.iter().map(|text| text.len()).collect(), width }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_padded() {
        let batch = TokenBatch::new(&[&[7], &[8, 9], &[]], 0, 1);
        assert_eq!(
            batch,
            TokenBatch { ids: vec![7, 1, 8, 9, 1, 1], lengths: vec![1, 2, 0], width: 2 }
        );
        assert_eq!(TokenBatch::new(&[&[7]], 3, 0).ids, [7, 0, 0]);
        assert_eq!(TokenBatch::new(&[&[]], 0, 0).ids, [0]);
    }

    #[test]
    fn a_damaged_tokenizer_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        assert_eq!(Tokens::open(&path, 9).err().unwrap().kind(), ErrorKind::Model);
        for text in ["", "{}", "[1]", r#"{"model":{"type":"WordPiece"}}"#] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(Tokens::open(&path, 9).err().unwrap().kind(), ErrorKind::Model);
        }
    }
}
