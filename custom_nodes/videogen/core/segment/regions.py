"""Who is where in the frame: the regions of a segment's cast, out of what the story says and who else is in the shot."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import IntEnum

from ..story.model import Entity
from ..story.schema import REGIONS

#: x, y, width and height in 0…1, counted from the top left corner.
Box = tuple[float, float, float, float]
#: Who is alone in the shot has the rest of the frame to himself, so a named place for one is wider than half of it.
ALONE: dict[str, Box] = {
    "left": (0.0, 0.0, 2 / 3, 1.0),
    "centre": (1 / 6, 0.0, 2 / 3, 1.0),
    "right": (1 / 3, 0.0, 2 / 3, 1.0),
}


class Layer(IntEnum):
    """Who has his place first: where areas overlap, those of a later layer yield to those of the layers before."""

    #: Characters whose region the story gives.
    GIVEN = 0
    #: Characters without a region, put into the columns that are left.
    PLACED = 1
    #: Objects whose region the story gives.
    OBJECT = 2
    #: Everybody else: they share, kind by kind, what the regions leave.
    REST = 3


@dataclass(frozen=True)
class Area:
    """Where somebody or something is.

    Attributes:
        box: its place; None when it is `file` that says it, or when it is on the layer REST.
        file: name of a mask image, or "".
        share: on the layer REST, which part of what the regions leave it gets: 1 / the number of its kind there.
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

    - A box or a mask image counts as it is given.
    - ``left``, ``center`` and ``right`` are columns of one grid: halves, thirds as soon as a center is among them, and
      more when more characters are in the shot. Alone in the shot they are two thirds of the frame (`ALONE`).
    - Of two or more characters, those without a region get the columns that are left, in the order of the cast.
    - A character without a region who is alone, or beside others with boxes and masks only, covers what the regions
      leave: the whole frame when there are none. So do objects without a region, and the location.

    Args:
        counted: (kind, name) of those who share what the regions leave; None for all. Everybody in the shot keeps his
            region all the same: nobody else is to appear in it.
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
    """The columns of those with a named region, and of the characters that are put beside them."""
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
    left_over = [column for column in range(count) if column not in {places[name] for name in claimed}]
    chosen = {(entity.kind, entity.name): places[str(entity.region)] for entity in named}
    # More columns than people can only be left over beside a center.
    chosen |= {(entity.kind, entity.name): column for entity, column in zip(free, left_over, strict=False)}
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
