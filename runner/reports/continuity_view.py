"""The report's section on continuity: matrices, curves and worst frames, as plain SVG and views for the template."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from custom_nodes.videogen.core.continuity.calibration import CLASSICAL, SAME_SUBJECT
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.story.selection import format_selection
from custom_nodes.videogen.media.images.thumbnails import Thumbnail, read_thumbnail_at

#: Maximum number of worst frames: each costs 10 kB, and decoding a part of its video.
MAX_WORST_FRAMES = 40
_CURVE = (240, 44)
TEMPORAL = "temporal"


def view_continuity(report: Mapping[str, Any], worst: Mapping[int, Thumbnail]) -> dict[str, Any] | None:
    """A run's continuity for the template; None when nothing was measured.

    Args:
        worst: number of a segment → its worst frame.
    """
    continuity = report.get("continuity")
    if not continuity:
        return None
    return {
        "backends": ", ".join("colors and textures" if name == CLASSICAL else name for name in continuity["backends"]),
        "calibrations": "; ".join(continuity["calibrations"]),
        "former": format_selection(continuity["former_rules"]),
        "characters": [
            {**character, "matrix_svg": draw_matrix(character) if len(character["segments"]) > 1 else None}
            for character in continuity["characters"].values()
        ],
        "film": [
            {"name": name, "curve": draw_film_curve(name, points, _limit(continuity["segments"][0], name))}
            for name, points in _film_curves(continuity["segments"])
        ],
        "cuts": [{**cut, "said": _tell_cut(cut)} for cut in continuity["cuts"]],
        "segments": {
            segment["number"]: _view_segment(segment, worst.get(segment["number"]))
            for segment in continuity["segments"]
        },
        "short": [segment["number"] for segment in continuity["segments"] if segment["level"] == "fail"],
        "retaken": [segment["number"] for segment in continuity["segments"] if len(segment["takes"]) > 1],
    }


def load_worst_frames(path: Path, report: Mapping[str, Any], present: set[str]) -> dict[int, Thumbnail]:
    """Read the worst frame of each segment that fails or warns from its file."""
    files = {segment["number"]: segment.get("file") for segment in report["segments"]}
    frames: dict[int, Thumbnail] = {}
    for segment in (report.get("continuity") or {}).get("segments", ()):
        file, count = files.get(segment["number"]), segment["frames"]["count"]
        place = worst_frame(segment)
        if (
            segment["level"] == "pass"
            or place is None
            or file not in present
            or not count
            or len(frames) >= MAX_WORST_FRAMES
        ):
            continue
        try:
            frames[segment["number"]] = read_thumbnail_at(path / file, (place + 0.5) / count)
        except VideoGenError:
            continue  # the segment's card says what is wrong with its file
    return frames


def worst_frame(segment: Mapping[str, Any]) -> int | None:
    """0-based number of the frame with a character's lowest score, else of the worst pair of frames."""
    characters = [s for s in segment["subjects"] if s["kind"] == "character" and s["worst_frame"] is not None]
    if characters:
        return int(min(characters, key=lambda subject: subject["minimum"])["worst_frame"])
    pair = (segment["temporal"] or {}).get("worst_pair")
    return None if pair is None else int(pair) + 1


def _view_segment(segment: Mapping[str, Any], worst: Thumbnail | None) -> dict[str, Any]:
    temporal = segment["temporal"] or {}
    curve = [value for value in temporal.get("curve") or () if value is not None]
    place = worst_frame(segment)
    return {
        **segment,
        "rows": [
            {
                **subject,
                "curve": draw_curve(
                    _by_frame(subject), segment["frames"]["count"], subject["label"], _limit(segment, subject["kind"])
                ),
            }
            for subject in segment["subjects"]
        ],
        "motion": draw_curve(list(enumerate(curve, 1)), len(curve) + 1, TEMPORAL, _limit(segment, TEMPORAL))
        if curve
        else None,
        "worst": None
        if worst is None or place is None
        else {
            "uri": f"data:image/jpeg;base64,{base64.b64encode(worst.jpeg).decode()}",
            "width": worst.width,
            "height": worst.height,
            "frame": place + 1,
        },
    }


def _by_frame(subject: Mapping[str, Any]) -> list[tuple[int, float]]:
    """(frame, the lowest of its comparisons) of the sampled frames."""
    numbers = sorted({sample["frame"] for sample in subject["samples"]})
    found = {n: [s["score"] for s in subject["samples"] if s["frame"] == n and s["score"] is not None] for n in numbers}
    return [(number, min(scores)) for number, scores in found.items() if scores]


def _limit(segment: Mapping[str, Any], name: str) -> float:
    """The threshold of a segment's score; a location has none, and is drawn like a character."""
    key = {TEMPORAL: "temporal", "object": "object"}.get(name, "character")
    return float(segment["thresholds"][key])


def _tell_cut(cut: Mapping[str, Any]) -> str:
    """A cut in words: its problems, the step of the light, and the similarity of the characters on both sides."""
    said = [*cut["reasons"], *cut["notes"]]
    if cut["color_step"] is not None and not any("ΔE" in text for text in said):
        said.append(f"light ΔE {cut['color_step']:.1f}{', ' + cut['exempt'] if cut['exempt'] else ''}")
    alike = [f"{name} {value:.2f}" for name, value in cut["subjects"].items() if value is not None]
    said += [words for words in alike if not any(text.startswith(words) for text in said)]
    return "; ".join(said) or "nothing could be compared"


def _film_curves(segments: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, list[tuple[int, float]]]]:
    """Name → (segment, score): every character over the film, and the temporal score."""
    labels = dict.fromkeys(s["label"] for segment in segments for s in segment["subjects"] if s["kind"] == "character")
    for label in labels:
        points = [
            (segment["number"], subject["mean"])
            for segment in segments
            for subject in segment["subjects"]
            if subject["label"] == label and subject["mean"] is not None
        ]
        if len(points) > 1:
            yield label, points
    points = [
        (s["number"], s["temporal"]["score"]) for s in segments if s["temporal"] and s["temporal"]["score"] is not None
    ]
    if len(points) > 1:
        yield TEMPORAL, points


# ------------------------------------------------------------------ SVG


def draw_matrix(character: Mapping[str, Any]) -> Markup:
    """Segment × segment as an image: green where a character is the same, red where not, empty where not compared."""
    numbers, matrix, start = character["segments"], character["matrix"], character["drift_start"]
    count, margin = len(numbers), 26
    cell = max(2.0, min(34.0, 460 / count))
    side = margin + cell * count
    every = max(1, -(-count // 16))
    parts = []
    for row, values in enumerate(matrix):
        for column, value in enumerate(values):
            if value is None:
                continue
            kind = "alike" if value >= SAME_SUBJECT else "apart"
            near = (
                (value - SAME_SUBJECT) / (1 - SAME_SUBJECT)
                if kind == "alike"
                else (SAME_SUBJECT - value) / SAME_SUBJECT
            )
            parts.append(
                f'<rect class="{kind}" x="{margin + column * cell:.1f}" y="{margin + row * cell:.1f}" width="{cell:.1f}"'
                f' height="{cell:.1f}" opacity="{0.35 + 0.65 * min(1.0, max(0.0, near)):.2f}">'
                f"<title>{int(numbers[row])} × {int(numbers[column])}: {value:.2f}</title></rect>"
            )
    for index in range(0, count, every):
        middle = margin + (index + 0.5) * cell
        parts.append(f'<text x="{middle:.1f}" y="{margin - 8}" text-anchor="middle">{int(numbers[index])}</text>')
        parts.append(f'<text x="{margin - 6}" y="{middle + 4:.1f}" text-anchor="end">{int(numbers[index])}</text>')
    if start in numbers:
        place = margin + numbers.index(start) * cell
        parts.append(
            f'<path class="start" d="M{place:.1f} {margin - 4}V{side:.1f}M{margin - 4} {place:.1f}H{side:.1f}"/>'
        )
    label = escape(f"Similarity of {character['label']} from segment to segment. {character['sentence']}")
    frame = '<svg class="matrix" viewBox="0 0 {0:.0f} {0:.0f}" style="max-width:{0:.0f}px" role="img" aria-label="{1}">{2}</svg>'
    return Markup(frame).format(side + 1, label, Markup("".join(parts)))


def draw_curve(
    points: Sequence[tuple[int, float]], count: int, name: str, limit: float = SAME_SUBJECT
) -> Markup | None:
    """Scores over the frames of a segment, with a line at the threshold."""
    if not points:
        return None
    width, height = _CURVE
    places = [(4 + (width - 8) * frame / max(1, count - 1), _level(value, height)) for frame, value in points]
    low = min(points, key=lambda point: point[1])
    words = escape(f"{name}: {', '.join(f'{value:.2f}' for _, value in points[:40])}")
    return Markup(
        '<svg class="curve" viewBox="0 0 {0} {1}" role="img" aria-label="{2}"><path class="limit" d="M0 {3:.1f}H{0}"/>{4}</svg>'
    ).format(width, height, words, _level(limit, height), Markup(_line(places, low, points)))


def draw_film_curve(name: str, points: Sequence[tuple[int, float]], limit: float = SAME_SUBJECT) -> Markup:
    """Scores over the segments of a film, with a line at the threshold."""
    width, height = 900, 70
    last = max(number for number, _ in points)
    places = [(8 + (width - 16) * (number - 1) / max(1, last - 1), _level(value, height)) for number, value in points]
    low = min(points, key=lambda point: point[1])
    return Markup(
        '<svg class="curve" viewBox="0 0 {0} {1}" role="img" aria-label="{2}"><path class="limit" d="M0 {3:.1f}H{0}"/>{4}</svg>'
    ).format(
        width,
        height,
        escape(f"{name} over the film, lowest {low[1]:.2f} in segment {low[0]}"),
        _level(limit, height),
        Markup(_line(places, low, points)),
    )


def _level(value: float, height: int) -> float:
    return 4 + (height - 8) * (1 - min(1.0, max(0.0, value)))


def _line(places: Sequence[tuple[float, float]], low: tuple[int, float], points: Sequence[tuple[int, float]]) -> str:
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    x, y = places[list(points).index(low)]
    dots = "".join(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.2"/>' for a, b in places) if len(places) <= 40 else ""
    return f'<path class="line" d="M{path}"/>{dots}<circle class="low" cx="{x:.1f}" cy="{y:.1f}" r="3.6"/>'
