"""Noise of the frames of a shot: alike as documented, and normal whatever the drift."""

from __future__ import annotations

import itertools
import math

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings
from hypothesis import strategies as st

from custom_nodes.videogen.tensor.frame_noise import frame_correlation, make_frame_noise

SHAPE = (4, 64, 64)
DRIFTS = [0.0, 0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0]


def correlation(a, b):
    return (torch.corrcoef(torch.stack([a.flatten(), b.flatten()]).double())[0, 1]).item()


def kolmogorov_smirnov(values):
    """Greatest distance between the values' distribution and N(0, 1), times the root of their number."""
    values = values.double().flatten().sort().values
    expected = torch.special.ndtr(values)
    steps = torch.arange(len(values) + 1, dtype=torch.float64) / len(values)
    distance = max((steps[1:] - expected).max(), (expected - steps[:-1]).max()).item()
    return distance * math.sqrt(len(values))


@pytest.mark.parametrize("drift", DRIFTS)
def test_every_frame_is_standard_normal(drift):
    noise = make_frame_noise(SHAPE, [0, 1, 7, 23], seed=1001, anchor_seed=5000, drift=drift)
    count = noise[0].numel()
    for frame in noise:
        assert abs(frame.mean()) < 4 / math.sqrt(count)
        assert abs(frame.var() - 1) < 4 * math.sqrt(2 / count)
        assert kolmogorov_smirnov(frame) < 1.63  # 1 % of normal samples are further off; the seeds are fixed


def test_the_kolmogorov_smirnov_test_can_tell():
    noise = make_frame_noise(SHAPE, [0], seed=1, drift=0.5)
    assert kolmogorov_smirnov(noise * 1.05) > 1.63
    assert kolmogorov_smirnov(noise + 0.05) > 1.63


@pytest.mark.parametrize("drift", DRIFTS)
def test_frames_correlate_as_documented(drift):
    noise = make_frame_noise((4, 128, 128), range(12), seed=7, drift=drift)
    for distance in (1, 2, 5, 11):
        found = sum(correlation(noise[f], noise[f + distance]) for f in range(12 - distance)) / (12 - distance)
        assert found == pytest.approx(frame_correlation(drift, distance), abs=4 / math.sqrt(noise[0].numel()))


def test_neighbors_grow_apart_with_drift():
    documented = [frame_correlation(drift / 100) for drift in range(101)]
    assert documented[0] == 1
    assert documented[100] == 0
    assert all(a > b for a, b in itertools.pairwise(documented))
    found = []
    for drift in DRIFTS:
        noise = make_frame_noise(SHAPE, [4, 5], seed=3, drift=drift)
        found.append(correlation(noise[0], noise[1]))
    assert found == sorted(found, reverse=True)


def test_the_ends_are_exact():
    still = make_frame_noise(SHAPE, range(5), seed=11, drift=0.0)
    assert all(torch.equal(frame, still[0]) for frame in still)
    # The shared part has no part in independent frames.
    one = make_frame_noise(SHAPE, range(5), seed=11, anchor_seed=1, drift=1.0)
    other = make_frame_noise(SHAPE, range(5), seed=11, anchor_seed=2, drift=1.0)
    assert torch.equal(one, other)


def test_small_drift_begins_at_no_drift():
    still, nearly = (make_frame_noise(SHAPE, range(3), seed=5, drift=drift) for drift in (0.0, 1e-6))
    assert (still - nearly).abs().max() < 1e-4


@settings(max_examples=30, deadline=None)
@given(
    frames=st.lists(st.integers(0, 40), min_size=1, max_size=6),
    drift=st.sampled_from([0.0, 0.3, 1.0]),
    seed=st.integers(0, 2**64 - 1),
)
def test_a_frame_does_not_depend_on_the_others(frames, drift, seed):
    together = make_frame_noise((3, 5, 4), frames, seed=seed, drift=drift)
    for row, frame in enumerate(frames):
        alone = make_frame_noise((3, 5, 4), [frame], seed=seed, drift=drift)
        assert torch.equal(together[row], alone[0])


@pytest.mark.parametrize("drift", [0.0, 0.4, 1.0])
def test_the_global_random_state_is_left_alone_and_does_not_matter(drift):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = make_frame_noise(SHAPE, range(3), seed=9, drift=drift)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(make_frame_noise(SHAPE, range(3), seed=9, drift=drift), one)


def test_seeds_matter_where_they_should():
    options = {"drift": 0.3}
    noise = make_frame_noise(SHAPE, [3], seed=1, anchor_seed=50, **options)
    other_shot = make_frame_noise(SHAPE, [3], seed=2, anchor_seed=50, **options)
    other_place = make_frame_noise(SHAPE, [3], seed=1, anchor_seed=51, **options)
    x = math.cos(math.pi / 2 * 0.3)
    assert correlation(noise, other_shot) == pytest.approx(x * x, abs=0.03)
    assert correlation(noise, other_place) == pytest.approx(1 - x * x, abs=0.03)


def test_no_frames_is_no_noise():
    assert make_frame_noise((4, 2, 2), [], seed=1, drift=0.5).shape == (0, 4, 2, 2)
