"""VideoGenApplyCharacters: everybody and everything of a segment that has an image looks like it, in its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ...comfyui.attention.attention_patch import (
    ImageCondition,
    apply_image_conditions,
    cross_attention_keys,
    require_fit,
)
from ...comfyui.attention.image_tokens import encode_images
from ...comfyui.cast_images import Cast, Member, files_read, read_cast
from ...comfyui.core_features import require_core
from ...comfyui.sockets import AdapterSocket, SegmentSocket, need_adapter, need_segment
from ...core.conditioning.layer_weights import WEIGHT_TYPES, weigh_layers
from ...core.errors import VideoGenError
from ...core.segment.references import DEFAULT_WEIGHTS, GO_ON, STOP
from ...core.widget_checks import check_span
from ...tensor.figure_crop import fit_square
from ...tensor.ip_adapter.adapter import IPAdapter
from ...tensor.region_masks import group_masks, make_region_masks, mask_size
from .references import ReferencesSocket, need_references

#: As in a story: how strongly a reference holds.
HIGHEST_WEIGHT = 3.0
#: Side in pixels of the squares in which the images are shown that were used.
SHOWN_SIDE = 336
#: How an image becomes the encoder's square. A standing person whose middle is cut out has no head.
_CROPS = {"character": "pad", "object": "pad", "location": "center"}


class VideoGenApplyCharacters(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        share = {"min": 0.0, "max": 1.0, "step": 0.01, "round": 0.001}
        weight = {"min": 0.0, "max": HIGHEST_WEIGHT, "step": 0.05, "round": 0.001}
        return io.Schema(
            node_id="VideoGenApplyCharacters",
            display_name="Apply Characters",
            category="videogen/characters",
            description="Lets a model see the pictures of the segment's characters, objects and location, each in its region.",
            inputs=[
                io.Model.Input("model", tooltip="An SD 1.5, SD 2 or SDXL model, of the kind that the adapter is for."),
                AdapterSocket.Input("ipadapter", tooltip="From IP-Adapter Loader."),
                io.ClipVision.Input(
                    "clip_vision",
                    tooltip="From Load CLIP Vision: the encoder that the adapter was made with, nearly always ViT-H.",
                ),
                SegmentSocket.Input("segment"),
                *(
                    io.Float.Input(
                        f"{kind}_weight",
                        default=DEFAULT_WEIGHTS[kind],
                        **weight,
                        tooltip=f"How strongly the pictures of {kind}s hold without a weight in the story. 0: no {kind} at all.",
                    )
                    for kind in DEFAULT_WEIGHTS
                ),
                io.Float.Input(
                    "start_at",
                    default=0.0,
                    **share,
                    tooltip="When the pictures begin to act, as a share of the sampling.",
                ),
                io.Float.Input(
                    "end_at", default=1.0, **share, tooltip="When they stop. Earlier leaves details to the prompt."
                ),
                io.Combo.Input(
                    "weight_type",
                    options=list(WEIGHT_TYPES),
                    default="linear",
                    tooltip="How the weight is spread over the model's layers. linear: evenly.",
                ),
                io.Boolean.Input(
                    "crop_to_figure",
                    default=False,
                    tooltip="Cut the pictures of characters and objects to the figure in them, so that less of the background"
                    " comes along: by transparency, by the mask of Reference, else by what stands out in the middle.",
                ),
                io.Float.Input(
                    "feather",
                    default=0.06,
                    min=0.0,
                    max=0.5,
                    step=0.01,
                    round=0.001,
                    tooltip="How wide the soft edges of the regions are, as a share of the frame's width.",
                ),
                io.Combo.Input(
                    "missing",
                    options=[STOP, GO_ON],
                    default=STOP,
                    tooltip="What to do when a picture is not there: stop and say which and how to make it, or go on without it.",
                ),
                ReferencesSocket.Input(
                    "references", optional=True, tooltip="Pictures out of the graph in place of the story's files."
                ),
            ],
            outputs=[
                io.Model.Output(display_name="model"),
                io.Mask.Output("masks", display_name="masks", tooltip="Where each of them acts, one mask for each."),
                io.Image.Output(
                    "pictures", display_name="pictures", tooltip="What the adapter sees, as small squares."
                ),
                io.String.Output(
                    "report", display_name="report", tooltip="Who is kept the same, a line for each mask, in order."
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, start_at: float | None, end_at: float | None) -> bool | str:
        try:
            # None comes out of another node; with a value that fits, the one that is known is checked.
            check_span(0.0 if start_at is None else start_at, 1.0 if end_at is None else end_at)
        except VideoGenError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, **_: Any) -> int:
        # ComfyUI asks this before anything runs and shows only widgets: the segment, and so the names of its images, is not
        # known. NaN would sample every frame again each time. So the files that were read are remembered, and the answer is
        # another one only when one of them, or one that was missing, has changed since.
        return files_read.count_changes()

    @classmethod
    def execute(
        cls,
        model: Any,
        ipadapter: object,
        clip_vision: Any,
        segment: object,
        character_weight: float,
        object_weight: float,
        location_weight: float,
        start_at: float,
        end_at: float,
        weight_type: str,
        crop_to_figure: bool,
        feather: float,
        missing: str,
        references: object = None,
    ) -> io.NodeOutput:
        require_core()
        plan, adapter = need_segment(segment), need_adapter(ipadapter)
        given = need_references(references)
        check_span(start_at, end_at)
        require_fit(adapter, model)
        weights = {"character": character_weight, "object": object_weight, "location": location_weight}
        cast = read_cast(plan, weights, given, must_be_there=missing == STOP, to_figure=crop_to_figure)
        size = mask_size(plan.size)
        masks = place_members(cast, size, feather)
        patched = show_cast(model, adapter, clip_vision, cast, masks, weight_type, (start_at, end_at))
        return io.NodeOutput(patched, show_masks(masks, size), show_images(cast), describe_cast(cast, masks))


def place_members(cast: Cast, size: tuple[int, int], feather: float) -> list[Tensor | None]:
    """The mask of each member; see `make_region_masks`."""
    masks = make_region_masks(cast.areas, size, feather=feather, files=cast.masks)
    by_name = {(area.entity.kind, area.entity.name): mask for area, mask in zip(cast.areas, masks, strict=True)}
    return [by_name[member.role.entity.kind, member.role.entity.name] for member in cast.members]


def show_cast(
    model: Any,
    adapter: IPAdapter,
    clip_vision: Any,
    cast: Cast,
    masks: Sequence[Tensor | None],
    weight_type: str,
    span: tuple[float, float],
) -> Any:
    """A clone of the model that sees each member in its mask; the model itself when there is nobody to see.

    Args:
        masks: one for each member.
        span: from when to when the images act, shares of the sampling.
    """
    layers = cross_attention_keys(model.get_model_object("diffusion_model"))
    for group in group_masks(masks):
        conditions = []
        for index in group:
            member, mask = cast.members[index], masks[index]
            if mask is not None and not bool(mask.any()):
                continue  # the others leave no room for it: it need not even be encoded
            tokens, negative = encode_member(adapter, clip_vision, member)
            weights = weigh_layers(weight_type, member.role.weight, layers)
            region = None if mask is None else mask[None]
            conditions.append(
                ImageCondition(adapter, tokens, negative, weights, mask=region, start=span[0], end=span[1])
            )
        model = apply_image_conditions(model, conditions, normalize_masks=masks[group[0]] is not None)
    return model


def encode_member(adapter: IPAdapter, clip_vision: Any, member: Member) -> tuple[Tensor, Tensor]:
    """The image tokens of all images of one member, (1, tokens, width): they share its weight; and the negative ones."""
    entity = member.role.entity
    encoded = [
        encode_images(adapter, clip_vision, image[None], crop=_CROPS[entity.kind], name=entity.name)
        for image in member.images
    ]
    return torch.cat([tokens for tokens, _ in encoded], dim=1), encoded[0][1]


def show_masks(masks: Sequence[Tensor | None], size: tuple[int, int]) -> Tensor:
    """The masks as a batch (masks, height, width); one black one when there are none."""
    width, height = size
    shown = [torch.ones(height, width) if mask is None else mask for mask in masks]
    return torch.stack(shown) if shown else torch.zeros(1, height, width)


def show_images(cast: Cast) -> Tensor:
    """All images as squares, (images, side, side, 3); one gray one when there are none."""
    squares = [fit_square(image, SHOWN_SIDE) for member in cast.members for image in member.images]
    return torch.stack(squares) if squares else torch.full((1, SHOWN_SIDE, SHOWN_SIDE, 3), 0.5)


def describe_cast(cast: Cast, masks: Sequence[Tensor | None]) -> str:
    """A line for each member, in the order of the masks, then who is missing."""
    lines = []
    for member, mask in zip(cast.members, masks, strict=True):
        entity, count = member.role.entity, len(member.images)
        share = 1.0 if mask is None else float(mask.mean())
        place = f"{share:.0%} of the frame" if share else "no room beside the others"
        lines.append(
            f"{entity.kind} {entity.name}: weight {member.role.weight:g}, {place}, {count} picture{'s' if count > 1 else ''}"
            f" from {', '.join(member.role.names) or 'the workflow'}"
        )
    return "\n".join([*lines, *(f"without {sentence}" for sentence in cast.without)]) or "nobody"


NODES = [VideoGenApplyCharacters]
