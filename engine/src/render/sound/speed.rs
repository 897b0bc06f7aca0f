//! Faster or slower at the same pitch, by WSOLA (Verhelst and Roelands, "An overlap-add technique
//! based on waveform similarity", 1993): overlapping windows are taken from the source at the new
//! pace, each moved a little to where it continues the one before best.

use super::Stereo;

/// Samples of a window; half of it overlaps with the next. 40 ms at 48 kHz, more than two periods of
/// a low voice.
const WINDOW: usize = 1920;
const HOP: usize = WINDOW / 2;
/// How far a window may be moved, 10 ms.
const SEEK: isize = 480;

/// `sound` at `speed` times its pace (0.25 to 4), pitch kept. The result has
/// `round(len / speed)` samples. Left and right are moved together.
pub fn change_speed(sound: &Stereo, speed: f64) -> Stereo {
    let speed = if speed.is_finite() { speed.clamp(0.25, 4.0) } else { 1.0 };
    let len = sound.len();
    let wanted = (len as f64 / speed).round() as usize;
    if (speed - 1.0).abs() < 1e-9 || len < WINDOW {
        let mut same = sound.clone();
        for channel in &mut same.channels {
            channel.resize(wanted, 0.0);
        }
        return same;
    }
    let mono: Vec<f32> =
        sound.channels[0].iter().zip(&sound.channels[1]).map(|(l, r)| l + r).collect();
    let window: Vec<f32> = (0..WINDOW)
        .map(|i| {
            let part = (i as f64 + 0.5) / WINDOW as f64;
            (0.5 - 0.5 * (part * std::f64::consts::TAU).cos()) as f32
        })
        .collect();
    let mut out = Stereo::silence(wanted + WINDOW);
    let mut before: Option<isize> = None;
    // The first window lies half before the start, so that the first half window is whole too.
    let mut at = -(HOP as isize);
    while at < wanted as isize {
        let ideal = ((at + HOP as isize) as f64 * speed).round() as isize - HOP as isize;
        let place = match before {
            None => ideal,
            Some(before) => best(&mono, ideal, before + HOP as isize),
        };
        for (channel, source) in out.channels.iter_mut().zip(&sound.channels) {
            for (i, weight) in window.iter().enumerate() {
                let (to, from) = (at + i as isize, place + i as isize);
                let (Ok(to), Ok(from)) = (usize::try_from(to), usize::try_from(from)) else {
                    continue;
                };
                if let (Some(to), Some(from)) = (channel.get_mut(to), source.get(from)) {
                    *to += weight * from;
                }
            }
        }
        before = Some(place);
        at += HOP as isize;
    }
    for channel in &mut out.channels {
        channel.truncate(wanted);
    }
    out
}

/// The place within [`SEEK`] of `ideal` whose samples are most like those at `natural`, which would
/// have followed: coarsely by every fourth sample first, then exactly about the best.
fn best(mono: &[f32], ideal: isize, natural: isize) -> isize {
    let score = |place: isize, step: usize| -> f32 {
        let (mut product, mut energy) = (0.0f32, 1e-6f32);
        for i in (0..HOP).step_by(step) {
            let at = |from: isize| {
                usize::try_from(from + i as isize).ok().and_then(|k| mono.get(k)).copied()
            };
            let (a, b) = (at(place).unwrap_or(0.0), at(natural).unwrap_or(0.0));
            product += a * b;
            energy += a * a;
        }
        product / energy.sqrt()
    };
    let pick = |places: &mut dyn Iterator<Item = isize>, step: usize| {
        let mut most = (f32::NEG_INFINITY, ideal);
        for place in places {
            let score = score(place, step);
            if score > most.0 {
                most = (score, place);
            }
        }
        most.1
    };
    let coarse = pick(&mut (ideal - SEEK..=ideal + SEEK).step_by(4), 4);
    pick(&mut (coarse - 4..=coarse + 4), 1)
}
