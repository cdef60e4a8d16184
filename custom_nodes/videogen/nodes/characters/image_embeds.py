"""Nodes for embeddings of images: encode, weigh and combine them, and condition a model on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ...comfyui.attention.adapter_fit import require_fit
from ...comfyui.attention.attention_patch import apply_image_conditions
from ...comfyui.attention.condition_options import plan_acting
from ...comfyui.attention.image_embeds import check_embeds, need_embeds
from ...comfyui.attention.image_tokens import CROPS, embed_images, negative_tokens, project_embeds, require_several
from ...comfyui.core_features import require_core
from ...comfyui.frames.mask_check import check_mask, require_masks_fit
from ...comfyui.sockets import AdapterSocket, EmbedsSocket, need_adapter, need_options
from ...comfyui.widgets import (
    adapter_inputs,
    check_known_span,
    options_input,
    span_inputs,
    validate,
    weight_type_input,
)
from ...core.conditioning.layer_weights import WEIGHT_RANGE, WEIGHT_TYPES, check_weight
from ...core.errors import VideoGenError
from ...core.widget_checks import check_choice
from ...tensor.ip_adapter.combine_embeds import METHODS

CONCAT = "concat"
#: How many sets of embeddings Combine Embeds takes.
_INPUTS = 5
#: How the pictures of Apply Embeds are used.
_EACH, _PER_FRAME = "together", "one per frame"
USES = (_EACH, _PER_FRAME)


class VideoGenEncodeEmbeds(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        low, high = WEIGHT_RANGE
        return io.Schema(
            node_id="VideoGenEncodeEmbeds",
            display_name="Encode Embeds",
            category="videogen/characters",
            description="Encodes pictures for an IP-Adapter, each batch with its own weight, to combine or save them.",
            inputs=[
                AdapterSocket.Input("ipadapter", tooltip="From IP-Adapter Loader: its kind decides what is encoded."),
                io.ClipVision.Input("clip_vision", tooltip="The encoder that the adapter was trained with."),
                io.Image.Input("image", tooltip="One picture or a batch. What is transparent does not count."),
                io.Float.Input(
                    "weight",
                    default=1.0,
                    min=low,
                    max=high,
                    step=0.05,
                    round=0.001,
                    tooltip="A factor of these pictures' embeddings. A list of numbers is a factor for each picture.",
                ),
                io.Combo.Input(
                    "crop",
                    options=list(CROPS),
                    default="center",
                    tooltip="How a picture is fitted to the encoder's square: cropped to its middle, padded, or stretched.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="White for the part of the picture that counts; one, or one per picture.",
                ),
            ],
            outputs=[
                EmbedsSocket.Output("positive", display_name="embeds"),
                EmbedsSocket.Output(
                    "negative",
                    display_name="negative",
                    tooltip="For `embeds_negative` of Apply Embeds: no picture at all.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, weight: float | None, crop: str | None) -> bool | str:
        return validate(lambda: check_encoding(weight, crop))

    @classmethod
    def execute(
        cls,
        ipadapter: object,
        clip_vision: Any,
        image: Tensor,
        weight: float | Sequence[float],
        crop: str,
        mask: Tensor | None = None,
    ) -> io.NodeOutput:
        check_encoding(None, crop)
        embeds, negative = embed_images(need_adapter(ipadapter), clip_vision, image, crop=crop, masks=mask)
        return io.NodeOutput(weigh_embeds(embeds, weight), negative)


class VideoGenCombineEmbeds(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenCombineEmbeds",
            display_name="Combine Embeds",
            category="videogen/characters",
            description="Combines embeddings of pictures: all of them side by side, or mixed to those of a single picture.",
            inputs=[
                EmbedsSocket.Input("embeds_1", tooltip="From Encode Embeds or Load Embeds."),
                io.Combo.Input(
                    "method",
                    options=[CONCAT, *METHODS],
                    default=CONCAT,
                    tooltip="concat: all of them. add: their sum. subtract: the first without the mean of the others. average,"
                    " norm average, max and min: of each value.",
                ),
                *(
                    EmbedsSocket.Input(f"embeds_{number}", optional=True, tooltip="More of the same kind.")
                    for number in range(2, _INPUTS + 1)
                ),
            ],
            outputs=[EmbedsSocket.Output("combined", display_name="embeds")],
        )

    @classmethod
    def validate_inputs(cls, method: str | None) -> bool | str:
        return validate(lambda value: check_choice("method", value, (CONCAT, *METHODS)), method)

    @classmethod
    def execute(cls, embeds_1: object, method: str, **more: object) -> io.NodeOutput:
        check_choice("method", method, (CONCAT, *METHODS))
        given = {"embeds_1": embeds_1, **dict(sorted(more.items()))}
        parts = [check_embeds(value, name) for name, value in given.items() if value is not None]
        if len({part.shape[1:] for part in parts}) > 1:
            shapes = ", ".join(str(tuple(part.shape)) for part in parts)
            raise VideoGenError(
                "adapter-mismatch",
                f"the embeddings are of different kinds: {shapes}",
                "Encode all of them with the same adapter and encoder.",
            )
        every = torch.cat(parts)
        require_several(method, len(every), "`embeds_1`", "picture")
        return io.NodeOutput(every if method == CONCAT else METHODS[method](every))


class VideoGenApplyEmbeds(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        low, high = WEIGHT_RANGE
        model, ipadapter, clip_vision = adapter_inputs()
        clip_vision.optional = True
        clip_vision.tooltip = "Only for the negative prompt of plus and full-face adapters, without `embeds_negative`."
        return io.Schema(
            node_id="VideoGenApplyEmbeds",
            display_name="Apply Embeds",
            category="videogen/characters",
            description="Conditions the model on embeddings of pictures, as Apply IP-Adapter does on the pictures themselves.",
            inputs=[
                model,
                ipadapter,
                EmbedsSocket.Input("embeds", tooltip="From Encode Embeds, Combine Embeds or Load Embeds."),
                io.Float.Input(
                    "weight",
                    default=0.8,
                    min=low,
                    max=high,
                    step=0.05,
                    round=0.001,
                    tooltip="How strongly they act. A list of numbers, such as that of Frame Weights: one for each frame.",
                ),
                weight_type_input(),
                *span_inputs(),
                io.Combo.Input(
                    "pictures",
                    options=list(USES),
                    default=_EACH,
                    tooltip="For several pictures. together: the model attends to all of them. one per frame: frame n uses"
                    " picture n.",
                ),
                EmbedsSocket.Input(
                    "embeds_negative",
                    optional=True,
                    tooltip="For the negative prompt, such as unwanted content; averaged.",
                ),
                clip_vision,
                io.Mask.Input("mask", optional=True, tooltip="Where they act: one mask, or one per frame."),
                options_input(),
            ],
            outputs=[io.Model.Output(display_name="model")],
        )

    @classmethod
    def validate_inputs(
        cls,
        weight: float | None,
        weight_type: str | None,
        start_at: float | None,
        end_at: float | None,
        pictures: str | None,
    ) -> bool | str:
        return validate(lambda: check_acting(weight, weight_type, start_at, end_at, pictures))

    @classmethod
    def execute(
        cls,
        model: Any,
        ipadapter: object,
        embeds: object,
        weight: float | Sequence[float],
        weight_type: str,
        start_at: float,
        end_at: float,
        pictures: str,
        embeds_negative: object = None,
        clip_vision: Any = None,
        mask: Tensor | None = None,
        options: object = None,
    ) -> io.NodeOutput:
        require_core()
        adapter = need_adapter(ipadapter)
        check_acting(None, weight_type, start_at, end_at, pictures)
        require_fit(adapter, model)
        positive = need_embeds(embeds, adapter, "embeds")
        if mask is not None:
            mask = check_mask(mask)
        acting = plan_acting(model, need_options(options), weight_type, weight, start_at, end_at)
        if not acting.has_effect:
            return io.NodeOutput(model)
        tokens = project_embeds(adapter, positive)
        if pictures == _EACH:
            tokens = tokens.flatten(0, 1)[None]
        if embeds_negative is None:
            negative = negative_tokens(adapter, clip_vision)
        else:
            unwanted = need_embeds(embeds_negative, adapter, "embeds_negative")
            negative = project_embeds(adapter, METHODS["average"](unwanted))
        patched = apply_image_conditions(model, [acting.condition(adapter, tokens, negative, mask)])
        if mask is not None and patched is not model:
            require_masks_fit(patched, {"mask": mask})
        return io.NodeOutput(patched)


def weigh_embeds(embeds: Tensor, weight: float | Sequence[float]) -> Tensor:
    """Embeddings (n, …) times a weight, or each times its own.

    Raises:
        VideoGenError: `widget-invalid`, for another number of weights, or one outside the range.
    """
    weights = list(weight) if isinstance(weight, Sequence) else [weight] * len(embeds)
    if len(weights) != len(embeds):
        raise VideoGenError(
            "widget-invalid",
            f"`weight` has {len(weights)} numbers for {len(embeds)} pictures, expected one or {len(embeds)}",
        )
    factors = torch.tensor([check_weight(float(one)) for one in weights], dtype=embeds.dtype)
    return embeds * factors.view(-1, *[1] * (embeds.ndim - 1))


def check_encoding(weight: float | None, crop: str | None) -> None:
    """Check the widgets of Encode Embeds; None is not known yet.

    Raises:
        VideoGenError: `widget-invalid`.
    """
    check_weight(1.0 if weight is None else weight)
    check_choice("crop", crop or CROPS[0], CROPS)


def check_acting(
    weight: float | None, weight_type: str | None, start_at: float | None, end_at: float | None, pictures: str | None
) -> None:
    """Check the widgets of Apply Embeds; None is not known yet.

    Raises:
        VideoGenError: `widget-invalid`.
    """
    check_weight(0.0 if weight is None else weight)
    check_choice("weight_type", weight_type or WEIGHT_TYPES[0], WEIGHT_TYPES)
    check_known_span(start_at, end_at)
    check_choice("pictures", pictures or _EACH, USES)


NODES = [VideoGenEncodeEmbeds, VideoGenCombineEmbeds, VideoGenApplyEmbeds]
