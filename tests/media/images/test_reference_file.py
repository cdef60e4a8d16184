"""Reference images as files: rendered ones are told from a user's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.images.reference_file import is_rendered, write_reference
from custom_nodes.videogen.media.images.resample import resize_lanczos

RED = np.full((6, 8, 3), (255, 0, 0), dtype=np.uint8)


@pytest.mark.parametrize("suffix", ["png", "jpg", "jpeg", "webp", "PNG"])
def test_what_is_written_is_known_again(tmp_path: Path, suffix: str) -> None:
    path = write_reference(tmp_path / "cast" / f"anna.{suffix}", RED, "a tall woman, „ganz“ in red")
    assert is_rendered(path)
    with Image.open(path) as image:
        assert image.size == (8, 6)
        assert image.convert("RGB").getpixel((4, 3))[0] > 240
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n broken"])
def test_what_cannot_be_read_is_a_user_s_own(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "anna.png"
    path.write_bytes(content)
    assert not is_rendered(path)
    written = write_reference(path, RED, "")
    assert path.read_bytes() == content
    assert written == tmp_path / "previous" / "anna_001.png"


def test_an_image_out_of_comfyui_is_a_user_s_own(tmp_path: Path) -> None:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("prompt", "{}")
    Image.fromarray(RED).save(tmp_path / "anna.png", pnginfo=info)
    assert not is_rendered(tmp_path / "anna.png")


def test_each_former_image_is_kept(tmp_path: Path) -> None:
    for value in (10, 120, 250):
        write_reference(tmp_path / "anna.png", np.full((4, 4, 3), value, dtype=np.uint8), "")
    kept = sorted((tmp_path / "previous").iterdir())
    assert [path.name for path in kept] == ["anna_001.png", "anna_002.png"]
    assert [Image.open(path).getpixel((0, 0))[0] for path in kept] == [10, 120]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(VideoGenError, match=r"anna.png cannot be written") as caught:
        write_reference(tmp_path / "file" / "anna.png", RED, "")
    assert caught.value.code == "path-invalid"


def test_a_name_without_an_image_s_ending(tmp_path: Path) -> None:
    with pytest.raises(VideoGenError, match=r"'anna\.bmp' is not a file name for a picture"):
        write_reference(tmp_path / "anna.bmp", RED, "")


# ------------------------------------------------------------------ resizing


def test_a_part_of_an_image_is_taken() -> None:
    image = np.zeros((8, 16, 3), dtype=np.float32)
    image[:, 8:] = 1.0
    right = resize_lanczos(image, (32, 32), (8.0, 0.0, 16.0, 8.0))
    assert right.shape == (32, 32, 3)
    assert right[:, 4:].min() > 0.9


def test_nothing_is_rounded_and_nothing_overshoots() -> None:
    image = np.linspace(0, 1, 64, dtype=np.float32)[None, :, None].repeat(8, 0).repeat(3, 2)
    image[:, 32:] = 1.0
    larger = resize_lanczos(image, (200, 20))
    assert larger.dtype == np.float32
    assert larger.min() >= 0.0
    assert larger.max() <= 1.0
    assert len(np.unique(larger[0, :90, 0])) > 80
