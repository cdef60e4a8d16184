"""One reader for pictures: score, nodes and collected results see the same colors in every kind of file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.images.frame_reader import open_source, read_frames, read_image
from custom_nodes.videogen.media.images.image_files import read_reference_image
from runner.bench.footage.footage import film
from runner.cli import main

#: A ramp from black to white, with structure that a reference needs.
LEVELS = (np.indices((40, 64)).sum(axis=0) / 102).astype(np.float64)
DEEP = (LEVELS * 65535).astype(np.uint16)
BYTES = Image.fromarray((LEVELS * 255).round().astype(np.uint8))
COLORS = Image.merge("RGB", [BYTES, BYTES.transpose(Image.Transpose.ROTATE_180), BYTES])

KINDS = {
    "16-bit gray PNG": ("deep.png", Image.fromarray(DEEP), {}),
    "16-bit gray TIFF": ("deep.tif", Image.fromarray(DEEP), {}),
    "16-bit gray, big-endian": ("deep_be.tif", Image.frombytes("I;16B", (64, 40), DEEP.astype(">u2").tobytes()), {}),
    "32-bit gray TIFF": ("deep32.tif", Image.fromarray(DEEP.astype(np.int32)), {}),
    "gray": ("gray.png", BYTES, {}),
    "gray and alpha": ("gray_alpha.png", BYTES.convert("LA"), {}),
    "palette": ("palette.png", BYTES.convert("P"), {}),
    "CMYK": ("ink.tif", BYTES.convert("RGB").convert("CMYK"), {}),
    "YCbCr": ("video.tif", BYTES.convert("RGB").convert("YCbCr"), {}),
    "RGBA": ("cut.png", BYTES.convert("RGBA"), {}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_score_and_nodes_read_the_same_levels(tmp_path: Path, kind: str) -> None:
    name, image, options = KINDS[kind]
    image.save(tmp_path / name, **options)
    ours = read_image(tmp_path / name)
    nodes = read_reference_image(tmp_path / name, name)
    assert ours.dtype == np.uint8
    assert np.abs(ours[..., :3] / 255 - LEVELS[..., None]).max() < 0.01
    assert np.array_equal(ours[..., :3], (nodes.rgb * 255).round().astype(np.uint8))
    assert nodes.alpha is None
    [frame] = read_frames(open_source(tmp_path / name))
    assert np.array_equal(frame, ours)


def test_a_16_bit_reference_is_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = film("tom", "field", frames=4)
    frames = [Image.fromarray(frame).convert("L") for frame in shown.frames]
    for number, frame in enumerate(frames):
        (tmp_path / "frames").mkdir(exist_ok=True)
        frame.save(tmp_path / "frames" / f"{number}.png")
    reference = np.asarray(frames[0]).astype(np.uint16) * 257
    Image.fromarray(reference).save(tmp_path / "deep.png")
    assert main(["score", str(tmp_path / "frames"), "--reference", str(tmp_path / "deep.png"), "--json"]) in (0, 1)
    [deep] = json.loads(capsys.readouterr().out)
    frames[0].save(tmp_path / "plain.png")
    main(["score", str(tmp_path / "frames"), "--reference", str(tmp_path / "plain.png"), "--json"])
    [plain] = json.loads(capsys.readouterr().out)
    assert deep["scores"]["subjects"][0]["mean"] is not None
    assert deep["scores"]["subjects"] == plain["scores"]["subjects"]


def test_the_transparent_level_of_16_bits_is_transparent_in_both(tmp_path: Path) -> None:
    levels = DEEP.copy()
    levels[:, :32] = 4660
    path = tmp_path / "cut.png"
    Image.fromarray(levels).save(path, transparency=4660)
    alpha = read_image(path)[..., 3]
    assert (alpha[:, :32] == 0).all()
    assert (alpha[:, 33:] == 255).all()
    found = read_reference_image(path, "cut.png").alpha
    assert found is not None
    assert np.array_equal(found * 255, alpha)


def test_floats_are_refused_by_both_with_the_same_reason(tmp_path: Path) -> None:
    path = tmp_path / "hdr.tif"
    Image.fromarray((LEVELS * 4).astype(np.float32)).save(path)
    for read in (read_image, lambda path: read_reference_image(path, path.name)):
        with pytest.raises(VideoGenError, match="it has floating-point values"):
            read(path)
    assert main(["score", str(path)]) == 2
    BYTES.save(tmp_path / "plain.png")
    assert main(["score", str(tmp_path / "plain.png"), "--reference", str(path)]) == 2


def test_a_photo_is_upright_wherever_it_is_read(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "turned.png", tmp_path / "folder" / "turned.png"):
        COLORS.save(path, exif=exif)
    upright = read_reference_image(tmp_path / "turned.png", "turned.png").rgb
    for frames in (
        [read_image(tmp_path / "turned.png")],
        list(read_frames(open_source(tmp_path / "turned.png"))),
        list(read_frames(open_source(tmp_path / "folder"))),
    ):
        assert frames[0].shape == (64, 40, 3)
        assert np.array_equal(frames[0], (upright * 255).round().astype(np.uint8))
