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
from runner.run.server_fit import Requirement, choose_first, leave_out_unfit
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
    leave_out_unfit(connections, require)
    assert connections.servers == [first, third]
    assert lacking.closed
    assert len(said) == 1
    assert said[0].startswith(
        "http://b is left out: film.json does not fit the ComfyUI at http://b: model 'dream.safetensors'"
    )
    assert first.require is third.require is require, "they are checked again when they come back"


def test_a_second_server_without_a_node_is_left_out(object_info: dict[str, Any], require: Requirement) -> None:
    connections, said = connect(
        FakeServer("http://a", object_info, MODEL), FakeServer("http://b", object_info, MODEL, without="KSampler")
    )
    leave_out_unfit(connections, require)
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
    assert choose_first(connections, prepare_with(require)) == "http://b"
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
        choose_first(connections, prepare_with(require))
    assert "http://a: model 'dream.safetensors'" in raised.value.message
    assert "http://b: KSampler" in raised.value.message


def test_a_mistake_of_the_user_s_is_said_once(object_info: dict[str, Any]) -> None:
    def prepare(server: Server) -> None:
        raise VideoGenError("binding-invalid", "--bind prompt=77.text: there is no node 77")

    connections, _ = connect(FakeServer("http://a", object_info), FakeServer("http://b", object_info))
    with pytest.raises(VideoGenError) as raised:
        choose_first(connections, prepare)
    assert raised.value.message == "--bind prompt=77.text: there is no node 77"
