"""Faults between the runner and a real ComfyUI: sockets that break, answers that do not come, files that arrive in part."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.faults.harness import impatient_server, in_full, make_stage, wait_for
from tests.faults.proxy import Action, Exchange, Proxy
from tests.faults.proxy_actions import (
    Scrambler,
    answer,
    change_body,
    cut_after,
    delay,
    hang_up,
    lose_answer,
    say_nothing,
)
from tests.support.servers.comfy import ComfyServer

#: A node that takes half a second, so that there is something to disturb.
SLOW = ("FaultSleep", {"seconds": 0.5})


class Cutter:
    """Cuts all sockets again and again, while it is entered."""

    def __init__(self, proxy: Proxy, every: float = 0.2) -> None:
        self.proxy, self.every, self.cut = proxy, every, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def _work(self) -> None:
        while not self._stop.wait(self.every):
            self.cut += self.proxy.cut_sockets()

    def __enter__(self) -> Cutter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def test_a_socket_that_breaks_all_the_time_costs_nothing(proxy: Proxy, tmp_path: Path) -> None:
    stage = make_stage(tmp_path, SLOW, options=("--server", proxy.url))
    with Cutter(proxy) as cutter:
        ended = stage.run()
    assert ended.status == 0, ended
    assert cutter.cut >= 3
    stage.check_complete()
    assert sorted(stage.executed("FaultSleep")) == sorted(s["seed"] for s in stage.story["segments"])
    assert not stage.failures()


@in_full
def test_a_socket_that_says_nothing_is_replaced_by_looking(proxy: Proxy, tmp_path: Path) -> None:
    stage = make_stage(tmp_path, segments=2, options=("--server", proxy.url))
    proxy.on("GET /ws", say_nothing, times=float("inf"))
    ended = stage.run()
    assert ended.status == 0, ended
    stage.check_complete()


def test_a_socket_that_falls_silent_is_replaced_by_looking(proxy: Proxy, tmp_path: Path) -> None:
    stage = make_stage(tmp_path, segments=2, options=("--server", proxy.url))
    proxy.frame_filter = lambda frame: [frame] if frame.startswith(b"HTTP/") else []
    ended = stage.run()
    assert ended.status == 0, ended
    assert proxy.counts.frames_touched > 3
    stage.check_complete()


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=in_full) for seed in range(2, 6))])
def test_frames_may_be_dropped_doubled_swapped_garbled_and_cut_off(proxy: Proxy, tmp_path: Path, seed: int) -> None:
    stage = make_stage(tmp_path, SLOW, segments=2, options=("--server", proxy.url))
    proxy.frame_filter = Scrambler(seed)
    ended = stage.run()
    assert ended.status == 0, ended
    stage.check_complete()
    assert not stage.failures()


def test_an_answer_to_a_submission_that_gets_lost_renders_nothing_twice(proxy: Proxy, tmp_path: Path) -> None:
    stage = make_stage(tmp_path, SLOW, segments=2, options=("--server", proxy.url))
    proxy.on("POST /prompt", lose_answer)
    ended = stage.run()
    assert ended.status == 0, ended
    stage.check_complete()
    assert sorted(stage.executed("FaultSleep")) == sorted(s["seed"] for s in stage.story["segments"])
    assert stage.events("segment-found")


@pytest.mark.parametrize(
    ("request_", "fault"),
    [
        pytest.param("POST /prompt", hang_up, marks=in_full),
        ("POST /prompt", answer(503, b"upstream is away")),
        pytest.param("GET /history/", hang_up, marks=in_full),
        pytest.param("GET /history/", delay(3.0), marks=in_full),
        ("GET /history/", cut_after(40)),
        pytest.param("GET /queue", cut_after(10), marks=in_full),
        ("GET /view", answer(502)),
        pytest.param("GET /view", hang_up, marks=in_full),
    ],
)
def test_a_request_that_fails_once_is_made_again(proxy: Proxy, tmp_path: Path, request_: str, fault: Action) -> None:
    stage = make_stage(tmp_path, SLOW, segments=2, options=("--server", proxy.url))
    if request_ == "GET /queue":  # asked only about what takes long
        stage.graph["10"]["inputs"].update(seconds=3.0, progress=False)
        stage.write()
    rule = proxy.on(request_, fault)
    ended = stage.run()
    assert ended.status == 0, ended
    assert rule.hits == 1
    stage.check_complete()
    assert sorted(stage.executed("FaultSleep")) == sorted(s["seed"] for s in stage.story["segments"])


# ------------------------------------------------------------------ downloads


def test_a_download_that_breaks_off_is_taken_up_where_it_broke(proxy: Proxy, tmp_path: Path) -> None:
    stage = make_stage(tmp_path, segments=1, size=(1280, 720), options=("--server", proxy.url))
    stage.story["quality"] = "high"
    stage.write()
    ranges: list[str | None] = []

    def break_off(exchange: Exchange) -> None:
        ranges.append(exchange.header("Range"))
        cut_after(20_000)(exchange)

    def note(exchange: Exchange) -> None:
        ranges.append(exchange.header("Range"))
        exchange.send(exchange.forward())

    proxy.on("GET /view", note, times=10)
    proxy.on("GET /view", break_off, times=2)
    ended = stage.run()
    assert ended.status == 0, ended
    assert ranges == [None, "bytes=20000-", "bytes=40000-"], "every byte that came is kept"
    stage.check_complete()


def test_a_file_that_arrives_garbled_is_not_accepted(proxy: Proxy, tmp_path: Path) -> None:
    stage = make_stage(tmp_path, SLOW, segments=2, options=("--server", proxy.url))
    proxy.on("GET /view", change_body(lambda body: body[:3000] + b"\0" * 500 + body[3500:]))
    ended = stage.run()
    assert ended.status == 0, ended
    assert stage.failures() == [(1, "output broken", "again")]
    stage.check_complete()


def test_a_truncated_file_is_not_accepted_even_if_it_is_honestly_announced(proxy: Proxy, tmp_path: Path) -> None:
    stage = make_stage(tmp_path, segments=2, options=("--server", proxy.url))
    proxy.on("GET /view", change_body(lambda body: body[: len(body) // 2]))
    ended = stage.run()
    assert ended.status == 0, ended
    assert stage.failures() == [(1, "output broken", "again")]
    stage.check_complete()


def test_a_file_that_never_arrives_whole_costs_its_segment_and_no_other(proxy: Proxy, tmp_path: Path) -> None:
    stage = make_stage(tmp_path, segments=2, options=("--server", proxy.url))

    def garble_first(exchange: Exchange) -> None:
        response = exchange.forward()
        first = b"segment_01" in exchange.head.split(b"\r\n", 1)[0]
        exchange.send(response.with_body(b"no video at all") if first else response)

    proxy.on("GET /view", garble_first, times=1000)
    ended = stage.run()
    assert ended.status == 1, ended
    assert [failure for _, failure, _ in stage.failures()] == ["output broken"] * 3
    assert not (stage.directory / "segments" / "segment_01.mp4").exists()
    stage.check_complete([2])
    proxy.clear()
    assert stage.run().status == 0  # the same command again
    stage.check_complete()


def test_an_output_that_is_gone_is_rendered_again(proxy: Proxy, tmp_path: Path) -> None:
    stage = make_stage(tmp_path, segments=1, options=("--server", proxy.url))
    proxy.on("GET /view", answer(404))
    ended = stage.run()
    assert ended.status == 0, ended
    assert stage.failures() == [(1, "output broken", "again")]
    stage.check_complete()


# ------------------------------------------------------------------ what the server says, and does not say


def empty_history(exchange: Exchange) -> None:
    exchange.forward()
    answer(200, b"{}")(exchange)


def test_history_that_comes_late_is_waited_for(proxy: Proxy, tmp_path: Path) -> None:
    """At `execution_success` history is often still empty."""
    stage = make_stage(tmp_path, segments=2, options=("--server", proxy.url))
    proxy.on("GET /history/", empty_history, times=2)
    ended = stage.run()
    assert ended.status == 0, ended
    assert not stage.failures()
    stage.check_complete()


def test_a_prompt_that_the_server_has_forgotten_is_submitted_again(proxy: Proxy, tmp_path: Path) -> None:
    stage = make_stage(tmp_path, segments=1, options=("--server", proxy.url))
    proxy.on("GET /history/", empty_history, times=6)
    ended = stage.run()
    assert ended.status == 0, ended
    assert stage.failures() == [(1, "lost", "again")]
    stage.check_complete()


def test_a_prompt_whose_outputs_are_blocked_is_missing_its_output(proxy: Proxy, tmp_path: Path) -> None:
    """As with an ExecutionBlocker: success, and nothing to show for it."""
    stage = make_stage(tmp_path, segments=1, options=("--server", proxy.url))

    def without_outputs(body: bytes) -> bytes:
        data: dict[str, Any] = json.loads(body)
        return json.dumps({key: {**entry, "outputs": {}} for key, entry in data.items()}).encode()

    proxy.on("GET /history/", change_body(without_outputs), times=1000)
    ended = stage.run()
    assert ended.status == 1, ended
    assert [failure for _, failure, _ in stage.failures()] == ["output broken"] * 3
    assert "saved no file" in ended.err


def test_a_prompt_that_is_fully_cached_gives_its_file(fault_server: ComfyServer, tmp_path: Path) -> None:
    stage = make_stage(tmp_path, SLOW, segments=1, options=("--server", fault_server.url))
    assert stage.run().status == 0
    stage.out = "again"
    ended = stage.run()
    assert ended.status == 0, ended
    stage.check_complete()
    assert len(stage.executed("FaultSleep")) == 1  # the second run came out of the cache


def test_a_partly_invalid_graph_is_refused_although_it_is_answered_with_200(
    proxy: Proxy, fault_server: ComfyServer, tmp_path: Path
) -> None:
    stage = make_stage(tmp_path, segments=2, options=("--server", proxy.url, "--bind", "output=4"))
    # What the check of the graph cannot know: a file name that the node itself refuses. The first output is valid.
    stage.graph["5"] = {
        "class_type": "VideoGenSaveSegment",
        "inputs": {**stage.graph["4"]["inputs"], "take": ""},
    }
    stage.write()

    def spoil(exchange: Exchange) -> None:
        body = json.loads(exchange.body)
        body["prompt"]["5"]["inputs"]["take"] = "../papyrus"
        exchange.body = json.dumps(body).encode()
        length = str(len(exchange.body)).encode()
        lines = exchange.head.split(b"\r\n")
        exchange.head = b"\r\n".join(
            b"Content-Length: " + length if line.lower().startswith(b"content-length") else line for line in lines
        )
        response = exchange.forward()
        assert response.status == 200
        exchange.send(response)

    proxy.on("POST /prompt", spoil, times=1000)
    ended = stage.run()
    assert ended.status == 2, ended
    assert "papyrus" in ended.err
    assert not stage.events("segment-done")
    queue = fault_server.client.queue()
    mine = {event["prompt_id"] for event in stage.events("segment-submitted")}
    assert not queue.pending & mine


def test_a_prompt_that_is_too_large_says_so(proxy: Proxy, tmp_path: Path) -> None:
    stage = make_stage(tmp_path, segments=2, options=("--server", proxy.url))
    proxy.on("POST /prompt", answer(413), times=1000)
    ended = stage.run()
    assert ended.status == 2, ended
    assert "413" in ended.err
    assert "--max-upload-size" in ended.err


# ------------------------------------------------------------------ a server that is away


def test_a_server_that_is_away_for_some_seconds_is_waited_for(proxy: Proxy, tmp_path: Path) -> None:
    stage = make_stage(tmp_path, ("FaultSleep", {"seconds": 2.0}), segments=2, options=("--server", proxy.url))

    def go_away() -> None:
        wait_for(lambda: stage.events("segment-running"))
        proxy.refuse_connections()
        time.sleep(6.0)  # longer than the silence after which the runner looks
        proxy.listen()

    thread = threading.Thread(target=go_away, daemon=True)
    thread.start()
    ended = stage.run()
    thread.join()
    assert ended.status == 0, ended
    assert ("server gone") in [failure for _, failure, _ in stage.failures()]
    assert stage.events("server-recovered")
    stage.check_complete()
    # It was only the way to the server that was broken: what was rendered there meanwhile counts.
    assert sorted(stage.executed("FaultSleep")) == sorted(s["seed"] for s in stage.story["segments"])


@in_full
def test_a_server_that_stays_away_ends_the_run_and_keeps_what_is_done(
    proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.run.server_connections.RemoteServer", impatient_server(patience=2.0))
    stage = make_stage(tmp_path, SLOW, segments=3, options=("--server", proxy.url))

    def go_away() -> None:
        wait_for(lambda: stage.events("segment-done"))
        proxy.refuse_connections()

    thread = threading.Thread(target=go_away, daemon=True)
    thread.start()
    ended = stage.run()
    thread.join()
    assert ended.status == 3, ended
    assert "run the same command again to resume" in ended.err
    stage.check_complete([1])
    proxy.listen()
    assert stage.run().status == 0
    stage.check_complete()
