"""Who has which hostname, where several services come out as the same one.

Rule 1: tasks are merged under a hostname only where their service is the same: one name, in one
framework. Of two others the second is given a suffix, and that is said.
Rule 2: who is first follows from the names alone: an unmangled one, then the older framework. All
replicas agree, and so do yesterday and today.
Rule 3: an alias gives way to a service of that name, and to an earlier alias.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection

import msgspec

from pilot_adapter_mesos import naming
from pilot_adapter_mesos.naming import ServiceKey


class Names(msgspec.Struct, frozen=True):
    """What a service is called, and what is to be said of that."""

    hostname: str
    aliases: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


class _Claim(msgspec.Struct, frozen=True, order=True):
    """Claims to one hostname, the best first."""

    is_alias: bool
    is_mangled: bool
    framework_number: int
    key: ServiceKey


class Hostnames:
    """Mutable: services come with `join` and go with `leave`."""

    def __init__(self, domain: str, aliases: Collection[str]) -> None:
        self._domain, self._aliases = domain, frozenset(aliases)
        self._claims: dict[str, set[_Claim]] = {}

    def join(self, key: ServiceKey) -> set[ServiceKey]:
        """The services that may be called otherwise now. Raises Unnamed."""
        touched: set[ServiceKey] = set()
        for hostname, claim in self._of(key):
            claims = self._claims.setdefault(hostname, set())
            touched |= {each.key for each in claims}
            claims.add(claim)
        return touched - {key}

    def leave(self, key: ServiceKey) -> set[ServiceKey]:
        """The services that may be called otherwise now."""
        touched: set[ServiceKey] = set()
        for hostname, claim in self._of(key):
            claims = self._claims.get(hostname, set())
            claims.discard(claim)
            touched |= {each.key for each in claims}
            if not claims:
                self._claims.pop(hostname, None)
        return touched

    def of(self, key: ServiceKey) -> Names:
        """The names of a service that has joined."""
        aliases, remarks = [], []
        wanted = naming.hostname(key, self._domain)
        hostname = wanted
        for name, claim in self._of(key):
            first = min(self._claims[name])
            if claim == first:
                if claim.is_alias:
                    aliases.append(name)
                continue
            remarks.append(f"{name} is the name of {_words(first.key)}, so not of {_words(key)}")
            if not claim.is_alias:
                hostname = self._apart(key, first.key)
        return Names(hostname, tuple(aliases), tuple(remarks))

    def _of(self, key: ServiceKey) -> list[tuple[str, _Claim]]:
        canonical = naming.hostname(key, self._domain)
        is_mangled = naming.dotted(key.service) != key.service
        number = _number(key.framework_id)
        found = [(canonical, _Claim(False, is_mangled, number, key))]
        aliases = set()
        if "mesos-dns" in self._aliases:
            aliases.add(naming.flat(key, self._domain))
        if "autoip" in self._aliases:
            aliases.add(naming.autoip(key))
        alias = _Claim(True, is_mangled, number, key)
        return found + [(name, alias) for name in sorted(aliases - {canonical})]

    def _apart(self, key: ServiceKey, other: ServiceKey) -> str:
        """Another hostname, which does not depend on who else there is."""
        if key.service == other.service:
            suffix = key.framework_id.rpartition("-")[2]
            return naming.hostname(
                ServiceKey(f"{key.framework}-{suffix}", key.service), self._domain
            )
        first, _, rest = naming.dotted(key.service).partition(".")
        digest = hashlib.sha256(key.service.encode()).hexdigest()[:5]
        renamed = f"{first[:57]}-{digest}" + (f".{rest}" if rest else "")
        return naming.hostname(ServiceKey(key.framework, renamed), self._domain)


def _words(key: ServiceKey) -> str:
    return f"{key.service!r} of {key.framework} ({key.framework_id})"


def _number(framework_id: str) -> int:
    """Of `MASTER-0003`: masters number their frameworks."""
    last = framework_id.rpartition("-")[2]
    return int(last) if last.isascii() and last.isdigit() else 0
