"""The bounded mapping."""

from __future__ import annotations

from sessiontrace.model.lru_cache import LruCache


def test_the_oldest_entry_goes_first() -> None:
    """Three entries into a cache of two: the first is gone, the others are there."""
    cache: LruCache[str, int] = LruCache(2)
    for number, key in enumerate("abc"):
        cache.put(key, number)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (None, 1, 2)
    assert "a" not in cache
    assert len(cache) == 2


def test_an_entry_that_is_put_again_is_the_newest() -> None:
    """Reading does not renew an entry, putting does."""
    cache: LruCache[str, int] = LruCache(2)
    cache.put("a", 1)
    cache.put("b", 2)
    cache.put("a", 3)
    assert cache.get("b") == 2
    cache.put("c", 4)
    assert "b" not in cache
    assert cache.get("a") == 3
