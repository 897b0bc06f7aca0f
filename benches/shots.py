#!/usr/bin/env python3
"""Shots by Rushes beside PySceneDetect and a plain decode by ffmpeg, on the same clips.

    cargo build --release -p rushes-cli && python3 benches/shots.py

Quality: precision, recall and F1 of boundaries within two frames, on third-party clips with
published boundaries, on films made here, and on one of clips that no threshold was chosen on.
Speed: medians of interleaved rounds, each contender in a process of its own. Python packages come from PyPI into target/bench-shots-peers.
"""

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import venv
from pathlib import Path

from measure import ROOT, TARGET, Failure, machine, measure, output_of, say

MADE = TARGET / "bench-shots"
VENV = TARGET / "bench-shots-peers"
PACKAGES = ["scenedetect==0.7", "opencv-python-headless"]
DETECT = "import sys,scenedetect as s;d=getattr(s,sys.argv[2])();print([a.frame_num for a,_ in s.detect(sys.argv[1],d)])"
SHARED = ROOT.parent / "shared" / "data" / "3-frames-shots" / "pyscenedetect"
# What the table of fades leaves out: a dissolve that is there for anyone to see.
ALSO = {"testvideo.mp4": [543]}
SIZE, RATE = "1280x720", 25
SCENES = {
    "bars": f"smptehdbars=size={SIZE}:rate={RATE}",
    "test": f"testsrc2=size={SIZE}:rate={RATE}",
    "set": f"mandelbrot=size={SIZE}:rate={RATE}:start_scale=0.5:end_scale=0.1",
    "ramp": f"gradients=size={SIZE}:rate={RATE}:c0=navy:c1=orange:c2=white:n=3:seed=7:speed=0.002",
    "rgb": f"rgbtestsrc=size={SIZE}:rate={RATE}",
}


def film(name, scenes, graph, gop=50):
    """A film of `scenes` (name, frames) joined by `graph`; keyframes at fixed places."""
    path = MADE / f"{name}.mp4"
    if not path.exists():
        MADE.mkdir(parents=True, exist_ok=True)
        inputs = [w for s, n in scenes for w in ("-t", str(n / RATE), "-f", "lavfi", "-i", SCENES[s])]
        command = ["ffmpeg", "-v", "error", "-y", *inputs, "-filter_complex", graph, "-c:v", "libx264",
                   "-preset", "medium", "-pix_fmt", "yuv420p", "-g", str(gop), "-sc_threshold", "0"]
        subprocess.run([*command, path.with_suffix(".part.mp4")], check=True)
        path.with_suffix(".part.mp4").rename(path)
    return path


def made():
    """Films made here: (path, starts of their shots in frames)."""
    order = ["bars", "test", "set", "ramp", "rgb"]
    scenes = [(order[i % 5], n) for i, n in enumerate([83, 131, 67, 149, 45, 112, 96, 38, 177, 61])]
    starts = [sum(n for _, n in scenes[:i]) for i in range(len(scenes))]
    yield film("cuts", scenes, f"concat=n={len(scenes)},format=yuv420p"), starts
    graph = "[0][1]xfade=fade:duration=1:offset=3[a];[a][2]xfade=fade:duration=0.6:offset=6.4,format=yuv420p"
    yield film("dissolves", [("bars", 100), ("test", 110), ("ramp", 100)], graph), [0, 88, 168]
    graph = "[0]fade=out:st=2:d=1[a];[1]fade=in:d=1,fade=out:st=3:d=1[b];[2]fade=in:d=1[c];[a][b][c]concat=n=3,format=yuv420p"
    yield film("fades", [("bars", 75), ("test", 100), ("ramp", 100)], graph), [0, 75, 175]
    graph = "[0]drawbox=c=white:t=fill:enable='lt(mod(n,8),2)*between(n,30,120)',format=yuv420p"
    yield film("strobe", [("test", 200)], graph), [0]


# Clips that no threshold was chosen on: (file below shared/data, first second, frames), joined by cuts.
HELD_OUT = [
    ("1-video/carphone_pristine.mp4", 0.0, 71),
    ("1-video/bigbuckbunny.mp4", 0.0, 97),
    ("1-video/A4.webm", 0.0, 53),
    ("1-video/hdr10-av1.mp4", 0.0, 89),
    ("3-frames-shots/torchcodec/nasa_13013.mp4", 8.0, 91),
    ("1-video/bt601.mov", 0.0, 24),
    ("1-video/carphone_distorted.mp4", 1.0, 62),
    ("1-video/sample_h265.ts", 0.0, 24),
    ("1-video/movie_300.mp4", 20.0, 110),
]
CODERS = {
    "x264": ["-c:v", "libx264", "-preset", "medium"],
    "x264-fixed": ["-c:v", "libx264", "-preset", "medium", "-sc_threshold", "0"],
    "mpeg4": ["-c:v", "mpeg4", "-q:v", "4", "-bf", "2"],
}


def held_out():
    """The clips of HELD_OUT as one film, coded in several ways: (path, starts of its shots)."""
    data = ROOT.parent / "shared" / "data"
    if not all((data / name).exists() for name, _, _ in HELD_OUT):
        return
    inputs, chains, starts, at = [], [], [], 0
    for n, (name, first, frames) in enumerate(HELD_OUT):
        inputs += ["-ss", str(first), "-i", data / name]
        chains.append(
            f"[{n}:v:0]fps={RATE},scale={SIZE.replace('x', ':')}:force_original_aspect_ratio=increase,"
            f"crop={SIZE.replace('x', ':')},setsar=1,format=yuv420p,tpad=stop=-1:stop_mode=clone,"
            f"trim=end_frame={frames},setpts=N/{RATE}/TB[v{n}]"
        )
        starts.append(at)
        at += frames
    graph = ";".join(chains) + ";" + "".join(f"[v{n}]" for n in range(len(HELD_OUT)))
    graph += f"concat=n={len(HELD_OUT)}"
    for coder, options in CODERS.items():
        path = MADE / f"held-out-{coder}.mp4"
        if not path.exists():
            MADE.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part.mp4")
            command = ["ffmpeg", "-v", "error", "-y", *inputs, "-filter_complex", graph, *options, "-g", "50"]
            subprocess.run([*command, part], check=True)
            part.rename(path)
        yield path, starts


def third_party():
    table = SHARED / "boundaries.tsv"
    for line in table.read_text().splitlines()[1:] if table.exists() else []:
        name, frames = line.split("\t")
        yield SHARED / name, sorted([int(n) for n in frames.split(",")] + ALSO.get(name, []))


def score(found, true, within=2):
    left, hits = list(true), 0
    for frame in found:
        near = [t for t in left if abs(t - frame) <= within]
        if near:
            left.remove(min(near, key=lambda t: abs(t - frame)))
            hits += 1
    return hits, len(found), len(true)


def f1(hits, found, true):
    return 2 * hits / (found + true) if found + true else 1.0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rushes", type=Path, default=TARGET / "release" / "rushes")
    parser.add_argument("--models-dir", type=Path, default=ROOT / "target" / "models")
    parser.add_argument("--python", type=Path, help="interpreter that has scenedetect")
    parser.add_argument("--films", type=Path, nargs="*", default=[], help="more films to time")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--note", default="", help="goes into the report")
    args = parser.parse_args()
    python = args.python or VENV / "bin" / "python"
    if not python.exists():
        venv.create(VENV, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], check=True)

    def rushes(*options):
        return lambda film: [args.rushes, "-q", "shots", film, "--format", "json", *options]

    contenders = {
        "rushes fast": rushes(),
        "rushes fast, every frame": rushes("--full"),
        "rushes transnet": rushes("--detector", "transnet", "--models-dir", args.models_dir),
        "scenedetect adaptive": lambda film: [python, "-W", "ignore", "-c", DETECT, film, "AdaptiveDetector"],
        "scenedetect content": lambda film: [python, "-W", "ignore", "-c", DETECT, film, "ContentDetector"],
        "scenedetect threshold": lambda film: [python, "-W", "ignore", "-c", DETECT, film, "ThresholdDetector"],
    }

    def starts(name, film):
        out = output_of(contenders[name](film))
        found = [s["start_frame"] for s in json.loads(out)["shots"]] if "rushes" in name else json.loads(out)
        # The film's start is nobody's find.
        return [n for n in found if n > 0]

    quality = {name: {} for name in contenders}
    clips = [*third_party(), *made(), *held_out()]
    for path, true in clips:
        for name in contenders:
            try:
                found = starts(name, path)
                quality[name][path.stem if path.parent == MADE else path.name] = {
                    "found": found, "true": true[1:], "score": score(found, true[1:])}
                say(path.name, name, found)
            except Failure as failure:
                say(path.name, name, failure)

    # Who could not run at all (a model that is not here) has no place in the table.
    quality = {name: found for name, found in quality.items() if found}

    speed = {}
    decode = {"ffmpeg decode": lambda film: ["ffmpeg", "-v", "error", "-i", film, "-map", "0:v:0", "-f", "null", "-"]}
    timed = {k: v for k, v in contenders.items() if k in ("rushes fast", "rushes fast, every frame", "scenedetect adaptive")}
    timed |= decode
    for film_path in [MADE / "cuts.mp4", *args.films]:
        rounds = {name: [] for name in timed}
        for _ in range(args.rounds):
            for name, command in timed.items():
                try:
                    rounds[name].append(measure(command(film_path)))
                except Failure as failure:
                    say(film_path.name, name, failure)
        speed[film_path.name] = {
            name: {key: statistics.median(r[key] for r in runs) for key in ("wall", "cpu", "rss")}
            for name, runs in rounds.items() if runs
        }
        say(film_path.name, speed[film_path.name])

    lines = ["# Shots", "", "; ".join(f"{k}: {v}" for k, v in machine(args.rushes).items()), ""]
    lines += [args.note, ""] if args.note else []
    names = sorted({clip for found in quality.values() for clip in found})
    lines += ["F1 of boundaries within two frames:", "", "| contender | " + " | ".join(names) + " | all |",
              "|---|" + "---|" * (len(names) + 1)]
    for name, found in quality.items():
        scores = [found[clip]["score"] if clip in found else (0, 0, 1) for clip in names]
        total = f1(*(sum(column) for column in zip(*scores)))
        lines.append(f"| {name} | " + " | ".join(f"{f1(*s):.2f}" for s in scores) + f" | {total:.2f} |")
    for clip, found in speed.items():
        own = found.get("rushes fast")
        lines += ["", f"Time for {clip}, medians of {args.rounds}:", "",
                  "| contender | wall s | CPU s | peak MB | wall / rushes fast | CPU / rushes fast |", "|---|---|---|---|---|---|"]
        for name, m in found.items():
            lines.append(f"| {name} | {m['wall']:.2f} | {m['cpu']:.2f} | {m['rss'] / 1e6:.0f} | "
                         f"{m['wall'] / own['wall']:.1f} | {m['cpu'] / own['cpu']:.1f} |")
    text = "\n".join(lines) + "\n"
    print(text)
    results = ROOT / "benches" / "results"
    day = datetime.date.today().isoformat()
    (results / f"shots-{day}.md").write_text(text)
    (results / f"shots-{day}.json").write_text(json.dumps({"quality": quality, "speed": speed}, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
