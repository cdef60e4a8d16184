"""Seeds, frames, seconds, frames a second and sizes: one small graph for each way in which a number reaches a model."""

from __future__ import annotations

from typing import Any

import pytest

from custom_nodes.videogen.core.roles.finder import find_roles
from custom_nodes.videogen.core.roles.table import Role, RoleTable
from tests.support.graphs.video_models import node, read_schemas, sampler, wan


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    return read_schemas()


def named(table: RoleTable, role: Role) -> list[str]:
    return [f"{place.node}.{place.input}" for place in table.places(role)]


@pytest.mark.parametrize(
    ("name", "seeds"), [("euler", ["high"]), ("euler_ancestral", ["low", "high"]), ("lcm", ["low", "high"])]
)
def test_a_seed_counts_where_it_makes_noise(schemas: dict[str, Any], name: str, seeds: list[str]) -> None:
    low = sampler(["high", 0], add_noise="disable", noise_seed=0, sampler_name=name)
    assert named(find_roles(wan(low=low), schemas), Role.SEED) == [f"{seed}.noise_seed" for seed in seeds]


def lengths(expression: str, seconds: float = 5) -> dict[str, Any]:
    """A number of frames that is computed of seconds and a rate, and used twice."""
    return wan(
        seconds=node("PrimitiveFloat", value=seconds),
        rate=node("PrimitiveFloat", value=24),
        length=node("ComfyMathExpression", expression=expression, values__a=["seconds", 0], values__b=["rate", 0]),
        latent=node("EmptyHunyuanLatentVideo", width=640, height=480, length=["length", 1], batch_size=1),
        mask=node("SolidMask", value=1.0, width=640, height=480),
        masks=node("RepeatImageBatch", image=["picture", 0], amount=["length", 1]),
        picture=node("MaskToImage", mask=["mask", 0]),
        image=node("ImageBatch", image1=["decode", 0], image2=["masks", 0]),
        video=node("CreateVideo", images=["image", 0], fps=["rate", 0]),
    )


def test_computed_frames_are_set_wherever_they_go_and_the_seconds_named(schemas: dict[str, Any]) -> None:
    table = find_roles(lengths("a * b + 1"), schemas)
    assert sorted(named(table, Role.FRAMES)) == ["latent.length", "masks.amount"]
    assert named(table, Role.DURATION) == ["seconds.value"]
    assert named(table, Role.FPS) == ["rate.value"]


@pytest.mark.parametrize("expression", ["a + b - b", "(a - 1) * 4 + 1", "2 ** a + b"])
def test_frames_of_frames_are_no_seconds(schemas: dict[str, Any], expression: str) -> None:
    assert named(find_roles(lengths(expression, seconds=21), schemas), Role.DURATION) == []


def from_video(**changes: dict[str, Any]) -> dict[str, Any]:
    """A video that a model follows frame by frame, cut and scaled before it is measured."""
    return wan(
        **{
            "file": node("LoadVideo", file="walk.mp4"),
            "parts": node("GetVideoComponents", video=["file", 0]),
            "cut": node("ImageFromBatch", image=["parts", 0], batch_index=0, length=77),
            "scaled": node("ImageScale", image=["cut", 0], width=832, height=480, upscale_method="area", crop="center"),
            "half": node("ImageScaleBy", image=["scaled", 0], upscale_method="area", scale_by=0.5),
            "edges": node("Canny", image=["half", 0], low_threshold=0.4, high_threshold=0.8),
            "size": node("GetImageSize", image=["edges", 0]),
            "latent": node(
                "Wan22FunControlToVideo",
                positive=["positive", 0],
                negative=["negative", 0],
                vae=["vae", 0],
                width=["size", 0],
                height=["size", 1],
                length=["size", 2],
                control_video=["edges", 0],
            ),
            "high": sampler(["latent", 2], add_noise="enable", noise_seed=7),
            "video": node("CreateVideo", images=["decode", 0], fps=["parts", 2]),
            **changes,
        }
    )


def test_what_is_measured_is_set_where_the_images_are_made(schemas: dict[str, Any]) -> None:
    table = find_roles(from_video(), schemas)
    assert named(table, Role.WIDTH) == ["scaled.width"]
    assert named(table, Role.HEIGHT) == ["scaled.height"]
    assert named(table, Role.FRAMES) == ["cut.length"]


def test_what_nothing_decides_is_set_where_the_model_takes_it(schemas: dict[str, Any]) -> None:
    total = node("ImageScaleToTotalPixels", image=["parts", 0], upscale_method="area", megapixels=0.4)
    table = find_roles(from_video(scaled=total), schemas)
    assert [named(table, role) for role in (Role.WIDTH, Role.HEIGHT, Role.FRAMES)] == [
        ["latent.width"],
        ["latent.height"],
        ["latent.length"],
    ]


def test_the_rate_of_the_input_video_stays(schemas: dict[str, Any]) -> None:
    table = find_roles(from_video(), schemas)
    assert Role.FPS not in table.findings
    assert table.notes == ["the clip has the frames a second of the input video"]


@pytest.mark.parametrize(("seconds", "found"), [(5.0, ["slice.duration"]), (0, [])])
def test_a_cut_of_the_input_is_the_duration(schemas: dict[str, Any], seconds: float, found: list[str]) -> None:
    cut = node("Video Slice", video=["file", 0], start_time=0, duration=seconds, strict_duration=False)
    table = find_roles(from_video(slice=cut, parts=node("GetVideoComponents", video=["slice", 0])), schemas)
    assert named(table, Role.DURATION) == found


def test_what_is_made_for_as_many_frames_is_set_with_them(schemas: dict[str, Any]) -> None:
    def table(length: int) -> RoleTable:
        model = dict(from_video()["latent"])
        model["inputs"] = {**model["inputs"], "length": 77}
        cut = node("ImageFromBatch", image=["parts", 0], batch_index=0, length=length)
        return find_roles(from_video(latent=model, cut=cut), schemas)

    assert sorted(named(table(77), Role.FRAMES)) == ["cut.length", "latent.length"]
    assert named(table(200), Role.FRAMES) == ["latent.length"]


def test_seconds_that_are_multiplied_by_the_rate_of_a_video(schemas: dict[str, Any]) -> None:
    graph = from_video(
        seconds=node("PrimitiveInt", value=5),
        count=node("ComfyMathExpression", expression="a * b", values__a=["seconds", 0], values__b=["parts", 2]),
        cut=node("ImageFromBatch", image=["parts", 0], batch_index=0, length=["count", 1]),
        sound=node("TrimAudioDuration", audio=["parts", 1], start_index=0, duration=["count", 0]),
        video=node("CreateVideo", images=["decode", 0], audio=["sound", 0], fps=["parts", 2]),
    )
    table = find_roles(graph, schemas)
    assert (named(table, Role.FRAMES), named(table, Role.DURATION)) == (["cut.length"], ["seconds.value"])
