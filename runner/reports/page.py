"""report.html: the report of a run for people, one file that needs no other and no script."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.story.selection import format_selection
from custom_nodes.videogen.core.timing import format_timecode
from custom_nodes.videogen.media.images.thumbnails import Thumbnail, read_thumbnails, shrink_thumbnail
from custom_nodes.videogen.media.os_errors import explain_os_error

from ..state.run_directory import write_json_whole
from .machine import describe_machine, list_pauses

TEMPLATES = Path(__file__).with_name("templates")
THUMBNAILS_FILE = "thumbnails.json"
#: Bytes of images in the whole file, and how many bytes one segment may take of them.
IMAGES, MOST, LEAST = 1_750_000, 52_000, 16_000
#: Segments beyond these have no images, and a card only when there is something to tell.
MAX_THUMBNAILS, MAX_CARDS = 300, 400
_DIGEST = '<meta name="videogen-content" content="{}">'
_STATUS = {"done": "done", "failed": "failed", "pending": "not rendered"}
_WORK_THREADS = 2


def write_html(path: Path, report: dict[str, Any]) -> Path:
    """Write ``report.html`` into a run directory, unless the same report is there already.

    Raises:
        VideoGenError: `disk-full`, `path-invalid`.
    """
    target = path / "report.html"
    named = [entry["file"] for entry in [*report["segments"], report["film"] or {}] if entry.get("file")]
    present = {name for name in named if (path / name).is_file()}
    digest = _digest(report, sorted(present))
    try:
        with target.open(encoding="utf-8") as file:
            if _DIGEST.format(digest) in file.read(2_000):
                return target
    except (OSError, UnicodeDecodeError):
        pass  # not there, or not ours: it is written
    strips = load_strips(path, [segment for segment in report["segments"] if segment.get("file") in present])
    from .continuity_view import load_worst_frames

    worst = load_worst_frames(path, report, present) if report.get("continuity") else {}
    _write_whole(target, render_html(report, strips, digest=digest, present=present, worst=worst))
    return target


def render_html(
    report: dict[str, Any],
    strips: dict[int, Strip],
    *,
    digest: str = "",
    present: set[str] | None = None,
    worst: dict[int, Thumbnail] | None = None,
) -> str:
    """The page.

    Args:
        strips: images, by number of the segment.
        present: files that are there, as the report names them; None for all.
        worst: the worst frame of segments whose continuity falls short, by number.
    """
    # Both take a tenth of a second to load, and most calls of the runner need neither.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    from .charts import draw_charts, draw_telemetry
    from .continuity_view import view_continuity

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS
    segments = [_view_segment(segment, strips, present) for segment in report["segments"]]
    attention = [s for s in segments if s["attention"] and s["status"] != "pending"]
    cards = segments[:MAX_CARDS] + [s for s in attention if s["number"] > MAX_CARDS][:MAX_CARDS]
    return environment.get_template("report.html.j2").render(
        report=report,
        segments=segments,
        cards=cards,
        attention=attention,
        missing=[s["number"] for s in segments if s["status"] == "pending"],
        charts=draw_charts(report),
        telemetry=draw_telemetry(report),
        state=_view_state(report),
        settings=_view_settings(report),
        continuity=view_continuity(report, worst or {}),
        most_cards=MAX_CARDS,
        film_link=_link_film(report["film"], present),
        content_mark=Markup(_DIGEST.format(digest)),
    )


def _digest(report: dict[str, Any], present: Sequence[str]) -> str:
    """Of everything that the page depends on; a run that had nothing to do changes nothing in it."""
    hasher = hashlib.sha256()
    for file in [*sorted(TEMPLATES.iterdir()), *sorted(Path(__file__).parent.glob("report_*.py"))]:
        if file.is_file():
            hasher.update(file.read_bytes())
    shown = {name: value for name, value in report.items() if name != "last_run"}
    hasher.update(json.dumps([shown, present], sort_keys=True).encode("utf-8", "surrogatepass"))
    return hasher.hexdigest()


def _write_whole(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        # Half of a character pair, which JSON can carry, has no place in UTF-8.
        partial.write_bytes(text.encode("utf-8", "replace"))
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise explain_os_error(error, path) from None


# ------------------------------------------------------------------ images


@dataclass(frozen=True)
class Strip:
    """Images of a segment, and a tiny one for the overview; or why there are none."""

    images: tuple[Thumbnail, ...] = ()
    poster: Thumbnail | None = None
    problem: str = ""


def load_strips(path: Path, segments: Sequence[dict[str, Any]]) -> dict[int, Strip]:
    """The images of segments whose files are there; those of unchanged files come from ``thumbnails.json``."""
    segments = segments[:MAX_THUMBNAILS]
    budget = max(LEAST, min(MOST, IMAGES // max(1, len(segments))))
    cache_file = path / THUMBNAILS_FILE
    cached = _read_cache(cache_file, budget)

    def load(segment: dict[str, Any]) -> Strip:
        found = cached.get(segment.get("sha256", ""))
        if found is not None:
            return found
        try:
            images = read_thumbnails(path / segment["file"], budget=budget)
        except VideoGenError as error:
            return Strip(problem=error.message)
        return Strip(images, shrink_thumbnail(images[len(images) // 2], 112))

    with ThreadPoolExecutor(_WORK_THREADS) as pool:
        strips = {s["number"]: strip for s, strip in zip(segments, pool.map(load, segments), strict=True)}
    wanted = {s["sha256"]: strips[s["number"]] for s in segments if s.get("sha256") and strips[s["number"]].images}
    if wanted != cached:
        # It only saves time; without space for it the report is made all the same.
        with contextlib.suppress(VideoGenError):
            write_json_whole(cache_file, {"format": 1, "budget": budget, "strips": _pack(wanted)})
    return strips


def _pack(strips: dict[str, Strip]) -> dict[str, Any]:
    return {
        sha256: [
            [image.seconds, image.width, image.height, base64.b64encode(image.jpeg).decode()]
            for image in (*strip.images, strip.poster)
            if image is not None
        ]
        for sha256, strip in strips.items()
    }


def _read_cache(file: Path, budget: int) -> dict[str, Strip]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
        if data["format"] != 1 or data["budget"] != budget:
            return {}
        strips = {}
        for sha256, packed in data["strips"].items():
            *images, poster = [
                Thumbnail(float(t), int(w), int(h), base64.b64decode(jpeg, validate=True)) for t, w, h, jpeg in packed
            ]
            strips[sha256] = Strip(tuple(images), poster)
        return strips
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}  # a cache that cannot be read is made anew


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no time")


# ------------------------------------------------------------------ what the template shows


def _view_state(report: dict[str, Any]) -> dict[str, str]:
    """The headline: what somebody wants to know who only looks for a second."""
    done, count, totals = report["done"], report["count"], report["totals"]
    end = report["runs"][-1]["end"] if report["runs"] else "finished"
    if done == count:
        return {"kind": "done", "text": "Complete"}
    if totals["failed"]:
        failed = len(totals["failed"])
        return {"kind": "failed", "text": f"{failed} segment{'s' if failed > 1 else ''} failed"}
    if end == "interrupted":
        return {"kind": "waiting", "text": "Interrupted"}
    return {"kind": "waiting", "text": "Incomplete" if end else "Not finished"}


def _view_segment(segment: dict[str, Any], strips: dict[int, Strip], present: set[str] | None) -> dict[str, Any]:
    number, status = segment["number"], segment["status"]
    gone = status == "done" and present is not None and segment.get("file") not in present
    strip = strips.get(number, Strip())
    planned, rendered, size = segment["planned_size"], segment.get("rendered_size"), segment.get("size")
    badges = [(_KINDS.get(status, "waiting"), _STATUS.get(status, "under way"))]
    if gone:
        badges.append(("failed", "file is missing"))
    if strip.problem:
        badges.append(("failed", "file does not decode"))
    if segment.get("degraded") and rendered:
        scaled = f", scaled up to {format_size(size)}" if size and size[0] > rendered[0] else ", scaled up"
        badges.append(("warning", f"rendered at {format_size(rendered)}{scaled}"))
    if status == "done" and segment["seed"] != segment["planned_seed"]:
        badges.append(("warning", "another seed"))
    said = segment.get("continuity") or {}
    if status == "done" and said.get("level") == "fail":
        badges.append(("warning", "continuity falls short"))
    seconds = segment.get("seconds") or {}
    worked = sum(value for phase, value in seconds.items() if phase != "queued")
    name = segment["description"] or (segment["id"] if segment["id"] != f"segment_{number:02d}" else "")
    return {
        **dict.fromkeys(("error", "file", "bytes", "size", "rendered_size", "frames", "server")),
        **segment,
        "name": name,
        "badges": badges,
        "kind": "failed" if gone or strip.problem else _KINDS.get(status, "waiting"),
        "attention": status != "done" or len(badges) > 1,
        "strip": [_view_image(image) for image in strip.images],
        "poster": _view_image(strip.poster) if strip.poster else None,
        "shape": planned,
        "portrait": planned[1] > planned[0],
        "problem": strip.problem,
        "gone": gone,
        "href": None if gone else relative_link(segment.get("file")),
        "phases": [
            (phase, value, value / worked if worked and phase != "queued" else 0) for phase, value in seconds.items()
        ],
        "repeats": [attempt for attempt in segment["tries"] if attempt["outcome"] == "failed"],
        "scores": _numbers(segment.get("scores")),
        "machine": describe_machine(segment.get("telemetry")),
        "pauses": list_pauses(segment.get("telemetry")),
    }


def _link_film(film: dict[str, Any] | None, present: set[str] | None) -> str | None:
    file = (film or {}).get("file")
    return relative_link(file) if present is None or file in present else None


_KINDS = {"done": "done", "failed": "failed"}


def _view_image(image: Thumbnail) -> dict[str, Any]:
    uri = f"data:image/jpeg;base64,{base64.b64encode(image.jpeg).decode()}"
    return {"uri": uri, "width": image.width, "height": image.height, "seconds": image.seconds}


def _view_settings(report: dict[str, Any]) -> list[tuple[str, str]]:
    story, settings = report["story"], dict(report["settings"] or {})
    rows: list[tuple[str, str]] = [
        ("SceneImage", f"{format_size(story['size'])}, {story['fps']:g} frames a second"),
        ("Quality", str(settings.pop("quality", None) or story["quality"])),
        ("Workflow", str(report["workflow"] or "")),
    ]
    names = {"set": "Set", "bind": "Bound", "retries": "Retries"}
    for name, value in settings.items():
        text = "\n".join(map(str, value)) if isinstance(value, list) else str(value)
        rows.append((names.get(name) or name, text))
    return [(name, value) for name, value in rows if value]


def _numbers(scores: Any, prefix: str = "") -> list[tuple[str, float]]:
    """Every number in the scores, with its name."""
    if isinstance(scores, bool):
        return []
    if isinstance(scores, (int, float)):
        return [(prefix or "score", float(scores))]
    if not isinstance(scores, dict):
        return []
    return [pair for name, value in scores.items() for pair in _numbers(value, f"{prefix} {name}".strip())]


def relative_link(file: str | None) -> str | None:
    """An address inside the run directory; None for anything that would lead out of it."""
    path = PurePosixPath(str(file or ""))
    if not file or path.is_absolute() or ".." in path.parts or ":" in path.parts[0] or "\\" in str(file):
        return None
    return quote(str(path))


def format_duration(seconds: float) -> str:
    """``0.42 s``, ``12.3 s``, ``4 min 05 s``, ``3 h 12 min``."""
    if seconds < 59.95:
        text = f"{seconds:.1f} s" if seconds >= 0.95 or seconds == 0 else f"{seconds:.2f} s"
    else:
        minutes, rest = divmod(round(seconds), 60)
        text = f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
    return text.replace(" ", "\u00a0")


def format_clock(seconds: float) -> str:
    """``0:12.5``: a place in the film."""
    return format_timecode(Fraction(str(seconds)), tenths=True)


def shorten_server(name: str) -> str:
    """``http://render-01:8188`` as ``render-01:8188``."""
    return name.removeprefix("http://").removeprefix("https://")


def format_size(size: Sequence[int]) -> str:
    return f"{size[0]}×{size[1]}"


def format_bytes(count: float) -> str:
    """``850 kB``, ``12.3 MB``."""
    return f"{count / 1e3:.0f} kB" if count < 1e6 else f"{count / 1e6:,.1f} MB"


def format_moment(time: float | None) -> str:
    """Date and time of day here, such as ``21 Nov 2026, 05:45``."""
    if time is None:
        return ""
    moment = datetime.fromtimestamp(time).astimezone()
    return f"{moment.day} {moment:%b %Y, %H:%M}"


def format_numbers(numbers: Sequence[int]) -> str:
    """``1, 4, 8–11``."""
    return format_selection(list(numbers)).replace(",", ", ").replace("-", "–")


def format_count(count: int) -> str:
    """``6 336``, with a narrow space that does not break."""
    return f"{count:,}".replace(",", "\u202f")


FILTERS = {
    "bytes": format_bytes,
    "clock": format_clock,
    "duration": format_duration,
    "host": shorten_server,
    "moment": format_moment,
    "number": format_count,
    "selection": format_numbers,
    "size": format_size,
}
