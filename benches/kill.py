#!/usr/bin/env python3
"""Kills batches with SIGKILL, at every named point and at any moment, and looks at what is left.

    python3 benches/kill.py --rushes target/debug/rushes [--runs 1000] [--out STEM]

Each run has a folder of small films and a batch that makes frames of them. The batch is killed one to
three times, at a point of cli/src/batch/point.rs (a build with debug assertions is needed) or after a
random time, then run to its end. Then must hold: the queue says that every job is done, each was told
done exactly once (its log), and no output is missing, differs from what an undisturbed batch makes, or is
there twice. Exit code 1 if any run breaks that. Hidden folders in which a killed process was making its
output (`.rushes-*`) are counted: nothing looks into them, and the next attempt at the same job removes
those that are two seconds old.
"""

import argparse
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

FILMS = 4


def points():
    source = pathlib.Path(__file__).parent.parent / "cli/src/batch/point.rs"
    return re.findall(r'^    "([a-z-]+)",$', source.read_text(), re.M)


def make_films(folder):
    folder.mkdir()
    for n in range(FILMS):
        subprocess.run(
            ["ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", f"testsrc=size=64x48:rate=10:duration={n + 1}",
             "-pix_fmt", "yuv420p", "-y", folder / f"{n}.mp4"], check=True)


def words(args):
    return [args.rushes, "batch", "in", "--action", "frames", "-o", "out", "--every", "1s",
            "--threads", "2", "--lease", "2", "--json", "--quiet"]


def outputs(folder):
    """Every file below the output but the queue's, with its digest."""
    found = {}
    for file in sorted(folder.rglob("*")):
        name = str(file.relative_to(folder))
        if file.is_file() and not name.startswith("jobs.db"):
            data = file.read_bytes()
            if file.name == "manifest.json":
                # Says when and from which path it was made.
                data = json.dumps(sorted(json.loads(data))).encode()
            found[name] = hashlib.sha256(data).hexdigest()
    return found


def kill_once(args, folder, chance, point):
    env = dict(os.environ)
    if point:
        env["RUSHES_KILL_AT"] = f"{point}:{chance.randint(1, 3)}"
    child = subprocess.Popen(words(args), cwd=folder, env=env, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    try:
        child.wait(chance.uniform(0.0, args.longest) if not point else 60)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGKILL)
        child.wait()
    return child.returncode == -signal.SIGKILL


def check(args, folder, wanted):
    """What is wrong after the run to the end."""
    wrong = []
    done = subprocess.run(words(args), cwd=folder, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        wrong.append(f"exit code {done.returncode}: {done.stdout[-400:]} {done.stderr[-400:]}")
    jobs = [args.rushes, "jobs", "--queue", "out/jobs.db", "--json"]
    listed = subprocess.run([*jobs, "list"], cwd=folder, capture_output=True, text=True)
    listed = [json.loads(line) for line in listed.stdout.splitlines()]
    if len(listed) != FILMS:
        wrong.append(f"{len(listed)} jobs instead of {FILMS}")
    for job in listed:
        if job["state"] != "done":
            wrong.append(f"job {job['id']} is {job['state']}: {job['error']}")
        logs = subprocess.run([*jobs, "logs", str(job["id"])], cwd=folder, capture_output=True, text=True)
        ends = [line for line in map(json.loads, logs.stdout.splitlines()) if line["text"] == "done"]
        if len(ends) != 1:
            wrong.append(f"job {job['id']} was done {len(ends)} times")
    made = outputs(folder / "out")
    hidden = {name.split("/")[0] for name in made if name.startswith(".rushes-")}
    made = {name: digest for name, digest in made.items() if not name.startswith(".rushes-")}
    for name in sorted(set(made) ^ set(wanted)):
        wrong.append(f"{name} is {'too much' if name in made else 'missing'}")
    wrong += [f"{name} differs" for name in made if name in wanted and made[name] != wanted[name]]
    return wrong, len(hidden)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rushes", required=True, type=lambda p: str(pathlib.Path(p).resolve()))
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--longest", type=float, default=1.5, help="s to a kill at any moment, at most")
    parser.add_argument("--out", help="write STEM.md and STEM.json")
    args = parser.parse_args()
    names = points()
    began = time.time()
    rows = {name: [0, 0, 0, 0] for name in [*names, "any moment"]}
    failures = []
    with tempfile.TemporaryDirectory(prefix="rushes-kill-") as top:
        top = pathlib.Path(top)
        make_films(top / "films")
        calm = top / "calm"
        calm.mkdir()
        shutil.copytree(top / "films", calm / "in", copy_function=shutil.copy2)
        subprocess.run(words(args), cwd=calm, check=True, stdout=subprocess.DEVNULL)
        wanted = outputs(calm / "out")
        for run in range(args.runs):
            chance = random.Random(args.seed * 1_000_003 + run)
            folder = top / f"run{run}"
            folder.mkdir()
            shutil.copytree(top / "films", folder / "in", copy_function=shutil.copy2)
            # Every point in turn, and as often any moment.
            point = names[run // 2 % len(names)] if run % 2 == 0 else None
            row = rows[point or "any moment"]
            row[0] += 1
            for _ in range(chance.randint(1, 3)):
                row[1] += kill_once(args, folder, chance, point)
            wrong, hidden = check(args, folder, wanted)
            row[3] += hidden
            if wrong:
                row[2] += 1
                failures.append({"run": run, "point": point, "wrong": wrong})
                print(f"run {run} ({point or 'any moment'}): {'; '.join(wrong)}", file=sys.stderr)
            shutil.rmtree(folder)
    lines = ["| killed at | runs | kills | runs in which something was lost, changed or twice | hidden leftovers |",
             "|---|---|---|---|---|"]
    lines += [f"| {name} | {runs} | {kills} | {bad} | {left} |" for name, (runs, kills, bad, left) in rows.items()]
    total = [sum(column) for column in zip(*rows.values())]
    lines.append(f"| **all** | {total[0]} | {total[1]} | {total[2]} | {total[3]} |")
    text = "\n".join(lines)
    print(text)
    print(f"{time.time() - began:.0f} s")
    if args.out:
        about = (f"`python3 benches/kill.py --runs {args.runs} --seed {args.seed}`: {FILMS} films a run, "
                 "killed one to three times, then run to the end.")
        pathlib.Path(args.out + ".md").write_text(f"# Batches killed\n\n{about}\n\n{text}\n")
        record = {"runs": args.runs, "seed": args.seed, "rows": rows, "failures": failures}
        pathlib.Path(args.out + ".json").write_text(json.dumps(record, indent=1) + "\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
