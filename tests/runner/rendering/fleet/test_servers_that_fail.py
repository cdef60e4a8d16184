"""Servers that fail under the real renderer: nothing is given up beside a healthy one, and everything comes to an end."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from runner.comfyui.outcome import Outcome
from tests.runner.rendering.fleet.scripted_fleet import (
    DEAD_CONTEXT,
    GONE,
    REFUSED,
    SECONDS,
    STALLED,
    Behavior,
    Run,
    ScriptedServer,
    node_error,
)

MakeRun = Callable[[int], Run]


def broken_from(number: int, outcome: Outcome | VideoGenError) -> Behavior:
    """Fails at every segment from this one on, until it is restarted."""
    state = {"broken": False}

    def behave(server: ScriptedServer, segment: int) -> Outcome | VideoGenError | None:
        state["broken"] |= segment == number and not server.reasons
        server.on_recover = lambda _: state.update(broken=False)
        return outcome if state["broken"] else None

    return behave


def always(outcome: Outcome | VideoGenError) -> Behavior:
    return lambda server, number: outcome


def story_seeds(*servers: ScriptedServer) -> bool:
    return all(seed == 100 + number for server in servers for number, seed in server.seeds)


# ------------------------------------------------------------------ 1: a device that is dead, and failures per server


def test_our_own_server_is_restarted_after_its_context_died_and_no_segment_pays_for_it(make_run: MakeRun) -> None:
    server = ScriptedServer("embedded", broken_from(3, DEAD_CONTEXT), restarts=True)
    run = make_run(8).render(server, retries=0)
    assert run.error is None
    assert set(run.done()) == set(range(1, 9))
    assert run.failures() == [(3, "device failed", "back into the queue, and the server is looked after")]
    assert story_seeds(server)
    (aside,) = run.events("server-set-aside")
    assert "illegal memory access" in aside["message"]
    assert [event["server"] for event in run.events("server-recovered")] == ["embedded"]


def test_somebody_else_s_server_with_a_dead_context_is_set_aside(make_run: MakeRun) -> None:
    sick, well = ScriptedServer("a", always(DEAD_CONTEXT)), ScriptedServer("b")
    run = make_run(8).render(sick, well, retries=0)
    assert run.error is None
    assert set(run.done().values()) == {"b"}
    assert len(run.done()) == 8
    assert run.failed == {}
    assert story_seeds(sick, well)
    assert max(Counter(sick.rendered).values(), default=0) <= 1, "it got a segment again that it had failed with"


def test_a_server_that_fails_with_every_segment_in_the_same_way_is_restarted(make_run: MakeRun) -> None:
    """Whatever the words are: three different segments, and nothing finished in between."""
    server = ScriptedServer("embedded", broken_from(1, node_error("the widget is in a state of 0x7f31")), restarts=True)
    run = make_run(6).render(server)
    assert run.error is None
    assert set(run.done()) == set(range(1, 7))
    assert [failure for _, failure, _ in run.failures()] == ["node error"] * 2 + ["server fails every segment"]
    assert len({number for number, _, _ in run.failures()}) == 3
    # The first two had gone on with the next seed, and get their own back.
    assert Counter(seed - number for number, seed in server.seeds) == {100: 9}
    assert "several segments in a row have failed on embedded" in run.events("server-set-aside")[0]["message"]


def test_the_last_two_segments_are_enough_where_one_would_be_given_up(make_run: MakeRun) -> None:
    server = ScriptedServer("embedded", broken_from(1, node_error("nothing works")), restarts=True)
    run = make_run(2).render(server, retries=1)
    assert run.error is None
    assert set(run.done()) == {1, 2}


@pytest.mark.parametrize("count", [1, 2])
def test_a_workflow_that_fails_everywhere_comes_to_an_end(make_run: MakeRun, count: int) -> None:
    names = ["a", "b"][:count]
    servers = [ScriptedServer(name, always(node_error("shapes do not match")), restarts=count == 1) for name in names]
    run = make_run(5).render(*servers)
    assert run.error is None
    assert set(run.failed) == set(range(1, 6))
    assert sum(len(server.reasons) for server in servers) <= count
    assert {error.code for error in run.failed.values()} == {"render-failed"}


def test_a_segment_that_kills_its_server_each_time_is_given_up_and_the_others_are_rendered(make_run: MakeRun) -> None:
    server = ScriptedServer("embedded", lambda _, number: DEAD_CONTEXT if number == 2 else None, restarts=True)
    run = make_run(5).render(server)
    assert run.error is None
    assert set(run.failed) == {2}
    assert set(run.done()) == {1, 3, 4, 5}
    assert server.rendered.count(2) == 3


def test_a_node_s_error_is_shown_to_another_server_before_the_seed_is_changed(make_run: MakeRun) -> None:
    picky = ScriptedServer("a", lambda _, number: node_error(f"no {number}") if number % 2 else None)
    other = ScriptedServer("b")
    run = make_run(6).render(picky, other, retries=0)
    assert run.error is None
    assert run.failed == {}
    assert story_seeds(picky, other)


def test_one_whose_disk_is_full_is_left_and_the_others_go_on(make_run: MakeRun) -> None:
    full = ScriptedServer("a", always(node_error("[Errno 28] No space left on device", "OSError")))
    run = make_run(4).render(full, ScriptedServer("b"))
    assert run.error is None
    assert set(run.done().values()) == {"b"}
    assert len(full.rendered) <= 1


# ------------------------------------------------------------------ 2: a server that lacks something


def test_a_refusal_sets_that_server_aside_while_another_can(make_run: MakeRun) -> None:
    lacking, well = ScriptedServer("a"), ScriptedServer("b")
    lacking.refuses = REFUSED
    run = make_run(6).render(lacking, well)
    assert run.error is None
    assert set(run.done().values()) == {"b"}
    assert len(run.done()) == 6
    if lacking.rendered or lacking.reasons:  # on a slow machine the other one may have done everything before
        assert "Value not in list" in " ".join(lacking.reasons)


def test_when_all_refuse_the_run_stops_with_the_reasons_of_each(make_run: MakeRun) -> None:
    servers = [ScriptedServer("a"), ScriptedServer("b")]
    for server in servers:
        server.refuses = VideoGenError("submission-rejected", f"refused the prompt:\n  - {server.name} has no model")
    run = make_run(4).render(*servers)
    assert run.error is not None
    assert run.error.code == "submission-rejected"
    assert "a has no model" in run.error.message
    assert "b has no model" in run.error.message
    assert run.failed == {}


def test_one_server_that_refuses_the_very_first_graph_stops_the_run(make_run: MakeRun) -> None:
    server = ScriptedServer("a")
    server.refuses = REFUSED
    run = make_run(3).render(server)
    assert run.error is REFUSED
    assert run.failed == {}


def test_a_server_that_has_lost_its_model_gives_up_no_segment(make_run: MakeRun) -> None:
    """It refuses, and a look at its nodes says what it lacks: it is waited for until it has that again."""

    def behave(server: ScriptedServer, number: int) -> None:
        if number == 2:
            server.refuses = REFUSED
            server.lacks = VideoGenError("server-unfit", "the ComfyUI at a lacks: model 'dream.safetensors'")

    def get_it_back(server: ScriptedServer) -> None:
        server.refuses = server.lacks = None

    server = ScriptedServer("a", behave)
    server.on_recover = get_it_back
    run = make_run(5).render(server)
    assert run.error is None
    assert set(run.done()) == set(range(1, 6))
    assert run.failures() == [(3, "server lacks something", "back into the queue, and the server is looked after")]
    assert "dream.safetensors" in run.events("server-set-aside")[0]["message"]


# ------------------------------------------------------------------ 3: a server that hangs


def test_what_has_stalled_on_one_server_is_rendered_on_the_other(make_run: MakeRun) -> None:
    hung, well = ScriptedServer("a", always(STALLED)), ScriptedServer("b")
    run = make_run(8).render(hung, well)
    assert run.error is None
    assert run.failed == {}
    assert set(run.done().values()) == {"b"}
    assert max(Counter(hung.rendered).values(), default=0) <= 1, "it got a segment again that it had stalled on"


def test_a_prompt_that_hangs_is_canceled_when_the_run_ends_before_its_server_is_back(make_run: MakeRun) -> None:
    """Nobody wants it any more: the server would begin its life with it."""

    def hang(server: ScriptedServer, number: int) -> VideoGenError:
        server.back.clear()
        stalled.set()
        return STALLED

    def wait_for_it(server: ScriptedServer, number: int) -> None:
        assert stalled.wait(SECONDS)

    stalled = threading.Event()
    hung, well = ScriptedServer("a", hang), ScriptedServer("b", wait_for_it)
    run = make_run(4).render(hung, well)
    assert run.error is None
    assert set(run.done().values()) == {"b"}
    assert hung.cancelled == list(hung.known)
    assert len(hung.cancelled) == 1


def test_a_prompt_that_hangs_is_no_prompt_for_the_next_runner_either(make_run: MakeRun) -> None:
    def leave(server: ScriptedServer) -> None:
        raise VideoGenError("server-lost", "it answers, but has failed 3 times in a row")

    server = ScriptedServer("a", always(STALLED))
    server.on_recover = leave
    run = make_run(2).render(server)
    assert run.error is not None
    assert run.error.code == "server-lost"
    assert run.failed == {}
    (hung,) = server.cancelled
    server.known[hung] = "queued"  # an interrupt does not reach it
    server.behave = lambda server, number: None
    run.render(server)
    assert set(run.done()) == {1, 2}
    assert len(server.known) == 3, "the hung prompt was waited for again"


def test_a_server_that_goes_away_with_each_segment_costs_none_beside_a_healthy_one(make_run: MakeRun) -> None:
    blinking, well = ScriptedServer("a", always(GONE)), ScriptedServer("b")
    run = make_run(8).render(blinking, well)
    assert run.error is None
    assert run.failed == {}
    assert len(run.done()) == 8
