"""The nodes of a graph that read images of a story's cast and locations, and the images that a segment needs for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Protocol

from custom_nodes.videogen.core.errors import Problem
from custom_nodes.videogen.core.graph import CONTINUITY_NODE, Graph, is_link, nodes_of
from custom_nodes.videogen.core.segment.plan import SegmentPlan
from custom_nodes.videogen.core.segment.references import (
    DEFAULT_WEIGHTS,
    FIRST_FRAME_ANCHOR,
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
from custom_nodes.videogen.core.similar_names import SimilarNames
from custom_nodes.videogen.core.story.model import Entity, Story

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
        remedies: how the nodes that require it do without, a phrase for each.
    """

    entity: Entity
    names: tuple[str, ...]
    required: bool
    remedies: tuple[str, ...] = field(default=(), compare=False)

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
        remedy: how it does without, with its id: ``set `missing` of node 7 (VideoGenApplyCharacters) to …``.
    """

    weights: Mapping[str, float]
    must_be_there: bool
    given: frozenset[str] = frozenset()
    given_by_others: bool = False
    remedy: str = field(default="", compare=False)

    def needs(self, plan: SegmentPlan) -> list[Need]:
        """The images of the entities that a segment keeps consistent, and the masks of all its entities."""
        roles = cast_roles(plan, self.weights, self.given)
        required = self.must_be_there and not self.given_by_others
        how = (self.remedy,) if self.remedy else ()
        images = [Need(role.entity, (name,), required, how) for role in roles for name in role.names]
        masked = [entity for entity in cast_of(plan) if roles and mask_name(entity)]
        return images + [Need(entity, (mask_name(entity),), self.must_be_there, how) for entity in masked]


@dataclass(frozen=True)
class LocationImageInput:
    """A node that reads the image of a segment's location, whether the story names one or it has the default name.

    Attributes:
        must_be_there: the node stops without one, also where the segment has no location.
        remedy: see `CastImageInput`.
    """

    must_be_there: bool
    remedy: str = field(default="", compare=False)

    def needs(self, plan: SegmentPlan) -> list[Need]:
        """The image of the location; none for a segment without one."""
        if plan.location is None:
            return []
        how = (self.remedy,) if self.remedy else ()
        return [Need(plan.location, reference_names(plan.slug, plan.location), self.must_be_there, how)]


class ImageInput(Protocol):
    """Something in a graph that reads images of the story."""

    def needs(self, plan: SegmentPlan) -> list[Need]:
        """The images that it reads for a segment."""
        ...


def find_image_inputs(graph: Graph) -> list[ImageInput]:
    """The nodes of a graph that read images."""
    image_inputs: list[ImageInput] = [
        _read_cast_node(graph, kind, node_id) for kind in CAST_NODES for node_id in nodes_of(graph, kind)
    ]
    used = {tuple(value) for node in graph.values() for value in node["inputs"].values() if is_link(value)}
    for kind, needs_image in _LOCATION_NODES.items():
        for node_id in nodes_of(graph, kind):
            answer = needs_image(graph, node_id, (node_id, 0) in used)
            if answer is not None:
                image_inputs.append(LocationImageInput(answer, _REMEDIES[kind].format(f"node {node_id} ({kind})")))
    return image_inputs


def find_needs(plan: SegmentPlan, image_inputs: Iterable[ImageInput]) -> list[Need]:
    """All images and masks that a segment reads, each once per entity that it shows."""
    needs: dict[tuple[str, str, tuple[str, ...]], Need] = {}
    for image_input in image_inputs:
        for need in image_input.needs(plan):
            key = (need.entity.kind, need.entity.name, need.names)
            known = needs.get(key, need)
            both = [one for one in (known, need) if one.required] or [need]
            how = tuple(dict.fromkeys(remedy for one in both for remedy in one.remedies))
            needs[key] = replace(need if need.required else known, remedies=how)
    return list(needs.values())


def find_unknown_references(graph: Graph, story: Story) -> list[Problem]:
    """One problem for each VideoGenReference whose name is not in the story's cast; the first hundred of them."""
    cast = story_cast(story)
    known = {entity.name for entity in cast}
    names = {node_id: graph[node_id]["inputs"].get("name") for node_id in nodes_of(graph, REFERENCE_NODE)}
    unknown = {
        node_id: name.strip()
        for node_id, name in names.items()
        if isinstance(name, str) and name.strip() and name.strip() not in known
    }
    similar = SimilarNames()
    return [
        Problem(f"node {node_id} ({REFERENCE_NODE})", describe_unknown_name(name, cast, similar))
        for node_id, name in islice(unknown.items(), 100)
    ]


# ------------------------------------------------------------------ the cast


def _read_cast_node(graph: Graph, kind: str, node_id: str) -> CastImageInput:
    inputs = graph[node_id]["inputs"]
    given, given_by_others = _given_names(graph, inputs.get("references"))
    weights = {key: inputs.get(f"{key}_weight", default) for key, default in DEFAULT_WEIGHTS.items()}
    # A widget that is linked has no value yet: any but 0 reads the images.
    known = {key: weight if _is_number(weight) else DEFAULT_WEIGHTS[key] for key, weight in weights.items()}
    # The continuity node never stops for a missing image: it reports it.
    missing = GO_ON if kind == CONTINUITY_NODE else inputs.get("missing", STOP)
    remedy = f"set `missing` of node {node_id} ({kind}) to “{GO_ON}”"
    return CastImageInput(known, missing != GO_ON and not is_link(missing), given, given_by_others, remedy)


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


def _location_needs_image(graph: Graph, node_id: str, used: bool) -> bool | None:
    """Whether a VideoGenLocation stops without the location's image; None when no node reads that image."""
    if is_link(graph[node_id]["inputs"].get("image")):
        return None
    # Its text and seed outputs work without an image.
    return True if used else None


def _colors_need_image(graph: Graph, node_id: str, used: bool) -> bool | None:
    """Whether a VideoGenColorMatch stops without the location's image; None when it uses another reference."""
    inputs = graph[node_id]["inputs"]
    anchor, strength = inputs.get("anchor", REFERENCE_OR_FIRST), inputs.get("strength", 1.0)
    if is_link(inputs.get("reference")) or not is_link(inputs.get("segment")):
        return None
    if _is_number(strength) and strength <= 0:
        return None
    # A choice that comes from another node may be any.
    return None if not is_link(anchor) and anchor not in (REFERENCE, REFERENCE_OR_FIRST) else anchor == REFERENCE


#: Class → a function of the graph, the node's id, and whether another node takes its first output.
_LOCATION_NODES: dict[str, Callable[[Graph, str, bool], bool | None]] = {
    LOCATION_NODE: _location_needs_image,
    COLOR_MATCH_NODE: _colors_need_image,
}
#: Class → how a node of it does without the image, given the node's name.
_REMEDIES = {
    LOCATION_NODE: "connect a picture to `image` of {}",
    COLOR_MATCH_NODE: f"connect a picture to `reference` of {{}} or set its `anchor` to “{FIRST_FRAME_ANCHOR}”",
}
