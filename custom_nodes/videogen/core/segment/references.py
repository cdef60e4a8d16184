"""Reference images of a segment's cast: their names, and which entities need one."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import Problem
from ..similar_names import SimilarNames
from ..story.model import Entity, Story
from ..story.schema import REGIONS
from ..story.slug import is_device_name
from ..story.validation import did_you_mean, place
from .plan import SegmentPlan

#: kind of entity → the key of the story that has entities of this kind.
SECTION_OF_KIND = {"character": "characters", "object": "objects", "location": "locations"}
#: kind → weight of a reference of that kind, where neither the story nor the workflow sets one.
DEFAULT_WEIGHTS = {"character": 0.8, "object": 0.5, "location": 0.3}
#: Choices of the widget `missing`: what nodes do about missing images.
STOP, GO_ON = "stop", "go on without"
#: Choices of the widget `anchor` of *Color Match*: where the target colors come from.
REFERENCE_OR_FIRST, REFERENCE, FIRST_FRAME_ANCHOR, AVERAGE = (
    "reference, else first frame",
    "reference",
    "first frame",
    "average of the frames",
)
#: Names of the cast in a message.
_NAMES_SHOWN = 30
#: Nodes that a hint names.
_NODES_SHOWN = 3


def how_to_make(remedies: Sequence[str] = ("set this node's `missing` to “go on without”",)) -> str:
    """The hint for missing pictures of characters and objects.

    Args:
        remedies: what can be done about the nodes that need them, each with its node.
    """
    return (
        "Put a picture of that name into ComfyUI's input folder or the story's folder"
        f"{', or' if not remedies else ','} render workflows/character_references.json, which draws the pictures"
        + (f", or {_join(remedies)}" if remedies else "")
        + "."
    )


def how_to_show_place(remedies: Sequence[str]) -> str:
    """The hint for missing pictures of locations; see `how_to_make`."""
    return (
        "Pictures of locations are not drawn automatically: put one of that name into ComfyUI's input folder or the story's"
        " folder" + (f", or {_join(remedies)}" if remedies else "") + "."
    )


def _join(remedies: Sequence[str]) -> str:
    more = len(remedies) - _NODES_SHOWN
    return " and ".join(remedies[:_NODES_SHOWN]) + (f" and so on with {more} more" if more > 0 else "")


@dataclass(frozen=True)
class Role:
    """An entity whose look reference images keep consistent in a segment.

    Attributes:
        weight: strength of the images, above 0.
        names: files of its images in ComfyUI's input folder; empty when the workflow provides the images.
    """

    entity: Entity
    weight: float
    names: tuple[str, ...]


def default_reference(slug: str, entity: Entity) -> str:
    """Path of the image of an entity for which the story names none: ``videogen/apple_tree/sapling.png``.

    Args:
        slug: of the story.
    """
    stem = f"{entity.name}_" if is_device_name(entity.name) else entity.name
    return f"videogen/{slug}/{stem}.png"


def reference_names(slug: str, entity: Entity) -> tuple[str, ...]:
    """Names in ComfyUI's input folder of an entity's images: the story's, or else the default one."""
    return tuple(name.replace("\\", "/") for name in entity.references) or (default_reference(slug, entity),)


def mask_name(entity: Entity) -> str:
    """Name in ComfyUI's input folder of the mask image of an entity's region, or ""."""
    region = entity.region
    return region.replace("\\", "/") if isinstance(region, str) and region not in REGIONS else ""


def cast_roles(
    plan: SegmentPlan, weights: Mapping[str, float] = DEFAULT_WEIGHTS, given: Container[str] = ()
) -> list[Role]:
    """The entities of a segment that reference images keep consistent.

    Characters and objects always count; the location only where the story or the workflow provides an image of it. The
    story's own weight takes precedence; 0 leaves an entity out, and a kind's weight of 0 leaves out all of that kind.

    Args:
        weights: kind → weight of entities for which the story sets none.
        given: names of entities whose images the workflow provides.
    """
    roles = []
    for entity in cast_of(plan):
        weight = 0.0 if weights[entity.kind] == 0 else weights[entity.kind] if entity.weight is None else entity.weight
        is_shown = entity.kind != "location" or entity.references or entity.name in given
        if weight > 0 and is_shown:
            roles.append(Role(entity, weight, () if entity.name in given else reference_names(plan.slug, entity)))
    return roles


def picture_names(plan: SegmentPlan, room: int | None = None) -> list[str]:
    """The story's names of the pictures of a segment's cast, for models that take whole pictures as references.

    Characters first, then objects and the location; one of each entity before anybody has a second one.

    Args:
        room: how many a model takes; None for all.
    """
    roles = cast_roles(plan)
    rounds = max((len(role.names) for role in roles), default=0)
    names = [role.names[turn] for turn in range(rounds) for role in roles if turn < len(role.names)]
    return list(dict.fromkeys(names))[:room]


def cast_of(plan: SegmentPlan) -> list[Entity]:
    """Characters, objects and location of a segment, in this order."""
    return [*plan.characters, *plan.objects, *((plan.location,) if plan.location is not None else ())]


def missing_image(entity: Entity, name: str, where: str = "ComfyUI's input folder") -> Problem:
    """The problem of an image or mask that does not exist."""
    if name == mask_name(entity):
        return Problem(story_place(entity), f"the mask {name!r} of its region is not in {where}")
    said = "its picture" if entity.references else "it has no `reference`, and the picture of its default name"
    return Problem(story_place(entity), f"{said} {name!r} is not in {where}")


def story_place(entity: Entity) -> str:
    """``characters.protagonist``: the place of an entity in its story."""
    return place(SECTION_OF_KIND[entity.kind], entity.name)


def describe_unknown_name(name: str, cast: Iterable[Entity], similar: SimilarNames | None = None) -> str:
    """The sentence on a reference image whose name is not in a story's cast."""
    names = [entity.name for entity in cast]
    listed = ", ".join(map(repr, names[:_NAMES_SHOWN])) + (" …" if len(names) > _NAMES_SHOWN else "")
    known = did_you_mean(name, names, similar) or (f"; it has {listed}" if names else ", which is empty")
    return f"{name[:100]!r} is not in the story's cast{known}"


def story_cast(story: Story) -> list[Entity]:
    """All characters, objects and locations of a story."""
    return [*story.characters, *story.objects, *story.locations]


def rename_images(
    story: Story,
    data: dict[str, Any],
    new_names: Mapping[str, str],
    given: Container[str] = (),
    *,
    unnamed_places: bool = False,
) -> dict[str, Any]:
    """Rename the images and masks in a story's plain data.

    Args:
        data: the plain data of `story`; it is not changed.
        new_names: name in the story, or default name → new name. Others are kept.
        given: names of entities whose images the workflow provides.
        unnamed_places: whether default names of locations, for which the story names no image, are renamed too.
    """
    changed = dict(data)
    for entity in story_cast(story):
        names, mask = reference_names(story.slug, entity), mask_name(entity)
        fields: dict[str, Any] = {}
        unnamed_place = entity.kind == "location" and not entity.references
        if any(name in new_names for name in names) and (unnamed_places or not unnamed_place):
            fields["reference"] = [new_names.get(name, name) for name in names]
            if unnamed_place and entity.name not in given:
                # Once named, it would count among the cast (`cast_roles`), unlike under its default name.
                fields["weight"] = 0
        if mask in new_names:
            fields["region"] = new_names[mask]
        if fields:
            key = SECTION_OF_KIND[entity.kind]
            changed[key] = {**changed[key], entity.name: {**changed[key][entity.name], **fields}}
    return changed
