"""faster-whisper at the works of speech.py:
faster_whisper.py MODEL_DIR OUT.json LANGUAGE plain|words|batched WAV...

One thread, int8, greedy (beam of one), its own fallback by temperature, no context between windows,
timestamp tokens on, no VAD; `batched` is its pipeline with its VAD and batches of 8, as its own
documentation has it (no timestamp tokens). WAV files are 16 kHz, 16 bit, mono.
"""

import json
import os
import sys
import time
import wave

# The file has the package's name: its folder must not be the place to import from.
sys.path.pop(0)
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402
from faster_whisper import BatchedInferencePipeline, WhisperModel  # noqa: E402


def samples(path):
    with wave.open(path) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768


def main(model, out, language, mode, *paths):
    # What Python and its packages took before any of the work.
    start = time.process_time()
    model = WhisperModel(model, device="cpu", compute_type="int8", cpu_threads=1, num_workers=1)
    settings = dict(language=language, beam_size=1, condition_on_previous_text=False)
    if mode == "batched":
        model = BatchedInferencePipeline(model)
        settings |= dict(batch_size=8, vad_filter=True)
    settings["word_timestamps"] = mode == "words"
    report = {"start_cpu": start, "load_cpu": time.process_time() - start, "files": {}}
    for path in paths:
        parts = list(model.transcribe(samples(path), **settings)[0])
        entry = {
            "text": "".join(part.text for part in parts),
            "segments": [{"text": p.text, "start": p.start, "end": p.end} for p in parts],
        }
        if mode == "words":
            entry["words"] = [
                {"word": w.word, "start": float(w.start), "end": float(w.end)} for p in parts for w in p.words
            ]
        report["files"][path] = entry
    with open(out, "w", encoding="utf-8") as file:
        json.dump(report, file)


main(*sys.argv[1:])
