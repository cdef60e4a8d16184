"""VideoGenApplyCharacters: condition a model on the reference images of a segment's cast, each in its region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ...comfyui.attention.adapter_fit import require_fit
from ...comfyui.attention.attention_patch import apply_image_conditions
from ...comfyui.attention.condition_options import NO_OPTIONS, ConditionOptions, plan_acting
from ...comfyui.attention.image_tokens import encode_images
from ...comfyui.cast_images import Cast, Member, files_read, read_cast
from ...comfyui.core_features import require_core
from ...comfyui.sockets import SegmentSocket, need_adapter, need_options, need_references, need_segment
from ...comfyui.widgets import (
    adapter_inputs,
    check_known_span,
    options_input,
    references_input,
    span_inputs,
    validate,
    weight_type_input,
)
from ...core.segment.references import DEFAULT_WEIGHTS, GO_ON, STOP
from ...core.widget_checks import check_span
from ...tensor.figure_crop import fit_square
from ...tensor.ip_adapter.adapter import IPAdapter
from ...tensor.region_masks import group_masks, make_region_masks, mask_size

#: The largest weight of a reference, as in a story.
MAX_WEIGHT = 3.0
#: Side in pixels of the squares on the output `pictures`.
PREVIEW_SIDE = 336
#: How an image becomes the encoder's square. A standing person whose middle is cut out has no head.
_CROPS = {"character": "pad", "object": "pad", "location": "center"}


class VideoGenApplyCharacters(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        weight = {"min": 0.0, "max": MAX_WEIGHT, "step": 0.05, "round": 0.001}
        return io.Schema(
            node_id="VideoGenApplyCharacters",
            display_name="Apply Characters",
            category="videogen/characters",
            description="Conditions the model on the reference pictures of the segment's characters, objects and location,"
            " each in its region.",
            inputs=[
                *adapter_inputs(),
                SegmentSocket.Input("segment"),
                *(
                    io.Float.Input(
                        f"{kind}_weight",
                        default=DEFAULT_WEIGHTS[kind],
                        **weight,
                        tooltip=f"Weight of the {kind} pictures that have no `weight` in the story. 0 leaves out all {kind}s.",
                    )
                    for kind in DEFAULT_WEIGHTS
                ),
                *span_inputs(),
                weight_type_input(),
                io.Boolean.Input(
                    "crop_to_figure",
                    default=False,
                    tooltip="Crop the pictures of characters and objects to the figure, so that less of the background is used:"
                    " by transparency, by the mask of Reference, else by what differs from the border.",
                ),
                io.Float.Input(
                    "feather",
                    default=0.06,
                    min=0.0,
                    max=0.5,
                    step=0.01,
                    round=0.001,
                    tooltip="Width of the regions' soft edges, as a share of the frame's width.",
                ),
                io.Combo.Input(
                    "missing",
                    options=[STOP, GO_ON],
                    default=STOP,
                    tooltip="When a picture is missing: stop and say which one and how to make it, or continue without it.",
                ),
                references_input(),
                options_input(),
            ],
            outputs=[
                io.Model.Output(display_name="model"),
                io.Mask.Output(
                    "masks", display_name="masks", tooltip="Where each picture acts: a mask for each cast member."
                ),
                io.Image.Output(
                    "pictures", display_name="pictures", tooltip="The pictures that the adapter uses, as small squares."
                ),
                io.String.Output(
                    "report",
                    display_name="report",
                    tooltip="The cast members, a line for each mask, in the same order.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, start_at: float | None, end_at: float | None) -> bool | str:
        return validate(lambda: check_known_span(start_at, end_at))

    @classmethod
    def fingerprint_inputs(cls, **_: Any) -> int:
        # ComfyUI calls this before anything runs, with widget values only: the segment, and so the names of its images, is
        # not known. NaN would sample every frame again each time. So the files that were read are remembered, and the result
        # changes only when one of them, or one that was missing, has changed since.
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
        options: object = None,
    ) -> io.NodeOutput:
        require_core()
        plan, adapter = need_segment(segment), need_adapter(ipadapter)
        given, chosen = need_references(references), need_options(options)
        check_span(start_at, end_at)
        require_fit(adapter, model)
        weights = {"character": character_weight, "object": object_weight, "location": location_weight}
        cast = read_cast(plan, weights, given, must_be_there=missing == STOP, to_figure=crop_to_figure)
        size = mask_size(plan.size)
        masks = place_members(cast, size, feather)
        use = AdapterUse(adapter, clip_vision, weight_type, start_at, end_at, chosen)
        patched = condition_on_cast(model, use, cast, masks)
        return io.NodeOutput(patched, preview_masks(masks, size), preview_images(cast), describe_cast(cast, masks))


@dataclass(frozen=True)
class AdapterUse:
    """How an IP-Adapter is used, the same for all cast members.

    Attributes:
        clip_vision: the adapter's image encoder.
        start, end: when the images act, as shares of the sampling.
    """

    adapter: IPAdapter
    clip_vision: Any
    weight_type: str
    start: float = 0.0
    end: float = 1.0
    options: ConditionOptions = NO_OPTIONS


def place_members(cast: Cast, size: tuple[int, int], feather: float) -> list[Tensor | None]:
    """Make the mask of each member; see `make_region_masks`."""
    masks = make_region_masks(cast.areas, size, feather=feather, files=cast.masks)
    by_name = {(area.entity.kind, area.entity.name): mask for area, mask in zip(cast.areas, masks, strict=True)}
    return [by_name[member.role.entity.kind, member.role.entity.name] for member in cast.members]


def condition_on_cast(model: Any, use: AdapterUse, cast: Cast, masks: Sequence[Tensor | None]) -> Any:
    """Return a clone of the model conditioned on each member in its mask; the model itself when no member has any effect.

    Args:
        masks: one for each member.
    """
    for group in group_masks(masks):
        conditions = []
        for index in group:
            member, mask = cast.members[index], masks[index]
            if mask is not None and not bool(mask.any()):
                continue  # the other regions leave no room for it: it need not even be encoded
            tokens, negative = encode_member(use, member)
            acting = plan_acting(model, use.options, use.weight_type, member.role.weight, use.start, use.end)
            conditions.append(acting.condition(use.adapter, tokens, negative, None if mask is None else mask[None]))
        model = apply_image_conditions(model, conditions, normalize_masks=masks[group[0]] is not None)
    return model


def encode_member(use: AdapterUse, member: Member) -> tuple[Tensor, Tensor]:
    """The image tokens of all images of one member, (1, tokens, width), which share its weight; and the negative ones."""
    entity = member.role.entity
    encoded = [
        encode_images(use.adapter, use.clip_vision, image[None], crop=_CROPS[entity.kind], name=entity.name)
        for image in member.images
    ]
    return torch.cat([tokens for tokens, _ in encoded], dim=1), encoded[0][1]


def preview_masks(masks: Sequence[Tensor | None], size: tuple[int, int]) -> Tensor:
    """The masks as a batch (masks, height, width); one black one when there are none."""
    width, height = size
    shown = [torch.ones(height, width) if mask is None else mask for mask in masks]
    return torch.stack(shown) if shown else torch.zeros(1, height, width)


def preview_images(cast: Cast) -> Tensor:
    """All images as squares, (images, side, side, 3); one gray one when there are none."""
    squares = [fit_square(image, PREVIEW_SIDE) for member in cast.members for image in member.images]
    return torch.stack(squares) if squares else torch.full((1, PREVIEW_SIDE, PREVIEW_SIDE, 3), 0.5)


def describe_cast(cast: Cast, masks: Sequence[Tensor | None]) -> str:
    """A line for each member, in the order of the masks, then one for each missing image."""
    lines = []
    for member, mask in zip(cast.members, masks, strict=True):
        entity, count = member.role.entity, len(member.images)
        share = 1.0 if mask is None else float(mask.mean())
        place = f"{share:.0%} of the frame" if share else "no room left by the others"
        lines.append(
            f"{entity.kind} {entity.name}: weight {member.role.weight:g}, {place}, {count} picture{'s' if count > 1 else ''}"
            f" from {', '.join(member.role.names) or 'the workflow'}"
        )
    return "\n".join([*lines, *(f"without {sentence}" for sentence in cast.without)]) or "no reference pictures"


NODES = [VideoGenApplyCharacters]
