//! The weights of a Whisper model as parts of a graph.

use crate::onnx::Built;
use crate::onnx::graph::{CONTRIB, GraphBuilder};
use ort::editor::ONNX_DOMAIN;
use ort::operator::Attribute;
use rushes_models::convert::{Ggml, Tensor};

/// A graph in the making and the file its weights come from.
pub(super) struct Net<'a> {
    pub(super) graph: GraphBuilder,
    pub(super) model: &'a Ggml,
}

impl<'a> Net<'a> {
    pub(super) fn new(model: &'a Ggml) -> Built<Self> {
        Ok(Self { graph: GraphBuilder::new()?, model })
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
        let mut weights = Vec::with_capacity(names.len());
        let mut bias = Vec::new();
        let mut biased = false;
        for name in names {
            let weight = self.model.tensor(&format!("{name}.weight"))?;
            let rows = weight.shape.first().copied().unwrap_or(0);
            // Whisper's keys have no bias.
            if name.ends_with(".key") {
                bias.resize(bias.len() + rows, 0.0);
            } else {
                bias.extend(self.model.tensor(&format!("{name}.bias"))?.data);
                biased = true;
            }
            weights.push(weight);
        }
        let (shape, data) = side_by_side(&weights);
        let weight = self.graph.floats(&shape, &data)?;
        let product = self.graph.plain("MatMul", &[x, &weight])?;
        if !biased {
            return Ok(product);
        }
        let bias = self.graph.floats(&[bias.len()], &bias)?;
        Ok(self.graph.plain("Add", &[&product, &bias])?)
    }

    pub(super) fn layer_norm(&mut self, x: &str, name: &str) -> Built<String> {
        let weight = self.weight(&format!("{name}.weight"))?;
        let bias = self.weight(&format!("{name}.bias"))?;
        let attributes = [Attribute::new("axis", -1_i64)?, Attribute::new("epsilon", 1e-5_f32)?];
        Ok(self.graph.op(ONNX_DOMAIN, "LayerNormalization", &[x, &weight, &bias], attributes)?)
    }

    /// `[batch, length, state]` as `[batch, heads, length, state / heads]`.
    pub(super) fn heads(&mut self, x: &str, heads: usize, state: usize) -> Built<String> {
        let shape = self.graph.integers(&[0, 0, heads as i64, (state / heads.max(1)) as i64])?;
        let split = self.graph.plain("Reshape", &[x, &shape])?;
        let order = [Attribute::new("perm", vec![0_i64, 2, 1, 3])?];
        Ok(self.graph.op(ONNX_DOMAIN, "Transpose", &[&split], order)?)
    }

    /// Attention of `query` (`[batch, length, state]`) over keys and values split into heads.
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
        let normed = self.layer_norm(x, &format!("{block}.mlp_ln"))?;
        let wide = self.linear(&normed, &[&format!("{block}.mlp.0")])?;
        let active = self.graph.plain("Gelu", &[&wide])?;
        let narrow = self.linear(&active, &[&format!("{block}.mlp.2")])?;
        Ok(self.graph.plain("Add", &[&narrow, x])?)
    }

    /// Query, key and value of `x` for the attention `name`.
    pub(super) fn query_key_value(&mut self, x: &str, name: &str) -> Built<[String; 3]> {
        let names = ["query", "key", "value"].map(|part| format!("{name}.{part}"));
        let all = self.linear(x, &[&names[0], &names[1], &names[2]])?;
        let attributes = [Attribute::new("axis", 2_i64)?, Attribute::new("num_outputs", 3_i64)?];
        let parts = self.graph.op_many(ONNX_DOMAIN, "Split", &[&all], 3, attributes)?;
        let mut parts = parts.into_iter();
        Ok([(); 3].map(|()| parts.next().unwrap_or_default()))
    }
}

/// Matrices stored output by output, transposed and put side by side: `[inputs, outputs]`.
fn side_by_side(matrices: &[Tensor]) -> (Vec<usize>, Vec<f32>) {
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
    (vec![inputs, outputs], data)
}
