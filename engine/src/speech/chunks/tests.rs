use super::*;
use proptest::prelude::*;

const SECOND: u64 = SAMPLE_RATE as u64;

/// Samples that say where they come from: exact below 2^24, seventeen minutes.
fn numbered(range: Range<u64>) -> Vec<f32> {
    range.map(|at| at as f32).collect()
}

/// Chunks of numbered sound with the given probabilities, and the most sound ever held.
fn pack(
    regions: RegionOptions,
    options: ChunkOptions,
    probabilities: &[f32],
    samples: u64,
) -> (Vec<SpokenChunk>, u64) {
    let mut packer = Packer::new(options);
    let mut regions = Regions::new(regions);
    let (mut done, mut most) = (Vec::new(), 0);
    for (window, probability) in probabilities.iter().enumerate() {
        let from = (window * WINDOW) as u64;
        packer.samples(&numbered(from..(from + WINDOW as u64).min(samples)));
        packer.window(*probability, &mut regions, &mut done);
        let building = packer.building.as_ref().map_or(0, |chunk| chunk.samples.len());
        most = most.max((packer.sound.len() + building) as u64);
    }
    if let Some(region) = regions.finish() {
        packer.region(region, &mut done);
    }
    packer.end_chunk(None, &mut done);
    (done, most)
}

/// Probabilities for stretches of (seconds, probability).
fn stretches(stretches: &[(f64, f32)]) -> Vec<f32> {
    let mut out = Vec::new();
    let mut until = 0.0;
    for (seconds, probability) in stretches {
        until += seconds * 31.25;
        out.resize(until as usize, *probability);
    }
    out
}

fn check(chunks: &[SpokenChunk], options: ChunkOptions, probabilities: &[f32], samples: u64) {
    let mut end = 0;
    for chunk in chunks {
        assert!(!chunk.samples.is_empty());
        assert_eq!(chunk.samples.len() as u64, chunk.clock.len());
        assert!(chunk.samples.len() as u64 <= u64::from(options.max_ms) * PER_MS);
        let span = chunk.clock.span();
        assert!(span.start >= end && span.end <= samples, "{span:?} after {end}");
        for (index, sample) in chunk.samples.iter().enumerate() {
            assert_eq!(*sample, chunk.clock.start(index as u64) as f32);
        }
        let mut within = span.start;
        for speech in &chunk.speech {
            assert!(speech.start >= within && speech.end > speech.start && speech.end <= span.end);
            // All of the speech is there.
            assert!(chunk.clock.pieces().any(|p| p.start <= speech.start && speech.end <= p.end));
            within = speech.end;
        }
        end = span.end;
    }
    // Every window that is surely speech is in some chunk's speech.
    let surely = RegionOptions { min_speech_ms: 0, ..RegionOptions::default() };
    let mut regions = Regions::new(surely);
    let mut found: Vec<_> = probabilities.iter().filter_map(|p| regions.push(*p)).collect();
    found.extend(regions.finish());
    let speech: u64 = chunks.iter().flat_map(|c| &c.speech).map(|s| s.end - s.start).sum();
    let wanted: u64 = found.iter().map(|r| r.end.min(samples) - r.start).sum();
    assert_eq!(speech, wanted);
}

const SURELY: RegionOptions = RegionOptions {
    threshold: 0.5,
    negative_threshold: 0.35,
    min_speech_ms: 0,
    min_silence_ms: 160,
};

fn checked(options: ChunkOptions, probabilities: &[f32]) -> Vec<SpokenChunk> {
    let samples = (probabilities.len() * WINDOW) as u64;
    let (chunks, _) = pack(SURELY, options, probabilities, samples);
    check(&chunks, options, probabilities, samples);
    chunks
}

#[test]
fn silence_gives_nothing() {
    assert_eq!(checked(ChunkOptions::default(), &stretches(&[(600.0, 0.0)])), []);
}

#[test]
fn a_word_has_its_padding() {
    let chunks =
        checked(ChunkOptions::default(), &stretches(&[(3.2, 0.0), (0.96, 0.9), (3.2, 0.0)]));
    assert_eq!(chunks.len(), 1);
    assert_eq!(chunks[0].speech, [Range { start: 51_200, end: 66_560 }]);
    assert_eq!(chunks[0].clock.span(), 51_200 - 3_200..66_560 + 3_200);
}

#[test]
fn short_gaps_stay_and_long_ones_are_shortened() {
    let chunks = checked(
        ChunkOptions::default(),
        &stretches(&[(3.2, 0.9), (0.64, 0.0), (3.2, 0.9), (3.2, 0.0), (3.2, 0.9)]),
    );
    assert_eq!(chunks.len(), 1);
    let pieces: Vec<_> = chunks[0].clock.pieces().collect();
    let first = (3.2 + 0.64 + 3.2) * 16_000.0;
    // 600 ms are left of the gap of 3.2 s.
    assert_eq!(pieces[0], 0..first as u64 + 4_800);
    assert_eq!(pieces[1].start, ((3.2 + 0.64 + 3.2 + 3.2) * 16_000.0) as u64 - 4_800);
}

#[test]
fn a_very_long_gap_begins_a_new_chunk() {
    let chunks = checked(
        ChunkOptions::default(),
        &stretches(&[(3.2, 0.9), (6.4, 0.0), (3.2, 0.9), (6.4, 0.0)]),
    );
    assert_eq!(chunks.len(), 2);
}

#[test]
fn speech_without_pause_is_cut_where_it_is_least_likely() {
    let probabilities =
        stretches(&[(23.04, 0.99), (0.064, 0.4), (23.04, 0.99), (0.064, 0.7), (4.0, 0.99)]);
    let chunks = checked(ChunkOptions::default(), &probabilities);
    assert_eq!(chunks.len(), 2);
    let cut = chunks[0].clock.span().end;
    assert!((23 * SECOND..23 * SECOND + 2_048).contains(&cut), "{cut}");
    assert_eq!(chunks[1].clock.span().start, cut);
}

#[test]
fn chunks_are_filled() {
    // Phrases of 4 s with breaths of 0.4 s between: six or seven fit into 30 s.
    let phrases: Vec<_> = (0..60).flat_map(|_| [(4.0, 0.9), (0.4, 0.0)]).collect();
    let chunks = checked(ChunkOptions::default(), &stretches(&phrases));
    for chunk in &chunks[..chunks.len() - 1] {
        assert!(chunk.samples.len() as u64 >= 20 * SECOND);
    }
    assert!(chunks.len() <= 11, "{}", chunks.len());
}

#[test]
fn a_short_start_takes_part_of_what_follows() {
    let chunks =
        checked(ChunkOptions::default(), &stretches(&[(2.0, 0.9), (0.4, 0.0), (29.5, 0.9)]));
    assert_eq!(chunks.len(), 2);
    assert!(chunks[0].samples.len() as u64 >= 20 * SECOND);
}

#[test]
fn little_is_held_of_a_long_stream() {
    let options = ChunkOptions::default();
    for stretch in [
        vec![(1200.0, 0.0)],
        vec![(1000.0, 0.9)],
        (0..100)
            .flat_map(|n| [(0.3 * f64::from(n % 20), 0.9), (0.5 * f64::from(n % 13), 0.1)])
            .collect(),
    ] {
        let probabilities = stretches(&stretch);
        let samples = (probabilities.len() * WINDOW) as u64;
        let (_, most) = pack(SURELY, options, &probabilities, samples);
        assert!(most <= 70 * SECOND, "{}", most / SECOND);
    }
}

#[test]
fn without_vad_all_of_it_is_cut_at_the_quietest_places() {
    let mut chunker = Chunker::without_vad(ChunkOptions::default());
    let mut sound = vec![0.5_f32; 75 * 16_000];
    sound[25 * 16_000..25 * 16_000 + 800].fill(0.0);
    sound[48 * 16_000..48 * 16_000 + 800].fill(0.01);
    let mut chunks = chunker.push(&sound).unwrap();
    chunks.extend(chunker.finish().unwrap());
    let spans: Vec<_> = chunks.iter().map(|c| c.clock.span()).collect();
    assert_eq!(spans.len(), 3);
    assert!((25 * SECOND..25 * SECOND + 800).contains(&spans[0].end));
    assert!((48 * SECOND..48 * SECOND + 800).contains(&spans[1].end));
    assert_eq!((spans[0].start, spans[2].end), (0, 75 * SECOND));
    assert!(spans.windows(2).all(|pair| pair[0].end == pair[1].start));
    let all: Vec<f32> = chunks.into_iter().flat_map(|c| c.samples).collect();
    assert_eq!(all, sound);
}

#[test]
fn no_sound_gives_no_chunk() {
    let mut chunker = Chunker::without_vad(ChunkOptions::default());
    assert_eq!(chunker.push(&[]).unwrap(), []);
    assert_eq!(chunker.finish().unwrap(), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn holds_for_any_speech_and_any_options(
        speech in prop::collection::vec((0f64..25.0, prop::sample::select(vec![0.0f32, 0.2, 0.4, 0.9])), 0..16),
        cut in 0u64..512,
        max_ms in 1_000u32..=30_000,
        fill in 0u32..=30_000,
        pad in 0u32..3_000,
        keep in 0u32..4_000,
        short in 0u32..4_000,
        breaks in 0u32..12_000,
    ) {
        let options = ChunkOptions {
            max_ms,
            fill_ms: fill,
            pad_ms: pad,
            keep_gap_ms: keep,
            short_gap_ms: short,
            break_gap_ms: breaks,
        };
        let probabilities = stretches(&speech);
        let samples = ((probabilities.len() * WINDOW) as u64).saturating_sub(cut);
        let (chunks, most) = pack(SURELY, options, &probabilities, samples);
        check(&chunks, options, &probabilities, samples);
        prop_assert!(most <= 95 * SECOND);
    }
}
