"""How images act on a model, beside their tokens: layers, scaling, frames, span."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ...core.conditioning.frame_weights import check_weights
from ...core.conditioning.layer_weights import LayerWeights, check_weight, choose_layers
from ...core.errors import VideoGenError
from ...tensor.ip_adapter.adapter import IPAdapter
from ...tensor.ip_adapter.embeds_scaling import V_ONLY
from .image_condition import ImageCondition
from .unet_blocks import cross_attention_keys


@dataclass(frozen=True)
class ConditionOptions:
    """The content of an IPADAPTER_OPTIONS socket; the defaults change nothing.

    Attributes:
        scaling: one of `SCALINGS` in ``tensor.ip_adapter.embeds_scaling``.
        other: weight of the second part of a weight type that has two, as a share of the weight; see `choose_layers`.
        block_weights: number of a block → share of the weight, in place of the weight type's; None: the type's.
        frame_weights: a factor of the weight for each frame; empty: 1 in all.
    """

    scaling: str = V_ONLY
    other: float = 1.0
    block_weights: Mapping[int, float] | None = None
    frame_weights: tuple[float, ...] = ()


NO_OPTIONS = ConditionOptions()


@dataclass(frozen=True)
class Acting:
    """How the images of one condition act on one model."""

    layers: LayerWeights
    frame_weights: tuple[float, ...]
    scaling: str
    start: float
    end: float

    @property
    def has_effect(self) -> bool:
        """Whether anything would change: without, nothing need be encoded."""
        return any(self.layers.weights) and self.start < self.end and any(self.frame_weights or (1,))

    def condition(
        self, adapter: IPAdapter, tokens: Tensor, negative: Tensor, mask: Tensor | None = None
    ) -> ImageCondition:
        """The condition on image tokens (n, T, width); more than one row are one per frame."""
        return ImageCondition(
            adapter,
            tokens,
            negative,
            self.layers.weights,
            per_frame=len(tokens) > 1,
            mask=mask,
            start=self.start,
            end=self.end,
            reversed=self.layers.reversed if any(self.layers.reversed) else (),
            scaling=self.scaling,
            frame_weights=self.frame_weights,
        )


def plan_acting(
    model: Any,
    options: ConditionOptions,
    weight_type: str,
    weight: float | Sequence[float],
    start: float = 0.0,
    end: float = 1.0,
) -> Acting:
    """How images with these settings act on a model.

    Args:
        model: a MODEL that an adapter fits.
        weight: one number, or one per frame, as nodes that make curves of weights output them.

    Raises:
        VideoGenError: `widget-invalid`, for a weight type or block that the model does not have.
    """
    whole, per_frame = read_weight(weight)
    frames = multiply_frames(per_frame, options.frame_weights)
    if len(frames) == 1:
        whole, frames = whole * frames[0], ()
    layers = choose_layers(
        weight_type,
        whole,
        cross_attention_keys(model.get_model_object("diffusion_model")),
        other=options.other,
        block_weights=options.block_weights,
    )
    return Acting(layers, frames, options.scaling, start, end)


def read_weight(weight: Any, name: str = "weight") -> tuple[float, tuple[float, ...]]:
    """A weight for all frames, and a factor for each one (empty: 1 in all).

    Raises:
        VideoGenError: `widget-invalid`, for a value outside the range, or another type.
    """
    if isinstance(weight, Tensor):
        weight = weight.flatten().tolist()
    if isinstance(weight, (int, float)) and not isinstance(weight, bool):
        return check_weight(float(weight), name), ()
    if isinstance(weight, Sequence) and all(isinstance(one, (int, float)) for one in weight):
        return 1.0, tuple(check_weights([float(one) for one in weight], name))
    raise VideoGenError("widget-invalid", f"`{name}` is {weight!r}, expected a number, or one number per frame")


def multiply_frames(one: tuple[float, ...], other: tuple[float, ...]) -> tuple[float, ...]:
    """The product of two lists of factors; the last value of the shorter one is that of all further frames."""
    if not one or not other:
        return one or other
    return tuple(
        one[min(frame, len(one) - 1)] * other[min(frame, len(other) - 1)] for frame in range(max(len(one), len(other)))
    )
