//! Samples that are known, and ffmpeg's meter.

use super::loudness::normalise;
use super::speed::change_speed;
use super::*;
use crate::render::outside;

fn tone(hertz: f64, len: usize, level: f64) -> Stereo {
    let wave: Vec<f32> = (0..len)
        .map(|i| ((i as f64 * hertz * std::f64::consts::TAU / 48_000.0).sin() * level) as f32)
        .collect();
    Stereo { channels: [wave.clone(), wave] }
}

/// Noise in bursts with loud clicks: hard for a limiter.
fn programme(len: usize) -> Stereo {
    let mut state = 1u32;
    let mut noise = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let mut out = Stereo::silence(len);
    for i in 0..len {
        let burst = if i / 24_000 % 3 == 2 { 0.02 } else { 0.15 };
        let click = if i % 30_011 < 3 { 6.0 } else { 1.0 };
        out.channels[0][i] = noise() * burst * click;
        out.channels[1][i] = noise() * burst * click * 0.7;
    }
    out
}

#[test]
fn clips_lie_on_their_samples() {
    let sound = Stereo { channels: [vec![1.0; 10], vec![0.5; 10]] };
    let hour = 3600 * u64::from(RATE);
    let mut mix = Mix::new(hour - 5, 20);
    mix.add(&Clip { from: 2, len: 6, ..Clip::new(&sound, hour) });
    let made = mix.finish();
    let wanted: Vec<f32> = (0..20).map(|i| if (5..11).contains(&i) { 1.0 } else { 0.0 }).collect();
    assert_eq!(made.channels[0], wanted);
    // Past the sound's end is silence, before the window nothing.
    let mut mix = Mix::new(4, 10);
    mix.add(&Clip { len: 100, ..Clip::new(&sound, 0) });
    assert_eq!(mix.finish().channels[1], [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn windows_do_not_change_a_sample() {
    let sound = programme(5000);
    let clip = Clip { gain: -3.0, pan: 0.4, fade_in: 700, fade_out: 900, ..Clip::new(&sound, 333) };
    let mut whole = Mix::new(0, 6000);
    whole.add(&clip);
    let whole = whole.finish();
    let mut parts = [Vec::new(), Vec::new()];
    for from in (0..6000).step_by(1000) {
        let mut mix = Mix::new(from, 1000);
        mix.add(&clip);
        for (all, part) in parts.iter_mut().zip(mix.finish().channels) {
            all.extend(part);
        }
    }
    assert_eq!(whole.channels, parts);
}

#[test]
fn crossfades_keep_what_they_should() {
    let one = Stereo { channels: [vec![1.0; 1000], vec![1.0; 1000]] };
    let fade =
        |shape, fade_in, fade_out, at| Clip { fade_in, fade_out, shape, ..Clip::new(&one, at) };
    let mut mix = Mix::new(0, 1800);
    mix.add(&fade(FadeShape::Linear, 0, 200, 0));
    mix.add(&fade(FadeShape::Linear, 200, 0, 800));
    assert!(mix.finish().channels[0].iter().all(|s| (s - 1.0).abs() < 1e-6));
    for i in 0..200 {
        let part = (f64::from(i) + 0.5) / 200.0;
        let (a, b) = (FadeShape::EqualPower.gain(part), FadeShape::EqualPower.gain(1.0 - part));
        assert!((a * a + b * b - 1.0).abs() < 1e-12);
    }
}

#[test]
fn pan_is_a_balance() {
    let one = Stereo { channels: [vec![1.0; 1], vec![1.0; 1]] };
    let at = |pan| {
        let mut mix = Mix::new(0, 1);
        mix.add(&Clip { pan, ..Clip::new(&one, 0) });
        let made = mix.finish();
        [made.channels[0][0], made.channels[1][0]]
    };
    assert_eq!(at(0.0), [1.0, 1.0]);
    assert_eq!(at(-1.0), [1.0, 0.0]);
    assert_eq!(at(0.25), [0.75, 1.0]);
    assert_eq!(at(f64::NAN), [1.0, 1.0]);
}

#[test]
fn music_steps_back_for_speech() {
    let mut music = Stereo { channels: [vec![1.0; 200_000], vec![1.0; 200_000]] };
    let ducking = Ducking::default();
    let base = 1_000_000;
    // The pause between the two is shorter than the hold.
    let speech = [(base + 50_000, base + 60_000), (base + 70_000, base + 90_000), (5, 5)];
    duck(&mut music, base, &speech, &ducking);
    let level = |i: usize| 20.0 * f64::from(music.channels[0][i]).log10();
    assert_eq!(level(0), 0.0);
    assert_eq!(level(50_000 - 9_601), 0.0);
    assert!((level(50_000 - 4_800) + 6.0).abs() < 0.05);
    for i in [50_000, 65_000, 89_999] {
        assert!((level(i) + 12.0).abs() < 1e-3, "{}", level(i));
    }
    assert!((level(90_000 + 14_400) + 6.0).abs() < 0.05);
    assert_eq!(level(90_000 + 28_800), 0.0);
    // Never a jump.
    let steps = music.channels[0].windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
    assert!(steps < 1e-3, "{steps}");
}

#[test]
fn loudness_is_met_and_peaks_are_held() {
    for (sound, target) in [
        (tone(997.0, 480_000, 0.1), LoudnessTarget::default()),
        (programme(960_000), LoudnessTarget::default()),
        (programme(960_000), LoudnessTarget { integrated: -23.0, true_peak: -2.0 }),
        (programme(960_000), LoudnessTarget { integrated: -16.0, true_peak: -1.5 }),
    ] {
        let mut made = sound.clone();
        let said = normalise(&mut made, &target).unwrap();
        assert!((said.integrated - target.integrated).abs() <= 0.5, "{said:?} {target:?}");
        assert!(said.true_peak <= target.true_peak, "{said:?} {target:?}");
        // ffmpeg's own meter agrees.
        let bytes: Vec<u8> = made.interleaved().iter().flat_map(|s| s.to_le_bytes()).collect();
        let Some((integrated, peak)) = outside::loudness(&bytes) else { continue };
        eprintln!("{target:?}: ours {said:?}, ffmpeg {integrated} LUFS {peak} dBTP");
        assert!((integrated - target.integrated).abs() <= 0.5, "{integrated} {target:?}");
        assert!(peak <= target.true_peak, "{peak} {target:?}");
    }
    let mut silent = Stereo::silence(96_000);
    assert_eq!(
        normalise(&mut silent, &LoudnessTarget::default()).unwrap().integrated,
        f64::NEG_INFINITY
    );
    assert_eq!(silent, Stereo::silence(96_000));
    let mut nothing = Stereo::default();
    assert!(normalise(&mut nothing, &LoudnessTarget::default()).is_ok());
}

#[test]
fn speed_keeps_pitch_and_gives_the_length() {
    for (hertz, speed) in [(220.0, 1.5), (440.0, 0.75), (110.0, 2.0), (330.0, 1.1), (440.0, 0.5)] {
        let sound = tone(hertz, 96_000, 0.5);
        let made = change_speed(&sound, speed);
        assert_eq!(made.len(), (96_000.0 / speed).round() as usize);
        // Crossings of zero upward tell the pitch; a jump would add some.
        let wave = &made.channels[0][4_800..made.len() - 4_800];
        let crossings = wave.windows(2).filter(|w| w[0] <= 0.0 && w[1] > 0.0).count();
        let heard = crossings as f64 * 48_000.0 / wave.len() as f64;
        // A crossing more or less at the ends is no fault of pitch.
        let by = (1.5 / crossings as f64).max(0.005);
        assert!((heard / hertz - 1.0).abs() < by, "{hertz} at {speed}: {heard}");
        let power = wave.iter().map(|s| f64::from(s * s)).sum::<f64>() / wave.len() as f64;
        assert!((power.sqrt() / (0.5 / 2f64.sqrt()) - 1.0).abs() < 0.05, "{hertz} at {speed}");
    }
    let short = tone(440.0, 100, 0.5);
    assert_eq!(change_speed(&short, 2.0).len(), 50);
    assert_eq!(change_speed(&short, 1.0), short);
    assert_eq!(change_speed(&Stereo::default(), f64::NAN).len(), 0);
}

#[test]
fn blocks_do_not_change_a_sample_of_the_master() {
    let sound = programme(200_000);
    let target = LoudnessTarget { integrated: -12.0, true_peak: -2.0 };
    let (way, _) = Mastering::find(&sound, &target).unwrap();
    let mut whole = sound.clone();
    normalise(&mut whole, &target).unwrap();
    assert_ne!(whole, sound);
    // The same programme from another place, read in other pieces.
    struct Split(Stereo);
    impl Programme for Split {
        fn samples(&self) -> usize {
            self.0.len()
        }
        fn read(&self, from: usize, to: usize) -> crate::error::Result<Stereo> {
            let mut out = Stereo::default();
            for at in (from..to).step_by(997) {
                let piece = self.0.read(at, (at + 997).min(to))?;
                for (to, from) in out.channels.iter_mut().zip(piece.channels) {
                    to.extend(from);
                }
            }
            Ok(out)
        }
    }
    let mut again = Stereo::default();
    way.apply(&Split(sound), &mut |block| {
        for (to, from) in again.channels.iter_mut().zip(&block.channels) {
            to.extend_from_slice(from);
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(again, whole);
}

#[test]
fn another_pace_does_not_depend_on_how_it_is_asked_for() {
    for (len, speed) in [(150_000, 1.7), (90_000, 0.31), (300_000, 4.0), (1000, 2.0), (5000, 1.0)] {
        let sound = programme(len);
        let whole = change_speed(&sound, speed);
        assert_eq!(whole.len(), (len as f64 / speed).round() as usize);
        let mut stretcher = Stretcher::new(len, speed);
        let (mut at, mut made) = (0, Stereo::default());
        let mut read = |count: usize| {
            let to = (at + count).min(len);
            let from = std::mem::replace(&mut at, to);
            sound.read(from, to)
        };
        for count in (1..).map(|n| n * 701 % 4999 + 1) {
            let block = stretcher.next(count, &mut read).unwrap();
            if block.is_empty() {
                break;
            }
            for (to, from) in made.channels.iter_mut().zip(block.channels) {
                to.extend(from);
            }
        }
        // What is passed through ends with the source.
        assert_eq!(made.channels[0], whole.channels[0], "{len} at {speed}");
    }
}
