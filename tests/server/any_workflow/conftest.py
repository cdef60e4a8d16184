"""A ComfyUI that has video models with random weights, under the names that the official templates have for them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from custom_nodes.videogen.core.errors import VideoGenError
from tests.support.models.module_weights import build_in_process
from tests.support.models.tiny_wan import NODE_PACK, write_lora, write_model
from tests.support.needs import skip_or_fail
from tests.support.servers.comfy import ComfyServer, running_server

MODELS = {
    "wan2.1_t2v_1.3B_fp16.safetensors": "t2v",
    "wan2.1_i2v_480p_14B_fp16.safetensors": "i2v",
    "wan2.1_flf2v_720p_14B_fp16.safetensors": "flf2v",
    "wan2.2_i2v_high_noise_14B_fp8_scaled.safetensors": "i2v 2.2",
    "wan2.2_i2v_low_noise_14B_fp8_scaled.safetensors": "i2v 2.2",
    "wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors": "t2v",
    "wan2.2_t2v_low_noise_14B_fp8_scaled.safetensors": "t2v",
    "wan2.1_vace_14B_fp16.safetensors": "vace",
    "wan_2.1_vae.safetensors": "vae",
    "umt5_xxl_fp8_e4m3fn_scaled.safetensors": "text",
    "umt5_xxl_fp16.safetensors": "text",
    "clip_vision_h.safetensors": "vision",
}
#: A model of videos whose frames carry numbers.
NUMBERED_FRAMES = Path(__file__).parents[2] / "support" / "models" / "numbered_frames_node"
LORAS = (
    "Wan21_CausVid_14B_T2V_lora_rank32.safetensors",
    "rain.safetensors",
    "wan2.2_i2v_lightx2v_4steps_lora_v1_high_noise.safetensors",
    "wan2.2_i2v_lightx2v_4steps_lora_v1_low_noise.safetensors",
    "wan2.2_t2v_lightx2v_4steps_lora_v1.1_high_noise.safetensors",
    "wan2.2_t2v_lightx2v_4steps_lora_v1.1_low_noise.safetensors",
)
#: The pictures that the templates begin from; what they show as a reference is replaced by the story's.
PICTURES = (
    "image_to_video_wan_start_image.png",
    "wan2.1_flf2v_720_f16_start_image.png",
    "wan2.1_flf2v_720_f16_end_image.png",
    "video_wan2_2_14B_flf2v_start_image.png",
    "video_wan2_2_14B_flf2v_end_image.png",
    "video_wan2_2_14B_i2v_input_image.jpg",
    "first.png",
    "last.png",
)

H3_PICTURES = (
    "transparent_rgb_gaming_mouse.png",
    "red_superboy_on_city_roof.png",
    "mecha_dragon_lightning.png",
)
LTX_PICTURES = ("neon_cyborg_portrait.png", "robot_hand.png", "robot_hand_energy.png")


@pytest.fixture(scope="session")
def video_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    """The server that all tests of this room share, without models."""
    folder = tmp_path_factory.mktemp("video")
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(running_server(folder, node_packs=[NODE_PACK, NUMBERED_FRAMES]))
        except VideoGenError as error:
            if error.code != "not-installed":
                raise
            skip_or_fail(str(error))
        yield server


@pytest.fixture(scope="session")
def wan_server(video_server: ComfyServer) -> ComfyServer:
    for name, kind in MODELS.items():
        write_model(video_server.folder / "models", kind, name)
    for name in LORAS:
        write_lora(video_server.folder / "models", name)
    _draw_pictures(video_server, PICTURES)
    Image.new("RGB", (256, 144)).save(video_server.folder / "input" / "first.png")
    return video_server


@pytest.fixture(scope="session")
def h3_server(video_server: ComfyServer) -> ComfyServer:
    return _with_newer_models(video_server, "MiniMaxH3ImageToVideo", "tiny_h3", H3_PICTURES)


@pytest.fixture(scope="session")
def ltx_server(video_server: ComfyServer) -> ComfyServer:
    return _with_newer_models(video_server, "LTXVDualCFGGuider", "tiny_ltx", LTX_PICTURES)


def _with_newer_models(server: ComfyServer, needed: str, recipe: str, pictures: Iterable[str]) -> ComfyServer:
    """Give the server the models of a recipe; it needs a ComfyUI that has a node."""
    if needed not in server.object_info:
        pytest.skip(f"this ComfyUI has no {needed}: it came with 0.30 or later")
    build_in_process(recipe, server.folder / "models")
    _draw_pictures(server, pictures)
    return server


def _draw_pictures(server: ComfyServer, names: Iterable[str]) -> None:
    for number, name in enumerate(names):
        Image.new("RGB", (96, 64), (40 * number, 120, 200 - 30 * number)).save(server.folder / "input" / name)
