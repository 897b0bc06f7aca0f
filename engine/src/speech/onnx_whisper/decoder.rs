//! Whisper's decoder: one token for each row of a batch at a time, earlier ones remembered.

use super::encoder::Heard;
use super::weights::Net;
use crate::onnx::Built;
use crate::onnx::graph::{CONTRIB, Dim};
use ort::editor::ONNX_DOMAIN;
use ort::operator::Attribute;
use ort::session::builder::SessionBuilder;
use ort::session::{RunOptions, Session, SessionInputValue};
use ort::value::{DynTensor, DynValue, Tensor, TensorElementType};
use rushes_models::convert::{Ggml, WhisperShape};
use std::borrow::Cow;

/// Positions of silence behind the sound that the decoder looks at, 14 s: it needs some to know
/// that the sound is over (with tiny and 8 s as many errors, with 4 s half as many again).
const SILENCE_SEEN: usize = 700;

pub(super) struct Decoder {
    session: Session,
    shape: WhisperShape,
}

/// What a batch of hypotheses remembers: rows that go on in step.
pub(super) struct Memory {
    /// What was heard: for each block keys and values, `[rows, heads, positions, size]`.
    cross: Vec<DynTensor>,
    /// What was written: the same, `[rows, heads, written, size]`.
    own: Vec<DynTensor>,
    /// Tokens written.
    pub(super) written: usize,
    rows: usize,
}

impl Decoder {
    pub(super) fn new(model: &Ggml, options: &SessionBuilder) -> Built<Self> {
        let shape = *model.shape();
        let heads = shape.text_heads as usize;
        let mut net = Net::new(model)?;
        let embedding = model.tensor("decoder.token_embedding.weight")?;
        let mut x = begin(&mut net)?;
        net.graph.input("at", TensorElementType::Int64, &[Dim::Named("asked")]);
        for block in 0..shape.text_layers {
            let name = format!("decoder.blocks.{block}");
            x = remember(&mut net, &x, &name, block)?;
            let (query, key, value) = cross_query(&mut net, &x, &name, block)?;
            let heard = net.attention(&query, &key, &value, heads)?;
            let heard = net.linear(&heard, &[&format!("{name}.cross_attn.out")])?;
            x = net.graph.plain("Add", &[&heard, &x])?;
            x = net.feed_forward(&x, &name)?;
        }
        let axis = [Attribute::new("axis", 1_i64)?];
        x = net.graph.op(ONNX_DOMAIN, "Gather", &[&x, "at"], axis)?;
        x = net.layer_norm(&x, "decoder.ln")?;
        // The same matrix as the embedding's, transposed for the product.
        let (tokens, state) = (embedding.shape[0], embedding.shape[1]);
        let mut data = vec![0.0; tokens * state];
        for (token, row) in embedding.data.chunks_exact(state).enumerate() {
            for (i, value) in row.iter().enumerate() {
                data[i * tokens + token] = *value;
            }
        }
        drop(embedding);
        let weight = net.graph.floats(&[state, tokens], &data)?;
        drop(data);
        let logits = net.graph.plain("MatMul", &[&x, &weight])?;
        let dims = [Dim::Named("batch"), Dim::Named("asked"), Dim::Fixed(tokens)];
        net.graph.output(&logits, "logits", &dims)?;
        Ok(Self { session: net.graph.finish(options)?, shape })
    }

    /// Tokens that fit behind a prompt of `prompt`.
    pub(super) fn room(&self, prompt: usize) -> usize {
        (self.shape.text_context as usize).saturating_sub(prompt + 1)
    }

    /// The memory of rows that have heard `heard` and written nothing.
    pub(super) fn begin(&self, heard: &[&Heard]) -> ort::Result<Memory> {
        let heads = self.shape.text_heads as usize;
        let size = self.shape.text_state as usize / heads.max(1);
        let context = self.shape.audio_context as usize;
        let longest = heard.iter().map(|h| h.positions).max().unwrap_or(0);
        let seen = (longest + SILENCE_SEEN).min(context);
        let values = self.shape.text_layers as usize * 2;
        let rows = heard.len();
        let mut cross = Vec::with_capacity(values);
        for at in 0..values {
            cross.push(stack(
                heard.iter().map(|h| h.cross[at].as_slice()),
                [heads, context, size],
                seen,
            )?);
        }
        let own = (0..values)
            .map(|_| Ok(Tensor::from_array(([rows, heads, 0, size], Vec::<f32>::new()))?.upcast()))
            .collect::<ort::Result<_>>()?;
        Ok(Memory { cross, own, written: 0, rows })
    }

    /// Writes `tokens`, as many for each row, and gives the logits at the positions `at` of them:
    /// row by row, position by position.
    pub(super) fn write(
        &mut self,
        memory: &mut Memory,
        tokens: &[i64],
        at: &[i64],
        run: &RunOptions,
    ) -> ort::Result<Vec<f32>> {
        let each = tokens.len() / memory.rows.max(1);
        let positions = (memory.written as i64..).take(each).collect::<Vec<_>>();
        let mut inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = vec![
            ("tokens".into(), Tensor::from_array(([memory.rows, each], tokens.to_vec()))?.into()),
            ("positions".into(), Tensor::from_array(([each], positions))?.into()),
            ("at".into(), Tensor::from_array(([at.len()], at.to_vec()))?.into()),
        ];
        for (block, pair) in memory.own.chunks_exact(2).enumerate() {
            inputs.push((format!("pastk{block}").into(), (&pair[0]).into()));
            inputs.push((format!("pastv{block}").into(), (&pair[1]).into()));
        }
        for (block, pair) in memory.cross.chunks_exact(2).enumerate() {
            inputs.push((format!("crossk{block}").into(), (&pair[0]).into()));
            inputs.push((format!("crossv{block}").into(), (&pair[1]).into()));
        }
        let mut outputs = self.session.run_with_options(inputs, run)?;
        let mut take = |name: &str| -> ort::Result<DynValue> {
            outputs.remove(name).ok_or_else(|| ort::Error::new(format!("no output {name}")))
        };
        let logits = take("logits")?.try_extract_tensor::<f32>()?.1.to_vec();
        let mut own = Vec::with_capacity(memory.own.len());
        for block in 0..self.shape.text_layers {
            for letter in ['k', 'v'] {
                own.push(take(&format!("own{letter}{block}"))?.downcast()?);
            }
        }
        memory.own = own;
        memory.written += each;
        Ok(logits)
    }
}

impl Memory {
    /// Goes on with these rows, in this order, some perhaps more than once.
    pub(super) fn keep(&mut self, rows: &[usize]) -> ort::Result<()> {
        if rows.len() == self.rows && rows.iter().enumerate().all(|(i, row)| i == *row) {
            return Ok(());
        }
        // Beams of one chunk have heard the same: reordering them leaves that as it is.
        for value in self.cross.iter_mut().chain(&mut self.own) {
            let (shape, data) = value.try_extract_tensor::<f32>()?;
            let shape: Vec<usize> = shape.iter().map(|&n| n as usize).collect();
            let row = shape[1..].iter().product::<usize>();
            let mut kept = Vec::with_capacity(row * rows.len());
            for at in rows {
                kept.extend_from_slice(&data[at * row..(at + 1) * row]);
            }
            let dims = [rows.len(), shape[1], shape[2], shape[3]];
            *value = Tensor::from_array((dims, kept))?.upcast();
        }
        self.rows = rows.len();
        Ok(())
    }
}

/// The first `seen` positions of rows of `[heads, context, size]` as one
/// `[rows, heads, seen, size]`.
fn stack<'a>(
    rows: impl ExactSizeIterator<Item = &'a [f32]>,
    [heads, context, size]: [usize; 3],
    seen: usize,
) -> ort::Result<DynTensor> {
    let count = rows.len();
    let mut data = Vec::with_capacity(count * heads * seen * size);
    for head in rows.flat_map(|row| row.chunks_exact(context * size)) {
        data.extend_from_slice(&head[..seen * size]);
    }
    Ok(Tensor::from_array(([count, heads, seen, size], data))?.upcast())
}

/// The inputs, and the tokens' embeddings with their positions'.
pub(super) fn begin(net: &mut Net<'_>) -> Built<String> {
    let integer = TensorElementType::Int64;
    net.graph.input("tokens", integer, &[Dim::Named("batch"), Dim::Named("length")]);
    net.graph.input("positions", integer, &[Dim::Named("length")]);
    let embedding = net.weight("decoder.token_embedding.weight")?;
    let x = net.graph.plain("Gather", &[&embedding, "tokens"])?;
    let positions = net.weight("decoder.positional_embedding")?;
    let positions = net.graph.plain("Gather", &[&positions, "positions"])?;
    Ok(net.graph.plain("Add", &[&x, &positions])?)
}

/// Attention over what was written, which is remembered.
fn remember(net: &mut Net<'_>, x: &str, name: &str, block: u32) -> Built<String> {
    let shape = *net.model.shape();
    let heads = shape.text_heads as usize;
    let size = shape.text_state as usize / heads.max(1);
    let dims =
        |length| [Dim::Named("batch"), Dim::Fixed(heads), Dim::Named(length), Dim::Fixed(size)];
    let normed = net.layer_norm(x, &format!("{name}.attn_ln"))?;
    let [query, key, value] = net.query_key_value(&normed, &format!("{name}.attn"))?;
    let past = [format!("pastk{block}"), format!("pastv{block}")];
    for name in &past {
        net.graph.input(name, TensorElementType::Float32, &dims("past"));
    }
    let inputs = [&query, &key, &value, "", "", "", &past[0], &past[1]];
    let attributes =
        [Attribute::new("num_heads", heads as i64)?, Attribute::new("unidirectional", 1_i64)?];
    let made = net.graph.op_many(CONTRIB, "MultiHeadAttention", &inputs, 3, attributes)?;
    for (value, letter) in made[1..].iter().zip(['k', 'v']) {
        net.graph.output(value, &format!("own{letter}{block}"), &dims("written"))?;
    }
    let own = net.linear(&made[0], &[&format!("{name}.attn.out")])?;
    Ok(net.graph.plain("Add", &[&own, x])?)
}

/// What block `block` asks of what was heard, and the inputs that answer.
pub(super) fn cross_query(
    net: &mut Net<'_>,
    x: &str,
    name: &str,
    block: u32,
) -> Built<(String, String, String)> {
    let shape = *net.model.shape();
    let heads = shape.text_heads as usize;
    let size = shape.text_state as usize / heads.max(1);
    let normed = net.layer_norm(x, &format!("{name}.cross_attn_ln"))?;
    let query = net.linear(&normed, &[&format!("{name}.cross_attn.query")])?;
    let heard = [format!("crossk{block}"), format!("crossv{block}")];
    let dims = [Dim::Named("batch"), Dim::Fixed(heads), Dim::Named("heard"), Dim::Fixed(size)];
    for name in &heard {
        net.graph.input(name, TensorElementType::Float32, &dims);
    }
    let [key, value] = heard;
    Ok((query, key, value))
}
