"""The benchmark of the frames, tried out with tiny UNets: it runs, and its knobs turn the right way."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from tests.support.needs import require_comfy, require_diffusers

require_comfy()

from runner.bench.programs.frames import VARIANTS, format_tables, measure
from runner.bench.programs.shipped_graphs import NAMES, TEMPLATES, UNETS, read_shipped
from runner.comfyui.installation import PROJECT

#: `VIDEOGEN_BENCH=full` times whole segments of all workflows.
FULL = os.environ.get("VIDEOGEN_BENCH") == "full"


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    return measure("cpu", ("drift", "anchor", "cost"), 1, tiny=True)


def test_neighbors_grow_apart_with_drift(result: dict[str, Any]) -> None:
    for key in ("noise_documented", "noise", "latents"):
        found = [cell[key] for cell in result["drift"]]
        assert found == sorted(found, reverse=True)
        assert found[0] > 0.9999
        assert abs(found[-1]) < 0.15


def test_the_first_frame_brings_the_others_closer(result: dict[str, Any]) -> None:
    found = [cell["self_attention"] for cell in result["anchor"] if cell["anchors"] == "first"]
    assert found == sorted(found, reverse=True)
    assert found[-1] < 0.8 * found[0]


def test_every_variant_and_node_has_its_cost(result: dict[str, Any]) -> None:
    cost = result["cost"]
    assert {cell["variant"] for cell in cost["steps"]} == {"bare", *VARIANTS}
    peaks = {cell["variant"]: cell["peak_mb"] for cell in cost["steps"]}
    assert peaks["first, 0.5, three passes"] < 0.75 * peaks["first, 0.5"]
    assert all(cell["ms_a_frame"] > 0 for cell in cost["nodes"])
    assert {cell["node"].partition(" (")[0] for cell in cost["nodes"]} == {
        "Frame Noise",
        "Keyframe Motion",
        "Color Match",
        "Location",
        "Upscale",
    }
    upscales = [cell["node"] for cell in cost["nodes"] if cell["node"].startswith("Upscale")]
    assert upscales == ["Upscale (Lanczos)", "Upscale (RealESRGAN_x4plus's layers)"]
    assert cost["elsewhere"]["Apply Characters"] == "videogen bench ipadapter"


def test_large_frames_take_less_memory_in_smaller_passes(result: dict[str, Any]) -> None:
    cells = {cell["frames_per_pass"]: cell for cell in result["cost"]["large"]["cells"]}
    assert result["cost"]["large"]["latents"] == [16, 9]
    assert 0 < cells[2]["peak_bytes"] < 0.6 * cells[8]["peak_bytes"]


def test_a_real_card_samples_frames_of_1080p() -> None:
    from runner.bench.programs.shot_steps import LARGE_PASSES, SETUPS

    assert SETUPS["cuda"].large == (1080 // 8, 1920 // 8)
    assert LARGE_PASSES == (8, 2)


def test_the_tables_have_all_of_it(result: dict[str, Any]) -> None:
    text = format_tables(result)
    lines = sum(len(result[part]) for part in ("drift", "anchor")) + sum(
        len(result["cost"][part]) for part in ("steps", "nodes")
    )
    lines += len(result["cost"]["large"]["cells"])
    assert len([line for line in text.splitlines() if line.startswith("|")]) == lines + 5 * 2
    assert "Apply Characters: `videogen bench ipadapter`" in text


def test_whole_segments_are_what_the_workflows_say() -> None:
    for name in NAMES:
        shipped, nodes = read_shipped(name), ui_nodes(name)
        assert (shipped.scheduler, shipped.steps) == tuple(nodes["BasicScheduler"][:2])
        assert [shipped.guidance] == nodes["CFGGuider"]
        assert [shipped.sampler] == nodes["KSamplerSelect"]
        assert shipped.frames_per_pass == nodes["VideoGenAnchorAttention"][-1]
        assert (shipped.plan.frames, shipped.plan.size) == (24, (1920, 1080))
        assert shipped.unet == UNETS[nodes["CheckpointLoaderSimple"][0]][0]
    sizes = [read_shipped(name).size for name in NAMES]
    assert sizes == [(896, 512), (1024, 576), (1344, 768), (768, 448)]  # docs/workflows.md
    assert set(NAMES) == {path.stem for path in (PROJECT / "workflows").glob("*_frames.json")}


@pytest.mark.parametrize("name", NAMES)
def test_the_templates_that_are_timed_are_the_workflows_that_ship(name: str) -> None:
    assert (TEMPLATES / f"{name}.json").read_bytes() == (PROJECT / "workflows" / f"{name}.json").read_bytes()


def ui_nodes(name: str) -> dict[str, list[Any]]:
    """The widgets of each node of a workflow, by class."""
    data = json.loads((PROJECT / "workflows" / f"{name}.json").read_text(encoding="utf-8"))
    return {node["type"]: node["widgets_values"] for node in data["nodes"]}


#: SDXL's take half a minute each, and differ from SD 1.5's in numbers only.
TIMED = ("sd15_frames", "sd21_frames", *(("sdxl_frames", "sdxl_turbo_frames") if FULL else ()))


@pytest.mark.parametrize("workflow", TIMED)
def test_whole_segments_with_our_nodes_without_them_and_with_diffusers(workflow: str) -> None:
    require_diffusers()
    result = measure("cpu", ("segments",), 1, (workflow,), tiny=True)
    (segment,) = result["segments"]
    assert [cell["who"] for cell in segment["cells"]] == ["without our nodes", "videogen", "diffusers"]
    parts = {part["part"]: part["seconds"] for part in segment["parts"]}
    assert all(cell["seconds"] > 0 for cell in segment["cells"])
    assert all(seconds > 0 for seconds in parts.values())
    expected = {
        "sampling",
        "decoding",
        "Upscale, Lanczos",
        "Upscale, RealESRGAN_x4plus's layers",
        "Color Match",
        "Keyframe Motion, a pan",
        "Continuity",
        "Save Segment",
    }
    if workflow != "sd21_frames":
        expected |= {"CLIP vision, 2 pictures", "Apply Characters, pictures that were encoded before"}
    assert set(parts) == expected
    # What the frames take is in the total, what comes after them is not.
    until_frames = sum(
        parts[name] for name in ("sampling", "decoding", "Upscale, Lanczos", "Color Match", "Keyframe Motion, a pan")
    )
    assert segment["cells"][1]["seconds"] >= until_frames - 0.01
    text = format_tables(result)
    assert all(f"| {name} |" in text for name in expected)
