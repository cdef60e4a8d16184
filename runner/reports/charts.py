"""The report's charts: drawn by pygal, stripped to plain SVG, colored by the page's own style sheet.

Each is drawn twice, wide and narrow, because a wide one cannot be read on a phone; the style sheet shows one of them.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pygal
from markupsafe import Markup
from pygal.style import Style

PHASES = ("queued", "executed", "transferred", "verified")
WIDE, NARROW = 960, 360
#: More segments than this are drawn in groups, by their mean.
MAX_BARS = 100
_ROW = {WIDE: 17, NARROW: 15}
_SVG = "{http://www.w3.org/2000/svg}"


@dataclass(frozen=True)
class Chart:
    """A chart for the template.

    Attributes:
        kind: class of the style sheet; series n has the color ``--kind-n``.
        legend: names of the series, in their order; empty where the title says it.
    """

    name: str
    kind: str
    title: str
    caption: str
    legend: tuple[str, ...]
    wide: Markup
    narrow: Markup


@dataclass(frozen=True)
class _Unit:
    name: str
    seconds: float


def draw_charts(report: dict[str, Any]) -> list[Chart]:
    """Draw the charts of time for which a report has data."""
    done = [segment for segment in report["segments"] if segment.get("seconds")]
    if not done:
        return []
    charts = [_draw_work(done), _draw_timeline(done)]
    if len(done) > 2:
        charts.insert(1, _draw_pace(done))
    if len(report["servers"]) > 1:
        charts.append(_draw_servers(report["servers"]))
    return charts


def draw_telemetry(report: dict[str, Any]) -> list[Chart]:
    """Draw memory and temperature, if segments have them."""
    charts = []
    for name, title, unit, scale in (
        ("vram", "Graphics memory", "GB", 1e-9),
        ("temperature", "Temperature", "°C", 1.0),
    ):
        found = [(segment["number"], peak(segment[name])) for segment in report["segments"] if segment.get(name)]
        points = [(number, value * scale) for number, value in found if value is not None]
        if points:
            charts.append(_draw_peaks(name, title, unit, points))
    return charts


def peak(value: Any) -> float | None:
    """The number of a measurement: itself, or its ``peak``."""
    if isinstance(value, dict):
        value = value.get("peak", value.get("max"))
    return float(value) if isinstance(value, (int, float)) else None


def _draw_work(done: Sequence[dict[str, Any]]) -> Chart:
    labels, rows = _group([str(segment["number"]) for segment in done], [_column(done, phase) for phase in PHASES[1:]])
    unit = _unit(max(map(sum, zip(*rows, strict=True))))
    series = {phase: _scale(row, unit) for phase, row in zip(PHASES[1:], rows, strict=True)}
    return _draw(
        "work",
        "phases",
        "Time of each segment",
        f"By number of the segment, in {unit.name}, without the time in the queue.",
        PHASES[1:],
        lambda width: _bars(width, labels, series),
    )


def _draw_pace(done: Sequence[dict[str, Any]]) -> Chart:
    ordered = sorted(done, key=lambda segment: (segment.get("finished") or 0, segment["number"]))
    times = _column(ordered, "executed")
    means = [sum(times[max(0, i - 4) : i + 1]) / len(times[max(0, i - 4) : i + 1]) for i in range(len(times))]
    labels, (times, means) = _group([str(segment["number"]) for segment in ordered], [times, means])
    unit = _unit(max(times))
    series = {"rendering": _scale(times, unit), "mean of the last five": _scale(means, unit)}

    def draw(width: int) -> pygal.Graph:
        chart = pygal.Line(**_options(width, 240 if width == WIDE else 230), show_dots=False, stroke_style={"width": 2})
        chart.x_labels = labels
        every = max(1, -(-len(labels) // (34 if width == WIDE else 10)))
        chart.x_labels_major = labels[::every]
        chart.show_minor_x_labels = every == 1
        for name, values in series.items():
            chart.add(name, values)
        return chart

    return _draw(
        "pace",
        "pace",
        "Pace over the run",
        f"{unit.name.capitalize()} of rendering a segment, in the order in which segments were finished.",
        tuple(series),
        draw,
    )


def _draw_timeline(done: Sequence[dict[str, Any]]) -> Chart:
    labels, rows = _group([str(segment["number"]) for segment in done], [_column(done, phase) for phase in PHASES])
    unit = _unit(max(map(sum, zip(*rows, strict=True))))
    series = {phase: _scale(row, unit) for phase, row in zip(PHASES, rows, strict=True)}
    return _draw(
        "timeline",
        "stages",
        "Waiting and working",
        f"Each segment from the moment it was put into the queue, in {unit.name}.",
        PHASES,
        lambda width: _rows(width, labels, series),
    )


def _draw_servers(servers: Sequence[dict[str, Any]]) -> Chart:
    unit = _unit(max(server["executed"] for server in servers))
    series = {"rendering": _scale([server["executed"] for server in servers], unit)}
    return _draw(
        "servers",
        "servers",
        "Share of each server",
        f"Time spent rendering, in {unit.name}.",
        (),
        lambda width: _rows(
            width, [_short_name(server["name"], 34 if width == WIDE else 18) for server in servers], series, row=30
        ),
    )


def _draw_peaks(name: str, title: str, unit: str, points: Sequence[tuple[int, float]]) -> Chart:
    labels, (values,) = _group([str(number) for number, _ in points], [[value for _, value in points]])
    highest = max(value for _, value in points)
    return _draw(
        name,
        name,
        title,
        f"Highest value of each segment, in {unit}; {highest:.1f} {unit} at most.",
        (),
        lambda width: _bars(width, labels, {title: values}),
    )


# ------------------------------------------------------------------ shapes


def _bars(width: int, labels: list[str], series: dict[str, list[float]]) -> pygal.Graph:
    if width == NARROW:
        return _rows(width, labels, series)
    chart = pygal.StackedBar(**_options(width, 260))
    # A few segments make bars, not walls.
    chart.spacing = 10
    chart.x_labels = labels
    every = max(1, -(-len(labels) // 34))
    chart.x_labels_major = labels[::every]
    chart.show_minor_x_labels = every == 1
    for name, values in series.items():
        chart.add(name, values)
    return chart


def _rows(width: int, labels: list[str], series: dict[str, list[float]], row: int | None = None) -> pygal.Graph:
    chart = pygal.HorizontalStackedBar(**_options(width, 46 + len(labels) * (row or _ROW[width])))
    # pygal draws the first one at the bottom.
    chart.x_labels = labels[::-1]
    for name, values in series.items():
        chart.add(name, values[::-1])
    return chart


def _options(width: int, height: int) -> dict[str, Any]:
    size = 13 if width == WIDE else 11
    style = Style(font_family="sans-serif", label_font_size=size, major_label_font_size=size)
    return {
        "width": width,
        "height": height,
        "style": style,
        "show_legend": False,
        "margin": 4,
        "margin_right": 14,
        "js": [],
        "css": [],
        "include_x_axis": True,
        "min_scale": 3,
        "max_scale": 6 if width == NARROW else 8,
        "formatter": format_number,
        "truncate_label": -1,
    }


def format_number(value: float | None) -> str:
    """Up to three significant digits: ``0.034``, ``1.5``, ``120``."""
    if value is None:
        return ""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


# ------------------------------------------------------------------ numbers


def _column(segments: Sequence[dict[str, Any]], phase: str) -> list[float]:
    return [max(0.0, float(segment["seconds"].get(phase) or 0)) for segment in segments]


def _unit(longest: float) -> _Unit:
    if longest >= 3 * 3600:
        return _Unit("hours", 3600)
    return _Unit("minutes", 60) if longest >= 300 else _Unit("seconds", 1)


def _scale(values: Sequence[float], unit: _Unit) -> list[float]:
    return [round(value / unit.seconds, 4) for value in values]


def _group(labels: list[str], rows: Sequence[Sequence[float]]) -> tuple[list[str], list[list[float]]]:
    """Group neighbors by their mean until at most `MAX_BARS` are left."""
    size = -(-len(labels) // MAX_BARS)
    if size <= 1:
        return labels, [list(row) for row in rows]
    starts = range(0, len(labels), size)
    names = [f"{labels[i]}–{labels[min(i + size, len(labels)) - 1]}" for i in starts]
    return names, [[sum(row[i : i + size]) / len(row[i : i + size]) for i in starts] for row in rows]


def _short_name(server: str, longest: int) -> str:
    name = server.removeprefix("http://").removeprefix("https://")
    return name if len(name) <= longest else f"…{name[1 - longest :]}"


# ------------------------------------------------------------------ SVG


def _draw(
    name: str, kind: str, title: str, caption: str, legend: Sequence[str], draw: Callable[[int], pygal.Graph]
) -> Chart:
    label = f"{title}. {caption}"
    wide, narrow = (_to_svg(draw(width), f"{name}-{width}", label, legend) for width in (WIDE, NARROW))
    return Chart(name, kind, title, caption, tuple(legend), wide, narrow)


def _to_svg(chart: pygal.Graph, name: str, label: str, legend: Sequence[str]) -> Markup:
    """The drawing alone: no script, no style of its own, nothing that is fetched, stable ids."""
    chart.uuid = name
    root = ET.fromstring(chart.render())
    for element in list(root.iter()):
        element.tag = element.tag.removeprefix(_SVG)
    for parent in list(root.iter()):
        for child in list(parent):
            is_tooltip = "tooltip" in child.get("class", "").split() or "tooltip-overlay" in child.get("class", "")
            is_plain_title = child.tag == "title" and parent.get("class") != "bar"
            if child.tag in ("defs", "script", "style") or is_tooltip or is_plain_title:
                parent.remove(child)
    for series in root.iter("g"):
        number = series.get("class", "").rpartition("color-")[2]
        for bar in series.iterfind("./g[@class='bars']/g[@class='bar']"):
            _name_bar(bar, legend[int(number)] if number.isdigit() and legend else "")
    for element in root.iter():
        for attribute in ("x", "y", "width", "height"):
            if "." in element.get(attribute, ""):
                element.set(attribute, f"{float(element.get(attribute, '0')):.1f}")
    root.attrib.pop("id", None)
    root.attrib |= {"role": "img", "aria-label": label, "class": "chart"}
    # ElementTree escapes every text and attribute; what is in here comes from it alone.
    return Markup(ET.tostring(root, encoding="unicode"))


def _name_bar(bar: ET.Element, series: str) -> None:
    """Turn pygal's hints for its script into a title, which browsers show by themselves."""
    hints = {hint.get("class", ""): hint.text or "" for hint in bar.findall("desc")}
    for hint in bar.findall("desc"):
        bar.remove(hint)
    title = ET.Element("title")
    title.text = ": ".join(filter(None, (hints.get("x_label"), f"{hints.get('value', '')} {series}".strip())))
    bar.insert(0, title)
