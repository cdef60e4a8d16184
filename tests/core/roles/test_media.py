"""Pictures, videos and sound: what each is to the clip, and which texts are prompts."""

from __future__ import annotations

from typing import Any

import pytest

from custom_nodes.videogen.core.roles.finder import find_roles
from custom_nodes.videogen.core.roles.table import Role, RoleTable
from tests.support.graphs.video_models import node, read_schemas, wan


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    return read_schemas()


def named(table: RoleTable, role: Role) -> list[str]:
    return [f"{place.node}.{place.input}{' free' if place.free else ''}" for place in table.places(role)]


def partner(kind: str, **inputs: Any) -> dict[str, Any]:
    return {
        "save": node("SaveVideo", filename_prefix="a", format="auto", video=["model", 0]),
        "model": node(kind, **inputs),
    }


@pytest.mark.parametrize(("denoise", "role"), [(1.0, Role.REFERENCE), (0.6, Role.FIRST_FRAME)])
def test_a_latent_that_is_full_of_noise_only_gives_its_size(
    schemas: dict[str, Any], denoise: float, role: Role
) -> None:
    graph = wan(
        photo=node("LoadImage", image="photo.png"),
        latent=node("VAEEncode", pixels=["photo", 0], vae=["vae", 0]),
        edit=node(
            "TextEncodeQwenImageEditPlus", clip=["clip", 0], vae=["vae", 0], image1=["photo", 0], prompt="a tree"
        ),
        low=node(
            "KSampler",
            seed=1,
            denoise=denoise,
            model=["model", 0],
            positive=["edit", 0],
            negative=["negative", 0],
            latent_image=["latent", 0],
        ),
    )
    assert {one: named(find_roles(graph, schemas), one) for one in (Role.FIRST_FRAME, Role.REFERENCE)} == {
        Role.FIRST_FRAME: [],
        Role.REFERENCE: [],
        role: ["photo.image"],
    }


def test_a_pose_that_is_drawn_comes_from_its_video(schemas: dict[str, Any]) -> None:
    graph = wan(
        file=node("LoadVideo", file="walk.mp4"),
        parts=node("GetVideoComponents", video=["file", 0]),
        poses=node("SDPoseKeypointExtractor", model=["model", 0], vae=["vae", 0], image=["parts", 0]),
        drawn=node("SDPoseDrawKeypoints", keypoints=["poses", 0]),
        latent=node("WanVaceToVideo", width=640, height=480, length=81, control_video=["drawn", 0]),
    )
    assert named(find_roles(graph, schemas), Role.INPUT_VIDEO) == ["file.file"]


def test_what_a_node_that_the_server_lacks_takes_by_name(schemas: dict[str, Any]) -> None:
    graph = wan(
        file=node("LoadVideo", file="walk.mp4"),
        parts=node("GetVideoComponents", video=["file", 0]),
        control=node("SomebodysControl", model=["unet", 0], control_video=["parts", 0]),
        unet=node("UNETLoader", unet_name="a", weight_dtype="default"),
        model=node("ModelSamplingSD3", model=["control", 0], shift=5.0),
    )
    table = find_roles(graph, schemas)
    assert named(table, Role.INPUT_VIDEO) == ["file.file"]
    assert table.notes == ["the server does not have SomebodysControl: what they take is not known"]


def test_a_choice_that_the_server_lacks_is_named(schemas: dict[str, Any]) -> None:
    graph = partner(
        "MinimaxHailuo03TextToVideoNode", seed=7, watermark=False, model="MiniMax H9", **{"model.prompt": "a tree"}
    )
    table = find_roles(graph, schemas)
    assert named(table, Role.PROMPT) == ["model.model.prompt"]
    assert len(table.notes) == 1
    assert "does not offer 'MiniMax H9' (node model, model)" in table.notes[0]


def test_keyframes_in_a_row(schemas: dict[str, Any]) -> None:
    def table(count: int) -> RoleTable:
        images = {f"keyframes.image_{number}": [f"i{number}", 0] for number in range(count)}
        graph = partner("Flux3ImageToVideoNode", prompt="a tree", duration="5", seed=1, **images)
        return find_roles({**graph, **{f"i{n}": node("LoadImage", image="a.png") for n in range(count)}}, schemas)

    assert named(table(1), Role.FIRST_FRAME) == ["i0.image"]
    assert named(table(1), Role.LAST_FRAME) == ["model.keyframes.image_1 free"]
    assert (named(table(3), Role.FIRST_FRAME), named(table(3), Role.LAST_FRAME)) == (["i0.image"], ["i2.image"])


def test_what_a_person_says_is_no_prompt(schemas: dict[str, Any]) -> None:
    graph = partner("HeyGenTalkingPhotoNode", speech="script", seed=1, **{"speech.text": "Look at me."})
    assert Role.PROMPT not in find_roles(graph, schemas).findings


def test_a_text_on_both_sides_is_the_negative_where_another_is_on_one(schemas: dict[str, Any]) -> None:
    guider = node(
        "DualCFGGuider", model=["model", 0], cond1=["positive", 0], cond2=["negative", 0], negative=["negative", 0]
    )
    graph = wan(
        guider=guider,
        noise=node("RandomNoise", noise_seed=7),
        low=node("SamplerCustomAdvanced", noise=["noise", 0], guider=["guider", 0], latent_image=["latent", 0]),
    )
    table = find_roles(graph, schemas)
    assert (named(table, Role.PROMPT), named(table, Role.NEGATIVE)) == (["positive.text"], ["negative.text"])


def test_the_text_and_not_the_template_that_it_is_put_into(schemas: dict[str, Any]) -> None:
    graph = wan(
        template=node("PrimitiveStringMultiline", value="A photo of {it}."),
        text=node("PrimitiveStringMultiline", value="a tree"),
        filled=node("StringReplace", string=["template", 0], find="{it}", replace=["text", 0]),
        positive=node("CLIPTextEncode", text=["filled", 0], clip=["clip", 0]),
    )
    assert named(find_roles(graph, schemas), Role.PROMPT) == ["text.value"]


def test_a_looked_up_text_is_not_written(schemas: dict[str, Any]) -> None:
    graph = wan(
        style=node("RegexExtract", string="calm\nwild", regex_pattern=["pattern", 0], mode="First Group"),
        pattern=node("StringReplace", string="(.*)", find="a", replace="b"),
        both=node("StringConcatenate", string_a=["style", 0], string_b=["text", 0], delimiter=" "),
        text=node("PrimitiveStringMultiline", value="a tree"),
        positive=node("CLIPTextEncode", text=["both", 0], clip=["clip", 0]),
    )
    assert named(find_roles(graph, schemas), Role.PROMPT) == ["text.value"]


def test_fields_for_two_encoders_are_one_prompt(schemas: dict[str, Any]) -> None:
    graph = wan(
        positive=node("CLIPTextEncodeFlux", clip=["clip", 0], clip_l="tree", t5xxl="A tall tree.", guidance=3.5)
    )
    assert named(find_roles(graph, schemas), Role.PROMPT) == ["positive.clip_l", "positive.t5xxl"]


def test_partners_that_write_texts_and_speak_for_a_model_have_no_role(schemas: dict[str, Any]) -> None:
    graph = wan(
        writer=node("GeminiNode", prompt="a tree", model="gemini-2.5-pro", seed=3, system_prompt="Write well."),
        positive=node("CLIPTextEncode", text=["writer", 0], clip=["clip", 0]),
        speaker=node("ElevenLabsTextToSpeech", text=["writer", 0], seed=4),
        video=node("CreateVideo", images=["decode", 0], audio=["speaker", 0], fps=16.0),
    )
    table = find_roles(graph, schemas)
    assert {role: named(table, role) for role in (Role.PROMPT, Role.SEED, Role.REFERENCE, Role.INPUT_VIDEO)} == {
        Role.PROMPT: ["writer.prompt"],
        Role.SEED: ["high.noise_seed"],
        Role.REFERENCE: [],
        Role.INPUT_VIDEO: [],
    }
