//! What is handed to the kernels: the structures of `kernels/common.cu`, field by field. Their sizes are
//! asserted here and there; a field that moved shows at once in every test that runs a kernel.

/// A plane in device memory: sample `(x, y)` lies at `base + x × sx + y × sy`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Plane {
    pub base: u64,
    pub sy: i64,
    pub sx: i32,
    pub width: i32,
    pub height: i32,
    /// 1 where samples are 16-bit words.
    pub wide: i32,
    /// Bits by which words are moved up.
    pub shift: i32,
    pub pad: i32,
}

/// One direction of a resize; no taps mean a shift by `first`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Axis {
    pub start: u64,
    pub weights: u64,
    pub taps: i32,
    pub first: i32,
}

/// A layer of the compositor.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Layer {
    pub plane: [Plane; 5],
    pub axis: [Axis; 4],
    pub x: i32,
    pub y: i32,
    pub width: i32,
    pub height: i32,
    pub edge: [f32; 4],
    pub opacity: f32,
    pub opaque: i32,
    pub turned: i32,
    pub raw: i32,
    pub in_up: i32,
    pub work_up: i32,
    pub first_step: i32,
    pub steps: i32,
    pub halo: i32,
    pub origin: [f32; 2],
    pub size: [f32; 2],
    pub back: [f32; 9],
    pub there: [f32; 9],
    pub luma: [f32; 2],
    pub chroma: [f32; 2],
    pub pad: i32,
    pub place: [[f64; 2]; 2],
    pub dx: [f64; 2],
    pub dy: [f64; 2],
    pub turn: [f64; 2],
    pub middle: [[f64; 2]; 2],
    pub whole: [f64; 2],
}

/// What a [`Step`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum StepKind {
    Grade,
    Lut,
    Vignette,
    Key,
    Matrix,
    LightDown,
    LightCube,
}

/// One change of a layer's colours.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Step {
    pub table: [u64; 2],
    pub kind: i32,
    pub count: [i32; 2],
    pub pad: i32,
    pub f: [f32; 12],
}

/// Layers of one launch.
pub(crate) const MAX_LAYERS: usize = 4;
/// Steps of one launch.
pub(crate) const MAX_STEPS: usize = 16;

/// The parameters of `compose` and `compose_plain`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Compose {
    pub canvas: [Plane; 5],
    pub layers: [Layer; MAX_LAYERS],
    pub steps: [Step; MAX_STEPS],
    pub phases: u64,
    pub count: i32,
    pub width: i32,
    pub height: i32,
    pub site: i32,
    pub up: i32,
    pub clear: i32,
    pub ground: [i32; 3],
    pub pad: i32,
}

/// The parameters of `resample_across`, `resample_down` and `sharpen`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Resample {
    pub from: Plane,
    pub to: Plane,
    pub axis: Axis,
    pub words: u64,
    pub width: i32,
    pub height: i32,
    pub up: i32,
    pub amount: i32,
}

/// The parameters of `transition`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Transition {
    pub a: [Plane; 3],
    pub b: [Plane; 3],
    pub out: [Plane; 3],
    pub kind: i32,
    pub direction: i32,
    pub up: i32,
    pub colour: [i32; 3],
    pub progress: f32,
    pub pad: i32,
}

/// The parameters of `tensor`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Tensor {
    pub plane: [Plane; 3],
    pub axis: [Axis; 4],
    pub out: u64,
    pub width: i32,
    pub height: i32,
    pub up: i32,
    pub half: i32,
    pub luma: [f32; 2],
    pub chroma: [f32; 2],
    pub back: [f32; 9],
    pub mean: [f32; 3],
    pub scale: [f32; 3],
    pub pad: i32,
}

/// The parameters of `histogram`, `small` and `difference`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Look {
    pub plane: [Plane; 3],
    pub out: u64,
    pub other: u64,
    pub full_range: i32,
    pub pad: i32,
}

const _: () = {
    use std::mem::{offset_of, size_of};
    assert!(size_of::<Plane>() == 40 && size_of::<Axis>() == 24 && size_of::<Step>() == 80);
    assert!(size_of::<Layer>() == 600 && offset_of!(Layer, place) == 472);
    assert!(size_of::<Compose>() == 200 + 4 * 600 + 16 * 80 + 48);
    assert!(size_of::<Resample>() == 128 && size_of::<Transition>() == 392);
    assert!(size_of::<Tensor>() == 320 && size_of::<Look>() == 144);
    // What a launch can pass.
    assert!(size_of::<Compose>() <= 4096);
};

/// The parameters of any kernel.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Params {
    Compose(Box<Compose>),
    Resample(Resample),
    Transition(Box<Transition>),
    Tensor(Box<Tensor>),
    Look(Look),
}

impl Params {
    /// Where they lie and how many bytes they have.
    pub(super) fn raw(&self) -> (*const std::ffi::c_void, usize) {
        fn of<T>(value: &T) -> (*const std::ffi::c_void, usize) {
            (std::ptr::from_ref(value).cast(), size_of::<T>())
        }
        match self {
            Self::Compose(p) => of(&**p),
            Self::Resample(p) => of(p),
            Self::Transition(p) => of(&**p),
            Self::Tensor(p) => of(&**p),
            Self::Look(p) => of(p),
        }
    }
}
