"""Escapes of others do not reach the terminal, by whatever way they come."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import sys
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

from custom_nodes.videogen.core.errors import VideoGenError
from runner import cli, doctor
from runner.comfyui.embedded import EmbeddedServer
from runner.comfyui.installation import Installation
from runner.state import progress
from runner.state.progress import BarDisplay
from runner.terminal.console import PlainConsole
from runner.terminal.streams import plain_streams
from tests.support.runs import videogen

#: Writes the clipboard, clears the screen, turns a name around.
EVIL = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b31m\u202e"
SHOWN = r"\x1b]52;c;ZXZpbA==\x07\x1b[2J\u009b31m\u202e"


def is_harmless(text: str) -> bool:
    return not any(character in text for character in EVIL if not character.isalnum() and character not in "];=[")


def test_a_storys_words_are_printed_harmlessly(tmp_path: Path) -> None:
    story = tmp_path / f"story {EVIL.replace('/', '')}.json"
    segment = {"prompt": "a", f"colour {EVIL}": 1, "id": EVIL}
    story.write_text(json.dumps({"title": f"Film {EVIL}", "segments": [segment]}))
    ended = videogen("check", story)
    assert ended.status == 2
    assert f"story {SHOWN}.json: " in ended.out
    assert is_harmless(ended.out + ended.err)


def test_a_workflows_class_names_are_printed_harmlessly(tmp_path: Path) -> None:
    workflow = tmp_path / "w.json"
    workflow.write_text(json.dumps({"1": {"class_type": EVIL, "inputs": {"x": EVIL}}}))
    ended = videogen("convert", workflow)
    assert ended.status == 0
    assert is_harmless(ended.out)
    assert json.loads(ended.out) == {"1": {"class_type": EVIL, "inputs": {"x": EVIL}}}


@pytest.mark.parametrize(
    "command", [["run", "--takes", EVIL], ["check", f"--{EVIL}"], [EVIL], ["film", f"/nowhere/{EVIL}"]]
)
def test_what_was_typed_is_repeated_harmlessly(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.suppress(SystemExit):
        cli.main(command)
    out, err = capsys.readouterr()
    assert SHOWN in err or EVIL.encode("unicode_escape").decode() in err
    assert is_harmless(out + err)


def test_logging_and_prints_of_libraries_are_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    with plain_streams():
        handler = logging.StreamHandler()
        handler.emit(logging.LogRecord("comfy_cli", logging.WARNING, "", 0, EVIL, None, None))
        print(EVIL, file=sys.stderr)
        sys.stdout.writelines([EVIL, "\n"])
    out, err = capsys.readouterr()
    assert (out, err) == (f"{SHOWN}\n", f"{SHOWN}\n{SHOWN}\n")
    assert sys.stdout.write("x") == 1


def test_the_bar_shows_a_nodes_name_as_text_and_keeps_its_own_colors(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(
        progress, "PlainConsole", lambda **options: PlainConsole(file=screen, force_terminal=True, width=160)
    )
    display = BarDisplay()
    display.begin(3, 0)
    display.step(1, 3, f"[link=file:///etc/passwd]Sampler[/link] [/] {EVIL}", 0.5)
    display.say(f"node 3: {EVIL} [bold]no[/bold]")
    display._progress.refresh()
    display.end()
    shown = screen.getvalue()
    assert SHOWN in shown
    assert "[link=file:///etc/passwd]Sampler[/link] [/]" in shown
    for harmful in ("\x1b]", "\x1b[2J", "\x9b", "\u202e", "\x07"):
        assert harmful not in shown
    assert "\x1b[" in shown, "our own colors and cursor movements are gone"


def test_a_table_measures_what_it_shows() -> None:
    screen = io.StringIO()
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row(Text("✓", "green"), EVIL, "end")
    table.add_row(Text("✗", "red"), "text", "[link=https://evil.example]end[/link]")
    console = PlainConsole(file=screen, width=160)
    console.print(table)
    first, second = screen.getvalue().splitlines()
    assert first.split() == ["✓", SHOWN, "end"]
    assert second.split() == ["✗", "text", "[link=https://evil.example]end[/link]"]
    # Also where a text was not made by this console.
    console.print(Text(f"another {EVIL}"))
    assert is_harmless(screen.getvalue())


def test_the_doctor_shows_a_servers_words_as_they_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for part in ("_machine", "_disk"):
        monkeypatch.setattr(doctor, part, lambda: (doctor.OK, "part", "[red]fine"))
    monkeypatch.setattr(doctor, "_ffmpeg", list)
    monkeypatch.setattr(doctor, "_comfyui", lambda: [(doctor.BAD, "torch", f"[/x] {EVIL}")])
    monkeypatch.setattr(doctor, "_gpus", lambda sensors: [])
    monkeypatch.setattr(doctor, "_processor", lambda sensors: (doctor.NOTE, "sensors", "[link=x]y[/link]"))
    doctor.examine([])
    out = capsys.readouterr().out
    assert is_harmless(out)
    for text in ("[red]fine", f"[/x] {SHOWN}", "[link=x]y[/link]"):
        assert text in out


@pytest.mark.parametrize(("encoding", "marks"), [("ascii", ["ok", "-", "!!"]), ("utf-8", ["✓", "·", "✗"])])
def test_the_doctors_marks_are_those_that_a_terminal_has(
    monkeypatch: pytest.MonkeyPatch, encoding: str, marks: list[str]
) -> None:
    for number, part in enumerate(("_machine", "_disk")):
        state = (doctor.OK, doctor.NOTE)[number]
        monkeypatch.setattr(doctor, part, lambda state=state: (state, "part", "fine"))
    monkeypatch.setattr(doctor, "_ffmpeg", lambda: [(doctor.BAD, "part", "fine")])
    monkeypatch.setattr(doctor, "_comfyui", list)
    monkeypatch.setattr(doctor, "_gpus", lambda sensors: [])
    monkeypatch.setattr(doctor, "_processor", lambda sensors: (doctor.OK, "part", "fine"))
    monkeypatch.setattr(doctor, "_run_directories", list)
    screen = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", screen)
    doctor.examine([])
    screen.flush()
    shown = screen.buffer.getvalue().decode(encoding)
    assert [line.split()[0] for line in shown.splitlines()][:3] == [marks[0], marks[1], marks[2]]


def test_the_end_of_a_servers_log_is_printed_harmlessly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "main.py").write_text(f"import sys; sys.stdout.buffer.write({EVIL.encode()!r}); sys.exit(3)")
    server = EmbeddedServer(Installation(tmp_path, Path(sys.executable), (), "0.3.75"), tmp_path / "server")
    with pytest.raises(VideoGenError) as caught, server:
        server.start()
    with plain_streams():
        cli._report_error(caught.value, argparse.Namespace(json=True))
    out, err = capsys.readouterr()
    assert SHOWN in err
    assert is_harmless(out + err)
    assert EVIL in json.loads(out)["message"]
