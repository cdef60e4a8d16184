"""The sizes that models render in for films of all shapes."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_nodes.videogen.core.model_profiles.model import Profile, SizeRule
from custom_nodes.videogen.core.model_profiles.sizes import fit_size

H3 = Profile("h3", "h3", "H3", size=SizeRule(32, 32, 768 * 1344, (1344, 768)))
WAN = Profile("wan", "wan", "Wan", size=SizeRule(16, 16, None, (832, 480)))


@pytest.mark.parametrize(
    ("profile", "aspect", "wanted", "size"),
    [
        (H3, Fraction(16, 9), None, (1344, 768)),
        (H3, Fraction(9, 16), None, (768, 1344)),
        (H3, Fraction(16, 9), (1920, 1080), (1344, 768)),  # not larger than it can
        (H3, Fraction(16, 9), (480, 270), (512, 288)),  # a draft
        (H3, Fraction(1), None, (992, 992)),
        (WAN, Fraction(16, 9), None, (848, 480)),
        (WAN, Fraction(16, 9), (1280, 720), (1280, 720)),
        (WAN, Fraction(16, 9), (64, 64), (80, 48)),
        (Profile("x", "x", "X"), Fraction(1), (640, 640), (640, 640)),
    ],
)
def test_sizes(profile, aspect, wanted, size) -> None:
    assert fit_size(profile, aspect, wanted) == size


@given(
    multiple=st.sampled_from([1, 2, 8, 16, 32, 64]),
    shape=st.tuples(st.integers(16, 4096), st.integers(16, 4096)).filter(lambda s: max(s) <= 16 * min(s)),
    pixels=st.integers(64, 2048),
    area=st.one_of(st.none(), st.integers(64 * 64, 2048 * 2048)),
)
def test_a_size_is_of_the_multiple_not_too_large_and_near_the_shape(multiple, shape, pixels, area) -> None:
    profile = Profile("x", "x", "X", size=SizeRule(multiple, multiple, area))
    aspect = Fraction(*shape)
    width, height = fit_size(profile, aspect, (pixels, pixels))
    assert width % multiple == height % multiple == 0
    assert width > 0
    assert height > 0
    if area is not None:
        assert width * height <= max(area, multiple * multiple)
    # Within a multiple of the exact shape, where there are enough of them for the shape at all.
    if min(width, height) >= 8 * multiple:
        assert abs(math.log(width / height / float(aspect))) < 0.15
    assert fit_size(profile, 1 / aspect, (pixels, pixels)) == (height, width) or aspect == 1
