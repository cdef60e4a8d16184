"""Builds the workflows that ship, in the real editor.

    python -m tests.browser.build_workflows [NAME…] [--screenshots FOLDER] [--folder FOLDER]

Run it after stories/apple_tree.json or the inputs of a node have changed. It starts ComfyUI and Chromium, builds the graphs
with the editor's own functions, and writes what the editor's File → Export would: no file is ever edited by hand. The pack
gets the same files as templates, with an image each.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from custom_nodes.videogen.core.segment.plan import plan_segment
from custom_nodes.videogen.core.story.model import Story
from custom_nodes.videogen.media.story_file import load_story_data
from custom_nodes.videogen.media.storyboard import draw_frames
from runner.comfyui.installation import DEFAULT_STORY, PROJECT
from tests.browser.graph_builder import build_for_all
from tests.browser.graph_plan import GraphPlan, Placement
from tests.browser.plan_frames import IMAGE_MODELS, plan_image_frames
from tests.browser.plan_preview import PLACEMENT, plan_preview
from tests.browser.plan_references import plan_references
from tests.browser.plan_video import VIDEO_MODELS, plan_video
from tests.support.editor import VIEWPORT, Editor, dump_workflow, find_newer_editor, running_browser
from tests.support.servers.comfy import running_server

WORKFLOWS = PROJECT / "workflows"
TEMPLATES = PROJECT / "custom_nodes" / "videogen" / "example_workflows"
#: Of which segment a template shows a frame.
THUMBNAIL_SEGMENTS = {
    "preview": 24,
    "character_references": 4,
    "sd15_frames": 5,
    "sd21_frames": 6,
    "sdxl_frames": 22,
    "sdxl_turbo_frames": 26,
    "cogvideox_image": 8,
    "skyreels_text": 12,
    "skyreels_image": 15,
    "skyreels_extend": 18,
    "framepack_image": 29,
}
THUMBNAIL_SIZE = (720, 405)


def all_plans(story: dict[str, Any]) -> dict[str, tuple[GraphPlan, Placement | None]]:
    """Every workflow that ships, by its name."""
    plans = [plan_references(story), *(plan_image_frames(story, model) for model in IMAGE_MODELS)]
    plans += [plan_video(story, model) for model in VIDEO_MODELS]
    return {"preview": (plan_preview(story), PLACEMENT), **{plan.name: (plan, None) for plan in plans}}


def draw_thumbnail(story: Story, name: str) -> None:
    """The template's image: a frame of the storyboard."""
    frame = next(draw_frames(plan_segment(story, THUMBNAIL_SEGMENTS[name])))
    image = Image.fromarray(frame).resize(THUMBNAIL_SIZE, Image.Resampling.LANCZOS)
    image.save(TEMPLATES / f"{name}.jpg", quality=85)


def main() -> None:
    """Write the workflows, the pack's copies, and their images."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these (default: all)")
    parser.add_argument("--screenshots", type=Path, metavar="FOLDER", help="what the editor shows with each one open")
    parser.add_argument("--folder", type=Path, help="write there instead, and no templates")
    arguments = parser.parse_args()
    loaded = load_story_data(DEFAULT_STORY)
    story, data = loaded.story, loaded.data
    plans = all_plans(data)
    for folder in (arguments.screenshots, arguments.folder, TEMPLATES):
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="videogen-") as own,
        tempfile.TemporaryDirectory(prefix="videogen-") as newer,
        running_server(Path(own)) as server,
        running_server(Path(newer), frontend=find_newer_editor()) as newer_server,
        running_browser() as browser,
    ):
        editor, *others = (
            Editor(browser.new_page(viewport={"width": VIEWPORT[0], "height": VIEWPORT[1]}), url, nodes2=nodes2).open()
            for url in (server.url, newer_server.url)
            for nodes2 in (False, True)
        )
        for name in arguments.names or plans:
            # Loaded once more, so that it is saved the way it will be saved again.
            editor.load(build_for_all(editor, others, *plans[name]))
            text = dump_workflow(editor.export())
            editor.close_dialogs()
            if arguments.screenshots:
                editor.screenshot(arguments.screenshots / f"{name}.png")
            for target in [arguments.folder] if arguments.folder else [WORKFLOWS, TEMPLATES]:
                (target / f"{name}.json").write_text(text, encoding="utf-8", newline="\n")
            if not arguments.folder:
                draw_thumbnail(story, name)


if __name__ == "__main__":
    main()
