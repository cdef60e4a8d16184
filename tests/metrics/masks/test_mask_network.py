"""Segmentation networks: where they are looked for, what they find, and what happens with files that are broken."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from custom_nodes.videogen.core.continuity.mask_files import FILE
from custom_nodes.videogen.metrics.appearance import AppearanceModel
from custom_nodes.videogen.metrics.images import FLOW_SIDE, MEASURE_SIDE, PreparedImage, prepare_image
from custom_nodes.videogen.metrics.masks.mask_network import MaskNetwork, open_mask_network
from custom_nodes.videogen.metrics.masks.subject_weight import MIN_FOUND, weigh_subject
from custom_nodes.videogen.metrics.segment_meter import SegmentRequest, score_segment
from custom_nodes.videogen.metrics.subject_meter import SubjectRequest
from runner.bench.footage.footage import film
from tests.support.models.mask_networks import constant_map, find_network_file, mean_of_channels, need_mask_network

FILM = film("tom", "field", frames=6)


def prepared(frame: np.ndarray) -> PreparedImage:
    image = prepare_image(frame, FLOW_SIDE)
    assert image is not None
    return image


def test_it_finds_a_person_and_nothing_of_the_field() -> None:
    network = need_mask_network()
    image = prepared(FILM.frames[2])
    found = network.find(image)
    assert found is not None
    assert (found.shape, found.dtype) == (image.rgb.shape[:2], np.float32)
    truth = cv2.resize(FILM.masks[2].astype(np.float32), (found.shape[1], found.shape[0])) > 0.5
    seen = found > 0.5
    assert (seen & truth).sum() / (seen | truth).sum() > 0.6
    empty = network.find(prepared(np.full((270, 480, 3), 90, np.uint8)))
    assert empty is not None
    assert float(empty.mean()) < MIN_FOUND


def test_frames_are_measured_by_what_it_finds() -> None:
    model = AppearanceModel(masks=need_mask_network())
    subject = SubjectRequest("character", "tom", references=(model.measure_reference(FILM.frames[0]),))
    scored = score_segment(FILM.frames, SegmentRequest(6, (subject,)), model).subjects[0]
    assert scored.weights == "network"
    assert scored.mean == pytest.approx(1, abs=0.1)


def test_an_object_is_never_taken_for_the_person_who_carries_it() -> None:
    asked: list[int] = []

    def count(rgb: np.ndarray) -> np.ndarray:
        asked.append(1)
        return np.ones(rgb.shape[:2], np.float32)

    model = AppearanceModel(masks=MaskNetwork("everything", count))
    only = SegmentRequest(6, (SubjectRequest("object", "apple"),))
    assert score_segment(FILM.frames, only, model).subjects[0].weights == "ratio"
    assert asked == []
    both = SegmentRequest(6, (SubjectRequest("character", "tom"), SubjectRequest("object", "apple")))
    tom, apple = score_segment(FILM.frames, both, model).subjects
    assert (tom.weights, apple.weights) == ("network", "ratio")
    assert len(asked) == 6, "once a frame, however many characters there are"


@pytest.mark.parametrize(
    ("given", "source"),
    [
        ({"mask": FILM.masks[0]}, "mask"),
        ({"found": np.ones((7, 5), np.float32)}, "network"),
        ({"found": np.full((90, 160), MIN_FOUND - 0.001, np.float32)}, "ratio"),
        ({"found": np.zeros((90, 160), np.float32), "region": (0.4, 0, 0.3, 1)}, "region"),
        ({}, "ratio"),
    ],
)
def test_what_is_given_comes_before_what_is_found_before_what_is_guessed(given: dict[str, object], source: str) -> None:
    weight = weigh_subject(prepared(FILM.frames[0]).shrink(MEASURE_SIDE), **given)  # type: ignore[arg-type]
    assert weight.source == source
    assert weight.is_guessed == (source == "ratio")


def test_of_two_people_the_one_in_the_region_counts() -> None:
    people = np.zeros((100, 200), np.float32)
    people[20:90, 20:60] = people[20:90, 140:180] = 1
    image = prepared(FILM.frames[0]).shrink(MEASURE_SIDE)
    left = weigh_subject(image, region=(0, 0, 0.5, 1), found=people)
    assert left.source == "network"
    assert left.values[:, image.rgb.shape[1] // 2 :].max() == 0
    assert left.values.mean() == pytest.approx(people.mean() / 2, rel=0.1)


@pytest.mark.parametrize("shown", [np.nan, np.inf])
def test_a_network_that_returns_no_numbers_has_found_nothing(shown: float) -> None:
    broken = MaskNetwork("broken", lambda rgb: np.full(rgb.shape[:2], shown, np.float32))
    assert broken.find(prepared(FILM.frames[0])) is None
    subject = SubjectRequest("character", "tom")
    scored = score_segment(FILM.frames, SegmentRequest(6, (subject,)), AppearanceModel(masks=broken)).subjects[0]
    assert scored.weights == "ratio"


def test_without_the_file_there_is_a_sentence(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "not there"):
        network, notes = open_mask_network(folder)
        assert network is None
        assert len(notes) == 1
        assert notes[0].startswith(f"characters are found by their colors: {folder / FILE} is missing. install.py")


@pytest.mark.parametrize("content", [b"", b"TFL3", bytes(range(256)) * 1000])
def test_a_broken_file_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    network, notes = open_mask_network(tmp_path)
    assert network is None
    assert f"{tmp_path / FILE} is broken, or another model" in notes[0]


def test_without_opencv_s_reader_there_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(find_network_file(), tmp_path / FILE)
    monkeypatch.delattr(cv2.dnn, "readNetFromTFLite")
    network, notes = open_mask_network(tmp_path)
    assert network is None
    assert f"OpenCV {cv2.__version__} cannot read {FILE}" in notes[0]

    def fail(_: object) -> None:
        raise cv2.error("an operator that it does not have")

    monkeypatch.setattr(cv2.dnn, "readNetFromTFLite", fail, raising=False)
    network, notes = open_mask_network(tmp_path)
    assert network is None
    assert "an operator that it does not have" in notes[0]


def test_a_network_of_u2net_s_form_takes_its_place(tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(mean_of_channels(320))
    network, notes = open_mask_network(tmp_path)
    assert notes == []
    assert network is not None
    assert network.name == "mine"
    frame = np.zeros((90, 160, 3), np.uint8)
    frame[20:70, 60:100] = 255
    found = network.find(prepared(frame))
    assert found is not None
    assert found[45, 80] == pytest.approx(1)
    assert found[5, 5] == pytest.approx(0)


def test_a_network_of_u2net_s_form_that_sees_nothing_marks_nothing(tmp_path: Path) -> None:
    (tmp_path / "blind.onnx").write_bytes(constant_map(320, 0.01))
    network, _ = open_mask_network(tmp_path)
    assert network is not None
    found = network.find(prepared(FILM.frames[0]))
    assert found is not None
    assert found.max() == 0


def test_a_broken_one_is_a_sentence_and_the_next_is_used(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(mean_of_channels(320))
    (tmp_path / "b.onnx").write_bytes(mean_of_channels(320)[:40])
    network, notes = open_mask_network(tmp_path)
    assert network is not None
    assert network.name == "a"
    assert [note.split(" is not used")[0] for note in notes] == [str(tmp_path / "b.onnx")]
