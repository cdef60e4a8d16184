"""Which of several saving nodes saves the clip."""

from __future__ import annotations

from typing import Any

import pytest

from custom_nodes.videogen.core.roles.finder import find_roles
from tests.support.graphs.video_models import node, read_schemas, wan


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    return read_schemas()


def saver(video: str, output: int = 0) -> dict[str, Any]:
    return node("SaveVideo", filename_prefix="a", format="auto", video=[video, output])


def video(images: str) -> dict[str, Any]:
    return node("CreateVideo", images=[images, 0], fps=16.0)


def test_what_has_more_of_the_same_making_is_the_clip(schemas: dict[str, Any]) -> None:
    graph = wan(
        second=node("VAEDecode", samples=["high", 0], vae=["vae", 0]),
        both=node("BatchImagesNode", images__image0=["decode", 0], images__image1=["second", 0]),
        whole=video("both"),
        all=saver("whole"),
    )
    assert find_roles(graph, schemas).output == ["all"]


def test_the_clip_beside_its_source_is_not_the_clip(schemas: dict[str, Any]) -> None:
    graph = wan(
        file=node("LoadVideo", file="walk.mp4"),
        parts=node("GetVideoComponents", video=["file", 0]),
        made=node("GetVideoComponents", video=["save", 0]),
        beside=node("ImageStitch", image1=["made", 0], image2=["parts", 0], direction="right"),
        comparison=video("beside"),
        compare=saver("comparison"),
    )
    assert find_roles(graph, schemas).output == ["save"]


def test_the_matte_of_a_clip_is_not_the_clip(schemas: dict[str, Any]) -> None:
    graph = {
        "file": node("LoadVideo", file="walk.mp4"),
        "edit": node("BeebleSwitchXVideoEdit", video=["file", 0], prompt="a tree", alpha_mode="auto", seed=1),
        "matte": saver("edit", 1),
        "clip": saver("edit"),
    }
    assert find_roles(graph, schemas).output == ["clip"]


def test_two_clips_are_asked_for(schemas: dict[str, Any]) -> None:
    graph = wan(
        other=node("VAEDecode", samples=["latent", 0], vae=["vae", 0]), second=video("other"), more=saver("second")
    )
    assert find_roles(graph, schemas).output == ["save", "more"]


@pytest.mark.parametrize("count", [9, 60])
def test_many_savers_are_not_compared(schemas: dict[str, Any], count: int) -> None:
    graph = wan(**{f"s{number}": saver("video") for number in range(count)})
    assert len(find_roles(graph, schemas).output) == count + 1


def test_what_is_only_shown_counts_where_nothing_is_saved(schemas: dict[str, Any]) -> None:
    graph = wan(save=node("PreviewImage", images=["decode", 0]))
    assert find_roles(graph, schemas).output == ["save"]
    graph["sound"] = node("SaveAudioMP3", audio=["decode", 0], filename_prefix="a", quality="V0")
    assert find_roles(graph, schemas).output == []
