//! Whisper's encoder, which hears only as much as there is to hear.
//!
//! Whisper was trained on windows of 30 s, short sounds followed by silence. Cutting the window to
//! the sound's length saves most of the work but breaks the model: with tiny it ran into endless
//! repetition on 123 short clips. What the sound attends to in that silence is, however, nearly the
//! same for every sound: so the keys and values of pure silence are computed once for each block
//! and every position, and stand in for the tail of the window. The error rate stays that of the
//! full window at a quarter of the work for clips of 5 s (`docs/architecture.md`, the way of speech).

use super::heard::{CrossMemory, Heard};
use super::int8::After;
use super::mel::{Mel, MelSpectrum};
use super::weights::Net;
use crate::onnx::Built;
use crate::onnx::graph::Dim;
use half::f16;
use ort::editor::ONNX_DOMAIN;
use ort::operator::Attribute;
use ort::session::builder::SessionBuilder;
use ort::session::{RunOptions, Session, SessionInputValue};
use ort::value::{TensorElementType, TensorRef};
use rushes_models::convert::{Ggml, WhisperShape};
use std::borrow::Cow;
use std::sync::Arc;

/// Silence is computed for loudness floors this far apart; a sound's spectrogram is shifted to the
/// nearest, by at most 5 dB.
const FLOOR_STEP: f32 = 0.25;
/// Floors outside (a sound that is itself all but silence, or clipped beyond measure) count as
/// these.
const FLOORS: std::ops::RangeInclusive<i32> = -8..=8;
/// Silences kept, each as large as what is heard of a full window (18 MB with tiny).
const SILENCES: usize = 3;
/// A window that is full up to here is computed whole, 3 s: silence costs a window of its own.
const LEAST_TAIL: usize = 150;
/// Silence that is computed with a sound, so that its end is heard: 0.5 s.
const MARGIN_FRAMES: usize = 50;

/// The window's tail: keys and values of pure silence.
struct Silence {
    /// For each encoder block keys, then values, `[context, state]`.
    own: Vec<Vec<f16>>,
    /// The decoder's.
    cross: Arc<CrossMemory>,
}

pub(super) struct Encoder {
    session: Session,
    spectrum: MelSpectrum,
    shape: WhisperShape,
    /// By their floor, those asked for last at the end.
    silences: Vec<(i32, Arc<Silence>)>,
}

/// `kind` with `k` and `v` for each block, as graphs name keys and values.
pub(super) fn names(kind: &str, blocks: u32) -> impl Iterator<Item = String> {
    (0..blocks).flat_map(move |block| [format!("{kind}k{block}"), format!("{kind}v{block}")])
}

impl Encoder {
    pub(super) fn new(model: &Ggml, options: &SessionBuilder) -> Built<Self> {
        let shape = *model.shape();
        let (state, heads) = (shape.audio_state as usize, shape.audio_heads as usize);
        let mut net = Net::new(model)?;
        net.int8 = true;
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

        let wide = |length| [batch, Dim::Named(length), Dim::Fixed(state)];
        let along = || Ok::<_, ort::Error>([Attribute::new("axis", 1_i64)?]);
        for block in 0..shape.audio_layers {
            let name = format!("encoder.blocks.{block}");
            let normed = net.layer_norm(&x, &format!("{name}.attn_ln"))?;
            let [query, key, value] = net.query_key_value(&normed, &format!("{name}.attn"))?;
            let mut whole = Vec::new();
            for (part, letter) in [(key, 'k'), (value, 'v')] {
                net.graph.output_halves(&part, &format!("own{letter}{block}"), &wide("length"))?;
                let tail = format!("tail{letter}{block}");
                net.graph.input(&tail, TensorElementType::Float16, &wide("tail"));
                let tail = net.graph.floats_of(&tail)?;
                whole.push(net.graph.op(ONNX_DOMAIN, "Concat", &[&part, &tail], along()?)?);
            }
            let heard = net.attention(&query, &whole[0], &whole[1], heads)?;
            let (norm, values) = (format!("{name}.attn_ln"), format!("{name}.attn.value"));
            let after = After::NormAndLayer(&norm, &values);
            let heard = net.linear_after(&heard, &[&format!("{name}.attn.out")], after)?;
            x = net.graph.plain("Add", &[&heard, &x])?;
            x = net.feed_forward(&x, &name)?;
        }
        x = net.layer_norm(&x, "encoder.ln_post")?;

        let (state, heads) = (shape.text_state as usize, shape.text_heads as usize);
        let size = state / heads.max(1);
        let of_heads = [batch, Dim::Fixed(heads), Dim::Named("length"), Dim::Fixed(size)];
        let turned = [batch, Dim::Fixed(heads), Dim::Fixed(size), Dim::Named("length")];
        for block in 0..shape.text_layers {
            let name = format!("decoder.blocks.{block}.cross_attn");
            let names = [format!("{name}.key"), format!("{name}.value")];
            let names = names.each_ref().map(String::as_str);
            let both = net.linear_after(&x, &names, After::Norm("encoder.ln_post"))?;
            let mut parts = net.split(&both, 2)?.into_iter();
            let mut next = || parts.next().unwrap_or_default();
            let key = net.heads_turned(&next(), heads, state)?;
            net.graph.output_halves(&key, &format!("crossk{block}"), &turned)?;
            let value = net.heads(&next(), heads, state)?;
            net.graph.output_halves(&value, &format!("crossv{block}"), &of_heads)?;
        }
        Ok(Self {
            session: net.graph.finish(options)?,
            spectrum: MelSpectrum::new(model.mel()),
            shape,
            silences: Vec::new(),
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
        let positions = frames.div_ceil(2).clamp(50, context);
        let whole = whole || positions + LEAST_TAIL > context;
        let positions = if whole { context } else { positions };
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
        let tail: Vec<&[f16]> =
            silence.iter().flat_map(|s| s.own.iter().map(Vec::as_slice)).collect();
        let (_, own) = self.run(&mel, positions, &tail, run)?;
        let silence = silence.map(|silence| silence.cross.clone());
        Ok(Heard { own, silence, positions: frames.div_ceil(2).min(context), context })
    }

    fn silence(&mut self, floor: i32, run: &RunOptions) -> ort::Result<Arc<Silence>> {
        if let Some(at) = self.silences.iter().position(|(known, _)| *known == floor) {
            let known = self.silences.remove(at);
            let silence = known.1.clone();
            self.silences.push(known);
            return Ok(silence);
        }
        let context = self.shape.audio_context as usize;
        let value = floor as f32 * FLOOR_STEP;
        let mel = Mel { values: vec![value; self.shape.mels as usize * context * 2], floor: value };
        let (own, cross) = self.run(&mel, context, &[], run)?;
        let silence = Arc::new(Silence { own, cross: Arc::new(cross) });
        if self.silences.len() >= SILENCES {
            self.silences.remove(0);
        }
        self.silences.push((floor, silence.clone()));
        Ok(silence)
    }

    /// Runs the graph on `positions` positions and the end of `tail` behind them. Gives its own keys
    /// and values where there is no tail (they are of use only for silence), and the decoder's.
    fn run(
        &mut self,
        mel: &Mel,
        positions: usize,
        tail: &[&[f16]],
        run: &RunOptions,
    ) -> ort::Result<(Vec<Vec<f16>>, CrossMemory)> {
        let shape = self.shape;
        let state = shape.audio_state as usize;
        let mut inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = Vec::new();
        let dims = [1, shape.mels as usize, positions * 2];
        inputs.push(("mel".into(), TensorRef::from_array_view((dims, &*mel.values))?.into()));
        for (at, name) in names("tail", shape.audio_layers).enumerate() {
            let tail = tail.get(at).and_then(|tail| tail.get(positions * state..));
            let tail = tail.unwrap_or_default();
            let dims = [1, tail.len() / state.max(1), state];
            inputs.push((name.into(), TensorRef::from_array_view((dims, tail))?.into()));
        }
        let outputs = self.session.run_with_options(inputs, run)?;
        let take = |name: &str| -> ort::Result<&[f16]> {
            let value = outputs.get(name);
            let value = value.ok_or_else(|| ort::Error::new(format!("no output {name}")))?;
            Ok(value.try_extract_tensor::<f16>()?.1)
        };
        let mut own = Vec::new();
        if tail.is_empty() {
            for name in names("own", shape.audio_layers) {
                own.push(take(&name)?.to_vec());
            }
        }
        let cross: Vec<String> = names("cross", shape.text_layers).collect();
        let cross = cross.iter().map(|name| take(name)).collect::<ort::Result<Vec<&[f16]>>>()?;
        let heads = shape.text_heads as usize;
        let size = shape.text_state as usize / heads.max(1);
        let cross = CrossMemory::new(&cross, positions, heads, size)
            .ok_or_else(|| ort::Error::new("keys and values of another size"))?;
        Ok((own, cross))
    }
}
