"""Makes workflows/preview.json anew, in the real editor.

    python -m tests.browser.build_workflows [--screenshot FILE]

Run it after stories/apple_tree.json or the inputs of a node have changed. It starts ComfyUI and Chromium, builds the graph
with the editor's own functions, and writes what the editor's File → Export would: the file is never edited by hand. The
pack gets the same file as a template, with a frame of the storyboard as its picture.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from custom_nodes.videogen.core.plan import plan_segment
from custom_nodes.videogen.media.story_file import load_story_data
from custom_nodes.videogen.media.storyboard import draw_frames
from runner.installation import DEFAULT_STORY, DEFAULT_WORKFLOW, PROJECT
from tests.support.comfy import running_server
from tests.support.editor import VIEWPORT, Editor, dump_workflow, running_browser

TEMPLATES = PROJECT / "custom_nodes" / "videogen" / "example_workflows"
#: A fixed one, so that the same graph is the same file.
WORKFLOW_ID = "3e0b6f5c-6d2a-4b0e-9a53-76d1c4a7e001"
MUTED = 2
THUMBNAIL_SEGMENT = 24

NOTE = """\
## A film as a storyboard, without any model

*Run* draws one segment and saves it as an mp4, in seconds and on any machine.

- **Another segment:** change `index`; this story has {count}. **Other words:** type into `prompt_override`.
- **Another story:** edit the text in *Story*, or choose a file from the input folder.
- **All segments and the film:** `videogen run` renders this very workflow headless, and carries on after an interruption.
- **The film, here:** set *Compile Film* to *Always* (right click → Mode); it joins the segments that are saved.
"""


@dataclass(frozen=True)
class Node:
    """A node to be made: its class, place and size (body without title), widgets by name, and mode."""

    kind: str
    x: int
    y: int
    width: int
    height: int
    widgets: dict[str, Any] = field(default_factory=dict)
    title: str = ""
    mode: int = 0


@dataclass(frozen=True)
class Group:
    title: str
    x: int
    y: int
    width: int
    height: int
    color: str


#: From left to right as the frames travel. The story goes straight to the film, and Frames stands between that link and the
#: one from Segment to Save: so no link crosses another, or runs behind a node.
GROUPS = (
    Group("Story", 0, 190, 430, 770, "#8fb8de"),
    Group("Segment", 490, 400, 360, 560, "#9ccf9c"),
    Group("Frames", 900, 300, 230, 140, "#d3a6e0"),
    Group("Save", 1180, 400, 420, 560, "#e0c070"),
    Group("Film", 1660, 190, 360, 420, "#e8a583"),
)
#: (from node, output, to node, input), nodes by their class.
LINKS = (
    ("VideoGenStory", "story", "VideoGenSegment", "story"),
    ("VideoGenStory", "story", "VideoGenCompileFilm", "story"),
    ("VideoGenSegment", "segment", "VideoGenStoryboardFrames", "segment"),
    ("VideoGenSegment", "segment", "VideoGenSaveSegment", "segment"),
    ("VideoGenStoryboardFrames", "images", "VideoGenSaveSegment", "images"),
    ("VideoGenSaveSegment", "folder", "VideoGenCompileFilm", "folder"),
)


def make_nodes(story: dict[str, Any]) -> tuple[Node, ...]:
    """The nodes of the preview workflow, in the order of their ids."""
    text = json.dumps(story, ensure_ascii=False, indent=2)
    return (
        Node("VideoGenStory", 15, 260, 400, 685, {"file": "text below", "text": text}),
        Node(
            "VideoGenSegment", 505, 470, 330, 475,
            {"index": 1, "control_after_generate": "fixed", "prompt_override": "", "with_master_prompt": False},
        ),
        Node("VideoGenStoryboardFrames", 915, 370, 200, 55),
        Node("VideoGenSaveSegment", 1195, 470, 390, 475, {"quality": "story", "codec": "h264", "take": ""}),
        Node(
            "VideoGenCompileFilm", 1675, 260, 330, 335, {"folder": "", "quality": "story", "missing": "slate"}, mode=MUTED
        ),
        Node("MarkdownNote", 0, 30, 1130, 140, {"": NOTE.format(count=len(story["segments"]))}, title="Read me"),
    )  # fmt: skip


_BUILD = """([nodes, groups, links, id]) => {
    app.graph.clear();
    app.graph.id = id;
    const made = {};
    for (const wanted of nodes) {
        const node = LiteGraph.createNode(wanted.kind);
        app.graph.add(node);
        made[wanted.kind] = node;
        if (wanted.title) node.title = wanted.title;
        for (const [name, value] of Object.entries(wanted.widgets)) {
            const widget = name ? node.widgets.find(widget => widget.name === name) : node.widgets[0];
            if (!widget) throw new Error(`${wanted.kind} has no widget ${name}`);
            widget.value = value;
        }
        node.pos = [wanted.x, wanted.y];
        node.setSize([wanted.width, wanted.height]);
        node.mode = wanted.mode;
    }
    for (const [source, output, target, input] of links) {
        const link = made[source].connect(made[source].findOutputSlot(output), made[target], made[target].findInputSlot(input));
        if (!link) throw new Error(`${source}.${output} does not go into ${target}.${input}`);
    }
    for (const wanted of groups) {
        const group = new LiteGraph.LGraphGroup(wanted.title);
        group.pos = [wanted.x, wanted.y];
        group.size = [wanted.width, wanted.height];
        group.color = wanted.color;
        app.graph.add(group);
    }
    return Object.fromEntries(Object.values(made).map(node => [node.type, Array.from(node.size)]));
}"""

#: The canvas lies under the bars on the left and at the top of the page; this much of it is to be left free.
_MARGINS = {"left": 80, "top": 100, "right": 20, "bottom": 90}


def build_preview(editor: Editor, story: dict[str, Any]) -> dict[str, Any]:
    """Build the preview workflow in the editor and export it."""
    nodes = make_nodes(story)
    sizes = editor.page.evaluate(
        _BUILD, [[vars(node) for node in nodes], [vars(group) for group in GROUPS], LINKS, WORKFLOW_ID]
    )
    for node in nodes:
        if sizes[node.kind] != [node.width, node.height]:
            raise ValueError(
                f"{node.kind} is {sizes[node.kind]}, wanted {[node.width, node.height]}: widgets would be cut"
            )
    editor.settle()
    left, top, right, bottom = _bounds(editor)
    width = VIEWPORT[0] - _MARGINS["left"] - _MARGINS["right"]
    height = VIEWPORT[1] - _MARGINS["top"] - _MARGINS["bottom"]
    scale = round(min(1.0, width / (right - left), height / (bottom - top)), 2)
    # The view's offset counts in the graph's units.
    x = round((_MARGINS["left"] + (width - (right - left) * scale) / 2) / scale - left)
    y = round((_MARGINS["top"] + (height - (bottom - top) * scale) / 2) / scale - top)
    editor.page.evaluate(
        "([scale, x, y]) => { app.canvas.ds.scale = scale; app.canvas.ds.offset = [x, y]; }", [scale, x, y]
    )
    editor.settle()
    return editor.export()


def _bounds(editor: Editor) -> tuple[float, float, float, float]:
    boxes = [*editor.boxes().values(), *([group.x, group.y, group.width, group.height] for group in GROUPS)]
    return (
        min(box[0] for box in boxes), min(box[1] for box in boxes),
        max(box[0] + box[2] for box in boxes), max(box[1] + box[3] for box in boxes),
    )  # fmt: skip


def main() -> None:
    """Write the workflow, the pack's copy, and its thumbnail."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--screenshot", type=Path, help="what the editor shows with the workflow open")
    arguments = parser.parse_args()
    story, data = load_story_data(DEFAULT_STORY)
    with (
        tempfile.TemporaryDirectory(prefix="videogen-") as folder,
        running_server(Path(folder)) as server,
        running_browser() as browser,
    ):
        page = browser.new_page(viewport={"width": VIEWPORT[0], "height": VIEWPORT[1]})
        editor = Editor(page, server.url).open()
        # Loaded once more, so that it is saved the way it will be saved again.
        editor.load(build_preview(editor, data))
        text = dump_workflow(editor.export())
        editor.screenshot(arguments.screenshot)
    TEMPLATES.mkdir(exist_ok=True)
    for path in (DEFAULT_WORKFLOW, TEMPLATES / DEFAULT_WORKFLOW.name):
        path.write_text(text, encoding="utf-8", newline="\n")
    frame = next(draw_frames(plan_segment(story, THUMBNAIL_SEGMENT)))
    Image.fromarray(frame).resize((720, 405), Image.Resampling.LANCZOS).save(TEMPLATES / "preview.jpg", quality=85)


if __name__ == "__main__":
    main()
