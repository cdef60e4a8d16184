"""The benchmark of the frames, tried out with tiny UNets: it runs, and its knobs turn the right way."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.comfy_python import has_diffusers, require_comfy

require_comfy()

from tests.bench.frames import VARIANTS, format_tables, measure


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    return measure("cpu", ("drift", "anchor", "cost"), 1, tiny=True)


def test_neighbours_grow_apart_with_drift(result: dict[str, Any]) -> None:
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


def test_the_tables_have_all_of_it(result: dict[str, Any]) -> None:
    text = format_tables(result)
    lines = sum(len(result[part]) for part in ("drift", "anchor")) + sum(
        len(result["cost"][part]) for part in ("steps", "nodes")
    )
    assert len([line for line in text.splitlines() if line.startswith("|")]) == lines + 4 * 2


@pytest.mark.parametrize("workflow", ["tiny_sd15", "tiny_sdxl"])
def test_whole_segments_with_our_nodes_without_them_and_with_diffusers(workflow: str) -> None:
    if not has_diffusers():
        pytest.skip("there is no diffusers")
    segments = measure("cpu", ("segments",), 1, (workflow,))["segments"]
    assert [cell["who"] for cell in segments[0]["cells"]] == ["without our nodes", "videogen", "diffusers"]
    assert all(cell["seconds"] > 0 for cell in segments[0]["cells"])
