//! EfficientNet-lite0: what its layers are, read from the published state dict, for either engine.
//!
//! Tan and Le, "EfficientNet" (2019), in the lite form of its authors: no squeeze, ReLU6. Batch
//! normalisation is part of the convolutions before it. Padding is TensorFlow's `SAME`.

use super::picture::{Filter, Fit, Preparation};
use super::weights::Weights;
use crate::error::Result;

/// Width and height of its pictures.
pub(super) const SIDE: usize = 224;
/// The length of its vectors.
pub(super) const FEATURES: usize = 1280;
/// ImageNet's labels.
pub(super) const LABELS: usize = 1000;

/// How its authors prepared pictures.
pub(super) const PREPARATION: Preparation = Preparation {
    size: (SIDE as u32, SIDE as u32),
    fit: Fit::Shortest(256),
    filter: Filter::Bicubic,
    mean: [0.498; 3],
    deviation: [0.502; 3],
};

/// TensorFlow's epsilon for batch normalisation.
const EPSILON: f32 = 1e-3;

/// Repeats, kernel, stride, expansion, inputs, outputs of each stage.
const STAGES: [[usize; 6]; 7] = [
    [1, 3, 1, 1, 32, 16],
    [2, 3, 2, 6, 16, 24],
    [2, 5, 2, 6, 24, 40],
    [3, 3, 2, 6, 40, 80],
    [3, 5, 1, 6, 80, 112],
    [4, 5, 2, 6, 112, 192],
    [1, 3, 1, 6, 192, 320],
];

/// A convolution with a bias.
pub(super) struct Conv {
    /// `[outputs, inputs / groups, kernel, kernel]`.
    pub(super) shape: [usize; 4],
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
    pub(super) stride: usize,
    pub(super) groups: usize,
    /// Zeros before and behind, of rows and of columns.
    pub(super) pads: (usize, usize),
    /// Whether results are held between 0 and 6.
    pub(super) clipped: bool,
}

/// Convolutions in a row, the first one's input added to the last one's output if `skip`.
pub(super) struct Block {
    pub(super) convs: Vec<Conv>,
    pub(super) skip: bool,
}

/// The whole network; its last block is followed by the mean over the picture, and that by the
/// labels' layer.
pub(super) struct EfficientNet {
    pub(super) blocks: Vec<Block>,
    /// `[LABELS, FEATURES]`.
    pub(super) labels: Vec<f32>,
    pub(super) labels_bias: Vec<f32>,
}

impl EfficientNet {
    pub(super) fn of(file: &Weights<'_>) -> Result<Self> {
        let mut side = SIDE;
        let mut conv = |name: &str, norm: &str, shape: [usize; 4], stride: usize, clipped: bool| {
            let [outputs, inputs, kernel, _] = shape;
            let mut weight = file.data(&format!("{name}.weight"), &shape)?;
            let of = |part: &str| file.data(&format!("{norm}.{part}"), &[outputs]);
            let (scale, shift) = (of("weight")?, of("bias")?);
            let (mean, variance) = (of("running_mean")?, of("running_var")?);
            let mut bias = Vec::with_capacity(outputs);
            for (at, weights) in weight.chunks_exact_mut(inputs * kernel * kernel).enumerate() {
                let factor = scale[at] / (variance[at] + EPSILON).sqrt();
                weights.iter_mut().for_each(|weight| *weight *= factor);
                bias.push(shift[at] - mean[at] * factor);
            }
            let out = side.div_ceil(stride);
            let pad = ((out - 1) * stride + kernel).saturating_sub(side);
            side = out;
            // A kernel for each channel has one input.
            let groups = if inputs == 1 { outputs } else { 1 };
            let pads = (pad / 2, pad - pad / 2);
            Ok::<_, crate::error::Error>(Conv {
                shape,
                weight,
                bias,
                stride,
                groups,
                pads,
                clipped,
            })
        };
        let stem = conv("_conv_stem", "_bn0", [32, 3, 3, 3], 2, true)?;
        let mut blocks = vec![Block { convs: vec![stem], skip: false }];
        let mut number = 0;
        for [repeats, kernel, stride, expansion, inputs, outputs] in STAGES {
            for repeat in 0..repeats {
                let (inputs, stride) = if repeat == 0 { (inputs, stride) } else { (outputs, 1) };
                let wide = inputs * expansion;
                let of = |part: &str| format!("_blocks.{number}.{part}");
                let mut convs = Vec::with_capacity(3);
                if expansion != 1 {
                    let shape = [wide, inputs, 1, 1];
                    convs.push(conv(&of("_expand_conv"), &of("_bn0"), shape, 1, true)?);
                }
                let shape = [wide, 1, kernel, kernel];
                convs.push(conv(&of("_depthwise_conv"), &of("_bn1"), shape, stride, true)?);
                let shape = [outputs, wide, 1, 1];
                convs.push(conv(&of("_project_conv"), &of("_bn2"), shape, 1, false)?);
                blocks.push(Block { convs, skip: stride == 1 && inputs == outputs });
                number += 1;
            }
        }
        let head = conv("_conv_head", "_bn1", [FEATURES, 320, 1, 1], 1, true)?;
        blocks.push(Block { convs: vec![head], skip: false });
        Ok(Self {
            blocks,
            labels: file.data("_fc.weight", &[LABELS, FEATURES])?,
            labels_bias: file.data("_fc.bias", &[LABELS])?,
        })
    }
}
