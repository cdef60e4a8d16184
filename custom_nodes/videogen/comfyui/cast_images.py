"""The images of a segment's cast, from ComfyUI's input folder or the graph, and the masks of its regions."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import folder_paths
import torch
from torch import Tensor

from ..core.errors import ProblemList
from ..core.segment.plan import SegmentPlan
from ..core.segment.references import Role, cast_of, cast_roles, how_to_make, mask_name, missing_image
from ..core.segment.regions import Area, lay_out
from ..core.story.model import Entity
from ..core.story.validation import did_you_mean
from ..media.images.image_files import FileWatch, find_file, read_mask, read_reference_image
from ..media.path_inside import path_inside
from ..tensor.figure_crop import crop_to_figure
from .reference_images import ReferenceImage, References

log = logging.getLogger(__name__)

#: The image and mask files that the nodes have read.
files_read = FileWatch()


@dataclass(frozen=True)
class Member:
    """A character, object or location with reference images.

    Attributes:
        images: each (height, width, 3), as they are passed to the encoder.
        figures: where the figure is in each image, (height, width), 0…1, or None where no mask was given; empty for images
            that were cropped to it.
    """

    role: Role
    images: tuple[Tensor, ...]
    figures: tuple[Tensor | None, ...] = ()


@dataclass(frozen=True)
class Cast:
    """The images, regions and masks of a segment's cast.

    Attributes:
        members: those that have images.
        areas: the region of each character, object and location of the shot, with or without images.
        masks: name → mask image of a region, (height, width).
        without: a sentence for each missing image.
    """

    members: tuple[Member, ...]
    areas: tuple[Area, ...]
    masks: Mapping[str, Tensor]
    without: tuple[str, ...]


def read_cast(
    plan: SegmentPlan, weights: Mapping[str, float], given: References, *, must_be_there: bool, to_figure: bool
) -> Cast:
    """Find and read the images and masks of a segment's cast.

    Args:
        weights: kind → weight of those that have none in the story.
        must_be_there: raise for a missing image; otherwise a member without one is left out.
        to_figure: crop the images of characters and objects to the figure.

    Raises:
        VideoGenError: `reference-missing` with all missing files, before any is read; `image-invalid` and `mask-invalid`
            for a file that cannot be used.
    """
    folder = Path(folder_paths.get_input_directory())
    roles = cast_roles(plan, weights, given.names)
    note_unknown_references(plan, given)
    entities = cast_of(plan) if roles else []
    mask_names = {_key(entity): mask_name(entity) for entity in entities}
    names = [name for role in roles for name in role.names] + [name for name in mask_names.values() if name]
    paths = {name: look_up(folder, name) for name in names}
    problems = [
        missing_image(entity, name)
        for entity, needed in (
            *((role.entity, role.names) for role in roles),
            *((entity, (mask_names[_key(entity)],)) for entity in entities if mask_names[_key(entity)]),
        )
        for name in needed
        if paths[name] is None
    ]
    if problems and must_be_there:
        raise ProblemList("reference-missing", f"segment {plan.number} lacks pictures", problems, how_to_make())
    for problem in problems:
        log.warning("segment %d continues without: %s", plan.number, problem)
    members = []
    for role in roles:
        found = [_read(path, name) for name in role.names if (path := paths[name])] or given.of(role.entity.name)
        if found:
            if to_figure and role.entity.kind != "location":
                members.append(Member(role, tuple(crop_to_figure(one.image, one.figure) for one in found)))
            else:
                members.append(Member(role, tuple(one.image for one in found), tuple(one.figure for one in found)))
    masks = {
        name: torch.from_numpy(read_mask(path, name, plan.size))
        for name in filter(None, mask_names.values())
        if (path := paths[name])
    }

    def placed(entity: Entity) -> Entity:
        return dataclasses.replace(entity, region=None) if mask_name(entity) not in ("", *masks) else entity

    # Members without images keep their regions too, so that no other image acts there.
    areas = lay_out(
        [placed(entity) for entity in plan.characters],
        [placed(entity) for entity in plan.objects],
        plan.location,
        counted=[_key(member.role.entity) for member in members],
    )
    return Cast(tuple(members), tuple(areas), masks, tuple(map(str, problems)))


def note_unknown_references(plan: SegmentPlan, given: References) -> None:
    """Log references that are not in the segment's cast: another segment of the story may use them, so this is not an error."""
    cast = [entity.name for entity in cast_of(plan)]
    for name in given.names:
        if name not in cast:
            meant = did_you_mean(name, [other for other in cast if other not in given.names])
            level = logging.WARNING if meant else logging.INFO
            log.log(level, "`references` shows %r, who is not in segment %d%s", name, plan.number, meant)


def look_up(folder: Path, name: str) -> Path | None:
    """Find a file in the input folder, and watch it for changes from now on, also when it does not exist."""
    path = find_file(folder, name, links_may_leave=True)
    files_read.note(path or path_inside(folder, name))
    return path


def _read(path: Path, name: str) -> ReferenceImage:
    image = read_reference_image(path, name)
    return ReferenceImage(torch.from_numpy(image.rgb), None if image.alpha is None else torch.from_numpy(image.alpha))


def _key(entity: Entity) -> tuple[str, str]:
    return entity.kind, entity.name
