"""Which of a prompt's files is the segment: those of one node, never a mixture."""

from __future__ import annotations

from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from runner.comfyui.answers import SegmentRecord
from runner.comfyui.outcome import Outcome, read_outcome
from runner.comfyui.outputs import ClipFiles, choose_clip, suffix_of


def file(name: str, kind: str = "output") -> dict[str, str]:
    return {"filename": name, "subfolder": "", "type": kind}


def choose(outputs: dict[str, Any], output_node: str = "") -> ClipFiles:
    return choose_clip(Outcome("success", outputs=outputs), output_node)


def found(outputs: dict[str, Any], output_node: str = "") -> list[str]:
    return [item.filename for item in choose(outputs, output_node).files]


def error_of(outputs: dict[str, Any], output_node: str = "") -> VideoGenError:
    with pytest.raises(VideoGenError) as caught:
        choose(outputs, output_node)
    return caught.value


RECORD = {"number": 1, "sha256": "a" * 64, "frames": 12, "quality": "draft", "encoder": "libx264"}
OURS = {"images": [file("segment.mp4")], "animated": [True], "videogen": [RECORD]}
VIDEO = {"images": [file("video.mp4")], "animated": [True]}
VHS = {"gifs": [file("vhs.mp4") | {"format": "video/h264-mp4", "frame_rate": 8.0, "workflow": "vhs.png"}]}
ANIMATION = {"images": [file("animation.webp")], "animated": [True]}
PICTURES = {"images": [file("1.png"), file("2.png")], "animated": [False]}
PREVIEW = {"images": [file("preview.png", "temp")]}
REFERENCE = {"images": [file("man.png", "input")], "videogen": [{"written": "man.png", "sha256": "b" * 64}]}


@pytest.mark.parametrize(
    ("outputs", "files"),
    [
        ({"4": VIDEO}, ["video.mp4"]),
        ({"4": VHS}, ["vhs.mp4"]),  # VideoHelperSuite calls everything a gif
        ({"3": PICTURES, "4": VIDEO}, ["video.mp4"]),
        ({"3": VIDEO, "4": PICTURES}, ["video.mp4"]),
        ({"3": ANIMATION, "4": VIDEO}, ["video.mp4"]),
        ({"3": ANIMATION, "4": PICTURES}, ["animation.webp"]),
        ({"4": {"images": [file("animation.png")], "animated": [True]}, "5": PICTURES}, ["animation.png"]),
        ({"4": PICTURES}, ["1.png", "2.png"]),
        ({"3": PREVIEW, "4": PICTURES}, ["1.png", "2.png"]),
        ({"3": {"gifs": [file("preview.mp4", "temp")]}, "4": PICTURES}, ["1.png", "2.png"]),
        ({"3": PREVIEW}, ["preview.png"]),
        ({"3": REFERENCE, "4": PICTURES}, ["1.png", "2.png"]),
        ({"4": {"images": [file("A.MP4")], "text": ["hello"], "seconds": 5}}, ["A.MP4"]),
        ({"4": {"images": [file("x.png"), file("x.mp4")]}}, ["x.mp4"]),
    ],
    ids=[
        "video",
        "gifs",
        "video after pictures",
        "video before pictures",
        "video, not animation",
        "animation, not pictures",
        "animated PNG",
        "pictures in order",
        "no preview",
        "no preview video",
        "only a preview",
        "a reference is no segment",
        "other results",
        "one node with both",
    ],
)
def test_the_best_files_of_one_node(outputs: dict[str, Any], files: list[str]) -> None:
    assert found(outputs) == files


@pytest.mark.parametrize(
    "others", [{"1": VIDEO}, {"9": VIDEO}, {"1": VHS, "2": VIDEO, "9": PICTURES}, {"1": REFERENCE}]
)
def test_the_file_that_save_segment_records_wherever_other_savers_are(others: dict[str, Any]) -> None:
    clip = choose(dict(sorted({**others, "4": OURS}.items())))
    assert (clip.node, [item.filename for item in clip.files]) == ("4", ["segment.mp4"])
    assert clip.record is not None
    assert (clip.record.sha256, clip.record.frames, clip.record.quality) == ("a" * 64, 12, "draft")


@pytest.mark.parametrize(
    ("outputs", "nodes"),
    [
        ({"3": PICTURES, "4": {"images": [file("mask.png")]}}, "3, 4"),
        ({"3": VIDEO, "4": VHS, "5": PICTURES}, "3, 4"),
        ({"3": OURS, "4": OURS, "5": VIDEO}, "3, 4"),
        ({"3": PREVIEW, "4": PREVIEW}, "3, 4"),
    ],
    ids=["pictures", "videos", "two of ours", "previews"],
)
def test_several_equally_good_nodes_are_never_mixed(outputs: dict[str, Any], nodes: str) -> None:
    error = error_of(outputs)
    assert error.code == "workflow-invalid"
    assert f"nodes {nodes} of the workflow" in error.message
    assert "--bind output=4" in error.hint


@pytest.mark.parametrize(
    ("node", "files"), [("3", ["1.png", "2.png"]), ("4", ["mask.png"]), ("5", ["video.mp4"]), ("6", ["segment.mp4"])]
)
def test_the_node_that_is_bound_counts(node: str, files: list[str]) -> None:
    outputs = {"3": PICTURES, "4": {"images": [file("mask.png")]}, "5": VIDEO, "6": OURS}
    clip = choose(outputs, node)
    assert [item.filename for item in clip.files] == files
    assert (clip.record is not None) is (node == "6")


def test_a_bound_node_that_saved_nothing_is_told_with_those_that_did() -> None:
    error = error_of({"3": PICTURES}, "9")
    assert error.code == "output-missing"
    assert error.message == "node 9, which --bind output names, saved no file; nodes 3 have"


def test_files_of_a_node_that_a_bound_one_has_created() -> None:
    """A node that expands into others while it runs: the history names it in `meta`."""
    entry = {
        "status": {"status_str": "success"},
        "outputs": {"9.0.0.1": VIDEO, "3": VIDEO},
        "meta": {"9.0.0.1": {"node_id": "9.0.0.1", "display_node": "9"}},
    }
    assert choose_clip(read_outcome(entry), "9").node == "9.0.0.1"


def test_several_videos_of_one_node_are_not_one_segment() -> None:
    error = error_of({"4": {"images": [file("a.mp4"), file("b.mp4")]}})
    assert (error.code, "has saved 2 videos" in error.message) == ("workflow-invalid", True)


@pytest.mark.parametrize(
    "outputs", [{}, {"4": {"text": ["x"]}}, {"4": {"images": [{"filename": ""}, {"name": "x"}, "x.png", None]}}]
)
def test_a_prompt_that_saved_nothing_is_an_error(outputs: dict[str, Any]) -> None:
    error = error_of(outputs)
    assert (error.code, "saved no file" in error.message) == ("output-missing", True)


def test_sound_of_any_node_comes_along_and_is_no_segment() -> None:
    sound = {"audio": [file("sound.flac")]}
    clip = choose({"1": sound, "2": PREVIEW})
    assert [item.filename for item in (*clip.files, *clip.sounds)] == ["preview.png", "sound.flac"]
    assert "saved only sound" in error_of({"1": sound}).message


def test_a_record_that_cannot_be_read_is_a_verdict_on_that_file() -> None:
    assert error_of({"4": OURS | {"videogen": [{"sha256": 5}]}}).code == "media-broken"
    assert choose({"4": OURS | {"videogen": [{"sha256": "x", "telemetry": {"pauses": 5}}]}}).telemetry is None


def test_a_record_of_an_older_pack_has_less() -> None:
    assert choose({"4": OURS | {"videogen": [{"sha256": "x"}]}}).record == SegmentRecord("x")


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.MP4", ".mp4"), ("a", ""), ("a.mp\0", ""), ("x.mp4/..", ""), ("a." + "b" * 300, ""), ("a.\ud800", "")],
)
def test_of_a_server_s_name_only_a_plain_suffix_is_used(name: str, suffix: str) -> None:
    assert suffix_of(name) == suffix
