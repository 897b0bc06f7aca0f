#!/usr/bin/env python3
"""Many small films in one library: what each costs, from the first to the last, and memory.

    cargo build --release -p rushes-cli && python3 benches/many.py [--count 1000] [--rushes BINARY]

One `rushes process FOLDER` over films of 2 s (160 x 90 with a tone), each of its own content. As each is
told on standard output, the clock and the resident bytes of the process (/proc/PID/status) are noted;
tenths of the run are compared. Then the same once more, when nothing has to be done. Results go to
benches/results/many-DATE.{json,md}. `--models DIR` lets the stages take part that need models.
"""

import argparse
import datetime
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

from measure import FIXTURES, TARGET, Failure, find_rushes, machine, made, output_of, say

HERE = Path(__file__).resolve().parent


def films(count):
    """A folder of that many films: one is encoded, the others are copies with another title."""
    folder = FIXTURES / f"many-{count}"
    if folder.is_dir() and sum(1 for _ in folder.iterdir()) == count:
        return folder
    first = made(
        "bench-small.mp4",
        ["-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25:duration=2"]
        + ["-f", "lavfi", "-i", "sine=frequency=330:sample_rate=16000:duration=2"]
        + ["-c:v", "libx264", "-preset", "veryfast", "-g", "25", "-pix_fmt", "yuv420p"]
        + ["-c:a", "aac", "-b:a", "48k", "-ac", "1"],
    )
    shutil.rmtree(folder, ignore_errors=True)
    part = folder.with_name(f".{folder.name}")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    say(f"making {count} films")
    bytes_of = first.read_bytes()
    for number in range(count):
        # A box of the kind `free` behind the film: another content, which every reader passes over.
        note = f"film {number}".encode()
        box = (8 + len(note)).to_bytes(4, "big") + b"free" + note
        (part / f"film-{number:05}.mp4").write_bytes(bytes_of + box)
    part.rename(folder)
    return folder


def status(pid, field):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return 0


def run(command, count):
    """Seconds and resident bytes as each film is told."""
    began = time.monotonic()
    child = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)
    rows, last = [], began
    try:
        for line in child.stdout:
            if json.loads(line)["type"] != "process":
                continue
            now = time.monotonic()
            rows.append({"seconds": now - last, "rss": status(child.pid, "VmRSS")})
            last = now
    finally:
        if child.wait() != 0:
            raise Failure(f"exit code {child.returncode}")
    if len(rows) != count:
        raise Failure(f"{len(rows)} of {count} films were told")
    return rows, time.monotonic() - began


def tenths(rows):
    size = len(rows) / 10
    parts = [rows[round(n * size) : round((n + 1) * size)] for n in range(10)]
    return [
        {
            "films": len(part),
            "ms": 1000 * sum(row["seconds"] for row in part) / len(part),
            "mb": max(row["rss"] for row in part) / 1e6,
        }
        for part in parts
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rushes", help="the binary (default: the release build)")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--models", help="folder of models (default: none takes part)")
    parser.add_argument("--note", default="", help="what is to be known of this run")
    parser.add_argument("args", nargs="*", help="further arguments of rushes process, after --")
    given = parser.parse_args()
    rushes = find_rushes(given.rushes)
    if not rushes:
        say("rushes: no binary (cargo build --release, or --rushes PATH)")
        return 1
    folder = films(given.count)
    out = TARGET / "bench-out" / "many"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    models = given.models or out / "no-models"
    command = [rushes, "process", folder, "--library", out / "library", "--json", "--quiet"]
    command += ["--models-dir", models, *given.args]
    try:
        first, first_took = run(command, given.count)
        again, again_took = run(command, given.count)
        output_of([rushes, "library", "verify", "--library", out / "library"])
    except Failure as failure:
        say(f"rushes process: {failure}")
        return 1
    finally:
        shutil.rmtree(out, ignore_errors=True)
    report = {
        "machine": machine(rushes),
        "note": given.note,
        "count": given.count,
        "first": {"seconds": first_took, "tenths": tenths(first)},
        "again": {"seconds": again_took, "tenths": tenths(again)},
    }
    day = datetime.date.today().isoformat()
    path = HERE / "results" / f"many-{day}"
    path.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    lines = [f"# {given.count} small films in one library, {day}", "", given.note, ""]
    lines += [f"{key}: {value}  " for key, value in report["machine"].items()]
    lines += ["", f"First run {first_took:.1f} s, the same again {again_took:.1f} s.", ""]
    lines += ["| tenth | ms a film | MB | again, ms a film | MB |", "|--:|--:|--:|--:|--:|"]
    for n, (a, b) in enumerate(zip(report["first"]["tenths"], report["again"]["tenths"])):
        cells = [n + 1, f"{a['ms']:.0f}", f"{a['mb']:.0f}", f"{b['ms']:.1f}", f"{b['mb']:.0f}"]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    path.with_suffix(".md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
