//! BERT run by ONNX Runtime.

use super::bert::{BertShape, BertWeights};
use super::bert_graph::{BlockPeaks, Numbers, Peaks, build, peak_names};
use super::text_encoder::TextNet;
use super::tokens::TokenBatch;
use super::weights::{MOST_WEIGHT_BYTES, Weights, read};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::onnx::OnnxRuntime;
use crate::onnx::runtime::run_failed;
use ort::session::{Session, SessionOutputs};
use ort::value::Tensor;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Texts of random tokens that the peaks of 8-bit products are measured on, and their length.
const MEASURED: (usize, usize) = (16, 32);

pub(super) struct BertOnnx {
    session: Session,
    path: PathBuf,
}

impl BertOnnx {
    /// Makes the graph out of the weights at `path`; with `bytes` its products have 8 bits.
    pub(super) fn open(
        runtime: &OnnxRuntime,
        path: &Path,
        shape: &BertShape,
        threads: NonZeroUsize,
        bytes: bool,
    ) -> Result<Self> {
        let file = read(path, MOST_WEIGHT_BYTES)?;
        let weights = BertWeights::of(&Weights::of(&file, path)?, shape)?;
        drop(file);
        let refused = |error: ort::Error| {
            Error::new(ErrorKind::Model, Stage::Model, format!("cannot be loaded: {error}"))
                .input(path)
        };
        let options = runtime.options(threads).map_err(refused)?;
        let session = if bytes {
            let session = build(&weights, shape, Numbers::Measured, &options).map_err(refused)?;
            let peaks = measure(&mut Self { session, path: path.to_owned() }, shape)?;
            build(&weights, shape, Numbers::Byte(&peaks), &options)
        } else {
            build(&weights, shape, Numbers::Float, &options)
        };
        Ok(Self { session: session.map_err(refused)?, path: path.to_owned() })
    }

    fn outputs(&mut self, batch: &TokenBatch) -> ort::Result<SessionOutputs<'_>> {
        let (texts, width) = (batch.lengths.len(), batch.width);
        let ids: Vec<i64> = batch.ids.iter().map(|&id| i64::from(id)).collect();
        let lengths: Vec<i32> =
            batch.lengths.iter().map(|&n| i32::try_from(n).unwrap_or(i32::MAX)).collect();
        let mut mask = vec![0.0_f32; texts * width];
        for (row, &length) in mask.chunks_exact_mut(width).zip(&batch.lengths) {
            let share = 1.0 / length.max(1) as f32;
            row.iter_mut().take(length).for_each(|value| *value = share);
        }
        self.session.run(ort::inputs![
            "ids" => Tensor::from_array(([texts, width], ids))?,
            "lengths" => Tensor::from_array(([texts], lengths))?,
            "mask" => Tensor::from_array(([texts, 1, width], mask))?,
        ])
    }
}

impl TextNet for BertOnnx {
    fn run(&mut self, batch: &TokenBatch) -> Result<Vec<f32>> {
        let path = self.path.clone();
        let run = |net: &mut Self| -> ort::Result<Vec<f32>> {
            let outputs = net.outputs(batch)?;
            Ok(outputs["out"].try_extract_tensor::<f32>()?.1.to_vec())
        };
        run(self).map_err(|error| run_failed(&error, &path))
    }
}

/// The peaks of every channel on random tokens between the first and last of any text.
fn measure(net: &mut BertOnnx, shape: &BertShape) -> Result<Peaks> {
    let (texts, width) = MEASURED;
    let width = width.min(shape.max_position_embeddings);
    let vocabulary = shape.vocab_size as u64;
    // A fixed walk (PCG's multiplier), so that a model is always the same.
    let mut state = 0x853c_49e6_748f_ea9b_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((state >> 33) % vocabulary) as u32
    };
    let mut ids: Vec<u32> = (0..texts * width).map(|_| random()).collect();
    for row in ids.chunks_exact_mut(width) {
        // [CLS] and [SEP] of BERT's vocabulary, which have the highest peaks.
        for (place, id) in [(0, 101), (width - 1, 102)] {
            row[place] = id.min(vocabulary as u32 - 1);
        }
    }
    let batch = TokenBatch { ids, lengths: vec![width; texts], width };
    let path = net.path.clone();
    let mut run = || -> ort::Result<Peaks> {
        let outputs = net.outputs(&batch)?;
        let of = |name: &str| -> ort::Result<Vec<f32>> {
            Ok(outputs[name].try_extract_tensor::<f32>()?.1.to_vec())
        };
        let blocks = (0..shape.num_hidden_layers).map(|block| {
            let [attend, widen, narrow] = peak_names(block);
            Ok(BlockPeaks { attend: of(&attend)?, widen: of(&widen)?, narrow: of(&narrow)? })
        });
        Ok(Peaks(blocks.collect::<ort::Result<_>>()?))
    };
    run().map_err(|error| run_failed(&error, &path))
}
