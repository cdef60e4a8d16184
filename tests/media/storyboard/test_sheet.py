"""Layout, timeline and slate."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from custom_nodes.videogen.media.storyboard import draw_slate
from custom_nodes.videogen.media.storyboard.sheet.layout import lay_out
from custom_nodes.videogen.media.storyboard.sheet.timeline import segment_spans
from tests.support.storyboards import first_frame, image_of, make_plan


@given(size=st.tuples(st.integers(16, 8192), st.integers(16, 8192)))
@settings(max_examples=300)
def test_areas_lie_within_the_frame_and_do_not_overlap(size: tuple[int, int]) -> None:
    layout = lay_out(size)
    areas = [
        area for area in (layout.header, layout.image, layout.caption, layout.timeline, *layout.columns) if any(area)
    ]
    for index, (left, top, right, bottom) in enumerate(areas):
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]
        for other in areas[:index]:
            assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top


@given(number=st.integers(1, 33))
def test_the_timeline_covers_the_film_without_gaps(number: int) -> None:
    plan = make_plan(number)
    spans = segment_spans(plan)
    assert len(spans) == plan.count
    assert spans[0][0] == 0
    assert spans[-1][1] == plan.film_duration
    assert all(before[1] == after[0] for before, after in itertools.pairwise(spans))
    assert spans[number - 1] == (plan.start, plan.start + plan.duration)


@pytest.mark.parametrize("size", [(960, 540), (540, 960), (480, 270), (64, 64), (16, 16)])
def test_a_slate_is_a_frame_of_the_same_family(size: tuple[int, int]) -> None:
    plan = make_plan(size=size)
    slate, frame = draw_slate(plan, "Zu wenig Speicher"), first_frame(plan)
    assert slate.shape == frame.shape
    assert slate.dtype == np.uint8
    assert np.array_equal(slate, draw_slate(plan, "Zu wenig Speicher")), "a slate holds still"
    assert slate.std() > 4
    assert image_of(slate, plan).mean() < image_of(frame, plan).mean() - 30, "a gap is darker than any shot"


def test_a_slate_says_which_segment_and_why() -> None:
    plan = make_plan(size=(960, 540))
    slate = draw_slate(plan, "Out of memory")
    assert not np.array_equal(image_of(slate, plan), image_of(draw_slate(plan, "No connection"), plan))
    other = make_plan(8, size=(960, 540), start=plan.start)
    assert not np.array_equal(image_of(slate, plan), image_of(draw_slate(other, "Out of memory"), plan))
    assert draw_slate(plan, "x" * 5_000).shape == draw_slate(plan, "").shape
