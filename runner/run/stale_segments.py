"""Finds the finished segments whose files are older than the story or the workflow."""

from __future__ import annotations

from custom_nodes.videogen.core.story.model import Story

from ..rendering.jobs import JobMaker
from ..state.journal import Journal


def find_stale_keys(story: Story, journal: Journal, maker: JobMaker) -> dict[int, str]:
    """Number → key of the file of each segment that is done and would have another key now, wanted in this run or not.

    What continues such a segment is older than the story too.
    """
    stale: dict[int, str] = {}
    for segment in story.segments:
        number = segment.number
        state, before = journal.segment(number), journal.segment(number - 1)
        if state.state != "done":
            continue
        continues = maker.continues(number)
        begins_from = str(before.result.get("sha256", "")) if continues else ""
        is_current = state.key == maker.key(number, begins_from) or state.key in maker.former_keys(number, begins_from)
        if not is_current or (continues and (number - 1 in stale or before.state != "done")):
            stale[number] = state.key
    return stale
