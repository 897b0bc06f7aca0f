//! Whether a GPU really works: its context is made and a small kernel is run on it.

use super::compute::NoGpu;
use cudarc::driver::{CudaContext, DriverError, LaunchConfig, PushKernelArg};
use cudarc::nvrtc::Ptx;

/// Adds 1 to each of `n` numbers. Written for the oldest architecture in use, so that every driver has to
/// translate it: the same way as the kernels of the models go.
const KERNEL: &str = "
.version 7.0
.target sm_70
.address_size 64
.visible .entry add_one(.param .u64 numbers, .param .u32 n) {
    .reg .pred %p;
    .reg .b32 %r<5>;
    .reg .b64 %d<4>;
    ld.param.u64 %d1, [numbers];
    ld.param.u32 %r1, [n];
    mov.u32 %r2, %tid.x;
    setp.ge.u32 %p, %r2, %r1;
    @%p bra DONE;
    cvta.to.global.u64 %d1, %d1;
    mul.wide.u32 %d2, %r2, 4;
    add.s64 %d3, %d1, %d2;
    ld.global.u32 %r3, [%d3];
    add.s32 %r4, %r3, 1;
    st.global.u32 [%d3], %r4;
DONE:
    ret;
}
";

/// The driver's library.
pub(crate) const DRIVER: [&str; 2] = ["libcuda.so.1", "libcuda.so"];

/// Whether one of these libraries can be opened. cudarc panics where it finds none, and does not ask
/// at all where another crate made it link them.
pub(crate) fn opens(names: &[&str]) -> bool {
    // SAFETY: the initialisers of the driver and of NVRTC have no demands.
    #[allow(unsafe_code)]
    names.iter().any(|name| unsafe { libloading::Library::new(*name) }.is_ok())
}

/// The name of the GPU of this number, after a kernel has run on it and been right.
pub(super) fn probe(number: u32) -> Result<String, NoGpu> {
    if !opens(&DRIVER) {
        return Err(NoGpu::Absent("no NVIDIA driver: libcuda.so.1 cannot be loaded".into()));
    }
    let count = CudaContext::device_count().map_err(|error| {
        NoGpu::Absent(format!("the NVIDIA driver has no device: {}", plain(error)))
    })?;
    if i64::from(number) >= i64::from(count) {
        let message = format!("there is no GPU {number}: CUDA sees {count}");
        return Err(NoGpu::Absent(message));
    }
    run(number).map_err(|error| {
        NoGpu::Broken(format!("GPU {number} does not run a kernel: {}", plain(error)))
    })
}

fn run(number: u32) -> Result<String, DriverError> {
    let context = CudaContext::new(number as usize)?;
    let stream = context.default_stream();
    let module = context.load_module(Ptx::from_src(KERNEL))?;
    let kernel = module.load_function("add_one")?;
    let given: Vec<u32> = (0..64).collect();
    let mut numbers = stream.clone_htod(&given)?;
    let n = given.len() as u32;
    let mut launch = stream.launch_builder(&kernel);
    launch.arg(&mut numbers).arg(&n);
    let shape = LaunchConfig { grid_dim: (1, 1, 1), block_dim: (64, 1, 1), shared_mem_bytes: 0 };
    // SAFETY: the kernel takes a pointer to 32-bit numbers and their count, and touches no others.
    #[allow(unsafe_code)]
    unsafe { launch.launch(shape) }?;
    let got: Vec<u32> = stream.clone_dtoh(&numbers)?;
    if got.iter().zip(&given).any(|(got, given)| *got != given + 1) {
        return Err(DriverError(cudarc::driver::sys::CUresult::CUDA_ERROR_UNKNOWN));
    }
    context.name()
}

/// What the driver calls the error.
fn plain(error: DriverError) -> String {
    match error.error_name() {
        Ok(name) => name.to_string_lossy().into_owned(),
        Err(_) => format!("error {}", error.0 as u32),
    }
}
