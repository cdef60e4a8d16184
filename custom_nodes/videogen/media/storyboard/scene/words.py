"""Reads the look of a person or thing from a description in English or German."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

import numpy as np

from ....core.story.model import Entity
from ..drawing.colors import RGB

_COLOR_WORDS: tuple[tuple[str, RGB], ...] = (
    (r"(?:navy|dark[- ]blue|dunkelblau\w*|marineblau\w*)", (45, 66, 112)),
    (r"(?:light[- ]blue|hellblau\w*|sky[- ]blue)", (139, 184, 226)),
    (r"(?:blue|blau(?:e[nrsm]?)?)", (66, 116, 186)),
    (r"(?:dark[- ]green|dunkelgrün\w*|moss[- ]?green|moosgrün\w*|olive\w*|oliv\w*)", (82, 104, 66)),
    (r"(?:green|grün(?:e[nrsm]?)?)", (92, 148, 92)),
    (r"(?:red|rot(?:e[nrsm]?)?)", (196, 74, 66)),
    (r"(?:yellow|gelb(?:e[nrsm]?)?)", (232, 192, 84)),
    (r"(?:orange\w*)", (228, 140, 66)),
    (r"(?:pink|rosa\w*)", (226, 144, 168)),
    (r"(?:purple|violet|lila|violett\w*)", (132, 100, 176)),
    (r"(?:turquoise|teal|türkis\w*)", (72, 160, 160)),
    (r"(?:beige|cream|khaki|sand\w*)", (214, 194, 156)),
    (r"(?:brown|braun(?:e[nrsm]?)?|leather)", (128, 92, 66)),
    (r"(?:black|schwarz(?:e[nrsm]?)?)", (48, 50, 58)),
    (r"(?:white|weiß(?:e[nrsm]?)?|weiss(?:e[nrsm]?)?)", (238, 236, 230)),
    (r"(?:gr[ae]y|grau(?:e[nrsm]?)?|silver)", (150, 150, 150)),
    (r"(?:blond\w*|fair)", (218, 182, 112)),
    (r"(?:dark|dunkle\w*)", (76, 68, 64)),
)
# A German noun within an English word ("rock", "kind", "hose" in "whose") is distinguished by its capital, or
# listed whole.
_SHIRT = r"(?:(?:\w+-)?\w*shirts?|\w*hemde?s?|\w*blus?en?|blouse|pullover|sweater|jumper|hoodie|polo|top|vest|weste)\b"
_JACKET = r"(?:\w*jacke|jacket|(?:over|rain)?coat|\w*mantel|parka|anorak|blazer|suit|anzug|uniform|overall|latzhose)\b"
_DRESS = r"(?:\w*dress|\w*kleid|gown|skirt|(?-i:\w*[Rr]ock(?<!\brock)))\b"
_TROUSERS = r"(?:trousers|pants|\w*jeans|(?:arbeits|cord|stoff|leder)?hosen?|shorts)\b"
_HAT = r"(?:(?:straw|felt|sun|top)?[ -]?hats?|\w*hut|\w*hüte|cap|beanie|\w*mütze|kappe|fedora)\b"
_HAIR = r"(?:(?:\w+-)?hair(?:ed)?|\w*haar\w*)\b"
_NEGATED = re.compile(r"\b(?:no|not|without|never|kein\w*|ohne|nicht|nie)\s+(?:\w+\s+){0,2}$", re.I)

_DENIM: RGB = (84, 112, 156)
SKIN: tuple[RGB, ...] = (
    (240, 205, 178),
    (232, 190, 158),
    (222, 176, 142),
    (196, 146, 110),
    (150, 104, 76),
    (112, 78, 58),
)
HAIR: tuple[RGB, ...] = ((74, 56, 46), (104, 76, 54), (52, 44, 44), (140, 104, 70))


@dataclass(frozen=True)
class Look:
    """The features of a figure."""

    skin: RGB
    hair: RGB
    top: RGB
    trousers: RGB
    dress: RGB | None = None
    jacket: RGB | None = None
    hat: RGB | None = None
    cap: bool = False
    beard: bool = False
    moustache: bool = False
    glasses: bool = False
    bald: bool = False
    long_hair: bool = False
    feminine: bool = False
    child: bool = False
    apron: bool = False
    beard_color: RGB | None = None
    pose: int = 0


def seed_of(entity: Entity) -> int:
    """The seed of the features that a description leaves open: always the same for a name and seed."""
    # hash() differs from one Python process to the next; CRC-32 does not.
    return (zlib.crc32(entity.name.encode("utf-8", "replace")) ^ (entity.seed or 0)) & 0x7FFFFFFF


def words_of(entity: Entity) -> str:
    """Name, label and description of an entity, with underscores and hyphens of its name as spaces."""
    return f"{re.sub(r'[_-]+', ' ', entity.name)}. {entity.label}. {entity.description[:2000]}"


def says(pattern: str, text: str) -> bool:
    """Whether the text has the word, other than as "no hat" or "ohne Hut"."""
    # 60 characters have room for a negation and two words; with the whole text before it, each match would read it again.
    return any(
        not _NEGATED.search(text, max(0, match.start() - 60), match.start())
        for match in re.finditer(rf"\b(?:{pattern})", text, re.I)
    )


def find_color(garment: str, text: str) -> RGB | None:
    """The color given for a garment: "blue checked shirt", "Hemd in Blau"."""
    for match in re.finditer(rf"\b(?:{garment})", text, re.I):
        # Not beyond a comma, a full stop or an "and": there the next garment begins.
        before = re.split(r"[,.;:]|\b(?:and|und|with|mit)\b", text[max(0, match.start() - 60) : match.start()])[-1]
        after = re.split(r"[,.;:]|\b(?:and|und|with|mit)\b", text[match.end() : match.end() + 30])[0]
        inside = match.group().lower()
        # The color next to the noun counts: the last one before it.
        candidates = [
            (found.end(), -rank, color)
            for rank, (words, color) in enumerate(_COLOR_WORDS)
            for found in re.finditer(rf"(?<![\wäöüß]){words}(?![\wäöüß])", before, re.I)
        ]
        if candidates:
            return max(candidates)[2]
        if re.match(r"\s+(?:in|is|ist|aus|of)\b|\s+\w*(?:blue|blau)", after, re.I):
            for words, color in _COLOR_WORDS:
                if re.search(rf"\b{words}\b", after, re.I):
                    return color
        # "Jeanshemd", "Blauhemd": the color is part of the noun.
        if inside.startswith("jeans"):
            return _DENIM
        for words, color in _COLOR_WORDS:
            if re.match(words, inside):
                return color
    return None


def read_look(entity: Entity, color: RGB) -> Look:
    """The features of a character: as described, the others from its seed; its top in `color`."""
    text = words_of(entity)
    draw = np.random.default_rng(seed_of(entity))
    skin, hair = SKIN[int(draw.integers(0, 3))], HAIR[int(draw.integers(0, len(HAIR)))]
    pose = int(draw.integers(0, 3))
    if says(r"dark[- ]skin\w*|dunkle\w* haut|dunkelhäutig\w*|black (?:man|woman)|african", text):
        skin = SKIN[4]
    elif says(r"tanned|gebräunt\w*|sonnengebräunt\w*|olive skin|latin\w*|indian|arab\w*", text):
        skin = SKIN[3]
    if says(
        r"old (?:man|woman)|elderly|senior\w*|grandfather|grandmother|großvater|großmutter|opa\b|oma\b|"
        r"alte[rn]? (?:mann|frau|herr|dame)|white[- ]hair\w*",
        text,
    ):
        hair = (204, 204, 204)
    hair = find_color(_HAIR, text) or hair
    feminine = says(
        r"woman|women|girl|lady|she\b|her\b|mother|sister|grandmother|wife|frau|mädchen|dame|mutter|"
        r"schwester|oma\b|tochter|daughter|gärtnerin|\w+erin\b|aunt|tante|queen|königin",
        text,
    )
    hat = says(_HAT, text)
    cap = hat and says(r"(?:baseball )?cap\b|kappe|basecap|beanie|\w*mütze", text)
    jacket = find_color(_JACKET, text) or ((92, 98, 110) if says(_JACKET, text) else None)
    dress = find_color(_DRESS, text) or (color if says(_DRESS, text) else None)
    return Look(
        skin=skin,
        hair=hair,
        top=find_color(_SHIRT, text) or color,
        trousers=find_color(_TROUSERS, text) or ((74, 88, 118), (92, 86, 80), (70, 74, 84))[seed_of(entity) % 3],
        dress=dress,
        jacket=jacket,
        hat=(find_color(_HAT, text) or ((70, 84, 110) if cap else (196, 162, 106))) if hat else None,
        cap=cap,
        beard=says(r"\w*beard(?:ed)?\b|\w*bart\b|vollbart|bärtig\w*", text)
        and not says(r"schnurrbart|schnauzbart", text),
        moustache=says(r"mou?stache|schnurrbart|schnauzbart|schnauzer", text),
        glasses=says(r"\w*glasses|\w*brille\b|spectacles", text),
        bald=says(r"bald\b|glatze|kahl\w*|shaved head", text),
        long_hair=says(
            r"long[\w, -]{0,20}hair\w*|lange[nsr]?\s(?:\w+\s)?haar\w*|langhaarig\w*|ponytail|zopf|braid\w*", text
        )
        or (feminine and not says(r"short[\w, -]{0,20}hair\w*|kurze[nsr]?\s(?:\w+\s)?haar\w*|kurzhaar\w*", text)),
        feminine=feminine,
        child=says(r"child|kid\b|boy|girl|toddler|(?-i:Kind|Junge)\b|mädchen|son\b|daughter|sohn|tochter", text),
        apron=says(r"apron|schürze", text),
        beard_color=find_color(r"\w*(?:beard|bart)\b", text),
        pose=pose,
    )
