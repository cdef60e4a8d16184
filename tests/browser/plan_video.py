"""workflows/cogvideox_image.json and its kind: a segment as a clip of a video model, through diffusers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.browser.graph_plan import MUTED, Bus, GraphPlan, Group, Node

BLUE, GREEN, RED, VIOLET, YELLOW, TEAL = "#8fb8de", "#9ccf9c", "#e8a583", "#d3a6e0", "#e0c070", "#7fc4c0"
#: The title by which the runner knows the picture that a segment begins from.
FIRST_FRAME = "First frame"
FIRST_FRAME_FILE = "first_frame.png"


@dataclass(frozen=True)
class VideoModel:
    """How one model is used.

    Attributes:
        last_digits: of the workflow's fixed id.
        hub_id, transformer, image_encoder: of *Diffusers Loader*.
        kind: of the node that renders.
        widgets: of that node.
        from_image: whether it begins with a picture.
        extended_by: widgets of a second node, which continues the clip of the first; None without one.
        remark: what is special about it, for the note.
    """

    name: str
    title: str
    last_digits: str
    hub_id: str
    kind: str
    remark: str
    widgets: Mapping[str, Any] = field(default_factory=dict)
    from_image: bool = False
    transformer: str = ""
    image_encoder: str = ""
    extended_by: Mapping[str, Any] | None = None


_SKYREELS = "Skywork/SkyReels-V2-DF-1.3B-540P-Diffusers"
VIDEO_MODELS = (
    VideoModel(
        "cogvideox_image",
        "CogVideoX",
        "11",
        "zai-org/CogVideoX-5b-I2V",
        "VideoGenCogVideoXI2V",
        "**CogVideoX** makes 49 frames of 720 × 480, which are shown more slowly in a segment of more than six seconds.",
        from_image=True,
    ),
    VideoModel(
        "skyreels_text",
        "SkyReels V2",
        "12",
        _SKYREELS,
        "VideoGenSkyReels",
        "**SkyReels** makes up to 128 frames: a segment of 8 seconds has 16 of them a second.",
    ),
    VideoModel(
        "skyreels_image",
        "SkyReels V2",
        "13",
        _SKYREELS,
        "VideoGenSkyReels",
        "**SkyReels** makes up to 128 frames: a segment of 8 seconds has 16 of them a second.",
        {"guidance": 5.0},
        from_image=True,
    ),
    VideoModel(
        "skyreels_extend",
        "SkyReels V2",
        "14",
        _SKYREELS,
        "VideoGenSkyReels",
        "**Two clips in a row:** the second one continues the first from its last 17 frames. 97 and 96 frames are 8 seconds at 24"
        " fps. Set **frames** of both for segments of another length.",
        {"frames": 97},
        extended_by={"frames": 96},
    ),
    VideoModel(
        "framepack_image",
        "FramePack",
        "15",
        "hunyuanvideo-community/HunyuanVideo",
        "VideoGenFramePack",
        "**FramePack** makes 30 frames a second, as many as the segment has, section after section.",
        from_image=True,
        transformer="lllyasviel/FramePackI2V_HY",
        image_encoder="lllyasviel/flux_redux_bfl",
    ),
)

NOTE = """\
## A story's segments with {title}

*Run* renders one segment as an mp4 in the film's size. All segments and the film: **videogen run --workflow {name}**, which
resumes after an interruption.

- **Packages:** **python3 install.py --with diffusers**. **Model:** {files}; switch **download** on in *Diffusers Loader*, or
  get it as the error says.
- **Another segment:** change **index**. **Another story:** edit the text in *Story*, or choose a file from the input folder.
{first}
- {remark}
- **Memory:** **offload** of *Diffusers Loader* at *group* takes least, at *none* most.
- **Heat:** *Guard Pipeline* pauses between steps while the card is too hot.
"""
FROM_IMAGE = """\
- **First frame:** choose a picture. Headless, a segment that **continues** the one before begins from its last frame, one with
  **keyframes** from its own picture, and the others from the picture here."""
FROM_TEXT = "- **Prompts:** those of the segment; what is written into the node replaces them."


def plan_video(story: dict[str, Any], model: VideoModel) -> GraphPlan:
    """The workflow that renders a story with one model."""
    film = {"folder": "", "quality": "story", "missing": "slate"}
    last = "clip" if model.extended_by is None else "join"
    clips = ("clip.segment",) if model.extended_by is None else ("clip.segment", "more.segment")
    return GraphPlan(
        name=model.name,
        id=f"3e0b6f5c-6d2a-4b0e-9a53-76d1c4a7e0{model.last_digits}",
        groups=(
            _story_group(story),
            _segment_group(),
            _model_group(model),
            *_clip_groups(model),
            Group("Colors", TEAL, (Node("match", "VideoGenColorMatch"),), width=290),
            Group("Measure", YELLOW, (Node("continuity", "VideoGenContinuity"),), width=290, below=True),
            Group(
                "Save",
                YELLOW,
                (Node("save", "VideoGenSaveSegment", {"quality": "story", "codec": "h264", "take": ""}, height=420),),
                width=320,
            ),
            Group("Film", RED, (Node("film", "VideoGenCompileFilm", film, mode=MUTED),), width=320, below=True),
        ),
        notes=(_note(model),),
        links=(
            "story.story > segment.story",
            "loader.pipeline > guard.pipeline",
            *([] if model.from_image else ["guard.pipeline > clip.pipeline"]),
            *(["first.IMAGE > clip.image"] if model.from_image else []),
            *(_extension_links() if model.extended_by is not None else ()),
            f"{last}.{'images' if last == 'clip' else 'IMAGE'} > match.images",
            "match.images > continuity.images",
            "continuity.images > save.images",
            "save.folder > film.folder",
        ),
        buses=(
            Bus("segment.segment", (*clips, "match.segment", "continuity.segment", "save.segment")),
            Bus("story.story", ("film.story",), lane=1),
            *_way_around(model),
        ),
    )


def _story_group(story: dict[str, Any]) -> Group:
    text = json.dumps(story, ensure_ascii=False, indent=2)
    return Group(
        "Story", BLUE, (Node("story", "VideoGenStory", {"file": "text below", "text": text}, height=760),), width=310
    )


def _segment_group() -> Group:
    widgets = {"index": 1, "control_after_generate": "fixed", "prompt_override": "", "with_master_prompt": False}
    return Group("Segment", GREEN, (Node("segment", "VideoGenSegment", widgets, height=330),), width=310)


def _model_group(model: VideoModel) -> Group:
    names = {"hub_id": model.hub_id, "transformer": model.transformer, "image_encoder": model.image_encoder}
    nodes = (
        Node("loader", "VideoGenDiffusersLoader", {"model": "hub id below", **names}),
        Node("guard", "VideoGenGuardPipeline"),
    )
    return Group("Model", RED, nodes, width=330)


def _clip_groups(model: VideoModel) -> tuple[Group, ...]:
    clip = Node("clip", model.kind, {"control_after_generate": "fixed", **model.widgets})
    if model.extended_by is None:
        first = Node("first", "LoadImage", {"image": FIRST_FRAME_FILE}, title=FIRST_FRAME, height=330)
        begin = Group("Begin", GREEN, (first,), width=310)
        return (*([begin] if model.from_image else []), Group("Clip", VIOLET, (clip,), width=330))
    more = Node("more", model.kind, {"control_after_generate": "fixed", **model.widgets, **model.extended_by})
    return (
        Group("Clip", VIOLET, (clip,), width=300),
        Group("Continued", VIOLET, (more,), width=300),
        Group("Both", GREEN, (Node("join", "ImageBatch"),), width=210),
    )


def _extension_links() -> tuple[str, ...]:
    return ("clip.images > more.video", "more.images > join.image2")


def _way_around(model: VideoModel) -> list[Bus]:
    """Links that would run behind a node."""
    if model.extended_by is not None:
        return [Bus("guard.pipeline", ("more.pipeline",), above=False), Bus("clip.images", ("join.image1",), lane=2)]
    return [Bus("guard.pipeline", ("clip.pipeline",), above=False)] if model.from_image else []


def _note(model: VideoModel) -> Node:
    files = ", ".join(f"**{name}**" for name in (model.hub_id, model.transformer, model.image_encoder) if name)
    text = NOTE.format(
        title=model.title,
        name=model.name,
        files=files,
        first=FROM_IMAGE if model.from_image else FROM_TEXT,
        remark=model.remark,
    )
    return Node("note", "MarkdownNote", {"": text}, title="Read me", width=1500, height=150)
