"""Writes frames to an mp4, one at a time."""

from __future__ import annotations

import contextlib
import logging
import shlex
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

import numpy as np

from ..core.errors import VideoGenError
from ..core.video.encoding import Encoder, RawVideo, build_encode_arguments, escape_metadata
from ..core.video.quality import VideoFormat
from .ffmpeg import find_ffmpeg
from .foreign.containers import media_url
from .os_errors import disk_full, explain_os_error
from .partial_file import partial_path, publish
from .probe import verify_video

log = logging.getLogger(__name__)


class VideoWriter:
    """Streams raw frames to ffmpeg; the file appears under its name only once it is complete and verified.

    Use it as a context manager; leaving it by an exception removes the partial file.

    Args:
        path: the mp4 to write; an older file of that name is kept until the new one is complete.
        source: format of the frames passed to `write`.
        video: format of the mp4.
        frames: number of frames of the mp4.
        metadata: tags of the file, such as ComfyUI's ``workflow`` and ``prompt``.
    """

    def __init__(
        self,
        path: Path,
        source: RawVideo,
        video: VideoFormat,
        frames: int,
        encoder: Encoder,
        metadata: dict[str, str] | None = None,
    ) -> None:
        self.path = path
        self.video, self.frames = video, frames
        self._shape = source.frame_shape
        self._partial = partial_path(path)
        self._metadata_file: str | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in _discard
        self._process: subprocess.Popen[bytes] | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if metadata:
                self._metadata_file = _write_metadata(metadata)
            metadata_url = media_url(Path(self._metadata_file)) if self._metadata_file else None
            arguments = build_encode_arguments(
                source, video, frames, encoder, metadata_file=metadata_url, output=media_url(self._partial)
            )
            command = [find_ffmpeg(), *arguments]
            log.debug("%s", shlex.join(command))
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._errors
            )
        except OSError as error:
            self._discard()
            raise explain_os_error(error, path) from None
        except BaseException:
            self._discard()
            raise

    def write(self, frame: np.ndarray) -> None:
        """Append one frame: uint8, shape (height, width, 3) for rgb24, (height * 3 / 2, width) for yuv420p.

        Raises:
            VideoGenError: `frames-invalid` for another shape or type; `encode-failed` or `disk-full` from ffmpeg.
        """
        if frame.shape != self._shape or frame.dtype != np.uint8:
            raise VideoGenError(
                "frames-invalid",
                f"a frame for {self.path.name} has shape {tuple(frame.shape)} and type {frame.dtype},"
                f" expected {self._shape} and uint8",
            )
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(np.ascontiguousarray(frame).data)
        except BrokenPipeError:
            # ffmpeg stops reading once it has all the frames it needs; with an error it stops earlier.
            if self._process.wait():
                raise self._explain() from None

    def finish(self) -> Path:
        """Wait for ffmpeg, verify the file, and rename it to its final name."""
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            if self._process.wait():
                raise self._explain()
            verify_video(self._partial, frames=self.frames, size=self.video.size, fps=self.video.fps, decode=False)
            publish(self._partial, self.path)
            return self.path
        except OSError as error:
            raise explain_os_error(error, self.path) from None
        finally:
            self._discard()

    def _explain(self) -> VideoGenError:
        self._errors.seek(0)
        text = self._errors.read().decode("utf-8", "replace").strip()
        if "No space left on device" in text or "Disk quota exceeded" in text:
            return disk_full(self.path)
        # ffmpeg names the cause first; the lines after it are about its threads ending because of it.
        first_lines = "\n".join(text.splitlines()[:5]) or "no error message"
        return VideoGenError("encode-failed", f"ffmpeg could not write {self.path}:\n{first_lines}")

    def _discard(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._errors.close()
        # Where the folder could not be created, there is nothing to remove.
        with contextlib.suppress(OSError):
            self._partial.unlink(missing_ok=True)
        if self._metadata_file:
            Path(self._metadata_file).unlink(missing_ok=True)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()
        else:
            self._discard()


def _write_metadata(tags: dict[str, str]) -> str:
    # In a file, because a workflow with its story exceeds the length limit of a command-line argument.
    with tempfile.NamedTemporaryFile("w", suffix=".ffmetadata", delete=False, encoding="utf-8", newline="\n") as file:
        file.write(escape_metadata(tags))
    return file.name
