//! Whatever a file claims: no panic, and no more memory than the file's size and a little.
#![allow(clippy::unwrap_used, clippy::panic)]
#![allow(unsafe_code)] // An allocator that counts cannot be had otherwise.

mod convert_made;

use convert_made::*;
use rushes_models::ModelsError;
use rushes_models::convert::{Ggml, check_ggml, check_onnx, check_safetensors, pth_to_safetensors};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::ControlFlow;
use std::path::Path;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

fn count(change: isize) {
    // Not there any more while a thread ends.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + change);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

// SAFETY: everything is handed to the system's allocator, which keeps the rules.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both are held while the one is copied to the other.
        count(size as isize);
        count(-(layout.size() as isize));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// What `work` gives, and the most that it held at a time.
fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.get();
    PEAK.set(before);
    let result = work();
    (result, (PEAK.get() - before) as usize)
}

type Read = fn(&Path) -> Result<(), ModelsError>;

fn ggml(path: &Path) -> Result<(), ModelsError> {
    check_ggml(path)?;
    let model = Ggml::open(path)?;
    model.tensor("encoder.conv1.bias").map(|_| ())
}

fn pth(path: &Path) -> Result<(), ModelsError> {
    let out = path.with_extension("out");
    pth_to_safetensors(path, &out, |_| ControlFlow::Continue(()))?;
    check_safetensors(&out)
}

/// Stops before the file would be synced, which is what takes time.
fn pth_unsynced(path: &Path) -> Result<(), ModelsError> {
    let out = path.with_extension("out");
    pth_to_safetensors(path, &out, |at| {
        if at.total > 0 && at.done == at.total {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })
}

/// A small constant: tables of names and places, buffers.
const LITTLE: usize = 1 << 20;

fn within(read: Read, path: &Path, bytes: &[u8]) -> Result<(), ModelsError> {
    // A new file each time: ext4 syncs one that is cut to nothing and written again.
    let _ = std::fs::remove_file(path);
    std::fs::write(path, bytes).unwrap();
    let (result, most) = peak(|| read(path));
    assert!(most <= bytes.len() + LITTLE, "{most} bytes held for a file of {}", bytes.len());
    result
}

fn files() -> Vec<(&'static str, Read, Vec<u8>)> {
    let tensors = (0..50).map(|n| {
        let (from, to) = (n * 8, n * 8 + 8);
        format!(r#""t{n}":{{"dtype":"F16","shape":[2,2],"data_offsets":[{from},{to}]}}"#)
    });
    let header = format!("{{{}}}", tensors.collect::<Vec<_>>().join(","));
    vec![
        ("ggml", ggml, ggml_whole()),
        ("onnx", check_onnx, onnx_whole()),
        ("safetensors", check_safetensors, safetensors(&header, 400)),
        ("pth", pth, pth_whole()),
        ("older pth", pth, pth_old()),
    ]
}

/// Cut behind the last tensor's header, nothing is left to say that anything is missing but the
/// size; only a zip archive has something behind that.
#[test]
fn cut_at_every_64th() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut");
    for (name, read, whole) in files() {
        within(read, &path, &whole).unwrap_or_else(|e| panic!("{name}: {e}"));
        for part in 0..64 {
            let cut = whole.len() * part / 64;
            let result = within(read, &path, &whole[..cut]);
            assert!(matches!(result, Err(ModelsError::Format { .. })), "{name}: {cut}: {result:?}");
        }
        let result = within(read, &path, &whole[..whole.len() - 1]);
        assert!(matches!(result, Err(ModelsError::Format { .. })), "{name}: {result:?}");
    }
}

#[test]
fn with_bits_flipped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flipped");
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for (name, read, whole) in files() {
        let read = if name.ends_with("pth") { pth_unsynced } else { read };
        // Every bit of what is small; elsewhere some, mostly where the headers are.
        let all = whole.len() <= 4096;
        let rounds = if all { whole.len() * 8 } else { 1000 };
        for round in 0..rounds {
            let mut bytes = whole.clone();
            if all {
                bytes[round / 8] ^= 1 << (round % 8);
            } else {
                for _ in 0..1 + round % 3 {
                    let reach = if round % 2 == 0 { bytes.len() } else { 4096 };
                    let (from_end, at) = (round % 4 == 1, random(reach));
                    let at = if from_end { bytes.len() - 1 - at } else { at };
                    bytes[at] ^= 1 << random(8);
                }
            }
            match within(read, &path, &bytes) {
                Ok(()) | Err(ModelsError::Format { .. } | ModelsError::Cancelled) => {}
                other => panic!("{name}: {round}: {other:?}"),
            }
        }
    }
}

/// Files in which every few bytes ask for a structure.
#[test]
fn many_small_things() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("many");
    let many = 1 << 21;
    let nodes = [0x0a, 0].repeat(many);
    within(check_onnx, &path, &onnx_model(&nodes)).unwrap();
    let attributes = onnx_graph(&[], &[[0x2a, 0].repeat(many)]);
    within(check_onnx, &path, &onnx_model(&attributes)).unwrap();
    let dims = [number(2, 2), [8, 1].repeat(many)].concat();
    within(check_onnx, &path, &onnx_model(&onnx_graph(&[dims], &[]))).unwrap_err();

    let header = format!("{{{}}}", vec![r#""__metadata__":{}"#; 1 << 17].join(","));
    within(check_safetensors, &path, &safetensors(&header, 0)).unwrap_err();
    let texts = vec![r#""":"""#; 1 << 18].join(",");
    let header = format!(r#"{{"__metadata__":{{{texts}}}}}"#);
    within(check_safetensors, &path, &safetensors(&header, 0)).unwrap_err();
    let mut huge = vec![0; 64];
    huge[7] = 0x10;
    within(check_safetensors, &path, &huge).unwrap_err();

    let mut tokens = ggml_start(HYPER);
    tokens.truncate(tokens.len() - 15);
    tokens.extend(50_000u32.to_le_bytes());
    tokens.resize(tokens.len() + 200_000, 0);
    let (result, most) = peak(|| {
        std::fs::write(&path, &tokens).unwrap();
        check_ggml(&path)
    });
    // A list of fifty thousand empty tokens, and its predecessor while it grows.
    assert!(result.is_err() && most < 4 << 20, "{most}");
}

/// A pickle's values are bounded by its instructions, of which there are at most half a million.
#[test]
fn pickles_of_nothing_but_values() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("many");
    for instruction in [&b"}"[..], b"N", b"(", b")", b"]", b"K\x01q\x01", b"}r\x01\x01\x01\x01"] {
        let file = convert_made::pth(&instruction.repeat(1 << 21), &[]);
        std::fs::write(&path, file).unwrap();
        let (result, most) = peak(|| pth(&path));
        assert!(matches!(result, Err(ModelsError::Format { .. })), "{result:?}");
        assert!(most < 96 << 20, "{most} for {instruction:?}");
    }
}
