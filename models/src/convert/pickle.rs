//! Pickles as PyTorch writes state dicts: read as data, never executed.
//!
//! A pickle is a program whose instructions can call anything. Here only those that build plain
//! values are known, and only the few names that a state dict needs (an ordered dict, a tensor on
//! a storage); each stands for data of ours. All else is an error that says what was asked for.
//! Memory is bounded: an instruction makes at most one value, and there are at most
//! [`MOST_STEPS`] instructions.

use super::input::shown;
use super::safetensors::Dtype;
use std::collections::HashMap;

/// A tensor takes about forty.
const MOST_STEPS: usize = 1 << 19;
const MOST_DIMENSIONS: usize = 16;

/// Where a value stands among those made so far.
pub(crate) type Id = usize;

/// A value; text is where it stands in the pickle.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    None,
    Bool(bool),
    Int(i128),
    Float,
    Text(usize, usize),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Name(Name),
    Storage(Storage),
    Tensor(Box<Tensor>),
}

/// A name that a state dict may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Dtype),
}

/// Values that tensors look at: a member of the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Storage {
    pub(crate) dtype: Dtype,
    /// The id of its key, a text.
    pub(crate) key: Id,
    pub(crate) count: u64,
}

/// A view of a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tensor {
    pub(crate) storage: Storage,
    pub(crate) offset: u64,
    pub(crate) shape: Vec<u64>,
    pub(crate) strides: Vec<u64>,
}

impl Tensor {
    /// How many values it has, and how many of the storage from its offset on it looks at, if all
    /// are there.
    pub(crate) fn extent(&self) -> Option<(u64, u64)> {
        let count = self.shape.iter().try_fold(1u64, |n, &dim| n.checked_mul(dim))?;
        if count == 0 {
            return Some((0, 0));
        }
        let mut span = 1u64;
        for (&dim, &stride) in self.shape.iter().zip(&self.strides) {
            span = span.checked_add((dim - 1).checked_mul(stride)?)?;
        }
        (self.offset.checked_add(span)? <= self.storage.count).then_some((count, span))
    }

    /// Whether its values stand in the storage as they are wanted, one behind another.
    pub(crate) fn is_contiguous(&self) -> bool {
        let mut next = 1u64;
        self.shape.iter().zip(&self.strides).rev().all(|(&dim, &stride)| {
            let fits = dim == 1 || stride == next;
            next = next.saturating_mul(dim);
            fits
        })
    }
}

/// A pickle that was read.
pub(crate) struct Pickle<'a> {
    bytes: &'a [u8],
    values: Vec<Value>,
    root: Id,
    /// Bytes it took.
    pub(crate) length: usize,
}

impl<'a> Pickle<'a> {
    /// Reads the pickle that `bytes` begin with. The error says what is wrong, safe to print.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let mut machine = Machine {
            bytes,
            at: 0,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        };
        for _ in 0..MOST_STEPS {
            if let Some(root) = machine.step()? {
                let Machine { values, at: length, .. } = machine;
                return Ok(Self { bytes, values, root, length });
            }
        }
        Err(format!("the pickle has more than {MOST_STEPS} instructions"))
    }

    pub(crate) fn root(&self) -> &Value {
        self.value(self.root)
    }

    pub(crate) fn value(&self, id: Id) -> &Value {
        self.values.get(id).unwrap_or(&Value::None)
    }

    pub(crate) fn text(&self, id: Id) -> Option<&'a str> {
        text(self.bytes, self.value(id))
    }
}

fn text<'a>(bytes: &'a [u8], value: &Value) -> Option<&'a str> {
    match value {
        Value::Text(from, to) => std::str::from_utf8(bytes.get(*from..*to)?).ok(),
        _ => None,
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

type Step = Result<(), String>;

impl<'a> Machine<'a> {
    /// Does one instruction; gives the result after the last.
    fn step(&mut self) -> Result<Option<Id>, String> {
        let at = self.at;
        let opcode = self.take(1)?[0];
        match opcode {
            // PROTO, FRAME
            0x80 => match self.take(1)?[0] {
                0..=5 => {}
                version => return Err(format!("version {version} of pickles is not known")),
            },
            0x95 => drop(self.take(8)?),
            b'.' => return self.pop().map(Some),
            // plain values
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'K' => {
                let number = self.number(1)?;
                self.push(Value::Int(number.into()));
            }
            b'M' => {
                let number = self.number(2)?;
                self.push(Value::Int(number.into()));
            }
            b'J' => {
                let number = self.number(4)? as u32 as i32;
                self.push(Value::Int(number.into()));
            }
            0x8a => {
                let number = self.long()?;
                self.push(Value::Int(number));
            }
            b'G' => {
                self.take(8)?;
                self.push(Value::Float);
            }
            // text, with its length in 1, 4 or 8 bytes
            0x8c => self.text(1)?,
            b'X' => self.text(4)?,
            0x8d => self.text(8)?,
            // collections
            b')' => self.push(Value::Tuple(Vec::new())),
            b']' => self.push(Value::List(Vec::new())),
            b'}' => self.push(Value::Dict(Vec::new())),
            b'(' => self.marks.push(self.stack.len()),
            b't' => {
                let items = self.marked()?;
                self.push(Value::Tuple(items));
            }
            0x85..=0x87 => {
                let from = self.stack.len().checked_sub(usize::from(opcode - 0x84));
                let items = self.stack.split_off(from.ok_or_else(empty)?);
                self.push(Value::Tuple(items));
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' => {
                let items = self.marked()?;
                self.append(items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(vec![key, value])?;
            }
            b'u' => {
                let items = self.marked()?;
                self.set(items)?;
            }
            // memory
            b'q' => {
                let place = self.number(1)? as u32;
                self.remember(place)?;
            }
            b'r' => {
                let place = self.number(4)? as u32;
                self.remember(place)?;
            }
            0x94 => self.remember(self.memo.len() as u32)?,
            b'h' => {
                let place = self.number(1)? as u32;
                self.recall(place)?;
            }
            b'j' => {
                let place = self.number(4)? as u32;
                self.recall(place)?;
            }
            // names, and what is made with them
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.name(module, name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Some(module), Some(name)) = (self.text_of(module), self.text_of(name)) else {
                    return Err("a name is not text".into());
                };
                self.name(module, name)?;
            }
            b'Q' => self.storage()?,
            b'R' => self.reduce()?,
            // BUILD sets attributes of an ordered dict (`_metadata`), which are not weights.
            b'b' => {
                self.pop()?;
                let target = *self.stack.last().ok_or_else(empty)?;
                if !matches!(self.values.get(target), Some(Value::Dict(_))) {
                    return Err("it sets the state of something that is not a dict".into());
                }
            }
            other => {
                return Err(format!(
                    "instruction {other:#04x} at byte {at} of the pickle is not one that builds \
                     weights, and pickles are never executed"
                ));
            }
        }
        Ok(None)
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], String> {
        let bytes = self.at.checked_add(n).and_then(|end| self.bytes.get(self.at..end));
        let bytes = bytes.ok_or("the pickle is cut short")?;
        self.at += n;
        Ok(bytes)
    }

    fn number(&mut self, n: usize) -> Result<u64, String> {
        Ok(self.take(n)?.iter().rev().fold(0, |number, &b| number << 8 | u64::from(b)))
    }

    fn long(&mut self) -> Result<i128, String> {
        let n = self.take(1)?[0];
        let bytes = self.take(n.into())?;
        if n > 15 {
            return Err("a number is longer than any size".into());
        }
        let number = bytes.iter().rev().fold(0, |number, &b| number << 8 | i128::from(b));
        let negative = bytes.last().is_some_and(|&b| b >= 0x80);
        Ok(if negative { number - (1 << (8 * n)) } else { number })
    }

    fn text(&mut self, width: usize) -> Step {
        let length = usize::try_from(self.number(width)?).map_err(|_| "the pickle is cut short")?;
        let from = self.at;
        let bytes = self.take(length)?;
        if std::str::from_utf8(bytes).is_err() {
            return Err("a text is not UTF-8".into());
        }
        self.push(Value::Text(from, from + length));
        Ok(())
    }

    fn line(&mut self) -> Result<&'a str, String> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&b| b == b'\n').ok_or("the pickle is cut short")?;
        self.at += end + 1;
        std::str::from_utf8(&rest[..end]).map_err(|_| "a name is not UTF-8".into())
    }

    fn push(&mut self, value: Value) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    fn pop(&mut self) -> Result<Id, String> {
        // What lies below a mark belongs to whoever set it.
        if self.marks.last().is_some_and(|&mark| self.stack.len() <= mark) {
            return Err(empty());
        }
        self.stack.pop().ok_or_else(empty)
    }

    fn marked(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().ok_or("an end without a beginning in the pickle")?;
        if mark > self.stack.len() {
            return Err(empty());
        }
        Ok(self.stack.split_off(mark))
    }

    fn append(&mut self, more: Vec<Id>) -> Step {
        let target = *self.stack.last().ok_or_else(empty)?;
        match self.values.get_mut(target) {
            Some(Value::List(items)) => items.extend(more),
            _ => return Err("it appends to something that is not a list".into()),
        }
        Ok(())
    }

    fn set(&mut self, more: Vec<Id>) -> Step {
        let target = *self.stack.last().ok_or_else(empty)?;
        match self.values.get_mut(target) {
            Some(Value::Dict(items)) if more.len().is_multiple_of(2) => {
                items.extend(more.chunks_exact(2).map(|pair| (pair[0], pair[1])));
            }
            _ => return Err("it sets entries of something that is not a dict".into()),
        }
        Ok(())
    }

    fn remember(&mut self, place: u32) -> Step {
        let top = *self.stack.last().ok_or_else(empty)?;
        self.memo.insert(place, top);
        Ok(())
    }

    fn recall(&mut self, place: u32) -> Step {
        let id = *self.memo.get(&place).ok_or("it recalls what was never remembered")?;
        self.stack.push(id);
        Ok(())
    }

    fn text_of(&self, id: Id) -> Option<&'a str> {
        text(self.bytes, self.values.get(id)?)
    }

    fn name(&mut self, module: &str, name: &str) -> Step {
        let known = match (module, name) {
            ("collections", "OrderedDict") => Some(Name::OrderedDict),
            ("torch._utils", "_rebuild_tensor_v2") => Some(Name::RebuildTensor),
            ("torch._utils", "_rebuild_parameter") => Some(Name::RebuildParameter),
            ("torch", storage) => storage.strip_suffix("Storage").and_then(|kind| {
                Some(Name::Storage(match kind {
                    "Float" => Dtype::F32,
                    "Half" => Dtype::F16,
                    "BFloat16" => Dtype::Bf16,
                    "Double" => Dtype::F64,
                    "Long" => Dtype::I64,
                    "Int" => Dtype::I32,
                    "Short" => Dtype::I16,
                    "Char" => Dtype::I8,
                    "Byte" => Dtype::U8,
                    "Bool" => Dtype::Bool,
                    _ => return None,
                }))
            }),
            _ => None,
        };
        let Some(known) = known else {
            return Err(format!(
                "it asks for {}.{}, which no weights need, and pickles are never executed",
                shown(module),
                shown(name)
            ));
        };
        self.push(Value::Name(known));
        Ok(())
    }

    /// What is at `id`, which must be a tuple of at least `least`.
    fn tuple(&self, id: Id, least: usize) -> Result<&[Id], String> {
        match self.values.get(id) {
            Some(Value::Tuple(items)) if items.len() >= least => Ok(items),
            _ => Err("it makes something out of the wrong parts".into()),
        }
    }

    /// `('storage', type, key, device, count)`, and in older files what it is a view of.
    fn storage(&mut self) -> Step {
        let id = self.pop()?;
        let parts = self.tuple(id, 5)?;
        let whole = parts.get(5).is_none_or(|&view| self.values.get(view) == Some(&Value::None));
        let kind = self.values.get(parts[1]);
        let count = self.size(parts[4]);
        let (Some("storage"), Some(Value::Name(Name::Storage(dtype))), Some(_), Some(count), true) =
            (self.text_of(parts[0]), kind, self.text_of(parts[2]), count, whole)
        else {
            return Err("a storage is not described as PyTorch does".into());
        };
        let storage = Storage { dtype: *dtype, key: parts[2], count };
        self.push(Value::Storage(storage));
        Ok(())
    }

    fn size(&self, id: Id) -> Option<u64> {
        match self.values.get(id) {
            Some(Value::Int(number)) => i64::try_from(*number).ok()?.try_into().ok(),
            _ => None,
        }
    }

    fn sizes(&self, id: Id) -> Option<Vec<u64>> {
        match self.values.get(id) {
            Some(Value::Tuple(items)) if items.len() <= MOST_DIMENSIONS => {
                items.iter().map(|&id| self.size(id)).collect()
            }
            _ => None,
        }
    }

    fn reduce(&mut self) -> Step {
        let (arguments, name) = (self.pop()?, self.pop()?);
        match self.values.get(name) {
            Some(Value::Name(Name::OrderedDict)) => {
                if !self.tuple(arguments, 0)?.is_empty() {
                    return Err("an ordered dict is made in an unknown way".into());
                }
                self.push(Value::Dict(Vec::new()));
            }
            Some(Value::Name(Name::RebuildTensor)) => {
                let parts = self.tuple(arguments, 4)?;
                let storage = self.values.get(parts[0]);
                let offset = self.size(parts[1]);
                let (Some(Value::Storage(storage)), Some(offset), Some(shape), Some(strides)) =
                    (storage, offset, self.sizes(parts[2]), self.sizes(parts[3]))
                else {
                    return Err("a tensor is not described as PyTorch does".into());
                };
                if shape.len() != strides.len() {
                    return Err("a tensor has not as many strides as dimensions".into());
                }
                let tensor = Tensor { storage: *storage, offset, shape, strides };
                self.push(Value::Tensor(Box::new(tensor)));
            }
            Some(Value::Name(Name::RebuildParameter)) => {
                let tensor = self.tuple(arguments, 1)?[0];
                if !matches!(self.values.get(tensor), Some(Value::Tensor(_))) {
                    return Err("a parameter is not a tensor".into());
                }
                self.stack.push(tensor);
            }
            _ => return Err("it calls what is not a function, and nothing is ever called".into()),
        }
        Ok(())
    }
}

fn empty() -> String {
    "the pickle takes from an empty stack".into()
}
