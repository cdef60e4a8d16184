"""Roles in small graphs: one for each way in which a value reaches a model."""

from __future__ import annotations

from typing import Any

import pytest

from custom_nodes.videogen.core.roles.finder import find_roles
from custom_nodes.videogen.core.roles.reader import grown_names
from custom_nodes.videogen.core.roles.table import Role, RoleTable
from tests.support.graphs.video_models import node, read_schemas, sampler, wan


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    return read_schemas()


def named(table: RoleTable, role: Role) -> list[str]:
    return [f"{place.node}.{place.input}" for place in table.places(role)]


def test_a_plain_graph(schemas: dict[str, Any]) -> None:
    table = find_roles(wan(), schemas)
    assert list(table.output) == ["save"]
    assert {role: named(table, role) for role in table.findings} == {
        Role.PROMPT: ["positive.text"],
        Role.NEGATIVE: ["negative.text"],
        Role.SEED: ["high.noise_seed"],
        Role.FRAMES: ["latent.length"],
        Role.FPS: ["video.fps"],
        Role.WIDTH: ["latent.width"],
        Role.HEIGHT: ["latent.height"],
    }
    assert not table.ambiguous
    assert not table.notes


def test_a_value_is_found_where_it_is_written(schemas: dict[str, Any]) -> None:
    graph = wan(
        text=node("PrimitiveStringMultiline", value="a tree"),
        positive=node("CLIPTextEncode", text=["text", 0], clip=["clip", 0]),
        number=node("PrimitiveInt", value=9),
        high=sampler(["latent", 0], add_noise="enable", noise_seed=["number", 0]),
    )
    table = find_roles(graph, schemas)
    assert named(table, Role.PROMPT) == ["text.value"]
    assert named(table, Role.SEED) == ["number.value"]


def test_only_the_side_of_a_switch_that_is_on_counts(schemas: dict[str, Any]) -> None:
    def table(on: Any) -> RoleTable:
        graph = wan(
            one=node("PrimitiveStringMultiline", value="a tree"),
            other=node("PrimitiveStringMultiline", value="a river"),
            on=node("PrimitiveBoolean", value=True),
            switch=node("ComfySwitchNode", switch=on, on_false=["one", 0], on_true=["other", 0]),
            positive=node("CLIPTextEncode", text=["switch", 0], clip=["clip", 0]),
        )
        return find_roles(graph, schemas)

    assert named(table(False), Role.PROMPT) == ["one.value"]
    assert named(table(["on", 0]), Role.PROMPT) == ["other.value"]
    unreadable = table(["decode", 0]).ambiguous[Role.PROMPT]
    assert [str(finding.places[0]) for finding in unreadable] == [
        "one.value (PrimitiveStringMultiline)",
        "other.value (PrimitiveStringMultiline)",
    ]


def test_a_length_that_is_computed_is_set_where_the_model_takes_it(schemas: dict[str, Any]) -> None:
    graph = wan(
        seconds=node("PrimitiveFloat", value=5),
        rate=node("PrimitiveFloat", value=16),
        length=node("ComfyMathExpression", expression="a * b + 1", values__a=["seconds", 0], values__b=["rate", 0]),
        latent=node("EmptyHunyuanLatentVideo", width=640, height=480, length=["length", 1], batch_size=1),
        video=node("CreateVideo", images=["decode", 0], fps=["rate", 0]),
    )
    table = find_roles(graph, schemas)
    assert named(table, Role.FRAMES) == ["latent.length"]
    assert named(table, Role.FPS) == ["rate.value"]
    assert table.places(Role.FRAMES)[0].linked


def test_a_size_that_is_halved_is_set_before_it_is(schemas: dict[str, Any]) -> None:
    graph = wan(
        width=node("PrimitiveInt", value=1280),
        half=node("ComfyMathExpression", expression="a / 2", values__a=["width", 0]),
        latent=node("EmptyHunyuanLatentVideo", width=["half", 1], height=480, length=81, batch_size=1),
    )
    assert named(find_roles(graph, schemas), Role.WIDTH) == ["width.value"]


def test_a_node_that_hands_its_numbers_on(schemas: dict[str, Any]) -> None:
    graph = wan(
        camera=node("WanCameraEmbedding", camera_pose="Static", width=512, height=320, length=81),
        latent=node(
            "WanCameraImageToVideo",
            positive=["positive", 0],
            negative=["negative", 0],
            width=["camera", 1],
            height=["camera", 2],
            length=["camera", 3],
            camera_conditions=["camera", 0],
        ),
        high=sampler(["latent", 2], add_noise="enable", noise_seed=7),
    )
    table = find_roles(graph, schemas)
    assert [named(table, role) for role in (Role.FRAMES, Role.WIDTH)] == [["camera.length"], ["camera.width"]]


def test_a_negative_that_is_the_zeroed_positive_is_none(schemas: dict[str, Any]) -> None:
    graph = wan(negative=node("ConditioningZeroOut", conditioning=["positive", 0]))
    table = find_roles(graph, schemas)
    assert named(table, Role.PROMPT) == ["positive.text"]
    assert Role.NEGATIVE not in table.findings


def test_images_by_what_they_are_to_the_clip(schemas: dict[str, Any]) -> None:
    graph = wan(
        first=node("LoadImage", image="first.png"),
        last=node("LoadImage", image="last.png"),
        smaller=node("ImageScale", image=["first", 0], width=640, height=480, upscale_method="area", crop="center"),
        latent=node(
            "WanFirstLastFrameToVideo",
            positive=["positive", 0],
            negative=["negative", 0],
            vae=["vae", 0],
            width=640,
            height=480,
            length=81,
            start_image=["smaller", 0],
            end_image=["last", 0],
        ),
        high=sampler(["latent", 2], add_noise="enable", noise_seed=7),
    )
    table = find_roles(graph, schemas)
    assert named(table, Role.FIRST_FRAME) == ["first.image"]
    assert named(table, Role.LAST_FRAME) == ["last.image"]


def test_references_have_an_order_and_a_free_place(schemas: dict[str, Any]) -> None:
    graph = wan(
        man=node("LoadImage", image="man.png"),
        tree=node("LoadImage", image="tree.png"),
        latent=node(
            "MiniMaxH3ReferenceToVideo",
            clip=["clip", 0],
            vae=["vae", 0],
            audio_vae=["vae", 0],
            prompt="a man and a tree",
            width=768,
            height=448,
            length=124,
            ref_image_size="match",
            ref_images__ref_image_0=["man", 0],
            ref_images__ref_image_1=["tree", 0],
        ),
        decode=node("VAEDecode", samples=["high", 0], vae=["vae", 0]),
        high=node(
            "KSampler",
            seed=1,
            model=["model", 0],
            positive=["latent", 0],
            negative=["latent", 0],
            latent_image=["latent", 1],
        ),
    )
    table = find_roles(graph, schemas)
    assert named(table, Role.REFERENCE) == ["man.image", "tree.image", "latent.ref_images.ref_image_2"]
    assert [place.free for place in table.places(Role.REFERENCE)] == [False, False, True]
    assert named(table, Role.PROMPT) == ["latent.prompt"]


def test_a_title_decides_only_between_equals(schemas: dict[str, Any]) -> None:
    def graph(title: str) -> dict[str, Any]:
        return wan(
            system={**node("PrimitiveStringMultiline", value="Write well."), "_meta": {"title": "Instructions"}},
            user={**node("PrimitiveStringMultiline", value="a tree"), "_meta": {"title": title}},
            joined=node("StringConcatenate", string_a=["system", 0], string_b=["user", 0], delimiter=" "),
            positive=node("CLIPTextEncode", text=["joined", 0], clip=["clip", 0]),
        )

    assert named(find_roles(graph("Prompt"), schemas), Role.PROMPT) == ["user.value"]
    assert len(find_roles(graph("Text"), schemas).ambiguous[Role.PROMPT]) == 2


def test_a_node_that_the_server_does_not_have_is_named(schemas: dict[str, Any]) -> None:
    graph = wan(model=node("SomebodysLoader", name="a"))
    assert find_roles(graph, schemas).notes == ["the server does not have SomebodysLoader: what they take is not known"]


def test_without_a_saver_there_is_nothing_to_find(schemas: dict[str, Any]) -> None:
    table = find_roles({"1": node("VAELoader", vae_name="a")}, schemas)
    assert (table.findings, table.notes) == ({}, ["no node of it saves a video or images"])


def test_an_input_that_grows_without_end_has_an_end() -> None:
    assert len(grown_names({"template": {"prefix": "a", "max": 10**12}})) == 100
    assert grown_names({"template": {"prefix": "a", "max": 2}}) == ["a0", "a1"]
    assert grown_names({"template": {"names": ["x", "y"]}}) == ["x", "y"]
    for odd in ({}, {"template": 5}, {"template": {"max": "many"}}, {"template": {"names": 5}}):
        assert grown_names(odd) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"switch": node("ComfySwitchNode", switch=["switch", 0], on_false=["on", 0], on_true=["switch", 0])},
        {
            "switch": node("ComfySwitchNode", switch=["other", 0]),
            "other": node("ComfySwitchNode", switch=["switch", 0]),
        },
        {"switch": node("PrimitiveInt", value=["on", -7])},
        {
            "switch": node("GetImageSize", image=["scaled", 0]),
            "scaled": node("ImageScale", image=["scaled", 0], width=[[]]),
        },
        {
            "latent": node(
                "LTXVAddGuide", image=["on", 0], latent=["on", 0], frame_idx={"a": 1}, positive=["positive", 0]
            )
        },
    ],
    ids=["its own switch", "switches in a circle", "output below 0", "images in a circle", "no number"],
)
def test_graphs_that_no_editor_makes(schemas: dict[str, Any], changes: dict[str, Any]) -> None:
    video = node("CreateVideo", images=["decode", 0], fps=["switch", 0])
    latent = node("EmptyHunyuanLatentVideo", width=["switch", 0], height=["switch", -1], length=["switch", 2])
    graph = wan(**{"on": node("PrimitiveBoolean", value=True), "video": video, "latent": latent, **changes})
    assert named(find_roles(graph, schemas), Role.PROMPT) == ["positive.text"]


def test_a_long_row_of_switches_is_given_up(schemas: dict[str, Any]) -> None:
    switches = {
        f"s{number}": node("ComfySwitchNode", switch=[f"s{number + 1}", 0], on_false=["a", 0], on_true=["b", 0])
        for number in range(3_000)
    }
    graph = wan(
        **switches,
        a=node("PrimitiveStringMultiline", value="a tree"),
        b=node("PrimitiveStringMultiline", value="a river"),
        positive=node("CLIPTextEncode", text=["s0", 0], clip=["clip", 0]),
    )
    assert len(find_roles(graph, schemas).ambiguous[Role.PROMPT]) == 2


def test_a_schema_that_no_server_has(schemas: dict[str, Any]) -> None:
    odd = {
        "required": {
            "grown": ["COMFY_AUTOGROW_V3", {"template": 5}],
            "choice": ["COMFY_DYNAMICCOMBO_V3", {"options": [3, {"key": "a", "inputs": 4}]}],
        }
    }
    graph = wan(model=node("UNETLoader", choice="a"))
    table = find_roles(graph, {**schemas, "UNETLoader": {**schemas["UNETLoader"], "input": odd}})
    assert named(table, Role.PROMPT) == ["positive.text"]
