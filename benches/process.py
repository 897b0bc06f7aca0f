#!/usr/bin/env python3
"""`rushes process` beside the separate tools that people glue together, on the same films.

    cargo build --release -p rushes-cli && python3 benches/process.py

The tools: whisper.cpp (pywhispercpp, the same ggml weights, one thread), PySceneDetect
(AdaptiveDetector), ffmpeg (a picture every 5 s), sentence-transformers (MiniLM, the same weights, the
sentences that whisper.cpp heard), hnswlib (their vectors). Each runs in a process of its own, its
start included: that is how they are glued together. Rushes makes all that in one run, and besides
the contact sheet, sound file, what is shown, features and report. CPU seconds count, on both sides
of everything, in turns.
"""

import argparse
import datetime
import json
import shutil
import statistics
import sys
from pathlib import Path

from measure import ROOT, TARGET, Failure, duration, film_bunny, find_rushes, machine, made, measure, output_of, say

HERE = Path(__file__).resolve().parent
MADE = TARGET / "bench-process"
MODELS = ["whisper-tiny-q8", "silero-vad", "onnxruntime", "all-minilm-l6-v2", "efficientnet-lite0"]
SLIDES, SLIDE_SECONDS = 60, 20


def talk(speech):
    """20 min of speech under slides that change every 20 s."""
    slides = [f"gradients=size=1280x720:rate=1:n={2 + i % 5}:seed={i * 7 + 1}:duration=1" for i in range(SLIDES)]
    graph = ";".join(f"{s}[v{i}]" for i, s in enumerate(slides))
    graph += ";" + "".join(f"[v{i}]" for i in range(SLIDES)) + f"concat=n={SLIDES},format=yuv420p[v]"
    return made(
        "bench-talk-20min.mp4",
        # A frame for each slide, then each for its 20 s.
        ["-filter_complex", graph, "-map", "[v]", "-c:v", "libx264", "-qp", "0", "-preset", "ultrafast"],
        ["-itsscale", str(SLIDE_SECONDS), "-i", "INPUT", "-stream_loop", "-1", "-i", speech, "-map", "0:v", "-map", "1:a"]
        + ["-vf", "fps=25", "-t", str(SLIDES * SLIDE_SECONDS), "-c:v", "libx264", "-preset", "veryfast", "-g", "50"]
        + ["-c:a", "aac", "-b:a", "96k", "-movflags", "+faststart"],
    )


def narrated(rushes, models):
    """The demo's film: 30 s of pictures, 44 s of narration."""
    path = MADE / "narrated.mp4"
    if not path.exists():
        pulled = output_of([rushes, "models", "pull", "two-cities", "--models-dir", models])
        narration = pulled.strip().splitlines()[-1]
        output_of([rushes, "mux", film_bunny(rushes), "--audio", narration, "-o", path])
    return path


def tools(film, folder, args):
    """The separate tools, each a name and a command."""
    peers = HERE / "peers"
    wav = folder / "sound.wav"
    ggml = args.models_dir / "whisper-tiny-q8" / "ggml-tiny-q8.bin"
    heard, vectors = folder / "heard.json", folder / "vectors.npy"
    (folder / "frames").mkdir()
    return [
        ("ffmpeg (sound)", ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", film, "-vn", "-ac", "1", "-ar", "16000", wav]),
        ("whisper.cpp", [args.speech_python, peers / "whisper_cpp.py", ggml, heard, "en", "plain", wav]),
        ("scenedetect", [args.shots_python, peers / "shots_by_scenedetect.py", film, folder / "shots.json"]),
        ("ffmpeg (pictures)", ["ffmpeg", "-nostdin", "-v", "error", "-threads", "2", "-i", film, "-vf", "fps=1/5,scale=640:-2", "-q:v", "3", folder / "frames" / "%04d.jpg"]),
        ("sentence-transformers", [args.embed_python, peers / "sentences.py", args.models_dir / "all-minilm-l6-v2", heard, vectors]),
        ("hnswlib", [args.index_python, peers / "index_by_hnswlib.py", vectors, folder / "index.bin"]),
    ]


def once(film, args):
    """One turn: what each tool and Rushes took."""
    folder = MADE / "out"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    taken = {}
    try:
        for name, command in tools(film, folder, args):
            taken[name] = measure(command)
            say(f"  {name}: {taken[name]['cpu']:.2f} CPU-s")
        command = [args.rushes, "process", film, "--library", folder / "library"]
        command += ["--models-dir", args.models_dir, "--model", "tiny-q8", "--language", "en", "-q"]
        taken["rushes process"] = measure(command)
        say(f"  rushes process: {taken['rushes process']['cpu']:.2f} CPU-s")
        taken["rushes process, again"] = measure(command)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return taken


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rushes", help="the binary (default: the release build)")
    parser.add_argument("--models-dir", type=Path, default=TARGET / "bench-models")
    parser.add_argument("--speech", type=Path, default=TARGET / "bench-speech" / "joined.wav", help="speech.py makes it")
    for tool in ("speech", "shots", "embed", "index"):
        parser.add_argument(f"--{tool}-python", default=sys.executable, help=f"the Python of the {tool} peer")
    parser.add_argument("--films", default="demo,talk", help="which, with commas (default: both)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--note", default="", help="goes into the report")
    args = parser.parse_args()
    args.rushes = find_rushes(args.rushes) or sys.exit("no binary: cargo build --release")
    MADE.mkdir(parents=True, exist_ok=True)
    output_of([args.rushes, "models", "pull", *MODELS, "--models-dir", args.models_dir])
    report = {"date": datetime.date.today().isoformat(), "machine": machine(args.rushes), "note": args.note, "films": {}}
    films = {"demo": lambda: narrated(args.rushes, args.models_dir), "talk": lambda: talk(args.speech)}
    for path in (films[name]() for name in args.films.split(",")):
        say(path.name)
        turns = [once(path, args) for _ in range(args.rounds)]
        taken = {
            name: {key: statistics.median(turn[name][key] for turn in turns) for key in turns[0][name]}
            for name in turns[0]
        }
        separate = sum(t["cpu"] for name, t in taken.items() if not name.startswith("rushes"))
        report["films"][path.name] = {
            "seconds": duration(path),
            "taken": taken,
            "separate_cpu": separate,
            "ratio": taken["rushes process"]["cpu"] / separate,
        }
    results = HERE / "results" / f"process-{report['date']}"
    results.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    results.with_suffix(".md").write_text(markdown(report))
    print(markdown(report))


def markdown(report):
    m = report["machine"]
    lines = [
        f"# One run instead of six tools, {report['date']}",
        "",
        f"{m['cpu']}, {m['cores']} cores, {m['memory']}, {m['system']}; {m['ffmpeg']}; load {m['load']:.1f} at the start.",
    ]
    if report["note"]:
        lines += ["", report["note"]]
    for name, film in report["films"].items():
        lines += ["", f"## {name}, {film['seconds']:.0f} s", "", "| | CPU s | wall s | peak MB |", "|---|--:|--:|--:|"]
        rows = sorted(film["taken"].items(), key=lambda row: row[0].startswith("rushes"))
        for tool, t in rows:
            lines.append(f"| {tool} | {t['cpu']:.2f} | {t['wall']:.2f} | {t['rss'] / 1e6:.0f} |")
        lines += ["", f"The tools together: {film['separate_cpu']:.2f} CPU s. Rushes: **{film['ratio']:.2f} of that**."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"process: {failure}")
