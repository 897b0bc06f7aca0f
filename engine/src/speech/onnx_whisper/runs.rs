//! How the graphs are run: what is wanted of each, and how each is stopped.

use super::encoder::names;
use crate::control::Cancel;
use ort::session::{HasSelectedOutputs, OutputSelector, RunOptions};
use rushes_models::convert::WhisperShape;

/// A run of a graph whose outputs are named. It cannot be stopped from another thread: the graph's
/// own operators stop it (see [`super::cross`]).
pub(super) type Run = RunOptions<HasSelectedOutputs>;

/// The runs of one call.
pub(super) struct Runs<'a> {
    /// That of the encoder, which another thread stops.
    pub(super) encoder: &'a RunOptions,
    pub(super) decoder: Run,
    pub(super) aligner: Run,
    pub(super) cancel: Cancel,
}

impl<'a> Runs<'a> {
    pub(super) fn new(
        encoder: &'a RunOptions,
        shape: &WhisperShape,
        cancel: &Cancel,
    ) -> ort::Result<Self> {
        let run =
            |outputs: OutputSelector| Ok::<_, ort::Error>(RunOptions::new()?.with_outputs(outputs));
        let logits = OutputSelector::no_default().with("logits");
        Ok(Self {
            encoder,
            decoder: run(names("own", shape.text_layers).fold(logits, OutputSelector::with))?,
            aligner: run(OutputSelector::no_default().with("maps"))?,
            cancel: cancel.clone(),
        })
    }
}
