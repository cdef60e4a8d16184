"""Outcomes: what ComfyUI's history says of a prompt, and which of its files is the segment."""

from __future__ import annotations

from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from runner.comfyui.outcome import Outcome, find_video_files, is_video, read_outcome


def entry(status: str, *messages: list[Any], outputs: Any = None) -> dict[str, Any]:
    """A /history entry as ComfyUI 0.3.75 writes it."""
    return {"status": {"status_str": status, "messages": list(messages)}, "outputs": outputs or {}}


START = ["execution_start", {"prompt_id": "id", "timestamp": 1_000}]


def test_success_has_outputs_and_the_server_s_own_time() -> None:
    outcome = read_outcome(
        entry("success", START, ["execution_success", {"timestamp": 3_500}], outputs={"4": {"images": []}})
    )
    assert (outcome.status, outcome.outputs, outcome.executed) == ("success", {"4": {"images": []}}, 2.5)


def test_an_error_names_the_node_and_the_reason_in_one_line() -> None:
    failure = {
        "node_id": "3",
        "node_type": "KSampler",
        "exception_type": "torch.OutOfMemoryError",
        "exception_message": "Allocation on device\n\n  0 would exceed",
        "timestamp": 2_000,
    }
    outcome = read_outcome(entry("error", START, ["execution_error", failure]))
    assert outcome.status == "error"
    assert outcome.error == "node 3 (KSampler): Allocation on device 0 would exceed"
    assert outcome.exception_type == "torch.OutOfMemoryError"
    assert outcome.executed == 1.0


def test_an_interrupted_prompt_is_told_from_one_that_failed() -> None:
    """It is in the history as an error; only the messages tell."""
    outcome = read_outcome(entry("error", START, ["execution_interrupted", {"node_id": "3", "timestamp": 1_200}]))
    assert (outcome.status, outcome.executed) == ("interrupted", 0.2)


@pytest.mark.parametrize(
    "odd", [{}, {"status": None}, {"status": {}}, {"status": {"messages": None}}, {"status": {"messages": ["x", [1]]}}]
)
def test_an_entry_that_says_nothing_is_an_error(odd: dict[str, Any]) -> None:
    outcome = read_outcome(odd)
    assert (outcome.status, outcome.error) == ("error", "node ? (?): no reason given")
    assert outcome.executed is None


# ------------------------------------------------------------------ the files


def file(name: str, kind: str = "output") -> dict[str, str]:
    return {"filename": name, "subfolder": "", "type": kind}


def found(outputs: dict[str, Any]) -> list[str]:
    return [item["filename"] for item in find_video_files(Outcome("success", outputs=outputs))[0]]


@pytest.mark.parametrize(
    ("outputs", "files"),
    [
        ({"4": {"images": [file("a.mp4")], "animated": [True]}}, ["a.mp4"]),
        ({"4": {"gifs": [file("a.webm")]}}, ["a.webm"]),  # VideoHelperSuite calls everything a gif
        ({"3": {"images": [file("a.png")]}, "4": {"images": [file("b.mp4")]}}, ["b.mp4", "a.png"]),
        ({"4": {"images": [file("1.png"), file("2.png")]}}, ["1.png", "2.png"]),
        ({"3": {"images": [file("p.png", "temp")]}, "4": {"images": [file("a.png")]}}, ["a.png"]),
        ({"3": {"images": [file("p.png", "temp")]}}, ["p.png"]),
        ({"4": {"images": [file("A.MP4")], "text": ["hello"], "seconds": 5}}, ["A.MP4"]),
    ],
    ids=["video", "gifs", "video before picture", "pictures in order", "no preview", "only a preview", "other results"],
)
def test_the_best_files_come_first(outputs: dict[str, Any], files: list[str]) -> None:
    assert found(outputs) == files


@pytest.mark.parametrize(
    "outputs", [{}, {"4": {"text": ["x"]}}, {"4": {"images": [{"filename": ""}, {"name": "x"}, "x.png", None]}}]
)
def test_a_prompt_that_saved_nothing_is_an_error(outputs: dict[str, Any]) -> None:
    with pytest.raises(VideoGenError, match="saved no file") as caught:
        found(outputs)
    assert caught.value.code == "output-missing"


def test_our_own_node_s_record_comes_along() -> None:
    record = {"number": 1, "sha256": "a" * 64}
    outputs = {"4": {"images": [file("a.mp4")], "videogen": [record]}, "5": {"videogen": [{"frames": 24}]}}
    assert find_video_files(Outcome("success", outputs=outputs))[1] == record


@pytest.mark.parametrize(
    ("name", "video"), [("a.mp4", True), ("a.MKV", True), ("a.webp", True), ("a.png", False), ("mp4", False)]
)
def test_a_video_is_known_by_its_suffix(name: str, video: bool) -> None:
    assert is_video(name) is video


def test_previews_count_where_only_sound_is_saved() -> None:
    preview = {"filename": "preview.png", "subfolder": "", "type": "temp"}
    sound = {"filename": "sound.flac", "subfolder": "", "type": "output"}
    files, _ = find_video_files(Outcome("success", outputs={"1": {"audio": [sound]}, "2": {"images": [preview]}}))
    assert files == [preview, sound]
