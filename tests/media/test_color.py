"""Colors survive: every reader of videos shows those that were encoded, whatever the matrix, range, format and size."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from custom_nodes.videogen.media.color import primaries_matrix
from custom_nodes.videogen.media.images.frame_reader import open_source, read_frames
from custom_nodes.videogen.media.images.last_frame import read_last_frame
from custom_nodes.videogen.media.images.thumbnails import read_thumbnail_at, read_thumbnails
from runner.rendering.collect import _images
from tests.media.color_clips import PATCHES, Encoding, draw_patches, error_of, sample, write_clip

#: Levels of 255 by which a decoded color may differ; a wrong matrix or range makes it 10 to 25.
TOLERANCE = 3
ENCODINGS = {
    "601": (Encoding("bt601"), (320, 180)),
    "601, no tags": (Encoding("bt601", tagged=False), (320, 180)),
    "601 in HD": (Encoding("bt601"), (1280, 720)),
    "601, full range": (Encoding("bt601", "pc"), (320, 180)),
    "601, 4:2:2": (Encoding("bt601", pixel_format="yuv422p"), (320, 180)),
    "601, 4:4:4, 10 bits": (Encoding("bt601", pixel_format="yuv444p10le"), (320, 180)),
    "709": (Encoding(), (320, 180)),
    "709 in HD, no tags": (Encoding(tagged=False), (1280, 720)),
    "709, full range": (Encoding(range="pc"), (320, 180)),
    "709, full range, 10 bits": (Encoding(range="pc", pixel_format="yuv420p10le"), (320, 180)),
    "2020 matrix": (Encoding("bt2020", pixel_format="yuv420p10le"), (320, 180)),
}


def from_709(primaries: str, transfer: str = "709") -> str:
    """The zscale filter from RGB of an ordinary screen to other primaries and another transfer function."""
    return f"zscale=min=gbr:rin=full:pin=709:tin=709:p={primaries}:t={transfer}:m=gbr:r=full:npl=203,format=gbrp16le"


def read_every_way(path: Path) -> dict[str, np.ndarray]:
    """The first or last frame by each reader; all frames are the same."""
    return {
        "last frame": np.asarray(Image.open(io.BytesIO(read_last_frame(path)))),
        "thumbnails": np.asarray(Image.open(io.BytesIO(read_thumbnails(path, budget=10**7)[0].jpeg))),
        "thumbnail": np.asarray(Image.open(io.BytesIO(read_thumbnail_at(path, 0.5).jpeg))),
        "score": next(read_frames(open_source(path))),
    }


@pytest.mark.parametrize("name", ENCODINGS)
def test_every_reader_shows_the_colors_that_were_encoded(name: str, tmp_path: Path) -> None:
    encoding, size = ENCODINGS[name]
    path = write_clip(tmp_path / "clip.mp4", encoding, size=size)
    errors = {reader: error_of(image) for reader, image in read_every_way(path).items()}
    # A JPEG rounds colors once more.
    assert {reader: error for reader, error in errors.items() if error > TOLERANCE + ("thumb" in reader)} == {}


def test_a_fetched_video_that_is_encoded_again_keeps_its_colors(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", Encoding("bt601"))
    part = path.rename(tmp_path / "clip.mp4.part")
    assert error_of(next(_images((part,)))) <= TOLERANCE


@pytest.mark.parametrize(
    ("encoding", "convert"),
    [
        (Encoding("bt601", primaries="bt470bg", transfer="smpte170m"), from_709("bt470bg")),
        (Encoding("bt2020", "tv", "yuv420p10le", True, "bt2020", "bt2020-10"), from_709("2020")),
        (Encoding("bt2020", "tv", "yuv420p10le", True, "bt2020", "smpte2084"), from_709("2020", "smpte2084")),
    ],
    ids=["625 lines", "wide color", "HDR (PQ)"],
)
def test_other_primaries_and_curves_come_back_to_the_screen_s(encoding: Encoding, convert: str, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", encoding, convert=convert)
    errors = {reader: error_of(image) for reader, image in read_every_way(path).items()}
    assert max(errors.values()) <= TOLERANCE + 2, errors


def test_hlg_keeps_grays_and_the_hues_of_colors(tmp_path: Path) -> None:
    # zscale makes HLG channel by channel, and the standard by the luminance: only what is not saturated is the same.
    encoding = Encoding("bt2020", "tv", "yuv420p10le", True, "bt2020", "arib-std-b67")
    path = write_clip(tmp_path / "clip.mp4", encoding, convert=from_709("2020", "arib-std-b67"))
    found = sample(next(read_frames(open_source(path))))
    for index in (3, 4, 5):
        assert np.abs(found[index] - PATCHES[index]).max() <= TOLERANCE
    assert [int(color.argmax()) for color in found[:3]] == [1, 0, 2]


def test_white_stays_white_in_other_primaries() -> None:
    for primaries in (4, 5, 6, 9, 11, 12):
        assert np.abs(primaries_matrix(primaries) @ np.ones(3) - 1).max() < 1e-6
    assert np.abs(primaries_matrix(1) - np.eye(3)).max() < 1e-9


def test_the_patches_tell_a_wrong_matrix(tmp_path: Path) -> None:
    # Otherwise the tests above could not fail.
    path = write_clip(tmp_path / "clip.mp4", Encoding("bt601", tagged=False), size=(1280, 720))
    assert error_of(next(read_frames(open_source(path)))) > 10
    assert error_of(draw_patches()) == 0
