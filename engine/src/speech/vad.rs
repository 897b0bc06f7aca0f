//! Where somebody speaks: Silero VAD through ONNX Runtime, one probability for each 32 ms.
//!
//! The weights are those of Silero's "sequence" graph (`silero_vad_16k_sequence.onnx`, package
//! silero-vad 6.2.3), which gives the same probabilities as its streaming graph bit for bit with the
//! loop over windows inside; the graph is ours ([`graph`]), a block of windows at a time.

mod graph;

use crate::error::Result;
use crate::onnx::BuildError;
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

/// Samples that wait for one window.
const WAITING: usize = graph::SPECTRA * graph::SPECTRUM;

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
    /// What the spectra of the windows that wait for the model are made of.
    stretches: Vec<f32>,
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
        let failed = |error: BuildError| run_failed(&error, model);
        let options = runtime.options(NonZeroUsize::MIN).map_err(|error| failed(error.into()))?;
        let session = graph::build(model, &options).map_err(failed)?;
        let session = session.ok_or_else(|| misfit("Silero's sequence model", model))?;
        Ok(Self {
            session,
            model: model.to_path_buf(),
            hidden: vec![0.0; STATE],
            cell: vec![0.0; STATE],
            stretches: Vec::with_capacity(BLOCK * WAITING),
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
            graph::spread(&self.frame, &mut self.stretches);
            if self.stretches.len() == BLOCK * WAITING {
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
        if self.stretches.is_empty() {
            return Ok(());
        }
        let count = self.stretches.len() / WAITING;
        let failed = |error: ort::Error| run_failed(&error, &self.model);
        let state = [1_usize, 1, STATE];
        let shape = [count * graph::SPECTRA, graph::SPECTRUM];
        let stretches =
            TensorRef::from_array_view((shape, self.stretches.as_slice())).map_err(failed)?;
        let h = TensorRef::from_array_view((state, self.hidden.as_slice())).map_err(failed)?;
        let c = TensorRef::from_array_view((state, self.cell.as_slice())).map_err(failed)?;
        let inputs = ort::inputs!["stretches" => stretches, "h" => h, "c" => c];
        let outputs = self.session.run(inputs).map_err(failed)?;
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
        self.stretches.clear();
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
    fn agrees_with_the_published_graph() {
        let Some(mut vad) = vad() else { return };
        let (library, model) = (test_model("libonnxruntime.so"), vad.model.clone());
        let runtime = OnnxRuntime::load(&library.unwrap()).unwrap();
        let mut published = runtime.session(&model, NonZeroUsize::MIN).unwrap();
        // Bursts of something like a voice, so that probabilities rise and fall.
        let sound: Vec<f32> = noise(16_000 * 6)
            .iter()
            .enumerate()
            .map(|(at, noise)| {
                let time = at as f32 / 16_000.0;
                let voice: f32 = (1..20).map(|k| (time * 880.0 * k as f32).sin() / k as f32).sum();
                noise * 0.1
                    + voice * 0.2 * (time * 20.0).sin().max(0.0) * (time * 2.0).sin().max(0.0)
            })
            .collect();
        let found = all(&mut vad, &sound, 4_096);
        let frames: Vec<f32> = (0..found.len())
            .flat_map(|window| {
                (0..FRAME).map(move |at| (window * WINDOW + at).checked_sub(CONTEXT))
            })
            .map(|at| at.and_then(|at| sound.get(at)).copied().unwrap_or(0.0))
            .collect();
        let state =
            || ort::value::Tensor::from_array(([1, 1, STATE], vec![0.0_f32; STATE])).unwrap();
        let frames = ort::value::Tensor::from_array(([found.len(), FRAME], frames)).unwrap();
        let inputs = ort::inputs!["input" => frames, "h" => state(), "c" => state()];
        let outputs = published.run(inputs).unwrap();
        let (_, exact) = outputs["speech_probs"].try_extract_tensor::<f32>().unwrap();
        assert!(exact.iter().any(|p| *p > 0.3) && exact.iter().any(|p| *p < 0.1));
        for (at, (found, exact)) in found.iter().zip(exact).enumerate() {
            assert!((found - exact).abs() < 1e-4, "window {at}: {found} {exact}");
        }
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
