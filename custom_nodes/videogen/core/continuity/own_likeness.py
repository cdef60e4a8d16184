"""Likeness relative to a subject's own: how much frames of the accepted segment resemble each other is the scale."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from .calibration import SAME_SUBJECT

#: Version of the rules by which scores are made. Scores of different versions are never compared.
#: 1: every comparison by a fixed map. 2: segments relative to the reference segment's own likeness; people by networks.
RULES = 2
#: The reference segment's own likeness: its limits, and what it is taken to be where it has fewer than two frames.
LEAST_OWN, MOST_OWN, UNKNOWN_OWN = 0.5, 0.9, 0.82
#: Share of its own likeness that a segment's subject must reach to count as the same.
REQUIRED_SHARE = 0.75
#: Margin at which the score reaches 1, and below zero the one at which it reaches 0.
_FULL, _NONE = 0.25, 0.5
#: Margins closer to zero than this decide nothing: the segment is unclear.
UNCLEAR = 0.03


def measure_own_likeness(likenesses: Sequence[float]) -> float:
    """w: the mean likeness of a segment's frames to each other, from 0.5 to 0.9.

    Args:
        likenesses: u of each pair of its sampled frames; empty for a single frame.
    """
    if not likenesses:
        return UNKNOWN_OWN
    return min(MOST_OWN, max(LEAST_OWN, statistics.fmean(likenesses)))


def measure_margin(likenesses: Sequence[float], own: float) -> float:
    """x = median(u) − 0.75 w of a frame: above zero it shows the subject of the reference segment.

    Args:
        likenesses: u of the frame to each sampled frame of the reference segment.
        own: w.
    """
    return statistics.median(likenesses) - REQUIRED_SHARE * own


def score_margin(margin: float) -> float:
    """The score of a margin, 0 to 1: `SAME_SUBJECT` at zero, where a subject counts as the same."""
    if margin >= 0:
        return SAME_SUBJECT + (1 - SAME_SUBJECT) * min(1.0, margin / _FULL)
    return SAME_SUBJECT * max(0.0, 1 + margin / _NONE)


def margin_of(score: float) -> float:
    """The inverse of `score_margin`: for the score 0 the margin −0.5, for 1 the margin 0.25."""
    if score >= SAME_SUBJECT:
        return (score - SAME_SUBJECT) / (1 - SAME_SUBJECT) * _FULL
    return (score / SAME_SUBJECT - 1) * _NONE
