"""whisper.cpp (PyPI pywhispercpp) at the works of speech.py:
whisper_cpp.py MODEL.bin OUT.json LANGUAGE plain|words WAV...

One thread, greedy with one candidate, fallback by temperature as whisper.cpp has it (steps of 0.2),
no context between windows, timestamp tokens on, no VAD. WAV files are 16 kHz, 16 bit, mono.
"""

import json
import sys
import time
import wave

import numpy as np
from pywhispercpp.model import Model


def samples(path):
    with wave.open(path) as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
    # whisper.cpp gives nothing for less than a second.
    return np.pad(sound, (0, max(0, 16000 + 160 - len(sound))))


def main(model, out, language, mode, *paths):
    # What Python and its packages took before any of the work.
    start = time.process_time()
    settings = dict(
        n_threads=1,
        language=language,
        greedy={"best_of": 1},
        temperature_inc=0.2,
        no_context=True,
        print_progress=False,
        print_realtime=False,
    )
    if mode == "words":
        settings |= dict(token_timestamps=True, max_len=1, split_on_word=True)
    model = Model(model, redirect_whispercpp_logs_to=None, **settings)
    report = {"start_cpu": start, "load_cpu": time.process_time() - start, "files": {}}
    for path in paths:
        parts = [
            {"text": part.text, "start": part.t0 / 100, "end": part.t1 / 100}
            for part in model.transcribe(samples(path))
        ]
        entry = {"text": " ".join(part["text"] for part in parts), "segments": parts}
        if mode == "words":
            entry["words"] = [{"word": p["text"], "start": p["start"], "end": p["end"]} for p in parts]
        report["files"][path] = entry
    with open(out, "w", encoding="utf-8") as file:
        json.dump(report, file)


main(*sys.argv[1:])
