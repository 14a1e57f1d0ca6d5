"""The shares of requests that users have given to applications behind one name: pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pilot_adapter_cloudfoundry.names import Names
from pilot_adapter_cloudfoundry.route import Route

_WHOLE = 1000
"""What the weight of an application is parted into among its instances."""


def shares(uri: str, routes: Sequence[Route], names: Names) -> list[int]:
    """The weight of each instance, in the same order: that of its application, parted evenly. All
    are alike where nobody has said any."""
    said = [names.weight(uri, route.labels) for route in routes]
    if all(weight is None for weight in said):
        return [1] * len(routes)
    count = Counter(map(_group, routes))
    return [
        _part(0 if weight is None else weight, count[_group(route)])
        for route, weight in zip(routes, said, strict=True)
    ]


def _part(weight: int, instances: int) -> int:
    return max(1, weight * _WHOLE // instances) if weight else 0


def _group(route: Route) -> tuple[str, str]:
    return (route.app, dict(route.labels).get("cf.process.type", "web"))
