"""Drawing reference images before a film: each once, tried again where that can help."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from PIL import Image

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.probe import hash_file
from custom_nodes.videogen.media.story_file import LoadedStory
from runner.comfyui.answers import SavedFile
from runner.comfyui.outcome import Outcome
from runner.comfyui.servers import Server
from runner.comfyui.session import Session
from runner.references.generate import ReferencesRun, find_kept, read_record
from runner.state.run_directory import RunDirectory
from runner.workflows.output_node import ATTEMPT_INPUT
from tests.runner.references.garden import STORY, FakeServer, make_png, make_run, make_story


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


def test_a_drawing_that_was_finished_before_ctrl_c_came_is_adopted(directory: RunDirectory) -> None:
    server = FakeServer([KeyboardInterrupt()])
    with pytest.raises(KeyboardInterrupt):
        make_run(directory, server, ("anna",))[0].draw(cast(Server, server))
    server.finish(*server.known)
    assert set(make_run(directory, server, ("anna",))[0].draw(cast(Server, server))) == {"anna.png"}
    assert len(server.submitted) == 1


def test_after_ctrl_c_the_end_of_the_old_prompt_is_no_failure(directory: RunDirectory) -> None:
    """ComfyUI interrupts at checkpoints only: when the next run begins, the canceled prompt may still be running."""
    server = FakeServer([KeyboardInterrupt()])
    with pytest.raises(KeyboardInterrupt):
        make_run(directory, server, ("anna",))[0].draw(cast(Server, server))
    (old,) = server.known
    server.known[old] = "queued"
    # Whoever waits for that one is told how it ended.
    server.endings[old] = Outcome("interrupted", "the prompt was interrupted on the server")
    run, events = make_run(directory, server, ("anna",))
    assert set(run.draw(cast(Server, server))) == {"anna.png"}
    assert len(server.submitted) == 2
    assert "reference-failed" not in [event["event"] for event in events]


def test_a_drawing_that_was_finished_meanwhile_is_adopted(directory: RunDirectory) -> None:
    server = FakeServer([KilledError()])
    with pytest.raises(KilledError):
        make_run(directory, server, ("anna",))[0].draw(cast(Server, server))
    server.finish(*server.known)
    make_run(directory, server, ("anna",))[0].draw(cast(Server, server))
    assert len(server.submitted) == 1


def test_a_broken_drawing_is_made_again_and_not_read_again_by_the_next_run(
    directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeServer()
    monkeypatch.setattr(FakeServer, "download", lambda self, file, target, most: target.write_bytes(b"no picture"))
    with pytest.raises(VideoGenError, match="cannot be drawn"):
        make_run(directory, server, ("anna",))[0].draw(cast(Server, server))
    monkeypatch.undo()
    attempts = [graph["5"]["inputs"].get(ATTEMPT_INPUT) for graph in server.submitted]
    assert attempts == [None, 1, 2]  # each is executed again, whatever ComfyUI has in its cache
    run, events = make_run(directory, server, ("anna",))
    run.draw(cast(Server, server))
    assert [event["event"] for event in events] == ["reference-submitted", "reference-done"]
    assert server.submitted[3]["5"]["inputs"][ATTEMPT_INPUT] == 3
    assert len(server.known) == 4


@pytest.mark.parametrize("file", ["../anna.png", "/tmp/anna.png", "C:\\anna.png"])
def test_a_name_that_leaves_the_folder_is_refused_before_anything_is_drawn(directory: RunDirectory, file: str) -> None:
    server = FakeServer()
    run, _ = make_run(directory, server, ("anna",))
    (index,) = run.members
    run.graph.plan = lambda story, index: replace(run.members[index], file=file)  # type: ignore[method-assign]
    with pytest.raises(VideoGenError, match="expected a name inside"):
        ReferencesRun(
            run.graph,
            [run.members[index].entity],
            LoadedStory(make_story(), STORY),
            directory,
            run.log,
            stall=60,
            session=cast(Session, server),
        )
    assert server.submitted == []


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

    def download(self: FakeServer, file: SavedFile, target: Path, most: int = 0) -> int:
        return target.write_bytes(make_png()[:40]) if next(broken) else real(self, file, target)

    monkeypatch.setattr(FakeServer, "download", download)
    run, events = make_run(directory, server, ("anna",))
    path = run.draw(cast(Server, server))["anna.png"]
    assert path.read_bytes() == make_png()
    assert [event["event"] for event in events].count("reference-failed") == 1
    assert list((directory.path / "references").iterdir()) == [path]


def test_a_picture_of_more_pixels_than_a_frame_has_is_refused(
    directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of 120 megapixels took 1.5 GB."""
    server = FakeServer()
    monkeypatch.setattr(FakeServer, "download", lambda self, file, target, most: save_large(target))
    with pytest.raises(VideoGenError, match="it is 6000×3000, at most 17 megapixels are read"):
        make_run(directory, server, ("anna",))[0].draw(cast(Server, server))


def save_large(target: Path) -> int:
    Image.new("1", (6_000, 3_000)).save(target, "PNG")
    return target.stat().st_size


# ------------------------------------------------------------------ several servers


def test_another_server_draws_what_the_first_one_cannot(directory: RunDirectory) -> None:
    """Each once: what was drawn before the first server went away is kept."""
    first, second = FakeServer(), FakeServer()
    run, _ = make_run(directory, first)
    drawn_before = run.draw(cast(Server, first))
    assert len(first.submitted) == 2
    assert run.draw_on_any([cast(Server, first), cast(Server, second)]) == drawn_before
    assert (len(first.submitted), second.submitted) == (2, [])


@pytest.mark.parametrize(
    "trouble",
    [
        [VideoGenError("server-unreachable", "gone")],
        [VideoGenError("server-unfit", "it lacks the model")],
        [Outcome("error", "node 3: CUDA error: an illegal memory access", exception_type="torch.AcceleratorError")],
        [Outcome("error", "node 3 (KSampler): no")] * 2,
    ],
)
def test_a_server_that_fails_is_not_waited_for_while_there_is_another(
    directory: RunDirectory, trouble: list[Any]
) -> None:
    first, second = FakeServer(trouble), FakeServer()
    run, _ = make_run(directory, first)
    drawn = run.draw_on_any([cast(Server, first), cast(Server, second)])
    assert set(drawn) == {"anna.png", "tree.png"}
    assert first.recovered == 0
    assert len(second.submitted) == 2


def test_the_last_server_is_waited_for(directory: RunDirectory) -> None:
    gone = [VideoGenError("server-unreachable", "gone")]
    first, second = FakeServer([*gone]), FakeServer([*gone])
    run, _ = make_run(directory, first, ("anna",))
    assert set(run.draw_on_any([cast(Server, first), cast(Server, second)])) == {"anna.png"}
    assert (first.recovered, second.recovered) == (0, 1)
