"""Finds the finished segments whose files are older than the story or the workflow."""

from __future__ import annotations

from custom_nodes.videogen.core.story.model import Story

from ..rendering.per_segment.job_makers import JobMakers
from ..state.journal import Journal


def find_stale_keys(story: Story, journal: Journal, maker: JobMakers) -> dict[int, str]:
    """Number → key of the file of each segment that is done and would have another key now, wanted in this run or not.

    What continues such a segment is older than the story too.
    """
    stale: dict[int, str] = {}
    told = journal.latest.get("segments-stale", {}).get("keys", {})
    for segment in story.segments:
        number = segment.number
        state = journal.segment(number)
        if state.state != "done":
            continue
        if not maker.knows(number):
            # Its workflow cannot be converted now, and none of this run's segments needs it.
            stale |= {number: state.key} if told.get(str(number)) == state.key else {}
            continue
        source = maker.source(number)
        before = journal.segment(source or 0)
        begins_from = str(before.result.get("sha256", "")) if source is not None else ""
        is_current = state.key == maker.key(number, begins_from) or state.key in maker.former_keys(number, begins_from)
        if not is_current or (source is not None and (source in stale or before.state != "done")):
            stale[number] = state.key
    return stale
