//! EfficientNet-lite0 run by ONNX Runtime.

use super::efficientnet::{EfficientNet, FEATURES, LABELS, SIDE};
use super::image_encoder::{ImageMade, ImageNet, PixelBatch};
use super::weights::{MOST_WEIGHT_BYTES, Weights, read};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::onnx::OnnxRuntime;
use crate::onnx::graph::{Dim, GraphBuilder};
use crate::onnx::runtime::run_failed;
use ort::editor::ONNX_DOMAIN;
use ort::operator::Attribute;
use ort::session::Session;
use ort::session::builder::SessionBuilder;
use ort::value::{Tensor, TensorElementType};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

pub(super) struct EfficientNetOnnx {
    session: Session,
    path: PathBuf,
}

impl EfficientNetOnnx {
    pub(super) fn open(runtime: &OnnxRuntime, path: &Path, threads: NonZeroUsize) -> Result<Self> {
        let file = read(path, MOST_WEIGHT_BYTES)?;
        let net = EfficientNet::of(&Weights::of(&file, path)?)?;
        let make = || build(&net, &runtime.options(threads)?);
        let session = make().map_err(|error: ort::Error| {
            Error::new(ErrorKind::Model, Stage::Model, format!("cannot be loaded: {error}"))
                .input(path)
        })?;
        Ok(Self { session, path: path.to_owned() })
    }
}

impl ImageNet for EfficientNetOnnx {
    fn run(&mut self, batch: PixelBatch) -> Result<ImageMade> {
        let run = || -> ort::Result<ImageMade> {
            let shape = [batch.pictures, 3, batch.height, batch.width];
            let pictures = Tensor::from_array((shape, batch.values))?;
            let outputs = self.session.run(ort::inputs!["pictures" => pictures])?;
            let take = |name: &str| -> ort::Result<Vec<f32>> {
                Ok(outputs[name].try_extract_tensor::<f32>()?.1.to_vec())
            };
            Ok(ImageMade { vectors: take("features")?, labels: take("labels")? })
        };
        run().map_err(|error| run_failed(&error, &self.path))
    }
}

fn build(net: &EfficientNet, options: &SessionBuilder) -> ort::Result<Session> {
    let mut graph = GraphBuilder::new()?;
    let pictures = Dim::Named("pictures");
    let side = Dim::Fixed(SIDE);
    let shape = [pictures, Dim::Fixed(3), side, side];
    graph.input("pictures", TensorElementType::Float32, &shape);
    let (least, most) = (graph.floats(&[], &[0.0])?, graph.floats(&[], &[6.0])?);
    let mut x = "pictures".to_owned();
    for block in &net.blocks {
        let from = x.clone();
        for conv in &block.convs {
            let weight = graph.floats(&conv.shape, &conv.weight)?;
            let bias = graph.floats(&[conv.bias.len()], &conv.bias)?;
            let (before, behind) = (conv.pads.0 as i64, conv.pads.1 as i64);
            let (stride, kernel) = (conv.stride as i64, conv.shape[2] as i64);
            let attributes = [
                Attribute::new("group", conv.groups as i64)?,
                Attribute::new("kernel_shape", vec![kernel, kernel])?,
                Attribute::new("pads", vec![before, before, behind, behind])?,
                Attribute::new("strides", vec![stride, stride])?,
            ];
            x = graph.op(ONNX_DOMAIN, "Conv", &[&x, &weight, &bias], attributes)?;
            if conv.clipped {
                x = graph.plain("Clip", &[&x, &least, &most])?;
            }
        }
        if block.skip {
            x = graph.plain("Add", &[&x, &from])?;
        }
    }
    let mean = graph.plain("GlobalAveragePool", &[&x])?;
    let features = graph.plain("Flatten", &[&mean])?;
    graph.output(&features, "features", &[pictures, Dim::Fixed(FEATURES)])?;
    let weight = graph.floats(&[LABELS, FEATURES], &net.labels)?;
    let bias = graph.floats(&[LABELS], &net.labels_bias)?;
    let across = [Attribute::new("transB", 1_i64)?];
    let logits = graph.op(ONNX_DOMAIN, "Gemm", &[&features, &weight, &bias], across)?;
    let labels = graph.plain("Softmax", &[&logits])?;
    graph.output(&labels, "labels", &[pictures, Dim::Fixed(LABELS)])?;
    graph.finish(options)
}
