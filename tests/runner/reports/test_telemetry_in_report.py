"""Temperatures, memory and pauses in the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.core.story.parser import parse_story
from runner.rendering.thermal import summarize_telemetry
from runner.reports.charts import draw_telemetry
from runner.reports.machine import describe_machine, list_pauses
from runner.reports.page import render_html
from runner.reports.report import build_report
from runner.state.events import ServerCooled, ServerHot
from runner.state.journal import Journal
from tests.runner.reports.test_report import finish, submit
from tests.support.measured_telemetry import MEASURED, PAUSE
from tests.support.stories import small_story


def test_the_machine_in_words() -> None:
    rows = {name: text.replace("\u00a0", " ") for name, text in describe_machine(MEASURED)}
    assert rows["Temperature 1"] == "60 to 86 °C, mean 75.5 °C"
    assert rows["Temperature 2"] == "40 to 42 °C, mean 41 °C"
    assert rows["VRAM 1"] == "peak 21.4 GB, sustained 14.2 GB of 24.0 GB"
    assert rows["Power 1"] == "290 W, at most 351 W"
    assert rows["Slowed down 1"] == "power cap 42% of the time"
    assert rows["CPU temperature"] == "90 to 99 °C, mean 95 °C"
    assert rows["RAM"] == "peak 64.0 GB, sustained 6.0 GB"
    assert "Temperature" in dict(describe_machine(MEASURED | {"devices": MEASURED["devices"][:1]}))


@pytest.mark.parametrize("telemetry", [None, 5, "x", {"devices": "x", "pauses": {}}, {"pauses": [1, {"began": "x"}]}])
def test_nonsense_has_no_words(telemetry: Any) -> None:
    assert describe_machine(telemetry) == []
    assert list_pauses(telemetry) == []


def test_the_page_shows_temperature_memory_and_every_pause(tmp_path: Path) -> None:
    story = small_story("Heat", segments=2)
    journal = Journal(tmp_path / "journal.jsonl")
    evil = "<script>alert(1)</script>"
    submit(journal, 1)
    finish(
        journal, 1, **summarize_telemetry(MEASURED | {"pauses": [PAUSE, PAUSE | {"reason": evil, "ending": "gave up"}]})
    )
    journal.append(ServerHot(server="http://one:8188", message="86 °C → waiting for 80 °C"))
    journal.append(
        ServerCooled(server="http://one:8188", seconds=12.0, message="after 12 s (86 °C → waiting for 80 °C)")
    )
    report = build_report({"story": story}, journal, parse_story(story, "test"))
    journal.close()
    assert [chart.name for chart in draw_telemetry(report)] == ["vram", "temperature"]
    assert report["segments"][0]["telemetry"]["devices"][0]["power"]["mean"] == 290.4
    assert report["notes"][0]["message"] == "after 12 s (86 °C → waiting for 80 °C)"
    html = render_html(report, {})
    text = " ".join(html.replace("\u00a0", " ").split())
    assert "Paused 6 min 10 s because of heat" in text
    assert "86 °C → waiting for 80 °C" in text
    assert "peak 21.4 GB, sustained 14.2 GB of 24.0 GB" in text
    assert "(gave up)" in text
    assert evil not in html
    assert "A server had to cool down" in text
