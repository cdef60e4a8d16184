"""Sizes of unknown model files: requested with HEAD, in a few seconds or not at all."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any, cast

import pytest

from custom_nodes.videogen.core.graph import Graph
from runner.check import check_on_server
from runner.comfyui.client import ComfyClient
from runner.workflows.model_sizes import MAX_ADDRESSES, ModelSizes, ask_size
from runner.workflows.validate import check_graph
from runner.workflows.workflow import Workflow
from tests.support.graphs.plain import image_graph
from tests.support.servers.fake_server import Answer, FakeServer

SIZE = 1_234_000_000


def answer(size: int, **headers: str) -> Answer:
    return Answer(announce=size, headers={name.replace("_", "-"): value for name, value in headers.items()})


# ------------------------------------------------------------------ one address


def test_a_file_says_its_size_and_is_not_downloaded(server: FakeServer) -> None:
    server.routes["HEAD /m.safetensors"] = answer(SIZE)
    assert ask_size(f"{server.url}/m.safetensors?download=true", 3) == SIZE
    (request,) = server.requests
    assert (request.method, request.query) == ("HEAD", {"download": "true"})
    assert "Authorization" not in request.headers


def test_redirections_are_followed(server: FakeServer) -> None:
    server.routes["HEAD /m"] = Answer(302, headers={"Location": "/storage/m"})
    server.routes["HEAD /storage/m"] = answer(SIZE)
    assert ask_size(f"{server.url}/m", 3) == SIZE


@pytest.mark.parametrize("storage", [Answer(403), answer(77)], ids=["refuses", "says another"])
def test_a_hub_knows_the_file_that_lies_in_its_storage(server: FakeServer, storage: Answer) -> None:
    server.routes["HEAD /m"] = Answer(302, headers={"Location": "/storage/m", "X-Linked-Size": str(SIZE)})
    server.routes["HEAD /storage/m"] = storage
    assert ask_size(f"{server.url}/m", 3) == SIZE


@pytest.mark.parametrize(
    "found",
    [
        Answer(404, b"x" * 50),
        Answer(401, b"", {"X-Linked-Size": "50"}),
        Answer(200, b"x" * 50, {"Content-Type": "text/html; charset=utf-8"}),
        Answer(200, b"", {"X-Linked-Size": "-5"}),
        Answer(200, b"", {"X-Linked-Size": "9" * 400}),
    ],
    ids=["not there", "only for members", "a page to log in", "below 0", "no number"],
)
def test_what_is_no_size_of_a_file(server: FakeServer, found: Answer) -> None:
    server.routes["HEAD /m"] = found
    assert ask_size(f"{server.url}/m", 3) == 0


@pytest.mark.parametrize("url", ["", "m.safetensors", "file:///etc/passwd", "ftp://host/m", "http://"])
def test_what_is_no_address_is_not_asked(url: str) -> None:
    assert ask_size(url, 3) == 0


# ------------------------------------------------------------------ several


def test_each_is_asked_once_and_failures_are_left_out(server: FakeServer) -> None:
    server.routes["HEAD /a"], server.routes["HEAD /b"] = answer(5), answer(6)
    urls = [
        f"{server.url}/a",
        f"{server.url}/b",
        f"{server.url}/a",
        f"{server.url}/none",
        "http://127.0.0.1:1/x",
        "http://[",
    ]
    sizes = ModelSizes()
    assert sizes.ask(urls) == {f"{server.url}/a": 5, f"{server.url}/b": 6}
    assert sizes.ask(urls[:2]) == {f"{server.url}/a": 5, f"{server.url}/b": 6}
    assert sorted(request.path for request in server.requests) == ["/a", "/b", "/none"]


def test_nobody_waits_for_who_is_silent(server: FakeServer) -> None:
    over = threading.Event()
    server.routes["HEAD /slow"] = lambda _: (over.wait(60), answer(5))[1]
    server.routes["HEAD /fast"] = answer(6)
    sizes = ModelSizes(limit=0.5)
    began = time.monotonic()
    try:
        found = sizes.ask([f"{server.url}/slow", f"{server.url}/fast"])
        assert found == {f"{server.url}/fast": 6}
        # The time is up: nothing more is asked.
        assert sizes.ask([f"{server.url}/other"]) == found
    finally:
        over.set()
    assert time.monotonic() - began < 30
    assert "/other" not in {request.path for request in server.requests}


def test_a_workflow_full_of_addresses_does_not_have_all_of_them_asked(server: FakeServer) -> None:
    ModelSizes().ask(f"{server.url}/{number}" for number in range(MAX_ADDRESSES + 20))
    assert len(server.requests) == MAX_ADDRESSES


# ------------------------------------------------------------------ in the message


def loader(name: str, url: str) -> tuple[Graph, list[dict[str, Any]]]:
    """The image graph with a checkpoint, and the editor's node that declares it."""
    graph = image_graph()
    graph["4"]["inputs"]["ckpt_name"] = name
    models = [{"name": name, "url": url, "directory": "checkpoints"}]
    return graph, [{"id": 4, "type": "CheckpointLoaderSimple", "properties": {"models": models}}]


def problems(graph: Graph, nodes: list[dict[str, Any]], info: dict[str, Any]) -> list[str]:
    workflow = Workflow(Path("film.json"), {"nodes": nodes, "links": []}, None)
    return [str(problem) for problem in check_graph(graph, info, workflow, None, ModelSizes().ask)]


def test_a_missing_model_is_told_with_the_size_that_its_address_says(
    server: FakeServer, object_info: dict[str, Any]
) -> None:
    server.routes["HEAD /wan.safetensors"] = answer(SIZE)
    assert problems(*loader("wan.safetensors", f"{server.url}/wan.safetensors?download=true"), object_info) == [
        f"model 'wan.safetensors' (node 4): it is missing: put it into models/checkpoints, from {server.url}/wan.safetensors"
        " (1.23 GB) (there are: 'dream.safetensors')"
    ]


def test_where_the_size_is_unknown_nothing_is_said_of_it(server: FakeServer, object_info: dict[str, Any]) -> None:
    assert problems(*loader("wan.safetensors", f"{server.url}/wan.safetensors"), object_info) == [
        f"model 'wan.safetensors' (node 4): it is missing: put it into models/checkpoints, from {server.url}/wan.safetensors"
        " (there are: 'dream.safetensors')"
    ]


def test_nobody_is_asked_for_what_is_there_or_known(server: FakeServer, object_info: dict[str, Any]) -> None:
    for name in ("dream.safetensors", "sd_xl_base_1.0.safetensors"):
        problems(*loader(name, f"{server.url}/{name}"), object_info)
    graph, nodes = loader("dream.safetensors", f"{server.url}/dream.safetensors")
    graph["4"]["inputs"]["ckpt_name"] = "SD/dream.safetensors"
    (problem,) = problems(graph, nodes, object_info)
    assert "there is 'dream.safetensors': choose that" in problem
    assert server.requests == []


def test_check_asks_for_sizes(server: FakeServer, object_info: dict[str, Any]) -> None:
    graph, nodes = loader("wan.safetensors", f"{server.url}/hub/wan.safetensors")
    server.routes["HEAD /hub/wan.safetensors"] = answer(SIZE)
    server.routes["GET /object_info"] = object_info
    workflow = Workflow(Path("film.json"), {"nodes": nodes, "links": []}, graph)
    (said,) = check_on_server(cast(ComfyClient, ComfyClient(server.url)), workflow, None, None).problems
    assert "/hub/wan.safetensors (1.23 GB)" in said
    assert "VideoGenSegment" not in said, "a workflow without one is rendered too"
