"""Real AI footage: the animated images that come with ComfyUI's workflow templates, and what is to be seen in them.

They are read where the packages have put them; their license is their own, and none of them is in this repository.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from custom_nodes.videogen.media.foreign.pictures import count_frames, open_picture

PACKAGES = tuple(f"comfyui_workflow_templates_media_{kind}" for kind in ("video", "image", "other", "api"))
#: Fewer frames than this are a wipe between two images, not a clip.
_MIN_FRAMES = 16
#: Evenly spaced frames of each clip that are measured.
SAMPLES = 5

#: Kind of subject → names of the clips' files; classified by eye, before anything was measured.
KINDS = {
    "person": """hunyuan_video_text_to_video-1 ltxv_text_to_video-1 video_humo-1 video_wan2.1_alpha_t2v_14B-1
        video_wan2.1_fun_camera_v1.1_14B-1 video_wan2_2_14B_flf2v-1 video_wan2_2_14B_s2v-1 video_wan2_2_14B_t2v-1
        video_wan2_2_5B_fun_control-1 video_wan2_2_5B_ti2v-1 video_wan_vace_14B_v2v-1 video_wan_vace_14B_v2v-2
        video_wan_vace_flf2v-1 video_wan_vace_outpainting-1 video_wan_vace_outpainting-2 wan2.1_fun_control-1
        wan2.1_fun_control-2 wan2.1_fun_inp-1 api_bytedance_flf2v-1 api_bytedance_image_to_video-1
        api_bytedance_text_to_video-1 api_hailuo_minimax_i2v-1 api_hailuo_minimax_t2v-1 api_kling_flf-1
        api_ltxv_image_to_video-1 api_luma_t2v-1 api_moonvalley_image_to_video-1
        api_moonvalley_video_to_video_pose_control-2 api_pika_i2v-1 api_pixverse_i2v-1
        api_runway_gen3a_turbo_image_to_video-1 api_runway_gen4_turo_image_to_video-1 api_topaz_video_enhance-1
        api_topaz_video_enhance-2 api_veo3-1 api_vidu_reference_to_video-1 api_vidu_start_end_to_video-1
        api_vidu_text_to_video-1 api_wan_text_to_video-1""",
    "figure": """03_video_wan2_2_14B_i2v_subgraphed-1 image_to_video_wan-1 video_hunyuan_video_1.5_720p_i2v-1
        video_wan2_2_14B_animate-1 video_wan2_2_14B_fun_control-1 video_wan2_2_14B_fun_inpaint-1 video_wan2_2_14B_i2v-1
        video_wan_ati-1 video_wan_vace_14B_ref2v-1 video_wan_vace_inpainting-1 video_wan_vace_inpainting-2
        04_hunyuan_3d_2.1_subgraphed-1 3d_hunyuan3d-v2.1-1 3d_hunyuan3d_multiview_to_model-1
        3d_hunyuan3d_multiview_to_model_turbo-1 api_hailuo_minimax_video-1 api_kling_i2v-1
        api_moonvalley_video_to_video_pose_control-1 api_pika_scene-1 api_pixverse_t2v-1 api_pixverse_template_i2v-1
        api_rodin_gen2-1 api_rodin_image_to_model-1 api_rodin_multiview_to_model-1 api_runway_first_last_frame-1
        api_tripo_image_to_model-1 api_tripo_multiview_to_model-1 api_tripo_text_to_model-1 api_veo2_i2v-1""",
    "animal": """ltxv_image_to_video-1 text_to_video_wan-1 api_moonvalley_text_to_video-1
        api_moonvalley_video_to_video_motion_transfer-1 api_moonvalley_video_to_video_motion_transfer-2
        api_openai_sora_video-1 api_vidu_image_to_video-1""",
    "thing": """video_hunyuan_video_1.5_720p_t2v-1 video_wan2_2_5B_fun_inpaint-1 video_wan_vace_14B_t2v-1
        3d_hunyuan3d_image_to_model-1 wan2.1_flf2v_720_f16-1 api_kling_effects-1 api_luma_i2v-1""",
    "place": """image_to_video-1 mochi_text_to_video_example-1 txt_to_image_to_video-1
        video_wan2.1_fun_camera_v1.1_1.3B-1 video_wan2_2_14B_fun_camera-1 api_ltxv_text_to_video-1
        api_wan_image_to_video-1""",
}
#: Clips whose subject becomes something else, as it is meant to, or leaves the frame: it is not the same throughout.
TURNING = frozenset(
    (
        "hunyuan_video_text_to_video-1",
        "video_wan2_2_14B_flf2v-1",
        "video_wan2_2_5B_fun_inpaint-1",
        "wan2.1_flf2v_720_f16-1",
        "api_kling_effects-1",
        "api_pika_scene-1",
        "api_pixverse_template_i2v-1",
        "api_vidu_reference_to_video-1",
        "api_vidu_start_end_to_video-1",
        "api_wan_image_to_video-1",
    )
)
#: Two clips of one subject: no pair of different ones.
SAME_SUBJECT = (
    frozenset({"api_topaz_video_enhance-1", "api_topaz_video_enhance-2"}),
    frozenset({"video_wan_vace_inpainting-1", "video_wan_vace_inpainting-2"}),
    frozenset({"video_wan_vace_outpainting-1", "video_wan_vace_outpainting-2"}),
)
#: Samples of one clip that are at least half of it apart.
FAR_APART = ((0, 2), (0, 3), (0, 4), (1, 3), (1, 4), (2, 4))
#: Samples of two clips that are compared with each other.
ACROSS = ((0, 4), (4, 0), (2, 2), (0, 2))

#: The ellipse that is cut out as a clip's subject, in a square of this side.
_CUT_SIDE = 256
_CUT = ((128, 140), (70, 112))


@dataclass(frozen=True)
class Clip:
    """A clip: what it shows, in which half it is, and some frames of it, uint8 (height, width, 3)."""

    name: str
    kind: str
    half: str
    frames: tuple[np.ndarray, ...]


#: A clip's name and the number of a sample.
Sample = tuple[str, int]


def read_clips(half: str = "") -> list[Clip]:
    """All clips that are installed, or those of one half; without those that turn into something else."""
    kinds = {name: kind for kind, names in KINDS.items() for name in names.split()}
    return [
        Clip(path.stem, kinds[path.stem], half_of(path.stem), _read_samples(path))
        for path in find_clips()
        if path.stem in kinds and path.stem not in TURNING and half in ("", half_of(path.stem))
    ]


def find_clips() -> Iterator[Path]:
    """The animated images of the packages that are installed."""
    for package in PACKAGES:
        found = importlib.util.find_spec(package)
        for folder in (found.submodule_search_locations or ()) if found else ():
            for path in sorted(Path(folder).rglob("*.webp")):
                with open_picture(path) as image:
                    if count_frames(image) >= _MIN_FRAMES:
                        yield path


def half_of(name: str) -> str:
    """``calibration`` or ``test``: by the first byte of the SHA-256 of the file's name without its ending, even or odd."""
    return "calibration" if hashlib.sha256(name.encode()).digest()[0] % 2 == 0 else "test"


def same_pairs(clips: Sequence[Clip]) -> list[tuple[Sample, Sample]]:
    """The same subject, far apart."""
    return [((clip.name, first), (clip.name, second)) for clip in clips for first, second in FAR_APART]


def other_pairs(clips: Sequence[Clip]) -> list[tuple[Sample, Sample]]:
    """Two subjects of the same kind."""
    return [
        ((one.name, first), (other.name, second))
        for number, one in enumerate(clips)
        for other in clips[number + 1 :]
        if one.kind == other.kind and frozenset({one.name, other.name}) not in SAME_SUBJECT
        for first, second in ACROSS
    ]


def swapped_pairs(clips: Sequence[Clip]) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(a frame, its later subject on another clip's background, another clip's subject on its own background).

    The subject is an ellipse in the middle with a soft edge: there are no masks for these clips. Three others for each clip.
    """
    mask: np.ndarray = np.zeros((_CUT_SIDE, _CUT_SIDE), np.float32)
    cv2.ellipse(mask, *_CUT, 0, 0, 360, 1.0, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), 4)[..., None]
    result = []
    with_subject = [clip for clip in clips if clip.kind != "place"]
    for number, clip in enumerate(with_subject):
        others = [
            one
            for one in with_subject
            if one is not clip and one.kind == clip.kind and frozenset({one.name, clip.name}) not in SAME_SUBJECT
        ]
        early, late = _square(clip.frames[0]), _square(clip.frames[-1])
        for index in np.random.default_rng(number).permutation(len(others))[:3]:
            stranger = _square(others[index].frames[2])
            result.append((early, _join(late, stranger, mask), _join(stranger, late, mask)))
    return result


def _read_samples(path: Path) -> tuple[np.ndarray, ...]:
    frames = []
    with open_picture(path) as image:
        count = count_frames(image)
        wanted = {round(index * (count - 1) / (SAMPLES - 1)) for index in range(SAMPLES)}
        for number in range(count):  # in order: each frame is a difference to those before it
            image.seek(number)
            if number in wanted:
                frames.append(np.asarray(image.convert("RGB")))
    return tuple(frames)


def _square(frame: np.ndarray) -> np.ndarray:
    return cv2.resize(frame, (_CUT_SIDE, _CUT_SIDE), interpolation=cv2.INTER_AREA)


def _join(subject: np.ndarray, background: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return np.rint(subject * mask + background * (1 - mask)).astype(np.uint8)
