"""Anchor attention against its formula, written out in one line a query."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from custom_nodes.videogen.tensor import anchor_attention
from custom_nodes.videogen.tensor.anchor_attention import attend_with_anchors, keep_anchors

HEADS, WIDTH, TOKENS = 2, 12, 5


def plain(q, k, v):
    """Attention as ComfyUI's kernels have it."""
    q, k, v = (x.unflatten(-1, (HEADS, -1)).transpose(1, 2) for x in (q, k, v))
    return torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(-2)


def by_hand(q, k, v, chunks, strength, previous):
    """The formula of the docstring, query by query."""
    frames, out = len(q) // chunks, torch.empty_like(q)
    for row in range(len(q)):
        first, frame = row - row % frames, row % frames
        seen = [(row, 1 - strength), (first, strength)] + ([(max(row - 1, first), strength)] if previous else [])
        assert frame or all(other == row for other, _ in seen)
        for head in range(HEADS):
            part = slice(head * WIDTH // HEADS, (head + 1) * WIDTH // HEADS)
            for at in range(q.shape[1]):
                total, weight_sum = 0.0, 0.0
                for other, share in seen:
                    weights = share * torch.exp(k[other, :, part] @ q[row, at, part] / math.sqrt(WIDTH // HEADS))
                    total, weight_sum = total + weights @ v[other, :, part], weight_sum + weights.sum()
                out[row, at, part] = total / weight_sum
    return out


def make(chunks, frames, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    shape = (chunks * frames, TOKENS, WIDTH)
    return [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for _ in range(3)]


@pytest.mark.parametrize("previous", [False, True])
@pytest.mark.parametrize("strength", [0.05, 0.3, 0.5, 0.9, 0.999, 1.0])
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("limit", [anchor_attention.MAX_JOINT_BYTES, 1])
def test_equals_the_formula(monkeypatch, previous, strength, whole, limit):
    monkeypatch.setattr(anchor_attention, "MAX_JOINT_BYTES", limit)
    q, k, v = make(chunks=2, frames=4)
    out = attend_with_anchors(
        q, k, v, heads=HEADS, chunks=2, strength=strength, previous=previous, attend=plain, whole=whole
    )
    torch.testing.assert_close(out, by_hand(q, k, v, 2, strength, previous), rtol=0, atol=1e-12)


@pytest.mark.parametrize("previous", [False, True])
def test_strength_0_and_a_single_frame_are_plain_attention_bit_by_bit(previous):
    q, k, v = make(chunks=2, frames=3, dtype=torch.float32)
    options = {"heads": HEADS, "previous": previous, "attend": plain}
    assert torch.equal(attend_with_anchors(q, k, v, chunks=2, strength=0.0, **options), plain(q, k, v))
    assert torch.equal(attend_with_anchors(q, k, v, chunks=6, strength=1.0, **options), plain(q, k, v))


@pytest.mark.parametrize("strength", [0.2, 0.5, 1.0])
def test_first_frame_stays_as_without_anchors(strength):
    q, k, v = make(chunks=2, frames=3)
    for previous in (False, True):
        out = attend_with_anchors(q, k, v, heads=HEADS, chunks=2, strength=strength, previous=previous, attend=plain)
        torch.testing.assert_close(out[::3], plain(q, k, v)[::3], rtol=0, atol=1e-12)
        assert (out[1] - plain(q, k, v)[1]).abs().max() > 1e-3


@pytest.mark.parametrize("previous", [False, True])
@pytest.mark.parametrize("strength", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("sizes", [(1, 1, 1, 1, 1), (2, 2, 1), (4, 1), (3, 2)])
def test_sub_batches_equal_the_whole(previous, strength, sizes):
    chunks, frames = 2, sum(sizes)
    q, k, v = make(chunks, frames)
    options = {"heads": HEADS, "chunks": chunks, "strength": strength, "previous": previous, "attend": plain}
    expected = attend_with_anchors(q, k, v, **options).unflatten(0, (chunks, frames))
    kept, at = None, 0
    for size in sizes:
        some = [x.unflatten(0, (chunks, frames))[:, at : at + size].flatten(0, 1) for x in (q, k, v)]
        out = attend_with_anchors(*some, kept=kept, **options).unflatten(0, (chunks, size))
        torch.testing.assert_close(out, expected[:, at : at + size], rtol=0, atol=1e-12)
        at += size
        kept = keep_anchors(*some[1:], chunks=chunks, previous=previous, kept=kept, last_batch=at == frames)
    assert kept is None


def test_what_is_kept_does_not_hold_on_to_all_frames():
    _, k, v = make(chunks=2, frames=4)
    kept = keep_anchors(k, v, chunks=2, previous=True, kept=None)
    assert torch.equal(kept.first[0], k[[0, 4]])
    assert torch.equal(kept.last[1], v[[3, 7]])
    for tensor in (*kept.first, *kept.last):
        assert tensor.untyped_storage().nbytes() == tensor.nbytes


def test_chunks_do_not_see_each_other():
    q, k, v = make(chunks=2, frames=3)
    options = {"heads": HEADS, "strength": 0.5, "previous": True, "attend": plain}
    both = attend_with_anchors(q, k, v, chunks=2, **options)
    for half in (slice(0, 3), slice(3, 6)):
        alone = attend_with_anchors(q[half], k[half], v[half], chunks=1, **options)
        torch.testing.assert_close(both[half], alone, rtol=0, atol=1e-12)


def test_frames_come_closer_as_strength_grows():
    q, k, v = make(chunks=1, frames=4, seed=3)
    q = q[:1].expand_as(q)  # the same question from every frame: at full strength they get the same answer

    def distance(strength):
        out = attend_with_anchors(q, k, v, heads=HEADS, chunks=1, strength=strength, previous=False, attend=plain)
        return (out - out[:1]).norm().item()

    distances = [distance(strength) for strength in (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 1e-12 < distances[-2]


@pytest.mark.parametrize(("dtype", "worst"), [(torch.float16, 2e-3), (torch.bfloat16, 1.5e-2)])
@pytest.mark.parametrize("strength", [0.01, 0.25, 0.9])
def test_half_precision_keeps_the_bias(dtype, worst, strength):
    q, k, v = make(chunks=1, frames=3, dtype=dtype)

    def half(q, k, v):  # what the inputs' rounding costs, not the kernel's
        return plain(q.double(), k.double(), v.double())

    out = attend_with_anchors(q, k, v, heads=HEADS, chunks=1, strength=strength, previous=True, attend=half)
    exact = by_hand(q.double(), k.double(), v.double(), 1, strength, True)
    assert (out - exact).norm() / exact.norm() < worst


def test_fewer_queries_than_keys_are_fine():
    # Token merging (ToMe) takes queries away and leaves keys and values alone.
    q, k, v = make(chunks=1, frames=3)
    options = {"heads": HEADS, "chunks": 1, "strength": 0.4, "previous": True, "attend": plain}
    out = attend_with_anchors(q[:, :2], k, v, **options)
    torch.testing.assert_close(out, attend_with_anchors(q, k, v, **options)[:, :2], rtol=0, atol=1e-12)
