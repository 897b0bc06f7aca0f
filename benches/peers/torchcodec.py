"""torchcodec (CPU) at the works of run.py: torchcodec.py WORK FILM OUT."""

import os
import sys

# This file bears the package's name and its folder comes first in the search: leave that out.
sys.path = [path for path in sys.path if os.path.abspath(path) != os.path.dirname(os.path.abspath(__file__))]

from PIL import Image  # noqa: E402
from torchcodec.decoders import VideoDecoder  # noqa: E402


def main(work, film, out):
    # approximate: no scan of the whole file first; threads: all cores, as the others have.
    decoder = VideoDecoder(
        film, dimension_order="NHWC", num_ffmpeg_threads=0, seek_mode="approximate"
    )
    told = decoder.metadata
    begin, end = told.begin_stream_seconds or 0.0, told.end_stream_seconds
    seconds = []
    at = begin
    while at < end:
        seconds.append(at)
        at += 1.0
    # One at a time: a minute of 1080p pictures in one tensor is a memory test of its own.
    for count, at in enumerate(seconds):
        picture = Image.fromarray(decoder.get_frame_played_at(at).data.numpy())
        if work.endswith("-320"):
            height = round(320 * picture.height / picture.width)
            picture = picture.resize((320, height), Image.Resampling.BOX)
        picture.save(f"{out}/{count:05d}.jpg", quality=90)


main(*sys.argv[1:])
