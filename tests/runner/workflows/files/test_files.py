"""Workflows out of what people have: pictures, videos, bodies of requests, exports with a wrapping, names of templates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo

from custom_nodes.videogen.core.errors import VideoGenError
from runner.workflows import limits
from runner.workflows.files.locate import find_templates
from runner.workflows.workflow import load_workflow
from tests.support.graphs.plain import editor_workflow, image_graph


def save_png(path: Path, **texts: str) -> Path:
    chunks = PngInfo()
    for name, text in texts.items():
        chunks.add_text(name, text)
    Image.new("RGB", (8, 8)).save(path, "PNG", pnginfo=chunks)
    return path


def save_webp(path: Path, **texts: str) -> Path:
    """As ComfyUI's SaveAnimatedWEBP does it: EXIF entries of a camera's maker and model."""
    image = Image.new("RGB", (8, 8))
    exif = image.getexif()
    for tag, (name, text) in zip((0x010F, 0x0110), texts.items(), strict=False):
        exif[tag] = f"{name}:{text}"
    image.save(path, exif=exif)
    return path


def save_video(path: Path, **texts: str) -> Path:
    with av.open(path, "w", options={"movflags": "use_metadata_tags"}) as container:
        for name, text in texts.items():
            container.metadata[name] = text
        stream = container.add_stream("mpeg4", rate=8)
        stream.width = stream.height = 16
        for packet in stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8))):
            container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


API, UI = json.dumps(image_graph()), json.dumps(editor_workflow())


@pytest.mark.parametrize(
    ("save", "name"),
    [
        (save_png, "a.png"),
        (save_webp, "a.webp"),
        (save_video, "a.mp4"),
        (save_video, "a.webm.mkv"),
        (save_png, "a.json"),
    ],
)
def test_a_picture_or_video_has_its_workflow(save: Any, name: str, tmp_path: Path) -> None:
    """Whatever its name says: browsers and chats rename files."""
    both = load_workflow(save(tmp_path / name, prompt=API, workflow=UI))
    assert (both.ui, both.api) == (editor_workflow(), None)
    only_api = load_workflow(save(tmp_path / name, prompt=API))
    assert (only_api.ui, only_api.api) == (None, image_graph())


def test_video_helper_suite_writes_a_comment(tmp_path: Path) -> None:
    comment = json.dumps({"prompt": API, "workflow": editor_workflow(), "CreationTime": "now"})
    assert load_workflow(save_video(tmp_path / "a.mp4", comment=comment)).ui == editor_workflow()


def test_a_picture_without_a_workflow(tmp_path: Path) -> None:
    with pytest.raises(VideoGenError, match=r"a\.png has no workflow in its metadata"):
        load_workflow(save_png(tmp_path / "a.png", parameters="Steps: 20"))
    with pytest.raises(VideoGenError, match=r"is no ComfyUI workflow"):
        load_workflow(save_png(tmp_path / "a.png", workflow="not JSON"))


def test_a_broken_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"\0\0\0\x18ftypisom" + bytes(100))
    with pytest.raises(VideoGenError) as caught:
        load_workflow(path)
    assert caught.value.code == "media-broken"


@pytest.mark.parametrize(
    "wrapped",
    [
        {"prompt": image_graph()},
        {"prompt": image_graph(), "client_id": "a"},
        {"input": {"workflow": image_graph(), "images": []}},
        {"input": {"prompt": API}},
        {"workflow": image_graph()},
        {"output": image_graph()},
        API,
    ],
)
def test_what_stands_around_a_graph(wrapped: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(wrapped))
    assert load_workflow(path).api == image_graph()


@pytest.mark.parametrize(
    "wrapped",
    [
        {"prompt": image_graph(), "extra_data": {"extra_pnginfo": {"workflow": editor_workflow()}}},
        {"workflow": editor_workflow(), "output": image_graph()},
        {"workflow": UI, "prompt": API},
    ],
)
def test_of_both_forms_the_editors_is_taken(wrapped: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(wrapped))
    assert load_workflow(path).ui == editor_workflow()


def test_nesting_without_end_is_no_workflow(tmp_path: Path) -> None:
    data: Any = image_graph()
    for _ in range(50):
        data = {"prompt": data}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(data))
    with pytest.raises(VideoGenError, match="is no ComfyUI workflow"):
        load_workflow(path)


def test_ids_in_links_may_be_numbers(tmp_path: Path) -> None:
    graph = image_graph()
    numbered = json.loads(json.dumps(graph))
    for node in numbered.values():
        for name, value in node["inputs"].items():
            if isinstance(value, list) and value[0] in graph:
                node["inputs"][name] = [int(value[0]), value[1]]
    assert numbered != graph
    path = tmp_path / "a.json"
    path.write_text(json.dumps(numbered))
    assert load_workflow(path).api == graph


def test_a_list_of_two_numbers_that_is_no_link_stays(tmp_path: Path) -> None:
    graph = {"1": {"class_type": "A", "inputs": {"point": [640, 480], "flags": [True, 0]}}}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(graph))
    assert load_workflow(path).api == graph


def test_links_may_be_objects(tmp_path: Path) -> None:
    """Version 1 of the editor's format."""
    ui = editor_workflow()
    names = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    path = tmp_path / "a.json"
    path.write_text(
        json.dumps({**ui, "version": 1, "links": [dict(zip(names, link, strict=True)) for link in ui["links"]]})
    )
    assert load_workflow(path).ui == {**ui, "version": 1}


def test_a_template_has_a_name() -> None:
    name = next(iter(find_templates()))
    assert load_workflow(Path(name)).ui
    with pytest.raises(VideoGenError, match="there is no workflow") as caught:
        load_workflow(Path(f"{name}x"))
    assert f"An installed template is named {name}" in str(caught.value)


# ------------------------------------------------------------------ files of strangers


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_what_is_no_number_is_null_as_in_the_editor(tmp_path: Path, number: str) -> None:
    """Python makes an infinity of 1e999, which no request can carry: the server seemed to be out of reach."""
    text = API.replace('"cfg": 7.0', f'"cfg": {number}')
    assert text != API
    (tmp_path / "plain.json").write_text(text)
    (tmp_path / "text.json").write_text(json.dumps({"prompt": text}))
    for path in (tmp_path / "plain.json", tmp_path / "text.json", save_png(tmp_path / "a.png", prompt=text)):
        api = load_workflow(path).api
        assert api is not None
        assert [node["inputs"]["cfg"] for node in api.values() if "cfg" in node["inputs"]] == [None]


def test_a_picture_is_not_decoded_for_its_metadata(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of 120 megapixels takes half a gigabyte."""
    path = save_png(tmp_path / "a.png", prompt=API)
    monkeypatch.setattr(PngImageFile, "load_prepare", lambda self: pytest.fail("it was decoded"))
    assert load_workflow(path).api is not None


def test_metadata_have_the_limit_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_video(tmp_path / "a.mp4", prompt=API, workflow=UI)
    size = len(API) + len(UI)
    monkeypatch.setattr(limits, "MAX_METADATA", size)
    assert load_workflow(path).ui is not None
    monkeypatch.setattr(limits, "MAX_METADATA", size - 1)
    with pytest.raises(VideoGenError, match=f"{size:,} characters of metadata, at most {size - 1:,} are read"):
        load_workflow(path)
