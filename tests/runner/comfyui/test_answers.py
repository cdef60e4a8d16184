"""What servers say, in every form: a server or an output is refused in a sentence, and nothing else ever happens."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from custom_nodes.videogen.core.errors import Problem, VideoGenError
from custom_nodes.videogen.core.segment.plan import plan_segment
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.media.story_file import LoadedStory
from runner.comfyui.answers import MAX_DEPTH, MalformedAnswerError, parse_json
from runner.comfyui.client import ComfyClient, describe_node_errors
from runner.comfyui.events import EventStream
from runner.comfyui.node_schemas import read_object_info
from runner.comfyui.outcome import read_outcome
from runner.comfyui.outputs import choose_clip
from runner.comfyui.session import Session
from runner.rendering.collect import fetch_outputs, verify_output
from runner.rendering.jobs import ConvertedWorkflow, JobMaker, WorkflowChoices
from runner.rendering.takes.measurement import read_measurement, summarize
from runner.rendering.thermal import ServerThermalMonitor, summarize_telemetry
from runner.state.versions import collect_versions
from runner.workflows.validate import check_graph
from runner.workflows.workflow import Workflow, convert_workflow
from tests.runner.rendering.takes.scripted_run import make_score
from tests.support.servers.fake_server import STATS, Answer, FakeServer, fake_server
from tests.support.stories import segment_graph, small_story
from tests.support.videos import TINY

STORY = small_story("Answers", segments=1)
GRAPH = segment_graph(STORY)
OBJECT_INFO = json.loads((Path(__file__).parents[1] / "object_info.json").read_text(encoding="utf-8"))
DEEP: Any = 5
for _ in range(400):
    DEEP = [DEEP]

HISTORY: dict[str, Any] = {
    "prompt": [1, "id", GRAPH, {}, ["4"]],
    "outputs": {
        "4": {
            "images": [{"filename": "segment_01.mp4", "subfolder": "videogen/answers", "type": "output"}],
            "animated": [True],
            "videogen": [
                {
                    "number": 1,
                    "frames": 12,
                    "fps": 24,
                    "size": [854, 480],
                    "quality": "draft",
                    "encoder": "libx264",
                    "sha256": "a" * 64,
                    "telemetry": {
                        "devices": [{"name": "card", "kind": "nvidia", "temperature": {"min": 40, "max": 60}}],
                        "pauses": [{"seconds": 3.0, "reason": "84 °C"}],
                    },
                }
            ],
        },
        "5": {
            "videogen": [
                {"continuity": {"scores": make_score(0.8).to_dict(), "thresholds": {}, "notes": [], "when_below": "x"}}
            ]
        },
        "6": {"images": [{"filename": "x.png", "subfolder": "", "type": "temp"}]},
    },
    "status": {
        "status_str": "success",
        "completed": True,
        "messages": [
            ["execution_start", {"prompt_id": "id", "timestamp": 1000}],
            ["execution_success", {"prompt_id": "id", "timestamp": 2000}],
        ],
    },
    "meta": {"4": {"node_id": "4", "display_node": "4", "parent_node": None, "real_node_id": "4"}},
}
FAILED = copy.deepcopy(HISTORY)
FAILED["status"]["status_str"] = "error"
FAILED["status"]["messages"][1] = [
    "execution_error",
    {"node_id": "3", "node_type": "KSampler", "exception_type": "RuntimeError", "exception_message": "no"},
]
TELEMETRY: dict[str, Any] = {
    "running": True,
    "readings": [{"device": "GPU-1", "name": "card", "kind": "nvidia", "temperature": 60.0, "throttle": ["heat"]}],
    "policy": {"pause_above": 84.0, "resume_at": 70.0, "interval": 1.0, "when_over": "stop"},
    "age": 0.5,
    "period": 1.0,
}
PROGRESS: dict[str, Any] = {
    "prompt_id": "id",
    "nodes": {"3": {"state": "running", "value": 1, "max": 20, "real_node_id": "3"}},
}

NASTY = st.one_of(
    st.sampled_from(
        [
            None,
            True,
            -1,
            0,
            5,
            10**400,
            -(10**30),
            math.nan,
            math.inf,
            -0.0,
            1e308,
            "",
            "\ud800",
            "a\0b",
            "../x",
            [],
            {},
            DEEP,
        ]
    ),
    st.text(max_size=4),
    st.recursive(st.integers() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=3), max_leaves=4),
)


def mutate(value: Any, data: st.DataObject) -> Any:
    """The value with a few of its parts replaced by something else, removed, or doubled."""
    value = copy.deepcopy(value)
    for _ in range(data.draw(st.integers(1, 4))):
        place = value
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = data.draw(st.sampled_from(keys))
            if isinstance(place[key], (dict, list)) and place[key] and data.draw(st.integers(0, 3)):
                place = place[key]
                continue
            match data.draw(st.sampled_from(["replace", "remove", "rename"])):
                case "remove":
                    del place[key]
                case "rename" if isinstance(place, dict):
                    place[data.draw(st.text(max_size=3) | st.just("\udfff"))] = place.pop(key)
                case _:
                    place[key] = copy.deepcopy(data.draw(NASTY))
            break
    return value


def received(value: Any) -> Any:
    """The value as it comes over the wire, or `Refused` when it is no answer at all."""
    return parse_json(json.dumps(value).encode())


def writable(value: Any) -> None:
    """It can be written to the journal and the report."""
    json.dumps(value, ensure_ascii=False).encode()


def attempt(do: Callable[[], Any]) -> Any:
    """What it returns, or the error that a user can act on; anything else is not caught."""
    try:
        return do()
    except VideoGenError as error:
        writable(str(error))
        return error


FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def server() -> Any:
    with fake_server() as server:
        yield server


@FUZZ
@given(data=st.data())
def test_any_history_is_a_verdict_on_that_output(server: FakeServer, tmp_path: Path, data: st.DataObject) -> None:
    entry = mutate(data.draw(st.sampled_from([HISTORY, FAILED])), data)
    server.routes["GET /history/id"] = {"id": entry}
    server.routes["GET /view"] = Answer(200, data.draw(st.binary(max_size=40)))
    client = ComfyClient(server.url)
    plan = plan_segment(parse_story(STORY, "test"), 1)
    found = attempt(lambda: client.history("id"))
    if not isinstance(found, dict):
        assert found is None or found.code == "server-refused"
        return
    outcome = read_outcome(found)
    writable([outcome.status, outcome.error, outcome.executed, outcome.exception_type])
    measurement = read_measurement(outcome)
    if measurement is not None:
        writable([measurement.score.to_dict(), measurement.notes, summarize(measurement.score)])
    node = data.draw(st.sampled_from(["", "4", "6"]))

    def collect() -> None:
        fetched = fetch_outputs(client, outcome, tmp_path, "segment_01", node)
        writable(summarize_telemetry(fetched.clip.telemetry or {}))
        verify_output(fetched, plan, TINY, tmp_path)

    error = attempt(collect)
    assert error is None or error.code in ("output-missing", "media-broken", "workflow-invalid")


def test_the_answers_that_are_changed_are_read_as_they_are() -> None:
    outcome = read_outcome(received(HISTORY))
    measurement = read_measurement(outcome)
    assert measurement is not None
    assert (outcome.executed, measurement.score.subjects[0].name) == (1.0, "tom")
    clip = choose_clip(outcome)
    assert clip.record is not None
    assert clip.telemetry is not None
    assert summarize_telemetry(clip.telemetry)["temperature"] == {"peak": 60, "min": 40}
    assert read_outcome(received(FAILED)).error == "node 3 (KSampler): no"


@FUZZ
@given(data=st.data())
def test_any_statistics_are_those_of_a_comfyui_or_not(server: FakeServer, data: st.DataObject) -> None:
    server.routes["GET /system_stats"] = mutate(STATS | {"devices": [{"name": "cuda:0"}]}, data)
    found = attempt(ComfyClient(server.url).system_stats)
    if isinstance(found, VideoGenError):
        assert found.code == "server-not-comfyui"
    else:
        writable(collect_versions(found))


@FUZZ
@given(data=st.data())
def test_any_schemas_can_be_checked_against(data: st.DataObject) -> None:
    try:
        info = read_object_info(received(mutate(OBJECT_INFO, data)))
    except MalformedAnswerError:
        return
    workflow = Workflow(Path("workflow.json"), None, GRAPH)
    try:
        graph = convert_workflow(workflow, info)
        problems: list[Problem] = check_graph(graph, info, workflow)
        maker = JobMaker(
            LoadedStory(parse_story(STORY, "test"), STORY),
            ConvertedWorkflow(graph, info),
            WorkflowChoices(),
            hash_input=lambda name: "",
        )
        problems += maker.find_output_problems()
        writable([maker.key(1), list(map(str, problems))])
    except VideoGenError as error:
        writable(str(error))


@FUZZ
@given(data=st.data())
def test_any_telemetry_is_read_or_ignored(server: FakeServer, data: st.DataObject) -> None:
    server.routes["GET /videogen/telemetry"] = mutate(TELEMETRY, data)
    monitor = ServerThermalMonitor()
    readings = monitor.read(ComfyClient(server.url))
    if readings is not None:
        monitor.look(readings, 1.0)


class Deaf:
    """A session whose server sends these events, and then has the prompt ended."""

    def __init__(self, events: list[tuple[str, dict[str, Any]]]) -> None:
        self.left, self.client, self.connected, self._submitted = events, self, True, ("", "")
        self.url, self.events, self.submitted, self.client_id = "http://host:1", self, set[str](), ""

    def next(self, timeout: float) -> tuple[str, dict[str, Any]] | None:
        return self.left.pop() if self.left else None

    def history(self, prompt_id: str) -> dict[str, Any] | None:
        return HISTORY if not self.left else None

    def queue(self) -> Any:
        raise AssertionError("it has ended")


@FUZZ
@given(data=st.data())
def test_any_events_are_only_hints(data: st.DataObject) -> None:
    events = []
    for _ in range(3):
        event = mutate({"type": "progress_state", "data": PROGRESS}, data)
        try:
            parsed = received(event)
        except MalformedAnswerError:
            continue
        if isinstance(parsed, dict) and isinstance(parsed.get("type"), str) and isinstance(parsed.get("data"), dict):
            events.append((parsed["type"], parsed["data"]))
    steps: list[tuple[str, float | None]] = []
    outcome = Session.wait(
        cast(Any, Deaf(events)),
        "id",
        GRAPH,
        stall=60,
        on_start=lambda: None,
        on_step=lambda label, fraction: steps.append((label, fraction)),
        check=lambda: None,
    )
    assert outcome.status == "success"
    writable(steps)


REFUSALS: dict[str, tuple[str, Callable[[ComfyClient], Any]]] = {
    "GET /system_stats": ("server-not-comfyui", ComfyClient.system_stats),
    "GET /object_info": ("server-not-comfyui", ComfyClient.object_info),
    "GET /queue": ("server-refused", ComfyClient.queue),
    "GET /history/id": ("server-refused", lambda client: client.history("id")),
}


@pytest.mark.parametrize("route", REFUSALS)
@pytest.mark.parametrize(
    "body",
    [
        {"system": 5},
        {"system": None},
        [],
        5,
        None,
        "text",
        {"queue_running": 5, "queue_pending": []},
        {"queue_running": [5], "queue_pending": []},
        {"queue_running": [[]], "queue_pending": []},
        {"id": []},
        {"id": "x", "KSampler": 5},
        b"",
        b"<html>",
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"a":' * 90_000,
        b"1" * 5000,
        json.dumps(DEEP).encode(),
        b'{"system": {"comfyui_version": 5}}',
    ],
    ids=lambda body: str(body)[:24],
)
def test_what_is_no_answer_refuses_the_server_in_a_sentence(route: str, body: Any) -> None:
    code, ask = REFUSALS[route]
    with fake_server(**{route: Answer(200, body)}) as server:
        result = attempt(lambda: ask(ComfyClient(server.url)))
    if isinstance(result, VideoGenError):
        assert result.code == code
        assert "\n" not in result.message
    else:
        # As little as this may be an answer: a ComfyUI without nodes, a prompt that has not ended.
        assert result is None or (route == "GET /object_info" and isinstance(result, dict))


def test_what_can_be_an_answer_is_nested_so_deep_at_most() -> None:
    value: Any = 1
    for _ in range(MAX_DEPTH):
        value = [value]
    assert parse_json(json.dumps(value)) == value
    with pytest.raises(MalformedAnswerError, match="deeper"):
        parse_json(json.dumps([value]))


def test_text_and_numbers_that_nothing_can_be_done_with_are_replaced() -> None:
    assert parse_json(b'{"\\ud800": ["a\\udfffb", NaN, Infinity, 1e400, 12, true, "\xc3\xa4"]}') == {
        "?": ["a?b", None, None, None, 12, True, "ä"]
    }


@pytest.mark.parametrize(
    "errors",
    [5, {"4": 5}, {"4": {"errors": 5}}, {"4": {"errors": [{"message": 5}]}}, {"4": {}}, {"\x00": {"errors": [5]}}],
)
def test_node_errors_in_any_form_are_a_rejection_that_names_the_node(errors: Any) -> None:
    said = describe_node_errors({"node_errors": errors}, GRAPH)
    assert said == "" if errors == 5 else "invalid" in said


def test_a_socket_that_breaks_the_protocol_is_connected_to_again() -> None:
    with fake_server() as server:
        stream = EventStream(server.url.replace("http", "ws") + "/ws", {}).open()
        server.wait_for_socket().put(b"\x00" * 10)  # a binary message: a preview
        server.wait_for_socket().put('{"type": "status", "data": {}}')
        assert stream.next(timeout=5) == ("status", {})
        stream.close()
