#!/usr/bin/env python3
"""Rushes beside its peers: the same work on the same film in the same run.

    cargo build --release && python3 benches/run.py

Each work is done by every contender in turn, and that round is repeated, so that a slow minute of
the machine falls on all of them. Reported are medians of wall seconds, CPU seconds and peak
memory. A contender that cannot be installed, that fails, or whose output is not all there is
reported as such and gets no figures.
"""

import argparse
import datetime
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from measure import (
    ROOT,
    TARGET,
    Failure,
    duration,
    film_60s,
    film_bunny,
    find_rushes,
    machine,
    measure,
    output_of,
    probe,
    say,
)

PEERS = Path(__file__).resolve().parent / "peers"
VENV = TARGET / "bench-venv"

# What pip is asked for, and the name under which Python knows it.
PACKAGES = {
    "pyav": [("av", "av"), ("pillow", "PIL")],
    "opencv": [("opencv-python-headless", "cv2")],
    "decord": [("decord", "decord"), ("pillow", "PIL")],
    "torchcodec": [("torch", "torch"), ("torchcodec", "torchcodec"), ("pillow", "PIL")],
}

# About what JPEG quality 90 is in ffmpeg's scale; the peers' scripts ask for 90.
FFMPEG_JPEG = ["-q:v", "3"]


class Peer:
    """A Python package in the virtual environment, or the reason why it is not there."""

    def __init__(self, name):
        self.name, self.reason, self.version = name, None, None
        try:
            self.version = self.install()
        except Failure as failure:
            self.reason = str(failure)
            say(f"{name}: not measured: {failure}")

    def install(self):
        python = VENV / "bin" / "python"
        if not python.exists():
            say(f"making {VENV.name}")
            output_of([sys.executable, "-m", "venv", VENV])
        for package, module in PACKAGES[self.name]:
            if not self.imports(python, module):
                say(f"installing {package}")
                # Wheels only: a peer built here with unknown flags would be no fair peer.
                install = [python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:"]
                output_of([*install, package])
            if not self.imports(python, module):
                raise Failure(f"{package} is installed but cannot be imported")
        package = PACKAGES[self.name][0][0] if self.name != "torchcodec" else "torchcodec"
        show = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"
        return output_of([python, "-c", show, package]).strip()

    @staticmethod
    def imports(python, module):
        return subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode == 0

    def command(self, work, film, out):
        if self.reason:
            raise Failure(self.reason)
        return [VENV / "bin" / "python", PEERS / f"{self.name}.py", work, film, out]


def ffmpeg(film, before, after):
    return ["ffmpeg", "-nostdin", "-v", "error", "-y", *before, "-i", film, *after]


# --- Is the work done? -----------------------------------------------------------------------


def pictures(out, right, width, height):
    """As many JPEG files as one of the ranges says, which decode at the right size."""
    files = sorted(path for path in out.rglob("*.jp*g") if path.is_file())
    if not any(len(files) in numbers for numbers in right):
        said = " or ".join(f"{numbers[0]} to {numbers[-1]}" for numbers in right)
        raise Failure(f"wrote {len(files)} pictures where {said} are right")
    for path in (files[0], files[len(files) // 2], files[-1]):
        told = probe(path, "stream=width,height")
        if int(told["width"]) != width or abs(int(told["height"]) - height) > 1:
            raise Failure(f"{path.name} is {told['width']}x{told['height']}, not {width}x{height}")
        output_of(["ffmpeg", "-nostdin", "-v", "error", "-xerror", "-i", path, "-f", "null", "-"])
    return f"{len(files)} pictures"


def sheet(out, width, height):
    """One picture that holds the tiles and at most a modest border."""
    files = [path for path in out.iterdir() if path.suffix == ".jpg"]
    if len(files) != 1:
        raise Failure(f"wrote {len(files)} sheets")
    told = probe(files[0], "stream=width,height")
    w, h = int(told["width"]), int(told["height"])
    if not (width <= w <= width * 1.1 and height <= h <= height * 1.35):
        raise Failure(f"the sheet is {w}x{h}, the tiles alone are {width}x{height}")
    return f"{w}x{h}"


def sound(out, seconds):
    files = list(out.glob("*.wav"))
    if len(files) != 1:
        raise Failure(f"wrote {len(files)} WAV files")
    told = probe(files[0], "stream=sample_rate,channels:format=duration", "a:0")
    if (told["sample_rate"], told["channels"]) != ("16000", "1"):
        raise Failure(f"the sound is {told['sample_rate']} Hz, {told['channels']} channels")
    if abs(float(told["duration"]) - seconds) > 0.1:
        raise Failure(f"the sound lasts {told['duration']} s, the film's {seconds:.3f} s")
    return f"{float(told['duration']):.2f} s"


def anything(out):
    files = [path for path in out.rglob("*") if path.is_file() and path.stat().st_size > 0]
    if not files:
        raise Failure("wrote nothing")
    return f"{len(files)} files"


# --- The works -------------------------------------------------------------------------------


def works(film, rushes, peers):
    """name -> (what it is, check, {contender: command builder}) for one film."""
    told = probe(film, "stream=width,height")
    width, height = int(told["width"]), int(told["height"])
    small = round(320 * height / width)
    seconds = duration(film)
    keys = len(
        output_of(
            ["ffprobe", "-v", "error", "-select_streams", "v:0", "-skip_frame", "nokey"]
            + ["-show_entries", "frame=pts", "-of", "csv=p=0", film]
        ).split()
    )
    heard = probe(film, "stream=duration", "a:0")
    heard = float(heard["duration"]) if heard.get("duration", "N/A") != "N/A" else seconds
    # A frame per whole second; where the film ends decides whether there is one more or less.
    each_second = range(int(seconds) - 1, int(seconds) + 3)

    def ours(*words):
        def build(out):
            if not rushes:
                raise Failure("no binary: cargo build --release, or --rushes PATH")
            return [rushes, *(str(out / word[4:]) if word.startswith("OUT/") else word for word in words)]

        return build

    def peer(name, work):
        return lambda out: peers[name].command(work, film, out)

    def jpegs(before, after):
        return lambda out: ffmpeg(film, before, [*after, *FFMPEG_JPEG, out / "%05d.jpg"])

    film_word = str(film)
    nokey, vfr = ["-skip_frame", "nokey"], ["-fps_mode", "passthrough"]
    every = ["--every", "1s", "--exact", "--force"]
    exact_peers = [name for name in ("pyav", "opencv", "decord", "torchcodec") if name in peers]
    out = {
        "keyframes-320": (
            "a thumbnail 320 wide of each keyframe (contenders with fps=1 make one a second)",
            lambda at: pictures(at, [range(keys, keys + 1), each_second], 320, small),
            {
                "rushes": ours("frames", film_word, "-o", "OUT/", "--keyframes", "--width", "320", "--force"),
                "ffmpeg fps=1": jpegs([], ["-vf", "fps=1,scale=320:-2"]),
                "ffmpeg nokey": jpegs(nokey, [*vfr, "-vf", "scale=320:-2"]),
                "pyav": peer("pyav", "keyframes-320"),
            },
        ),
        "exact-1fps": (
            "the exact frame of each second, full size",
            lambda at: pictures(at, [each_second], width, height),
            {
                "rushes": ours("frames", film_word, "-o", "OUT/", *every),
                "ffmpeg fps=1": jpegs([], ["-vf", "fps=1"]),
                "ffmpeg noref fps=1 (not exact)": jpegs(["-skip_frame", "noref"], ["-vf", "fps=1"]),
                **{name: peer(name, "exact-1fps") for name in exact_peers},
            },
        ),
        "exact-1fps-320": (
            "the exact frame of each second, 320 wide",
            lambda at: pictures(at, [each_second], 320, small),
            {
                "rushes": ours("frames", film_word, "-o", "OUT/", *every, "--width", "320"),
                "ffmpeg fps=1": jpegs([], ["-vf", "fps=1,scale=320:-2"]),
                "ffmpeg noref fps=1 (not exact)": jpegs(
                    ["-skip_frame", "noref"], ["-vf", "fps=1,scale=320:-2"]
                ),
                **{name: peer(name, "exact-1fps-320") for name in exact_peers},
            },
        ),
        "sheet-5x4": (
            "a contact sheet of 5 x 4 tiles 320 wide",
            lambda at: sheet(at, 5 * 320, 4 * small),
            {
                "rushes": ours(
                    "sheet", film_word, "-o", "OUT/sheet.jpg", "--columns", "5", "--rows", "4",
                    "--tile-width", "320", "--force",
                ),
                "ffmpeg nokey tile": lambda at: ffmpeg(
                    film, nokey, ["-vf", "scale=320:-2,tile=5x4", "-frames:v", "1", *FFMPEG_JPEG, at / "sheet.jpg"]
                ),
            },
        ),
        "wav-16k-mono": (
            "the sound as 16 kHz mono WAV",
            lambda at: sound(at, heard),
            {
                "rushes": ours("audio", film_word, "-o", "OUT/a.wav", "--rate", "16k", "--mono", "--force"),
                "ffmpeg": lambda at: ffmpeg(film, [], ["-vn", "-ac", "1", "-ar", "16000", at / "a.wav"]),
            },
        ),
        "process": (
            "everything `rushes process` does; no peer does the same, so this is for its memory",
            anything,
            {"rushes": ours("process", film_word, "--library", "OUT/", "--force")},
        ),
    }
    return out


def compare(name, check, contenders, rounds, scratch):
    """All contenders in turn, `rounds` times; what came of each."""
    results = {who: {"samples": [], "output": None, "failed": None} for who in contenders}
    for number in range(rounds):
        # Another one begins each round: who follows whom shall not matter.
        order = list(contenders)
        order = order[number % len(order) :] + order[: number % len(order)]
        for who in order:
            result = results[who]
            if result["failed"]:
                continue
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir(parents=True)
            try:
                result["samples"].append(measure(contenders[who](scratch)))
                result["output"] = check(scratch)
            except Failure as failure:
                result["failed"] = str(failure)
                say(f"  {name}: {who}: {failure}")
    shutil.rmtree(scratch, ignore_errors=True)
    for result in results.values():
        if not result["failed"]:
            for key in ("wall", "cpu", "rss"):
                result[key] = statistics.median(sample[key] for sample in result["samples"])
    base = results.get("rushes", {})
    for result in results.values():
        for key in ("wall", "cpu", "rss"):
            if base.get(key) and result.get(key):
                result[f"{key}_ratio"] = result[key] / base[key]
    return results


# --- The report ------------------------------------------------------------------------------


def markdown(report):
    told = report["machine"]
    lines = [
        f"# Media benchmarks of {report['date']}",
        "",
        f"{told['cpu']}, {told['cores']} cores, {told['memory']}; {told['system']}; {told['ffmpeg']};"
        f" {told['rustc']}; {told['rushes']}. Load before the run: {told['load']:.2f}.",
        f"Medians of {report['rounds']} interleaved rounds, page cache warm. A ratio is the"
        " contender's cost by that of rushes in the same run: above 1, rushes is cheaper.",
        "",
    ]
    for name, state in report["peers"].items():
        lines.append(f"- {name}: {state['version'] or 'not measured: ' + state['reason']}")
    for film in report["films"]:
        lines += ["", f"## {film['name']}", "", film["facts"]]
        for work in film["works"]:
            lines += ["", f"### {work['name']}: {work['what']}", ""]
            lines.append("| contender | wall s | CPU s | peak MB | wall ratio | CPU ratio | memory ratio | output |")
            lines.append("|---|---:|---:|---:|---:|---:|---:|---|")
            for who, result in work["results"].items():
                if result["failed"]:
                    lines.append(f"| {who} | | | | | | | not measured: {result['failed']} |")
                    continue
                ratio = [
                    f"{result[key]:.2f}" if key in result else "-"
                    for key in ("wall_ratio", "cpu_ratio", "rss_ratio")
                ]
                lines.append(
                    f"| {who} | {result['wall']:.2f} | {result['cpu']:.2f} |"
                    f" {result['rss'] / 1e6:.0f} | {' | '.join(ratio)} | {result['output']} |"
                )
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rushes", help="the binary (default: the release build)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--with-torch", action="store_true", help="install and measure torchcodec")
    parser.add_argument("--no-peers", action="store_true", help="ffmpeg only, no Python packages")
    parser.add_argument("--only", metavar="TEXT", help="works whose name contains TEXT")
    parser.add_argument("--film", action="append", choices=["synthetic", "bunny"])
    parser.add_argument("--results", type=Path, default=ROOT / "benches" / "results")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds is at least 1")

    rushes = find_rushes(options.rushes)
    if not rushes:
        say("rushes: no binary (cargo build --release, or --rushes PATH): reported as missing")
    names = [] if options.no_peers else ["pyav", "opencv", "decord"]
    if options.with_torch and not options.no_peers:
        names.append("torchcodec")
    peers = {name: Peer(name) for name in names}
    report = {
        "date": datetime.date.today().isoformat(),
        "rounds": options.rounds,
        "machine": machine(rushes),
        "peers": {name: {"version": p.version, "reason": p.reason} for name, p in peers.items()},
        "films": [],
    }
    if options.no_peers:
        report["peers"]["Python packages"] = {"version": None, "reason": "left out by --no-peers"}
    elif not options.with_torch:
        report["peers"]["torchcodec"] = {"version": None, "reason": "needs --with-torch"}
    if "pyav" not in peers:
        peers["pyav"] = argparse.Namespace(command=lambda *_: missing("left out by --no-peers"))

    scratch = TARGET / "bench-out" / str(os.getpid())
    for which in options.film or ["synthetic", "bunny"]:
        try:
            film = film_60s() if which == "synthetic" else film_bunny(rushes)
        except Failure as failure:
            say(f"{which}: {failure}")
            report["films"].append({"name": which, "facts": f"not measured: {failure}", "works": []})
            continue
        told = probe(film, "stream=codec_name,width,height,avg_frame_rate,bit_rate:format=duration")
        facts = (
            f"{told['codec_name']} {told['width']}x{told['height']}, {told['avg_frame_rate']} frames/s,"
            f" {float(told['duration']):.1f} s, {int(told['bit_rate']) / 1e6:.1f} Mb/s"
        )
        entry = {"name": film.name, "facts": facts, "works": []}
        report["films"].append(entry)
        warm(film)
        for name, (what, check, contenders) in works(film, rushes, peers).items():
            if options.only and options.only not in name:
                continue
            say(f"{film.name}: {name}")
            results = compare(name, check, contenders, options.rounds, scratch)
            entry["works"].append({"name": name, "what": what, "results": results})

    options.results.mkdir(parents=True, exist_ok=True)
    stem = options.results / f"media-{report['date']}"
    stem.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    text = markdown(report)
    stem.with_suffix(".md").write_text(text)
    print(text)
    say(f"written: {stem}.json and {stem}.md")
    failed = [
        work["name"]
        for film in report["films"]
        for work in film["works"]
        if work["results"]["rushes"]["failed"]
    ]
    # A run in which rushes itself did not do its work must not pass for a result.
    return 1 if failed else 0


def warm(film):
    """Into the page cache, for the first contender as for the last. In small pieces: memory that
    this process has ever used is the floor of what it measures in others."""
    with film.open("rb", buffering=0) as file:
        while file.read(1 << 20):
            pass


def missing(reason):
    raise Failure(reason)


if __name__ == "__main__":
    sys.exit(main())
