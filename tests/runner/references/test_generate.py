"""Drawing reference images before a film: each once, tried again where that can help."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.probe import hash_file
from runner.comfyui.outcome import Outcome
from runner.comfyui.servers import Server
from runner.references.generate import find_kept, read_record
from runner.state.run_directory import RunDirectory
from tests.runner.references.garden import FakeServer, make_png, make_run, make_story


def test_each_is_drawn_once_and_kept(directory: RunDirectory) -> None:
    server = FakeServer()
    run, events = make_run(directory, server)
    drawn = run.draw(cast(Server, server))
    assert {name: path.relative_to(directory.path).as_posix() for name, path in drawn.items()} == {
        "anna.png": "references/anna.png",
        "tree.png": "references/tree.png",
    }
    inputs = [(graph["2"]["inputs"]["index"], graph["5"]["inputs"]["file"]) for graph in server.submitted]
    assert inputs == [(1, "anna.png"), (2, "tree.png")]
    assert json.loads(server.submitted[0]["5"]["inputs"]["prompt"])["seed"] == 5
    assert json.loads(server.submitted[0]["1"]["inputs"]["text"])["title"] == "Garden"
    record = read_record(directory.path)["anna.png"]
    assert (record.entity, record.kind, record.seed, record.seconds) == ("anna", "character", 5, 1.5)
    assert record.prompt == "Person. a tall woman. A painting."
    assert record.sha256 == hash_file(directory.path / "references" / "anna.png")
    assert [event["event"] for event in events] == ["reference-submitted", "reference-done"] * 2
    # Another runner in the same directory takes them, also where a server has lost its own.
    assert set(find_kept(directory.path, make_story(), lambda name: "")) == {"anna.png", "tree.png"}
    assert set(find_kept(directory.path, make_story(), server.hash_input_file)) == {"anna.png", "tree.png"}


class KilledError(BaseException):
    """What a kill looks like from inside: nothing catches it."""


def test_a_runner_that_was_killed_finds_what_it_had_submitted(directory: RunDirectory) -> None:
    server = FakeServer([KilledError()])
    run, _ = make_run(directory, server, ("anna",))
    with pytest.raises(KilledError):
        run.draw(cast(Server, server))
    again, _ = make_run(directory, server, ("anna",))
    again.draw(cast(Server, server))
    assert len(server.submitted) == 1  # it was still in the queue


def test_ctrl_c_takes_the_prompt_back(directory: RunDirectory) -> None:
    server = FakeServer([KeyboardInterrupt()])
    run, _ = make_run(directory, server, ("anna",))
    with pytest.raises(KeyboardInterrupt):
        run.draw(cast(Server, server))
    assert list(server.known.values()) == ["cancelled"]
    again, _ = make_run(directory, server, ("anna",))
    again.draw(cast(Server, server))
    assert len(server.submitted) == 2


@pytest.mark.parametrize(("ended", "tries"), [("error", 2), ("interrupted", 1)])
def test_what_has_failed_for_an_earlier_runner_is_drawn_under_another_id(
    directory: RunDirectory, ended: str, tries: int
) -> None:
    """Under the same one the server's history would tell of the old prompt."""
    server = FakeServer([Outcome(ended, "node 3 (KSampler): no")] * tries)
    with pytest.raises(VideoGenError):
        make_run(directory, server, ("anna",))[0].draw(cast(Server, server))
    assert list(server.known.values()) == [ended] * tries
    before = set(server.known)
    make_run(directory, server, ("anna",))[0].draw(cast(Server, server))
    (last,) = set(server.known) - before
    assert server.known[last] == "success"


def test_short_memory_is_freed_and_a_lost_server_is_waited_for(directory: RunDirectory) -> None:
    server = FakeServer(
        [
            Outcome("error", "node 3 (KSampler): out of memory", exception_type="torch.OutOfMemoryError"),
            VideoGenError("server-unreachable", "gone"),
        ]
    )
    run, events = make_run(directory, server, ("anna",))
    assert set(run.draw(cast(Server, server))) == {"anna.png"}
    assert (server.freed, server.recovered) == (1, 1)
    assert [event["failure"] for event in events if event["event"] == "reference-failed"] == [
        "out of memory",
        "server gone",
    ]


def test_one_that_cannot_be_drawn_ends_the_run_and_those_before_it_are_kept(directory: RunDirectory) -> None:
    failed = Outcome("error", "node 3 (KSampler): nothing works")
    server = FakeServer()
    run, _ = make_run(directory, server)
    run.draw(cast(Server, server))
    server = FakeServer([failed, failed])
    (directory.path / "references" / "tree.png").unlink()
    run, _ = make_run(directory, server, ("tree",))
    with pytest.raises(VideoGenError, match=r"tree.png of tree cannot be drawn: node 3 (?s:.*)--references none") as e:
        run.draw(cast(Server, server))
    assert e.value.code == "reference-failed"
    assert set(find_kept(directory.path, make_story(), lambda name: "")) == {"anna.png"}


def test_a_broken_image_is_drawn_again(directory: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    server = FakeServer()
    broken = iter([True, False])
    real = FakeServer.download

    def download(self: FakeServer, file: dict[str, Any], target: Path) -> int:
        return target.write_bytes(make_png()[:40]) if next(broken) else real(self, file, target)

    monkeypatch.setattr(FakeServer, "download", download)
    run, events = make_run(directory, server, ("anna",))
    path = run.draw(cast(Server, server))["anna.png"]
    assert path.read_bytes() == make_png()
    assert [event["event"] for event in events].count("reference-failed") == 1
    assert list((directory.path / "references").iterdir()) == [path]
