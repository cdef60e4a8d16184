"""Embeddings of several images combined to one, before their projection to image tokens."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def _norm_average(embeds: Tensor) -> Tensor:
    norm = torch.linalg.vector_norm(embeds, dim=0, keepdim=True)
    # A value that is 0 in all images stays 0.
    return (embeds / torch.where(norm == 0, 1.0, norm)).mean(dim=0, keepdim=True)


#: Method → a function of embeddings (n, …) that returns (1, …). The formulas are those of `combine_embeds` and of
#: IPAdapterCombineEmbeds in ComfyUI_IPAdapter_plus (IPAdapterPlus.py): add is Σe, subtract is e₁ − mean(e₂ …), average is
#: mean(e), norm average is mean(e / ‖e‖) with the norm over the images of each value by itself, max and min likewise.
METHODS: dict[str, Callable[[Tensor], Tensor]] = {
    "add": lambda embeds: embeds.sum(dim=0, keepdim=True),
    "subtract": lambda embeds: embeds[:1] - embeds[1:].mean(dim=0, keepdim=True),
    "average": lambda embeds: embeds.mean(dim=0, keepdim=True),
    "norm average": _norm_average,
    "max": lambda embeds: embeds.amax(dim=0, keepdim=True),
    "min": lambda embeds: embeds.amin(dim=0, keepdim=True),
}
