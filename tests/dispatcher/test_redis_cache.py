"""The cache keeps its client: making one takes longer than asking."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import caches

from dispatcher.redis_cache import RedisCache
from tests.at_once import at_once


@pytest.mark.postgres
@pytest.mark.django_db
def test_a_thread_keeps_its_client_and_all_see_the_same_values() -> None:
    cache: Any = caches["default"]
    assert isinstance(cache, RedisCache)
    assert cache._cache.get_client("a", write=True) is cache._cache.get_client("b")
    assert cache.add("tests.kept", 1, 5)
    assert at_once(lambda: caches["default"].get("tests.kept")) == [1]
    cache.delete("tests.kept")
