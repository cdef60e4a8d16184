"""Decoupled cross-attention: ``out += Σ_g mask_g · weight_g · softmax(q K_gᵀ / √d) V_g`` (Ye et al. 2023, equation 5).

Why it is fast: there are few image tokens and many queries. Keys and values are the same for many rows of a batch and
are never copied for each; scale and weight are multiplied into them once; all groups share one product with the queries and
one with the values, which adds into the output; masks act on the few probabilities of a query and not on its channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

#: Scores that are held at a time. Small enough for a processor's cache and large enough to keep its cores busy: measured on
#: 2 cores with 4 to 257 tokens, 2 MB is a third slower, and so is 64 MB.
BLOCK_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class TokenSet:
    """The image tokens that some rows of a batch attend to in one layer.

    Attributes:
        key: (heads, tokens, head width), times 1 / √(head width).
        value: (heads, tokens, head width), times its group's weight.
        sizes: tokens of each group. The softmax goes over each group by itself.
    """

    key: Tensor
    value: Tensor
    sizes: tuple[int, ...]


def join_groups(groups: Sequence[tuple[Tensor, Tensor, float]], heads: int, dtype: torch.dtype) -> TokenSet:
    """Join the groups of tokens that the same rows attend to.

    Args:
        groups: (key, value, weight) of each group, keys and values (tokens, channels) in any precision.
    """
    scale = (groups[0][0].shape[-1] // heads) ** -0.5
    keys = torch.cat([key * scale for key, _, _ in groups])
    values = torch.cat([value * weight for _, value, weight in groups])
    key, value = (joined.to(dtype).unflatten(1, (heads, -1)).transpose(0, 1).contiguous() for joined in (keys, values))
    return TokenSet(key, value, tuple(len(key) for key, _, _ in groups))


@dataclass(frozen=True)
class Run:
    """Consecutive rows of a batch that attend to the same tokens.

    Attributes:
        masks: for each group (1 or rows, queries of a row, or 1 for all of them), in the queries' precision; None is everywhere.
    """

    rows: int
    tokens: TokenSet
    masks: tuple[Tensor | None, ...]


class RowPlan:
    """The image attention of a batch's rows in one layer; built once and used in each step.

    Args:
        runs: they cover the batch, in its order.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = tuple(runs)
        self._stacked: dict[int, list[Run]] = {}

    def add_to(self, out: Tensor, query: Tensor, *, fused: bool | None = None) -> Tensor:
        """Add the images' attention to the output of the text's attention, in place.

        Args:
            out, query: (rows, queries, channels) of one precision; `out` is contiguous.
            fused: use torch's fused attention, a group at a time, instead of two thin products for all. None: thin ones in
                single and double precision on a processor, where they are several times as fast; fused elsewhere: half
                precision has its scores in single precision there, and a GPU needs few calls.
        """
        if fused is None:
            fused = query.device.type != "cpu" or query.dtype not in (torch.float32, torch.float64)
        if fused:
            self._add_fused(out, query)
        else:
            self._add_thin(out, query)
        return out

    # -------------------------------------------------------------- thin products

    def _add_thin(self, out: Tensor, query: Tensor) -> None:
        row = 0
        for run in self.runs:
            rows = slice(row, row + run.rows)
            masks = [_spread_mask(mask, run.rows, query.shape[1]) for mask in run.masks]
            _add_products(out[rows].flatten(0, 1), query[rows].flatten(0, 1), run.tokens, masks)
            row += run.rows

    # -------------------------------------------------------------- fused attention

    def _add_fused(self, out: Tensor, query: Tensor) -> None:
        """The rows of a run are one long row of queries, and runs of equal shape are a batch of such rows."""
        queries_of_row = query.shape[1]
        if queries_of_row not in self._stacked:
            self._stacked = {queries_of_row: _stack_runs(self.runs, queries_of_row)}
        row = 0
        for run in self._stacked[queries_of_row]:
            key, value = run.tokens.key, run.tokens.value  # (runs, heads, tokens, head width)
            batch, heads = key.shape[:2]
            rows = slice(row, row + run.rows)
            queries = query[rows].reshape(batch, -1, heads, key.shape[-1]).transpose(1, 2)
            target = out[rows].view(batch, -1, out.shape[-1])
            first = 0
            for size, mask in zip(run.tokens.sizes, run.masks, strict=True):
                group = slice(first, first + size)
                seen = functional.scaled_dot_product_attention(queries, key[:, :, group], value[:, :, group], scale=1.0)
                seen = seen.transpose(1, 2).reshape(target.shape)
                if mask is None:
                    target.add_(seen)
                else:
                    target.addcmul_(seen, mask)
                first += size
            row += run.rows


def _add_products(out: Tensor, query: Tensor, tokens: TokenSet, masks: Sequence[Tensor | None]) -> None:
    """Add to (queries, channels), in blocks of bounded size. Scores are (heads, tokens, queries): with the many along the last
    dimension, softmax and masks are vectorized over them."""
    heads, count, width = tokens.key.shape
    block = max(1, BLOCK_BYTES // (heads * count * query.element_size()))
    for start in range(0, len(query), block):
        part = slice(start, start + block)
        scores = torch.bmm(tokens.key, query[part].unflatten(1, (heads, width)).permute(1, 2, 0))
        seen = _softmax_by_group(scores, tokens.sizes)
        first = 0
        for size, mask in zip(tokens.sizes, masks, strict=True):
            if mask is not None:
                seen[:, first : first + size] *= mask[part]
            first += size
        out[part].unflatten(1, (heads, width)).transpose(0, 1).baddbmm_(seen.transpose(1, 2), tokens.value)


def _softmax_by_group(scores: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Softmax over the tokens (dimension 1) of each group."""
    if len(set(sizes)) == 1:
        return torch.softmax(scores.unflatten(1, (len(sizes), sizes[0])), dim=2).flatten(1, 2)
    first = 0
    for size in sizes:
        group = scores[:, first : first + size]
        group.copy_(torch.softmax(group, dim=1))
        first += size
    return scores


def _spread_mask(mask: Tensor | None, rows: int, queries: int) -> Tensor | None:
    """A mask with one value for each query of each row, flat."""
    return None if mask is None else mask.expand(rows, queries).reshape(-1)


def _stack_runs(runs: Sequence[Run], queries: int) -> list[Run]:
    """Runs with one more dimension in front of their tokens, (runs, heads, …), and masks (runs, queries, 1): all in one
    when they are of one shape, which the rows of both prompts mostly are."""
    shapes = {(run.rows, run.tokens.sizes, tuple(mask is None for mask in run.masks)) for run in runs}
    batches = [list(runs)] if len(shapes) == 1 else [[run] for run in runs]
    stacked = []
    for batch in batches:
        key, value = (torch.stack([getattr(run.tokens, part) for run in batch]) for part in ("key", "value"))
        masks = []
        for same in zip(*(run.masks for run in batch), strict=True):
            rows = [_spread_mask(mask, run.rows, queries) for mask, run in zip(same, batch, strict=True)]
            found = [mask for mask in rows if mask is not None]
            masks.append(torch.stack(found)[..., None] if found else None)
        tokens = TokenSet(key, value, batch[0].tokens.sizes)
        stacked.append(Run(sum(run.rows for run in batch), tokens, tuple(masks)))
    return stacked
