"""Regions of a segment's cast in the frame, from the story's regions and the number of entities in the shot."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import IntEnum

from ..story.model import Entity
from ..story.schema import REGIONS

#: x, y, width and height in 0…1, from the top left corner.
Box = tuple[float, float, float, float]
#: Named regions of an entity that is alone in the shot: wider than half the frame, as nothing else needs the rest.
ALONE: dict[str, Box] = {
    "left": (0.0, 0.0, 2 / 3, 1.0),
    "centre": (1 / 6, 0.0, 2 / 3, 1.0),
    "right": (1 / 3, 0.0, 2 / 3, 1.0),
}


class Layer(IntEnum):
    """Priority of areas: where they overlap, a later layer yields to the earlier ones."""

    #: Characters whose region the story sets.
    GIVEN = 0
    #: Characters without a region, placed in the remaining columns.
    PLACED = 1
    #: Objects whose region the story sets.
    OBJECT = 2
    #: All others: they share, kind by kind, the space outside the regions.
    REST = 3


@dataclass(frozen=True)
class Area:
    """The area of an entity in the frame.

    Attributes:
        box: its box; None when `file` defines the area, or on the layer REST.
        file: name of a mask image, or "".
        share: on the layer REST, its fraction of the space outside the regions: 1 / the number of its kind there.
    """

    entity: Entity
    layer: Layer
    box: Box | None = None
    file: str = ""
    share: float = 1.0


def lay_out(
    characters: Sequence[Entity],
    objects: Sequence[Entity],
    location: Entity | None,
    *,
    counted: Collection[tuple[str, str]] | None = None,
) -> list[Area]:
    """The areas of a segment's characters, objects and location, in this order.

    - A box or a mask image is used as given.
    - ``left``, ``centre`` and ``right`` are columns of one grid: halves, thirds as soon as a center is among them, and
      more when more characters are in the shot. For an entity alone in the shot they are two thirds of the frame (`ALONE`).
    - Of two or more characters, those without a region are placed in the remaining columns, in the order of the cast.
    - A character without a region that is alone, or among others with boxes and masks only, covers the space outside the
      regions: the whole frame when there are none. So do objects without a region, and the location.

    Args:
        counted: (kind, name) of the entities that share the space outside the regions; None for all. Regions are reserved
            for all entities in the shot, counted or not.
    """
    columns = _columns(characters, objects)
    areas = []
    for entity in (*characters, *objects, *((location,) if location is not None else ())):
        layer = Layer.GIVEN if entity.kind == "character" else Layer.OBJECT
        key = (entity.kind, entity.name)
        if entity.region is None:
            box = columns.get(key)
            areas.append(Area(entity, Layer.PLACED if box else Layer.REST, box))
        elif _is_named(entity):
            areas.append(Area(entity, layer, columns[key]))
        elif isinstance(entity.region, str):
            areas.append(Area(entity, layer, file=entity.region))
        else:
            areas.append(Area(entity, layer, entity.region))
    return _share_rest(areas, counted)


def _columns(characters: Sequence[Entity], objects: Sequence[Entity]) -> dict[tuple[str, str], Box]:
    """The columns of entities with a named region, and of the characters placed next to them."""
    cast = [*characters, *objects]
    people = [entity for entity in cast if entity.kind == "character" and (entity.region is None or _is_named(entity))]
    named = [entity for entity in cast if _is_named(entity)]
    free = [entity for entity in people if entity.region is None] if len(people) > 1 else []
    rivals = [entity for entity in cast if entity.kind == "character" or entity.region is not None]
    if len(rivals) == len(named) == 1:
        return {(named[0].kind, named[0].name): ALONE[str(named[0].region)]}
    claimed = {str(entity.region) for entity in named}
    count = max(2, len(claimed) + len(free))
    if "centre" in claimed:
        count = max(3, count) | 1  # an odd number has a middle
    places = {"left": 0, "centre": count // 2, "right": count - 1}
    remaining = [column for column in range(count) if column not in {places[name] for name in claimed}]
    chosen = {(entity.kind, entity.name): places[str(entity.region)] for entity in named}
    # More columns than people only remain next to a center.
    chosen |= {(entity.kind, entity.name): column for entity, column in zip(free, remaining, strict=False)}
    return {key: (column / count, 0.0, 1 / count, 1.0) for key, column in chosen.items()}


def _is_named(entity: Entity) -> bool:
    return entity.region in REGIONS


def _share_rest(areas: list[Area], counted: Collection[tuple[str, str]] | None) -> list[Area]:
    def counts(area: Area) -> bool:
        return area.layer == Layer.REST and (counted is None or (area.entity.kind, area.entity.name) in counted)

    numbers: dict[str, int] = {}
    for area in filter(counts, areas):
        numbers[area.entity.kind] = numbers.get(area.entity.kind, 0) + 1
    return [
        Area(area.entity, area.layer, share=1 / numbers[area.entity.kind]) if counts(area) else area for area in areas
    ]
