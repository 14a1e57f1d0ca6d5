"""Remembering what has been worked out of a value, while such values are in the world.

A cache of a fixed size would be full for ever once everything has changed often enough: what is
worked out of services has to go when the services have gone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

V = TypeVar("V")
R = TypeVar("R")

_PER_SERVICE = 8
"""Entries for each service that there is: several ports, and a few former states of it."""
_AT_LEAST = 4096

_caches: list[Any] = []


def remembered(work: Callable[[V], R]) -> Callable[[V], R]:
    """Work each value out once, until there are far more results than `trim` has seen services."""
    cached = functools.lru_cache(maxsize=None)(work)
    _caches.append(cached)
    return cached


def trim(services: int) -> None:
    """There are so many services now: a cache that holds many more results begins anew."""
    for cached in _caches:
        if cached.cache_info().currsize > _AT_LEAST + _PER_SERVICE * services:
            cached.cache_clear()
