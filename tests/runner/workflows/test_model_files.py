"""Model files by their content: of the ComfyUI of this machine, and of servers whose pack can tell."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.media.story_file import LoadedStory
from runner.comfyui.client import ComfyClient
from runner.comfyui.installation import Installation
from runner.rendering.jobs import ConvertedWorkflow, JobMaker, WorkflowChoices
from runner.workflows.model_files import (
    HashedModels,
    find_differences,
    find_places,
    hash_on_any,
    hash_on_server,
    hash_on_this_machine,
)
from tests.support.graphs.plain import image_graph
from tests.support.servers.fake_server import Answer, FakeServer
from tests.support.stories import small_story

ROUTE = "GET /videogen/model-hash"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def installed(folder: Path, *arguments: str) -> Installation:
    (folder / "models" / "checkpoints").mkdir(parents=True, exist_ok=True)
    return Installation(folder, folder / "python", arguments, "0.3.75")


# ------------------------------------------------------------------ this machine


def test_a_checkpoint_that_was_replaced_makes_another_key(tmp_path: Path) -> None:
    """As a run with nothing to do finds it, without a server."""
    installation = installed(tmp_path)
    story = small_story("Tree")

    def key() -> str:
        models = HashedModels(hash_on_this_machine(installation, lambda line: None, tmp_path / "hashes.json"), {})
        maker = JobMaker(
            LoadedStory(parse_story(story), story),
            ConvertedWorkflow(image_graph(), {}),
            WorkflowChoices(["prompt=6.text"]),
            lambda name: "",
            None,
            models,
        )
        return maker.key(1)

    checkpoint = tmp_path / "models" / "checkpoints" / "dream.safetensors"
    checkpoint.write_bytes(b"the model of yesterday")
    before = key()
    assert key() == before
    (tmp_path / "new").write_bytes(b"the model of today....")
    (tmp_path / "new").replace(checkpoint)
    assert key() != before
    checkpoint.write_bytes(b"the model of yesterday")
    assert key() == before


def test_the_folders_of_extra_model_paths_count_too(tmp_path: Path) -> None:
    more = tmp_path / "disk"
    (more / "sd").mkdir(parents=True)
    (more / "sd" / "m.safetensors").write_bytes(b"1")
    (more / "text").mkdir()
    (more / "text" / "t.safetensors").write_bytes(b"2")
    config = {"a": {"base_path": str(more), "checkpoints": "sd\nsd2", "clip": "text", "custom_nodes": "x"}, "b": None}
    (tmp_path / "comfyui").mkdir()
    (tmp_path / "comfyui" / "extra_model_paths.yaml").write_text(json.dumps(config))
    (tmp_path / "third.yaml").write_text(json.dumps({"c": {"loras": "disk/loras"}}))
    installation = installed(tmp_path / "comfyui", "--cpu", "--extra-model-paths-config", str(tmp_path / "third.yaml"))
    places = list(find_places(installation))
    assert places[1:] == [
        ("checkpoints", more / "sd"),
        ("checkpoints", more / "sd2"),
        ("text_encoders", more / "text"),
        ("loras", tmp_path / "disk" / "loras"),
    ]
    find = hash_on_this_machine(installation, lambda line: None, None)
    assert find("checkpoints", "m.safetensors") == sha256(b"1")
    assert find("text_encoders", "t.safetensors") == sha256(b"2")
    assert find("checkpoints", "absent.safetensors") == ""


@pytest.mark.parametrize("text", ["", "][", "- 1", "a: {base_path: 3, vae: [1]}"])
def test_a_config_that_cannot_be_read_is_left_to_comfyui(tmp_path: Path, text: str) -> None:
    installation = installed(tmp_path)
    (tmp_path / "extra_model_paths.yaml").write_text(text)
    assert ("checkpoints", tmp_path / "models" / "checkpoints") in list(find_places(installation))


# ------------------------------------------------------------------ servers


def ask(server: FakeServer, said: list[str] | None = None) -> str | None:
    return hash_on_server(ComfyClient(server.url), (said if said is not None else []).append, lambda seconds: None)(
        "checkpoints", "m.safetensors"
    )


def test_a_server_tells_the_hash_once_it_has_read_the_file(server: FakeServer) -> None:
    answers = iter([Answer(202, {"hashed": 1, "size": 4}), Answer(202, {"hashed": 3, "size": 4}), {"sha256": "ab"}])
    server.routes[ROUTE] = lambda request: next(answers)
    assert ask(server) == "ab"
    assert [request.query for request in server.asked(ROUTE)] == [
        {"folder": "checkpoints", "name": "m.safetensors"}
    ] * 3


@pytest.mark.parametrize(
    "answer", [Answer(404, b"no such page"), Answer(500, b"oops"), b"<html>", {"something": "else"}, [1]]
)
def test_an_earlier_pack_cannot_tell(server: FakeServer, answer: Any) -> None:
    server.routes[ROUTE] = answer
    assert ask(server) is None


def test_what_a_server_cannot_tell_is_taken_to_be_as_before() -> None:
    before = {"checkpoints/m.safetensors": "ab"}
    silent = HashedModels(lambda folder, name: None, before)
    assert silent("checkpoints", "m.safetensors") == "ab"
    assert silent("vae", "v.pt") == ""
    assert silent.found == before
    telling = HashedModels(lambda folder, name: "cd", before)
    assert telling("checkpoints", "m.safetensors") == "cd"
    assert telling.found == {"checkpoints/m.safetensors": "cd"}


def test_a_file_that_another_server_has_otherwise_is_named() -> None:
    found = {"checkpoints/sub/m.safetensors": "ab", "vae/v.pt": "", "loras/l.pt": "1"}
    others = {"http://b": {"sub/m.safetensors": "cd", "v.pt": "x", "l.pt": "1"}.get, "http://c": lambda name: None}
    sentences = find_differences(
        found, {server: lambda folder, name, ask=ask: ask(name) for server, ask in others.items()}
    )
    assert len(sentences) == 1
    assert sentences[0].startswith("sub/m.safetensors is not the same file on http://b")


def test_a_file_that_only_another_server_has_is_hashed_there() -> None:
    first = {"m.safetensors": "ab", "silent.pt": None}
    second = {"m.safetensors": "cd", "rain.pt": "ef", "silent.pt": "12"}
    find = hash_on_any([lambda folder, name: first.get(name, ""), lambda folder, name: second.get(name, "")], "loras")
    assert find("checkpoints", "m.safetensors") == "ab", "the first server comes first"
    assert find("loras", "rain.pt") == "ef"
    assert find("loras", "silent.pt") == "12", "a pack that cannot tell is no answer"
    assert find("loras", "gone.pt") == ""
    assert find("embeddings", "rain.pt") == "", "of other folders the first server tells"
    alone = hash_on_any([lambda folder, name: first.get(name, "")], "loras")
    assert alone("loras", "silent.pt") is None


def test_workflows_of_a_run_share_the_record_of_hashes() -> None:
    models = HashedModels(lambda folder, name: "ab", {})
    other = models.asked_by(lambda folder, name: "cd")
    assert (models("vae", "a.pt"), other("vae", "b.pt")) == ("ab", "cd")
    assert models.found == {"vae/a.pt": "ab", "vae/b.pt": "cd"}
