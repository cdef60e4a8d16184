"""Scores of segments: a good one, and one for everything that can fall short."""

from __future__ import annotations

import dataclasses

from custom_nodes.videogen.core.continuity.scores import (
    BoundaryScore,
    Drift,
    FrameCheck,
    FrameProblem,
    LightScore,
    SampleScore,
    SegmentScore,
    SubjectScore,
    TemporalScore,
)

SUBJECT = SubjectScore(
    "character",
    "tom",
    "Tom",
    0.92,
    0.88,
    3,
    {"reference": (0.92, 0.88)},
    (SampleScore(3, "reference", 0.88, 0.9, 0.85, 0.7),),
    "classical",
    "r",
    "mask",
)
GOOD = SegmentScore((SUBJECT,), TemporalScore(0.8, 0.8, 0.8, (0.8,), 0, median_flow=2.0), FrameCheck(24, (1920, 1080)))


def with_subject(**changes: object) -> SegmentScore:
    return dataclasses.replace(GOOD, subjects=(dataclasses.replace(SUBJECT, **changes),))  # type: ignore[arg-type]


FAINT = Drift("jacket", "hue", 35.0, 0, 23, "jacket hue +35°, frames 1–24", 17.5)
BRIEF = Drift("head", "hue", -150.0, 1, 1, "head hue -150°, frame 2", 40.0)
SHIRT = Drift("shirt", "hue", 38.0, 13, 18, "shirt hue +38°, frames 14–19")
CASES = {
    "mean": (with_subject(mean=0.7), "fail", "Tom 0.70, expected 0.85"),
    "mean with what drifts": (
        with_subject(mean=0.7, drift=(SHIRT,)),
        "fail",
        "Tom 0.70, expected 0.85: shirt hue +38°, frames 14–19",
    ),
    "minimum": (with_subject(minimum=0.5), "fail", "Tom 0.50 in frame 4, expected 0.7 in every frame"),
    "hue, seen through a mask": (with_subject(drift=(SHIRT,)), "fail", "Tom: shirt hue +38°, frames 14–19"),
    "hue of what is hardly colored": (with_subject(drift=(FAINT,)), "warn", "Tom: jacket hue +35°, frames 1–24"),
    "hue for a moment": (with_subject(drift=(BRIEF,)), "warn", "Tom: head hue -150°, frame 2"),
    "hue for a moment, and lasting": (with_subject(drift=(BRIEF, SHIRT)), "fail", "Tom: shirt hue +38°, frames 14–19"),
    "hue, guessed": (
        with_subject(drift=(SHIRT,), guessed=True),
        "warn",
        "Tom: shirt hue +38°, frames 14–19 (its place is guessed)",
    ),
    "mean, guessed": (
        with_subject(mean=0.2, guessed=True),
        "warn",
        "Tom 0.20, expected 0.85 (its place is guessed)",
    ),
    "minimum, guessed by an earlier version": (
        with_subject(minimum=0.5, weights="ratio"),
        "warn",
        "Tom 0.50 in frame 4, expected 0.7 in every frame (its place is guessed)",
    ),
    "just below": (
        with_subject(mean=0.81, against={"first segment": (0.81, 0.8)}, own_likeness=0.8),
        "warn",
        "Tom 0.81, expected 0.85: unclear whether it is the same",
    ),
    "just above": (
        with_subject(mean=0.86, against={"first segment": (0.86, 0.8)}, own_likeness=0.8),
        "warn",
        "Tom 0.86, expected 0.85: unclear whether it is the same",
    ),
    "not so close below": (
        with_subject(mean=0.79, against={"first segment": (0.79, 0.78)}, own_likeness=0.8),
        "fail",
        "Tom 0.79, expected 0.85",
    ),
    "just below a reference": (
        with_subject(mean=0.84, against={"reference": (0.84, 0.8), "first segment": (0.95, 0.9)}, own_likeness=0.8),
        "fail",
        "Tom 0.84, expected 0.85",
    ),
    "object": (with_subject(kind="object", mean=0.3), "warn", "Tom 0.30, expected 0.75"),
    "temporal": (
        dataclasses.replace(GOOD, temporal=TemporalScore(0.4, because=": noise")),
        "fail",
        "temporal score 0.40, expected 0.6: noise",
    ),
    "static": (
        dataclasses.replace(GOOD, temporal=TemporalScore(0.6, static=True, median_flow=0.1)),
        "warn",
        "hardly anything moves (median flow 0.10 pixels)",
    ),
    "black frames": (
        dataclasses.replace(GOOD, frames=FrameCheck(24, (8, 8), (FrameProblem("black", (1,), "frame 2 black", True),))),
        "fail",
        "frame 2 black",
    ),
    "blurred frames": (
        dataclasses.replace(
            GOOD, frames=FrameCheck(24, (8, 8), (FrameProblem("blurred", (1,), "frame 2 blurred", False),))
        ),
        "warn",
        "frame 2 blurred",
    ),
    "warm light": (
        dataclasses.replace(GOOD, light=LightScore(3200.0, 50.0, (5500, 6000))),
        "warn",
        "the light looks like 3200 K, and the story says 5500 to 6000 K",
    ),
    "dark": (
        dataclasses.replace(GOOD, light=LightScore(None, 12.0, None, (30, 92))),
        "warn",
        "the picture is darker (L 12) than the story's lighting (30 to 92)",
    ),
    "small step of light": (
        dataclasses.replace(GOOD, boundary=BoundaryScore(1.5)),
        "warn",
        "the light steps by ΔE 1.5 at the cut, within one location",
    ),
    "large step of light": (
        dataclasses.replace(GOOD, boundary=BoundaryScore(2.6)),
        "fail",
        "the light steps by ΔE 2.6 at the cut, within one location",
    ),
}
