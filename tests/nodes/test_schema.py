"""The nodes' schema as the server tells it: saved workflows hold on to these names, so that they are for ever."""

from __future__ import annotations

from typing import Any

import pytest

from runner.comfyui.installation import PROJECT
from runner.workflows.workflow import convert_workflow, load_workflow
from tests.nodes.frozen_schema import FROZEN, FROZEN_CHOICES
from tests.support.servers.comfy import ComfyServer

pytestmark = pytest.mark.server

PACK = PROJECT / "custom_nodes" / "videogen"

OUTPUT_NODES = {
    "VideoGenSaveSegment",
    "VideoGenCompileFilm",
    "VideoGenSaveReference",
    "VideoGenSaveEmbeds",
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
