#!/usr/bin/env python3
"""The vector index beside hnswlib, usearch and faiss: recall, speed, building, deleting, filtering.

    benches/index.py [--vectors BINARY] [--count N] [--sets NAME,...] [--peers NAME,...] [--out FOLDER]

Needs numpy, and those of hnswlib, usearch and faiss-cpu that are to be compared, from PyPI. BINARY is
`rushes-vectors` (`cargo build --release -p rushes-benches --bin rushes-vectors`). All search on one
thread and build on all cores, with M 16; each builds with 200 candidates but Rushes, which takes
what its own builder is set to. Results go to benches/results/index-DATE.{json,md}.

Speed is given per second and per second of CPU: on a busy machine only the second can be compared.
"""

import argparse
import datetime
import gzip
import importlib.metadata
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import ROOT, TARGET, Failure, machine, output_of, say

K = 10
WIDTHS = [10, 12, 14, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256]
WANTED = 0.98
AT_LEAST = 0.6
DATA = ROOT.parent / "shared" / "data" / "6-vectors"


def clustered(count, queries=1000, dim=384, inner=32, clusters=500):
    """Points around centres in 32 dimensions, turned into 384 with a little noise in all of them."""
    random = np.random.default_rng(1)
    spread = random.standard_normal((inner, dim), dtype="f4")
    centres = random.standard_normal((clusters, inner), dtype="f4")
    total = count + queries
    points = centres[random.integers(0, clusters, total)]
    points = points + 0.5 * random.standard_normal((total, inner), dtype="f4")
    points = points @ spread + 0.5 * random.standard_normal((total, dim), dtype="f4")
    return points[:count], points[count:]


def wink():
    rows = np.fromfile(DATA / "wink100d" / "wink100d_21000x100.f32", "<f4").reshape(-1, 100)
    return rows[:20000], rows[20000:]


def sift():
    rows = np.loadtxt(DATA / "ngt-sift5k" / "sift-dataset-5k.tsv", dtype="f4", usecols=range(128))
    return rows[:-200], rows[-200:]


def digits():
    with gzip.open(DATA / "digits.csv.gz", "rt") as lines:
        rows = np.loadtxt(lines, delimiter=",", dtype="f4")[:, :-1]
    return rows[:-200], rows[-200:]


def unit(rows):
    return np.ascontiguousarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype="<f4")


def truth(base, queries, passing=None):
    """The ten nearest by comparing with all."""
    found = []
    for start in range(0, len(queries), 100):
        scores = queries[start : start + 100] @ base.T
        if passing is not None:
            scores[:, ~passing] = -9
        near = np.argpartition(-scores, K - 1, axis=1)[:, :K]
        found.append(near)
    return np.concatenate(found).astype("<u4")


def recall(found, wanted):
    return float(np.mean([len(set(map(int, a)) & set(map(int, b))) / K for a, b in zip(found, wanted)]))


def rate(search, queries, wanted):
    found = search(queries)
    began, worked, done = time.monotonic(), time.process_time(), 0
    while time.process_time() - worked < AT_LEAST:
        search(queries)
        done += len(queries)
    return {
        "qps": done / (time.monotonic() - began),
        "qps_cpu": done / (time.process_time() - worked),
        "recall": recall(found, wanted),
        "fewest": int(min(sum(1 for x in row if x >= 0) for row in found)),
    }


class Hnswlib:
    package = "hnswlib"

    def __init__(self, base):
        import hnswlib

        self.index = hnswlib.Index("ip", base.shape[1])
        self.index.init_index(len(base), M=16, ef_construction=200)
        self.index.add_items(base)
        self.index.set_num_threads(1)

    def widen(self, ef):
        self.index.set_ef(ef)

    def search(self, queries):
        return self.index.knn_query(queries, k=K, num_threads=1)[0].astype("i8")

    def search_passing(self, queries, passes):
        try:
            found = self.index.knn_query(queries, k=K, num_threads=1, filter=passes)
            return found[0].astype("i8")
        except RuntimeError as error:
            raise Failure(str(error)) from None

    def delete(self, items):
        for item in items:
            self.index.mark_deleted(item)

    def save(self, path):
        self.index.save_index(str(path))

    def load(self, path, base):
        import hnswlib

        index = hnswlib.Index("ip", base.shape[1])
        index.load_index(str(path))
        return index.knn_query(base[:1], k=K)


class Usearch:
    package = "usearch"

    def __init__(self, base):
        from usearch.index import Index

        self.index = Index(
            ndim=base.shape[1], metric="ip", dtype="f32", connectivity=16, expansion_add=200
        )
        self.index.add(np.arange(len(base)), base)

    def widen(self, ef):
        self.index.expansion_search = ef

    def search(self, queries):
        return self.index.search(queries, K, threads=1).keys.astype("i8")

    def delete(self, items):
        self.index.remove(np.array(items))

    def save(self, path):
        self.index.save(str(path))

    def load(self, path, base):
        from usearch.index import Index

        return Index.restore(str(path), view=True).search(base[:1], K)


class Faiss:
    package = "faiss-cpu"

    def __init__(self, base):
        import faiss

        self.faiss = faiss
        self.index = faiss.IndexHNSWFlat(base.shape[1], 16, faiss.METRIC_INNER_PRODUCT)
        self.index.hnsw.efConstruction = 200
        self.index.add(base)
        faiss.omp_set_num_threads(1)

    def widen(self, ef):
        self.index.hnsw.efSearch = ef

    def search(self, queries):
        return self.index.search(queries, K)[1]

    def save(self, path):
        self.faiss.write_index(self.index, str(path))

    def load(self, path, base):
        return self.faiss.read_index(str(path)).search(base[:1], K)


PEERS = {"hnswlib": Hnswlib, "usearch": Usearch, "faiss": Faiss}


def measure_peer(kind, base, queries, truths, folder):
    began, worked = time.monotonic(), time.process_time()
    peer = kind(base)
    result = {
        "build_s": time.monotonic() - began,
        "build_cpu_s": time.process_time() - worked,
        "version": importlib.metadata.version(kind.package),
        "graph": [],
    }
    for ef in WIDTHS:
        peer.widen(ef)
        result["graph"].append(rate(peer.search, queries, truths["all"]) | {"ef": ef})
    path = Path(folder) / "peer.index"
    peer.save(path)
    began = time.monotonic()
    peer.load(path, base)
    result["first_answer_ms"] = (time.monotonic() - began) * 1e3
    path.unlink()
    peer.widen(64)
    if hasattr(peer, "search_passing"):
        few = queries[:100]
        try:
            result["filtered"] = rate(
                lambda q: peer.search_passing(q, lambda item: item % 100 == 7), few, truths["narrow"]
            )
        except Failure as failure:
            result["filtered"] = {"failed": str(failure)}
    if hasattr(peer, "delete"):
        peer.delete(range(1, len(base), 2))
        result["halved"] = rate(peer.search, queries, truths["half"])
    return result


def measure_rushes(binary, base, queries, truths, folder):
    paths = {}
    for name, rows in {"base": base, "queries": queries, **truths}.items():
        paths[name] = Path(folder) / name
        rows.tofile(paths[name])
    words = [paths["base"], paths["queries"], base.shape[1]]
    words += [paths[name] for name in ("all", "half", "narrow")]
    return json.loads(output_of([binary, *words, ",".join(map(str, WIDTHS))]))


def at_wanted(result):
    """The fastest setting that finds enough."""
    good = [row for row in result["graph"] if row["recall"] >= WANTED]
    return max(good, key=lambda row: row["qps_cpu"]) if good else None


def table(name, shape, results):
    lines = [
        f"## {name}: {shape[0]} x {shape[1]}",
        "",
        f"| | build CPU-s (s) | queries per CPU-s at recall >= {WANTED} (ef, recall; per s) "
        "| against hnswlib | open and first answer | half deleted: recall | 1 % pass: recall, queries "
        "per CPU-s |",
        "|---|---|---|---|---|---|---|",
    ]
    base = at_wanted(results["hnswlib"]) if "hnswlib" in results else None
    for who, result in results.items():
        if "failed" in result:
            lines.append(f"| {who} | {result['failed']} | | | | | |")
            continue
        best = at_wanted(result)
        speed = ratio = "-"
        if best:
            speed = f"{best['qps_cpu']:.0f} ({best['ef']}, {best['recall']:.4f}; {best['qps']:.0f})"
            if base:
                ratio = f"{best['qps_cpu'] / base['qps_cpu']:.2f}x"
        if "hnswlib" in results:
            ratio += f", build {results['hnswlib']['build_cpu_s'] / result['build_cpu_s']:.2f}x"
        halved, narrow = result.get("halved"), result.get("filtered")
        narrow = narrow and (
            narrow.get("failed") or f"{narrow['recall']:.4f}, {narrow['qps_cpu']:.0f}"
        )
        lines.append(
            f"| {who} {result.get('version', '')} | {result['build_cpu_s']:.1f} ({result['build_s']:.1f}) "
            f"| {speed} | {ratio} | {result['first_answer_ms']:.1f} ms "
            f"| {halved['recall'] if halved else '-'} | {narrow or '-'} |"
        )
    exact = results.get("rushes", {}).get("exact")
    if exact:
        lines += ["", f"Exact scan: {exact['qps_cpu']:.0f} queries per CPU-s, recall {exact['recall']}."]
    return lines + [""]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", default=TARGET / "release" / "rushes-vectors", type=Path)
    parser.add_argument("--count", default=100_000, type=int)
    parser.add_argument("--sets", default="clustered,wink,sift,digits")
    parser.add_argument("--peers", default="hnswlib,usearch,faiss")
    parser.add_argument("--out", default=ROOT / "benches" / "results", type=Path)
    chosen = parser.parse_args()
    if not chosen.vectors.is_file():
        raise SystemExit(f"{chosen.vectors}: there is no such file")
    makers = {"clustered": lambda: clustered(chosen.count), "wink": wink, "sift": sift}
    makers["digits"] = digits
    about = machine(None)
    stem = chosen.out / f"index-{datetime.date.today()}"
    report, lines = {"machine": about, "sets": {}}, []
    for name in chosen.sets.split(","):
        base, queries = map(unit, makers[name]())
        items = np.arange(len(base))
        truths = {
            "all": truth(base, queries),
            "half": truth(base, queries, items % 2 == 0),
            "narrow": truth(base, queries, items % 100 == 7),
        }
        results = {}
        with tempfile.TemporaryDirectory() as folder:
            for who in ["rushes", *filter(None, chosen.peers.split(","))]:
                say(f"{name}: {who}")
                try:
                    if who == "rushes":
                        found = measure_rushes(chosen.vectors, base, queries, truths, folder)
                    else:
                        found = measure_peer(PEERS[who], base, queries, truths, folder)
                except (Failure, ImportError) as failure:
                    found = {"failed": str(failure)}
                results[who] = found
        report["sets"][name] = results
        lines += table(name, base.shape, results)
        load = f"load {about['load']:.1f} before, {os.getloadavg()[0]:.1f} after"
        head = [
            "# Vector index",
            "",
            f"{about['cpu']}, {about['cores']} cores, {about['memory']}; {load}. With a load above the "
            "number of cores the machine was busy: compare CPU-seconds, and measure again when it is quiet.",
            "",
        ]
        # After each set, so that a run that is cut off leaves what it had.
        stem.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
        stem.with_suffix(".md").write_text("\n".join(head + lines))
    print(stem.with_suffix(".md").read_text())


if __name__ == "__main__":
    main()
