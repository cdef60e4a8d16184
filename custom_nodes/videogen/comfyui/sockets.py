"""The pack's own socket types, and checks of the values that arrive on them."""

from __future__ import annotations

from comfy_api.latest import io

from ..core.errors import VideoGenError
from ..core.segment.plan import SegmentPlan
from ..core.story.model import Story
from ..tensor.ip_adapter.adapter import IPAdapter
from .attention.condition_options import NO_OPTIONS, ConditionOptions
from .reference_images import References

StorySocket = io.Custom("STORY")
SegmentSocket = io.Custom("SEGMENT")
#: Other packs use the name for another type: `need_adapter` tells them apart.
AdapterSocket = io.Custom("IPADAPTER")
ReferencesSocket = io.Custom("REFERENCES")
AdapterOptionsSocket = io.Custom("IPADAPTER_OPTIONS")
#: As in ComfyUI_IPAdapter_plus: a tensor, so that the nodes of both packs can be connected.
EmbedsSocket = io.Custom("EMBEDS")


class _Anything(str):
    """``*``, which ComfyUI compares with ``!=`` to find out whether two sockets fit."""

    def __ne__(self, other: object) -> bool:
        return False

    __eq__, __hash__ = str.__eq__, str.__hash__


AnySocket = io.Custom(_Anything("*"))


def need_story(value: object) -> Story:
    """The story on a socket.

    Raises:
        VideoGenError: `socket-invalid`, when another pack's node returned another type under the same socket name.
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
            "The loaders of other packs return another type under the same name: load the file with IP-Adapter Loader.",
        )
    return value


def need_references(value: object) -> References:
    """The references on a socket, like `need_story`; empty when nothing is connected."""
    if value is None:
        return References()
    if not isinstance(value, References):
        raise VideoGenError(
            "socket-invalid", f"`references` got {type(value).__name__}, expected the output of VideoGenReference"
        )
    return value


def need_options(value: object) -> ConditionOptions:
    """The options on a socket, like `need_story`; the defaults when nothing is connected."""
    if value is None:
        return NO_OPTIONS
    if not isinstance(value, ConditionOptions):
        raise VideoGenError(
            "socket-invalid",
            f"`options` got {type(value).__name__}, expected the output of VideoGenIPAdapterOptions",
        )
    return value
