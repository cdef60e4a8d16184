"""Pictures for workflows without our nodes: the cast of a segment as references, and the image that a segment begins from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from custom_nodes.videogen.core.graph import IMAGE_LOADER, Graph
from custom_nodes.videogen.core.roles.table import Place
from custom_nodes.videogen.core.segment.plan import SegmentPlan
from custom_nodes.videogen.core.segment.references import cast_roles, picture_names

from ...workflows.bindings import InputRef
from ...workflows.image_inputs import Need

#: Of the node that is put before a socket that nothing is connected to.
LOADER_INPUT = "image"


@dataclass(frozen=True)
class PictureInput:
    """Where a graph gets a picture: the file name of a node that loads it.

    Attributes:
        target: the input for the file's name.
        socket: where the loader was put by us, and is left out without a picture; None for a loader of the workflow's own.
        grown: of a loader of the workflow's own the sockets that it is connected to, where all of them need no picture.
    """

    target: InputRef
    socket: InputRef | None = None
    grown: tuple[InputRef, ...] = ()

    def write(self, graph: Graph, picture: Any) -> None:
        """Let the graph load a picture."""
        if self.socket is not None:
            graph[self.target.node_id] = {"class_type": IMAGE_LOADER, "inputs": {}}
            self.socket.set(graph, [self.target.node_id, 0])
        self.target.set(graph, picture)

    def leave_out(self, graph: Graph) -> None:
        """Let the graph load no picture here."""
        for socket in self.grown:
            socket.remove(graph)
        graph.pop(self.target.node_id, None)


def make_picture_input(graph: Graph, place: Place, name: str, grown: tuple[InputRef, ...] = ()) -> PictureInput | None:
    """The way for a picture to a place of `Role.FIRST_FRAME` or `Role.REFERENCE`.

    Args:
        name: of the node that is put before a free socket.
        grown: see `PictureInput`.

    Returns:
        None where the picture comes from another node, such as one that draws it.
    """
    if place.free:
        return PictureInput(InputRef(_unused(graph, name), LOADER_INPUT), InputRef(place.node, place.input))
    return None if place.linked else PictureInput(InputRef(place.node, place.input), grown=grown)


def _unused(graph: Graph, name: str) -> str:
    while name in graph:
        name += "_"
    return name


@dataclass(frozen=True)
class CastPictures:
    """The pictures of a segment's cast, in the order of the places that a workflow has for them.

    Attributes:
        inputs: the workflow's places, in their order.
        most: pictures that the model takes, or None where only the places count.
    """

    inputs: Sequence[PictureInput]
    most: int | None = None

    def names(self, plan: SegmentPlan) -> list[str]:
        """The story's names of a segment's pictures, see `picture_names`."""
        return picture_names(plan, self.room)

    @property
    def room(self) -> int:
        """How many pictures a segment can show."""
        return len(self.inputs) if self.most is None else min(len(self.inputs), self.most)

    def write(self, graph: Graph, plan: SegmentPlan, picture_of: Callable[[str], Any]) -> None:
        """Let a graph load the pictures of a segment; places that are left stay empty, or have the last one if they need one.

        A segment without a cast shows nobody: where the workflow has a picture of its own, and needs one, that stays.

        Args:
            picture_of: from the story's name of a picture to what is written into the graph.
        """
        pictures = [picture_of(name) for name in self.names(plan)]
        shown = {place.target for place in self.inputs[: len(pictures)]}
        for position, place in enumerate(self.inputs):
            if position < len(pictures):
                place.write(graph, pictures[position])
            elif place.target in shown:
                continue
            elif place.grown:
                place.leave_out(graph)
            elif pictures and place.socket is None:
                place.write(graph, pictures[-1])

    def needs(self, plan: SegmentPlan) -> list[Need]:
        """The pictures that have to be on the servers; without the others nobody would be seen."""
        shown = self.names(plan)
        return [
            Need(role.entity, (name,), True, ("keep the workflow's own pictures with --bind reference=keep",))
            for role in cast_roles(plan)
            for name in role.names
            if name in shown
        ]
