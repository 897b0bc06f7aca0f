//! Which device works: what was asked for, and what that comes to on this machine.
//!
//! A build with the feature `cuda-kernels` may still run on a machine without a GPU, and a driver may be too
//! old for what the build brings along. So a GPU counts only once a real kernel has run on it.

use crate::error::{Error, ErrorKind, Result, Stage};
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Where a model or a kernel runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compute {
    /// This machine's processors.
    #[default]
    Cpu,
    /// The GPU of this number, as CUDA counts (`CUDA_VISIBLE_DEVICES` is heeded).
    Cuda(u32),
}

impl Compute {
    /// Whether it is a GPU.
    pub fn is_gpu(self) -> bool {
        matches!(self, Self::Cuda(_))
    }

    /// Where models run, if kernels and decoding run here: a build with `cuda-kernels` alone has none
    /// for GPUs.
    #[must_use]
    pub fn for_models(self) -> Self {
        if cfg!(feature = "cuda") { self } else { Self::Cpu }
    }
}

impl fmt::Display for Compute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

impl Serialize for Compute {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What somebody asks for: `auto`, `cpu`, `cuda` (the first GPU) or `cuda:1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ComputeChoice {
    /// The first GPU that works, else the processors.
    #[default]
    Auto,
    /// Exactly this; an error where it does not work.
    Only(Compute),
}

impl FromStr for ComputeChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let number = match text.to_ascii_lowercase().as_str() {
            "auto" => return Ok(Self::Auto),
            "cpu" => return Ok(Self::Only(Compute::Cpu)),
            "cuda" | "gpu" => Some(0),
            other => other.strip_prefix("cuda:").and_then(|number| number.parse().ok()),
        };
        number.map(|number| Self::Only(Compute::Cuda(number))).ok_or_else(|| {
            Error::new(ErrorKind::Input, Stage::Device, format!("`{text}` is no device"))
                .hint("give auto, cpu, cuda or cuda:1")
        })
    }
}

/// What a choice came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Chosen {
    /// Where work runs.
    pub compute: Compute,
    /// The GPU's name.
    pub name: Option<String>,
    /// Why no GPU is used although one might have been: worth telling, since it costs time.
    pub fell_back: Option<String>,
}

impl ComputeChoice {
    /// Finds the device, and runs a kernel on it.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where a GPU is asked for and this build has no CUDA;
    /// [`ErrorKind::Resource`] where it is asked for and does not work. `Auto` never fails: it falls
    /// back and says why.
    pub fn resolve(self) -> Result<Chosen> {
        let cpu = |fell_back| Chosen { compute: Compute::Cpu, name: None, fell_back };
        match self {
            Self::Only(Compute::Cpu) => Ok(cpu(None)),
            Self::Only(Compute::Cuda(number)) => match probe(number) {
                Ok(name) => {
                    Ok(Chosen { compute: Compute::Cuda(number), name: Some(name), fell_back: None })
                }
                Err(NoGpu::NotBuilt) => {
                    let message = "this build of rushes has no CUDA";
                    Err(Error::new(ErrorKind::Unsupported, Stage::Device, message)
                        .hint("build it with `make cuda`, or use --device cpu"))
                }
                Err(NoGpu::Absent(why) | NoGpu::Broken(why)) => {
                    Err(Error::new(ErrorKind::Resource, Stage::Device, why)
                        .hint("`rushes doctor` tells more; --device cpu works everywhere"))
                }
            },
            Self::Auto => Ok(match probe(0) {
                Ok(name) => Chosen { compute: Compute::Cuda(0), name: Some(name), fell_back: None },
                // The usual machine: nothing to tell.
                Err(NoGpu::NotBuilt | NoGpu::Absent(_)) => cpu(None),
                Err(NoGpu::Broken(why)) => cpu(Some(why)),
            }),
        }
    }
}

/// Why there is no GPU to work on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoGpu {
    /// The build has no CUDA.
    #[cfg_attr(feature = "cuda-kernels", expect(dead_code, reason = "said by the other build"))]
    NotBuilt,
    /// No driver, or no such device.
    #[cfg_attr(
        not(feature = "cuda-kernels"),
        expect(dead_code, reason = "said by the other build")
    )]
    Absent(String),
    /// There is one, and a kernel does not run on it.
    #[cfg_attr(
        not(feature = "cuda-kernels"),
        expect(dead_code, reason = "said by the other build")
    )]
    Broken(String),
}

/// The name of the GPU of this number, after a kernel has run on it.
fn probe(number: u32) -> std::result::Result<String, NoGpu> {
    #[cfg(feature = "cuda-kernels")]
    return super::cuda::probe(number);
    #[cfg(not(feature = "cuda-kernels"))]
    {
        let _ = number;
        Err(NoGpu::NotBuilt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_and_written() {
        for (text, choice) in [
            ("auto", ComputeChoice::Auto),
            ("CPU", ComputeChoice::Only(Compute::Cpu)),
            ("cuda", ComputeChoice::Only(Compute::Cuda(0))),
            ("cuda:3", ComputeChoice::Only(Compute::Cuda(3))),
        ] {
            assert_eq!(text.parse::<ComputeChoice>().unwrap(), choice);
        }
        for wrong in ["", "cuda:", "cuda:-1", "cuda:x", "tpu", "cuda:99999999999"] {
            assert!(wrong.parse::<ComputeChoice>().is_err(), "{wrong}");
        }
        assert_eq!(Compute::Cuda(2).to_string(), "cuda:2");
    }

    #[test]
    fn the_processors_are_always_there_and_auto_never_fails() {
        let cpu = ComputeChoice::Only(Compute::Cpu).resolve().unwrap();
        assert_eq!((cpu.compute, cpu.fell_back), (Compute::Cpu, None));
        ComputeChoice::Auto.resolve().unwrap();
        // No machine has so many.
        assert!(ComputeChoice::Only(Compute::Cuda(4000)).resolve().is_err());
    }
}
