"""VideoGenStory and VideoGenSegment: load a story, and select one segment of it."""

from __future__ import annotations

from pathlib import Path

import folder_paths
from comfy_api.latest import io

from ...comfyui.sockets import SegmentSocket, StorySocket, need_story
from ...comfyui.widgets import validate
from ...core.digest import digest
from ...core.errors import VideoGenError
from ...core.segment.plan import SegmentPlan, plan_segment
from ...core.story.file_names import SEGMENTS_SUFFIXES, explain_name
from ...core.story.model import Story
from ...core.story.parser import parse_story_text
from ...core.story.schema import MAX_SEGMENTS
from ...media.path_inside import name_inside, path_inside, walk_files
from ...media.story_file import load_story

#: The choice of `file` that reads the story from the text widget.
TEXT_BELOW = "text below"


class VideoGenStory(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenStory",
            display_name="Story",
            category="videogen/story",
            description="Loads a film's story: a file from the input folder, or the text below (JSON or YAML).",
            inputs=[
                io.Combo.Input(
                    "file",
                    options=[TEXT_BELOW, *list_story_files()],
                    default=TEXT_BELOW,
                    tooltip="A story file in ComfyUI's input folder; or the text below, which is saved with the workflow.",
                ),
                io.String.Input(
                    "text",
                    multiline=True,
                    default="",
                    tooltip="The story as JSON or YAML. docs/story-format.md describes every field.",
                ),
            ],
            outputs=[StorySocket.Output("story", display_name="story")],
        )

    @classmethod
    def validate_inputs(cls, file: str | None, text: str | None) -> bool | str:
        if file is None or (file == TEXT_BELOW and text is None):
            return True  # another node's output sets it: it is checked when the node runs
        return validate(read_story, file, text or "")

    @classmethod
    def fingerprint_inputs(cls, file: str | None, text: str | None) -> str | float:
        if file is None:
            return float("nan")  # never equal to itself: the file is not known yet
        if file == TEXT_BELOW:
            return ""  # the text is an input, and ComfyUI compares it itself
        # The file can change, and so can a file that it refers to: hash the content of both.
        return digest(repr(read_story(file, "")))

    @classmethod
    def execute(cls, file: str, text: str) -> io.NodeOutput:
        return io.NodeOutput(read_story(file, text))


class VideoGenSegment(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenSegment",
            display_name="Segment",
            category="videogen/story",
            description="Selects one segment of a story, with its composed prompt, seed, length and size.",
            inputs=[
                StorySocket.Input("story"),
                io.Int.Input(
                    "index",
                    default=1,
                    min=1,
                    max=MAX_SEGMENTS,
                    control_after_generate=True,
                    tooltip="Segment number (1-based). The headless runner sets it for each segment in turn.",
                ),
                io.String.Input(
                    "prompt_override",
                    multiline=True,
                    default="",
                    optional=True,
                    tooltip="Replaces this segment's own prompt; style, characters and location are still added to it."
                    " In a headless run it applies only to the segment that is set in `index`.",
                ),
                io.Boolean.Input(
                    "with_master_prompt",
                    default=False,
                    optional=True,
                    tooltip="Put the story's master prompt before the prompt, for models that accept long texts.",
                ),
            ],
            outputs=[
                SegmentSocket.Output("segment", display_name="segment"),
                io.String.Output("prompt", display_name="prompt"),
                io.String.Output("negative", display_name="negative"),
                io.Int.Output("seed", display_name="seed"),
                io.Int.Output("frames", display_name="frames"),
                io.Float.Output("fps", display_name="fps"),
                io.Int.Output("width", display_name="width"),
                io.Int.Output("height", display_name="height"),
            ],
        )

    @classmethod
    def execute(
        cls, story: Story, index: int, prompt_override: str = "", with_master_prompt: bool = False
    ) -> io.NodeOutput:
        plan = plan_segment(need_story(story), index, prompt_override)
        prompt = f"{plan.context}\n\n{plan.prompt}" if with_master_prompt and plan.context else plan.prompt
        width, height = plan.size
        lines = [prompt, *([f"Negative: {plan.negative}"] if plan.negative else [])]
        lines.append(f"{plan.frames} frames, {width} × {height} pixels, seed {plan.seed}")
        return io.NodeOutput(
            plan,
            prompt,
            plan.negative,
            plan.seed,
            plan.frames,
            float(plan.fps),
            width,
            height,
            ui={"videogen": [{"title": _name(plan), "report": lines}]},
        )


def _name(plan: SegmentPlan) -> str:
    """``Segment 7 of 33: The sapling``; the node shows as much of it as it has room for."""
    title = f"Segment {plan.number} of {plan.count}"
    return f"{title}: {plan.description}" if plan.description else title


def list_story_files() -> list[str]:
    """JSON and YAML files in ComfyUI's input folder and below, as relative names."""
    folder = Path(folder_paths.get_input_directory())
    names = (name_inside(folder, path) for path in walk_files(folder))
    return sorted(name for name in names if not explain_name(name, SEGMENTS_SUFFIXES))


def read_story(file: str, text: str) -> Story:
    """Read the story from the two widgets of VideoGenStory.

    Raises:
        VideoGenError: `path-invalid`, `story-unreadable` or `story-invalid`.
    """
    if file == TEXT_BELOW:
        if not text.strip():
            raise VideoGenError(
                "story-unreadable", "the story is empty", "Paste a story into `text`, or choose one in `file`."
            )
        return parse_story_text(text, "story")
    path = path_inside(Path(folder_paths.get_input_directory()), file, "`file`")
    problem = explain_name(file, SEGMENTS_SUFFIXES)
    if problem:
        raise VideoGenError("path-invalid", f"`file` is {file!r}, which {problem}")
    return load_story(path)


NODES = [VideoGenStory, VideoGenSegment]
