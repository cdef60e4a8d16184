"""The arithmetic of frames that diffusers pipelines are asked for."""

from __future__ import annotations

from fractions import Fraction

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.video.pipeline_frames import (
    fit_clip,
    latent_frames,
    plan_forcing,
    plan_framepack,
    round_up_frames,
)


@pytest.mark.parametrize(
    ("frames", "fps", "seconds", "expected"),
    [
        (0, 8, None, (49, 8)),  # neither a segment nor a number: the usual
        (30, 8, None, (30, 8)),
        (0, 8, 6, (48, 8)),  # what the segment has
        (0, 8, 8, (49, Fraction(49, 8))),  # 64 are too many: shown more slowly
        (20, 8, 5, (20, 4)),  # the user's number fills the segment
    ],
)
def test_a_clip_fills_its_segment(frames: int, fps: int, seconds: int | None, expected: tuple[int, Fraction]) -> None:
    clip = fit_clip(frames, Fraction(fps), Fraction(seconds) if seconds else None, usual=49, most=49)
    assert (clip.frames, clip.fps) == expected
    assert bool(clip.note) == (not frames and clip.fps < fps)


def test_what_is_unusual_is_told() -> None:
    clip = fit_clip(0, Fraction(24), Fraction(8), usual=97, most=128)
    assert clip.note == "128 of the 192 frames that 8 s have at 24 fps: shown at 16.00 fps"


def test_more_frames_than_the_model_makes_are_refused() -> None:
    with pytest.raises(VideoGenError, match="`frames` is 60, and this model makes at most 49 frames at once") as caught:
        fit_clip(60, Fraction(8), None, usual=49, most=49)
    assert caught.value.code == "widget-invalid"


@pytest.mark.parametrize(("wanted", "step", "frames"), [(1, 4, 1), (2, 4, 5), (5, 4, 5), (16, 4, 17), (50, 8, 57)])
def test_frames_that_a_vae_has(wanted: int, step: int, frames: int) -> None:
    assert round_up_frames(wanted, step) == frames


@pytest.mark.parametrize("block", [1, 2, 5])
@pytest.mark.parametrize("wanted", range(1, 260, 3))
@pytest.mark.parametrize("extends", [False, True])
def test_no_latent_of_any_window_is_dropped(wanted: int, block: int, extends: bool) -> None:
    overlap = 17 if block != 2 else 21
    plan = plan_forcing(wanted, 97, overlap, block, extends=extends)
    assert plan.frames >= wanted + (overlap if extends else 0)
    assert plan.frames - wanted - (overlap if extends else 0) < 4 * block + 4
    window, total, history = latent_frames(plan.base_frames), latent_frames(plan.frames), latent_frames(overlap)
    # As the pipeline goes: each window, and what is left for the last.
    if plan.passes == 1:
        windows = [total]
        assert (plan.overlap is None) == (not extends)
    else:
        left = [total - (index * (window - history) + history) for index in range(plan.passes)]
        windows = [min(rest + history, window) for rest in left]
        assert plan.overlap == overlap
    assert all(size > 0 and size % block == 0 for size in windows)
    assert windows[0] + sum(size - history for size in windows[1:]) == total


def test_a_720p_window_shrinks_to_whole_blocks() -> None:
    """31 latent frames are six blocks of 5 and one more, which would be dropped."""
    assert plan_forcing(121, 121, 17, 5).base_frames == 117
    assert plan_forcing(121, 121, 17, 1).base_frames == 121


def test_windows_that_have_to_be_whole() -> None:
    plan = plan_forcing(12, 9, 5, 1, full_windows=True)
    assert (plan.frames, plan.passes) == (13, 2)
    assert plan_forcing(40, 33, 17, 1, full_windows=True).frames == 33 + 16


@pytest.mark.parametrize(
    ("overlap", "block", "message"),
    [
        (16, 1, "`overlap_history` is 16, expected a multiple of 4 and one more"),
        (37, 4, "`overlap_history` is 37 frames, which are 10 latent frames: not a multiple of `causal_block_size`, 4"),
        (97, 1, "`overlap_history` is 97 frames, and one pass has 97: nothing new would fit"),
    ],
)
def test_an_overlap_that_does_not_go(overlap: int, block: int, message: str) -> None:
    with pytest.raises(VideoGenError) as caught:
        plan_forcing(200, 97, overlap, block)
    assert str(caught.value).startswith(message)


def test_an_overlap_is_not_asked_about_where_there_is_none() -> None:
    assert plan_forcing(90, 97, 17, 2).overlap is None


@pytest.mark.parametrize(
    ("wanted", "sections", "rendered"), [(1, 1, 37), (37, 1, 37), (38, 2, 73), (240, 7, 253), (145, 4, 145)]
)
def test_sections_of_framepack(wanted: int, sections: int, rendered: int) -> None:
    plan = plan_framepack(wanted, 9)
    assert (plan.sections, plan.rendered) == (sections, rendered)
    assert max(1, (plan.num_frames + 33 - 1) // 33) == sections, "as the pipeline counts"
