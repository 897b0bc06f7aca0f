//! Small model files, made here byte by byte, so that each can be wrong in its own way.
#![allow(dead_code)] // Each test program uses its own share.

use std::path::{Path, PathBuf};

pub const VOCABULARY: u32 = 51_864;

pub fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

// ---- ggml

/// vocabulary, audio context, state, heads, layers, text context, state, heads, layers, mels, type
pub const HYPER: [u32; 11] = [VOCABULARY, 2, 1, 1, 1, 2, 1, 1, 1, 80, 1];

pub fn ggml_start(hyper: [u32; 11]) -> Vec<u8> {
    let mut file = 0x6767_6d6cu32.to_le_bytes().to_vec();
    for number in hyper.into_iter().chain([80, 201]) {
        file.extend(number.to_le_bytes());
    }
    file.resize(file.len() + 80 * 201 * 4, 0);
    for token in [2u32, 1, u32::from(b'a'), 2] {
        // Two tokens, "a" and "bc": the second value is a length, the third a letter.
        if token == u32::from(b'a') {
            file.push(b'a');
        } else {
            file.extend(token.to_le_bytes());
        }
    }
    file.extend(b"bc");
    file
}

pub fn ggml_tensor(name: &str, dims: &[u32], kind: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in [dims.len() as u32, name.len() as u32, kind].iter().chain(dims.iter().rev()) {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(name.as_bytes());
    bytes.extend(data);
    bytes
}

/// The tensors of a model with one block on each side and a width of one.
pub fn ggml_shapes() -> Vec<(String, Vec<u32>)> {
    let mut all: Vec<(String, Vec<u32>)> = Vec::new();
    let mut add = |name: String, dims: &[u32]| all.push((name, dims.to_vec()));
    for (side, ln) in [("encoder", "ln_post"), ("decoder", "ln")] {
        add(format!("{side}.positional_embedding"), &[2, 1]);
        for last in ["weight", "bias"] {
            add(format!("{side}.{ln}.{last}"), &[1]);
        }
        let block = format!("{side}.blocks.0");
        let attentions: &[&str] =
            if side == "encoder" { &["attn"] } else { &["attn", "cross_attn"] };
        for attention in attentions {
            for last in ["weight", "bias"] {
                add(format!("{block}.{attention}_ln.{last}"), &[1]);
            }
            for part in ["query", "key", "value", "out"] {
                add(format!("{block}.{attention}.{part}.weight"), &[1, 1]);
                if part != "key" {
                    add(format!("{block}.{attention}.{part}.bias"), &[1]);
                }
            }
        }
        for last in ["weight", "bias"] {
            add(format!("{block}.mlp_ln.{last}"), &[1]);
        }
        add(format!("{block}.mlp.0.weight"), &[4, 1]);
        add(format!("{block}.mlp.0.bias"), &[4]);
        add(format!("{block}.mlp.2.weight"), &[1, 4]);
        add(format!("{block}.mlp.2.bias"), &[1]);
    }
    add("encoder.conv1.weight".into(), &[1, 80, 3]);
    add("encoder.conv1.bias".into(), &[1, 1]);
    add("encoder.conv2.weight".into(), &[1, 1, 3]);
    add("encoder.conv2.bias".into(), &[1, 1]);
    add("decoder.token_embedding.weight".into(), &[VOCABULARY, 1]);
    all
}

pub fn ggml_whole() -> Vec<u8> {
    let mut file = ggml_start(HYPER);
    for (name, dims) in ggml_shapes() {
        let count: u32 = dims.iter().product();
        file.extend(ggml_tensor(&name, &dims, 1, &vec![0; count as usize * 2]));
    }
    file
}

// ---- protobuf and ONNX

pub fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

pub fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

pub fn message(field: u64, bytes: &[u8]) -> Vec<u8> {
    [varint(field << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

/// A TensorProto with `data` as the field `form`: 9 raw, 4 floats, 5 integers.
pub fn onnx_tensor(name: &str, dims: &[u64], kind: u64, form: u64, data: &[u8]) -> Vec<u8> {
    let dims: Vec<u8> = dims.iter().flat_map(|&dim| number(1, dim)).collect();
    [dims, number(2, kind), message(8, name.as_bytes()), message(form, data)].concat()
}

pub fn onnx_node(name: &str, operator: &str, inputs: &[&str], attributes: &[Vec<u8>]) -> Vec<u8> {
    let inputs: Vec<u8> = inputs.iter().flat_map(|i| message(1, i.as_bytes())).collect();
    let attributes: Vec<u8> = attributes.iter().flat_map(|a| message(5, a)).collect();
    [inputs, message(3, name.as_bytes()), message(4, operator.as_bytes()), attributes].concat()
}

pub fn onnx_graph(tensors: &[Vec<u8>], nodes: &[Vec<u8>]) -> Vec<u8> {
    let nodes = nodes.iter().flat_map(|n| message(1, n));
    nodes.chain(tensors.iter().flat_map(|t| message(5, t))).collect()
}

pub fn onnx_model(graph: &[u8]) -> Vec<u8> {
    [number(1, 8), message(7, graph)].concat()
}

/// A small whole model: weights in each form, and a branch with a graph of its own.
pub fn onnx_whole() -> Vec<u8> {
    let inner = onnx_graph(&[onnx_tensor("c", &[2], 1, 9, &[0; 8])], &[]);
    let branch = [message(1, b"then_branch"), message(6, &inner), number(20, 5)].concat();
    let constant = onnx_tensor("", &[3], 3, 5, &[1, 2, 3]);
    let value = [message(1, b"value"), message(5, &constant), number(20, 4)].concat();
    onnx_model(&onnx_graph(
        &[
            onnx_tensor("a", &[2, 3], 2, 9, &[1; 6]),
            onnx_tensor("b", &[], 1, 4, &1f32.to_le_bytes()),
            onnx_tensor("big", &[4096], 1, 9, &[0; 16384]),
        ],
        &[
            onnx_node("if", "If", &["x"], &[branch]),
            onnx_node("k", "Constant", &[], &[value]),
            onnx_node("m", "MatMulInteger", &["x", "a"], &[]),
        ],
    ))
}

// ---- safetensors

pub fn safetensors(header: &str, data: usize) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.resize(file.len() + data, 7);
    file
}

// ---- zip and pickle

/// A zip archive of `members`, each with its compression method and claimed size.
pub fn zip(members: &[(&str, &[u8], u16, Option<u32>)]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes, method, claimed) in members {
        let mut sum = flate2::Crc::new();
        sum.update(bytes);
        let size = bytes.len() as u32;
        let at = file.len() as u32;
        // From the flags on, both headers have the same fields.
        let mut about = Vec::new();
        for short in [0, *method, 0, 0] {
            about.extend(u16::to_le_bytes(short));
        }
        for long in [sum.sum(), size, claimed.unwrap_or(size)] {
            about.extend(long.to_le_bytes());
        }
        about.extend((name.len() as u16).to_le_bytes());
        about.extend([0, 0]);
        file.extend(b"PK\x03\x04\x14\0");
        file.extend(&about);
        file.extend(name.as_bytes());
        file.extend(*bytes);
        directory.extend(b"PK\x01\x02\x14\0\x14\0");
        directory.extend(&about);
        directory.extend([0; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (at, size, count) = (file.len() as u32, directory.len() as u32, members.len() as u16);
    file.extend(directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    file.extend([size.to_le_bytes(), at.to_le_bytes()].concat());
    file.extend([0, 0]);
    file
}

pub fn text(text: &str) -> Vec<u8> {
    [b"X".to_vec(), (text.len() as u32).to_le_bytes().to_vec(), text.into()].concat()
}

pub fn int(number: i32) -> Vec<u8> {
    [b"J".to_vec(), number.to_le_bytes().to_vec()].concat()
}

/// The instructions for a tensor on the storage `key`.
pub fn tensor(
    kind: &str,
    key: &str,
    count: i32,
    offset: i32,
    shape: &[i32],
    strides: &[i32],
) -> Vec<u8> {
    let tuple = |numbers: &[i32]| {
        let items: Vec<u8> = numbers.iter().flat_map(|&n| int(n)).collect();
        [b"(".to_vec(), items, b"t".to_vec()].concat()
    };
    [
        b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec(),
        text("storage"),
        format!("ctorch\n{kind}Storage\n").into_bytes(),
        text(key),
        text("cpu"),
        int(count),
        b"tQ".to_vec(),
        int(offset),
        tuple(shape),
        tuple(strides),
        b"\x89ccollections\nOrderedDict\n)RtR".to_vec(),
    ]
    .concat()
}

/// An ordered dict of `entries`, with the attribute that `nn.Module` adds.
pub fn dict(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut pickle = b"\x80\x02ccollections\nOrderedDict\n)Rq\x00(".to_vec();
    for (name, value) in entries {
        pickle.extend(text(name));
        pickle.extend(value);
    }
    pickle.extend(b"u}");
    pickle.extend(text("_metadata"));
    pickle.extend(b"ccollections\nOrderedDict\n)Rsb.");
    pickle
}

pub fn pth(pickle: &[u8], storages: &[(&str, &[u8])]) -> Vec<u8> {
    let names: Vec<String> = storages.iter().map(|s| format!("archive/data/{}", s.0)).collect();
    let mut members: Vec<(&str, &[u8], u16, Option<u32>)> =
        vec![("archive/data.pkl", pickle, 0, None), ("archive/byteorder", b"little", 0, None)];
    for (name, storage) in names.iter().zip(storages) {
        members.push((name, storage.1, 0, None));
    }
    members.push(("archive/version", b"3\n", 0, None));
    zip(&members)
}

/// A state dict of three tensors, one of them transposed and two on one storage.
pub fn pth_whole() -> Vec<u8> {
    let floats: Vec<u8> = (0..6u8).flat_map(|n| f32::from(n).to_le_bytes()).collect();
    let pickle = dict(&[
        ("w", tensor("Float", "0", 6, 0, &[3, 2], &[1, 3])),
        ("v", tensor("Float", "0", 6, 3, &[3], &[1])),
        ("n", tensor("Long", "1", 1, 0, &[], &[])),
    ]);
    pth(&pickle, &[("0", &floats), ("1", &42i64.to_le_bytes())])
}

/// The same in the layout from before PyTorch 1.6.
pub fn pth_old() -> Vec<u8> {
    let floats: Vec<u8> = (0..6u8).flat_map(|n| f32::from(n).to_le_bytes()).collect();
    [
        b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.".to_vec(),
        b"\x80\x02M\xe9\x03.".to_vec(),
        [b"\x80\x02}".to_vec(), text("little_endian"), b"\x88s.".to_vec()].concat(),
        dict(&[
            ("w", tensor("Float", "7", 6, 0, &[3, 2], &[1, 3])),
            ("n", tensor("Long", "8", 1, 0, &[], &[])),
        ]),
        [b"\x80\x02](".to_vec(), text("8"), text("7"), b"e.".to_vec()].concat(),
        1u64.to_le_bytes().to_vec(),
        42i64.to_le_bytes().to_vec(),
        6u64.to_le_bytes().to_vec(),
        floats,
    ]
    .concat()
}
