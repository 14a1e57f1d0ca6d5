"""The three kinds of routes: who knows of them, and what becomes of each name.

Rule 1: what Diego says of an instance holds; others tell only of what Diego does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pilot_adapter_cloudfoundry import convert, exposure
from pilot_adapter_cloudfoundry.config import CloudFoundryConfig
from pilot_adapter_cloudfoundry.convert import Context, Made
from pilot_adapter_cloudfoundry.diego import Diego
from pilot_adapter_cloudfoundry.exposure import Exposed
from pilot_adapter_cloudfoundry.route import Pools, Route, Routes

Convert = Callable[[str, Pools, Context], Made]


class Kind:
    """`own` is what Diego's BBS tells, `others` what else is told; either may be missing."""

    def __init__(
        self, name: str, made: Convert, own: Exposed | None, *others: Routes, diego: Diego | None
    ) -> None:
        self.name, self._made, self._diego = name, made, diego
        self._own, self._others = own, others

    @property
    def own(self) -> Exposed | None:
        return self._own

    def take_changed(self) -> set[str]:
        """The names that look different since the last call."""
        found: set[str] = set()
        for routes in self._all():
            found |= routes.changed
            routes.changed = set()
        return found

    def names(self) -> set[str]:
        return {name for routes in self._all() for name in routes.names}

    def made(self, name: str, context: Context) -> Made:
        """What the name comes to, with everything that is wrong with it."""
        found = self._made(name, self.pools(name), context)
        reasons = (reason for routes in self._all() for reason in routes.reasons(name))
        return Made(found.records, (*found.problems, *reasons))

    def pools(self, name: str) -> Pools:
        """What everybody knows of it, once."""
        own = dict(self._own.pools(name)) if self._own is not None else {}
        taken = {route.address for pool in own.values() for route in pool}
        for routes in self._others:
            for part, pool in routes.pools(name).items():
                if self.name == "tcp" and part in own:
                    # A port of the TCP routers leads to one application: Diego's, if it is Diego's.
                    continue
                more = tuple(r for r in pool if r.address not in taken and not self._is_known(r))
                if more:
                    own[part] = own.get(part, ()) + more
        return own

    def _is_known(self, route: Route) -> bool:
        if self._diego is None:
            return False
        return route.is_of_diego or (route.id != "" and self._diego.knows(route.id))

    def _all(self) -> Iterator[Routes]:
        if self._own is not None:
            yield self._own
        yield from self._others


def kinds(
    config: CloudFoundryConfig,
    diego: Diego | None,
    router: Routes,
    discovery: Routes,
    tcp_routes: Routes | None = None,
) -> tuple[Kind, ...]:
    """HTTP routes, internal ones, and TCP routes; what NATS tells is `router` and `discovery`, what
    the Routing API does is `tcp_routes`."""
    http = exposure.http(diego, config) if diego else None
    internal = exposure.internal(diego, config) if diego else None
    tcp = exposure.tcp(diego, config) if diego else None
    return (
        Kind("http", convert.external, http, router, diego=diego),
        # Everything that NATS tells of internal routes is Diego's.
        Kind("internal", convert.internal, internal, *([] if diego else [discovery]), diego=diego),
        Kind("tcp", convert.tcp, tcp, *([tcp_routes] if tcp_routes else []), diego=diego),
    )
