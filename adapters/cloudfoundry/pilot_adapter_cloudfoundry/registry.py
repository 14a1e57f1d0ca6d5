"""One kind of routes: its table, how its messages are read, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable

from pilot_adapter_cloudfoundry import convert, messages
from pilot_adapter_cloudfoundry.config import CloudFoundryConfig
from pilot_adapter_cloudfoundry.convert import Made, Pools
from pilot_adapter_cloudfoundry.messages import Registration, Route
from pilot_adapter_cloudfoundry.table import Table

Read = Callable[[Registration], Route]
Convert = Callable[[str, Pools, CloudFoundryConfig], Made]


class Registry:
    """`subject` is the first part of the subjects that it is told under."""

    def __init__(self, subject: str, table: Table, read: Read, made: Convert) -> None:
        self.subject, self.table, self._read, self._made = subject, table, read, made

    def take(self, verb: str, data: bytes, now: float) -> None:
        """One message. Raises msgspec.MsgspecError where it cannot be decoded at all."""
        if verb == "start":
            self.table.begin(messages.start(data))
        elif verb in ("register", "unregister"):
            self._take(verb, messages.registration(data), now)

    def made(self, hostname: str, config: CloudFoundryConfig) -> Made:
        """What the hostname comes to, with everything that is wrong with it."""
        found = self._made(hostname, self.table.pools(hostname), config)
        return Made(found.records, (*found.problems, *self.table.reasons(hostname)))

    def source(self, hostname: str) -> str:
        return f"{self.subject}/{hostname}"

    def _take(self, verb: str, said: Registration, now: float) -> None:
        uris, speaker = messages.uris(said), messages.speaker(said)
        try:
            route = self._read(said)
        except messages.Unusable as error:
            if verb == "register":
                self.table.refuse(uris, speaker, str(error), now)
            else:
                self.table.accept(uris, speaker)
            return
        if verb == "register":
            self.table.register(uris, route, now, lifetime=messages.lifetime(said))
        else:
            self.table.unregister(uris, route.id, route.address)
        self.table.accept(uris, speaker)


def registries(config: CloudFoundryConfig) -> tuple[Registry, ...]:
    """HTTP routes, and internal ones."""
    return (
        Registry("router", Table(config.ttl), messages.external, convert.external),
        Registry(
            "service-discovery", Table(config.internal_ttl), messages.internal, convert.internal
        ),
    )
