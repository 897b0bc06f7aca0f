//! EfficientNet-lite0 run by candle: the reference for the graph. Not for GPUs: candle runs a depthwise
//! convolution channel by channel, hundreds of launches each.

use super::candle_net::Place;
use super::efficientnet::{Conv, EfficientNet, FEATURES, LABELS};
use super::image_encoder::{ImageMade, ImageNet, PixelBatch};
use super::weights::{MOST_WEIGHT_BYTES, Weights, read};
use crate::device::Compute;
use crate::error::Result;
use candle_core::{DType, Result as Made, Tensor};
use std::num::NonZeroUsize;
use std::path::Path;

pub(super) struct EfficientNetCandle {
    place: Place,
    blocks: Vec<(Vec<Layer>, bool)>,
    labels: Tensor,
    labels_bias: Tensor,
}

struct Layer {
    weight: Tensor,
    bias: Tensor,
    conv: Conv,
}

impl EfficientNetCandle {
    pub(super) fn open(path: &Path, threads: NonZeroUsize) -> Result<Self> {
        let file = read(path, MOST_WEIGHT_BYTES)?;
        let net = EfficientNet::of(&Weights::of(&file, path)?)?;
        let (place, _) = Place::open(path, Compute::Cpu, DType::F32, threads)?;
        let device = place.device.clone();
        let layer = |mut conv: Conv| -> Made<Layer> {
            let weight = Tensor::from_vec(std::mem::take(&mut conv.weight), &conv.shape, &device)?;
            let channels = conv.bias.len();
            let bias = std::mem::take(&mut conv.bias);
            let bias = Tensor::from_vec(bias, (1, channels, 1, 1), &device)?;
            Ok(Layer { weight, bias, conv })
        };
        let build = || -> Made<_> {
            let blocks = net.blocks.into_iter().map(|block| {
                Ok((block.convs.into_iter().map(layer).collect::<Made<Vec<_>>>()?, block.skip))
            });
            let blocks = blocks.collect::<Made<Vec<_>>>()?;
            let labels = Tensor::from_vec(net.labels, (LABELS, FEATURES), &device)?.t()?;
            Ok((blocks, labels, Tensor::from_vec(net.labels_bias, (1, LABELS), &device)?))
        };
        let (blocks, labels, labels_bias) = build().map_err(|error| place.refused(&error))?;
        Ok(Self { place, blocks, labels, labels_bias })
    }
}

impl ImageNet for EfficientNetCandle {
    fn run(&mut self, batch: PixelBatch) -> Result<ImageMade> {
        let shape = (batch.pictures, 3, batch.height, batch.width);
        self.place.run(|| {
            let mut x = Tensor::from_vec(batch.values, shape, &self.place.device)?;
            for (layers, skip) in &self.blocks {
                let from = x.clone();
                for layer in layers {
                    let (before, behind) = layer.conv.pads;
                    if before + behind > 0 {
                        x = x.pad_with_zeros(2, before, behind)?;
                        x = x.pad_with_zeros(3, before, behind)?;
                    }
                    x = x.conv2d(&layer.weight, 0, layer.conv.stride, 1, layer.conv.groups)?;
                    x = x.broadcast_add(&layer.bias)?;
                    if layer.conv.clipped {
                        x = x.clamp(0.0_f32, 6.0_f32)?;
                    }
                }
                if *skip {
                    x = (x + from)?;
                }
            }
            let features = x.mean((2, 3))?;
            let logits = features.matmul(&self.labels)?.broadcast_add(&self.labels_bias)?;
            let labels = candle_nn::ops::softmax(&logits, 1)?;
            Ok(ImageMade {
                vectors: features.flatten_all()?.to_vec1()?,
                labels: labels.flatten_all()?.to_vec1()?,
            })
        })
    }
}
