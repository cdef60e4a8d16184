"""VideoGenContinuity and VideoGenFrameCheck on frames whose every property is known."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.needs import require_comfy

require_comfy()

import folder_paths
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from custom_nodes.videogen.comfyui import clip_vision_backend as network_backend
from custom_nodes.videogen.comfyui.reference_images import ReferenceImage, References
from custom_nodes.videogen.core.continuity.scores import SegmentScore
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.segment.plan import SegmentPlan, plan_segment
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.nodes.film import continuity
from custom_nodes.videogen.nodes.film.continuity import VideoGenContinuity, VideoGenFrameCheck
from runner.bench.footage.footage import Footage, film, with_hue
from runner.bench.models.tiny_encoders import build_encoder, build_siglip
from tests.support.models.face_models import FACE, write_models

STORY: dict[str, Any] = {
    "title": "Field",
    "size": [480, 270],
    "characters": {
        "tom": {"segments": "1,3", "description": "a man in a blue shirt", "reference": "tom.png"},
        "ida": {"segments": "3", "reference": "nowhere.png"},
    },
    "locations": {"field": {"segments": "1-3"}},
    "segments": [{"prompt": str(number)} for number in range(1, 4)],
}


def segment(number: int = 1) -> SegmentPlan:
    return plan_segment(parse_story(STORY), number)


def frames(footage: Footage) -> Tensor:
    return torch.from_numpy(footage.frames).float() / 255


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    """ComfyUI's input folder, with an image of Tom in another place."""
    before = folder_paths.get_input_directory()
    shown = film("tom", "room", frames=1, seed=5)
    alpha = (shown.masks[0] * 255).astype(np.uint8)
    Image.fromarray(np.dstack([shown.frames[0], alpha])).save(tmp_path / "tom.png")
    folder_paths.set_input_directory(str(tmp_path))
    yield tmp_path
    folder_paths.set_input_directory(before)


def measure(footage: Footage | Tensor, plan: SegmentPlan | None = None, **more: Any) -> tuple[Any, dict[str, Any]]:
    """The node's outputs, and its record as the server sends it."""
    images = footage if isinstance(footage, Tensor) else frames(footage)
    widgets = {"threshold": 0.85, "minimum": 0.7, "temporal_threshold": 0.6, "when_below": "render again", **more}
    output = VideoGenContinuity.execute(images, plan or segment(), **widgets)
    assert output.args[0] is images
    return output.args, json.loads(json.dumps(output.ui["videogen"][0], allow_nan=False))


def test_another_shirt_scores_lower_and_is_named() -> None:
    same, changed = film("tom"), film(with_hue("tom", 120))
    (_, score, _), _ = measure(same, mask=torch.from_numpy(same.masks))
    (_, lower, report), record = measure(changed, mask=torch.from_numpy(changed.masks))
    assert 0.85 <= score <= 1
    assert lower < score - 0.05
    assert record["score"] == pytest.approx(lower)
    assert "shirt hue" in report
    assert record["verdict"]["level"] == "fail"


def test_the_record_holds_all_that_a_runner_needs_and_is_small() -> None:
    _, record = measure(film("tom", frames=24))
    said = record["continuity"]
    score = SegmentScore.from_dict(said["scores"])
    assert [(subject.kind, subject.name) for subject in score.subjects] == [("character", "tom"), ("location", "field")]
    assert [look.frame for look in score.subjects[0].looks] == [0, 6, 12, 17, 23]
    assert len(score.temporal.curve) == 23
    assert (said["thresholds"]["character"], said["when_below"]) == (0.85, "render again")
    assert len(json.dumps(record)) < 60_000


def test_who_has_no_image_has_no_score_and_that_is_said() -> None:
    (_, score, report), record = measure(film("tom"), segment(3))
    assert not math.isnan(score), "Tom has one"
    assert "nowhere.png" in report
    assert any("nowhere.png" in note for note in record["continuity"]["notes"])
    assert "character Ida: not compared" in report


def test_nobody_in_the_segment_is_no_perfect_score() -> None:
    (_, score, _), record = measure(film("tom"), segment(2))
    assert math.isnan(score)
    assert record["score"] is None


def test_images_of_the_graph_come_before_files(folder: Path) -> None:
    (folder / "tom.png").unlink()
    shown = film("tom", frames=1)
    alone = frames(shown)[0] * torch.from_numpy(shown.masks[0])[..., None]
    given = References((("tom", ReferenceImage(alone, None)),))
    tom, ida = film("tom"), film("ida")
    (_, score, _), _ = measure(tom, references=given, mask=torch.from_numpy(tom.masks))
    (_, other, _), _ = measure(ida, references=given, mask=torch.from_numpy(ida.masks))
    assert score > other + 0.1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda images: torch.full_like(images, math.nan), "not numbers"),
        (lambda images: images[:1], "temporal"),
        (lambda images: images[..., :1], "no color"),
        (lambda images: torch.cat([images, torch.ones_like(images[..., :1])], dim=-1), "character Tom: mean"),
        (lambda images: images[:, :135], "another shape"),
        (lambda images: images * 0, "black"),
    ],
    ids=["nan", "one frame", "grey", "alpha", "shape", "black"],
)
def test_odd_frames_give_a_number_or_a_sentence(change: Any, said: str) -> None:
    (_, score, report), _ = measure(change(frames(film("tom"))))
    assert said in report
    assert math.isnan(score) or 0 <= score < 1


def test_an_empty_mask_is_no_score() -> None:
    (_, score, report), _ = measure(film("tom"), mask=torch.zeros(1, 270, 480))
    assert math.isnan(score)
    assert "mask is empty" in report


@pytest.mark.parametrize(
    ("mask", "name", "said"),
    [
        (torch.ones(3, 8, 8), "", "3 masks for 12 frames"),
        (torch.ones(1, 8, 8), "tim", "'tim', and segment 1 has 'tom'"),
    ],
)
def test_a_mask_that_belongs_to_nothing_is_refused(mask: Tensor, name: str, said: str) -> None:
    with pytest.raises(VideoGenError, match=said) as caught:
        measure(film("tom"), mask=mask, mask_of=name)
    assert caught.value.code == "mask-invalid"


def test_a_network_sees_samples_only_and_each_image_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_backend, "_cache", type(network_backend._cache)(1 << 20))
    encoder = build_encoder(tmp_path)
    _, record = measure(film("tom", frames=24), clip_vision=encoder)
    first = encoder.images
    _, again = measure(film("tom", frames=24, seed=1), clip_vision=encoder)
    # Five frames of Tom and of the place; the reference and the bank are known by then.
    assert encoder.images - first == 10
    assert first > 10
    backends = {subject["backend"] for subject in again["continuity"]["scores"]["subjects"]}
    assert len(backends) == 1
    assert "classical" not in backends
    assert "not measured for this backend" in "".join(record["report"])


def test_any_network_for_images_will_do(tmp_path: Path) -> None:
    with pytest.raises(VideoGenError) as caught:
        measure(film("tom"), clip_vision=object())
    assert caught.value.code == "socket-invalid"
    siglip = build_siglip(tmp_path)
    assert network_backend.make_appearance_model(siglip)[0].name.startswith(type(siglip.model).__name__ + " ")


def test_two_networks_of_one_architecture_have_names_of_their_own(tmp_path: Path) -> None:
    first, second = (build_encoder(tmp_path, name=name) for name in ("one", "two"))
    names = {network_backend.make_appearance_model(each)[0].name for each in (first, second)}
    assert len(names) == 2
    first.model.half()
    assert network_backend.make_appearance_model(first)[0].name in names, "of the same model in half precision"


def test_why_there_is_no_network_is_said_where_it_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(continuity, "find_mask_network", lambda: (None, ["the network is missing"]))
    footage = film("tom")
    (_, _, guessed), record = measure(footage)
    assert guessed.splitlines()[-1] == "the network is missing"
    assert record["continuity"]["notes"][-1] == "the network is missing"
    assert "guessed by its colors" in guessed
    (_, _, masked), _ = measure(footage, mask=torch.from_numpy(footage.masks))
    assert "the network is missing" not in masked


def test_what_is_transparent_in_a_reference_does_not_count(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(continuity, "find_mask_network", lambda: (None, []))  # it would find the figure as well
    footage = film("tom")
    mask = torch.from_numpy(footage.masks)
    (_, cut_out, _), _ = measure(footage, mask=mask)
    Image.open(folder / "tom.png").convert("RGB").save(folder / "tom.png")
    (_, with_room, _), _ = measure(footage, mask=mask)
    assert cut_out > with_room + 0.02


def test_a_place_is_compared_with_all_of_its_image(folder: Path) -> None:
    story = {**STORY, "locations": {"field": {"segments": "1-3", "reference": "place.png"}}}
    plan = plan_segment(parse_story(story), 1)
    scores = {}
    for place in ("field", "forest"):
        Image.fromarray(film("tom", place, frames=1).frames[0]).save(folder / "place.png")
        _, record = measure(film("tom", "field"), plan)
        subjects = record["continuity"]["scores"]["subjects"]
        scores[place] = next(each["mean"] for each in subjects if each["kind"] == "location")
    assert scores["field"] > 0.85 > scores["forest"]


def test_faces_are_looked_at_where_their_models_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_paths, "models_dir", str(tmp_path / "models"))
    write_models(tmp_path / "models" / network_backend.FACES_FOLDER)
    footage = film("tom")
    footage.frames[:, 60:90, 225:255] = FACE  # what these models call a face
    Image.fromarray(footage.frames[0]).save(tmp_path / "tom.png")
    _, record = measure(footage)
    (tom,) = (each for each in record["continuity"]["scores"]["subjects"] if each["name"] == "tom")
    assert all(0.5 < sample["face"] <= 1.001 for sample in tom["samples"])
    assert any(line.startswith("  face: cosine ") and line.endswith(" in 5 comparisons") for line in record["report"])


def test_a_broken_face_model_costs_nobody_a_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_paths, "models_dir", str(tmp_path / "models"))
    models = write_models(tmp_path / "models" / network_backend.FACES_FOLDER)
    next(models.glob("*sface*")).write_bytes(b"<html>404</html>")
    _, record = measure(film("tom"))
    assert record["score"] is not None
    assert any(line.startswith("faces are not compared: the face models in ") for line in record["report"])


@pytest.mark.parametrize(("number", "ok"), [(0, True), (1, False)])
def test_frame_check(number: int, ok: bool) -> None:
    images = frames(film("tom", frames=4))
    images[2] = images[2] if number == 0 else 0.0
    output = VideoGenFrameCheck.execute(images, segment())
    assert output.args[0] is images
    assert output.args[1] is ok
    assert ("frame 3 black" in output.args[2]) is not ok
    assert output.ui["videogen"][0]["ok"] is ok


def test_hdr_frames_are_measured_as_a_film_shows_them() -> None:
    """Values of 1 to 5 are light, not a mistake; what is not a number stays one."""
    bright = frames(film("tom", "field", frames=4)) * 5 - 0.5
    checked = [VideoGenFrameCheck.execute(images, segment()).ui for images in (bright, bright.clamp(0, 1))]
    assert checked[0] == checked[1]
    assert measure(bright)[1] == measure(bright.clamp(0, 1))[1]
    bright[1, 3, 3, 0] = torch.inf
    assert not VideoGenFrameCheck.execute(bright, segment())[1]
