"""A cast from images next to the story, rendered by a real ComfyUI with random weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from PIL import Image

from custom_nodes.videogen.core.errors import VideoGenError
from runner.bench.models.random_weights.files import link_models
from runner.comfyui.embedded import EmbeddedServer
from runner.comfyui.installation import find_installation
from tests.support.needs import skip_or_fail
from tests.support.runs import read_journal, segments_with, videogen, write_json
from tests.support.servers.comfy import ComfyServer
from tests.support.stories import Graph, segment_graph

pytestmark = pytest.mark.server

MODELS = ("sd15_slim", "clip_vision_vit_h", "ip_adapter_sd15_slim")
#: 1: two people, 2: Anna alone, 3: Ben alone.
STORY: dict[str, Any] = {
    "title": "Two People",
    "fps": 2,
    "frames": 1,
    "size": [64, 64],
    "quality": "draft",
    "characters": {
        "anna": {"segments": "1,2", "reference": "anna.png"},
        "ben": {"segments": "1,3", "reference": "people/ben.png"},
    },
    "segments": [{"prompt": "They talk."}, {"prompt": "She walks."}, {"prompt": "He waits."}],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    """A ComfyUI of its own, which has the models."""
    folder = tmp_path_factory.mktemp("comfyui-with-models")
    try:
        installation = find_installation()
    except VideoGenError as error:
        skip_or_fail(str(error))
    link_models(folder / "models", *MODELS)
    lines = [f"  {kind}: {folder / 'models' / kind}" for kind in ("checkpoints", "clip_vision", "ipadapter")]
    config = folder / "models.yaml"
    config.write_text("\n".join(["videogen:", *lines]), encoding="utf-8")
    (folder / "input").mkdir()
    arguments = (
        *installation.arguments,
        "--input-directory",
        str(folder / "input"),
        "--extra-model-paths-config",
        str(config),
    )
    with EmbeddedServer(replace(installation, arguments=arguments), folder) as embedded:
        client = embedded.start()
        yield ComfyServer(embedded, client, folder, client.object_info())


def film_graph(**cast: Any) -> Graph:
    """Everything from the checkpoint to the saved segment; node 13 applies the cast."""
    graph = segment_graph("")
    del graph["3"]
    graph["4"]["inputs"]["images"] = ["18", 0]
    more = {
        "10": ("CheckpointLoaderSimple", {"ckpt_name": "sd15_slim.safetensors"}),
        "11": ("CLIPVisionLoader", {"clip_name": "clip_vision_vit_h.bin"}),
        "12": ("VideoGenIPAdapterLoader", {"ipadapter_file": "ip_adapter_sd15_slim.safetensors"}),
        "13": (
            "VideoGenApplyCharacters",
            {
                "model": ["10", 0],
                "ipadapter": ["12", 0],
                "clip_vision": ["11", 0],
                "segment": ["2", 0],
                "character_weight": 0.8,
                "object_weight": 0.5,
                "location_weight": 0.3,
                "start_at": 0.0,
                "end_at": 1.0,
                "weight_type": "linear",
                "crop_to_figure": True,
                "feather": 0.06,
                "missing": "stop",
                **cast,
            },
        ),
        "14": ("CLIPTextEncode", {"clip": ["10", 1], "text": ["2", 1]}),
        "15": ("CLIPTextEncode", {"clip": ["10", 1], "text": ["2", 2]}),
        "16": ("EmptyLatentImage", {"width": ["2", 6], "height": ["2", 7], "batch_size": ["2", 4]}),
        "17": (
            "KSampler",
            {
                "model": ["13", 0],
                "positive": ["14", 0],
                "negative": ["15", 0],
                "latent_image": ["16", 0],
                "seed": ["2", 3],
                "steps": 1,
                "cfg": 4.0,
                "sampler_name": "euler",
                "scheduler": "normal",
                "denoise": 1.0,
            },
        ),
        "18": ("VAEDecode", {"samples": ["17", 0], "vae": ["10", 2]}),
    }
    return graph | {key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in more.items()}


def paint(path: Path, color: tuple[int, int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (90, 120), (200, 200, 200))
    image.paste(color, (30, 20, 60, 110))
    image.save(path)


def run(server: ComfyServer, folder: Path, command: str = "run", graph: Graph | None = None) -> Any:
    story = write_json(folder / "story.json", STORY)
    workflow = write_json(folder / "film.json", graph or film_graph())
    out = ("--out", folder / "run", "--retries", "0", "--no-film") if command == "run" else ()
    return videogen(command, story, "--workflow", workflow, "--references", "none", "--server", server.url, *out)


def rendered(folder: Path) -> list[int]:
    """Segments that the last run has rendered."""
    events = [record["event"] for record in read_journal(folder / "run")]
    last = len(events) - 1 - events[::-1].index("run-started")
    return [record["segment"] for record in read_journal(folder / "run")[last:] if record["event"] == "segment-done"]


def test_missing_images_are_named_before_anything_is_submitted(server: ComfyServer, tmp_path: Path) -> None:
    paint(tmp_path / "anna.png", (200, 30, 30))
    for command in ("run", "check"):
        ended = run(server, tmp_path, command)
        assert ended.status == 2
        said = ended.out + ended.err
        assert "characters.ben: its picture 'people/ben.png' is not in the input folder of" in said
        assert "nor next to the story (segments 1,3)" in said
        assert "characters.anna" not in said
    assert segments_with(tmp_path / "run", "segment-submitted") == []


def test_a_film_with_images_beside_the_story(server: ComfyServer, tmp_path: Path) -> None:
    paint(tmp_path / "anna.png", (200, 30, 30))
    paint(tmp_path / "people" / "ben.png", (30, 30, 200))
    assert run(server, tmp_path, "check").status == 0
    first = run(server, tmp_path)
    assert first.status == 0, first.err
    assert sorted(rendered(tmp_path)) == [1, 2, 3]
    uploaded = sorted(path.name for path in (server.folder / "input" / "videogen" / "two_people").iterdir())
    assert [name.partition("-")[0] for name in uploaded] == ["anna", "ben"]

    # Nothing has changed: nothing is rendered.
    assert run(server, tmp_path).status == 0
    assert segments_with(tmp_path / "run", "segment-submitted") == [1, 2, 3]

    # Another image of Anna: her segments are rendered again, from another file.
    paint(tmp_path / "anna.png", (30, 200, 30))
    again = run(server, tmp_path)
    assert again.status == 0, again.err
    assert sorted(rendered(tmp_path)) == [1, 2]
    assert len(list((server.folder / "input" / "videogen" / "two_people").iterdir())) == 3


def test_uploads_spare_what_is_there(server: ComfyServer) -> None:
    folder = server.folder / "input" / "videogen" / "some"
    for data in (b"one", b"one", b"another"):
        server.client.upload_file("videogen/some/picture-1.png", data)
        assert (folder / "picture-1.png").read_bytes() == data
    assert server.client.hash_input_file("videogen/some/nothing.png") == ""


def test_an_image_that_changes_in_the_input_folder_is_seen_by_the_editor_s_next_run(
    server: ComfyServer, tmp_path: Path
) -> None:
    graph = film_graph()
    graph["1"]["inputs"]["text"] = json.dumps(STORY)
    graph["2"]["inputs"]["index"] = 3
    graph["19"] = {"class_type": "PreviewAny", "inputs": {"source": ["13", 3]}}
    graph["20"] = {"class_type": "MaskToImage", "inputs": {"mask": ["13", 1]}}
    graph["21"] = {"class_type": "PreviewImage", "inputs": {"images": ["20", 0]}}
    image = server.folder / "input" / "people" / "ben.png"

    def executed() -> set[str]:
        """Nodes that were not taken from ComfyUI's cache."""
        prompt_id = server.submit(graph)
        outcome = server.wait(prompt_id, 300)
        assert outcome.status == "success", outcome.error
        messages = (server.client.history(prompt_id) or {})["status"]["messages"]
        [cached] = [data["nodes"] for kind, data in messages if kind == "execution_cached"]
        return set(graph) - set(cached)

    paint(image, (30, 30, 200))
    assert "17" in executed()
    assert executed() & {"13", "17"} == set()
    image.touch()
    assert executed() & {"13", "17"} == set()
    paint(image, (200, 30, 200))
    assert executed() >= {"13", "17"}
    assert executed() & {"13", "17"} == set()
