"""The report's charts."""

from __future__ import annotations

from typing import Any

from runner.reports.charts import MAX_BARS, draw_charts


def numbered_report(count: int, servers: int = 1) -> dict[str, Any]:
    seconds = {"queued": 1.0, "executed": 9.0, "transferred": 0.5, "verified": 0.1}
    segments = [{"number": n, "seconds": seconds, "finished": -n} for n in range(1, count + 1)]
    return {"segments": segments, "servers": [{"name": f"http://s{n}", "executed": 9.0} for n in range(servers)]}


def test_charts_are_drawn_for_what_there_is() -> None:
    assert draw_charts(numbered_report(0)) == []
    assert [chart.name for chart in draw_charts(numbered_report(1))] == ["work", "timeline"]
    assert [chart.name for chart in draw_charts(numbered_report(3, 2))] == ["work", "pace", "timeline", "servers"]


def test_a_bar_says_what_it_is() -> None:
    work = draw_charts(numbered_report(2))[0]
    assert "<title>2: 9 executed</title>" in work.wide
    assert "<title>1: 0.5 transferred</title>" in work.narrow


def test_thousands_of_segments_are_grouped() -> None:
    work = draw_charts(numbered_report(1000))[0]
    assert work.wide.count('class="bar"') == 3 * MAX_BARS
    assert "<title>1–10: 9 executed</title>" in work.wide
