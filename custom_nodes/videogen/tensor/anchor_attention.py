"""Self-attention in which the frames of a shot also attend to anchor frames."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

#: ``attend(q, k, v)`` of any attention kernel: (rows, tokens, width) each, scaled by 1 / sqrt(width / heads).
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
#: The joint keys of this many rows are built at once: more at a time would not be faster, only larger.
MAX_JOINT_BYTES = 256 * 2**20
#: Channels added to each head for the anchors' bias. Kernels want head widths that are multiples of 8, and a bias that is spread
#: over eight channels is about as small as the keys: half precision and kernels with 8-bit keys represent it well enough.
_BIAS_CHANNELS = 8


@dataclass(frozen=True)
class AnchorKeys:
    """Keys and values of a sub-batch that one layer keeps for the next sub-batches, (chunks, tokens, width) each.

    Attributes:
        first: of the shot's first frame.
        last: of the sub-batch's last frame; None unless frames attend to the previous one.
    """

    first: tuple[Tensor, Tensor]
    last: tuple[Tensor, Tensor] | None


def attend_with_anchors(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    heads: int,
    chunks: int,
    strength: float,
    previous: bool,
    attend: Attend,
    kept: AnchorKeys | None = None,
    whole: bool = False,
) -> Tensor:
    """Self-attention of frames over their own tokens and those of their anchors.

    Every query's softmax runs over its frame's own keys, each with the weight ``1 - strength``, and the keys of each anchor,
    each with the weight ``strength``::

        out = sum_j w_j exp(q·k_j / sqrt(d)) v_j / sum_j w_j exp(q·k_j / sqrt(d))

    so that

    - 0 is self-attention as it is;
    - 0.5 counts every token the same: the tokens of several images side by side, as in StoryDiffusion's consistent
      self-attention (Zhou et al. 2024), with all tokens of the anchors instead of samples;
    - 1 leaves only the anchors': cross-frame attention of Text2Video-Zero (Khachatryan et al. 2023, eq. 8) with the first
      frame, and sparse-causal attention of Tune-A-Video (Wu et al. 2023) with the first and the previous one.

    The anchors are the shot's first frame, and with `previous` also the frame before (the first frame's is itself). For the
    first frame they are its own tokens, and it is as without anchors at every strength.

    The attention matrix is never built: weights other than 1 : 1 become a few channels more of queries and keys, whose
    product is the logarithm of the weights' ratio, so that any kernel can be used and none needs a mask. Joint keys and values
    are built for so many rows at a time that they stay below `MAX_JOINT_BYTES` each; with strength 1 and the first frame alone
    they are not built at all. A layer with N tokens a frame costs 2 N² instead of N² products a frame, with `previous` 3 N²;
    at strength 1 N² less.

    Args:
        q: (rows, queries, width); k, v: (rows, tokens, width). The rows are `chunks` (cond, uncond, in any order) times the
            frames of this sub-batch, in their order; each chunk has its own anchors.
        kept: of the previous sub-batch (see `keep_anchors`); None when this one has the first frame.
        whole: all rows are given to `attend` at once.
    """
    frames = q.shape[0] // chunks
    if strength <= 0 or (kept is None and frames == 1):
        return attend(q, k, v)
    queries, keys, values = (tensor.unflatten(0, (chunks, frames)) for tensor in (q, k, v))
    first = kept.first if kept else (keys[:, 0], values[:, 0])
    before = kept.last if kept and kept.last is not None else first
    own = strength < 1
    if not own and not previous and not whole:
        # All frames of a chunk attend to the same keys: they are one long image.
        return attend(queries.flatten(1, 2), *first).reshape(q.shape)
    bias = math.log(strength / (1 - strength)) if own else 0.0

    def run(chunk: slice, frame: slice) -> Tensor:
        joint_keys, joint_values = (
            _join(source, anchor, last, chunk, frame, own=own, previous=previous)
            for source, anchor, last in zip((keys, values), first, before, strict=True)
        )
        seen = queries[chunk, frame].flatten(0, 1)
        if bias:
            return _attend_biased(seen, joint_keys, joint_values, heads, k.shape[1], bias, attend)
        return attend(seen, joint_keys, joint_values)

    frame_bytes = max(1, (own + 1 + previous) * k[0].numel() * k.element_size())
    step = max(1, MAX_JOINT_BYTES // frame_bytes)
    if whole or step >= q.shape[0]:
        return run(slice(0, chunks), slice(0, frames))
    return torch.cat(
        [
            run(slice(chunk, chunk + 1), slice(frame, min(frame + step, frames)))
            for chunk in range(chunks)
            for frame in range(0, frames, step)
        ]
    )


def _join(
    source: Tensor, first: Tensor, last: Tensor, chunk: slice, frame: slice, *, own: bool, previous: bool
) -> Tensor:
    """The tokens that some frames attend to, side by side: their own, the first frame's, the frame's before.

    Args:
        source: (chunks, frames, tokens, width).
        first, last: (chunks, tokens, width), of the shot's first frame and of the frame before the first one in `source`.

    Returns:
        (chunks · frames that were asked for, tokens together, width).
    """
    here = source[chunk, frame]
    chunks, frames, tokens, width = here.shape
    joint = here.new_empty((chunks, frames, own + 1 + previous, tokens, width))
    if own:
        joint[:, :, 0] = here
    joint[:, :, int(own)] = first[chunk, None]
    if previous:
        skip = int(frame.start == 0)
        if skip:
            joint[:, 0, -1] = last[chunk]
        joint[:, skip:, -1] = source[chunk, frame.start - 1 + skip : frame.stop - 1]
    return joint.flatten(2, 3).flatten(0, 1)


def keep_anchors(
    k: Tensor, v: Tensor, *, chunks: int, previous: bool, kept: AnchorKeys | None, last_batch: bool = False
) -> AnchorKeys | None:
    """Return what the next sub-batch needs from this one; None after the last."""
    if last_batch:
        return None
    frames = k.shape[0] // chunks
    # Copies: a view would hold on to the keys of all frames.
    first = kept.first if kept else (k[::frames].clone(), v[::frames].clone())
    last = (k[frames - 1 :: frames].clone(), v[frames - 1 :: frames].clone()) if previous else None
    return AnchorKeys(first, last)


def _attend_biased(q: Tensor, k: Tensor, v: Tensor, heads: int, own: int, bias: float, attend: Attend) -> Tensor:
    """Attention with `bias` added to the logits of all keys after the first `own`.

    Each head is extended by `_BIAS_CHANNELS` channels: 1 in the queries, so that the product with the keys' channels adds
    up to the bias. Kernels divide by the root of the head's width, which is larger now: the queries are scaled to compensate.
    """
    width = q.shape[-1] // heads
    wide = width + _BIAS_CHANNELS
    share = bias * math.sqrt(wide) / _BIAS_CHANNELS
    q_wide = q.new_ones((*q.shape[:2], heads, wide))
    torch.mul(q.unflatten(-1, (heads, width)), math.sqrt(wide / width), out=q_wide[..., :width])
    k_wide = k.new_zeros((*k.shape[:2], heads, wide))
    k_wide[..., :width] = k.unflatten(-1, (heads, width))
    k_wide[:, own:, :, width:] = share
    v_wide = v.new_zeros((*v.shape[:2], heads, wide))
    v_wide[..., :width] = v.unflatten(-1, (heads, width))
    out = attend(q_wide.flatten(-2), k_wide.flatten(-2), v_wide.flatten(-2))
    return out.unflatten(-1, (heads, wide))[..., :width].flatten(-2)
