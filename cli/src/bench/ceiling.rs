//! What this machine's memory moves at most: a bound for work that only moves samples.

use std::num::NonZeroUsize;
use std::time::Instant;

/// Larger than any cache in use.
const BYTES: usize = 256 << 20;

/// GB/s of copying, bytes read and bytes written both counted, with all threads; the best of five.
pub fn memory_bandwidth() -> f64 {
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN).get();
    let from = vec![1_u8; BYTES];
    let mut to = vec![0_u8; BYTES];
    let part = BYTES.div_ceil(threads);
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let began = Instant::now();
        std::thread::scope(|scope| {
            for (to, from) in to.chunks_mut(part).zip(from.chunks(part)) {
                scope.spawn(move || to.copy_from_slice(from));
            }
        });
        best = best.min(began.elapsed().as_secs_f64());
    }
    std::hint::black_box(&to);
    2.0 * BYTES as f64 / 1e9 / best
}
