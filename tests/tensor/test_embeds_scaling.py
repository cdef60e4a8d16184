"""Where a weight acts on keys and values, through the attention itself and against the formulas in numpy."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from custom_nodes.videogen.tensor.ip_adapter.attention import RowPlan, Run, join_groups
from custom_nodes.videogen.tensor.ip_adapter.embeds_scaling import SCALINGS, scale_embeds

HEADS, CHANNELS, TOKENS, QUERIES = 2, 320, 5, 7


def attend(query: np.ndarray, key: np.ndarray, value: np.ndarray) -> np.ndarray:
    """softmax(q kᵀ / √d) v of each head."""
    out = np.empty_like(query)
    width = CHANNELS // HEADS
    for head in range(HEADS):
        part = slice(head * width, (head + 1) * width)
        scores = query[:, part] @ key[:, part].T / np.sqrt(width)
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        out[:, part] = scores / scores.sum(axis=1, keepdims=True) @ value[:, part]
    return out


def formula(scaling: str, w: float, query: np.ndarray, key: np.ndarray, value: np.ndarray) -> np.ndarray:
    """`ipadapter_attention`, written anew."""
    if scaling == "V only":
        return attend(query, key, value) * w
    if "C penalty" in scaling:
        w *= CHANNELS / 1280
    if scaling.startswith("K+mean(V)"):
        mean = value.mean(axis=0, keepdims=True)
        return attend(query, key * w, (value - mean) + mean * w)
    return attend(query, key * w, value * w)


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("weight", [0.4, 1.0, 2.5, -0.7])
@pytest.mark.parametrize("fused", [False, True])
def test_each_scaling_is_the_formula(scaling: str, weight: float, fused: bool) -> None:
    random = np.random.default_rng(2)
    query, key, value = (random.normal(size=(count, CHANNELS)) for count in (QUERIES, TOKENS, TOKENS))
    scaled = scale_embeds(torch.from_numpy(key), torch.from_numpy(value), weight, scaling)
    plan = RowPlan([Run(1, join_groups([scaled], HEADS, torch.float64), (None,))])
    found = plan.add_to(
        torch.zeros(1, QUERIES, CHANNELS, dtype=torch.float64), torch.from_numpy(query)[None], fused=fused
    )
    np.testing.assert_allclose(found[0].numpy(), formula(scaling, weight, query, key, value), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_no_weight_is_no_image(scaling: str) -> None:
    key, value = torch.randn(TOKENS, CHANNELS), torch.randn(TOKENS, CHANNELS)
    plan = RowPlan([Run(1, join_groups([scale_embeds(key, value, 0.0, scaling)], HEADS, torch.float32), (None,))])
    out = torch.randn(1, QUERIES, CHANNELS)
    assert torch.equal(plan.add_to(out.clone(), torch.randn(1, QUERIES, CHANNELS)), out)


@pytest.mark.parametrize("fused", [False, True])
def test_a_factor_for_each_row(fused: bool) -> None:
    """A mask with a single value a row is that value for all of its queries, alone and beside masks of all queries."""
    query = torch.randn(3, QUERIES, CHANNELS, dtype=torch.float64)
    groups = [(torch.randn(TOKENS, CHANNELS), torch.randn(TOKENS, CHANNELS), 0.8) for _ in range(2)]
    tokens = join_groups(groups, HEADS, torch.float64)
    factors = torch.tensor([[0.0], [0.5], [2.0]], dtype=torch.float64)
    mask = torch.rand(3, QUERIES, dtype=torch.float64)
    zero = torch.zeros_like(query)
    found = RowPlan([Run(3, tokens, (factors, mask))]).add_to(zero.clone(), query, fused=fused)
    spread = RowPlan([Run(3, tokens, (factors.expand(-1, QUERIES), mask))]).add_to(zero.clone(), query, fused=fused)
    torch.testing.assert_close(found, spread)
    alone = [
        RowPlan([Run(1, tokens, (factors[row : row + 1], mask[row : row + 1]))]).add_to(
            zero[:1].clone(), query[row : row + 1], fused=fused
        )
        for row in range(3)
    ]
    torch.testing.assert_close(found, torch.cat(alone))
