"""Seeds, and the numbers of a clip: frames, seconds, frames a second and size."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from . import names
from .expressions import evaluate
from .measures import Measures
from .reader import MATH, Crossing, GraphReader, Socket, is_condition
from .table import Finding, Place, Role

#: Samplers that draw noise at each step too: those count their seed even where they add none to begin with.
_DRAWS_NOISE = re.compile(r"ancestral|sde|ddpm|lcm|seeds_|_a$|restart|sa_solver")
#: More frames than this for one more of a number: it is a time in seconds.
_LEAST_FPS = 6
#: For a variable that is read off a video.
_ANY_RATE = 24
_MAX_VARIABLES = 8


def find_seeds(reader: GraphReader, flow: list[str]) -> list[Finding]:
    """Seeds of all samplers whose noise gets into the clip: also of a second stage, but not of one that adds none."""
    found = []
    for node in flow:
        types = set(reader.outputs(node))
        for socket in reader.sockets(node):
            if (
                socket.last in names.SEED
                and socket.connected
                and types & {"LATENT", "NOISE"}
                and _uses_noise(reader, node)
            ):
                found += [
                    Finding(Role.SEED, (place,), f"the noise of {reader.kind(node)} {node}")
                    for place in reader.leaves(reader.place(node, socket.name))
                ]
    return found


def _uses_noise(reader: GraphReader, node: str) -> bool:
    if reader.constant(reader.place(node, "add_noise")) not in (False, "disable"):
        return True
    sampler = reader.source(reader.place(node, "sampler"))
    maker = node if sampler is None else sampler[0]
    name = reader.constant(reader.place(maker, "sampler_name"))
    return bool(_DRAWS_NOISE.search(str(name or reader.kind(maker)).lower()))


def find_numbers(reader: GraphReader, flow: list[str]) -> tuple[list[Finding], list[str]]:
    """Frames, duration, frames a second and size, as the nodes of the model and of the video take them.

    A number that is computed of several others, or measured on images whose size nothing decides, is set wherever it is taken.

    Returns:
        What was found, and notes.
    """
    search = _Search(reader, flow)
    found = list(search.find())
    return [*found, *search.same_frames(found), *search.durations(found)], search.notes


class _Search:
    def __init__(self, reader: GraphReader, flow: list[str]) -> None:
        self.reader, self.flow = reader, flow
        self.notes: list[str] = []
        self._in_flow = set(flow)
        self._measures = Measures(reader)
        # What one node's number was followed to adds nothing for the next one.
        self._followed: set[tuple[Role, str, int]] = set()

    def find(self) -> Iterator[Finding]:
        for node in self.flow:
            schema = self.reader.schema(node)
            if schema.get("api_node"):
                continue
            types = set(self.reader.outputs(node))
            makes = "LATENT" in types or any(map(is_condition, types))
            shows = "VIDEO" in types or bool(schema.get("output_node"))
            for socket in self.reader.sockets(node):
                role = _role_of(socket, makes, shows)
                if role is not None and socket.connected:
                    yield from self._find_at(node, socket, role)

    def _find_at(self, node: str, socket: Socket, role: Role) -> Iterator[Finding]:
        how = f"{socket.last} of {self.reader.kind(node)} {node}"
        place = self.reader.place(node, socket.name)
        # The number of frames has to be exact: it is set after what computes it, and not before as a size that is halved.
        cross = None if role is Role.FRAMES else self.reader.through_math
        for leaf in self.reader.leaves(place, cross):
            source = self.reader.source(leaf)
            if source is None:
                yield Finding(role, (leaf,), how)
            elif role is Role.FPS:
                yield from self._found_rate(leaf, source, how)
            else:
                yield from (Finding(role, tuple(places), how) for places in self._decided(role, source, cross))

    def _decided(self, role: Role, source: tuple[str, int], cross: Crossing | None) -> Iterator[list[Place]]:
        """The inputs that decide a linked number: where the images are made that it is measured on, else where it is taken."""
        stack = [source]
        while stack:
            source = stack.pop()
            if (role, *source) in self._followed:
                continue
            self._followed.add((role, *source))
            decides = self._measures.decided_by(*source)
            if decides is None:
                yield self._taken(*source)
                continue
            for behind in self.reader.leaves(decides, cross):
                further = self.reader.source(behind)
                if further is None:
                    yield [behind]
                else:
                    stack.append(further)

    def _found_rate(self, leaf: Place, source: tuple[str, int], how: str) -> Iterator[Finding]:
        """Frames a second that are read off a video stay: another number would change its speed."""
        if any(socket.kind == "VIDEO" for socket in self.reader.sockets(source[0])):
            note = "the clip has the frames a second of the input video"
            self.notes += [] if note in self.notes else [note]
        else:
            yield Finding(Role.FPS, (leaf,), how)

    def _taken(self, node: str, output: int) -> list[Place]:
        """The inputs in the flow that take an output."""
        link = [node, output]
        return [
            self.reader.place(taker, name)
            for taker in dict.fromkeys(self.reader.takers(node, output))
            if taker in self._in_flow
            for name, value in self.reader.graph[taker]["inputs"].items()
            if value == link
        ]

    def same_frames(self, found: Sequence[Finding]) -> Iterator[Finding]:
        """Other inputs for a number of frames that have the model's: what cuts its input video, or makes tracks for it."""
        frames = [place for one in found if one.role is Role.FRAMES for place in one.places if not place.linked]
        numbers = {place.value for place in frames if isinstance(place.value, int) and place.value > 1}
        for node in self.flow if numbers else ():
            types = self.reader.outputs(node)
            if "LATENT" in types or any(map(is_condition, types)) or self.reader.schema(node).get("api_node"):
                continue
            for socket in self.reader.sockets(node):
                place = self.reader.place(node, socket.name)
                if socket.last in names.FRAMES and socket.kind == "INT" and not place.linked and place.value in numbers:
                    yield Finding(Role.FRAMES, (place,), f"as many: {socket.last} of {self.reader.kind(node)} {node}")

    def durations(self, found: Sequence[Finding]) -> list[Finding]:
        """Seconds that the number of frames is computed of; else those that the input video or sound is cut to."""
        rates = {place for one in found if one.role is Role.FPS for place in one.places}
        links = [place for one in found if one.role is Role.FRAMES for place in one.places if place.linked]
        sources = dict.fromkeys(source for place in links if (source := self.reader.source(place)) is not None)
        computed = [
            Finding(Role.DURATION, (leaf,), f"the seconds of {self.reader.kind(node)} {node}")
            for node, _ in sources
            for leaf in self._seconds_of(node, rates)
        ]
        return computed or [
            Finding(Role.DURATION, (leaf,), f"the cut of {self.reader.kind(node)} {node}")
            for node in self.flow
            for leaf in self._cut_of(node)
        ]

    def _seconds_of(self, node: str, rates: set[Place]) -> Iterator[Place]:
        """The variables of an expression of which one more means many more frames, except frames a second."""
        inputs = self.reader.graph[node]["inputs"]
        expression = inputs.get("expression")
        variables = [name for name in inputs if name.startswith("values.")]
        if self.reader.kind(node) != MATH or not isinstance(expression, str) or len(variables) > _MAX_VARIABLES:
            return
        leaves = {name.partition(".")[2]: self.reader.leaves(self.reader.place(node, name)) for name in variables}
        values = {name: _number(places) for name, places in leaves.items()}
        known = {name: value for name, value in values.items() if value is not None}
        every = {name: _ANY_RATE if value is None else value for name, value in values.items()}
        frames = evaluate(expression, every)
        for name, value in known.items():
            fewer = evaluate(expression, {**every, name: value - 1})
            if (
                frames is not None
                and fewer is not None
                and frames - fewer >= _LEAST_FPS
                and leaves[name][0] not in rates
            ):
                yield leaves[name][0]

    def _cut_of(self, node: str) -> Iterator[Place]:
        media = {"VIDEO", "AUDIO"} & set(self.reader.outputs(node))
        sockets = self.reader.sockets(node)
        if not media or self.reader.schema(node).get("api_node") or not any(one.kinds & media for one in sockets):
            return
        for socket in sockets:
            if socket.last in ("duration", "seconds") and socket.connected:
                leaves = self.reader.leaves(self.reader.place(node, socket.name))
                # Nothing is cut where it is 0.
                yield from (leaf for leaf in leaves if leaf.value and not leaf.linked)


def _role_of(socket: Socket, makes: bool, shows: bool) -> Role | None:
    """The role of a number that a node takes.

    Args:
        makes: the node is one of the model's.
        shows: it makes or saves the video.
    """
    if makes and socket.last in names.FRAMES and socket.kind == "INT":
        return Role.FRAMES
    if (makes or shows) and socket.last in names.FPS:
        return Role.FPS
    if makes and socket.last in ("width", "height") and socket.kind == "INT":
        return Role(socket.last)
    return None


def _number(places: list[Place]) -> float | None:
    value = places[0].value if len(places) == 1 else None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
