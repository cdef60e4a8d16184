"""The socket between the diffusers nodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from comfy_api.latest import io

from ...core.errors import VideoGenError
from ...pipelines.families import Family
from ...pipelines.loading import PipelineBox

PipelineSocket = io.Custom("VIDEOGEN_PIPELINE")


@dataclass(frozen=True)
class VideoModel:
    """The value of a pipeline's socket.

    Attributes:
        box: the pipeline; loaded when a node renders with it.
        waits: called before each step, by guards.
    """

    box: PipelineBox
    waits: tuple[Callable[[], None], ...] = ()

    def guarded_by(self, wait: Callable[[], None]) -> VideoModel:
        """The same pipeline, which waits between its steps."""
        return replace(self, waits=(*self.waits, wait))


def need_pipeline(value: object, *families: Family) -> VideoModel:
    """The pipeline on a socket, of one of these families (any, when none is given).

    Raises:
        VideoGenError: `socket-invalid`, `model-unsupported`.
    """
    if not isinstance(value, VideoModel):
        raise VideoGenError(
            "socket-invalid", f"`pipeline` got {type(value).__name__}, expected the output of VideoGenDiffusersLoader"
        )
    family = value.box.request.family
    if families and family not in families:
        raise VideoGenError(
            "model-unsupported",
            f"`pipeline` is {family.name}, expected {' or '.join(known.name for known in families)}",
            "Load another model, or connect it to the node of its family.",
        )
    return value
