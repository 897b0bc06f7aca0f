//! The weights of a Whisper model as parts of a graph.

use super::int8::After;
use crate::onnx::Built;
use crate::onnx::graph::{CONTRIB, GraphBuilder};
use ort::editor::ONNX_DOMAIN;
use ort::operator::Attribute;
use rushes_models::convert::{Ggml, Tensor};

/// A graph in the making and the file its weights come from.
pub(super) struct Net<'a> {
    pub(super) graph: GraphBuilder,
    pub(super) model: &'a Ggml,
    /// Whether products that can be are of bytes (see [`super::int8`]).
    pub(super) int8: bool,
}

impl<'a> Net<'a> {
    pub(super) fn new(model: &'a Ggml) -> Built<Self> {
        Ok(Self { graph: GraphBuilder::new()?, model, int8: false })
    }

    /// A weight as it is stored, without dimensions of 1 at its end.
    pub(super) fn weight(&mut self, name: &str) -> Built<String> {
        let mut tensor = self.model.tensor(name)?;
        while tensor.shape.len() > 1 && tensor.shape.last() == Some(&1) {
            tensor.shape.pop();
        }
        Ok(self.graph.floats(&tensor.shape, &tensor.data)?)
    }

    /// `x W + b` for the layer `name`; several layers side by side are one product.
    pub(super) fn linear(&mut self, x: &str, names: &[&str]) -> Built<String> {
        let weights = names.iter().map(|name| self.model.tensor(&format!("{name}.weight")));
        let weights = weights.collect::<Result<Vec<_>, _>>()?;
        let (shape, data) = side_by_side(&weights);
        drop(weights);
        let weight = self.graph.floats(&shape, &data)?;
        drop(data);
        let product = self.graph.plain("MatMul", &[x, &weight])?;
        let bias = self.biases(names)?;
        self.add_bias(&product, bias)
    }

    /// The biases of layers side by side, if any has one.
    pub(super) fn biases(&self, names: &[&str]) -> Built<Option<Vec<f32>>> {
        let mut bias = Vec::new();
        let mut biased = false;
        for name in names {
            // Whisper's keys have no bias.
            if name.ends_with(".key") {
                let shape = self.model.shape_of(&format!("{name}.weight"))?;
                bias.resize(bias.len() + shape.first().copied().unwrap_or(0), 0.0);
            } else {
                bias.extend(self.model.tensor(&format!("{name}.bias"))?.data);
                biased = true;
            }
        }
        Ok(biased.then_some(bias))
    }

    pub(super) fn add_bias(&mut self, x: &str, bias: Option<Vec<f32>>) -> Built<String> {
        let Some(bias) = bias else { return Ok(x.to_owned()) };
        let bias = self.graph.floats(&[bias.len()], &bias)?;
        Ok(self.graph.plain("Add", &[x, &bias])?)
    }

    pub(super) fn layer_norm(&mut self, x: &str, name: &str) -> Built<String> {
        let weight = self.weight(&format!("{name}.weight"))?;
        let bias = self.weight(&format!("{name}.bias"))?;
        let attributes = [Attribute::new("axis", -1_i64)?, Attribute::new("epsilon", 1e-5_f32)?];
        Ok(self.graph.op(ONNX_DOMAIN, "LayerNormalization", &[x, &weight, &bias], attributes)?)
    }

    /// `[batch, length, state]` as `[batch, heads, length, state / heads]`.
    pub(super) fn heads(&mut self, x: &str, heads: usize, state: usize) -> Built<String> {
        self.heads_in_order(x, heads, state, [0, 2, 1, 3])
    }

    /// `[batch, length, state]` as `[batch, heads, state / heads, length]`.
    pub(super) fn heads_turned(&mut self, x: &str, heads: usize, state: usize) -> Built<String> {
        self.heads_in_order(x, heads, state, [0, 2, 3, 1])
    }

    fn heads_in_order(
        &mut self,
        x: &str,
        heads: usize,
        state: usize,
        order: [i64; 4],
    ) -> Built<String> {
        let shape = self.graph.integers(&[0, 0, heads as i64, (state / heads.max(1)) as i64])?;
        let split = self.graph.plain("Reshape", &[x, &shape])?;
        let order = [Attribute::new("perm", order.to_vec())?];
        Ok(self.graph.op(ONNX_DOMAIN, "Transpose", &[&split], order)?)
    }

    /// Attention of `query` (`[batch, length, state]`) over keys and values, `[batch, heard, state]`.
    /// (Split into heads beforehand ONNX Runtime would not take its flash attention: 60 MB for the
    /// scores of 30 s instead of 8, and a tenth more time.)
    pub(super) fn attention(
        &mut self,
        query: &str,
        key: &str,
        value: &str,
        heads: usize,
    ) -> Built<String> {
        let attributes = [Attribute::new("num_heads", heads as i64)?];
        Ok(self.graph.op(CONTRIB, "MultiHeadAttention", &[query, key, value], attributes)?)
    }

    /// The part of a block behind its attention: `x + W2 gelu(W1 norm(x))`.
    pub(super) fn feed_forward(&mut self, x: &str, block: &str) -> Built<String> {
        let norm = format!("{block}.mlp_ln");
        let normed = self.layer_norm(x, &norm)?;
        let wide = self.linear_after(&normed, &[&format!("{block}.mlp.0")], After::Norm(&norm))?;
        // By tanh, as whisper.cpp does: half the time of the exact one.
        let active = self.graph.op(CONTRIB, "FastGelu", &[&wide], [])?;
        let narrow = self.linear(&active, &[&format!("{block}.mlp.2")])?;
        Ok(self.graph.plain("Add", &[&narrow, x])?)
    }

    /// Query, key and value of `x`, the attention's own layer norm's result, for the attention
    /// `name`.
    pub(super) fn query_key_value(&mut self, x: &str, name: &str) -> Built<[String; 3]> {
        let names = ["query", "key", "value"].map(|part| format!("{name}.{part}"));
        let norm = format!("{name}_ln");
        let names = names.each_ref().map(String::as_str);
        let all = self.linear_after(x, &names, After::Norm(&norm))?;
        let mut parts = self.split(&all, 3)?.into_iter();
        Ok([(); 3].map(|()| parts.next().unwrap_or_default()))
    }

    /// `[batch, length, count * state]` as `count` times `[batch, length, state]`.
    pub(super) fn split(&mut self, x: &str, count: usize) -> Built<Vec<String>> {
        let axis = Attribute::new("axis", 2_i64)?;
        let attributes = [axis, Attribute::new("num_outputs", count as i64)?];
        Ok(self.graph.op_many(ONNX_DOMAIN, "Split", &[x], count, attributes)?)
    }
}

/// Matrices stored output by output, transposed and put side by side: `[inputs, outputs]`.
fn side_by_side(matrices: &[Tensor]) -> ([usize; 2], Vec<f32>) {
    let inputs = matrices.first().and_then(|m| m.shape.get(1)).copied().unwrap_or(0);
    let outputs: usize = matrices.iter().filter_map(|m| m.shape.first()).sum();
    let mut data = vec![0.0; inputs * outputs];
    let mut column = 0;
    for matrix in matrices {
        for row in matrix.data.chunks_exact(inputs.max(1)) {
            for (i, value) in row.iter().enumerate() {
                data[i * outputs + column] = *value;
            }
            column += 1;
        }
    }
    ([inputs, outputs], data)
}
