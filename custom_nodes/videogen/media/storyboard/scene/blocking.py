"""Positions and sizes of a segment's figures in the camera's frame."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from ....core.segment.plan import SegmentPlan
from ....core.segment.shots import SHOT_SIZES
from ....core.story.model import Entity
from ..drawing.canvas import Canvas
from ..drawing.colors import Light, parse_color
from .people import PERSON_ASPECT, draw_person
from .props import Painter, read_prop
from .viewfinder import viewfinder_rect
from .words import read_look, says, words_of

_PERSON_METERS = 1.78
# Share of the frame's height above a standing person's head; the feet follow from the size of the shot.
_HEADROOM = {
    "extreme-wide": 0.56,
    "wide": 0.46,
    "medium-wide": 0.28,
    "medium": 0.155,
    "medium-close": 0.13,
    "close": 0.125,
    "extreme-close": 0.10,
}
#: Magnification of the scenery compared with a wide shot.
SCENERY_ZOOM = {
    "extreme-wide": 0.94,
    "wide": 1.0,
    "medium-wide": 1.08,
    "medium": 1.18,
    "medium-close": 1.34,
    "close": 1.5,
    "extreme-close": 1.75,
}
# Small things are drawn at least this high (share of the frame): a prop that the story names must be visible.
_MIN_HEIGHT = 0.15
_REGIONS = {"left": 0.24, "centre": 0.5, "center": 0.5, "right": 0.76}


@dataclass(frozen=True)
class Figure:
    """A person or thing in the image.

    Attributes:
        x, base, height: middle, ground and height in pixels of the image.
        aspect: width over height.
        depth: 0 in front; larger stands further back and is drawn earlier.
        sway: pixels by which its top moves to each side.
        crown: height of a hat above the top, as a share of the height.
    """

    entity: Entity
    x: float
    base: float
    height: float
    aspect: float
    paint: Painter
    depth: float = 0.0
    sway: float = 0.0
    crown: float = 0.0
    initial: str = ""

    @property
    def top(self) -> float:
        return self.base - self.height * (1 + self.crown)


@dataclass
class _Actor:
    """A figure before it is placed; `meters` its true height."""

    entity: Entity
    meters: float
    aspect: float
    paint: Painter
    sways: bool
    crown: float = 0.0
    initial: str = ""


def place_figures(plan: SegmentPlan, image: tuple[int, int], light: Light, horizon: float) -> list[Figure]:
    """The figures of a segment, back to front.

    Args:
        image: width and height in pixels of the image that shows the wider scene.
        horizon: share of the image's height above the horizon.
    """
    people = [_person(entity) for entity in plan.characters]
    things = [_thing(entity) for entity in plan.objects]
    first = viewfinder_rect(plan.shot, image, plan.size, 0.0)
    last = viewfinder_rect(plan.shot, image, plan.size, 1.0)
    # A zoom is staged for its first frame, a pan or tilt for the middle of its path.
    if plan.shot.move.startswith("zoom"):
        frame = first
    else:
        frame = tuple((a + b) / 2 for a, b in zip(first, last, strict=True))  # type: ignore[assignment]
    stage = _Stage(plan, frame, image, horizon, frame[0], frame[2])
    crowd = _order(people, things)
    if not crowd:
        return []
    if plan.shot.move.startswith("zoom"):
        # Figures stand within the narrow end of the zoom, where they must be visible.
        narrow = min(first, last, key=lambda box: box[2] - box[0])
        half = max((narrow[2] - narrow[0]) * 0.62, stage.person * 0.5)
        middle = (narrow[0] + narrow[2]) / 2
        stage = dataclasses.replace(stage, left=max(frame[0], middle - half), right=min(frame[2], middle + half))
    width = stage.right - stage.left
    scale = stage.person / _PERSON_METERS
    if not people:
        # Things without people are the subject: the tallest is as large as a person in this shot, within limits.
        tallest = max(actor.meters for actor in things)
        share = min(0.80, max(0.42, SHOT_SIZES[plan.shot.size][1] * 0.84))
        if plan.shot.size == "extreme-wide":
            share = 0.40
        scale = (frame[3] - frame[1]) * share / tallest
    wanted = sum(_breadth(actor, scale, stage, width) for actor in crowd)
    # When they would overlap, all of them step back, rather than some out of the image.
    squeeze = min(1.0, width * (1.10 if len(crowd) > 3 else 1.0) / max(1.0, wanted))
    figures = [
        _place(stage, actor, place, scale * squeeze, alone=not people)
        for actor, place in zip(crowd, _places(crowd, scale, stage), strict=True)
    ]
    return sorted(figures, key=lambda figure: -figure.depth)


@dataclass(frozen=True)
class _Stage:
    """The space for figures: between `left` and `right`, in the camera's `frame`, in pixels of the image."""

    plan: SegmentPlan
    frame: tuple[float, float, float, float]
    image: tuple[int, int]
    horizon: float
    left: float
    right: float

    @property
    def height(self) -> float:
        return self.frame[3] - self.frame[1]

    @property
    def person(self) -> float:
        """Pixels that a standing person takes in this shot."""
        return SHOT_SIZES[self.plan.shot.size][1] * self.height

    @property
    def feet(self) -> float:
        return self.frame[1] + (_HEADROOM[self.plan.shot.size] * self.height) + self.person


def _person(entity: Entity) -> _Actor:
    look = read_look(entity, parse_color(entity.color))

    def paint(canvas: Canvas, light: Light) -> None:
        draw_person(canvas, look, light)

    young = says(r"toddler|baby|small child|kleinkind", words_of(entity))
    meters = 0.95 if young else 1.32 if look.child else _PERSON_METERS * (0.95 if look.feminine else 1.0)
    return _Actor(
        entity, meters, PERSON_ASPECT, paint, False, (0.045 if look.hat else 0.01) + (0.035 if look.child else 0.0)
    )


def _thing(entity: Entity) -> _Actor:
    prop = read_prop(entity)
    return _Actor(entity, prop.height, prop.aspect, prop.paint, prop.sways, 0.02, prop.initial)


def _order(people: list[_Actor], things: list[_Actor]) -> list[_Actor]:
    """From left to right: people in the middle, things to both sides of them, the tallest next to them."""
    left: list[_Actor] = []
    right: list[_Actor] = []
    for index, thing in enumerate(sorted(things, key=lambda actor: -actor.meters)):
        (right if index % 2 == 0 else left).append(thing)
    return [*reversed(left), *people, *right]


def _breadth(actor: _Actor, scale: float, stage: _Stage, width: float) -> float:
    """Width of an actor in pixels of the image; a large one may stand behind the others."""
    if actor.entity.kind == "character":
        # Shoulders, not the brim of a hat.
        return PERSON_ASPECT * 0.78 * actor.meters * scale
    return min(actor.aspect * _shown(actor, scale, stage), width * 0.30)


def _shown(actor: _Actor, scale: float, stage: _Stage) -> float:
    """Height in pixels at which an actor is drawn before all step back."""
    return min(
        max(actor.meters * scale, _MIN_HEIGHT * stage.height),
        1.05 * stage.height if actor.entity.kind == "object" else 1e9,
    )


def _places(crowd: list[_Actor], scale: float, stage: _Stage) -> list[float]:
    """Center x of each actor in pixels: by region where there is one, the others side by side over the frame."""
    left, width = stage.left, stage.right - stage.left
    # Narrow ones get some room of their own, so that their names do not collide.
    breadths = [max(_breadth(actor, scale, stage, width) + width * 0.04, width * 0.13) for actor in crowd]
    fixed = [_fixed_place(actor.entity, stage) for actor in crowd]
    crowded = sum(breadths) > width * 0.94 and len({actor.entity.kind for actor in crowd}) > 1
    # Where there is not enough room side by side, people have it, and things stand in the gaps and behind.
    rowed = [not crowded or actor.entity.kind == "character" for actor in crowd]
    total = sum(breadth for breadth, row in zip(breadths, rowed, strict=True) if row)
    span = min(width * 0.94, total) if total > width * 0.6 else total + (width * 0.6 - total) * 0.35
    at = left + (width - span) / 2
    places = []
    for breadth, place, row in zip(breadths, fixed, rowed, strict=True):
        share = breadth / total * span if row else 0.0
        places.append(at + share / 2 if place is None else place)
        at += share
    if any(place is not None for place in fixed):
        _fill_gaps(places, fixed, breadths, left, width)
    elif crowded:
        people = [place if row else None for place, row in zip(places, rowed, strict=True)]
        _fill_gaps(places, people, breadths, left, width)
    return places


def _fixed_place(entity: Entity, stage: _Stage) -> float | None:
    left, width = stage.frame[0], stage.frame[2] - stage.frame[0]
    if isinstance(entity.region, str):
        return left + width * _REGIONS[entity.region] if entity.region in _REGIONS else None
    if entity.region is not None:
        return left + width * (entity.region[0] + entity.region[2] / 2)
    return None


def _fill_gaps(
    places: list[float], fixed: list[float | None], breadths: list[float], left: float, width: float
) -> None:
    """Move those without a region to where they cover the others least, the broadest first."""
    taken = [(place, breadth) for place, breadth in zip(fixed, breadths, strict=True) if place is not None]
    free = sorted((index for index, place in enumerate(fixed) if place is None), key=lambda index: -breadths[index])
    for index in free:
        half = min(breadths[index], width) / 2
        best = min(
            (left + half + (width - 2 * half) * step / 40 for step in range(41)),
            key=lambda x: (
                sum(max(0.0, (half + breadth / 2) - abs(x - place)) for place, breadth in taken)
                + 0.1 * abs(x - left - width / 2)
            ),
        )
        places[index] = best
        taken.append((best, breadths[index]))


def _place(stage: _Stage, actor: _Actor, x: float, scale: float, *, alone: bool) -> Figure:
    true = actor.meters * scale
    is_person = actor.entity.kind == "character"
    bottom, height = stage.frame[3], stage.height
    # Figures that stepped back stand nearer to the horizon; the head stays in its place while the feet are visible.
    head = stage.feet - stage.person
    feet = (
        min(stage.feet, max(head + _PERSON_METERS * scale, bottom - height * 0.06))
        if stage.feet > bottom
        else stage.feet
    )
    if alone:
        base = stage.frame[1] + height * (0.80 if stage.plan.shot.size.endswith("wide") else 0.90)
        return _figure(stage, actor, x, base, max(true, _MIN_HEIGHT * height), 0.0)
    if is_person:
        return _figure(stage, actor, x, feet, true, 0.0)
    ceiling = stage.frame[1] + height * 0.05
    eye = stage.horizon * stage.image[1]
    base, size, depth = feet, true, 0.1
    widest = 0.80 * (stage.frame[2] - stage.frame[0])
    if base - size < ceiling or size * actor.aspect > widest:
        # Too large for the frame at this distance: it stands further back, where the ground is nearer to the horizon.
        far = (eye - ceiling) / (size - (feet - eye)) if size > feet - eye else 1.0
        far = min(1.0, max(0.12, min(far, widest / (size * actor.aspect))))
        base, size, depth = eye + (feet - eye) * far, size * far, 2.0 - far
    elif feet > bottom:
        # In a close shot the ground is below the frame: a thing rises into it from the lower edge.
        shown = max(size, 0.30 * height)
        base, size, depth = max(bottom + height * 0.05, min(feet, bottom - height * 0.34 + shown)), shown, -0.5
    size = max(size, _MIN_HEIGHT * height)
    return _figure(stage, actor, x, base, size, depth)


def _figure(stage: _Stage, actor: _Actor, x: float, base: float, size: float, depth: float) -> Figure:
    sway = stage.image[1] * (0.0032 if actor.sways else 0.0016 if actor.entity.kind == "character" else 0.0)
    return Figure(actor.entity, x, base, size, actor.aspect, actor.paint, depth, sway, actor.crown, actor.initial)
