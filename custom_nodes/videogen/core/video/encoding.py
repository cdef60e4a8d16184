"""Encoders as data, and the ffmpeg command lines that use them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from .quality import Quality, VideoFormat, place_image


@dataclass(frozen=True)
class Encoder:
    """An ffmpeg video encoder, with options that make its files joinable without re-encoding.

    Every file has closed groups of pictures of one second and headers that do not depend on the content, so that a
    film is cut at full seconds and stream-copied. `peak_limited` sets a maximum bit rate besides the average one.
    """

    name: str
    codec: str
    options: tuple[str, ...]
    peak_limited: bool = True


ENCODERS: dict[str, Encoder] = {
    encoder.name: encoder
    for encoder in (
        Encoder(
            "h264_nvenc", "h264", ("-preset", "p5", "-rc", "vbr", "-bf", "2", "-no-scenecut", "1", "-forced-idr", "1")
        ),
        Encoder(
            "hevc_nvenc",
            "hevc",
            ("-preset", "p5", "-rc", "vbr", "-no-scenecut", "1", "-forced-idr", "1", "-tag:v", "hvc1"),
        ),
        # The number of threads changes x264's bits: fixed, so that a segment is the same bytes on every machine.
        Encoder(
            "libx264",
            "h264",
            (
                "-preset",
                "medium",
                "-profile:v",
                "high",
                "-bf",
                "2",
                "-sc_threshold",
                "0",
                "-threads",
                "4",
                "-x264-params",
                "stitchable=1:open-gop=0",
            ),
            # With a peak (VBV), x264 with threads writes different bits in every run; with the average alone it does not.
            peak_limited=False,
        ),
    )
}

#: codec → its encoders, best first; the first one that works is used.
CODEC_PREFERENCE: dict[str, tuple[str, ...]] = {
    "h264": ("h264_nvenc", "libx264"),
    "hevc": ("hevc_nvenc", "libx264"),
}

#: ffmpeg options of every call: only errors are printed, and standard input is left alone.
QUIET = ("-hide_banner", "-nostdin", "-loglevel", "error")
#: Ticks of a file's clock in one frame's time: segments and films have the same, so that packets are copied as they are.
TICKS_PER_FRAME = 512

# On the frames, where the encoder takes them from. SD and HD alike are tagged BT.709: players assume BT.601 for small
# images without tags.
_TAGS = "setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv"


@dataclass(frozen=True)
class RawVideo:
    """Frames as they are piped to ffmpeg.

    Attributes:
        size: width and height in pixels.
        rate: frames a second; each frame is held until the next one's time.
        pixel_format: ``rgb24`` (full range) or ``yuv420p`` (BT.709, limited range).
    """

    size: tuple[int, int]
    rate: Fraction
    pixel_format: str = "rgb24"

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """Shape of one frame as an array: (height, width, 3), or (height * 3 / 2, width) for yuv420p."""
        width, height = self.size
        return (height, width, 3) if self.pixel_format == "rgb24" else (height * 3 // 2, width)


def build_encode_arguments(
    source: RawVideo, video: VideoFormat, frames: int, encoder: Encoder, *, metadata_file: str | None, output: str
) -> list[str]:
    """Arguments of the ffmpeg that reads raw frames on standard input and writes one mp4.

    Args:
        source: the frames that come in; yuv420p is passed through.
        video: the video that is written, with bars where the shapes differ.
        frames: exact number of frames written; the last one is held as long as needed.
        metadata_file: an ffmetadata file, or None. This and `output` are addresses that ffmpeg takes for files (``file:…``):
            of a path, it takes what is before a colon for a protocol, and a minus at the beginning for an option.
    """
    filters = []
    if source.pixel_format == "rgb24":
        width, height, x, y = place_image(source.size, video.size)
        filters.append(
            f"scale={width}:{height}:flags=lanczos+accurate_rnd+full_chroma_int"
            ":in_range=full:out_range=tv:out_color_matrix=bt709"
        )
        if (width, height) != video.size:
            filters += ["format=yuv420p", f"pad={video.size[0]}:{video.size[1]}:{x}:{y}:black"]
    filters += [
        f"fps={video.fps}:start_time=0:eof_action=pass",
        "tpad=stop=-1:stop_mode=clone",
        "setsar=1",
        "format=yuv420p",
        _TAGS,
    ]
    arguments = [*QUIET, "-y"]
    arguments += ["-protocol_whitelist", "pipe", "-f", "rawvideo", "-pixel_format", source.pixel_format]
    arguments += ["-video_size", f"{source.size[0]}x{source.size[1]}", "-framerate", str(source.rate), "-i", "pipe:0"]
    if metadata_file:
        arguments += ["-protocol_whitelist", "file", "-f", "ffmetadata", "-i", metadata_file, "-map_metadata", "1"]
    arguments += ["-map", "0:v", "-vf", ",".join(filters), "-frames:v", str(frames)]
    arguments += ["-c:v", encoder.name, *encoder.options, "-b:v", str(video.bitrate)]
    if encoder.peak_limited:
        arguments += ["-maxrate", str(video.bitrate * 3 // 2), "-bufsize", str(video.bitrate * 2)]
    arguments += ["-g", str(video.fps), "-keyint_min", str(video.fps)]
    # bitexact: no library versions in the file, so that the same frames give the same bytes.
    arguments += ["-fflags", "+bitexact", "-video_track_timescale", str(video.fps * TICKS_PER_FRAME)]
    return [*arguments, "-movflags", "+faststart+use_metadata_tags", "-f", "mp4", output]


def build_probe_arguments(encoder: Encoder, quality: Quality) -> list[str]:
    """Arguments that encode a few frames without an output file: a driver can be installed and still refuse to encode."""
    source = f"color=size={quality.width}x{quality.height}:rate={quality.fps}:duration=0.2"
    arguments = [*QUIET, "-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p"]
    return [*arguments, "-c:v", encoder.name, *encoder.options, "-b:v", str(quality.bitrate), "-f", "null", "-"]


def escape_metadata(tags: dict[str, str]) -> str:
    """The text of an ffmetadata file (https://ffmpeg.org/ffmpeg-formats.html#Metadata-2)."""
    escapes = str.maketrans({character: f"\\{character}" for character in "=;#\\\n"})
    return ";FFMETADATA1\n" + "".join(
        f"{key.translate(escapes)}={value.translate(escapes)}\n" for key, value in tags.items()
    )
