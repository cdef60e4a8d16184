"""The nodes' schema as the server tells it: saved workflows hold on to these names, so that they are for ever."""

from __future__ import annotations

from typing import Any

import pytest

from runner.comfyui.installation import PROJECT
from runner.workflows.workflow import convert_workflow, load_workflow
from tests.support.servers.comfy import ComfyServer

pytestmark = pytest.mark.server

PACK = PROJECT / "custom_nodes" / "videogen"
QUALITIES = ["story", "draft", "standard", "high", "premium"]

#: Both thermal guards have these.
GUARD_REQUIRED = {
    "pause_above": "FLOAT",
    "resume_at": "FLOAT",
    "interval": "FLOAT",
    "max_minutes": "FLOAT",
    "when_over": "COMBO",
    "devices": "COMBO",
    "throttle": "COMBO",
    "strict": "BOOLEAN",
}
GUARD_OPTIONAL = {"memory_pause_above": "FLOAT", "memory_resume_at": "FLOAT"}
GUARD_CHOICES = {
    "when_over": ["stop", "go on"],
    "devices": ["auto", "all"],
    "throttle": ["hardware slowdown", "any slowdown", "slowdown or power cap", "ignore"],
}

#: node id → (category, required inputs, optional inputs, outputs); inputs and outputs as name → type, in their order.
#: A name here is never changed or taken away, and the order of widgets stays: a saved workflow knows a widget by its place.
FROZEN: dict[str, tuple[str, dict[str, str], dict[str, str], dict[str, str]]] = {
    "VideoGenStory": (
        "videogen/story",
        {"file": "COMBO", "text": "STRING"},
        {},
        {"story": "STORY"},
    ),
    "VideoGenSegment": (
        "videogen/story",
        {"story": "STORY", "index": "INT"},
        {"prompt_override": "STRING", "with_master_prompt": "BOOLEAN"},
        {
            "segment": "SEGMENT",
            "prompt": "STRING",
            "negative": "STRING",
            "seed": "INT",
            "frames": "INT",
            "fps": "FLOAT",
            "width": "INT",
            "height": "INT",
        },
    ),
    "VideoGenStoryboardFrames": ("videogen/frames", {"segment": "SEGMENT"}, {}, {"images": "IMAGE"}),
    "VideoGenSaveSegment": (
        "videogen/film",
        {"images": "IMAGE", "segment": "SEGMENT", "quality": "COMBO", "codec": "COMBO"},
        {"take": "STRING"},
        {"folder": "STRING"},
    ),
    "VideoGenCompileFilm": (
        "videogen/film",
        {"story": "STORY", "folder": "STRING", "quality": "COMBO", "missing": "COMBO"},
        {},
        {"path": "STRING"},
    ),
    "VideoGenRenderSize": (
        "videogen/frames",
        {"megapixels": "FLOAT", "multiple": "COMBO", "scale": "FLOAT"},
        {"segment": "SEGMENT", "model": "MODEL"},
        {"width": "INT", "height": "INT"},
    ),
    "VideoGenUpscale": (
        "videogen/frames",
        {"images": "IMAGE", "model": "COMBO"},
        {"segment": "SEGMENT", "width": "INT", "height": "INT"},
        {"images": "IMAGE"},
    ),
    "VideoGenCastMember": (
        "videogen/story",
        {"story": "STORY", "index": "INT", "character_words": "STRING", "object_words": "STRING"},
        {},
        {"prompt": "STRING", "negative": "STRING", "seed": "INT", "file": "STRING", "count": "INT"},
    ),
    "VideoGenSaveReference": (
        "videogen/story",
        {"images": "IMAGE", "file": "STRING", "existing": "COMBO"},
        {"prompt": "STRING"},
        {"images": "IMAGE"},
    ),
    "VideoGenIPAdapterLoader": (
        "videogen/characters",
        {},
        {"ipadapter_file": "COMBO"},
        {"ipadapter": "IPADAPTER"},
    ),
    "VideoGenApplyIPAdapter": (
        "videogen/characters",
        {
            "model": "MODEL",
            "ipadapter": "IPADAPTER",
            "clip_vision": "CLIP_VISION",
            "image": "IMAGE",
            "weight": "FLOAT",
            "weight_type": "COMBO",
            "start_at": "FLOAT",
            "end_at": "FLOAT",
            "combine": "COMBO",
            "crop": "COMBO",
        },
        {"mask": "MASK", "image_negative": "IMAGE"},
        {"model": "MODEL"},
    ),
    "VideoGenReference": (
        "videogen/characters",
        {"name": "STRING", "image": "IMAGE"},
        {"mask": "MASK", "references": "REFERENCES"},
        {"references": "REFERENCES"},
    ),
    "VideoGenApplyCharacters": (
        "videogen/characters",
        {
            "model": "MODEL",
            "ipadapter": "IPADAPTER",
            "clip_vision": "CLIP_VISION",
            "segment": "SEGMENT",
            "character_weight": "FLOAT",
            "object_weight": "FLOAT",
            "location_weight": "FLOAT",
            "start_at": "FLOAT",
            "end_at": "FLOAT",
            "weight_type": "COMBO",
            "crop_to_figure": "BOOLEAN",
            "feather": "FLOAT",
            "missing": "COMBO",
        },
        {"references": "REFERENCES"},
        {"model": "MODEL", "masks": "MASK", "pictures": "IMAGE", "report": "STRING"},
    ),
    "VideoGenThermalGuard": ("videogen/guard", {"anything": "*", **GUARD_REQUIRED}, GUARD_OPTIONAL, {"passed": "*"}),
    "VideoGenGuardModel": ("videogen/guard", {"model": "MODEL", **GUARD_REQUIRED}, GUARD_OPTIONAL, {"model": "MODEL"}),
    "VideoGenMemoryGuard": (
        "videogen/guard",
        {"anything": "*", "limit_gb": "FLOAT", "empty_caches": "BOOLEAN"},
        {},
        {"passed": "*", "report": "STRING"},
    ),
    "VideoGenFrameNoise": (
        "videogen/frames",
        {"drift": "FLOAT", "anchor": "COMBO", "seed": "INT", "frames": "INT"},
        {"segment": "SEGMENT", "latent": "LATENT", "model": "MODEL", "sigmas": "SIGMAS"},
        {"noise": "NOISE", "latent": "LATENT"},
    ),
    "VideoGenAnchorAttention": (
        "videogen/frames",
        {
            "model": "MODEL",
            "strength": "FLOAT",
            "anchors": "COMBO",
            "start": "FLOAT",
            "end": "FLOAT",
            "blocks": "COMBO",
            "frames_per_pass": "INT",
        },
        {},
        {"model": "MODEL"},
    ),
    "VideoGenKeyframeMotion": (
        "videogen/frames",
        {"move": "COMBO", "reach": "FLOAT", "border": "COMBO", "frames": "INT"},
        {"segment": "SEGMENT", "images": "IMAGE", "latent": "LATENT"},
        {"images": "IMAGE", "latent": "LATENT"},
    ),
    "VideoGenLocation": (
        "videogen/frames",
        {"segment": "SEGMENT"},
        {"image": "IMAGE", "width": "INT", "height": "INT"},
        {"image": "IMAGE", "prompt": "STRING", "seed": "INT"},
    ),
    "VideoGenColorMatch": (
        "videogen/frames",
        {"images": "IMAGE", "anchor": "COMBO", "method": "COMBO", "strength": "FLOAT"},
        {"reference": "IMAGE", "segment": "SEGMENT", "mask": "MASK"},
        {"images": "IMAGE"},
    ),
    "VideoGenContinuity": (
        "videogen/continuity",
        {
            "images": "IMAGE",
            "segment": "SEGMENT",
            "threshold": "FLOAT",
            "minimum": "FLOAT",
            "temporal_threshold": "FLOAT",
            "when_below": "COMBO",
        },
        {"mask_of": "STRING", "references": "REFERENCES", "clip_vision": "CLIP_VISION", "mask": "MASK"},
        {"images": "IMAGE", "score": "FLOAT", "report": "STRING"},
    ),
    "VideoGenFrameCheck": (
        "videogen/continuity",
        {"images": "IMAGE", "segment": "SEGMENT"},
        {},
        {"images": "IMAGE", "ok": "BOOLEAN", "report": "STRING"},
    ),
}

#: Choices that saved workflows may hold.
FROZEN_CHOICES = {
    ("VideoGenSaveSegment", "quality"): QUALITIES,
    ("VideoGenSaveSegment", "codec"): ["h264", "hevc"],
    ("VideoGenCompileFilm", "quality"): QUALITIES,
    ("VideoGenCompileFilm", "missing"): ["slate", "stop"],
    ("VideoGenApplyIPAdapter", "weight_type"): [
        "linear",
        "ease in",
        "ease out",
        "ease in-out",
        "reverse in-out",
        "weak input",
        "weak middle",
        "weak output",
        "strong middle",
        "prompt is more important",
        "style transfer",
        "strong style transfer",
        "composition",
        "style and composition",
    ],
    ("VideoGenApplyIPAdapter", "combine"): ["concat", "add", "average", "subtract", "one per frame"],
    ("VideoGenApplyIPAdapter", "crop"): ["center", "pad", "stretch"],
    ("VideoGenApplyCharacters", "missing"): ["stop", "go on without"],
    ("VideoGenRenderSize", "multiple"): ["8", "16", "32", "64"],
    ("VideoGenSaveReference", "existing"): ["replace rendered", "replace any", "keep"],
    ("VideoGenFrameNoise", "anchor"): ["segment", "location"],
    ("VideoGenAnchorAttention", "anchors"): ["first", "first and previous"],
    ("VideoGenAnchorAttention", "blocks"): [
        "all",
        "all but the finest",
        "output",
        "output but the finest",
        "input",
        "middle",
    ],
    ("VideoGenKeyframeMotion", "move"): [
        "segment",
        "static",
        "pan-left",
        "pan-right",
        "tilt-up",
        "tilt-down",
        "zoom-in",
        "zoom-out",
        "track",
    ],
    ("VideoGenKeyframeMotion", "border"): ["mirror", "crop"],
    ("VideoGenContinuity", "when_below"): ["render again", "only report"],
    ("VideoGenColorMatch", "anchor"): [
        "reference, else first frame",
        "reference",
        "first frame",
        "average of the frames",
    ],
    ("VideoGenColorMatch", "method"): ["clamped", "mean and spread", "covariance"],
    **{
        (kind, name): choices
        for kind in ("VideoGenThermalGuard", "VideoGenGuardModel")
        for name, choices in GUARD_CHOICES.items()
    },
}
OUTPUT_NODES = {
    "VideoGenSaveSegment",
    "VideoGenCompileFilm",
    "VideoGenSaveReference",
    "VideoGenContinuity",
    "VideoGenFrameCheck",
}
#: Sockets that say all there is to say by their name.
OBVIOUS = {"story", "segment", "images"}


@pytest.fixture
def nodes(comfy_server: ComfyServer) -> dict[str, dict[str, Any]]:
    """The schemas of the pack's nodes."""
    return {
        key: node for key, node in comfy_server.object_info.items() if node["python_module"] == "custom_nodes.videogen"
    }


def read_inputs(node: dict[str, Any], group: str) -> dict[str, Any]:
    inputs = node["input"].get(group, {})
    return {name: inputs[name] for name in node["input_order"].get(group, [])}


def test_every_node_is_frozen(nodes: dict[str, dict[str, Any]]) -> None:
    assert set(nodes) == set(FROZEN)


@pytest.mark.parametrize("kind", FROZEN)
def test_names_types_and_order(nodes: dict[str, dict[str, Any]], kind: str) -> None:
    node = nodes[kind]
    category, required, optional, outputs = FROZEN[kind]
    assert node["category"] == category
    for group, frozen in (("required", required), ("optional", optional)):
        found = {name: spec[0] for name, spec in read_inputs(node, group).items()}
        assert list(found.items()) == list(frozen.items())
    assert list(zip(node["output_name"], node["output"], strict=True)) == list(outputs.items())
    assert node["output_node"] == (kind in OUTPUT_NODES)


@pytest.mark.parametrize(("kind", "name"), FROZEN_CHOICES)
def test_choices(nodes: dict[str, dict[str, Any]], kind: str, name: str) -> None:
    assert nodes[kind]["input"]["required"][name][1]["options"] == FROZEN_CHOICES[kind, name]


def test_defaults_render_the_first_segment_as_the_story_says(nodes: dict[str, dict[str, Any]]) -> None:
    def default(kind: str, name: str) -> Any:
        inputs = nodes[kind]["input"]
        return {**inputs["required"], **inputs.get("optional", {})}[name][1]["default"]

    assert default("VideoGenStory", "file") == "text below"
    assert default("VideoGenSegment", "index") == 1
    assert default("VideoGenSegment", "prompt_override") == ""
    assert default("VideoGenSegment", "with_master_prompt") is False
    assert default("VideoGenSaveSegment", "quality") == default("VideoGenCompileFilm", "quality") == "story"
    assert default("VideoGenSaveSegment", "codec") == "h264"
    assert default("VideoGenSaveSegment", "take") == default("VideoGenCompileFilm", "folder") == ""
    for kind in ("VideoGenThermalGuard", "VideoGenGuardModel"):
        assert (default(kind, "pause_above"), default(kind, "resume_at"), default(kind, "interval")) == (85, 80, 10)
        assert (default(kind, "max_minutes"), default(kind, "when_over"), default(kind, "strict")) == (
            30,
            "stop",
            False,
        )
    assert default("VideoGenMemoryGuard", "limit_gb") == 0
    assert default("VideoGenCompileFilm", "missing") == "slate"


@pytest.mark.parametrize("name", ["sd15_frames", "sd21_frames", "sdxl_frames", "sdxl_turbo_frames"])
def test_shipped_workflows_have_the_defaults_of_keyframe_motion(comfy_server: ComfyServer, name: str) -> None:
    graph = convert_workflow(load_workflow(PROJECT / "workflows" / f"{name}.json"), comfy_server.object_info)
    (shipped,) = [node["inputs"] for node in graph.values() if node["class_type"] == "VideoGenKeyframeMotion"]
    schema = comfy_server.object_info["VideoGenKeyframeMotion"]["input"]["required"]
    defaults = {widget: schema[widget][1]["default"] for widget in ("move", "reach", "border", "frames")}
    assert {widget: shipped[widget] for widget in defaults} == defaults
    assert defaults == {"move": "segment", "reach": 0.2, "border": "crop", "frames": 24}


@pytest.mark.parametrize("kind", FROZEN)
def test_every_input_is_explained(nodes: dict[str, dict[str, Any]], kind: str) -> None:
    assert nodes[kind]["description"].endswith(".")
    for group in ("required", "optional"):
        for name, spec in read_inputs(nodes[kind], group).items():
            assert name in OBVIOUS or spec[1].get("tooltip"), f"{kind}.{name} has no tooltip"


@pytest.mark.parametrize("kind", FROZEN)
def test_help_page_names_every_socket(nodes: dict[str, dict[str, Any]], kind: str) -> None:
    text = (PACK / "web" / "docs" / f"{kind}.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {nodes[kind]['display_name']}\n")
    _, required, optional, outputs = FROZEN[kind]
    for name in (*required, *optional, *outputs):
        assert f"`{name}`" in text, f"{kind}.md does not speak of {name!r}"
    for heading in ("## Example", "## What goes wrong"):
        assert heading in text


def test_no_help_page_without_a_node() -> None:
    assert {path.stem for path in (PACK / "web" / "docs").glob("*.md")} == set(FROZEN)


def test_pack_can_be_installed_alone() -> None:
    tomllib = pytest.importorskip("tomllib", reason="Python 3.11 reads TOML")
    project = tomllib.loads((PACK / "pyproject.toml").read_text(encoding="utf-8"))
    lines = (PACK / "requirements.txt").read_text(encoding="utf-8").splitlines()
    requirements = [line for line in lines if line and not line.startswith("#")]
    assert project["project"]["dependencies"] == requirements
    whole = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["version"] == whole["project"]["version"]
    for name in (*project["tool"]["comfy"]["includes"], project["project"]["readme"]):
        assert (PACK / name).exists()
