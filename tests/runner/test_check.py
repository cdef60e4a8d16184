"""`videogen check`: one message with everything, of the film's workflow and of the one that draws its references."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.graph import Graph
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.media.story_file import LoadedStory
from runner.check import check_on_server
from runner.check_result import CheckResult
from runner.comfyui.client import ComfyClient
from runner.workflows.workflow import Workflow
from tests.support.graphs.plain import image_graph
from tests.support.graphs.video_models import node, read_schemas, sampler, wan
from tests.support.stories import segment_graph, small_story

STORY: dict[str, Any] = small_story("Tiny", characters={"ben": {"segments": "1"}})


class Server:
    """What `check_on_server` asks of a server, with nothing in its folders."""

    url = "http://host:1"

    def __init__(self, info: dict[str, Any]) -> None:
        self.info = info

    def object_info(self) -> dict[str, Any]:
        return self.info

    def read_input_file(self, name: str) -> bytes | None:
        return None

    def hash_input_file(self, name: str) -> str:
        return ""

    def has_input_file(self, name: str) -> bool:
        return False

    def list_models(self, folder: str) -> None:
        return None


def check(film: Graph, references: Graph, object_info: dict[str, Any]) -> CheckResult:
    own = {
        kind: {"input": {"optional": {name: ["*", {}] for name in inputs}}, "output": ["*"] * 4, "output_node": True}
        for kind, inputs in {
            "VideoGenApplyCharacters": ("segment", "missing"),
            "VideoGenCastMember": ("story", "index"),
            "VideoGenSaveReference": ("images", "file", "existing", "prompt"),
            "VAELoader": ("vae_name",),
        }.items()
    }
    own["VAELoader"]["input"] = {"required": {"vae_name": [["a.safetensors"], {}]}}
    return check_on_server(
        cast(ComfyClient, Server(object_info | own)),
        Workflow(Path("film.json"), None, film),
        LoadedStory(parse_story(copy.deepcopy(STORY)), STORY),
        Workflow(Path("cast.json"), None, references),
    )


def cast_film(**more: Any) -> Graph:
    """A film whose character needs an image, and whatever else."""
    node = {"class_type": "VideoGenApplyCharacters", "inputs": {"segment": ["2", 0], "missing": "stop"}}
    return segment_graph(STORY) | {"7": node} | more


def references(**more: Any) -> Graph:
    graph = image_graph()
    graph["1"] = segment_graph(STORY)["1"]
    graph["2"] = {"class_type": "VideoGenCastMember", "inputs": {"story": ["1", 0], "index": 1}}
    graph["9"] = {"class_type": "VideoGenSaveReference", "inputs": {"images": ["8", 0], "file": ["2", 3]}}
    return graph | more


def vae(name: str) -> dict[str, Any]:
    return {"class_type": "VAELoader", "inputs": {"vae_name": name}}


def stranger(kind: str) -> dict[str, Any]:
    return {"class_type": kind, "inputs": {}}


def test_all_of_both_workflows_comes_in_one_message(object_info: dict[str, Any]) -> None:
    film = cast_film(**{"30": vae("one.safetensors"), "31": stranger("Quux")})
    film["4"]["inputs"]["codec"] = "av1"
    result = check(film, references(), object_info)
    assert result.notes == ["missing reference pictures are drawn first, with cast.json: ben"]
    (message,) = result.problems
    assert "film.json on http://host:1: 3 problems" in message
    for said in ("'codec' is 'av1'", "model 'one.safetensors' (node 30)", "Quux (node 31)"):
        assert said in message


def test_what_both_workflows_lack_is_said_once(object_info: dict[str, Any]) -> None:
    film = cast_film(**{"30": vae("one.safetensors"), "31": stranger("Quux")})
    # The model is taken over from the film, and then it is missing there too.
    (message,) = check(film, references(**{"40": vae("two.safetensors"), "41": stranger("Quux")}), object_info).problems
    assert "cast.json" not in message
    assert message.count("one.safetensors") == message.count("Quux") == 1


def test_what_only_the_references_lack_is_said_of_them(object_info: dict[str, Any]) -> None:
    """Sentences on two models, or on two classes, may be the same but for what they are of."""
    film = cast_film(**{"30": vae("one.safetensors"), "31": vae("other.safetensors"), "32": stranger("Quux")})
    (message,) = check(
        film, references(**{"40": vae("two.safetensors"), "41": stranger("Flurb")}), object_info
    ).problems
    assert "film.json on http://host:1: 5 problems" in message
    assert "cast.json, model 'two.safetensors' (node 40): it is missing" in message
    assert "cast.json, Flurb (node 41): the server does not have this node" in message


def check_roles(film: Graph, bindings: Sequence[str] = ()) -> CheckResult:
    return check_on_server(
        cast(ComfyClient, Server(read_schemas())), Workflow(Path("film.json"), None, film), None, None, bindings
    )


def test_what_a_segment_decides_in_a_workflow_that_knows_none() -> None:
    result = check_roles(wan())
    assert (
        "prompt positive.text; negative negative.text; seed high.noise_seed; frames latent.length" in result.notes[-1]
    )
    # Its model files are missing, and nothing else.
    assert all("VideoGenSegment" not in problem and "--bind" not in problem for problem in result.problems)


def test_a_role_that_is_not_clear_prevents_a_run_until_it_is_named() -> None:
    film = wan(
        other=node("CLIPTextEncode", text="a river", clip=["clip", 0]),
        low=sampler(["high", 0], add_noise="disable", noise_seed=0, positive=["other", 0]),
    )
    (problem,) = check_roles(film).problems
    assert "prompt: 2 inputs may have this role and have different values (other.text, positive.text)" in problem
    named = check_roles(film, ["prompt=other.text"]).problems
    assert all("--bind" not in problem for problem in named)
    kept = check_roles(film, ["prompt=keep"]).problems
    assert all("--bind" not in problem for problem in kept)


def test_a_binding_of_nothing_is_said() -> None:
    with pytest.raises(VideoGenError, match="there is no node '99'"):
        check_roles(wan(), ["prompt=99.text"])
