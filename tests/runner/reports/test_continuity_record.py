"""continuity.json and its part of the report: a film in which a character becomes another half-way."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from custom_nodes.videogen.core.continuity.policy import Thresholds, Verdict
from custom_nodes.videogen.core.continuity.scores import SegmentScore
from custom_nodes.videogen.core.segment.plan import plan_segment
from custom_nodes.videogen.core.story.model import Story
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.core.video.quality import QUALITIES
from custom_nodes.videogen.media.probe import hash_file, verify_video
from custom_nodes.videogen.metrics.appearance import AppearanceModel
from custom_nodes.videogen.metrics.segment_meter import SegmentRequest, score_segment
from custom_nodes.videogen.metrics.subject_meter import SubjectRequest
from runner.bench.footage.footage import Footage, film, with_hue
from runner.comfyui.outcome import Outcome
from runner.rendering.collect import VerifiedFile
from runner.rendering.results import place_best_take
from runner.rendering.run_log import RunLog
from runner.rendering.takes.measurement import TakeMeasurement, exempt_cut, read_measurement
from runner.rendering.takes.selector import NewTake, TakeSelector
from runner.reports.continuity_record import compare_segments
from runner.reports.report import report_directory, write_report
from runner.state.run_directory import RunDirectory
from tests.runner.reports.test_report_html import Page
from tests.support.journal_events import fetched, submitted
from tests.support.stories import small_story
from tests.support.videos import write_video

#: Tom looks like Ida from this segment on; segment 3 has two takes, the first of Ole.
CHANGES_AT = 5
STORY = small_story(
    "Shirt",
    segments=7,
    size=(480, 270),
    characters={"tom": {"segments": "1-7", "description": "a man in a blue shirt"}},
    locations={"field": {"segments": "1-6"}, "room": {"segments": "7"}},
    transitions=[{"after": 2, "seconds": 0.2}],
)
#: A mean that is text.
BROKEN = {
    "scores": {
        "subjects": [
            {
                "kind": "character",
                "name": "tom",
                "label": "Tom",
                "mean": "high",
                "minimum": 0.5,
                "worst_frame": 0,
                "against": {},
                "samples": [],
                "backend": "classical",
                "calibration": "",
                "weights": "ratio",
            }
        ],
        "temporal": None,
        "frames": {"count": 1, "size": None},
    },
    "thresholds": {},
}


def shoot(number: int, who: str = "") -> Footage:
    return film(
        who or ("tom" if number < CHANGES_AT else "ida"),
        "room" if number == 7 else "field",
        frames=6,
        seed=1,
        shift=0.02 * (number % 3),
    )


def measure(footage: Footage, reference: Footage) -> SegmentScore:
    known = AppearanceModel().measure_reference(reference.frames[0], reference.masks[0])
    tom = SubjectRequest("character", "tom", "Tom", "a man in a blue shirt", mask=footage.masks, references=(known,))
    place = SubjectRequest("location", "field", "Field")
    return score_segment(footage.frames, SegmentRequest(len(footage.frames), (tom,), place, (480, 270)))


def add_take(
    directory: RunDirectory, selector: TakeSelector, number: int, footage: Footage, score: SegmentScore
) -> bool:
    """One take, as the runner would bring it home; whether another one is wanted."""
    quality = QUALITIES["draft"]
    part = directory.segments / f".segment_{number:02d}-00000.mp4.part"
    size = (footage.frames.shape[2], footage.frames.shape[1])
    write_video(
        part.with_suffix(".mp4"), footage.frames, count=len(footage.frames), size=size, quality=quality
    ).replace(part)
    verified = VerifiedFile(
        part, directory.segments / f"segment_{number:02d}.mp4", verify_video(part), 1, hash_file(part)
    )
    seed = 100 + number + len(directory.journal.segment(number).takes)
    result = {
        "key": f"key {number}",
        "file": f"segments/segment_{number:02d}.mp4",
        "sha256": verified.sha256,
        "bytes": part.stat().st_size,
        "frames": len(footage.frames),
        "fps": "24",
        "size": list(size),
        "seed": seed,
        "rendered_size": list(size),
        "degraded": False,
        "server": "http://host:1",
        "seconds": {"executed": 1.0},
    }
    note = directory.journal.append
    attempt = directory.journal.segment(number).attempts
    note(submitted(number, f"key {number}", attempt, server="http://host:1", seed_offset=attempt))
    note(fetched(number, attempt, 1000))
    measurement = TakeMeasurement(score, Thresholds(temporal=0.0), True)
    log = RunLog(directory.journal)
    another = selector.add(NewTake(number, attempt, attempt, measurement, verified, result), log)
    if not another:
        place_best_take(directory, number, log)
    return another


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shirt") / "run"
    story = parse_story(STORY, "test")
    reference = film("tom", "room", frames=1, seed=9)
    with RunDirectory(folder, "Shirt") as directory:
        record = {"run_id": directory.run_id, "title": "Shirt", "story": STORY, "workflow": {"path": "w.json"}}
        directory.write_json("run.json", record)
        selector = TakeSelector(directory, story, 2)
        for number in range(1, 8):
            first = shoot(number, "ole" if number == 3 else "")
            if add_take(directory, selector, number, first, measure(first, reference)):
                again = shoot(number)
                add_take(directory, selector, number, again, measure(again, reference))
        write_report(folder, report_directory(folder))
    return folder


@pytest.fixture(scope="module")
def continuity(run: Path) -> dict[str, Any]:
    return json.loads((run / "continuity.json").read_text(encoding="utf-8"))


def test_the_segment_that_starts_the_drift_is_named(continuity: dict[str, Any]) -> None:
    tom = continuity["characters"]["tom"]
    assert tom["segments"] == list(range(1, 8))
    assert tom["drift_start"] == CHANGES_AT
    assert tom["sentence"].startswith(f"Tom drifts from segment {CHANGES_AT} on: ")
    assert "Likeness of segments 1–4 to 5–7: " in tom["sentence"]
    matrix = np.array(tom["matrix"])
    assert np.allclose(matrix, matrix.T)
    assert matrix[:4, :4].min() > matrix[:4, 4:].max()


def test_all_takes_are_listed_and_the_best_is_kept(continuity: dict[str, Any]) -> None:
    by_number = {segment["number"]: segment for segment in continuity["segments"]}
    assert [(take["take"], take["kept"]) for take in by_number[3]["takes"]] == [(1, False), (2, True)]
    assert by_number[3]["level"] != "fail"
    assert by_number[CHANGES_AT]["level"] == "fail"
    assert len(by_number[CHANGES_AT]["takes"]) == 2
    assert set(by_number[2]["subjects"][0]["against"]) == {"reference", "first segment"}
    assert all(len(segment["subjects"][0]["samples"]) for segment in by_number.values())
    assert not {"looks", "parts"} & set(by_number[2]["subjects"][0])
    assert by_number[2]["thresholds"]["temporal"] == 0.0, "the node's, which are not the usual ones"


def test_cuts_are_looked_at_where_they_can_be(continuity: dict[str, Any]) -> None:
    exempt = {cut["after"]: cut["exempt"] for cut in continuity["cuts"]}
    assert exempt == {1: "", 2: "a transition", 3: "", 4: "", 5: "", 6: "another location"}
    steps = [cut["color_step"] for cut in continuity["cuts"]]
    assert steps[5] > 2.5 > max(steps[:5])
    assert continuity["cuts"][5]["level"] == "pass", "it may look different there"
    assert continuity["cuts"][3]["subjects"]["tom"] < continuity["cuts"][0]["subjects"]["tom"]
    assert [cut["after"] for cut in continuity["cuts"] if cut["level"] != "pass"] == [4]
    assert continuity["cuts"][3]["reasons"][0].endswith(" across the cut")


def test_the_page_shows_curves_worst_frames_and_the_matrix(run: Path) -> None:
    page = Page((run / "report.html").read_text(encoding="utf-8"))
    classes = [tag[1].get("class", "") for tag in page.tags]
    assert classes.count("matrix") == 1
    assert classes.count("curve") > 2 * 7
    assert classes.count("worst") == 3, "of the segments that fall short"
    assert "Tom drifts from segment 5 on" in page.text
    assert "Another take is kept" in page.text


def test_a_run_without_scores_has_no_continuity(tmp_path: Path) -> None:
    with RunDirectory(tmp_path / "run", "Shirt") as directory:
        directory.write_json("run.json", {"run_id": "1", "title": "Shirt", "story": STORY})
    report = report_directory(tmp_path / "run")
    write_report(tmp_path / "run", report)
    assert "continuity" not in report
    assert not (tmp_path / "run" / "continuity.json").exists()
    assert 'id="continuity"' not in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_scores_whose_file_is_gone_are_left_out(run: Path, tmp_path: Path) -> None:
    for name in ("run.json", "journal.jsonl"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    assert report_directory(tmp_path)["continuity"] is None


def test_a_film_that_stays_itself_does_not_drift() -> None:
    looks = {n: [AppearanceModel().measure_reference(shoot(1).frames[n], shoot(1).masks[n])] for n in range(4)}
    found = compare_segments("Tom", looks)
    assert found["drift_start"] is None
    assert found["sentence"].startswith("Tom does not drift")


def test_what_two_backends_have_measured_is_not_said_to_be_the_same() -> None:
    look = AppearanceModel().measure_reference(shoot(1).frames[0], shoot(1).masks[0])
    other = dataclasses.replace(look, backend="net")
    found = compare_segments("Tom", {1: [look], 2: [other]})
    assert found["matrix"] == [[1.0, None], [None, 1.0]]
    assert found["sentence"] == "Tom cannot be compared from segment to segment: they were measured in different ways."


def test_segments_beyond_the_limit_are_said_not_to_be_compared() -> None:
    look = AppearanceModel().measure_reference(shoot(1).frames[0], shoot(1).masks[0])
    found = compare_segments("Tom", {1: [look], 2: [look], 3: []})
    assert found["segments"] == [1, 2]
    assert found["sentence"].endswith(" Only the first 2 of 3 segments are compared.")


def accept(directory: RunDirectory, story: Story, number: int, footage: Footage) -> tuple[SegmentScore, Verdict]:
    """Judge a segment whose character has a mask and no image, and let the best of its takes be its file."""
    tom = SubjectRequest("character", "tom", "Tom", mask=footage.masks)
    score = score_segment(footage.frames, SegmentRequest(len(footage.frames), (tom,)))
    selector = TakeSelector(directory, story, 1)
    judged = selector.judge(number, TakeMeasurement(score, Thresholds(temporal=0.0), True))
    add_take(directory, selector, number, footage, score)
    return judged


def test_without_an_image_somebody_who_changes_for_a_few_frames_fails(tmp_path: Path) -> None:
    story = parse_story(STORY, "test")
    tom, ida = (film(who, "field", frames=24, seed=1) for who in ("tom", "ida"))
    frames, masks = tom.frames.copy(), tom.masks.copy()
    frames[11:15], masks[11:15] = ida.frames[11:15], ida.masks[11:15]
    with RunDirectory(tmp_path / "run", "Shirt") as directory:
        score, verdict = accept(directory, story, 1, tom)
        assert (verdict.level, score.subjects[0].mean) == ("pass", None)
        score, verdict = accept(directory, story, 2, dataclasses.replace(tom, frames=frames, masks=masks))
    subject = score.subjects[0]
    assert set(subject.against) == {"first segment"}
    assert subject.minimum is not None
    assert subject.minimum < 0.6
    assert subject.worst_frame == 12
    assert verdict.level == "fail"
    assert "in frame 13" in verdict.reasons[0] or "Tom 0." in verdict.reasons[0]


def test_without_an_image_a_shirt_that_turns_is_named_and_fails(tmp_path: Path) -> None:
    story = parse_story(STORY, "test")
    with RunDirectory(tmp_path / "run", "Shirt") as directory:
        accept(directory, story, 1, film("tom", "field", frames=24, seed=1))
        score, verdict = accept(directory, story, 2, film(with_hue("tom", 60), "field", frames=24, seed=1))
    assert score.subjects[0].drift[0].part == "shirt"
    assert abs(score.subjects[0].drift[0].change) > 25
    assert verdict.level == "fail"
    assert "shirt hue" in verdict.reasons[0]


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"scores": None},
        {"scores": {"subjects": 3}, "thresholds": {}},
        {"scores": {}, "thresholds": {"size": 3}},
        BROKEN,
    ],
)
def test_a_record_of_another_version_is_no_measurement(said: dict[str, Any]) -> None:
    assert read_measurement(Outcome("success", outputs={"5": {"videogen": [{"continuity": said}]}})) is None


def test_no_record_is_no_measurement() -> None:
    outputs = {"4": {"videogen": [{"sha256": "0"}]}, "5": {"images": []}, "6": {"videogen": ["text"]}}
    assert read_measurement(Outcome("success", outputs=outputs)) is None


def test_another_framing_shows_another_part_of_the_place() -> None:
    story = parse_story(
        {**STORY, "segments": [{"prompt": "a"}, {"prompt": "b", "technical": "Close-up"}, *STORY["segments"][2:]]}
    )
    first, second = plan_segment(story, 1), plan_segment(story, 2)
    assert exempt_cut(first, second, False) == "another framing"
    assert exempt_cut(first, first, False) == ""
