//! A GPU through CUDA's driver, and kernels made for it by NVRTC. Both libraries are opened at run
//! time; where one is missing, [`Gpu::open`] says which.

#![allow(unsafe_code)]

use super::machine::{Keeper, Launch, Machine, Memory};
use super::mask::{Kernel, Mask, SOURCE};
use super::picture::{DevicePicture, Layout};
use super::tables::Tables;
use super::{DeviceLayer, Ground, compose_on_device};
use crate::device::cuda::{DRIVER, opens};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::render::compose::{ColourTags, Picture, Planes};
use cudarc::driver::{
    CudaContext, CudaEvent, CudaFunction, CudaStream, DriverError, PinnedHostSlice, result, sys,
};
use cudarc::nvrtc::{Ptx, result as nvrtc, sys as nvrtc_sys};
use std::collections::{HashMap, VecDeque};
use std::ffi::CString;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

fn unsupported(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unsupported, Stage::Render, what.into())
}

fn failed(doing: &str, error: DriverError) -> Error {
    use sys::cudaError_enum as Code;
    let (kind, hint) = match error.0 {
        Code::CUDA_ERROR_OUT_OF_MEMORY => {
            (ErrorKind::Resource, "let fewer things use the GPU at once")
        }
        Code::CUDA_ERROR_NO_BINARY_FOR_GPU
        | Code::CUDA_ERROR_INVALID_PTX
        | Code::CUDA_ERROR_UNSUPPORTED_PTX_VERSION
        | Code::CUDA_ERROR_JIT_COMPILER_NOT_FOUND => (
            ErrorKind::Unsupported,
            "NVRTC is newer than the driver: update the driver, or use the NVRTC of its CUDA version",
        ),
        Code::CUDA_ERROR_NO_DEVICE
        | Code::CUDA_ERROR_INVALID_DEVICE
        | Code::CUDA_ERROR_SYSTEM_DRIVER_MISMATCH
        | Code::CUDA_ERROR_SYSTEM_NOT_READY
        | Code::CUDA_ERROR_STUB_LIBRARY => (ErrorKind::Unsupported, "look at nvidia-smi"),
        _ => (ErrorKind::Internal, ""),
    };
    let made = Error::new(kind, Stage::Render, format!("{doing}: {error}"));
    if hint.is_empty() { made } else { made.hint(hint) }
}

fn driver_is_there() -> Result<()> {
    if opens(&DRIVER) {
        return Ok(());
    }
    Err(unsupported("no NVIDIA driver (libcuda.so.1) on this machine"))
}

struct Device {
    context: Arc<CudaContext>,
    name: String,
    /// Major and minor compute capability.
    capability: (i32, i32),
    /// By kernel and what it was made with.
    functions: Mutex<HashMap<(Kernel, Mask), CudaFunction>>,
}

/// A queue of work on an NVIDIA GPU. Copies are other handles of the same queue.
#[derive(Clone)]
pub struct Gpu {
    device: Arc<Device>,
    stream: Arc<CudaStream>,
    held: Arc<Mutex<VecDeque<(CudaEvent, Keeper)>>>,
    tables: Arc<Tables>,
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gpu").field("name", &self.device.name).finish_non_exhaustive()
    }
}

/// A piece of device memory, freed in the order of its stream.
struct Allocation {
    address: u64,
    stream: Arc<CudaStream>,
}

impl Drop for Allocation {
    fn drop(&mut self) {
        let context = self.stream.context();
        if context.bind_to_thread().is_err() {
            return;
        }
        // SAFETY: allocated on this stream and nowhere else given back. A failure leaves memory in use,
        // which nothing here could mend.
        let _ = unsafe {
            if context.has_async_alloc() {
                result::free_async(self.address, self.stream.cu_stream())
            } else {
                result::free_sync(self.address)
            }
        };
    }
}

/// A moment in a queue of work.
#[derive(Debug)]
pub struct Mark(CudaEvent);

impl Mark {
    /// Seconds of the device's clock from this to a later one; waits for both.
    ///
    /// # Errors
    /// Failures of the work before.
    pub fn seconds_until(&self, later: &Self) -> Result<f64> {
        let ms = self.0.elapsed_ms(&later.0).map_err(|e| failed("timing", e))?;
        Ok(f64::from(ms) / 1000.0)
    }

    /// Waits until all work before it is done.
    ///
    /// # Errors
    /// Failures of that work.
    pub fn wait(&self) -> Result<()> {
        self.0.synchronize().map_err(|e| failed("waiting for the GPU", e))
    }
}

impl Gpu {
    /// How many GPUs the driver offers.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where there is no driver, or one that does not work.
    pub fn count() -> Result<usize> {
        driver_is_there()?;
        result::init().map_err(|e| failed("starting the NVIDIA driver", e))?;
        let count = result::device::get_count().map_err(|e| failed("counting GPUs", e))?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// A queue on GPU `ordinal`, on which a kernel was made and gave the right result.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where the driver, NVRTC or such a GPU is missing, or they do not fit
    /// each other; [`ErrorKind::Resource`] when the GPU has no memory left.
    pub fn open(ordinal: usize) -> Result<Self> {
        if ordinal >= Self::count()? {
            return Err(unsupported(format!("there is no GPU {ordinal}")));
        }
        if !opens(&["libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11"]) {
            return Err(unsupported("no NVRTC (libnvrtc.so) on this machine")
                .hint("install CUDA's run-time compiler: pip's nvidia-cuda-nvrtc is enough"));
        }
        let opening = |e| failed("opening the GPU", e);
        let context = CudaContext::new(ordinal).map_err(opening)?;
        if context.has_async_alloc() {
            let keep = u64::MAX;
            // SAFETY: the pool is the device's own; the attribute takes a 64-bit number.
            unsafe {
                let pool =
                    result::device::get_default_mem_pool(context.cu_device()).map_err(opening)?;
                // What a frame gives back the next one takes: not given back to the driver in between.
                result::mem_pool::set_attribute(
                    pool,
                    sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD,
                    std::ptr::from_ref(&keep).cast_mut().cast(),
                )
                .map_err(opening)?;
            }
        }
        let device = Device {
            name: context.name().map_err(opening)?,
            capability: context.compute_capability().map_err(opening)?,
            context,
            functions: Mutex::default(),
        };
        let made = Self::on(Arc::new(device))?;
        made.check()?;
        Ok(made)
    }

    fn on(device: Arc<Device>) -> Result<Self> {
        let stream = device.context.new_stream().map_err(|e| failed("making a stream", e))?;
        let (held, tables) = (Arc::default(), Arc::default());
        Ok(Self { device, stream, held, tables })
    }

    /// Another queue on the same GPU, beside this one; kernels are shared.
    ///
    /// # Errors
    /// The driver's failures.
    pub fn beside(&self) -> Result<Self> {
        Self::on(self.device.clone())
    }

    /// Lets later work of this queue wait for what was asked of `other` so far.
    ///
    /// # Errors
    /// The driver's failures.
    pub fn wait_for(&self, other: &Self) -> Result<()> {
        self.stream.join(&other.stream).map_err(|e| failed("joining streams", e))
    }

    /// Waits until everything is done.
    ///
    /// # Errors
    /// Failures of the work.
    pub fn synchronize(&self) -> Result<()> {
        self.stream.synchronize().map_err(|e| failed("waiting for the GPU", e))?;
        drop(self.let_go());
        Ok(())
    }

    /// A moment behind all work so far.
    ///
    /// # Errors
    /// The driver's failures.
    pub fn mark(&self) -> Result<Mark> {
        let flags = Some(sys::CUevent_flags::CU_EVENT_DEFAULT);
        self.stream.record_event(flags).map(Mark).map_err(|e| failed("marking a moment", e))
    }

    /// What the GPU is called.
    pub fn name(&self) -> &str {
        &self.device.name
    }

    /// Its compute capability, major and minor.
    pub fn capability(&self) -> (i32, i32) {
        self.device.capability
    }

    /// The `CUcontext`, for libav's device context.
    pub fn raw_context(&self) -> *mut std::ffi::c_void {
        self.device.context.cu_ctx().cast()
    }

    /// The `CUstream`: a decoder that works on it has written its surfaces before later work here.
    pub fn raw_stream(&self) -> *mut std::ffi::c_void {
        self.stream.cu_stream().cast()
    }

    /// Copies `from` to the beginning of `to`.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when it does not fit; the driver's failures.
    pub fn copy(&self, from: &Memory, to: &Memory) -> Result<()> {
        fits(from.bytes(), to)?;
        self.bind()?;
        // SAFETY: both are this context's memory, as long as their handles live, which free it behind
        // this copy.
        unsafe {
            result::memcpy_dtod_async(
                to.address(),
                from.address(),
                from.bytes(),
                self.stream.cu_stream(),
            )
        }
        .map_err(|e| failed("copying on the GPU", e))
    }

    /// Lets go of what no work needs any more; what other threads asked for meanwhile stays.
    fn let_go(&self) -> MutexGuard<'_, VecDeque<(CudaEvent, Keeper)>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        while held.front().is_some_and(|(event, _)| event.is_complete()) {
            held.pop_front();
        }
        held
    }

    fn bind(&self) -> Result<()> {
        self.device.context.bind_to_thread().map_err(|e| failed("taking the GPU", e))
    }

    /// A kernel made, loaded and run, with a result that is known.
    fn check(&self) -> Result<()> {
        let (w, h) = (32, 16);
        let planes = [vec![200; 512], vec![128; 128], vec![128; 128]];
        let source = Picture::from_planes8(w, h, ColourTags::BT709, planes)?;
        let source = DevicePicture::upload(self, &source, Layout::SemiPlanar)?;
        let like = (source.depth(), source.tags, source.layout());
        let mut canvas = DevicePicture::new(self, (w, h), like.0, like.1, like.2, false)?;
        let layer = DeviceLayer { opacity: 0.5, ..DeviceLayer::at(&source, 0.0, 0.0) };
        compose_on_device(self, &mut canvas, Ground::New, &[layer])?;
        let made = canvas.download(self)?;
        // Half of 200 over black (16).
        let right = match &made.planes {
            Planes::Eight(yuv) => {
                let [y, u, v] = &yuv.planes;
                let chroma = u.data.iter().chain(&v.data);
                y.data.iter().all(|v| *v == 108) && chroma.copied().all(|v| v == 128)
            }
            Planes::Ten(_) => false,
        };
        if right {
            return Ok(());
        }
        let name = self.name();
        Err(unsupported(format!("a kernel made for {name} gave a wrong result"))
            .hint("the driver and NVRTC do not fit each other"))
    }

    fn function(&self, kernel: Kernel, mask: Mask) -> Result<CudaFunction> {
        let key = (kernel, mask.of(kernel));
        let mut functions = self.device.functions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(function) = functions.get(&key) {
            return Ok(function.clone());
        }
        let image = compiled(kernel, mask, self.device.capability)?;
        let loading = |e| failed("loading a kernel", e);
        let module = self.device.context.load_module(image).map_err(loading)?;
        let function = module.load_function(kernel.name()).map_err(loading)?;
        functions.insert(key, function.clone());
        Ok(function)
    }
}

fn fits(bytes: usize, to: &Memory) -> Result<()> {
    if bytes <= to.bytes() {
        return Ok(());
    }
    let what = format!("{bytes} bytes do not fit into {} of device memory", to.bytes());
    Err(Error::new(ErrorKind::Internal, Stage::Render, what))
}

impl Machine for Gpu {
    fn allocate(&self, bytes: usize) -> Result<Memory> {
        self.bind()?;
        let bytes = bytes.max(1);
        // SAFETY: what memory holds is not looked at before it is written.
        let address = unsafe {
            if self.device.context.has_async_alloc() {
                result::malloc_async(self.stream.cu_stream(), bytes)
            } else {
                result::malloc_sync(bytes)
            }
        }
        .map_err(|e| failed("taking device memory", e))?;
        let _keeper = Arc::new(Allocation { address, stream: self.stream.clone() });
        Ok(Memory { address, bytes, _keeper })
    }

    fn write(&self, to: &Memory, bytes: &[u8]) -> Result<()> {
        fits(bytes.len(), to)?;
        self.bind()?;
        // SAFETY: it fits; the driver has taken pageable memory when this is back.
        unsafe { result::memcpy_htod_async(to.address, bytes, self.stream.cu_stream()) }
            .map_err(|e| failed("copying to the GPU", e))
    }

    fn read(&self, from: &Memory) -> Result<Vec<u8>> {
        self.bind()?;
        let mut bytes = vec![0; from.bytes];
        // SAFETY: as many bytes as there are; waited for before they are looked at or let go.
        unsafe { result::memcpy_dtoh_async(&mut bytes, from.address, self.stream.cu_stream()) }
            .map_err(|e| failed("copying from the GPU", e))?;
        self.synchronize()?;
        Ok(bytes)
    }

    fn hold(&self, keeper: Keeper) -> Result<()> {
        let event = self.stream.record_event(None).map_err(|e| failed("marking a moment", e))?;
        let mut held = self.let_go();
        held.push_back((event, keeper));
        Ok(())
    }

    fn tables(&self) -> &Tables {
        &self.tables
    }

    fn launch(&self, launch: Launch<'_>) -> Result<()> {
        let function = self.function(launch.kernel, launch.mask)?;
        self.bind()?;
        let (params, _) = launch.params.raw();
        let [x, y] = launch.grid;
        // SAFETY: `params` is the structure that the kernel takes (asserted on both sides); the driver
        // copies it before this is back. It refers to memory that its callers keep until the launch is
        // queued, and that is freed behind it.
        unsafe {
            result::launch_kernel(
                function.cu_function(),
                (x, y, 1),
                (launch.kernel.threads(), 1, 1),
                0,
                self.stream.cu_stream(),
                &mut [params.cast_mut()],
            )
        }
        .map_err(|e| failed(launch.kernel.name(), e))
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        // What is held may be in use until then.
        if Arc::strong_count(&self.held) == 1 {
            let _ = self.stream.synchronize();
        }
    }
}

/// `kernel` as machine code for a GPU of this capability; as PTX, which the driver compiles, where NVRTC
/// does not know the GPU.
pub(crate) fn compiled(kernel: Kernel, mask: Mask, (major, minor): (i32, i32)) -> Result<Ptx> {
    let mut options = mask.defines(kernel);
    options.push("--std=c++17".into());
    if kernel != Kernel::ComposePlain {
        // Rounded as the CPU rounds: a chain of steps has thresholds that a last bit can move.
        options.push("--fmad=false".into());
    }
    let arch = |name: &str, major: i32, minor: i32| {
        let mut options = options.clone();
        options.push(format!("--gpu-architecture={name}_{major}{minor}"));
        options
    };
    match Program::compiled(&arch("sm", major, minor)) {
        Ok(program) => program.cubin(),
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            Program::compiled(&arch("compute", 9, 0))?.ptx()
        }
        Err(error) => Err(error),
    }
}

/// A program of NVRTC.
struct Program(nvrtc_sys::nvrtcProgram);

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: made by `create_program` and destroyed nowhere else.
        let _ = unsafe { nvrtc::destroy_program(self.0) };
    }
}

impl Program {
    fn compiled(options: &[String]) -> Result<Self> {
        let wrong = |e: nvrtc::NvrtcError| unsupported(format!("NVRTC: {e}"));
        let source = CString::new(SOURCE).map_err(|e| unsupported(e.to_string()))?;
        let program = Self(nvrtc::create_program(&source, Some(c"kernels.cu")).map_err(wrong)?);
        // SAFETY: the program is alive, and so are the options.
        let outcome = unsafe { nvrtc::compile_program(program.0, options) };
        let Err(error) = outcome else { return Ok(program) };
        if error.0 != nvrtc_sys::nvrtcResult::NVRTC_ERROR_COMPILATION {
            return Err(wrong(error));
        }
        // SAFETY: the program is alive.
        let log = unsafe { nvrtc::get_program_log(program.0) }.unwrap_or_default();
        let log: Vec<u8> = log.into_iter().map(|c| c as u8).take_while(|c| *c != 0).collect();
        let what = format!("a kernel does not compile: {}", String::from_utf8_lossy(&log));
        Err(Error::new(ErrorKind::Internal, Stage::Render, what))
    }

    fn cubin(&self) -> Result<Ptx> {
        let wrong = |e: nvrtc::NvrtcError| unsupported(format!("NVRTC: {e}"));
        let mut bytes = 0;
        // SAFETY: the program is compiled; the buffer has the size that NVRTC names.
        unsafe {
            nvrtc_sys::nvrtcGetCUBINSize(self.0, &mut bytes).result().map_err(wrong)?;
            let mut image = vec![0u8; bytes];
            nvrtc_sys::nvrtcGetCUBIN(self.0, image.as_mut_ptr().cast()).result().map_err(wrong)?;
            Ok(Ptx::from_binary(image))
        }
    }

    fn ptx(&self) -> Result<Ptx> {
        // SAFETY: the program is compiled.
        let text =
            unsafe { nvrtc::get_ptx(self.0) }.map_err(|e| unsupported(format!("NVRTC: {e}")))?;
        let text: Vec<u8> = text.into_iter().map(|c| c as u8).take_while(|c| *c != 0).collect();
        Ok(Ptx::from_src(String::from_utf8_lossy(&text).into_owned()))
    }
}

/// Pictures on their way to the host: copies into pinned memory run beside the work on the next ones.
pub struct DownloadRing {
    gpu: Gpu,
    slots: Vec<Slot>,
    /// The slot that is filled next, and how many are filled.
    next: usize,
    filled: usize,
}

struct Slot {
    bytes: PinnedHostSlice<u8>,
    /// The picture that was copied, and when that is done.
    picture: Option<(DevicePicture, CudaEvent)>,
}

impl std::fmt::Debug for DownloadRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DownloadRing").field("filled", &self.filled).finish_non_exhaustive()
    }
}

impl DownloadRing {
    /// `slots` (at least 1) pieces of pinned memory for pictures of the shape of `like`; copies run on
    /// a queue beside `gpu`.
    ///
    /// # Errors
    /// [`ErrorKind::Resource`] when there is not enough memory that can be pinned.
    pub fn new(gpu: &Gpu, like: &DevicePicture, slots: usize) -> Result<Self> {
        let bytes = like.memory.as_ref().map_or(0, Memory::bytes);
        let gpu = gpu.beside()?;
        let slot = |_| {
            // Not write-combined: the host reads it. SAFETY: read only after a copy filled it.
            let bytes = unsafe { gpu.device.context.alloc_pinned_with_flags(bytes, 0) }
                .map_err(|e| failed("pinning memory", e))?;
            Ok(Slot { bytes, picture: None })
        };
        let slots = (0..slots.max(1)).map(slot).collect::<Result<Vec<_>>>()?;
        Ok(Self { gpu, slots, next: 0, filled: 0 })
    }

    /// Begins to copy `picture`, made by work of `on`; the oldest picture, if there was no slot left.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] for a picture of another shape; failures of the work before.
    pub fn push(&mut self, on: &Gpu, picture: &DevicePicture) -> Result<Option<Picture>> {
        let oldest = if self.filled == self.slots.len() { self.pop()? } else { None };
        self.gpu.wait_for(on)?;
        self.gpu.bind()?;
        let slot = &mut self.slots[self.next];
        let memory = picture.memory.as_ref().filter(|m| m.bytes() == slot.bytes.num_bytes());
        let Some(memory) = memory else {
            let what = "a picture of another shape than the ring's";
            return Err(Error::new(ErrorKind::Internal, Stage::Render, what));
        };
        let copying = |e| failed("copying from the GPU", e);
        let stream = self.gpu.stream.clone();
        let to = slot.bytes.as_mut_slice().map_err(copying)?;
        // SAFETY: both have so many bytes; the slot is not read before the event, and keeps the picture
        // until then.
        unsafe { result::memcpy_dtoh_async(to, memory.address(), stream.cu_stream()) }
            .map_err(copying)?;
        let event = stream.record_event(None).map_err(copying)?;
        slot.picture = Some((picture.clone(), event));
        self.next = (self.next + 1) % self.slots.len();
        self.filled += 1;
        Ok(oldest)
    }

    /// The oldest picture, waited for; `None` when all were taken.
    ///
    /// # Errors
    /// Failures of the work before.
    pub fn pop(&mut self) -> Result<Option<Picture>> {
        if self.filled == 0 {
            return Ok(None);
        }
        let at = (self.next + self.slots.len() - self.filled) % self.slots.len();
        self.filled -= 1;
        let slot = &mut self.slots[at];
        let Some((picture, event)) = slot.picture.take() else { return Ok(None) };
        let waiting = |e| failed("waiting for the GPU", e);
        event.synchronize().map_err(waiting)?;
        picture.unpacked(slot.bytes.as_slice().map_err(waiting)?).map(Some)
    }
}

impl Drop for DownloadRing {
    fn drop(&mut self) {
        // Copies into the slots may still run.
        let _ = self.gpu.synchronize();
    }
}
