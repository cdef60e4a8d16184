"""Objects as flat symbols: which symbol a name means, its height, and its painter."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ....core.story.model import Entity
from ..drawing.canvas import Canvas
from ..drawing.colors import RGB, Light, parse_color
from . import symbols, trees
from .words import find_color, says, seed_of, words_of

#: Draws an object in units of its own height; (0, 0) is its top middle, y = 1 the ground.
Painter = Callable[[Canvas, Light], None]


@dataclass(frozen=True)
class Prop:
    """A drawable object.

    Attributes:
        height: meters.
        aspect: width over height.
        sways: whether the wind moves it.
        initial: a letter drawn on it, for objects without a symbol of their own.
    """

    kind: str
    height: float
    aspect: float
    paint: Painter
    sways: bool = False
    initial: str = ""


# (kind, words, height in meters, width over height); the first whose words match counts. Two passes: key and
# label first, so that "the house behind the tree" in a description does not turn a tree into a house.
_KINDS: tuple[tuple[str, str, float, float], ...] = (
    ("can", r"watering[- ]?cans?|gie(?:ß|ss)kanne\w*", 0.42, 1.45),
    ("bottle", r"\w*bottles?|\w*flaschen?|vial|flacon", 0.34, 0.40),
    ("spade", r"spades?|shovels?|\w*spaten|\w*schaufel\w*|garden fork|rake|hoe|harke|rechen", 1.10, 0.24),
    ("bucket", r"buckets?|pails?|\w*eimer", 0.36, 1.05),
    (
        "house",
        r"(?:farm|green|tree)?houses?|\w*haus|\w*häuser|barns?|scheunen?|"
        r"cottages?|hütten?|cabin|shed",
        5.0,
        1.15,
    ),
    ("car", r"cars?|autos?|vehicles?|vans?|trucks?|tractors?|fahrzeuge?|lieferwagen|pkw|wagen|traktor", 1.5, 2.55),
    ("bicycle", r"bicycles?|bikes?|fahrr(?:ad|äder)|rad", 1.1, 1.62),
    ("dog", r"dogs?|pupp(?:y|ies)|\w*hunde?|welpe\w*", 0.65, 1.28),
    ("cat", r"cats?|kittens?|katzen?|kater", 0.38, 1.15),
    ("book", r"books?|bücher|buch|diary|tagebuch", 0.30, 0.80),
    (
        "paper",
        r"papers?|documents?|\w*vouchers?|letters?|maps?|posters?|dokumente?|"
        r"\w*gutschein\w*|briefe?|urkunden?|plan|certificate",
        0.34,
        0.76,
    ),
    ("sign", r"signs?|schild\w*|\w*schild|banners?", 1.5, 0.72),
    ("box", r"boxe?s?|crates?|packages?|parcels?|kisten?|kartons?|pakete?|suitcase|koffer|chest|truhe", 0.48, 1.28),
    ("bench", r"bench(?:es)?|bänke|bank|sofa|couch", 0.9, 1.75),
    ("chair", r"chairs?|st(?:uhl|ühle)|hocker|stool|sessel|armchair", 0.95, 0.56),
    ("table", r"tables?|desks?|(?:ess|schreib|garten|holz|küchen)?tische?", 0.78, 1.75),
    ("lamp", r"lamps?|lanterns?|lampen?|laternen?|candles?|kerzen?", 1.5, 0.42),
    ("ball", r"balls?|bälle|fußball|football", 0.26, 1.0),
    ("pole", r"stakes?|posts?|poles?|sticks?|pfähle|\w*pfahl|pfosten|\w*stange|stab|stock", 1.9, 0.10),
    (
        "sapling",
        r"\w*saplings?|seedlings?|young (?:\w+ )?trees?|setzlinge?|jungb[aä]um\w*|\w*bäumchen|"
        r"junge[rn]? (?:\w+)?baum|steckling",
        1.3,
        0.52,
    ),
    ("conifer", r"spruces?|firs?|pines?|conifers?|christmas trees?|tannen?\w*|fichten?|kiefern?", 4.0, 0.50),
    ("tree", r"\w*trees?|\w*b[aä]ume?|oaks?|eichen?|linden?|birken?", 3.5, 0.98),
    ("bush", r"bush(?:es)?|shrubs?|hedges?|sträucher|strauch|busch|büsche|hecken?", 1.1, 1.35),
    ("plant", r"(?:potted )?plants?|pots?|\w*pflanzen?|blumentöpfe|blumentopf|\w*topf", 0.5, 0.95),
    ("flower", r"flowers?|roses?|tulips?|sunflowers?|blumen?|rosen?|tulpen?|\w*blüten?", 0.55, 0.60),
    ("fruit", r"apples?|fruits?|pears?|oranges?|\w*äpfel|\w*apfel|birnen?|früchte|obst", 0.16, 1.05),
)
_SYMBOLS: dict[str, Callable[[Canvas, Light, RGB], None]] = {
    "can": symbols.draw_can,
    "bottle": symbols.draw_bottle,
    "spade": symbols.draw_spade,
    "bucket": symbols.draw_bucket,
    "house": symbols.draw_house,
    "car": symbols.draw_car,
    "bicycle": symbols.draw_bicycle,
    "dog": symbols.draw_dog,
    "cat": symbols.draw_cat,
    "book": symbols.draw_book,
    "paper": symbols.draw_paper,
    "sign": symbols.draw_sign,
    "box": symbols.draw_box,
    "bench": symbols.draw_bench,
    "chair": symbols.draw_chair,
    "table": symbols.draw_table,
    "lamp": symbols.draw_lamp,
    "ball": symbols.draw_ball,
    "pole": symbols.draw_pole,
    "thing": symbols.draw_thing,
}
_OWN_COLOR: dict[str, RGB] = {
    "spade": (150, 112, 74),
    "dog": (164, 118, 76),
    "cat": (120, 112, 108),
    "paper": (246, 242, 232),
    "pole": (214, 180, 132),
    "box": (196, 158, 108),
    "bench": (158, 116, 78),
    "chair": (158, 116, 78),
    "table": (158, 116, 78),
    "lamp": (246, 214, 140),
    "house": (226, 212, 190),
}
_GROWN = (
    r"grown|mature|full[- ]grown|fully grown|ausgewachsen\w*|"
    r"groß\w*|old|alte[rn]?|bearing|tragend\w*|big|tall|large"
)
_YOUNG = r"sapling\w*|young|small|little|tiny|junge[rn]?|klein\w*|setzling\w*|seedling\w*"
_FRUIT_COLORS: tuple[tuple[str, RGB], ...] = (
    (r"\w*apple\w*|\w*apfel\w*|\w*äpfel\w*", trees.APPLE),
    (r"\w*cherr\w*|\w*kirsch\w*", (170, 28, 48)),
    (r"\w*plum\w*|\w*pflaume\w*", (104, 64, 132)),
    (r"\w*pears?\b|\w*birne?\w*", (206, 190, 84)),
    (r"\w*orange\w*", (238, 148, 52)),
    (r"\w*lemon\w*|\w*zitrone\w*", (240, 212, 74)),
)
_METERS = re.compile(
    r"(?<!\d)(\d{1,6}(?:[.,]\d{1,6})?)(?:\s*(?:-|–|to|bis)\s*(\d{1,6}(?:[.,]\d{1,6})?))?\s*(m|cm|meters?|metres?|meter[n]?|"
    r"centimet\w+|zentimeter\w*)\b",
    re.I,
)


def read_prop(entity: Entity) -> Prop:
    """The object named by an entity's key, label or description; a plain shape with its initial for any other."""
    naming = f"{re.sub(r'[_-]+', ' ', entity.name)}. {entity.label}"
    text = words_of(entity)
    kind, height, aspect = _find_kind(naming) or _find_kind(entity.description[:2000]) or ("thing", 0.6, 1.0)
    if kind in ("tree", "sapling"):
        young = kind == "sapling" or says(_YOUNG, naming) or (says(_YOUNG, text) and not says(_GROWN, text))
        if says(_GROWN, naming):
            young = False
        kind, height, aspect = ("sapling", 1.3, 0.52) if young else ("tree", 3.5, 0.98)
    measured = _METERS.search(entity.description)
    if measured and kind in ("sapling", "tree", "conifer", "bush", "house", "thing"):
        values = [float(value.replace(",", ".")) for value in measured.groups()[:2] if value]
        unit = 0.01 if measured[3].lower().startswith(("c", "z")) else 1.0
        height = min(12.0, max(0.1, sum(values) / len(values) * unit))
    initial = (
        next((character for character in entity.label or entity.name if character.isalnum()), "")
        if kind == "thing"
        else ""
    )
    return Prop(
        kind,
        height,
        aspect,
        _painter(kind, entity, text),
        kind in ("sapling", "tree", "flower", "plant", "bush"),
        initial.upper()[:1],
    )


def _find_kind(text: str) -> tuple[str, float, float] | None:
    for kind, words, height, aspect in _KINDS:
        if says(rf"(?:{words})\b", text):
            return kind, height, aspect
    return None


def _painter(kind: str, entity: Entity, text: str) -> Painter:
    color, seed = parse_color(entity.color), seed_of(entity)
    fruit = next((tint for words, tint in _FRUIT_COLORS if says(words, text)), None)
    if kind == "tree":
        bearing = fruit if not says(r"(?:bare|blossom\w*|blüh\w*)", text) else None
        return lambda canvas, light: trees.draw_grown_tree(canvas, light, seed, bearing)
    if kind == "sapling":
        return lambda canvas, light: trees.draw_sapling(canvas, light, seed)
    if kind == "conifer":
        return lambda canvas, light: trees.draw_conifer(canvas, light, (64, 108, 84))
    if kind == "bush":
        return lambda canvas, light: trees.draw_bush(canvas, light, seed, (98, 142, 84))
    if kind == "plant":
        return lambda canvas, light: trees.draw_potted_plant(canvas, light, seed, (98, 150, 90))
    described = find_color(r"\w+\b", text) if kind not in ("tree", "sapling") else None
    if kind == "flower":
        return lambda canvas, light: trees.draw_flower(canvas, light, described or color)
    if kind == "fruit":
        skin = described or fruit or trees.APPLE
        return lambda canvas, light: trees.draw_fruit(canvas, 0, 0.56, 0.43, light.soften(0.6)(skin))
    draw = _SYMBOLS[kind]
    return lambda canvas, light: draw(canvas, light.soften(0.6), described or _OWN_COLOR.get(kind, color))
