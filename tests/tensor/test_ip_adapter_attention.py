"""Decoupled cross-attention against the formula written out, for any grouping of tokens, rows, masks and weights."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from torch import Tensor

from custom_nodes.videogen.tensor.ip_adapter import attention
from custom_nodes.videogen.tensor.ip_adapter.attention import RowPlan, Run, TokenSet, join_groups

EXACT = 1e-12
FUSED = pytest.mark.parametrize("fused", [False, True], ids=["thin", "fused"])


@dataclass(frozen=True)
class Group:
    """Key and value (tokens, channels), its weight, and its mask (1 or rows, queries) or None."""

    key: Tensor
    value: Tensor
    weight: float
    mask: Tensor | None


@dataclass(frozen=True)
class Case:
    """Consecutive rows of a batch, with the tokens that they attend to; all runs together are the batch."""

    heads: int
    queries: Tensor
    out: Tensor
    runs: list[tuple[int, list[Group]]]

    def plan(self) -> RowPlan:
        return RowPlan(
            [
                Run(
                    rows,
                    join_groups([(g.key, g.value, g.weight) for g in groups], self.heads, self.queries.dtype),
                    tuple(group.mask for group in groups),
                )
                for rows, groups in self.runs
            ]
        )

    def expected(self) -> Tensor:
        """The formula, a row, a group, a head and a query at a time."""
        out = self.out.clone()
        width = out.shape[-1] // self.heads
        row = 0
        for rows, groups in self.runs:
            for within in range(rows):
                for group in groups:
                    for head in range(self.heads):
                        part = slice(head * width, (head + 1) * width)
                        for position, query in enumerate(self.queries[row, :, part]):
                            scores = [float(query @ key) / math.sqrt(width) for key in group.key[:, part]]
                            total = sum(math.exp(score) for score in scores)
                            seen = sum(
                                math.exp(score) / total * value
                                for score, value in zip(scores, group.value[:, part], strict=True)
                            )
                            mask = 1.0
                            if group.mask is not None:
                                mask = float(group.mask[min(within, len(group.mask) - 1), position])
                            out[row, position, part] += group.weight * mask * seen
                row += 1
        return out


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """One or two shapes of runs, so that equal ones (a batch for the fused attention) come up as well as different ones."""
    heads, width = draw(st.sampled_from([1, 2, 3])), draw(st.sampled_from([1, 2, 4]))
    count = draw(st.integers(1, 5))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))

    def numbers(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    shapes = draw(
        st.lists(
            st.tuples(
                st.integers(1, 3),
                st.lists(
                    st.tuples(st.integers(1, 4), st.sampled_from(["none", "shared", "rows"]), st.floats(-1, 3)),
                    min_size=1,
                    max_size=3,
                ),
            ),
            min_size=1,
            max_size=2,
        )
    )
    runs = []
    for rows, groups in draw(st.lists(st.sampled_from(shapes), min_size=1, max_size=4)):
        made = []
        for tokens, kind, weight in groups:
            mask = None if kind == "none" else numbers(rows if kind == "rows" else 1, count)
            made.append(Group(numbers(tokens, heads * width), numbers(tokens, heads * width), weight, mask))
        runs.append((rows, made))
    batch = sum(rows for rows, _ in runs)
    return Case(heads, numbers(batch, count, heads * width), numbers(batch, count, heads * width), runs)


@FUSED
@settings(max_examples=60, deadline=None)
@given(case=cases(), block=st.sampled_from([1, 200, 1000, 2**24]))
def test_it_is_the_formula(fused: bool, case: Case, block: int) -> None:
    """`block` makes the thin products go through the queries one by one, in parts, or at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "BLOCK_BYTES", block)
        found = case.plan().add_to(case.out.clone(), case.queries, fused=fused)
    torch.testing.assert_close(found, case.expected(), rtol=EXACT, atol=EXACT)


def one_group(
    dtype: torch.dtype, *, rows: int = 2, queries: int = 5, tokens: int = 4, scale: float = 1.0
) -> tuple[Tensor, TokenSet]:
    generator = torch.Generator().manual_seed(1)
    query = (torch.randn(rows, queries, 16, generator=generator) * scale).to(dtype)
    key, value = torch.randn(2, tokens, 16, generator=generator)
    return query, join_groups([(key * scale, value, 1.0)], 2, dtype)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_scores_beyond_half_precision_give_numbers(dtype: torch.dtype) -> None:
    """Products of 300 with 300 are above float16's 65504."""
    query, tokens = one_group(dtype, scale=300.0)
    found = RowPlan([Run(2, tokens, (None,))]).add_to(torch.zeros_like(query), query)
    assert found.dtype == dtype
    assert torch.isfinite(found).all()
    assert found.abs().max() > 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_rounds_only_what_it_has_to(dtype: torch.dtype) -> None:
    """Scores and softmax in single precision: what is left is the rounding of queries, keys, values and the result."""
    query, tokens = one_group(dtype, rows=4, queries=64)
    found = RowPlan([Run(4, tokens, (None,))]).add_to(torch.zeros_like(query), query)
    exact_query, exact_tokens = query.double(), TokenSet(tokens.key.double(), tokens.value.double(), tokens.sizes)
    exact = RowPlan([Run(4, exact_tokens, (None,))]).add_to(torch.zeros_like(exact_query), exact_query)
    error = float((found.double() - exact).norm() / exact.norm())
    assert error < torch.finfo(dtype).eps


def test_rows_share_keys_and_values_without_copies() -> None:
    """24 rows of 1024 queries with 4 tokens: nothing that is made on the way is as large as the queries, let alone 24 times
    the tokens' keys."""
    query, tokens = one_group(torch.float32, rows=24, queries=1024)
    plan, out = RowPlan([Run(24, tokens, (None,))]), torch.zeros_like(query)
    with torch.profiler.profile(profile_memory=True, acc_events=True) as profile:
        plan.add_to(out, query, fused=False)
    made = sum(max(event.self_cpu_memory_usage, 0) for event in profile.key_averages())
    scores = 24 * 1024 * 2 * 4 * 4
    assert made <= 3 * scores


def test_scores_stay_below_their_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "BLOCK_BYTES", 64 * 1024)
    query, tokens = one_group(torch.float32, rows=8, queries=2048, tokens=16)
    plan, out = RowPlan([Run(8, tokens, (None,))]), torch.zeros_like(query)
    with torch.profiler.profile(profile_memory=True, acc_events=True) as profile:
        plan.add_to(out, query, fused=False)
    largest = max(event.cpu_memory_usage for event in profile.events() if event.name == "aten::bmm")
    assert 0 < largest <= 64 * 1024


def test_the_output_is_written_in_place() -> None:
    query, tokens = one_group(torch.float64)
    out = torch.zeros_like(query)
    assert RowPlan([Run(2, tokens, (None,))]).add_to(out, query) is out
    assert out.any()
