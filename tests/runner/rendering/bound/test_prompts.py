"""Texts for workflows without our nodes, in the form of the workflow's model."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.runner.rendering.bound.conftest import FILM, MakeBound
from tests.runner.rendering.bound.test_bind import references
from tests.support.graphs.plain import image_graph
from tests.support.graphs.video_models import node, wan


def told(**segment: Any) -> dict[str, Any]:
    """The film with a style, and more in its first segment."""
    film = copy.deepcopy(FILM)
    film["style"] = {"prefix": "35 mm film", "negative": "text"}
    film["segments"][0].update(segment)
    return film


def h3(**latent: Any) -> dict[str, Any]:
    """A graph of MiniMax H3 with first and last frame."""
    return {
        "save": node("SaveVideo", filename_prefix="a", format="auto", video=["video", 0]),
        "video": node("CreateVideo", images=["decode", 0], fps=24.0),
        "decode": node("VAEDecode", samples=["sampler", 0], vae=["vae", 0]),
        "sampler": node(
            "KSampler",
            model=["model", 0],
            positive=["h3", 0],
            negative=["h3", 0],
            latent_image=["h3", 1],
            seed=1,
            steps=8,
        ),
        "h3": node(
            "MiniMaxH3ImageToVideo",
            clip=["clip", 0],
            vae=["vae", 0],
            prompt="a tree",
            width=1344,
            height=768,
            length=124,
            **latent,
        ),
        "clip": node("CLIPLoader", clip_name="qwen.safetensors", type="minimax"),
        "vae": node("VAELoader", vae_name="h3.safetensors"),
        "model": node("UNETLoader", unet_name="h3.safetensors", weight_dtype="default"),
    }


def test_wan_gets_cast_action_and_style_in_its_order(make_bound: MakeBound) -> None:
    graph = make_bound(wan(), told(technical="Slow pan to the left")).make(1).graph
    assert graph["positive"]["inputs"]["text"] == (
        "a man in a blue shirt. a field. The camera pans left slowly. Medium shot, 35 mm film."
    )
    assert graph["negative"]["inputs"]["text"] == "text"


def test_h3_speaks_and_knows_where_its_first_frame_is(make_bound: MakeBound) -> None:
    maker = make_bound(h3(), told(narration="It was early."))
    first, third = (maker.make(number, first_frame="last.png").graph["h3"]["inputs"]["prompt"] for number in (1, 3))
    assert first.startswith("integrated_multimodal_description: [Shot 1] 35 mm film. a man in a blue shirt. a field.")
    assert "An unseen narrator (S1) says, <d>It was early.</d>" in first
    assert third.startswith("For the target video, at 0.00 seconds into the target video, <Picture 1> (from [Shot 1])")
    assert "Nobody speaks" in third


def test_h3_knows_the_pictures_that_its_workflow_has(make_bound: MakeBound) -> None:
    """They are labeled before the prompt, and a picture that the prompt does not place is one without a time."""
    own = {"own": node("LoadImage", image="own.png"), "end": node("LoadImage", image="end.png")}
    begins = make_bound(h3(first_frame=["own", 0]) | own)
    prompts = [begins.make(number, first_frame="last.png").graph["h3"]["inputs"]["prompt"] for number in (1, 3)]
    at_start = "For the target video, at 0.00 seconds into the target video, <Picture 1> (from [Shot 1])"
    assert [prompt.startswith(at_start) for prompt in prompts] == [True, True]
    kept = make_bound(h3(first_frame=["own", 0]) | own, bindings=["first_frame=keep"])
    assert kept.make(3).graph["h3"]["inputs"]["prompt"].startswith(at_start)
    ends = make_bound(h3(last_frame=["end", 0]) | own)
    first, third = (ends.make(number, first_frame="last.png").graph["h3"]["inputs"] for number in (1, 3))
    assert "<Picture 1> (from [Shot 1]) aligns with the 8.00-second mark" in first["prompt"]
    assert "Picture 1 (from Shot 1) aligns with the 0.00-second mark" in third["prompt"]
    assert "Picture 2 (from Shot 1) aligns with the 3.04-second mark" in third["prompt"], "73 frames at 24 a second"
    assert first["last_frame"] == third["last_frame"] == ["end", 0]


def test_the_pictures_of_h3_are_numbered_as_they_are_loaded(make_bound: MakeBound, tmp_path: Path) -> None:
    for name in ("ben.png", "field.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    film = told() | {
        "locations": {"field": {"description": "a wide field", "reference": "field.png", "segments": "1-2"}}
    }
    maker = make_bound(references(2), film, folder=tmp_path)
    prompts = [maker.make(number).graph["h3"]["inputs"]["prompt"] for number in (1, 2, 3)]
    assert "<Subject 1> is the man in a blue shirt in <Picture 1>" in prompts[0]
    assert "<Subject 2> is the wide field in <Picture 2>" in prompts[0]
    assert "<Subject 1> is the wide field in <Picture 1>" in prompts[1]
    assert "ben" not in prompts[1]
    assert "<Subject 1> is the man in a blue shirt in <Picture 1>" in prompts[2]


def test_an_input_that_the_user_has_named_gets_what_one_that_was_found_gets(make_bound: MakeBound) -> None:
    found, named = (
        make_bound(wan(), told(), bindings=names).make(1).graph for names in ((), ("prompt=positive.text",))
    )
    assert named["positive"]["inputs"]["text"] == found["positive"]["inputs"]["text"]
    assert found["positive"]["inputs"]["text"] != "35 mm film. a man in a blue shirt. a field.", "in Wan's own form"


def test_an_input_that_the_user_has_named_for_images_gets_the_text_as_the_story_composes_it(
    make_bound: MakeBound,
) -> None:
    """As it did before models had forms of their own."""
    graph = image_graph() | {"4": node("CheckpointLoaderSimple", ckpt_name="sd_xl_base_1.0.safetensors")}
    maker = make_bound(graph, told(), bindings=["prompt=6.text"])
    assert maker.roles.recognized is not None
    assert maker.make(1).graph["6"]["inputs"]["text"] == "35 mm film. a man in a blue shirt. a field."


def test_an_unknown_model_gets_the_text_as_the_story_composes_it(make_bound: MakeBound) -> None:
    graph = make_bound(wan(), told(), profiles=()).make(1).graph
    assert graph["positive"]["inputs"]["text"] == "35 mm film. a man in a blue shirt. a field."


@pytest.mark.parametrize("name", ["narration", "dialogue"])
def test_what_is_spoken_counts_in_the_key_where_the_model_speaks(make_bound: MakeBound, name: str) -> None:
    spoken = {"narration": "It was early.", "dialogue": [{"character": "ben", "line": "Well."}]}[name]
    assert make_bound(h3(), told()).key(1) != make_bound(h3(), told(**{name: spoken})).key(1)
    assert make_bound(wan(), told()).key(1) == make_bound(wan(), told(**{name: spoken})).key(1)
