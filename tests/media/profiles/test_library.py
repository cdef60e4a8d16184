"""The profiles that ship, held against the schemas of ComfyUI 0.33, and the files of users."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import ProblemList, VideoGenError
from custom_nodes.videogen.core.model_profiles.graph_rules import read_frame_rule
from custom_nodes.videogen.core.model_profiles.model import Profile
from custom_nodes.videogen.core.model_profiles.recognition import recognize
from custom_nodes.videogen.media.profiles.library import (
    SHIPPED,
    load_profiles,
    profile_folders,
    read_folder,
    shipped_profiles,
)

SCHEMAS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "data" / "profile_nodes_0.33.json").read_text())
PROFILES = {profile.name: profile for profile in shipped_profiles()}
MINE = "family: mine\nmodels:\n  - name: {name}\n    title: Mine\n    recognize: [{{nodes: [{node}]}}]\n"


def spec_of(node: str, *names: str) -> Any:
    groups = SCHEMAS[node]["input"]
    specs = {**groups.get("required", {}), **groups.get("optional", {})}
    return next((specs[name] for name in names if name in specs), None)


# ------------------------------------------------------------------ those that ship


def test_the_families_of_the_issue_are_there() -> None:
    assert set(PROFILES) >= {
        *("h3-fl2va", "h3-ref2va", "ltx-2.5", "ltx-2", "ltx-video"),
        *("wan-t2v", "wan-i2v", "wan-flf2v", "wan2.2-ti2v-5b", "wan-vace", "wan"),
        *("hunyuan-video-1.5", "svd", "svd-xt", "kandinsky5", "cosmos-1", "cosmos-predict2"),
        *("sd15", "sd21", "sdxl", "sdxl-turbo", "partner-video", "partner-image"),
    }
    assert len(list(SHIPPED.glob("*.yaml"))) == len({profile.family for profile in PROFILES.values()})


@pytest.mark.parametrize("name", PROFILES)
def test_each_node_of_a_profile_exists_in_comfyui(name: str) -> None:
    named = {node for sign in PROFILES[name].signs for node in (*sign.nodes, *sign.also)}
    assert named <= set(SCHEMAS)


@pytest.mark.parametrize("name", [name for name, profile in PROFILES.items() if profile.frames])
def test_the_frame_rule_is_the_one_of_its_nodes(name: str) -> None:
    rule = PROFILES[name].frames
    assert rule is not None
    for node in {node for sign in PROFILES[name].signs for node in sign.nodes}:
        schema = read_frame_rule(spec_of(node, "length", "video_frames"))
        if schema is not None:
            assert (schema.step, schema.offset) == (rule.step, rule.offset), node
            # Some nodes of a family take fewer than the model: LTXVImgToVideo begins at 9.
            assert rule.least >= schema.least or (rule.least - schema.least) % rule.step == 0, node
            assert rule.most is None or rule.most <= schema.most, node


@pytest.mark.parametrize("name", [name for name, profile in PROFILES.items() if profile.size and profile.video])
def test_the_multiple_of_sizes_is_the_one_of_its_nodes(name: str) -> None:
    size = PROFILES[name].size
    assert size is not None
    for node in {node for sign in PROFILES[name].signs for node in sign.nodes}:
        spec = spec_of(node, "width")
        # The text to video node that Wan shares has the step of another family's.
        if spec is not None:
            assert size.multiple % spec[1].get("step", 1) == 0, node
    if size.native:
        assert all(side % size.multiple == 0 for side in size.native)


def test_h3_has_the_numbers_of_its_nodes() -> None:
    for name in ("h3-fl2va", "h3-ref2va"):
        profile = PROFILES[name]
        assert profile.frames is not None
        assert (profile.frames.step, profile.frames.offset, profile.frames.trained) == (17, 5, (124, 362))
        assert profile.size is not None
        assert profile.size.area == 768 * 1344
        assert profile.sound is True
    assert PROFILES["h3-ref2va"].inputs.references == 9


@pytest.mark.parametrize("name", PROFILES)
def test_each_profile_names_its_sources(name: str) -> None:
    profile = PROFILES[name]
    given = {"frames": profile.frames, "fps": profile.rate, "size": profile.size, "sound": profile.sound}
    assert {group for group, value in given.items() if value is not None} <= set(profile.sources)
    assert all(figure.source for figure in profile.memory)


# ------------------------------------------------------------------ graphs


def video_graph(maker: str, unet: str, clip: tuple[str, str], **more: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    graph = {
        "save": ("SaveVideo", {"video": ["video", 0]}),
        "video": ("CreateVideo", {"images": ["decode", 0], "fps": 24}),
        "decode": ("VAEDecode", {"samples": ["sampler", 0]}),
        "sampler": ("KSampler", {"model": ["unet", 0], "positive": ["text", 0], "latent_image": ["maker", 0]}),
        "maker": (maker, {"positive": ["text", 0]}),
        "text": ("CLIPTextEncode", {"clip": ["clip", 0], "text": "a tree"}),
        "clip": (clip[0], {"type": clip[1], "clip_name": "encoder.safetensors"}),
        "unet": ("UNETLoader", {"unet_name": unet}),
        **more,
    }
    return {name: {"class_type": kind, "inputs": inputs} for name, (kind, inputs) in graph.items()}


CLIP = "CLIPLoader"
#: As the official templates have them: the node that makes the latent, the model's file, the text encoder.
GRAPHS = {
    "wan-t2v": ("EmptyHunyuanLatentVideo", "wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors", (CLIP, "wan")),
    "wan-i2v": ("WanImageToVideo", "wan2.2_i2v_high_noise_14B_fp8_scaled.safetensors", (CLIP, "wan")),
    "wan-flf2v": ("WanFirstLastFrameToVideo", "wan2.2_i2v_low_noise_14B_fp8_scaled.safetensors", (CLIP, "wan")),
    "wan-vace": ("WanVaceToVideo", "wan2.1_vace_14B_fp16.safetensors", (CLIP, "wan")),
    "wan2.2-ti2v-5b": ("Wan22ImageToVideoLatent", "wan2.2_ti2v_5B_fp16.safetensors", (CLIP, "wan")),
    "wan": ("WanHuMoImageToVideo", "humo_17B_fp8_e4m3fn.safetensors", (CLIP, "wan")),
    "h3-fl2va": ("MiniMaxH3ImageToVideo", "minimax_h3_fl2va_pruned.safetensors", (CLIP, "minimax")),
    "h3-ref2va": ("MiniMaxH3ReferenceToVideo", "minimax_h3_ref2va_pruned.safetensors", (CLIP, "minimax")),
    "ltx-2.5": ("EmptyLTXVLatentVideo", "ltx-2.5-22b-distilled.safetensors", (CLIP, "ltxv")),
    "ltx-video": ("EmptyLTXVLatentVideo", "ltx-video-2b-v0.9.5.safetensors", (CLIP, "ltxv")),
    "hunyuan-video-1.5": (
        "HunyuanVideo15ImageToVideo",
        "hunyuanvideo1.5_720p.safetensors",
        ("DualCLIPLoader", "hunyuan_video_15"),
    ),
    "hunyuan-video": (
        "EmptyHunyuanLatentVideo",
        "hunyuan_video_t2v_720p.safetensors",
        ("DualCLIPLoader", "hunyuan_video"),
    ),
    "kandinsky5": ("Kandinsky5ImageToVideo", "kandinsky5lite_i2v_5s.safetensors", ("DualCLIPLoader", "kandinsky5")),
    "cosmos-1": ("EmptyCosmosLatentVideo", "Cosmos-1_0-Diffusion-7B-Text2World.safetensors", (CLIP, "cosmos")),
    "cosmos-predict2": ("CosmosPredict2ImageToVideoLatent", "cosmos_predict2_2B.safetensors", (CLIP, "cosmos")),
    "svd-xt": ("SVD_img2vid_Conditioning", "svd_xt.safetensors", (CLIP, "none")),
    "svd": ("SVD_img2vid_Conditioning", "svd.safetensors", (CLIP, "none")),
    "sdxl": ("EmptyLatentImage", "sd_xl_base_1.0.safetensors", (CLIP, "x")),
    "sdxl-turbo": ("EmptyLatentImage", "sd_xl_turbo_1.0_fp16.safetensors", (CLIP, "x")),
    "sd15": ("EmptyLatentImage", "v1-5-pruned-emaonly-fp16.safetensors", (CLIP, "x")),
    "sd21": ("EmptyLatentImage", "v2-1_768-ema-pruned.safetensors", (CLIP, "x")),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_models_are_recognized_in_graphs_like_those_of_the_templates(name: str) -> None:
    found = recognize(video_graph(*GRAPHS[name]), SCHEMAS, load_profiles())
    assert found is not None
    assert found.profile.name == name


def test_ltx_2_is_told_by_its_sound() -> None:
    graph = video_graph("EmptyLTXVLatentVideo", "x.safetensors", (CLIP, "ltxv"))
    graph["decode"]["inputs"]["samples"] = ["apart", 0]
    graph["apart"] = {"class_type": "LTXVSeparateAVLatent", "inputs": {"av_latent": ["sampler", 0]}}
    found = recognize(graph, SCHEMAS, load_profiles())
    assert found is not None
    assert found.profile.name == "ltx-2"


def test_a_fast_lora_does_not_change_the_model() -> None:
    graph = video_graph(*GRAPHS["wan-t2v"])
    graph["sampler"]["inputs"]["model"] = ["lora", 0]
    graph["lora"] = {
        "class_type": "LoraLoaderModelOnly",
        "inputs": {"model": ["unet", 0], "lora_name": "wan2.2_ti2v_5B_fast.safetensors"},
    }
    found = recognize(graph, SCHEMAS, load_profiles())
    assert found is not None
    assert found.profile.name == "wan-t2v"


@pytest.mark.parametrize(
    ("node", "name", "characters"),
    [
        ("KlingImage2VideoNode", "kling-short-prompt", 500),
        ("LtxApi25TextToVideo", "ltx-api", 10_000),
        ("GrokVideoNode", "partner-video", None),
        ("Veo3VideoGenerationNode", "partner-sound", None),
        ("KlingTextToVideoWithAudio", "kling-sound", 2500),
    ],
)
def test_partners_nodes(node: str, name: str, characters: int | None) -> None:
    graph = {
        "save": {"class_type": "SaveVideo", "inputs": {"video": ["node", 0]}},
        "node": {"class_type": node, "inputs": {"prompt": "a tree"}},
    }
    found = recognize(graph, SCHEMAS, load_profiles())
    assert found is not None
    assert (found.profile.name, found.profile.prompt.characters) == (name, characters)


# ------------------------------------------------------------------ files of users


def test_a_users_profile_comes_first_and_replaces_one_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(MINE.format(name="mine", node="MyNode"))
    (tmp_path / "a.yml").write_text(MINE.format(name="svd", node="MyOther"))
    (tmp_path / "notes.txt").write_text("no profile")
    profiles = load_profiles([tmp_path])
    assert [profile.name for profile in profiles[:2]] == ["svd", "mine"]
    assert len(profiles) == len(PROFILES) + 1
    assert next(profile for profile in profiles if profile.name == "svd").title == "Mine"


def test_the_folder_next_to_the_workflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert list(profile_folders(Path("flow.json"))) == [tmp_path / "profiles"]


def test_a_folder_that_does_not_exist_has_no_profiles(tmp_path: Path) -> None:
    assert load_profiles([tmp_path / "profiles"]) == shipped_profiles()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"family: [", "profile-unreadable"),
        (b"family: a\n", "profile-invalid"),
        (b"\xff\xfe\xff", "profile-unreadable"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, content: bytes, code: str) -> None:
    (tmp_path / "broken.yaml").write_bytes(content)
    with pytest.raises(VideoGenError, match=r"broken\.yaml") as error:
        read_folder(tmp_path)
    assert error.value.code == code


def test_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    os.symlink(tmp_path / "gone.yaml", tmp_path / "mine.yaml")
    with pytest.raises(VideoGenError, match="cannot be read"):
        read_folder(tmp_path)


def test_problems_are_all_named(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("family: a\nmodels: [{name: b}, {name: C, recognize: [{}]}]")
    with pytest.raises(ProblemList) as error:
        read_folder(tmp_path)
    assert len(error.value.problems) == 3


def test_profiles_are_values() -> None:
    assert isinstance(PROFILES["svd"], Profile)
    assert shipped_profiles() is shipped_profiles()
