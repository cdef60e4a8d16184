"""Where the weight of an image acts: on the values of its tokens alone, or on their keys too."""

from __future__ import annotations

from torch import Tensor

V_ONLY = "V only"
K_AND_V = "K+V"
K_AND_V_PENALTY = "K+V w/ C penalty"
K_AND_MEAN_V_PENALTY = "K+mean(V) w/ C penalty"
#: The names are those of `embeds_scaling` in ComfyUI_IPAdapter_plus; saved workflows contain them.
SCALINGS = (V_ONLY, K_AND_V, K_AND_V_PENALTY, K_AND_MEAN_V_PENALTY)

#: Channels of the widest layers, in which the penalty is 1.
_FULL_WIDTH = 1280.0


def scale_embeds(key: Tensor, value: Tensor, weight: float, scaling: str) -> tuple[Tensor, Tensor, float]:
    """Keys and values (tokens, channels) scaled, and the weight that remains for the values.

    The formulas are those of `ipadapter_attention` in ComfyUI_IPAdapter_plus (CrossAttentionPatch.py). With the channels C and
    the weight ``w``, times ``C / 1280`` in the two with a penalty, which makes narrow layers weaker:

    - V only: ``w V``, which is what the adapters were trained with
    - K+V: ``w K`` and ``w V``: a weight above 1 also sharpens the attention to the image
    - K+mean(V): ``w K`` and ``(V − mean V) + w mean V``, the mean being that of the tokens: only what all tokens have in common
      is scaled

    Args:
        scaling: one of `SCALINGS`.
    """
    if scaling == V_ONLY or weight == 0:
        return key, value, weight
    if scaling != K_AND_V:
        weight *= key.shape[-1] / _FULL_WIDTH
    if scaling == K_AND_MEAN_V_PENALTY:
        mean = value.mean(dim=0, keepdim=True)
        return key * weight, (value - mean) + mean * weight, 1.0
    return key * weight, value * weight, 1.0
