"""Finds ffmpeg, and the encoders that work on this machine."""

from __future__ import annotations

import functools
import logging
import os
import shlex
import subprocess

from ..core.errors import VideoGenError
from ..core.video.encoding import CODEC_PREFERENCE, ENCODERS, Encoder, build_probe_arguments
from ..core.video.quality import QUALITIES
from .programs import find_program

log = logging.getLogger(__name__)


@functools.lru_cache(maxsize=1)
def find_ffmpeg() -> str:
    """Path of the ffmpeg to run: from the variable VIDEOGEN_FFMPEG, the PATH, or imageio-ffmpeg.

    Raises:
        VideoGenError: `ffmpeg-missing`.
    """
    wanted = os.environ.get("VIDEOGEN_FFMPEG")
    if wanted:
        found = find_program(wanted)
        if found is None:
            raise VideoGenError("ffmpeg-missing", f"VIDEOGEN_FFMPEG names {wanted!r}, which cannot be run")
        return found
    on_path = find_program("ffmpeg")
    if on_path and "libx264" in list_encoders(on_path):
        return on_path
    try:
        import imageio_ffmpeg

        found = find_program(imageio_ffmpeg.get_ffmpeg_exe())
        if found is None:
            raise RuntimeError("it names a program that is nowhere")
        return found
    except (ImportError, RuntimeError):
        raise VideoGenError(
            "ffmpeg-missing",
            f"the ffmpeg at {on_path} has no libx264" if on_path else "no ffmpeg was found on the PATH",
            "Run `pip install imageio-ffmpeg` in ComfyUI's Python, or install ffmpeg.",
        ) from None


@functools.lru_cache(maxsize=4)
def list_encoders(ffmpeg: str) -> frozenset[str]:
    """Names of the video encoders in an ffmpeg build."""
    try:
        listing = subprocess.run(
            [ffmpeg, "-hide_banner", "-encoders"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=30,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return frozenset()
    rows = (line.split() for line in listing.splitlines())
    return frozenset(row[1] for row in rows if len(row) > 1 and row[0].startswith("V"))


@functools.lru_cache(maxsize=16)
def encoder_works(name: str) -> bool:
    """Whether an encoder works on this machine; tested once a process by encoding a few frames."""
    ffmpeg = find_ffmpeg()
    if name not in list_encoders(ffmpeg):
        return False
    command = [ffmpeg, *build_probe_arguments(ENCODERS[name], QUALITIES["standard"])]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        log.debug("%s cannot be used: %s", name, error)
        return False
    if done.returncode:
        # Most machines have no such card: no reason for lines of errors in a log that nobody has asked for.
        log.debug("%s cannot be used (%s): %s", name, shlex.join(command), done.stderr.strip()[-300:])
    return done.returncode == 0


def choose_encoder(codec: str = "h264") -> Encoder:
    """The best encoder for ``h264`` or ``hevc`` that works on this machine: NVENC, or else libx264."""
    for name in CODEC_PREFERENCE[codec]:
        if ENCODERS[name].name == "libx264" or encoder_works(name):
            return ENCODERS[name]
    raise AssertionError("every preference ends with libx264")
