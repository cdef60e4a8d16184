"""Every workflow that ships, in the real editor: complete, readable, and the same for editor and runner."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.media.story_file import load_story_data
from runner.comfyui.installation import DEFAULT_STORY, PROJECT
from runner.workflows.model_catalog import find_published
from runner.workflows.workflow import convert_workflow, load_workflow
from tests.support.editor import Editor
from tests.support.graphs.checks import declared_models
from tests.support.servers.comfy import ComfyServer

pytestmark = [pytest.mark.server, pytest.mark.browser]

TEMPLATES = PROJECT / "custom_nodes" / "videogen" / "example_workflows"
PATHS = {path.stem: path for path in sorted((PROJECT / "workflows").glob("*.json"))}
FRAMES = ("sd15_frames", "sd21_frames", "sdxl_frames", "sdxl_turbo_frames")
#: Declared by the workflows with frames at Upscale, which does without it: the editor must not ask for it.
OPTIONAL = "RealESRGAN_x4plus.safetensors"
#: Every model file that a workflow loads.
MODELS = {
    "preview": [],
    "character_references": ["v1-5-pruned-emaonly-fp16.safetensors"],
    "sd15_frames": [
        "CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors",
        "ip-adapter-plus_sd15.safetensors",
        "v1-5-pruned-emaonly-fp16.safetensors",
    ],
    "sd21_frames": ["v2-1_768-ema-pruned.safetensors"],
    "sdxl_frames": [
        "CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors",
        "ip-adapter-plus_sdxl_vit-h.safetensors",
        "sd_xl_base_1.0.safetensors",
    ],
    "sdxl_turbo_frames": [
        "CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors",
        "ip-adapter-plus_sdxl_vit-h.safetensors",
        "sd_xl_turbo_1.0_fp16.safetensors",
    ],
    # Folders and ids of the hub, not files: their loader says what is missing.
    "cogvideox_image": [],
    "skyreels_text": [],
    "skyreels_image": [],
    "skyreels_extend": [],
    "framepack_image": [],
}


#: `digest_graph` of each. A change on purpose changes them too, and says so in its commit.
GRAPHS = {
    "cogvideox_image": "a94f322d7ee702364cc3a69761143ffe96ce53b688d08cb5140d2ac0c41d46e6",
    "framepack_image": "984f1c1af13fc1a060db9180eeb823f6519c7badef212a0cd1ebdaaf3f3a30ac",
    "skyreels_extend": "9840fb4b04ebacde11c4848726b279c0c6ac6097a4913fba9110b29ecef1027d",
    "skyreels_image": "39396939a4170cddb4ef3b3911090b85799ac2c44188407493695951cf65abb0",
    "skyreels_text": "e113c4c420533f40118de9aaaf785a2a9d38e54f063176b623bb9cf8943e23a9",
    "character_references": "28eb186a8f43a1c018aa60265f797b987d7656b299e87c84d2c0a23a1d548ef7",
    "preview": "4676707e1f7bca5290af02b48fdf5b25f2913c1978835616c574ae24e64cf3a2",
    "sd15_frames": "4d522202fd7512d3cbbd9f6bd8e91a891b370cd39a9c4846b0362b987f0d695d",
    "sd21_frames": "09654976547bc299675ff9da40da86893b8d22ed7d1fa56e4192e6117b78d465",
    "sdxl_frames": "389beed9d8f863a38c46d4d10edee0e31c3d2df182bb913d8fd64d79e12a7d5c",
    "sdxl_turbo_frames": "52fd3bfa80bd300cf2a2138e30d02557be41311a33c471a160eba1e1ea6f7164",
}


@pytest.fixture(params=PATHS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def workflow(name: str) -> dict[str, Any]:
    return json.loads(PATHS[name].read_text(encoding="utf-8"))


@pytest.fixture
def opened(editor: Editor, workflow: dict[str, Any]) -> Iterator[Editor]:
    """The editor with the workflow open; nothing that happens in it may be logged as an error."""
    editor.errors.clear()
    editor.load(workflow)
    editor.close_dialogs()
    yield editor
    assert editor.errors == []


def test_all_of_them_are_here() -> None:
    assert set(PATHS) == set(MODELS)


def test_opens_with_all_its_nodes(opened: Editor, workflow: dict[str, Any]) -> None:
    found = opened.page.evaluate("() => app.graph.nodes.map(node => [node.type, node.has_errors ?? false])")
    assert sorted(kind for kind, _ in found) == sorted(node["type"] for node in workflow["nodes"])
    # Newer editors mark the nodes whose models are missing, and the way to them.
    assert not any(wrong for kind, wrong in found if kind.startswith("VideoGen") and "IPAdapter" not in kind)


def test_the_runner_converts_it_as_the_editor_does(
    opened: Editor, comfy_server: ComfyServer, name: str, workflow: dict[str, Any]
) -> None:
    converted = convert_workflow(load_workflow(PATHS[name]), comfy_server.object_info)
    editors = opened.prompt()
    assert list(converted) == list(editors)
    titled = {str(node["id"]) for node in workflow["nodes"] if "title" in node}
    for node_id, node in editors.items():
        if node_id not in titled:
            node["_meta"] = converted[node_id]["_meta"]  # each editor has its own names for nodes
        assert converted[node_id] == node, node["class_type"]


def test_saving_it_again_changes_nothing(opened: Editor, workflow: dict[str, Any]) -> None:
    exported = opened.export()
    if exported["extra"]["frontendVersion"] == workflow["extra"]["frontendVersion"] and not opened.nodes2:
        assert exported == workflow  # the one that has written it
    # Others have keys of their own, and with Nodes 2.0 the oldest one enlarges the layout.
    assert essentials(exported, places=not opened.nodes2) == essentials(workflow, places=not opened.nodes2)


def essentials(workflow: dict[str, Any], *, places: bool) -> dict[str, Any]:
    """What every editor must keep of a workflow."""
    keys = ("id", "type", "title", "mode", "widgets_values", "pos", "size")[: None if places else -2]
    return {
        "id": workflow["id"],
        "links": workflow["links"],
        "nodes": [
            {key: node.get(key) or None for key in keys} | {"models": node["properties"].get("models")}
            for node in workflow["nodes"]
        ],
        "groups": [(group["title"], group["color"], places and group["bounding"]) for group in workflow["groups"]],
    }


def test_every_link_arrives(opened: Editor, workflow: dict[str, Any]) -> None:
    """What the runner needs is connected: nothing required is left open."""
    schemas = opened.page.request.get(f"{opened.url}/api/object_info").json()
    for node_id, node in opened.prompt().items():
        schema = schemas[node["class_type"]]["input"]
        assert set(schema.get("required", {})) <= set(node["inputs"]), (node_id, node["class_type"])


def test_links_run_from_left_to_right(opened: Editor, workflow: dict[str, Any]) -> None:
    """Into a column further right, or down inside the same one."""
    place = {node["id"]: node["pos"] for node in workflow["nodes"]}
    for _, source, _, target, _, kind in workflow["links"]:
        (x, y), (target_x, target_y) = place[source], place[target]
        assert target_x > x or (target_x == x and target_y > y), (source, target, kind)


def test_a_missing_model_is_offered_for_download(editor: Editor, workflow: dict[str, Any], name: str) -> None:
    """By the editor itself, out of `properties.models`."""
    editor.load(workflow)
    if not MODELS[name]:
        assert editor.page.locator(".p-dialog").count() == editor.page.get_by_test_id("error-overlay").count() == 0
        return
    assert_models_are_offered(editor, MODELS[name])


@pytest.mark.parametrize("name", FRAMES, indirect=True)
def test_the_upscale_model_is_offered_to_whoever_chooses_it(
    editor: Editor, workflow: dict[str, Any], name: str
) -> None:
    (upscale,) = [node for node in workflow["nodes"] if node["type"] == "VideoGenUpscale"]
    assert upscale["widgets_values"][0] == "auto"
    upscale["widgets_values"][0] = OPTIONAL
    editor.load(workflow)
    assert_models_are_offered(editor, [*MODELS[name], OPTIONAL])


def assert_models_are_offered(editor: Editor, models: list[str]) -> None:
    """That these models, and no others, are offered, each with its folder and its address."""
    shown = editor.missing_models()
    text = shown.inner_text()
    assert "Missing Models" in text
    for model in models:
        published = find_published(model)
        assert published is not None
        assert re.search(rf"{published.folder} / {re.escape(model)}|{re.escape(model)}\s+{published.folder}\b", text)
    assert shown.get_by_role("button", name="Copy URL").count() == len(models)
    editor.close_dialogs()


def test_every_model_is_declared_where_it_is_chosen(workflow: dict[str, Any], name: str) -> None:
    found = declared_models(load_workflow(PATHS[name]))
    optional = [OPTIONAL] if name in FRAMES else []
    assert sorted(model.name for model in found) == sorted(MODELS[name] + optional)
    for model in found:
        published = find_published(model.name)
        assert published is not None
        assert (model.folder, model.url) == (published.folder, published.url)
    for node in workflow["nodes"]:
        for model in node["properties"].get("models", []):
            assert model["name"] in node["widgets_values"] or model["name"] == OPTIONAL
            assert len(model["hash"]) == 64


@pytest.mark.parametrize("name", FRAMES, indirect=False)
def test_a_workflow_with_a_model_has_what_makes_frames_belong_together(name: str) -> None:
    kinds = {node["type"] for node in json.loads(PATHS[name].read_text(encoding="utf-8"))["nodes"]}
    assert {
        "VideoGenFrameNoise",
        "VideoGenAnchorAttention",
        "VideoGenRenderSize",
        "VideoGenUpscale",
        "VideoGenColorMatch",
        "VideoGenKeyframeMotion",
    } <= kinds
    assert ("VideoGenApplyCharacters" in kinds) == (name != "sd21_frames")


@pytest.mark.parametrize("name", FRAMES, indirect=True)
def test_the_camera_moves_over_the_frames_that_are_measured_and_saved(opened: Editor, name: str) -> None:
    graph = opened.prompt()
    way = ["VideoGenSaveSegment"]
    (node_id,) = [key for key, node in graph.items() if node["class_type"] == way[0]]
    while "images" in graph[node_id]["inputs"]:
        node_id = graph[node_id]["inputs"]["images"][0]
        way.append(graph[node_id]["class_type"].removeprefix("VideoGen"))
    assert way[1:] == ["Continuity", "KeyframeMotion", "ColorMatch", "Upscale", "VAEDecode"]
    (motion,) = [node["inputs"] for node in graph.values() if node["class_type"] == "VideoGenKeyframeMotion"]
    assert (motion["move"], motion["border"]) == ("segment", "crop")
    assert graph[motion["segment"][0]]["class_type"] == "VideoGenSegment"


def test_graph_is_the_one_that_was_released(workflow: dict[str, Any], name: str) -> None:
    """Nodes, links and values, wherever the nodes are: with other ones, users' films would be rendered again."""
    assert digest_graph(workflow) == GRAPHS[name]


def digest_graph(workflow: dict[str, Any]) -> str:
    """SHA-256 of what a workflow submits, but for the text of its story, which has a test of its own."""
    sources = {link[0]: link[1:3] for link in workflow["links"]}
    graph = {}
    for node in workflow["nodes"]:
        if node["type"] == "MarkdownNote":
            continue
        values = ["", *node["widgets_values"][2:]] if node["type"] == "VideoGenStory" else node.get("widgets_values")
        inputs = {
            slot["name"]: sources[slot["link"]] for slot in node.get("inputs", []) if slot.get("link") is not None
        }
        graph[node["id"]] = [node["type"], node["mode"], values, inputs]
    return hashlib.sha256(json.dumps(graph, sort_keys=True).encode()).hexdigest()


def test_notes_have_no_code_in_them(workflow: dict[str, Any]) -> None:
    """Nodes 2.0 shows it as dark boxes that push the lines apart: bold instead."""
    for node in workflow["nodes"]:
        if node["type"] == "MarkdownNote":
            assert "`" not in node["widgets_values"][0]


def test_template_is_the_workflow_that_ships(name: str) -> None:
    template = TEMPLATES / f"{name}.json"
    assert template.read_bytes() == PATHS[name].read_bytes()
    assert 0 < template.with_suffix(".jpg").stat().st_size <= 60_000


def test_they_are_among_the_templates(editor: Editor) -> None:
    listed = editor.page.request.get(f"{editor.url}/api/workflow_templates").json()
    assert sorted(listed["videogen"]) == sorted(PATHS)


def test_no_template_without_a_workflow() -> None:
    assert (
        {path.stem for path in TEMPLATES.glob("*.json")}
        == {path.stem for path in TEMPLATES.glob("*.jpg")}
        == set(PATHS)
    )


def test_the_story_in_it_is_the_one_that_ships(name: str) -> None:
    data = load_story_data(DEFAULT_STORY).data
    text = load_workflow(PATHS[name]).story_text()
    again = "the story has changed: run `python -m tests.browser.build_workflows`"
    assert text == json.dumps(data, ensure_ascii=False, indent=2), again


def test_ids_are_of_each_workflow_alone() -> None:
    ids = [json.loads(path.read_text(encoding="utf-8"))["id"] for path in PATHS.values()]
    assert len(set(ids)) == len(ids)


def test_docs_speak_of_each_workflow_and_model() -> None:
    text = Path(PROJECT / "docs" / "workflows.md").read_text(encoding="utf-8")
    for name, models in MODELS.items():
        assert f"`{name}`" in text
        for model in models:
            assert f"`{model}`" in text
