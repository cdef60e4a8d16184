"""Reference images and masks on disk: every kind that people have, and what is wrong with the others."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.images.image_files import (
    LONG_SIDE,
    FileWatch,
    find_file,
    read_mask,
    read_reference_image,
)

RED, BLUE = (255, 0, 0), (0, 0, 255)


def two_colors(size=(6, 4)):
    """Red on the left, blue on the right."""
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (size[0] // 2, 0, *size))
    return image


def read(path, **save):
    image = save.pop("image", None) or two_colors()
    image.save(path, **save)
    return read_reference_image(path, path.name)


# ------------------------------------------------------------------ kinds of images


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("plain.png", {}),
        ("palette.png", {"image": two_colors().convert("P")}),
        ("photo.jpg", {"quality": 100, "subsampling": 0}),
        ("lossless.webp", {"lossless": True}),
        ("bitmap.bmp", {}),
        ("scan.tif", {}),
        ("moving.gif", {"save_all": True, "append_images": [Image.new("RGB", (6, 4))]}),
        ("moving.webp", {"lossless": True, "save_all": True, "append_images": [Image.new("RGB", (6, 4))]}),
        ("moving.png", {"save_all": True, "append_images": [Image.new("RGB", (6, 4))]}),
        ("print.jpg", {"image": two_colors().convert("CMYK"), "quality": 100}),
    ],
)
def test_colors_come_as_they_are(tmp_path, name, save):
    image = read(tmp_path / name, **dict(save))
    assert (image.rgb.shape, image.rgb.dtype, image.alpha) == ((4, 6, 3), np.float32, None)
    assert image.rgb[1, 0] == pytest.approx([1, 0, 0], abs=0.03)
    assert image.rgb[1, 5] == pytest.approx([0, 0, 1], abs=0.03)


def test_gray_and_sixteen_bits_are_scaled(tmp_path):
    levels = np.array([[0, 32768, 65535]], dtype=np.uint16)
    image = read(tmp_path / "deep.png", image=Image.fromarray(levels))
    assert image.rgb[0, :, 0] == pytest.approx([0, 0.5, 1], abs=0.005)
    assert np.array_equal(image.rgb[..., 0], image.rgb[..., 2])
    gray = read(tmp_path / "gray.png", image=Image.fromarray(np.array([[0, 128, 255]], dtype=np.uint8)))
    assert gray.rgb[0, :, 1] == pytest.approx([0, 128 / 255, 1])
    ink = read(tmp_path / "ink.png", image=two_colors().convert("1"))
    assert set(np.unique(ink.rgb)) <= {0.0, 1.0}


def test_what_is_transparent_is_gray(tmp_path):
    image = two_colors().convert("RGBA")
    image.putalpha(Image.fromarray(np.array([[255, 255, 128, 128, 0, 0]] * 4, dtype=np.uint8)))
    found = read(tmp_path / "cut.png", image=image)
    assert found.alpha[0] == pytest.approx([1, 1, 128 / 255, 128 / 255, 0, 0])
    assert found.rgb[0, 0] == pytest.approx([1, 0, 0])
    assert found.rgb[0, 5] == pytest.approx([0.5, 0.5, 0.5])


def test_a_transparent_palette_color_is_transparent(tmp_path):
    image = two_colors().convert("P", palette=Image.Palette.ADAPTIVE)
    found = read(tmp_path / "palette.png", image=image, transparency=image.getpixel((0, 0)))
    assert found.alpha[0] == pytest.approx([0, 0, 0, 1, 1, 1])


@pytest.mark.parametrize("name", ["turned.jpg", "turned.png", "turned.webp"])
def test_a_photo_is_turned_as_the_camera_held_it(tmp_path, name):
    exif = Image.Exif()
    exif[0x0112] = 6  # lying on its right side
    image = read(tmp_path / name, exif=exif)
    assert image.rgb.shape == (6, 4, 3)
    assert image.rgb[0, 1] == pytest.approx([1, 0, 0], abs=0.15)
    assert image.rgb[5, 1] == pytest.approx([0, 0, 1], abs=0.15)


def test_large_images_are_shrunk(tmp_path):
    assert read(tmp_path / "large.png", image=two_colors((3000, 1500))).rgb.shape == (LONG_SIDE // 2, LONG_SIDE, 3)


# ------------------------------------------------------------------ what cannot be used


def broken(path):
    two_colors((300, 300)).save(path)
    path.write_bytes(path.read_bytes()[:-200])


def huge(path):
    Image.new("1", (12_000, 12_000)).save(path)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (broken, "cannot be read: "),
        (lambda path: path.write_text("hello"), "cannot be read: cannot identify image file"),
        (lambda path: path.write_bytes(b""), "cannot be read: "),
        (huge, "is too large: it is 12000×12000, at most 120 megapixels are read"),
        (lambda path: Image.new("RGBA", (4, 4)).save(path), "is fully transparent"),
        (lambda path: Image.new("F", (4, 4)).save(path, format="TIFF"), "cannot be read: it has floating-point values"),
    ],
    ids=["truncated", "text", "empty", "too large", "invisible", "floats"],
)
def test_a_file_that_is_no_image_is_named(tmp_path, make, said):
    path = tmp_path / "anna.png"
    make(path)
    with pytest.raises(VideoGenError) as caught:
        read_reference_image(path, "people/anna.png")
    assert caught.value.code == "image-invalid"
    assert caught.value.message.startswith(f"the picture 'people/anna.png' {said}")


# ------------------------------------------------------------------ masks


def mask_file(path, array):
    Image.fromarray(array.astype(np.uint8)).save(path)
    return path


def test_a_mask_is_its_brightness(tmp_path):
    levels = np.zeros((9, 16))
    levels[:, :8] = 255
    mask = read_mask(mask_file(tmp_path / "left.png", levels), "left.png", (1920, 1080))
    assert mask.shape == (9, 16)
    assert mask[0].tolist() == [1] * 8 + [0] * 8


def test_a_mask_is_black_where_it_is_transparent(tmp_path):
    pixels = np.full((9, 16, 4), 255)
    pixels[:, 8:, 3] = 0
    mask = read_mask(mask_file(tmp_path / "left.png", pixels), "left.png", (1920, 1080))
    assert mask[0].tolist() == [1] * 8 + [0] * 8


@pytest.mark.parametrize("size", [(1920, 1080), (854, 480), (512, 288), (16, 9), (1024, 576)])
def test_a_mask_may_have_any_size_of_the_frame_s_shape(tmp_path, size):
    path = mask_file(tmp_path / "mask.png", np.full((size[1], size[0]), 255))
    assert read_mask(path, "mask.png", (1920, 1080)).min() == 1


@pytest.mark.parametrize("size", [(1080, 1920), (512, 512), (1920, 1200)])
def test_a_mask_of_another_shape_is_refused(tmp_path, size):
    path = mask_file(tmp_path / "mask.png", np.full((size[1], size[0]), 255))
    with pytest.raises(
        VideoGenError, match=f"'mask.png' is {size[0]}×{size[1]}, .* 1920×1080: another shape"
    ) as caught:
        read_mask(path, "mask.png", (1920, 1080))
    assert caught.value.code == "mask-invalid"


def test_a_black_mask_is_refused(tmp_path):
    with pytest.raises(VideoGenError, match=r"'mask.png' is all black") as caught:
        read_mask(mask_file(tmp_path / "mask.png", np.zeros((9, 16))), "mask.png", (1920, 1080))
    assert caught.value.code == "mask-invalid"


# ------------------------------------------------------------------ where they are


def test_files_are_found_in_the_folder_and_below(tmp_path):
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "anna.png").write_bytes(b"x")
    assert find_file(tmp_path, "people/anna.png") == (tmp_path / "people" / "anna.png").resolve()
    assert find_file(tmp_path, "people\\anna.png") == (tmp_path / "people" / "anna.png").resolve()
    assert find_file(tmp_path, "ben.png") is None
    assert find_file(tmp_path, "people") is None


@pytest.mark.parametrize("name", ["../anna.png", "/etc/hostname", "people/../../anna.png", "link.png"])
def test_files_outside_are_refused(tmp_path, name):
    folder = tmp_path / "input"
    folder.mkdir()
    (tmp_path / "anna.png").write_bytes(b"x")
    (folder / "link.png").symlink_to(tmp_path / "anna.png")
    with pytest.raises(VideoGenError) as caught:
        find_file(folder, name)
    assert caught.value.code == "path-invalid"


# ------------------------------------------------------------------ noticing changes


@pytest.fixture
def watched(tmp_path):
    path = tmp_path / "anna.png"
    path.write_bytes(b"one")
    watch = FileWatch()
    watch.note(path)
    return watch, path


def test_nothing_has_changed(watched):
    watch, path = watched
    assert watch.count_changes() == 0
    watch.note(path)
    assert watch.count_changes() == 0


def test_another_content_counts_once(watched):
    watch, path = watched
    path.write_bytes(b"two!")
    assert [watch.count_changes(), watch.count_changes()] == [1, 1]
    watch.note(path)
    assert watch.count_changes() == 1


def test_the_same_content_does_not_count(watched):
    watch, path = watched
    os.utime(path, ns=(1, 1))
    assert watch.count_changes() == 0
    path.write_bytes(b"one")
    assert watch.count_changes() == 0


def test_content_of_the_same_size_counts(watched):
    watch, path = watched
    path.write_bytes(b"two")
    os.utime(path, ns=(5, 5))
    assert watch.count_changes() == 1


def test_files_that_come_and_go_count(watched):
    watch, path = watched
    path.unlink()
    assert watch.count_changes() == 1
    path.write_bytes(b"one")
    assert watch.count_changes() == 2
    missing = path.with_name("ben.png")
    watch.note(missing)
    assert watch.count_changes() == 2
    missing.write_bytes(b"here")
    assert watch.count_changes() == 3


def test_a_change_between_two_readings_counts(watched):
    watch, path = watched
    path.write_bytes(b"two!")
    watch.note(path)
    assert watch.count_changes() == 1
