"""hnswlib at the work of process.py: index_by_hnswlib.py VECTORS.npy OUT.bin"""

import sys

import hnswlib
import numpy as np

vectors = np.load(sys.argv[1])
index = hnswlib.Index(space="ip", dim=vectors.shape[1])
index.init_index(max_elements=len(vectors), ef_construction=200, M=16)
index.add_items(vectors)
index.save_index(sys.argv[2])
