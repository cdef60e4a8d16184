"""Small stories and graphs for tests that render."""

from __future__ import annotations

import json
from typing import Any

Graph = dict[str, dict[str, Any]]


def small_story(title: str, *, size: tuple[int, int] = (320, 180), segments: int = 2, **more: Any) -> dict[str, Any]:
    """A story of short, small segments: 4 frames in 0.5 s each, quality draft."""
    return {
        "title": title,
        "fps": 8,
        "frames": 4,
        "size": list(size),
        "quality": "draft",
        "segments": [
            {"prompt": f"The man waters the young tree, shot {number}.", "seed": 100 + number}
            for number in range(1, segments + 1)
        ],
        **more,
    }


def segment_graph(story: dict[str, Any] | str, index: int = 1, **save: Any) -> Graph:
    """The preview workflow in API format: node 1 Story, 2 Segment, 3 Storyboard Frames, 4 Save Segment.

    Args:
        save: inputs of Save Segment.
    """
    text = story if isinstance(story, str) else json.dumps(story)
    return {
        "1": {"class_type": "VideoGenStory", "inputs": {"file": "text below", "text": text}},
        "2": {"class_type": "VideoGenSegment", "inputs": {"story": ["1", 0], "index": index}},
        "3": {"class_type": "VideoGenStoryboardFrames", "inputs": {"segment": ["2", 0]}},
        "4": {
            "class_type": "VideoGenSaveSegment",
            "inputs": {"images": ["3", 0], "segment": ["2", 0], "quality": "story", "codec": "h264", **save},
        },
    }


def film_graph(story: dict[str, Any], **film: Any) -> Graph:
    """Node 1 Story, node 5 Compile Film.

    Args:
        film: inputs of Compile Film.
    """
    return {
        "1": segment_graph(story)["1"],
        "5": {
            "class_type": "VideoGenCompileFilm",
            "inputs": {"story": ["1", 0], "folder": "", "quality": "story", "missing": "slate", **film},
        },
    }
