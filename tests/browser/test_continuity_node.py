"""The nodes that measure, in the real editor: after a run their results are on them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from custom_nodes.videogen.core.segment.plan import plan_segment
from custom_nodes.videogen.core.story.parser import parse_story
from runner.comfyui.installation import DEFAULT_WORKFLOW
from tests.support.editor import Editor
from tests.support.stories import small_story

if TYPE_CHECKING:
    from playwright.sync_api import Locator

pytestmark = [pytest.mark.server, pytest.mark.browser]

WORKFLOW = json.loads(DEFAULT_WORKFLOW.read_text(encoding="utf-8"))
#: Puts a Continuity and a Frame Check node between the frames and what saves them, where there is room. Returns their ids.
_INSERT = """() => {
    const find = type => app.graph.nodes.find(node => node.type === type);
    const frames = find('VideoGenStoryboardFrames'), save = find('VideoGenSaveSegment'), segment = find('VideoGenSegment');
    const slot = (target, name) => target.inputs.findIndex(input => input.name === name);
    let source = frames;
    return ['VideoGenContinuity', 'VideoGenFrameCheck'].map((type, index) => {
        const node = LiteGraph.createNode(type);
        node.pos = [500 + 450 * index, 1400];
        app.graph.add(node);
        source.connect(0, node, slot(node, 'images'));
        segment.connect(0, node, slot(node, 'segment'));
        source = node;
        if (index) source.connect(0, save, slot(save, 'images'));
        return node.id;
    });
}"""
_SHOW = """id => {
    const node = app.graph.getNodeById(id);
    app.canvas.ds.scale = 1;
    app.canvas.centerOnNode(node);
}"""
#: Whether one of these elements can be seen, inside a node.
_IS_ON = """([views, id]) => {
    const node = app.graph.getNodeById(id), {scale, offset} = app.canvas.ds;
    app.canvas.setDirty(true, true);
    const canvas = app.canvas.canvas.getBoundingClientRect(), [x, y, width, height] = node.getBounding();
    const left = (x + offset[0]) * scale + canvas.x, top = (y + offset[1]) * scale + canvas.y;
    return views.filter(view => {
        const box = view.getBoundingClientRect();
        return view.checkVisibility() && box.width > 100 && box.height > 50
            && box.left >= left - 1 && box.right <= left + width * scale + 1
            && box.top >= top - 1 && box.bottom <= top + height * scale + 1;
    }).length === 1;
}"""


@pytest.fixture
def measured(editor: Editor) -> Iterator[tuple[Editor, int, int]]:
    """An editor after a run, with the ids of Continuity and Frame Check."""
    editor.errors.clear()
    editor.load(WORKFLOW)
    story = small_story("Seen in the editor", characters={"man": {"segments": "1-2"}})
    editor.type_text("VideoGenStory", "text", json.dumps(story))
    continuity, frame_check = editor.page.evaluate(_INSERT)
    editor.wait_for_drawing()
    views = editor.page.locator(".videogen-result")
    assert views.count() == 3, "with the one of the Segment node"
    for number in (continuity, frame_check):
        assert_shown(editor, number, views.filter(has_text="No result yet: run the workflow."))
    before = editor.boxes()
    editor.run()
    views.filter(has_text="nothing wrong").wait_for(state="attached", timeout=60_000)
    editor.wait_for_drawing()
    after = editor.boxes()
    for number in (continuity, frame_check):
        assert after[str(number)] == pytest.approx(before[str(number)], abs=1), "a result makes its node grow"
    yield editor, continuity, frame_check
    assert editor.errors == []


def assert_shown(editor: Editor, number: int, view: Locator) -> None:
    """That one of these elements can be seen, on this node."""
    editor.page.evaluate(_SHOW, number)
    editor.wait_for_drawing()
    editor.page.wait_for_function(_IS_ON, arg=[view.element_handles(), number], timeout=30_000)


def test_score_and_curve_are_shown_after_a_run(measured: tuple[Editor, int, int], tmp_path: Path) -> None:
    editor, number, frame_check = measured
    view = editor.page.locator(".videogen-result").filter(has_text="temporal")
    assert_shown(editor, number, view)
    editor.screenshot(tmp_path / "continuity.png")
    found = editor.page.evaluate("id => app.graph.getNodeById(id).videogenContinuity", number)
    assert found["frames"] == 4
    assert found["score"] is None, "there is no picture of him"
    words = f"no score · temporal {found['temporal']:.2f}"
    assert view.inner_text().split() == [{"pass": "ok", "warn": "odd"}[found["level"]], *words.split()]
    assert [curve["name"] for curve in found["curves"]] == ["temporal"]
    # The curve fills the room below the words, over the threshold's dashed line.
    paths = view.locator("svg path")
    assert paths.count() == 2
    sheet, curve = view.locator("svg").bounding_box(), paths.last.bounding_box()
    assert sheet is not None
    assert curve is not None
    assert curve["width"] > 0.6 * sheet["width"]
    assert sheet["height"] > 30

    checked = editor.page.locator(".videogen-result").filter(has_text="nothing wrong")
    assert_shown(editor, frame_check, checked)
    editor.screenshot(tmp_path / "frame_check.png")
    assert checked.inner_text().splitlines() == ["ok", "4 frames, nothing wrong with them"]


def test_the_segment_shows_the_prompt_as_it_was_sent(measured: tuple[Editor, int, int], tmp_path: Path) -> None:
    editor, *_ = measured
    # Other words than before: a node whose result ComfyUI still has is not run, and tells nothing.
    words = f"A boat on the lake, seen at {time.time()}"
    editor.type_text("VideoGenSegment", "prompt_override", words)
    editor.run()
    view = editor.page.locator(".videogen-result").filter(has_text=words)
    view.wait_for(state="attached", timeout=60_000)
    number = editor.page.evaluate("() => app.graph.nodes.find(node => node.type === 'VideoGenSegment').id")
    assert_shown(editor, number, view)
    editor.screenshot(tmp_path / "segment.png")
    story = parse_story(small_story("Seen in the editor", characters={"man": {"segments": "1-2"}}))
    sent = plan_segment(story, 1, words)
    title, *lines = view.inner_text().splitlines()
    assert title.startswith("Segment 1 of 2")
    assert sent.prompt in lines
    assert lines[-1] == f"{sent.frames} frames, {sent.size[0]} × {sent.size[1]} pixels, seed {sent.seed}"


def test_it_is_neither_saved_nor_submitted(measured: tuple[Editor, int, int]) -> None:
    editor, *_ = measured
    (node,) = [node for node in editor.export()["nodes"] if node["type"] == "VideoGenContinuity"]
    assert node["widgets_values"] == [0.85, 0.7, 0.6, "render again", ""]
    (submitted,) = [node for node in editor.prompt().values() if node["class_type"] == "VideoGenContinuity"]
    assert "continuity" not in submitted["inputs"]


def test_the_panel_of_a_selected_node_does_not_take_it_away(measured: tuple[Editor, int, int]) -> None:
    """Newer editors show the widgets of a selected node in a panel; an element can be in one place only."""
    editor, number, _ = measured
    page = editor.page
    toggle = page.get_by_role("button", name="Toggle properties panel")
    if not toggle.count():
        pytest.skip("this editor has no such panel")
    page.evaluate("id => app.canvas.selectNode(app.graph.getNodeById(id))", number)
    toggle.click()
    panel = page.get_by_test_id("properties-panel")
    panel.get_by_text("temporal_threshold").first.wait_for()
    assert panel.locator(".videogen-result").count() == 0
    assert_shown(editor, number, page.locator(".videogen-result").filter(has_text="temporal"))
    panel.get_by_role("button", name="Toggle properties panel").click()
