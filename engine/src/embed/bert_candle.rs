//! BERT run by candle: the reference for the graph, and the way onto a GPU.

use super::candle_net::Place;
use super::text_encoder::TextNet;
use super::tokens::TokenBatch;
use super::weights::settings;
use crate::device::Compute;
use crate::error::Result;
use candle_core::{DType, Tensor};
use candle_transformers::models::bert::{BertModel, Config};
use std::num::NonZeroUsize;
use std::path::Path;

pub(super) struct BertCandle {
    model: BertModel,
    place: Place,
}

impl BertCandle {
    pub(super) fn open(
        weights: &Path,
        config: &Path,
        compute: Compute,
        threads: NonZeroUsize,
    ) -> Result<Self> {
        let config: Config = settings(config)?;
        // In floats on a GPU too: candle masks with the least float there is, which in halves is
        // infinite, and zero times that is no number.
        let (place, weights) = Place::open(weights, compute, DType::F32, threads)?;
        let model = BertModel::load(weights, &config).map_err(|error| place.refused(&error))?;
        // Every thread has a queue of its own on a GPU: what this one copies there must have arrived.
        place.device.synchronize().map_err(|error| place.refused(&error))?;
        Ok(Self { model, place })
    }
}

impl TextNet for BertCandle {
    fn run(&mut self, batch: &TokenBatch) -> Result<Vec<f32>> {
        let (texts, width) = (batch.lengths.len(), batch.width);
        let rows = batch.lengths.iter();
        let mask: Vec<f32> = rows
            .flat_map(|&length| (0..width).map(move |at| if at < length { 1.0 } else { 0.0 }))
            .collect();
        let lengths: Vec<f32> = batch.lengths.iter().map(|&n| n.max(1) as f32).collect();
        let device = &self.place.device;
        self.place.run(|| {
            let ids = Tensor::from_slice(&batch.ids, (texts, width), device)?;
            let mask = Tensor::from_vec(mask, (texts, width), device)?;
            let lengths = Tensor::from_vec(lengths, (texts, 1), device)?;
            let states = self.model.forward(&ids, &ids.zeros_like()?, Some(&mask))?;
            let sum = states.broadcast_mul(&mask.unsqueeze(2)?)?.sum(1)?;
            sum.broadcast_div(&lengths)?.flatten_all()?.to_vec1()
        })
    }
}
