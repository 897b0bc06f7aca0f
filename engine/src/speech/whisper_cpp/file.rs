//! Looks at a ggml model file before whisper.cpp does.
//!
//! whisper.cpp trusts its files: a short read goes unseen, a file that ends after the vocabulary
//! counts as a model without weights, an unknown tensor type or a vocabulary without a space ends
//! the process. So headers, names and sizes are checked first; the weights themselves are covered
//! by the digest that the model store keeps.

use crate::error::{Error, ErrorKind, Result, Stage};
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// "ggml", read as a little-endian number.
const MAGIC: u32 = 0x6767_6d6c;

/// Bytes and elements of a block, for the tensor types that whisper.cpp's files hold (`ggml_type`).
const TYPES: [(i32, u64, u64); 12] = [
    (0, 4, 1),
    (1, 2, 1),
    (2, 18, 32),
    (3, 20, 32),
    (6, 22, 32),
    (7, 24, 32),
    (8, 34, 32),
    (10, 84, 256),
    (11, 110, 256),
    (12, 144, 256),
    (13, 176, 256),
    (14, 210, 256),
];

/// Values of `ftype` (less its version) that whisper.cpp knows.
const FILE_TYPES: [i32; 12] = [0, 1, 2, 3, 7, 8, 9, 10, 11, 12, 13, 14];

/// What a model's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Tokens.
    pub(super) vocabulary: i32,
    /// Layers of the encoder.
    pub(super) audio_layers: i32,
    /// Layers of the decoder.
    pub(super) text_layers: i32,
}

impl Header {
    /// Whether it knows other languages than English.
    pub(super) fn multilingual(self) -> bool {
        self.vocabulary >= 51_865
    }

    /// Languages that it has tokens for.
    pub(super) fn languages(self) -> i32 {
        if self.multilingual() { self.vocabulary - 51_766 } else { 0 }
    }
}

/// Reads through the file's structure.
pub(super) fn check(path: &Path) -> Result<Header> {
    let file = File::open(path).map_err(|error| {
        Error::new(ErrorKind::Model, Stage::Model, error.to_string())
            .input(path)
            .hint("`rushes models list` shows what can be pulled")
            .source(error)
    })?;
    let length = file.metadata().map_or(0, |m| if m.is_file() { m.len() } else { 0 });
    let mut reader = Reader { file: BufReader::with_capacity(1 << 16, file), left: length };
    reader.header().map_err(|what| {
        Error::new(
            ErrorKind::Model,
            Stage::Model,
            format!("cannot be used as a ggml model: {what}"),
        )
        .input(path)
        .hint("`rushes models verify` tells whether the file is damaged")
    })
}

type Checked<T> = std::result::Result<T, String>;

struct Reader {
    file: BufReader<File>,
    /// Bytes not yet read.
    left: u64,
}

impl Reader {
    fn bytes(&mut self, buffer: &mut [u8]) -> Checked<()> {
        let length = buffer.len() as u64;
        if length > self.left {
            return Err("it ends too soon".into());
        }
        self.file.read_exact(buffer).map_err(|error| error.to_string())?;
        self.left -= length;
        Ok(())
    }

    fn number(&mut self) -> Checked<i32> {
        let mut bytes = [0; 4];
        self.bytes(&mut bytes)?;
        Ok(i32::from_le_bytes(bytes))
    }

    fn skip(&mut self, length: u64) -> Checked<()> {
        let step = i64::try_from(length).ok().filter(|_| length <= self.left);
        let step = step.ok_or("it ends too soon")?;
        self.file.seek_relative(step).map_err(|error| error.to_string())?;
        self.left -= length;
        Ok(())
    }

    fn header(&mut self) -> Checked<Header> {
        if self.number()? as u32 != MAGIC {
            return Err("it does not begin like one".into());
        }
        let mut values = [0; 11];
        for value in &mut values {
            *value = self.number()?;
        }
        let [vocabulary, audio_context, width, heads, audio_layers, rest @ ..] = values;
        let [text_context, text_width, text_heads, text_layers, bands, file_type] = rest;
        let known = matches!(vocabulary, 51_864..=51_866)
            && audio_context == 1500
            && matches!(width, 384 | 512 | 768 | 1024 | 1280)
            && heads == width / 64
            && matches!(audio_layers, 4 | 6 | 12 | 24 | 32)
            && text_context == 448
            && text_width == width
            && text_heads == heads
            && (1..=32).contains(&text_layers)
            && matches!(bands, 80 | 128)
            && FILE_TYPES.contains(&(file_type % 1000));
        if !known {
            return Err(format!("no Whisper model has the shape {values:?}"));
        }
        let (filters, transform) = (self.number()?, self.number()?);
        if filters != bands || transform != 201 {
            return Err(format!("mel filters of {filters} × {transform}"));
        }
        self.skip(bands as u64 * 201 * 4)?;
        self.vocabulary(vocabulary)?;
        self.tensors(11 + 15 * audio_layers as usize + 24 * text_layers as usize)?;
        Ok(Header { vocabulary, audio_layers, text_layers })
    }

    fn vocabulary(&mut self, most: i32) -> Checked<()> {
        let count = self.number()?;
        if !(50_000..=most).contains(&count) {
            return Err(format!("a vocabulary of {count} tokens"));
        }
        let mut space = false;
        let mut token = [0; 256];
        for _ in 0..count {
            let length = self.number()?;
            let token = usize::try_from(length)
                .ok()
                .and_then(|length| token.get_mut(..length))
                .ok_or_else(|| format!("a token of {length} bytes"))?;
            self.bytes(token)?;
            space |= *token == b" "[..];
        }
        if space { Ok(()) } else { Err("no token for a space".into()) }
    }

    fn tensors(&mut self, wanted: usize) -> Checked<()> {
        let mut names = HashSet::new();
        while self.left > 0 {
            let (dimensions, length, kind) = (self.number()?, self.number()?, self.number()?);
            if !(1..=3).contains(&dimensions) || !(1..=128).contains(&length) {
                return Err(format!("a tensor of {dimensions} dimensions, name of {length} bytes"));
            }
            let mut elements = 1_i32;
            for _ in 0..dimensions {
                let size = self.number()?;
                elements = (size > 0)
                    .then(|| elements.checked_mul(size))
                    .flatten()
                    .ok_or_else(|| format!("a tensor with a side of {size}"))?;
            }
            let mut name = vec![0; length as usize];
            self.bytes(&mut name)?;
            let (_, bytes, block) = TYPES
                .into_iter()
                .find(|(number, ..)| *number == kind)
                .ok_or_else(|| format!("tensor type {kind}"))?;
            if !(elements as u64).is_multiple_of(block) {
                return Err(format!("a tensor of {elements} elements in blocks of {block}"));
            }
            self.skip(elements as u64 / block * bytes)?;
            if name.contains(&0) || !names.insert(name) {
                return Err("a tensor that is named twice, or has no proper name".into());
            }
        }
        if names.len() == wanted {
            Ok(())
        } else {
            Err(format!("{} tensors where there should be {wanted}", names.len()))
        }
    }
}
