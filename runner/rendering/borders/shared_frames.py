"""Frames that two segments share, in a graph: taken from the one before they are encoded, dropped from the other.

A segment that continues another begins with its last frame. Out of the video file that frame would come with the losses of its
encoding, which add up from segment to segment; and both segments would show it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from custom_nodes.videogen.core.graph import Graph, is_link
from custom_nodes.videogen.core.roles.savers import choose_savers, find_savers

from ...workflows.bindings import InputRef

#: The node whose pictures a segment hands over; its files are temporary ones of the server.
HANDED_OVER = "videogen_handed_over"
_CUT, _CUT_SOUND, _LAST = "videogen_own_frames", "videogen_own_sound", "videogen_last_frame"
_PART, _PART_OF_SOUND, _PREVIEW, _MAKE_VIDEO = "ImageFromBatch", "TrimAudioDuration", "PreviewImage", "CreateVideo"
#: The largest index and length that ImageFromBatch takes; it means the last frames where there are fewer.
MAX_INDEX, MAX_LENGTH = 4095, 4096
#: Frames at the beginning of a segment that are those of the one that it continues.
SHARED = 1


@dataclass(frozen=True)
class ClipFrames:
    """Where a graph has the frames of its clip, last before they are encoded.

    Attributes:
        frames: an input that is linked to them.
        sound: one that is linked to their sound, or None.
    """

    frames: InputRef
    sound: InputRef | None = None

    def drop_first(self, graph: Graph, count: int, seconds: Fraction, begins: Fraction) -> None:
        """Leave the first frames out of the clip.

        Args:
            seconds: of the clip without them.
            begins: seconds of sound that are left out with them.
        """
        _put_before(graph, self.frames, _CUT, _PART, "image", {"batch_index": count, "length": MAX_LENGTH})
        if self.sound is not None:
            times = {"start_index": float(begins), "duration": float(seconds)}
            _put_before(graph, self.sound, _CUT_SOUND, _PART_OF_SOUND, "audio", times)

    def keep_last(self, graph: Graph, index: int | None) -> None:
        """Have the last frame that is shown of the clip kept as a picture, without losses.

        Args:
            index: of that frame; None for the last one that there is.
        """
        link = graph[self.frames.node_id]["inputs"][self.frames.name]
        graph[_LAST] = {
            "class_type": _PART,
            "inputs": {
                "image": link,
                "batch_index": MAX_INDEX if index is None else min(index, MAX_INDEX),
                "length": 1,
            },
        }
        graph[HANDED_OVER] = {"class_type": _PREVIEW, "inputs": {"images": [_LAST, 0]}}


def find_clip_frames(graph: Graph, object_info: Mapping[str, Any], output_node: str) -> ClipFrames | None:
    """Where a graph has the frames of its clip; None where they cannot be taken, as in a video of a partner's node.

    Args:
        output_node: the node whose file is the segment, where it is named; else "".
    """
    if not {_PART, _PREVIEW} <= object_info.keys() or {_CUT, _CUT_SOUND, _LAST, HANDED_OVER} & graph.keys():
        return None
    chosen = [output_node] if output_node else [one.node for one in choose_savers(find_savers(graph, object_info))]
    if len(chosen) != 1 or chosen[0] not in graph:
        return None
    node = chosen[0]
    video = _linked(graph, object_info, node, "VIDEO")
    if video is not None:
        node = str(graph[node]["inputs"][video.name][0])
        if graph.get(node, {}).get("class_type") != _MAKE_VIDEO:
            return None
    frames = _linked(graph, object_info, node, "IMAGE")
    sound = _linked(graph, object_info, node, "AUDIO")
    if frames is None or (sound is not None and _PART_OF_SOUND not in object_info):
        return None
    return ClipFrames(frames, sound)


def index_of_last_shown(duration: Fraction, rate: Fraction) -> int:
    """The number, from 0, of the last frame of a clip that a segment shows.

    Args:
        duration: of the segment, in seconds.
        rate: frames a second of the clip.
    """
    return max(0, math.ceil(duration * rate) - 1)


def _put_before(graph: Graph, target: InputRef, node_id: str, kind: str, socket: str, values: dict[str, Any]) -> None:
    link = graph[target.node_id]["inputs"][target.name]
    graph[node_id] = {"class_type": kind, "inputs": {socket: link, **values}}
    target.set(graph, [node_id, 0])


def _linked(graph: Graph, object_info: Mapping[str, Any], node_id: str, kind: str) -> InputRef | None:
    """The first input of a node that is of a type and linked."""
    node = graph[node_id]
    groups = (object_info.get(node["class_type"]) or {}).get("input") or {}
    for name, spec in {**(groups.get("required") or {}), **(groups.get("optional") or {})}.items():
        if isinstance(spec, list) and spec and spec[0] == kind and is_link(node["inputs"].get(name)):
            return InputRef(node_id, name)
    return None
