"""What a conversion notes reaches whoever has called `convert` or `check`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from runner.check import check_on_server
from runner.cli import main
from runner.comfyui.client import ComfyClient
from runner.workflows.workflow import Workflow
from tests.support.graphs.plain import editor_workflow
from tests.support.servers.fake_server import FakeServer

NOTE = "node 8 (Sticky (of a pack)) is left out: the server does not have it, and nothing is linked to it"


@pytest.fixture
def noted() -> dict[str, Any]:
    workflow = editor_workflow()
    workflow["nodes"][1]["widgets_values"] = ["%date:yyyy%_tree"]
    workflow["nodes"].append({"id": 8, "type": "Sticky (of a pack)", "widgets_values": ["a note"]})
    return workflow


def test_convert_says_it_beside_the_graph_with_this_year(
    noted: dict[str, Any],
    server: FakeServer,
    object_info: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.routes["GET /object_info"] = object_info
    path = tmp_path / "film.json"
    path.write_text(json.dumps(noted))
    assert main(["convert", str(path), "--server", server.url]) == 0
    out, err = capsys.readouterr()
    assert err == f"Note: {NOTE}\n"
    prefix = json.loads(out)["2"]["inputs"]["filename_prefix"]
    assert prefix.endswith("_tree")
    assert len(prefix) == len("2026_tree")


class Server:
    """A client whose server has no models."""

    url = "http://host:1"

    def __init__(self, info: dict[str, Any]) -> None:
        self._info = info

    def object_info(self) -> dict[str, Any]:
        return self._info

    def has_input_file(self, name: str) -> bool:
        return False

    def list_models(self, folder: str) -> list[str]:
        return []


def test_check_has_it_among_its_notes(noted: dict[str, Any], object_info: dict[str, Any]) -> None:
    client = cast(ComfyClient, Server(object_info))
    result = check_on_server(client, Workflow(Path("film.json"), noted, None), None, None)
    assert result.notes == [f"film.json: {NOTE}"]
