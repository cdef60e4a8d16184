"""`videogen roles`: a table or JSON, and an exit status that says whether every role is clear."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.cli import main
from tests.support.graphs.video_models import node, read_schemas, wan
from tests.support.servers.fake_server import FakeServer

Call = Callable[..., int]


@pytest.fixture
def call(server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Ask for the roles of a graph on a server that knows its nodes; returns the status."""
    server.routes["GET /object_info"] = read_schemas()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")

    def run(graph: dict[str, Any], *options: str) -> int:
        Path("film.json").write_text(json.dumps(graph))
        return main(["roles", "film.json", "--server", server.url, *options])

    return run


def test_each_role_with_its_input_and_its_reason(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(wan()) == 0
    out, err = capsys.readouterr()
    rows = {line.split()[0]: line for line in out.splitlines()}
    assert err == ""
    assert rows["prompt"].split()[1:5] == ["positive.text", "(CLIPTextEncode)", "a", "tree"]
    assert "latent.length" in rows["frames"]
    assert "81" in rows["frames"]


def test_a_role_that_two_inputs_may_have_is_asked_for(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    two = wan(low={**wan()["low"], "inputs": {**wan()["low"]["inputs"], "positive": ["other", 0]}})
    two["other"] = node("CLIPTextEncode", text="a river", clip=["clip", 0])
    assert call(two) == 2
    out, _ = capsys.readouterr()
    assert (
        "prompt: 2 inputs may have this role and have different values (other.text, positive.text); name one, such as"
        " --bind prompt=other.text"
    ) in out
    assert call(two, "--json") == 2
    ambiguous = json.loads(capsys.readouterr().out)["ambiguous"]["prompt"]
    assert {one["inputs"][0]["value"] for one in ambiguous} == {"a tree", "a river"}


def test_two_savers_are_asked_for(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(wan(again=wan()["save"])) == 2
    assert "output: nodes save, again save a clip; name the one that is the segment" in capsys.readouterr().out


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_json_is_the_same_data_in_any_terminal(call: Call, encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = "ein Apfelbaum, 林檎の木 🌳"
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding=encoding, write_through=True))
    assert call(wan(positive=node("CLIPTextEncode", text=prompt, clip=["clip", 0])), "--json") == 0
    found = json.loads(raw.getvalue().decode("utf-8"))
    assert found["roles"]["prompt"]["inputs"][0]["value"] == prompt
