"""Prompts: the texts that reach a sampler as its positive and its negative condition."""

from __future__ import annotations

from collections.abc import Sequence

from . import names
from .reader import ANY, GraphReader, is_condition
from .table import Finding, Place, Role

_TEXT_MAKERS = ("STRING",)
_EXTRACT, _REPLACE = "RegexExtract", "Replace"


def find_texts(reader: GraphReader, flow: list[str]) -> list[Finding]:
    """The prompt and the negative prompt of all samplers in a flow.

    A text that reaches both sides (a negative that is the zeroed positive, or one text for both) is the prompt, unless another
    one reaches the positive side alone.
    """
    sides: dict[Role, dict[Place, str]] = {Role.PROMPT: {}, Role.NEGATIVE: {}}
    # What one sampler was followed to adds nothing for the next one.
    seen: dict[Role, set[tuple[str, int]]] = {role: set() for role in sides}
    for node in flow:
        for role, place in _conditions_of(reader, node):
            for encoder, output in _encoders(reader, place, seen[role]):
                for text, name in _texts_of(reader, encoder, output, role):
                    sides[text].setdefault(name, f"the {text.value} of {reader.kind(node)} {node}")
    both = sides[Role.PROMPT].keys() & sides[Role.NEGATIVE].keys()
    less = Role.NEGATIVE if both == sides[Role.PROMPT].keys() else Role.PROMPT
    for place in both:
        del sides[less][place]
    return [Finding(role, (place,), how) for role, places in sides.items() for place, how in places.items()]


def _conditions_of(reader: GraphReader, node: str) -> list[tuple[Role, Place]]:
    """The conditions that a sampler or a guider takes."""
    types = set(reader.outputs(node))
    sockets = [socket for socket in reader.sockets(node) if is_condition(socket.kind) and socket.connected]
    samples = "GUIDER" in types or ("LATENT" in types and not any(map(is_condition, types)))
    if not samples:
        return []
    return [
        (
            Role.NEGATIVE if names.text_role(socket.name) is Role.NEGATIVE else Role.PROMPT,
            reader.place(node, socket.name),
        )
        for socket in sockets
    ]


def _encoders(reader: GraphReader, place: Place, seen: set[tuple[str, int]]) -> list[tuple[str, int]]:
    """The nodes that make a condition out of texts, with their output, upstream of a place.

    Args:
        seen: outputs that were followed before and are left out; these are added.
    """
    found = []
    stack = [place]
    while stack:
        place = stack.pop()
        source = reader.source(place)
        if source is None or source in seen:
            continue
        seen.add(source)
        node, output = source
        if "zeroout" in reader.kind(node).lower():
            continue
        if _text_sockets(reader, node):
            found.append(source)
        stack += [reader.place(node, name) for name in _conditions_into(reader, node, output)]
    return found


def _conditions_into(reader: GraphReader, node: str, output: int) -> Sequence[str]:
    """The conditions that an output is made of: the one of its name, where a node passes several on."""
    passed = reader.passed(node, output)
    if passed:
        return passed
    sockets = [one for one in reader.sockets(node) if (is_condition(one.kind) or one.kind == "*") and one.connected]
    named = [socket.name for socket in sockets if socket.last == reader.output_name(node, output)]
    return named or [socket.name for socket in sockets]


def _text_sockets(reader: GraphReader, node: str) -> list[str]:
    return [
        socket.name
        for socket in reader.sockets(node)
        if socket.kind == "STRING" and socket.connected and names.text_role(socket.name) is not None
    ]


def _texts_of(reader: GraphReader, encoder: str, output: int, side: Role) -> list[tuple[Role, Place]]:
    """The inputs where an encoder's texts are written.

    A node with a text for each side and an output for each gives the one that its output's name says; with one output, both.
    """
    named = {name: names.text_role(name) for name in _text_sockets(reader, encoder)}
    if Role.NEGATIVE in named.values() and Role.PROMPT in named.values():
        if sum(map(is_condition, reader.outputs(encoder))) == 1:
            places = [(role, reader.place(encoder, name)) for name, role in named.items() if role is not None]
            return [(role, leaf) for role, place in places for leaf in text_places(reader, place)]
        negative = names.text_role(reader.output_name(encoder, output)) is Role.NEGATIVE
        side = Role.NEGATIVE if negative else Role.PROMPT
        named = {name: role for name, role in named.items() if role is side}
    return [(side, leaf) for name in named for leaf in text_places(reader, reader.place(encoder, name))]


def text_places(reader: GraphReader, place: Place) -> list[Place]:
    """The inputs where the text at a place is written; not those of numbers that are made part of it."""
    leaves = reader.leaves(place, lambda *at: through_texts(reader, *at))
    kinds = {leaf: reader.socket(leaf.node, leaf.input) for leaf in leaves}
    texts = [leaf for leaf, socket in kinds.items() if socket is None or socket.kind in ("STRING", *ANY)]
    written = [leaf for leaf in texts if not leaf.linked]
    return written or texts


def through_texts(reader: GraphReader, node: str, output: int) -> Sequence[str]:
    """A `Crossing` of nodes that make a text out of texts: they join them, or have a language model write on."""
    types = reader.outputs(node)
    if output >= len(types) or types[output] not in _TEXT_MAKERS:
        return ()
    if _EXTRACT in reader.kind(node) and reader.place(node, "regex_pattern").linked:
        return ()  # it looks up one of several texts
    if _REPLACE in reader.kind(node):
        return _replaced(reader, node)
    texts = [one for one in reader.sockets(node) if one.kind == "STRING" and one.connected]
    prompts = [one.name for one in texts if names.text_role(one.name) is Role.PROMPT]
    linked = [one.name for one in texts if reader.place(node, one.name).linked]
    if len(prompts) == 1:
        return prompts
    return linked or [one.name for one in texts if one.multiline]


def _replaced(reader: GraphReader, node: str) -> Sequence[str]:
    """Of a text that is put into a template only the text; both where the template has been filled in before."""
    inserted = reader.place(node, "replace")
    if not inserted.linked:
        return ["string"]
    template = reader.source(reader.place(node, "string"))
    is_filled = template is not None and _REPLACE in reader.kind(template[0])
    is_written = any(not leaf.linked for leaf in reader.leaves(inserted))
    return ["replace"] if is_written and not is_filled else ["string", "replace"]
