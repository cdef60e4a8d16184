"""The preview workflow in the real editor."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

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
    preview.run()

    # The node shows the video that was rendered.
    shown = page.locator("video").first
    shown.wait_for(timeout=30_000)
    address = parse_qs(urlsplit(shown.get_attribute("src") or "").query)
    assert (address["filename"], address["subfolder"]) == (["segment_02.mp4"], ["videogen/in_the_editor"])
    page.wait_for_function("video => video.readyState >= 2 && video.videoWidth > 0", arg=shown.element_handle())
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
    page.evaluate(
        """kind => {
            const node = app.graph.nodes.find(node => node.type === kind);
            app.canvas.centerOnNode(node);  // out from under what is at the borders of the page
            app.canvas.selectNode(node);
        }""",
        kind,
    )
    preview.wait_for_drawing()
    page.get_by_test_id("info-button").click()
    title = (PACK / "web" / "docs" / f"{kind}.md").read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
    content = page.locator(".node-help-content")
    content.get_by_role("heading", name=title, exact=True).wait_for()
    assert content.get_by_role("heading", name="What goes wrong").count() == 1
    page.keyboard.press("Escape")
