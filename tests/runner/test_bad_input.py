"""What a user can get wrong: the command line says what it is, in one go, and has started nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.cli import main
from runner.comfyui.client import ComfyClient
from runner.comfyui.embedded import EmbeddedServer
from tests.support.disks import fill, mount_small_disk
from tests.support.stories import segment_graph

GOOD: dict[str, Any] = {"title": "Tiny", "segments": [{"prompt": "a tree"}, {"prompt": "a house"}]}
WORKFLOW = segment_graph("")


def segments(*changes: dict[str, Any]) -> dict[str, Any]:
    """A story of segments that differ from a good one by these changes."""
    return {"title": "Tiny", "segments": [{"prompt": "a tree", **change} for change in changes]}


@pytest.fixture(autouse=True)
def _nothing_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("something was started or submitted")

    monkeypatch.setattr(EmbeddedServer, "start", refuse)
    monkeypatch.setattr(ComfyClient, "submit", refuse)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def refuse(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that must be refused, with status 2 unless another is named; returns what it says."""

    def call(*arguments: str, expected: int = 2) -> str:
        try:
            status = main(arguments)
        except SystemExit as exit_call:  # argparse's own way
            status = int(exit_call.code or 0)
        out, err = capsys.readouterr()
        assert status == expected, f"status {status}: {err}"
        assert "Traceback" not in out + err
        return err

    return call


@pytest.fixture
def run_story(refuse: Callable[..., str], tmp_path: Path) -> Callable[..., str]:
    """`videogen run` on a story (data, or the text or bytes of the file), which must be refused."""

    def call(story: Any, *arguments: str, name: str = "story.json", command: str = "run", expected: int = 2) -> str:
        path = tmp_path / name
        content = story if isinstance(story, (str, bytes)) else json.dumps(story)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        workflow = tmp_path / "workflow.json"
        workflow.write_text(json.dumps(WORKFLOW))
        said = refuse(command, str(path), "--workflow", str(workflow), *arguments, expected=expected)
        assert not (tmp_path / "runs").exists(), "a run directory was made"
        return said

    return call


# ------------------------------------------------------------------ stories

STORIES: dict[str, tuple[Any, list[str]]] = {
    "not JSON": ('{"segments": [{"prompt": "a tree" "seed": 1}]}', ["story.json is not JSON", "line 1, column 3"]),
    "empty file": ("", ["story.json is empty"]),
    "empty list": ([], ["segments", "is an empty list"]),
    "other bytes": (b"\xff\xfe\x00", ["not UTF-8"]),
    "a number": ("5", ["expected a list of segments"]),
    "deeply nested": ("[" * 100_000, ["nested too deeply"]),
    "doubled key": ('{"title": "a", "title": "b", "segments": []}', ["'title' is repeated"]),
    "no prompt": (segments({"id": "one"}) | {"segments": [{"id": "one"}]}, ["segments[1].prompt: is missing"]),
    "prompt is a number": (segments({"prompt": 5}), ["segments[1].prompt", "found 5, expected text"]),
    "prompt is empty": (segments({"prompt": "  "}), ["segments[1].prompt: is empty"]),
    "long prompt": (segments({"prompt": "x" * 200_000}), ["segments[1].prompt", "200,000 characters", "20,000"]),
    "timespan backwards": (segments({"timespan": "00:16 - 00:08"}), ["segments[1].timespan", "runs backwards"]),
    "timespans overlap": (
        segments({"timespan": "00:00 - 00:08"}, {"timespan": "00:07 - 00:16"}),
        ["segments[2].timespan", "overlaps segment 1"],
    ),
    "no timespan": (segments({"timespan": "soon"}), ["segments[1].timespan", "'soon'", "MM:SS - MM:SS"]),
    "same id twice": (segments({"id": "a"}, {"id": "a"}), ["segments[2].id", "the id of segment 1 too"]),
    "id with a path": (segments({"id": "../../etc/x"}), ["segments[1].id", "../../etc/x"]),
    "segment 99": (
        GOOD | {"characters": {"man": {"segments": "1,99"}}},
        ["characters.man.segments", "segment 99 does not exist", "1 to 2"],
    ),
    "transition after 7": (
        GOOD | {"transitions": [{"after": 7}]},
        ["transitions[1].after", "segment 7 does not exist"],
    ),
    "long transition": (
        GOOD | {"transitions": [{"after": 1, "seconds": 9}]},
        ["transitions[1].seconds", "9.000 s is longer than segment 1 (8.000 s)"],
    ),
    "unknown transition": (
        GOOD | {"transitions": [{"after": 1, "type": "disolve"}]},
        ["transitions[1].type", "did you mean 'dissolve'?"],
    ),
    "negative seed": (segments({"seed": -1}), ["segments[1].seed", "found -1", "2^64 - 1"]),
    "half a seed": (segments({"seed": 1.5}), ["segments[1].seed", "found 1.5", "a whole number"]),
    "large seed": (segments({"seed": 2**64}), ["segments[1].seed", "2^64 - 1"]),
    "seed in words": (segments({"seed": "lucky"}), ["segments[1].seed", "lucky"]),
    "no frames a second": (GOOD | {"fps": 0}, ["fps", "found 0"]),
    "NaN frames a second": ('{"fps": NaN, "segments": [{"prompt": "x"}]}', ["fps", "nan"]),
    "no size": (GOOD | {"size": [0, 0]}, ["size", "found 0 × 0"]),
    "size of a million": (GOOD | {"size": [1_000_000, 2]}, ["size", "1000000", "8192"]),
    "size in words": (GOOD | {"size": "big"}, ["size", "expected [width, height]"]),
    "no such quality": (GOOD | {"quality": "hihg"}, ["quality", "did you mean 'high'?"]),
    "segments elsewhere": (GOOD | {"segments": "../other/segments.json"}, ["segments", "outside the story's folder"]),
    "segments not there": (GOOD | {"segments": "segments.json"}, ["no file 'segments.json' in the story's folder"]),
    "unknown key": (GOOD | {"titel": "x"}, ["titel: unknown key", "did you mean 'title'?"]),
    "unknown key inside": (segments({"promt": "x"}), ["segments[1].promt: unknown key", "'prompt'"]),
    "everything at once": (
        segments({"seed": -1, "timespan": "x"}) | {"fps": 0, "size": 5},
        ["4 problems", "segments[1].seed", "segments[1].timespan", "fps", "size", "docs/story-format.md"],
    ),
}


@pytest.mark.parametrize("case", STORIES)
def test_a_story_that_cannot_be_rendered(run_story: Callable[..., str], case: str) -> None:
    story, words = STORIES[case]
    said = run_story(story)
    assert [word for word in words if word not in said] == [], said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- prompt: !!python/object/apply:os.system ['touch owned']", ["YAML tag that builds an object", "line 1"]),
        ("- prompt: a\n  prompt: b", ["'prompt' is repeated"]),
        ("- prompt: [", ["is not YAML"]),
        ("segments: &a [*a]", ["segments[1]"]),
        ("- prompt: !!timestamp 2025-01-01", ["found a date", "quotes"]),
    ],
    ids=["object", "doubled key", "broken", "holds itself", "date"],
)
def test_a_yaml_story_that_cannot_be_rendered(
    run_story: Callable[..., str], tmp_path: Path, text: str, words: list[str]
) -> None:
    said = run_story(text, name="story.yaml")
    assert [word for word in words if word not in said] == [], said
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("make", "word"),
    [(lambda path: None, "there is no story file"), (Path.mkdir, "is a folder"), (os.mkfifo, "is not a file")],
    ids=["missing", "folder", "pipe"],
)
def test_a_story_that_is_no_file(
    refuse: Callable[..., str], tmp_path: Path, make: Callable[[Path], Any], word: str
) -> None:
    make(tmp_path / "story.json")
    (tmp_path / "workflow.json").write_text(json.dumps(WORKFLOW))
    assert word in refuse("run", "story.json", "--workflow", "workflow.json")


def test_an_error_is_an_event_too_where_events_are_wanted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "story.json").write_text("{")
    (tmp_path / "workflow.json").write_text(json.dumps(WORKFLOW))
    assert main(["run", "story.json", "--workflow", "workflow.json", "--json"]) == 2
    (line,) = capsys.readouterr().out.splitlines()
    event = json.loads(line)
    assert (event["event"], event["code"]) == ("error", "story-unreadable")
    assert "story.json is not JSON" in event["message"]


def test_check_names_both_files_at_once_and_needs_no_server_for_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "story.json").write_text("{")
    (tmp_path / "workflow.json").write_text("[]")
    assert main(["check", "story.json", "--workflow", "workflow.json"]) == 2
    said = capsys.readouterr().out
    assert "story.json is not JSON" in said
    assert "workflow.json is no ComfyUI workflow" in said


# ------------------------------------------------------------------ options

OPTIONS: dict[str, tuple[list[str], list[str]]] = {
    "--segments of others": (["--segments", "0,40"], ["--segments 0,40", "segment 0 does not exist", "1 to 2"]),
    "--segments backwards": (["--segments", "2-1"], ["--segments 2-1", "runs backwards"]),
    "--segments in words": (["--segments", "all"], ["--segments all", "1,4,8-11"]),
    "--segments of nothing": (["--segments", ""], ["--segments", "expected segment numbers"]),
    "--quality unknown": (["--quality", "best"], ["--quality", "'best'", "premium"]),
    "--retries negative": (["--retries", "-1"], ["--retries"]),
    "--retries in words": (["--retries", "many"], ["--retries", "'many'", "whole number"]),
    "--retries superscript": (["--retries", "²"], ["--retries"]),
    "--stall of nothing": (["--stall", "0"], ["--stall", "'0'", "seconds"]),
    "--server not an address": (["--server", "ftp://host"], ["--server", "ftp://host", "http://127.0.0.1:8188"]),
    "--header not a header": (["--server", "http://host", "--header", "x"], ["--header", "Name: value"]),
    "--set without a value": (["--set", "3.cfg"], ["--set '3.cfg' cannot be read", "NODE.INPUT=VALUE"]),
    "--set without an input": (["--set", "cfg=5"], ["--set 'cfg=5' cannot be read", "NODE.INPUT=VALUE"]),
    "--bind of another name": (["--bind", "sede=3.seed"], ["--bind 'sede=3.seed' cannot be read", "prompt, negative"]),
    "--bind without an input": (["--bind", "seed=3"], ["--bind 'seed=3' cannot be read", "NAME=NODE.INPUT"]),
    "--references not there": (["--references", "gone.json"], ["there is no workflow gone.json"]),
    "unknown option": (["--sede", "5"], ["usage: videogen run", "--sede", "did you mean --seed?"]),
    "--seed without --prompt": (["--seed", "5"], ["--seed is for a single clip, and --prompt is missing"]),
    "--prompt with a story": (["--prompt", "a tree"], ["goes with neither STORY nor --segments"]),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_an_option_that_cannot_be_used(run_story: Callable[..., str], case: str) -> None:
    arguments, words = OPTIONS[case]
    said = run_story(GOOD, *arguments)
    assert [word for word in words if word not in said] == [], said


CLIPS: dict[str, tuple[list[str], list[str]]] = {
    "no prompt": (["--prompt", " "], ["prompt", "is empty"]),
    "long prompt": (["--prompt", "x" * 30_000], ["30,000 characters"]),
    "seed in words": (["--prompt", "x", "--seed", "lucky"], ["seed", "lucky"]),
    "seed negative": (["--prompt", "x", "--seed=-5"], ["seed", "found -5"]),
    "seed too large": (["--prompt", "x", "--seed", str(2**64)], ["seed", "2^64 - 1"]),
    "seed endless": (["--prompt", "x", "--seed", "9" * 5000], ["seed"]),
    "half a seed": (["--prompt", "x", "--seed", "1.5"], ["seed", "1.5"]),
    "no frames": (["--prompt", "x", "--frames", "0"], ["frames", "found 0"]),
    "frames in words": (["--prompt", "x", "--frames", "few"], ["frames", "few"]),
    "no rate": (["--prompt", "x", "--fps", "0"], ["fps", "0"]),
    "rate NaN": (["--prompt", "x", "--fps", "nan"], ["fps", "nan"]),
    "size of one number": (["--prompt", "x", "--size", "640"], ["size", "640"]),
    "size odd": (["--prompt", "x", "--size", "641x360"], ["size", "641"]),
    "size zero": (["--prompt", "x", "--size", "0x0"], ["size", "0 × 0"]),
    "with segments": (["--prompt", "x", "--segments", "1"], ["neither STORY nor --segments"]),
}


@pytest.mark.parametrize("case", CLIPS)
def test_a_clip_that_cannot_be_rendered(refuse: Callable[..., str], tmp_path: Path, case: str) -> None:
    arguments, words = CLIPS[case]
    (tmp_path / "workflow.json").write_text(json.dumps(WORKFLOW))
    said = refuse("run", "--workflow", "workflow.json", *arguments)
    assert [word for word in words if word not in said] == [], said
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, ["there is no workflow film.json", "Shipped are:"]),
        ("{", ["film.json is not JSON"]),
        ("[]", ["is no ComfyUI workflow"]),
        ("{}", ["is no ComfyUI workflow"]),
        (json.dumps(GOOD), ["is no ComfyUI workflow"]),
    ],
    ids=["missing", "not json", "list", "empty", "a story"],
)
def test_a_workflow_that_is_none(
    refuse: Callable[..., str], tmp_path: Path, content: str | None, words: list[str]
) -> None:
    (tmp_path / "story.json").write_text(json.dumps(GOOD))
    if content is not None:
        (tmp_path / "film.json").write_text(content)
    said = refuse("run", "story.json", "--workflow", "film.json")
    assert [word for word in words if word not in said] == [], said


def test_a_name_of_three_hundred_letters_is_no_file(refuse: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "workflow.json").write_text(json.dumps(WORKFLOW))
    assert "too long" in refuse("run", "x" * 300, "--workflow", "workflow.json")
    assert "too long" in refuse("run", "--workflow", "x" * 300)


# ------------------------------------------------------------------ folders


@pytest.mark.parametrize("place", ["file/run", "/proc/videogen"])
def test_a_folder_that_cannot_be_written(run_story: Callable[..., str], tmp_path: Path, place: str) -> None:
    if place.startswith("/proc") and not Path("/proc").is_dir():
        pytest.skip("there is no /proc")
    (tmp_path / "file").write_text("in the way")
    said = run_story(GOOD, "--out", place)
    assert "cannot be written" in said
    assert place.split("/", maxsplit=1)[-1] in said


def test_a_folder_of_other_things_is_not_written_into(run_story: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.doc").write_text("mine")
    assert "not empty (it has 'thesis.doc')" in run_story(GOOD, "--out", "home")
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["thesis.doc"]


def test_a_full_disk_is_named_before_anything_runs(run_story: Callable[..., str], tmp_path: Path) -> None:
    with mount_small_disk(tmp_path / "disk", 100) as disk:
        fill(disk)
        said = run_story(GOOD, "--out", str(disk / "run"), expected=1)
    assert "no space is left" in said
    assert "--out" in said


@pytest.mark.parametrize("place", ["file/clip.mp4", "folder", "/proc/clip.mp4"])
def test_a_clip_that_could_not_be_delivered_is_not_rendered(
    refuse: Callable[..., str], tmp_path: Path, place: str
) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder").mkdir()
    (tmp_path / "workflow.json").write_text(json.dumps(WORKFLOW))
    said = refuse("run", "--workflow", "workflow.json", "--prompt", "a tree", "--output", place)
    assert "cannot be written" in said
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("command", ["film", "report"])
@pytest.mark.parametrize("place", ["gone", "empty", "file"])
def test_what_is_no_run_directory(refuse: Callable[..., str], tmp_path: Path, command: str, place: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    assert place in refuse(command, place)
    assert list((tmp_path / "empty").iterdir()) == []


@pytest.mark.parametrize("arguments", [[], ["rnu"], ["film"], ["convert"]])
def test_a_command_that_is_none(refuse: Callable[..., str], arguments: list[str]) -> None:
    assert "usage: videogen" in refuse(*arguments)


@pytest.mark.skipif(os.sep == "\\", reason="these are separators there")
@pytest.mark.parametrize(
    ("command", "path"),
    [
        (("check",), "stories\\film.json"),
        (("run",), "stories\\film.json"),
        (("score",), "clips\\one.mp4"),
        (("score", "--reference"), "sub\\pic.png"),
        (("convert",), "flows\\film.json"),
    ],
)
def test_a_path_with_windows_separators_is_hinted_at(
    command: tuple[str, ...], path: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "clip.png").touch()
    rest = ["clip.png"] if "--reference" in command else []
    assert main([*command, path, *rest]) == 2
    out, err = capsys.readouterr()
    assert f"(folders are separated by / on this system: {path.replace(chr(92), '/')!r})" in out + err
