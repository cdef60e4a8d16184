"""Every workflow that ships, in the real editor: complete, readable, and the same for editor and runner."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.media.story_file import load_story_data
from runner.comfyui.installation import DEFAULT_STORY, PROJECT
from runner.workflows.model_catalog import find_published
from runner.workflows.workflow import convert_workflow, load_workflow
from tests.support.editor import Editor
from tests.support.graph_checks import declared_models
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
    assert sorted(found) == sorted([node["type"], False] for node in workflow["nodes"])


def test_the_runner_converts_it_as_the_editor_does(opened: Editor, comfy_server: ComfyServer, name: str) -> None:
    converted = convert_workflow(load_workflow(PATHS[name]), comfy_server.object_info)
    editors = opened.prompt()
    assert list(converted) == list(editors)
    for node_id, node in editors.items():
        assert converted[node_id] == node, node["class_type"]


def test_saving_it_again_changes_nothing(opened: Editor, workflow: dict[str, Any]) -> None:
    exported = opened.export()
    # The version of the editor is its own; everything else is the file's.
    exported["extra"]["frontendVersion"] = workflow["extra"]["frontendVersion"]
    assert exported == workflow


def test_every_link_arrives(opened: Editor, workflow: dict[str, Any]) -> None:
    """What the runner needs is connected: nothing required is left open."""
    schemas = opened.page.request.get(f"{opened.url}/api/object_info").json()
    for node_id, node in opened.prompt().items():
        schema = schemas[node["class_type"]]["input"]
        assert set(schema.get("required", {})) <= set(node["inputs"]), (node_id, node["class_type"])


def test_nothing_overlaps_and_nothing_is_cut(opened: Editor, workflow: dict[str, Any]) -> None:
    boxes = opened.boxes()
    assert len(boxes) == len(workflow["nodes"])
    for (one, a), (other, b) in itertools.combinations(boxes.items(), 2):
        apart = a[0] + a[2] <= b[0] or b[0] + b[2] <= a[0] or a[1] + a[3] <= b[1] or b[1] + b[3] <= a[1]
        assert apart, f"nodes {one} and {other} overlap"
    cut = opened.page.evaluate(
        """() => app.graph.nodes.filter(node => {
            const least = node.computeSize();
            return node.size[0] < Math.floor(least[0]) || node.size[1] < Math.floor(least[1]);
        }).map(node => node.type)"""
    )
    assert cut == []


def test_each_node_lies_in_one_group_and_notes_beside_them(opened: Editor, workflow: dict[str, Any]) -> None:
    boxes = opened.boxes()
    groups = [group["bounding"] for group in workflow["groups"]]
    for node in workflow["nodes"]:
        x, y, width, height = boxes[str(node["id"])]
        inside = [
            g for g in groups if g[0] <= x and g[1] <= y and x + width <= g[0] + g[2] and y + height <= g[1] + g[3]
        ]
        assert len(inside) == (0 if node["type"] == "MarkdownNote" else 1), node["type"]
    for a, b in itertools.combinations(groups, 2):
        assert a[0] + a[2] <= b[0] or b[0] + b[2] <= a[0] or a[1] + a[3] <= b[1] or b[1] + b[3] <= a[1]


def test_all_of_it_is_on_the_screen(opened: Editor, workflow: dict[str, Any]) -> None:
    view = workflow["extra"]["ds"]
    assert view["scale"] >= 0.6
    boxes = [*opened.boxes().values(), *(group["bounding"] for group in workflow["groups"])]
    for x, y, width, height in boxes:
        left, top = ((value + offset) * view["scale"] for value, offset in zip((x, y), view["offset"], strict=True))
        assert left > 60
        assert top > 40
        assert left + width * view["scale"] < 1920
        assert top + height * view["scale"] < 1080


def test_links_run_from_left_to_right(opened: Editor, workflow: dict[str, Any]) -> None:
    """Into a column further right, or down inside the same one."""
    place = {node["id"]: node["pos"] for node in workflow["nodes"]}
    for _, source, _, target, _, kind in workflow["links"]:
        (x, y), (target_x, target_y) = place[source], place[target]
        assert target_x > x or (target_x == x and target_y > y), (source, target, kind)


def test_a_missing_model_is_offered_for_download(editor: Editor, workflow: dict[str, Any], name: str) -> None:
    """The editor's own dialog, out of `properties.models`."""
    editor.load(workflow)
    dialog = editor.page.locator(".p-dialog")
    if not MODELS[name]:
        assert dialog.count() == 0
        return
    dialog.get_by_text("Missing Models").wait_for()
    text = dialog.inner_text()
    for model in MODELS[name]:
        published = find_published(model)
        assert published is not None
        assert f"{published.folder} / {model}" in text
    assert dialog.get_by_text("Copy URL").count() == len(MODELS[name])
    editor.close_dialogs()


@pytest.mark.parametrize("name", FRAMES, indirect=True)
def test_the_upscale_model_is_offered_to_whoever_chooses_it(
    editor: Editor, workflow: dict[str, Any], name: str
) -> None:
    (upscale,) = [node for node in workflow["nodes"] if node["type"] == "VideoGenUpscale"]
    assert upscale["widgets_values"][0] == "auto"
    upscale["widgets_values"][0] = OPTIONAL
    editor.load(workflow)
    dialog = editor.page.locator(".p-dialog")
    dialog.get_by_text("Missing Models").wait_for()
    assert f"upscale_models / {OPTIONAL}" in dialog.inner_text()
    assert dialog.get_by_text("Copy URL").count() == len(MODELS[name]) + 1
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
