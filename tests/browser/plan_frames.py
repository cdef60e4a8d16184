"""workflows/sd15_frames.json and its kind: a segment's frames out of an image model, made to belong together."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.browser.graph_plan import MUTED, Bus, GraphPlan, Group, Node

VIT_H = "CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors"
#: Not chosen, as Upscale does without: declared, so that the editor offers it to whoever chooses it.
UPSCALER = "RealESRGAN_x4plus.safetensors"
BLUE, GREEN, RED, VIOLET, GRAY, YELLOW, TEAL = (
    "#8fb8de",
    "#9ccf9c",
    "#e8a583",
    "#d3a6e0",
    "#b0b0b0",
    "#e0c070",
    "#7fc4c0",
)


@dataclass(frozen=True)
class ImageModel:
    """How one model is used.

    Attributes:
        last_digit: of the workflow's fixed id.
        adapter: its IP-Adapter, or "" when there is none for it.
        megapixels: 0 for the model's own size.
        remark: what is special about it, for the note.
    """

    name: str
    title: str
    last_digit: int
    checkpoint: str
    adapter: str
    megapixels: float
    steps: int
    cfg: float
    sampler: str
    scheduler: str
    remark: str


#: Samplers that add no noise of their own on the way: it would be another one in each frame.
IMAGE_MODELS = (
    ImageModel(
        "sd15_frames",
        "SD 1.5",
        3,
        "v1-5-pruned-emaonly-fp16.safetensors",
        "ip-adapter-plus_sd15.safetensors",
        0.0,
        25,
        7.0,
        "dpmpp_2m",
        "karras",
        "**SD 1.5** is the smallest: 6 GB of graphics memory are enough. Any checkpoint made from it does.",
    ),
    ImageModel(
        "sd21_frames",
        "SD 2.1",
        4,
        "v2-1_768-ema-pruned.safetensors",
        "",
        0.0,
        25,
        7.0,
        "dpmpp_2m",
        "karras",
        "**SD 2.1** has no published IP-Adapter: people are kept the same by their descriptions, the shared noise and the anchor"
        " alone, which is less. Where faces matter take *sd15_frames* or *sdxl_frames*.",
    ),
    ImageModel(
        "sdxl_frames",
        "SDXL",
        5,
        "sd_xl_base_1.0.safetensors",
        "ip-adapter-plus_sdxl_vit-h.safetensors",
        0.0,
        30,
        6.0,
        "dpmpp_2m",
        "karras",
        "**SDXL** draws best. With 12 GB of graphics memory set **frames_per_pass** to 4.",
    ),
    ImageModel(
        "sdxl_turbo_frames",
        "SDXL-Turbo",
        6,
        "sd_xl_turbo_1.0_fp16.safetensors",
        "ip-adapter-plus_sdxl_vit-h.safetensors",
        0.33,
        4,
        1.0,
        "euler",
        "sgm_uniform",
        "**SDXL-Turbo** takes 4 steps, and at cfg 1 no negative prompt. It was made for 512 × 512: more pixels double things.",
    ),
)

NOTE = """\
## A story's segments with {title}

*Run* renders one segment: {frames} frames that belong together, as an mp4 in the film's size. All segments and the film:
**videogen run --workflow {name}**, which resumes after an interruption.

- **Another segment:** change **index**. **Another story:** edit the text in *Story*, or choose a file from the input folder.
{cast}
- **Frames that belong together:** less **drift** in *Frame Noise* and more **strength** in *Anchor Attention* hold the shot
  together; more **drift** and less **strength** let more happen in it.
- **How well it holds together:** *Continuity* measures it; headless, a segment that falls short is rendered again, and the best
  take is kept.
- **The camera:** where a segment's **technical** names a move, *Keyframe Motion* moves the finished pictures; otherwise it
  does nothing. Less **reach** keeps more of the picture; bypass it (Ctrl + B) if the model itself moves the camera.
- **One place, the same colors:** put a picture of it at **input/videogen/STORY/LOCATION.png**, and *Color Match* matches all
  of its segments to that picture. Its help page says how to draw one.
- **Size:** *Render Size* is the size in which the model draws, *Upscale* scales the frames to the film's size.
- {remark}
"""
CAST = """\
- **Who is who:** each character and object needs a picture in the input folder. *character_references* draws them;
  headless, that happens automatically."""
NO_CAST = "- **Who is who:** this workflow knows the cast by the story's descriptions only."
MODELS_NOTE = """\
## Models

{files}
- *upscale_models*: **{upscaler}**, optional

The editor offers to download missing files. Save a *model.safetensors* under the name that is shown. The upscale model is
used if it is installed; choose it in *Upscale* and the editor offers it too.
"""


def plan_image_frames(story: dict[str, Any], model: ImageModel) -> GraphPlan:
    """The workflow that renders a story with one model."""
    film = {"folder": "", "quality": "story", "missing": "slate"}
    model_targets = ("size.model",) if model.adapter else ("anchor.model", "size.model")
    return GraphPlan(
        name=model.name,
        id=f"3e0b6f5c-6d2a-4b0e-9a53-76d1c4a7e00{model.last_digit}",
        groups=(
            _story_group(story),
            _segment_group(),
            _model_group(model),
            *([_cast_group()] if model.adapter else []),
            _words_group(below=bool(model.adapter)),
            _frames_group(model),
            _sampling_group(model),
            Group(
                "Pictures",
                TEAL,
                (
                    Node("decode", "VAEDecode"),
                    Node("upscale", "VideoGenUpscale", {"model": "auto", "width": 0, "height": 0}, models=(UPSCALER,)),
                    Node("match", "VideoGenColorMatch"),
                ),
                width=270,
            ),
            _camera_group(story),
            Group("Measure", YELLOW, (Node("continuity", "VideoGenContinuity"),), width=310, below=True),
            Group(
                "Save",
                YELLOW,
                (Node("save", "VideoGenSaveSegment", {"quality": "story", "codec": "h264", "take": ""}, height=420),),
                width=320,
            ),
            Group("Film", RED, (Node("film", "VideoGenCompileFilm", film, mode=MUTED),), width=320, below=True),
        ),
        notes=_notes(story, model),
        links=(
            "story.story > segment.story",
            "segment.prompt > positive.text",
            "segment.negative > negative.text",
            "checkpoint.CLIP > positive.clip",
            "checkpoint.CLIP > negative.clip",
            *(_cast_links() if model.adapter else ()),
            "size.width > latent.width",
            "size.height > latent.height",
            "latent.LATENT > noise.latent",
            *(["characters.model > anchor.model"] if model.adapter else []),
            "anchor.model > guider.model",
            "anchor.model > scheduler.model",
            "noise.noise > sampler.noise",
            "guider.GUIDER > sampler.guider",
            "select.SAMPLER > sampler.sampler",
            "scheduler.SIGMAS > sampler.sigmas",
            "noise.latent > sampler.latent_image",
            "sampler.output > decode.samples",
            "decode.IMAGE > upscale.images",
            "upscale.images > match.images",
            "match.images > motion.images",
            "motion.images > continuity.images",
            "continuity.images > save.images",
            "save.folder > film.folder",
        ),
        buses=(
            Bus(
                "segment.segment",
                (
                    "size.segment",
                    "noise.segment",
                    "upscale.segment",
                    "match.segment",
                    "motion.segment",
                    "continuity.segment",
                    "save.segment",
                ),
            ),
            Bus("story.story", ("film.story",), lane=1),
            Bus("positive.CONDITIONING", ("guider.positive",), above=False),
            Bus("negative.CONDITIONING", ("guider.negative",), lane=1, above=False),
            Bus("checkpoint.VAE", ("decode.vae",), lane=2, above=False),
            Bus("checkpoint.MODEL", model_targets, lane=3, above=False),
            *(
                [Bus("clip_vision.CLIP_VISION", ("continuity.clip_vision",), lane=4, above=False)]
                if model.adapter
                else []
            ),
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


def _model_group(model: ImageModel) -> Group:
    nodes = [Node("checkpoint", "CheckpointLoaderSimple", {"ckpt_name": model.checkpoint}, models=(model.checkpoint,))]
    if model.adapter:
        nodes += [
            Node("adapter", "VideoGenIPAdapterLoader", {"ipadapter_file": model.adapter}, models=(model.adapter,)),
            Node("clip_vision", "CLIPVisionLoader", {"clip_name": VIT_H}, models=(VIT_H,)),
        ]
    return Group("Models", RED, tuple(nodes), width=310, below=True)


def _cast_group() -> Group:
    return Group("Characters", VIOLET, (Node("characters", "VideoGenApplyCharacters"),), width=290)


def _cast_links() -> tuple[str, ...]:
    return (
        "checkpoint.MODEL > characters.model",
        "adapter.ipadapter > characters.ipadapter",
        "clip_vision.CLIP_VISION > characters.clip_vision",
        "segment.segment > characters.segment",
    )


def _words_group(*, below: bool) -> Group:
    nodes = (
        Node("positive", "CLIPTextEncode", title="Prompt"),
        Node("negative", "CLIPTextEncode", title="Negative prompt"),
    )
    return Group("Words", VIOLET, nodes, width=290 if below else 240, below=below)


def _frames_group(model: ImageModel) -> Group:
    return Group(
        "One shot",
        GREEN,
        (
            Node("anchor", "VideoGenAnchorAttention"),
            Node("size", "VideoGenRenderSize", {"megapixels": model.megapixels, "multiple": "64", "scale": 1.0}),
            Node("latent", "EmptyLatentImage", {"batch_size": 1}),
            Node("noise", "VideoGenFrameNoise", {"control_after_generate": "fixed"}),
        ),
        width=290,
    )


def _sampling_group(model: ImageModel) -> Group:
    schedule = {"scheduler": model.scheduler, "steps": model.steps, "denoise": 1.0}
    return Group(
        "Sampling",
        GRAY,
        (
            Node("guider", "CFGGuider", {"cfg": model.cfg}),
            Node("select", "KSamplerSelect", {"sampler_name": model.sampler}),
            Node("scheduler", "BasicScheduler", schedule),
            Node("sampler", "SamplerCustomAdvanced"),
        ),
        width=260,
    )


def _camera_group(story: dict[str, Any]) -> Group:
    """After Color Match, which compares whole images, and before the nodes that measure and save the film's frames.

    Move, reach and border have the node's defaults.
    """
    motion = {"frames": story.get("frames", 24)}
    return Group("Camera", BLUE, (Node("motion", "VideoGenKeyframeMotion", motion),), width=310)


def _notes(story: dict[str, Any], model: ImageModel) -> tuple[Node, ...]:
    text = NOTE.format(
        title=model.title,
        name=model.name,
        frames=story.get("frames", 24),
        remark=model.remark,
        cast=CAST if model.adapter else NO_CAST,
    )
    files = [("checkpoints", model.checkpoint)]
    if model.adapter:
        files += [("ipadapter", model.adapter), ("clip_vision", VIT_H)]
    models = MODELS_NOTE.format(
        files="\n".join(f"- *{folder}*: **{name}**" for folder, name in files), upscaler=UPSCALER
    )
    return (
        Node("note", "MarkdownNote", {"": text}, title="Read me", width=1900, height=180),
        Node("models", "MarkdownNote", {"": models}, title="Models", width=1080, height=180),
    )
