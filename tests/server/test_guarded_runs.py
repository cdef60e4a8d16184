"""Whole runs on a real ComfyUI whose scripted card gets hot."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.runs import Ended, read_journal, segments_with, videogen, wait_until, write_json
from tests.support.servers.guarded_server import GUARD, Graph, GuardedServer, sampling_graph, steps_in, temperatures
from tests.support.servers.scripted_cards import CARD
from tests.support.stories import segment_graph, small_story

pytestmark = pytest.mark.server


def guarded_film(record: Path) -> Graph:
    """Story → segment → guarded sampler → Save Segment."""
    graph = segment_graph("")
    sampled = sampling_graph(record, guard=GUARD, steps=6)
    graph |= {f"1{key}": node for key, node in sampled.items() if key not in ("3", "6")}
    for node in graph.values():
        for name, value in node["inputs"].items():
            if node["class_type"].startswith(("GuardTest", "KSampler", "VideoGenGuardModel")) and isinstance(
                value, list
            ):
                node["inputs"][name] = [f"1{value[0]}", value[1]]
    graph["13"] = sampled["3"]
    graph["14"]["inputs"]["seed"] = ["2", 3]
    graph["4"]["inputs"]["images"] = ["15", 0]
    del graph["3"]
    return graph


@contextlib.contextmanager
def running(server: GuardedServer, folder: Path, *options: object) -> Iterator[list[Ended]]:
    """A run of three segments on a thread; the list has its end, once the block is left."""
    record = folder / "record"
    story = write_json(folder / "story.json", small_story("Heat", segments=3))
    workflow = write_json(folder / "film.json", guarded_film(record))
    ended: list[Ended] = []

    def work() -> None:
        ended.append(
            videogen(
                "run",
                story,
                "--workflow",
                workflow,
                "--out",
                folder / "run",
                "--server",
                server.url,
                "--json",
                *options,
            )
        )

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield ended
    finally:
        server.cards.set(temperature=70)
        thread.join(120)
    assert not thread.is_alive()


def test_a_run_whose_card_gets_hot(server: GuardedServer, tmp_path: Path) -> None:
    # As a guard of an earlier prompt has left it: the runner looks as often as that one.
    server.run(sampling_graph(guard=GUARD, seed=31, steps=1))
    run = tmp_path / "run"
    with running(server, tmp_path, "--stall", "2") as ended:
        wait_until(lambda: steps_in(tmp_path / "record") >= 2)
        server.cards.set(temperature=91, memory_used=20_000_000_000)
        server.wait_for_pause()
        # Longer than the runner's patience with a server that shows no sign of life.
        wait_until(lambda: (server.telemetry()["waiting"] or {"seconds": 99})["seconds"] > 4)
        assert segments_with(run, "attempt-failed") == []
        server.cards.set(temperature=75)
        wait_until(lambda: segments_with(run, "segment-done"))
    assert ended[0].status == 0, ended[0].err + ended[0].out
    lines = [json.loads(line) for line in ended[0].out.splitlines()]
    assert any(line["event"] == "waiting" and "91 °C → waiting for 80 °C" in line["text"] for line in lines)
    report = json.loads((run / "report.json").read_text())
    first = report["segments"][0]
    assert first["temperature"]["peak"] == 91
    assert first["vram"]["peak"] == 20_000_000_000
    assert first["vram"]["min"] <= first["vram"]["median"] <= first["vram"]["peak"]
    (pause,) = first["telemetry"]["pauses"]
    assert pause["seconds"] > 4
    assert pause["reason"].endswith("91 °C → waiting for 80 °C")
    device = next(one for one in first["telemetry"]["devices"] if one["device"] == CARD["uuid"])
    assert device["power"]["mean"] == 300
    html = (run / "report.html").read_text(encoding="utf-8")
    assert "Temperature" in html
    assert "because of heat" in html


def test_no_segment_is_submitted_to_a_hot_server(server: GuardedServer, tmp_path: Path) -> None:
    server.run(sampling_graph(guard=GUARD, seed=32, steps=1))
    server.cards.set(temperature=95)
    wait_until(lambda: temperatures(server)[:1] == [95])
    run = tmp_path / "run"
    with running(server, tmp_path) as ended:
        wait_until(lambda: any(event["event"] == "server-hot" for event in read_journal(run)))
        assert segments_with(run, "segment-submitted") == []
        server.cards.set(temperature=70)
        wait_until(lambda: segments_with(run, "segment-submitted"))
    assert ended[0].status == 0, ended[0].err + ended[0].out
    kinds = [event["event"] for event in read_journal(run)]
    assert kinds.index("server-hot") < kinds.index("server-cooled") < kinds.index("segment-submitted")
    report = json.loads((run / "report.json").read_text())
    assert [note["what"] for note in report["notes"]] == ["A server had to cool down"]
    lines = [json.loads(line) for line in ended[0].out.splitlines()]
    assert any(line["event"] == "waiting" and "95 °C → waiting for 80 °C" in line["text"] for line in lines)
