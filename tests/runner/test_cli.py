"""The command line itself: its verbs and options, how fast it can answer, and how it ends."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from runner import cli
from runner.cli import VERBS, build_parser, main
from runner.commands import doctor

PROJECT = Path(__file__).resolve().parents[2]

SERVER = ["--header", "--server"]
STORY = [*SERVER, "--references", "--workflow", "STORY"]
#: Users rely on these names. A new option is added here; none of them goes.
OPTIONS = {
    "run": [
        *STORY,
        *(
            "--adopt",
            "--bind",
            "--fps",
            "--frames",
            "--fresh",
            "--json",
            "--keep-results",
            "--no-film",
            "--out",
            "--output",
            "--prompt",
            "--quality",
        ),
        *("--retries", "--seed", "--segments", "--set", "--size", "--stall", "--strict", "--takes"),
    ],
    "film": ["DIR", "--adopt", "--strict"],
    "check": [*STORY, "--bind"],
    "convert": [*SERVER, "WORKFLOW"],
    "roles": [*SERVER, "--json", "WORKFLOW"],
    "adopt": [*SERVER, "--bind", "--output", "--story", "WORKFLOW"],
    "prompts": [*SERVER, "--bind", "--json", "--model", "--segments", "--workflow", "STORY"],
    "import": ["FILE"],
    "report": ["DIR"],
    "score": ["--faces", "--fps", "--json", "--mask", "--reference", "--threshold", "--tv-l1", "FILE"],
    "doctor": SERVER,
    "bench runner": ["--jobs", "--json", "--long", "--rounds"],
    "bench ipadapter": ["--device", "--frames", "--json", "--rounds"],
    "bench frames": ["--device", "--json", "--parts", "--rounds", "--workflows"],
    "bench continuity": ["--calibrate", "--clips", "--embedding", "--json", "--verdicts"],
    "bench thermal": ["--device", "--json", "--rounds", "--steps"],
}
#: What the options are that are not given.
DEFAULTS: dict[str, dict[str, Any]] = {
    "run": {
        "adopt": False,
        "bindings": [],
        "fps": None,
        "frames": None,
        "fresh": False,
        "header": [],
        "json": False,
        "keep_results": 2_000_000_000,
        "no_film": False,
        "out": None,
        "output": None,
        "prompt": None,
        "quality": None,
        "references": None,
        "retries": 2,
        "seed": None,
        "segments": None,
        "server": [],
        "settings": [],
        "size": None,
        "stall": 900.0,
        "story": None,
        "strict": False,
        "takes": 3,
        "workflow": None,
    },
    "check": {"bindings": [], "header": [], "references": None, "server": [], "story": None, "workflow": None},
    "doctor": {"header": [], "server": []},
    "prompts": {
        "bindings": [],
        "header": [],
        "json": False,
        "model": None,
        "segments": None,
        "server": [],
        "story": None,
        "workflow": None,
    },
    "score x": {
        "faces": None,
        "files": ["x"],
        "fps": None,
        "json": False,
        "mask": None,
        "reference": [],
        "threshold": None,
        "tv_l1": False,
    },
    "bench runner": {"jobs": 200, "long": 10_000, "output": None, "rounds": 5},
    "bench ipadapter": {"device": "cpu", "frames": "1,24", "output": None, "rounds": 5},
    "bench frames": {"device": "cpu", "output": None, "parts": None, "rounds": 3, "workflows": None},
    "bench continuity": {"calibrate": False, "clips": None, "embedding": None, "output": None, "verdicts": False},
    "bench thermal": {"device": "cpu", "output": None, "rounds": 7, "steps": 0},
}


def help_of(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


# ------------------------------------------------------------------ verbs and options


def test_help_lists_every_verb_and_every_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(help_of("", capsys).split())
    for verb, does in VERBS.items():
        assert f"{verb} {does}" in text
    assert (
        "Exit status: 0 all done, 1 some segments failed, 2 bad input, 3 no server, 4 internal error, 130 interrupted."
        in text
    )


@pytest.mark.parametrize("command", OPTIONS)
def test_the_options_of_a_verb_keep_their_names(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    usage = help_of(command, capsys).partition("\n\n")[0].removeprefix(f"usage: videogen {command}")
    arguments = re.findall(r"--[a-z0-9-]+|(?<=[\[ ])(?:STORY|DIR|WORKFLOW|FILE)(?=[\] ]|$)", usage)
    # A metavar of an option is no argument of its own.
    positional = [name for name in arguments if not name.startswith("--")]
    named = {name for name in arguments if name.startswith("--")}
    expected = OPTIONS[command]
    assert named == {name for name in expected if name.startswith("--")}
    assert set(positional) >= {name for name in expected if not name.startswith("--")}


@pytest.mark.parametrize("command", DEFAULTS)
def test_the_options_of_a_verb_keep_their_defaults(command: str) -> None:
    found = vars(build_parser().parse_args(command.split()))
    said = {name: value for name, value in found.items() if name not in ("verbose", "command", "subject", "execute")}
    assert said == DEFAULTS[command]


def test_the_verbs_are_the_modules_of_commands() -> None:
    helpers = {"__init__", "server_options", "single_clip", "story_options"}
    assert {path.stem for path in (PROJECT / "runner" / "commands").glob("*.py")} - helpers == set(VERBS)


# ------------------------------------------------------------------ what is loaded


def modules_after(*arguments: str) -> set[str]:
    """The modules that a command loads, in a process of its own."""
    script = (
        "import sys, io, contextlib\n"
        "from runner.cli import main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        "    main(sys.argv[1:])\n"
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_help_imports_no_verb_and_no_library() -> None:
    loaded = modules_after("--help")
    heavy = ("rich", "jinja2", "pygal", "av", "numpy", "cv2", "PIL", "requests", "websocket", "psutil", "yaml", "torch")
    assert sorted(loaded & set(heavy)) == []
    assert sorted(name for name in loaded if name.startswith("runner.")) == [
        "runner.cli",
        "runner.terminal",
        "runner.terminal.json_output",
        "runner.terminal.lasting_streams",
        "runner.terminal.redacted_output",
        "runner.terminal.streams",
    ]


def test_a_verb_imports_no_other(tmp_path: Path) -> None:
    loaded = modules_after("doctor", "--help")
    assert {name for name in loaded if name.startswith("runner.commands.")} == {
        "runner.commands.doctor",
        "runner.commands.server_options",
    }


def test_a_story_that_is_missing_is_told_without_the_imports_of_a_check(tmp_path: Path) -> None:
    loaded = modules_after("check", str(tmp_path / "gone.json"))
    assert "runner.check_result" in loaded
    assert sorted(loaded & {"runner.check", "rich", "jinja2", "av", "numpy", "cv2", "torch", "comfy_cli"}) == []


# ------------------------------------------------------------------ how it ends


def fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(arguments: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr(doctor, "execute", fail)


def test_an_internal_error_is_a_message_with_its_trace_in_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(cli.tempfile, "tempdir", str(tmp_path))
    fail_with(ZeroDivisionError("no segments"), monkeypatch)
    assert main(["doctor"]) == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("videogen: internal error in videogen: ZeroDivisionError: no segments\n")
    assert "Traceback" not in err
    (trace,) = tmp_path.iterdir()
    assert str(trace) in err
    assert "Traceback" in trace.read_text()
    assert "ZeroDivisionError: no segments" in trace.read_text()


def test_verbose_shows_the_trace(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(cli.tempfile, "tempdir", str(tmp_path))
    fail_with(ZeroDivisionError("no segments"), monkeypatch)
    assert main(["--verbose", "doctor"]) == 4
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "videogen: internal error in videogen: ZeroDivisionError: no segments" in err
    assert list(tmp_path.iterdir()) == []


def test_a_trace_that_cannot_be_written_is_had_with_verbose(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(cli.tempfile, "tempdir", str(tmp_path / "gone"))
    fail_with(ZeroDivisionError("no segments"), monkeypatch)
    assert main(["doctor"]) == 4
    assert "`videogen --verbose …` shows the trace" in capsys.readouterr().err


def test_a_verb_that_cannot_be_imported_is_an_internal_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(cli.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setitem(sys.modules, "runner.commands.doctor", None)
    assert main(["doctor"]) == 4
    assert "internal error in videogen: ModuleNotFoundError" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status", "expected"),
    [
        (KeyError("oh"), 4, {"code": "runner-failed", "message": "internal error in videogen: KeyError: 'oh'"}),
        (VideoGenError("disk-full", "full"), 1, {"code": "disk-full", "message": "full", "hint": ""}),
        (
            VideoGenError("media-broken", "odd"),
            1,
            {"code": "media-broken", "former_code": "video-broken", "message": "odd", "hint": ""},
        ),
    ],
    ids=["internal", "full disk", "a code that had another name"],
)
def test_with_json_every_error_is_an_event(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    error: Exception,
    status: int,
    expected: dict[str, str],
) -> None:
    from runner.commands import run

    def fail(arguments: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr(cli.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(run, "execute", fail)
    assert main(["run", "--json"]) == status
    out, err = capsys.readouterr()
    event = json.loads(out)
    assert event.items() >= {"event": "error", **expected}.items()
    assert ("former_code" in event) == ("former_code" in expected)
    assert err.startswith(f"videogen: {expected['message']}")
