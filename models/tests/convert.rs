//! The converters and checks on small files made here.

#![allow(clippy::unwrap_used, clippy::panic)]

mod convert_made;

use convert_made::*;
use rushes_models::ModelsError;
use rushes_models::convert::{
    Ggml, GgmlType, check_ggml, check_onnx, check_safetensors, pth_to_safetensors, whisper_ggml,
};
use std::ops::ControlFlow;
use std::path::Path;

/// The message of the refusal, which must be one.
fn refusal<T: std::fmt::Debug>(result: Result<T, ModelsError>) -> String {
    match result {
        Err(ModelsError::Format { message, .. }) => message,
        other => panic!("not refused: {other:?}"),
    }
}

fn names(folder: &Path) -> Vec<String> {
    let all = std::fs::read_dir(folder).unwrap();
    let mut all: Vec<_> =
        all.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    all.sort();
    all
}

// ---- ggml

#[test]
fn a_ggml_model_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "m.bin", &ggml_whole());
    let shape = check_ggml(&path).unwrap();
    assert_eq!((shape.vocabulary, shape.mels, shape.audio_context), (VOCABULARY, 80, 2));
    let model = Ggml::open(&path).unwrap();
    assert_eq!(model.vocabulary(), [b"a".to_vec(), b"bc".to_vec()]);
    assert_eq!(model.mel().values.len(), 80 * 201);
    assert_eq!(model.tensors().len(), ggml_shapes().len());

    let mut file = ggml_start(HYPER);
    file.extend(ggml_tensor("f", &[2, 1], 0, &[0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]));
    let halves: Vec<u8> = (0..10_000).flat_map(|_| [0x00, 0x3c]).collect();
    file.extend(ggml_tensor("h", &[100, 100], 1, &halves));
    let mut q8 = vec![0x00, 0x38];
    q8.extend((0..32).map(|n| n as u8));
    file.extend(ggml_tensor("q", &[1, 32], 8, &q8));
    let model = Ggml::open(&write(folder.path(), "t.bin", &file)).unwrap();
    assert_eq!(model.tensor("f").unwrap().data, [1.0, -2.0]);
    assert_eq!(model.tensor("f").unwrap().shape, [2, 1]);
    assert_eq!(model.tensor("h").unwrap().data, vec![1.0; 10_000]);
    assert_eq!(model.tensors()[2].kind, GgmlType::Q8_0);
    let q = model.tensor("q").unwrap().data;
    assert_eq!(q, (0..32).map(|n| n as f32 * 0.5).collect::<Vec<_>>());
    assert!(refusal(model.tensor("x")).contains("no tensor x"));
}

#[test]
fn hostile_ggml_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |bytes: &[u8]| refusal(check_ggml(&write(folder.path(), "m.bin", bytes)));
    assert!(refused(b"").contains("the magic number"));
    assert!(refused(b"GGUF0000").contains("magic"));
    for (field, value) in
        [(0, 51_863), (0, 1 << 20), (2, 0), (2, 2), (3, 3), (4, 1 << 31), (9, 81), (10, 10_000)]
    {
        let mut hyper = HYPER;
        hyper[field] = value;
        refused(&ggml_start(hyper));
    }
    // Four dimensions are the most that whisper.cpp has room for.
    let start = ggml_start(HYPER);
    let with = |more: &[u8]| refused(&[&start[..], more].concat());
    assert!(with(&ggml_tensor("t", &[1; 5], 1, &[0; 2])).contains("5 dimensions"));
    assert!(with(&ggml_tensor("t", &[0], 1, &[])).contains("dimension of 0"));
    assert!(with(&ggml_tensor("t", &[1 << 30, 1 << 30, 1 << 30], 1, &[])).contains("too large"));
    assert!(with(&ggml_tensor("t", &[1 << 30], 1, &[])).contains("the file ends"));
    assert!(with(&ggml_tensor("t", &[33], 8, &[0; 64])).contains("blocks of 32"));
    assert!(with(&ggml_tensor("t", &[1], 99, &[0; 4])).contains("type 99"));
    let twice = ggml_tensor("t", &[1], 0, &[0; 4]).repeat(2);
    assert!(with(&twice).contains("same name"));
    // whisper.cpp would take it for an empty model made for tests.
    assert!(refused(&start).contains("no tensor encoder.positional_embedding"));
    let whole = ggml_whole();
    let more = [&whole[..], &ggml_tensor("more", &[1], 0, &[0; 4])].concat();
    assert!(refused(&more).contains("a tensor more"));
    // A token of 4 GB, and more tokens than the model has.
    let at = start.len() - 11;
    let mut long = start.clone();
    long[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(refused(&long).contains("a token"));
    let mut many = start.clone();
    many[at - 4..at].copy_from_slice(&(VOCABULARY + 1).to_le_bytes());
    assert!(refused(&many).contains("a vocabulary of"));
    assert!(matches!(check_ggml(&folder.path().join("none")), Err(ModelsError::Io { .. })));
    assert!(refusal(check_ggml(folder.path())).contains("not a regular file"));
}

// ---- ONNX

#[test]
fn a_whole_onnx_model_passes() {
    let folder = tempfile::tempdir().unwrap();
    check_onnx(&write(folder.path(), "m.onnx", &onnx_whole())).unwrap();
}

#[test]
fn hostile_onnx_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |bytes: &[u8]| refusal(check_onnx(&write(folder.path(), "m.onnx", bytes)));
    let with = |tensor: Vec<u8>| refused(&onnx_model(&onnx_graph(&[tensor], &[])));
    for place in ["../../etc/passwd", "/etc/passwd", "weights.bin"] {
        let entry = [message(1, b"location"), message(2, place.as_bytes())].concat();
        let about = [number(1, 4), number(2, 1), message(8, b"w"), message(13, &entry)].concat();
        assert!(with([about.clone(), number(14, 1)].concat()).contains("another file"));
        assert!(with(about).contains("another file"));
    }
    assert!(with(onnx_tensor("w", &[3], 1, 9, &[0; 8])).contains("8 bytes"));
    assert!(with(onnx_tensor("w", &[3], 1, 4, &[0; 8])).contains("2 values"));
    assert!(with(onnx_tensor("w", &[3], 1, 4, &[0; 7])).contains("cut short"));
    assert!(with(onnx_tensor("w", &[1 << 40], 1, 5, &[])).contains("too large"));
    assert!(with(onnx_tensor("w", &[1 << 32, 1 << 32], 2, 9, &[])).contains("too large"));
    assert!(with(onnx_tensor("w", &[u64::MAX], 2, 9, &[])).contains("negative"));
    assert!(with(onnx_tensor("w", &[1; 17], 2, 9, &[0])).contains("dimensions"));
    assert!(with(onnx_tensor("w", &[1], 77, 9, &[0])).contains("type 77"));
    assert!(with(onnx_tensor("w", &[1], 8, 9, &[0])).contains("1 bytes"));
    let twice = [onnx_tensor("w", &[1], 2, 9, &[0]), message(9, &[1])].concat();
    assert!(with(twice).contains("twice"));
    let both = [onnx_tensor("w", &[1], 2, 9, &[0]), message(5, &[1])].concat();
    with(both);
    // In a subgraph, where a runtime reads it as well.
    let outside = [number(1, 4), number(2, 1), number(14, 1)].concat();
    let nest = |inner: &[u8]| {
        let branch = message(6, inner);
        onnx_graph(&[], &[onnx_node("if", "If", &[], &[branch])])
    };
    let hidden = nest(&onnx_graph(&[outside], &[]));
    assert!(refused(&onnx_model(&hidden)).contains("another file"));
    let mut deep = Vec::new();
    for _ in 0..40 {
        deep = nest(&deep);
    }
    assert!(refused(&onnx_model(&deep)).contains("deep"));
    assert!(refused(b"").contains("0 graphs"));
    let graph = message(7, &[]);
    assert!(refused(&graph.repeat(2)).contains("2 graphs"));
    let (w, v) = (onnx_tensor("w", &[0], 2, 9, &[]), onnx_tensor("v", &[0], 2, 9, &[]));
    let merged = [message(5, &w), message(5, &v)].concat();
    let node = onnx_node("k", "Constant", &[], &[merged]);
    assert!(refused(&onnx_model(&onnx_graph(&[], &[node]))).contains("more than one"));
    // A message that reaches past the one it is in, though not past the file.
    let long = [varint(1 << 3 | 2), varint(100)].concat();
    let file = [message(7, &long), vec![0; 200]].concat();
    assert!(refused(&file).contains("reaches past"));
    assert!(refused(&[0x0b]).contains("not protobuf"));
    assert!(refused(&[0xff; 11]).contains("64 bits"));
}

// ---- Whisper

/// The graphs of a model with a width of 2 and one block a side. Gives folder and the vocabulary.
fn whisper_parts(folder: &Path) {
    let config = format!(
        r#"{{"vocab_size":{VOCABULARY},"max_source_positions":2,"d_model":2,
        "encoder_attention_heads":1,"encoder_layers":1,"max_target_positions":2,
        "decoder_attention_heads":1,"decoder_layers":1,"num_mel_bins":80,"more":[null]}}"#
    );
    write(folder, "config.json", config.as_bytes());
    // Byte 32 is written U+0120, byte 195 as itself: the second token is " Ã"'s first byte.
    write(folder, "vocab.json", r#"{"Ġb":1,"a":0,"ÃĠ":2}"#.as_bytes());

    let floats =
        |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|v| v.to_le_bytes()).collect() };
    for side in ["encoder", "decoder"] {
        let decoder = side == "decoder";
        let prefix = if decoder { "model.decoder." } else { "" };
        let merged = if decoder { "_merged_0" } else { "" };
        let (mut tensors, mut nodes) = (Vec::new(), Vec::new());
        let mut vector = |name: &str, n: u64| {
            let data = floats(&vec![0.25; n as usize]);
            tensors.push(onnx_tensor(&format!("{prefix}{name}{merged}"), &[n], 1, 9, &data));
        };
        for last in ["weight", "bias"] {
            vector(&format!("layer_norm.{last}"), 2);
            vector(&format!("layers.0.self_attn_layer_norm.{last}"), 2);
            vector(&format!("layers.0.final_layer_norm.{last}"), 2);
            if decoder {
                vector(&format!("layers.0.encoder_attn_layer_norm.{last}"), 2);
            }
        }
        vector("layers.0.fc1.bias", 8);
        vector("layers.0.fc2.bias", 2);
        let attentions = if decoder { &["self_attn", "encoder_attn"][..] } else { &["self_attn"] };
        let mut products = vec![("fc1".to_string(), 2, 8), ("fc2".to_string(), 8, 2)];
        for attention in attentions {
            for part in ["q_proj", "k_proj", "v_proj", "out_proj"] {
                if part != "k_proj" {
                    vector(&format!("layers.0.{attention}.{part}.bias"), 2);
                }
                products.push((format!("{attention}/{part}"), 2, 2));
            }
        }
        if !decoder {
            vector("conv1.bias", 2);
            vector("conv2.bias", 2);
        }
        let mut quantised = |stem: &str, dims: &[u64], kind: u64, zero: u64, scale: &[f32]| {
            let count: u64 = dims.iter().product();
            let data: Vec<u8> = (0..count).map(|n| (n % 251) as u8).collect();
            tensors.push(onnx_tensor(&format!("{stem}_quantized"), dims, kind, 9, &data));
            let channels: &[u64] = if scale.len() == 1 { &[] } else { &[scale.len() as u64] };
            let name = format!("{stem}_scale");
            tensors.push(onnx_tensor(&name, channels, 1, 4, &floats(scale)));
            let zeros = varint(zero).repeat(scale.len());
            tensors.push(onnx_tensor(&format!("{stem}_zero_point"), channels, kind, 5, &zeros));
        };
        if decoder {
            let stem = "model.decoder.embed_tokens.weight_merged_0";
            quantised(stem, &[VOCABULARY.into(), 2], 2, 128, &[0.5]);
        } else {
            quantised("conv1.weight", &[2, 80, 3], 2, 3, &[0.5]);
            quantised("conv2.weight", &[2, 2, 3], 2, 3, &[0.5]);
        }
        for (at, (part, rows, columns)) in products.iter().enumerate() {
            let stem = format!("onnx::MatMul_{at}{merged}");
            // fc1 has a scale for each column.
            let scale: Vec<f32> = match part.as_str() {
                "fc1" => (1..=8).map(|n| n as f32).collect(),
                _ => vec![0.5],
            };
            quantised(&stem, &[*rows, *columns], 3, 1, &scale);
            let weight = format!("{stem}_quantized");
            let layers = if decoder { "/model/decoder/layers.0" } else { "/layers.0" };
            let name = format!("{layers}/{part}/MatMul_quant");
            nodes.push(onnx_node(&name, "MatMulInteger", &["x", &weight], &[]));
        }
        let positions = floats(&[1.0, 2.0, 3.0, 1e-9]);
        let name = format!("{prefix}embed_positions.weight{merged}");
        tensors.push(onnx_tensor(&name, &[2, 2], 1, 9, &positions));
        let model = onnx_model(&onnx_graph(&tensors, &nodes));
        write(folder, &format!("{side}.onnx"), &model);
    }
}

fn convert_whisper(folder: &Path) -> Result<(), ModelsError> {
    let at = |name: &str| folder.join(name);
    whisper_ggml(
        &at("encoder.onnx"),
        &at("decoder.onnx"),
        &at("config.json"),
        &at("vocab.json"),
        &at("out.bin"),
        |_| ControlFlow::Continue(()),
    )
    .map(|_| ())
}

#[test]
fn whisper_weights_are_dequantised() {
    let folder = tempfile::tempdir().unwrap();
    whisper_parts(folder.path());
    convert_whisper(folder.path()).unwrap();
    let out = folder.path().join("out.bin");
    check_ggml(&out).unwrap();
    let model = Ggml::open(&out).unwrap();
    assert_eq!(model.vocabulary(), [b"a".to_vec(), b" b".to_vec(), b"\xc3 ".to_vec()]);
    let data = |name: &str| model.tensor(name).unwrap().data;
    let tokens = data("decoder.token_embedding.weight");
    assert_eq!(tokens[..3], [-64.0, -63.5, -63.0]);
    assert_eq!(tokens[250..252], [61.0, -64.0]);
    assert_eq!(data("encoder.conv2.weight")[..4], [-1.5, -1.0, -0.5, 0.0]);
    // Rows of 8 columns in the graph, 8 rows of 2 in ggml; a scale of n + 1 for column n.
    let fc1: Vec<f32> = (0..8)
        .flat_map(|n| [(n as f32 - 1.0) * (n + 1) as f32, (n as f32 + 7.0) * (n + 1) as f32])
        .collect();
    assert_eq!(data("encoder.blocks.0.mlp.0.weight"), fc1);
    assert_eq!(data("decoder.blocks.0.mlp.0.weight"), fc1);
    assert_eq!(data("decoder.blocks.0.cross_attn.key.weight"), [-0.5, 0.5, 0.0, 1.0]);
    assert_eq!(data("decoder.positional_embedding"), [1.0, 2.0, 3.0, 1e-9]);
    assert_eq!(model.tensor("encoder.conv1.bias").unwrap().shape, [2, 1]);
    let kind = |name: &str| model.tensors().iter().find(|t| t.name == name).unwrap().kind;
    assert_eq!(kind("encoder.conv1.bias"), GgmlType::F32);
    assert_eq!(kind("encoder.conv1.weight"), GgmlType::F16);
    let first = std::fs::read(&out).unwrap();
    convert_whisper(folder.path()).unwrap();
    assert_eq!(std::fs::read(&out).unwrap(), first);
}

#[test]
fn a_whisper_conversion_that_fails_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    whisper_parts(folder.path());
    let before = names(folder.path());
    let at = |name: &str| folder.path().join(name);
    let mut calls = 0;
    let cancelled = whisper_ggml(
        &at("encoder.onnx"),
        &at("decoder.onnx"),
        &at("config.json"),
        &at("vocab.json"),
        &at("out.bin"),
        |_| {
            calls += 1;
            if calls == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        },
    );
    assert!(matches!(cancelled, Err(ModelsError::Cancelled)), "{cancelled:?}");
    assert_eq!(names(folder.path()), before);

    let spoil = |name: &str, from: &str, to: &str| {
        whisper_parts(folder.path());
        let text = std::fs::read(at(name)).unwrap();
        let place = text.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
        let text = [&text[..place], to.as_bytes(), &text[place + from.len()..]].concat();
        write(folder.path(), name, &text);
        let message = refusal(convert_whisper(folder.path()));
        assert_eq!(names(folder.path()), before);
        message
    };
    assert!(spoil("config.json", "51864", "99999").contains("vocabulary 99999"));
    assert!(spoil("config.json", "\"d_model\":2", "\"d_model\":4").contains("dimensions"));
    assert!(spoil("config.json", "\"d_model\"", "\"d\"").contains("d_model"));
    assert!(spoil("vocab.json", ":1", ":7").contains("gap"));
    assert!(spoil("vocab.json", "\"a\"", "\"\\u4e00\"").contains("letters"));
    assert!(spoil("vocab.json", "{", "[").contains("map"));
    assert!(spoil("encoder.onnx", "fc1.bias", "fc1.xxxx").contains("encoder.blocks.0.mlp.0.bias"));
    assert!(
        spoil("decoder.onnx", "MatMul_0_merged_0_scale", "MatMul_0_merged_0_scalx")
            .contains("no onnx::MatMul")
    );
}

// ---- safetensors

#[test]
fn safetensors_headers() {
    let folder = tempfile::tempdir().unwrap();
    let check = |bytes: &[u8]| check_safetensors(&write(folder.path(), "m.safetensors", bytes));
    let a = r#""a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}"#;
    let b = r#""b":{"dtype":"BOOL","shape":[],"data_offsets":[8,9]}"#;
    check(&safetensors(&format!("{{{a}}}"), 8)).unwrap();
    check(&safetensors(&format!(r#"{{{b},"__metadata__":{{"x":"y"}},{a}}}  "#), 9)).unwrap();
    check(&safetensors("{}", 0)).unwrap();

    let refused = |header: &str, data| refusal(check(&safetensors(header, data)));
    let mut huge = safetensors(&format!("{{{a}}}"), 8);
    huge[..8].copy_from_slice(&(1u64 << 60).to_le_bytes());
    assert!(refusal(check(&huge)).contains("1152921504606846976 bytes"));
    assert!(refused(&format!("{{{a},{a}}}"), 8).contains("two tensors"));
    assert!(refused(&format!("{{{a}}}"), 7).contains("take 8 bytes"));
    assert!(refused(&format!("{{{a}}}"), 9).contains("take 8 bytes"));
    assert!(refused(&format!("{{{b}}}"), 9).contains("gap"));
    let over = b.replace("[8,9]", "[7,8]");
    assert!(refused(&format!("{{{a},{over}}}"), 8).contains("overlap"));
    for (from, to) in [
        ("[0,8]", "[8,0]"),
        ("[0,8]", "[0,9]"),
        ("[0,8]", "[-1,7]"),
        ("F32", "F31"),
        ("[2,1]", "[4294967296,4294967296,4]"),
        ("[2,1]", "[2,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]"),
        ("\"shape\"", "\"shapes\""),
        ("[2,1]", "[[[[[[]]]]]]"),
    ] {
        refused(&format!("{{{}}}", a.replace(from, to)), 8);
    }
    refused(r#"{"__metadata__":{"x":{}}}"#, 0);
    refused(&"[".repeat(1 << 16), 0);
    refused("", 0);
    // A terminal does not get what a hostile name says.
    let name = format!("{{{}}}", a.replace("\"a\"", "\"\\u001b[2J\"").replace("F32", "?"));
    assert!(!refused(&name, 8).contains('\u{1b}'));
}

// ---- PyTorch

fn convert_pth(folder: &Path, bytes: &[u8]) -> Result<Vec<u8>, ModelsError> {
    let (pth, out) = (write(folder, "m.pth", bytes), folder.join("out.safetensors"));
    pth_to_safetensors(&pth, &out, |_| ControlFlow::Continue(()))?;
    check_safetensors(&out)?;
    let written = std::fs::read(&out).unwrap();
    std::fs::remove_file(&out).unwrap();
    Ok(written)
}

#[test]
fn state_dicts_become_safetensors() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = convert_pth(folder.path(), &pth_whole()).unwrap();
    let header = r#"{"n":{"dtype":"I64","shape":[],"data_offsets":[0,8]},"v":{"dtype":"F32","shape":[3],"data_offsets":[8,20]},"w":{"dtype":"F32","shape":[3,2],"data_offsets":[20,44]}}"#;
    let floats =
        |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|v| v.to_le_bytes()).collect() };
    let padded = format!("{header:width$}", width = header.len().next_multiple_of(8));
    let mut wanted = safetensors(&padded, 0);
    wanted.extend(42i64.to_le_bytes());
    wanted.extend(floats(&[3.0, 4.0, 5.0]));
    wanted.extend(floats(&[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]));
    assert_eq!(bytes, wanted);

    let bytes = convert_pth(folder.path(), &pth_old()).unwrap();
    assert!(bytes.ends_with(&floats(&[0.0, 3.0, 1.0, 4.0, 2.0, 5.0])));
    assert_eq!(names(folder.path()), ["m.pth"]);
}

#[test]
fn pickles_are_never_executed() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let refused = |pickle: &[u8]| {
        let message = refusal(convert_pth(folder.path(), &pth(pickle, &[("0", &[0; 24])])));
        assert_eq!(names(folder.path()), ["m.pth"]);
        message
    };
    let run = text(&format!("touch {}", trace.display()));
    let with = |parts: &[&[u8]]| refused(&parts.concat());
    assert!(with(&[b"\x80\x02cos\nsystem\n", &run, b"\x85R."]).contains("os.system"));
    let (posix, system) = (text("posix"), text("system"));
    assert!(
        with(&[b"\x80\x04", &posix, &system, b"\x93", &run, b"\x85R."]).contains("posix.system")
    );
    assert!(with(&[b"c__builtin__\neval\n", &run, b"\x85R."]).contains("__builtin__.eval"));
    assert!(with(&[b"(", &run, b"ios\nsystem\n."]).contains("0x69"));
    assert!(with(&[b"(cos\nsystem\n", &run, b"o."]).contains("os.system"));
    assert!(with(&[b"ccollections\nOrderedDict\n)\x81."]).contains("0x81"));
    assert!(
        with(&[b"ctorch.serialization\nload\n", &run, b"\x85R."]).contains("torch.serialization")
    );
    assert!(with(&[b"ctorch\nload\n", &run, b"\x85R."]).contains("torch.load"));
    // Calling what is not a function, and setting attributes of a class.
    assert!(with(&[b"ctorch\nFloatStorage\n)R."]).contains("nothing is ever called"));
    assert!(with(&[&run, b")R."]).contains("nothing is ever called"));
    assert!(with(&[b"ctorch\nFloatStorage\n}b."]).contains("sets the state"));
    // An extension registry, and a persistent name as text.
    assert!(with(&[b"\x82\x01."]).contains("0x82"));
    assert!(with(&[b"Pstorage\n."]).contains("0x50"));
    assert!(!trace.exists());
}

#[test]
fn broken_pickles_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused =
        |pickle: &[u8]| refusal(convert_pth(folder.path(), &pth(pickle, &[("0", &[0; 24])])));
    assert!(refused(b"").contains("cut short"));
    assert!(refused(b"\x8d\0\0\0\0\0\0\0\x10abc.").contains("cut short"));
    assert!(refused(b"X\xff\xff\xff\xffabc.").contains("cut short"));
    assert!(refused(b"\x80\x09.").contains("version 9"));
    assert!(
        refused(b"\x8aA".iter().copied().chain([1; 65]).collect::<Vec<_>>().as_slice())
            .contains("longer")
    );
    for broken in [
        "t.",
        "R.",
        "0.",
        ")e.",
        "(a.",
        "q\x01.",
        "h\x01.",
        "}(K\x01u.",
        "].",
        "}K\x01K\x02s.",
        "Q.",
        ")Q.",
        "\u{85}",
    ] {
        refused(broken.as_bytes());
    }
    assert!(refused(&b"}".repeat(1 << 20)).contains("instructions"));
    // A dict inside itself ends like any entry that is no tensor.
    assert!(refused(&[b"}q\0", &text("x")[..], b"h\0s."].concat()).contains("not a tensor"));

    let tensor_of = |count, offset, shape: &[i32], strides: &[i32]| {
        refused(&dict(&[("w", tensor("Float", "0", count, offset, shape, strides))]))
    };
    assert!(tensor_of(6, 1, &[6], &[1]).contains("out of its storage"));
    assert!(tensor_of(6, 0, &[7], &[1]).contains("out of its storage"));
    assert!(tensor_of(6, 0, &[2, 3], &[4, 1]).contains("out of its storage"));
    assert!(tensor_of(7, 0, &[7], &[1]).contains("out of its storage"));
    assert!(tensor_of(6, 0, &[i32::MAX, i32::MAX, i32::MAX], &[0, 0, 0]).contains("out of its"));
    assert!(tensor_of(6, 0, &[7], &[0]).contains("out of its storage"));
    assert!(tensor_of(6, -1, &[1], &[1]).contains("not described"));
    assert!(tensor_of(6, 0, &[-1], &[1]).contains("not described"));
    assert!(tensor_of(6, 0, &[2], &[-1]).contains("not described"));
    assert!(tensor_of(6, 0, &[2, 3], &[1]).contains("strides"));
    assert!(tensor_of(6, 0, &[1; 17], &[1; 17]).contains("not described"));
    let double = tensor("Double", "0", 6, 0, &[6], &[1]);
    assert!(refused(&dict(&[("w", double)])).contains("24 bytes"));
    let climbing = tensor("Float", "../data.pkl", 6, 0, &[6], &[1]);
    assert!(refused(&dict(&[("w", climbing)])).contains("no values"));
    let good = || tensor("Float", "0", 6, 0, &[6], &[1]);
    assert!(refused(&dict(&[("w", good()), ("w", good())])).contains("twice"));
    let names: Vec<String> = (0..400).map(|n| format!("w{n}")).collect();
    let sparse = || tensor("Float", "0", 6, 0, &[2, 3], &[3, 1]);
    let many: Vec<_> = names.iter().map(|n| (n.as_str(), sparse())).collect();
    // Four hundred names for one storage are more pickle than growth; a long storage is not.
    convert_pth(folder.path(), &pth(&dict(&many), &[("0", &[0; 24])])).unwrap();
    let wide = || tensor("Float", "0", 1 << 20, 0, &[1 << 20], &[1]);
    let many: Vec<_> = names.iter().map(|n| (n.as_str(), wide())).collect();
    let file = pth(&dict(&many), &[("0", &vec![0; 4 << 20])]);
    assert!(refusal(convert_pth(folder.path(), &file)).contains("far more"));
}

#[test]
fn hostile_archives_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let pickle = dict(&[("w", tensor("Float", "0", 6, 0, &[6], &[1]))]);
    let convert =
        |members: &[(&str, &[u8], u16, Option<u32>)]| convert_pth(folder.path(), &zip(members));
    let values = ("a/data/0", &[0u8; 24][..], 0, None);
    let head = ("a/data.pkl", &pickle[..], 0, None);
    convert(&[head, values]).unwrap();
    // Names that climb are names of members and nothing else.
    convert(&[head, values, ("../../../tmp/x", b"", 0, None), ("/etc/passwd", b"", 0, None)])
        .unwrap();
    assert_eq!(names(folder.path()), ["m.pth"]);
    let refused = |members: &[(&str, &[u8], u16, Option<u32>)]| refusal(convert(members));
    assert!(refused(&[head, ("a/data/0", &[0; 24], 8, Some(u32::MAX - 1))]).contains("compressed"));
    assert!(refused(&[head, ("a/data/0", &[0; 24], 0, Some(1 << 30))]).contains("compressed"));
    assert!(refused(&[head, values, values]).contains("two of its members"));
    assert!(refused(&[head, head, values]).contains("two of its members"));
    assert!(refused(&[head, values, ("b/data.pkl", b"N.", 0, None)]).contains("one data.pkl"));
    assert!(refused(&[values]).contains("one data.pkl"));
    assert!(refused(&[head, values, ("a/byteorder", b"big", 0, None)]).contains("little-endian"));

    let mut damaged = zip(&[head, values]);
    let place = damaged.windows(24).position(|w| w == [0; 24]).unwrap();
    damaged[place] ^= 1;
    assert!(refusal(convert_pth(folder.path(), &damaged)).contains("damaged"));
    let mut counted = zip(&[head, values]);
    let end = counted.len() - 22;
    counted[end + 10..end + 12].copy_from_slice(&[0xff, 0xff]);
    assert!(refusal(convert_pth(folder.path(), &counted)).contains("directory"));
    let mut sized = zip(&[head, values]);
    sized[end + 12..end + 16].copy_from_slice(&u32::MAX.to_le_bytes());
    refusal(convert_pth(folder.path(), &sized));
    assert!(refusal(convert_pth(folder.path(), b"PK\x03\x04")).contains("zip"));
}

#[test]
fn older_state_dicts_that_lie_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |bytes: &[u8]| refusal(convert_pth(folder.path(), bytes));
    assert!(refused(b"\x80\x02N.").contains("neither"));
    assert!(refused(b"").contains("first bytes"));
    let old = pth_old();
    let counts = old.len() - 24 - 8;
    let mut claimed = old.clone();
    claimed[counts..counts + 8].copy_from_slice(&(1u64 << 60).to_le_bytes());
    refused(&claimed);
    claimed[counts..counts + 8].copy_from_slice(&u64::MAX.to_le_bytes());
    refused(&claimed);
    refused(&old[..old.len() - 1]);
}
