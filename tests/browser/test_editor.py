"""The preview workflow in the real editor."""

from __future__ import annotations

import base64
import io
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from custom_nodes.videogen.media.probe import probe_video
from runner.comfyui.installation import DEFAULT_WORKFLOW, PROJECT
from runner.workflows.workflow import convert_workflow, load_workflow
from tests.support.editor import Editor
from tests.support.servers.comfy import ComfyServer
from tests.support.stories import small_story

pytestmark = [pytest.mark.server, pytest.mark.browser]

PACK = PROJECT / "custom_nodes" / "videogen"
WORKFLOW = json.loads(DEFAULT_WORKFLOW.read_text(encoding="utf-8"))
OUR_NODES = (
    "VideoGenStory",
    "VideoGenSegment",
    "VideoGenStoryboardFrames",
    "VideoGenSaveSegment",
    "VideoGenCompileFilm",
)


@pytest.fixture
def preview(editor: Editor) -> Iterator[Editor]:
    """The editor with the preview workflow open; nothing that happens in it may be logged as an error."""
    editor.errors.clear()
    editor.load(WORKFLOW)
    yield editor
    assert editor.errors == []


def test_opens_with_all_its_nodes(preview: Editor) -> None:
    found = preview.page.evaluate("() => app.graph.nodes.map(node => [node.type, node.has_errors ?? false])")
    assert sorted(found) == sorted([[kind, False] for kind in (*OUR_NODES, "MarkdownNote")])
    assert preview.page.get_by_text("Missing Node").count() == 0


def test_converting_follows_what_is_changed_in_the_editor(
    preview: Editor, comfy_server: ComfyServer, tmp_path: Path
) -> None:
    preview.set_widget("VideoGenSegment", "index", 7)
    preview.type_text("VideoGenSegment", "prompt_override", 'He says "hello",\nand waves. // not a comment')
    preview.page.evaluate("() => { app.graph.nodes.find(node => node.type === 'VideoGenCompileFilm').mode = 0; }")
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(preview.export()), encoding="utf-8")
    converted = convert_workflow(load_workflow(changed), comfy_server.object_info)
    assert converted == preview.prompt()
    assert {node["class_type"] for node in converted.values()} == set(OUR_NODES)


def test_a_typed_prompt_renders_and_its_file_opens_the_workflow(
    preview: Editor, comfy_server: ComfyServer, tmp_path: Path
) -> None:
    story = small_story("In the editor")
    preview.type_text("VideoGenStory", "text", json.dumps(story))
    preview.set_widget("VideoGenSegment", "index", 2)
    preview.type_text("VideoGenSegment", "prompt_override", "A dog runs along the river.")
    page = preview.page
    page.evaluate("() => app.queuePrompt(0)")

    # The node shows the video that was rendered.
    shown = page.wait_for_selector(".comfy-img-preview video", state="attached", timeout=30_000)
    assert shown is not None
    assert "filename=segment_02.mp4&subfolder=videogen%2Fin_the_editor" in (shown.get_attribute("src") or "")
    mp4 = comfy_server.output("videogen", "in_the_editor", "segment_02.mp4")
    assert probe_video(mp4, decode=True).frames == 12

    # Dropped on the canvas of an empty editor, it is the workflow again.
    page.evaluate("() => app.graph.clear()")
    page.evaluate(
        """async ([name, data]) => {
            const bytes = Uint8Array.from(atob(data), character => character.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], name, {type: 'video/mp4'}));
            app.canvasEl.dispatchEvent(new DragEvent('drop', {dataTransfer: transfer, bubbles: true, cancelable: true}));
        }""",
        [mp4.name, base64.b64encode(mp4.read_bytes()).decode()],
    )
    page.wait_for_function("() => app.graph.nodes.length === 6", timeout=30_000)
    assert preview.widgets("VideoGenSegment") == {
        "index": 2,
        "control_after_generate": "fixed",
        "prompt_override": "A dog runs along the river.",
        "with_master_prompt": False,
    }
    assert json.loads(preview.widgets("VideoGenStory")["text"]) == story


def test_reads_well_on_a_full_hd_screen(preview: Editor, tmp_path: Path) -> None:
    image = np.asarray(Image.open(io.BytesIO(preview.screenshot(tmp_path / "preview.png"))).convert("L"), dtype=float)
    assert image.shape == (1080, 1920)
    assert image.std() > 10

    boxes = preview.boxes()
    assert len(boxes) == 6
    for (one, a), (other, b) in itertools.combinations(boxes.items(), 2):
        apart = a[0] + a[2] <= b[0] or b[0] + b[2] <= a[0] or a[1] + a[3] <= b[1] or b[1] + b[3] <= a[1]
        assert apart, f"nodes {one} and {other} overlap"

    # Each node of ours is in one group, no widget is cut, and all of it is on the screen at the zoom at which it opens.
    groups = [group["bounding"] for group in WORKFLOW["groups"]]
    for node in WORKFLOW["nodes"]:
        x, y, width, height = boxes[str(node["id"])]
        inside = [
            g for g in groups if g[0] <= x and g[1] <= y and x + width <= g[0] + g[2] and y + height <= g[1] + g[3]
        ]
        assert len(inside) == (1 if node["type"] in OUR_NODES else 0), node["type"]
    cut = preview.page.evaluate(
        """() => app.graph.nodes.filter(node => {
            const least = node.computeSize();
            return node.size[0] < least[0] || node.size[1] < least[1];
        }).map(node => node.type)"""
    )
    assert cut == []
    view = WORKFLOW["extra"]["ds"]
    assert view["scale"] >= 0.8
    for x, y, width, height in [*boxes.values(), *groups]:
        left, top = ((value + offset) * view["scale"] for value, offset in zip((x, y), view["offset"], strict=True))
        assert left > 60
        assert top > 40
        assert left + width * view["scale"] < 1920
        assert top + height * view["scale"] < 1080


def test_is_among_the_templates(preview: Editor, comfy_server: ComfyServer) -> None:
    listed = preview.page.request.get(f"{comfy_server.url}/api/workflow_templates").json()
    assert "preview" in listed["videogen"]
    page = preview.page
    page.evaluate("() => app.extensionManager.command.execute('Comfy.BrowseTemplates')")
    page.get_by_role("dialog").get_by_text("videogen", exact=True).click()
    card = page.get_by_test_id("template-workflow-preview")
    image = card.locator("img").first
    image.wait_for()
    page.wait_for_function("picture => picture.naturalWidth > 0", arg=image.element_handle())
    page.evaluate("() => app.graph.clear()")
    card.click()
    page.wait_for_function("() => app.graph.nodes.length === 6", timeout=30_000)
    assert preview.widgets("VideoGenSegment")["index"] == 1


@pytest.mark.parametrize("kind", OUR_NODES)
def test_help_page_is_shown(preview: Editor, kind: str) -> None:
    page = preview.page
    page.evaluate("kind => app.canvas.selectNode(app.graph.nodes.find(node => node.type === kind))", kind)
    page.get_by_test_id("info-button").click()
    title = (PACK / "web" / "docs" / f"{kind}.md").read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
    content = page.locator(".node-help-content")
    content.get_by_role("heading", name=title, exact=True).wait_for()
    assert content.get_by_role("heading", name="What goes wrong").count() == 1
    page.keyboard.press("Escape")
