"""sentence-transformers at the work of process.py: sentences.py MODEL HEARD.json OUT.npy

The segments of whisper_cpp.py's report, one vector each."""

import json
import sys

import numpy as np
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Pooling, Transformer

model, heard, out = sys.argv[1:]
with open(heard, encoding="utf-8") as file:
    files = json.load(file)["files"].values()
texts = [part["text"].strip() for file in files for part in file["segments"] if part["text"].strip()]
words = Transformer(model, max_seq_length=256)
encoder = SentenceTransformer(modules=[words, Pooling(words.get_word_embedding_dimension())], device="cpu")
np.save(out, encoder.encode(texts, normalize_embeddings=True))
