"""Noise over pictures."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from custom_nodes.videogen.tensor.image_noise import KINDS, make_noise

PICTURE = torch.rand(2, 48, 64, 3, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_is_the_same_noise(kind: str) -> None:
    one, same, other = (make_noise(PICTURE, kind, 0.7, seed) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert one.shape == PICTURE.shape
    assert 0 <= float(one.min()) <= float(one.max()) <= 1


@pytest.mark.parametrize("kind", ["fade", "dissolve", "gaussian"])
def test_no_strength_is_the_picture(kind: str) -> None:
    assert torch.equal(make_noise(PICTURE, kind, 0.0, 1), PICTURE)


def test_fade_and_dissolve_are_their_formulas() -> None:
    generator = torch.Generator().manual_seed(5)
    uniform = torch.rand(PICTURE.shape, generator=generator)
    torch.testing.assert_close(make_noise(PICTURE, "fade", 0.25, 5), PICTURE * 0.75 + uniform * 0.25)
    chosen, noise = uniform < 0.25, torch.rand(PICTURE.shape, generator=generator)
    dissolved = make_noise(PICTURE, "dissolve", 0.25, 5)
    assert torch.equal(dissolved[chosen], noise[chosen])
    assert torch.equal(dissolved[~chosen], PICTURE[~chosen])
    assert float(chosen.float().mean()) == pytest.approx(0.25, abs=0.02)


def test_gaussian_adds_a_normal_distribution() -> None:
    gray = torch.full((1, 128, 128, 3), 0.5)
    added = make_noise(gray, "gaussian", 0.1, 1) - 0.5
    assert float(added.mean()) == pytest.approx(0, abs=0.003)
    assert float(added.std()) == pytest.approx(0.1, abs=0.003)


def test_shuffle_turns_the_picture_and_moves_its_pixels() -> None:
    ramp = torch.linspace(0, 1, 64)[None, None, :, None].expand(1, 48, 64, 3)
    shuffled = make_noise(ramp, "shuffle", 0.0, 1)
    turned = ramp.flip(1, 2)
    assert not torch.equal(shuffled, turned)
    assert float((shuffled - turned).abs().mean()) < float((shuffled - ramp).abs().mean())
    assert float((make_noise(ramp, "shuffle", 1.0, 1) - turned).abs().mean()) > float((shuffled - turned).abs().mean())


def test_blur_smooths() -> None:
    sharp, soft = (make_noise(PICTURE, "fade", 1.0, 1, blur) for blur in (0, 8))
    assert float(soft.std()) < 0.4 * float(sharp.std())
    assert float(soft.mean()) == pytest.approx(float(sharp.mean()), abs=0.02)
    assert make_noise(PICTURE[:, :2, :2], "fade", 1.0, 1, 32).shape == (2, 2, 2, 3)
