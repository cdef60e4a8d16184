"""The places of a graph for the pictures that a segment begins and ends with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from custom_nodes.videogen.core.graph import IMAGE_LOADER, Graph, nodes_of
from custom_nodes.videogen.core.story.model import Segment, Story

from ...workflows.bindings import FIRST_FRAME, LAST_FRAME, Binding, InputRef
from ...workflows.own_workflows import name_segments
from ..bound.bind import BoundRoles
from ..bound.pictures import PictureInput


@dataclass(frozen=True)
class BorderPictures:
    """Where a graph takes the pictures that a segment begins and ends with; nowhere, for none.

    Attributes:
        first: for the picture that it begins with.
        last: for the picture that it ends with.
    """

    first: Sequence[PictureInput] = ()
    last: Sequence[PictureInput] = ()

    def given_to(self, segment: Segment) -> list[str]:
        """The story's names of the pictures that a segment gets."""
        return [name for name, _ in self._given(segment)]

    def write(self, graph: Graph, segment: Segment, picture_of: Callable[[str], Any], handed_over: str = "") -> None:
        """Let a graph load the pictures of a segment; without one, what the workflow has there stays.

        Args:
            picture_of: from the story's name of a picture to what is written into the graph.
            handed_over: name of the picture, on the server, with which another segment ends.
        """
        for place in self.first if handed_over else ():
            place.write(graph, handed_over)
        for name, places in self._given(segment):
            for place in places:
                place.write(graph, picture_of(name))

    def _given(self, segment: Segment) -> Iterator[tuple[str, Sequence[PictureInput]]]:
        if segment.first_frame and self.first:
            yield segment.first_frame, self.first
        if segment.last_frame and self.last:
            yield segment.last_frame, self.last


def add_border_notes(
    roles: BoundRoles, borders: BorderPictures, story: Story, numbers: Collection[int] | None
) -> BoundRoles:
    """Roles with notes on what segments begin and end with and the workflow cannot take, whatever nodes it has.

    Args:
        numbers: of the segments that are rendered with the workflow; None for all.
    """
    segments = [one for one in story.segments if numbers is None or one.number in numbers]
    return replace(roles, notes=[*roles.notes, *_describe(segments, bool(borders.first), bool(borders.last))])


def _describe(segments: Sequence[Segment], takes_first: bool, takes_last: bool) -> Iterator[str]:
    """What a workflow cannot take of what segments begin and end with, and what it keeps of its own, in sentences.

    Args:
        takes_first, takes_last: whether it takes a picture to begin, or to end with.
    """
    continuing = [segment.number for segment in segments if segment.continues]
    if continuing and not takes_first:
        yield (
            f"{name_segments(continuing)} cannot begin from the last frame of another segment: the workflow takes no first"
            " frame"
        )
    given = [segment.number for segment in segments if segment.first_frame]
    if given and not takes_first:
        yield f"{name_segments(given)} cannot begin with a picture: the workflow takes no first frame"
    ending = [segment.number for segment in segments if segment.last_frame]
    if ending and not takes_last:
        yield f"{name_segments(ending)} cannot end with a picture: the workflow takes no last frame"
    others = [segment.number for segment in segments if not segment.last_frame]
    if ending and others and takes_last:
        yield f"{name_segments(others)} have no `keyframes.last`: the workflow's own last frame stays there"


def find_border_pictures(
    graph: Graph, ui: Mapping[str, Any] | None, bindings: Sequence[Binding], roles: BoundRoles
) -> BorderPictures:
    """What --bind names, or was found; else LoadImage nodes with the titles *First frame* and *Last frame*.

    Args:
        ui: the workflow as the editor saves it, whose nodes have titles; or None.
    """
    titles = {str(node.get("id")): node.get("title") for node in (ui or {}).get("nodes", [])}

    def find(role: str, found: Sequence[PictureInput]) -> list[PictureInput]:
        bound = [PictureInput(binding.target) for binding in bindings if binding.value == role]
        titled = [
            PictureInput(InputRef(node_id, "image"))
            for node_id in nodes_of(graph, IMAGE_LOADER)
            if str((graph[node_id].get("_meta") or {}).get("title") or titles.get(node_id)).lower()
            == role.replace("_", " ")
        ]
        return bound or list(found) or titled

    return BorderPictures(find(FIRST_FRAME, roles.first_frame), find(LAST_FRAME, roles.last_frame))
