//! Where somebody speaks: Silero VAD through ONNX Runtime, one probability for each 32 ms.
//!
//! The model is Silero's "sequence" graph (`silero_vad_16k_sequence.onnx`, package silero-vad
//! 6.2.3): the same weights as its streaming graph and the same probabilities bit for bit, with the
//! loop over windows inside. Measured on 11 s of speech, one thread: 0.0019 CPU-seconds per second
//! of sound in blocks of 32 windows, 0.0043 for the streaming graph, window by window.

use crate::error::Result;
use crate::onnx::runtime::{OnnxRuntime, misfit, run_failed};
use ort::session::Session;
use ort::value::TensorRef;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Samples (at 16 kHz) that one probability stands for: 32 ms.
pub const WINDOW: usize = 512;

/// Samples before a window that the model sees with it.
const CONTEXT: usize = 64;

/// What the model takes for one window.
const FRAME: usize = CONTEXT + WINDOW;

/// Windows given to the model at a time, about a second.
const BLOCK: usize = 32;

/// Length of each of the two state vectors.
const STATE: usize = 128;

/// A window with no sample beyond this (−80 dBFS) is all but digital silence.
const SILENT: f32 = 1e-4;

/// Silent windows in a row after which the model is asked no more: one second.
const PATIENCE: u32 = 32;

/// Samples are held within this, so that no sound can drive the state to infinity.
const LOUDEST: f32 = 4.0;

/// Silero VAD on one stream of sound.
#[derive(Debug)]
pub struct Vad {
    session: Session,
    model: PathBuf,
    hidden: Vec<f32>,
    cell: Vec<f32>,
    /// Frames that wait for the model, each with its context.
    frames: Vec<f32>,
    /// The frame being filled: the context, then the window's samples so far.
    frame: Vec<f32>,
    silent: u32,
}

impl Vad {
    /// Opens the model at `model` with one thread.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`] where the file is missing, damaged or another model.
    pub fn open(runtime: &OnnxRuntime, model: &Path) -> Result<Self> {
        let session = runtime.session(model, NonZeroUsize::MIN)?;
        let has = |names: &[&str], outlets: &[ort::value::Outlet]| {
            names.iter().all(|name| outlets.iter().any(|outlet| outlet.name() == *name))
        };
        if !has(&["input", "h", "c"], session.inputs())
            || !has(&["speech_probs", "hn", "cn"], session.outputs())
        {
            return Err(misfit("Silero's sequence model", model));
        }
        Ok(Self {
            session,
            model: model.to_path_buf(),
            hidden: vec![0.0; STATE],
            cell: vec![0.0; STATE],
            frames: Vec::with_capacity(BLOCK * FRAME),
            frame: vec![0.0; CONTEXT],
            silent: 0,
        })
    }

    /// Takes the next samples (16 kHz, mono) and appends to `probabilities` those of the windows
    /// that are decided: window `n` is samples `n × 512` to `(n + 1) × 512`. Up to 32 windows are
    /// held back to be given to the model together.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`] where the model fails.
    pub fn push(&mut self, mut samples: &[f32], probabilities: &mut Vec<f32>) -> Result<()> {
        while !samples.is_empty() {
            let (now, later) = samples.split_at(samples.len().min(FRAME - self.frame.len()));
            self.frame.extend(now.iter().map(|&sample| tame(sample)));
            samples = later;
            if self.frame.len() == FRAME {
                self.window(probabilities)?;
            }
        }
        Ok(())
    }

    /// Decides what is held back, the last window filled up with silence, and starts afresh.
    ///
    /// # Errors
    /// As [`Vad::push`].
    pub fn finish(&mut self, probabilities: &mut Vec<f32>) -> Result<()> {
        if self.frame.len() > CONTEXT {
            self.frame.resize(FRAME, 0.0);
            self.window(probabilities)?;
        }
        self.run(probabilities)?;
        self.forget();
        self.frame.fill(0.0);
        self.silent = 0;
        Ok(())
    }

    /// Takes the full frame.
    fn window(&mut self, probabilities: &mut Vec<f32>) -> Result<()> {
        let silent = self.frame[CONTEXT..].iter().all(|sample| sample.abs() < SILENT);
        self.silent = if silent { self.silent.saturating_add(1) } else { 0 };
        if self.silent > PATIENCE {
            if self.silent == PATIENCE + 1 {
                self.run(probabilities)?;
                self.forget();
            }
            probabilities.push(0.0);
        } else {
            self.frames.extend_from_slice(&self.frame);
            if self.frames.len() == BLOCK * FRAME {
                self.run(probabilities)?;
            }
        }
        self.frame.copy_within(WINDOW.., 0);
        self.frame.truncate(CONTEXT);
        Ok(())
    }

    fn forget(&mut self) {
        self.hidden.fill(0.0);
        self.cell.fill(0.0);
    }

    /// Asks the model about the frames that wait.
    fn run(&mut self, probabilities: &mut Vec<f32>) -> Result<()> {
        if self.frames.is_empty() {
            return Ok(());
        }
        let count = self.frames.len() / FRAME;
        let failed = |error: ort::Error| run_failed(&error, &self.model);
        let state = [1_usize, 1, STATE];
        let input =
            TensorRef::from_array_view(([count, FRAME], self.frames.as_slice())).map_err(failed)?;
        let h = TensorRef::from_array_view((state, self.hidden.as_slice())).map_err(failed)?;
        let c = TensorRef::from_array_view((state, self.cell.as_slice())).map_err(failed)?;
        let outputs =
            self.session.run(ort::inputs!["input" => input, "h" => h, "c" => c]).map_err(failed)?;
        let output = |name: &str, length: usize| -> Result<Vec<f32>> {
            let (_, values) = outputs[name].try_extract_tensor::<f32>().map_err(failed)?;
            if values.len() == length {
                Ok(values.to_vec())
            } else {
                Err(misfit("Silero's sequence model", &self.model))
            }
        };
        let found = output("speech_probs", count)?;
        let (hidden, cell) = (output("hn", STATE)?, output("cn", STATE)?);
        drop(outputs);
        (self.hidden, self.cell) = (hidden, cell);
        if found.iter().chain(&self.hidden).chain(&self.cell).all(|value| value.is_finite()) {
            probabilities.extend(found);
        } else {
            // Cannot come from samples that are held in bounds; a stream is not to be lost to it.
            self.forget();
            probabilities.resize(probabilities.len() + count, 0.0);
        }
        self.frames.clear();
        Ok(())
    }
}

/// A sample that the model can take: NaN and infinities become silence.
fn tame(sample: f32) -> f32 {
    if sample.is_finite() { sample.clamp(-LOUDEST, LOUDEST) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::onnx::runtime::test_model;

    fn vad() -> Option<Vad> {
        let runtime = OnnxRuntime::load(&test_model("libonnxruntime.so")?).unwrap();
        Some(Vad::open(&runtime, &test_model("silero_vad_16k_sequence.onnx")?).unwrap())
    }

    fn all(vad: &mut Vad, samples: &[f32], step: usize) -> Vec<f32> {
        let mut found = Vec::new();
        for piece in samples.chunks(step) {
            vad.push(piece, &mut found).unwrap();
        }
        vad.finish(&mut found).unwrap();
        found
    }

    /// A hum and noise: no speech, but not silence.
    fn noise(count: usize) -> Vec<f32> {
        let mut seed = 1_u32;
        (0..count)
            .map(|at| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = (seed >> 8) as f32 / 8_388_608.0 - 1.0;
                0.2 * (at as f32 * 0.05).sin() + 0.05 * noise
            })
            .collect()
    }

    #[test]
    fn gives_the_same_however_the_sound_is_cut() {
        let Some(mut vad) = vad() else { return };
        let sound = noise(16_000 * 3 + 77);
        let whole = all(&mut vad, &sound, sound.len());
        assert_eq!(whole.len(), sound.len().div_ceil(WINDOW));
        for step in [1, 160, 511, 513, 16_384] {
            assert_eq!(all(&mut vad, &sound, step), whole, "in steps of {step}");
        }
    }

    #[test]
    fn survives_what_is_no_number() {
        let Some(mut vad) = vad() else { return };
        let mut sound = noise(16_000 * 2);
        sound[100] = f32::NAN;
        sound[5_000] = f32::INFINITY;
        sound[5_001] = f32::NEG_INFINITY;
        sound[5_002] = f32::MAX;
        let found = all(&mut vad, &sound, 1_000);
        assert!(found.iter().all(|p| (0.0..=1.0).contains(p)));
    }

    #[test]
    fn silence_is_silence_and_what_follows_is_heard_afresh() {
        let Some(mut vad) = vad() else { return };
        let mut sound = vec![0.0; 16_000 * 60 / WINDOW * WINDOW];
        let silent = sound.len() / WINDOW;
        sound.extend(noise(16_000));
        let found = all(&mut vad, &sound, 4_096);
        assert!(found[..silent].iter().all(|p| *p < 0.1));
        assert!(found[PATIENCE as usize..silent].iter().all(|p| *p == 0.0));
        assert_eq!(found[silent..], all(&mut vad, &noise(16_000), 4_096));
    }

    #[test]
    fn another_model_is_refused() {
        let Some(library) = test_model("libonnxruntime.so") else { return };
        let Some(other) = test_model("silero_vad.onnx") else { return };
        let runtime = OnnxRuntime::load(&library).unwrap();
        let error = Vad::open(&runtime, &other).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Model);
        assert!(error.to_string().contains("is not Silero's sequence model"), "{error}");
    }
}
