"""Where the nodes of each workflow that ships are, in each editor: apart, complete, in their groups, on the screen."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from runner.comfyui.installation import PROJECT
from tests.support.editor import Editor
from tests.support.servers.comfy import ComfyServer
from tests.support.videos import draw_code, write_video

pytestmark = [pytest.mark.server, pytest.mark.browser]

PATHS = {path.stem: path for path in sorted((PROJECT / "workflows").glob("*.json"))}
#: Between two nodes with their titles, in the graph's units.
LEAST_GAP = 40
#: What an editor of today has at the bottom right of its 1920 × 1080 pixels, unless it is closed: a map of the workflow.
MAP = (1655, 815, 265, 265)
TITLE = 30

#: Whether these nodes show their results.
_SHOWN = """([ids, nodes2]) => ids.map(id => app.graph.getNodeById(id)).every(node => {
    if (node.videogenContinuity) return true;
    app.canvas.setDirty(true, true);
    if (!nodes2) return node.imgs?.length > 0 || node.videoContainer?.querySelector('video')?.readyState >= 2;
    const found = [...document.querySelectorAll(`[data-node-id="${node.id}"] :is(video, img)`)];
    return found.some(item => item.readyState >= 2 || item.naturalWidth > 0);
})"""

Box = list[float]


@pytest.fixture(params=PATHS)
def workflow(request: pytest.FixtureRequest) -> dict[str, Any]:
    return json.loads(PATHS[request.param].read_text(encoding="utf-8"))


@pytest.fixture
def opened(editor: Editor, workflow: dict[str, Any]) -> Iterator[Editor]:
    editor.errors.clear()
    editor.load(workflow)
    editor.close_dialogs()
    yield editor
    assert editor.errors == []


def gap(a: Box, b: Box) -> float:
    """How far two boxes are apart, sideways or up and down, in hundredths; below zero: they overlap."""
    return round(max(b[0] - a[0] - a[2], a[0] - b[0] - b[2], b[1] - a[1] - a[3], a[1] - b[1] - b[3]), 2)


def is_inside(a: Box, b: Box) -> bool:
    return min(a[0] - b[0], a[1] - b[1], b[0] + b[2] - a[0] - a[2], b[1] + b[3] - a[1] - a[3]) >= -0.01


def enlargement(boxes: dict[str, Box], workflow: dict[str, Any]) -> float:
    """By how much an editor has enlarged the whole layout: old ones do so with Nodes 2.0, 1 for all others."""
    return min(boxes[str(node["id"])][2] / node["size"][0] for node in workflow["nodes"])


def groups_of(editor: Editor) -> list[Box]:
    return editor.page.evaluate("() => app.graph.groups.map(group => [...group.pos, ...group.size])")


def assert_apart(editor: Editor, workflow: dict[str, Any]) -> dict[str, Box]:
    """That no node is closer to another than it should be. Returns their boxes."""
    boxes = editor.boxes()
    assert len(boxes) == len(workflow["nodes"])
    kinds = {str(node["id"]): node["type"] for node in workflow["nodes"]}
    for (one, a), (other, b) in itertools.combinations(boxes.items(), 2):
        assert gap(a, b) >= LEAST_GAP, f"{kinds[one]} {one} and {kinds[other]} {other}"
    return boxes


def test_nodes_are_apart_in_their_groups(opened: Editor, workflow: dict[str, Any]) -> None:
    boxes, groups = assert_apart(opened, workflow), groups_of(opened)
    for node in workflow["nodes"]:
        box = boxes[str(node["id"])]
        inside = [group for group in groups if is_inside(box, group)]
        touched = [group for group in groups if gap(box, group) < 0]
        assert len(inside) == (0 if node["type"] == "MarkdownNote" else 1), node["type"]
        assert touched == inside, f"{node['type']} covers a group's title or frame"
    for a, b in itertools.combinations(groups, 2):
        assert gap(a, b) >= 0


def test_no_node_needs_more_room_than_it_has(opened: Editor, workflow: dict[str, Any]) -> None:
    """Neither does one have to grow when it is opened, nor does it hide a part of itself."""
    boxes = opened.boxes()
    enlarged = enlargement(boxes, workflow)
    assert enlarged == pytest.approx(1) or opened.nodes2
    for node in workflow["nodes"]:
        _, _, width, height = boxes[str(node["id"])]
        assert width == pytest.approx(node["size"][0] * enlarged, abs=1), node["type"]
        assert height == pytest.approx((node["size"][1] + TITLE) * enlarged, abs=1), node["type"]
    cut = opened.page.evaluate(
        """nodes2 => app.graph.nodes.filter(node => {
            if (nodes2) {
                const all = [...document.querySelectorAll(`[data-node-id="${node.id}"], [data-node-id="${node.id}"] *`)];
                return all.some(part => part.tagName !== 'TEXTAREA' && getComputedStyle(part).overflowY !== 'visible'
                    && part.scrollHeight > part.clientHeight + 1 && part.clientHeight > 0);
            }
            const least = node.computeSize();
            return node.size[0] < Math.floor(least[0]) || node.size[1] < Math.floor(least[1]);
        }).map(node => node.type)""",
        opened.nodes2,
    )
    assert cut == []


def test_all_of_it_is_on_the_screen(opened: Editor, workflow: dict[str, Any]) -> None:
    scale, x, y = opened.view()
    boxes = opened.boxes()
    if enlargement(boxes, workflow) > 1.01:
        pytest.skip("this editor enlarges the layout, and not the view with it")
    assert scale >= 0.6
    kinds = {str(node["id"]): node["type"] for node in workflow["nodes"]}
    places = {
        key: [(box[0] + x) * scale, (box[1] + y) * scale, box[2] * scale, box[3] * scale]
        for key, box in [*boxes.items(), *enumerate(groups_of(opened))]
    }
    for key, place in places.items():
        assert is_inside(place, [60, 40, 1860, 1040]), kinds.get(str(key), "a group")
    for key, kind in kinds.items():
        if kind in ("VideoGenSaveSegment", "VideoGenSaveReference", "VideoGenContinuity"):
            assert gap(places[key], list(MAP)) >= 0, f"the map covers the result of {kind}"


@pytest.fixture(scope="module")
def outputs(comfy_server: ComfyServer) -> dict[str, Any]:
    """What nodes that save or measure answer, with files that the server has."""
    folder = comfy_server.output("layouts")
    folder.mkdir(parents=True, exist_ok=True)
    write_video(folder / "segment.mp4", (draw_code(index) for index in range(4)), count=4)
    shutil.copy(PROJECT / "custom_nodes/videogen/example_workflows/preview.jpg", folder / "reference.jpg")
    video = {"filename": "segment.mp4", "subfolder": "layouts", "type": "output"}
    scores = {
        "subjects": [
            {"kind": "character", "label": "man", "samples": [{"frame": 0, "score": 0.9}, {"frame": 3, "score": 0.7}]}
        ],
        "temporal": {"score": 0.8, "curve": [0.9, 0.8, 0.7]},
        "frames": {"count": 4},
    }
    record = {"score": 0.8, "verdict": {"level": "warn"}, "report": ["man 0.80"], "continuity": {"scores": scores}}
    return {
        "VideoGenSaveSegment": {"images": [video], "animated": [True]},
        "VideoGenSaveReference": {"images": [video | {"filename": "reference.jpg"}]},
        "VideoGenContinuity": {"videogen": [record]},
    }


def test_results_have_their_room(opened: Editor, workflow: dict[str, Any], outputs: dict[str, Any]) -> None:
    """What nodes show after a run moves nothing, and covers nothing."""
    before = opened.boxes()
    shown = {node["id"]: outputs[node["type"]] for node in workflow["nodes"] if node["type"] in outputs}
    assert shown
    opened.page.evaluate(
        """results => {
            for (const [id, output] of results) {
                const detail = {node: String(id), display_node: String(id), output, prompt_id: 'layouts'};
                app.api.dispatchEvent(new CustomEvent('executed', {detail}));
            }
        }""",
        list(shown.items()),
    )
    opened.page.wait_for_function(_SHOWN, arg=[list(shown), opened.nodes2], timeout=30_000)
    opened.wait_for_drawing()
    after = assert_apart(opened, workflow)
    for node in workflow["nodes"]:
        assert after[str(node["id"])] == pytest.approx(before[str(node["id"])], abs=1), node["type"]
