"""The ring of samples, and what it comes down to."""

from __future__ import annotations

import json
import threading

from hypothesis import given
from hypothesis import strategies as st

from custom_nodes.videogen.core.thermal.readings import Reading
from custom_nodes.videogen.core.thermal.telemetry_ring import NotedPause, Sample, TelemetryRing, summarize, tabulate
from custom_nodes.videogen.core.thermal.wait import Pause


def sample(second: int, temperature: float | None = 70.0, prompt: str = "p", **more: object) -> Sample:
    reading = Reading("a", "RTX", "nvidia", temperature=temperature, **more)  # type: ignore[arg-type]
    return Sample(float(second), 1e9 + second, prompt, (reading,))


def filled(*samples: Sample, size: int = 100) -> TelemetryRing:
    ring = TelemetryRing(size, 3)
    for one in samples:
        ring.add(one)
    return ring


def test_the_ring_forgets_the_oldest() -> None:
    ring = filled(*(sample(second) for second in range(10)), size=4)
    assert [one.time for one in ring.since(0)] == [6, 7, 8, 9]
    latest = ring.latest()
    assert latest is not None
    assert latest.time == 9
    for second in range(5):
        ring.add_pause(NotedPause(float(second), "p", Pause(0, 1, "hot", 90, "cool")))
    assert [pause.wall for pause in ring.pauses()] == [2, 3, 4]


def test_since_and_of_prompt() -> None:
    ring = filled(sample(1), sample(2, prompt="q"), sample(3, prompt="q"))
    assert [one.time for one in ring.since(2)] == [2, 3]
    assert [one.time for one in ring.of_prompt("q")] == [2, 3]
    assert TelemetryRing().latest() is None


def test_a_summary() -> None:
    used = [1_000, 9_000, 2_000, 3_000, 3_000]
    samples = [
        sample(second, 60.0 + second, memory_used=bytes_used, memory_total=10_000, power=100.25)
        for second, bytes_used in enumerate(used)
    ]
    pause = NotedPause(1e9, "p", Pause(7.0, 35.5, "86 °C → waiting for 80 °C", 86.0, "cool"))
    told = summarize(samples, [pause])
    (device,) = told["devices"]
    assert device["temperature"] == {"min": 60, "mean": 62, "max": 64, "median": 62}
    assert device["memory"] == {"min": 1000, "mean": 3600, "max": 9000, "median": 3000}, (
        "a spike is not what is sustained"
    )
    assert device["memory_total"] == 10_000
    assert device["power"]["mean"] == 100.2
    assert "clock" not in device
    assert "problem" not in device
    assert (told["seconds"], told["samples"]) == (4, 5)
    assert told["pauses"] == [
        {"began": 1e9, "seconds": 35.5, "reason": "86 °C → waiting for 80 °C", "peak": 86.0, "ending": "cool"}
    ]
    json.dumps(told, allow_nan=False)


def test_a_sensor_that_says_nothing_has_no_numbers() -> None:
    told = summarize([sample(0, None), sample(1, 0.0)], [])
    (device,) = told["devices"]
    assert "temperature" not in device
    assert device["problem"] == "its driver reports 0.0 °C, which is impossible"


def test_what_was_read_now_and_then() -> None:
    told = summarize([sample(0, 70.0), sample(1, None), sample(2, 80.0)], [])
    assert told["devices"][0]["temperature"]["mean"] == 75


def test_throttling_is_told_as_a_share() -> None:
    samples = [sample(second, throttle=frozenset({"power_cap"} if second else ())) for second in range(4)]
    assert summarize(samples, [])["devices"][0]["throttle"] == {"power_cap": 0.75}


def test_nothing_at_all() -> None:
    assert summarize([], []) == {"seconds": 0.0, "samples": 0, "devices": [], "pauses": []}
    assert tabulate([]) == {"times": [], "devices": []}


def test_columns() -> None:
    two = Sample(
        2.0, 1e9 + 2, "p", (Reading("a", "RTX", temperature=72.0), Reading("b", "RTX", temperature=50.0, power=9))
    )
    table = tabulate([sample(1, 71.0), two, sample(3, None)])
    assert table["times"] == [1e9 + 1, 1e9 + 2, 1e9 + 3]
    assert [device["series"] for device in table["devices"]] == [
        {"temperature": [71.0, 72.0, None]},
        {"temperature": [None, 50.0, None], "power": [None, 9, None]},
    ]


@given(st.integers(min_value=0, max_value=500), st.integers(min_value=1, max_value=50))
def test_columns_are_thinned_out_and_keep_the_newest(count: int, most: int) -> None:
    table = tabulate([sample(second) for second in range(count)], most)
    assert len(table["times"]) <= most
    assert all(
        len(column) == len(table["times"]) for device in table["devices"] for column in device["series"].values()
    )
    if count:
        assert table["times"][-1] == 1e9 + count - 1


def test_threads_may_write_while_others_read() -> None:
    ring = TelemetryRing(50)
    errors: list[BaseException] = []

    def work(act: object) -> None:
        try:
            for second in range(2000):
                act(second)  # type: ignore[operator]
        except BaseException as error:
            errors.append(error)

    acts = (lambda second: ring.add(sample(second)), lambda _: ring.of_prompt("p"), lambda _: ring.since(0))
    threads = [threading.Thread(target=work, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
