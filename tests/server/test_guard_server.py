"""The guards in a real ComfyUI, with scripted cards as NVML and a model of random weights."""

from __future__ import annotations

import json
import re
import uuid
from pathlib import Path
from typing import Any

import pytest
import websocket
from PIL import Image

from custom_nodes.videogen.core.errors import VideoGenError
from runner.comfyui.outcome import Outcome
from runner.comfyui.transport import read_json
from runner.rendering.failures import Failure, classify_outcome
from tests.support.runs import wait_until
from tests.support.servers.guarded_server import GUARD, Graph, GuardedServer, sampling_graph, steps_in, temperatures
from tests.support.servers.scripted_cards import CARD, SECOND

pytestmark = pytest.mark.server

STEPS = 12
#: Reads so seldom that only a guard that does not wait for the next reading is quick.
SELDOM = GUARD | {"interval": 600.0}


def submit_hot(server: GuardedServer, record: Path, guard: dict[str, Any] = GUARD, **graph: Any) -> str:
    """Submit a guarded prompt, and heat the card in the middle of its sampling. Returns the prompt's id."""
    prompt_id = server.submit(sampling_graph(record, guard=guard, **graph))
    wait_until(lambda: steps_in(record) >= 3)
    server.cards.set(temperature=91)
    server.wait_for_pause()
    return prompt_id


def images_of(server: GuardedServer, outcome: Outcome) -> bytes:
    (file,) = outcome.outputs["6"]["images"]
    return Image.open(server.output(file["filename"])).tobytes()


def last_pause(server: GuardedServer) -> dict[str, Any]:
    return server.telemetry()["pauses"][-1]


# ------------------------------------------------------------------ while it samples


def test_it_pauses_in_the_midst_and_the_pixels_are_the_same(server: GuardedServer, tmp_path: Path) -> None:
    plain = server.run(sampling_graph(seed=21, steps=STEPS))
    record = tmp_path / "record"
    prompt_id = submit_hot(server, record, seed=21, steps=STEPS)
    assert server.telemetry()["waiting"]["text"].endswith("91 °C → waiting for 80 °C")
    before = steps_in(record)
    assert 3 <= before < STEPS
    server.cards.set(temperature=84)
    wait_until(lambda: "84 °C" in (server.telemetry()["waiting"] or {"text": ""})["text"])
    assert steps_in(record) == before, "below 85, but not below 80 yet"
    server.cards.set(temperature=80)
    outcome = server.wait(prompt_id)
    assert outcome.status == "success", outcome.error
    assert steps_in(record) == STEPS
    assert outcome.outputs["5"] == plain.outputs["5"], "the latent's every bit"
    assert images_of(server, outcome) == images_of(server, plain)
    pause = last_pause(server)
    assert (pause["prompt_id"], pause["ending"], pause["peak"]) == (prompt_id, "cool", 91)
    assert 0 < pause["seconds"] <= (outcome.executed or 0)
    assert server.telemetry()["waiting"] is None


def test_cancel_while_it_is_hot(server: GuardedServer, tmp_path: Path) -> None:
    record = tmp_path / "record"
    server.cards.set(temperature=91)
    prompt_id = server.submit(sampling_graph(record, guard=SELDOM, seed=22))
    server.wait_for_pause()
    server.client.cancel(prompt_id)
    assert server.wait(prompt_id, 20).status == "interrupted", "it did not wait for its next look in ten minutes"
    assert steps_in(record) == 0
    assert last_pause(server)["ending"] == "cancelled"
    server.cards.set(temperature=70)
    assert server.wait(server.submit(sampling_graph(record, guard=SELDOM, seed=22)), 30).status == "success"


def test_two_cards_and_one_is_hot(server: GuardedServer, tmp_path: Path) -> None:
    server.cards.reset(CARD, SECOND | {"name": "Second RTX"})
    # NVML's list of cards is read once: a server finds both when it restarts NVML.
    server.cards.fail(1)
    wait_until(lambda: server.telemetry()["readings"] and not temperatures(server))
    server.cards.fail(None)
    wait_until(lambda: len(temperatures(server)) == 2, 60)
    record = tmp_path / "record"
    prompt_id = server.submit(sampling_graph(record, guard=GUARD, seed=23, steps=STEPS))
    wait_until(lambda: steps_in(record) >= 3)
    server.cards.set(1, temperature=90)
    assert server.wait_for_pause().startswith("Second RTX: 90 °C → waiting for 80 °C")
    assert steps_in(record) < STEPS
    server.cards.set(1, temperature=60)
    assert server.wait(prompt_id).status == "success"


def test_a_sensor_that_dies_while_it_waits(server: GuardedServer, tmp_path: Path) -> None:
    record = tmp_path / "record"
    prompt_id = submit_hot(server, record, seed=24)
    before = steps_in(record)
    server.cards.set(temperature={"error": 15})
    wait_until(lambda: "now silent" in (server.telemetry()["waiting"] or {"text": ""})["text"])
    assert steps_in(record) == before, "unknown, so it is not cool"
    server.cards.set(temperature=75)
    assert server.wait(prompt_id).status == "success"


def test_a_sensor_that_is_dead_for_good(server: GuardedServer, tmp_path: Path) -> None:
    record = tmp_path / "record"
    start = server.log_size()
    prompt_id = submit_hot(server, record, GUARD | {"max_minutes": 0.05}, seed=25)
    server.cards.set(temperature={"error": 15})
    outcome = server.wait(prompt_id)
    assert outcome.status == "error"
    assert re.search(r"it stayed too hot for \d+ s: .*91 °C at last, now silent → waiting for 80 °C", outcome.error)
    assert outcome.exception_type.endswith("core.errors.TooHotError")
    assert classify_outcome(outcome) is Failure.TOO_HOT
    log = server.log_since(start)
    assert log.count("has no temperature: NVML says: GPU is lost") == 1
    assert last_pause(server)["ending"] == "stopped"


def test_the_wall_clock_jumps(server: GuardedServer, tmp_path: Path) -> None:
    record = tmp_path / "record"
    graph = sampling_graph(record, guard=GUARD, seed=26, steps=STEPS)
    graph["8"] = {"class_type": "GuardTestClock", "inputs": {"model": ["2", 0], "jumps": True}}
    graph["4"]["inputs"]["model"] = ["8", 0]
    try:
        prompt_id = server.submit(graph)
        wait_until(lambda: steps_in(record) >= 3)
        server.cards.set(temperature=91)
        server.wait_for_pause()
        before = steps_in(record)
        wait_until(lambda: server.telemetry()["waiting"]["seconds"] >= 1)
        assert steps_in(record) == before
        server.cards.set(temperature=70)
        outcome = server.wait(prompt_id)
    finally:
        graph["8"]["inputs"]["jumps"] = False
        server.run(graph)
    assert outcome.status == "success", outcome.error
    pauses = [pause for pause in server.telemetry(7200)["pauses"] if pause["prompt_id"] == prompt_id]
    assert all(1 <= pause["seconds"] < 120 for pause in pauses)
    plain = server.run(sampling_graph(seed=26, steps=STEPS))
    assert outcome.outputs["5"] == plain.outputs["5"]


def test_strict_without_a_sensor(server: GuardedServer) -> None:
    # The processor of a test machine may have a sensor or not; a card that has never said anything is enough.
    server.cards.set(temperature={"error": 3})
    outcome = server.run(sampling_graph(guard=GUARD | {"strict": True}, seed=27))
    assert outcome.status == "error"
    assert "cannot be guarded: " in outcome.error
    assert outcome.exception_type.endswith("core.errors.SensorUnreadableError")
    assert classify_outcome(outcome) is Failure.TOO_HOT


def test_what_pages_and_runners_are_told(server: GuardedServer, tmp_path: Path) -> None:
    client_id = uuid.uuid4().hex
    address = f"{server.client.websocket_url}?clientId={client_id}"
    connection = websocket.create_connection(address, timeout=30, http_no_proxy=["127.0.0.1"])
    server.cards.set(temperature=91)
    prompt_id = str(uuid.uuid4())
    graph = sampling_graph(guard=GUARD, seed=28, steps=3)
    server.client.submit(graph, prompt_id, client_id, None)
    events: list[dict[str, Any]] = []
    texts: list[str] = []
    while not any("cooled down" in text for text in texts):
        kind, message = connection.recv_data()
        if kind == websocket.ABNF.OPCODE_BINARY and int.from_bytes(message[:4], "big") == 3:  # text under a node
            length = int.from_bytes(message[4:8], "big")
            texts.append(f"{message[8 : 8 + length].decode()}: {message[8 + length :].decode()}")
        elif kind == websocket.ABNF.OPCODE_TEXT:
            event = json.loads(message)
            if event["type"] == "videogen.thermal":
                events.append(event["data"])
                if event["data"]["state"] == "waiting" and len(events) > 1:
                    server.cards.set(temperature=70)
    connection.close()
    assert server.wait(prompt_id).status == "success"
    waiting = next(event for event in events if event["state"] == "waiting")
    assert waiting["text"].endswith("91 °C → waiting for 80 °C")
    assert (waiting["prompt_id"], waiting["node_id"], waiting["guard"]) == (prompt_id, "4", "2")
    assert waiting["readings"][0]["temperature"] == 91
    assert any(re.fullmatch(r"4: .*91 °C → waiting for 80 °C", text) for text in texts), texts
    assert events[-1]["state"] == "resumed"
    assert texts[-1].startswith("4: cooled down after")


# ------------------------------------------------------------------ the other nodes


def pass_graph(kind: str, inputs: dict[str, Any], **image: Any) -> Graph:
    """An image through a guard."""
    return {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 16, "height": 16, "batch_size": 1, "color": 7, **image}},
        "2": {"class_type": kind, "inputs": {"anything": ["1", 0], **inputs}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "passed"}},
    }


def test_the_pass_through_waits(server: GuardedServer) -> None:
    server.cards.set(temperature=95)
    prompt_id = server.submit(pass_graph("VideoGenThermalGuard", GUARD, color=1))
    assert server.wait_for_pause().endswith("95 °C → waiting for 80 °C")
    server.cards.set(temperature=70)
    outcome = server.wait(prompt_id)
    assert outcome.status == "success", outcome.error
    assert Image.open(server.output(outcome.outputs["3"]["images"][0]["filename"])).getpixel((0, 0)) == (0, 0, 1)


def test_the_pass_through_takes_anything(server: GuardedServer) -> None:
    graph = sampling_graph(seed=29, steps=2)
    graph["7"] = {"class_type": "VideoGenThermalGuard", "inputs": {"anything": ["1", 0], **GUARD}}
    graph["8"] = {
        "class_type": "VideoGenMemoryGuard",
        "inputs": {"anything": ["4", 0], "limit_gb": 0.0, "empty_caches": True},
    }
    graph["4"]["inputs"]["model"] = ["7", 0]
    graph["5"]["inputs"]["samples"] = ["8", 0]
    outcome = server.run(graph)
    assert outcome.status == "success", outcome.error
    assert outcome.outputs["5"] == server.run(sampling_graph(seed=29, steps=2)).outputs["5"]


def test_the_memory_guard_on_a_processor(server: GuardedServer) -> None:
    outcome = server.run(pass_graph("VideoGenMemoryGuard", {"limit_gb": 0.0, "empty_caches": True}, color=2))
    assert outcome.status == "success", outcome.error
    (result,) = outcome.outputs["2"]["videogen_memory"]
    assert result["text"].startswith("RAM: peak ")
    assert 0 < result["sustained"] <= result["peak"] < result["total"]


@pytest.mark.parametrize(
    ("kind", "inputs", "sentence"),
    [
        (
            "VideoGenThermalGuard",
            GUARD | {"resume_at": 90.0},
            "`resume_at` is 90 °C and `pause_above` 85 °C: it must be lower",
        ),
        ("VideoGenThermalGuard", GUARD | {"interval": -1.0}, "`interval` is -1 s, expected 0.1 to 600 s"),
        (
            "VideoGenMemoryGuard",
            {"limit_gb": 1999.0, "empty_caches": True},
            "`limit_gb` is 1999 GB, but this computer has only",
        ),
    ],
)
def test_refused_before_anything_runs(server: GuardedServer, kind: str, inputs: dict[str, Any], sentence: str) -> None:
    with pytest.raises(VideoGenError, match=re.escape(sentence)) as caught:
        server.submit(pass_graph(kind, inputs))
    assert caught.value.code == "submission-rejected"


def test_limits_out_of_another_node_are_checked_when_they_are_there(server: GuardedServer) -> None:
    graph = pass_graph("VideoGenThermalGuard", GUARD, color=3)
    graph["4"] = {"class_type": "PrimitiveFloat", "inputs": {"value": 95.0}}
    graph["2"]["inputs"]["resume_at"] = ["4", 0]
    outcome = server.run(graph)
    assert outcome.status == "error"
    assert "`resume_at` is 95 °C and `pause_above` 85 °C" in outcome.error


# ------------------------------------------------------------------ telemetry


def test_telemetry_is_sampled_from_the_start(server: GuardedServer) -> None:
    server.run(sampling_graph(guard=GUARD, seed=30, steps=1))  # at all cards from now on
    server.cards.set(temperature=66, memory_used=12_000_000_000)
    wait_until(lambda: temperatures(server)[:1] == [66])
    told = server.telemetry()
    assert told["running"]
    assert told["period"] >= 1
    (card,) = [reading for reading in told["readings"] if reading["device"] == CARD["uuid"]]
    assert (card["memory_used"], card["power"], card["utilisation"]) == (12_000_000_000, 300, 97)
    table = next(device for device in told["table"]["devices"] if device["device"] == CARD["uuid"])
    assert table["series"]["temperature"][-1] == 66
    assert len(table["series"]["temperature"]) == len(told["table"]["times"])
    assert server.telemetry(0)["table"] == {"times": [], "devices": []}


@pytest.mark.parametrize("seconds", ["-1", "many", "nan", "1e9"])
def test_a_time_that_cannot_be(server: GuardedServer, seconds: str) -> None:
    response = server.client.http.request("GET", "/videogen/telemetry", params={"seconds": seconds})
    assert response.status_code == 400
    assert "expected a number from 0 to 7200" in read_json(response)["error"]
