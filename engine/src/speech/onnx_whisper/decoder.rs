//! Whisper's decoder: one token for each row of a batch at a time, earlier ones remembered.

use super::cross::{Listening, Rows};
use super::int8::After;
use super::runs::Runs;
use super::weights::Net;
use crate::onnx::Built;
use crate::onnx::graph::{CONTRIB, Dim, OWN};
use ort::editor::ONNX_DOMAIN;
use ort::operator::Attribute;
use ort::session::builder::SessionBuilder;
use ort::session::{Session, SessionInputValue};
use ort::value::{DynTensor, DynValue, Tensor, TensorElementType};
use rushes_models::convert::{Ggml, WhisperShape};
use std::borrow::Cow;
use std::sync::Arc;

pub(super) struct Decoder {
    session: Session,
    listening: Listening,
    embedding: Embedding,
    shape: WhisperShape,
}

/// What a batch of hypotheses remembers: rows that go on in step.
pub(super) struct Memory {
    heard: Rows,
    /// What was written: for each block keys and values, `[rows, heads, written, size]`.
    own: Vec<DynTensor>,
    /// Tokens written.
    pub(super) written: usize,
}

impl Decoder {
    pub(super) fn new(
        model: &Ggml,
        embedding: &Embedding,
        options: &SessionBuilder,
    ) -> Built<Self> {
        let shape = *model.shape();
        let mut net = Net::new(model)?;
        let mut x = begin(&mut net);
        net.graph.input("at", TensorElementType::Int64, &[Dim::Named("asked")]);
        for block in 0..shape.text_layers {
            let name = format!("decoder.blocks.{block}");
            x = remember(&mut net, &x, &name, block)?;
            let query = cross_query(&mut net, &x, &name)?;
            x = listen(&mut net, &x, &query, &name, block)?;
            x = net.feed_forward(&x, &name)?;
        }
        let axis = [Attribute::new("axis", 1_i64)?];
        x = net.graph.op(ONNX_DOMAIN, "Gather", &[&x, "at"], axis)?;
        x = net.layer_norm(&x, "decoder.ln")?;
        // The same matrix as the embedding's.
        let tokens = shape.vocabulary as usize;
        let bound = net.bound(After::Norm("decoder.ln"))?;
        let logits = net.product_in_bytes(&x, &["decoder.token_embedding"], &bound)?;
        let dims = [Dim::Named("batch"), Dim::Named("asked"), Dim::Fixed(tokens)];
        net.graph.output(&logits, "logits", &dims)?;
        let listening = Listening::default();
        let session = net.graph.finish_with(options, listening.operators()?)?;
        Ok(Self { session, listening, embedding: embedding.clone(), shape })
    }

    /// Tokens that fit behind a prompt of `prompt`.
    pub(super) fn room(&self, prompt: usize) -> usize {
        (self.shape.text_context as usize).saturating_sub(prompt + 1)
    }

    /// The memory of rows that have heard `heard` and written nothing.
    pub(super) fn begin(&self, heard: Rows) -> ort::Result<Memory> {
        let heads = self.shape.text_heads as usize;
        let size = self.shape.text_state as usize / heads.max(1);
        let values = self.shape.text_layers as usize * 2;
        let nothing = || Tensor::from_array(([heard.len(), heads, 0, size], Vec::<f32>::new()));
        let own = (0..values).map(|_| Ok(nothing()?.upcast())).collect::<ort::Result<_>>()?;
        Ok(Memory { heard, own, written: 0 })
    }

    /// Writes `tokens`, as many for each row, and gives the logits at the positions `at` of them:
    /// row by row, position by position.
    pub(super) fn write(
        &mut self,
        memory: &mut Memory,
        tokens: &[i64],
        at: &[i64],
        runs: &Runs<'_>,
    ) -> ort::Result<DynValue> {
        let rows = memory.heard.len();
        let each = tokens.len() / rows.max(1);
        let tokens = self.embedding.of(tokens, rows, memory.written)?;
        let mut inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = vec![
            ("tokens".into(), tokens.into()),
            ("at".into(), Tensor::from_array(([at.len()], at.to_vec()))?.into()),
        ];
        for (block, pair) in memory.own.chunks_exact(2).enumerate() {
            inputs.push((format!("pastk{block}").into(), (&pair[0]).into()));
            inputs.push((format!("pastv{block}").into(), (&pair[1]).into()));
        }
        let Self { session, listening, .. } = self;
        let mut outputs = listening
            .to(&memory.heard, runs, || session.run_with_options(inputs, &runs.decoder))?;
        let mut take = |name: &str| -> ort::Result<DynValue> {
            outputs.remove(name).ok_or_else(|| ort::Error::new(format!("no output {name}")))
        };
        let logits = take("logits")?;
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
        if rows.len() == self.heard.len() && rows.iter().enumerate().all(|(i, row)| i == *row) {
            return Ok(());
        }
        for value in &mut self.own {
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
        self.heard = rows.iter().map(|row| self.heard[*row].clone()).collect();
        Ok(())
    }
}

/// What the decoder is told: tokens as vectors, which are read from the model's file when they are
/// needed. The whole table is half of tiny's weights, and a text is written with few rows of it.
#[derive(Clone)]
pub(super) struct Embedding {
    model: Arc<Ggml>,
    positions: Arc<Vec<f32>>,
}

impl Embedding {
    pub(super) fn new(model: Arc<Ggml>) -> Built<Self> {
        let positions = Arc::new(model.tensor("decoder.positional_embedding")?.data);
        Ok(Self { model, positions })
    }

    /// `rows` texts of `tokens` each, all beginning at position `from`: `[rows, length, state]`.
    pub(super) fn of(&self, tokens: &[i64], rows: usize, from: usize) -> ort::Result<DynTensor> {
        let state = self.model.shape().text_state as usize;
        let length = tokens.len() / rows.max(1);
        let mut data = Vec::with_capacity(tokens.len() * state);
        for (at, token) in tokens.iter().enumerate() {
            let token = *token as usize;
            let row = self
                .model
                .rows("decoder.token_embedding.weight", token..token + 1)
                .map_err(|error| ort::Error::new(error.to_string()))?;
            let position = (from + at % length.max(1)) * state;
            let position = self.positions.get(position..position + state);
            let position = position.ok_or_else(|| ort::Error::new("a text is too long"))?;
            data.extend(row.data.iter().zip(position).map(|(a, b)| a + b));
        }
        Ok(Tensor::from_array(([rows, length, state], data))?.upcast())
    }
}

/// The input: tokens as [`Embedding::of`] gives them.
pub(super) fn begin(net: &mut Net<'_>) -> String {
    let state = Dim::Fixed(net.model.shape().text_state as usize);
    let dims = [Dim::Named("batch"), Dim::Named("length"), state];
    net.graph.input("tokens", TensorElementType::Float32, &dims);
    "tokens".to_owned()
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

/// What a block asks of what was heard.
pub(super) fn cross_query(net: &mut Net<'_>, x: &str, name: &str) -> Built<String> {
    let normed = net.layer_norm(x, &format!("{name}.cross_attn_ln"))?;
    net.linear(&normed, &[&format!("{name}.cross_attn.query")])
}

/// `x` and what block `block` finds where it asks `query`.
pub(super) fn listen(
    net: &mut Net<'_>,
    x: &str,
    query: &str,
    name: &str,
    block: u32,
) -> Built<String> {
    let block = [Attribute::new("block", i64::from(block))?];
    let found = net.graph.op(OWN, "CrossAttention", &[query], block)?;
    let found = net.linear(&found, &[&format!("{name}.cross_attn.out")])?;
    Ok(net.graph.plain("Add", &[&found, x])?)
}
