"""PyAV at the works of run.py: pyav.py WORK FILM OUT."""

import sys

import av


def main(work, film, out):
    small = work.endswith("-320")
    with av.open(film) as container:
        stream = container.streams.video[0]
        # What PyAV's own documentation advises for speed.
        stream.thread_type = "AUTO"
        if work == "keyframes-320":
            stream.codec_context.skip_frame = "NONKEY"
        next_second = 0.0
        count = 0
        for frame in container.decode(stream):
            if work != "keyframes-320":
                if frame.time < next_second - 1e-6:
                    continue
                next_second += 1.0
            if small:
                height = round(320 * frame.height / frame.width)
                frame = frame.reformat(width=320, height=height)
            frame.to_image().save(f"{out}/{count:05d}.jpg", quality=90)
            count += 1


main(*sys.argv[1:])
