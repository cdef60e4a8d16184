"""A camera's path over images: how far things move is measured in the images."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from custom_nodes.videogen.core.segment.camera_path import View, camera_path
from custom_nodes.videogen.tensor.keyframe_motion import look_at

HEIGHT, WIDTH = 192, 256


@pytest.fixture(scope="module")
def scene() -> torch.Tensor:
    """A random image, (height, width, 3), a little blurred: every part of it is like no other."""
    noise = torch.randn(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1))
    kernel = torch.exp(-(torch.arange(-6.0, 7) ** 2) / (2 * 0.8**2))
    kernel = (kernel / kernel.sum()).expand(3, 1, 13)
    for dims in ((13, 1), (1, 13)):
        padding = "same"
        noise = torch.nn.functional.conv2d(noise, kernel.reshape(3, 1, *dims), padding=padding, groups=3)
    return ((noise[0] - noise.min()) / (noise.max() - noise.min())).permute(1, 2, 0).contiguous()


def shift_between(
    one: torch.Tensor, other: torch.Tensor, middle: tuple[float, float] = (0.5, 0.5)
) -> tuple[float, float]:
    """How far what is in a part of the first image has moved in the second, in pixels (x, y).

    Phase correlation: its peak is at whole pixels, the plane through the low frequencies' phases the rest. (The centroid around
    the peak, which OpenCV takes, leans towards whole pixels, by up to 0.3.)
    """
    height, width = HEIGHT // 2, WIDTH // 2
    top, left = round(HEIGHT * middle[1] - height / 2), round(WIDTH * middle[0] - width / 2)
    window = torch.outer(*(torch.hann_window(size, periodic=False, dtype=torch.float64) for size in (height, width)))
    parts = [image.double().mean(-1)[top : top + height, left : left + width] for image in (one, other)]
    first, second = (torch.fft.fft2((part - part.mean()) * window) for part in parts)
    cross = second * first.conj()
    peak = int(torch.fft.ifft2(cross / cross.abs().clamp(min=1e-9)).real.argmax())
    y, x = ((at + size // 2) % size - size // 2 for at, size in ((peak // width, height), (peak % width, width)))
    across, down = torch.fft.fftfreq(width).double()[None], torch.fft.fftfreq(height).double()[:, None]
    weight = (((across**2 + down**2) < 0.15**2) * cross.abs()).sqrt().flatten()[:, None]
    plane = -2 * torch.pi * torch.stack([(across + 0 * down).flatten(), (down + 0 * across).flatten()], dim=1)
    shift = torch.tensor([x, y], dtype=torch.float64)
    for _ in range(3):
        rest = torch.angle(cross.flatten() * torch.exp(-1j * (plane @ shift)))[:, None]
        shift = shift + torch.linalg.lstsq(plane * weight, rest * weight).solution[:, 0]
    return shift[0].item(), shift[1].item()


@pytest.mark.parametrize(
    ("move", "direction"),
    [("pan-left", (1, 0)), ("pan-right", (-1, 0)), ("track", (-1, 0)), ("tilt-up", (0, 1)), ("tilt-down", (0, -1))],
)
@pytest.mark.parametrize("border", ["mirror", "crop"])
def test_what_is_in_the_image_moves_against_the_camera(scene, move, direction, border):
    frames, reach = 7, 0.06
    views = camera_path(move, 1.0, reach, frames, border)
    images = [look_at(scene, view, (0, 1)) for view in views]
    # In pixels of the frame the way is the same with either border.
    way = reach * (WIDTH if direction[0] else HEIGHT)
    for index in range(1, frames):
        progress = index / (frames - 1)
        expected = way * progress * progress * (3 - 2 * progress)
        x, y = shift_between(images[0], images[index])
        assert x == pytest.approx(direction[0] * expected, abs=0.1)
        assert y == pytest.approx(direction[1] * expected, abs=0.1)


def test_a_pan_to_the_left_moves_the_image_to_the_right(scene):
    views = camera_path("pan-left", 1.0, 0.1, 2)
    assert shift_between(look_at(scene, views[0], (0, 1)), look_at(scene, views[1], (0, 1)))[0] > 0.09 * WIDTH


@pytest.mark.parametrize("shift", [0.13, 0.5, 1.0, 3.37, -2.71])
def test_fractions_of_pixels(scene, shift):
    moved = look_at(scene, View(left=-shift / WIDTH, top=shift / 2 / HEIGHT), (0, 1))
    x, y = shift_between(scene, moved)
    assert (x, y) == (pytest.approx(shift, abs=0.1), pytest.approx(-shift / 2, abs=0.1))


def test_whole_pixels_are_exact(scene):
    moved = look_at(scene, View(left=-3 / WIDTH, top=2 / HEIGHT), (0, 1))
    torch.testing.assert_close(moved[:-2, 3:], scene[2:, :-3], rtol=0, atol=1e-6)


def scale_between(one: torch.Tensor, other: torch.Tensor) -> float:
    """How much larger things are in the second image, from how far what is left and right of the middle moved apart."""
    away = 0.2
    right, left = (shift_between(one, other, (0.5 + side * away, 0.5))[0] for side in (1, -1))
    apart = (right - left) / (2 * away * WIDTH) / 2
    return (1 + apart) / (1 - apart)


@pytest.mark.parametrize(("move", "reach", "scale"), [("zoom-in", 0.1, 1 / 0.9), ("zoom-out", 0.1, 0.9)])
@pytest.mark.parametrize("border", ["mirror", "crop"])
def test_zooms(scene, move, reach, scale, border):
    views = camera_path(move, 1.0, reach, 5, border)
    first, *_, last = (look_at(scene, view, (0, 1)) for view in views)
    assert scale_between(first, last) == pytest.approx(scale, rel=0.01)
    for dim in (0, 1):  # the middle stays where it is
        turned = look_at(scene.flip(dim), views[-1], (0, 1)).flip(dim)
        torch.testing.assert_close(turned, last, rtol=0, atol=1e-5)


def test_all_of_an_image_is_the_image_itself(scene):
    assert look_at(scene, View(), (0, 1)) is scene


@pytest.mark.parametrize("view", [View(left=-0.7), View(top=0.8), View(-1.5, -1.5, 4.0, 4.0), View(left=2.3)])
def test_no_black_borders(scene, view):
    bright = scene * 0.2 + 0.7
    seen = look_at(bright, view, (0, 1))
    assert seen.min() > 0.65
    assert torch.isfinite(seen).all()


def test_borders_are_mirrored():
    row = torch.arange(8.0).reshape(1, 8)
    seen = look_at(row, View(left=-3 / 8))
    torch.testing.assert_close(seen, torch.tensor([[2.0, 1, 0, 0, 1, 2, 3, 4]]), rtol=0, atol=1e-5)


def test_nothing_aliases_when_more_is_seen_than_the_image():
    stripes = torch.tensor([0.0, 1.0]).repeat(64).expand(4, -1)
    seen = look_at(stripes, View(left=-0.6, width=2.2, top=0.0))
    assert (seen[:, 40:88] - 0.5).abs().max() < 0.01  # where no mirrored edge is near


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_types_stay(scene, dtype):
    seen = look_at(scene.to(dtype), View(left=0.1), (0, 1))
    assert seen.dtype == dtype
    torch.testing.assert_close(seen.float(), look_at(scene, View(left=0.1), (0, 1)), rtol=0, atol=0.01)


def test_a_single_pixel_can_be_looked_at():
    assert look_at(torch.full((1, 1), 0.25), View(0.3, -0.3, 0.5, 0.5)).item() == pytest.approx(0.25)


def test_constant_images_stay_constant():
    gray = torch.full((3, 20, 30), 0.4)
    torch.testing.assert_close(look_at(gray, View(0.123, 0.07, 0.83, 1.4)), gray, rtol=0, atol=1e-6)


def test_noise_loses_its_strength_which_is_why_it_is_not_to_be_moved():
    noise = torch.randn(4, 64, 64, generator=torch.Generator().manual_seed(0))
    assert look_at(noise, View(left=0.5 / 64)).var() < 0.8
