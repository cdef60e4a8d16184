"""The memory limit above which models are unloaded."""

from __future__ import annotations

from ..errors import VideoGenError

#: Bytes and fraction of the card: the lower one is the default limit.
DEFAULT_LIMIT, DEFAULT_SHARE = 40e9, 0.85
GIGABYTE = 1e9


def memory_limit(limit_gb: float, total: int, *, is_card: bool) -> float:
    """The limit in bytes.

    Args:
        limit_gb: in GB (10⁹ bytes); 0 for the default: 40 GB or 85 % of a card, whichever is lower, and 85 % of a computer's
            own memory, where the memory of other programs counts too.
        total: bytes of the card or the computer.

    Raises:
        VideoGenError: `guard-invalid`.
    """
    if limit_gb == 0:
        return min(DEFAULT_LIMIT, total * DEFAULT_SHARE) if is_card else total * DEFAULT_SHARE
    what = "the card" if is_card else "this computer"
    if not limit_gb > 0:  # NaN as well
        raise VideoGenError(
            "guard-invalid", f"`limit_gb` is {limit_gb:g}, expected a number of GB, or 0 for the default limit"
        )
    if limit_gb * GIGABYTE > total:
        raise VideoGenError(
            "guard-invalid",
            f"`limit_gb` is {limit_gb:g} GB, but {what} has only {format_memory(total)}: this limit would never be reached",
            "0 means the lower of 40 GB and 85 % of the card.",
        )
    return limit_gb * GIGABYTE


def format_memory(count: float) -> str:
    """``12.3 GB``, and ``850 MB`` below 1 GB."""
    return f"{count / GIGABYTE:.1f} GB" if count >= GIGABYTE else f"{count / 1e6:.0f} MB"
