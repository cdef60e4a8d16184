"""Masks at the attentions' resolutions."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from torch import Tensor

from custom_nodes.videogen.tensor.ip_adapter import masks
from custom_nodes.videogen.tensor.ip_adapter.masks import MAX_KEPT, MaskStack, resize_mask

CPU = torch.device("cpu")


def cubic(distance: float) -> float:
    """Keys' kernel (1981) with a = -0.75, as torch has it."""
    a, x = -0.75, abs(distance)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


def resized_row(row: list[float], count: int) -> list[float]:
    """Bicubic resizing of one line, without anti-aliasing and with its ends repeated."""
    scale, result = len(row) / count, []
    for number in range(count):
        middle = (number + 0.5) * scale - 0.5
        first = int(middle // 1)
        result.append(
            sum(cubic(middle - at) * row[min(max(at, 0), len(row) - 1)] for at in range(first - 1, first + 3))
        )
    return result


@pytest.mark.parametrize(
    ("height", "width", "size"), [(16, 24, (2, 3)), (9, 7, (4, 5)), (3, 4, (6, 9)), (5, 5, (5, 5))]
)
def test_masks_are_resized_bicubically(height: int, width: int, size: tuple[int, int]) -> None:
    mask = torch.rand(2, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = []
    for image in mask.tolist():
        rows = [resized_row(row, size[1]) for row in image]
        columns = [resized_row(list(column), size[0]) for column in zip(*rows, strict=True)]
        expected.append([list(row) for row in zip(*columns, strict=True)])
    torch.testing.assert_close(
        resize_mask(mask, size), torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=1e-10
    )


def test_a_mask_is_resized_in_its_own_precision_as_diffusers_does_it() -> None:
    """A single precision mask on a double precision model: rounding comes before, not after."""
    mask = torch.rand(1, 9, 7)
    found = MaskStack([mask]).at((4, 5), CPU, torch.float64)[0]
    assert found is not None
    assert torch.equal(found.float().double(), found)


def test_edges_may_overshoot_and_are_not_clamped() -> None:
    mask = torch.zeros(1, 16, 16)
    mask[:, :, 7:] = 1
    found = MaskStack([mask]).at((12, 12), CPU, torch.float32)[0]
    assert found is not None
    assert found.min() < 0
    assert found.max() > 1


def test_none_stays_everywhere_and_true_or_false_masks_work() -> None:
    nothing, image = MaskStack([None, torch.ones(1, 4, 4, dtype=torch.bool)]).at((2, 2), CPU, torch.float32)
    assert nothing is None
    assert image is not None
    assert image.tolist() == [[1.0] * 4]


def test_frames_are_counted() -> None:
    assert MaskStack([None, torch.ones(1, 2, 2), torch.ones(5, 2, 2)]).frames == (1, 1, 5)


def test_each_resolution_is_made_once_and_few_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[int, int]] = []

    def counted(mask: Tensor, size: tuple[int, int]) -> Tensor:
        made.append(size)
        return resize_mask(mask, size)

    monkeypatch.setattr(masks, "resize_mask", counted)
    stack = MaskStack([torch.ones(1, 8, 8)])
    for size in [(4, 4), (2, 2), (4, 4), (2, 2)]:
        stack.at(size, CPU, torch.float32)
    assert made == [(4, 4), (2, 2)]
    for height in range(1, 2 * MAX_KEPT):
        stack.at((height, 1), CPU, torch.float32)
    assert len(stack._kept) == MAX_KEPT
    stack.clear()
    assert not stack._kept


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(
        st.one_of(st.none(), st.tuples(st.sampled_from([1, 3]), st.integers(1, 9), st.integers(1, 9))),
        min_size=1,
        max_size=4,
    ),
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    seed=st.integers(0, 1000),
)
def test_normalized_masks_never_add_up_above_one(
    sizes: list[tuple[int, int, int] | None], size: tuple[int, int], seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    given_masks = [
        None if shape is None else torch.rand(shape, generator=generator, dtype=torch.float64) for shape in sizes
    ]
    plain = MaskStack(given_masks).at(size, CPU, torch.float64)
    found = MaskStack(given_masks, normalize=True).at(size, CPU, torch.float64)
    total = sum(mask for mask in found if mask is not None)
    assert isinstance(total, Tensor)
    assert total.max() <= 1 + 1e-6  # a third three times, in single precision
    for before, after in zip(plain, found, strict=True):
        assert after is not None
        assert after.min() >= 0
        whole = torch.ones(1, size[0] * size[1], dtype=torch.float64) if before is None else before.clamp(0, 1)
        # Where there is room for all, nothing is taken away; elsewhere all shrink alike.
        assert (after <= whole + 1e-6).all()
        lonely = (total < 1 - 1e-9).expand_as(after)
        torch.testing.assert_close(after[lonely], whole.expand_as(after)[lonely], rtol=1e-6, atol=1e-6)
