#!/usr/bin/env python3
"""The work of `rushes-gpu` and `rushes bench` done by others on the same machine: PyTorch, ffmpeg, OpenCV.

    peers.py [--film FILE] [--models FOLDER] [--ffmpeg PROGRAM] [--only copy,tensor,compose,film,texts,compiled]

Prints one JSON record a line as soon as it is measured; what cannot be measured is a record with
`skipped` and the reason. Names, pools, turns and counted bytes are those of benches/gpu/speed.rs, so that
figures stand side by side: device time by events, after a warm-up, the median of five rounds.
"""

import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

here = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(here), str(here.parent)]
from measure import Failure, measure  # noqa: E402

POOL, COUNT, ROUNDS = 24, 240, 5
SIZES = [("1080p", 1920, 1080), ("4K", 3840, 2160)]
# cli/src/bench/suites/embed.rs
WORDS = ("a price rises over the river when rain falls on old stone and people walk home slowly before "
         "night comes to their quiet town").split()


def tell(peer, what, **found):
    print(json.dumps({"type": "peer", "peer": peer, "what": what, **found}), flush=True)


def seconds(torch, call, count=COUNT, warm=POOL):
    """The device's seconds for each of `count` calls."""
    for i in range(warm):
        call(i)
    rounds = []
    for _ in range(ROUNDS):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for i in range(count):
            call(i)
        end.record()
        end.synchronize()
        rounds.append(begin.elapsed_time(end) / 1e3 / count)
    return statistics.median(rounds)


def copy(torch):
    size = 512 << 20
    source = torch.randint(0, 256, (size,), dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    bandwidth = 2 * size / seconds(torch, lambda _: target.copy_(source), count=20, warm=5)
    tell("torch", "copy", gb_s=bandwidth / 1e9)
    return bandwidth


def note(peer, what, time_each, moved, bandwidth):
    tell(peer, what, microseconds=time_each * 1e6, frames_per_second=1 / time_each, megabytes=moved / 1e6,
         gb_s=moved / time_each / 1e9, share_of_copy=moved / time_each / bandwidth if bandwidth else None)


def frames(torch, width, height):
    """NV12: luma, and Cb and Cr in turn."""
    def noise(*shape):
        return torch.randint(16, 236, shape, dtype=torch.uint8, device="cuda")
    return [(noise(1, 1, height, width), noise(1, height // 2, width // 2, 2)) for _ in range(POOL)]


def composer(torch):
    """Layers over each other plane by plane in halves: what is least for PyTorch to do."""
    def grown(plane, size):
        if tuple(plane.shape[-2:]) == size:
            return plane
        return torch.nn.functional.interpolate(plane, size=size, mode="bilinear", align_corners=False)

    def compose(layers, luma_out, chroma_out):
        luma = chroma = None
        size = tuple(luma_out.shape[-2:])
        half = (size[0] // 2, size[1] // 2)
        for n, (y, uv) in enumerate(layers):
            y = grown(y.half(), size)
            uv = grown(uv.half().permute(0, 3, 1, 2), half)
            luma = y if n == 0 else torch.lerp(luma, y, 0.6)
            chroma = uv if n == 0 else torch.lerp(chroma, uv, 0.6)
        luma_out.copy_(luma.round())
        chroma_out.copy_(chroma.round().permute(0, 2, 3, 1))

    return compose


def composes(torch, bandwidth, peer, compose, scaled=(False, True)):
    for name, width, height in SIZES:
        outs = frames(torch, width, height)
        for enlarged in scaled:
            pool = frames(torch, width // 2, height // 2) if enlarged else frames(torch, width, height)
            for count in (1, 2, 4):
                def one(i, count=count, pool=pool, outs=outs):
                    compose([pool[(i + n * 7) % POOL] for n in range(count)], *outs[i % POOL])
                frame = width * height * 1.5
                moved = frame * (count / (4 if enlarged else 1) + 1)
                what = f"{count} layers {'enlarged twice' if enlarged else 'as they lie'}, {name}"
                note(peer, what, seconds(torch, one), moved, bandwidth)


def tensors(torch, bandwidth):
    """A decoder's frame to what an embedder takes: R'G'B' of BT.709, 224 x 224, normalised."""
    matrix = torch.tensor([[1.1644, 0, 1.7927], [1.1644, -0.2132, -0.5329], [1.1644, 2.1124, 0]],
                          dtype=torch.half, device="cuda") / 255
    scale = torch.nn.functional.interpolate

    def rgb(y, uv):
        yuv = torch.cat([y - 16, uv - 128], 1)
        return torch.einsum("rc,bchw->brhw", matrix, yuv).clamp(0, 1)

    def colour_first(y, uv):
        uv = scale(uv.half().permute(0, 3, 1, 2), size=y.shape[-2:], mode="nearest")
        small = scale(rgb(y.half(), uv), size=(224, 224), mode="bilinear", antialias=True)
        return (small - 0.5) / 0.5

    def size_first(y, uv):
        y = scale(y.half(), size=(224, 224), mode="bilinear", antialias=True)
        uv = scale(uv.half().permute(0, 3, 1, 2), size=(224, 224), mode="bilinear", antialias=True)
        return (rgb(y, uv) - 0.5) / 0.5

    for name, width, height in SIZES:
        pool = frames(torch, width, height)
        for way, make in (("colour first", colour_first), ("size first", size_first)):
            time_each = seconds(torch, lambda i, pool=pool, make=make: make(*pool[i % POOL]))
            what = f"tensor of 224 x 224 Half, {name}"
            note(f"torch, {way}", what, time_each, width * height * 1.5, bandwidth)


def timed(peer, what, count, work, turns=3):
    """Walls of a few turns after one more; `work` gives how many it did, `count` is how many it must."""
    done = work()
    if done != count:
        raise Failure(f"{done} of {count}")
    walls = []
    for _ in range(turns):
        began = time.monotonic()
        work()
        walls.append(time.monotonic() - began)
    tell(peer, what, rate=count / statistics.median(walls), turns=[count / wall for wall in walls])


def films(film, ffmpeg, count):
    if not film or not film.is_file():
        return tell("ffmpeg", "film", skipped="no film is given (run takes it from `rushes bench`)")
    try:
        import cv2

        def opened():
            taken, video = 0, cv2.VideoCapture(str(film))
            while video.grab():
                taken += 1
            return taken
        timed("OpenCV (its own FFmpeg, CPU)", "every frame", count, opened)
    except (ImportError, Failure) as error:
        tell("OpenCV", "every frame", skipped=str(error))
    if not ffmpeg:
        return tell("ffmpeg", "film", skipped="no ffmpeg beside this and none on PATH")
    gpu = ["-hwaccel", "cuda"]
    kept = [*gpu, "-hwaccel_output_format", "cuda"]
    # The first of a list that works stands for it: filters and decoders depend on the build.
    works = {
        "every frame, CPU": [([], [])],
        "every frame, GPU, left there": [(kept, [])],
        "every frame, GPU, to main memory": [(gpu, [])],
        "every frame at 224 x 224, CPU": [([], ["-vf", "scale=224:224"])],
        "every frame at 224 x 224, GPU, to main memory": [
            (kept, ["-vf", "scale_cuda=224:224,hwdownload,format=nv12"]),
            (["-c:v", "h264_cuvid", "-resize", "224x224"], []),
            (gpu, ["-vf", "scale=224:224"]),
        ],
        "every frame, h264_cuvid, to main memory": [(["-c:v", "h264_cuvid"], [])],
    }
    for what, ways in works.items():
        why = []
        for before, behind in ways:
            words = [ffmpeg, "-nostdin", "-v", "warning", *before, "-i", str(film), "-map", "0:v", *behind,
                     "-f", "null", "-"]
            try:
                said = subprocess.run(words, capture_output=True, text=True, timeout=60)
                lines = (said.stderr or "").strip().splitlines()
                software = [line for line in lines if "hwaccel" in line.lower() or "Failed setup" in line]
                if said.returncode or (before and software):
                    why.append(" ".join(before + behind) + ": " + (software or lines or ["fails"])[-1])
                    continue
                runs = [measure(words, 60) for _ in range(3)]
            except (Failure, OSError, subprocess.TimeoutExpired) as error:
                why.append(str(error)[:300])
                continue
            walls = [run["wall"] for run in runs]
            tell("ffmpeg", what, rate=count / statistics.median(walls), turns=[count / w for w in walls],
                 cpu_seconds=statistics.median(run["cpu"] for run in runs), options=before + behind)
            break
        else:
            tell("ffmpeg", what, skipped="; ".join(why))


def sentence(n, low, high):
    length = low + n * 7 % (high - low + 1)
    return " ".join(WORDS[(n * 31 + at * at * 5 + at) % len(WORDS)] for at in range(length))


def texts(torch, models):
    folder = models / "all-minilm-l6-v2" if models else None
    if not folder or not (folder / "model.safetensors").exists():
        return tell("torch", "texts", skipped="no all-minilm-l6-v2 in the folder of models")
    from tokenizers import Tokenizer
    from transformers import AutoModel
    reader = Tokenizer.from_file(str(folder / "tokenizer.json"))
    reader.enable_truncation(256)
    reader.enable_padding()
    for numbers in (torch.float16, torch.float32):
        model = AutoModel.from_pretrained(str(folder), dtype=numbers, local_files_only=True).cuda().eval()

        def embed(given, batch):
            """As sentence-transformers does it: by length, in batches, the mean of what the mask shows."""
            order = sorted(range(len(given)), key=lambda i: len(given[i]))
            made = []
            for at in range(0, len(order), batch):
                read = reader.encode_batch([given[i] for i in order[at:at + batch]])
                ids = torch.tensor([one.ids for one in read], device="cuda")
                mask = torch.tensor([one.attention_mask for one in read], device="cuda")
                states = model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
                weight = mask.unsqueeze(2).float()
                mean = (states * weight).sum(1) / weight.sum(1)
                made.append(torch.nn.functional.normalize(mean).cpu())
            whole = torch.cat(made)
            if not torch.isfinite(whole).all():
                raise Failure("a vector with what is no number")
            return len(whole)

        with torch.inference_mode():
            for name, low, high in (("short texts", 6, 12), ("mixed texts", 4, 120)):
                given = [sentence(n, low, high) for n in range(512)]
                for batch in (32, 256):
                    peer = f"torch {str(numbers).split('.')[1]}, batches of {batch}"
                    timed(peer, f"{name}, texts/s", 512, lambda b=batch, g=given: embed(g, b), turns=5)


def main():
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--film", type=pathlib.Path)
    asked.add_argument("--frames", type=int, default=1000)
    asked.add_argument("--models", type=pathlib.Path)
    asked.add_argument("--ffmpeg", default=str(here / "ffmpeg") if (here / "ffmpeg").exists() else None)
    asked.add_argument("--only", default="copy,tensor,compose,film,texts,compiled")
    given = asked.parse_args()
    ffmpeg = given.ffmpeg or shutil.which("ffmpeg")
    only = given.only.split(",")
    torch, why = None, None
    try:
        import torch
        if not torch.cuda.is_available():
            why = "PyTorch sees no GPU"
    except ImportError as error:
        why = str(error)
    if why is None:
        tell("torch", "version", version=torch.__version__, gpu=torch.cuda.get_device_name())
    found = {"bandwidth": None}

    def measured():
        found["bandwidth"] = copy(torch)

    # What takes longest to begin comes last: it may be stopped.
    for name, needs_torch, work in (
        ("copy", True, measured),
        ("tensor", True, lambda: tensors(torch, found["bandwidth"])),
        ("compose", True, lambda: composes(torch, found["bandwidth"], "torch", composer(torch))),
        ("film", False, lambda: films(given.film, ffmpeg, given.frames)),
        ("texts", True, lambda: texts(torch, given.models)),
        ("compiled", True, lambda: composes(torch, found["bandwidth"], "torch.compile",
                                            torch.compile(composer(torch), dynamic=False), (False,))),
    ):
        if name not in only:
            continue
        if needs_torch and why is not None:
            tell("torch", name, skipped=why)
            continue
        try:
            work()
        except Exception as error:  # noqa: BLE001  (one that fails must not take the others along)
            tell("torch" if needs_torch else "ffmpeg", name, skipped=f"{type(error).__name__}: {error}"[:600])


main()
