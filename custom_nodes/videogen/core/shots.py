"""Shot size and camera move, read off a director's words in German or English."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: size -> (label, share of the picture's height that a standing person takes)
SHOT_SIZES: dict[str, tuple[str, float]] = {
    "extreme-wide": ("Extreme wide shot", 0.22),
    "wide": ("Wide shot", 0.36),
    "medium-wide": ("Medium wide shot", 0.62),
    "medium": ("Medium shot", 0.80),
    "medium-close": ("Medium close-up", 1.15),
    "close": ("Close-up", 1.55),
    "extreme-close": ("Extreme close-up", 2.30),
}

#: move -> label. Pan and tilt turn the camera, tracking moves it, zoom changes the focal length.
CAMERA_MOVES: dict[str, str] = {
    "static": "Static camera",
    "pan-left": "Pan left",
    "pan-right": "Pan right",
    "tilt-up": "Tilt up",
    "tilt-down": "Tilt down",
    "zoom-in": "Zoom in",
    "zoom-out": "Zoom out",
    "track": "Tracking shot",
}

# The earliest match in the text wins; of two at the same place, the one that stands first here.
_SIZE_WORDS: tuple[tuple[str, str], ...] = (
    (
        "extreme-close",
        r"extreme[sn]?\s+(?:close[- ]?ups?|nahaufnahmen?)|macro|makro\w*|detailaufnahmen?|großaufnahmen?",
    ),
    ("medium-close", r"medium\s+close[- ]?ups?|halbnah\w*"),
    ("extreme-wide", r"extreme\s+(?:wide|long)|panorama(?:aufnahme)?|supertotale|weitaufnahme|establishing"),
    ("medium-wide", r"medium[- ](?:wide|long)|amerikanische|cowboy\s+shot"),
    ("medium", r"halbtotale\w*|medium|mid[- ]?shot"),
    ("wide", r"totale\w*|wide|long\s+shot|full\s+shot"),
    ("close", r"close[- ]?ups?|nahaufnahmen?|\bnah(?:e|er|es)?\b"),
)
_RIGHT_TO_LEFT = (
    r"(?:rechts\s+nach\s+links|right[- ]to[- ]left|nach\s+links|(?:to\s+the\s+)?left(?:wards?)?|linksschwenk)"
)
_LEFT_TO_RIGHT = (
    r"(?:links\s+nach\s+rechts|left[- ]to[- ]right|nach\s+rechts|(?:to\s+the\s+)?right(?:wards?)?|rechtsschwenk)"
)
_UPWARDS = r"(?:unten\s+nach\s+oben|bottom[- ]to[- ]top|nach\s+oben|up(?:wards?)?)"
_DOWNWARDS = r"(?:oben\s+nach\s+unten|top[- ]to[- ]bottom|nach\s+unten|down(?:wards?)?)"
_MOVE_WORDS: tuple[tuple[str, str], ...] = (
    ("zoom-out", r"zoom\w*[\s-]+(?:out|back|heraus|raus|zurück)|herauszoom\w*|zoomt?\s+(?:langsam\s+)?(?:heraus|raus)"),
    ("zoom-in", r"zoom\w*|hineinzoom\w*|push[- ]?in"),
    ("tilt", r"\btilt\w*|neig\w*|vertikalschwenk\w*"),
    ("pan", r"\w*schwenk\w*|\bpan(?:s|ning|ned)?\b"),
    (
        "track",
        r"tracking|kamerafahrt|dolly|travell?ing|steadicam|gimbalfahrt|kamerabewegung|camera\s+move\w*|handheld|handkamera",
    ),
    ("static", r"statisch\w*|static\w*|locked[- ]?off|stativ|feste\s+kamera|fixed\s+camera"),
)
_NEGATION = re.compile(r"(?:\bkein\w*|\bohne|\bno|\bnot|\bnicht|\bwithout)\s+(?:\w+\s+)?$", re.IGNORECASE)
_GENTLE = re.compile(
    r"subtil\w*|subtle|leicht\w*|slight\w*|langsam\w*|slow\w*|gentle|sanft\w*|minimal\w*", re.IGNORECASE
)


@dataclass(frozen=True)
class Shot:
    """How the camera sees a segment.

    Attributes:
        size: a key of `SHOT_SIZES`.
        move: a key of `CAMERA_MOVES`.
        amount: how far the camera moves, 0 (static) to 1; 0.5 for a "subtle" or "slow" move.
    """

    size: str = "medium"
    move: str = "static"
    amount: float = 0.0

    @property
    def label(self) -> str:
        return f"{SHOT_SIZES[self.size][0]} · {CAMERA_MOVES[self.move]}"


def parse_shot(technical: str, prompt: str = "") -> Shot:
    """Read a shot off the `technical` line; what it leaves open is looked up in the prompt.

    ``"Halbtotale/Totale mit Schwenk rechts nach links"`` is a medium shot that pans left. Without any word for it the
    size is medium and the camera static.
    """
    size = _find_size(technical) or _find_size(prompt) or "medium"
    move, directed = _find_move(technical)
    if move is None or (move != "static" and not directed):
        prompt_move, prompt_directed = _find_move(prompt)
        if prompt_move and (move is None or (prompt_directed and prompt_move != "static")):
            move = prompt_move
    if move is None or move == "static":
        return Shot(size, "static", 0.0)
    return Shot(size, move, 0.5 if _GENTLE.search(technical) or (not technical and _GENTLE.search(prompt)) else 1.0)


def _find_size(text: str) -> str | None:
    return _earliest(_SIZE_WORDS, text, skip_negated=True)


def _find_move(text: str) -> tuple[str | None, bool]:
    """The camera move in a text, and whether the text gives its direction."""
    moving = _earliest(_MOVE_WORDS[:-1], text, skip_negated=True)
    if moving is None:
        return _earliest(_MOVE_WORDS[-1:], text), True
    upwards, downwards = re.search(_UPWARDS, text, re.IGNORECASE), re.search(_DOWNWARDS, text, re.IGNORECASE)
    if moving == "tilt" or (moving == "pan" and bool(upwards or downwards) and not _horizontal(text)):
        return ("tilt-down" if downwards and not upwards else "tilt-up"), bool(upwards or downwards)
    if moving == "pan":
        leftwards = _horizontal(text)
        return (leftwards or "pan-right"), leftwards is not None
    return moving, moving != "track"


def _horizontal(text: str) -> str | None:
    # "von rechts nach links" has both words: the whole phrase is looked for before the single ones.
    for phrase, move in (
        (r"rechts\s+nach\s+links|right[- ]to[- ]left", "pan-left"),
        (r"links\s+nach\s+rechts|left[- ]to[- ]right", "pan-right"),
        (_RIGHT_TO_LEFT, "pan-left"),
        (_LEFT_TO_RIGHT, "pan-right"),
    ):
        if re.search(rf"(?<!\w)(?:{phrase})(?!\w)", text, re.IGNORECASE):
            return move
    return None


def _earliest(words: tuple[tuple[str, str], ...], text: str, *, skip_negated: bool = False) -> str | None:
    best: tuple[int, str] | None = None
    for name, pattern in words:
        for match in re.finditer(rf"(?<!\w)(?:{pattern})(?!\w)", text, re.IGNORECASE):
            if skip_negated and _NEGATION.search(text[: match.start()]):
                continue
            if best is None or match.start() < best[0]:
                best = (match.start(), name)
            break
    return best[1] if best else None
