//! The network as a graph.
//!
//! Three stages of two blocks each. A block convolves within frames once for all four of its
//! dilations, then along time for each; its batch norm is folded into these. Beside the features go
//! how alike frames are to their neighbours, by learned features and by colour histograms.

use super::WINDOW;
use crate::media::{SMALL_HEIGHT, SMALL_WIDTH};
use crate::onnx::graph::{Dim, GraphBuilder};
use ort::editor::ONNX_DOMAIN;
use ort::operator::Attribute;
use ort::session::Session;
use ort::session::builder::SessionBuilder;
use ort::value::TensorElementType;
use safetensors::{Dtype, SafeTensors};

pub(super) const PIXELS: &str = "pixels";
pub(super) const BINS: &str = "bins";
pub(super) const MIDDLE: &str = "middle";
pub(super) const PART: &str = "part";

/// Neighbours that a frame is compared with, itself counted.
const LOOKUP: usize = 101;
const DILATIONS: [usize; 4] = [1, 2, 4, 8];
const EPSILON: f32 = 1e-3;

/// Why the graph could not be built.
#[derive(Debug)]
pub(super) enum GraphError {
    /// The weights are not this model's.
    Weights(String),
    /// ONNX Runtime refused.
    Runtime(ort::Error),
}

impl std::fmt::Display for GraphError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Weights(what) => write!(f, "is not TransNetV2: {what}"),
            Self::Runtime(error) => error.fmt(f),
        }
    }
}

impl From<ort::Error> for GraphError {
    fn from(error: ort::Error) -> Self {
        Self::Runtime(error)
    }
}

type Built<T> = Result<T, GraphError>;

struct Net<'a> {
    graph: GraphBuilder,
    weights: &'a SafeTensors<'a>,
}

pub(super) fn build(weights: &SafeTensors<'_>, options: &SessionBuilder) -> Built<Session> {
    let mut net = Net { graph: GraphBuilder::new()?, weights };
    let sides = [SMALL_HEIGHT, SMALL_WIDTH].map(Dim::Fixed);
    let pixels = [Dim::Fixed(1), Dim::Fixed(3), Dim::Fixed(WINDOW), sides[0], sides[1]];
    net.graph.input(PIXELS, TensorElementType::Float32, &pixels);
    let bins = [Dim::Fixed(WINDOW), Dim::Fixed(super::BINS)];
    net.graph.input(BINS, TensorElementType::Float32, &bins);

    let mut x = PIXELS.to_owned();
    let mut means = Vec::new();
    let mut channels = 3;
    for stage in 0..3 {
        let filters = 16 << stage;
        x = net.stage(&x, stage, channels, filters)?;
        channels = filters * 4;
        let axes = net.graph.integers(&[3, 4])?;
        let keep = [Attribute::new("keepdims", 0_i64)?];
        means.push(net.graph.op(ONNX_DOMAIN, "ReduceMean", &[&x, &axes], keep)?);
    }
    // [1, C, T, 3, 6] to [T, 3 × 6 × C].
    let flat = net.transpose(&x, &[0, 2, 3, 4, 1])?;
    let flat = net.reshape(&flat, &[WINDOW as i64, -1])?;
    let similar = net.feature_similarity(&means)?;
    let colours = net.similarity(BINS, "color_hist_layer.fc")?;
    let all = [Attribute::new("axis", 1_i64)?];
    let all = net.graph.op(ONNX_DOMAIN, "Concat", &[&colours, &similar, &flat], all)?;
    let hidden = net.linear(&all, "fc1", 4864, 1024)?;
    let hidden = net.graph.plain("Relu", &[&hidden])?;
    for (layer, name) in [("cls_layer1", MIDDLE), ("cls_layer2", PART)] {
        let logits = net.linear(&hidden, layer, 1024, 1)?;
        let chance = net.graph.plain("Sigmoid", &[&logits])?;
        net.graph.output(&chance, name, &[Dim::Fixed(WINDOW), Dim::Fixed(1)])?;
    }
    Ok(net.graph.finish(options)?)
}

impl Net<'_> {
    fn weight(&self, name: &str, shape: &[usize]) -> Built<Vec<f32>> {
        let tensor =
            self.weights.tensor(name).map_err(|e| GraphError::Weights(format!("{name}: {e}")))?;
        if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
            let what = format!("{name} is {:?} {:?}", tensor.dtype(), tensor.shape());
            return Err(GraphError::Weights(what));
        }
        let bytes = tensor.data().chunks_exact(4);
        Ok(bytes.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    }

    fn reshape(&mut self, x: &str, shape: &[i64]) -> Built<String> {
        let shape = self.graph.integers(shape)?;
        Ok(self.graph.plain("Reshape", &[x, &shape])?)
    }

    fn transpose(&mut self, x: &str, order: &[i64]) -> Built<String> {
        let order = [Attribute::new("perm", order.to_vec())?];
        Ok(self.graph.op(ONNX_DOMAIN, "Transpose", &[x], order)?)
    }

    /// `x W' + b`.
    fn linear(&mut self, x: &str, name: &str, from: usize, to: usize) -> Built<String> {
        let weight = self.weight(&format!("{name}.weight"), &[to, from])?;
        let bias = self.weight(&format!("{name}.bias"), &[to])?;
        let weight = self.graph.floats(&[to, from], &weight)?;
        let bias = self.graph.floats(&[to], &bias)?;
        let turned = [Attribute::new("transB", 1_i64)?];
        Ok(self.graph.op(ONNX_DOMAIN, "Gemm", &[x, &weight, &bias], turned)?)
    }

    fn stage(&mut self, x: &str, stage: usize, channels: usize, filters: usize) -> Built<String> {
        let first = self.block(x, &format!("SDDCNN.{stage}.DDCNN.0"), channels, filters)?;
        let first = self.graph.plain("Relu", &[&first])?;
        let second =
            self.block(&first, &format!("SDDCNN.{stage}.DDCNN.1"), filters * 4, filters)?;
        let second = self.graph.plain("Relu", &[&second])?;
        let sum = self.graph.plain("Add", &[&second, &first])?;
        let pool = [
            Attribute::new("kernel_shape", vec![1_i64, 2, 2])?,
            Attribute::new("strides", vec![1_i64, 2, 2])?,
        ];
        Ok(self.graph.op(ONNX_DOMAIN, "AveragePool", &[&sum], pool)?)
    }

    fn block(&mut self, x: &str, name: &str, channels: usize, filters: usize) -> Built<String> {
        let mut within = Vec::new();
        for dilation in DILATIONS {
            let name = format!("{name}.Conv3D_{dilation}.layers.0.weight");
            within.extend(self.weight(&name, &[2 * filters, channels, 1, 3, 3])?);
        }
        let within = self.graph.floats(&[8 * filters, channels, 1, 3, 3], &within)?;
        let padded = [Attribute::new("pads", vec![0_i64, 1, 1, 0, 1, 1])?];
        let wide = self.graph.op(ONNX_DOMAIN, "Conv", &[x, &within], padded)?;
        let split = [Attribute::new("axis", 1_i64)?, Attribute::new("num_outputs", 4_i64)?];
        let parts = self.graph.op_many(ONNX_DOMAIN, "Split", &[&wide], 4, split)?;

        let norm = |part: &str| self.weight(&format!("{name}.bn.{part}"), &[4 * filters]);
        let (scale, shift) = (norm("weight")?, norm("bias")?);
        let (mean, variance) = (norm("running_mean")?, norm("running_var")?);
        let mut along = Vec::new();
        for (i, (part, dilation)) in parts.iter().zip(DILATIONS).enumerate() {
            let name = format!("{name}.Conv3D_{dilation}.layers.1.weight");
            let mut weight = self.weight(&name, &[filters, 2 * filters, 3, 1, 1])?;
            let mut bias = Vec::with_capacity(filters);
            for (filter, values) in weight.chunks_exact_mut(2 * filters * 3).enumerate() {
                let at = i * filters + filter;
                let factor = scale[at] / (variance[at] + EPSILON).sqrt();
                values.iter_mut().for_each(|value| *value *= factor);
                bias.push(shift[at] - mean[at] * factor);
            }
            let weight = self.graph.floats(&[filters, 2 * filters, 3, 1, 1], &weight)?;
            let bias = self.graph.floats(&[filters], &bias)?;
            let far = dilation as i64;
            let attributes = [
                Attribute::new("dilations", vec![far, 1, 1])?,
                Attribute::new("pads", vec![far, 0, 0, far, 0, 0])?,
            ];
            along.push(self.graph.op(ONNX_DOMAIN, "Conv", &[part, &weight, &bias], attributes)?);
        }
        let along: Vec<&str> = along.iter().map(String::as_str).collect();
        let axis = [Attribute::new("axis", 1_i64)?];
        Ok(self.graph.op(ONNX_DOMAIN, "Concat", &along, axis)?)
    }

    fn feature_similarity(&mut self, means: &[String]) -> Built<String> {
        let means: Vec<&str> = means.iter().map(String::as_str).collect();
        let axis = [Attribute::new("axis", 1_i64)?];
        let all = self.graph.op(ONNX_DOMAIN, "Concat", &means, axis)?;
        let all = self.transpose(&all, &[0, 2, 1])?;
        let all = self.reshape(&all, &[WINDOW as i64, 448])?;
        let projected = self.linear(&all, "frame_sim_layer.projection", 448, 128)?;
        let norm = [Attribute::new("axis", 1_i64)?, Attribute::new("p", 2_i64)?];
        let unit = self.graph.op(ONNX_DOMAIN, "LpNormalization", &[&projected], norm)?;
        self.similarity(&unit, "frame_sim_layer.fc")
    }

    /// Products of each frame's unit vector with those of its neighbours, through a layer.
    fn similarity(&mut self, unit: &str, layer: &str) -> Built<String> {
        let turned = self.transpose(unit, &[1, 0])?;
        let products = self.graph.plain("MatMul", &[unit, &turned])?;
        let half = (LOOKUP / 2) as i64;
        let pads = self.graph.integers(&[0, half, 0, half])?;
        let padded = self.graph.plain("Pad", &[&products, &pads])?;
        let flat = self.reshape(&padded, &[-1])?;
        // Frame t and its neighbour t + l - 50 stand at row t, column t + l.
        let row = WINDOW + LOOKUP - 1;
        let places: Vec<i64> =
            (0..WINDOW).flat_map(|t| (0..LOOKUP).map(move |l| (t * row + t + l) as i64)).collect();
        let places = self.graph.integers(&places)?;
        let band = self.graph.plain("Gather", &[&flat, &places])?;
        let band = self.reshape(&band, &[WINDOW as i64, LOOKUP as i64])?;
        let wide = self.linear(&band, layer, LOOKUP, 128)?;
        Ok(self.graph.plain("Relu", &[&wide])?)
    }
}
