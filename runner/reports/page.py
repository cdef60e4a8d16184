"""report.html: the report of a run for people, one page without scripts; only the videos stay in their own files."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.redaction import HIDDEN
from custom_nodes.videogen.media.images.thumbnails import Thumbnail
from custom_nodes.videogen.media.openers import no_follow
from custom_nodes.videogen.media.os_errors import explain_os_error
from custom_nodes.videogen.media.partial_file import partial_path

from .formatting import FILTERS, format_size, relative_link
from .segment_view import fold_segments, view_segment
from .strips import Strip, load_strips

TEMPLATES = Path(__file__).with_name("templates")
#: Segments beyond these have a card only when there is something to report.
MAX_CARDS = 400
_DIGEST = '<meta name="videogen-content" content="{}">'


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
    """Render the page.

    Args:
        strips: images, by number of the segment.
        present: files that exist, as the report names them; None for all.
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
    segments = [
        view_segment(segment, strips.get(segment["number"], Strip()), present) for segment in report["segments"]
    ]
    attention = [s for s in segments if s["attention"] and s["status"] != "pending"]
    cards = segments[:MAX_CARDS] + [s for s in attention if s["number"] > MAX_CARDS][:MAX_CARDS]
    return environment.get_template("report.html.j2").render(
        report=report,
        segments=segments,
        cards=cards,
        folds=fold_segments(cards),
        attention=attention,
        missing=[s["number"] for s in segments if s["status"] == "pending"],
        charts=draw_charts(report),
        telemetry=draw_telemetry(report),
        state=_view_state(report),
        resume=_view_resume(report),
        settings=_view_settings(report),
        continuity=view_continuity(report, worst or {}),
        most_cards=MAX_CARDS,
        film_link=_link_film(report["film"], present),
        content_mark=Markup(_DIGEST.format(digest)),
    )


def _digest(report: dict[str, Any], present: Sequence[str]) -> str:
    """Hash everything that the page depends on; a run that had nothing to do changes nothing in it."""
    hasher = hashlib.sha256()
    for file in [*sorted(TEMPLATES.iterdir()), *sorted(Path(__file__).parent.glob("*.py"))]:
        if file.is_file():
            hasher.update(file.read_bytes())
    shown = {name: value for name, value in report.items() if name != "last_run"}
    hasher.update(json.dumps([shown, present], sort_keys=True).encode("utf-8", "surrogatepass"))
    return hasher.hexdigest()


def _write_whole(path: Path, text: str) -> None:
    partial = partial_path(path)
    try:
        with open(partial, "xb", opener=no_follow) as file:
            # Half of a character pair, which JSON can carry, has no place in UTF-8.
            file.write(text.encode("utf-8", "replace"))
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise explain_os_error(error, path) from None


# ------------------------------------------------------------------ what the template shows


def _view_state(report: dict[str, Any]) -> dict[str, str]:
    """The badge next to the title: the state of the run in a few words."""
    failed, end = len(report["totals"]["failed"]), report["runs"][-1]["end"] if report["runs"] else "finished"
    stale = len(report["totals"]["stale"])
    if report["done"] == report["count"] and stale:
        return {"kind": "waiting", "text": f"{stale} segment{'s' if stale > 1 else ''} older than the story"}
    if report["done"] == report["count"]:
        return {"kind": "done", "text": "Complete"}
    if report["running"]:
        return {"kind": "waiting", "text": "Under way"}
    if failed:
        return {"kind": "failed", "text": f"{failed} segment{'s' if failed > 1 else ''} failed"}
    return {"kind": "waiting", "text": "Incomplete" if end == "finished" else "Interrupted"}


def _view_resume(report: dict[str, Any]) -> dict[str, Any] | None:
    """How to continue a run that ended before it was complete; None where there is nothing to continue."""
    if not report["resumable"]:
        return None
    command = report["resume"]
    interrupted = report["runs"] and report["runs"][-1]["end"] != "finished"
    return {
        "title": "The run was interrupted" if interrupted else "Some segments failed",
        "purpose": "To resume it" if interrupted else "To try them again",
        "command": command,
        "has_secrets": HIDDEN in (command or ""),
    }


def _link_film(film: dict[str, Any] | None, present: set[str] | None) -> str | None:
    file = (film or {}).get("file")
    return relative_link(file) if present is None or file in present else None


def _view_settings(report: dict[str, Any]) -> list[tuple[str, str]]:
    story, settings = report["story"], dict(report["settings"] or {})
    rows: list[tuple[str, str]] = [
        ("Picture", f"{format_size(story['size'])}, {story['fps']:g} frames a second"),
        ("Quality", str(settings.pop("quality", None) or story["quality"])),
        ("Workflow", str(report["workflow"] or "")),
    ]
    names = {"set": "Set", "bind": "Bound", "retries": "Retries"}
    for name, value in settings.items():
        text = "\n".join(map(str, value)) if isinstance(value, list) else str(value)
        rows.append((names.get(name) or name, text))
    return [(name, value) for name, value in rows if value]
