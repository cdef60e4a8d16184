"""The Continuity node in the real editor: after a run its score and curve are on it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runner.comfyui.installation import DEFAULT_WORKFLOW
from tests.support.editor import Editor
from tests.support.stories import small_story

pytestmark = [pytest.mark.server, pytest.mark.browser]

WORKFLOW = json.loads(DEFAULT_WORKFLOW.read_text(encoding="utf-8"))
#: Puts a Continuity node between the frames and what saves them.
_INSERT = """() => {
    const find = type => app.graph.nodes.find(node => node.type === type);
    const node = LiteGraph.createNode('VideoGenContinuity');
    app.graph.add(node);
    node.pos = [200, 900];
    const frames = find('VideoGenStoryboardFrames'), save = find('VideoGenSaveSegment'), segment = find('VideoGenSegment');
    const slot = (target, name) => target.inputs.findIndex(input => input.name === name);
    frames.connect(0, node, slot(node, 'images'));
    segment.connect(0, node, slot(node, 'segment'));
    node.connect(0, save, slot(save, 'images'));
    return Array.from(node.size);
}"""
_STATE = """() => {
    const node = app.graph.nodes.find(node => node.type === 'VideoGenContinuity');
    const widget = node.widgets.find(widget => widget.name === 'continuity');
    return {found: node.videogenContinuity ?? null, drawn: widget.drawn ?? false, height: node.size[1]};
}"""


def test_score_and_curve_are_drawn_after_a_run(editor: Editor, tmp_path: Path) -> None:
    editor.errors.clear()
    editor.load(WORKFLOW)
    story = small_story("Seen in the editor", characters={"man": {"segments": "1-2"}})
    editor.type_text("VideoGenStory", "text", json.dumps(story))
    before = editor.page.evaluate(_INSERT)
    editor.wait_for_drawing()
    values = editor.export()
    editor.page.evaluate("() => app.queuePrompt(0)")
    editor.page.wait_for_function(f"() => ({_STATE})().found !== null", timeout=60_000)
    editor.page.evaluate(
        """() => {
            const node = app.graph.nodes.find(node => node.type === 'VideoGenContinuity');
            app.canvas.ds.scale = 1;
            app.canvas.centerOnNode(node);
        }"""
    )
    image = np.asarray(Image.open(io.BytesIO(editor.screenshot(tmp_path / "node.png"))).convert("RGB")).astype(int)
    state = editor.page.evaluate(_STATE)
    assert state["drawn"]
    assert state["found"]["frames"] == 4
    assert state["found"]["score"] is None, "there is no picture of him"
    assert 0 <= state["found"]["temporal"] <= 1
    assert [curve["name"] for curve in state["found"]["curves"]] == ["temporal"]
    assert state["height"] > before[1]
    assert image.std() > 5
    # What is shown is part of neither the saved workflow nor of what is submitted.
    (node,) = [node for node in values["nodes"] if node["type"] == "VideoGenContinuity"]
    assert node["widgets_values"] == [0.85, 0.7, 0.6, "render again", ""]
    (submitted,) = [node for node in editor.prompt().values() if node["class_type"] == "VideoGenContinuity"]
    assert "continuity" not in submitted["inputs"]
    assert editor.errors == []
