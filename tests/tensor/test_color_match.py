"""Colors in Lab, and what matching them does."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from custom_nodes.videogen.tensor.color_match import (
    METHODS,
    ColorStats,
    average_stats,
    fit_color_map,
    map_colors,
    match_colors,
    measure_colors,
    read_lab,
)
from custom_nodes.videogen.tensor.color_space import lab_to_srgb, srgb_to_lab

#: sRGB (8 bits) -> CIE Lab (D65), as published calculators give it.
KNOWN = {
    (255, 255, 255): (100.0, 0.0, 0.0),
    (0, 0, 0): (0.0, 0.0, 0.0),
    (255, 0, 0): (53.24, 80.09, 67.20),
    (0, 255, 0): (87.73, -86.18, 83.18),
    (0, 0, 255): (32.30, 79.19, -107.86),
    (255, 255, 0): (97.14, -21.55, 94.48),
    (0, 255, 255): (91.11, -48.09, -14.13),
    (128, 128, 128): (53.585, 0.0, 0.0),
    (5, 5, 5): (1.37, 0.0, 0.0),
}


def make_scene(seed: int = 0, size: int = 48) -> torch.Tensor:
    """An image of moderate, correlated colors, so that a cast stays within what sRGB has."""
    generator = torch.Generator().manual_seed(seed)
    lab = torch.randn(size, size, 3, generator=generator, dtype=torch.float64) @ torch.tensor(
        [[9.0, 2.0, 1.0], [0.0, 6.0, 2.0], [0.0, 0.0, 5.0]], dtype=torch.float64
    )
    return lab_to_srgb(lab.clamp(-25, 25) + torch.tensor([55.0, 4.0, 8.0], dtype=torch.float64))


def colors_of(image: torch.Tensor) -> ColorStats:
    stats = measure_colors(srgb_to_lab(image))
    assert stats is not None
    return stats


def distance(image: torch.Tensor, reference: torch.Tensor) -> float:
    """Mean ΔE (CIE 1976)."""
    return (srgb_to_lab(image.double()) - srgb_to_lab(reference.double())).norm(dim=-1).mean().item()


# ------------------------------------------------------------------ Lab


@pytest.mark.parametrize(("rgb", "lab"), KNOWN.items())
def test_known_colors(rgb: tuple[int, int, int], lab: tuple[float, float, float]) -> None:
    found = srgb_to_lab(torch.tensor(rgb, dtype=torch.float64) / 255)
    torch.testing.assert_close(found, torch.tensor(lab, dtype=torch.float64), rtol=0, atol=0.02)


def test_the_same_as_opencv() -> None:
    cv2 = pytest.importorskip("cv2")
    rgb = torch.rand(40, 40, 3, generator=torch.Generator().manual_seed(1))
    theirs = torch.from_numpy(cv2.cvtColor(rgb.numpy(), cv2.COLOR_RGB2LAB))
    assert (srgb_to_lab(rgb) - theirs).abs().max() < 0.5  # its tables are coarse, and its white is rounded


@pytest.mark.parametrize(("dtype", "worst"), [(torch.float64, 1e-9), (torch.float32, 3e-5)])
def test_there_and_back(dtype: torch.dtype, worst: float) -> None:
    steps = torch.linspace(0, 1, 18, dtype=dtype)
    every = torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij"), dim=-1)
    assert (lab_to_srgb(srgb_to_lab(every)) - every).abs().max() < worst


def test_grays_have_no_color_and_what_srgb_lacks_is_cut_off() -> None:
    grays = torch.linspace(0, 1, 50, dtype=torch.float64)[:, None].expand(-1, 3)
    assert srgb_to_lab(grays)[:, 1:].abs().max() < 1e-9
    assert torch.equal(srgb_to_lab(torch.tensor([[-1.0, 2.0, 0.5]])), srgb_to_lab(torch.tensor([[0.0, 1.0, 0.5]])))
    wild = lab_to_srgb(torch.tensor([[50.0, 200.0, -200.0], [120.0, 0.0, 0.0], [-20.0, 0.0, 0.0]]))
    assert torch.isfinite(wild).all()
    assert ((wild >= 0) & (wild <= 1)).all()


# ------------------------------------------------------------------ matching


def test_measures_are_mean_and_covariance() -> None:
    lab = torch.randn(30, 20, 3, dtype=torch.float64) * 7 + 40
    stats = measure_colors(lab.float())
    assert stats is not None
    flat = lab.reshape(-1, 3)
    torch.testing.assert_close(stats.mean, flat.mean(dim=0), rtol=0, atol=1e-4)
    torch.testing.assert_close(stats.covariance, torch.cov(flat.T, correction=0), rtol=1e-4, atol=1e-3)


def test_only_what_the_mask_shows_is_measured() -> None:
    lab = torch.randn(10, 12, 3, dtype=torch.float64)
    mask = torch.zeros(10, 12)
    mask[2:5, 3:9] = 1
    inside, alone = measure_colors(lab, mask), measure_colors(lab[2:5, 3:9])
    assert inside is not None
    assert alone is not None
    torch.testing.assert_close(inside.mean, alone.mean)
    torch.testing.assert_close(inside.covariance, alone.covariance)
    assert measure_colors(lab, torch.zeros(10, 12)) is None


def cast(image: torch.Tensor, matrix: list[list[float]], offset: list[float]) -> torch.Tensor:
    """A cast of color and exposure, in Lab."""
    mean = torch.tensor([55.0, 4.0, 8.0], dtype=torch.float64)
    lab = srgb_to_lab(image) - mean
    return lab_to_srgb(
        lab @ torch.tensor(matrix, dtype=torch.float64).T + mean + torch.tensor(offset, dtype=torch.float64)
    )


DIAGONAL = [[0.85, 0.0, 0.0], [0.0, 1.15, 0.0], [0.0, 0.0, 0.9]]
SYMMETRIC = [[0.9, 0.05, 0.02], [0.05, 1.1, -0.08], [0.02, -0.08, 0.95]]


@pytest.mark.parametrize(
    ("name", "matrix", "left"),
    [
        ("clamped", DIAGONAL, 0.02),
        ("mean and spread", DIAGONAL, 0.02),
        ("covariance", DIAGONAL, 0.02),
        ("covariance", SYMMETRIC, 0.02),
    ],
)
def test_a_cast_is_undone(name: str, matrix: list[list[float]], left: float) -> None:
    scene = make_scene()
    tinted = cast(scene, matrix, [-6.0, 3.0, 7.0])
    assert distance(tinted, scene) > 8
    (matched,) = match_colors(tinted[None], colors_of(scene), METHODS[name], 1.0)
    assert distance(matched, scene) < left


def test_mean_and_spread_cannot_undo_what_mixes_colors() -> None:
    scene = make_scene()
    tinted = cast(scene, SYMMETRIC, [0.0, 0.0, 0.0])
    (apart,) = match_colors(tinted[None], colors_of(scene), METHODS["mean and spread"], 1.0)
    (together,) = match_colors(tinted[None], colors_of(scene), METHODS["covariance"], 1.0)
    assert distance(together, scene) < 0.1 * distance(apart, scene)


@pytest.mark.parametrize("name", METHODS)
def test_stronger_is_closer(name: str) -> None:
    scene = make_scene()
    tinted = cast(scene, SYMMETRIC, [-6.0, 3.0, 7.0])
    distances = []
    for strength in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        (matched,) = match_colors(tinted[None], colors_of(scene), METHODS[name], strength)
        distances.append(distance(matched, scene))
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.2 * distances[0]


def test_clamped_goes_only_so_far() -> None:
    scene = make_scene()
    far = cast(scene, [[0.3, 0, 0], [0, 0.3, 0], [0, 0, 0.3]], [-30.0, 0.0, 25.0])
    before, goal = colors_of(far), colors_of(scene)
    (matched,) = match_colors(far[None], goal, METHODS["clamped"], 1.0)
    after = colors_of(matched)
    torch.testing.assert_close(
        after.mean - before.mean, torch.tensor([12.0, 0.0, -12.0], dtype=torch.float64), rtol=0, atol=0.6
    )
    gains = (after.covariance.diagonal() / before.covariance.diagonal()).sqrt()
    assert (gains < 1.26).all()


@pytest.mark.parametrize("name", METHODS)
def test_its_own_colors_leave_a_frame_alone(name: str) -> None:
    scene = make_scene().float()
    (matched,) = match_colors(scene[None], colors_of(scene), METHODS[name], 1.0)
    torch.testing.assert_close(matched, scene, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("value", [0.0, 0.37, 1.0])
def test_flat_frames_stay_flat(name: str, value: float) -> None:
    flat = torch.full((1, 8, 8, 3), value)
    (matched,) = match_colors(flat, colors_of(make_scene()), METHODS[name], 1.0)
    assert torch.isfinite(matched).all()
    assert matched.std(dim=(0, 1)).max() < 1e-4


@pytest.mark.parametrize("name", METHODS)
def test_gray_frames_stay_gray_and_get_the_exposure(name: str) -> None:
    scene = make_scene()
    gray = scene.mean(dim=-1, keepdim=True).float() * 0.8
    (matched,) = match_colors(gray[None], colors_of(scene), METHODS[name], 1.0)
    assert matched.shape == gray.shape
    goal, found = colors_of(scene), colors_of(matched.expand(-1, -1, 3))
    assert found.mean[0].item() == pytest.approx(goal.mean[0].item(), abs=0.5)
    assert found.mean[1:].abs().max() < 1e-3


def test_alpha_stays_and_what_is_transparent_does_not_count() -> None:
    scene = make_scene().float()
    tinted = cast(make_scene(), DIAGONAL, [-6.0, 3.0, 7.0]).float()
    alpha = torch.ones(48, 48, 1)
    alpha[:10] = 0
    tinted[:10] = 1.0
    (matched,) = match_colors(torch.cat([tinted, alpha], dim=-1)[None], colors_of(scene[10:]), METHODS["clamped"], 1.0)
    assert torch.equal(matched[..., 3:], alpha)
    assert distance(matched[10:, :, :3], scene[10:]) < 0.05


def test_types_and_shapes_stay() -> None:
    frames = torch.stack([make_scene(seed) for seed in range(3)]).half()
    matched = list(match_colors(frames, colors_of(make_scene(9)), METHODS["clamped"], 0.5))
    assert len(matched) == 3
    assert all(frame.dtype == torch.float16 and frame.shape == frames[0].shape for frame in matched)


def test_the_average_frame() -> None:
    stats = [colors_of(make_scene(seed)) for seed in range(4)]
    average = average_stats(stats)
    torch.testing.assert_close(average.mean, sum(one.mean for one in stats) / 4)
    identity = fit_color_map(average, average, METHODS["covariance"])
    lab = read_lab(make_scene())[0].double()
    torch.testing.assert_close(map_colors(lab, identity), lab, rtol=0, atol=1e-6)


def test_a_frame_that_nothing_is_seen_of() -> None:
    with pytest.raises(ValueError, match="frame 2 has no pixel to measure"):
        list(
            match_colors(
                torch.rand(2, 4, 4, 3),
                colors_of(make_scene()),
                METHODS["clamped"],
                1.0,
                torch.tensor([1.0, 0.0])[:, None, None].expand(-1, 4, 4),
            )
        )
