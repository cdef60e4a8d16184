"""One IP-Adapter's condition of a model: image tokens, their weights, where and when they act."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ...tensor.ip_adapter.adapter import IPAdapter
from ...tensor.ip_adapter.embeds_scaling import V_ONLY


@dataclass(frozen=True)
class ImageCondition:
    """The image tokens that one adapter conditions a model on.

    Attributes:
        tokens: (n, T, context width): n is 1, or one row per frame with `per_frame`; frames beyond the last row use the last.
            Several images that belong together are concatenated along T.
        negative_tokens: (1, T', context width): for the rows of the negative prompt.
        weights: one per cross-attention, in the file's numbering; 0 leaves a layer unchanged.
        mask: (1 or frames, H, W), 0…1, of the whole picture; None is everywhere. Frames beyond the last mask use the last.
            For a prompt with an area, a tile or a context window it is cut to that part of the picture.
        start, end: shares of the sampling, as ComfyUI counts it.
        reversed: for each cross-attention whether the rows of the negative prompt see the images there, and the positive ones
            nothing; empty for none.
        scaling: one of `SCALINGS` in ``tensor.ip_adapter.embeds_scaling``.
        frame_weights: a factor of the weights for each frame; frames beyond the last one use the last. Empty: 1 in all.
    """

    adapter: IPAdapter
    tokens: Tensor
    negative_tokens: Tensor
    weights: tuple[float, ...]
    per_frame: bool = False
    mask: Tensor | None = None
    start: float = 0.0
    end: float = 1.0
    reversed: tuple[bool, ...] = ()
    scaling: str = V_ONLY
    frame_weights: tuple[float, ...] = ()

    def acts(self) -> bool:
        """Whether it has any effect at all."""
        return any(self.weights) and self.start < self.end and any(self.frame_weights or (1,))

    def sees_images(self, layer: int, is_positive: bool) -> bool:
        """Whether the rows of a positive prompt (or else a negative one) attend to the images in a layer."""
        return is_positive != self._is_reversed(layer)

    def weight_without_images(self, layer: int) -> float:
        """The weight of `negative_tokens` in a layer: the positive rows of a reversed one attend to nothing instead."""
        return 0.0 if self._is_reversed(layer) else self.weights[layer]

    @property
    def weighs_values(self) -> bool:
        """Whether the weight is a factor of the images' attention, and that of a frame a factor of its rows."""
        return self.scaling == V_ONLY

    def frame_weight(self, frame: int) -> float:
        """The factor of the weights in a frame."""
        return self.frame_weights[min(frame, len(self.frame_weights) - 1)] if self.frame_weights else 1.0

    def _is_reversed(self, layer: int) -> bool:
        return bool(self.reversed) and self.reversed[layer]

    def check_shapes(self) -> None:
        """Check the shapes against the adapter.

        Raises:
            ValueError: an error of the caller, not of a user.
        """
        info, tokens, negative = self.adapter.info, self.tokens, self.negative_tokens
        if tokens.ndim != 3 or tokens.shape[-1] != info.context_width or not len(tokens):
            raise ValueError(f"tokens have shape {tuple(tokens.shape)}, expected (n, T, {info.context_width})")
        if negative.ndim != 3 or negative.shape[-1] != info.context_width or len(negative) != 1:
            raise ValueError(
                f"negative_tokens have shape {tuple(negative.shape)}, expected (1, T, {info.context_width})"
            )
        if len(tokens) != 1 and not self.per_frame:
            raise ValueError(f"{len(tokens)} rows of tokens, expected 1, or per_frame")
        if len(self.weights) != len(info.layer_widths):
            raise ValueError(f"{len(self.weights)} weights for {len(info.layer_widths)} layers")
        if self.reversed and len(self.reversed) != len(self.weights):
            raise ValueError(f"{len(self.reversed)} choices of reversed layers for {len(self.weights)} layers")
        if self.mask is not None and (self.mask.ndim != 3 or not self.mask.numel()):
            raise ValueError(f"mask has shape {tuple(self.mask.shape)}, expected (1 or frames, height, width)")
