"""`videogen prompts`: the prompts of a story for a model, as a run would submit them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.cli import main
from tests.support.graphs.plain import image_graph
from tests.support.graphs.video_models import node, read_schemas, wan
from tests.support.servers.fake_server import FakeServer

Call = Callable[..., int]
STORY = {
    "title": "Film",
    "fps": 24,
    "style": {"prefix": "35 mm film"},
    "segments": [
        {"prompt": "A field.", "technical": "Wide shot, zoom in", "timespan": "0 - 5", "narration": "It was early."},
        {"prompt": "A tree.", "timespan": "5 - 10", "continues": True},
    ],
}
MINE = """
family: mine
models:
  - name: mine
    title: My model
    recognize: [{nodes: [EmptyHunyuanLatentVideo], loaders: [wan], files: ["wan*"]}]
    sound: {made: true, source: me}
    prompt: {dialect: ltx, source: me}
"""


@pytest.fixture
def call(server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Ask for prompts, of the graph `film.json` where one is given; returns the status."""
    server.routes["GET /object_info"] = read_schemas()
    monkeypatch.chdir(tmp_path)
    Path("story.json").write_text(json.dumps(STORY))

    def run(*options: str, graph: dict[str, Any] | None = None) -> int:
        if graph is not None:
            Path("film.json").write_text(json.dumps(graph))
            options = ("--workflow", "film.json", "--server", server.url, *options)
        return main(["prompts", "story.json", *options])

    return run


def test_the_model_of_a_workflow(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(graph=wan()) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert (
        "Segment 1 of 2, Wan text to video, dialect wan\n\nA field. The camera zooms in. Wide shot, 35 mm film.\n"
        in out
    )
    assert "Note: narration and dialogue are not part of the prompt: Wan text to video makes no sound" in out
    assert "Note: the model is Wan text to video (node EmptyHunyuanLatentVideo, text encoder of type wan)" in out


def test_json_has_all_of_it(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--json", "--segments", "2", graph=wan()) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["model"] == {
        "name": "wan-t2v",
        "title": "Wan text to video",
        "how": "node EmptyHunyuanLatentVideo, text encoder of type wan",
        "known": True,
    }
    (segment,) = said["segments"]
    assert (segment["number"], segment["id"], segment["dialect"]) == (2, "segment_02", "wan")
    assert segment["prompt"] == "A tree. 35 mm film."


def test_a_model_by_its_name_needs_no_server(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--model", "h3-fl2va") == 0
    out = capsys.readouterr().out
    assert "An unseen narrator (S1) says, <d>It was early.</d>" in out
    assert (
        "Segment 2 of 2, MiniMax H3 (text, first and last frame), dialect h3-keyframes\n\nFor the target video, at"
        in out
    )


def test_a_model_gets_the_pictures_that_the_story_has(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    cast = {"characters": {"ben": {"description": "A man in a hat, sturdy", "segments": "2"}}}
    Path("story.json").write_text(json.dumps(STORY | cast))
    assert call("--model", "h3-ref2va", "--json") == 0
    first, second = (one["prompt"] for one in json.loads(capsys.readouterr().out)["segments"])
    assert "<Picture" not in first
    assert "<Subject 1> is the man in a hat in <Picture 1>: A man in a hat, sturdy." in second


def test_a_profile_next_to_the_workflow(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    Path("profiles").mkdir()
    Path("profiles/mine.yaml").write_text(MINE)
    assert call("--segments", "1", graph=wan()) == 0
    out = capsys.readouterr().out
    assert "Segment 1 of 2, My model, dialect ltx\n\nWide shot, 35 mm film. A field." in out
    assert 'An unseen narrator says: "It was early."' in out


def test_a_broken_profile_is_named(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    Path("profiles").mkdir()
    Path("profiles/mine.yaml").write_text("family: mine")
    assert call(graph=wan()) == 2
    assert "mine.yaml: 1 problem\n  - models: found nothing (null)" in capsys.readouterr().err


def test_an_unknown_model_gets_the_text_as_it_is(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    graph = wan(clip=node("CLIPLoader", clip_name="x.safetensors", type="omnigen2"))
    assert call("--json", "--segments", "1", graph=graph) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["model"]["name"], said["model"]["known"]) == ("unknown", False)
    assert said["segments"][0]["prompt"] == "35 mm film. A field."
    assert any("no profile knows the model" in note for note in said["notes"])


def test_a_bound_prompt_of_a_video_model_has_its_form(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--bind", "prompt=positive.text", "--segments", "1", graph=wan()) == 0
    assert "dialect wan" in capsys.readouterr().out


def test_a_bound_prompt_for_images_is_the_text_as_it_is(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    graph = image_graph()
    graph["4"]["inputs"]["ckpt_name"] = "sd_xl_base_1.0.safetensors"
    assert call("--bind", "prompt=6.text", "--segments", "1", graph=graph) == 0
    out = capsys.readouterr().out
    assert "dialect plain\n\n35 mm film. A field.\n" in out
    assert "Note: this is the text as the story composes it: no prompt was found, or one for images is bound" in out


def test_a_workflow_with_the_segment_node_composes_as_ever(
    call: Call, server: FakeServer, object_info: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    server.routes["GET /object_info"] = object_info
    graph = {
        "1": node("VideoGenStory", file="text below", text=json.dumps(STORY)),
        "2": node("VideoGenSegment", story=["1", 0], index=1, prompt_override=""),
        "3": node("VideoGenStoryboardFrames", segment=["2", 0]),
        "4": node("VideoGenSaveSegment", images=["3", 0], segment=["2", 0], quality="draft"),
    }
    assert call("--segments", "1", graph=graph) == 0
    out = capsys.readouterr().out
    assert "dialect plain\n\n35 mm film. A field.\n" in out
    assert "Note: the workflow's Segment node composes the prompt" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "there is neither --workflow nor --model"),
        (["--model", "x", "--workflow", "preview"], "--workflow and --model are both given"),
        (["--model", "wan-i2w"], "--model 'wan-i2w' is the name of no profile that ships (did you mean 'wan-i2v'?)"),
        (["--model", "svd", "--segments", "9"], "--segments 9: segment 9 does not exist"),
    ],
)
def test_options_that_do_not_fit(
    call: Call, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert call(*options) == 2
    assert message in capsys.readouterr().err


def test_each_segment_is_written_for_the_model_of_its_own_workflow(
    call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    segments = [STORY["segments"][0], {**STORY["segments"][1], "workflow": "other.json"}]
    Path("story.json").write_text(json.dumps({**STORY, "segments": segments}))
    Path("other.json").write_text(json.dumps(image_graph()))
    assert call("--json", "--bind", "seed=keep", graph=wan()) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["model"]["name"] == "wan-t2v"
    assert "model" not in said["segments"][0]
    assert said["segments"][1]["model"]["name"] != "wan-t2v"
    assert call("--segments", "2", graph=wan()) == 0
    assert "Wan text to video" not in capsys.readouterr().out
