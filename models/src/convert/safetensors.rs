//! safetensors files: a length, a JSON header, and the tensors' bytes.

use super::input::{Input, shown};
use crate::error::ModelsError;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use std::collections::HashSet;
use std::fmt;
use std::path::Path;

const KIND: &str = "a safetensors model";
/// The format's own limit is 100 MB; the largest models in use stay below 2 MB.
const MOST_HEADER: u64 = 16 << 20;
const MOST_TENSORS: usize = 1 << 16;
const MOST_METADATA: usize = 1 << 12;
const MOST_DIMENSIONS: usize = 16;
const METADATA: &str = "__metadata__";

/// How a tensor's values are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dtype {
    Bool,
    U8,
    I8,
    I16,
    F16,
    Bf16,
    I32,
    F32,
    I64,
    F64,
}

impl Dtype {
    fn name(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::U8 => "U8",
            Self::I8 => "I8",
            Self::I16 => "I16",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
            Self::I32 => "I32",
            Self::F32 => "F32",
            Self::I64 => "I64",
            Self::F64 => "F64",
        }
    }

    pub(crate) fn size(self) -> u64 {
        size(self.name()).unwrap_or(1)
    }
}

/// Bytes of a value. Types of less than a byte are left out: nothing here reads them.
fn size(dtype: &str) -> Option<u64> {
    Some(match dtype {
        "BOOL" | "U8" | "I8" | "F8_E5M2" | "F8_E4M3" | "F8_E8M0" => 1,
        "U16" | "I16" | "F16" | "BF16" => 2,
        "U32" | "I32" | "F32" => 4,
        "U64" | "I64" | "F64" | "C64" => 8,
        _ => return None,
    })
}

/// A tensor that a header should name.
pub(crate) struct Planned {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<u64>,
    pub(crate) bytes: u64,
}

/// Puts the tensors into the order that the safetensors library writes (wide types first, so that
/// all are aligned, then by name), and gives the file's first bytes, up to where the first begins.
pub(crate) fn header(tensors: &mut [Planned]) -> Result<Vec<u8>, serde_json::Error> {
    tensors.sort_by(|a, b| (b.dtype.size(), &a.name).cmp(&(a.dtype.size(), &b.name)));
    let mut text = String::from("{");
    let mut at = 0;
    for tensor in tensors {
        if at > 0 || text.len() > 1 {
            text.push(',');
        }
        let end = at + tensor.bytes;
        text += &format!(
            "{}:{{\"dtype\":\"{}\",\"shape\":{},\"data_offsets\":[{at},{end}]}}",
            serde_json::to_string(&tensor.name)?,
            tensor.dtype.name(),
            serde_json::to_string(&tensor.shape)?,
        );
        at = end;
    }
    text.push('}');
    while text.len() % 8 != 0 {
        text.push(' ');
    }
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text.into_bytes());
    Ok(bytes)
}

/// Checks that the safetensors file at `path` can be loaded: a header that fits into the file and
/// into 16 MiB, each tensor named once and as large as its type and shape say, and the tensors
/// next to each other up to the file's end.
pub fn check_safetensors(path: &Path) -> Result<(), ModelsError> {
    let mut input = Input::open(path, KIND)?;
    let length = input.u64("the header's length")?;
    let text = input.bytes(length, MOST_HEADER, "the header")?;
    let header: Header =
        serde_json::from_slice(&text).map_err(|e| input.refuse(shown(&e.to_string())))?;
    let mut spans = header.spans;
    spans.sort_unstable();
    let mut at = 0;
    for (from, to) in spans {
        if from != at {
            return Err(input.refuse(format!("a gap or an overlap of its tensors at byte {from}")));
        }
        at = to;
    }
    if at != input.left() {
        let left = input.left();
        return Err(input.refuse(format!("its tensors take {at} bytes, and it has {left}")));
    }
    Ok(())
}

/// Where each tensor begins and ends, counted from the header's end.
struct Header {
    spans: Vec<(u64, u64)>,
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let mut names = HashSet::new();
        let mut spans = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == METADATA {
                map.next_value::<Metadata>()?;
            } else {
                let tensor = map.next_value::<Tensor>()?;
                spans.push(tensor.span(&name).map_err(A::Error::custom)?);
            }
            if names.len() == MOST_TENSORS {
                return Err(A::Error::custom(format!("more than {MOST_TENSORS} tensors")));
            }
            if let Some(name) = names.replace(name) {
                return Err(A::Error::custom(format!("two tensors are named {}", shown(&name))));
            }
        }
        Ok(Header { spans })
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Tensor {
    dtype: String,
    shape: Shape,
    data_offsets: (u64, u64),
}

impl Tensor {
    fn span(&self, name: &str) -> Result<(u64, u64), String> {
        let name = shown(name);
        let Some(size) = size(&self.dtype) else {
            return Err(format!("{name} is of type {}, which is not known", shown(&self.dtype)));
        };
        let bytes = self.shape.0.iter().try_fold(size, |n, &dim| n.checked_mul(dim));
        let (from, to) = self.data_offsets;
        if bytes.is_none() || to.checked_sub(from) != bytes {
            let shape = &self.shape.0;
            return Err(format!("{name} is {} {shape:?} in bytes {from} to {to}", self.dtype));
        }
        Ok(self.data_offsets)
    }
}

/// Dimensions, no more than anything has.
struct Shape(Vec<u64>);

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Dims;
        impl<'de> Visitor<'de> for Dims {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {MOST_DIMENSIONS} dimensions")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<Shape, A::Error> {
                let mut dims = Vec::new();
                while let Some(dim) = seq.next_element()? {
                    if dims.len() == MOST_DIMENSIONS {
                        return Err(A::Error::invalid_length(dims.len() + 1, &self));
                    }
                    dims.push(dim);
                }
                Ok(Shape(dims))
            }
        }
        deserializer.deserialize_seq(Dims)
    }
}

/// Text under text, looked at and not kept.
struct Metadata;

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = Metadata;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {MOST_METADATA} texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata, A::Error> {
                let mut count = 0;
                while map.next_entry::<String, String>()?.is_some() {
                    count += 1;
                    if count > MOST_METADATA {
                        return Err(A::Error::invalid_length(count, &self));
                    }
                }
                Ok(Metadata)
            }
        }
        deserializer.deserialize_map(Texts)
    }
}
