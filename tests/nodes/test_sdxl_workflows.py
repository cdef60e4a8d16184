"""The shipped workflows for SDXL, SDXL-Turbo, SD 2.1 and SD 1.5, node by node with tiny models of the true architectures."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.needs import require_comfy

require_comfy()

import comfy.model_base
import comfy.model_patcher
import comfy.supported_models
import folder_paths
import torch
from PIL import Image
from torch import Tensor

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.graph import nodes_of
from custom_nodes.videogen.media.probe import probe_video
from custom_nodes.videogen.tensor.ip_adapter.adapter import IPAdapter
from runner.bench.models.graph_steps import Graph, find_nodes, run_steps
from runner.bench.models.random_weights.unets import TINY_SD15, TINY_SDXL
from runner.bench.models.tiny_adapters import draw_adapter
from runner.bench.models.tiny_encoders import build_encoder
from runner.bench.models.tiny_models import TinyText, _describe_for_comfy, build_comfy_model, draw_unet
from runner.comfyui.installation import PROJECT
from runner.workflows.workflow import convert_workflow, load_workflow
from tests.support.servers.comfy import ComfyServer
from tests.support.stories import small_story

pytestmark = pytest.mark.server  # the workflows are converted with a real server's schemas

#: With the size embeddings that ComfyUI gives to every SDXL.
SDXL = dataclasses.replace(TINY_SDXL, vector_width=2816)
#: SD 2's heads are 64 wide, its transformers' ways in and out are linear.
SD2 = dataclasses.replace(
    TINY_SD15, width=64, multipliers=(1, 1, 1, 1), heads=None, head_width=64, linear=True, context_width=32
)
STORY = small_story(
    "Tiny",
    size=(160, 96),
    segments=1,
    characters={
        "woman": {"segments": "1", "description": "a woman", "region": "left"},
        "man": {"segments": "1", "description": "a man", "region": "right"},
    },
    objects={"tree": {"segments": "1", "description": "a tree"}},
    locations={"field": {"segments": "1", "reference": "field.png", "seed": 9}},
)
FRAMES = STORY["frames"]


class TinyImages:
    """What VAEDecode and VAEEncode need of a VAE: colors out of the first three channels, and into them."""

    def encode(self, pixels: Tensor) -> Tensor:
        smaller = torch.nn.functional.avg_pool2d(pixels.movedim(-1, 1), 8).logit(eps=1e-3)
        return torch.cat([smaller, torch.zeros_like(smaller[:, :1])], dim=1)

    def decode(self, samples: Tensor) -> Tensor:
        larger = torch.nn.functional.interpolate(samples[:, :3].float(), scale_factor=8, mode="bilinear")
        return larger.sigmoid().movedim(1, -1)


def build_sd21() -> comfy.model_patcher.ModelPatcher:
    """A tiny SD 2.1 (768-v), which ComfyUI tells by its weights from the one that predicts noise."""
    config = comfy.supported_models.SD20(_describe_for_comfy(SD2))
    config.set_inference_dtype(torch.float32, None)
    key = "model.diffusion_model.output_blocks.11.1.transformer_blocks.0.norm1.bias"
    model = config.get_model({key: torch.linspace(-1, 1, 32)}, "model.diffusion_model.", device=torch.device("cpu"))
    assert model.model_type is comfy.model_base.ModelType.V_PREDICTION
    model.diffusion_model.load_state_dict(draw_unet(SD2))
    cpu = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(model, load_device=cpu, offload_device=cpu)


@dataclasses.dataclass
class Tiny:
    """A workflow with tiny models in the place of what it loads."""

    graph: Graph
    text: TinyText
    stand_ins: dict[str, Any]

    def set(self, kind: str, **inputs: Any) -> None:
        """Set inputs of the only node of a class."""
        (node_id,) = nodes_of(self.graph, kind)
        self.graph[node_id]["inputs"] |= inputs

    def run(self) -> dict[str, tuple[Any, ...]]:
        """The outputs of each node, by class; those of text encoders are the last one's."""
        done = run_steps(self.graph, self.stand_ins, find_nodes())
        assert set(done) == set(self.graph)
        return {self.graph[key]["class_type"]: outputs for key, outputs in done.items()}


@pytest.fixture(autouse=True)
def folders(tmp_path: Path) -> Iterator[Path]:
    """ComfyUI's input and output folder; the input folder has an image of everybody."""
    before = folder_paths.get_input_directory(), folder_paths.get_output_directory()
    for number, name in enumerate(("woman.png", "man.png", "tree.png", "../../field.png")):
        path = (tmp_path / "input" / "videogen" / "tiny" / name).resolve()
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.linear_gradient("L").resize((60, 80)).convert("RGB").rotate(90 * number).save(path)
    folder_paths.set_input_directory(str(tmp_path / "input"))
    folder_paths.set_output_directory(str(tmp_path / "output"))
    yield tmp_path
    folder_paths.set_input_directory(before[0])
    folder_paths.set_output_directory(before[1])


@pytest.fixture(scope="module")
def tiny_parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What loaders give, by workflow: (model, UNet's description)."""
    sdxl = build_comfy_model(SDXL, draw_unet(SDXL), dtype=torch.float32)
    sd15 = build_comfy_model(TINY_SD15, draw_unet(TINY_SD15), dtype=torch.float32)
    return {
        "encoder": build_encoder(tmp_path_factory.mktemp("encoder")),
        "sdxl_frames": (sdxl, SDXL),
        "sdxl_turbo_frames": (sdxl, SDXL),
        "sd15_frames": (sd15, TINY_SD15),
        "sd21_frames": (build_sd21(), SD2),
    }


@pytest.fixture
def load(comfy_server: ComfyServer, tiny_parts: dict[str, Any]) -> Any:
    """Makes a shipped workflow run here."""

    def make(name: str) -> Tiny:
        model, unet = tiny_parts[name]
        text = TinyText(unet)
        workflow = load_workflow(PROJECT / "workflows" / f"{name}.json")
        adapter = IPAdapter.from_state(draw_adapter("plus", unet), "plus.safetensors")
        stand_ins = {
            "CheckpointLoaderSimple": lambda ckpt_name: (model, text, TinyImages()),
            "CLIPVisionLoader": lambda clip_name: (tiny_parts["encoder"],),
            "VideoGenIPAdapterLoader": lambda ipadapter_file: (adapter,),
        }
        tiny = Tiny(convert_workflow(workflow, comfy_server.object_info), text, stand_ins)
        tiny.set("VideoGenStory", text=json.dumps(STORY))
        tiny.set("VideoGenRenderSize", megapixels=0.0123)
        if tiny.graph[nodes_of(tiny.graph, "BasicScheduler")[0]]["inputs"]["steps"] > 4:
            tiny.set("BasicScheduler", steps=2)
        return tiny

    return make


@pytest.mark.parametrize("name", ["sdxl_frames", "sdxl_turbo_frames", "sd21_frames", "sd15_frames"])
def test_each_node_does_its_work(load: Any, name: str) -> None:
    tiny = load(name)
    done = tiny.run()
    assert done["VideoGenRenderSize"] == (128, 128) or done["VideoGenRenderSize"][0] % 64 == 0
    width, height = done["VideoGenRenderSize"]

    samples = done["SamplerCustomAdvanced"][0]["samples"]
    assert samples.shape == (FRAMES, 4, height // 8, width // 8)
    assert samples.isfinite().all()
    assert samples.std() > 0.1
    assert done["VAEDecode"][0].shape == (FRAMES, height, width, 3)

    frames = done["VideoGenColorMatch"][0]
    assert frames.shape == (FRAMES, 96, 160, 3)
    assert 0 <= frames.min() <= frames.max() <= 1
    saved = probe_video(
        Path(folder_paths.get_output_directory(), done["VideoGenSaveSegment"][0], "segment_01.mp4"), decode=True
    )
    assert (saved.frames, saved.fps) == (12, 24)
    # Prompt and negative prompt come from the story.
    assert any("waters the young tree" in text for text in tiny.text.texts)


def test_the_cast_is_kept_the_same_by_its_images(load: Any) -> None:
    done = load("sdxl_frames").run()
    model, masks, images, report = done["VideoGenApplyCharacters"]
    assert [line.split(":")[0] for line in report.splitlines()] == [
        "character woman",
        "character man",
        "object tree",
        "location field",
    ]
    assert len(masks) == len(images) == 4
    assert model.model_options["transformer_options"]
    without = load("sdxl_frames")
    without.set("VideoGenApplyCharacters", character_weight=0.0, object_weight=0.0, location_weight=0.0)
    plain = without.run()
    assert plain["VideoGenApplyCharacters"][3] == "no reference pictures"
    assert not torch.equal(plain["SamplerCustomAdvanced"][0]["samples"], done["SamplerCustomAdvanced"][0]["samples"])


def test_drift_and_anchor_bring_the_frames_together(load: Any) -> None:
    def distance(drift: float, strength: float) -> float:
        tiny = load("sdxl_turbo_frames")
        tiny.set("VideoGenFrameNoise", drift=drift)
        tiny.set("VideoGenAnchorAttention", strength=strength)
        samples = tiny.run()["SamplerCustomAdvanced"][0]["samples"]
        return float((samples[1:] - samples[:-1]).square().mean() / samples.square().mean())

    assert distance(0.0, 0.0) < 1e-6
    assert 1e-3 < distance(0.35, 0.5) < distance(1.0, 0.0)


def with_technical(tiny: Tiny, technical: str) -> None:
    story = json.loads(json.dumps(STORY))
    story["segments"][0]["technical"] = technical
    tiny.set("VideoGenStory", text=json.dumps(story))


def test_the_camera_moves_where_the_story_says_so(load: Any) -> None:
    tiny = load("sdxl_turbo_frames")
    with_technical(tiny, "Wide shot, static camera")
    still = tiny.run()
    assert still["VideoGenKeyframeMotion"][0] is still["VideoGenColorMatch"][0]

    with_technical(tiny, "Totale, Schwenk rechts nach links")
    done = tiny.run()
    before, after = done["VideoGenColorMatch"][0], done["VideoGenKeyframeMotion"][0]
    assert after.shape == before.shape
    # The view starts at the right edge of the image and ends at its left one, a fifth larger: no edge is ever seen.
    assert not torch.allclose(after, before, atol=0.01)
    for frame, columns in ((0, slice(160 - 133, 160)), (-1, slice(0, 133))):
        seen = before[frame, :, columns].movedim(-1, 0)[None, :, 8:-8]
        wanted = torch.nn.functional.interpolate(seen, (96, 160), mode="bicubic").clamp(0, 1)[0].movedim(0, -1)
        assert (after[frame] - wanted).abs().mean() < 0.02
    assert done["VideoGenContinuity"][0] is after


def start_from_the_place(tiny: Tiny, move: str) -> None:
    """Location → Keyframe Motion → VAE Encode in the place of the empty latent, as docs/workflows.md says."""
    (segment,), (checkpoint,), (size,), (noise,) = (
        nodes_of(tiny.graph, kind)
        for kind in ("VideoGenSegment", "CheckpointLoaderSimple", "VideoGenRenderSize", "VideoGenFrameNoise")
    )
    for kind in ("VideoGenKeyframeMotion", "EmptyLatentImage"):
        (node_id,) = nodes_of(tiny.graph, kind)
        images = tiny.graph.pop(node_id)["inputs"].get("images")
        for node in tiny.graph.values():
            node["inputs"] |= {name: images for name, value in node["inputs"].items() if value == [node_id, 0]}
    motion = {
        "move": move,
        "reach": 0.25,
        "border": "mirror",
        "frames": 24,
        "segment": [segment, 0],
        "images": ["place", 0],
    }
    tiny.graph |= {
        "place": {
            "class_type": "VideoGenLocation",
            "inputs": {"segment": [segment, 0], "width": [size, 0], "height": [size, 1]},
        },
        "motion": {"class_type": "VideoGenKeyframeMotion", "inputs": motion},
        "encode": {"class_type": "VAEEncode", "inputs": {"pixels": ["motion", 0], "vae": [checkpoint, 2]}},
    }
    tiny.graph[noise]["inputs"] |= {"latent": ["encode", 0], "drift": 0.0}
    tiny.set("BasicScheduler", denoise=0.6)


@pytest.mark.parametrize("name", ["sd15_frames", "sdxl_turbo_frames"])
def test_frames_start_from_an_image_of_the_place_that_the_camera_moves_over(load: Any, name: str) -> None:
    def sample(move: str) -> dict[str, tuple[Any, ...]]:
        tiny = load(name)
        start_from_the_place(tiny, move)
        return tiny.run()

    def apart(frames: Tensor) -> float:
        return float((frames[-1] - frames[0]).norm() / frames[0].norm())

    done, still = sample("pan-left"), sample("static")
    width, height = done["VideoGenRenderSize"]
    assert done["VideoGenLocation"][0].shape == (1, height, width, 3)
    assert done["VideoGenKeyframeMotion"][0].shape == (FRAMES, height, width, 3)
    # With the same noise in all frames only the camera tells them apart.
    starts, samples = (
        (run["VideoGenFrameNoise"][1]["samples"] for run in (done, still)),
        done["SamplerCustomAdvanced"][0],
    )
    moved, same = (apart(start) for start in starts)
    assert same == 0 < 0.02 < moved
    assert samples["samples"].shape == (FRAMES, 4, height // 8, width // 8)
    assert samples["samples"].isfinite().all()
    assert apart(still["SamplerCustomAdvanced"][0]["samples"]) < 1e-5
    assert apart(samples["samples"]) > 1e-3
    # The first frame is where the camera starts, in both.
    first = [run["SamplerCustomAdvanced"][0]["samples"][0] for run in (done, still)]
    assert float((first[0] - first[1]).norm() / first[1].norm()) < 1e-5
    saved = Path(folder_paths.get_output_directory(), done["VideoGenSaveSegment"][0], "segment_01.mp4")
    assert probe_video(saved, decode=True).frames == 12


def test_the_seed_of_the_segment_makes_the_shot(load: Any) -> None:
    def sample(seed: int) -> Tensor:
        tiny = load("sdxl_turbo_frames")
        story = json.loads(json.dumps(STORY))
        story["segments"][0]["seed"] = seed
        tiny.set("VideoGenStory", text=json.dumps(story))
        return tiny.run()["SamplerCustomAdvanced"][0]["samples"]

    assert torch.equal(sample(1), sample(1))
    assert not torch.allclose(sample(1), sample(2), atol=0.1)


def test_a_missing_image_is_named_before_anything_is_sampled(load: Any) -> None:
    Path(folder_paths.get_input_directory(), "videogen", "tiny", "man.png").unlink()
    tiny = load("sdxl_frames")
    tiny.stand_ins["SamplerCustomAdvanced"] = lambda **_: pytest.fail("it has sampled")
    with pytest.raises(VideoGenError, match=r"characters.man: .*videogen/tiny/man.png"):
        tiny.run()


def test_an_adapter_of_another_kind_is_named(load: Any) -> None:
    tiny = load("sdxl_frames")
    other = IPAdapter.from_state(draw_adapter("plus", TINY_SD15), "ip-adapter-plus_sd15.safetensors")
    tiny.stand_ins["VideoGenIPAdapterLoader"] = lambda ipadapter_file: (other,)
    with pytest.raises(VideoGenError) as caught:
        tiny.run()
    assert caught.value.code == "adapter-mismatch"
    assert "ip-adapter-plus_sd15.safetensors" in str(caught.value)
    assert "SDXL" in str(caught.value)


def test_references_are_drawn_where_the_others_find_them(comfy_server: ComfyServer, tiny_parts: dict[str, Any]) -> None:
    model, unet = tiny_parts["sdxl_frames"]
    workflow = load_workflow(PROJECT / "workflows" / "character_references.json")
    text = TinyText(unet)
    stand_ins = {"CheckpointLoaderSimple": lambda ckpt_name: (model, text, TinyImages())}
    tiny = Tiny(convert_workflow(workflow, comfy_server.object_info), text, stand_ins)
    tiny.set("VideoGenStory", text=json.dumps({**STORY, "title": "Fresh"}))
    tiny.set("VideoGenRenderSize", megapixels=0.0164)
    tiny.set("KSampler", steps=2)
    folder = Path(folder_paths.get_input_directory(), "videogen", "fresh")
    for index, name in enumerate(("woman", "man", "tree"), 1):
        tiny.set("VideoGenCastMember", index=index)
        tiny.run()
        with Image.open(folder / f"{name}.png") as image:
            assert image.size == (128, 128)
    assert len({path.read_bytes() for path in folder.iterdir()}) == 3
