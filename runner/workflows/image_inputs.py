"""The nodes of a graph that read images of a story's cast and locations, and the images that a segment needs for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from custom_nodes.videogen.core.errors import Problem
from custom_nodes.videogen.core.segment.plan import SegmentPlan
from custom_nodes.videogen.core.segment.references import (
    DEFAULT_WEIGHTS,
    GO_ON,
    REFERENCE,
    REFERENCE_OR_FIRST,
    STOP,
    cast_of,
    cast_roles,
    describe_unknown_name,
    mask_name,
    reference_names,
    story_cast,
)
from custom_nodes.videogen.core.story.model import Entity, Story

from ..comfyui.graph import CONTINUITY_NODE, Graph, is_link, nodes_of

#: The nodes that read the images of a segment's cast, and the one that passes images of the graph instead.
CAST_NODES = ("VideoGenApplyCharacters", CONTINUITY_NODE)
REFERENCE_NODE = "VideoGenReference"
#: The nodes that read the image of a segment's location.
LOCATION_NODE, COLOR_MATCH_NODE = "VideoGenLocation", "VideoGenColorMatch"


@dataclass(frozen=True)
class Need:
    """An image or mask that a segment reads.

    Attributes:
        entity: the character, object or location that it shows.
        names: its possible file names; the first that exists is read.
        required: whether the segment cannot be rendered without it.
    """

    entity: Entity
    names: tuple[str, ...]
    required: bool

    @property
    def name(self) -> str:
        """Its preferred file name."""
        return self.names[0]


@dataclass(frozen=True)
class CastImageInput:
    """A node that reads the images of a segment's cast.

    Attributes:
        weights: kind → weight of the entities without one in the story.
        must_be_there: the node stops when an image is missing.
        given: names of the entities whose images the graph itself passes.
        given_by_others: another node passes images too, of entities that cannot be known.
    """

    weights: Mapping[str, float]
    must_be_there: bool
    given: frozenset[str] = frozenset()
    given_by_others: bool = False

    def needs(self, plan: SegmentPlan) -> list[Need]:
        """The images of the entities that a segment keeps consistent, and the masks of all its entities."""
        roles = cast_roles(plan, self.weights, self.given)
        required = self.must_be_there and not self.given_by_others
        images = [Need(role.entity, (name,), required) for role in roles for name in role.names]
        masked = [entity for entity in cast_of(plan) if roles and mask_name(entity)]
        return images + [Need(entity, (mask_name(entity),), self.must_be_there) for entity in masked]


@dataclass(frozen=True)
class LocationImageInput:
    """A node that reads the image of a segment's location, whether the story names one or it has the default name.

    Attributes:
        must_be_there: the node stops without one, also where the segment has no location.
    """

    must_be_there: bool

    def needs(self, plan: SegmentPlan) -> list[Need]:
        """The image of the location; none for a segment without one."""
        if plan.location is None:
            return []
        return [Need(plan.location, reference_names(plan.slug, plan.location), self.must_be_there)]


ImageInput = CastImageInput | LocationImageInput


def find_image_inputs(graph: Graph) -> list[ImageInput]:
    """The nodes of a graph that read images."""
    image_inputs: list[ImageInput] = [
        _read_cast_node(graph, kind, graph[node_id]["inputs"])
        for kind in CAST_NODES
        for node_id in nodes_of(graph, kind)
    ]
    for kind, needs_image in _LOCATION_NODES.items():
        answers = [needs_image(graph, node_id) for node_id in nodes_of(graph, kind)]
        image_inputs += [LocationImageInput(answer) for answer in answers if answer is not None]
    return image_inputs


def find_needs(plan: SegmentPlan, image_inputs: Iterable[ImageInput]) -> list[Need]:
    """All images and masks that a segment reads, each once per entity that it shows."""
    needs: dict[tuple[str, str, tuple[str, ...]], Need] = {}
    for image_input in image_inputs:
        for need in image_input.needs(plan):
            key = (need.entity.kind, need.entity.name, need.names)
            needs[key] = need if need.required or key not in needs else needs[key]
    return list(needs.values())


def find_unknown_references(graph: Graph, story: Story) -> list[Problem]:
    """One problem for each VideoGenReference whose name is not in the story's cast."""
    cast = story_cast(story)
    known = {entity.name for entity in cast}
    names = {node_id: graph[node_id]["inputs"].get("name") for node_id in nodes_of(graph, REFERENCE_NODE)}
    return [
        Problem(f"node {node_id} ({REFERENCE_NODE})", describe_unknown_name(name.strip(), cast))
        for node_id, name in names.items()
        if isinstance(name, str) and name.strip() and name.strip() not in known
    ]


# ------------------------------------------------------------------ the cast


def _read_cast_node(graph: Graph, kind: str, inputs: dict[str, Any]) -> CastImageInput:
    given, given_by_others = _given_names(graph, inputs.get("references"))
    weights = {key: inputs.get(f"{key}_weight", default) for key, default in DEFAULT_WEIGHTS.items()}
    # A widget that is linked has no value yet: any but 0 reads the images.
    known = {key: weight if _is_number(weight) else DEFAULT_WEIGHTS[key] for key, weight in weights.items()}
    # The continuity node never stops for a missing image: it reports it.
    missing = GO_ON if kind == CONTINUITY_NODE else inputs.get("missing", STOP)
    return CastImageInput(known, missing != GO_ON and not is_link(missing), given, given_by_others)


def _given_names(graph: Graph, link: object) -> tuple[frozenset[str], bool]:
    """The names in a chain of VideoGenReference, and whether the chain has other nodes."""
    names: set[str] = set()
    seen: set[str] = set()
    while is_link(link):
        assert isinstance(link, list)
        node = graph.get(link[0])
        if node is None or node["class_type"] != REFERENCE_NODE or link[0] in seen:
            return frozenset(names), True
        seen.add(link[0])
        name = node["inputs"].get("name")
        if not isinstance(name, str):
            return frozenset(names), True
        names.add(name.strip())
        link = node["inputs"].get("references")
    return frozenset(names), False


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


# ------------------------------------------------------------------ the location


def _location_needs_image(graph: Graph, node_id: str) -> bool | None:
    """Whether a VideoGenLocation stops without the location's image; None when no node reads that image."""
    if is_link(graph[node_id]["inputs"].get("image")):
        return None
    # Its text and seed outputs work without an image.
    seen = any([node_id, 0] == value for node in graph.values() for value in node["inputs"].values())
    return True if seen else None


def _colors_need_image(graph: Graph, node_id: str) -> bool | None:
    """Whether a VideoGenColorMatch stops without the location's image; None when it uses another reference."""
    inputs = graph[node_id]["inputs"]
    anchor, strength = inputs.get("anchor", REFERENCE_OR_FIRST), inputs.get("strength", 1.0)
    if is_link(inputs.get("reference")) or not is_link(inputs.get("segment")):
        return None
    if _is_number(strength) and strength <= 0:
        return None
    # A choice that comes from another node may be any.
    return None if not is_link(anchor) and anchor not in (REFERENCE, REFERENCE_OR_FIRST) else anchor == REFERENCE


_LOCATION_NODES: dict[str, Callable[[Graph, str], bool | None]] = {
    LOCATION_NODE: _location_needs_image,
    COLOR_MATCH_NODE: _colors_need_image,
}
