"""The model of each official video template, against a table that was written by looking at each graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.core.model_profiles.recognition import recognize
from custom_nodes.videogen.media.profiles.library import shipped_profiles
from tests.support.graphs.templates import convert_template, find_template_files
from tests.support.graphs.video_models import read_schemas

_MODELS = {
    "h3-ref2va": (
        "fasth3_ominiref_r2v",
        "minimax_h3_fun_controlnet_union",
        "minimax_h3_multiframe_reference",
        "minimax_h3_r2v",
    ),
    "h3-fl2va": (
        "fastvideo_fasth3_i2v",
        "fastvideo_fasth3_t2v",
        "minimax_h3_i2v",
        "minimax_h3_i2v_continuation",
        "minimax_h3_t2v",
    ),
    "hunyuan-video-1.5": (
        "capybara_v0_1_image_to_video",
        "capybara_v0_1_video_edit",
        "hunyuan_video_1.5_720p_i2v",
        "hunyuan_video_1.5_720p_t2v",
    ),
    "kandinsky5": ("kandinsky5_i2v", "kandinsky5_t2v"),
    "ltx-2": (
        *("ltx2_3_flf2v", "ltx2_3_i2v", "ltx2_3_ia2v", "ltx2_3_ic_lora", "ltx2_3_id_lora", "ltx2_3_t2v"),
        *(
            "ltx2_canny_to_video",
            "ltx2_depth_to_video",
            "ltx2_i2v",
            "ltx2_i2v_distilled",
            "ltx2_t2v",
            "ltx2_t2v_distilled",
        ),
    ),
    "ltx-2.5": ("ltx2_5_flf2v", "ltx2_5_i2v", "ltx2_5_t2v"),
    "wan-t2v": ("wan2.1_alpha_t2v_14B", "wan2_2_14B_t2v"),
    "wan-i2v": ("wan2_2_14B_i2v",),
    "wan-flf2v": ("wan2_2_14B_flf2v",),
    "wan-fun-inpaint": ("wan2_2_14B_fun_inpaint", "wan2_2_5B_fun_inpaint"),
    "wan2.2-ti2v-5b": ("wan2_2_5B_ti2v",),
    "wan-vace": (
        *("wan_vace_14B_ref2v", "wan_vace_14B_t2v", "wan_vace_14B_v2v"),
        *("wan_vace_flf2v", "wan_vace_inpainting", "wan_vace_outpainting"),
    ),
    "wan": (
        *("bernini_r_image_editing", "bernini_r_video_editing", "causal_forcing_i2v", "humo"),
        *("wan2.1_fun_camera_v1.1_1.3B", "wan2.1_fun_camera_v1.1_14B"),
        *("wan21_scail2_character_replacement", "wan21_scail2_character_replacement_int8", "wan2_1_infinitetalk"),
        *("wan2_2_14B_fun_camera", "wan2_2_14B_fun_control", "wan2_2_14B_s2v", "wan2_2_5B_fun_control"),
        *("wan_animate2", "wan_animate2_distilled", "wan_ati", "wan_dancer", "wanmove_480p"),
    ),
}
#: Their graph as it is converted for ComfyUI 0.33 has no link to the node that saves.
_BROKEN = {"video_ltx2_i2v_lora"}
_TEMPLATES = {f"video_{name}": model for model, names in _MODELS.items() for name in names}


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    return read_schemas()


@pytest.fixture(scope="module")
def files() -> dict[str, Path]:
    return find_template_files()


@pytest.mark.parametrize("name", _TEMPLATES)
def test_the_model_is_the_one_that_a_person_finds(name: str, files: dict[str, Path], schemas: dict[str, Any]) -> None:
    found = recognize(convert_template(files[name], schemas), schemas, shipped_profiles())
    assert found is not None
    assert found.profile.name == _TEMPLATES[name], found.how


def test_no_video_template_is_left_out(files: dict[str, Path]) -> None:
    assert {name for name in files if name.startswith("video_")} - _BROKEN == set(_TEMPLATES)
