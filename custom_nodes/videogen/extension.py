"""Join the node modules into one extension."""

from __future__ import annotations

import importlib
import logging

from comfy_api.latest import ComfyExtension, io

log = logging.getLogger(__name__)

NODE_MODULES = (
    "story.story",
    "story.fit_model",
    "story.storyboard",
    "film.film_output",
    "characters.ip_adapter",
    "characters.reference",
    "characters.apply_characters",
    "characters.ip_adapter_options",
    "characters.image_embeds",
    "characters.embeds_files",
    "characters.image_noise",
    "frames.render_size",
    "frames.upscale",
    "characters.reference_output",
    "guards.thermal_guard",
    "guards.memory_guard",
    "frames.frame_noise",
    "frames.anchor_attention",
    "frames.keyframe_motion",
    "frames.location",
    "frames.color_match",
    "film.continuity",
    "models.diffusers_loader",
    "models.cogvideox",
    "models.skyreels",
    "models.framepack",
    "guards.pipeline_guard",
)


class VideoGenExtension(ComfyExtension):
    """All nodes of the pack."""

    def __init__(self, nodes: list[type[io.ComfyNode]]) -> None:
        self._nodes = nodes

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return self._nodes


def make_extension() -> VideoGenExtension:
    """Import every node module and collect its NODES."""
    nodes: list[type[io.ComfyNode]] = []
    for name in NODE_MODULES:
        try:
            nodes += importlib.import_module(f".nodes.{name}", __package__).NODES
        except Exception:
            # ComfyUI's loader logs only the message of an error here, not its place.
            log.exception("videogen: the nodes of %r could not be loaded", name)
            raise
    start_services()
    return VideoGenExtension(nodes)


def start_services() -> None:
    """Start the HTTP endpoints, and telemetry on a machine with cards; the nodes work without them too."""
    try:
        from .comfyui.thermal.telemetry import TELEMETRY
        from .routes import add_routes

        if add_routes():
            TELEMETRY.start_with_cards()
    except Exception:
        log.warning("videogen: no endpoints and no telemetry", exc_info=True)
