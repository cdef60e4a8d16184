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
    "hue, guessed": (with_subject(drift=(SHIRT,), weights="ratio"), "warn", "Tom: shirt hue +38°, frames 14–19"),
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
