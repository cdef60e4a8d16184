"""Images, videos and sound that a workflow starts from, and what each of them is to the clip."""

from __future__ import annotations

import re
from collections.abc import Sequence

from . import names
from .reader import ANY, Crossing, GraphReader, Socket, is_condition
from .table import Finding, Place, Role

#: Inputs of nodes that read a file: their name is that of their type's file.
_LOADER_INPUTS = ("image", "video", "file", "audio", "path")
_LOADED = {"IMAGE": Role.FIRST_FRAME, "VIDEO": Role.INPUT_VIDEO, "AUDIO": Role.INPUT_SOUND}
#: Types of values that no image is made of.
_NO_MEDIA = re.compile(
    r"^(INT|FLOAT|STRING|BOOLEAN|COMBO|LATENT|CONDITIONING|CLIP|VAE|NOISE|GUIDER|SAMPLER|SIGMAS|CONTROL_NET)$|MODEL|EMBED"
)


def find_images(reader: GraphReader, flow: list[str]) -> list[Finding]:
    """The files that the model's nodes take in a flow, by what they are to it; and sockets where they could take one."""
    roles: dict[Place, tuple[Role, str]] = {}
    free: list[Finding] = []
    in_flow = set(flow)
    for node in flow:
        if reader.schema(node).get("api_node"):
            continue
        for socket in reader.sockets(node):
            role = _role_at(reader, node, socket, in_flow)
            if role is None:
                continue
            at = f"{socket.name} of {reader.kind(node)} {node}"
            if not socket.connected:
                if names.image_role(socket.name) or role is Role.INPUT_SOUND:
                    free.append(Finding(role, (reader.place(node, socket.name),), f"free: {at}"))
                continue
            files = file_places(reader, reader.place(node, socket.name))
            images = [place for place, loaded in files if loaded == "IMAGE"]
            for loader, loaded in files:
                fitting: Role | None = role if loaded == "IMAGE" else _LOADED[loaded]
                if role is Role.INPUT_VIDEO and loaded == "IMAGE":
                    fitting = _place_in_time(reader, reader.place(node, socket.name), images, loader)
                if fitting is not None:
                    _note(roles, loader, fitting, at)
    return [Finding(role, (place,), how) for place, (role, how) in roles.items()] + free


def _place_in_time(reader: GraphReader, place: Place, images: list[Place], image: Place) -> Role | None:
    """What an image is where a video is taken: alone a reference, in a batch of frames the first, the last or none of both."""
    if len(images) == 2:
        return Role.FIRST_FRAME if image == images[0] else Role.LAST_FRAME
    source = reader.source(place)
    parts = [] if source is None else list(through_media(reader, *source))
    if len(images) != 1:
        return None
    if source is None or len(parts) < 2:
        return Role.REFERENCE
    ends = {Role.FIRST_FRAME: parts[0], Role.LAST_FRAME: parts[-1]}
    return next(
        (role for role, name in ends.items() if image in dict(file_places(reader, reader.place(source[0], name)))),
        None,
    )


def _note(roles: dict[Place, tuple[Role, str]], place: Place, role: Role, how: str) -> None:
    """One file may be several things: the place in time says more than what guides, and that more than a reference."""
    order = [Role.LAST_FRAME, Role.FIRST_FRAME, Role.INPUT_VIDEO, Role.INPUT_SOUND, Role.REFERENCE]
    if place not in roles or order.index(role) < order.index(roles[place][0]):
        roles[place] = role, how


def _is_of_model(kind: str) -> bool:
    """Whether a type is that of what only the model uses."""
    return kind in ("LATENT", "MODEL") or is_condition(kind)


def _role_at(reader: GraphReader, node: str, socket: Socket, in_flow: set[str]) -> Role | None:
    """What an image, a video or sound at a socket is to the clip; None for other sockets, and nodes that only change it."""
    types, kinds = set(reader.outputs(node)), socket.kinds
    if not reader.schema(node):
        return names.image_role(socket.name) if reader.place(node, socket.name).linked else None
    if "AUDIO" in kinds:
        return Role.INPUT_SOUND if _takes_sound(reader, node, socket) else None
    if "VIDEO" in kinds and any(map(_is_of_model, types)):
        return Role.INPUT_VIDEO
    if "IMAGE" not in kinds or "mask" in socket.last:
        return None
    if "CLIP_VISION_OUTPUT" in types or "STYLE_MODEL" in types:
        return names.image_role(socket.name) or Role.REFERENCE
    if not any(map(_is_of_model, types)):
        return None
    if reader.kind(node).startswith("VAEEncode"):
        return _role_of_latent(reader, node, in_flow)
    guide = reader.socket(node, "frame_idx")
    if guide is not None:
        index = reader.constant(reader.place(node, "frame_idx"))
        return {0: Role.FIRST_FRAME, -1: Role.LAST_FRAME}.get(index) if isinstance(index, int) else None
    return names.image_role(socket.name) or (Role.FIRST_FRAME if "LATENT" in types else Role.REFERENCE)


def _takes_sound(reader: GraphReader, node: str, socket: Socket) -> bool:
    """Whether sound at a socket gets into the clip: the model's, or that of the video; of free ones only the model's own."""
    types = set(reader.outputs(node))
    of_model = any(map(_is_of_model, types))
    if socket.connected:
        return bool(of_model or types & {"VIDEO", "AUDIO_ENCODER_OUTPUT"} or reader.schema(node).get("output_node"))
    # The sound of another video, and what guides a moment of the clip, is not the clip's.
    return of_model and "video" not in socket.last and reader.socket(node, "frame_idx") is None


def _role_of_latent(reader: GraphReader, node: str, in_flow: set[str]) -> Role | None:
    """What an image that is encoded is to the clip; None where only its size counts."""
    takers = [taker for taker in reader.takers(node, 0) if taker in in_flow]
    counting = [taker for taker in takers if not _is_full_of_noise(reader, node, taker)]
    if takers and not counting:
        return None
    reference = counting and all("CONDITIONING" in reader.outputs(taker) for taker in counting)
    return Role.REFERENCE if reference else Role.FIRST_FRAME


def _is_full_of_noise(reader: GraphReader, node: str, taker: str) -> bool:
    """Whether a sampler leaves nothing of the latent that it begins with, which has no mask."""
    return reader.kind(node) in ("VAEEncode", "VAEEncodeTiled") and reader.constant(reader.place(taker, "denoise")) == 1


def file_places(reader: GraphReader, place: Place, cross: Crossing | None = None) -> list[tuple[Place, str]]:
    """The inputs that name the files behind an image, a video or sound, with the type that is loaded there.

    Args:
        cross: what the search goes through; by default `through_media`.
    """
    found: dict[Place, str] = {}
    for leaf in reader.leaves(place, cross or (lambda *at: through_media(reader, *at))):
        source = reader.source(leaf)
        if source is None:
            continue
        node, output = source
        types = reader.outputs(node)
        kind = types[output] if output < len(types) else ""
        for name in file_inputs(reader, node):
            video = "video" in reader.kind(node).lower() or name in ("video", "file")
            found[reader.place(node, name)] = (
                "VIDEO" if video and kind != "AUDIO" else kind if kind in _LOADED else "IMAGE"
            )
    return list(found.items())


def file_inputs(reader: GraphReader, node: str) -> list[str]:
    """The input of a loader that names its file: a choice, or a text, and no other media go in."""
    sockets = reader.sockets(node)
    if any(socket.kind in _LOADED for socket in sockets):
        return []
    return [
        socket.name
        for socket in sockets
        if socket.name in _LOADER_INPUTS and socket.kind in ("COMBO", "STRING") and socket.connected
    ][:1]


def through_media(reader: GraphReader, node: str, output: int) -> Sequence[str]:
    """A `Crossing` of nodes that change images, take a video apart, or decode: whatever media go in."""
    types = reader.outputs(node)
    kind = types[output] if output < len(types) else "*"
    if _NO_MEDIA.search(kind) or reader.schema(node).get("api_node"):
        return ()  # a partner's model makes something new
    sockets = [one for one in reader.sockets(node) if one.connected and reader.place(node, one.name).linked]
    media = [one.name for one in sockets if one.kinds & {*_LOADED, *ANY}]
    if kind == "AUDIO":
        sound = [one.name for one in sockets if one.kind == "AUDIO"]
        return sound or [one.name for one in sockets if one.kind == "VIDEO"]
    # An image that is drawn: of a pose, of a geometry, …
    return media or [one.name for one in sockets if not _NO_MEDIA.search(one.kind)]
