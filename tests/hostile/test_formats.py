"""Pictures and videos of strangers: a name decides nothing, and no file opens another one."""

from __future__ import annotations

import io
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.video.encoding import RawVideo
from custom_nodes.videogen.core.video.quality import fit_format
from custom_nodes.videogen.media.film.clips import VideoClip
from custom_nodes.videogen.media.film.remux import PacketSource, join_packets
from custom_nodes.videogen.media.foreign.containers import open_media
from custom_nodes.videogen.media.foreign.pictures import open_picture, require_picture
from custom_nodes.videogen.media.foreign.verdict import TooLargeError, decoding
from custom_nodes.videogen.media.images.frame_reader import open_source, read_frames, read_image
from custom_nodes.videogen.media.images.image_files import read_mask, read_reference_image
from custom_nodes.videogen.media.images.last_frame import read_last_frame
from custom_nodes.videogen.media.images.reference_file import is_rendered
from custom_nodes.videogen.media.images.thumbnails import read_thumbnail_at, read_thumbnails
from custom_nodes.videogen.media.probe import probe_video, verify_sound, verify_video
from custom_nodes.videogen.media.writer import VideoWriter
from runner.rendering.collect import _images
from tests.support.hostile.files import NO_PICTURES, PLAYLISTS, PROTOCOL_NAMES, write_secret
from tests.support.videos import TINY, X264, draw_code, write_video


def decode_bytes(path: Path) -> None:
    with decoding(path):
        require_picture(path.read_bytes())


def open_and_close(path: Path) -> None:
    with open_media(path):
        pass


READ_A_PICTURE: dict[str, Callable[[Path], object]] = {
    "reference": lambda path: read_reference_image(path, path.name),
    "mask": lambda path: read_mask(path, path.name, (8, 8)),
    "image": read_image,
    "frames": lambda path: list(read_frames(open_source(path))),
    "output of a server": lambda path: list(_images((path.rename(path.with_name("x.png.part")),))),
    "upload": decode_bytes,
}


@pytest.fixture
def no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Ghostscript that is installed, and must not be called."""

    def run(*_: object, **__: object) -> None:
        raise AssertionError("Ghostscript was called")

    monkeypatch.setattr(EpsImagePlugin, "gs_binary", "gs")
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", run)


@pytest.mark.usefixtures("no_program")
@pytest.mark.parametrize("reader", READ_A_PICTURE)
@pytest.mark.parametrize("kind", NO_PICTURES)
def test_what_is_no_picture_is_refused_under_the_name_of_one(tmp_path: Path, kind: str, reader: str) -> None:
    path = tmp_path / "anna.png"
    NO_PICTURES[kind](path)
    with pytest.raises(VideoGenError) as caught:
        READ_A_PICTURE[reader](path)
    assert caught.value.code in ("image-invalid", "media-broken")
    assert not is_rendered(path)


def test_ghostscript_would_have_been_called(tmp_path: Path, no_program: None) -> None:
    path = tmp_path / "anna.png"
    NO_PICTURES["eps"](path)
    with pytest.raises(AssertionError, match="Ghostscript was called"), Image.open(path) as image:
        image.load()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_pictures_of_the_allowed_formats_are_read_under_any_name(tmp_path: Path, form: str) -> None:
    Image.fromarray(np.full((8, 8, 3), 90, np.uint8)).save(tmp_path / "anna.png", form)
    assert read_image(tmp_path / "anna.png").shape == (8, 8, 3)
    require_picture((tmp_path / "anna.png").read_bytes())


def test_an_animation_has_a_limit_on_its_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [Image.fromarray(np.full((4, 4), 9 * number, np.uint8)) for number in range(4)]
    frames[0].save(tmp_path / "clip.gif", save_all=True, append_images=frames[1:])
    assert open_source(tmp_path / "clip.gif").count == 4
    monkeypatch.setattr("custom_nodes.videogen.media.foreign.pictures.MAX_FRAMES", 3)
    with pytest.raises(VideoGenError, match="it has 4 frames, at most 3 are read"):
        open_source(tmp_path / "clip.gif")


# ------------------------------------------------------------------ videos and sound

#: Each reads the file at a path, or raises.
READ_A_VIDEO: dict[str, Callable[[Path], object]] = {
    "open": open_and_close,
    "probe": probe_video,
    "verify": verify_video,
    "sound": verify_sound,
    "frames": lambda path: list(read_frames(open_source(path))),
    "last frame": read_last_frame,
    "thumbnails": read_thumbnails,
    "thumbnail": lambda path: read_thumbnail_at(path, 0.5),
    "clip": lambda path: VideoClip(path, 4, fit_format((128, 72), TINY)),
    "join": lambda path: join_packets([PacketSource(path, 0, 4)], path.with_name("film.mp4"), 4, {}),
    "output of a server": lambda path: list(_images((path.rename(path.with_name(f"{path.name}.mp4.part")),))),
}


@pytest.mark.parametrize("reader", READ_A_VIDEO)
@pytest.mark.parametrize("name", PLAYLISTS)
def test_a_file_that_names_others_shows_nothing_of_them(tmp_path: Path, name: str, reader: str) -> None:
    write_secret(tmp_path / "secret.mp4")
    path = tmp_path / name
    path.write_text(PLAYLISTS[name])
    with pytest.raises(VideoGenError):
        READ_A_VIDEO[reader](path)


@pytest.mark.parametrize("reader", READ_A_VIDEO)
@pytest.mark.parametrize("name", PLAYLISTS)
def test_a_file_that_names_an_address_connects_to_nobody(tmp_path: Path, name: str, reader: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/secret.mp4"
        path = tmp_path / name
        path.write_text(PLAYLISTS[name].replace("secret.mp4", url))
        with pytest.raises(VideoGenError):
            READ_A_VIDEO[reader](path)
        with pytest.raises(BlockingIOError):  # nobody waits to be accepted
            listener.accept()


def test_without_the_limits_others_would_be_opened(tmp_path: Path) -> None:
    write_secret(tmp_path / "secret.mp4")
    (tmp_path / "concat.mp4").write_text(PLAYLISTS["concat.mp4"])
    with av.open(str(tmp_path / "concat.mp4")) as container:
        assert container.streams.video[0].width == 128


@pytest.mark.parametrize("reader", READ_A_VIDEO)
@pytest.mark.parametrize("name", PROTOCOL_NAMES)
def test_a_name_that_is_an_instruction_to_ffmpeg_is_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, reader: str
) -> None:
    """In a run directory that is named relative to the current folder, as it is by default."""
    write_secret(tmp_path / "secret.mp4")
    monkeypatch.chdir(tmp_path)
    with pytest.raises((VideoGenError, OSError)):
        READ_A_VIDEO[reader](Path(name))  # there is no such file


@pytest.mark.parametrize("name", [name for name in PROTOCOL_NAMES if "/" not in name])
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no names with colons")
def test_a_video_of_such_a_name_is_read_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    frames = [draw_code(number) for number in range(4)]
    path = Path(name) / f"{name}.mp4"
    write_video(path, frames, count=4)
    assert probe_video(path).frames == 4
    video = fit_format((128, 72), TINY)
    with VideoWriter(Path(f"{name}.mp4"), RawVideo((128, 72), TINY.fps), video, 4, X264, {"prompt": "x"}) as writer:
        for frame in frames:
            writer.write(frame)
    assert probe_video(Path(f"{name}.mp4")).frames == 4
    film = join_packets([PacketSource(path, 0, 4)], Path(f"{name}-film.mp4"), 4, {"title": "x"})
    assert len(read_thumbnails(film)) == 4


def test_frames_that_are_too_large_are_refused_before_they_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_secret(tmp_path / "film.mp4")
    monkeypatch.setattr("custom_nodes.videogen.media.foreign.containers.MAX_FRAME_PIXELS", 100)
    with pytest.raises(VideoGenError, match="has frames of 128×80, at most"):
        probe_video(path)


def test_a_picture_in_memory_is_opened_like_a_file() -> None:
    data = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(data, "PNG")
    with open_picture(data.getvalue()) as image:
        assert image.size == (8, 8)


@pytest.mark.parametrize(
    "header",
    [
        b"VP8X\x0a\0\0\0" + b"\x12\0\0\0" + b"\x0f0~\x08\0\0",  # found by the fuzzer: 8,269,840 x 9, and 1.9 GB
        b"VP8L\x0a\0\0\0" + b"\x2f" + (16_000 | 16_000 << 14).to_bytes(4, "little") + bytes(5),
        b"VP8 \x0a\0\0\0" + b"\0\0\0\x9d\x01\x2a" + (16_000).to_bytes(2, "little") * 2,
    ],
)
def test_a_large_webp_is_refused_before_its_decoder_takes_memory(
    header: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("it was opened"))
    with pytest.raises(TooLargeError, match="megapixels of a WebP"):
        open_picture(b"RIFF\x42\x01\0\0WEBP" + header)
