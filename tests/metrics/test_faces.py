"""Faces as a second opinion: OpenCV's own classes, on files with the inputs and outputs of its models."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from custom_nodes.videogen.core.continuity.policy import Thresholds, judge_segment
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.metrics.appearance import Appearance, AppearanceModel, compare_appearances
from custom_nodes.videogen.metrics.faces import FaceFinder, find_faces
from custom_nodes.videogen.metrics.images import prepare_image
from custom_nodes.videogen.metrics.segment_meter import SegmentRequest, score_segment
from custom_nodes.videogen.metrics.subject_meter import SubjectRequest
from tests.support.models.face_models import FACE, write_models

Box = tuple[int, int, int, int]
BODY: Box = (240, 120, 400, 360)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("opencv"))


@pytest.fixture(scope="module")
def faces(folder: Path) -> FaceFinder:
    return FaceFinder(folder)


def draw(*people: tuple[Box, tuple[int, int, int]], size: tuple[int, int] = (360, 640)) -> np.ndarray:
    """Gray people on gray, each with a magenta face that is framed in a color of its own."""
    frame = np.full((*size, 3), 90, np.uint8)
    for (left, top, right, bottom), frame_color in people:
        frame[top:bottom, left:right] = (120, 110, 100)
        x, y = (left + right) // 2, top + 60
        cv2.rectangle(frame, (x - 28, y - 28), (x + 28, y + 28), frame_color, -1)
        cv2.rectangle(frame, (x - 12, y - 12), (x + 12, y + 12), FACE, -1)
    return frame


def mask_of(box: Box, size: tuple[int, int] = (360, 640)) -> np.ndarray:
    mask = np.zeros(size, np.float32)
    mask[box[1] : box[3], box[0] : box[2]] = 1
    return mask


def describe(faces: FaceFinder, frame: np.ndarray, box: Box = BODY) -> np.ndarray | None:
    image = prepare_image(frame, 512)
    assert image is not None
    return faces.describe(image, mask_of(box, frame.shape[:2]))


ANN, BEN = (250, 250, 60), (10, 60, 20)


def test_the_same_face_is_told_from_another_one(faces: FaceFinder) -> None:
    one, again, other = (describe(faces, draw((BODY, color))) for color in (ANN, ANN, BEN))
    assert one is not None
    assert again is not None
    assert other is not None
    assert one.shape == (128,)
    assert float(np.linalg.norm(one)) == pytest.approx(1)
    assert float(one @ again) == pytest.approx(1)
    assert float(one @ other) < 0.9


def test_nobody_is_seen_where_there_is_no_face(faces: FaceFinder) -> None:
    assert describe(faces, np.full((360, 640, 3), 90, np.uint8)) is None


def test_of_two_faces_the_one_within_the_subject_counts(faces: FaceFinder) -> None:
    left, right = (40, 60, 240, 360), (400, 60, 600, 360)
    both = draw((left, ANN), (right, BEN))
    ann, ben = describe(faces, draw((left, ANN)), left), describe(faces, draw((right, BEN)), right)
    found = describe(faces, both, right)
    assert ann is not None
    assert ben is not None
    assert found is not None
    assert float(found @ ben) == pytest.approx(1, abs=1e-3)
    assert float(found @ ann) < 0.9
    assert describe(faces, draw((left, ANN)), right) is None


@pytest.mark.parametrize("size", [(1080, 1920), (640, 360), (97, 61)])
def test_frames_of_any_shape_are_looked_at(faces: FaceFinder, size: tuple[int, int]) -> None:
    frame = cv2.resize(draw((BODY, ANN)), size[::-1], interpolation=cv2.INTER_AREA)
    image = prepare_image(frame, 512)
    assert image is not None
    found = faces.describe(image, np.ones(size, np.float32))
    assert found is None or found.shape == (128,)


def test_an_appearance_carries_its_face_through_a_file(faces: FaceFinder) -> None:
    model = AppearanceModel(faces=faces)
    ann = model.measure_reference(draw((BODY, ANN)), mask_of(BODY))
    blank = model.measure_reference(np.full((360, 640, 3), 90, np.uint8), mask_of(BODY))
    assert ann.face is not None
    assert blank.face is None
    again = Appearance.from_dict(ann.to_dict())
    assert compare_appearances(ann, again).face == pytest.approx(1, abs=1e-3)
    assert compare_appearances(ann, blank).face is None
    assert Appearance.from_dict(blank.to_dict()).face is None


@pytest.mark.parametrize(("second", "warned"), [(ANN, False), (BEN, True)])
def test_another_face_is_warned_of_and_is_no_part_of_the_score(
    folder: Path, second: tuple[int, int, int], warned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("custom_nodes.videogen.core.continuity.policy.SAME_FACE", 0.9)  # these weights are no real ones
    frames, mask = np.stack([draw((BODY, second))] * 3), mask_of(BODY)
    results = []
    for model in (AppearanceModel(), AppearanceModel(faces=find_faces(folder))):
        look = model.measure_reference(draw((BODY, ANN)), mask)
        subject = SubjectRequest("character", "ann", label="Ann", mask=mask, references=(look,))
        results.append(score_segment(frames, SegmentRequest(3, (subject,)), model))
    without, with_faces = results
    assert [sample.face for sample in without.subjects[0].samples] == [None] * 3
    assert with_faces.subjects[0].mean == without.subjects[0].mean
    reasons = judge_segment(with_faces, Thresholds(character=0, character_minimum=0)).reasons
    assert any("the face looks like another person's in 3 frames" in reason for reason in reasons) == warned


def test_without_models_nobody_looks_at_faces(tmp_path: Path) -> None:
    assert find_faces(tmp_path) is None
    assert find_faces(tmp_path / "nowhere") is None


def test_half_of_the_models_is_said_to_be_missing(folder: Path, tmp_path: Path) -> None:
    source = next(folder.glob("face_detection_yunet_*.onnx"))
    (tmp_path / source.name).write_bytes(source.read_bytes())
    with pytest.raises(VideoGenError, match=r"faces need face_recognition_sface_\*\.onnx in ") as caught:
        find_faces(tmp_path)
    assert "opencv_zoo" in (caught.value.hint or "")


def test_a_file_that_is_no_model_is_named(folder: Path, tmp_path: Path) -> None:
    for source in folder.glob("*.onnx"):
        (tmp_path / source.name).write_bytes(b"<html>404</html>")
    with pytest.raises(VideoGenError, match=r"cannot be read"):
        find_faces(tmp_path)
