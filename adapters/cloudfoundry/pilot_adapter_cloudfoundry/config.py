"""The settings of the adapter `cloudfoundry`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from pilot_core.adapter import Config, ConfigError, Finding
from pilot_core.document import Duration

_NATS = ("nats", "tls")
_FILES = ("client_secret_file", "credentials_file", "ca_file", "cert_file", "key_file")


class BbsConfig(Config, frozen=True, kw_only=True):
    """Diego's BBS, which knows every instance; it asks for a client's certificate."""

    url: str = "https://bbs.service.cf.internal:8889"
    """`https://HOST:PORT`. Of several addresses behind the name, the one that answers is taken."""
    ca_file: Annotated[Path, msgspec.Meta(examples=["/etc/pilot-core/bbs-ca.pem"])]
    """Certificates of Diego's authority, as PEM."""
    cert_file: Annotated[Path, msgspec.Meta(examples=["/etc/pilot-core/bbs.pem"])]
    """The certificate to show, as PEM; read again when it has changed. Whoever has it may change
    what Diego runs: keep it as you would a password."""
    key_file: Annotated[Path, msgspec.Meta(examples=["/etc/pilot-core/bbs.key"])]
    """The key of that certificate."""
    resync: Duration = Duration(60)
    """How often everything is listed, besides following events."""
    max_loss: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5
    """The largest share of instances that one list may lose while they are still desired; more has
    to be confirmed by the next list. 1 believes every list."""


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
    """The key of that certificate."""


class SegmentsConfig(Config, frozen=True):
    """Which isolation segments' HTTP routes to read, as the foundation's routers choose them."""

    mode: Literal["all", "segments", "shared-and-segments"] = "all"
    """`segments` takes those that are named, `shared-and-segments` also what is in none."""
    names: tuple[str, ...] = ()
    """The names of isolation segments."""

    def has(self, segment: str) -> bool:
        """Whether routes of this segment, or of none, are read."""
        if self.mode == "all":
            return True
        return segment in self.names if segment else self.mode == "shared-and-segments"


class UaaConfig(Config, frozen=True, kw_only=True):
    """Who we are to the foundation's APIs: a client of its UAA."""

    client_id: Annotated[str, msgspec.Meta(examples=["pilot-core"])]
    """The client; it needs the authority `cloud_controller.global_auditor` for `api`, and
    `routing.routes.read` for `routing_api`."""
    client_secret_file: Annotated[Path, msgspec.Meta(examples=["/etc/pilot-core/uaa.secret"])]
    """A file with the client's secret; read again with every token."""
    url: str = ""
    """Where the UAA is, `https://HOST[:PORT]`; the Cloud Controller says it where this does not."""
    ca_file: Path | None = None
    """Certificates of the authorities to trust instead of the system's, as PEM."""


class ApiConfig(Config, frozen=True, kw_only=True):
    """The Cloud Controller, which knows what users call things."""

    url: Annotated[str, msgspec.Meta(examples=["https://api.sys.example.com"])]
    """`https://HOST[:PORT]`."""
    ca_file: Path | None = None
    """Certificates of the authorities to trust instead of the system's, as PEM."""
    interval: Duration = Duration(120)
    """How often everything is read; less often where it says that we ask too much."""
    label_prefix: str = "label.cf/"
    """What stands before users' labels, so that they are never taken for the platform's."""


class RoutingApiConfig(Config, frozen=True, kw_only=True):
    """The Routing API, which knows TCP routes of what does not run on Diego."""

    url: str = "https://routing-api.service.cf.internal:3001"
    """`https://HOST:PORT`."""
    ca_file: Path | None = None
    """Certificates of the authorities to trust instead of the system's, as PEM."""
    cert_file: Path | None = None
    """The certificate to show, as PEM; with `key_file`. Read again when it has changed."""
    key_file: Path | None = None
    """The key of that certificate."""
    resync: Duration = Duration(60)
    """How often everything is listed, besides following events."""


class CloudFoundryConfig(Config, frozen=True):
    """Which foundation to read, and from whom: from the BBS, from NATS, or from both."""

    bbs: Annotated[BbsConfig | None, msgspec.Meta(examples=[{}])] = None
    """Diego's BBS: all instances and all their routes. Prefer it where you may have a certificate
    for it."""
    nats: NatsConfig | None = None
    """What emitters tell the routers: the only source of what does not run on Diego."""
    instance_ca_file: Annotated[
        Path | None, msgspec.Meta(examples=["/etc/pilot-core/instance-identity-ca.pem"])
    ] = None
    """Certificates of the authorities that sign for instances (instance identity), as PEM: several
    while one replaces another. Read again when it has changed. Without it, proxies speak to no
    instance that has a TLS port."""
    uaa: UaaConfig | None = None
    """Who we are to the foundation's APIs; needed by `api` and `routing_api`."""
    api: ApiConfig | None = None
    """The Cloud Controller: users' labels, revisions, weights, TCP domains and network policies.
    Nothing waits for it."""
    routing_api: RoutingApiConfig | None = None
    """The Routing API: TCP routes of what does not run on Diego."""
    addresses: Literal["auto", "host", "container"] = "auto"
    """Where callers reach instances: at their cells, or in the containers' network, which only
    those within it do; `auto` goes by what the cell says."""
    segments: SegmentsConfig = SegmentsConfig()
    """Which isolation segments' HTTP routes to read."""
    vouch: Duration = Duration(300)
    """How long after the BBS was last followed its word still counts, where an instance proves by
    its certificate which process it is."""
    region: str = ""
    """The region that the foundation is in; its zones are known only together with it."""
    settle: Duration = Duration(25)
    """How long to listen to NATS before what has been heard is taken to be all. Longer where a
    router says that emitters repeat themselves less often."""
    ttl: Duration = Duration(120)
    """How long a route from NATS lives that nobody repeats, where no router says how long."""
    internal_ttl: Duration = Duration(180)
    """The same for internal routes, which are repeated less often."""
    internal_ports: Annotated[tuple[int, ...], msgspec.Meta(min_length=1)] = (8080,)
    """The ports of internal routes, as callers use them, where NATS alone tells of them."""

    def __post_init__(self) -> None:
        findings = [*_nats(self.nats), *_bbs(self.bbs), *_apis(self)]
        findings += [
            Finding(name, 0, 0, "it has to be longer than nothing")
            for name in ("settle", "ttl", "internal_ttl")
            if getattr(self, name) <= 0
        ]
        if self.bbs is None and self.nats is None:
            findings.append(Finding("", 0, 0, "one of bbs and nats has to be there"))
        ports = self.internal_ports
        if len(set(ports)) < len(ports) or not all(0 < port <= 65535 for port in ports):
            words = "expected different numbers from 1 to 65535"
            findings.append(Finding("internal_ports", 0, 0, words))
        if self.segments.mode == "segments" and not self.segments.names:
            findings.append(Finding("segments.names", 0, 0, "name the segments to read"))
        if findings:
            raise ConfigError(*findings)

    def files(self) -> list[tuple[str, Path]]:
        """Every file that is named, with the setting that names it."""
        found = []
        if self.instance_ca_file is not None:
            found.append(("instance_ca_file", self.instance_ca_file))
        for section in ("bbs", "nats", "uaa", "api", "routing_api"):
            settings = getattr(self, section)
            for key in _FILES:
                path = getattr(settings, key, None)
                if path is not None:
                    found.append((f"{section}.{key}", path))
        return found


def _bbs(config: BbsConfig | None) -> list[Finding]:
    if config is None:
        return []
    found = [] if is_url(config.url) else [Finding("bbs.url", 0, 0, "expected https://HOST:PORT")]
    if config.resync <= 0:
        found.append(Finding("bbs.resync", 0, 0, "it has to be longer than nothing"))
    return found


def _nats(config: NatsConfig | None) -> list[Finding]:
    if config is None:
        return []
    words = "expected nats://HOST:PORT or tls://HOST:PORT"
    found = [
        Finding(f"nats.servers[{n}]", 0, 0, words)
        for n, url in enumerate(config.servers)
        if not is_url(url, _NATS)
    ]
    if (config.cert_file is None) != (config.key_file is None):
        words = "cert_file and key_file are given together"
        found.append(Finding("nats.cert_file", 0, 0, words))
    return found


def _apis(config: CloudFoundryConfig) -> list[Finding]:
    uaa, api, routing = config.uaa, config.api, config.routing_api
    words, found = "expected https://HOST:PORT", []
    for name, section in (("api", api), ("routing_api", routing)):
        if section is not None and not is_url(section.url):
            found.append(Finding(f"{name}.url", 0, 0, words))
        if section is not None and uaa is None:
            found.append(Finding(name, 0, 0, "it needs `uaa`"))
    if uaa is not None and uaa.url and not is_url(uaa.url):
        found.append(Finding("uaa.url", 0, 0, words))
    if uaa is not None and not uaa.url and api is None:
        found.append(Finding("uaa.url", 0, 0, "give it where there is no `api` to ask for it"))
    for name, seconds in (
        ("api.interval", api.interval if api else 1),
        ("routing_api.resync", routing.resync if routing else 1),
    ):
        if seconds <= 0:
            found.append(Finding(name, 0, 0, "it has to be longer than nothing"))
    if routing is not None and (routing.cert_file is None) != (routing.key_file is None):
        words = "cert_file and key_file are given together"
        found.append(Finding("routing_api.cert_file", 0, 0, words))
    return found


def is_url(text: str, schemes: tuple[str, ...] = ("https",)) -> bool:
    """Whole, and without a password in it: that belongs into a file."""
    try:
        parts = urlsplit(text)
        is_whole = parts.scheme in schemes and bool(parts.hostname)
        return is_whole and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        return False
