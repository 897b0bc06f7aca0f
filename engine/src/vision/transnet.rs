//! TransNetV2 (Souček and Lokoč, 2020, arXiv:2008.04838): a network that gives, for each frame, the
//! probability that a shot ends at it. Its graph is written here, from the weights of the authors'
//! PyTorch version, and run by ONNX Runtime.

mod graph;

use super::shots::{Boundary, ShotDetector, SmallFrame, Transition};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::media::{SMALL_HEIGHT, SMALL_WIDTH};
use crate::onnx::OnnxRuntime;
use crate::onnx::owner::Owner;
use crate::onnx::runtime::run_failed;
use crate::time::Timestamp;
use ort::session::Session;
use ort::value::TensorRef;
use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Frames that the network sees at once.
const WINDOW: usize = 100;
/// Of these, the ones in the middle count.
const STEP: usize = 50;
const MARGIN: usize = 25;
const CELLS: usize = SMALL_WIDTH * SMALL_HEIGHT;
/// Colours of the histogram: three bits of each channel.
const BINS: usize = 512;
/// The largest model file that is read.
const MOST_BYTES: u64 = 256 << 20;

/// The files of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransNetModel {
    /// The library of ONNX Runtime.
    pub runtime: PathBuf,
    /// The model's name in reports.
    pub name: String,
    /// What tells its weights from any other, such as their sha256.
    pub digest: String,
    /// The weights (safetensors).
    pub weights: PathBuf,
}

/// The network, for any number of jobs: loaded when the first window comes, living in one thread.
#[derive(Debug)]
pub struct TransNet {
    model: TransNetModel,
    threads: NonZeroUsize,
    session: Mutex<Option<Arc<Owner<Session>>>>,
}

/// What the network says of one frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chances {
    /// That it is the middle of a transition.
    pub middle: f32,
    /// That it is part of one.
    pub part: f32,
}

impl TransNet {
    /// The network of `model`, run with `threads` threads. Nothing is loaded yet.
    pub fn new(model: TransNetModel, threads: NonZeroUsize) -> Self {
        Self { model, threads, session: Mutex::default() }
    }

    /// The files in use.
    pub fn model(&self) -> &TransNetModel {
        &self.model
    }

    fn session(&self) -> Result<Arc<Owner<Session>>> {
        let mut slot = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = &*slot {
            return Ok(session.clone());
        }
        let (model, threads) = (self.model.clone(), self.threads);
        let made = Arc::new(Owner::start(move || {
            let runtime = OnnxRuntime::load(&model.runtime)?;
            open(&runtime, &model.weights, threads)
        })?);
        *slot = Some(made.clone());
        Ok(made)
    }

    /// What it says of the frames of a window: `rgb` holds 100 pictures of 48 × 27, packed.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] where a file is missing, damaged, or another model's.
    fn run(&self, rgb: &[u8]) -> Result<Vec<Chances>> {
        let mut pixels = vec![0.0_f32; 3 * WINDOW * CELLS];
        let mut bins = vec![0.0_f32; WINDOW * BINS];
        for (t, picture) in rgb.chunks_exact(CELLS * 3).take(WINDOW).enumerate() {
            let counts = &mut bins[t * BINS..(t + 1) * BINS];
            for (at, pixel) in picture.chunks_exact(3).enumerate() {
                for (channel, value) in pixel.iter().enumerate() {
                    pixels[(channel * WINDOW + t) * CELLS + at] = f32::from(*value) / 255.0;
                }
                let bin = |value: u8| usize::from(value >> 5);
                counts[(bin(pixel[0]) << 6) + (bin(pixel[1]) << 3) + bin(pixel[2])] += 1.0;
            }
            let norm = counts.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-12);
            counts.iter_mut().for_each(|v| *v /= norm);
        }
        let path = self.model.weights.clone();
        self.session()?.ask(move |session| -> Result<Vec<Chances>> {
            let failed = |e: ort::Error| run_failed(&e, &path);
            let shape = [1, 3, WINDOW, SMALL_HEIGHT, SMALL_WIDTH];
            let pixels = TensorRef::from_array_view((shape, pixels.as_slice())).map_err(failed)?;
            let bins =
                TensorRef::from_array_view(([WINDOW, BINS], bins.as_slice())).map_err(failed)?;
            let outputs = session
                .run(ort::inputs! { graph::PIXELS => pixels, graph::BINS => bins })
                .map_err(failed)?;
            let read = |name: &str| -> Result<Vec<f32>> {
                let value = outputs.get(name).ok_or_else(|| {
                    Error::new(ErrorKind::Internal, Stage::Model, "an output is missing")
                })?;
                Ok(value.try_extract_tensor::<f32>().map_err(failed)?.1.to_vec())
            };
            let (middle, part) = (read(graph::MIDDLE)?, read(graph::PART)?);
            let both = middle.iter().zip(part);
            Ok(both.map(|(middle, part)| Chances { middle: *middle, part }).collect())
        })?
    }
}

/// Reads the weights at `path` and builds the network.
fn open(runtime: &OnnxRuntime, path: &Path, threads: NonZeroUsize) -> Result<Session> {
    let cannot = |what: String| {
        Error::new(ErrorKind::Model, Stage::Model, what)
            .input(path)
            .hint("run `rushes models pull transnetv2`")
    };
    rushes_models::convert::check_safetensors(path).map_err(|e| cannot(e.to_string()))?;
    let size = std::fs::metadata(path).map_err(|e| cannot(e.to_string()))?.len();
    if size > MOST_BYTES {
        return Err(cannot(format!("{size} bytes are too many for this model")));
    }
    let bytes = std::fs::read(path).map_err(|e| cannot(e.to_string()))?;
    let tensors =
        safetensors::SafeTensors::deserialize(&bytes).map_err(|e| cannot(e.to_string()))?;
    let options = runtime.options(threads).map_err(|e| cannot(e.to_string()))?;
    graph::build(&tensors, &options).map_err(|e| cannot(e.to_string()))
}

/// Runs [`TransNet`] over a film: windows of 100 frames, 50 further each time, the film's first and
/// last frame repeated around it, as the authors do.
pub struct TransNetDetector<'a> {
    net: &'a TransNet,
    /// A boundary is where the chance has passed this.
    threshold: f32,
    window: Vec<u8>,
    /// Times of frames that nothing is said of yet.
    times: VecDeque<Timestamp>,
    frames: u64,
    last: Vec<u8>,
    track: Track,
}

/// Turns chances into boundaries.
#[derive(Default)]
struct Track {
    /// The best chance of the peak that goes on.
    peak: Option<f32>,
    /// Frames in a row that are part of a transition.
    run: u32,
    /// The last boundary lies in the run that goes on.
    open: bool,
    found: Vec<Boundary>,
}

impl<'a> TransNetDetector<'a> {
    /// A detector for one film. The authors' threshold is 0.5.
    pub fn new(net: &'a TransNet, threshold: f32) -> Self {
        Self {
            net,
            threshold,
            window: Vec::new(),
            times: VecDeque::new(),
            frames: 0,
            last: Vec::new(),
            track: Track::default(),
        }
    }

    fn push(&mut self, rgb: &[u8]) -> Result<()> {
        self.window.extend_from_slice(rgb);
        if self.window.len() < WINDOW * CELLS * 3 {
            return Ok(());
        }
        let chances = self.net.run(&self.window)?;
        self.window.drain(..STEP * CELLS * 3);
        for chance in chances.into_iter().skip(MARGIN).take(STEP) {
            if let Some(time) = self.times.pop_front() {
                self.track.frame(time, chance, self.threshold);
            }
        }
        Ok(())
    }
}

impl Track {
    fn frame(&mut self, time: Timestamp, chance: Chances, threshold: f32) {
        /// Cuts are at most this long: the frame before and the one behind.
        const CUT: u32 = 3;
        if chance.part > threshold {
            self.run += 1;
        } else {
            self.run = 0;
            self.open = false;
        }
        if chance.middle > threshold {
            self.peak = Some(self.peak.unwrap_or(0.0).max(chance.middle));
        } else if let Some(confidence) = self.peak.take() {
            self.found.push(Boundary { at: time, kind: Transition::Cut, confidence });
            self.open = self.run > 0;
        }
        if self.open
            && self.run > CUT
            && let Some(last) = self.found.last_mut()
        {
            last.kind = Transition::Gradual;
        }
    }
}

impl ShotDetector for TransNetDetector<'_> {
    fn may_skip(&self) -> bool {
        false
    }

    fn frame(&mut self, frame: SmallFrame) -> Result<()> {
        let rgb = frame.picture.rgb();
        self.times.push_back(frame.time);
        if self.frames == 0 {
            for _ in 0..MARGIN {
                self.push(&rgb)?;
            }
        }
        self.frames += 1;
        self.push(&rgb)?;
        self.last = rgb;
        Ok(())
    }

    fn left_out(&mut self, _: &[Timestamp]) {}

    fn finish(&mut self) -> Result<Vec<Boundary>> {
        let last = std::mem::take(&mut self.last);
        while !self.times.is_empty() && !last.is_empty() {
            self.push(&last)?;
        }
        Ok(std::mem::take(&mut self.track.found))
    }
}

#[cfg(test)]
mod tests;
