"""The shipped workflows, read from the templates in the node pack (copies of `workflows/`), for `whole_segments`.

ComfyUI's modules are there and its device is fixed before this is imported; see `enable_comfy`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from custom_nodes.videogen.core.graph import nodes_of
from custom_nodes.videogen.core.segment.plan import SegmentPlan, plan_segment
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.core.video.render_size import NATIVE_MEGAPIXELS, fit_render_size

from ...comfyui.installation import PROJECT
from ...workflows.workflow import convert_workflow, load_workflow
from ..models.graph_steps import Graph, describe_nodes, find_nodes
from ..models.random_weights.unets import SD15, SD21, SDXL, TINY_SD15, TINY_SDXL, UNet

#: A package of the runner has no `workflows/`, but the pack, whose templates are the same files (a test compares them).
TEMPLATES = PROJECT / "custom_nodes" / "videogen" / "example_workflows"
NAMES = ("sd15_frames", "sd21_frames", "sdxl_frames", "sdxl_turbo_frames")
#: Of the story in them: two people and two objects are in it.
SEGMENT = 22
#: That segment's camera does not move; with a move Keyframe Motion has work to do.
MOVE = "pan-left"

#: With the size embeddings of every SDXL in ComfyUI.
_TINY_SDXL = replace(TINY_SDXL, vector_width=SDXL.vector_width)
_TINY_SD21 = replace(SD21, width=64, multipliers=(1, 1, 1, 1), context_width=32)
#: Checkpoint → what is in it, and a tiny one of its kind.
UNETS: dict[str, tuple[UNet, UNet]] = {
    "v1-5-pruned-emaonly-fp16.safetensors": (SD15, TINY_SD15),
    "v2-1_768-ema-pruned.safetensors": (SD21, _TINY_SD21),
    "sd_xl_base_1.0.safetensors": (SDXL, _TINY_SDXL),
    "sd_xl_turbo_1.0_fp16.safetensors": (SDXL, _TINY_SDXL),
}
_TINY_STORY = {
    "title": "Tiny",
    "fps": 8,
    "frames": 3,
    "size": [96, 96],
    "quality": "draft",
    "characters": {
        "woman": {"segments": "1", "description": "a woman", "region": "left"},
        "man": {"segments": "1", "description": "a man", "region": "right"},
    },
    "segments": [{"prompt": "The man waters the young tree, shot 1.", "seed": 101}],
}


@dataclass(frozen=True)
class Shipped:
    """A workflow that ships, with a segment to render.

    Attributes:
        graph: in API format.
        size: width and height that the model draws.
    """

    name: str
    graph: Graph
    unet: UNet
    plan: SegmentPlan
    size: tuple[int, int]

    def get(self, kind: str, name: str) -> Any:
        """An input of the only node of a class."""
        (node_id,) = nodes_of(self.graph, kind)
        return self.graph[node_id]["inputs"][name]

    def has(self, kind: str) -> bool:
        return bool(nodes_of(self.graph, kind))

    @property
    def steps(self) -> int:
        return int(self.get("BasicScheduler", "steps"))

    @property
    def guidance(self) -> float:
        return float(self.get("CFGGuider", "cfg"))

    @property
    def sampler(self) -> str:
        return str(self.get("KSamplerSelect", "sampler_name"))

    @property
    def scheduler(self) -> str:
        return str(self.get("BasicScheduler", "scheduler"))

    @property
    def frames_per_pass(self) -> int:
        return int(self.get("VideoGenAnchorAttention", "frames_per_pass"))


def read_shipped(name: str, tiny: bool = False) -> Shipped:
    """A workflow out of its file; only the segment, its camera move and Upscale's model are chosen here.

    Args:
        tiny: a story of small frames and two steps, and a tiny UNet of the same kind, to try the benchmark out.
    """
    workflow = load_workflow(TEMPLATES / f"{name}.json")
    graph = convert_workflow(workflow, describe_nodes(find_nodes()))
    story = _TINY_STORY if tiny else json.loads(workflow.story_text())
    plan = plan_segment(parse_story(story), 1 if tiny else SEGMENT)
    _set(graph, "VideoGenStory", text=json.dumps(story))
    _set(graph, "VideoGenSegment", index=plan.number)
    _set(graph, "VideoGenKeyframeMotion", move=MOVE)
    # With a model it is a part of its own: it takes longer than everything else.
    _set(graph, "VideoGenUpscale", model="none")
    if tiny:
        _set(graph, "VideoGenRenderSize", megapixels=0.0041)
        _set(graph, "BasicScheduler", steps=2)
    (loader,), (sizer,) = nodes_of(graph, "CheckpointLoaderSimple"), nodes_of(graph, "VideoGenRenderSize")
    unet = UNETS[graph[loader]["inputs"]["ckpt_name"]][tiny]
    sizes = graph[sizer]["inputs"]
    megapixels = (sizes["megapixels"] or NATIVE_MEGAPIXELS[unet.family]) * sizes["scale"] ** 2
    return Shipped(name, graph, unet, plan, fit_render_size(plan.size, megapixels, int(sizes["multiple"])))


def _set(graph: Graph, kind: str, **inputs: Any) -> None:
    for node_id in nodes_of(graph, kind):
        graph[node_id]["inputs"] |= inputs
