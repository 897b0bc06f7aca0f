//! Silero's network with the shape that a CPU likes: every convolution as one product over all
//! windows of a block.
//!
//! The published graph runs its convolutions window by window, over four positions each: too few
//! for ONNX Runtime's kernels, which spent 1.4 CPU-seconds on 750 s of sound (one thread), most of
//! it there. The weights are the same, and so are the probabilities to within rounding.

use super::{FRAME, STATE};
use crate::onnx::Built;
use crate::onnx::graph::{Dim, GraphBuilder};
use ort::editor::ONNX_DOMAIN;
use ort::operator::Attribute;
use ort::session::Session;
use ort::session::builder::SessionBuilder;
use ort::value::TensorElementType;
use rushes_models::convert::{Tensor, onnx_weights};
use std::path::Path;

/// Samples that one spectrum is made of.
pub(super) const SPECTRUM: usize = 256;
/// Samples from one spectrum to the next.
const HOP: usize = 128;
/// Spectra of a window.
pub(super) const SPECTRA: usize = 4;
/// Frequencies of a spectrum, the mean among them.
const BINS: usize = 129;

/// The model's weights as exporters named them, with the dimensions that they must have.
const WEIGHTS: [(&str, &[usize]); 14] = [
    ("stft.forward_basis_buffer", &[2 * BINS, 1, SPECTRUM]),
    ("encoder.0.weight", &[128, BINS, 3]),
    ("encoder.0.bias", &[128]),
    ("encoder.1.weight", &[64, 128, 3]),
    ("encoder.1.bias", &[64]),
    ("encoder.2.weight", &[64, 64, 3]),
    ("encoder.2.bias", &[64]),
    ("encoder.3.weight", &[128, 64, 3]),
    ("encoder.3.bias", &[128]),
    ("onnx::LSTM_209", &[1, 4 * STATE, STATE]),
    ("onnx::LSTM_210", &[1, 4 * STATE, STATE]),
    ("onnx::LSTM_211", &[1, 8 * STATE]),
    ("output.weight", &[1, STATE, 1]),
    ("output.bias", &[1]),
];

/// Appends the four stretches of sound that the spectra of `frame` are made of: the frame, and its
/// end mirrored.
pub(super) fn spread(frame: &[f32], stretches: &mut Vec<f32>) {
    for at in 0..SPECTRA {
        let to = at * HOP + SPECTRUM;
        stretches.extend_from_slice(&frame[at * HOP..to.min(FRAME)]);
        let mirrored = (FRAME..to).map(|at| frame[2 * (FRAME - 1) - at]);
        stretches.extend(mirrored);
    }
}

/// Makes the network of the weights in `model`: of `stretches`, `[windows × 4, 256]`, and the state
/// `h` and `c`, `[1, 1, 128]`, it makes the windows' `speech_probs` and the next state `hn`, `cn`.
/// None where the model is another one.
pub(super) fn build(model: &Path, options: &SessionBuilder) -> Built<Option<Session>> {
    let names = WEIGHTS.map(|(name, _)| name);
    let Ok(weights) = onnx_weights(model, &names) else { return Ok(None) };
    if weights.iter().zip(WEIGHTS).any(|(weight, (_, shape))| weight.shape != shape) {
        return Ok(None);
    }
    let Ok([basis, w0, b0, w1, b1, w2, b2, w3, b3, wx, wh, b, out, out_b]) =
        <[Tensor; WEIGHTS.len()]>::try_from(weights)
    else {
        return Ok(None);
    };
    let mut net = GraphBuilder::new()?;
    let float = TensorElementType::Float32;
    net.input("stretches", float, &[Dim::Named("spectra"), Dim::Fixed(SPECTRUM)]);
    let state = [Dim::Fixed(1), Dim::Fixed(1), Dim::Fixed(STATE)];
    net.input("h", float, &state);
    net.input("c", float, &state);

    // A short-time Fourier transform as a product with sines and cosines; its magnitude.
    let basis = taps(&mut net, &basis, 0..SPECTRUM)?;
    let both = net.plain("MatMul", &["stretches", &basis])?;
    let parts = [Attribute::new("axis", 1_i64)?, Attribute::new("num_outputs", 2_i64)?];
    let parts = net.op_many(ONNX_DOMAIN, "Split", &[&both], 2, parts)?;
    let squares: Vec<String> =
        parts.iter().map(|part| net.plain("Mul", &[part, part])).collect::<ort::Result<_>>()?;
    let sum = net.plain("Add", &[&squares[0], &squares[1]])?;
    let mut x = net.plain("Sqrt", &[&sum])?;

    // Three positions for each of four, with nothing before the first and after the last.
    x = reshape(&mut net, &x, &[-1, SPECTRA as i64, BINS as i64])?;
    x = pad(&mut net, &x, 1, 1)?;
    let three = [0, 1, 2].map(|from| rows(&mut net, &x, from, from + 4));
    let [first, second, third] = three;
    let along = [Attribute::new("axis", 2_i64)?];
    x = net.op(ONNX_DOMAIN, "Concat", &[&first?, &second?, &third?], along)?;
    x = layer(&mut net, &x, &w0, &b0, 0..3)?;
    // Every second of four: what is side by side is one row.
    x = pad(&mut net, &x, 1, 0)?;
    let mut two = Vec::new();
    for from in [0, 2] {
        let three = rows(&mut net, &x, from, from + 3)?;
        two.push(reshape(&mut net, &three, &[-1, 1, 3 * 128])?);
    }
    let along = [Attribute::new("axis", 1_i64)?];
    x = net.op(ONNX_DOMAIN, "Concat", &[&two[0], &two[1]], along)?;
    x = layer(&mut net, &x, &w1, &b1, 0..3)?;
    // The first of two, with nothing before it; then one alone.
    x = reshape(&mut net, &x, &[-1, 2 * 64])?;
    x = layer(&mut net, &x, &w2, &b2, 1..3)?;
    x = layer(&mut net, &x, &w3, &b3, 1..2)?;

    x = reshape(&mut net, &x, &[-1, 1, STATE as i64])?;
    let [wx, wh, b] = [&wx, &wh, &b].map(|weight| net.floats(&weight.shape, &weight.data));
    let inputs = [&x, &wx?, &wh?, &b?, "", "h", "c"];
    let hidden = [Attribute::new("hidden_size", STATE as i64)?];
    let made = net.op_many(ONNX_DOMAIN, "LSTM", &inputs, 3, hidden)?;
    x = net.plain("Relu", &[&made[0]])?;
    let out = net.floats(&[STATE, 1], &out.data)?;
    x = net.plain("MatMul", &[&x, &out])?;
    let out_b = net.floats(&[1], &out_b.data)?;
    x = net.plain("Add", &[&x, &out_b])?;
    x = net.plain("Sigmoid", &[&x])?;
    x = reshape(&mut net, &x, &[-1])?;
    net.output(&x, "speech_probs", &[Dim::Named("windows")])?;
    net.output(&made[1], "hn", &state)?;
    net.output(&made[2], "cn", &state)?;
    Ok(Some(net.finish(options)?))
}

/// The taps `which` of a convolution's kernel, `[outputs, inputs, taps]`, as `[taps × inputs, outputs]`
/// (a kernel of one input: its taps are the inputs).
fn taps(
    net: &mut GraphBuilder,
    kernel: &Tensor,
    which: std::ops::Range<usize>,
) -> ort::Result<String> {
    let [outputs, inputs, all] = [0, 1, 2].map(|at| kernel.shape[at]);
    let mut data = Vec::with_capacity(which.len() * inputs * outputs);
    for tap in which.clone() {
        for input in 0..inputs {
            data.extend(
                (0..outputs).map(|output| kernel.data[(output * inputs + input) * all + tap]),
            );
        }
    }
    net.floats(&[which.len() * inputs, outputs], &data)
}

/// A convolution whose inputs lie side by side, and ReLU.
fn layer(
    net: &mut GraphBuilder,
    x: &str,
    kernel: &Tensor,
    bias: &Tensor,
    which: std::ops::Range<usize>,
) -> ort::Result<String> {
    let kernel = taps(net, kernel, which)?;
    let bias = net.floats(&bias.shape, &bias.data)?;
    let product = net.plain("MatMul", &[x, &kernel])?;
    let sum = net.plain("Add", &[&product, &bias])?;
    net.plain("Relu", &[&sum])
}

/// Zeros before and after the positions of `[windows, positions, channels]`.
fn pad(net: &mut GraphBuilder, x: &str, before: i64, after: i64) -> ort::Result<String> {
    let pads = net.integers(&[0, before, 0, 0, after, 0])?;
    net.plain("Pad", &[x, &pads])
}

/// Some positions of `[windows, positions, channels]`.
fn rows(net: &mut GraphBuilder, x: &str, from: i64, to: i64) -> ort::Result<String> {
    let ends = [from, to, 1].map(|at| net.integers(&[at]));
    let [from, to, axis] = ends;
    net.plain("Slice", &[x, &from?, &to?, &axis?])
}

fn reshape(net: &mut GraphBuilder, x: &str, shape: &[i64]) -> ort::Result<String> {
    let shape = net.integers(shape)?;
    net.plain("Reshape", &[x, &shape])
}
