#!/usr/bin/env python3
"""A real batch: 60 mixed files of which 5 are broken, killed at half and gone on with; 100 short videos.

    python3 benches/batch.py --rushes target/debug/rushes [--fixtures target/fixtures] [--out STEM]
                             [--only mixed,shorts] [--shorts 100]

How near a batch comes to the machine's limit is told in ways that other programs on the machine change
little: processor time beside the same files done one after another without a batch; what part of the
time jobs ran on every lane; and the processor time of the batch's own process, which decides, claims
and tells, beside all.
"""

import argparse
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

MEDIA = {".mp4", ".mkv", ".ts", ".avi", ".webm", ".wav", ".flac", ".m4a"}
TICK = os.sysconf("SC_CLK_TCK")
LANES = len(os.sched_getaffinity(0))


def ffmpeg(*words):
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *map(str, words)], check=True)


def mixed(folder, fixtures):
    """55 good files of all kinds and 5 broken ones."""
    folder.mkdir()
    found = sorted(f for f in fixtures.iterdir()
                   if f.suffix in MEDIA and 10_000 < f.stat().st_size < 3_000_000
                   and "size-change" not in f.name)
    for n in range(49):
        shutil.copy2(found[n * len(found) // 49], folder)
    for n, (codec, kind) in enumerate([("libx264", "mp4"), ("libx264", "mkv"), ("libx264", "ts"),
                                       ("libvpx-vp9", "webm"), ("mpeg4", "avi"), ("mpeg2video", "ts")]):
        ffmpeg("-f", "lavfi", "-i", "mandelbrot=size=320x180:rate=25", "-f", "lavfi", "-i",
               "sine=frequency=440", "-t", "6", "-c:v", codec, "-pix_fmt", "yuv420p",
               *(["-deadline", "realtime", "-cpu-used", "8"] if kind == "webm" else []),
               folder / f"made{n}.{kind}")
    (folder / "broken-text.mp4").write_text("this is no film\n" * 100)
    (folder / "broken-empty.mkv").write_bytes(b"")
    (folder / "broken-random.ts").write_bytes(os.urandom(200_000))
    whole = (folder / "made0.mp4").read_bytes()
    (folder / "broken-cut.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "broken-riff.wav").write_bytes(b"RIFF\xff\xff\xff\xffWAVEfmt " + b"\0" * 40)


def shorts(folder, count):
    """That many videos of 5 to 8 s, upright, with sound, and a spec for each that cuts and titles it."""
    folder.mkdir()
    lines = []
    for n in range(count):
        film = folder / f"short{n:03}.mp4"
        ffmpeg("-f", "lavfi", "-i", f"testsrc2=size=360x640:rate=25:duration={5 + n % 4}", "-f", "lavfi",
               "-i", f"sine=frequency={200 + n}:duration={5 + n % 4}", "-c:v", "libx264", "-preset",
               "ultrafast", "-g", "25", "-c:a", "aac", film)
        spec = {"rushes": 1, "canvas": {"size": "360x640", "rate": 25},
                "assets": {"film": {"file": film.name}},
                "video": [{"items": [{"asset": "film", "from": "1s", "to": "4s"}]}]}
        (folder / f"reel{n:03}.json").write_text(json.dumps(spec))
        lines.append({"media": film.name, "key": f"p{n}", "action": "process"})
        lines.append({"media": f"reel{n:03}.json", "action": "render", "needs": [f"p{n}"]})
    (folder / "list.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def own_cpu(pid):
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(stat[11]) + int(stat[12])) / TICK


def run(words, cwd, kill_after=None):
    """Records, exit code, wall, processor time of all and of the process alone."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    out = open(cwd / "out.jsonl", "w+")
    child = subprocess.Popen(words, cwd=cwd, stdout=out, stderr=subprocess.DEVNULL)
    while True:
        if kill_after and sum('"type":"job"' in line for line in open(cwd / "out.jsonl")) >= kill_after:
            child.send_signal(signal.SIGKILL)
            kill_after = None
        # Not waited for: what it used stays to be read.
        if os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG):
            break
        time.sleep(0.05)
    own = own_cpu(child.pid)
    code = child.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    records = [json.loads(line) for line in open(cwd / "out.jsonl") if line.endswith("\n")]
    return {
        "code": code,
        "wall": time.monotonic() - began,
        "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "own": own,
        "jobs": [r for r in records if r["type"] == "job"],
        "summary": next((r for r in records if r["type"] == "summary"), None),
    }


def lanes_busy(ran):
    return sum(job["wall_ms"] for job in ran["jobs"]) / 1000 / LANES / ran["wall"]


def row(name, ran):
    summary = ran["summary"]
    states = ", ".join(f"{n} {s}" for s, n in summary["states"].items()) if summary else "killed"
    return (f"| {name} | {ran['code']} | {states} | {len(ran['jobs'])} | {ran['wall']:.1f} | {ran['cpu']:.1f} "
            f"| {100 * lanes_busy(ran):.0f} % | {ran['own']:.2f} ({100 * ran['own'] / ran['cpu']:.1f} %) |")


HEAD = ["| run | exit code | states | jobs told | wall s | CPU-s | lanes busy | the batch's own CPU-s |",
        "|---|---|---|---|---|---|---|---|"]


def bench_mixed(args, top):
    mixed(top / "in", args.fixtures)
    files = sorted((top / "in").iterdir())
    assert len(files) == 60, len(files)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    codes = [subprocess.run([args.rushes, "process", f, "--library", "alone", "--threads", "1", "--json"],
                            cwd=top, capture_output=True).returncode for f in files]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    alone = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    wall = time.monotonic() - began
    batch = [args.rushes, "batch", "in", "--json", "--quiet"]
    whole = run([*batch, "--library", "whole", "--report", "page.html"], top)
    killed = run([*batch, "--library", "halves"], top, kill_after=30)
    rest = run([*batch, "--library", "halves"], top)
    said = whole["summary"]["states"]
    wrong = []
    if said != {"done": 55, "failed": 5} or whole["code"] != 1 or rest["code"] != 1:
        wrong.append(f"wrong end: {said}, {whole['code']}, {rest['code']}")
    broken = sorted(pathlib.Path(j["media"]).name for j in whole["jobs"] if j["state"] == "failed")
    if not all(name.startswith("broken-") for name in broken) or len(broken) != 5:
        wrong.append(f"failed: {broken}")
    if rest["summary"]["states"] != said:
        wrong.append(f"after the kill: {rest['summary']['states']}")
    told = {j["id"] for j in killed["jobs"]}
    again = told & {j["id"] for j in rest["jobs"]}
    if again:
        wrong.append(f"done again: {again}")
    lines = [f"## 60 files, 5 of them broken, `process`", "", *HEAD, row("whole", whole),
             row("killed (SIGKILL) at half", killed), row("the rest", rest), "",
             f"One after another without a batch: {alone:.1f} CPU-s, {wall:.1f} s; {codes.count(0)} good. "
             f"The batch took {whole['cpu'] / alone:.3f} of that processor time. Jobs told before the kill "
             f"and done again after it: {len(again)}.", ""]
    return lines, wrong


def bench_shorts(args, top):
    count = args.shorts
    shorts(top / "shorts", count)
    ran = run([args.rushes, "batch", "shorts/list.jsonl", "--library", "library", "-o", "reels",
               "--queue", "library/jobs.db", "--json", "--quiet"], top)
    reels = sorted((top / "reels").rglob("*.mp4"))
    wrong = []
    if ran["code"] != 0 or ran["summary"]["states"] != {"done": 2 * count} or len(reels) != count:
        wrong.append(f"shorts: {ran['code']}, {ran['summary']}, {len(reels)} reels")
        wrong += [f"{j['media']}: {j['message']}" for j in ran["jobs"] if j["state"] != "done"][:3]
    # Wall depends on who else computes; processor time does not.
    a_day = 86_400 * LANES / (ran["cpu"] / count)
    lines = [f"## {count} short videos, `process` and then `render`", "", *HEAD, row("shorts", ran), "",
             f"{ran['cpu'] / count:.2f} CPU-s a video: {a_day:,.0f} videos a day on {LANES} processors that do "
             f"nothing else (by processor time); {86_400 / ran['wall'] * count:,.0f} at the pace of this run.", ""]
    return lines, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rushes", required=True, type=lambda p: str(pathlib.Path(p).resolve()))
    parser.add_argument("--fixtures", type=lambda p: pathlib.Path(p).resolve(),
                        default=pathlib.Path("target/fixtures").resolve())
    parser.add_argument("--only", default="mixed,shorts")
    parser.add_argument("--shorts", type=int, default=100, help="how many short videos")
    parser.add_argument("--out", help="write STEM.md")
    args = parser.parse_args()
    # No models: what is measured is the batch.
    os.environ["XDG_CACHE_HOME"] = os.environ["HF_HUB_CACHE"] = "/nonexistent"
    lines, wrong = [], []
    for name, bench in [("mixed", bench_mixed), ("shorts", bench_shorts)]:
        if name in args.only.split(","):
            with tempfile.TemporaryDirectory(prefix="rushes-batch-") as top:
                more, bad = bench(args, pathlib.Path(top))
            lines += more
            wrong += bad
    load = os.getloadavg()[1]
    head = ["# Batches", "", f"`python3 benches/batch.py --rushes ... --only {args.only}`, {LANES} "
            f"processors, load {load:.1f} over the last five minutes.", ""]
    text = "\n".join(head + lines)
    print(text)
    print("\n".join(wrong), file=sys.stderr)
    if args.out:
        pathlib.Path(args.out + ".md").write_text(text)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
