//! PyTorch's `.pth` state dicts into safetensors.
//!
//! Both of PyTorch's layouts are read: the zip archive of today, and the row of five pickles with
//! the values behind them that came before 1.6 (efficientnet-lite0's weights are such a file).
//! candle's reader was not taken: it knows only the first, makes room for whatever length a pickle
//! states, and brings its tensors along.

use super::Converting;
use super::input::{Input, shown};
use super::output::Output;
use super::pickle::{Pickle, Tensor, Value};
use super::safetensors::{Planned, check_safetensors, header};
use super::zipped::{Member, members};
use crate::error::ModelsError;
use flate2::Crc;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::Path;

const KIND: &str = "a PyTorch state dict";
const MOST_PICKLE: u64 = 16 << 20;
/// Tensors may share a storage (tied weights), so more may be written than there is, within reason.
const MOST_GROWTH: u64 = 4;
const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
const PROTOCOL: i128 = 1001;

/// Writes the state dict at `pth` as safetensors at `out`.
///
/// The pickle in it is read as data and never executed: whatever asks for more than tensors in a
/// dict is refused. The file at `out` appears only when it is whole; `progress` can end the work
/// with [`ControlFlow::Break`], which leaves nothing behind.
pub fn pth_to_safetensors(
    pth: &Path,
    out: &Path,
    mut progress: impl FnMut(Converting) -> ControlFlow<()>,
) -> Result<(), ModelsError> {
    let mut input = Input::open(pth, KIND)?;
    let mut tell = |done, total| match progress(Converting { done, total }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(ModelsError::Cancelled),
    };
    let zipped = input.array::<4>("its first bytes")? == *b"PK\x03\x04";
    input.seek(0)?;
    let mut weights = if zipped { archive(&mut input)? } else { row(&mut input)? };
    let mut planned = plan(&input, &weights)?;
    if zipped {
        // After the sizes were found to agree, so that this reads no byte twice.
        check_sums(&mut input, &weights, &mut || tell(0, 0))?;
    }
    let head = header(&mut planned).map_err(|e| input.refuse(shown(&e.to_string())))?;
    let total = planned.iter().map(|p| p.bytes).sum();

    let mut output = Output::create(out)?;
    output.write(&head)?;
    let mut done = 0;
    for Planned { name, .. } in planned {
        // The plan was made from these.
        let Some((tensor, member)) = weights.remove(&name) else { continue };
        copy(&mut input, &tensor, member, &mut |bytes| {
            output.write(bytes)?;
            done += bytes.len() as u64;
            tell(done, total)
        })?;
    }
    output.publish(check_safetensors)
}

/// Tensors by name, each with where its storage is.
type Weights = BTreeMap<String, (Tensor, Member)>;

fn archive(input: &mut Input) -> Result<Weights, ModelsError> {
    let members = members(input)?;
    let mut roots = members.iter().filter_map(|(name, member)| {
        name.strip_suffix("data.pkl")
            .filter(|root| root.is_empty() || root.ends_with('/'))
            .map(|root| (root, *member))
    });
    let (Some((root, pickle)), None) = (roots.next(), roots.next()) else {
        return Err(input.refuse("it does not hold one data.pkl"));
    };
    if let Some(&order) = members.get(&format!("{root}byteorder"))
        && member_bytes(input, order, 16)? != b"little"
    {
        return Err(input.refuse("its values are not little-endian"));
    }
    let bytes = member_bytes(input, pickle, MOST_PICKLE)?;
    let pickle = Pickle::read(&bytes).map_err(|e| input.refuse(e))?;
    weights(input, &pickle, |key| members.get(&format!("{root}data/{key}")).copied())
}

fn member_bytes(input: &mut Input, member: Member, most: u64) -> Result<Vec<u8>, ModelsError> {
    input.seek(member.at)?;
    let bytes = input.bytes(member.bytes, most, "a member of the archive")?;
    let mut sum = Crc::new();
    sum.update(&bytes);
    if sum.sum() != member.crc {
        return Err(input.refuse("a member of the archive is damaged"));
    }
    Ok(bytes)
}

fn row(input: &mut Input) -> Result<Weights, ModelsError> {
    let most = input.len().min(MOST_PICKLE);
    let bytes = input.bytes(most, MOST_PICKLE, "the file")?;
    let mut at = 0;
    let mut next = || {
        let pickle = Pickle::read(&bytes[at..]).map_err(|e| input.refuse(e))?;
        at += pickle.length;
        Ok(pickle)
    };
    let magic = next()?;
    if *magic.root() != Value::Int(MAGIC) {
        return Err(input.refuse("it is neither a zip archive nor an older state dict"));
    }
    let (protocol, system, dict, keys) = (next()?, next()?, next()?, next()?);
    if *protocol.root() != Value::Int(PROTOCOL) {
        return Err(input.refuse("it is in a version that is not known"));
    }
    let little = match system.root() {
        Value::Dict(entries) => entries.iter().any(|&(key, value)| {
            system.text(key) == Some("little_endian") && *system.value(value) == Value::Bool(true)
        }),
        _ => false,
    };
    if !little {
        return Err(input.refuse("its values are not little-endian"));
    }
    // Each storage as a count and the values; what a value takes, only the tensors say.
    let mut sizes = HashMap::new();
    for (_, tensor) in tensors(input, &dict)? {
        if let Some(key) = dict.text(tensor.storage.key) {
            sizes.insert(key, tensor.storage.dtype.size());
        }
    }
    let Value::List(order) = keys.root() else {
        return Err(input.refuse("it does not list its storages"));
    };
    input.seek(at as u64)?;
    let mut places = HashMap::new();
    for &key in order {
        let known = keys.text(key).and_then(|key| Some((key, *sizes.get(key)?)));
        let Some((key, size)) = known else {
            return Err(input.refuse("it has a storage that no tensor uses"));
        };
        let count = input.u64("the size of a storage")?;
        let Some(bytes) = count.checked_mul(size) else {
            return Err(input.refuse(format!("a storage claims {count} values")));
        };
        let member = Member { at: input.at(), bytes, crc: 0 };
        input.skip(bytes, "a storage")?;
        if places.insert(key, member).is_some() {
            return Err(input.refuse("it has a storage twice"));
        }
    }
    weights(input, &dict, |key| places.get(key).copied())
}

/// The tensors of a state dict with their names.
fn tensors<'a>(
    input: &Input,
    pickle: &'a Pickle<'_>,
) -> Result<Vec<(&'a str, &'a Tensor)>, ModelsError> {
    let Value::Dict(entries) = pickle.root() else {
        return Err(input.refuse("its pickle is not a dict of tensors"));
    };
    let mut all = Vec::with_capacity(entries.len());
    for &(key, value) in entries {
        match (pickle.text(key), pickle.value(value)) {
            (Some(name), Value::Tensor(tensor)) => all.push((name, tensor.as_ref())),
            (Some(name), _) => {
                return Err(input.refuse(format!("its entry {} is not a tensor", shown(name))));
            }
            _ => return Err(input.refuse("an entry of its dict has no name")),
        }
    }
    Ok(all)
}

fn weights(
    input: &Input,
    pickle: &Pickle<'_>,
    find: impl Fn(&str) -> Option<Member>,
) -> Result<Weights, ModelsError> {
    let mut all = Weights::new();
    for (name, tensor) in tensors(input, pickle)? {
        let key = pickle.text(tensor.storage.key).unwrap_or_default();
        let Some(member) = find(key) else {
            return Err(input.refuse(format!("it has no values for {}", shown(name))));
        };
        if name == "__metadata__" || all.insert(name.into(), (tensor.clone(), member)).is_some() {
            return Err(input.refuse(format!("the name {} cannot be used twice", shown(name))));
        }
    }
    Ok(all)
}

/// Checks every tensor against its storage, and what will be written against the file's size.
fn plan(input: &Input, weights: &Weights) -> Result<Vec<Planned>, ModelsError> {
    let mut planned = Vec::with_capacity(weights.len());
    let (mut looked_at, mut stored) = (0u64, 0u64);
    let mut storages = HashSet::new();
    for (name, (tensor, member)) in weights {
        let size = tensor.storage.dtype.size();
        let extent = tensor.extent();
        let fits = tensor.storage.count.checked_mul(size) == Some(member.bytes);
        let Some((count, span)) = extent.filter(|&(count, _)| fits && count <= member.bytes / size)
        else {
            return Err(input.refuse(format!(
                "the tensor {} reaches out of its storage: dimensions {:?}, strides {:?}, offset {} in \
                 {} values of {size} bytes, stored in {} bytes",
                shown(name),
                tensor.shape,
                tensor.strides,
                tensor.offset,
                tensor.storage.count,
                member.bytes
            )));
        };
        looked_at = looked_at.saturating_add(count.max(span).saturating_mul(size));
        if storages.insert(member.at) {
            stored = stored.saturating_add(member.bytes);
        }
        planned.push(Planned {
            name: name.clone(),
            dtype: tensor.storage.dtype,
            shape: tensor.shape.clone(),
            bytes: count * size,
        });
    }
    if stored > input.len() {
        return Err(input.refuse("its storages overlap"));
    }
    if looked_at > input.len().saturating_mul(MOST_GROWTH) {
        return Err(
            input.refuse(format!("its tensors take {looked_at} bytes, far more than it has"))
        );
    }
    Ok(planned)
}

/// Checks the sums that the archive has of its storages.
fn check_sums(
    input: &mut Input,
    weights: &Weights,
    tell: &mut dyn FnMut() -> Result<(), ModelsError>,
) -> Result<(), ModelsError> {
    let mut seen = HashSet::new();
    for (name, (_, member)) in weights {
        if !seen.insert(member.at) {
            continue;
        }
        let mut sum = Crc::new();
        input.seek(member.at)?;
        input.pieces(member.bytes, "a storage", |piece| {
            sum.update(piece);
            tell()
        })?;
        if sum.sum() != member.crc {
            return Err(input.refuse(format!("the values of {} are damaged", shown(name))));
        }
    }
    Ok(())
}

/// Hands the tensor's bytes to `write`, row after row.
fn copy(
    input: &mut Input,
    tensor: &Tensor,
    member: Member,
    write: &mut dyn FnMut(&[u8]) -> Result<(), ModelsError>,
) -> Result<(), ModelsError> {
    let what = "the values of a tensor";
    let size = tensor.storage.dtype.size();
    // `plan` saw that it is inside the storage, and the storage inside the file.
    let Some((count, span)) = tensor.extent() else { return Ok(()) };
    input.seek(member.at + tensor.offset.saturating_mul(size).min(member.bytes))?;
    if tensor.is_contiguous() {
        return input.pieces(count * size, what, write);
    }
    let values = input.bytes(span * size, member.bytes, what)?;
    let mut row = Vec::new();
    let mut index = vec![0u64; tensor.shape.len()];
    for _ in 0..count {
        let at: u64 = index.iter().zip(&tensor.strides).map(|(i, stride)| i * stride).sum();
        let from = (at * size) as usize;
        row.extend_from_slice(&values[from..from + size as usize]);
        if row.len() >= 1 << 16 {
            write(&row)?;
            row.clear();
        }
        for (place, &dim) in index.iter_mut().zip(&tensor.shape).rev() {
            *place += 1;
            if *place < dim {
                break;
            }
            *place = 0;
        }
    }
    write(&row)
}
