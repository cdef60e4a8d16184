"""workflows/character_references.json: one image of each character and object of a story."""

from __future__ import annotations

import json
from typing import Any

from custom_nodes.videogen.core.segment.cast_prompts import CHARACTER_WORDS, OBJECT_WORDS
from tests.browser.graph_plan import GraphPlan, Group, Node

CHECKPOINT = "v1-5-pruned-emaonly-fp16.safetensors"
NOTE = """\
## One reference picture of each character and object

Each run draws one of them, from its own description and seed in the story, and saves the picture in ComfyUI's input folder,
where *Apply Characters* finds it. *Cast Member* advances to the next one with every run ({count} in this story): queue that many.

- **Headless**, this happens automatically: **videogen run** draws missing pictures before it renders a film that needs them.
- **The model:** take the one that you render the film with, its sampler settings, and the **megapixels** of its *Render Size*.
- **Not the person you had in mind?** Change the description or the seed in the story, or put a picture of your own into the
  input folder under the same name: it is never overwritten.
"""


def plan_references(story: dict[str, Any]) -> GraphPlan:
    """The workflow that draws a story's cast."""
    text = json.dumps(story, ensure_ascii=False, indent=2)
    count = len(story.get("characters", {})) + len(story.get("objects", {}))
    member = {
        "index": 1,
        "control_after_generate": "increment",
        "character_words": CHARACTER_WORDS,
        "object_words": OBJECT_WORDS,
    }
    sampling = {
        "control_after_generate": "fixed",
        "steps": 25,
        "cfg": 7.0,
        "sampler_name": "dpmpp_2m",
        "scheduler": "karras",
        "denoise": 1.0,
    }
    return GraphPlan(
        name="character_references",
        id="3e0b6f5c-6d2a-4b0e-9a53-76d1c4a7e002",
        groups=(
            Group(
                "Story", "#8fb8de", (Node("story", "VideoGenStory", {"file": "text below", "text": text}, height=760),)
            ),
            Group("Who", "#9ccf9c", (Node("member", "VideoGenCastMember", member, height=330),)),
            Group(
                "Model",
                "#e8a583",
                (
                    Node("checkpoint", "CheckpointLoaderSimple", {"ckpt_name": CHECKPOINT}, models=(CHECKPOINT,)),
                    Node("size", "VideoGenRenderSize", {"megapixels": 0.0, "multiple": "64"}),
                    Node("latent", "EmptyLatentImage", {"batch_size": 1}),
                ),
                below=True,
            ),
            Group(
                "Words",
                "#d3a6e0",
                (
                    Node("positive", "CLIPTextEncode", title="Prompt"),
                    Node("negative", "CLIPTextEncode", title="Negative prompt"),
                ),
                width=260,
                top=250,
            ),
            Group(
                "Sampling",
                "#b0b0b0",
                (Node("sampler", "KSampler", sampling), Node("decode", "VAEDecode")),
                width=300,
                top=210,
            ),
            Group(
                "Save",
                "#e0c070",
                (Node("save", "VideoGenSaveReference", {"existing": "replace rendered"}, height=430),),
                width=360,
            ),
        ),
        notes=(Node("note", "MarkdownNote", {"": NOTE.format(count=count)}, title="Read me", width=1130, height=170),),
        links=(
            "story.story > member.story",
            "checkpoint.MODEL > size.model",
            "size.width > latent.width",
            "size.height > latent.height",
            "checkpoint.CLIP > positive.clip",
            "checkpoint.CLIP > negative.clip",
            "member.prompt > positive.text",
            "member.negative > negative.text",
            "checkpoint.MODEL > sampler.model",
            "positive.CONDITIONING > sampler.positive",
            "negative.CONDITIONING > sampler.negative",
            "latent.LATENT > sampler.latent_image",
            "member.seed > sampler.seed",
            "sampler.LATENT > decode.samples",
            "checkpoint.VAE > decode.vae",
            "decode.IMAGE > save.images",
            "member.file > save.file",
            "member.prompt > save.prompt",
        ),
    )
