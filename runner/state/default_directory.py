"""The run directory of a story for which the user names none."""

from __future__ import annotations

from pathlib import Path

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.story.slug import add_title_digest, former_slug, slugify

from .run_directory import read_run


def find_default_directory(parent: Path, title: str) -> Path:
    """The folder in `parent` for the runs of a story: the one that has a run of it, else a free one.

    Args:
        title: the story's. Titles that differ in case, accents or punctuation can have the same slug: then the one that comes
            second gets a folder with a digest.
    """
    own, distinct = parent / slugify(title), parent / add_title_digest(slugify(title), title)
    for path in (own, distinct, parent / former_slug(title)):
        if _title_of(path) == title:
            return path
    return own if _title_of(own) is None else distinct


def _title_of(path: Path) -> str | None:
    """The title of the run in a folder; None when there is none, "" when it cannot be told."""
    try:
        record = read_run(path)
    except VideoGenError:
        return ""
    return str(record.get("title", "")) if record is not None else None
