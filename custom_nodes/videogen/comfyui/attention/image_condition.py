"""One IP-Adapter's condition of a model: image tokens, their weights, where and when they act."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ...tensor.ip_adapter.adapter import IPAdapter


@dataclass(frozen=True)
class ImageCondition:
    """The image tokens that one adapter conditions a model on.

    Attributes:
        tokens: (n, T, context width): n is 1, or one row per frame with `per_frame`; frames beyond the last row use the last.
            Several images that belong together are concatenated along T.
        negative_tokens: (1, T', context width): for the rows of the negative prompt.
        weights: one per cross-attention, in the file's numbering; 0 leaves a layer unchanged.
        mask: (1 or frames, H, W), 0…1; None is everywhere. Frames beyond the last mask use the last.
            ComfyUI does not report the position of a prompt with an area: there the mask is applied to the area alone.
        start, end: shares of the sampling, as ComfyUI counts it.
    """

    adapter: IPAdapter
    tokens: Tensor
    negative_tokens: Tensor
    weights: tuple[float, ...]
    per_frame: bool = False
    mask: Tensor | None = None
    start: float = 0.0
    end: float = 1.0

    def acts(self) -> bool:
        """Whether it has any effect at all."""
        return any(self.weights) and self.start < self.end

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
        if self.mask is not None and (self.mask.ndim != 3 or not self.mask.numel()):
            raise ValueError(f"mask has shape {tuple(self.mask.shape)}, expected (1 or frames, height, width)")
