"""A memory that is bounded by bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from custom_nodes.videogen.core.lru_cache import SizedLRUCache


def test_what_was_not_used_for_longest_goes_first() -> None:
    cache: SizedLRUCache[str] = SizedLRUCache(30)
    for name in "abc":
        cache.put(name, name.upper(), 10)
    assert cache.get("a") == "A"
    cache.put("d", "D", 10)
    assert (cache.get("a"), cache.get("b"), cache.get("c"), cache.get("d")) == ("A", None, "C", "D")
    cache.put("e", "E", 25)
    assert (len(cache), cache.bytes, cache.get("e")) == (1, 25, "E")


def test_a_value_that_is_too_large_pushes_nothing_out() -> None:
    cache: SizedLRUCache[str] = SizedLRUCache(30)
    cache.put("a", "A", 10)
    cache.put("b", "B", 31)
    assert (cache.get("a"), cache.get("b"), cache.bytes) == ("A", None, 10)


def test_a_key_is_counted_once() -> None:
    cache: SizedLRUCache[str] = SizedLRUCache(30)
    cache.put("a", "A", 10)
    cache.put("a", "B", 20)
    assert (cache.get("a"), cache.bytes, len(cache)) == ("B", 20, 1)
    cache.clear()
    assert (cache.get("a"), cache.bytes, len(cache)) == (None, 0, 0)


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 40))))
def test_it_never_grows_beyond_its_limit(puts: list[tuple[int, int]]) -> None:
    cache: SizedLRUCache[int] = SizedLRUCache(64)
    for key, size in puts:
        cache.put(key, size, size)
        assert cache.get(key) == size
        kept = [value for other in range(9) if (value := cache.get(other)) is not None]
        assert cache.bytes == sum(kept) <= 64
