#!/usr/bin/env python3
"""Three hours of 1080p through `rushes process`: time, and that memory stays bounded.

    cargo build --release && python3 benches/long.py
"""

import argparse
import shutil
import sys

from measure import TARGET, Failure, duration, film_3h, find_rushes, machine, measure, say

# What the project promises for 1080p of any length.
PROMISE = 300e6


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rushes", help="the binary (default: the release build)")
    parser.add_argument("--make-only", action="store_true", help="only make the film")
    parser.add_argument("args", nargs="*", help="further arguments of rushes process, after --")
    options = parser.parse_args()
    film = film_3h()
    seconds = duration(film)
    say(f"{film.name}: {seconds / 3600:.2f} h, {film.stat().st_size / 1e6:.0f} MB")
    if options.make_only:
        return 0
    rushes = find_rushes(options.rushes)
    if not rushes:
        say("rushes: no binary (cargo build --release, or --rushes PATH)")
        return 1
    out = TARGET / "bench-out" / "long"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    try:
        sample = measure([rushes, "process", film, "--library", out, "--force", *options.args], limit=14400)
        files = sum(1 for path in out.rglob("*") if path.is_file())
    except Failure as failure:
        say(f"rushes process: {failure}")
        return 1
    finally:
        shutil.rmtree(out, ignore_errors=True)
    told = machine(rushes)
    print(f"{told['cpu']}, {told['cores']} cores; {told['rushes']}")
    print(
        f"wall {sample['wall']:.1f} s ({seconds / sample['wall']:.0f} times real time),"
        f" CPU {sample['cpu']:.1f} s, peak {sample['rss'] / 1e6:.0f} MB, {files} files"
    )
    if sample["rss"] > PROMISE or files == 0:
        say(f"that is not the promise: at most {PROMISE / 1e6:.0f} MB, and outputs")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
