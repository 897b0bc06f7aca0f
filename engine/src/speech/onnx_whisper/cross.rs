//! The decoder's attention to what was heard, as operators of ours in ONNX Runtime's graphs.
//!
//! ONNX Runtime's own attention wants keys and values of all rows side by side in one tensor of
//! floats: with eight chunks of tiny 74 MB that are copied together before anything is written and
//! read again for every token. These operators read what each row has heard where it lies.

use super::heard::Heard;
use super::runs::Runs;
use crate::control::Cancel;
use crate::onnx::graph::OWN;
use ort::operator::{
    BoxedKernel, ComputeContext, KernelContext, Operator, OperatorDomain, OperatorInput,
    OperatorOutput,
};
use ort::value::TensorElementType;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// What each row of a batch has heard.
pub(super) type Rows = Arc<[Arc<Heard>]>;

/// Where a graph's operators find what its rows have heard, while it runs, and whether they are to
/// go on.
#[derive(Clone, Default)]
pub(super) struct Listening(Arc<Mutex<Option<(Rows, Cancel)>>>);

impl Listening {
    /// The operators of a graph that listens here.
    pub(super) fn operators(&self) -> ort::Result<OperatorDomain> {
        let attention = CrossAttention(self.clone());
        OperatorDomain::new(OWN)?.add(attention)?.add(CrossMaps(self.clone()))
    }

    /// Does `run` while `rows` are what was heard, until it is cancelled.
    pub(super) fn to<T>(&self, rows: &Rows, runs: &Runs<'_>, run: impl FnOnce() -> T) -> T {
        let set = |now| *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
        set(Some((rows.clone(), runs.cancel.clone())));
        let done = run();
        set(None);
        done
    }

    /// The rows, if queries of `batch` rows and `state` can be asked of their block `block`.
    fn rows(&self, batch: usize, state: usize, block: usize) -> ort::Result<Rows> {
        let now = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (rows, cancel) = now.unzip();
        if cancel.is_some_and(|cancel| cancel.is_cancelled()) {
            return Err(ort::Error::new("cancelled"));
        }
        rows.filter(|rows| rows.len() == batch && rows.iter().all(|row| row.fits(block, state)))
            .ok_or_else(|| ort::Error::new("nothing was heard that fits the question"))
    }
}

/// The block that a node stands for.
fn block_of(context: &KernelContext<'_>) -> ort::Result<usize> {
    let block = context.get::<i64>("block").and_then(|block| usize::try_from(block).ok());
    block.ok_or_else(|| ort::Error::new("no attribute block"))
}

/// The query, `[batch, length, state]`, with its dimensions.
fn query<T>(
    context: &ComputeContext,
    with: impl FnOnce([usize; 3], &[f32]) -> ort::Result<T>,
) -> ort::Result<T> {
    let query = context.input(0)?.ok_or_else(|| ort::Error::new("no query"))?;
    let (shape, query) = query.try_extract_tensor::<f32>()?;
    let [batch, length, state] = **shape else {
        return Err(ort::Error::new("a query has three dimensions"));
    };
    with([batch, length, state].map(|n| usize::try_from(n).unwrap_or(0)), query)
}

/// `CrossAttention(query [batch, length, state]) -> [batch, length, state]`.
struct CrossAttention(Listening);

impl Operator for CrossAttention {
    type Kernel<'attr> = BoxedKernel<'attr>;

    fn name(&self) -> &str {
        "CrossAttention"
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [OperatorInput::required(TensorElementType::Float32)]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(TensorElementType::Float32)]
    }

    fn create_kernel<'attr>(
        &self,
        context: &KernelContext<'attr>,
    ) -> ort::Result<BoxedKernel<'attr>> {
        let (listening, block) = (self.0.clone(), block_of(context)?);
        Ok(Box::new(move |context: &ComputeContext| {
            query(context, |[batch, length, state], query| {
                let rows = listening.rows(batch, state, block)?;
                let heads = rows.first().map_or(1, |row| row.heads());
                let size = state / heads.max(1);
                // Head by head, so that the silence that all rows look at stays in the cache.
                let found: Vec<OnceLock<Vec<f32>>> =
                    (0..heads * batch).map(|_| OnceLock::new()).collect();
                context.par_for(found.len(), 0, |unit| {
                    let (head, row) = (unit / batch, unit % batch);
                    let mut scores = Vec::new();
                    let mut all = vec![0.0; length * size];
                    for (at, out) in all.chunks_exact_mut(size).enumerate() {
                        let from = (row * length + at) * state + head * size;
                        let query = &query[from..from + size];
                        rows[row].attend(block, head, query, &mut scores, out);
                    }
                    let _ = found[unit].set(all);
                })?;
                let shape = [batch, length, state].map(|n| n as i64);
                let mut out = context
                    .output(0, shape.to_vec())?
                    .ok_or_else(|| ort::Error::new("no room for what was found"))?;
                let (_, out) = out.try_extract_tensor_mut::<f32>()?;
                for (unit, found) in found.iter().enumerate() {
                    let (head, row) = (unit / batch, unit % batch);
                    let found = found.get().map(Vec::as_slice).unwrap_or_default();
                    for (at, found) in found.chunks_exact(size).enumerate() {
                        let from = (row * length + at) * state + head * size;
                        out[from..from + size].copy_from_slice(found);
                    }
                }
                Ok(())
            })
        }))
    }
}

/// `CrossMaps(query [1, length, state]) -> [1, chosen, length, positions]`: the scores of some heads,
/// those of the attribute `heads`, over the positions of the sound itself.
struct CrossMaps(Listening);

impl Operator for CrossMaps {
    type Kernel<'attr> = BoxedKernel<'attr>;

    fn name(&self) -> &str {
        "CrossMaps"
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [OperatorInput::required(TensorElementType::Float32)]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(TensorElementType::Float32)]
    }

    fn create_kernel<'attr>(
        &self,
        context: &KernelContext<'attr>,
    ) -> ort::Result<BoxedKernel<'attr>> {
        let (listening, block) = (self.0.clone(), block_of(context)?);
        let chosen = context.get::<Vec<i64>>("heads").unwrap_or_default();
        Ok(Box::new(move |context: &ComputeContext| {
            query(context, |[batch, length, state], query| {
                let rows = listening.rows(batch, state, block)?;
                let [row] = &*rows else { return Err(ort::Error::new("one row at a time")) };
                let size = state / row.heads().max(1);
                let shape = [1, chosen.len(), length, row.positions];
                let mut out = context
                    .output(0, shape.map(|n| n as i64).to_vec())?
                    .ok_or_else(|| ort::Error::new("no room for the maps"))?;
                let (_, out) = out.try_extract_tensor_mut::<f32>()?;
                let mut lines = out.chunks_exact_mut(row.positions.max(1));
                for head in &chosen {
                    let head = usize::try_from(*head).ok().filter(|head| *head < row.heads());
                    let head = head.ok_or_else(|| ort::Error::new("no such head"))?;
                    for at in 0..length {
                        let from = at * state + head * size;
                        let Some(scores) = lines.next() else { break };
                        row.score(block, head, &query[from..from + size], scores);
                    }
                }
                Ok(())
            })
        }))
    }
}
