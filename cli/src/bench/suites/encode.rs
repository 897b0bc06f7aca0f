//! A film encoded, one thread for each stretch as renders do.

use super::{Bench, Found};
use crate::bench::film::{Film, RATE};
use crate::bench::turns::rate;
use rushes::media::{FilmCodec, FilmEncoder, FilmEncoding, PlanarRef, Quality};
use std::num::NonZeroUsize;

pub fn run(bench: &Bench<'_>) -> anyhow::Result<Found> {
    let film = Film { seconds: 1, ..Film::of(bench.quick) };
    let drawn: Vec<[Vec<u8>; 3]> = (0..film.frames()).map(|n| film.draw(n * 3)).collect();
    let threads = bench
        .session
        .run
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN));
    let mut found = Found::default();
    let repeats = if bench.quick { 1 } else { 3 };
    let sorts = [
        ("H.264 veryfast", FilmCodec::H264, Some("veryfast"), Quality::Crf(23.0)),
        ("H.264 medium", FilmCodec::H264, Some("medium"), Quality::Crf(23.0)),
        ("HEVC ultrafast", FilmCodec::Hevc, Some("ultrafast"), Quality::Crf(28.0)),
        ("AV1 preset 10", FilmCodec::Av1, Some("10"), Quality::Crf(35.0)),
    ];
    for (name, codec, preset, quality) in sorts {
        if !codec.is_available() || (bench.quick && codec != FilmCodec::H264) {
            continue;
        }
        let encoding =
            FilmEncoding { codec, preset: preset.map(str::to_owned), quality, ..film.encoding() };
        let (times, bytes) = bench.turns.time(&bench.session.run.cancel, || {
            std::thread::scope(|scope| {
                let work = || encode(&encoding, &drawn, repeats);
                let all: Vec<_> = (0..threads.get()).map(|_| scope.spawn(work)).collect();
                let mut made = Vec::new();
                for one in all {
                    made.push(one.join().map_err(|_| anyhow::anyhow!("an encoder panicked"))??);
                }
                Ok(made)
            })
        })?;
        let frames = threads.get() as f64 * f64::from(film.frames() * repeats);
        let name = format!("{name}, 1080p, {threads} at once");
        found.measures.push(rate(&name, "frames/s", frames, &times));
        found.measures.push(rate(
            &format!("{name}, times real time"),
            "x",
            frames / f64::from(RATE),
            &times,
        ));
        let same = bytes.iter().all(|b| *b == bytes[0]) && bytes[0] > 0;
        found.check(&format!("{name}: the same bytes on each thread"), same, bytes[0]);
    }
    Ok(found)
}

/// Bytes of all packets.
fn encode(encoding: &FilmEncoding, drawn: &[[Vec<u8>; 3]], repeats: u32) -> rushes::Result<usize> {
    let mut encoder = FilmEncoder::open(encoding)?;
    let mut bytes = 0;
    let mut take = |packet: rushes::media::FilmPacket| {
        bytes += packet.data.len();
        Ok(())
    };
    let mut pts = 0;
    for _ in 0..repeats {
        for [y, u, v] in drawn {
            encoder.push(PlanarRef::Eight([y, u, v]), pts, &mut take)?;
            pts += 1;
        }
    }
    encoder.finish(&mut take)?;
    Ok(bytes)
}
