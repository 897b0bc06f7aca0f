//! Whisper's encoder, which hears only as much as there is to hear.
//!
//! Whisper was trained on windows of 30 s, short sounds followed by silence. Cutting the window to
//! the sound's length saves most of the work but breaks the model: with tiny it ran into endless
//! repetition on 123 short clips. What the sound attends to in that silence is, however, nearly the
//! same for every sound: so the keys and values of pure silence are computed once for each block
//! and every position, and stand in for the tail of the window. The error rate stays that of the
//! full window (measured in docs/speech.md) at a third of the work for clips of 5 s.

use super::mel::{Mel, MelSpectrum};
use super::weights::Net;
use crate::onnx::Built;
use crate::onnx::graph::Dim;
use ort::editor::ONNX_DOMAIN;
use ort::operator::Attribute;
use ort::session::builder::SessionBuilder;
use ort::session::{RunOptions, Session, SessionInputValue};
use ort::value::{Tensor, TensorElementType};
use rushes_models::convert::{Ggml, WhisperShape};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Silence is computed for loudness floors this far apart; a sound's spectrogram is shifted to the
/// nearest, by at most 5 dB.
const FLOOR_STEP: f32 = 0.25;
/// Floors outside (a sound that is itself all but silence, or clipped beyond measure) count as
/// these.
const FLOORS: std::ops::RangeInclusive<i32> = -8..=8;
/// Silence that is computed with a sound, so that its end is heard: 0.5 s.
const MARGIN_FRAMES: usize = 50;

/// What the decoder attends to: for each block keys, then values, `[heads, positions, size]`.
pub(super) struct Heard {
    pub(super) cross: Vec<Vec<f32>>,
    /// Positions, 20 ms each, that the sound itself takes.
    pub(super) positions: usize,
}

/// The window's tail: keys and values of pure silence.
struct Silence {
    /// For each encoder block keys, then values, `[heads, context, size]`.
    own: Vec<Vec<f32>>,
    /// For each decoder block keys, then values.
    cross: Vec<Vec<f32>>,
}

pub(super) struct Encoder {
    session: Session,
    spectrum: MelSpectrum,
    shape: WhisperShape,
    silences: BTreeMap<i32, Arc<Silence>>,
}

fn names(kind: &str, blocks: u32) -> impl Iterator<Item = String> {
    (0..blocks).flat_map(move |block| [format!("{kind}k{block}"), format!("{kind}v{block}")])
}

impl Encoder {
    pub(super) fn new(model: &Ggml, options: &SessionBuilder) -> Built<Self> {
        let shape = *model.shape();
        let (state, heads) = (shape.audio_state as usize, shape.audio_heads as usize);
        let size = state / heads.max(1);
        let mut net = Net::new(model)?;
        let bands = Dim::Fixed(shape.mels as usize);
        let batch = Dim::Named("batch");
        let float = TensorElementType::Float32;
        net.graph.input("mel", float, &[batch, bands, Dim::Named("frames")]);
        let mut x = "mel".to_owned();
        for (name, stride) in [("encoder.conv1", 1_i64), ("encoder.conv2", 2)] {
            let weight = model.tensor(&format!("{name}.weight"))?;
            let weight = net.graph.floats(&weight.shape, &weight.data)?;
            let bias = net.weight(&format!("{name}.bias"))?;
            let attributes = [
                Attribute::new("kernel_shape", vec![3_i64])?,
                Attribute::new("pads", vec![1_i64, 1])?,
                Attribute::new("strides", vec![stride])?,
            ];
            x = net.graph.op(ONNX_DOMAIN, "Conv", &[&x, &weight, &bias], attributes)?;
            x = net.graph.plain("Gelu", &[&x])?;
        }
        let order = [Attribute::new("perm", vec![0_i64, 2, 1])?];
        x = net.graph.op(ONNX_DOMAIN, "Transpose", &[&x], order)?;
        let (from, to) = (Attribute::new("start", 1_i64)?, Attribute::new("end", 2_i64)?);
        let length = net.graph.op(ONNX_DOMAIN, "Shape", &[&x], [from, to])?;
        let all = net.weight("encoder.positional_embedding")?;
        let zero = net.graph.integers(&[0])?;
        let positions = net.graph.plain("Slice", &[&all, &zero, &length, &zero])?;
        x = net.graph.plain("Add", &[&x, &positions])?;

        let of_heads = |length| [batch, Dim::Fixed(heads), Dim::Named(length), Dim::Fixed(size)];
        let along = || Ok::<_, ort::Error>([Attribute::new("axis", 2_i64)?]);
        for block in 0..shape.audio_layers {
            let name = format!("encoder.blocks.{block}");
            let normed = net.layer_norm(&x, &format!("{name}.attn_ln"))?;
            let [query, key, value] = net.query_key_value(&normed, &format!("{name}.attn"))?;
            let mut whole = Vec::new();
            for (part, letter) in [(key, 'k'), (value, 'v')] {
                let part = net.heads(&part, heads, state)?;
                net.graph.output(&part, &format!("own{letter}{block}"), &of_heads("length"))?;
                let tail = format!("tail{letter}{block}");
                net.graph.input(&tail, float, &of_heads("tail"));
                whole.push(net.graph.op(ONNX_DOMAIN, "Concat", &[&part, &tail], along()?)?);
            }
            let heard = net.attention(&query, &whole[0], &whole[1], heads)?;
            let heard = net.linear(&heard, &[&format!("{name}.attn.out")])?;
            x = net.graph.plain("Add", &[&heard, &x])?;
            x = net.feed_forward(&x, &name)?;
        }
        x = net.layer_norm(&x, "encoder.ln_post")?;

        let (state, heads) = (shape.text_state as usize, shape.text_heads as usize);
        let size = state / heads.max(1);
        let of_heads = [batch, Dim::Fixed(heads), Dim::Named("length"), Dim::Fixed(size)];
        for block in 0..shape.text_layers {
            for (part, letter) in [("key", 'k'), ("value", 'v')] {
                let name = format!("decoder.blocks.{block}.cross_attn.{part}");
                let made = net.linear(&x, &[&name])?;
                let made = net.heads(&made, heads, state)?;
                net.graph.output(&made, &format!("cross{letter}{block}"), &of_heads)?;
            }
        }
        Ok(Self {
            session: net.graph.finish(options)?,
            spectrum: MelSpectrum::new(model.mel()),
            shape,
            silences: BTreeMap::new(),
        })
    }

    /// Encodes one chunk; with `whole` the full window of 30 s, nothing borrowed from silence.
    pub(super) fn encode(
        &mut self,
        samples: &[f32],
        whole: bool,
        run: &RunOptions,
    ) -> ort::Result<Heard> {
        let context = self.shape.audio_context as usize;
        let frames = samples.len() / super::mel::HOP + MARGIN_FRAMES;
        let positions = if whole { context } else { frames.div_ceil(2).clamp(50, context) };
        let mut mel = self.spectrum.of(samples, positions * 2);
        let silence = if positions < context {
            let floor =
                ((mel.floor / FLOOR_STEP).round() as i32).clamp(*FLOORS.start(), *FLOORS.end());
            let silence = self.silence(floor, run)?;
            let shift = floor as f32 * FLOOR_STEP - mel.floor;
            mel.values.iter_mut().for_each(|value| *value += shift);
            Some(silence)
        } else {
            None
        };
        let tail: Vec<&[f32]> =
            silence.iter().flat_map(|s| s.own.iter().map(Vec::as_slice)).collect();
        let (_, mut cross) = self.run(&mel, positions, &tail, run)?;
        if let Some(silence) = &silence {
            let heads = self.shape.text_heads as usize;
            for (own, tail) in cross.iter_mut().zip(&silence.cross) {
                *own = joined(own, tail, heads, positions, context);
            }
        }
        Ok(Heard { cross, positions: frames.div_ceil(2).min(context) })
    }

    fn silence(&mut self, floor: i32, run: &RunOptions) -> ort::Result<Arc<Silence>> {
        if let Some(silence) = self.silences.get(&floor) {
            return Ok(silence.clone());
        }
        let context = self.shape.audio_context as usize;
        let value = floor as f32 * FLOOR_STEP;
        let mel = Mel { values: vec![value; self.shape.mels as usize * context * 2], floor: value };
        let (own, cross) = self.run(&mel, context, &[], run)?;
        let silence = Arc::new(Silence { own, cross });
        self.silences.insert(floor, silence.clone());
        Ok(silence)
    }

    /// Runs the graph on `positions` positions and the end of `tail` behind them.
    #[allow(clippy::type_complexity)]
    fn run(
        &mut self,
        mel: &Mel,
        positions: usize,
        tail: &[&[f32]],
        run: &RunOptions,
    ) -> ort::Result<(Vec<Vec<f32>>, Vec<Vec<f32>>)> {
        let shape = self.shape;
        let (context, heads) = (shape.audio_context as usize, shape.audio_heads as usize);
        let size = shape.audio_state as usize / heads.max(1);
        let rest = context - positions;
        let mut inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = Vec::new();
        let dims = [1, shape.mels as usize, positions * 2];
        inputs.push(("mel".into(), Tensor::from_array((dims, mel.values.clone()))?.into()));
        for (at, name) in names("tail", shape.audio_layers).enumerate() {
            let mut data = Vec::with_capacity(heads * rest * size);
            if let Some(tail) = tail.get(at) {
                for head in tail.chunks_exact(context * size) {
                    data.extend_from_slice(&head[positions * size..]);
                }
            }
            let length = if tail.is_empty() { 0 } else { rest };
            let dims = [1, heads, length, size];
            inputs.push((name.into(), Tensor::from_array((dims, data))?.into()));
        }
        let outputs = self.session.run_with_options(inputs, run)?;
        let take = |kind, blocks| {
            names(kind, blocks)
                .map(|name| {
                    let value = outputs
                        .get(&name)
                        .ok_or_else(|| ort::Error::new(format!("no output {name}")))?;
                    Ok(value.try_extract_tensor::<f32>()?.1.to_vec())
                })
                .collect::<ort::Result<Vec<_>>>()
        };
        // Its own keys and values are of use only for silence.
        let own = if tail.is_empty() && rest == 0 {
            take("own", shape.audio_layers)?
        } else {
            Vec::new()
        };
        Ok((own, take("cross", shape.text_layers)?))
    }
}

/// `[heads, positions, size]` continued with the end of `[heads, context, size]`.
fn joined(own: &[f32], tail: &[f32], heads: usize, positions: usize, context: usize) -> Vec<f32> {
    let size = own.len() / (heads * positions).max(1);
    let mut whole = Vec::with_capacity(tail.len());
    for (own, tail) in own.chunks_exact(positions * size).zip(tail.chunks_exact(context * size)) {
        whole.extend_from_slice(own);
        whole.extend_from_slice(&tail[positions * size..]);
    }
    whole
}
