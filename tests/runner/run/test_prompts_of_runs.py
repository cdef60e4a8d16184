"""What a run writes of the prompts that a foreign workflow's model gets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner.cli import main
from runner.reports.prompt_record import PROMPTS_FILE
from tests.support.graphs.plain import image_graph
from tests.support.graphs.video_models import read_schemas, wan
from tests.support.servers.fake_server import FakeServer

STORY = {
    "title": "Film",
    "style": {"prefix": "35 mm film"},
    "segments": [{"prompt": "A field."}, {"prompt": "A tree."}],
}


@pytest.fixture
def run_on(server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the story with a graph on a server that knows its nodes and has no model; returns the run directory."""
    server.routes["GET /object_info"] = read_schemas()
    monkeypatch.chdir(tmp_path)
    Path("story.json").write_text(json.dumps(STORY))

    def run(graph: dict[str, Any], *options: str) -> Path:
        Path("film.json").write_text(json.dumps(graph))
        command = ["run", "story.json", "--workflow", "film.json", "--server", server.url, "--out", "out"]
        # It has no model: nothing is submitted.
        assert main([*command, *options]) == 2
        return tmp_path / "out"

    return run


def test_a_run_writes_what_the_model_reads(run_on: Any) -> None:
    prompts = json.loads((run_on(wan()) / PROMPTS_FILE).read_text(encoding="utf-8"))
    assert [entry["prompt"] for entry in prompts.values()] == ["A field. 35 mm film.", "A tree. 35 mm film."]
    named = run_on(wan(), "--bind", "prompt=positive.text") / PROMPTS_FILE
    assert json.loads(named.read_text(encoding="utf-8")) == prompts


def test_a_run_that_submits_the_story_s_own_text_has_no_such_file(run_on: Any) -> None:
    assert (run_on(wan()) / PROMPTS_FILE).exists()
    assert not (run_on(image_graph(), "--bind", "prompt=6.text") / PROMPTS_FILE).exists()
