"""The nodes' schema as the server tells it: saved workflows hold on to these names, so that they are for ever."""

from __future__ import annotations

from typing import Any

import pytest

from runner.installation import PROJECT
from tests.support.comfy import ComfyServer

pytestmark = pytest.mark.server

PACK = PROJECT / "custom_nodes" / "videogen"
QUALITIES = ["story", "draft", "standard", "high", "premium"]

#: node id → (category, required inputs, optional inputs, outputs); inputs and outputs as name → type, in their order.
#: A name here is never changed or taken away, and the order of widgets stays: a saved workflow knows a widget by its place.
FROZEN: dict[str, tuple[str, dict[str, str], dict[str, str], dict[str, str]]] = {
    "VideoGenStory": (
        "videogen/story", {"file": "COMBO", "text": "STRING"}, {}, {"story": "STORY"},
    ),
    "VideoGenSegment": (
        "videogen/story",
        {"story": "STORY", "index": "INT"},
        {"prompt_override": "STRING", "with_master_prompt": "BOOLEAN"},
        {
            "segment": "SEGMENT", "prompt": "STRING", "negative": "STRING", "seed": "INT", "frames": "INT", "fps": "FLOAT",
            "width": "INT", "height": "INT",
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
}  # fmt: skip

#: Choices that saved workflows may hold.
FROZEN_CHOICES = {
    ("VideoGenSaveSegment", "quality"): QUALITIES,
    ("VideoGenSaveSegment", "codec"): ["h264", "hevc"],
    ("VideoGenCompileFilm", "quality"): QUALITIES,
    ("VideoGenCompileFilm", "missing"): ["slate", "stop"],
}
OUTPUT_NODES = {"VideoGenSaveSegment", "VideoGenCompileFilm"}
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
    assert default("VideoGenCompileFilm", "missing") == "slate"


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
