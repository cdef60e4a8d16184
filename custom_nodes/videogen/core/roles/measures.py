"""Sizes and numbers that a workflow measures on images: the inputs that decide them, where these images were made."""

from __future__ import annotations

import re

from .reader import ANY, GraphReader, Socket
from .table import Place

_COUNTS = ("batch_size", "count", "frame_count")
#: Nodes that give images another size, or another number, than that of the input that decides it.
_OTHER_SIZE = re.compile(r"resize|scale|crop|pad|stitch|concat")
_OTHER_COUNT = re.compile(r"batch|repeat|concat|interpol|trim|select|slice|cut|stitch|append")
_FACTORS = ("scale_by", "multiplier")


class Measures:
    """What outputs measure, for one graph: each image is followed once."""

    def __init__(self, reader: GraphReader) -> None:
        self._reader = reader
        self._known: dict[tuple[str, int, str], Place | None] = {}

    def decided_by(self, node: str, output: int) -> Place | None:
        """The input that decides a width, a height or a number of frames that an output measures; None where none does.

        A size that was scaled by a factor since is decided all the same.
        """
        name = self._reader.output_name(node, output)
        name = "length" if name in _COUNTS else name
        images = [one for one in self._reader.sockets(node) if one.kind == "IMAGE" and one.connected]
        if name not in ("width", "height", "length") or len(images) != 1:
            return None
        return self._follow(self._reader.place(node, images[0].name), name)

    def _follow(self, place: Place, name: str) -> Place | None:
        path = []
        found = None
        while (source := self._reader.source(place)) is not None:
            key = (*source, name)
            if key in self._known:
                found = self._known[key]
                break
            self._known[key] = None  # a circle ends here
            path.append(key)
            decides = self._decides(source[0], name)
            if decides is not None:
                found = self._reader.place(source[0], decides.name)
                break
            following = self._following(*source, name)
            if following is None:
                break
            place = self._reader.place(source[0], following)
        self._known.update(dict.fromkeys(path, found))
        return found

    def _decides(self, node: str, name: str) -> Socket | None:
        """The input that says what size or number the images that a node makes have: 0 is "as they are", 1 is a picture."""
        for socket in self._reader.sockets(node):
            if socket.kind == "INT" and socket.connected and socket.last.removeprefix("target_") == name:
                value = self._reader.constant(self._reader.place(node, socket.name))
                if not isinstance(value, int) or value > (1 if name == "length" else 0):
                    return socket
        return None

    def _following(self, node: str, output: int, name: str) -> str | None:
        """The input whose images have the size, or the number, of an output's."""
        reader = self._reader
        passed = reader.passed(node, output)
        if passed:
            return passed[0] if len(passed) == 1 else None
        sockets = [one for one in reader.sockets(node) if one.connected and reader.place(node, one.name).linked]
        changes = (_OTHER_COUNT if name == "length" else _OTHER_SIZE).search(reader.kind(node).lower())
        if changes and not any(one.last in _FACTORS and one.connected for one in reader.sockets(node)):
            return None
        images = [one.name for one in sockets if one.kinds & {"IMAGE", *ANY}]
        latents = [one.name for one in sockets if one.kind == "LATENT"]
        return next(iter(images or latents), None)
