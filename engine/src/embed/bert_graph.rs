//! BERT as a graph for ONNX Runtime, in 32-bit floats or with 8-bit products.
//!
//! Three things make it quicker than the graph that exporters write and ONNX Runtime fuses (its
//! `SkipLayerNormalization` takes ten times as long as `LayerNormalization` on the CPU):
//! normalisation alone is an operator, its gain and shift are part of the matrices behind it, and
//! the mean over a text is one product with its mask.
//!
//! 8-bit products follow LLM.int8 and SmoothQuant in what they fear: a few channels that are far
//! larger than all others take the numbers' range for themselves. They are measured once, on
//! random tokens. Channels behind a normalisation are divided by what they are too large by, and
//! the matrix multiplied by it; those inside the feed-forward net, where the matrix could not take
//! that, are repeated as often instead, each share being small.

use super::bert::{BertShape, BertWeights, Gain, Layer};
use crate::onnx::graph::{CONTRIB, Dim, GraphBuilder};
use ort::editor::ONNX_DOMAIN;
use ort::operator::Attribute;
use ort::session::Session;
use ort::session::builder::SessionBuilder;
use ort::value::TensorElementType;

/// The largest value of each channel where 8-bit products are made, block by block.
#[derive(Clone, Debug, Default)]
pub(super) struct Peaks(pub(super) Vec<BlockPeaks>);

/// The peaks of one block.
#[derive(Clone, Debug, Default)]
pub(super) struct BlockPeaks {
    pub(super) attend: Vec<f32>,
    pub(super) widen: Vec<f32>,
    pub(super) narrow: Vec<f32>,
}

/// What numbers a graph works with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Numbers<'a> {
    /// 32-bit floats.
    Float,
    /// 32-bit floats, and the peaks are given out.
    Measured,
    /// 8-bit products, by the peaks.
    Byte(&'a Peaks),
}

/// What a channel behind a normalisation (whose deviation is 1) may be at most.
const MOST_NORMED: f32 = 7.0;
/// What a channel inside the feed-forward net may be at most.
const MOST_WIDE: f32 = 4.0;
/// How often a channel is repeated at most.
const MOST_COPIES: f32 = 64.0;
/// The largest 8-bit weight. Pairs of products are added in 16 bits on CPUs without VNNI, where
/// 127 times 255 twice is too much. This and the next were the best of nine pairs tried on 139
/// texts, one of them 64 everywhere, which no sum can pass.
const LARGEST: f32 = 80.0;
/// The same where most inputs are near 0, so that pairs are small.
const LARGEST_NARROW: f32 = 127.0;

/// The names under which [`Numbers::Measured`] gives a block's peaks out.
pub(super) fn peak_names(block: usize) -> [String; 3] {
    ["attend", "widen", "narrow"].map(|part| format!("{part}{block}"))
}

/// Builds the graph. Inputs: `ids` (`[texts, width]`, 64 bit), `lengths` (`[texts]`, 32 bit),
/// `mask` (`[texts, 1, width]`, each text's tokens share 1); output: `out`, `[texts, hidden]`.
pub(super) fn build(
    weights: &BertWeights,
    shape: &BertShape,
    numbers: Numbers<'_>,
    options: &SessionBuilder,
) -> ort::Result<Session> {
    let mut net = Net { graph: GraphBuilder::new()?, hidden: shape.hidden_size, numbers };
    let eps = shape.layer_norm_eps;
    let hidden = shape.hidden_size;
    let (texts, width) = (Dim::Named("texts"), Dim::Named("width"));
    net.graph.input("ids", TensorElementType::Int64, &[texts, width]);
    net.graph.input("lengths", TensorElementType::Int32, &[texts]);
    net.graph.input("mask", TensorElementType::Float32, &[texts, Dim::Fixed(1), width]);

    let words = net.graph.floats(&[shape.vocab_size, hidden], &weights.words)?;
    let words = net.graph.plain("Gather", &[&words, "ids"])?;
    let whole = [shape.max_position_embeddings, hidden];
    let positions = net.graph.floats(&whole, &weights.positions)?;
    let last = [Attribute::new("start", 1_i64)?, Attribute::new("end", 2_i64)?];
    let length = net.graph.op(ONNX_DOMAIN, "Shape", &["ids"], last)?;
    let zero = net.graph.integers(&[0])?;
    let positions = net.graph.plain("Slice", &[&positions, &zero, &length, &zero])?;
    let sum = net.graph.plain("Add", &[&words, &positions])?;
    let flat = net.graph.integers(&[-1, hidden as i64])?;
    let sum = net.graph.plain("Reshape", &[&sum, &flat])?;
    let both = net.graph.op(ONNX_DOMAIN, "Shape", &["ids"], [])?;
    let rest = net.graph.integers(&[-1])?;
    let axis = [Attribute::new("axis", 0_i64)?];
    let by_text = net.graph.op(ONNX_DOMAIN, "Concat", &[&both, &rest], axis)?;

    let mut gain = weights.norm.clone();
    let mut x = net.norm(&sum, &mut gain, eps, net.peaks(0, |peaks| &peaks.attend))?;
    for (at, block) in weights.blocks.iter().enumerate() {
        let [attend, widen, narrow] = peak_names(at);
        net.peak(&x, &attend)?;
        let all = net.linear(&x, &folded(&block.attend, &gain), LARGEST)?;
        let all = net.graph.plain("Reshape", &[&all, &by_text])?;
        let parts = [Attribute::new("axis", 2_i64)?, Attribute::new("num_outputs", 3_i64)?];
        let parts = net.graph.op_many(ONNX_DOMAIN, "Split", &[&all], 3, parts)?;
        let heads = [Attribute::new("num_heads", shape.num_attention_heads as i64)?];
        let inputs = [&parts[0], &parts[1], &parts[2], "", "lengths"].map(AsRef::<str>::as_ref);
        let heard = net.graph.op(CONTRIB, "MultiHeadAttention", &inputs, heads)?;
        let heard = net.graph.plain("Reshape", &[&heard, &flat])?;
        let heard = net.linear(&heard, &shifted(&block.attended, &gain), LARGEST)?;
        let sum = net.beside(&heard, &x, &gain)?;
        gain = block.attended_norm.clone();
        x = net.norm(&sum, &mut gain, eps, net.peaks(at, |peaks| &peaks.widen))?;

        net.peak(&x, &widen)?;
        let (wider, narrower, shares) = match numbers {
            Numbers::Byte(peaks) => repeated(
                &block.widen,
                &block.narrow,
                peaks.0.get(at).map_or(&[], |peaks| &peaks.narrow),
            ),
            _ => (block.widen.clone(), block.narrow.clone(), Vec::new()),
        };
        let mut wide = net.linear(&x, &folded(&wider, &gain), LARGEST)?;
        wide = match numbers {
            Numbers::Byte(_) => net.graph.op(CONTRIB, "FastGelu", &[&wide], [])?,
            _ => net.graph.plain("Gelu", &[&wide])?,
        };
        if !shares.is_empty() {
            let shares = net.graph.floats(&[shares.len()], &shares)?;
            wide = net.graph.plain("Mul", &[&wide, &shares])?;
        }
        net.peak(&wide, &narrow)?;
        let made = net.linear(&wide, &shifted(&narrower, &gain), LARGEST_NARROW)?;
        let sum = net.beside(&made, &x, &gain)?;
        gain = block.narrow_norm.clone();
        x = net.norm(&sum, &mut gain, eps, net.peaks(at + 1, |peaks| &peaks.attend))?;
    }
    let x = net.graph.plain("Reshape", &[&x, &by_text])?;
    let mean = net.graph.plain("MatMul", &["mask", &x])?;
    let mean = net.graph.plain("Reshape", &[&mean, &flat])?;
    let scale = net.graph.floats(&[hidden], &gain.scale)?;
    let shift = net.graph.floats(&[hidden], &gain.shift)?;
    let mean = net.graph.plain("Mul", &[&mean, &scale])?;
    let mean = net.graph.plain("Add", &[&mean, &shift])?;
    net.graph.output(&mean, "out", &[texts, Dim::Fixed(hidden)])?;
    net.graph.finish(options)
}

struct Net<'a> {
    graph: GraphBuilder,
    hidden: usize,
    numbers: Numbers<'a>,
}

impl<'a> Net<'a> {
    fn peaks(&self, block: usize, of: impl Fn(&'a BlockPeaks) -> &'a Vec<f32>) -> &'a [f32] {
        match self.numbers {
            Numbers::Byte(peaks) => peaks.0.get(block).map_or(&[], |peaks| of(peaks)),
            _ => &[],
        }
    }

    /// `x` brought to mean 0 and deviation 1, channels of high peaks made smaller. `gain` becomes
    /// what gives the layer's real output from that.
    fn norm(
        &mut self,
        x: &str,
        gain: &mut Gain,
        epsilon: f32,
        peaks: &[f32],
    ) -> ort::Result<String> {
        let mut scale = vec![1.0; self.hidden];
        for ((scale, gain), peak) in scale.iter_mut().zip(&mut gain.scale).zip(peaks) {
            let over = (peak / MOST_NORMED).max(1.0);
            *scale /= over;
            *gain *= over;
        }
        let scale = self.graph.floats(&[self.hidden], &scale)?;
        let attributes = [Attribute::new("axis", -1_i64)?, Attribute::new("epsilon", epsilon)?];
        self.graph.op(ONNX_DOMAIN, "LayerNormalization", &[x, &scale], attributes)
    }

    /// `x W + b`.
    fn linear(&mut self, x: &str, layer: &Layer, largest: f32) -> ort::Result<String> {
        let shape = [layer.inputs, layer.outputs];
        let bias = self.graph.floats(&[layer.outputs], &layer.bias)?;
        if !matches!(self.numbers, Numbers::Byte(_)) {
            let weight = self.graph.floats(&shape, &layer.weight)?;
            return self.graph.plain("Gemm", &[x, &weight, &bias]);
        }
        let (bytes, scales) = in_bytes(layer, largest);
        let weight = self.graph.signed_bytes(&shape, &bytes)?;
        let scales = self.graph.floats(&[layer.outputs], &scales)?;
        let inputs = [x, &weight, &scales, "", &bias];
        self.graph.op(CONTRIB, "DynamicQuantizeMatMul", &inputs, [])
    }

    /// `made` plus the real value of `x`, whose shift is part of `made` already.
    fn beside(&mut self, made: &str, x: &str, gain: &Gain) -> ort::Result<String> {
        let scale = self.graph.floats(&[self.hidden], &gain.scale)?;
        let real = self.graph.plain("Mul", &[x, &scale])?;
        self.graph.plain("Add", &[made, &real])
    }

    /// Gives out the largest absolute value of each channel of `x`, if they are measured.
    fn peak(&mut self, x: &str, name: &str) -> ort::Result<()> {
        if !matches!(self.numbers, Numbers::Measured) {
            return Ok(());
        }
        let size = self.graph.plain("Abs", &[x])?;
        let first = self.graph.integers(&[0])?;
        let flat = [Attribute::new("keepdims", 0_i64)?];
        let peak = self.graph.op(ONNX_DOMAIN, "ReduceMax", &[&size, &first], flat)?;
        self.graph.output(&peak, name, &[Dim::Named("channels")])
    }
}

/// `layer` for inputs that `gain` has not yet been applied to.
fn folded(layer: &Layer, gain: &Gain) -> Layer {
    let mut made = layer.clone();
    for input in 0..layer.inputs.min(gain.scale.len()) {
        let (scale, shift) = (gain.scale[input], gain.shift[input]);
        for output in 0..layer.outputs {
            made.bias[output] += shift * layer.weight[input * layer.outputs + output];
        }
        made.row(input).iter_mut().for_each(|weight| *weight *= scale);
    }
    made
}

/// `layer` with the shift of what stands beside its result.
fn shifted(layer: &Layer, gain: &Gain) -> Layer {
    let mut made = layer.clone();
    made.bias.iter_mut().zip(&gain.shift).for_each(|(bias, shift)| *bias += shift);
    made
}

/// The two layers with channels between them repeated where their peak is high, and what share of
/// its channel each one carries.
fn repeated(widen: &Layer, narrow: &Layer, peaks: &[f32]) -> (Layer, Layer, Vec<f32>) {
    let copies = |channel: usize| {
        let peak = peaks.get(channel).copied().unwrap_or(0.0);
        (peak / MOST_WIDE).ceil().clamp(1.0, MOST_COPIES)
    };
    let channels: Vec<(usize, f32)> = (0..widen.outputs)
        .flat_map(|channel| {
            let copies = copies(channel);
            std::iter::repeat_n((channel, 1.0 / copies), copies as usize)
        })
        .collect();
    let pick = |row: &[f32]| channels.iter().map(|&(at, _)| row[at]).collect::<Vec<f32>>();
    let wider = Layer {
        inputs: widen.inputs,
        outputs: channels.len(),
        weight: widen.weight.chunks_exact(widen.outputs.max(1)).flat_map(pick).collect(),
        bias: pick(&widen.bias),
    };
    let rows = channels
        .iter()
        .flat_map(|&(at, _)| &narrow.weight[at * narrow.outputs..][..narrow.outputs]);
    let narrower = Layer {
        inputs: channels.len(),
        outputs: narrow.outputs,
        weight: rows.copied().collect(),
        bias: narrow.bias.clone(),
    };
    (wider, narrower, channels.iter().map(|&(_, share)| share).collect())
}

/// The weights as bytes, and what each output's are to be multiplied by.
fn in_bytes(layer: &Layer, largest: f32) -> (Vec<i8>, Vec<f32>) {
    let mut scales = vec![0.0_f32; layer.outputs];
    for row in layer.weight.chunks_exact(layer.outputs.max(1)) {
        scales.iter_mut().zip(row).for_each(|(scale, weight)| *scale = scale.max(weight.abs()));
    }
    // An output without weights has any scale.
    scales.iter_mut().for_each(|scale| *scale = if *scale > 0.0 { *scale / largest } else { 1.0 });
    let bytes = layer
        .weight
        .chunks_exact(layer.outputs.max(1))
        .flat_map(|row| {
            row.iter().zip(&scales).map(|(weight, scale)| (weight / scale).round() as i8)
        })
        .collect();
    (bytes, scales)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(layer: &Layer, x: &[f32]) -> Vec<f32> {
        let mut made = layer.bias.clone();
        for (input, value) in x.iter().enumerate() {
            for (output, sum) in made.iter_mut().enumerate() {
                *sum += value * layer.weight[input * layer.outputs + output];
            }
        }
        made
    }

    fn layer(inputs: usize, outputs: usize) -> Layer {
        let number = |at: usize| ((at * 7919 % 31) as f32 - 15.0) / 8.0;
        Layer {
            inputs,
            outputs,
            weight: (0..inputs * outputs).map(number).collect(),
            bias: (0..outputs).map(|at| number(at + 5)).collect(),
        }
    }

    fn assert_close(a: &[f32], b: &[f32]) {
        assert_eq!(a.len(), b.len());
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4), "{a:?} {b:?}");
    }

    #[test]
    fn a_gain_becomes_part_of_the_layer_behind() {
        let gain = Gain { scale: vec![2.0, 0.5, 1.0], shift: vec![0.25, -1.0, 3.0] };
        let x = [1.0, -2.0, 0.5];
        let real = [2.25, -2.0, 3.5];
        let layer = layer(3, 4);
        assert_close(&apply(&folded(&layer, &gain), &x), &apply(&layer, &real));
    }

    #[test]
    fn repeated_channels_give_the_same() {
        let (widen, narrow) = (layer(3, 5), layer(5, 2));
        let x = [1.0, -2.0, 0.5];
        let (wider, narrower, shares) = repeated(&widen, &narrow, &[1.0, 9.0, 0.0, 4.0, 1e9]);
        assert_eq!(wider.outputs, 1 + 3 + 1 + 1 + 64);
        let between = apply(&wider, &x);
        let between: Vec<f32> = between.iter().zip(&shares).map(|(x, share)| x * share).collect();
        assert_close(&apply(&narrower, &between), &apply(&narrow, &apply(&widen, &x)));
    }

    #[test]
    fn bytes_are_near_the_weights() {
        let mut layer = layer(6, 3);
        (0..6).for_each(|input| layer.row(input)[1] = 0.0);
        let (bytes, scales) = in_bytes(&layer, 80.0);
        for (at, weight) in layer.weight.iter().enumerate() {
            let scale = scales[at % 3];
            assert!((f32::from(bytes[at]) * scale - weight).abs() <= scale * 0.501);
            assert!(bytes[at].unsigned_abs() <= 80);
        }
    }
}
