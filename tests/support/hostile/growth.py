"""How the time of a call grows with its input: nothing is timed in seconds, only against itself."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError

#: Four times the input may take this many times as long: about 4 where time grows linearly, 16 where it is quadratic.
MOST = 8.0
_ATTEMPTS = 6


def assert_grows_linearly(call: Callable[[Any], object], make: Callable[[int], Any], largest: int) -> None:
    """Fail when the processor time of ``call(make(n))`` grows faster than n, up to n = `largest`.

    An input that is refused counts too: refusing must not take longer than reading. Whatever takes less than a moment (a pass
    over 200,000 numbers on this machine) at a quarter of the largest input is compared with that moment, as it cannot be
    measured. Other work on the machine makes single measurements worse: the best of several attempts counts.
    """
    seen = []
    for _ in range(_ATTEMPTS):
        small, middle, large = (_seconds(call, make(size)) for size in (largest // 4, largest // 2, largest))
        moment = _seconds(lambda count: sum(range(count)), 200_000)
        if large <= MOST * max(small, moment) and large <= MOST * max(middle, moment):
            return
        seen.append((small, middle, large))
    raise AssertionError(
        f"n/4, n/2 and n = {largest:,} took {seen}: more than {MOST} times as long for four times as much"
    )


def _seconds(call: Callable[[Any], object], value: Any) -> float:
    # A collection looks through the objects of all tests before this one, and comes once in so many new objects.
    gc.disable()
    try:
        started = time.process_time()
        with contextlib.suppress(VideoGenError, ValueError):
            call(value)
        return time.process_time() - started
    finally:
        gc.enable()
