#!/usr/bin/env python3
"""Text in pictures read by Rushes beside PyPI rapidocr, by the same networks.

    cargo build -p rushes-benches && PYTHON benches/ocr.py --models DIR --font FONT --cjk FONT

PYTHON has rapidocr, onnxruntime, Pillow and shapely. DIR is a store with pp-ocr-det, pp-ocr-rec and
onnxruntime pulled; the fonts are files, the second one with Chinese characters. Slides and signs are
drawn in several sizes, angles, contrasts and two scripts; `--picture` adds real ones, for which only
the agreement of both is told. Each contender reads every picture with one thread; loading apart.

Errors are edits over characters of the truth, spaces left out of account; a line that is found where
there is none counts with all its characters. IoU is that of a line's box with the true one.
"""

import argparse
import json
import math
import random
import subprocess
import sys
import time
from pathlib import Path

from measure import TARGET, say
from PIL import Image, ImageDraw, ImageFont
from shapely.geometry import Polygon

MADE = TARGET / "bench-ocr"
LATIN = [
    "Quarterly revenue grew by 17%", "Resilient gardens in Greenland", "Exit 42 - Harbour Street",
    "The epoch of incredulity", "Figure 3: solar lanterns, 2031", "Caution: wet floor",
    "Machine learning for owls", "Questions? ask@example.org", "Chapter 12", "Über die Brücke",
    "Total: 1,284.50 EUR", "NO PARKING", "Platform 9 towards Zürich", "Agenda and next steps",
]
CHINESE = [
    "年度报告", "收入增长百分之十七", "出口在右边", "请勿停车", "机器学习与猫头鹰", "第三章太阳能灯",
    "北京南站", "小心地滑", "会议议程和下一步", "格陵兰的花园",
]


def pictures(fonts):
    """Cases: name, picture, lines of (text, corners)."""
    draw = random.Random(7)
    made = []

    def slide(name, texts, script, size, angle=0.0, ink=(30, 30, 40), paper=(240, 240, 236), noise=0):
        width, height = 1280, 720
        font = ImageFont.truetype(fonts[script], size)
        layer = Image.new("L", (width * 2, height * 2), 0)
        pen = ImageDraw.Draw(layer)
        lines, y = [], height - len(texts) * size
        for text in texts:
            box = pen.textbbox((width, y), text, font=font, anchor="ma")
            pen.text((width, y), text, font=font, fill=255, anchor="ma")
            lines.append((text, box))
            y += size * 2
        layer = layer.rotate(angle, Image.Resampling.BICUBIC, center=(width, height))
        left, top = width // 2, height // 2
        mask = layer.crop((left, top, left + width, top + height))
        picture = Image.new("RGB", (width, height), paper)
        picture.paste(Image.new("RGB", (width, height), ink), (0, 0), mask)
        if noise:
            grain = Image.effect_noise((width, height), noise).convert("RGB")
            picture = Image.blend(picture, grain, 0.25)
        turn = math.radians(-angle)
        truth = []
        for text, (x0, y0, x1, y1) in lines:
            corners = []
            for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1)):
                dx, dy = x - width, y - height
                corners.append([
                    width + dx * math.cos(turn) - dy * math.sin(turn) - left,
                    height + dx * math.sin(turn) + dy * math.cos(turn) - top,
                ])
            truth.append((text, corners))
        made.append((name, picture, truth))

    for script, texts in (("latin", LATIN), ("chinese", CHINESE)):
        take = lambda n: draw.sample(texts, n)
        for size in (14, 18, 24, 36, 56, 72):
            slide(f"{script} size {size}", take(5), script, size)
        for angle in (-30, -10, -3, 3, 10, 30):
            slide(f"{script} angle {angle}", take(3), script, 40, angle)
        for angle in (90, 180, 270):
            slide(f"{script} turned {angle}", take(3), script, 40, angle)
        slide(f"{script} light on dark", take(5), script, 36, 0, (245, 245, 245), (20, 24, 60))
        slide(f"{script} grey on grey", take(5), script, 36, 0, (120, 120, 120), (160, 160, 160))
        slide(f"{script} faint", take(5), script, 36, 0, (200, 200, 200), (225, 225, 225))
        slide(f"{script} red on green", take(5), script, 36, 0, (200, 40, 40), (60, 130, 70))
        slide(f"{script} noise", take(5), script, 36, 0, noise=90)
    return made


def edits(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(before + (x != y), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def plain(text):
    return "".join(text.split())


def overlap(a, b):
    a, b = Polygon(a).buffer(0), Polygon(b).buffer(0)
    whole = a.union(b).area
    return a.intersection(b).area / whole if whole else 0.0


def compare(truth, found):
    """Edits, characters, IoUs."""
    left, wrong, count, boxes = list(found), 0, 0, []
    for text, corners in truth:
        count += len(plain(text))
        best = max(left, key=lambda line: overlap(corners, line[1]), default=None)
        if best is None or overlap(corners, best[1]) < 0.1:
            wrong += len(plain(text))
            boxes.append(0.0)
            continue
        left.remove(best)
        wrong += edits(plain(text), plain(best[0]))
        boxes.append(overlap(corners, best[1]))
    return wrong + sum(len(plain(text)) for text, _ in left), count, boxes


def ours(program, models, files):
    first = lambda name, end: str(next(p for p in sorted((models / name).iterdir()) if end in p.name))
    command = [
        program, first("onnxruntime", ".so"), first("pp-ocr-det", ".onnx"), first("pp-ocr-rec", ".onnx"), "1",
    ]
    done = subprocess.run([*command, *files], capture_output=True, text=True, check=True)
    read = [json.loads(line) for line in done.stdout.splitlines()]
    return [([(l["text"], l["corners"]) for l in one["lines"]], one["cpu"]) for one in read]


def theirs(files, use_cls):
    from rapidocr import RapidOCR

    engine = RapidOCR(params={
        "Global.log_level": "error", "Global.use_cls": use_cls,
        "EngineConfig.onnxruntime.intra_op_num_threads": 1,
        "EngineConfig.onnxruntime.inter_op_num_threads": 1,
    })
    engine(Image.new("RGB", (64, 64)))
    import cv2
    cv2.setNumThreads(1)
    read = []
    for file in files:
        picture = cv2.imread(str(file))
        began = time.process_time()
        out = engine(picture)
        cpu = time.process_time() - began
        lines = [] if out.txts is None else list(zip(out.txts, out.boxes.tolist()))
        read.append((lines, cpu))
    return read


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    words.add_argument("--models", type=Path, required=True)
    words.add_argument("--font", required=True)
    words.add_argument("--cjk", required=True)
    words.add_argument("--program", default=TARGET / "debug" / "rushes-ocr")
    words.add_argument("--picture", type=Path, action="append", default=[])
    words.add_argument("--show", action="store_true", help="tell every line that was misread")
    words = words.parse_args()
    MADE.mkdir(parents=True, exist_ok=True)
    cases = pictures({"latin": words.font, "chinese": words.cjk})
    files = []
    for number, (_, picture, _) in enumerate(cases):
        file = MADE / f"{number:03}.png"
        picture.save(file)
        files.append(file)
    contenders = {
        "rushes": lambda files: ours(words.program, words.models, files),
        "rapidocr": lambda files: theirs(files, True),
        "rapidocr, no cls": lambda files: theirs(files, False),
    }
    results = {name: read(files + words.picture) for name, read in contenders.items()}
    groups = {}
    for number, (name, _, _) in enumerate(cases):
        kind = name.split()[0] + " " + (name.split()[1] if name.split()[1] in ("size", "angle", "turned") else "contrast")
        groups.setdefault(kind, []).append(number)
        groups.setdefault("all", []).append(number)
        groups.setdefault("all but turned", []).extend([number] if "turned" not in name else [])
    print("\n| pictures | contender | errors | mean IoU | CPU-s a picture |\n|---|---|---|---|---|")
    for kind, numbers in groups.items():
        for name, read in results.items():
            told = [compare(cases[n][2], read[n][0]) for n in numbers]
            boxes = [box for one in told for box in one[2]]
            cpu = sum(read[n][1] for n in numbers) / len(numbers)
            wrong, count = sum(one[0] for one in told), sum(one[1] for one in told)
            print(f"| {kind} ({len(numbers)}) | {name} | {100 * wrong / count:.2f} % | {sum(boxes) / len(boxes):.3f} | {cpu:.2f} |")
    same = boxes = lines = 0
    for mine, other in zip(results["rushes"], results["rapidocr"]):
        lines += len(other[0])
        for text, corners in other[0]:
            best = max(mine[0], key=lambda line: overlap(corners, line[1]), default=None)
            if best and overlap(corners, best[1]) > 0.1:
                same += plain(best[0]) == plain(text)
                boxes += overlap(corners, best[1])
    say(f"of rapidocr's {lines} lines: {same} read the same, mean IoU {boxes / max(lines, 1):.3f}")
    if words.show:
        for number, (name, _, truth) in enumerate(cases):
            for contender, read in results.items():
                if compare(truth, read[number][0])[0]:
                    say(name, contender, [t for t, _ in truth], [t for t, _ in read[number][0]])
        for number, file in enumerate(words.picture, len(cases)):
            for contender, read in results.items():
                say(file.name, contender, f"{read[number][1]:.2f}", [t for t, _ in read[number][0]])


if __name__ == "__main__":
    main()
