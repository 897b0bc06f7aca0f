//! From a place in a chunk to the place in the file where it came from.

use std::ops::Range;

/// The time map of one chunk: which stretches of the file it is put together from.
///
/// Samples are copied, never stretched, so that every place maps to one sample exactly. The map
/// only goes up: later in the chunk is later in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChunkClock {
    pieces: Vec<Piece>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    /// First sample in the chunk.
    chunk: u64,
    /// First sample in the file.
    file: u64,
    /// Samples.
    length: u64,
}

impl ChunkClock {
    /// A map that holds nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The map of a chunk that is one stretch of the file.
    pub fn straight(file: Range<u64>) -> Self {
        let mut clock = Self::new();
        clock.append(file);
        clock
    }

    /// Adds the stretch `file` of the file to the chunk's end. A stretch that begins before the
    /// end of the last one is cut to what lies behind it; empty ones are passed over.
    pub fn append(&mut self, file: Range<u64>) {
        let (chunk, from) =
            self.pieces.last().map_or((0, 0), |p| (p.chunk + p.length, p.file + p.length));
        let start = file.start.max(from);
        if file.end <= start {
            return;
        }
        let length = file.end - start;
        match self.pieces.last_mut() {
            Some(last) if start == from => last.length += length,
            _ => self.pieces.push(Piece { chunk, file: start, length }),
        }
    }

    /// Samples of the chunk.
    pub fn len(&self) -> u64 {
        self.pieces.last().map_or(0, |p| p.chunk + p.length)
    }

    /// Whether the chunk has no samples.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The stretches of the file, in order.
    pub fn pieces(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.pieces.iter().map(|p| p.file..p.file + p.length)
    }

    /// From the chunk's first sample in the file to behind its last.
    pub fn span(&self) -> Range<u64> {
        match (self.pieces.first(), self.pieces.last()) {
            (Some(first), Some(last)) => first.file..last.file + last.length,
            _ => 0..0,
        }
    }

    /// The file's sample for sample `at` of the chunk, for what begins there: where something was
    /// left out, the place behind the gap. Places behind the chunk's end map to its end.
    pub fn start(&self, at: u64) -> u64 {
        let behind = self.pieces.partition_point(|p| p.chunk <= at);
        self.place(behind, at)
    }

    /// The file's sample for sample `at` of the chunk, for what ends there: where something was
    /// left out, the place before the gap.
    pub fn end(&self, at: u64) -> u64 {
        let behind = self.pieces.partition_point(|p| p.chunk < at);
        self.place(behind.max(1), at)
    }

    /// The file's samples for a stretch of the chunk. It spans what was left out inside it, and it
    /// is empty only if `at` is, or lies behind the chunk's end.
    pub fn range(&self, at: Range<u64>) -> Range<u64> {
        let start = self.start(at.start);
        start..self.end(at.end).max(start)
    }

    /// Maps by the piece before `behind`.
    fn place(&self, behind: usize, at: u64) -> u64 {
        match behind.checked_sub(1).and_then(|index| self.pieces.get(index)) {
            Some(piece) => piece.file + (at.saturating_sub(piece.chunk)).min(piece.length),
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_straight_one_only_shifts() {
        let clock = ChunkClock::straight(100..150);
        assert_eq!((clock.len(), clock.span()), (50, 100..150));
        assert_eq!((clock.start(0), clock.start(49), clock.start(50)), (100, 149, 150));
        assert_eq!((clock.end(0), clock.end(50), clock.end(99)), (100, 150, 150));
    }

    #[test]
    fn a_gap_is_after_what_ends_and_before_what_begins() {
        let mut clock = ChunkClock::new();
        clock.append(100..110);
        clock.append(200..220);
        assert_eq!(clock.len(), 30);
        assert_eq!((clock.start(9), clock.start(10), clock.start(11)), (109, 200, 201));
        assert_eq!((clock.end(9), clock.end(10), clock.end(11)), (109, 110, 201));
        assert_eq!(clock.range(5..10), 105..110);
        assert_eq!(clock.range(5..11), 105..201);
        assert_eq!(clock.range(10..30), 200..220);
        assert_eq!(clock.range(10..10), 200..200);
    }

    #[test]
    fn what_touches_is_joined_and_what_overlaps_is_cut() {
        let mut clock = ChunkClock::straight(0..10);
        clock.append(10..20);
        clock.append(15..25);
        clock.append(3..4);
        assert_eq!(clock.pieces().collect::<Vec<_>>(), [Range { start: 0, end: 25 }]);
        assert_eq!(ChunkClock::new().range(0..5), 0..0);
    }

    proptest! {
        #[test]
        fn is_exact_and_monotone(
            lengths in prop::collection::vec((0u64..50, 1u64..50), 1..20),
            places in prop::collection::vec(0u64..1200, 2..20),
        ) {
            // The map itself, sample by sample, to compare with.
            let mut clock = ChunkClock::new();
            let (mut at, mut samples) = (7, Vec::new());
            for (gap, length) in lengths {
                at += gap;
                clock.append(at..at + length);
                samples.extend(at..at + length);
                at += length;
            }
            prop_assert_eq!(clock.len(), samples.len() as u64);
            for (index, file) in samples.iter().enumerate() {
                prop_assert_eq!(clock.start(index as u64), *file);
                prop_assert_eq!(clock.end(index as u64 + 1), *file + 1);
            }
            let mut places = places;
            places.sort_unstable();
            for pair in places.windows(2) {
                prop_assert!(clock.start(pair[0]) <= clock.start(pair[1]));
                prop_assert!(clock.end(pair[0]) <= clock.end(pair[1]));
                let range = clock.range(pair[0]..pair[1]);
                if pair[0] < pair[1] && pair[0] < clock.len() {
                    prop_assert!(range.start < range.end);
                }
            }
        }
    }
}
