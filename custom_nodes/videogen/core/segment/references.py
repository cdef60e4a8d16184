"""Which images show the cast of a segment: what they are called, and who needs one."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import Problem
from ..story.model import Entity, Story
from ..story.schema import REGIONS
from ..story.validation import did_you_mean, place
from .plan import SegmentPlan

#: kind of entity → the key of a story under which it stands.
SECTION_OF_KIND = {"character": "characters", "object": "objects", "location": "locations"}
#: kind → how strongly a reference of that kind holds when neither story nor workflow say it.
DEFAULT_WEIGHTS = {"character": 0.8, "object": 0.5, "location": 0.3}
#: What `missing` can be of a node that shows the cast.
STOP, GO_ON = "stop", "go on without"
#: What `anchor` can be of a node that may look at the image of a place.
REFERENCE_OR_FIRST, REFERENCE, FIRST_FRAME_ANCHOR, AVERAGE = (
    "reference, else first frame",
    "reference",
    "first frame",
    "average of the frames",
)
HOW_TO_MAKE = (
    "Put a picture of that name into ComfyUI's input folder or beside the story, render"
    " workflows/character_references.json, which makes the pictures, or set `missing` to “go on without”."
)
HOW_TO_SHOW_PLACE = (
    "A place is drawn by nobody: put a picture of that name into ComfyUI's input folder or beside the story, connect one to the"
    " node (*Location*, *Color Match*), or let it do without (`anchor`, `missing`)."
)


@dataclass(frozen=True)
class Role:
    """Somebody or something that an image keeps the same in a segment.

    Attributes:
        weight: how strongly, above 0.
        names: files of its images in ComfyUI's input folder; empty when the workflow itself gives the images.
    """

    entity: Entity
    weight: float
    names: tuple[str, ...]


def default_reference(slug: str, entity: Entity) -> str:
    """Where the image of an entity lies whose story names none: ``videogen/apple_tree/sapling.png``.

    Args:
        slug: of the story.
    """
    return f"videogen/{slug}/{entity.name}.png"


def reference_names(slug: str, entity: Entity) -> tuple[str, ...]:
    """Names in ComfyUI's input folder of the images that show an entity: the story's, else the default one."""
    return tuple(name.replace("\\", "/") for name in entity.references) or (default_reference(slug, entity),)


def mask_name(entity: Entity) -> str:
    """Name in ComfyUI's input folder of the mask image that says where an entity is, or ""."""
    region = entity.region
    return region.replace("\\", "/") if isinstance(region, str) and region not in REGIONS else ""


def cast_roles(
    plan: SegmentPlan, weights: Mapping[str, float] = DEFAULT_WEIGHTS, given: Container[str] = ()
) -> list[Role]:
    """Who is kept the same by images in a segment.

    Characters and objects always are; the location only where the story or the workflow gives an image of it. The story's
    own weight counts; one of 0 leaves an entity out, and a kind's weight of 0 leaves all of that kind out.

    Args:
        weights: kind → weight of those whose story gives none.
        given: names of entities whose images the workflow gives.
    """
    roles = []
    for entity in cast_of(plan):
        weight = 0.0 if weights[entity.kind] == 0 else weights[entity.kind] if entity.weight is None else entity.weight
        comes_along = entity.kind != "location" or entity.references or entity.name in given
        if weight > 0 and comes_along:
            roles.append(Role(entity, weight, () if entity.name in given else reference_names(plan.slug, entity)))
    return roles


def cast_of(plan: SegmentPlan) -> list[Entity]:
    """Characters, objects and location of a segment, in this order."""
    return [*plan.characters, *plan.objects, *((plan.location,) if plan.location is not None else ())]


def used_names(plan: SegmentPlan, roles: Sequence[Role]) -> list[str]:
    """All files that a segment's roles and regions need, each once."""
    masks = [mask_name(entity) for entity in cast_of(plan)] if roles else []
    return list(dict.fromkeys(name for name in (*(name for role in roles for name in role.names), *masks) if name))


def missing_image(entity: Entity, name: str, where: str = "ComfyUI's input folder") -> Problem:
    """The sentence on an image or mask that is not there."""
    if name == mask_name(entity):
        return Problem(story_place(entity), f"the mask {name!r} of its region is not in {where}")
    said = "its picture" if entity.references else "it has no `reference`, and the picture of its default name"
    return Problem(story_place(entity), f"{said} {name!r} is not in {where}")


def story_place(entity: Entity) -> str:
    """``characters.protagonist``: where an entity stands in its story."""
    return place(SECTION_OF_KIND[entity.kind], entity.name)


def describe_unknown_name(name: str, cast: Iterable[Entity]) -> str:
    """The sentence on an image that the workflow gives of somebody whom a cast does not have."""
    names = [entity.name for entity in cast]
    known = did_you_mean(name, names) or f"; there are: {', '.join(map(repr, names)) or 'nobody and nothing'}"
    return f"{name!r} is nobody in the story{known}"


def story_cast(story: Story) -> list[Entity]:
    """Everybody and everything of a whole story."""
    return [*story.characters, *story.objects, *story.locations]


def rename_images(
    story: Story,
    data: dict[str, Any],
    new_names: Mapping[str, str],
    given: Container[str] = (),
    *,
    unnamed_places: bool = False,
) -> dict[str, Any]:
    """A story's plain data with other names for its images and masks.

    Args:
        data: the plain data of `story`; it is not changed.
        new_names: name as the story has it, or the default name → the new one. Others stay as they are.
        given: names of entities whose images the workflow gives.
        unnamed_places: images of the default name of locations for which the story names none get their new name too.
    """
    changed = dict(data)
    for entity in story_cast(story):
        names, mask = reference_names(story.slug, entity), mask_name(entity)
        fields: dict[str, Any] = {}
        unnamed_place = entity.kind == "location" and not entity.references
        if any(name in new_names for name in names) and (unnamed_places or not unnamed_place):
            fields["reference"] = [new_names.get(name, name) for name in names]
            if unnamed_place and entity.name not in given:
                # Named now, it would count among the cast (`cast_roles`), which it did not under its default name.
                fields["weight"] = 0
        if mask in new_names:
            fields["region"] = new_names[mask]
        if fields:
            key = SECTION_OF_KIND[entity.kind]
            changed[key] = {**changed[key], entity.name: {**changed[key][entity.name], **fields}}
    return changed
