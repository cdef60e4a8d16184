"""Describes drift: which part of a subject changed, how, in which frames, and from which segment on."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .scores import Drift

#: Parts of a figure that are distinguished → their names where a description mentions no clothes.
PARTS = {"head": "head", "upper": "upper part", "lower": "lower part", "whole": "whole subject"}
#: Part → words for its clothes in a description. The first match names the part, as written there.
#: English words of other meanings (rock, kind, "hose" in whose) are excluded by word ends and capitals.
_CLOTHES: dict[str, str] = {
    "head": r"(?:\w*hats?|cap|beanie|helmet|hood|headscarf|hair|\w*[hH]elm|\w*Hut|\w*[mM]ütze|\w*[hH]aare?|Kappe)",
    "upper": r"(?:\w*shirt|coat|\w*jacket|sweater|jumper|pullover|hoodie|blouse|vest|cardigan|parka|blazer|suit|dress|gown"
    r"|uniform|tunic|\w*[hH]emd|\w*[mM]antel|\w*[jJ]acke|\w*[bB]luse|\w*[kK]leid|Weste|Anzug)",
    "lower": r"(?:trousers|pants|jeans|shorts|skirt|leggings|\w*[hH]ose|(?-i:\w*[Rr]ock(?<!\brock)))",
}
#: Smallest change that is reported: hue in degrees, lightness in L, color in chroma.
NOTICEABLE = {"hue": 12.0, "lightness": 7.0, "colour": 9.0}
_WORDS = {
    "hue": "hue {change:+.0f}°",
    "lightness": "lightness {change:+.0f}",
    "colour": "colorfulness {change:+.0f}",
}
#: Chroma (CIELAB) below which a hue means little: skin and grayish clothes turn with every change of light.
MIN_CHROMA = 15.0


@dataclass(frozen=True)
class PartColor:
    """The color of one part: CIELAB lightness, chroma, and hue in degrees."""

    lightness: float
    chroma: float
    hue: float


def average_parts(frames: Sequence[Mapping[str, PartColor]]) -> dict[str, PartColor]:
    """The mean color of each part over the frames that have it."""
    found: dict[str, PartColor] = {}
    for part in dict.fromkeys(name for colors in frames for name in colors):
        seen = [colors[part] for colors in frames if part in colors]
        a, b = (sum(c.chroma * turn(math.radians(c.hue)) for c in seen) / len(seen) for turn in (math.cos, math.sin))
        lightness = sum(color.lightness for color in seen) / len(seen)
        found[part] = PartColor(lightness, math.hypot(a, b), math.degrees(math.atan2(b, a)) % 360)
    return found


def name_part(part: str, description: str) -> str:
    """Name a part by its clothes: ``shirt`` with a "plain blue long-sleeved shirt", or ``upper part`` without a description."""
    pattern = _CLOTHES.get(part)
    found = re.search(rf"\b{pattern}\b", description, re.I) if pattern else None
    if not found:
        return PARTS[part]
    return found[0].lower() if found[0].isascii() and part != "whole" else found[0]


def turn_of_hue(before: float, after: float) -> float:
    """Degrees from one hue to another, the shorter way around: above -180, up to 180."""
    turn = (after - before) % 360
    return turn - 360 if turn > 180 else turn


def name_drift(
    reference: Mapping[str, PartColor], frames: Sequence[tuple[int, Mapping[str, PartColor]]], description: str = ""
) -> tuple[Drift, ...]:
    """Describe the differences from the reference, the largest change first.

    Args:
        reference: part → its color in the reference.
        frames: (0-based number, part → its color) of every measured frame, in order.

    Returns:
        One entry for each part and quantity that changes noticeably: its longest run of frames, with the median change. The
        whole subject is listed only where no part changes in that quantity.
    """
    found = []
    for part, before in reference.items():
        seen = [(number, colors[part]) for number, colors in frames if part in colors]
        for quantity in NOTICEABLE:
            changes = [(number, _change(before, after, quantity)) for number, after in seen]
            run = _longest_run(
                [(number, value) for number, value in changes if value is not None], NOTICEABLE[quantity]
            )
            if len(run) < max(1, len(seen) // 10):
                continue
            change = sorted(value for _, value in run)[len(run) // 2]
            words = _WORDS[quantity].format(change=change)
            sentence = f"{name_part(part, description)} {words}, {_frames(run[0][0], run[-1][0])}"
            chroma = None
            if quantity == "hue":
                changed = [after.chroma for number, after in seen if run[0][0] <= number <= run[-1][0]]
                chroma = round(min(before.chroma, statistics.median(changed)), 1)
            found.append(
                Drift(name_part(part, description), quantity, round(change, 1), run[0][0], run[-1][0], sentence, chroma)
            )
    # "Shirt hue" is more specific than "whole subject hue", which is the same change again.
    reported = {drift.quantity for drift in found if drift.part != PARTS["whole"]}
    found = [drift for drift in found if drift.part != PARTS["whole"] or drift.quantity not in reported]
    return tuple(sorted(found, key=lambda drift: -abs(drift.change) / NOTICEABLE[drift.quantity]))


def find_drift_start(matrix: Sequence[Sequence[float | None]], threshold: float) -> int | None:
    """The row of the segment that starts a drift, or None.

    Args:
        matrix: similarity of each segment of one character with each other, symmetric, in the film's order; None where
            nothing was measured.
        threshold: similarity from which two segments show the same subject.

    The sequence is split where segments are most alike within either side and least alike across the split. It is a drift
    when similarities across it stay below the threshold: a single odd segment is not a drift, unless it is the last.
    """
    count = len(matrix)
    # Sums over all cells above and left of a corner: any block is then four of them.
    sums = [[0.0] * (count + 1) for _ in range(count + 1)]
    known = [[0] * (count + 1) for _ in range(count + 1)]
    for row in range(count):
        for column in range(count):
            value = None if row == column else matrix[row][column]
            sums[row + 1][column + 1] = (
                sums[row][column + 1] + sums[row + 1][column] - sums[row][column] + (value or 0.0)
            )
            known[row + 1][column + 1] = (
                known[row][column + 1] + known[row + 1][column] - known[row][column] + (value is not None)
            )
    best, start = 0.0, None
    for cut in range(1, count):
        across, pairs = sums[cut][count] - sums[cut][cut], known[cut][count] - known[cut][cut]
        if not pairs or across / pairs >= threshold:
            continue
        inside, inside_pairs = sums[count][count] - 2 * across, known[count][count] - 2 * pairs
        # Two segments: there is only the step between them.
        together = inside / inside_pairs if inside_pairs else 1.0
        # The usual measure of a split: how far apart the sides are, times how much there is on each.
        gain = (together - across / pairs) * cut * (count - cut)
        if gain > best + 1e-9:
            best, start = gain, cut
    return start


def _change(before: PartColor, after: PartColor, quantity: str) -> float | None:
    if quantity == "lightness":
        return after.lightness - before.lightness
    if quantity == "colour":
        return after.chroma - before.chroma
    if min(before.chroma, after.chroma) < MIN_CHROMA:
        return None
    return turn_of_hue(before.hue, after.hue)


def _longest_run(changes: Sequence[tuple[int, float]], noticeable: float) -> list[tuple[int, float]]:
    """The longest run of neighboring entries that change noticeably, all in the same direction."""
    best: list[tuple[int, float]] = []
    current: list[tuple[int, float]] = []
    for number, value in changes:
        if abs(value) < noticeable:
            current = []
        elif current and (value > 0) != (current[-1][1] > 0) and abs(value) < 150:
            current = [(number, value)]
        else:
            current = [*current, (number, value)]
        if len(current) > len(best):
            best = current
    return best


def _frames(first: int, last: int) -> str:
    """1-based, for people."""
    return f"frame {first + 1}" if first == last else f"frames {first + 1}–{last + 1}"
