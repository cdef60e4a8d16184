"""workflows/preview.json: a film as a storyboard, without any model."""

from __future__ import annotations

import json
from typing import Any

from tests.browser.graph_plan import MUTED, GraphPlan, Group, Node, Placement

NOTE = """\
## A film as a storyboard, without any model

*Run* draws one segment and saves it as an mp4, in seconds and on any machine.

- **Another segment:** change **index**; this story has {count}. **Other words:** type into **prompt_override**.
- **Another story:** edit the text in *Story*, or choose a file from the input folder.
- **All segments and the film:** the command **videogen run** renders this workflow headless, and resumes after an interruption.
- **The film, here:** set *Compile Film* to *Always* (right click → Mode); it joins the segments that are saved.
"""

#: From left to right as the frames travel. The story goes straight to the film, and Frames is between that link and the
#: one from Segment to Save: so no link crosses another, or runs behind a node.
PLACEMENT = Placement(
    nodes={
        "story": (15, 330, 400, 685),
        "segment": (505, 540, 330, 475),
        "frames": (915, 440, 230, 60),
        "save": (1225, 540, 390, 475),
        "film": (1705, 330, 330, 335),
        "note": (0, 30, 1145, 200),
    },
    groups=[
        (0, 260, 430, 770),
        (490, 470, 360, 560),
        (900, 370, 260, 145),
        (1210, 470, 420, 560),
        (1690, 260, 360, 420),
    ],
)


def plan_preview(story: dict[str, Any]) -> GraphPlan:
    """The preview workflow with a story in it."""
    text = json.dumps(story, ensure_ascii=False, indent=2)
    segment = {"index": 1, "control_after_generate": "fixed", "prompt_override": "", "with_master_prompt": False}
    film = {"folder": "", "quality": "story", "missing": "slate"}
    note = NOTE.format(count=len(story["segments"]))
    return GraphPlan(
        name="preview",
        id="3e0b6f5c-6d2a-4b0e-9a53-76d1c4a7e001",
        groups=(
            Group("Story", "#8fb8de", (Node("story", "VideoGenStory", {"file": "text below", "text": text}),)),
            Group("Segment", "#9ccf9c", (Node("segment", "VideoGenSegment", segment),)),
            Group("Frames", "#d3a6e0", (Node("frames", "VideoGenStoryboardFrames"),)),
            Group(
                "Save",
                "#e0c070",
                (Node("save", "VideoGenSaveSegment", {"quality": "story", "codec": "h264", "take": ""}),),
            ),
            Group("Film", "#e8a583", (Node("film", "VideoGenCompileFilm", film, mode=MUTED),)),
        ),
        notes=(Node("note", "MarkdownNote", {"": note}, title="Read me"),),
        links=(
            "story.story > segment.story",
            "story.story > film.story",
            "segment.segment > frames.segment",
            "segment.segment > save.segment",
            "frames.images > save.images",
            "save.folder > film.folder",
        ),
    )
