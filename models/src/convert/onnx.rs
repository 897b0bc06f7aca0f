//! ONNX graphs: protobuf, read field by field.
//!
//! Not through a protobuf library: a message of two bytes becomes a structure of a hundred or
//! more, so a file could make a decoder take fifty times its size. Here nothing is kept but what
//! the caller picks, and weights stay in the file.

use super::ggml::Tensor;
use super::input::{Input, shown};
use crate::error::ModelsError;
use std::path::Path;

const KIND: &str = "an ONNX model";
/// What protobuf itself allows.
const MOST_BYTES: u64 = (1 << 31) - 1;
/// Graphs inside graphs (the branches of an `If`, the body of a `Loop`).
const MOST_DEPTH: usize = 16;
const MOST_NAME: u64 = 1 << 12;
const MOST_DIMENSIONS: usize = 16;

pub(crate) const FLOAT: u64 = 1;
pub(crate) const UINT8: u64 = 2;
pub(crate) const INT8: u64 = 3;

/// A tensor whose size agrees with its data, which are still in the file.
#[derive(Clone, Debug)]
pub(crate) struct OnnxTensor {
    pub(crate) dims: Vec<usize>,
    pub(crate) kind: u64,
    data: Data,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Data {
    None,
    /// Little-endian values from here on.
    Raw(u64),
    /// One packed field of floats or integers: from, to.
    Packed(u64, u64),
    /// Typed values in a form that no exporter writes for weights.
    Other,
}

impl OnnxTensor {
    pub(crate) fn count(&self) -> usize {
        self.dims.iter().product()
    }

    /// Where the raw bytes of the values are, if they are raw.
    pub(crate) fn raw(&self) -> Option<u64> {
        match self.data {
            Data::Raw(at) => Some(at),
            _ => None,
        }
    }

    /// The values as floats: of scales and zero points, which exporters write in either form.
    pub(crate) fn values(&self, input: &mut Input) -> Result<Vec<f32>, ModelsError> {
        let what = "a scale or zero point";
        let count = self.count();
        let mut values = Vec::new();
        match (self.data, self.kind) {
            (Data::Raw(at), FLOAT | UINT8 | INT8) => {
                input.seek(at)?;
                for _ in 0..count {
                    values.push(match self.kind {
                        FLOAT => f32::from_le_bytes(input.array(what)?),
                        UINT8 => f32::from(input.byte(what)?),
                        _ => f32::from(input.byte(what)? as i8),
                    });
                }
            }
            (Data::Packed(from, to), FLOAT | UINT8 | INT8) => {
                input.seek(from)?;
                while input.at() < to {
                    values.push(match self.kind {
                        FLOAT => f32::from_le_bytes(input.array(what)?),
                        UINT8 => f32::from(varint(input, to)? as u8),
                        _ => f32::from(varint(input, to)? as i8),
                    });
                }
            }
            _ => return Err(input.refuse(format!("{what} is stored in an unknown way"))),
        }
        Ok(values)
    }
}

/// What a walk through a model comes by.
pub(crate) enum Found {
    /// A weight, with its name.
    Weight(String, OnnxTensor),
    /// A node of the graph.
    Node {
        name: String,
        operator: String,
        /// Its second input: the weight of a multiplication.
        second: String,
    },
}

/// Checks that the ONNX model at `path` can be given to a runtime: not larger than protobuf
/// allows, graphs nested at most 16 deep, all data inside the file, and as much data in every
/// tensor as its type and dimensions say.
pub fn check_onnx(path: &Path) -> Result<(), ModelsError> {
    walk(path, &mut |_| Ok(())).map(|_| ())
}

/// The 32-bit floats of the weights called `names` of the ONNX model at `path`, in that order.
///
/// # Errors
/// [`ModelsError`] where the file cannot be read, is no ONNX model ([`check_onnx`]), or has no such
/// weights.
pub fn onnx_weights(path: &Path, names: &[&str]) -> Result<Vec<Tensor>, ModelsError> {
    let mut found: Vec<Option<OnnxTensor>> = vec![None; names.len()];
    let mut input = walk(path, &mut |part| {
        if let Found::Weight(name, tensor) = part
            && let Some(at) = names.iter().position(|wanted| *wanted == name)
        {
            found[at] = Some(tensor).filter(|tensor| tensor.kind == FLOAT);
        }
        Ok(())
    })?;
    let read = |(name, tensor): (&&str, Option<OnnxTensor>)| match tensor {
        Some(tensor) => {
            let data = tensor.values(&mut input)?;
            Ok(Tensor { shape: tensor.dims, data })
        }
        None => Err(input.refuse(format!("it has no weight {}", shown(name)))),
    };
    names.iter().zip(found).map(read).collect()
}

/// Checks the model at `path`, and shows its parts to `see` on the way: of each graph first the
/// weights, then the nodes, both in the file's order.
pub(crate) fn walk(
    path: &Path,
    see: &mut dyn FnMut(Found) -> Result<(), ModelsError>,
) -> Result<Input, ModelsError> {
    let mut input = Input::open(path, KIND)?;
    if input.len() > MOST_BYTES {
        return Err(input.refuse("it is larger than 2 GiB, which protobuf cannot hold"));
    }
    let end = input.len();
    let mut graphs = 0;
    let mut walker = Walker { see };
    fields(&mut input, end, &mut |input, number, value| match (number, value) {
        (7, Value::Bytes(end)) => {
            graphs += 1;
            walker.graph(input, end, 0)
        }
        // Graphs of a training run, and functions: both hold nodes.
        (20, Value::Bytes(end)) => {
            fields(input, end, &mut |input, number, value| match (number, value) {
                (1 | 2, Value::Bytes(end)) => walker.graph(input, end, 0),
                _ => Ok(()),
            })
        }
        (25, Value::Bytes(end)) => {
            fields(input, end, &mut |input, number, value| match (number, value) {
                (7, Value::Bytes(end)) => walker.node(input, end, 0),
                (11, Value::Bytes(end)) => walker.attribute(input, end, 0),
                _ => Ok(()),
            })
        }
        _ => Ok(()),
    })?;
    // Two would be merged into one that was never checked as such.
    if graphs != 1 {
        return Err(input.refuse(format!("it holds {graphs} graphs, not one")));
    }
    Ok(input)
}

struct Walker<'a> {
    see: &'a mut dyn FnMut(Found) -> Result<(), ModelsError>,
}

impl Walker<'_> {
    fn graph(&mut self, input: &mut Input, end: u64, depth: usize) -> Result<(), ModelsError> {
        if depth > MOST_DEPTH {
            return Err(input.refuse(format!("graphs are nested more than {MOST_DEPTH} deep")));
        }
        let start = input.at();
        fields(input, end, &mut |input, number, value| match (number, value) {
            (5, Value::Bytes(end)) => {
                let (name, tensor) = tensor(input, end)?;
                (self.see)(Found::Weight(name, tensor))
            }
            (15, Value::Bytes(end)) => sparse(input, end),
            _ => Ok(()),
        })?;
        input.seek(start)?;
        fields(input, end, &mut |input, number, value| match (number, value) {
            (1, Value::Bytes(end)) => self.node(input, end, depth),
            _ => Ok(()),
        })
    }

    fn node(&mut self, input: &mut Input, end: u64, depth: usize) -> Result<(), ModelsError> {
        let (mut name, mut operator, mut second) = (String::new(), String::new(), String::new());
        let mut inputs = 0;
        fields(input, end, &mut |input, number, value| {
            match (number, value) {
                (1, Value::Bytes(end)) => {
                    inputs += 1;
                    if inputs == 2 {
                        second = text(input, end)?;
                    }
                }
                (3, Value::Bytes(end)) => name = text(input, end)?,
                (4, Value::Bytes(end)) => operator = text(input, end)?,
                (5, Value::Bytes(end)) => self.attribute(input, end, depth)?,
                _ => {}
            }
            Ok(())
        })?;
        (self.see)(Found::Node { name, operator, second })
    }

    fn attribute(&mut self, input: &mut Input, end: u64, depth: usize) -> Result<(), ModelsError> {
        let mut single = 0;
        fields(input, end, &mut |input, number, value| match (number, value) {
            (5 | 6 | 22, Value::Bytes(end)) => {
                single += 1;
                if single > 1 {
                    return Err(input.refuse("an attribute holds more than one value"));
                }
                self.part(input, end, number, depth)
            }
            (10 | 11 | 23, Value::Bytes(end)) => self.part(input, end, number, depth),
            _ => Ok(()),
        })
    }

    fn part(
        &mut self,
        input: &mut Input,
        end: u64,
        number: u64,
        depth: usize,
    ) -> Result<(), ModelsError> {
        match number {
            5 | 10 => tensor(input, end).map(|_| ()),
            6 | 11 => self.graph(input, end, depth + 1),
            _ => sparse(input, end),
        }
    }
}

fn sparse(input: &mut Input, end: u64) -> Result<(), ModelsError> {
    fields(input, end, &mut |input, number, value| match (number, value) {
        (1 | 2, Value::Bytes(end)) => tensor(input, end).map(|_| ()),
        _ => Ok(()),
    })
}

fn tensor(input: &mut Input, end: u64) -> Result<(String, OnnxTensor), ModelsError> {
    let mut name = String::new();
    let mut dims: Vec<u64> = Vec::new();
    let (mut kind, mut outside) = (0, false);
    let mut data = Data::None;
    let (mut raw, mut typed) = (None, 0u64);
    fields(input, end, &mut |input, number, value| {
        match (number, value) {
            (1, Value::Number(dim)) => push_dim(input, &mut dims, dim)?,
            (1, Value::Bytes(end)) => {
                while input.at() < end {
                    let dim = varint(input, end)?;
                    push_dim(input, &mut dims, dim)?;
                }
            }
            (2, Value::Number(number)) => kind = number,
            (4 | 5 | 7 | 10 | 11, value) => {
                data = match (data, value) {
                    (Data::None, Value::Bytes(end)) => Data::Packed(input.at(), end),
                    _ => Data::Other,
                };
                typed += packed(input, number, value)?;
            }
            (6, Value::Bytes(_)) => {
                data = Data::Other;
                typed += 1;
            }
            (8, Value::Bytes(end)) => name = text(input, end)?,
            (9, Value::Bytes(end)) => {
                if raw.is_some() {
                    return Err(input.refuse("a tensor holds its data twice"));
                }
                raw = Some((input.at(), end - input.at()));
            }
            (13, _) => outside = true,
            (14, Value::Number(place)) => outside |= place != 0,
            _ => {}
        }
        Ok(())
    })?;
    let refuse = |what: &str| Err(input.refuse(format!("the tensor {} {what}", shown(&name))));
    if outside {
        return refuse("keeps its data in another file, which is never opened");
    }
    let Some((bits, each)) = storage(kind) else {
        return refuse(&format!("is of type {kind}, which is not known"));
    };
    let count = dims.iter().try_fold(1u64, |n, &dim| n.checked_mul(dim));
    let Some(count) = count.filter(|&n| n <= MOST_BYTES * 8) else {
        return refuse("is too large");
    };
    let bytes = (count * bits).div_ceil(8);
    let fits = match raw {
        // Strings are never raw.
        Some((_, got)) => bits > 0 && typed == 0 && got == bytes,
        // Values of 4 bits go one or two to an integer.
        None => typed == count * each || (bits == 4 && typed == count.div_ceil(2)),
    };
    if !fits {
        let got = raw.map_or(format!("{typed} values"), |(_, got)| format!("{got} bytes"));
        return refuse(&format!("has the dimensions {dims:?} and {got} of data"));
    }
    if let Some((at, _)) = raw {
        data = Data::Raw(at);
    }
    // In range: the product is, and a dimension beside a zero need not be.
    let dims = dims.into_iter().map(|dim| usize::try_from(dim).unwrap_or(usize::MAX)).collect();
    Ok((name, OnnxTensor { dims, kind, data }))
}

fn push_dim(input: &Input, dims: &mut Vec<u64>, dim: u64) -> Result<(), ModelsError> {
    if dims.len() == MOST_DIMENSIONS {
        return Err(input.refuse(format!("a tensor has more than {MOST_DIMENSIONS} dimensions")));
    }
    if i64::try_from(dim).is_err() {
        return Err(input.refuse("a tensor has a negative dimension"));
    }
    dims.push(dim);
    Ok(())
}

/// Bits of a raw value, and typed values for one of it.
fn storage(kind: u64) -> Option<(u64, u64)> {
    Some(match kind {
        FLOAT | 6 | 12 => (32, 1),
        UINT8 | INT8 | 9 | 17..=20 => (8, 1),
        4 | 5 | 10 | 16 => (16, 1),
        7 | 11 | 13 => (64, 1),
        8 => (0, 1),
        14 => (64, 2),
        15 => (128, 2),
        21..=23 => (4, 1),
        _ => return None,
    })
}

/// How many values a typed field holds.
fn packed(input: &mut Input, number: u64, value: Value) -> Result<u64, ModelsError> {
    let Value::Bytes(end) = value else { return Ok(1) };
    let length = end - input.at();
    let size = match number {
        4 => 4,
        10 => 8,
        _ => {
            let mut values = 0;
            input.pieces::<ModelsError>(length, "the values of a tensor", |piece| {
                // The last byte of each number has its top bit clear.
                values += piece.iter().filter(|&&b| b < 0x80).count() as u64;
                Ok(())
            })?;
            return Ok(values);
        }
    };
    if !length.is_multiple_of(size) {
        return Err(input.refuse("the values of a tensor are cut short"));
    }
    Ok(length / size)
}

fn text(input: &mut Input, end: u64) -> Result<String, ModelsError> {
    let bytes = input.bytes(end - input.at(), MOST_NAME, "a name")?;
    String::from_utf8(bytes).map_err(|_| input.refuse("a name is not text"))
}

/// A field's value.
#[derive(Clone, Copy)]
enum Value {
    Number(u64),
    /// Bytes or a message, from where the input is up to here.
    Bytes(u64),
}

/// Shows each field of the message that ends at `end` to `each`, which need not read it all.
fn fields(
    input: &mut Input,
    end: u64,
    each: &mut dyn FnMut(&mut Input, u64, Value) -> Result<(), ModelsError>,
) -> Result<(), ModelsError> {
    while input.at() < end {
        let key = varint(input, end)?;
        let value = match key & 7 {
            0 => Value::Number(varint(input, end)?),
            1 => Value::Number(u64::from_le_bytes(input.array("a number")?)),
            2 => {
                let length = varint(input, end)?;
                if length > end.saturating_sub(input.at()) {
                    return Err(input.refuse("a message reaches past the one that it is in"));
                }
                Value::Bytes(input.at() + length)
            }
            5 => Value::Number(u64::from(u32::from_le_bytes(input.array("a number")?))),
            _ => return Err(input.refuse("it is not protobuf")),
        };
        if input.at() > end {
            return Err(input.refuse("a number reaches past the message that it is in"));
        }
        each(input, key >> 3, value)?;
        if let Value::Bytes(end) = value {
            input.seek(end)?;
        }
    }
    Ok(())
}

fn varint(input: &mut Input, end: u64) -> Result<u64, ModelsError> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        if input.at() >= end {
            return Err(input.refuse("a number reaches past the message that it is in"));
        }
        let byte = input.byte("a number")?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(input.refuse("a number is longer than 64 bits"))
}
