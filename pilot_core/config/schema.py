"""The settings, as frozen values. The text under each field is its documentation.

What the types cannot say is checked here, and nowhere else: settings that exist are sound.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from pilot_core.config import address
from pilot_core.config.identity import Identity
from pilot_core.document.duration import Duration
from pilot_core.errors import ConfigError, Finding

_TRUST_DOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,253}[a-z0-9])?")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The whole configuration file."""

    api_version: Literal["pilot-core/v1"] = msgspec.field(name="apiVersion")
    """The version of this format."""
    mesh: Mesh = msgspec.field(default_factory=lambda: Mesh())
    """What holds for the mesh as a whole."""
    adapters: tuple[AdapterSettings, ...] = ()
    """The registries to read. Where two of them know the same hostname, the first one decides."""
    xds: Xds = msgspec.field(default_factory=lambda: Xds())
    """Where proxies connect."""
    admin: Admin = msgspec.field(default_factory=lambda: Admin())
    """Where people and monitoring connect."""
    identity: Identity = msgspec.field(default_factory=lambda: Identity())
    """How workloads get their certificates."""
    state_dir: Path | None = None
    """The directory for what has to outlive a restart: what each registry last said, and the
    authority with its keys. Default: `$STATE_DIRECTORY`, which systemd sets; without either,
    nothing is kept."""
    startup: Startup = msgspec.field(default_factory=lambda: Startup())
    """The first seconds."""
    batch: Batch = msgspec.field(default_factory=lambda: Batch())
    """How changes that come close together are put together."""


class Mesh(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for the mesh as a whole."""

    trust_domain: str = "cluster.local"
    """The first part of every workload's SPIFFE id."""

    def __post_init__(self) -> None:
        if not _TRUST_DOMAIN.fullmatch(self.trust_domain):
            message = "a trust domain is made of lower-case letters, digits, dots, - and _"
            raise ConfigError(Finding("trust_domain", 0, 0, message))


class AdapterSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One registry to read."""

    name: str
    """What you call it: unique, letters, digits, `.`, `-` and `_`."""
    kind: str
    """Which adapter reads it: `pilot-core adapters` lists those installed."""
    required: bool = True
    """Whether readiness waits until it has been read once. Set it to false for a registry that may
    be away while the mesh starts."""
    max_drop: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    """The largest share of its sources that may vanish at once; more is held back and shown until
    you confirm it. 1 switches the guard off."""
    config: Any = None
    """The adapter's own settings."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            message = "a name is 1 to 63 letters, digits, dots, - and _, with neither of these last"
            raise ConfigError(Finding("name", 0, 0, message))


class Xds(msgspec.Struct, frozen=True, kw_only=True):
    """Where proxies connect."""

    address: str = "127.0.0.1:15010"
    """`IP:PORT` for plaintext gRPC. Anything but loopback needs `insecure: true`; port 0 takes any
    free one."""
    insecure: bool = False
    """Whether plaintext may leave this machine: whoever reaches the address reads the whole
    configuration of the mesh. Set it where a network of your own protects the port."""
    secure_address: str | None = None
    """`IP:PORT` for mutual TLS, where proxies and node agents connect; such as `0.0.0.0:15012`.
    Setting it starts the certificate authority, which needs a `state_dir`."""

    def __post_init__(self) -> None:
        findings = address.findings("address", self.address)
        if not findings and not self.insecure and not address.is_loopback(self.address):
            message = (
                f"{self.address} is not loopback, and this port is plaintext: "
                "put `insecure: true` beside it if that is meant"
            )
            findings = [Finding("address", 0, 0, message)]
        if self.secure_address is not None:
            findings += address.findings("secure_address", self.secure_address)
        if findings:
            raise ConfigError(*findings)


class Admin(msgspec.Struct, frozen=True, kw_only=True):
    """Where people and monitoring connect."""

    address: str = "127.0.0.1:15014"
    """`IP:PORT` of the HTTP API. Anything but loopback needs `token_file`; port 0 takes any free
    one."""
    token_file: Path | None = None
    """A file with the token that every request has to carry as `Authorization: Bearer TOKEN`."""

    def __post_init__(self) -> None:
        findings = address.findings("address", self.address)
        if not findings and self.token_file is None and not address.is_loopback(self.address):
            message = (
                f"{self.address} is not loopback: put `token_file` beside it, "
                "a file with the token that requests have to carry"
            )
            findings = [Finding("address", 0, 0, message)]
        if findings:
            raise ConfigError(*findings)


class Startup(msgspec.Struct, frozen=True, kw_only=True):
    """The first seconds."""

    sync_timeout: Duration = Duration(30)
    """How long proxies wait for required registries that do not answer."""


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """How changes that come close together are put together. The first one always goes at once."""

    quiet: Duration = Duration(0.01)
    """A burst of changes goes out once nothing has changed for this long."""
    max: Duration = Duration(0.5)
    """However long a burst lasts, this is the longest that a change waits."""

    def __post_init__(self) -> None:
        if self.max < self.quiet:
            message = f"it has to be at least as long as quiet ({self.quiet})"
            raise ConfigError(Finding("max", 0, 0, message))
