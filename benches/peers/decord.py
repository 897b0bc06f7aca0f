"""decord at the works of run.py: decord.py WORK FILM OUT."""

import os
import sys

# This file bears the package's name and its folder comes first in the search: leave that out.
sys.path = [path for path in sys.path if os.path.abspath(path) != os.path.dirname(os.path.abspath(__file__))]

import decord  # noqa: E402
from PIL import Image  # noqa: E402


def main(work, film, out):
    if work.endswith("-320"):
        probe = decord.VideoReader(film)
        height = round(320 * probe[0].shape[0] / probe[0].shape[1])
        # Before the next one: with two readers alive decord took ten times the memory.
        del probe
        reader = decord.VideoReader(film, width=320, height=height)
    else:
        reader = decord.VideoReader(film)
    starts = reader.get_frame_timestamp(range(len(reader)))[:, 0]
    next_second = starts[0]
    count = 0
    for index, start in enumerate(starts):
        if start < next_second - 1e-6:
            continue
        next_second += 1.0
        picture = reader[index].asnumpy()
        Image.fromarray(picture).save(f"{out}/{count:05d}.jpg", quality=90)
        count += 1


main(*sys.argv[1:])
