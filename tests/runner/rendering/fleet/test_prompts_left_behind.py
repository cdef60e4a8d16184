"""Prompts of an earlier runner, or from before a server went away: found, fetched, or canceled."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.server_address import hide_in_server
from runner.comfyui.outcome import Outcome
from runner.state.events import SegmentCancelled
from runner.state.run_directory import RunDirectory
from tests.runner.rendering.fleet.scripted_fleet import (
    DEAD_CONTEXT,
    GONE,
    SECONDS,
    Behavior,
    Run,
    ScriptedServer,
    node_error,
)
from tests.runner.rendering.job_makers import MakeJobs
from tests.support.stories import small_story

MakeRun = Callable[[int], Run]


def always(outcome: Outcome | VideoGenError) -> Behavior:
    return lambda server, number: outcome


class KilledError(BaseException):
    """What a kill looks like from inside: nothing catches it."""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("state", ["success", "queued"])
@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_what_an_earlier_runner_submitted_is_taken_from_the_server_that_has_it(
    make_run: MakeRun, state: str, order: tuple[str, str]
) -> None:
    def kill(server: ScriptedServer, number: int) -> None:
        if number == 2:
            raise KilledError

    servers = {name: ScriptedServer(name, kill if name == "a" else lambda server, number: None) for name in order}
    run = make_run(4).render(servers["a"])
    assert run.error is not None  # its thread is gone
    (prompt_id,) = (event["prompt_id"] for event in run.events("segment-submitted") if event["segment"] == 2)
    servers["a"].known[prompt_id] = state
    servers["a"].behave = lambda server, number: None
    run.render(*(servers[name] for name in order))
    assert run.error is None
    assert run.done()[2] == "a"
    assert servers["a"].rendered.count(2) == 1, "it was submitted again"
    assert 2 not in servers["b"].rendered


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_prompt_that_failed_with_its_server_is_not_read_again_by_the_next_runner(make_run: MakeRun) -> None:
    """The server was restarted between the runs, or its history was kept: either way the old error says nothing now."""

    def kill(server: ScriptedServer) -> None:
        raise KilledError

    server = ScriptedServer("a", always(DEAD_CONTEXT))
    server.on_recover = kill
    run = make_run(2).render(server)
    assert len(run.failures()) == 1
    server.behave = lambda server, number: None
    run.render(server)
    assert set(run.done()) == {1, 2}
    assert len(run.failures()) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_prompt_that_is_on_two_servers_is_canceled_where_it_is_not_finished(make_run: MakeRun) -> None:
    def kill(server: ScriptedServer, number: int) -> None:
        raise KilledError

    a, b = ScriptedServer("a", kill), ScriptedServer("b")
    run = make_run(1).render(a)
    (prompt_id,) = a.known
    b.known[prompt_id], a.behave = "success", lambda server, number: None
    run.render(a, b)
    assert run.done() == {1: "b"}
    assert a.cancelled == [prompt_id]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("end", ["success", "interrupted", "error"])
def test_a_canceled_prompt_counts_only_if_it_is_finished(make_run: MakeRun, end: str, count: int) -> None:
    """It may have been finished before Ctrl-C came; how else it has ended is no failure."""

    def kill(server: ScriptedServer, number: int) -> None:
        raise KilledError

    a, b = ScriptedServer("a", kill), ScriptedServer("b")
    run = make_run(1).render(a)
    (prompt_id,) = a.known
    with RunDirectory(run.folder, run.maker.story.title) as directory:
        directory.journal.append(SegmentCancelled(segment=1, attempt=0))
    for known in ("queued", end):  # the interrupt may also still be on its way
        a.known[prompt_id] = known
        if known == "queued":
            a.behave = lambda server, number: Outcome(end) if len(server.rendered) == 1 else None
        if run.done():
            break
        run.render(*(a, b)[:count])
    assert run.error is None
    assert set(run.done()) == {1}
    assert run.failures() == []
    assert len([*a.rendered, *b.rendered]) == (1 if end == "success" else 2)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("known", ["queued", "success", "error"])
@pytest.mark.parametrize("back", ["a", "ab", "ba"])
def test_what_was_left_with_a_server_is_taken_up_when_that_is_back_in_the_run(
    make_run: MakeRun, back: str, known: str
) -> None:
    """Meanwhile a run without it has tried the next seeds elsewhere."""

    def kill(server: ScriptedServer, number: int) -> None:
        raise KilledError

    servers = {"a": ScriptedServer("a", kill), "b": ScriptedServer("b", always(node_error("not here")))}
    run = make_run(1).render(servers["a"])
    (prompt_id,) = servers["a"].known
    run.render(servers["b"])
    assert set(run.failed) == {1}
    servers["a"].known[prompt_id] = known
    for server in servers.values():
        server.behave = lambda server, number: None
    run.render(*(servers[name] for name in back))
    assert run.error is None
    assert set(run.done()) == {1}
    assert len(servers["a"].rendered) + len(servers["b"].rendered) == 4 + (known == "error")
    ids = [event["prompt_id"] for event in run.events("segment-submitted") if event["server"] == "b"]
    assert len(ids) == len(set(ids))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("known", ["queued", "success"])
def test_a_prompt_for_another_text_is_canceled_wherever_it_is_unless_it_is_finished(
    make_run: MakeRun, make_jobs: MakeJobs, known: str
) -> None:
    def kill(server: ScriptedServer, number: int) -> None:
        raise KilledError

    a, b = ScriptedServer("a", kill), ScriptedServer("b")
    run = make_run(1).render(a)
    (prompt_id,) = a.known
    a.known[prompt_id], a.behave = known, lambda server, number: None
    story = small_story("Fleet", segments=1)
    story["segments"][0]["prompt"] = "something else"
    old, run.maker = run.maker, make_jobs(story=story)
    run.render(b, a)
    assert set(run.done()) == {1}
    assert a.cancelled == ([prompt_id] if known == "queued" else [])
    assert len(run.events("segment-cancelled")) == len(a.cancelled)
    run.maker = old
    a.rendered.clear()
    run.render(a, numbers=[1])
    assert run.error is None
    assert run.failures() == []
    assert len(a.rendered) == (1 if known == "queued" else 0), "a finished prompt is not rendered again"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_server_whose_whole_address_is_in_an_older_journal_is_the_same_one(
    make_run: MakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    """Journals of earlier releases name it with the part of its path that gives access."""

    def kill(server: ScriptedServer, number: int) -> None:
        raise KilledError

    address = "https://a/b7C1x9Zq44kdW0"
    run = make_run(2).render(ScriptedServer(address, kill))
    capsys.readouterr()
    run.render(ScriptedServer(hide_in_server(address)))
    assert set(run.done()) == {1, 2}
    assert "not among the servers" not in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_server_that_is_not_in_the_run_any_more_is_named(
    make_run: MakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    def kill(server: ScriptedServer, number: int) -> None:
        raise KilledError

    run = make_run(2).render(ScriptedServer("http://a:8188", kill))
    capsys.readouterr()
    run.render(ScriptedServer("http://b:8188"))
    assert set(run.done()) == {1, 2}
    assert "segment 1 was submitted to http://a:8188, which is not among the servers" in capsys.readouterr().err


def test_what_a_server_finished_while_it_was_away_is_fetched_and_taken_from_the_other(make_run: MakeRun) -> None:
    reclaimed = threading.Event()

    def go_away(server: ScriptedServer, number: int) -> VideoGenError | None:
        if server.reasons:
            return None
        server.back.clear()
        server.known = dict.fromkeys(server.known, "success")  # it goes on rendering
        return GONE

    def render_meanwhile(server: ScriptedServer, number: int) -> None:
        a.back.set()
        assert reclaimed.wait(SECONDS)

    a, b = ScriptedServer("a", go_away), ScriptedServer("b", render_meanwhile)
    run = make_run(1)
    watcher = threading.Thread(target=lambda: wait_for_event(run, "segment-found", reclaimed), daemon=True)
    watcher.start()
    run.render(a, b)
    assert run.error is None
    assert run.done() == {1: "a"}
    if b.rendered:
        assert b.cancelled == list(b.known)


def wait_for_event(run: Run, kind: str, then: threading.Event) -> None:
    while not run.events(kind):
        if then.wait(0.02):
            return
    then.set()


def test_a_finished_prompt_is_fetched_after_the_connection_blinked(make_run: MakeRun) -> None:
    def blink(server: ScriptedServer, number: int) -> VideoGenError | None:
        if server.reasons:
            return None
        server.known = dict.fromkeys(server.known, "success")
        return GONE

    a = ScriptedServer("a", blink)
    run = make_run(3).render(a)
    assert set(run.done()) == {1, 2, 3}
    assert a.rendered == [1, 2, 3]
