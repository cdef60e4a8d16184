"""Finding the roles of a graph: from the node that saves the clip, along the links, to the inputs that a segment decides."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from ..graph import Graph
from . import names
from .conditioning import find_texts
from .images import find_images
from .numbers import find_numbers, find_seeds
from .outputs import find_outputs
from .partner_nodes import find_partner_roles
from .reader import GraphReader, same_value
from .table import Finding, Place, Role, RoleTable

_OTHER_TITLE = re.compile("negative|system|template")


def find_roles(graph: Graph, object_info: Mapping[str, Any], output_node: str = "") -> RoleTable:
    """The roles of a graph's inputs.

    Found by links and types, from what the sampler, the guider and the conditioning consume. Names of inputs tell apart what has
    one type; titles of nodes only where two inputs would have the same right to a role.

    Args:
        object_info: schemas of the server's nodes.
        output_node: the node whose file is the segment, where somebody has named one; else the best of those that save images.
    """
    reader = GraphReader(graph, object_info)
    roots = [output_node] if output_node else find_outputs(reader, object_info)
    table = RoleTable(output=roots)
    if not roots:
        table.notes.append("no node of it saves a video or images")
        return table
    flow = reader.upstream(roots)
    table.notes += _find_unknown(reader, flow)
    numbers, notes = find_numbers(reader, flow)
    table.notes += notes
    partner = list(find_partner_roles(reader, flow))
    if any(finding.role is Role.DURATION for finding in partner):
        # How much of its input it gets is another duration.
        numbers = [finding for finding in numbers if finding.role is not Role.DURATION]
    candidates: dict[Role, list[Finding]] = defaultdict(list)
    for finding in (
        *find_texts(reader, flow),
        *find_seeds(reader, flow),
        *numbers,
        *find_images(reader, flow),
        *partner,
    ):
        candidates[finding.role].append(finding)
    for role in Role:
        _settle(reader, table, role, candidates[role])
    return table


def _find_unknown(reader: GraphReader, flow: list[str]) -> Iterator[str]:
    """What cannot be read, because this server is older than the workflow."""
    unknown = sorted({reader.kind(node) for node in flow if not reader.schema(node)})
    if unknown:
        yield f"the server does not have {', '.join(unknown)}: what they take is not known"
    for node in flow:
        for place in reader.unknown_choices(node):
            yield (
                f"the server's {place.class_type} does not offer {place.value!r} (node {node}, {place.input}): what belongs to it"
                " is not known"
            )


def _settle(reader: GraphReader, table: RoleTable, role: Role, candidates: list[Finding]) -> None:
    """Put a role into the table: all its inputs, where they are one thing."""
    every = dict.fromkeys(place for finding in candidates for place in finding.places)
    places = sorted(every, key=lambda place: place.free)
    if not places:
        return
    connected = [place for place in places if not place.free]
    if connected and role is not Role.REFERENCE:
        candidates = [one for one in candidates if not all(place.free for place in one.places)]
        places = connected
    how = "; ".join(dict.fromkeys(one.how for one in candidates))
    if role in (Role.SEED, Role.REFERENCE) or len(places) == 1 or _are_one(reader, role, places):
        table.findings[role] = Finding(role, tuple(places), how)
        return
    if role is Role.PROMPT:
        places = _without_empty(places)
    chosen = places[0] if len(places) == 1 else _by_title(reader, role, places)
    if chosen:
        table.findings[role] = Finding(role, (chosen,), f"{how}; by its title")
        return
    # The first reason of a place, as the later ones in a dictionary would win.
    reasons = {place: one.how for one in reversed(candidates) for place in one.places}
    table.ambiguous[role] = tuple(Finding(role, (place,), reasons[place]) for place in places)


def _are_one(reader: GraphReader, role: Role, places: list[Place]) -> bool:
    """Whether several inputs of a role mean one value: they have it, or they get it from one output."""
    if all(place.linked for place in places):
        return len({tuple(place.value) for place in places}) == 1
    if role is Role.PROMPT and len({place.node for place in places}) == 1 and all(map(_is_for_encoder, places)):
        return True  # one prompt, once for each text encoder
    if any(place.linked for place in places):
        return False
    return same_value([place.value for place in places])


def _is_for_encoder(place: Place) -> bool:
    return bool(names.ENCODER_TEXT.search(place.input))


def _without_empty(places: list[Place]) -> list[Place]:
    """Of the texts of one node those that are written: the others are for another way to say the same."""
    written = [place for place in places if place.linked or str(place.value).strip()]
    return written if written and len({place.node for place in places}) == 1 else places


def _by_title(reader: GraphReader, role: Role, places: list[Place]) -> Place | None:
    """The one input whose node has the role's name as its title."""
    word = role.value.replace("_", " ")
    named = [
        place
        for place in places
        if word in reader.title(place.node) and not _OTHER_TITLE.search(reader.title(place.node))
    ]
    return named[0] if len(named) == 1 else None
