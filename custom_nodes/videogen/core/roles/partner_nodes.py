"""Partner nodes: a whole model in one node, which takes text, numbers and media by names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from . import names
from .conditioning import text_places
from .images import file_places, through_media
from .reader import GraphReader, Socket
from .table import Finding, Place, Role

#: A choice of "720p", "1920x1080", "4K", …
_SIZE = re.compile(r"^\d{3,4}p|^\d+k\b|\d{3,4} ?[x×] ?\d{3,4}", re.IGNORECASE)
_NUMBERS = {
    **dict.fromkeys(names.FPS, Role.FPS),
    **dict.fromkeys(names.SEED, Role.SEED),
    **dict.fromkeys(names.ASPECT_RATIO, Role.ASPECT_RATIO),
    **dict.fromkeys(("num_frames", "frames"), Role.FRAMES),
    "width": Role.WIDTH,
    "height": Role.HEIGHT,
}


def find_partner_roles(reader: GraphReader, flow: list[str]) -> Iterator[Finding]:
    """The roles of inputs of partner nodes that make a clip; where none does, of those that make images, else sound.

    What writes texts is none of them, nor what makes the sound for a model on this server.
    """
    partners = [node for node in flow if reader.schema(node).get("api_node")]
    local = any(one.kind == "LATENT" and one.connected for node in flow for one in reader.sockets(node))
    made = ("VIDEO", "IMAGE") if local else ("VIDEO", "IMAGE", "AUDIO")
    makers = ([node for node in partners if kind in reader.outputs(node)] for kind in made)
    for node in next(filter(None, makers), ()):
        for socket in reader.sockets(node):
            yield from _roles_at(reader, node, socket)


def _roles_at(reader: GraphReader, node: str, socket: Socket) -> Iterator[Finding]:
    place = reader.place(node, socket.name)
    at = f"{socket.name} of {reader.kind(node)} {node}"
    if socket.kinds & {"IMAGE", "VIDEO", "AUDIO"}:
        role = _media_role(reader, node, socket)
        if role is not None and not socket.connected:
            yield Finding(role, (place,), f"free: {at}")
        elif role is not None:
            yield from _files_at(reader, place, role, at)
        return
    text = names.text_role(socket.name) if socket.kind == "STRING" else None
    number = _number_role(socket)
    if not socket.connected:
        return
    if text is not None:
        yield from (Finding(text, (leaf,), at) for leaf in text_places(reader, place))
    elif number is not None:
        yield from (Finding(number, (leaf,), at) for leaf in reader.leaves(place, reader.through_math))
    elif socket.kind == "STRING" and place.linked and names.image_role(socket.name) is Role.REFERENCE:
        for loader, _ in file_places(reader, place, lambda *source: _through_assets(reader, *source)):
            yield Finding(Role.REFERENCE, (loader,), at)


def _through_assets(reader: GraphReader, node: str, output: int) -> Sequence[str]:
    """A `Crossing` of nodes that hand an image to the partner, and the name that it has there on."""
    sockets = [one for one in reader.sockets(node) if one.connected and reader.place(node, one.name).linked]
    if reader.outputs(node)[output : output + 1] != ["STRING"]:
        return through_media(reader, node, output)
    return [one.name for one in sockets if one.kinds & {"IMAGE", "STRING"}]


def _files_at(reader: GraphReader, place: Place, role: Role, at: str) -> Iterator[Finding]:
    for loader, loaded in file_places(reader, place):
        sound_or_video = {"VIDEO": Role.INPUT_VIDEO, "AUDIO": Role.INPUT_SOUND}.get(loaded)
        yield Finding(sound_or_video or role, (loader,), at)


def _number_role(socket: Socket) -> Role | None:
    name = socket.last
    if names.DURATION.search(name):
        return Role.DURATION
    if name in _NUMBERS:
        return _NUMBERS[name] if socket.kind != "COMBO" or name not in names.SEED else None
    sizes = [choice for choice in socket.choices if isinstance(choice, str)]
    if names.RESOLUTION.search(name) or (sizes and all(_SIZE.search(size) for size in sizes)):
        return Role.RESOLUTION
    return None


def _media_role(reader: GraphReader, node: str, socket: Socket) -> Role | None:
    if "AUDIO" in socket.kinds:
        return Role.INPUT_SOUND
    if "VIDEO" in socket.kinds:
        return Role.INPUT_VIDEO
    if "keyframe" in socket.name.lower():
        return _keyframe_role(reader, node, socket)
    named = names.image_role(socket.name)
    if named is Role.INPUT_VIDEO:  # what only an image can be given to is no video: a background, but not a mask
        return None if "mask" in socket.last else Role.REFERENCE
    if named is not None:
        return named
    several = socket.name.count(".") > 0 or socket.last.startswith("images")
    return Role.REFERENCE if several or "VIDEO" not in reader.outputs(node) else Role.FIRST_FRAME


def _keyframe_role(reader: GraphReader, node: str, socket: Socket) -> Role | None:
    """Of a row of keyframes the first one and the last one, which is the second where it is free."""
    row = [one for one in reader.sockets(node) if "IMAGE" in one.kinds and "keyframe" in one.name.lower()]
    connected = [one for one in row if one.connected]
    if socket == row[0]:
        return Role.FIRST_FRAME
    last = connected[-1] if len(connected) > 1 else row[1]
    return Role.LAST_FRAME if socket == last else None
