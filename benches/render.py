#!/usr/bin/env python3
"""Rendering by Rushes beside ffmpeg (one filter graph), MoviePy and melt with the same x264 settings, on
the same film in the same run.

    make bench-render            # installs MoviePy and auto-editor beside the build, and melt if it can
    python3 benches/render.py --moviepy PYTHON --auto-editor PROGRAM

The reel: four cuts of 3 s from 16:9 to 9:16 with a logo, captions whose words light up as they are
said, and a loudness. Cuts only: 3 s and 30 s out of a film with a keyframe every 2 s. Variants: 50 films
of 12 s that differ in a quarter. An edited caption: one of twenty in 60 s. A contact sheet. Speed is CPU
seconds, children included, medians of interleaved rounds; peak memory is that of the largest process.
"""

import argparse
import datetime
import json
import shutil
import statistics
import struct
import subprocess
import sys
import zlib
from pathlib import Path

from measure import FIXTURES, TARGET, Failure, film_bunny_60s, machine, measure, output_of, say

OUT = TARGET / "bench-render"
HERE = Path(__file__).resolve().parent
SPEED = "fast"
AAC = ["-c:a", "aac", "-b:a", "192k"]
CUTS = {"cut of 3 s": (11.3, 14.3), "cut of 30 s": (10.7, 40.7)}
REEL = [(3.2, 6.2), (20.1, 23.1), (33.7, 36.7), (51.4, 54.4)]
WORDS = "the quick brown fox jumps over a lazy dog while everyone keeps talking about it".split()
LOUDNESS, PEAK = -16, -1.5


def x264():
    return ["-c:v", "libx264", "-preset", SPEED, "-crf", "18", "-pix_fmt", "yuv420p"]


def logo():
    """A disc with a soft edge as PNG, 160 x 160."""
    path = FIXTURES / "bench-logo.png"
    if path.exists():
        return path
    rows = bytearray()
    for y in range(160):
        rows.append(0)
        for x in range(160):
            far = ((x - 79.5) ** 2 + (y - 79.5) ** 2) ** 0.5
            rows += bytes([240, 180, 40, max(0, min(255, int((78 - far) * 128)))])

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 160, 160, 8, 6, 0, 0, 0))
    png += chunk(b"IDAT", zlib.compress(bytes(rows))) + chunk(b"IEND", b"")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png)
    return path


def phrases(seconds):
    """Captions of four words, each word 0.4 s, a phrase every 2 s: (start, [(start, end, word)])."""
    made = []
    for n in range(int(seconds / 2)):
        start = n * 2 + 0.2
        words = [WORDS[(n * 4 + i) % len(WORDS)] for i in range(4)]
        made.append([(start + i * 0.4, start + i * 0.4 + 0.4, word) for i, word in enumerate(words)])
    return made


def stamp(seconds, separator="."):
    """00:00:12.345"""
    millis = round(seconds * 1000)
    return f"{millis // 3600000:02}:{millis // 60000 % 60:02}:{millis // 1000 % 60:02}{separator}{millis % 1000:03}"


def vtt(path, captions):
    lines = ["WEBVTT", ""]
    for words in captions:
        text = " ".join((f"<{stamp(a)}>" if i else "") + word for i, (a, _, word) in enumerate(words))
        lines += [f"{stamp(words[0][0])} --> {stamp(words[-1][1])}", text, ""]
    path.write_text("\n".join(lines))
    return path


def ass(path, captions):
    """The same for libass: words turn from white to yellow as they are said."""
    head = """[Script Info]
ScriptType: v4.00+
PlayResX: 1080
PlayResY: 1920

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: D,DejaVu Sans,76,&H0000DEFF,&H00FFFFFF,&H00000000,&H00000000,1,0,0,0,100,100,0,0,1,5,0,2,60,60,300,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""
    lines = []
    for words in captions:
        text = " ".join(f"{{\\k{round((b - a) * 100)}}}{word}" for a, b, word in words)
        start, end = (stamp(t)[1:-1] for t in (words[0][0], words[-1][1]))
        lines.append(f"Dialogue: 0,{start},{end},D,,0,0,0,,{text}")
    path.write_text(head + "\n".join(lines) + "\n")
    return path


def reel_spec(film, crf=18):
    items = [{"asset": "film", "from": f"{a}s", "to": f"{b}s", "fit": "cover"} for a, b in REEL]
    spec = {
        "rushes": 1,
        "canvas": {"size": "1080x1920", "rate": 30},
        "assets": {"film": {"file": str(film)}, "logo": {"image": str(logo())}},
        "video": [
            {"items": items},
            {"items": [{"asset": "logo", "length": "12s", "place": {"x": 0.85, "y": 0.08}}]},
        ],
        "captions": [{"file": str(vtt(OUT / "reel.vtt", phrases(12))), "y": 0.8, "active": "#ffde00",
                      "look": {"size": 0.07, "outline": {"width": 0.07}}}],
        "sound": {"loudness": LOUDNESS, "true_peak": PEAK},
        "outputs": [{"video": {"preset": SPEED, "crf": crf}, "audio": {"bitrate": 192000}}],
    }
    path = OUT / f"reel-{crf}.json"
    path.write_text(json.dumps(spec))
    return path


FFMPEG = ["ffmpeg", "-nostdin", "-v", "error", "-y"]


def reel_by_ffmpeg(film, out):
    inputs = [w for a, b in REEL for w in ("-ss", str(a), "-to", str(b), "-i", film)]
    cuts = "".join(
        f"[{i}:v]crop=608:1080,scale=1080:1920,setsar=1,fps=30[v{i}];" for i in range(len(REEL))
    )
    pairs = "".join(f"[v{i}][{i}:a]" for i in range(len(REEL)))
    captions = ass(OUT / "reel.ass", phrases(12))
    graph = (f"{cuts}{pairs}concat=n={len(REEL)}:v=1:a=1[c][a];[c][{len(REEL)}:v]overlay=838:74[l];"
             f"[l]subtitles={captions},format=yuv420p[v];"
             f"[a]loudnorm=I={LOUDNESS}:TP={PEAK},aformat=sample_rates=48000:channel_layouts=stereo[s]")
    return [*FFMPEG, *inputs, "-i", logo(), "-filter_complex", graph, "-map", "[v]", "-map", "[s]",
            *x264(), *AAC, out]


def melt_profile():
    path = OUT / "vertical.profile"
    path.write_text("description=vertical\nframe_rate_num=30\nframe_rate_den=1\nwidth=1080\nheight=1920\n"
                    "progressive=1\nsample_aspect_num=1\nsample_aspect_den=1\ndisplay_aspect_num=9\n"
                    "display_aspect_den=16\ncolorspace=709\n")
    return path


def melt_consumer(out):
    return ["-consumer", f"avformat:{out}", "vcodec=libx264", f"preset={SPEED}", "crf=18", "pix_fmt=yuv420p",
            "acodec=aac", "ab=192k", "real_time=-1", "terminate_on_pause=1"]


def reel_by_melt(film, out):
    cuts = [w for a, b in REEL
            for w in (film, f"in={round(a * 30)}", f"out={round(b * 30) - 1}", "-attach-cut", "crop", "center=1")]
    captions = ass(OUT / "reel.ass", phrases(12))
    return ["melt", "-silent", "-profile", melt_profile(), *cuts, "-track", logo(), "out=359",
            "-transition", "composite", "a_track=0", "b_track=1", "geometry=838/74:160x160",
            "-filter", "avfilter.subtitles", f"av.filename={captions}",
            "-filter", "dynamic_loudness", f"target_loudness={LOUDNESS}", *melt_consumer(out)]


def reel_by_moviepy(python, film, out):
    job = OUT / "reel-moviepy.json"
    job.write_text(json.dumps({"film": str(film), "cuts": REEL, "logo": str(logo()), "out": str(out), "preset": SPEED,
                               "captions": phrases(12), "loudness": LOUDNESS}))
    return [python, HERE / "render" / "by_moviepy.py", "reel", job]


def caption_spec(film, edited, out):
    """60 s with twenty captions of 2.6 s; `edited` has another word in the tenth."""
    words = [f"Caption number {n} of twenty" for n in range(20)]
    if edited:
        words[9] = "Something else is said here"
    lines = []
    for n, text in enumerate(words):
        # Speech keeps to no grid.
        start = n * 3 + 0.9 * (n % 5) / 4 + 0.1 * (n % 3)
        lines += [str(n + 1), f"{stamp(start, ',')} --> {stamp(start + 2.3, ',')}", text, ""]
    srt = OUT / f"captions-{out}.srt"
    srt.write_text("\n".join(lines))
    spec = {
        "rushes": 1,
        "canvas": {"size": "1920x1080", "rate": 30},
        "assets": {"film": {"file": str(film)}},
        "video": [{"items": [{"asset": "film"}]}],
        "captions": [{"file": str(srt), "look": {"size": 0.06, "outline": {}}}],
        "outputs": [{"video": {"preset": SPEED, "crf": 18}}],
    }
    path = OUT / f"captions-{out}.json"
    path.write_text(json.dumps(spec))
    return path


def variants_spec(film, count):
    """`count` films of 12 s, of which the last 3 s are each film's own."""
    spec = {
        "rushes": 1,
        "variables": {"start": {"type": "time", "default": "0s"}},
        "matrix": {"start": [f"{10 + n * 9}f" for n in range(count)]},
        "canvas": {"size": "540x960", "rate": 30},
        "assets": {"film": {"file": str(film)}},
        "video": [{"items": [
            {"asset": "film", "from": "20s", "length": "9s", "fit": "cover"},
            {"asset": "film", "from": {"$var": "start"}, "length": "3s", "fit": "cover"},
        ]}],
        "outputs": [{"video": {"preset": SPEED, "crf": 18}}],
    }
    path = OUT / "variants.json"
    path.write_text(json.dumps(spec))
    return path


def variant_by_ffmpeg(film, start, out):
    inputs = ["-ss", "20", "-t", "9", "-i", film, "-ss", str(start), "-t", "3", "-i", film]
    cut = "crop=608:1080,scale=540:960,setsar=1,fps=30"
    graph = f"[0:v]{cut}[a];[1:v]{cut}[b];[a][0:a][b][1:a]concat=n=2:v=1:a=1[v][s]"
    return [*FFMPEG, *inputs, "-filter_complex", graph, "-map", "[v]", "-map", "[s]", *x264(), *AAC, out]


def gone(*paths):
    for path in paths:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        path.with_name(f".{path.name}.render.json").unlink(missing_ok=True)


class Contender:
    """A command, what it writes, and what is done before it is measured."""

    def __init__(self, command, out, before=None):
        self.command, self.out, self.before = command, out, before

    def run(self):
        gone(self.out)
        if self.before:
            self.before()
        commands = self.command if isinstance(self.command[0], list) else [self.command]
        runs = [measure(command) for command in commands]
        return {"cpu": sum(r["cpu"] for r in runs), "wall": sum(r["wall"] for r in runs),
                "rss": max(r["rss"] for r in runs)}


def auto_editor(options):
    """The auto-editor that was named, else one on the PATH; None where there is none."""
    return options.auto_editor or shutil.which("auto-editor")


def cut_by_auto_editor(program, film, a, b, out):
    """Its way of cutting by hand: keep only one stretch, given in frames; x264 as the others have it."""
    rate = 30
    keep = f"{round(a * rate)},{round(b * rate)}"
    return [program, film, "--edit", "none", "--cut-out", f"0,{keep.split(',')[0]}", f"{keep.split(',')[1]},end",
            "-c:v", "libx264", "-crf", "18", "-preset", SPEED, "-c:a", "aac", "-b:a", "192k", "--no-open", "-q",
            "-o", out]


def cut_cases(rushes, film, jobs, python, melt, editor):
    cases = {}
    for name, (a, b) in CUTS.items():
        slug = name.replace(" ", "-")
        cut = [rushes, "cut", film, "--from", f"{a}s", "--to", f"{b}s", "--jobs", str(jobs)]
        who = ("rushes", "encoded", "ffmpeg", "melt", "moviepy")
        ours, whole, theirs, melts, movies = (OUT / f"{slug}-{w}.mp4" for w in who)
        cases[name] = {
            "rushes": Contender([*cut, "-o", ours], ours),
            "rushes, all encoded": Contender([*cut, "--encode", "-o", whole], whole),
            "ffmpeg": Contender([*FFMPEG, "-ss", str(a), "-to", str(b), "-i", film, *x264(), *AAC, theirs], theirs),
        }
        if melt:
            command = ["melt", "-silent", "-profile", "atsc_1080p_30", film, f"in={round(a * 30)}",
                       f"out={round(b * 30) - 1}", *melt_consumer(melts)]
            cases[name]["melt"] = Contender(command, melts)
        if editor:
            edited = OUT / f"{slug}-auto-editor.mp4"
            cases[name]["auto-editor"] = Contender(cut_by_auto_editor(editor, film, a, b, edited), edited)
        if python:
            job = OUT / f"{slug}-moviepy.json"
            job.write_text(json.dumps({"film": str(film), "from": a, "to": b, "out": str(movies),
                                       "preset": SPEED}))
            command = [python, HERE / "render" / "by_moviepy.py", "cut", job]
            cases[name]["MoviePy"] = Contender(command, movies)
    return cases


def reel_cases(rushes, film, jobs, python, melt):
    ours, theirs, bare, melts, movies = (
        OUT / f"reel-{w}.mp4" for w in ("rushes", "ffmpeg", "bare", "melt", "moviepy"))
    raw = OUT / f"reel-{film.stem}.y4m"
    command = [rushes, "render", reel_spec(film), "--jobs", str(jobs), "-o", ours]
    if not raw.exists():
        # The bare encode has the pictures that ours were before they were encoded, all but losslessly:
        # what a coder has smoothed is coded faster the second time.
        fine = OUT / "reel-fine.mp4"
        output_of([rushes, "render", reel_spec(film, crf=1), "--jobs", str(jobs), "--force", "-o", fine])
        output_of([*FFMPEG, "-i", fine, "-pix_fmt", "yuv420p", raw])
        fine.unlink()
    found = {
        "rushes": Contender(command, ours),
        "ffmpeg": Contender(reel_by_ffmpeg(film, theirs), theirs),
        "bare encode": Contender([*FFMPEG, "-i", raw, *x264(), bare], bare),
    }
    if melt:
        found["melt"] = Contender(reel_by_melt(film, melts), melts)
    if python:
        found["MoviePy"] = Contender(reel_by_moviepy(python, film, movies), movies)
    return {"reel": found}


def caption_cases(rushes, film, jobs):
    out, again = OUT / "captions.mp4", OUT / "captions-edited.mp4"
    whole, edited = caption_spec(film, False, "whole"), caption_spec(film, True, "edited")

    def render(spec, to):
        return [rushes, "render", spec, "--jobs", str(jobs), "-o", to]

    return {"edited caption": {
        "rushes, from nothing": Contender(render(whole, out), out),
        "rushes, one edited": Contender(render(edited, again), again,
                                        lambda: output_of(render(whole, again))),
        "rushes, nothing edited": Contender(render(whole, again), again,
                                            lambda: output_of(render(whole, again))),
    }}


def variant_cases(rushes, film, jobs, count):
    together, alone, theirs = (OUT / f"variants-{w}" for w in ("together", "alone", "ffmpeg"))
    spec = variants_spec(film, count)
    starts = [10 + n * 9 for n in range(count)]
    theirs.mkdir(exist_ok=True)
    return {f"{count} variants": {
        "rushes": Contender([rushes, "render", spec, "--matrix", "--jobs", str(jobs), "-o", together], together),
        "rushes, one by one": Contender(
            [[rushes, "render", spec, "--var", f"start={n}f", "--jobs", str(jobs), "-o", alone / f"{n}.mp4"]
             for n in starts], alone),
        "ffmpeg": Contender([variant_by_ffmpeg(film, n / 30, theirs / f"{n}.mp4") for n in starts], theirs,
                            lambda: theirs.mkdir(exist_ok=True)),
    }}


def sheet_cases(rushes, film):
    ours, theirs, keys = (OUT / f"sheet-{w}.jpg" for w in ("rushes", "ffmpeg", "keys"))
    tile = "scale=320:-2,tile=5x4"
    return {"contact sheet of 20": {
        "rushes": Contender([rushes, "sheet", film, "--force", "-o", ours], ours),
        "ffmpeg": Contender([*FFMPEG, "-i", film, "-vf", f"fps=1/3,{tile}", "-frames:v", "1", theirs], theirs),
        "ffmpeg, keyframes": Contender(
            [*FFMPEG, "-skip_frame", "nokey", "-i", film, "-vf", f"fps=1/3,{tile}", "-frames:v", "1", keys], keys),
    }}


def psnr(film, out, start):
    """Of the luma against the source from `start` on."""
    command = ["ffmpeg", "-nostdin", "-hide_banner", "-i", out, "-ss", str(start), "-i", film, "-lavfi",
               "[0:v][1:v]psnr=shortest=1", "-f", "null", "-"]
    done = subprocess.run([str(w) for w in command], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    lines = [line for line in done.stderr.splitlines() if "PSNR y:" in line]
    if done.returncode != 0 or not lines:
        raise Failure("no PSNR")
    return float(lines[-1].split("PSNR y:")[1].split()[0])


def described(case, film, out):
    """What a contender made: size, and for films frames and likeness."""
    if out.is_dir():
        films = sorted(out.glob("*.mp4"))
        return {"kb": sum(f.stat().st_size for f in films) / 1e3, "files": len(films)}
    row = {"kb": out.stat().st_size / 1e3}
    if out.suffix == ".mp4":
        row["frames"] = int(output_of(
            ["ffprobe", "-v", "error", "-select_streams", "v", "-count_packets", "-show_entries",
             "stream=nb_read_packets", "-of", "csv=p=0", out]).strip().rstrip(","))
    if case in CUTS:
        row["psnr"] = psnr(film, out, CUTS[case][0])
    return row




MOST_MEMORY = 300e6


def judged(results):
    """The issue's targets beside what was seen, as (what, wanted, seen ratio, met)."""
    rows = []

    def row(case, what, ours, theirs, limit, less=True):
        found = next((r for name, r in results.items() if case in name), {})
        if ours not in found or theirs not in found or "cpu" not in found[ours] or "cpu" not in found[theirs]:
            return
        a, b = found[ours]["cpu"], found[theirs]["cpu"]
        seen = a / b if less else b / a
        rows.append((what, f"{'at most' if less else 'at least'} {limit}", seen, seen <= limit if less else seen >= limit))

    row("reel", "reel: CPU of ffmpeg's", "rushes", "ffmpeg", 0.9)
    row("reel", "reel: CPU of the bare encode's", "rushes", "bare encode", 1.2)
    row("reel", "reel: times less than MoviePy", "rushes", "MoviePy", 3.5, False)
    row("reel", "reel: times less than melt", "rushes", "melt", 1.8, False)
    row("cut of 3 s", "cut of 3 s: times less than encoding (ffmpeg)", "rushes", "ffmpeg", 2.5, False)
    row("cut of 30 s", "cut of 30 s: times less than encoding (ffmpeg)", "rushes", "ffmpeg", 8, False)
    row("variants", "variants: times less than one by one", "rushes", "rushes, one by one", 3.3, False)
    row("caption", "edited caption: CPU of the whole's", "rushes, one edited", "rushes, from nothing", 0.1)
    row("cut of 3 s", "cut of 3 s: CPU of auto-editor's", "rushes", "auto-editor", 1.0)
    row("cut of 30 s", "cut of 30 s: CPU of auto-editor's", "rushes", "auto-editor", 1.0)
    peaks = [run["peak_mb"] for who in results.values() for name, run in who.items()
             if name.startswith("rushes") and "peak_mb" in run]
    if peaks:
        most = max(peaks)
        rows.append(("peak memory of rushes in any work (MB)", f"at most {MOST_MEMORY / 1e6:.0f}", most,
                     most <= MOST_MEMORY / 1e6))
    return rows


def markdown(report):
    lines = [f"# Rendering, {report['date']}", ""]
    m = report["machine"]
    lines += [f"{m['cpu']}, {m['cores']} cores, {m['system']}; {m['ffmpeg']}; load when it began {m['load']:.1f}.",
              f"{report['note']}", "", "| target of the issue | wanted | seen | met |", "|---|---|---|---|"]
    for what, wanted, seen, met in report["targets"]:
        lines.append(f"| {what} | {wanted} | {seen:.2f} | {'yes' if met else '**no**'} |")
    for case, who in report["cases"].items():
        lines += ["", f"## {case}", "", "| | CPU s | wall s | peak MB | size kB | frames | PSNR |", "|---|---|---|---|---|---|---|"]
        for name, r in who.items():
            if "failed" in r:
                lines.append(f"| {name} | {r['failed']} |||||| ")
                continue
            frames, good = r.get("frames", r.get("files", "")), r.get("psnr")
            lines.append(f"| {name} | {r['cpu']:.2f} | {r['wall']:.2f} | {r['peak_mb']:.0f} | {r['kb']:.0f} | "
                         f"{frames} | {f'{good:.2f}' if good else ''} |")
    return "\n".join(lines) + "\n"


def main():
    global SPEED
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--variants", type=int, default=50)
    parser.add_argument("--rushes", type=Path, default=TARGET / "release" / "rushes")
    parser.add_argument("--moviepy", type=Path, help="a Python that has MoviePy")
    parser.add_argument("--auto-editor", type=Path, help="PyPI auto-editor's program")
    parser.add_argument("--preset", default=SPEED, help="of x264, for all of them")
    parser.add_argument("--film", type=Path, help="60 s of 1080p30 with a keyframe every 2 s; else Big Buck Bunny")
    parser.add_argument("--only", help="cases whose name holds this")
    parser.add_argument("--note", default="", help="a sentence for the report")
    parser.add_argument("-o", "--output", type=Path, help="write results as JSON, and beside it as Markdown")
    options = parser.parse_args()
    SPEED = options.preset
    rushes = options.rushes.resolve()
    if not rushes.exists():
        sys.exit(f"{rushes} is missing: cargo build --release -p rushes-cli")
    OUT.mkdir(parents=True, exist_ok=True)
    film = options.film or film_bunny_60s(rushes)
    jobs, python, melt = options.jobs, options.moviepy, shutil.which("melt")
    cases = {**reel_cases(rushes, film, jobs, python, melt), **cut_cases(rushes, film, jobs, python, melt, auto_editor(options)),
             **caption_cases(rushes, film, jobs), **sheet_cases(rushes, film),
             **variant_cases(rushes, film, jobs, options.variants)}
    results = {}
    report = {"date": datetime.date.today().isoformat(), "machine": machine(rushes), "note": options.note}
    for case, who in cases.items():
        if options.only and options.only not in case:
            continue
        taken = {name: [] for name in who}
        failed = {}
        # Hundreds of films: one round says enough.
        for _ in range(1 if "variants" in case else options.rounds):
            for name, contender in who.items():
                if name in failed:
                    continue
                try:
                    taken[name].append(contender.run())
                except Failure as failure:
                    failed[name] = str(failure)
        print(f"\n{case}\n{'':24}{'CPU s':>8}{'wall s':>8}{'peak MB':>9}{'size kB':>9}{'frames':>8}{'PSNR':>7}")
        results[case] = {}
        for name, contender in who.items():
            if name in failed:
                results[case][name] = {"failed": failed[name]}
                print(f"{name:24}{failed[name]}")
                continue
            runs = taken[name]
            row = {"cpu": statistics.median(r["cpu"] for r in runs), "wall": statistics.median(r["wall"] for r in runs),
                   "peak_mb": max(r["rss"] for r in runs) / 1e6, "cpu_all": [round(r["cpu"], 3) for r in runs],
                   **described(case, film, contender.out)}
            results[case][name] = row
            print(f"{name:24}{row['cpu']:8.2f}{row['wall']:8.2f}{row['peak_mb']:9.0f}{row['kb']:9.0f}"
                  f"{row.get('frames', row.get('files', 0)):>8}{row.get('psnr') or 0:7.2f}", flush=True)
        report["cases"], report["targets"] = results, judged(results)
        if options.output:
            options.output.write_text(json.dumps(report, indent=1) + "\n")
            options.output.with_suffix(".md").write_text(markdown(report))
    for what, wanted, seen, met in judged(results):
        print(f"{what}: {seen:.2f} ({wanted}): {'met' if met else 'MISSED'}")


if __name__ == "__main__":
    main()
