"""The settings of the adapter `cloudfoundry`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from pilot_core.adapter import Config, ConfigError, Finding
from pilot_core.document import Duration

_SCHEMES = ("nats", "tls")


class NatsConfig(Config, frozen=True):
    """Where the foundation's emitters are heard."""

    servers: Annotated[
        tuple[str, ...],
        msgspec.Meta(min_length=1, examples=[["tls://nats.service.cf.internal:4224"]]),
    ]
    """`nats://HOST:PORT`, or `tls://HOST:PORT`; the first that answers is taken."""
    credentials_file: Path | None = None
    """A file with `user:password`; read again at every session."""
    ca_file: Path | None = None
    """Certificates of the authorities to trust instead of the system's, as PEM."""
    cert_file: Path | None = None
    """The certificate to show to the servers, as PEM; with `key_file`."""
    key_file: Path | None = None


class CloudFoundryConfig(Config, frozen=True):
    """Which foundation to read."""

    nats: NatsConfig
    settle: Duration = Duration(25)
    """How long to listen before what has been heard is taken to be all. Longer where a router says
    that emitters repeat themselves less often."""
    ttl: Duration = Duration(120)
    """How long a route lives that nobody repeats, where no router says how long."""
    internal_ttl: Duration = Duration(180)
    """The same for internal routes, which are repeated less often."""
    internal_ports: Annotated[tuple[int, ...], msgspec.Meta(min_length=1)] = (8080,)
    """The ports of internal routes, as callers use them: NATS does not tell them."""
    region: str = ""
    """The region that the foundation is in; its zones are known only together with it."""

    def __post_init__(self) -> None:
        findings = [
            Finding(f"nats.servers[{n}]", 0, 0, "expected nats://HOST:PORT or tls://HOST:PORT")
            for n, url in enumerate(self.nats.servers)
            if not _is_server(url)
        ]
        findings += [
            Finding(name, 0, 0, "it has to be longer than nothing")
            for name in ("settle", "ttl", "internal_ttl")
            if getattr(self, name) <= 0
        ]
        ports = self.internal_ports
        if len(set(ports)) < len(ports) or not all(0 < port <= 65535 for port in ports):
            words = "expected different numbers from 1 to 65535"
            findings.append(Finding("internal_ports", 0, 0, words))
        if (self.nats.cert_file is None) != (self.nats.key_file is None):
            words = "cert_file and key_file are given together"
            findings.append(Finding("nats.cert_file", 0, 0, words))
        if findings:
            raise ConfigError(*findings)


def _is_server(text: str) -> bool:
    """No URL with a password in it: that belongs into `credentials_file`."""
    try:
        parts = urlsplit(text)
        is_whole = parts.scheme in _SCHEMES and bool(parts.hostname)
        return is_whole and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        return False
