"""Embeds the texts of a file by a peer, for benches/embed.py; prints what `rushes-embed` does.

    peers/embed.py PEER THREADS ROUNDS FOLDER TEXTS VECTORS

PEER is `onnxruntime` (an ONNX file that torch exported, beside the tokenizer in FOLDER; texts sorted
by length into batches of 32, as sentence-transformers does), or `sentence-transformers`.
`export` writes that ONNX file.
"""

import json
import os
import sys
import time
from pathlib import Path

peer, threads, rounds, folder, texts, vectors = sys.argv[1:]
threads, rounds, folder = int(threads), int(rounds), Path(folder)
os.environ["OMP_NUM_THREADS"] = str(threads)
os.environ["TOKENIZERS_PARALLELISM"] = "false"


def export():
    import torch
    from transformers import BertModel

    class Mean(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bert = BertModel.from_pretrained(folder, attn_implementation="eager").eval()

        def forward(self, ids, mask):
            states = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state
            mask = mask.unsqueeze(2).to(states.dtype)
            mean = (states * mask).sum(1) / mask.sum(1)
            return torch.nn.functional.normalize(mean, dim=1)

    ids = torch.randint(1000, 2000, (2, 16))
    axes = {"ids": {0: "b", 1: "w"}, "mask": {0: "b", 1: "w"}, "out": {0: "b"}}
    with torch.no_grad():
        torch.onnx.export(
            Mean(),
            (ids, torch.ones_like(ids)),
            str(folder / "peer.onnx"),
            input_names=["ids", "mask"],
            output_names=["out"],
            dynamic_axes=axes,
            opset_version=17,
            dynamo=False,
        )


if peer == "export":
    export()
    sys.exit()

lines = Path(texts).read_text().splitlines()
began = time.perf_counter()
if peer == "onnxruntime":
    import numpy as np
    import onnxruntime
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(256)
    tokenizer.enable_padding()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        str(folder / "peer.onnx"), options, providers=["CPUExecutionProvider"]
    )

    def embed():
        order = sorted(range(len(lines)), key=lambda at: -len(lines[at]))
        made = np.empty((len(lines), 384), np.float32)
        for at in range(0, len(order), 32):
            batch = order[at : at + 32]
            found = tokenizer.encode_batch([lines[i] for i in batch])
            ids = np.array([f.ids for f in found], np.int64)
            mask = np.array([f.attention_mask for f in found], np.int64)
            made[batch] = session.run(None, {"ids": ids, "mask": mask})[0]
        return made

elif peer == "sentence-transformers":
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    torch.set_num_threads(threads)
    words = Transformer(str(folder), max_seq_length=256)
    model = SentenceTransformer(
        modules=[words, Pooling(384, pooling_mode="mean"), Normalize()], device="cpu"
    )

    def embed():
        return model.encode(lines, batch_size=32)


load = time.perf_counter() - began
wall = cpu = 1e9
for _ in range(rounds):
    began, before = time.perf_counter(), time.process_time()
    made = embed()
    wall = min(wall, time.perf_counter() - began)
    cpu = min(cpu, time.process_time() - before)
made.astype("<f4").tofile(vectors)
print(json.dumps({"load": round(load, 3), "wall": round(wall, 4), "cpu": round(cpu, 3)}))
