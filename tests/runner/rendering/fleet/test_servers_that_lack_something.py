"""A server that lacks a node or a model of one segment's workflow renders the others."""

from __future__ import annotations

from collections.abc import Callable

from custom_nodes.videogen.core.errors import VideoGenError
from runner.rendering.scheduler import Lacks
from tests.runner.rendering.fleet.scripted_fleet import GONE, REFUSED, Run, ScriptedServer

MakeRun = Callable[[int], Run]


def lacks_of(**segments: tuple[int, ...]) -> Lacks:
    return lambda server: dict.fromkeys(segments.get(server, ()), f"{server} lacks rain.safetensors")


def test_each_server_renders_what_it_can(make_run: MakeRun) -> None:
    run = make_run(6).render(ScriptedServer("a"), ScriptedServer("b"), lacks=lacks_of(a=(1, 5), b=(3,)))
    done = run.done()
    assert sorted(done) == [1, 2, 3, 4, 5, 6]
    assert (done[1], done[5], done[3]) == ("b", "b", "a")
    assert run.failures() == []
    assert run.error is None


def test_a_segment_that_none_can_render_fails_with_the_reasons_and_keeps_none_of_the_others(make_run: MakeRun) -> None:
    run = make_run(4).render(ScriptedServer("a"), ScriptedServer("b"), lacks=lacks_of(a=(2,), b=(2,)))
    assert sorted(run.done()) == [1, 3, 4]
    assert run.error is None
    message = "no server of this run can render it:\n  - a: a lacks rain.safetensors\n  - b: b lacks rain.safetensors"
    assert {number: error.message for number, error in run.failed.items()} == {2: message}
    assert run.failures() == [(2, "server lacks something", "given up")]


def leave(server: ScriptedServer) -> None:
    raise VideoGenError("server-lost", f"{server.name} does not come back")


def test_the_run_ends_when_the_only_server_that_could_render_a_segment_does_not_come_back(make_run: MakeRun) -> None:
    gone = ScriptedServer("b", lambda server, number: GONE)
    gone.on_recover = leave
    run = make_run(4).render(ScriptedServer("a"), gone, lacks=lacks_of(a=(2,)))
    assert sorted(run.done()) == [1, 3, 4]
    assert run.error is None
    assert run.failed[2].message == (
        "no server of this run can render it:\n  - a: a lacks rain.safetensors\n  - b: b does not come back"
    )


def test_a_server_that_turns_out_to_lack_something_leaves_the_segment_to_another(make_run: MakeRun) -> None:
    """Its model was removed since it was checked: it refuses the graph, and is asked what it has."""
    lacking: dict[str, dict[int, str]] = {}

    class Refusing(ScriptedServer):
        def look_again(self) -> None:
            lacking[self.name] = {2: "a lacks rain.safetensors"}

        def submit(self, graph: dict, prompt_id: str, workflow: object) -> None:
            if graph["2"]["inputs"]["index"] == 2:
                raise REFUSED
            super().submit(graph, prompt_id, workflow)

    run = make_run(4)
    run.render(Refusing("a"), numbers=(1,), lacks=lambda server: lacking.get(server, {}))
    run.render(Refusing("a"), numbers=(2, 3), lacks=lambda server: lacking.get(server, {}))
    assert run.failed[2].message == "a lacks rain.safetensors"
    assert sorted(run.done()) == [1, 3], "it is used for the others"
    lacking.clear()
    run.render(Refusing("a"), ScriptedServer("b"), numbers=(2, 4), lacks=lambda server: lacking.get(server, {}))
    assert run.done()[2] == "b"
    assert run.failed == {}


def test_a_run_in_which_nothing_can_be_rendered_any_more_ends(make_run: MakeRun) -> None:
    run = make_run(3).render(ScriptedServer("a"), lacks=lacks_of(a=(1, 2, 3)))
    assert sorted(run.failed) == [1, 2, 3]
    assert run.error is None
