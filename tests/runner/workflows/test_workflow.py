"""Workflow files: which are read, and what they become."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.graph import is_link, nodes_of
from runner.workflows.workflow import (
    OTHERS,
    Workflow,
    convert_workflow,
    describe_conversion,
    load_conversion,
    load_workflow,
)
from tests.support.graphs.plain import editor_workflow, image_graph
from tests.support.stories import segment_graph


def write(folder: Path, data: Any) -> Path:
    path = folder / "film.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return path


def test_the_api_export_is_told_from_what_the_editor_saves(tmp_path: Path) -> None:
    api = load_workflow(write(tmp_path, image_graph()))
    assert (api.api, api.ui) == (image_graph(), None)
    saved = load_workflow(write(tmp_path, editor_workflow()))
    assert (saved.api, saved.ui) == (None, editor_workflow())


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, "\ufeff" + json.dumps(image_graph()))
    assert load_workflow(path).api == image_graph()


def test_nan_is_read_as_null_as_the_editor_does_it(tmp_path: Path) -> None:
    """ComfyUI itself writes it into an image's prompt: ``"is_changed": [NaN]``."""
    path = write(tmp_path, '{"1": {"class_type": "LoadImage", "inputs": {}, "is_changed": [NaN]}}')
    assert load_workflow(path).api == {"1": {"class_type": "LoadImage", "inputs": {}, "is_changed": [None]}}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "is no ComfyUI workflow"),
        ("{}", "is no ComfyUI workflow"),
        ("null", "is no ComfyUI workflow"),
        ('"text"', "is no ComfyUI workflow"),
        ('{"nodes": []}', "is no ComfyUI workflow"),
        ('{"nodes": {}, "links": []}', "is no ComfyUI workflow"),
        ('{"nodes": [{"id": 1}], "links": []}', "nodes[1].type: is missing, expected the node's class"),
        ('{"nodes": [5], "links": []}', "nodes[1]: is no object"),
        ('{"nodes": [{"type": 5}], "links": []}', "nodes[1].type: is int, expected text"),
        (
            '{"nodes": [{"type": "A", "properties": []}], "links": []}',
            "nodes[1].properties: is list, expected an object",
        ),
        ('{"nodes": [{"type": "A", "inputs": [{"name": 1}]}], "links": []}', "nodes[1].inputs[1].name: is no text"),
        ('{"nodes": [{"type": "A", "inputs": [{"name": []}]}], "links": []}', "nodes[1].inputs[1].name: is no text"),
        ('{"nodes": [], "links": [], "definitions": []}', "definitions: is no object"),
        ('{"nodes": [], "links": [], "definitions": {"subgraphs": [1]}}', "subgraphs[1]: is no object"),
        (
            '{"nodes": [], "links": [], "definitions": {"subgraphs": [{"nodes": [{}]}]}}',
            "subgraphs[1].nodes[1].type: is missing",
        ),
        ('{"1": {"class_type": "KSampler"}}', "is no ComfyUI workflow"),
        ('{"1": {"class_type": 5, "inputs": {}}}', "is no ComfyUI workflow"),
        ('[{"prompt": "a story, not a workflow"}]', "is no ComfyUI workflow"),
    ],
)
def test_a_file_that_is_no_workflow_is_named(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(VideoGenError, match=re.escape(said)) as caught:
        load_workflow(write(tmp_path, content))
    assert caught.value.code == "workflow-unreadable"
    assert "film.json" in caught.value.message
    assert len(caught.value.message) < 500


def test_a_story_node_without_a_list_of_values_has_no_story(tmp_path: Path) -> None:
    node = {"id": 1, "type": "VideoGenStory", "widgets_values": {"text": "- prompt: x"}}
    assert load_workflow(write(tmp_path, json.dumps({"nodes": [node], "links": []}))).story_text() == ""


def test_a_node_that_the_converter_leaves_out_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It logged a traceback, and the workflow was rendered without the node."""
    workflow = load_workflow(
        write(tmp_path, '{"nodes": [{"id": 3, "type": "A", "widgets_values": ["a"]}], "links": []}')
    )
    with pytest.raises(VideoGenError, match=r"has nodes that cannot be converted: 3 \(A\)") as caught:
        convert_workflow(workflow, {"A": 5})
    assert caught.value.code == "workflow-invalid"
    assert caplog.records == []


def test_an_unknown_name_is_answered_with_those_that_ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "preview.json").write_text(json.dumps(image_graph()))
    monkeypatch.setattr("runner.workflows.files.locate.PROJECT", tmp_path)
    with pytest.raises(VideoGenError, match="there is no workflow wan") as caught:
        load_workflow(Path("wan"))
    assert caught.value.hint == "Shipped are: preview."
    assert load_workflow(Path("preview")).api == load_workflow(Path("preview.json")).api == image_graph()


@pytest.mark.parametrize("name", ["x" * 300, "folder/" * 700 + "x"], ids=["name", "path"])
def test_a_name_that_is_too_long_is_no_workflow(name: str) -> None:
    with pytest.raises(VideoGenError) as caught:
        load_workflow(Path(name))
    assert caught.value.code == "workflow-unreadable"


def test_a_folder_and_other_bytes_are_no_workflow(tmp_path: Path) -> None:
    (tmp_path / "film.json").write_bytes(b"\xff\xfe\x00bytes")
    for path in (tmp_path, tmp_path / "film.json"):
        with pytest.raises(VideoGenError, match="cannot be read") as caught:
            load_workflow(path)
        assert caught.value.code == "workflow-unreadable"


# ------------------------------------------------------------------ the story that a workflow carries


@pytest.mark.parametrize(
    ("workflow", "text"),
    [
        (segment_graph("the story"), "the story"),
        (segment_graph("  "), ""),
        (image_graph(), ""),
        (
            {"nodes": [{"type": "VideoGenStory", "widgets_values": ["text below", "the story"]}], "links": []},
            "the story",
        ),
        ({"nodes": [{"type": "VideoGenStory"}, {"type": "Note"}], "links": []}, ""),
    ],
)
def test_a_workflow_can_carry_its_story(tmp_path: Path, workflow: dict[str, Any], text: str) -> None:
    assert load_workflow(write(tmp_path, workflow)).story_text() == text


# ------------------------------------------------------------------ conversion


def test_what_the_editor_saves_becomes_what_the_server_takes(object_info: dict[str, Any]) -> None:
    graph = convert_workflow(Workflow(Path("film.json"), editor_workflow(), None), object_info)
    assert {key: (node["class_type"], node["inputs"]) for key, node in graph.items()} == {
        "1": ("EmptyImage", {"width": 64, "height": 32, "batch_size": 2, "color": 255}),
        "2": ("SaveImage", {"images": ["1", 0], "filename_prefix": "tree"}),
    }


def test_a_muted_node_is_left_out(object_info: dict[str, Any]) -> None:
    workflow = editor_workflow()
    workflow["nodes"][1]["mode"] = 2
    assert set(convert_workflow(Workflow(Path("film.json"), workflow, None), object_info)) == {"1"}


def test_inputs_that_the_server_s_node_does_not_have_are_dropped(object_info: dict[str, Any]) -> None:
    graph = image_graph()
    graph["9"]["inputs"]["of_a_newer_version"] = 5
    graph["10"] = {"class_type": "Unknown", "inputs": {"kept": 1}}
    converted = convert_workflow(Workflow(Path("film.json"), None, graph), object_info)
    assert set(converted["9"]["inputs"]) == {"images", "filename_prefix"}
    assert converted["10"]["inputs"] == {"kept": 1}
    assert "of_a_newer_version" in graph["9"]["inputs"], "the workflow itself was changed"


def test_a_workflow_that_cannot_be_converted_says_what_to_do(object_info: dict[str, Any]) -> None:
    workflow = editor_workflow() | {"links": "broken"}
    with pytest.raises(VideoGenError, match="cannot be converted") as caught:
        convert_workflow(Workflow(Path("film.json"), workflow, None), object_info)
    assert caught.value.code == "workflow-invalid"
    assert "Export (API)" in caught.value.hint


def test_a_conversion_is_used_again_for_the_same_workflow_and_comfyui(
    tmp_path: Path, object_info: dict[str, Any]
) -> None:
    workflow = Workflow(Path("film.json"), None, image_graph())
    record = describe_conversion(workflow, "0.3.75", image_graph(), object_info)
    assert "SaveVideo" not in record["object_info"]
    (tmp_path / "graph.json").write_text(json.dumps(record))
    found = load_conversion(tmp_path, workflow)
    assert found is not None
    assert (found.graph, found.comfyui, found.drawn, found.written) == (image_graph(), "0.3.75", None, True)
    assert found.object_info["KSampler"] == object_info["KSampler"]
    other = Workflow(Path("film.json"), None, image_graph() | {"9": {"class_type": "SaveImage", "inputs": {}}})
    assert load_conversion(tmp_path, other) is None


@pytest.mark.parametrize("content", [None, "", "[]", "{}", "null", '{"workflow": 1}'])
def test_a_conversion_that_cannot_be_read_counts_for_nothing(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "graph.json").write_text(content)
    assert load_conversion(tmp_path, Workflow(Path("film.json"), None, image_graph())) is None


def test_nodes_are_found_by_their_class() -> None:
    assert nodes_of(image_graph(), "CLIPTextEncode") == ["6", "7"]
    assert nodes_of(image_graph(), "Nothing") == []


@pytest.mark.parametrize(
    ("value", "link"), [(["4", 0], True), ([4, 0], False), (["a", "b"], False), (["4"], False), ("4", False)]
)
def test_a_link_is_a_node_s_id_and_an_output(value: Any, link: bool) -> None:
    assert is_link(value) is link


def test_the_conversions_of_all_workflows_of_a_run_are_found(tmp_path: Path, object_info: dict[str, Any]) -> None:
    film = Workflow(Path("film.json"), None, image_graph())
    rain = Workflow(Path("rain.json"), None, image_graph() | {"9": {"class_type": "SaveVideo", "inputs": {}}})
    first, second = (
        describe_conversion(one, "0.33.0", one.api or {}, object_info, added=["EmptyImage"]) for one in (film, rain)
    )
    (tmp_path / "graph.json").write_text(json.dumps({**first, OTHERS: [second]}))
    for one in (film, rain):
        found = load_conversion(tmp_path, one)
        assert found is not None
        assert found.graph == one.api
        assert "EmptyImage" in found.object_info
    (tmp_path / "graph.json").write_text(json.dumps({**first, OTHERS: 7}))
    assert load_conversion(tmp_path, rain) is None
