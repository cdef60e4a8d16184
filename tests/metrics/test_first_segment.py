"""A character against the segment in which it was first accepted: strangers in the same field, guesses, other versions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from custom_nodes.videogen.core.continuity.policy import FAIL, WARN, Thresholds, judge_segment
from custom_nodes.videogen.core.continuity.scores import SegmentScore, SubjectScore
from custom_nodes.videogen.metrics.appearance import Appearance, AppearanceModel, measure_likeness
from custom_nodes.videogen.metrics.masks.mask_network import MaskNetwork
from custom_nodes.videogen.metrics.segment_meter import SegmentRequest, appearances_of, score_segment
from custom_nodes.videogen.metrics.subject_compare import compare_with_first
from custom_nodes.videogen.metrics.subject_meter import SubjectRequest
from runner.bench.footage.footage import Footage, film, film_over
from tests.support.models.mask_networks import need_mask_network

FRAMES = 6
TOM, OLE = film("tom", "field", frames=FRAMES), film("ole", "field", frames=FRAMES)
COLORS = AppearanceModel()


def measure(
    footage: Footage, model: AppearanceModel = COLORS, first: tuple[Appearance, ...] = (), masked: bool = True
) -> SegmentScore:
    subject = SubjectRequest("character", "tom", mask=footage.masks if masked else None, first=first)
    # The drawn figures glide: only the character is judged here.
    score = score_segment(footage.frames, SegmentRequest(FRAMES, (subject,)), model)
    return dataclasses.replace(score, temporal=None)


def tom_of(score: SegmentScore) -> SubjectScore:
    return score.subjects[0]


def test_the_same_figure_passes_and_a_stranger_in_the_same_field_fails() -> None:
    first = appearances_of(measure(TOM), "tom")
    same, stranger = measure(film("tom", "field", frames=FRAMES, seed=3), first=first), measure(OLE, first=first)
    assert judge_segment(same, Thresholds()).level != FAIL
    assert judge_segment(stranger, Thresholds()).level == FAIL
    assert (tom_of(stranger).mean or 0) < 0.6
    assert tom_of(stranger).own_likeness == pytest.approx(0.9, abs=0.1)
    assert all(sample.margin is not None for sample in tom_of(stranger).samples)


def test_a_network_finds_the_stranger_without_any_mask() -> None:
    model = AppearanceModel(masks=need_mask_network())
    first = appearances_of(measure(TOM, model, masked=False), "tom")
    stranger = measure(OLE, model, first, masked=False)
    assert tom_of(stranger).weights == "network"
    assert judge_segment(stranger, Thresholds()).level == FAIL


def test_where_the_place_is_guessed_nothing_fails() -> None:
    first = appearances_of(measure(TOM, masked=False), "tom")
    other = measure(film("ida", "street", frames=FRAMES), first=first, masked=False)
    assert tom_of(other).guessed
    assert judge_segment(other, Thresholds()).level == WARN
    assert (tom_of(other).mean or 0) < 0.85


def test_a_guess_in_the_first_segment_is_a_guess_too() -> None:
    first = appearances_of(measure(TOM, masked=False), "tom")
    assert tom_of(measure(OLE, first=first)).guessed
    alone = compare_with_first(tom_of(measure(OLE)), tom_of(measure(TOM, masked=False)), 1)
    assert alone.guessed


def test_the_runner_s_comparison_is_the_node_s() -> None:
    known = measure(TOM)
    by_node = tom_of(measure(OLE, first=appearances_of(known, "tom")))
    by_runner = compare_with_first(tom_of(measure(OLE)), tom_of(known), 1)
    assert by_runner.mean == pytest.approx(by_node.mean or 0, abs=0.01)
    assert by_runner.own_likeness == pytest.approx(by_node.own_likeness or 0, abs=0.01)
    assert not by_runner.guessed


def test_frames_in_which_it_is_not_found_are_named_and_not_compared() -> None:
    seen = iter(range(FRAMES))

    def segment(rgb: np.ndarray) -> np.ndarray:
        mask = np.zeros(rgb.shape[:2], np.float32)
        if next(seen) < 4:
            mask[:, rgb.shape[1] // 3 : rgb.shape[1] // 2] = 1
        return mask

    model = AppearanceModel(masks=MaskNetwork("four frames", segment))
    scored = tom_of(measure(TOM, model, appearances_of(measure(TOM), "tom"), masked=False))
    assert {sample.frame for sample in scored.samples} < {0, 1, 2, 3}
    assert (scored.weights, scored.guessed) == ("network", False)
    assert any(note.startswith("it is not found in frame") for note in scored.notes)


def film_two(left: str, right: str, seed: int = 0) -> np.ndarray:
    behind = film(left, "field", frames=FRAMES, shift=-0.24, speed=1, seed=seed)
    return film_over(right, behind.frames, shift=0.24).frames


def test_two_characters_who_have_changed_places_are_found_by_their_regions() -> None:
    regions = {"tom": (0.0, 0.0, 0.5, 1.0), "ole": (0.5, 0.0, 0.5, 1.0)}
    model = AppearanceModel(masks=need_mask_network())

    def measure_two(frames: np.ndarray, first: SegmentScore | None = None) -> SegmentScore:
        requests = tuple(
            SubjectRequest("character", name, region=region, first=() if first is None else appearances_of(first, name))
            for name, region in regions.items()
        )
        return dataclasses.replace(score_segment(frames, SegmentRequest(FRAMES, requests), model), temporal=None)

    first = measure_two(film_two("tom", "ole"))
    assert [each.weights for each in first.subjects] == ["network", "network"]
    assert judge_segment(measure_two(film_two("tom", "ole", seed=3), first), Thresholds()).level != FAIL
    exchanged = judge_segment(measure_two(film_two("ole", "tom"), first), Thresholds())
    assert exchanged.level == FAIL
    assert {reason.split()[0] for reason in exchanged.reasons} >= {"tom", "ole"}


@pytest.mark.parametrize("single", [True, False])
def test_a_character_is_missing_if_the_mask_of_every_frame_is_empty(single: bool) -> None:
    nothing = np.zeros_like(TOM.masks)
    score = measure(dataclasses.replace(TOM, masks=nothing[0] if single else nothing))
    assert tom_of(score).missing is not single
    # A single empty mask is a mistake of whoever has painted it, whatever is rendered.
    assert judge_segment(score, Thresholds()).level == (WARN if single else FAIL)


def test_colors_and_texture_are_kept_beside_a_network() -> None:
    network = AppearanceModel("net", lambda images: images.reshape(len(images), -1)[:, :64].astype(np.float32) + 1)
    tom, ole = (network.measure_reference(each.frames[0], each.masks[0]) for each in (TOM, OLE))
    plain = [COLORS.measure_reference(each.frames[0], each.masks[0]) for each in (TOM, OLE)]
    assert measure_likeness(tom, ole) == pytest.approx(measure_likeness(*plain))
    kept = Appearance.from_dict(tom.to_dict())
    assert measure_likeness(kept, ole) == pytest.approx(measure_likeness(tom, ole) or 0, abs=0.01)


def test_appearances_of_another_version_are_compared_as_that_one_did() -> None:
    network = AppearanceModel("net", lambda images: images.reshape(len(images), -1)[:, :64].astype(np.float32) + 1)
    first = tuple(dataclasses.replace(each, colors=None) for each in appearances_of(measure(TOM, network), "tom"))
    scored = tom_of(measure(OLE, network, first))
    assert scored.own_likeness is None
    assert scored.mean is not None
    assert all(sample.margin is None for sample in scored.samples)


def test_without_color_the_likeness_is_that_of_lightness_and_texture() -> None:
    gray = dataclasses.replace(
        TOM, frames=np.repeat(TOM.frames.mean(axis=3, keepdims=True), 3, axis=3).astype(np.uint8)
    )
    first = appearances_of(measure(gray), "tom")
    scored = tom_of(measure(gray, first=first))
    assert all(each.gray for each in first)
    assert scored.mean == pytest.approx(1, abs=0.1)


def test_a_single_frame_is_compared_by_what_is_usual() -> None:
    one = dataclasses.replace(TOM, frames=TOM.frames[:1], masks=TOM.masks[:1])
    score = score_segment(one.frames, SegmentRequest(1, (SubjectRequest("character", "tom", mask=one.masks),)), COLORS)
    scored = tom_of(measure(OLE, first=appearances_of(score, "tom")))
    assert scored.own_likeness == 0.82
    assert judge_segment(measure(OLE, first=appearances_of(score, "tom")), Thresholds()).level == FAIL
