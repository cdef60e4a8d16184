"""Whatever frames, masks and references are given: a number or a sentence, never a crash, never a silent 1.0."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from custom_nodes.videogen.core.continuity.policy import Thresholds, judge_segment
from custom_nodes.videogen.core.continuity.scores import SegmentScore
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.metrics.appearance import Appearance, AppearanceModel, compare_appearances
from custom_nodes.videogen.metrics.images import prepare_image, prepare_mask
from custom_nodes.videogen.metrics.segment_meter import SegmentRequest, appearances_of, score_segment
from custom_nodes.videogen.metrics.subject_meter import SubjectRequest
from runner.bench.footage.footage import film

BACKEND = AppearanceModel()
TOM = film("tom", "field", frames=6)
LOOK = BACKEND.measure_reference(film("tom", "street", frames=1).frames[0])


def score(frames: Any, **subject: Any) -> SegmentScore:
    subject.setdefault("references", (LOOK,))
    request = SegmentRequest(
        len(frames), (SubjectRequest("character", "tom", **subject),), SubjectRequest("location", "x")
    )
    return score_segment(frames, request, BACKEND)


def test_frames_of_nan_are_left_out_and_fail_the_segment() -> None:
    frames = TOM.frames.astype(np.float32) / 255
    frames[0, 10, 10, 1] = np.nan
    frames[3] = np.inf
    result = score(frames)
    assert result.subjects[0].mean is not None
    assert {sample.frame for sample in result.subjects[0].samples} == {1, 2, 4, 5}
    assert "frames 1, 4 with values that are not numbers (NaN)" in judge_segment(result, Thresholds()).reasons
    assert judge_segment(result, Thresholds()).level == "fail"


def test_nothing_but_nan_has_no_score_and_says_so() -> None:
    result = score(np.full((4, 32, 32, 3), np.nan, np.float32))
    assert result.subjects[0].mean is None
    assert result.subjects[0].notes == ("no frame could be measured",)
    assert judge_segment(result, Thresholds()).level == "fail"
    json.dumps(result.to_dict(), allow_nan=False)


def test_a_single_frame_has_a_character_score_and_no_motion() -> None:
    result = score(TOM.frames[:1])
    assert result.subjects[0].mean == result.subjects[0].minimum
    assert result.temporal is not None
    assert result.temporal.score is None
    assert "single frame" in result.temporal.note


def test_no_frames_at_all_is_a_sentence() -> None:
    result = score(TOM.frames[:0])
    assert [problem.sentence for problem in result.frames.problems] == ["there are no frames"]


def test_frames_of_two_sizes_are_both_measured_and_fail() -> None:
    result = score([TOM.frames[0], TOM.frames[1][:200, :300], TOM.frames[2]])
    assert len(result.subjects[0].samples) == 3
    assert any(problem.kind == "sizes" and problem.severe for problem in result.frames.problems)


@pytest.mark.parametrize("side", [1, 7, 15])
def test_tiny_frames_are_measured(side: int) -> None:
    frames = np.random.default_rng(1).integers(0, 255, (3, side, side, 3), np.uint8)
    result = score(frames)
    assert result.subjects[0].mean is not None
    assert result.subjects[0].mean < 1


def test_a_reference_of_another_size_is_compared() -> None:
    large = film("tom", "field", frames=1, size=(960, 540))
    small = film("tom", "field", frames=1, size=(240, 135))
    pair = [BACKEND.measure_reference(each.frames[0], each.masks[0]) for each in (large, small)]
    assert compare_appearances(*pair).score > 0.85


def test_an_empty_mask_gives_a_sentence_and_no_score() -> None:
    result = score(TOM.frames, mask=np.zeros((270, 480)))
    assert result.subjects[0].mean is None
    assert result.subjects[0].notes == ("its mask is empty in every frame: there is nothing to compare",)


def test_frames_whose_mask_is_empty_do_not_count() -> None:
    masks = TOM.masks.copy()
    masks[:3] = 0
    subject = score(TOM.frames, mask=masks).subjects[0]
    assert {sample.frame for sample in subject.samples} <= {3, 4, 5}
    assert "its mask is empty in 3 frames, which do not count" in subject.notes


def test_an_empty_mask_of_a_reference_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(VideoGenError, match="mask is empty") as caught:
        BACKEND.measure_reference(TOM.frames[0], np.zeros((20, 20)))
    assert "leave the mask out" in caught.value.hint


def test_a_mask_of_another_size_and_kind_is_fitted() -> None:
    shape = (90, 160)
    wanted = prepare_mask(TOM.masks[0], shape)
    as_bytes = np.repeat((TOM.masks[0] * 255).astype(np.uint8)[..., None], 3, axis=2)
    assert prepare_mask(as_bytes, shape) == pytest.approx(wanted, abs=0.01)
    assert prepare_mask(TOM.masks[:1], shape) == pytest.approx(wanted)
    assert not prepare_mask(np.full((8, 8), np.nan), shape).any()
    with pytest.raises(VideoGenError, match=r"shape \(2, 3, 4, 5\)"):
        prepare_mask(np.zeros((2, 3, 4, 5)), shape)


def test_a_frame_that_is_the_reference_itself_is_pointed_out() -> None:
    subject = score(TOM.frames, references=(BACKEND.measure_reference(TOM.frames[0]),)).subjects[0]
    assert subject.samples[0].score == 1
    assert subject.notes == ("frame 1 is the reference picture itself, whose score of 1 says nothing",)


def test_nothing_to_compare_with_is_a_sentence_and_no_score() -> None:
    subject = score(TOM.frames, references=()).subjects[0]
    assert subject.mean is None
    assert subject.notes == ("there is nothing to compare with yet: later segments are compared with this one",)


def test_gray_frames_are_compared_by_lightness_and_texture_only() -> None:
    gray = TOM.frames.mean(axis=3, keepdims=True).astype(np.uint8)
    look = BACKEND.measure_reference(gray[0])
    subject = score(gray, references=(look,)).subjects[0]
    assert subject.mean is not None
    assert subject.samples[0].chroma is None
    assert "the frames have no color: people are told apart poorly by lightness and texture alone" in subject.notes
    stranger = score(film("ole", "room", frames=3).frames.mean(axis=3).astype(np.uint8), references=(look,)).subjects[0]
    assert stranger.mean is not None
    assert subject.mean > 0.95
    assert stranger.mean < 0.85


def test_gray_frames_of_a_colorful_character_score_low() -> None:
    gray = np.repeat(TOM.frames.mean(axis=3, keepdims=True).astype(np.uint8), 3, axis=3)
    with_color = BACKEND.measure_reference(TOM.frames[0], TOM.masks[0])
    subject = score(gray, mask=TOM.masks, references=(with_color,)).subjects[0]
    assert subject.mean is not None
    assert subject.mean < 0.5


def test_alpha_is_where_the_subject_is() -> None:
    cut_out = np.dstack([TOM.frames[0], (TOM.masks[0] * 255).astype(np.uint8)])
    by_alpha, by_mask = BACKEND.measure_reference(cut_out), BACKEND.measure_reference(TOM.frames[0], TOM.masks[0])
    assert by_alpha.weights == "alpha"
    assert compare_appearances(by_alpha, by_mask).score > 0.97


def test_an_alpha_that_is_solid_says_nothing_about_the_subject() -> None:
    solid = np.dstack([TOM.frames[0], np.full((270, 480), 255, np.uint8)])
    assert BACKEND.measure_reference(solid).weights == "ratio"


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (np.zeros((4, 4, 2), np.uint8), "1, 3 or 4 channels"),
        (np.zeros((2, 4, 4, 3), np.uint8), "1, 3 or 4 channels"),
        (np.zeros((0, 4, 3), np.uint8), "1, 3 or 4 channels"),
        (np.full((4, 4, 3), 255.0), "values from 255 to 255, expected 0 to 1"),
    ],
)
def test_what_is_no_frame_is_refused_with_what_was_found(frame: np.ndarray, words: str) -> None:
    with pytest.raises(VideoGenError, match=words) as caught:
        prepare_image(frame)
    assert caught.value.code == "frames-invalid"


def test_the_same_frame_in_every_type_is_the_same_image() -> None:
    expected = prepare_image(TOM.frames[0])
    assert expected is not None
    for frame in (
        TOM.frames[0].astype(np.float64) / 255,
        TOM.frames[0].astype(np.uint16) * 257,
        TOM.frames[0] / np.float32(255),
    ):
        image = prepare_image(frame)
        assert image is not None
        assert np.abs(image.rgb - expected.rgb).max() < 0.01


@settings(max_examples=40, deadline=None)
@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 3), st.integers(1, 24), st.integers(1, 24), st.sampled_from((1, 3, 4))),
        elements=st.floats(0, 1, width=32) | st.just(float("nan")),
    )
)
def test_any_frames_give_numbers_in_range_or_none(frames: np.ndarray) -> None:
    result = score(frames)
    for subject in result.subjects:
        assert subject.mean is None or 0 <= subject.mean <= 1
        assert subject.mean is not None or subject.notes
    assert result.temporal is not None
    assert result.temporal.score is None or 0 <= result.temporal.score <= 1
    again = SegmentScore.from_dict(json.loads(json.dumps(result.to_dict(), allow_nan=False)))
    assert again.to_dict() == result.to_dict()
    judge_segment(again, Thresholds())


# ------------------------------------------------------------------ what is kept, and what is never compared


def test_an_appearance_is_small_and_comes_back_the_same() -> None:
    text = json.dumps(LOOK.to_dict())
    back = Appearance.from_dict(json.loads(text))
    assert len(text) < 8000
    assert compare_appearances(LOOK, back).score > 0.98
    assert back.parts.keys() == LOOK.parts.keys()


@pytest.mark.parametrize(
    "damage",
    [{}, {"vector": "?"}, {"vector": 3}, {"chroma": "AAAA"}, {"parts": {"upper": [1]}}, {"parts": None}],
)
def test_a_damaged_appearance_is_refused_with_a_sentence(damage: dict[str, Any]) -> None:
    data = {**LOOK.to_dict(), **damage} if damage else {}
    with pytest.raises(VideoGenError, match="not the appearance of a subject"):
        Appearance.from_dict(data)


def test_appearances_of_different_backends_are_never_compared() -> None:
    network = AppearanceModel("a network", lambda images: images.reshape(len(images), -1)[:, :64].astype(np.float32))
    other = network.measure_reference(TOM.frames[0])
    with pytest.raises(VideoGenError, match="'classical' and the other by 'a network'") as caught:
        compare_appearances(LOOK, other)
    assert caught.value.code == "backend-mismatch"
    subject = score(TOM.frames, references=(other,)).subjects[0]
    assert subject.mean is None
    assert subject.notes[0].startswith("not compared with the reference: one side was measured by 'classical'")


def test_networks_of_one_name_and_different_lengths_are_never_compared() -> None:
    short, long = (
        AppearanceModel("net", lambda images, n=n: images.reshape(len(images), -1)[:, :n].astype(np.float32))
        for n in (32, 64)
    )
    with pytest.raises(VideoGenError, match=r"net \(32\).*net \(64\)"):
        compare_appearances(short.measure_reference(TOM.frames[0]), long.measure_reference(TOM.frames[0]))


@pytest.mark.parametrize("answer", [np.zeros((1, 4)), np.full((16, 4), np.nan), np.zeros(16)])
def test_a_network_that_answers_nonsense_is_named(answer: np.ndarray) -> None:
    with pytest.raises(VideoGenError, match="net returned values of shape") as caught:
        AppearanceModel("net", lambda _: answer).measure_reference(TOM.frames[0])
    assert caught.value.code == "embedding-failed"


def test_a_network_sees_all_samples_of_a_segment_in_one_batch() -> None:
    batches = []

    def embed(images: np.ndarray) -> np.ndarray:
        batches.append(images.shape)
        return images.mean(axis=(1, 2)).astype(np.float32)

    network = AppearanceModel("net", embed)
    score_segment(TOM.frames, SegmentRequest(6, (SubjectRequest("character", "tom"),)), network)
    assert batches == [(5, 256, 256, 3), (16, 256, 256, 3)]


def test_the_report_names_backend_and_calibration() -> None:
    subject = score(TOM.frames).subjects[0]
    assert (subject.backend, subject.calibration) == ("classical", "r 0.37 → 0.85, measured")
    network = AppearanceModel("net", lambda images: images.mean(axis=(1, 2)).astype(np.float32))
    result = score_segment(TOM.frames, SegmentRequest(6, (SubjectRequest("character", "tom"),)), network)
    assert result.subjects[0].calibration.endswith("not measured for this backend")


def test_a_later_segment_is_compared_with_the_first_one_too() -> None:
    first = appearances_of(score(TOM.frames), "tom")
    later = score(film("tom", "field", frames=6, speed=1).frames, first=first).subjects[0]
    assert set(later.against) == {"reference", "first segment"}
    assert later.against["first segment"][0] > later.against["reference"][0]
    assert later.mean == min(mean for mean, _ in later.against.values()), "neither makes up for the other"
    assert later.minimum == min(low for _, low in later.against.values())


def test_memory_does_not_grow_with_the_segment() -> None:
    from custom_nodes.videogen.metrics.segment_meter import SegmentMeter

    meter = SegmentMeter(SegmentRequest(400, (SubjectRequest("character", "tom", references=(LOOK,)),)), BACKEND)
    for number in range(400):
        meter.add(TOM.frames[number % 6])
    assert len(meter._subjects[0]._sampled) == 5
    assert meter.finish().frames.count == 400
