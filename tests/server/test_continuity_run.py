"""Continuity in a real ComfyUI: scores come home with the segments, and a segment that falls short has another take."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.runs import PROJECT, read_journal, run_on, segments_with, videogen, write_json
from tests.support.servers.comfy import ComfyServer
from tests.support.stories import segment_graph, small_story

pytestmark = pytest.mark.server

STORY = small_story(
    "Watched Field",
    characters={"man": {"segments": "1-2", "description": "a man in a blue shirt"}},
    locations={"field": {"segments": "1-2"}},
)


#: The man's image shows no one: no take can pass.
STRICT = {**STORY, "characters": {"man": {**STORY["characters"]["man"], "reference": "stranger.png"}}}


def write_stranger(folder: Path) -> None:
    image = Image.new("RGB", (64, 96), (210, 30, 160))
    image.paste((40, 230, 90), (16, 8, 48, 88))
    image.save(folder / "stranger.png")


def watched_graph(**widgets: Any) -> dict[str, Any]:
    """The preview workflow with Continuity and Frame Check before Save Segment."""
    graph = segment_graph(STORY)
    graph["5"] = {
        "class_type": "VideoGenContinuity",
        "inputs": {
            "images": ["3", 0],
            "segment": ["2", 0],
            "threshold": 0.85,
            "minimum": 0.7,
            "temporal_threshold": 0.0,
            "when_below": "render again",
            **widgets,
        },
    }
    graph["6"] = {"class_type": "VideoGenFrameCheck", "inputs": {"images": ["5", 0], "segment": ["2", 0]}}
    graph["4"]["inputs"]["images"] = ["6", 0]
    return graph


def read(run: Path, name: str) -> dict[str, Any]:
    return json.loads((run / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def run(comfy_server: ComfyServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two segments, which nothing is asked of."""
    folder = tmp_path_factory.mktemp("watched")
    workflow = write_json(folder / "watched.json", watched_graph(threshold=0.0, minimum=0.0))
    return run_on(comfy_server, folder, STORY, workflow=workflow)


def test_scores_are_in_the_report(run: Path) -> None:
    for segment in read(run, "report.json")["segments"]:
        assert 0 <= segment["scores"]["temporal"] <= 1
        assert [take["kept"] for take in segment["takes"]] == [True]
    second = read(run, "report.json")["segments"][1]
    assert 0 < second["scores"]["Man"] <= 1, "held against the first segment, there is no picture of him"


def test_continuity_json_holds_segments_characters_and_cuts(run: Path) -> None:
    continuity = read(run, "continuity.json")
    assert [segment["number"] for segment in continuity["segments"]] == [1, 2]
    man = continuity["segments"][1]["subjects"][0]
    assert (man["name"], list(man["against"])) == ("man", ["first segment"])
    assert continuity["backends"] == ["classical"]
    matrix = continuity["characters"]["man"]["matrix"]
    assert matrix[0][0] == matrix[1][1] == 1
    assert matrix[0][1] == matrix[1][0]
    (cut,) = continuity["cuts"]
    assert cut["after"] == 1
    assert cut["color_step"] >= 0


def test_report_html_shows_them(run: Path) -> None:
    page = (run / "report.html").read_text(encoding="utf-8")
    assert 'id="continuity"' in page
    assert page.count('class="matrix"') == 1


def test_the_same_command_again_renders_nothing(run: Path, comfy_server: ComfyServer) -> None:
    # Neither does another threshold: the frames are what they are.
    workflow = write_json(run.parent / "stricter.json", watched_graph(threshold=1.0, minimum=0.1))
    story = run.parent / "story.json"
    ended = videogen("run", story, "--workflow", workflow, "--out", run, "--server", comfy_server.url)
    assert ended.status == 0
    assert segments_with(run, "segment-submitted") == [1, 2]


def test_a_segment_that_cannot_pass_has_all_its_takes(comfy_server: ComfyServer, tmp_path: Path) -> None:
    write_stranger(tmp_path)
    workflow = write_json(tmp_path / "strict.json", watched_graph())
    run = run_on(comfy_server, tmp_path, STRICT, "--segments", "1", "--takes", "2", "--no-film", workflow=workflow)
    segment = read(run, "report.json")["segments"][0]
    assert [take["seed"] for take in segment["takes"]] == [101, 102]
    assert [take["kept"] for take in segment["takes"]].count(True) == 1
    assert segment["continuity"]["level"] == "fail"
    assert len(list((run / "takes").glob("*.mp4"))) == 1
    assert "continuity falls short" in (run / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("place", ["before:5", "after:5", "after:8", "before:10", "after:10"])
def test_a_runner_that_is_killed_between_takes_goes_on(comfy_server: ComfyServer, tmp_path: Path, place: str) -> None:
    """Lines of the journal: 1 started, 2–5 the first take until it is judged, 6–9 the second, 10 verified, 11 done."""
    write_stranger(tmp_path)
    workflow = write_json(tmp_path / "strict.json", watched_graph())
    command = (
        "run",
        write_json(tmp_path / "story.json", STRICT),
        "--workflow",
        workflow,
        "--out",
        tmp_path / "run",
        "--server",
        comfy_server.url,
        "--segments",
        "1",
        "--takes",
        "2",
        "--no-film",
    )
    killed = subprocess.run(
        [sys.executable, "-m", "tests.faults.wrapped_runner", *map(str, command)],
        cwd=PROJECT,
        capture_output=True,
        env={**os.environ, "VIDEOGEN_TEST_KILL": place},
        timeout=120,
    )
    assert killed.returncode == -signal.SIGKILL
    assert videogen(*command).status == 0
    run = tmp_path / "run"
    takes = read(run, "report.json")["segments"][0]["takes"]
    assert [take["seed"] for take in takes] == [101, 102]
    submitted = [record["prompt_id"] for record in read_journal(run) if record["event"] == "segment-submitted"]
    assert len(submitted) == len(set(submitted)) == 2, "nothing is rendered twice"
    assert (run / "segments" / "segment_01.mp4").is_file()
