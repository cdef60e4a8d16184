"""Whole runs of workflows without our nodes on a real ComfyUI: inputs are bound by hand, core nodes save."""

from __future__ import annotations

import collections
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.media.probe import verify_video
from tests.support.runs import read_journal, run_on, segments_with, videogen, write_json
from tests.support.servers.comfy import ComfyServer
from tests.support.stories import small_story
from tests.support.videos import read_frames

pytestmark = pytest.mark.server

#: Half a second a segment, at draft's 24 frames a second.
FRAMES = 12
COLORS = small_story("Farben", segments=3)
for _segment, _color in zip(COLORS["segments"], (0xD02020, 0x20B040, 0x2040D0), strict=True):
    _segment["seed"] = _color
BINDINGS = [f"--bind={name}" for name in ("width=1.width", "height=1.height", "frames=1.batch_size", "seed=1.color")]


def color_graph(*savers: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """EmptyImage (1), whose color is the seed, into nodes that save it."""
    graph: dict[str, Any] = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}}
    }
    for number, (kind, inputs) in enumerate(savers, 2):
        graph[str(number)] = {"class_type": kind, "inputs": inputs}
    return graph


@pytest.mark.parametrize(
    ("savers", "suffix"),
    [
        ([("SaveImage", {"images": ["1", 0], "filename_prefix": "runs/color"})], ".mp4"),
        (
            [
                ("CreateVideo", {"images": ["1", 0], "fps": 8.0}),
                ("SaveVideo", {"video": ["2", 0], "filename_prefix": "runs/color", "format": "mp4", "codec": "h264"}),
            ],
            ".mp4",
        ),
        (
            [
                (
                    "SaveWEBM",
                    {"images": ["1", 0], "filename_prefix": "runs/color", "codec": "vp9", "fps": 8.0, "crf": 32.0},
                )
            ],
            ".webm",
        ),
        (
            [
                (
                    "SaveAnimatedWEBP",
                    {
                        "images": ["1", 0],
                        "filename_prefix": "runs/color",
                        "fps": 8.0,
                        "lossless": True,
                        "quality": 80,
                        "method": "default",
                    },
                )
            ],
            ".mp4",
        ),
    ],
    ids=["pictures", "mp4", "webm", "animation"],
)
def test_core_nodes_alone_make_a_film(
    tmp_path: Path, comfy_server: ComfyServer, savers: Sequence[tuple[str, dict[str, Any]]], suffix: str
) -> None:
    workflow = write_json(tmp_path / "colors.json", color_graph(*savers))
    run = run_on(comfy_server, tmp_path, COLORS, *BINDINGS, workflow=workflow)
    assert {path.suffix for path in (run / "segments").iterdir()} == {suffix}
    frames = read_frames(run / "film.mp4")
    assert len(frames) == 3 * FRAMES
    strongest = [int(frame.reshape(-1, 3).mean(axis=0).argmax()) for frame in frames]
    assert strongest == [0] * FRAMES + [1] * FRAMES + [2] * FRAMES


def test_a_segment_that_fails_does_not_end_the_run(tmp_path: Path, comfy_server: ComfyServer) -> None:
    """A regular expression that is none fails while the second segment is rendered; repaired, only that one is rendered."""
    graph = color_graph(
        ("SaveImage", {"images": ["1", 0], "filename_prefix": "runs/color"}),
        ("RegexReplace", {"string": "x", "regex_pattern": "", "replace": "y"}),
        ("PreviewAny", {"source": ["3", 0]}),
    )
    workflow = write_json(tmp_path / "colors.json", graph)
    story = small_story("Fehler", segments=3)
    story["segments"][1]["prompt"] = "(broken"
    command = [
        "run",
        write_json(tmp_path / "story.json", story),
        "--workflow",
        workflow,
        "--out",
        tmp_path / "run",
        "--server",
        comfy_server.url,
        *BINDINGS,
        "--bind",
        "prompt=3.regex_pattern",
        "--retries",
        "1",
    ]
    run = tmp_path / "run"
    ended = videogen(*command)
    assert ended.status == 1
    assert "Segment 2 failed: node 3 (RegexReplace)" in ended.err
    seeds = [record["attempt"] for record in read_journal(run) if record["event"] == "segment-submitted"]
    assert sorted(seeds) == [0, 0, 0, 1]
    verify_video(run / "film.mp4", frames=3 * FRAMES)
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    assert [segment["status"] for segment in report["segments"]] == ["done", "failed", "done"]
    assert report["segments"][1]["error"]["code"] == "render-failed"

    story["segments"][1]["prompt"] = "whole"
    write_json(tmp_path / "story.json", story)
    assert videogen(*command).status == 0
    assert collections.Counter(segments_with(run, "segment-done")) == {1: 1, 2: 1, 3: 1}
