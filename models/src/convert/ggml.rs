//! Whisper models in whisper.cpp's ggml format.
//!
//! The file is a magic number, eleven hyper-parameters, the mel filters, the vocabulary as bytes,
//! and the tensors one after another. whisper.cpp trusts all of it: a tensor with five dimensions
//! is written past the end of an array of four, a token's length is allocated unasked, and a file
//! that ends before the first tensor passes for an empty test model. So it is checked here first.

use super::input::{Input, shown};
use crate::error::ModelsError;
use half::f16;
use half::slice::HalfFloatSliceExt;
use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const KIND: &str = "a ggml Whisper model";
pub(crate) const MAGIC: u32 = 0x6767_6d6c;
/// Frequencies of a 400-point transform, which is the one that Whisper hears with.
pub(crate) const BINS: usize = 201;
/// Text tokens of the English and the multilingual models; special tokens come behind.
const LEAST_VOCABULARY: u32 = 51_864;
const MOST_VOCABULARY: u32 = 1 << 16;
const MOST_TOKEN: u64 = 1 << 12;
/// large-v3 has 1259.
const MOST_TENSORS: usize = 1 << 13;
const MOST_NAME: u64 = 256;
/// Values in a quantised block.
const BLOCK: usize = 32;

/// The hyper-parameters of a Whisper model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WhisperShape {
    /// Tokens that the decoder knows, special ones included.
    pub vocabulary: u32,
    /// Positions of the encoder: 1500 for 30 s.
    pub audio_context: u32,
    /// Width of the encoder.
    pub audio_state: u32,
    /// Attention heads of an encoder block.
    pub audio_heads: u32,
    /// Blocks of the encoder.
    pub audio_layers: u32,
    /// Positions of the decoder.
    pub text_context: u32,
    /// Width of the decoder.
    pub text_state: u32,
    /// Attention heads of a decoder block.
    pub text_heads: u32,
    /// Blocks of the decoder.
    pub text_layers: u32,
    /// Mel bands: 80, or 128 from large-v3 on.
    pub mels: u32,
    /// ggml's number for how the weights are stored: 1 is f16.
    pub storage: u32,
}

impl WhisperShape {
    /// Whether the model knows more languages than English.
    pub fn multilingual(&self) -> bool {
        self.vocabulary > LEAST_VOCABULARY
    }

    pub(crate) fn fields(&self) -> [u32; 11] {
        [
            self.vocabulary,
            self.audio_context,
            self.audio_state,
            self.audio_heads,
            self.audio_layers,
            self.text_context,
            self.text_state,
            self.text_heads,
            self.text_layers,
            self.mels,
            self.storage,
        ]
    }

    /// What is wrong with the numbers, if anything is.
    pub(crate) fn fault(&self) -> Option<String> {
        let ranges = [
            ("vocabulary", self.vocabulary, LEAST_VOCABULARY, MOST_VOCABULARY),
            ("audio context", self.audio_context, 1, 1 << 14),
            ("audio state", self.audio_state, 1, 1 << 13),
            ("audio heads", self.audio_heads, 1, self.audio_state),
            ("audio layers", self.audio_layers, 1, 128),
            ("text context", self.text_context, 1, 1 << 14),
            ("text state", self.text_state, 1, 1 << 13),
            ("text heads", self.text_heads, 1, self.text_state),
            ("text layers", self.text_layers, 1, 128),
            ("mel bands", self.mels, 80, 128),
            // A version in thousands, and a type below.
            ("storage type", self.storage, 0, 9_999),
        ];
        for (what, value, least, most) in ranges {
            if value < least || value > most {
                return Some(format!("{what} {value} is not in {least} to {most}"));
            }
        }
        if self.mels != 80 && self.mels != 128 {
            return Some(format!("{} mel bands: Whisper has 80 or 128", self.mels));
        }
        if self.audio_state != self.text_state {
            return Some("encoder and decoder are not of one width".into());
        }
        let splits = self.audio_state.is_multiple_of(self.audio_heads);
        if !splits || !self.text_state.is_multiple_of(self.text_heads) {
            return Some("the width cannot be divided among the heads".into());
        }
        None
    }

    /// The names and shapes of the tensors that whisper.cpp wants, in its order.
    pub(crate) fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let (state, mels) = (self.audio_state as usize, self.mels as usize);
        let mut all = Vec::new();
        let mut add = |name: String, shape: &[usize]| all.push((name, shape.to_vec()));
        let context = |n: u32| [n as usize, state];
        add("encoder.positional_embedding".into(), &context(self.audio_context));
        add("encoder.conv1.weight".into(), &[state, mels, 3]);
        add("encoder.conv1.bias".into(), &[state, 1]);
        add("encoder.conv2.weight".into(), &[state, state, 3]);
        add("encoder.conv2.bias".into(), &[state, 1]);
        add("encoder.ln_post.weight".into(), &[state]);
        add("encoder.ln_post.bias".into(), &[state]);
        add("decoder.positional_embedding".into(), &context(self.text_context));
        add("decoder.token_embedding.weight".into(), &context(self.vocabulary));
        add("decoder.ln.weight".into(), &[state]);
        add("decoder.ln.bias".into(), &[state]);
        let sides = [
            ("encoder", self.audio_layers, &["attn"][..]),
            ("decoder", self.text_layers, &["attn", "cross_attn"][..]),
        ];
        for (side, layers, attentions) in sides {
            for layer in 0..layers {
                let block = format!("{side}.blocks.{layer}");
                for attention in attentions {
                    add(format!("{block}.{attention}_ln.weight"), &[state]);
                    add(format!("{block}.{attention}_ln.bias"), &[state]);
                    for part in ["query", "key", "value", "out"] {
                        add(format!("{block}.{attention}.{part}.weight"), &[state, state]);
                        if part != "key" {
                            add(format!("{block}.{attention}.{part}.bias"), &[state]);
                        }
                    }
                }
                add(format!("{block}.mlp_ln.weight"), &[state]);
                add(format!("{block}.mlp_ln.bias"), &[state]);
                add(format!("{block}.mlp.0.weight"), &[4 * state, state]);
                add(format!("{block}.mlp.0.bias"), &[4 * state]);
                add(format!("{block}.mlp.2.weight"), &[state, 4 * state]);
                add(format!("{block}.mlp.2.bias"), &[state]);
            }
        }
        all
    }
}

/// The weights with which a spectrum becomes mel bands.
#[derive(Clone, Debug, PartialEq)]
pub struct MelFilters {
    /// Mel bands.
    pub bands: usize,
    /// Frequencies of the spectrum.
    pub bins: usize,
    /// One row of `bins` weights for each band.
    pub values: Vec<f32>,
}

/// How a tensor's values are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GgmlType {
    /// 32-bit floating point.
    F32,
    /// 16-bit floating point.
    F16,
    /// 4 bits and a scale for 32 values.
    Q4_0,
    /// 4 bits, a scale and a minimum for 32 values.
    Q4_1,
    /// 5 bits and a scale for 32 values.
    Q5_0,
    /// 5 bits, a scale and a minimum for 32 values.
    Q5_1,
    /// 8 bits and a scale for 32 values.
    Q8_0,
}

impl GgmlType {
    fn of(number: i32) -> Option<Self> {
        Some(match number {
            0 => Self::F32,
            1 => Self::F16,
            2 => Self::Q4_0,
            3 => Self::Q4_1,
            6 => Self::Q5_0,
            7 => Self::Q5_1,
            8 => Self::Q8_0,
            _ => return None,
        })
    }

    /// Values in a block, and its bytes.
    fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 => (1, 2),
            Self::Q4_0 => (BLOCK, 18),
            Self::Q4_1 => (BLOCK, 20),
            Self::Q5_0 => (BLOCK, 22),
            Self::Q5_1 => (BLOCK, 24),
            Self::Q8_0 => (BLOCK, 34),
        }
    }

    /// Appends the values of whole blocks to `out`.
    fn decode(self, bytes: &[u8], out: &mut Vec<f32>) {
        let half = |b: &[u8]| f16::from_le_bytes([b[0], b[1]]).to_f32();
        if self == Self::F16 {
            // All at once, with the machine's own conversion.
            let halves: Vec<f16> =
                bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]])).collect();
            let from = out.len();
            out.resize(from + halves.len(), 0.0);
            halves.convert_to_f32_slice(&mut out[from..]);
            return;
        }
        for b in bytes.chunks_exact(self.block().1) {
            match self {
                Self::F32 => out.push(f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
                Self::F16 => out.push(half(b)),
                Self::Q4_0 => nibbles(&b[2..], 0, |q| (q - 8) as f32 * half(b), out),
                Self::Q4_1 => nibbles(&b[4..], 0, |q| q as f32 * half(b) + half(&b[2..]), out),
                Self::Q5_0 => {
                    nibbles(&b[6..], fifth(&b[2..]), |q| (q - 16) as f32 * half(b), out);
                }
                Self::Q5_1 => {
                    let value = |q| q as f32 * half(b) + half(&b[2..]);
                    nibbles(&b[8..], fifth(&b[4..]), value, out);
                }
                Self::Q8_0 => out.extend(b[2..].iter().map(|&q| f32::from(q as i8) * half(b))),
            }
        }
    }
}

fn fifth(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// The 32 values of a block: low nibbles first, then high ones, with a fifth bit from `high`.
fn nibbles(bytes: &[u8], high: u32, value: impl Fn(i32) -> f32, out: &mut Vec<f32>) {
    let bit = |at: usize| ((high >> at & 1) << 4) as i32;
    out.extend(bytes[..16].iter().enumerate().map(|(j, b)| value(i32::from(b & 15) | bit(j))));
    let upper = bytes[..16].iter().enumerate();
    out.extend(upper.map(|(j, b)| value(i32::from(b >> 4) | bit(j + 16))));
}

/// Where a tensor is in the file, and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GgmlTensor {
    /// Its name, as in `encoder.blocks.0.attn.query.weight`.
    pub name: String,
    /// Its dimensions as PyTorch has them: the last one is contiguous.
    pub shape: Vec<usize>,
    /// How its values are stored.
    pub kind: GgmlType,
    /// Where its values begin in the file.
    pub offset: u64,
    /// How many bytes they take.
    pub bytes: u64,
}

/// A tensor's values, whatever they were stored as.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its dimensions as PyTorch has them: the last one is contiguous.
    pub shape: Vec<usize>,
    /// Its values, row after row.
    pub data: Vec<f32>,
}

/// A ggml Whisper model whose headers were read and checked. Weights stay in the file until asked
/// for with [`Ggml::tensor`].
///
/// ```no_run
/// let model = rushes_models::convert::Ggml::open("ggml-tiny.bin".as_ref())?;
/// let bias = model.tensor("encoder.conv1.bias")?;
/// assert_eq!(bias.shape, [model.shape().audio_state as usize, 1]);
/// # Ok::<(), rushes_models::ModelsError>(())
/// ```
#[derive(Debug)]
pub struct Ggml {
    path: PathBuf,
    file: File,
    shape: WhisperShape,
    mel: MelFilters,
    vocabulary: Vec<Vec<u8>>,
    tensors: Vec<GgmlTensor>,
    by_name: HashMap<String, usize>,
}

impl Ggml {
    /// Reads everything but the weights. A file that is cut, or whose numbers are out of range, is
    /// refused before memory is taken for what it claims.
    pub fn open(path: &Path) -> Result<Self, ModelsError> {
        let mut input = Input::open(path, KIND)?;
        if u32::from_le_bytes(input.array("the magic number")?) != MAGIC {
            return Err(input.refuse("it does not begin with ggml's magic number"));
        }
        let shape = shape(&mut input)?;
        let mel = mel(&mut input, &shape)?;
        let vocabulary = vocabulary(&mut input, &shape)?;
        let tensors = tensors(&mut input)?;
        let by_name: HashMap<_, _> =
            tensors.iter().enumerate().map(|(i, t)| (t.name.clone(), i)).collect();
        if by_name.len() != tensors.len() {
            return Err(input.refuse("two of its tensors have the same name"));
        }
        let file = input.into_file();
        Ok(Self { path: path.into(), file, shape, mel, vocabulary, tensors, by_name })
    }

    /// The hyper-parameters.
    pub fn shape(&self) -> &WhisperShape {
        &self.shape
    }

    /// The mel filters.
    pub fn mel(&self) -> &MelFilters {
        &self.mel
    }

    /// The tokens that the file spells out, by number, as bytes. Special tokens behind them have
    /// no spelling.
    pub fn vocabulary(&self) -> &[Vec<u8>] {
        &self.vocabulary
    }

    /// What tensors there are, in the file's order.
    pub fn tensors(&self) -> &[GgmlTensor] {
        &self.tensors
    }

    /// The dimensions of the tensor `name`, as PyTorch has them.
    ///
    /// # Errors
    /// Where there is no such tensor.
    pub fn shape_of(&self, name: &str) -> Result<&[usize], ModelsError> {
        Ok(&self.find(name)?.shape)
    }

    /// The error of a tensor `name` whose shape does not serve.
    pub fn unfit(&self, name: &str) -> ModelsError {
        self.refuse(format!("the tensor {} has an unexpected shape", shown(name)))
    }

    /// Reads the tensor `name` and decodes its values.
    pub fn tensor(&self, name: &str) -> Result<Tensor, ModelsError> {
        let tensor = self.find(name)?;
        let data = self.decode(tensor, tensor.offset..tensor.offset + tensor.bytes)?;
        Ok(Tensor { shape: tensor.shape.clone(), data })
    }

    /// Reads only the rows `rows` of the tensor `name`: its first dimension.
    ///
    /// # Errors
    /// As [`Ggml::tensor`], and where there are no such rows.
    pub fn rows(&self, name: &str, rows: Range<usize>) -> Result<Tensor, ModelsError> {
        let tensor = self.find(name)?;
        let mut shape = tensor.shape.clone();
        let count = shape.first().copied().unwrap_or(0);
        let (values, bytes) = tensor.kind.block();
        let row = shape.iter().skip(1).product::<usize>();
        if rows.start > rows.end || rows.end > count || !row.is_multiple_of(values) {
            let message = format!("the tensor {} has no rows {rows:?}", shown(name));
            return Err(self.refuse(message));
        }
        let row = (row / values * bytes) as u64;
        let at = |row_at: usize| tensor.offset + row_at as u64 * row;
        let data = self.decode(tensor, at(rows.start)..at(rows.end))?;
        shape[0] = rows.len();
        Ok(Tensor { shape, data })
    }

    fn find(&self, name: &str) -> Result<&GgmlTensor, ModelsError> {
        let found = self.by_name.get(name).and_then(|&i| self.tensors.get(i));
        found.ok_or_else(|| self.refuse(format!("it has no tensor {}", shown(name))))
    }

    /// The values of whole blocks of `tensor` at `place` in the file.
    fn decode(&self, tensor: &GgmlTensor, place: Range<u64>) -> Result<Vec<f32>, ModelsError> {
        let (values, bytes) = tensor.kind.block();
        let length = (place.end - place.start) as usize;
        let mut data = Vec::with_capacity(length / bytes * values);
        // Whole blocks in every piece, of whatever type.
        let mut buffer = vec![0; (bytes << 12).min(length)];
        let mut at = place.start;
        while at < place.end {
            let take = buffer.len().min((place.end - at) as usize);
            self.file.read_exact_at(&mut buffer[..take], at).map_err(|source| ModelsError::Io {
                doing: "read",
                path: self.path.clone(),
                source,
            })?;
            tensor.kind.decode(&buffer[..take], &mut data);
            at += take as u64;
        }
        Ok(data)
    }

    fn refuse(&self, message: impl Into<String>) -> ModelsError {
        super::input::refused(&self.path, KIND, message)
    }
}

/// Checks that the ggml model at `path` can be given to whisper.cpp: magic number, ranges of the
/// hyper-parameters, every tensor inside the file, each there once, and all there with the right
/// shape.
pub fn check_ggml(path: &Path) -> Result<WhisperShape, ModelsError> {
    let model = Ggml::open(path)?;
    let wanted = model.shape.tensors();
    for (name, shape) in &wanted {
        let Some(tensor) = model.by_name.get(name).and_then(|&i| model.tensors.get(i)) else {
            return Err(model.refuse(format!("it has no tensor {name}")));
        };
        if tensor.shape != *shape {
            return Err(model.refuse(format!(
                "the tensor {name} has the shape {:?} where {shape:?} is wanted",
                tensor.shape
            )));
        }
    }
    if let Some(more) = model.tensors.iter().find(|t| !wanted.iter().any(|w| w.0 == t.name)) {
        return Err(model.refuse(format!("it has a tensor {}", shown(&more.name))));
    }
    Ok(model.shape)
}

fn shape(input: &mut Input) -> Result<WhisperShape, ModelsError> {
    let mut next = || Ok(u32::from_le_bytes(input.array("the hyper-parameters")?));
    let shape = WhisperShape {
        vocabulary: next()?,
        audio_context: next()?,
        audio_state: next()?,
        audio_heads: next()?,
        audio_layers: next()?,
        text_context: next()?,
        text_state: next()?,
        text_heads: next()?,
        text_layers: next()?,
        mels: next()?,
        storage: next()?,
    };
    match shape.fault() {
        Some(fault) => Err(input.refuse(fault)),
        None => Ok(shape),
    }
}

fn mel(input: &mut Input, shape: &WhisperShape) -> Result<MelFilters, ModelsError> {
    let (bands, bins) = (input.i32("the mel filters")?, input.i32("the mel filters")?);
    if i64::from(bands) != i64::from(shape.mels) || bins != BINS as i32 {
        let wanted = format!("{} x {BINS}", shape.mels);
        return Err(input.refuse(format!("mel filters of {bands} x {bins}, not {wanted}")));
    }
    let bands = shape.mels as usize;
    let mut values = Vec::with_capacity(bands * BINS);
    for _ in 0..bands * BINS {
        values.push(f32::from_le_bytes(input.array("the mel filters")?));
    }
    if values.iter().any(|v| !v.is_finite()) {
        return Err(input.refuse("its mel filters are not finite"));
    }
    Ok(MelFilters { bands, bins: BINS, values })
}

fn vocabulary(input: &mut Input, shape: &WhisperShape) -> Result<Vec<Vec<u8>>, ModelsError> {
    let count = input.i32("the vocabulary")?;
    // Tokens past the model's own would index past its logits.
    if count < 1 || i64::from(count) > i64::from(shape.vocabulary) {
        let most = shape.vocabulary;
        return Err(input.refuse(format!("a vocabulary of {count} tokens, not 1 to {most}")));
    }
    let mut all = Vec::new();
    for _ in 0..count {
        let length = u32::from_le_bytes(input.array("a token")?);
        all.push(input.bytes(length.into(), MOST_TOKEN, "a token")?);
    }
    Ok(all)
}

fn tensors(input: &mut Input) -> Result<Vec<GgmlTensor>, ModelsError> {
    let mut all = Vec::new();
    while input.left() > 0 {
        if all.len() == MOST_TENSORS {
            return Err(input.refuse(format!("it has more than {MOST_TENSORS} tensors")));
        }
        all.push(tensor(input)?);
    }
    Ok(all)
}

fn tensor(input: &mut Input) -> Result<GgmlTensor, ModelsError> {
    let what = "the header of a tensor";
    let (rank, length, kind) = (input.i32(what)?, input.i32(what)?, input.i32(what)?);
    if !(1..=4).contains(&rank) {
        return Err(input.refuse(format!("a tensor has {rank} dimensions, not 1 to 4")));
    }
    let Some(kind) = GgmlType::of(kind) else {
        return Err(input.refuse(format!("a tensor is stored as type {kind}, which is not known")));
    };
    let mut shape = Vec::with_capacity(4);
    for _ in 0..rank {
        let dim = input.i32(what)?;
        if dim < 1 {
            return Err(input.refuse(format!("a tensor has a dimension of {dim}")));
        }
        shape.push(dim as usize);
    }
    let (values, bytes) = kind.block();
    let row = shape[0];
    // The file has the contiguous dimension first.
    shape.reverse();
    let name = input.bytes(length as u32 as u64, MOST_NAME, "the name of a tensor")?;
    let Ok(name) = String::from_utf8(name) else {
        return Err(input.refuse("the name of a tensor is not text"));
    };
    if row % values != 0 {
        return Err(input.refuse(format!(
            "the rows of {} cannot be divided into blocks of {values}",
            shown(&name)
        )));
    }
    let count = shape.iter().try_fold(1u64, |n, &dim| n.checked_mul(dim as u64));
    let Some(bytes) = count.and_then(|n| (n / values as u64).checked_mul(bytes as u64)) else {
        return Err(input.refuse(format!("the tensor {} is too large", shown(&name))));
    };
    let offset = input.at();
    input.skip(bytes, &format!("the tensor {}", shown(&name)))?;
    Ok(GgmlTensor { name, shape, kind, offset, bytes })
}

#[cfg(test)]
mod tests;
