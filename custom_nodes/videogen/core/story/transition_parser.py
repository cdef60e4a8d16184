"""Parses the transitions of a story."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from ..timing import format_seconds
from .model import Segment, Transition
from .schema import TRANSITION_KEYS
from .validation import Range, Validator, found

#: type → description
TRANSITIONS: dict[str, str] = {
    "dissolve": "the last frames of one segment fade into the first of the next, gently at both ends",
    "crossfade": "the same, evenly",
    "fade": "out to black, and in from it",
    "fade-white": "out to white, and in from it",
    "wipe-left": "an edge that moves to the left uncovers the next segment",
    "wipe-right": "an edge that moves to the right uncovers it",
    "wipe-up": "an edge that moves up uncovers it",
    "wipe-down": "an edge that moves down uncovers it",
    "slide-left": "the next segment comes from the right and pushes this one out to the left",
    "slide-right": "it comes from the left and pushes this one out to the right",
    "slide-up": "it comes from below and pushes this one out at the top",
    "slide-down": "it comes from above and pushes this one out at the bottom",
    "zoom": "the camera moves into the picture, which dissolves",
    "morph": "each picture is bent along what moves between them, and they dissolve: for something that grows in the same shot",
}


def parse_transitions(check: Validator, value: Any, segments: list[Segment]) -> tuple[Transition, ...]:
    """Parse all transitions, in the order of the film. Each must fit into the segments on both sides of it."""
    if not isinstance(value, list):
        check.report("transitions", f"{found(value)}, expected a list")
        return ()
    transitions: dict[int, Transition] = {}
    for position, item in enumerate(value, 1):
        where = f"transitions[{position}]"
        fields = check.mapping(item, where, TRANSITION_KEYS)
        if "after" not in fields and isinstance(item, dict):
            check.report(f"{where}.after", "is missing, expected the number of the segment that it follows")
        kind = fields.choice("type", default="dissolve", choices=TRANSITIONS)
        seconds = fields.number("seconds", default=Fraction(1), limits=Range(0, 60, above=True, unit="seconds"))
        after = fields.whole("after", default=None, low=1, high=10**9)
        if after is None or seconds is None or not segments:
            continue
        if after >= len(segments):
            last = len(segments)
            check.report(
                f"{where}.after",
                f"segment {after} is the last one, nothing follows it"
                if after == last
                else f"segment {after} does not exist: the story has segments 1 to {last}",
            )
            continue
        if after in transitions:
            check.report(f"{where}.after", f"segment {after} already has a transition after it")
            continue
        _check_length(check, where, after, seconds, segments)
        transitions[after] = Transition(after, kind, seconds)
    _check_overlap(check, transitions, segments)
    return tuple(transitions[after] for after in sorted(transitions))


def _check_length(check: Validator, where: str, after: int, seconds: Fraction, segments: list[Segment]) -> None:
    for neighbor in segments[after - 1 : after + 1]:
        if seconds > neighbor.duration:
            check.report(
                f"{where}.seconds",
                f"{format_seconds(seconds)} is longer than segment {neighbor.number}"
                f" ({format_seconds(neighbor.duration)})",
            )


def _check_overlap(check: Validator, transitions: dict[int, Transition], segments: list[Segment]) -> None:
    for after, transition in transitions.items():
        following = transitions.get(after + 1)
        room = segments[after].duration
        if following and (transition.seconds + following.seconds) / 2 > room:
            check.report(
                "transitions",
                f"the transitions before and after segment {after + 1} need"
                f" {format_seconds((transition.seconds + following.seconds) / 2)} of it, it has {format_seconds(room)}",
            )
