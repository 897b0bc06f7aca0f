#!/usr/bin/env python3
"""Text embedding by Rushes beside PyPI onnxruntime and sentence-transformers, on the same weights.

    cargo build --release -p rushes-benches --bin rushes-embed && python3 benches/embed.py

Every contender embeds the same texts, in turns, in a process of its own, on one and two threads;
the best of its rounds counts, loading apart. The peers need a Python with torch, sentence-transformers,
onnx and onnxruntime: `--python`. Models come from `--models`, a store with all-minilm-l6-v2 and
onnxruntime pulled.
"""

import argparse
import csv
import datetime
import json
import math
import shutil
import sys
from array import array
from pathlib import Path

from measure import ROOT, TARGET, Failure, machine, output_of, say

HERE = Path(__file__).resolve().parent
MADE = TARGET / "bench-embed"
OURS = {"rushes f32": "onnx", "rushes int8": "onnx-int8", "rushes candle": "candle"}
PEERS = {"onnxruntime": "onnxruntime", "sentence-transformers": "sentence-transformers"}
REFERENCE = "sentence-transformers"


def works():
    """Short: sentences of 5 to 30 words. Mixed: from one word to more than the model reads."""
    rows = (ROOT.parent / "shared/data/2-speech/refs.tsv").open(encoding="utf-8", newline="")
    with rows:
        table = csv.DictReader(rows, delimiter="\t", quoting=csv.QUOTE_NONE)
        spoken = [row["reference"] for row in table if row["lang"].startswith("en")]
    words = " ".join(spoken).split()
    short, mixed = [], []
    at = 0
    for number in range(256):
        length = 5 + number * 7 % 26
        short.append(" ".join(words[(at + i) % len(words)] for i in range(length)))
        at += length
    for number in range(96):
        length = (1, 4, 9, 15, 22, 40, 70, 130, 240)[number * 5 % 9]
        mixed.append(" ".join(words[(at + i) % len(words)] for i in range(length)))
        at += length
    return {"short": short, "mixed": mixed}


def peer_folder(models, python):
    """The model as transformers wants it, with an ONNX file that torch exported."""
    folder = MADE / "minilm"
    if not (folder / "peer.onnx").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for file in (models / "all-minilm-l6-v2").iterdir():
            shutil.copy(file, folder)
        settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
        say("exporting ONNX")
        output_of([python, HERE / "peers/embed.py", "export", 1, 1, folder, "-", "-"])
    return folder


def lowest_cosine(a, b):
    def read(path):
        values = array("f")
        values.frombytes(path.read_bytes())
        return [values[at : at + 384] for at in range(0, len(values), 384)]

    def cosine(x, y):
        dot = sum(i * j for i, j in zip(x, y))
        return dot / math.sqrt(sum(i * i for i in x) * sum(j * j for j in y))

    return min(cosine(x, y) for x, y in zip(read(a), read(b), strict=True))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=TARGET / "release/rushes-embed", type=Path)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--models", default=TARGET / "models", type=Path)
    parser.add_argument("--turns", default=2, type=int)
    parser.add_argument("--rounds", default=2, type=int)
    parser.add_argument("--note", default="", help="what is to be known of this run")
    given = parser.parse_args()
    MADE.mkdir(parents=True, exist_ok=True)
    folder = peer_folder(given.models, given.python)
    rows = []
    for work, texts in works().items():
        file = MADE / f"{work}.txt"
        file.write_text("\n".join(texts) + "\n", encoding="utf-8")
        for threads in (1, 2):
            best = {}
            for _ in range(given.turns):
                for name, engine in {**OURS, **PEERS}.items():
                    vectors = MADE / f"{work}-{engine}.f32"
                    if name in OURS:
                        command = [given.program, engine, threads, given.rounds, given.models]
                    else:
                        command = [given.python, HERE / "peers/embed.py", engine, threads]
                        command += [given.rounds, folder]
                    try:
                        found = json.loads(output_of([*command, file, vectors]).splitlines()[-1])
                    except Failure as failure:
                        say(f"{name}: {failure}")
                        continue
                    old = best.get(name, found)
                    best[name] = {key: min(old[key], found[key]) for key in found}
                    best[name]["vectors"] = vectors
            for name, found in best.items():
                row = {"work": work, "texts": len(texts), "threads": threads, "contender": name}
                row |= {key: found[key] for key in ("load", "wall", "cpu")}
                row["per_second"] = round(len(texts) / found["wall"], 1)
                row["per_cpu_second"] = round(len(texts) / found["cpu"], 1)
                if REFERENCE in best:
                    other = best[REFERENCE]["vectors"]
                    row["lowest_cosine"] = round(lowest_cosine(found["vectors"], other), 6)
                rows.append(row)
                say(json.dumps(row))
    day = datetime.date.today().isoformat()
    report = {"machine": machine(None), "note": given.note, "rows": rows}
    out = HERE / "results" / f"embed-{day}"
    out.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    lines = [f"# Text embedding, {day}", "", "MiniLM-L6 on the CPU. " + given.note, ""]
    lines += [f"{key}: {value}  " for key, value in report["machine"].items()] + [""]
    lines += ["| work | threads | contender | texts/s | texts per CPU-s | load s | lowest cosine |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for row in rows:
        cells = [f"{row['work']} ({row['texts']})", row["threads"], row["contender"]]
        cells += [row["per_second"], row["per_cpu_second"], row["load"], row.get("lowest_cosine", "")]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    out.with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
