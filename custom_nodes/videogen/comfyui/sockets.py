"""The pack's own socket types, and what travels over them."""

from __future__ import annotations

from comfy_api.latest import io

from ..core.errors import VideoGenError
from ..core.segment.plan import SegmentPlan
from ..core.story.model import Story
from ..core.video.quality import QUALITIES
from ..tensor.ip_adapter.adapter import IPAdapter

StorySocket = io.Custom("STORY")
SegmentSocket = io.Custom("SEGMENT")
#: The name is also another pack's, with another content: `need_adapter` tells them apart.
AdapterSocket = io.Custom("IPADAPTER")


class _Anything(str):
    """``*``, which ComfyUI compares with ``!=`` to find out whether two sockets fit."""

    def __ne__(self, other: object) -> bool:
        return False

    __eq__, __hash__ = str.__eq__, str.__hash__


AnySocket = io.Custom(_Anything("*"))

#: The choice of a quality widget that takes the story's own.
STORY_QUALITY = "story"
QUALITY_CHOICES = [STORY_QUALITY, *QUALITIES]


def need_story(value: object) -> Story:
    """The story on a socket.

    Raises:
        VideoGenError: `socket-invalid`, when another pack's node gave something else under the same socket name.
    """
    if not isinstance(value, Story):
        raise VideoGenError(
            "socket-invalid", f"`story` got {type(value).__name__}, expected the output of VideoGenStory"
        )
    return value


def need_segment(value: object) -> SegmentPlan:
    """The segment on a socket; like `need_story`."""
    if not isinstance(value, SegmentPlan):
        raise VideoGenError(
            "socket-invalid", f"`segment` got {type(value).__name__}, expected the output of VideoGenSegment"
        )
    return value


def need_adapter(value: object) -> IPAdapter:
    """The IP-Adapter on a socket; like `need_story`."""
    if not isinstance(value, IPAdapter):
        raise VideoGenError(
            "socket-invalid",
            f"`ipadapter` got {type(value).__name__}, expected the output of VideoGenIPAdapterLoader",
            "The loaders of other packs give something else under the same name: load the file with IP-Adapter Loader.",
        )
    return value
