//! Whisper as int8 ONNX, the way Transformers.js exports it, into whisper.cpp's ggml with f16
//! weights.
//!
//! Three kinds of weights stand in the two graphs: floats under their Hugging Face names, int8
//! under such a name with `_quantized` behind, and transposed int8 matrices under numbers, which
//! are known by the node that multiplies with them. An int8 weight is `(q - zero point) * scale`.

use super::Converting;
use super::ggml::{MAGIC, WhisperShape, check_ggml};
use super::input::{Input, shown};
use super::mel::mel_filters;
use super::onnx::{FLOAT, Found, INT8, OnnxTensor, UINT8, walk};
use super::output::Output;
use crate::error::ModelsError;
use half::f16;
use serde::Deserialize;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::Path;

const MOST_CONFIG: u64 = 1 << 20;
const MOST_VOCABULARY: u64 = 4 << 20;
/// The largest has 1259.
const MOST_WEIGHTS: usize = 1 << 14;
/// Values that are converted at a time.
const STEP: usize = 1 << 14;
/// ggml's number for f16 weights.
const F16: u32 = 1;

/// What the parts of a block are called: in the graphs, and in ggml.
const PARTS: [(&str, &str); 13] = [
    ("self_attn.k_proj", "attn.key"),
    ("self_attn.q_proj", "attn.query"),
    ("self_attn.v_proj", "attn.value"),
    ("self_attn.out_proj", "attn.out"),
    ("self_attn_layer_norm", "attn_ln"),
    ("encoder_attn.k_proj", "cross_attn.key"),
    ("encoder_attn.q_proj", "cross_attn.query"),
    ("encoder_attn.v_proj", "cross_attn.value"),
    ("encoder_attn.out_proj", "cross_attn.out"),
    ("encoder_attn_layer_norm", "cross_attn_ln"),
    ("fc1", "mlp.0"),
    ("fc2", "mlp.2"),
    ("final_layer_norm", "mlp_ln"),
];

/// Writes the Whisper model whose int8 ONNX graphs are `encoder` and `decoder` as a ggml model at
/// `out`, for whisper.cpp. `config` is the `config.json` and `vocabulary` the `vocab.json` beside
/// them.
///
/// The weights keep the error that int8 brought: whoever reports on them names them `-q8`. The
/// file at `out` appears only when it is whole; `progress` can end the work with
/// [`ControlFlow::Break`], which leaves nothing behind.
pub fn whisper_ggml(
    encoder: &Path,
    decoder: &Path,
    config: &Path,
    vocabulary: &Path,
    out: &Path,
    mut progress: impl FnMut(Converting) -> ControlFlow<()>,
) -> Result<WhisperShape, ModelsError> {
    let shape = read_config(config)?;
    let tokens = read_vocabulary(vocabulary, &shape)?;
    let mut sides = [read_graph(encoder, "encoder")?, read_graph(decoder, "decoder")?];
    let wanted = shape.tensors();
    let total = agree(&sides, &wanted)?;

    let mut output = Output::create(out)?;
    output.write(&MAGIC.to_le_bytes())?;
    for field in shape.fields() {
        output.write(&field.to_le_bytes())?;
    }
    let mel = mel_filters(shape.mels as usize);
    output.write(&(mel.bands as u32).to_le_bytes())?;
    output.write(&(mel.bins as u32).to_le_bytes())?;
    for value in mel.values {
        output.write(&value.to_le_bytes())?;
    }
    output.write(&(tokens.len() as u32).to_le_bytes())?;
    for token in tokens {
        output.write(&(token.len() as u32).to_le_bytes())?;
        output.write(&token)?;
    }
    let wanted: HashMap<_, _> = wanted.into_iter().collect();
    let mut done = 0;
    for Side { input, weights, .. } in &mut sides {
        for weight in weights {
            // `agree` saw that each is wanted.
            let Some(dims) = wanted.get(&weight.name) else { continue };
            let half = is_half(&weight.name, dims);
            write_header(&mut output, &weight.name, dims, half)?;
            weight.values.each(input, &mut |values| {
                for &value in values {
                    if half {
                        output.write(&f16::from_f32(value).to_le_bytes())?;
                    } else {
                        output.write(&value.to_le_bytes())?;
                    }
                }
                done += (values.len() * if half { 2 } else { 4 }) as u64;
                match progress(Converting { done, total }) {
                    ControlFlow::Continue(()) => Ok(()),
                    ControlFlow::Break(()) => Err(ModelsError::Cancelled),
                }
            })?;
        }
    }
    output.publish(|written| check_ggml(written).map(|_| ()))?;
    Ok(shape)
}

/// What whisper.cpp wants as f16: all but vectors, the bias of a convolution, and positions.
fn is_half(name: &str, dims: &[usize]) -> bool {
    let conv_bias = name.starts_with("encoder.conv") && name.ends_with(".bias");
    dims.len() > 1 && !conv_bias && !name.ends_with(".positional_embedding")
}

fn write_header(
    output: &mut Output,
    name: &str,
    dims: &[usize],
    half: bool,
) -> Result<(), ModelsError> {
    for number in [dims.len() as u32, name.len() as u32, u32::from(half)] {
        output.write(&number.to_le_bytes())?;
    }
    for &dim in dims.iter().rev() {
        output.write(&(dim as u32).to_le_bytes())?;
    }
    output.write(name.as_bytes())
}

/// Checks that the graphs hold what is `wanted`, and gives the bytes that it will take.
fn agree(sides: &[Side; 2], wanted: &[(String, Vec<usize>)]) -> Result<u64, ModelsError> {
    let mut total = 0;
    for (name, dims) in wanted {
        let side = &sides[usize::from(name.starts_with("decoder."))];
        let Some(&at) = side.by_name.get(name) else {
            return Err(side.input.refuse(format!("it has no weights for {name}")));
        };
        let mut got = side.weights[at].values.dims();
        if got.len() == 1 && dims.len() == 2 && dims[1] == 1 {
            got.push(1);
        }
        if got != *dims {
            return Err(side.input.refuse(format!(
                "the weights for {name} have the dimensions {got:?} where {dims:?} are wanted"
            )));
        }
        let size = if is_half(name, dims) { 2 } else { 4 };
        total += size * dims.iter().product::<usize>() as u64;
    }
    Ok(total)
}

#[derive(Deserialize)]
struct Config {
    vocab_size: u32,
    max_source_positions: u32,
    d_model: u32,
    encoder_attention_heads: u32,
    encoder_layers: u32,
    max_target_positions: u32,
    decoder_attention_heads: u32,
    decoder_layers: u32,
    num_mel_bins: u32,
}

fn read_config(path: &Path) -> Result<WhisperShape, ModelsError> {
    let mut input = Input::open(path, "the configuration of a Whisper model")?;
    let text = input.bytes(input.len(), MOST_CONFIG, "the file")?;
    let config: Config =
        serde_json::from_slice(&text).map_err(|e| input.refuse(shown(&e.to_string())))?;
    let shape = WhisperShape {
        vocabulary: config.vocab_size,
        audio_context: config.max_source_positions,
        audio_state: config.d_model,
        audio_heads: config.encoder_attention_heads,
        audio_layers: config.encoder_layers,
        text_context: config.max_target_positions,
        text_state: config.d_model,
        text_heads: config.decoder_attention_heads,
        text_layers: config.decoder_layers,
        mels: config.num_mel_bins,
        storage: F16,
    };
    match shape.fault() {
        Some(fault) => Err(input.refuse(fault)),
        None => Ok(shape),
    }
}

/// The tokens as bytes, by number. Those that the file leaves out, whisper.cpp names itself.
fn read_vocabulary(path: &Path, shape: &WhisperShape) -> Result<Vec<Vec<u8>>, ModelsError> {
    let mut input = Input::open(path, "the vocabulary of a Whisper model")?;
    let text = input.bytes(input.len(), MOST_VOCABULARY, "the file")?;
    let tokens: HashMap<String, u32> =
        serde_json::from_slice(&text).map_err(|e| input.refuse(shown(&e.to_string())))?;
    if tokens.is_empty() || tokens.len() > shape.vocabulary as usize {
        let most = shape.vocabulary;
        return Err(input.refuse(format!("it has {} tokens, not 1 to {most}", tokens.len())));
    }
    let letters = letters();
    let mut all = vec![None; tokens.len()];
    for (token, number) in tokens {
        let bytes: Option<Vec<u8>> = token.chars().map(|c| letters.get(&c).copied()).collect();
        let Some(bytes) = bytes else {
            let token = shown(&token);
            return Err(input.refuse(format!("the token {token} is not in GPT-2's letters")));
        };
        match all.get_mut(number as usize) {
            Some(place @ None) => *place = Some(bytes),
            _ => {
                return Err(input.refuse(format!("the number {number} is doubled or leaves a gap")));
            }
        }
    }
    // As many as places, none doubled: all are filled.
    Ok(all.into_iter().flatten().collect())
}

/// GPT-2 writes each byte as a letter: printable ones as themselves, the rest from U+0100 on.
fn letters() -> HashMap<char, u8> {
    let mut next = 256;
    let mut letter = |byte: u8| {
        let code = match byte {
            33..=126 | 161..=172 | 174..=255 => u32::from(byte),
            _ => {
                next += 1;
                next - 1
            }
        };
        char::from_u32(code).map(|letter| (letter, byte))
    };
    (0..=255).filter_map(&mut letter).collect()
}

/// One of the two graphs: the weights that ggml has a name for, in the graph's order.
struct Side {
    input: Input,
    weights: Vec<Weight>,
    by_name: HashMap<String, usize>,
}

struct Weight {
    name: String,
    values: Values,
}

enum Values {
    Plain(OnnxTensor),
    Quantised { tensor: OnnxTensor, scale: Vec<f32>, zero: Vec<f32>, transposed: bool },
}

fn read_graph(path: &Path, side: &str) -> Result<Side, ModelsError> {
    let mut tensors: Vec<(String, OnnxTensor)> = Vec::new();
    let mut by_name = HashMap::new();
    let mut products = Vec::new();
    let mut twice = None;
    let mut input = walk(path, &mut |found| {
        match found {
            Found::Weight(name, tensor) if tensors.len() < MOST_WEIGHTS => {
                if by_name.insert(name.clone(), tensors.len()).is_some() {
                    twice = Some(name.clone());
                }
                tensors.push((name, tensor));
            }
            Found::Node { name, operator, second }
                if operator == "MatMulInteger" && products.len() < MOST_WEIGHTS =>
            {
                products.push((name, second));
            }
            _ => {}
        }
        Ok(())
    })?;
    if let Some(name) = twice {
        return Err(input.refuse(format!("two of its weights are named {}", shown(&name))));
    }
    let find = |name: &str| by_name.get(name).map(|&i: &usize| &tensors[i].1);

    let mut weights: Vec<Weight> = Vec::new();
    let mut placed = HashMap::new();
    let mut add = |name: String, values: Values| {
        if let Some(name) = ggml_name(&name)
            && !placed.contains_key(&name)
        {
            placed.insert(name.clone(), weights.len());
            weights.push(Weight { name, values });
        }
    };
    for (name, tensor) in &tensors {
        let (stem, quantised) = match name.strip_suffix("_quantized") {
            Some(stem) => (stem, true),
            None => (name.as_str(), false),
        };
        let plain = unmerged(stem);
        if !plain.ends_with("weight") && !plain.ends_with("bias") {
            continue;
        }
        let name = hugging_face_name(plain, side);
        if quantised {
            add(name, dequantised(&mut input, &find, stem, tensor, false)?);
        } else if tensor.kind == FLOAT {
            add(name, Values::Plain(tensor.clone()));
        }
    }
    for (node, second) in products {
        if let (Some(tensor), Some(name)) = (find(&second), multiplied(&node, side)) {
            let stem = second.strip_suffix("_quantized").unwrap_or(&second);
            add(name, dequantised(&mut input, &find, stem, tensor, true)?);
        }
    }
    Ok(Side { input, weights, by_name: placed })
}

/// `name` without the `_merged_0` that joining two decoders put behind it.
fn unmerged(name: &str) -> &str {
    match name.rsplit_once("_merged_") {
        Some((stem, digits)) if digits.bytes().all(|b| b.is_ascii_digit()) => stem,
        _ => name,
    }
}

fn hugging_face_name(name: &str, side: &str) -> String {
    let name = name.strip_prefix("model.").unwrap_or(name);
    if name.starts_with("encoder.") || name.starts_with("decoder.") {
        name.into()
    } else {
        format!("{side}.{name}")
    }
}

/// The weight that `node` multiplies with: `/model/decoder/layers.0/fc1/MatMul_quant` has
/// `decoder.layers.0.fc1.weight`.
fn multiplied(node: &str, side: &str) -> Option<String> {
    let (_, rest) = node.split_once("layers.")?;
    let (layer, rest) = rest.split_once('/')?;
    let (part, _) = rest.rsplit_once("/MatMul")?;
    Some(format!("{side}.layers.{layer}.{}.weight", part.replace('/', ".")))
}

/// What ggml calls the weight that Hugging Face calls `name`.
fn ggml_name(name: &str) -> Option<String> {
    let (side, rest) = name.split_once('.')?;
    if let Some(rest) = rest.strip_prefix("layers.") {
        let (layer, rest) = rest.split_once('.')?;
        let (part, last) = rest.rsplit_once('.')?;
        let part = PARTS.iter().find(|p| p.0 == part)?.1;
        return Some(format!("{side}.blocks.{layer}.{part}.{last}"));
    }
    Some(match (side, rest) {
        ("encoder", "conv1.weight" | "conv1.bias" | "conv2.weight" | "conv2.bias") => name.into(),
        ("encoder", "layer_norm.weight") => "encoder.ln_post.weight".into(),
        ("encoder", "layer_norm.bias") => "encoder.ln_post.bias".into(),
        ("decoder", "layer_norm.weight") => "decoder.ln.weight".into(),
        ("decoder", "layer_norm.bias") => "decoder.ln.bias".into(),
        (_, "embed_positions.weight") => format!("{side}.positional_embedding"),
        ("decoder", "embed_tokens.weight") => "decoder.token_embedding.weight".into(),
        _ => return None,
    })
}

fn dequantised<'a>(
    input: &mut Input,
    find: &impl Fn(&str) -> Option<&'a OnnxTensor>,
    stem: &str,
    tensor: &OnnxTensor,
    transposed: bool,
) -> Result<Values, ModelsError> {
    let channels = tensor.dims.last().copied().unwrap_or(1);
    let mut part = |what: &str| {
        let name = format!("{stem}_{what}");
        let Some(part) = find(&name) else {
            return Err(input.refuse(format!("it has no {}", shown(&name))));
        };
        // For the whole tensor, or for each column.
        if part.dims.len() > 1 || (part.count() != 1 && part.count() != channels) {
            let (name, dims) = (shown(&name), &part.dims);
            return Err(input.refuse(format!("{name} has the dimensions {dims:?}")));
        }
        part.values(input)
    };
    let (scale, zero) = (part("scale")?, part("zero_point")?);
    if !matches!(tensor.kind, UINT8 | INT8) || (transposed && tensor.dims.len() != 2) {
        let (kind, dims) = (tensor.kind, &tensor.dims);
        let stem = shown(stem);
        return Err(input.refuse(format!("{stem} is of type {kind} with dimensions {dims:?}")));
    }
    Ok(Values::Quantised { tensor: tensor.clone(), scale, zero, transposed })
}

impl Values {
    /// The dimensions as written.
    fn dims(&self) -> Vec<usize> {
        match self {
            Self::Plain(tensor) => tensor.dims.clone(),
            Self::Quantised { tensor, transposed, .. } => {
                let mut dims = tensor.dims.clone();
                if *transposed {
                    dims.reverse();
                }
                dims
            }
        }
    }

    /// Hands the values, row after row, to `take`.
    fn each(
        &self,
        input: &mut Input,
        take: &mut dyn FnMut(&[f32]) -> Result<(), ModelsError>,
    ) -> Result<(), ModelsError> {
        let what = "the data of a weight";
        let (Self::Plain(tensor) | Self::Quantised { tensor, .. }) = self;
        let Some(at) = tensor.raw() else {
            let values = tensor.values(input)?;
            return match self {
                Self::Plain(_) => take(&values),
                Self::Quantised { .. } => Err(input.refuse(format!("{what} is not raw"))),
            };
        };
        input.seek(at)?;
        let count = tensor.count();
        let mut values = Vec::with_capacity(STEP.min(count));
        match self {
            Self::Plain(_) => {
                let mut bytes = vec![0; 4 * STEP.min(count)];
                for from in (0..count).step_by(STEP) {
                    let bytes = &mut bytes[..4 * STEP.min(count - from)];
                    input.fill(bytes, what)?;
                    values.clear();
                    let floats = bytes.chunks_exact(4);
                    values.extend(floats.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
                    take(&values)?;
                }
            }
            Self::Quantised { tensor, scale, zero, transposed } => {
                let columns = tensor.dims.last().copied().unwrap_or(1);
                let signed = tensor.kind == INT8;
                let value = |byte: u8, column: usize| {
                    let q = if signed { f32::from(byte as i8) } else { f32::from(byte) };
                    (q - zero[column.min(zero.len() - 1)]) * scale[column.min(scale.len() - 1)]
                };
                // A matrix of the largest model has 6.5 MB, and is in the file as that.
                let piece = if *transposed { count } else { STEP.min(count) };
                let mut bytes = vec![0; piece];
                let mut from = 0;
                while from < count {
                    let bytes = &mut bytes[..piece.min(count - from)];
                    input.fill(bytes, what)?;
                    if *transposed {
                        for column in 0..columns {
                            values.clear();
                            let down = bytes.iter().skip(column).step_by(columns);
                            values.extend(down.map(|&byte| value(byte, column)));
                            take(&values)?;
                        }
                    } else {
                        values.clear();
                        let cells = bytes.iter().enumerate();
                        values.extend(cells.map(|(i, &byte)| value(byte, (from + i) % columns)));
                        take(&values)?;
                    }
                    from += bytes.len();
                }
            }
        }
        Ok(())
    }
}
