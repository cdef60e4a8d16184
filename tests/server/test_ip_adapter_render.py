"""From checkpoint to image with an IP-Adapter, in a real ComfyUI, with random weights that it takes for real ones."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.needs import skip_or_fail
from tests.support.servers.comfy import ComfyServer
from tests.support.stories import Graph, small_story

pytestmark = pytest.mark.server

SIZE = 64
#: Seconds for an image: 1 on two cores that have nothing else to do, and some for the model files at first.
PATIENCE = 600.0
#: What the encoder's node logs: how many images it had to encode.
ENCODED = re.compile(r"(\d+) of (\d+) pictures? encoded")
ADAPTERS = {"plain": "ip_adapter_sd15_slim", "plus": "ip_adapter_plus_sd15_slim"}


@pytest.fixture(scope="module")
def models(comfy_server: ComfyServer) -> Iterator[dict[str, str]]:
    """The loader nodes' names for the random files."""
    try:
        names = comfy_server.add_models("sd15_slim", "clip_vision_vit_h", *ADAPTERS.values())
    except ImportError as error:
        skip_or_fail(f"random weights are drawn with torch: {error}")
    for name, seed in (("man.png", 1), ("woman.png", 2)):
        draw_image(comfy_server.folder / "input" / name, seed)
    yield names
    # Two gigabytes; the tests that follow need none of them.
    comfy_server.client.free()


def draw_image(path: Path, seed: int) -> None:
    colors = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    Image.fromarray(colors).resize((96, 96), Image.Resampling.BICUBIC).save(path)


def render_graph(
    models: dict[str, str], model: list[Any], *, seed: int = 1, text: str = "a man waters a tree"
) -> Graph:
    """An image of one step; node 9 saves it. `model` is the output that is sampled, ["1", 0] being the checkpoint's."""
    return {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": models["sd15_slim"]}},
        "2": {"class_type": "CLIPVisionLoader", "inputs": {"clip_name": models["clip_vision_vit_h"]}},
        "4": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["1", 1], "text": text}},
        "5": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["1", 1], "text": "blurry"}},
        "6": {"class_type": "EmptyLatentImage", "inputs": {"width": SIZE, "height": SIZE, "batch_size": 1}},
        "7": {
            "class_type": "KSampler",
            "inputs": {
                "model": model,
                "positive": ["4", 0],
                "negative": ["5", 0],
                "latent_image": ["6", 0],
                "seed": seed,
                "steps": 1,
                "cfg": 4.0,
                "sampler_name": "euler",
                "scheduler": "normal",
                "denoise": 1.0,
            },
        },
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["7", 0], "vae": ["1", 2]}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "adapted"}},
    }


def image_graph(models: dict[str, str], kind: str, **more: Any) -> Graph:
    """The same with node 10, Apply IP-Adapter."""
    inputs = {
        "model": ["1", 0],
        "ipadapter": ["3", 0],
        "clip_vision": ["2", 0],
        "image": ["11", 0],
        "weight": 0.8,
        "weight_type": "linear",
        "start_at": 0.0,
        "end_at": 1.0,
        "combine": "concat",
        "crop": "center",
        **more,
    }
    return {
        **render_graph(models, ["10", 0]),
        "3": {"class_type": "VideoGenIPAdapterLoader", "inputs": {"ipadapter_file": models[ADAPTERS[kind]]}},
        "10": {"class_type": "VideoGenApplyIPAdapter", "inputs": inputs},
        "11": {"class_type": "LoadImage", "inputs": {"image": "man.png"}},
    }


def story_graph(models: dict[str, str], index: int, **more: Any) -> Graph:
    """The same with a story of a man, on the left, and a woman, on the right; node 10 is Apply Characters."""
    story = small_story(
        "Two People",
        size=(SIZE, SIZE),
        segments=3,
        characters={
            "man": {"description": "a man", "reference": "man.png", "segments": "1-3", "region": "left"},
            "woman": {"description": "a woman", "reference": "woman.png", "segments": "2", "region": "right"},
        },
    )
    inputs = {
        "model": ["1", 0],
        "ipadapter": ["3", 0],
        "clip_vision": ["2", 0],
        "segment": ["13", 0],
        "character_weight": 0.8,
        "object_weight": 0.5,
        "location_weight": 0.3,
        "start_at": 0.0,
        "end_at": 1.0,
        "weight_type": "linear",
        "crop_to_figure": False,
        "feather": 0.06,
        "missing": "stop",
        **more,
    }
    return {
        **render_graph(models, ["10", 0], seed=index, text=f"shot {index}"),
        "3": {"class_type": "VideoGenIPAdapterLoader", "inputs": {"ipadapter_file": models[ADAPTERS["plus"]]}},
        "10": {"class_type": "VideoGenApplyCharacters", "inputs": inputs},
        "12": {"class_type": "VideoGenStory", "inputs": {"file": "text below", "text": json.dumps(story)}},
        "13": {"class_type": "VideoGenSegment", "inputs": {"story": ["12", 0], "index": index}},
    }


def two_frames(models: dict[str, str], **nodes: dict[str, Any]) -> Graph:
    """Two frames of the model that the node `adapted` returns; node 11 is the man, node 3 the adapter."""
    graph = render_graph(models, ["adapted", 0] if "adapted" in nodes else ["1", 0])
    graph["6"]["inputs"]["batch_size"] = 2
    loader = {"class_type": "VideoGenIPAdapterLoader", "inputs": {"ipadapter_file": models[ADAPTERS["plus"]]}}
    return {**graph, "3": loader, "11": {"class_type": "LoadImage", "inputs": {"image": "man.png"}}, **nodes}


def apply_embeds(embeds: list[Any], weight: Any, **more: Any) -> dict[str, Any]:
    """Apply Embeds, which shows every frame all images."""
    inputs = {
        "model": ["1", 0],
        "ipadapter": ["3", 0],
        "clip_vision": ["2", 0],
        "embeds": embeds,
        "weight": weight,
        "weight_type": "linear",
        "start_at": 0.0,
        "end_at": 1.0,
        "pictures": "together",
        **more,
    }
    return {"class_type": "VideoGenApplyEmbeds", "inputs": inputs}


def render(server: ComfyServer, graph: Graph) -> np.ndarray:
    """The images, (frames, height, width, 3)."""
    files = server.render(graph, seconds=PATIENCE)["9"]["images"]
    return np.stack([np.asarray(Image.open(server.output(file["filename"])).convert("RGB")) for file in files])


def count_encoded(server: ComfyServer, start: int) -> tuple[int, int]:
    """How many images were encoded since then, and how many were asked for."""
    found = ENCODED.findall(server.log_since(start))
    return sum(int(one) for one, _ in found), sum(int(all_) for _, all_ in found)


@pytest.fixture(scope="module")
def without(comfy_server: ComfyServer, models: dict[str, str]) -> np.ndarray:
    """The images without an adapter."""
    return render(comfy_server, render_graph(models, ["1", 0]))


def test_random_weights_give_images(without: np.ndarray) -> None:
    assert without.shape == (1, SIZE, SIZE, 3)
    assert without.std() > 10


@pytest.mark.parametrize("kind", ADAPTERS)
def test_an_image_changes_the_image(
    comfy_server: ComfyServer, models: dict[str, str], without: np.ndarray, kind: str
) -> None:
    found = render(comfy_server, image_graph(models, kind))
    assert np.abs(found.astype(int) - without).mean() > 1
    assert np.ptp(found) > 50


def test_weight_zero_is_the_image_without(
    comfy_server: ComfyServer, models: dict[str, str], without: np.ndarray
) -> None:
    # SaveImage is the same node with the same inputs but for the model, so that nothing comes out of a cache.
    assert np.array_equal(render(comfy_server, image_graph(models, "plain", weight=0.0)), without)


def test_a_known_image_is_not_encoded_again(comfy_server: ComfyServer, models: dict[str, str]) -> None:
    render(comfy_server, image_graph(models, "plus"))
    start = comfy_server.log_size()
    render(comfy_server, image_graph(models, "plus", weight=0.55))
    assert count_encoded(comfy_server, start) == (0, 1)


def test_segments_of_a_story(comfy_server: ComfyServer, models: dict[str, str]) -> None:
    start = comfy_server.log_size()
    first = render(comfy_server, story_graph(models, 1))
    assert count_encoded(comfy_server, start) == (1, 1)

    start = comfy_server.log_size()
    second = render(comfy_server, story_graph(models, 2))
    assert count_encoded(comfy_server, start) == (1, 2)  # the man is known, the woman is new

    start = comfy_server.log_size()
    third = render(comfy_server, story_graph(models, 3))
    assert count_encoded(comfy_server, start) == (0, 1)
    assert len({image.tobytes() for image in (first, second, third)}) == 3

    again = render(comfy_server, story_graph(models, 3, character_weight=0.0))
    assert np.abs(again.astype(int) - third).mean() > 1


def test_saved_embeddings_render_as_the_image_does(comfy_server: ComfyServer, models: dict[str, str]) -> None:
    """Encode Embeds, Save Embeds and Load Embeds change nothing; a frame whose weight is 0 is the one without."""
    file = "embeds/man.ipadpt"
    encode = {"ipadapter": ["3", 0], "clip_vision": ["2", 0], "image": ["11", 0], "weight": 1.0, "crop": "center"}
    saving = two_frames(
        models,
        encoded={"class_type": "VideoGenEncodeEmbeds", "inputs": encode},
        saved={"class_type": "VideoGenSaveEmbeds", "inputs": {"embeds": ["encoded", 0], "file": file}},
        adapted=apply_embeds(["saved", 0], 0.8),
    )
    saved = render(comfy_server, saving)
    assert (comfy_server.folder / "input" / file).is_file()
    apply_image = image_graph(models, "plus")["10"]
    assert np.array_equal(saved, render(comfy_server, two_frames(models, adapted=apply_image)))

    # The file alone, without an encoder of its own in the graph, and with weights by frame.
    curve = {"weights": "0.8, 0", "timing": "linear", "frames": 2}
    loading = two_frames(
        models,
        loaded={"class_type": "VideoGenLoadEmbeds", "inputs": {"file": file}},
        curve={"class_type": "VideoGenFrameWeights", "inputs": curve},
        adapted=apply_embeds(["loaded", 0], ["curve", 0]),
    )
    faded, plain = render(comfy_server, loading), render(comfy_server, two_frames(models))
    # A number by frame is multiplied elsewhere than one for all: the least step of a color may differ.
    assert np.abs(faded[0].astype(int) - saved[0]).max() <= 1
    assert np.array_equal(faded[1], plain[1])
    assert np.abs(saved.astype(int) - plain).mean(axis=(1, 2, 3)).min() > 1
