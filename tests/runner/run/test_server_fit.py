"""Servers that lack what the workflow needs: left out at the beginning while another can, set aside when they come back so."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from runner.comfyui.servers import Server
from runner.run.server_connections import ServerConnections
from runner.run.server_fit import Need, Requirement, ServerFits, prepare_on_first
from runner.workflows.workflow import Workflow
from tests.support.graphs.plain import image_graph
from tests.support.servers.fake_server import STATS

MODEL = "dream.safetensors"


class FakeServer:
    """A connected server with these nodes."""

    def __init__(self, name: str, object_info: dict[str, Any], *models: str, without: str = "") -> None:
        self.name = name
        info = copy.deepcopy(object_info)
        info["CheckpointLoaderSimple"]["input"]["required"]["ckpt_name"][0] = list(models)
        info.pop(without, None)
        client = SimpleNamespace(url=name, list_models=lambda folder: list(models), has_input_file=lambda name: False)
        self.session = SimpleNamespace(stats=STATS, object_info=info, client=client)
        self.require: Any = None
        self.closed = False

    def close(self) -> None:
        self.closed = True


def connect(*servers: FakeServer) -> tuple[ServerConnections, list[str]]:
    said: list[str] = []
    connections = ServerConnections(cast(Any, None), Path("server"), said.append)
    connections.servers = cast("list[Server]", list(servers))
    return connections, said


@pytest.fixture
def require() -> Requirement:
    graph = image_graph()
    return Requirement(graph, Workflow(Path("film.json"), None, graph))


def test_a_second_server_without_the_model_is_left_out_and_the_others_go_on(
    object_info: dict[str, Any], require: Requirement
) -> None:
    first = FakeServer("http://a", object_info, MODEL)
    lacking = FakeServer("http://b", object_info)
    third = FakeServer("http://c", object_info, MODEL)
    connections, said = connect(first, lacking, third)
    ServerFits([Need((1, 2), require)]).leave_out_unfit(connections)
    assert connections.servers == [first, third]
    assert lacking.closed
    assert len(said) == 1
    assert said[0].startswith(
        "http://b is left out: film.json does not fit the ComfyUI at http://b: model 'dream.safetensors'"
    )
    first.session.object_info = lacking.session.object_info
    with pytest.raises(VideoGenError, match=r"dream\.safetensors"):
        first.require(first.session)  # checked again when it comes back
    third.require(third.session)


def test_a_second_server_without_a_node_is_left_out(object_info: dict[str, Any], require: Requirement) -> None:
    connections, said = connect(
        FakeServer("http://a", object_info, MODEL), FakeServer("http://b", object_info, MODEL, without="KSampler")
    )
    ServerFits([Need((1, 2), require)]).leave_out_unfit(connections)
    assert [server.name for server in connections.servers] == ["http://a"]
    assert "KSampler (node 3)" in said[0]


def test_what_is_required_names_what_is_lacking(object_info: dict[str, Any], require: Requirement) -> None:
    require(cast(Any, FakeServer("http://a", object_info, MODEL).session))
    with pytest.raises(VideoGenError, match=r"dream\.safetensors") as raised:
        require(cast(Any, FakeServer("http://a", object_info, "other.safetensors").session))
    assert raised.value.code == "server-unfit"
    assert "\n" not in raised.value.message  # it stands in the journal and in one line of the display


def prepare_with(require: Requirement) -> Any:
    def prepare(server: Server) -> str:
        require(server.session)
        return server.name

    return prepare


def test_the_first_server_may_be_the_one_that_lacks_something(
    object_info: dict[str, Any], require: Requirement
) -> None:
    lacking = FakeServer("http://a", object_info)
    connections, said = connect(lacking, FakeServer("http://b", object_info, MODEL))
    assert prepare_on_first(connections.servers, prepare_with(require)) == "http://b"
    ServerFits([Need((1, 2), require)]).leave_out_unfit(connections)
    assert [server.name for server in connections.servers] == ["http://b"]
    assert lacking.closed
    assert said[0].startswith("http://a is left out")


def test_when_all_lack_something_the_reasons_of_each_are_said(
    object_info: dict[str, Any], require: Requirement
) -> None:
    connections, _ = connect(
        FakeServer("http://a", object_info), FakeServer("http://b", object_info, MODEL, without="KSampler")
    )
    with pytest.raises(VideoGenError) as raised:
        prepare_on_first(connections.servers, prepare_with(require))
    assert "http://a: model 'dream.safetensors'" in raised.value.message
    assert "http://b: KSampler" in raised.value.message


def test_a_mistake_of_the_user_s_is_said_once(object_info: dict[str, Any]) -> None:
    def prepare(server: Server) -> None:
        raise VideoGenError("binding-invalid", "--bind prompt=77.text: there is no node 77")

    connections, _ = connect(FakeServer("http://a", object_info), FakeServer("http://b", object_info))
    with pytest.raises(VideoGenError) as raised:
        prepare_on_first(connections.servers, prepare)
    assert raised.value.message == "--bind prompt=77.text: there is no node 77"


# ------------------------------------------------------------------ several workflows


@pytest.fixture
def fits(require: Requirement) -> ServerFits:
    """Segments 1 and 3 with the model, and segment 2 with another one."""
    graph = image_graph()
    graph["4"]["inputs"]["ckpt_name"] = "rain.safetensors"
    rain = Requirement(graph, Workflow(Path("rain.json"), None, graph))
    return ServerFits([Need((1, 3), require, "segments 1,3"), Need((2,), rain, "segment 2")])


def test_a_server_that_lacks_one_workflow_s_model_is_used_for_the_others(
    object_info: dict[str, Any], fits: ServerFits
) -> None:
    whole = FakeServer("http://a", object_info, MODEL, "rain.safetensors")
    lacking = FakeServer("http://b", object_info, MODEL)
    useless = FakeServer("http://c", object_info)
    connections, said = connect(whole, lacking, useless)
    fits.leave_out_unfit(connections)
    assert connections.servers == [whole, lacking]
    assert fits.lacks_of("http://a") == {}
    assert list(fits.lacks_of("http://b")) == [2]
    assert said[0].startswith("http://c is left out: segments 1,3: film.json does not fit")
    assert said[1].startswith(
        "http://b renders other segments: segment 2: rain.json does not fit the ComfyUI at http://b: model 'rain.safetensors'"
    )
    lacking.session.object_info = whole.session.object_info
    lacking.require(lacking.session)
    assert fits.lacks_of("http://b") == {}, "it came back with what it lacked"
    lacking.session.object_info = useless.session.object_info
    with pytest.raises(VideoGenError) as raised:
        lacking.require(lacking.session)
    assert raised.value.code == "server-unfit"


def test_a_workflow_that_fits_no_server_ends_the_run_with_the_reasons(
    object_info: dict[str, Any], fits: ServerFits
) -> None:
    connections, _ = connect(FakeServer("http://a", object_info, MODEL), FakeServer("http://b", object_info, MODEL))
    with pytest.raises(VideoGenError) as raised:
        fits.leave_out_unfit(connections)
    assert raised.value.code == "workflow-invalid"
    for url in ("http://a", "http://b"):
        assert f"segment 2: rain.json does not fit the ComfyUI at {url}" in raised.value.message
