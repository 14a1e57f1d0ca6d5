"""The adapter contract: how a registry's knowledge gets into the mesh.

An adapter is one class with one method, `run(sink)`: one *session* with its platform. It lists,
puts, says `synced()`, follows changes, and raises when the session is over. The core owns all
the rest: retry, backoff, staleness, diffing, guards, metrics, logs. So:

Rule 1: no reconnect loop, no sleep before a retry, no diff in an adapter. Raise.
Rule 2: a `source` is the unit that the platform updates; a put replaces all of it.
Rule 3: stale beats partial. What cannot be read completely is not put at all.
Rule 4: one bad object is `warn`ed about and skipped; it never ends the session.
Rule 5: no I/O in `__init__`: `pilot-core check` builds every adapter and runs none.

This module, `pilot_core.model`, `pilot_core.aio`, `pilot_core.connector` and `pilot_core.testing`
are the public face for plugin authors; `API` rises with every incompatible change in them.
"""

from __future__ import annotations

import abc
import logging
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any, ClassVar, NoReturn, Protocol, runtime_checkable

import msgspec

from pilot_core.clock import Clock
from pilot_core.errors import ConfigError, Denied, Finding, PilotError, Unavailable
from pilot_core.leader import LeaderLock, Term, reign
from pilot_core.model import Evidence, Record, Workload

__all__ = [
    "API",
    "ENTRY_POINTS",
    "INJECTORS",
    "Adapter",
    "Attestor",
    "Config",
    "ConfigError",
    "Denied",
    "Finding",
    "Host",
    "Injector",
    "LeaderLock",
    "Metrics",
    "NoConfig",
    "PilotError",
    "Sidecar",
    "Sink",
    "Term",
    "Unavailable",
    "reign",
]

API = 1
ENTRY_POINTS = "pilot_core.adapters"
INJECTORS = "pilot_core.injectors"


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of an adapter's settings: a frozen struct. Equal settings are untouched by a reload.

    Subclass it with `frozen=True` (type checkers want it said again). Fields are plain values,
    `pathlib.Path`, `pilot_core.document.Duration` and nested structs. A secret is never a field:
    the path of the file that holds it is. What the types cannot say, `__post_init__` checks and
    raises ConfigError or ValueError.
    """


class NoConfig(Config, frozen=True):
    """For adapters that need no settings."""


class Metrics(Protocol):
    """Metrics of one adapter instance; every name becomes `pilot_adapter_<name>`, labelled."""

    def count(self, name: str, amount: float = 1) -> None:
        """Add to a counter."""

    def gauge(self, name: str, value: float) -> None:
        """Set a gauge."""


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """What the core lends to an adapter; nothing else of the core is within its reach."""

    name: str
    """The instance's name in the configuration, such as `dc1`."""
    log: logging.LoggerAdapter[logging.Logger]
    """Bound to the adapter's name and kind."""
    clock: Clock
    metrics: Metrics


class Sink(Protocol):
    """Where a session puts what it knows. Call it on the event loop; no method blocks."""

    def put(self, source: str, records: Iterable[Record]) -> None:
        """These are now all the records under `source`. Equal records change nothing."""

    def drop(self, source: str) -> None:
        """There is nothing under `source` any more: `put(source, ())`."""

    def resync(self, prefix: str) -> AbstractContextManager[None]:
        """A block whose puts apply together at its end.

        Sources that start with `prefix` and are not put in the block are dropped then. An
        exception inside discards the block. Blocks do not nest.
        """

    def synced(self, prefix: str = "") -> None:
        """The first complete view has been put: what earlier sessions put and this one did not is
        gone. With a prefix: that of a part, the sources that start with it. Calling it again
        changes nothing, unless the part has been lost in between."""

    def keep(self, prefix: str, problem: str) -> None:
        """A part of the platform, such as one of several sites, cannot be read now: what was last
        put under the prefix stays, over `synced()` too, until `synced(prefix)` or a `resync` of
        it. Shown as a problem until then. Where nothing is known of the part from before, the
        session is not in sync without it."""

    def known(self, prefix: str) -> frozenset[str]:
        """The sources that start with the prefix and are served now: put by this session, by
        earlier ones, or before the program was started. For whoever doubts that so much is gone."""

    def warn(self, problem: str, *, source: str = "", origin: str = "") -> None:
        """One object is unusable: shown as an error until `source` is put or dropped again. What
        was last put under `source` stays. Several about one source are told apart by their
        origins, or by their texts where they have none; of one origin, the newest text is shown."""

    def note(self, remark: str, *, source: str = "", origin: str = "") -> None:
        """Something that an object says is not honoured, while the rest of it has been put: shown
        as a warning until `source` is put or dropped again. Say it after the put."""


class Adapter(abc.ABC):
    """A registry. Subclass it, name it as an entry point in the group `pilot_core.adapters`."""

    api: ClassVar[int] = API
    """The contract this plugin was written for; write the number down in your class."""
    Config: ClassVar[type[Config]] = NoConfig

    def __init__(self, config: Any, host: Host) -> None:
        """Keep both. No I/O. `config` is an instance of `Config`."""
        self.config = config
        self.host = host

    @classmethod
    def check(cls, config: Any) -> Iterable[Finding]:
        """What is wrong in the local files that `config` names, for `pilot-core check`. It talks
        to no platform, and may block."""
        return ()

    @abc.abstractmethod
    async def run(self, sink: Sink) -> NoReturn:
        """One session with the platform, until it is cancelled or something ends it.

        Raises Unavailable where trying again makes sense (as do the errors of client libraries),
        Denied where the platform refuses, anything else for a bug. Cancellation passes through;
        clean up with `async with` and `finally`, within 5 seconds. To return is an error.
        """


@runtime_checkable
class Attestor(Protocol):
    """An optional facet of an adapter: it vouches for the workloads of its platform."""

    async def attest(self, evidence: Evidence) -> Workload:
        """The workload that this evidence proves. Raises Denied where it proves none, Unavailable
        where the platform cannot be asked."""


class Sidecar(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the proxies that are to be put beside workloads."""

    xds: str
    """HOST:PORT of the server, as workloads reach it."""
    image: str = ""
    """An image with `pilot-core` and its Envoy, for platforms that run proxies in containers."""
    namespace: str = ""
    """Of the workload; empty where the platform says."""
    agent_socket: str = ""
    """The node agent's socket, where there is one: certificates come from it."""


class Injector(Protocol):
    """What an entry point in the group `pilot_core.injectors` is: it puts a proxy beside what a
    platform's document describes. Its name is that of the kind of document."""

    def __call__(self, document: bytes, sidecar: Sidecar) -> bytes:
        """The document with a proxy; one that has it already, as it is. Raises ConfigError."""
