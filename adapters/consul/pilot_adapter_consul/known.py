"""What is remembered of a scope from one session to the next."""

from __future__ import annotations

import msgspec

from pilot_adapter_consul.sidecars import Beside, Sidecar
from pilot_core.model import Protocol


class Known(msgspec.Struct):
    """Filled by whoever reads; a session that ends takes nothing of it away."""

    sizes: dict[str, int] = {}
    """How many instances each service has."""
    sidecars: dict[str, dict[str, dict[Beside, Sidecar]]] = {}
    """The proxies beside a service's instances, by the name under which they are registered."""
    serves: dict[str, frozenset[str]] = {}
    """The services that have proxies of this name."""
    protocols: dict[str, Protocol] = {}
    """What service-defaults say, by service."""
    entries: dict[str, frozenset[str]] = {}
    """The names of the configuration entries of each kind."""
    trust_domain: str = ""

    def beside(self, service: str) -> dict[Beside, Sidecar]:
        """All proxies of a service."""
        found: dict[Beside, Sidecar] = {}
        for proxies in self.sidecars.get(service, {}).values():
            found |= proxies
        return found

    def set_sidecars(self, proxies: str, found: dict[str, dict[Beside, Sidecar]]) -> set[str]:
        """These are now all that are registered under the name `proxies`, by the service that they
        serve. Returns the services for which that is news."""
        touched = set()
        for service in self.serves.pop(proxies, frozenset()) | found.keys():
            registered = self.sidecars.setdefault(service, {})
            before, now = registered.pop(proxies, {}), found.get(service, {})
            if before != now:
                touched.add(service)
            if now:
                registered[proxies] = now
            if not registered:
                del self.sidecars[service]
        if found:
            self.serves[proxies] = frozenset(found)
        return touched
