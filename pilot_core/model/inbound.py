"""What sidecars ask of those who connect to them, as people say it for the mesh, a namespace or a
workload.

Rule 1: what is said of a workload counts before what is said of its namespace, and that before what
is said of the mesh; where nothing is said, both kinds of callers are let in.
Rule 2: what is said of a port counts before what the same statement says of all ports.
Rule 3: of two statements that are as close, the stricter one counts, whichever registry or file
says it: none is overruled by its place.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from typing import ClassVar

import msgspec

from pilot_core.model.endpoint import Endpoint
from pilot_core.model.origin import NOWHERE, Origin


class InboundTls(enum.StrEnum):
    """Who may connect. The order is from the strictest on."""

    STRICT = "strict"
    """Callers with a certificate of the mesh, and nobody else."""
    PERMISSIVE = "permissive"
    """These, and on the same port everybody in plaintext."""
    DISABLED = "disabled"
    """Plaintext only."""


_STRICTNESS = {mode: n for n, mode in enumerate(InboundTls)}


class Inbound(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="inbound", tag_field="kind"):
    """One such statement. Without a namespace it is about the mesh, without a workload and labels
    about the whole namespace. `ports` are the endpoints' own; None: nothing is said."""

    kind: ClassVar[str] = "inbound"
    name: str
    namespace: str = ""
    workload: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    mode: InboundTls | None = None
    ports: tuple[tuple[int, InboundTls], ...] = ()
    origin: Origin = NOWHERE

    @property
    def key(self) -> tuple[str, str]:
        return ("inbound", self.name)

    def of(self, port: int) -> InboundTls | None:
        """What it says of a port."""
        return next((mode for number, mode in self.ports if number == port), self.mode)

    def is_about(self, endpoint: Endpoint) -> bool:
        """Is it about the workload at this endpoint, wherever that is?"""
        if self.workload and self.workload != endpoint.workload:
            return False
        return set(self.labels) <= set(endpoint.labels)


class InboundRules:
    """All statements of a world, ready to be asked."""

    __slots__ = ("_mesh", "_namespaces", "_workloads")

    def __init__(self, said: Iterable[Inbound] = ()) -> None:
        self._mesh: list[Inbound] = []
        self._namespaces: dict[str, list[Inbound]] = {}
        self._workloads: dict[str, list[Inbound]] = {}
        for one in said:
            if not one.namespace:
                self._mesh.append(one)
            elif one.workload or one.labels:
                self._workloads.setdefault(one.namespace, []).append(one)
            else:
                self._namespaces.setdefault(one.namespace, []).append(one)

    def __bool__(self) -> bool:
        return bool(self._mesh or self._namespaces or self._workloads)

    def mode(self, namespace: str, endpoint: Endpoint, port: int) -> InboundTls | None:
        """What is said of a port of the workload at this endpoint; None where nothing is."""
        for level in self._levels(namespace, endpoint):
            said = [mode for one in level if (mode := one.of(port)) is not None]
            if said:
                return strictest(said)
        return None

    def _levels(self, namespace: str, endpoint: Endpoint) -> Iterator[list[Inbound]]:
        yield [one for one in self._workloads.get(namespace, ()) if one.is_about(endpoint)]
        yield self._namespaces.get(namespace, [])
        yield self._mesh


def strictest(modes: Iterable[InboundTls]) -> InboundTls:
    return min(modes, key=_STRICTNESS.__getitem__)
