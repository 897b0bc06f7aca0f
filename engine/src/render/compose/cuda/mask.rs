//! Which kernel, made for what: the names in `kernels/` and the macros that cut the text.

/// The text of every kernel.
#[cfg(feature = "cuda-kernels")]
pub(crate) const SOURCE: &str = concat!(
    include_str!("kernels/common.cu"),
    include_str!("kernels/tile.cu"),
    include_str!("kernels/plain.cu"),
    include_str!("kernels/passes.cu"),
);

/// A kernel of `kernels/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kernel {
    Compose,
    ComposePlain,
    ResampleAcross,
    ResampleDown,
    Sharpen,
    Transition,
    Tensor,
    Histogram,
    Small,
    Difference,
}

impl Kernel {
    /// Its name in the source.
    #[cfg(feature = "cuda-kernels")]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Compose => "compose",
            Self::ComposePlain => "compose_plain",
            Self::ResampleAcross => "resample_across",
            Self::ResampleDown => "resample_down",
            Self::Sharpen => "sharpen",
            Self::Transition => "transition",
            Self::Tensor => "tensor",
            Self::Histogram => "histogram",
            Self::Small => "small",
            Self::Difference => "difference",
        }
    }

    /// The part of the source that it is compiled with.
    pub(super) fn part(self) -> u32 {
        match self {
            Self::Compose => 1,
            Self::ComposePlain => 2,
            _ => 3,
        }
    }

    /// Threads a block.
    pub(crate) fn threads(self) -> u32 {
        if self == Self::Small { 64 } else { 256 }
    }
}

/// What a module is made for. Equal masks share a module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Mask {
    bits: u16,
    /// Chroma samples of halo: 0, 1, 2 or 4.
    halo: u8,
}

macro_rules! features {
    ($($(#[$doc:meta])* $constant:ident = $bit:literal $name:literal)*) => {
        impl Mask {
            $($(#[$doc])* pub(crate) const $constant: Self = Self { bits: 1 << $bit, halo: 0 };)*
            const NAMES: &'static [(u16, &'static str)] = &[$((1 << $bit, $name)),*];
        }
    };
}

features! {
    /// Some layer has another size than its picture.
    SCALE = 0 "F_SCALE"
    /// Coverage.
    COVER = 1 "F_COVER"
    /// A layer at an angle.
    ROTATE = 2 "F_ROTATE"
    /// Samples of 16-bit words.
    WIDE = 3 "F_WIDE"
    GRADE = 4 "F_GRADE"
    LUT = 5 "F_LUT"
    VIGNETTE = 6 "F_VIGNETTE"
    KEY = 7 "F_KEY"
    /// Another matrix or range.
    MATRIX = 8 "F_MATRIX"
    /// Another curve.
    LIGHT = 9 "F_LIGHT"
    /// A layer that is written and not blended.
    RAW = 10 "F_RAW"
}

/// The longest chain of colour changes that a tile has halo for.
pub(crate) const MOST_HALO: i32 = 4;

impl Mask {
    /// With all of `other`.
    pub(crate) fn with(self, other: Self) -> Self {
        Self { bits: self.bits | other.bits, halo: self.halo.max(other.halo) }
    }

    /// With room for so many chroma samples of halo.
    pub(crate) fn with_halo(self, halo: i32) -> Self {
        let halo = match halo {
            ..=0 => 0,
            1 => 1,
            2 => 2,
            _ => 4,
        };
        Self { halo: self.halo.max(halo), ..self }
    }

    /// The rows of a tile.
    pub(crate) fn tile_rows(self) -> u32 {
        if self.halo > 2 { 16 } else { 32 }
    }

    /// What of it `kernel` asks for: kernels that a feature does not concern are not made twice.
    pub(super) fn of(self, kernel: Kernel) -> Self {
        let only = match kernel {
            Kernel::Compose => return self,
            Kernel::ComposePlain => Self::WIDE.with(Self::COVER),
            _ => return Self::WIDE,
        };
        Self { bits: self.bits & only.bits, halo: 0 }
    }

    /// The macros for `kernel` with every feature that the source has, and this mask's halo.
    #[cfg(test)]
    pub(super) fn all_defines(self, kernel: Kernel) -> Vec<String> {
        let halo = self.of(kernel).halo;
        vec![format!("-DPART={}", kernel.part()), format!("-DHALO={halo}")]
    }

    /// The macros for `kernel` with this mask, `-D` in front.
    pub(crate) fn defines(self, kernel: Kernel) -> Vec<String> {
        let mask = self.of(kernel);
        let flag =
            |(bit, name): &(u16, &str)| format!("-D{name}={}", u8::from(mask.bits & bit != 0));
        let own = [format!("-DPART={}", kernel.part()), format!("-DHALO={}", mask.halo)];
        Self::NAMES.iter().map(flag).chain(own).collect()
    }
}

/// Columns of a tile of `compose`.
pub(crate) const TILE_COLUMNS: u32 = 64;
