//! A model's files: weights in safetensors, settings in JSON.

use crate::error::{Error, ErrorKind, Result, Stage};
use safetensors::{Dtype, SafeTensors};
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The largest weights that are read: four times those of the largest CLIP in use.
pub(super) const MOST_WEIGHT_BYTES: u64 = 8 << 30;
/// The largest settings file.
const MOST_SETTING_BYTES: u64 = 1 << 20;

/// The bytes of a model's file, which may have at most `most`.
pub(super) fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let failed = |error: std::io::Error| {
        let found = error.kind() == std::io::ErrorKind::NotFound;
        let made = Error::new(ErrorKind::Model, Stage::Model, error.to_string()).input(path);
        let made = made.source(error);
        if found { made.hint("`rushes models list` shows what can be pulled") } else { made }
    };
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    if length > most {
        return Err(Error::new(
            ErrorKind::Limit,
            Stage::Model,
            format!("a file of {length} bytes where at most {most} are read"),
        )
        .input(path));
    }
    let mut bytes = Vec::with_capacity(length as usize);
    file.take(most).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// The settings in the JSON file at `path`.
pub(super) fn settings<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = read(path, MOST_SETTING_BYTES)?;
    serde_json::from_slice(&bytes)
        .map_err(|error| misfit(path, format!("is not the settings of such a model: {error}")))
}

/// The error of a model's file that is not what it should be.
pub(super) fn misfit(path: &Path, message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Model, Stage::Model, message)
        .input(path)
        .hint("`rushes models verify` tells whether the file is the right one")
}

/// Named tensors of a file in memory.
pub(super) struct Weights<'a> {
    tensors: SafeTensors<'a>,
    path: &'a Path,
}

/// A tensor as 32-bit floats, in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tensor {
    pub(super) shape: Vec<usize>,
    pub(super) data: Vec<f32>,
}

impl<'a> Weights<'a> {
    /// The tensors in `bytes`, read from `path`.
    pub(super) fn of(bytes: &'a [u8], path: &'a Path) -> Result<Self> {
        let tensors = SafeTensors::deserialize(bytes)
            .map_err(|error| misfit(path, format!("is no safetensors file: {error}")))?;
        Ok(Self { tensors, path })
    }

    /// The tensor `name`, which must have this shape.
    pub(super) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let view = self
            .tensors
            .tensor(name)
            .map_err(|error| misfit(self.path, format!("lacks a tensor: {error}")))?;
        if view.shape() != shape {
            let found = view.shape();
            let message = format!("{name} is {found:?}, not {shape:?}");
            return Err(misfit(self.path, message));
        }
        let bytes = view.data();
        let data = match view.dtype() {
            Dtype::F32 => four(bytes).map(f32::from_le_bytes).collect(),
            Dtype::F16 => two(bytes).map(|b| half::f16::from_le_bytes(b).to_f32()).collect(),
            Dtype::BF16 => two(bytes).map(|b| half::bf16::from_le_bytes(b).to_f32()).collect(),
            other => return Err(misfit(self.path, format!("{name} holds {other:?}, not floats"))),
        };
        Ok(Tensor { shape: shape.to_vec(), data })
    }

    /// The numbers of the tensor `name`, which must have this shape.
    pub(super) fn data(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        Ok(self.tensor(name, shape)?.data)
    }
}

fn four(bytes: &[u8]) -> impl Iterator<Item = [u8; 4]> {
    bytes.chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]])
}

fn two(bytes: &[u8]) -> impl Iterator<Item = [u8; 2]> {
    bytes.chunks_exact(2).map(|b| [b[0], b[1]])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One tensor `t` of two numbers, written by hand.
    fn file(dtype: &str, data: &[u8]) -> Vec<u8> {
        let header = format!(
            r#"{{"t":{{"dtype":"{dtype}","shape":[2],"data_offsets":[0,{}]}}}}"#,
            data.len()
        );
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
    }

    #[test]
    fn floats_of_any_width_are_read() {
        let path = Path::new("m");
        for (dtype, data) in [
            ("F32", &[0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0][..]),
            ("F16", &[0, 0x3c, 0, 0xc0]),
            ("BF16", &[0x80, 0x3f, 0, 0xc0]),
        ] {
            let bytes = file(dtype, data);
            let weights = Weights::of(&bytes, path).unwrap();
            assert_eq!(weights.data("t", &[2]).unwrap(), [1.0, -2.0]);
            assert_eq!(weights.data("t", &[1, 2]).unwrap_err().kind(), ErrorKind::Model);
            assert_eq!(weights.data("u", &[2]).unwrap_err().kind(), ErrorKind::Model);
        }
        let bytes = file("I32", &[0; 8]);
        assert!(Weights::of(&bytes, path).unwrap().data("t", &[2]).is_err());
    }

    #[test]
    fn damaged_files_are_errors() {
        let whole = file("F32", &[0; 8]);
        for bytes in [&[][..], &[255; 64], &whole[..whole.len() - 1], &whole[..20]] {
            assert_eq!(Weights::of(bytes, Path::new("m")).err().unwrap().kind(), ErrorKind::Model);
        }
        assert_eq!(read(Path::new("/nowhere"), 9).unwrap_err().kind(), ErrorKind::Model);
        let error = read(Path::new("/proc/self/exe"), 9).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit);
    }
}
