"""The gate on a real run: a stranger stands in the same field in one segment of six, and that segment alone is rendered again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from runner.bench.footage.footage import film
from tests.support.models.mask_networks import find_network_file
from tests.support.runs import run_on, segments_with, write_json
from tests.support.servers.comfy import ComfyServer
from tests.support.stories import segment_graph, small_story

SIZE, FRAMES = (320, 180), 6
STORY = {
    **small_story(
        "One Field",
        size=SIZE,
        characters={"man": {"segments": "1-6", "description": "a man in a blue shirt"}},
        locations={"field": {"segments": "1-6"}},
    ),
    "frames": FRAMES,
    "segments": [{"prompt": "The man waters the young tree.", "seed": 100 * number} for number in range(1, 7)],
}


@pytest.mark.parametrize("place", ["field", "forest"])
def test_a_stranger_in_the_same_place_is_rendered_again_and_no_one_else(
    fault_server: ComfyServer, tmp_path: Path, place: str
) -> None:
    find_network_file()
    for number in range(1, 7):
        for take in range(3):
            who = "ole" if (number, take) == (3, 0) else "tom"
            shown = film(who, place, frames=FRAMES, size=SIZE, shift=0.04 * (number % 3 - 1), pan=0.5)
            np.save(tmp_path / f"{100 * number + take}.npy", shown.frames)
    graph = segment_graph(STORY)
    graph["7"] = {
        "class_type": "FaultFootage",
        "inputs": {"images": ["3", 0], "seed": ["2", 3], "folder": str(tmp_path)},
    }
    graph["5"] = {
        "class_type": "VideoGenContinuity",
        "inputs": {
            "images": ["7", 0],
            "segment": ["2", 0],
            "threshold": 0.85,
            "minimum": 0.7,
            "temporal_threshold": 0.6,
            "when_below": "render again",
        },
    }
    graph["4"]["inputs"]["images"] = ["5", 0]
    workflow = write_json(tmp_path / "gated.json", graph)
    run = run_on(fault_server, tmp_path, STORY, "--takes", "3", "--no-film", workflow=workflow)
    assert sorted(segments_with(run, "segment-submitted")) == [1, 2, 3, 3, 4, 5, 6]
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    third = report["segments"][2]
    assert [(take["seed"], take["level"] == "fail", take["kept"]) for take in third["takes"]] == [
        (300, True, False),
        (301, False, True),
    ]
    assert third["takes"][0]["score"] < 0.6 < 0.85 < third["takes"][1]["score"]
    assert (run / third["takes"][0]["file"]).is_file(), "what was rendered is kept"
    continuity = json.loads((run / "continuity.json").read_text(encoding="utf-8"))
    located = {segment["subjects"][0]["weights"] for segment in continuity["segments"]}
    assert located == {"network"}
    assert not any(segment["subjects"][0]["guessed"] for segment in continuity["segments"])
