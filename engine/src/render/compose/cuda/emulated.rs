//! The kernels as CPU code: `kernels/` compiled by the C++ compiler with `emulate.h`, a library for
//! each mask. Memory lies between guards that must stay as they are.

#![allow(unsafe_code)]

use super::machine::{Keeper, Launch, Machine, Memory};
use super::mask::{Kernel, Mask};
use super::tables::Tables;
use crate::error::{Error, ErrorKind, Result, Stage};
use std::collections::HashMap;
use std::ffi::{c_int, c_uint, c_ulong, c_void};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Bytes before and behind each piece of memory.
const GUARD: usize = 512;
/// What they hold, and what memory holds before it is written.
const POISON: u8 = 0xa5;

type Emulate = unsafe extern "C" fn(c_uint, *const c_void, c_ulong, *const c_uint, c_uint) -> c_int;

/// Compiled kernels by their part and macros; running them one at a time, because the shared memory of
/// a block is static here.
static MADE: LazyLock<Mutex<HashMap<Vec<String>, libloading::Library>>> =
    LazyLock::new(Mutex::default);

struct Block {
    bytes: Vec<u128>,
    length: usize,
}

impl Block {
    fn all(&self) -> &[u8] {
        pulp::bytemuck::cast_slice(&self.bytes)
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let all = self.all();
        let guards = all[..GUARD].iter().chain(&all[GUARD + self.length..]);
        let kept = guards.copied().all(|b| b == POISON);
        assert!(kept || std::thread::panicking(), "a kernel wrote outside of its memory");
    }
}

/// A device that is this process.
#[derive(Default)]
pub(super) struct Emulated {
    tables: Tables,
    /// Threads of a block; 0 counts as 1.
    threads: u32,
    /// Whether a module is cut to the features that a launch needs, as on a GPU. Otherwise it has all of
    /// them, so that few have to be compiled.
    cut: bool,
    /// The kernels that ran, with their masks.
    pub ran: Mutex<Vec<(Kernel, Mask)>>,
}

impl Emulated {
    /// Blocks of so many threads, which run at the same time.
    pub(super) fn with_threads(threads: u32) -> Self {
        Self { threads, ..Self::default() }
    }

    /// With modules cut to what each launch needs.
    pub(super) fn cut() -> Self {
        Self { cut: true, ..Self::default() }
    }
}

fn failed(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Internal, Stage::Render, what.into())
}

fn compiled(defines: &[String]) -> Result<libloading::Library> {
    let folder = tempfile::tempdir().map_err(|e| failed(e.to_string()))?;
    let library = folder.path().join("kernels.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/render/compose/cuda/emulate.h");
    let made = Command::new("g++")
        .args([
            "-std=c++20",
            "-O1",
            "-ffp-contract=off",
            "-Wall",
            "-Werror",
            "-Wno-unused-function",
        ])
        .args(["-Wno-unused-variable", "-Wno-unused-but-set-variable"])
        .args(["-shared", "-fPIC", "-pthread", "-x", "c++"])
        .args(defines)
        .arg("-o")
        .arg(&library)
        .arg(source)
        .output()
        .map_err(|e| failed(format!("g++: {e}")))?;
    if !made.status.success() {
        return Err(failed(String::from_utf8_lossy(&made.stderr).into_owned()));
    }
    // SAFETY: the library was made a moment ago from our own source and has no initialisers.
    unsafe { libloading::Library::new(&library) }.map_err(|e| failed(e.to_string()))
}

impl Machine for Emulated {
    fn allocate(&self, bytes: usize) -> Result<Memory> {
        let words = (bytes + 2 * GUARD).div_ceil(16);
        let block = Block { bytes: vec![u128::from_ne_bytes([POISON; 16]); words], length: bytes };
        let address = block.bytes.as_ptr() as u64 + GUARD as u64;
        Ok(Memory { address, bytes, _keeper: Arc::new(block) })
    }

    fn write(&self, to: &Memory, bytes: &[u8]) -> Result<()> {
        assert!(bytes.len() <= to.bytes);
        // SAFETY: `to` is a block of at least so many bytes that lives as long as `to`; kernels, which
        // write too, run in this thread.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), to.address as *mut u8, bytes.len());
        }
        Ok(())
    }

    fn read(&self, from: &Memory) -> Result<Vec<u8>> {
        // SAFETY: as in `write`.
        Ok(unsafe { std::slice::from_raw_parts(from.address as *const u8, from.bytes) }.to_vec())
    }

    fn hold(&self, _: Keeper) -> Result<()> {
        Ok(())
    }

    fn tables(&self) -> &Tables {
        &self.tables
    }

    fn launch(&self, launch: Launch<'_>) -> Result<()> {
        self.ran
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((launch.kernel, launch.mask.of(launch.kernel)));
        let defines = if self.cut {
            launch.mask.defines(launch.kernel)
        } else {
            launch.mask.all_defines(launch.kernel)
        };
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        if !made.contains_key(&defines) {
            made.insert(defines.clone(), compiled(&defines)?);
        }
        let library = made.get(&defines).ok_or_else(|| failed("no library"))?;
        let (params, size) = launch.params.raw();
        let threads = self.threads.max(1);
        // SAFETY: `emulate.h` declares it so; it checks the size against the kernel's structure, and the
        // structure refers to memory of this machine.
        let outcome = unsafe {
            let emulate: libloading::Symbol<'_, Emulate> =
                library.get(b"emulate").map_err(|e| failed(e.to_string()))?;
            emulate(launch.kernel as c_uint, params, size as c_ulong, launch.grid.as_ptr(), threads)
        };
        if outcome == 0 { Ok(()) } else { Err(failed("no such kernel, or other parameters")) }
    }
}
