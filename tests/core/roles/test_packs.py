"""Packs with samplers and types of their own: what they take is found by the same links."""

from __future__ import annotations

from typing import Any

import pytest

from custom_nodes.videogen.core.roles.finder import find_roles
from custom_nodes.videogen.core.roles.table import Role
from tests.support.graphs.video_models import node, read_schemas


def schema(outputs: dict[str, str], **inputs: Any) -> dict[str, Any]:
    required = {name: spec if isinstance(spec, list) else [spec, {}] for name, spec in inputs.items()}
    return {"input": {"required": required}, "output": list(outputs.values()), "output_name": list(outputs)}


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    """Nodes of WanVideoWrapper and of Video Helper Suite, with what matters of their inputs."""
    return {
        **read_schemas(),
        "WanVideoTextEncode": schema(
            {"text_embeds": "WANVIDEOTEXTEMBEDS"},
            positive_prompt="STRING",
            negative_prompt="STRING",
            t5="WANTEXTENCODER",
        ),
        "WanVideoImageToVideoEncode": schema(
            {"image_embeds": "WANVIDIMAGE_EMBEDS"},
            width="INT",
            height="INT",
            num_frames="INT",
            start_image="IMAGE",
            end_image="IMAGE",
        ),
        "WanVideoSampler": schema(
            {"samples": "LATENT", "denoised_samples": "LATENT"},
            model="WANVIDEOMODEL",
            image_embeds="WANVIDIMAGE_EMBEDS",
            text_embeds="WANVIDEOTEXTEMBEDS",
            steps="INT",
            seed="INT",
        ),
        "WanVideoDecode": schema({"images": "IMAGE"}, samples="LATENT"),
        "VHS_VideoCombine": {
            **schema(
                {"Filenames": "VHS_FILENAMES"},
                images="IMAGE",
                frame_rate="FLOAT",
                filename_prefix="STRING",
                format=[["video/h264-mp4"], {}],
                save_output="BOOLEAN",
            ),
            "output_node": True,
        },
    }


def test_a_pack_with_embeds_of_its_own(schemas: dict[str, Any]) -> None:
    graph = {
        "save": node(
            "VHS_VideoCombine",
            images=["decode", 0],
            frame_rate=16,
            filename_prefix="a",
            format="video/h264-mp4",
            save_output=True,
        ),
        "decode": node("WanVideoDecode", samples=["sampler", 0]),
        "sampler": node("WanVideoSampler", image_embeds=["images", 0], text_embeds=["text", 0], steps=20, seed=7),
        "text": node("WanVideoTextEncode", positive_prompt="a tree", negative_prompt="ugly"),
        "images": node(
            "WanVideoImageToVideoEncode",
            width=832,
            height=480,
            num_frames=81,
            start_image=["first", 0],
            end_image=["last", 0],
        ),
        "first": node("LoadImage", image="first.png"),
        "last": node("LoadImage", image="last.png"),
    }
    table = find_roles(graph, schemas)
    assert {role: [f"{place.node}.{place.input}" for place in table.places(role)] for role in table.findings} == {
        Role.PROMPT: ["text.positive_prompt"],
        Role.NEGATIVE: ["text.negative_prompt"],
        Role.SEED: ["sampler.seed"],
        Role.FRAMES: ["images.num_frames"],
        Role.FPS: ["save.frame_rate"],
        Role.WIDTH: ["images.width"],
        Role.HEIGHT: ["images.height"],
        Role.FIRST_FRAME: ["first.image"],
        Role.LAST_FRAME: ["last.image"],
    }
    assert list(table.output) == ["save"]


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        ("SaveWEBM", {"fps": 16.0, "codec": "vp9", "crf": 32.0}),
        ("SaveAnimatedWEBP", {"fps": 16.0, "lossless": True, "quality": 80, "method": "default"}),
        ("SaveImage", {}),
    ],
)
def test_savers_of_images(schemas: dict[str, Any], kind: str, inputs: dict[str, Any]) -> None:
    graph = {
        "save": node(kind, images=["decode", 0], filename_prefix="a", **inputs),
        "decode": node("WanVideoDecode", samples=["sampler", 0]),
        "sampler": node("WanVideoSampler", steps=20, seed=7),
    }
    table = find_roles(graph, schemas)
    assert list(table.output) == ["save"]
    assert [place.input for place in table.places(Role.FPS)] == (["fps"] if "fps" in inputs else [])
