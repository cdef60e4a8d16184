"""Adopting the open workflow in the real editor: official templates get a story, and a segment renders from there."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.core.graph import FIT_NODE, SEGMENT_NODE, STORY_NODE
from runner.workflows.workflow import Workflow, convert_workflow
from tests.support.editor import Editor
from tests.support.graphs.conversions import executed
from tests.support.graphs.templates import find_template_files
from tests.support.servers.comfy import ComfyServer

pytestmark = [pytest.mark.server, pytest.mark.browser]

#: Of each kind: flat and with subgraphs, text and pictures, videos, images, and models at partners; ComfyUI 0.3.75 has their
#: nodes.
TEMPLATES = (
    "text_to_video_wan",
    "video_wan2_2_14B_flf2v",
    "video_wan2_2_5B_ti2v",
    "video_hunyuan_video_1.5_720p_t2v",
    "video_capybara_v0_1_image_to_video",
    "video_wan_vace_14B_t2v",
    "video_humo",
    "api_runway_gen4_turbo_image_to_video",
    "image_z_image_turbo",
    "sdxl_simple_example",
)
OURS = (STORY_NODE, SEGMENT_NODE, FIT_NODE)
#: Between our nodes and everything else, with their titles, in the graph's units.
LEAST_GAP = 10
#: What a picture of the template's makes that is not on the server.
_NOT_THERE = "Failed to load resource: the server responded with a status of 404"
_ADOPT = "async () => { await app.extensionManager.command.execute('videogen.adopt'); }"
_IS_ADOPTED = "kind => app.graph.nodes.some(node => node.type === kind)"
_SHOW = """kind => {
    app.canvas.ds.scale = 1;
    app.canvas.centerOnNode(app.graph.nodes.find(node => node.type === kind));
}"""

#: An image of random weights, 64 pixels wide.
SMALL: dict[str, Any] = {
    "nodes": [
        {"id": 1, "type": "CheckpointLoaderSimple", "widgets_values": ["sd15_slim.safetensors"]},
        {"id": 2, "type": "CLIPTextEncode", "widgets_values": ["an apple tree"]},
        {"id": 3, "type": "CLIPTextEncode", "widgets_values": ["blurred"]},
        {"id": 4, "type": "EmptyLatentImage", "widgets_values": [64, 64, 1]},
        {"id": 5, "type": "KSampler", "widgets_values": [7, "fixed", 1, 1.0, "euler", "simple", 1.0]},
        {"id": 6, "type": "VAEDecode", "widgets_values": []},
        {"id": 7, "type": "SaveImage", "widgets_values": ["adopted"]},
    ]
}
_WIRES = (
    (1, 0, "MODEL", 5, "model"),
    (1, 1, "CLIP", 2, "clip"),
    (1, 1, "CLIP", 3, "clip"),
    (2, 0, "CONDITIONING", 5, "positive"),
    (3, 0, "CONDITIONING", 5, "negative"),
    (4, 0, "LATENT", 5, "latent_image"),
    (5, 0, "LATENT", 6, "samples"),
    (1, 2, "VAE", 6, "vae"),
    (6, 0, "IMAGE", 7, "images"),
)
_OUTPUTS = {
    1: ("MODEL", "CLIP", "VAE"),
    2: ("CONDITIONING",),
    3: ("CONDITIONING",),
    4: ("LATENT",),
    5: ("LATENT",),
    6: ("IMAGE",),
}


def small_workflow() -> dict[str, Any]:
    """`SMALL` as the editor saves it."""
    nodes = {
        node["id"]: {
            **node,
            "pos": [400 * place, 100],
            "size": [320, 260],
            "mode": 0,
            "inputs": [],
            "outputs": [{"name": kind, "type": kind, "links": []} for kind in _OUTPUTS.get(node["id"], ())],
            "properties": {},
        }
        for place, node in enumerate(SMALL["nodes"])
    }
    links = []
    for number, (source, output, kind, target, name) in enumerate(_WIRES, 1):
        links.append([number, source, output, target, len(nodes[target]["inputs"]), kind])
        nodes[target]["inputs"].append({"name": name, "type": kind, "link": number})
        nodes[source]["outputs"][output]["links"].append(number)
    return {"nodes": [*nodes.values()], "links": links, "last_node_id": 7, "last_link_id": len(links), "version": 0.4}


def adopt(editor: Editor, workflow: dict[str, Any]) -> None:
    """Open a workflow, and choose *File → Adopt for a Story*."""
    editor.errors.clear()
    editor.load(workflow)
    editor.close_dialogs()
    editor.page.evaluate(_ADOPT)
    editor.page.wait_for_function(_IS_ADOPTED, arg=FIT_NODE)
    editor.wait_for_drawing()
    editor.close_dialogs()


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_gets_a_story(editor: Editor, comfy_server: ComfyServer, name: str) -> None:
    before = json.loads(find_template_files()[name].read_text(encoding="utf-8"))
    adopt(editor, before)
    workflow = editor.export()
    kinds = {str(node["id"]): node["type"] for node in workflow["nodes"]}
    assert len(kinds) == len(before["nodes"]) + 4
    unknown = [kind for kind in OURS if kind not in kinds.values()]
    assert unknown == []
    assert [error for error in editor.errors if not error.startswith(_NOT_THERE)] == []

    # Nothing of it lies over anything else.
    new = {number for number, kind in kinds.items() if kind in OURS} | {max(kinds, key=int)}
    for (one, a), (other, b) in itertools.combinations(editor.boxes().items(), 2):
        if new & {one, other}:
            gap = max(b[0] - a[0] - a[2], a[0] - b[0] - b[2], b[1] - a[1] - a[3], a[1] - b[1] - b[3])
            assert gap >= LEAST_GAP, f"{kinds[one]} {one} and {kinds[other]} {other}"

    # The editor sends what the runner reads out of the file.
    info = comfy_server.object_info
    ours = convert_workflow(Workflow(Path("adopted.json"), workflow, None), info, seed=None)
    assert executed(editor.prompt(), info) == executed(ours, info)
    fit = next(node for node in ours.values() if node["class_type"] == FIT_NODE)
    assert fit["inputs"]["segment"][0] in ours


def test_a_segment_renders_from_there(editor: Editor, comfy_server: ComfyServer) -> None:
    comfy_server.add_models("sd15_slim")
    adopt(editor, small_workflow())
    story = {
        "fps": 2,
        "size": [128, 64],
        "segments": [{"prompt": "a field", "seed": 3}, {"prompt": "a river in winter", "seed": 4}],
    }
    # The text field of a node that is far away cannot be typed into.
    editor.page.evaluate(_SHOW, STORY_NODE)
    editor.wait_for_drawing()
    editor.type_text(STORY_NODE, "text", json.dumps(story))
    editor.set_widget(SEGMENT_NODE, "index", 2)
    editor.errors.clear()
    editor.run()
    # The Segment node tells the film's size, Fit to Model that of the model.
    shown = editor.page.locator(".videogen-result", has_text="a river in winter").filter(has_text="96 × 48 pixels")
    shown.wait_for(timeout=120_000)
    assert "Segment 2" in shown.inner_text()
    deadline = time.monotonic() + 120
    while not (images := sorted((comfy_server.folder / "output").rglob("adopted_*.png"))):
        assert time.monotonic() < deadline, "no image was saved"
        time.sleep(0.2)
    assert editor.errors == []
    for image in images:
        image.unlink()


def test_what_cannot_be_adopted_is_told(editor: Editor) -> None:
    """Twice: the workflow tells a story already."""
    adopt(editor, small_workflow())
    nodes = editor.page.evaluate("() => app.graph.nodes.length")
    editor.page.evaluate(_ADOPT)
    message = editor.page.get_by_text("the workflow knows stories already")
    message.first.wait_for()
    assert editor.page.evaluate("() => app.graph.nodes.length") == nodes
