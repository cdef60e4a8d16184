"""A run directory that comes from somebody else: nothing outside of it is read, written or removed."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.probe import hash_file
from runner import doctor
from runner.rendering.results import recover_takes, recover_verified
from runner.state.event import EVENTS
from runner.state.events import read_event
from runner.state.file_fields import CHECKS
from runner.state.journal import Journal
from runner.state.own_files import can_others_write, require_own_files
from runner.state.run_directory import RunDirectory
from tests.support.journal_events import finish
from tests.support.runs import videogen
from tests.support.stories import small_story

posix = pytest.mark.skipif(sys.platform == "win32", reason="links take rights on Windows")

OUTSIDE = [
    "../victim/.bashrc",
    "/etc/passwd",
    "..",
    ".",
    "../../x",
    "a/../../x",
    "..\\..\\x",
    "\\\\host\\share\\x",
    "//host/share/x",
    "C:x",
    "x:stream",
    "\\\\?\\C:\\x",
    "CON",
    "aux.mp4",
    "a\0b",
    "a\nb",
    "a.mp4.",
    "a" * 300,
    5,
    ["x"],
    {"x": 1},
]

#: Where the journal names a file: event, field.
NAMING = [
    *(("segment-verified", "file"), ("segment-verified", "part"), ("segment-done", "file"), ("film-done", "file")),
    *(("segment-restored", "file"), ("segment-restored", "part")),
    *(("segment-take", "part"), ("segment-take", "scores_file"), ("segment-take", "result.file")),
    *(("segment-done", "continuity.file"), ("segment-done", "takes.file")),
    *(("reference-done", "name"), ("reference-submitted", "name"), ("reference-failed", "name")),
]


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file of the user's, next to the run directory, and nothing may happen to it."""
    victim = tmp_path / "victim" / ".bashrc"
    victim.parent.mkdir()
    victim.write_text("precious")
    return victim


def write_run(folder: Path, *events: dict[str, Any]) -> Path:
    """A run directory as somebody hands it out."""
    (folder / "segments").mkdir(parents=True)
    story = small_story("Tiny")
    record = {"format": 1, "run_id": "0" * 32, "title": story["title"], "story": story}
    (folder / "run.json").write_text(json.dumps(record))
    lines = [json.dumps({"time": 1.0, **event}) + "\n" for event in events]
    (folder / "journal.jsonl").write_text("".join(lines))
    return folder


def a_segment(**result: Any) -> list[dict[str, Any]]:
    """The lines of a segment on its way to being done."""
    verified = {"segment": 1, "key": "k", "file": "segments/segment_01.mp4", "bytes": 5, **result}
    return [
        {"event": "segment-submitted", "segment": 1, "key": "k", "attempt": 0, "prompt_id": "p", "server": "s"},
        {"event": "segment-fetched", "segment": 1, "attempt": 0, "bytes": 5},
        {"event": "segment-verified", **verified},
    ]


# ------------------------------------------------------------------ names in the journal


@pytest.mark.parametrize(
    ("event", "field", "name"),
    [
        (event, field, name)
        for event, field in NAMING
        for name in OUTSIDE
        # References are in a folder of folders.
        if not (event.startswith("reference") and name in ("x:stream", ".", "a" * 300))
    ],
    ids=repr,
)
def test_a_name_that_leads_elsewhere_is_no_event(event: str, field: str, name: Any) -> None:
    head, _, rest = field.partition(".")
    value = name if not rest else [{rest: name}] if head == "takes" else {rest: name}
    record = {"event": event, "segment": 1, head: value}
    with pytest.raises(ValueError, match=f"{rest or head} is "):
        read_event(record)


@pytest.mark.parametrize("prefix", ["segments/", "takes/", "scores/", "", "../takes/", "references/", "../"])
@pytest.mark.parametrize("name", [name for name in OUTSIDE if isinstance(name, str)], ids=repr)
def test_the_right_folder_in_front_does_not_help(prefix: str, name: str) -> None:
    for field in ("file", "part"):
        with pytest.raises(ValueError, match="expected"):
            read_event({"event": "segment-verified", "segment": 1, "file": "segments/a.mp4", field: f"{prefix}{name}"})


@pytest.mark.parametrize("sha256", ["../../etc/x", "a" * 65, 5, "A\n"])
def test_a_hash_is_one_because_it_becomes_a_name(sha256: Any) -> None:
    with pytest.raises(ValueError, match="sha256"):
        read_event({"event": "segment-done", "segment": 1, "sha256": sha256})


@pytest.mark.parametrize("event", ["segment-submitted", "segment-done", "segment-rekeyed", "attempt-failed"])
@pytest.mark.parametrize("key", ["../../x", "a/b", r"a\b", "..", "C:x", 5])
def test_a_key_is_a_hash_because_it_becomes_part_of_a_name(event: str, key: Any) -> None:
    with pytest.raises(ValueError, match="its key is"):
        read_event({"event": event, "segment": 1, "key": key})


def test_names_of_every_version_of_ours_are_read() -> None:
    for event in (
        {"event": "segment-verified", "file": "segments/segment_01.mp4", "part": ".segment_01-00000.mp4.part"},
        {"event": "segment-verified", "file": "segments/segment_01.webm", "part": "../takes/segment_01_take_2.webm"},
        {
            "event": "segment-restored",
            "file": "segments/segment_01.mp4",
            "part": "../results/segment_01-0123456789abcdef.mp4",
        },
        {"event": "segment-verified", "file": "segments/segment_01.mp4", "part": None},
        {"event": "segment-done", "file": "segments/segment_01.mp4", "continuity": {"file": "scores/s.json"}},
        {"event": "film-done", "file": "film.mp4"},
        {"event": "reference-done", "name": "videogen/the_film/anna.png"},
    ):
        read_event({"segment": 1, "sha256": "ab", **event})


def test_every_field_of_an_event_that_may_name_a_file_is_known_here() -> None:
    """A new field of text is either in this list, because it names none, or its event has a check."""
    no_files = {
        *("run_id", "server", "message", "trace", "encoder", "key", "prompt_id", "level", "backend", "code", "hint"),
        *("failure", "remedy", "ended", "kind", "entity", "prompt", "sha256", "former"),
        "scores_sha256",
    }
    named = {
        (event, field.name)
        for event, kind in EVENTS.items()
        for field in dataclasses.fields(kind)  # type: ignore[arg-type]
        if "str" in str(field.type) and "list" not in str(field.type) and "dict" not in str(field.type)
        if field.name not in no_files
    }
    assert {event for event, _ in named} <= set(CHECKS)
    assert named == {
        ("film-done", "file"),
        ("segment-take", "scores_file"),
        ("segment-take", "part"),
        ("segment-verified", "part"),
        ("segment-restored", "part"),
        ("reference-submitted", "name"),
        ("reference-failed", "name"),
        ("reference-cancelled", "name"),
        ("reference-done", "name"),
    }


@pytest.mark.parametrize("command", ["film", "report"])
@pytest.mark.parametrize("field", ["file", "part"])
def test_a_command_names_the_line_and_touches_nothing(tmp_path: Path, victim: Path, command: str, field: str) -> None:
    evil = write_run(tmp_path / "run", *a_segment(sha256=hash_file(victim), **{field: "../victim/.bashrc"}))
    ended = videogen(command, evil)
    assert ended.status == 2
    assert "line 3 of" in ended.err
    assert f"its {field} is '../victim/.bashrc'" in ended.err
    assert "Traceback" not in ended.err
    assert victim.read_text() == "precious"
    assert not (evil / "film.mp4").exists()


def test_what_an_earlier_runner_has_verified_does_not_replace_a_file_of_the_users(tmp_path: Path, victim: Path) -> None:
    """The journal said: the file at "part" is whole, and belongs where "file" says. No server ever answered."""
    evil = write_run(tmp_path / "run", *a_segment(file="../victim/.bashrc", part="payload", sha256="0" * 64))
    (evil / "segments" / "payload").write_text("evil")
    with pytest.raises(VideoGenError, match="line 3"):
        resume(evil)
    assert victim.read_text() == "precious"


def resume(path: Path) -> None:
    """What a run does first."""
    with RunDirectory(path, "Tiny") as directory:
        recover_takes(directory, 1)
        recover_verified(directory)


# ------------------------------------------------------------------ links


def link(where: str) -> Callable[[Path, Path], None]:
    def make(run: Path, victim: Path) -> None:
        path = run / where
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            path.rmdir()
        path.unlink(missing_ok=True)
        path.symlink_to(os.path.relpath(victim.parent if "." not in path.name else victim, path.parent))

    return make


LINKS = [
    *("runner.lock", "runner.pid", "runner.softlock", "journal.jsonl", "run.json", "graph.json", "references.json"),
    *("segments", "segments/segment_01.mp4", "segments/.segment_01.mp4.part", "segments/previous", "takes", "scores"),
    *("film.mp4", "report.html", "report.json", "continuity.json", "thumbnails.json", "previous", "references"),
    *("references/videogen", "server", "server/comfyui.log", "server/output", "server/user", "unknown"),
]


@posix
@pytest.mark.parametrize("where", LINKS)
def test_a_link_out_of_the_directory_is_refused_before_anything_is_opened(
    tmp_path: Path, victim: Path, where: str
) -> None:
    evil = write_run(tmp_path / "run")
    link(where)(evil, victim)
    before = sorted(path.name for path in victim.parent.iterdir())
    # A run.json that is a link, and leads nowhere, makes no run directory for `score`.
    for command in ("film", "report", *(["score"] if where != "run.json" else [])):
        ended = videogen(command, evil)
        assert ended.status == 2
        assert f"{evil} has {where!r}, which is a link to " in ended.err
    with pytest.raises(VideoGenError, match="out of that folder"), RunDirectory(evil, "Tiny", fresh=True):
        pass
    assert victim.read_text() == "precious"
    assert sorted(path.name for path in victim.parent.iterdir()) == before


@posix
@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_what_is_neither_file_nor_folder_is_refused(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    evil = write_run(tmp_path / "run")
    (evil / "journal.jsonl").unlink()
    if kind == "pipe":
        os.mkfifo(evil / "journal.jsonl")
    else:
        monkeypatch.chdir(evil)  # a socket's path is short
        with socket.socket(socket.AF_UNIX) as one:
            one.bind("journal.jsonl")
    assert "which is neither a file nor a folder" in videogen("report", evil).err


@posix
def test_the_directory_itself_and_what_is_above_it_may_be_links(tmp_path: Path) -> None:
    disk = tmp_path / "another disk"
    (disk / "runs").mkdir(parents=True)
    (tmp_path / "runs").symlink_to(disk / "runs")
    (tmp_path / "run").symlink_to(tmp_path / "runs" / "one")
    (disk / "runs" / "one").mkdir()
    for path in (tmp_path / "run", tmp_path / "runs" / "two"):
        with RunDirectory(path, "Tiny") as directory:
            finish(directory.journal, 1)
        assert Journal(path / "journal.jsonl", read_only=True).segment(1).state == "done"
    assert (disk / "runs" / "one" / "journal.jsonl").is_file()


@posix
def test_links_that_stay_inside_are_left_alone(tmp_path: Path) -> None:
    with RunDirectory(tmp_path / "run", "Tiny") as directory:
        (directory.path / "latest.mp4").symlink_to("film.mp4")
        (directory.path / "all").symlink_to(".")
    require_own_files(tmp_path / "run")


@posix
def test_what_a_killed_server_of_ours_has_left_is_not_looked_at(tmp_path: Path) -> None:
    with RunDirectory(tmp_path / "run", "Tiny") as directory:
        (directory.server_folder / "user" / "default").mkdir(parents=True)
        (directory.server_folder / "user" / "default" / "models").symlink_to("/tmp")
    require_own_files(tmp_path / "run")


@posix
def test_a_link_that_comes_later_is_not_followed_either(tmp_path: Path, victim: Path) -> None:
    """Another process may write there while we open it."""
    with RunDirectory(tmp_path / "run", "Tiny") as directory:
        (directory.path / "later.jsonl").symlink_to(victim)
        with pytest.raises(VideoGenError) as caught:
            Journal(directory.path / "later.jsonl")
        (directory.path / "report.json").symlink_to(victim)
        directory.write_json("report.json", {})
    assert caught.value.code == "path-invalid"
    assert victim.read_text() == "precious"
    assert (tmp_path / "run" / "report.json").read_text() == "{}\n"


# ------------------------------------------------------------------ other users


@posix
def test_a_new_run_directory_is_its_users_alone(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        with RunDirectory(tmp_path / "runs" / "run", "Tiny") as directory:
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.path.iterdir()}
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "runs" / "run").stat().st_mode) == 0o700
    assert modes["runner.lock"] == modes["runner.pid"] == 0o600


@posix
def test_a_lock_that_an_earlier_version_left_readable_is_withdrawn(tmp_path: Path) -> None:
    (tmp_path / "runner.lock").touch(mode=0o644)
    os.chmod(tmp_path / "runner.lock", 0o644)
    with RunDirectory(tmp_path, "Tiny"):
        assert stat.S_IMODE((tmp_path / "runner.lock").stat().st_mode) == 0o600


@posix
@pytest.mark.parametrize("mode", [0o700, 0o755, 0o770, 0o777])
def test_an_existing_directory_stays_as_it_is_and_a_run_says_who_can_change_it(tmp_path: Path, mode: int) -> None:
    run = tmp_path / "run"
    run.mkdir()
    run.chmod(mode)
    with RunDirectory(run, "Tiny"):
        assert stat.S_IMODE(run.stat().st_mode) == mode
    assert can_others_write(run) == (mode == 0o777)


@posix
def test_the_doctor_tells_of_runs_that_others_can_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert doctor._run_directories() == []
    for name, mode in (("a", 0o755), ("b", 0o700), ("c", 0o770)):
        write_run(tmp_path / "runs" / name).chmod(mode)
    ((state, name, text),) = doctor._run_directories()
    assert (state, name) == (doctor.NOTE, "runs")
    assert text.startswith("2 of 3 in runs/ can be read by other users")
    (tmp_path / "runs" / "a").chmod(0o700)
    (tmp_path / "runs" / "c").chmod(0o700)
    assert doctor._run_directories() == []
