"""VideoGenFitModel: a segment as the model of any workflow takes it."""

from __future__ import annotations

from comfy_api.latest import io

from ...comfyui.sockets import AnySocket, SegmentSocket, StorySocket, need_segment, need_story
from ...comfyui.widgets import validate
from ...core.errors import VideoGenError
from ...core.graph import FIT_NODE
from ...core.model_profiles.model import Profile
from ...core.model_profiles.parser import parse_profiles
from ...core.model_profiles.schema import MAX_SIDE
from ...core.model_values.fit import FITTED, UNKNOWN, Takes, fit_segment
from ...core.roles.table import Role
from ...core.segment.plan import SegmentPlan
from ...core.story.model import Story
from ...media.profiles.library import shipped_profiles

#: More pictures of a cast no model takes.
_MOST_REFERENCES = 50


class VideoGenFitModel(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id=FIT_NODE,
            display_name="Fit to Model",
            category="videogen/story",
            description="A segment as a model takes it: the prompt in the form that it was trained on, and its own numbers of"
            " frames and sizes. `videogen adopt` puts this node into a workflow.",
            inputs=[
                StorySocket.Input("story"),
                SegmentSocket.Input("segment"),
                io.Combo.Input(
                    "model",
                    options=[UNKNOWN, *(profile.name for profile in shipped_profiles())],
                    default=UNKNOWN,
                    tooltip="What is known of the workflow's model; `unknown` for what its inputs say, see `takes`.",
                ),
                io.Int.Input(
                    "own_width",
                    default=0,
                    min=0,
                    max=MAX_SIDE,
                    tooltip="The workflow's own size, with `own_height`: as many pixels are rendered, in the film's shape."
                    " 0: the model's native size.",
                ),
                io.Int.Input("own_height", default=0, min=0, max=MAX_SIDE, tooltip="See `own_width`."),
                io.String.Input(
                    "own_negative",
                    multiline=True,
                    default="",
                    optional=True,
                    tooltip="The negative prompt where the story has none.",
                ),
                io.Int.Input(
                    "references",
                    default=0,
                    min=0,
                    max=_MOST_REFERENCES,
                    optional=True,
                    tooltip="How many pictures of the cast the model gets: its prompt names them by their numbers.",
                ),
                io.Boolean.Input(
                    "first_frame",
                    default=False,
                    optional=True,
                    tooltip="Segments that continue the one before begin from its last frame: the prompt then tells what moves.",
                ),
                io.String.Input(
                    "takes",
                    multiline=True,
                    default="",
                    optional=True,
                    tooltip="What the workflow's inputs take, as JSON: written by `videogen adopt`.",
                ),
                io.String.Input(
                    "profile",
                    multiline=True,
                    default="",
                    optional=True,
                    tooltip="A profile of your own as YAML, in place of `model`. docs/any-workflow.md describes it.",
                ),
            ],
            outputs=[
                io.String.Output("prompt", display_name="prompt"),
                io.String.Output("negative", display_name="negative"),
                *(AnySocket.Output(role.value, display_name=role.value) for role in FITTED),
            ],
        )

    @classmethod
    def validate_inputs(cls, takes: str | None = "", profile: str | None = "") -> bool | str:
        return validate(lambda: (Takes.of_text(takes or ""), choose_profile(UNKNOWN, profile or "")))

    @classmethod
    def execute(
        cls,
        story: Story,
        segment: SegmentPlan,
        model: str,
        own_width: int,
        own_height: int,
        own_negative: str = "",
        references: int = 0,
        first_frame: bool = False,
        takes: str = "",
        profile: str = "",
    ) -> io.NodeOutput:
        fitted = fit_segment(
            need_story(story),
            need_segment(segment),
            choose_profile(model, profile),
            Takes.of_text(takes),
            (own_width, own_height),
            references,
            first_frame,
        )
        text = fitted.prompts.text or segment.prompt
        chosen = fitted.prompts.negative or own_negative
        values = [fitted.values[role] for role in FITTED]
        numbers = "{} frames, {} × {} pixels".format(*(fitted.values[role] for role in _SHOWN))
        lines = [text, *([f"Negative: {chosen}"] if chosen else []), numbers, *fitted.prompts.notes, *fitted.notes]
        return io.NodeOutput(
            text, chosen, *values, ui={"videogen": [{"title": f"Segment {segment.number}", "report": lines}]}
        )


_SHOWN = (Role.FRAMES, Role.WIDTH, Role.HEIGHT)


def choose_profile(model: str, own: str) -> Profile | None:
    """The profile of the two widgets; None for an unknown model.

    Raises:
        VideoGenError: `profile-invalid`, `profile-unreadable`, `widget-invalid`.
    """
    if own.strip():
        return parse_profiles(own, "`profile`")[0]
    if model == UNKNOWN:
        return None
    for profile in shipped_profiles():
        if profile.name == model:
            return profile
    raise VideoGenError(
        "widget-invalid", f"`model` is {model!r}, which no profile has", "Choose another, or paste its profile."
    )


NODES = [VideoGenFitModel]
