#!/usr/bin/env python3
"""The comparison's edits as MoviePy makes them: `by_moviepy.py cut|reel JOB.json`.

Captions are drawn by Pillow, once for each state of a phrase, as MoviePy has no captions whose words
light up. The loudness is set from the mean square over the whole; MoviePy measures none by EBU R 128.
"""

import json
import sys

import numpy
from moviepy import CompositeVideoClip, ImageClip, VideoFileClip, concatenate_videoclips, vfx
from PIL import Image, ImageDraw, ImageFont

FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf"
# One thread would be fairer to nobody: the others have as many as there are cores.
CODE = {"codec": "libx264", "audio_codec": "aac", "audio_bitrate": "192k", "logger": None,
        "ffmpeg_params": ["-crf", "18", "-pix_fmt", "yuv420p"]}


def caption(words, active, width=1080, size=76):
    """A phrase with its word number `active` in yellow, as RGBA."""
    font = ImageFont.truetype(FONT, size)
    gap = font.getlength(" ")
    lengths = [font.getlength(word) for word in words]
    image = Image.new("RGBA", (width, size * 2))
    draw = ImageDraw.Draw(image)
    x = (width - sum(lengths) - gap * (len(words) - 1)) / 2
    for i, (word, length) in enumerate(zip(words, lengths)):
        fill = (255, 222, 0, 255) if i == active else (255, 255, 255, 255)
        draw.text((x, size // 3), word, font=font, fill=fill, stroke_width=5, stroke_fill=(0, 0, 0, 255))
        x += length + gap
    return numpy.array(image)


def cut(job):
    clip = VideoFileClip(job["film"]).subclipped(job["from"], job["to"])
    clip.write_videofile(job["out"], preset=job["preset"], **CODE)


def reel(job):
    film = VideoFileClip(job["film"])
    cuts = []
    for a, b in job["cuts"]:
        clip = film.subclipped(a, b).with_effects([vfx.Crop(x_center=960, width=608), vfx.Resize((1080, 1920))])
        cuts.append(clip)
    base = concatenate_videoclips(cuts)
    logo = ImageClip(job["logo"]).with_duration(base.duration).with_position((838, 74))
    texts = []
    for words in job["captions"]:
        for i, (start, end, _) in enumerate(words):
            picture = caption([word for *_, word in words], i)
            texts.append(ImageClip(picture).with_start(start).with_duration(end - start).with_position((0, 1460)))
    sound = base.audio
    samples = sound.to_soundarray(fps=48000)
    level = 10 * numpy.log10(numpy.mean(samples**2) + 1e-12)
    sound = sound.with_volume_scaled(10 ** ((job["loudness"] - level) / 20))
    whole = CompositeVideoClip([base, logo, *texts], size=(1080, 1920)).with_audio(sound)
    whole.write_videofile(job["out"], fps=30, preset=job["preset"], **CODE)


if __name__ == "__main__":
    with open(sys.argv[2]) as file:
        {"cut": cut, "reel": reel}[sys.argv[1]](json.load(file))
