"""The estimate of CLIP's tokens, against the tokenizer that ComfyUI uses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from custom_nodes.videogen.core.prompts.compile import compile_prompt
from custom_nodes.videogen.core.prompts.tokens import count_tokens, token_room
from custom_nodes.videogen.core.segment.plan import plan_segment
from custom_nodes.videogen.media.profiles.library import shipped_profiles
from custom_nodes.videogen.media.story_file import load_story
from tests.support.needs import require_comfy

STORY = load_story(Path(__file__).resolve().parents[2] / "stories" / "apple_tree.json")
PROMPTS = [plan_segment(STORY, segment.number).prompt for segment in STORY.segments]
TEXTS = [
    *PROMPTS,
    *(segment.prompt for segment in STORY.segments),
    "Ein alter Mann gräbt ein Loch für den jungen Apfelbaum, während die Sonne über dem Feld aufgeht und die Vögel singen",
    "Une vieille dame à la crêperie prépare des galettes près de la fenêtre, lumière douce, très détaillé, élégant",
    "Photo, 35 mm, f/1.8, ISO 400, 16:9, --no text; (soft light:1.2), [deep shadows], #filmlook @home, 50% gray & white!",
    "苹果树下的老人在田野里挖坑，清晨的阳光照在他的脸上，背景是远山和薄雾，写实电影风格",
    "Extraordinarily photorealistic cinematographic anamorphic bokeh, chiaroscuro, volumetric godrays, hyperdetailed textures",
]


@pytest.fixture(scope="module")
def count_real() -> object:
    require_comfy()
    from comfy.sd1_clip import SDTokenizer

    tokenizer = SDTokenizer()

    def count(text: str) -> int:
        return len(tokenizer.tokenizer(text)["input_ids"]) - 2

    return count


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_what_fits_by_the_estimate_fits(text: str, count_real) -> None:
    plain = re.sub(r":[0-9.]+\)", ")", text).replace("(", "").replace(")", "")
    real = count_real(plain)
    # With the margin of `token_room`, as a prompt of this length is given.
    assert real <= count_tokens(text) * 13 / 12 + 1
    assert count_tokens(text) <= 2.2 * real


@pytest.mark.parametrize("number", [segment.number for segment in STORY.segments])
def test_the_shipped_storys_prompts_stay_within_clips_tokens(number: int, count_real) -> None:
    profile = next(profile for profile in shipped_profiles() if profile.name == "sdxl")
    compiled = compile_prompt(STORY, number, profile)
    assert count_real(compiled.text) <= 75
    assert compiled.negative is not None
    assert count_real(compiled.negative) <= 75
    assert any("cut from" in note for note in compiled.notes)
    # The limit is made use of.
    assert count_real(compiled.text) >= 50


def test_the_room_is_less_than_the_limit() -> None:
    assert token_room(77) == 69
