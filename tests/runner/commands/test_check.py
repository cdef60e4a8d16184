"""`videogen check` and `convert`: a server is only started for what cannot be told without one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from runner.cli import main
from runner.comfyui.embedded import EmbeddedServer
from runner.comfyui.installation import Installation
from tests.support.graphs.plain import editor_workflow
from tests.support.hostile.files import png_of
from tests.support.servers.fake_server import FakeServer
from tests.support.stories import segment_graph, small_story

Call = Callable[..., tuple[int, str, str]]


class ServerStarts(list[Path]):
    """Log folders of the embedded servers that were to be started; none of them starts."""


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ServerStarts:
    found = ServerStarts()

    def start(self: EmbeddedServer) -> None:
        found.append(self.folder)
        raise VideoGenError("server-start-failed", "a server was started")

    installation = Installation(tmp_path, tmp_path, (), "0.3.75")
    monkeypatch.setattr(EmbeddedServer, "start", start)
    monkeypatch.setattr("runner.commands.server_options.find_installation", lambda: installation)
    return found


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run a command in a folder with a good story.json and film.json, and a broken.yaml; returns status and outputs."""
    (tmp_path / "story.json").write_text(json.dumps(small_story("Tiny")))
    (tmp_path / "broken.yaml").write_text("- prompt: [")
    (tmp_path / "film.json").write_text(json.dumps(segment_graph("")))
    (tmp_path / "editor.json").write_text(json.dumps(editor_workflow()))
    (tmp_path / "list.json").write_text("[]")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VIDEOGEN_HEADER", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main(arguments)
        return (status, *capsys.readouterr())

    return run


OFFLINE: dict[str, tuple[list[str], list[str]]] = {
    "no story": (["gone.json"], ["there is no story file gone.json"]),
    "YAML error": (["broken.yaml"], ["broken.yaml is not YAML"]),
    "no workflow": (["story.json", "--workflow", "gone"], ["there is no workflow gone"]),
    "no references": (["story.json", "--references", "gone"], ["there is no workflow gone"]),
    "all of them": (
        ["broken.yaml", "--workflow", "list.json", "--references", "gone"],
        ["broken.yaml is not YAML", "list.json is no ComfyUI workflow", "there is no workflow gone"],
    ),
    "header": (["story.json", "--header", "x"], ["--header"]),
}


@pytest.mark.parametrize("case", OFFLINE)
def test_a_problem_that_needs_no_server_starts_none(call: Call, starts: ServerStarts, case: str) -> None:
    arguments, words = OFFLINE[case]
    if "--workflow" not in arguments:
        arguments = [*arguments, "--workflow", "film.json"]
    status, out, err = call("check", *arguments)
    assert (status, err) == (2, "")
    assert [word for word in words if word not in out] == [], out
    assert starts == []


def test_that_the_workflow_was_not_checked_is_said(call: Call, starts: ServerStarts) -> None:
    _, out, _ = call("check", "gone.json", "--workflow", "film.json")
    assert out.endswith("Note: film.json is checked against ComfyUI once this is corrected\n")
    assert "once this is corrected" not in call("check", "gone.json", "--workflow", "list.json")[1]


def test_without_such_a_problem_a_server_is_started(call: Call, starts: ServerStarts) -> None:
    status, out, err = call("check", "story.json", "--workflow", "film.json")
    assert status == 3
    assert {line.split()[0] for line in out.splitlines()} == {"Reads", "Writes"}
    assert "a server was started" in err
    assert len(starts) == 1


def test_a_running_server_is_asked_in_any_case(
    call: Call, starts: ServerStarts, server: FakeServer, object_info: dict[str, Any]
) -> None:
    server.routes["GET /object_info"] = object_info
    (Path("film.json")).write_text(json.dumps(segment_graph("", codec="av1")))
    status, out, err = call("check", "broken.yaml", "--workflow", "film.json", "--server", server.url)
    assert (status, err, starts) == (2, "", [])
    assert "broken.yaml is not YAML" in out
    assert "'codec' is 'av1'" in out


def test_a_server_that_is_gone_is_one_more_problem(call: Call, starts: ServerStarts) -> None:
    """On its own it is the answer: see the exit status."""
    server = ["--workflow", "film.json", "--server", "http://127.0.0.1:9"]
    status, out, _ = call("check", "broken.yaml", *server)
    assert status == 2
    assert "broken.yaml is not YAML" in out
    assert "http://127.0.0.1:9" in out
    status, out, err = call("check", "story.json", *server)
    assert status == 3
    assert "http://127.0.0.1:9" not in out
    assert "http://127.0.0.1:9" in err


def test_warnings_are_notes_and_no_problems(
    call: Call, starts: ServerStarts, server: FakeServer, object_info: dict[str, Any]
) -> None:
    server.routes["GET /object_info"] = object_info
    story = small_story("Tiny")
    for segment, timespan in zip(story["segments"], ("00:00 - 00:08", "00:10 - 00:18"), strict=True):
        segment["timespan"] = timespan
    Path("story.json").write_text(json.dumps(story))
    status, out, err = call("check", "story.json", "--workflow", "film.json", "--server", server.url)
    assert (status, err) == (0, "")
    *_, note, last = [line for line in out.splitlines() if "reference pictures" not in line]
    assert note.startswith("Note: segments[2].timespan: there is a gap of ")
    assert last == "Tiny: 2 segments, 16.000 s; film.json fits the server"


# ------------------------------------------------------------------ a story of somebody else


def shared_story(**fields: Any) -> dict[str, Any]:
    return {"title": "Tiny", "segments": [{"prompt": "a tree"}, {"prompt": "a house"}], **fields}


def test_what_a_shared_story_reads_uploads_and_writes_is_listed(
    call: Call, starts: ServerStarts, tmp_path: Path
) -> None:
    shared = tmp_path / "Downloads"
    (shared / "people").mkdir(parents=True)
    picture = png_of(8, 8)
    (shared / "people" / "anna.png").write_bytes(picture)
    (shared / "mask.png").write_bytes(png_of(16, 9))
    (shared / "notes.txt").write_text("soft light")
    (shared / "parts.json").write_text(json.dumps([{"prompt": "a tree"}]))
    story = shared_story(
        segments="parts.json",
        style={"master_prompt": "notes.txt"},
        characters={"anna": {"reference": ["people/anna.png", "on_the_server.png"], "region": "mask.png"}},
    )
    (shared / "film.yaml").write_text(json.dumps(story))
    _, out, _ = call("check", str(shared / "film.yaml"), "--workflow", "film.json", "--references", "none")
    digest = hashlib.sha256(picture).hexdigest()[:12]
    lines = out.splitlines()
    assert lines[:4] == [
        f"Reads    {shared / 'film.yaml'}",
        f"Reads    {shared / 'parts.json'}",
        f"Reads    {shared / 'notes.txt'}",
        f"Reads    {tmp_path / 'film.json'}",
    ]
    assert lines[5] == (
        f"Uploads  {shared / 'people' / 'anna.png'} ({len(picture):,} bytes) as input/videogen/tiny/anna-{digest}.png,"
        " if the workflow uses it"
    )
    assert [line.split()[0] for line in lines] == ["Reads"] * 4 + ["Uploads"] * 2 + ["Writes"] * 2
    assert f"Writes   {tmp_path / 'runs' / 'tiny'}: videos, journal and report" in lines


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (".ssh/id_rsa", "is hidden"),
        ("passwords.txt", "does not end in .png"),
        ("key.png", "is no picture that can be used, and is not sent to a server"),
        ("link.png", "is a link"),
        ("linked/anna.png", "is a link, or in a folder that is one"),
    ],
)
def test_a_file_that_is_no_picture_is_not_uploaded(
    call: Call, starts: ServerStarts, tmp_path: Path, name: str, said: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "anna.png").write_bytes(png_of(8, 8))
    (tmp_path / "link.png").symlink_to(tmp_path / "elsewhere" / "anna.png")
    (tmp_path / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "key.png").write_text("-----BEGIN OPENSSH PRIVATE KEY-----")
    Path("story.json").write_text(json.dumps(shared_story(characters={"anna": {"reference": name}})))
    status, out, _ = call("check", "story.json", "--workflow", "film.json")
    assert status == 2
    assert said in out
    assert "Uploads" not in out
    assert starts == []


# ------------------------------------------------------------------ convert


def test_a_workflow_in_api_format_is_printed_without_a_server(call: Call, starts: ServerStarts) -> None:
    status, out, _ = call("convert", "film.json")
    assert (status, starts) == (0, [])
    assert json.loads(out) == segment_graph("")


def test_with_a_server_inputs_that_its_nodes_lack_are_left_out(
    call: Call, starts: ServerStarts, server: FakeServer, object_info: dict[str, Any]
) -> None:
    server.routes["GET /object_info"] = object_info
    Path("film.json").write_text(json.dumps(segment_graph("", newer=1)))
    status, out, _ = call("convert", "film.json", "--server", server.url)
    assert status == 0
    assert json.loads(out) == segment_graph("")


@pytest.mark.parametrize("name", ["gone", "list.json"])
def test_a_workflow_that_cannot_be_read_starts_no_server(call: Call, starts: ServerStarts, name: str) -> None:
    assert call("convert", name)[0] == 2
    assert starts == []


def test_the_editor_s_format_needs_a_server(call: Call, starts: ServerStarts) -> None:
    assert call("convert", "editor.json")[0] == 3
    assert len(starts) == 1


def test_the_workflows_that_segments_bring_are_listed_and_what_is_wrong_with_them_is_told(
    call: Call, starts: ServerStarts, tmp_path: Path
) -> None:
    story = small_story("Tiny", segments=3)
    story["segments"][1]["workflow"] = story["segments"][2]["workflow"] = "rain.json"
    (tmp_path / "story.json").write_text(json.dumps(story))
    status, out, _ = call("check", "story.json", "--workflow", "film.json")
    assert status == 2
    assert "segments[2].workflow: there is no workflow 'rain.json'" in out
    assert starts == []
    (tmp_path / "rain.json").write_text(json.dumps(segment_graph("")))
    status, out, _ = call("check", "story.json", "--workflow", "film.json", "--references", "none")
    assert status == 3
    assert [line for line in out.splitlines() if line.startswith("Reads")] == [
        f"Reads    {tmp_path / name}" for name in ("story.json", "film.json", "rain.json")
    ]
