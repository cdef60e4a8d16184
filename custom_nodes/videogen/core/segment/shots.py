"""Shot size and camera move, parsed from directions in German or English."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: size → (label, height of a standing person as a fraction of the image's height)
SHOT_SIZES: dict[str, tuple[str, float]] = {
    "extreme-wide": ("Extreme wide shot", 0.22),
    "wide": ("Wide shot", 0.36),
    "medium-wide": ("Medium wide shot", 0.62),
    "medium": ("Medium shot", 0.80),
    "medium-close": ("Medium close-up", 1.15),
    "close": ("Close-up", 1.55),
    "extreme-close": ("Extreme close-up", 2.30),
}

#: move → label. Pan and tilt turn the camera, tracking moves it, zoom changes the focal length.
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
#: move → direction of the view, x to the right and y down. Tracking is drawn to the right; zooms and a static camera have none.
MOVE_DIRECTIONS: dict[str, tuple[int, int]] = {
    "pan-left": (-1, 0),
    "pan-right": (1, 0),
    "track": (1, 0),
    "tilt-up": (0, -1),
    "tilt-down": (0, 1),
}

# The earliest match in the text wins; of two at the same place, the one listed first here. A word before "~" means
# the shot in a `technical` line, but in a prompt only with "shot" or the like after it: hats are wide-brimmed there.
_SIZE_WORDS: tuple[tuple[str, str], ...] = (
    (
        "extreme-close",
        r"extreme[sn]?\s+(?:close[- ]?ups?|nahaufnahmen?)|macro~|makro\w*|detailaufnahmen?|großaufnahmen?",
    ),
    ("medium-close", r"medium[- ]close[- ]?ups?|halbnah\w*"),
    ("extreme-wide", r"extreme[- ](?:wide|long)~|panorama~|panoramaaufnahme|supertotale|weitaufnahme|establishing~"),
    ("medium-wide", r"medium[- ](?:wide|long)~|amerikanische~|cowboy\s+shot"),
    ("medium", r"halbtotale\w*|medium~|mid[- ]?shot"),
    ("wide", r"totale\w*|wide~|long\s+shot|full\s+shot"),
    ("close", r"close[- ]?ups?|nahaufnahmen?|naheinstellung|nah(?:e|er|es)?~"),
)
# Every repetition that can begin at many places of a text, and then run over the same characters, has an upper limit: a prompt
# of 20,000 characters costs 20,000 steps and not 400,000,000. The limits are longer than any word.
_SHOT_FOLLOWS = r"(?=[\s-]{1,8}(?:[\w/-]{1,40}\s){0,2}(?:shots?|views?|angles?|einstellung)(?!\w))"
_MOVE_WORDS: tuple[tuple[str, str], ...] = (
    (
        "zoom-out",
        r"zoom\w*[\s-]+(?:\w+\s+)?(?:out|back|heraus|raus|zurück)|herauszoom\w*|pull(?:s|ing)?[- ]?(?:back|out)",
    ),
    ("zoom-in", r"zoom\w*|hineinzoom\w*|push(?:es|ing)?[- ]?in"),
    ("tilt", r"tilt\w*|neig\w*|vertikalschwenk\w*"),
    ("pan", r"\w*schwenk\w*|pan(?:s|ning|ned)?"),
    (
        "track",
        r"tracking|kamerafahrt|dolly|travell?ing|steadicam|gimbalfahrt|kamerabewegung|camera\s+move\w*|handheld|handkamera",
    ),
    ("static", r"statisch\w*|static\w*|locked[- ]?off|stativ|feste\s+kamera|fixed\s+camera"),
)
# In a prompt people pan for gold and tilt their heads: only clauses that speak of the camera are read for its moves.
_CAMERA_TALK = re.compile(
    r"camera|kamera|schwenk|zoom|dolly|tracking|(?:slow|subtle|gentle|smooth|slight)\w{0,20}\s(?:pan|tilt)"
    r"|(?<!\w)(?:pan|tilt)(?:s|ning|ing)?\s(?:shot|movement|left|right|up|down|from|across)",
    re.IGNORECASE,
)
# Whole phrases first, as "rechts nach links" has the words of both; the single words count next to the camera's move only.
_ACROSS: tuple[tuple[str, str], ...] = (
    ("pan-left", r"rechts\s+nach\s+links|right[- ]to[- ](?:the\s+)?left"),
    ("pan-right", r"links\s+nach\s+rechts|left[- ]to[- ](?:the\s+)?right"),
)
_SIDEWAYS: tuple[tuple[str, str], ...] = (
    ("pan-left", r"links(?:schwenk\w*)?|left(?:wards?)?"),
    ("pan-right", r"rechts(?:schwenk\w*)?|right(?:wards?)?"),
)
_ALONG: tuple[tuple[str, str], ...] = (
    ("tilt-up", r"unten\s+nach\s+oben|bottom[- ]to[- ](?:the\s+)?top"),
    ("tilt-down", r"oben\s+nach\s+unten|top[- ]to[- ](?:the\s+)?bottom"),
)
_VERTICALLY: tuple[tuple[str, str], ...] = (
    # A close-up points nowhere.
    ("tilt-up", r"(?<!close[- ])(?:oben|up(?:wards?)?)"),
    ("tilt-down", r"unten|down(?:wards?)?"),
)
_CLAUSE_ENDS = ".,;\n"
_GAPS = re.compile(r"\s{2,}")
_NEGATION = re.compile(r"(?:\bkein\w*|\bohne|\bno|\bnot|\bnicht|\bwithout)\s+(?:\w+\s+)?$", re.IGNORECASE)
_GENTLE = re.compile(
    r"subtil\w*|subtle|leicht\w*|slight\w*|langsam\w*|slow\w*|gentle|sanft\w*|minimal\w*", re.IGNORECASE
)


@dataclass(frozen=True)
class Shot:
    """Shot size and camera move of a segment.

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
    """Parse the shot from the `technical` line, and from the prompt where that line leaves something open.

    ``"Halbtotale/Totale mit Schwenk rechts nach links"`` is a medium shot that pans left. By default the
    size is medium and the camera static.
    """
    technical, prompt = _close_gaps(technical), _close_gaps(prompt)
    size = _find_size(technical) or _find_size(prompt, in_prompt=True) or "medium"
    move, directed = _find_move(technical)
    if move is None or (move != "static" and not directed):
        clauses = re.split("[.,;\n]", prompt)
        prompt_move, prompt_directed = _find_move(
            ", ".join(clause for clause in clauses if _CAMERA_TALK.search(clause))
        )
        if prompt_move and (move is None or (prompt_directed and prompt_move != "static")):
            move = prompt_move
    if move is None or move == "static":
        return Shot(size, "static", 0.0)
    return Shot(size, move, 0.5 if _GENTLE.search(technical) or (not technical and _GENTLE.search(prompt)) else 1.0)


def _close_gaps(text: str) -> str:
    """The text with one space, or one end of a line, in place of several: no pattern has to read a run of them twice."""
    return _GAPS.sub(lambda gap: "\n" if "\n" in gap[0] else " ", text)


def _find_size(text: str, *, in_prompt: bool = False) -> str | None:
    follows = _SHOT_FOLLOWS if in_prompt else ""
    found = _earliest(tuple((size, words.replace("~", follows)) for size, words in _SIZE_WORDS), text)
    return found[0] if found else None


def _find_move(text: str) -> tuple[str | None, bool]:
    """The camera move in a text, and whether the text states its direction."""
    found = _earliest(_MOVE_WORDS[:-1], text)
    if found is None:
        return ("static" if _earliest(_MOVE_WORDS[-1:], text) else None), True
    move, start = found
    if move not in ("pan", "tilt"):
        return move, move != "track"
    sideways = _find_direction(_ACROSS, _SIDEWAYS, text, start)
    vertically = _find_direction(_ALONG, _VERTICALLY, text, start)
    if move == "tilt" or (vertically and not sideways):
        return vertically or "tilt-up", vertically is not None
    return sideways or "pan-right", sideways is not None


def _find_direction(
    phrases: tuple[tuple[str, str], ...], words: tuple[tuple[str, str], ...], text: str, start: int
) -> str | None:
    """Direction of the move whose word is at `start`: a whole phrase, else the next word in its clause, else the one before."""
    clause_start = max(text.rfind(mark, 0, start) for mark in _CLAUSE_ENDS) + 1
    clause_end = min((end for mark in _CLAUSE_ENDS if (end := text.find(mark, start)) >= 0), default=len(text))
    found = (
        _earliest(phrases, text[clause_start:clause_end])
        or _earliest(phrases, text)
        or _earliest(words, text[start:clause_end])
        or _earliest(words, text[clause_start:start])
    )
    return found[0] if found else None


def _earliest(words: tuple[tuple[str, str], ...], text: str) -> tuple[str, int] | None:
    """The name and position of the earliest match that is not negated ("no camera movement")."""
    best: tuple[str, int] | None = None
    for name, pattern in words:
        for match in re.finditer(rf"(?<!\w)(?:{pattern})(?!\w)", text, re.IGNORECASE):
            # 40 characters have room for "without any"; searching the whole text before takes seconds in a long prompt.
            if _NEGATION.search(text, max(0, match.start() - 40), match.start()):
                continue
            if best is None or match.start() < best[1]:
                best = (name, match.start())
            break
    return best
