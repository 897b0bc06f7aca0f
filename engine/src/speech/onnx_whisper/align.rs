//! When each word is heard: dynamic time warping over the decoder's cross-attention (OpenAI's
//! `timing.py`; the heads that follow the sound are those its authors published).

use super::cross::Listening;
use super::decoder::{Embedding, begin, cross_query, listen};
use super::heard::Heard;
use super::logits::{exp_all, greatest};
use super::runs::Runs;
use super::tokens::{TICK_SAMPLES, Tokens};
use super::weights::Net;
use crate::onnx::Built;
use crate::onnx::graph::{CONTRIB, Dim, OWN};
use crate::speech::edges::draw_in;
use crate::speech::recogniser::Piece;
use crate::speech::words::{TimedToken, group, shorten_beside_pauses};
use ort::editor::ONNX_DOMAIN;
use ort::operator::Attribute;
use ort::session::Session;
use ort::session::builder::SessionBuilder;
use rushes_models::convert::{Ggml, WhisperShape};
use std::sync::Arc;

/// Width of the median filter along time, in positions of 20 ms.
const MEDIAN: usize = 7;

/// Which heads follow the sound, as (block, head), by the shapes of the published models.
fn alignment_heads(shape: &WhisperShape) -> Vec<(u32, u32)> {
    let known: &[(u32, u32)] = match (shape.text_layers, shape.audio_layers, shape.multilingual()) {
        (4, 4, false) => &[(1, 0), (2, 0), (2, 5), (3, 0), (3, 1), (3, 2), (3, 3), (3, 4)],
        (4, 4, true) => &[(2, 2), (3, 0), (3, 2), (3, 3), (3, 4), (3, 5)],
        (6, 6, false) => &[(3, 3), (4, 7), (5, 1), (5, 5), (5, 7)],
        (6, 6, true) => &[(3, 1), (4, 2), (4, 3), (4, 7), (5, 1), (5, 2), (5, 4), (5, 6)],
        (12, 12, true) => {
            &[(5, 3), (5, 9), (8, 0), (8, 4), (8, 7), (8, 8), (9, 0), (9, 7), (9, 9), (10, 5)]
        }
        (24, 24, true) => &[(13, 15), (15, 4), (15, 15), (16, 1), (20, 0), (23, 4)],
        (4, 32, _) => &[(2, 4), (2, 11), (3, 3), (3, 6), (3, 11), (3, 14)],
        (32, 32, _) if shape.mels == 128 => &[
            (7, 0),
            (10, 17),
            (12, 18),
            (13, 12),
            (16, 1),
            (17, 14),
            (19, 11),
            (21, 4),
            (24, 1),
            (25, 6),
        ],
        _ => &[],
    };
    if known.is_empty() {
        // OpenAI's rule where none are known: all heads of the upper half.
        return (shape.text_layers / 2..shape.text_layers)
            .flat_map(|block| (0..shape.text_heads).map(move |head| (block, head)))
            .collect();
    }
    known.to_vec()
}

/// A decoder that gives out where it listens.
pub(super) struct Aligner {
    session: Session,
    listening: Listening,
    embedding: Embedding,
    shape: WhisperShape,
}

impl Aligner {
    pub(super) fn new(
        model: &Ggml,
        embedding: &Embedding,
        options: &SessionBuilder,
    ) -> Built<Self> {
        let shape = *model.shape();
        let heads = shape.text_heads as usize;
        let aligned = alignment_heads(&shape);
        let last = aligned.iter().map(|(block, _)| *block).max().unwrap_or(0);
        let mut net = Net::new(model)?;
        let mut x = begin(&mut net);
        let mut maps = Vec::new();
        for block in 0..=last {
            let name = format!("decoder.blocks.{block}");
            let normed = net.layer_norm(&x, &format!("{name}.attn_ln"))?;
            let [query, key, value] = net.query_key_value(&normed, &format!("{name}.attn"))?;
            let attributes = [
                Attribute::new("num_heads", heads as i64)?,
                Attribute::new("unidirectional", 1_i64)?,
            ];
            let own =
                net.graph.op(CONTRIB, "MultiHeadAttention", &[&query, &key, &value], attributes)?;
            let own = net.linear(&own, &[&format!("{name}.attn.out")])?;
            x = net.graph.plain("Add", &[&own, &x])?;
            let query = cross_query(&mut net, &x, &name)?;
            let chosen: Vec<i64> = aligned
                .iter()
                .filter(|(b, _)| *b == block)
                .map(|(_, head)| i64::from(*head))
                .collect();
            if !chosen.is_empty() {
                let which =
                    [Attribute::new("block", i64::from(block))?, Attribute::new("heads", chosen)?];
                maps.push(net.graph.op(OWN, "CrossMaps", &[&query], which)?);
            }
            if block == last {
                break;
            }
            x = listen(&mut net, &x, &query, &name, block)?;
            x = net.feed_forward(&x, &name)?;
        }
        let parts: Vec<&str> = maps.iter().map(String::as_str).collect();
        let axis = [Attribute::new("axis", 1_i64)?];
        let maps = net.graph.op(ONNX_DOMAIN, "Concat", &parts, axis)?;
        let named = [Dim::Named("batch"), Dim::Fixed(aligned.len()), Dim::Named("length")];
        let dims = [named[0], named[1], named[2], Dim::Named("heard")];
        net.graph.output(&maps, "maps", &dims)?;
        let listening = Listening::default();
        let session = net.graph.finish_with(options, listening.operators()?)?;
        Ok(Self { session, listening, embedding: embedding.clone(), shape })
    }

    /// Times the `text` tokens (with their probabilities) of a chunk that begins with `start`.
    pub(super) fn align(
        &mut self,
        tokens: &Tokens,
        heard: &Arc<Heard>,
        start: &[u32],
        text: &[(u32, f32)],
        runs: &Runs<'_>,
    ) -> ort::Result<Vec<TimedToken>> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        // What a position listens to belongs to the token that it writes, which is the next one.
        let mut all: Vec<i64> = start.iter().map(|t| i64::from(*t)).collect();
        let skipped = all.len();
        all.push(i64::from(tokens.no_timestamps()));
        all.extend(text.iter().map(|(token, _)| i64::from(*token)));
        all.truncate(self.shape.text_context as usize);
        let length = all.len();
        let tokens_in = self.embedding.of(&all, 1, 0)?;
        let Self { session, listening, .. } = self;
        let rows = [heard.clone()].into();
        let outputs = listening.to(&rows, runs, || {
            session.run_with_options(ort::inputs!["tokens" => tokens_in], &runs.aligner)
        })?;
        let maps = outputs.get("maps").ok_or_else(|| ort::Error::new("no output maps"))?;
        let (shape, maps) = maps.try_extract_tensor::<f32>()?;
        let heads = shape.get(1).map_or(0, |n| *n as usize);
        let cost = cost(maps, heads, length, heard.positions, skipped);
        let rows = length - skipped;
        let starts = warp(&cost, rows, heard.positions);
        let tick = |position: usize| position as u32 * TICK_SAMPLES;
        Ok(text
            .iter()
            .take(rows.saturating_sub(1))
            .enumerate()
            .map(|(i, (token, probability))| TimedToken {
                bytes: tokens.bytes(*token).to_vec(),
                samples: tick(starts[i])..tick(starts[i + 1]),
                probability: *probability,
            })
            .collect())
    }
}

/// Scores of `heads × length × positions` as a cost of `(length - skipped) × positions`: softmax
/// over time, normalised over tokens, smoothed by a median, averaged over heads, negated.
fn cost(maps: &[f32], heads: usize, length: usize, positions: usize, skipped: usize) -> Vec<f32> {
    let rows = length - skipped;
    let mut sum = vec![0.0_f32; rows * positions];
    let mut map = vec![0.0_f32; length * positions];
    let mut window = [0.0_f32; MEDIAN];
    for head in maps.chunks_exact(length * positions).take(heads) {
        for (out, row) in map.chunks_exact_mut(positions).zip(head.chunks_exact(positions)) {
            out.copy_from_slice(row);
            let total = exp_all(out, greatest(row));
            out.iter_mut().for_each(|value| *value /= total);
        }
        for position in 0..positions {
            let column = || map.iter().skip(position).step_by(positions);
            let mean = column().sum::<f32>() / length as f32;
            let variance = column().map(|v| (v - mean).powi(2)).sum::<f32>() / length as f32;
            let deviation = variance.sqrt().max(1e-12);
            map.iter_mut()
                .skip(position)
                .step_by(positions)
                .for_each(|v| *v = (*v - mean) / deviation);
        }
        let half = MEDIAN / 2;
        for (sum, row) in
            sum.chunks_exact_mut(positions).zip(map.chunks_exact(positions).skip(skipped))
        {
            for (at, sum) in sum.iter_mut().enumerate() {
                for (i, slot) in window.iter_mut().enumerate() {
                    // Mirrored at the ends.
                    let from = (at + i).abs_diff(half);
                    let from = if from >= positions {
                        2 * (positions - 1) - from.min(2 * (positions - 1))
                    } else {
                        from
                    };
                    *slot = row[from];
                }
                window.sort_unstable_by(f32::total_cmp);
                *sum -= window[half] / heads as f32;
            }
        }
    }
    sum
}

/// The cheapest monotone path through `cost` (`rows × columns`): the column at which each row
/// begins, and the end.
fn warp(cost: &[f32], rows: usize, columns: usize) -> Vec<usize> {
    let width = columns + 1;
    let mut total = vec![f32::INFINITY; (rows + 1) * width];
    let mut from = vec![0_u8; (rows + 1) * width];
    total[0] = 0.0;
    for row in 1..=rows {
        for column in 1..=columns {
            let diagonal = total[(row - 1) * width + column - 1];
            let above = total[(row - 1) * width + column];
            let left = total[row * width + column - 1];
            let (best, step) = if diagonal < above && diagonal < left {
                (diagonal, 0)
            } else if above < diagonal && above < left {
                (above, 1)
            } else {
                (left, 2)
            };
            total[row * width + column] = cost[(row - 1) * columns + column - 1] + best;
            from[row * width + column] = step;
        }
    }
    let mut starts = vec![0; rows + 1];
    starts[rows] = columns;
    let (mut row, mut column) = (rows, columns);
    while row > 0 {
        // Column 0 has no way left but up.
        starts[row - 1] = column.saturating_sub(1);
        let step = if column == 0 { 1 } else { from[row * width + column] };
        match step {
            0 => {
                row -= 1;
                column -= 1;
            }
            1 => row -= 1,
            _ => column -= 1,
        }
    }
    starts
}

/// Gives the timed tokens back to the pieces they are from, as words within the chunk.
pub(super) fn give_words(
    pieces: &mut [(Piece, Vec<(u32, f32)>)],
    timed: Vec<TimedToken>,
    language: &str,
    samples: &[f32],
) {
    let end = u32::try_from(samples.len()).unwrap_or(u32::MAX);
    let mut timed = timed.into_iter();
    let (mut words, mut counts) = (Vec::new(), Vec::with_capacity(pieces.len()));
    for (_, text) in pieces.iter_mut() {
        let tokens: Vec<TimedToken> = timed
            .by_ref()
            .take(text.len())
            .map(|mut token| {
                token.samples.end = token.samples.end.min(end);
                token.samples.start = token.samples.start.min(token.samples.end);
                token
            })
            .collect();
        let before = words.len();
        words.append(&mut group(&tokens, language));
        counts.push(words.len() - before);
    }
    shorten_beside_pauses(&mut words);
    draw_in(&mut words, samples);
    let mut words = words.into_iter();
    for ((piece, _), count) in pieces.iter_mut().zip(counts) {
        piece.words = words.by_ref().take(count).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_follows_the_cheap_cells() {
        // Three rows over seven columns: 0 to 1, 2 to 4, 5 to 6.
        let cheap = [(0, 0..2), (1, 2..5), (2, 5..7)];
        let mut cost = vec![1.0; 21];
        for (row, columns) in cheap {
            cost[row * 7 + columns.start..row * 7 + columns.end].fill(-1.0);
        }
        assert_eq!(warp(&cost, 3, 7), [0, 2, 5, 7]);
    }

    #[test]
    fn more_rows_than_columns_end_inside() {
        let starts = warp(&[0.5; 10], 5, 2);
        assert_eq!(starts.len(), 6);
        assert!(starts.windows(2).all(|pair| pair[0] <= pair[1]), "{starts:?}");
        assert!(starts.iter().all(|s| *s <= 2), "{starts:?}");
    }
}
