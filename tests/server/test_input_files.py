"""Files that nodes load from other places than the input folder itself: whether the server has them."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from runner.workflows.validate import check_graph
from runner.workflows.workflow import Workflow, convert_workflow
from tests.support.graphs.conversions import small_workflows
from tests.support.servers.comfy import ComfyServer

pytestmark = pytest.mark.server

PLACES = {
    "cast/anna.png": "input/cast/anna.png",
    "clipspace/a.png [input]": "input/clipspace/a.png",
    "film/c.png [output]": "output/film/c.png",
    "d.png": "input/d.png",
}


@pytest.mark.parametrize("name", PLACES)
def test_a_file_is_found_where_its_name_says(comfy_server: ComfyServer, name: str) -> None:
    path = comfy_server.folder / PLACES[name]
    path.unlink(missing_ok=True)
    assert not comfy_server.client.has_input_file(name)
    assert comfy_server.client.hash_input_file(name) == ""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8)).save(path)
    try:
        assert comfy_server.client.has_input_file(name)
        assert comfy_server.client.read_input_file(name) == path.read_bytes()
    finally:
        path.unlink()


def test_a_workflow_with_such_files_fits_and_runs(comfy_server: ComfyServer) -> None:
    workflow = Workflow(Path("film.json"), small_workflows()["load_image_elsewhere"].workflow, None)
    graph = convert_workflow(workflow, comfy_server.object_info)
    # Where the server has its temporary files, only it knows.
    graph = {key: node for key, node in graph.items() if key in "1234"}

    def problems() -> list[str]:
        found = check_graph(graph, comfy_server.object_info, workflow, has_file=comfy_server.client.has_input_file)
        return [str(problem) for problem in found]

    assert len(problems()) == 2
    paths = [
        comfy_server.folder / PLACES[node["inputs"]["image"]] for node in graph.values() if "image" in node["inputs"]
    ]
    assert len(paths) == 2
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(path)
    try:
        assert problems() == []
        comfy_server.render(graph)
    finally:
        for path in paths:
            path.unlink()
