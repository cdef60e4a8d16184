"""Roles of strangers' workflows: found in linear time, also where all samplers are conditioned on one long chain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from custom_nodes.videogen.core.roles.finder import find_roles
from custom_nodes.videogen.core.roles.table import Role
from tests.support.graphs.video_models import node, read_schemas, wan
from tests.support.hostile.growth import assert_grows_linearly

Graph = dict[str, dict[str, Any]]


def sampled(latent: list[Any], positive: list[Any], negative: list[Any]) -> dict[str, Any]:
    return node("KSampler", seed=1, model=["model", 0], positive=positive, negative=negative, latent_image=latent)


def samplers(size: int) -> Graph:
    """As many samplers in a row as there are conditions in one, which all of them use."""
    graph = wan(c0=node("CLIPTextEncode", text="a tree", clip=["clip", 0]))
    graph["s0"] = graph["latent"]
    for number in range(1, size // 2):
        before = [f"c{number - 1}", 0]
        graph[f"c{number}"] = node("ConditioningSetTimestepRange", conditioning=before, start=0.0, end=1.0)
        last = [f"c{size // 2 - 1}", 0]
        graph[f"s{number}"] = sampled([f"s{number - 1}", 0], last, before)
    graph["decode"] = node("VAEDecode", samples=[f"s{size // 2 - 1}", 0], vae=["vae", 0])
    return graph


def pictures(size: int) -> Graph:
    """Pictures that are encoded, each for the condition of the next."""
    graph = wan()
    before = ["positive", 0]
    for number in range(size // 3):
        graph[f"i{number}"] = node("LoadImage", image=f"{number}.png")
        graph[f"e{number}"] = node("VAEEncode", pixels=[f"i{number}", 0], vae=["vae", 0])
        graph[f"r{number}"] = node("ReferenceLatent", conditioning=before, latent=[f"e{number}", 0])
        before = [f"r{number}", 0]
    graph["high"]["inputs"]["positive"] = before
    return graph


def texts(size: int) -> Graph:
    """Prompts, each joined out of the one before it."""
    graph = wan(t0=node("PrimitiveStringMultiline", value="a tree"))
    before = ["positive", 0]
    for number in range(size // 3):
        text = f"t{number}"
        graph[f"t{number + 1}"] = node("StringConcatenate", string_a=[text, 0], string_b="b", delimiter=" ")
        graph[f"x{number}"] = node("CLIPTextEncode", text=[text, 0], clip=["clip", 0])
        graph[f"y{number}"] = node("ConditioningCombine", conditioning_1=before, conditioning_2=[f"x{number}", 0])
        before = [f"y{number}", 0]
    graph["high"]["inputs"]["positive"] = before
    return graph


def sizes(size: int) -> Graph:
    """Images, each scaled to the measured size of the one before it; the model takes the size of all."""
    graph = wan(i0=node("ImageScale", image=["photo", 0], width=640, height=480, upscale_method="area", crop="center"))
    graph["photo"] = node("LoadImage", image="photo.png")
    before = ["positive", 0]
    for number in range(size // 4):
        graph[f"m{number}"] = node("GetImageSize", image=[f"i{number}", 0])
        width, height = [f"m{number}", 0], [f"m{number}", 1]
        graph[f"i{number + 1}"] = node("ImageScale", image=["photo", 0], width=width, height=height)
        graph[f"v{number}"] = node("WanVaceToVideo", positive=before, width=width, height=height, length=81)
        before = [f"v{number}", 0]
    graph["high"]["inputs"]["positive"] = before
    return graph


def copies(size: int) -> Graph:
    """One computed number of frames, which many nodes of the model take."""
    graph = wan(number=node("ComfyMathExpression", expression="a * 16 + 1", values__a=5))
    before = ["positive", 0]
    for number in range(size // 2):
        graph[f"v{number}"] = node("WanVaceToVideo", positive=before, width=640, height=480, length=["number", 1])
        before = [f"v{number}", 0]
    graph["high"]["inputs"]["positive"] = before
    return graph


def templates(size: int) -> Graph:
    """Texts that are put into one another."""
    graph = wan(t0=node("PrimitiveStringMultiline", value="a tree"))
    for number in range(size // 2):
        graph[f"t{number + 1}"] = node("StringReplace", string=[f"t{number}", 0], find="a", replace=[f"t{number}", 0])
    graph["positive"]["inputs"]["text"] = [f"t{size // 2}", 0]
    return graph


def savers(size: int) -> Graph:
    """A clip that is saved many times over, each time in another place."""
    graph = wan()
    for number in range(size // 2):
        graph[f"c{number}"] = node("CreateVideo", images=["decode", 0], fps=16.0)
        graph[f"s{number}"] = {**graph["save"], "inputs": {**graph["save"]["inputs"], "video": [f"c{number}", 0]}}
    return graph


SHAPES: dict[str, tuple[Callable[[int], Graph], Role]] = {
    "samplers": (samplers, Role.SEED),
    "pictures": (pictures, Role.REFERENCE),
    "texts": (texts, Role.PROMPT),
    "sizes": (sizes, Role.WIDTH),
    "copies": (copies, Role.FRAMES),
    "templates": (templates, Role.PROMPT),
    "savers": (savers, Role.SEED),
}


@pytest.mark.parametrize("case", SHAPES)
def test_roles_of_large_graphs(case: str) -> None:
    make, role = SHAPES[case]
    schemas = read_schemas()
    table = find_roles(make(60), schemas)
    assert role in table.findings or role in table.ambiguous
    # Each text is followed back through 64 others, at most.
    size = 1_000 if case == "texts" else 4_000
    assert_grows_linearly(lambda graph: find_roles(graph, schemas), make, size)
