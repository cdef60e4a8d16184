"""`videogen adopt`: the file that it writes, what it says, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.core.graph import FIT_NODE, SEGMENT_NODE, STORY_NODE
from runner.cli import main
from tests.support.graphs.adopted import OUR_NODES
from tests.support.graphs.templates import find_template_files
from tests.support.graphs.video_models import read_schemas
from tests.support.servers.fake_server import FakeServer

Call = Callable[..., int]

TEMPLATE = "text_to_video_wan"


@pytest.fixture
def call(server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Adopt a workflow with the nodes of a scripted server; returns the status."""
    server.routes["GET /object_info"] = read_schemas() | OUR_NODES
    monkeypatch.chdir(tmp_path)

    def run(*options: str, workflow: Any = None) -> int:
        text = json.dumps(workflow) if workflow else find_template_files()[TEMPLATE].read_text(encoding="utf-8")
        Path("film.json").write_text(text)
        return main(["adopt", "film.json", "--server", server.url, *options])

    return run


def nodes_in(path: str) -> dict[str, Any]:
    return {node["type"]: node for node in json.loads(Path(path).read_text())["nodes"]}


def test_the_file_is_written_and_named(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call() == 0
    assert capsys.readouterr().out.splitlines()[-1] == "film_story.json"
    assert {STORY_NODE, SEGMENT_NODE, FIT_NODE} < nodes_in("film_story.json").keys()


def test_a_story_of_ones_own(call: Call) -> None:
    Path("story.json").write_text('[{"prompt": "a lake"}]')
    assert call("--story", "story.json", "-o", "mine.json") == 0
    assert json.loads(nodes_in("mine.json")[STORY_NODE]["widgets_values"][1])["segments"] == [{"prompt": "a lake"}]


def test_a_profile_of_ones_own_travels_with_the_workflow(call: Call) -> None:
    Path("profiles").mkdir()
    text = (
        "family: mine\nmodels:\n  - name: mine\n    title: Mine\n    makes: video\n"
        "    recognize: [{nodes: [EmptyHunyuanLatentVideo], loaders: [wan]}]\n    size: {multiple: 64, source: me}\n"
    )
    Path("profiles/mine.yaml").write_text(text)
    assert call() == 0
    assert nodes_in("film_story.json")[FIT_NODE]["widgets_values"][-1] == text


def test_a_file_that_exists_is_left_alone(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.json").write_text("mine")
    assert call("-o", "mine.json") == 2
    assert "mine.json exists" in capsys.readouterr().err
    assert Path("mine.json").read_text() == "mine"


def test_a_role_that_stays(call: Call) -> None:
    assert call("--bind", "width=keep", "--bind", "height=keep") == 0
    outputs = nodes_in("film_story.json")[FIT_NODE]["outputs"]
    assert [output["name"] for output in outputs if output["links"]] == ["prompt", "negative", "seed", "frames"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--bind", "colour=1.color"], "cannot be read, expected NAME=NODE.INPUT"),
        (["--bind", "prompt=99.text"], "there is no node '99'"),
        (["-o", "nowhere/mine.json"], "nowhere/mine.json cannot be written"),
        (["--story", "nowhere.json"], "nowhere.json"),
    ],
)
def test_what_is_wrong_with_an_option(
    call: Call, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert call(*options) == 2
    assert said in capsys.readouterr().err


def test_an_api_graph_has_no_layout(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    graph = {"1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}}}
    assert call(workflow=graph) == 2
    assert "is in API format, which has no layout for the editor" in capsys.readouterr().err


def test_an_adopted_workflow_is_not_adopted_again(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call() == 0
    assert call("-o", "again.json", workflow=json.loads(Path("film_story.json").read_text())) == 2
    assert "knows stories already" in capsys.readouterr().err
