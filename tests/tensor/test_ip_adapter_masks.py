"""Masks at the attentions' resolutions."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from torch import Tensor

from custom_nodes.videogen.tensor.ip_adapter import masks
from custom_nodes.videogen.tensor.ip_adapter.masks import MAX_KEPT, Crop, MaskStack, resize_mask

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

    def counted(mask: Tensor, size: tuple[int, int], crop: Crop | None) -> Tensor:
        made.append(size)
        return resize_mask(mask, size, crop)

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


# ------------------------------------------------------------------ parts of a picture


@pytest.mark.parametrize(("top", "left", "height", "width"), [(0, 0, 4, 6), (2, 3, 4, 6), (1, 0, 7, 12), (5, 7, 3, 5)])
@pytest.mark.parametrize("size", [(4, 6), (2, 3), (3, 2)])
def test_a_part_is_cut_out_and_resized_as_a_picture_of_its_own(
    top: int, left: int, height: int, width: int, size: tuple[int, int]
) -> None:
    mask = torch.rand(2, 8 * 8, 12 * 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    crop = Crop.everything((8, 12)).cut(top, left, height, width)
    part = mask[:, 8 * top : 8 * (top + height), 8 * left : 8 * (left + width)]
    torch.testing.assert_close(resize_mask(mask, size, crop), resize_mask(part, size), rtol=1e-10, atol=1e-10)


@given(pixels=st.integers(1, 40), whole=st.integers(1, 20), data=st.data())
@settings(deadline=None)
def test_nothing_outside_of_a_part_counts(pixels: int, whole: int, data: st.DataObject) -> None:
    """Wherever its edges are among the mask's pixels: those that it touches count, each point's weights adding up to 1."""
    first = data.draw(st.integers(0, whole - 1))
    count = data.draw(st.integers(1, whole - first))
    points = data.draw(st.integers(1, 12))
    crop = Crop.of(range(whole), range(first, first + count), (whole, whole))
    mask = torch.full((1, 3, pixels), 7.0, dtype=torch.float64)
    touched = slice(first * pixels // whole, -(-(first + count) * pixels // whole))
    mask[..., touched] = 1.0
    torch.testing.assert_close(
        resize_mask(mask, (2, points), crop), torch.ones(1, 2, points, dtype=torch.float64), rtol=1e-9, atol=1e-9
    )


def test_cells_with_gaps_do_not_count_what_is_between_them() -> None:
    """A context window with a stride, and one that goes round the end."""
    mask = torch.arange(8.0).repeat_interleave(4).expand(1, 4, 32).contiguous()
    for cells in ([1, 4, 7], [6, 7, 0, 1]):
        crop = Crop.of([0], cells, (1, 8))
        assert resize_mask(mask, (1, len(cells)), crop).flatten().tolist() == pytest.approx(cells, abs=1e-5)


def test_parts_are_equal_by_their_cells() -> None:
    assert Crop.of([2, 3, 4], (0, 1), (8, 8)) == Crop.of(range(2, 5), range(2), (8, 8))
    assert Crop.of(range(8), [*range(8)], (8, 8)).is_everything
    assert not Crop.of(range(7), range(8), (8, 8)).is_everything
    assert Crop.everything((8, 8)).cut(2, 1, 4, 4).cut(1, 1, 2, 2) == Crop.of([3, 4], [2, 3], (8, 8))
    assert len({Crop.of([5, 4], [0], (8, 8)), Crop.of((5, 4), range(1), (8, 8))}) == 1


def test_resized_masks_are_kept_for_each_part() -> None:
    stack = MaskStack([torch.rand(1, 16, 16)], normalize=True)
    left, right = (Crop.everything((4, 4)).cut(0, start, 4, 2) for start in (0, 2))
    found = [stack.at((4, 2), CPU, torch.float32, crop)[0] for crop in (left, right, left)]
    assert found[0] is found[2]
    assert found[0] is not None
    assert found[1] is not None
    assert not torch.equal(found[0], found[1])
