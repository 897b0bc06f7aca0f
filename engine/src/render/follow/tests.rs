//! Films made up so that the right middle is known.

use super::gaze::{Seen, Small, look};
use super::path::{Bounds, Sight, path};
use super::{STEP, keyframes, ways};
use crate::timeline::{Animated, Ease, Rate, Time};

const B: Bounds = super::BOUNDS;

struct Noise(u64);

impl Noise {
    /// -1 to 1.
    fn next(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / f64::from(1u32 << 30) - 1.0
    }
}

fn sights(places: impl Iterator<Item = f64>) -> Vec<Sight> {
    places.map(|place| Sight { place, sure: 1.0 }).collect()
}

fn speeds(path: &[f64]) -> Vec<f64> {
    path.windows(2).map(|w| (w[1] - w[0]) / STEP).collect()
}

fn keeps_bounds(path: &[f64]) {
    let speeds = speeds(path);
    let most = speeds.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    assert!(most <= B.speed + 1e-9, "speed {most}");
    let changes = speeds.windows(2).map(|w| (w[1] - w[0]).abs() / STEP);
    let most = changes.fold(0.0f64, f64::max);
    assert!(most <= B.acceleration + 1e-9, "acceleration {most}");
}

/// Times that the direction changes.
fn turns(path: &[f64]) -> usize {
    let ways: Vec<f64> = speeds(path).into_iter().filter(|v| v.abs() > 1e-6).collect();
    ways.windows(2).filter(|w| w[0] * w[1] < 0.0).count()
}

#[test]
fn whatever_is_seen_speed_and_acceleration_are_bounded() {
    let mut noise = Noise(7);
    for round in 0..300 {
        let n = (round * 7) % 90 + 1;
        let jumpy = round % 3 == 0;
        let mut at = 0.5;
        let seen: Vec<Sight> = (0..n)
            .map(|_| {
                at = if jumpy { noise.next() } else { at + noise.next() * 0.2 };
                Sight { place: at.clamp(0.0, 1.0), sure: noise.next().abs() }
            })
            .collect();
        let made = path(&seen, STEP, 0.5, &B);
        assert_eq!(made.len(), n);
        keeps_bounds(&made);
        assert!(made.iter().all(|p| (-1e-9..=1.0 + 1e-9).contains(p)));
    }
}

#[test]
fn a_subject_that_stands_is_not_followed_to_and_fro() {
    let mut noise = Noise(3);
    let made = path(&sights((0..240).map(|_| 0.3 + noise.next() * B.still)), STEP, 0.5, &B);
    let least = made.iter().fold(1.0f64, |m, v| m.min(*v));
    let most = made.iter().fold(0.0f64, |m, v| m.max(*v));
    assert!(most - least < 1e-9, "{least} {most}");
    assert!((most - 0.3).abs() <= B.still, "{most}");
    // Nor is something that comes up for an instant.
    let blink = (0..80).map(|i| if (40..42).contains(&i) { 0.9 } else { 0.3 });
    assert!(path(&sights(blink), STEP, 0.5, &B).iter().all(|p| (p - 0.3).abs() < 1e-9));
}

#[test]
fn a_subject_that_walks_is_followed_without_lag() {
    let at = |i: usize| 0.2 + 0.6 * (i as f64 / 80.0);
    let mut noise = Noise(5);
    let made = path(&sights((0..80).map(|i| at(i) + noise.next() * 0.02)), STEP, 0.5, &B);
    keeps_bounds(&made);
    for (i, place) in made.iter().enumerate() {
        // At the ends the average has nothing to look at beyond.
        assert!((place - at(i)).abs() < 0.06, "{i}: {place} {}", at(i));
    }
    assert_eq!(turns(&made), 0);
}

#[test]
fn a_jump_is_one_movement_without_overshoot() {
    let made = path(&sights((0..96).map(|i| if i < 48 { 0.2 } else { 0.8 })), STEP, 0.5, &B);
    keeps_bounds(&made);
    assert_eq!(turns(&made), 0);
    // As near as the dead zone asks for.
    assert!((made[0] - 0.2).abs() <= B.still && (made[95] - 0.8).abs() <= B.still, "{made:?}");
    assert!(made.iter().all(|p| (0.2 - 1e-9..=0.8 + 1e-9).contains(p)));
}

#[test]
fn where_nothing_is_seen_the_stated_point_stays() {
    let none = vec![Sight { place: 0.9, sure: 0.05 }; 40];
    assert!(path(&none, STEP, 0.25, &B).iter().all(|p| (p - 0.25).abs() < 1e-12));
    assert!(path(&[], STEP, 0.25, &B).is_empty());
}

/// What a made-up film shows: a disc of `colour` at `subject` over a textured ground that lies
/// `ground` samples to the left, with noise.
fn film(subject: Option<(f64, f64)>, ground: f64, noise: &mut Noise) -> Small {
    let (w, h) = (96usize, 54usize);
    let mut planes = [vec![0u8; w * h], vec![128u8; w * h], vec![128u8; w * h]];
    for y in 0..h {
        for x in 0..w {
            let g = x as f64 + ground;
            let texture = (g * 0.35).sin() * (y as f64 * 0.3 + (g * 0.11).sin()).cos();
            let mut value = 100.0 + 12.0 * texture + noise.next() * 3.0;
            let i = y * w + x;
            if let Some((sx, sy)) = subject {
                let away = (x as f64 + 0.5 - sx * w as f64).hypot(y as f64 + 0.5 - sy * h as f64);
                if away < 7.0 {
                    value = 175.0 + noise.next() * 3.0;
                    planes[1][i] = 112;
                    planes[2][i] = 150;
                }
            }
            planes[0][i] = value.clamp(16.0, 235.0) as u8;
        }
    }
    Small { width: w, height: h, planes }
}

const WINDOW: (f64, f64) = (0.316, 1.0);

fn looked(films: &[Small]) -> Vec<Seen> {
    let before = std::iter::once(None).chain(films.iter().map(Some));
    films.iter().zip(before).map(|(now, before)| look(before, now, WINDOW)).collect()
}

#[test]
fn a_moving_subject_is_found_and_kept_in_the_middle() {
    for (pan, from, to) in [(0.0, 0.2, 0.8), (0.0, 0.8, 0.25), (1.3, 0.2, 0.75), (-2.0, 0.5, 0.5)] {
        let mut noise = Noise(11);
        let at = |i: usize| from + (to - from) * (i as f64 / 63.0);
        let films: Vec<Small> =
            (0..64).map(|i| film(Some((at(i), 0.6)), pan * i as f64, &mut noise)).collect();
        let seen = looked(&films);
        assert!(seen.iter().all(|s| !s.cut));
        let (x, _) = ways(&seen, (0.5, 0.5), WINDOW, STEP);
        keeps_bounds(&x);
        // The whole disc is in view: its radius is 7 of 96 samples, the window's half 0.158.
        for (i, x) in x.iter().enumerate() {
            assert!((x - at(i)).abs() < 0.158 - 7.0 / 96.0, "{pan} {from} {i}: {x} {}", at(i));
        }
        let mean = x.iter().enumerate().map(|(i, x)| (x - at(i)).abs()).sum::<f64>() / 64.0;
        assert!(mean < 0.035, "{pan} {from}: mean {mean}");
        assert!(turns(&x) == 0, "{pan} {from}: {x:?}");
    }
}

#[test]
fn a_subject_that_stands_out_is_found_without_moving() {
    let mut noise = Noise(13);
    let films: Vec<Small> = (0..60).map(|_| film(Some((0.72, 0.4)), 0.0, &mut noise)).collect();
    let (x, _) = ways(&looked(&films), (0.5, 0.5), WINDOW, STEP);
    assert!(x.iter().all(|x| (x - 0.72).abs() < 0.06), "{x:?}");
    // Not a tremor, whatever the noise.
    assert!(x.windows(2).all(|w| w[0] == w[1]));
}

#[test]
fn an_empty_picture_keeps_the_stated_focus() {
    let mut noise = Noise(17);
    let films: Vec<Small> = (0..30).map(|_| film(None, 0.0, &mut noise)).collect();
    let grey: Vec<Small> = films
        .iter()
        .map(|f| Small {
            planes: [vec![90; 96 * 54], vec![128; 96 * 54], vec![128; 96 * 54]],
            ..*f
        })
        .collect();
    for films in [films, grey] {
        let (x, y) = ways(&looked(&films), (0.3, 0.6), WINDOW, STEP);
        assert!(x.iter().all(|x| (x - 0.3).abs() < 1e-9), "{x:?}");
        assert!(y.iter().all(|y| (y - 0.6).abs() < 1e-9));
    }
}

#[test]
fn a_cut_lets_the_path_jump() {
    let mut noise = Noise(19);
    let films: Vec<Small> = (0..60)
        .map(|i| {
            let mut made = film(Some((if i < 30 { 0.25 } else { 0.75 }, 0.5)), 0.0, &mut noise);
            if i >= 30 {
                // Another place: what was light is dark.
                for value in &mut made.planes[0] {
                    *value = 251 - *value;
                }
            }
            made
        })
        .collect();
    let seen = looked(&films);
    assert_eq!(
        seen.iter().map(|s| s.cut).collect::<Vec<_>>(),
        (0..60).map(|i| i == 30).collect::<Vec<_>>()
    );
    let (x, _) = ways(&seen, (0.5, 0.5), WINDOW, STEP);
    assert!(x[..30].iter().all(|x| (x - 0.25).abs() < 0.06), "{x:?}");
    assert!(x[30..].iter().all(|x| (x - 0.75).abs() < 0.06), "{x:?}");
}

#[test]
fn keyframes_give_the_path_back_and_jump_at_cuts() {
    let values: Vec<f64> = (0..20)
        .map(|k| match k {
            0..6 => 0.2,
            6..12 => 0.2 + 0.05 * f64::from(k - 5),
            _ => 0.8,
        })
        .collect();
    // The shot that begins with value 12 does at frame 34; values are 3 frames apart.
    let made = keyframes(&values, 3, &[(12, 34)]);
    let rate = Rate::new(24, 1).unwrap();
    for (k, value) in values.iter().enumerate() {
        let time = rate.time(k as i64 * 3);
        assert!((made.at(time, rate) - value).abs() < 2e-5, "{k}");
    }
    assert!((made.at(rate.time(33), rate) - values[11]).abs() < 2e-5);
    assert!((made.at(rate.time(34), rate) - 0.8).abs() < 2e-5);
    let Animated::Moving(keys) = &made else { panic!("it moves") };
    assert!(keys.len() < 10, "{keys:?}");
    assert!(keys.iter().any(|key| key.ease == Some(Ease::Hold)));
    let times: Vec<_> = keys.iter().map(|key| key.at.resolve(rate)).collect();
    assert!(times.windows(2).all(|w| w[0] < w[1]), "{keys:?}");
    assert_eq!(keyframes(&[0.3; 9], 3, &[]), Animated::Still(0.3));
    assert_eq!(Time::Frames(0).resolve(rate), keys[0].at.resolve(rate));
}
