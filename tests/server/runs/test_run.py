"""Whole runs on a real ComfyUI: what is rendered, kept and left over."""

from __future__ import annotations

import collections
import json
import os
import shutil
import signal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from custom_nodes.videogen.media.probe import hash_file, probe_video, verify_video
from runner.comfyui.embedded import EmbeddedServer
from tests.support.runs import (
    PROJECT,
    Ended,
    files_of,
    processes_of,
    read_journal,
    run_on,
    segments_with,
    started,
    videogen,
    wait_until,
    write_json,
)
from tests.support.servers.comfy import ComfyServer
from tests.support.stories import small_story
from tests.support.videos import read_frames, read_metadata, read_stamps

pytestmark = pytest.mark.server

#: Half a second a segment, at draft's 24 frames a second.
FRAMES = 12


@pytest.fixture
def no_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may start a ComfyUI in this test."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a ComfyUI was started")

    monkeypatch.setattr(EmbeddedServer, "start", refuse)


# ------------------------------------------------------------------ a run of its own ComfyUI

STORY = small_story("Drei Bäume", segments=3, transitions=[{"after": 2, "seconds": 0.25}])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, comfy_server: ComfyServer) -> tuple[Path, Ended]:
    """A run of the shipped preview workflow on a ComfyUI that it started itself: story.json, run/, and how it ended.

    (`comfy_server` is a parameter because it skips where no ComfyUI is set up.)
    """
    folder = tmp_path_factory.mktemp("finished")
    story = write_json(folder / "story.json", STORY)
    return folder, videogen("run", story, "--workflow", "preview", "--out", folder / "run")


@pytest.fixture
def copied(finished: tuple[Path, Ended], tmp_path: Path) -> Path:
    """A copy of that run, to go on with."""
    shutil.copytree(finished[0], tmp_path / "copied")
    return tmp_path / "copied"


def test_a_run_ends_with_a_film_of_exactly_its_segments(finished: tuple[Path, Ended]) -> None:
    folder, ended = finished
    run = folder / "run"
    assert ended.status == 0, ended.err
    assert ended.out.strip() == str(run / "film.mp4")
    for number in (1, 2, 3):
        verify_video(run / "segments" / f"segment_{number:02d}.mp4", frames=FRAMES, size=(854, 480), fps=24)
    verify_video(run / "film.mp4", frames=3 * FRAMES, size=(854, 480), fps=24)
    assert read_stamps(run / "film.mp4") == [Fraction(frame, 24) for frame in range(3 * FRAMES)]


def test_the_film_shows_the_segments_frames(finished: tuple[Path, Ended]) -> None:
    run = finished[0] / "run"
    film = read_frames(run / "film.mp4")
    sources = [frame for n in (1, 2, 3) for frame in read_frames(run / "segments" / f"segment_{n:02d}.mp4")]
    difference = [np.abs(shown.astype(int) - source).mean() for shown, source in zip(film, sources, strict=True)]
    # The first segment is copied; a dissolve of 6 frames is centered on the second cut, at frame 24.
    assert difference[:FRAMES] == [0.0] * FRAMES
    assert max(difference[FRAMES:21] + difference[27:]) < 3


def test_a_segment_opens_in_the_editor_with_its_own_index(finished: tuple[Path, Ended]) -> None:
    tags = read_metadata(finished[0] / "run" / "segments" / "segment_02.mp4")
    chosen = [n["widgets_values"][0] for n in json.loads(tags["workflow"])["nodes"] if n["type"] == "VideoGenSegment"]
    submitted = [
        n["inputs"]["index"] for n in json.loads(tags["prompt"]).values() if n["class_type"] == "VideoGenSegment"
    ]
    assert chosen == submitted == [2]


def test_the_run_directory_says_what_was_done(finished: tuple[Path, Ended]) -> None:
    run = finished[0] / "run"
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    assert (report["title"], report["done"], report["count"]) == ("Drei Bäume", 3, 3)
    assert [segment["seed"] for segment in report["segments"]] == [101, 102, 103]
    assert all(segment["sha256"] in files_of(run).values() for segment in report["segments"])
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert record["story"] == STORY
    assert record["versions"]["comfyui"]


def test_the_server_of_a_run_ends_with_it_and_leaves_its_log_only(finished: tuple[Path, Ended]) -> None:
    run = finished[0] / "run"
    assert processes_of(run) == []
    assert [path.name for path in (run / "server").iterdir()] == ["comfyui.log"]
    assert not (run / "runner.lock").exists()
    assert list(run.rglob("*.part")) == []


@pytest.mark.usefixtures("no_start")
def test_the_same_command_again_renders_nothing_and_starts_no_server(copied: Path) -> None:
    run = copied / "run"
    before = {path: (path.stat().st_mtime_ns, hash_file(path)) for path in run.rglob("*.mp4")}
    ended = videogen("run", copied / "story.json", "--workflow", "preview", "--out", run)
    assert ended.status == 0
    assert "All 3 segments are done already" in ended.err
    assert {path: (path.stat().st_mtime_ns, hash_file(path)) for path in run.rglob("*.mp4")} == before
    assert len(segments_with(run, "segment-submitted")) == 3


@pytest.mark.usefixtures("no_start")
def test_the_film_can_be_made_again_without_a_server(copied: Path) -> None:
    run = copied / "run"
    film = files_of(run)["film.mp4"]
    (run / "film.mp4").unlink()
    ended = videogen("film", run)
    assert (ended.status, ended.out.strip()) == (0, str(run / "film.mp4"))
    assert files_of(run)["film.mp4"] == film


@pytest.mark.usefixtures("no_start")
def test_another_transition_makes_another_film_and_renders_nothing(copied: Path) -> None:
    run = copied / "run"
    before = files_of(run)
    write_json(copied / "story.json", STORY | {"transitions": []})
    assert videogen("run", copied / "story.json", "--workflow", "preview", "--out", run).status == 0
    after = files_of(run)
    assert after.pop("film.mp4") != before.pop("film.mp4")
    assert after == before
    assert len(segments_with(run, "segment-submitted")) == 3


@pytest.mark.usefixtures("no_start")
def test_the_report_can_be_written_again(copied: Path) -> None:
    (copied / "run" / "report.json").unlink()
    ended = videogen("report", copied / "run")
    assert ended.status == 0
    assert "3 of 3 segments are done" in ended.out
    assert json.loads((copied / "run" / "report.json").read_text())["done"] == 3


# ------------------------------------------------------------------ going on, on another server


def test_one_changed_prompt_renders_one_segment(copied: Path, comfy_server: ComfyServer) -> None:
    run = copied / "run"
    before = files_of(run)
    changed = json.loads(json.dumps(STORY))
    changed["segments"][1]["prompt"] = "Close-up of an apple, the camera pans left."
    write_json(copied / "story.json", changed)
    ended = videogen("run", copied / "story.json", "--workflow", "preview", "--out", run, "--server", comfy_server.url)
    assert ended.status == 0, ended.err
    after = files_of(run)
    assert {name for name in after if after[name] != before[name]} == {"segment_02.mp4", "film.mp4"}
    assert segments_with(run, "segment-submitted") == [1, 2, 3, 2]


def test_a_damaged_file_is_rendered_again(copied: Path, comfy_server: ComfyServer) -> None:
    run = copied / "run"
    before = files_of(run)
    segment = run / "segments" / "segment_03.mp4"
    segment.write_bytes(segment.read_bytes()[:-100])
    (run / "segments" / "segment_01.mp4").unlink()
    ended = videogen("run", copied / "story.json", "--workflow", "preview", "--out", run, "--server", comfy_server.url)
    assert ended.status == 0, ended.err
    assert segments_with(run, "segment-submitted") == [1, 2, 3, 1, 3]
    assert files_of(run) == before


def test_fresh_renders_everything_and_keeps_what_was_there(copied: Path, comfy_server: ComfyServer) -> None:
    run = copied / "run"
    before = files_of(run)
    ended = videogen(
        "run", copied / "story.json", "--workflow", "preview", "--out", run, "--server", comfy_server.url, "--fresh"
    )
    assert ended.status == 0, ended.err
    assert segments_with(run, "segment-submitted") == [1, 2, 3]
    assert files_of(run) == before
    kept = sorted(path.name for path in run.rglob("previous/*"))
    assert kept == ["film_001.mp4", "journal_001.jsonl", *(f"segment_0{n}_001.mp4" for n in (1, 2, 3))]


# ------------------------------------------------------------------ stories of other shapes


def test_a_yaml_story_with_umlauts_other_lengths_and_a_portrait(tmp_path: Path, comfy_server: ComfyServer) -> None:
    (tmp_path / "geschichte.yaml").write_text(
        "title: Über den Äpfeln\n"
        "size: [180, 320]\n"
        "quality: draft\n"
        "fps: 8\n"
        "characters: {Gärtnerin: {description: 'eine Gärtnerin, grüne Schürze', segments: '1,3'}}\n"
        "segments:\n"
        "- {id: früh, timespan: '00:00 - 00:00.5', prompt: 'Die Gärtnerin gießt „den Baum“.'}\n"
        "- {timespan: '00:00.5 - 00:01.7', prompt: 'Blüten öffnen sich.'}\n"
        "- {frames: 1, prompt: 'Äpfel fallen ins Gras.'}\n",
        encoding="utf-8",
    )
    run = run_on(comfy_server, tmp_path, tmp_path / "geschichte.yaml")
    lengths = [probe_video(run / "segments" / f"segment_0{number}.mp4").frames for number in (1, 2, 3)]
    assert lengths == [12, 29, 3]  # 0.5 s, 1.2 s and 0.125 s at 24 frames a second
    verify_video(run / "film.mp4", frames=44, size=(480, 854), fps=24)
    tags = read_metadata(run / "segments" / "segment_01.mp4")
    assert "Die Gärtnerin gießt „den Baum“." in json.loads(tags["prompt"])["1"]["inputs"]["text"]


def test_only_some_segments_make_no_film_yet(tmp_path: Path, comfy_server: ComfyServer) -> None:
    run = run_on(comfy_server, tmp_path, small_story("Teile", segments=4), "--segments", "2,4")
    assert [path.name for path in sorted((run / "segments").iterdir())] == ["segment_02.mp4", "segment_04.mp4"]
    assert not (run / "film.mp4").exists()
    assert videogen("film", run).status == 0
    verify_video(run / "film.mp4", frames=4 * FRAMES, fps=24)


def test_set_changes_an_input_and_what_was_rendered_with_another_is_rendered_again(
    tmp_path: Path, comfy_server: ComfyServer
) -> None:
    run = run_on(comfy_server, tmp_path, small_story("Gesetzt"), "--set", "VideoGenSaveSegment.quality=standard")
    verify_video(run / "segments" / "segment_01.mp4", size=(1280, 720), fps=30, frames=15)
    verify_video(run / "film.mp4", size=(854, 480), fps=24, frames=2 * FRAMES)
    run_on(comfy_server, tmp_path, small_story("Gesetzt"))
    assert segments_with(run, "segment-submitted") == [1, 2, 1, 2]
    verify_video(run / "segments" / "segment_01.mp4", size=(854, 480), fps=24, frames=FRAMES)


def test_quality_on_the_command_line_is_that_of_segments_and_film(tmp_path: Path, comfy_server: ComfyServer) -> None:
    run = run_on(comfy_server, tmp_path, small_story("Gut"), "--quality", "standard")
    for name, frames in (("segments/segment_01.mp4", 15), ("film.mp4", 30)):
        verify_video(run / name, size=(1280, 720), fps=30, frames=frames)


def test_the_users_own_segments(tmp_path: Path, comfy_server: ComfyServer) -> None:
    theirs = PROJECT.parent / "shared" / "data" / "veo_segments.json"
    if not theirs.is_file():
        pytest.skip("the user's segments are not on this machine")
    run = run_on(comfy_server, tmp_path, theirs, "--segments", "1-2", "--quality", "draft")
    for number in (1, 2):
        verify_video(run / "segments" / f"segment_0{number}.mp4", frames=192, size=(854, 480), fps=24)
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    assert [segment["status"] for segment in report["segments"]] == ["done"] * 2 + ["pending"] * 31


def test_a_single_clip(tmp_path: Path, comfy_server: ComfyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ended = videogen(
        "run",
        "--workflow",
        "preview",
        "--server",
        comfy_server.url,
        "--quality",
        "draft",
        "--prompt",
        "an apple tree",
        "--seed",
        "1001",
        "--frames",
        "4",
        "--fps",
        "8",
        "--size",
        "320x180",
        "--output",
        "clips/tree.mp4",
    )
    assert (ended.status, ended.out.strip()) == (0, "clips/tree.mp4"), ended.err
    verify_video(tmp_path / "clips" / "tree.mp4", frames=FRAMES, size=(854, 480), fps=24)
    assert [path.name for path in (tmp_path / "clips").iterdir()] == ["tree.mp4"]


# ------------------------------------------------------------------ killed and interrupted


#: Slow enough to be caught in the middle.
LONG = small_story("Lang", size=(1280, 720), segments=8, quality="standard", fps=16, frames=8)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, comfy_server: ComfyServer) -> dict[str, str]:
    """Hashes of what the long story comes to when nothing happens."""
    return files_of(run_on(comfy_server, tmp_path_factory.mktemp("undisturbed"), LONG))


def test_a_killed_run_leaves_no_server_and_carries_on(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    run = tmp_path / "run"
    command = ["run", write_json(tmp_path / "story.json", LONG), "--workflow", "preview", "--out", run]
    with started(*command) as process:
        wait_until(lambda: len(segments_with(run, "segment-done")) >= 2)
        assert len(processes_of(run)) >= 2, "the runner, and the ComfyUI that it has started"
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=10)
    wait_until(lambda: processes_of(run) == [], seconds=15)
    done = segments_with(run, "segment-done")
    assert len(done) < 8, "it was killed too late"

    ended = videogen(*command)
    assert ended.status == 0, ended.err
    assert collections.Counter(segments_with(run, "segment-done")) == dict.fromkeys(range(1, 9), 1)
    second = [record["event"] for record in read_journal(run)].index("run-started", 1)
    again = {record.get("segment") for record in read_journal(run)[second:] if record["event"] == "segment-submitted"}
    assert again & set(done) == set()
    assert files_of(run) == undisturbed


def test_ctrl_c_ends_with_130_leaves_nothing_and_can_be_carried_on(
    tmp_path: Path, undisturbed: dict[str, str], comfy_server: ComfyServer
) -> None:
    run = tmp_path / "run"
    command = ["run", write_json(tmp_path / "story.json", LONG), "--workflow", "preview", "--out", run]
    with started(*command, "--json") as process:
        wait_until(lambda: len(segments_with(run, "segment-done")) >= 1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "run the same command again to resume" in err
    assert "Traceback" not in err
    assert [line for line in out.splitlines() if not isinstance(json.loads(line), dict)] == []
    assert processes_of(run) == []
    assert not (run / "runner.lock").exists()
    assert 1 <= len(segments_with(run, "segment-done")) < 8

    ended = videogen(*command, "--server", comfy_server.url)
    assert ended.status == 0, ended.err
    assert collections.Counter(segments_with(run, "segment-done")) == dict.fromkeys(range(1, 9), 1)
    assert files_of(run) == undisturbed


def test_events_are_one_json_object_a_line(tmp_path: Path, comfy_server: ComfyServer) -> None:
    story = write_json(tmp_path / "story.json", small_story("Ereignisse"))
    ended = videogen(
        "run", story, "--workflow", "preview", "--out", tmp_path / "run", "--server", comfy_server.url, "--json"
    )
    assert (ended.status, ended.err) == (0, "")
    events = [json.loads(line) for line in ended.out.splitlines()]
    names = [event["event"] for event in events]
    assert {"run-started", "segment-submitted", "segment-done", "film-done"} <= set(names)
    assert names[-1] == "run-finished"
    assert [event for event in events if event["event"] not in ("message", "progress")] == read_journal(
        tmp_path / "run"
    )
