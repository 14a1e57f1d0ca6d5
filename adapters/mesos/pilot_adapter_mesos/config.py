"""The settings of the adapter `mesos`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from pilot_core.adapter import Config, ConfigError, Finding
from pilot_core.document import Duration


class Grant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may appear as which service accounts; `*` stands for any text."""

    principal: str = "*"
    """The principal that a framework has to have."""
    role: str = "*"
    """The role whose resources a task has to use."""
    accounts: tuple[str, ...]
    """What the label `mesh.service-account` may say then."""


class MesosConfig(Config, frozen=True):
    """Which cluster to read, and how to name what is in it."""

    masters: Annotated[
        tuple[str, ...], msgspec.Meta(examples=[["http://master.mesos.example:5050"]])
    ] = ()
    """The masters' URLs. Any of them will do: whoever leads is found from there."""
    zookeeper: str = ""
    """Instead of `masters`: the ZooKeeper that elects them, and its folder, such as
    `zk://zk1.example:2181,zk2.example:2181/mesos`. Masters are spoken to with TLS where there is a
    `ca_file`."""
    zookeeper_credentials_file: Path | None = None
    """A file with `user:password` for ZooKeeper's digest authentication."""
    zookeeper_ca_file: Path | None = None
    """Authorities to trust in ZooKeeper's certificates, as PEM; without, it is spoken to without
    TLS."""
    zookeeper_cert_file: Path | None = None
    """A certificate to show to ZooKeeper, as PEM."""
    zookeeper_key_file: Path | None = None
    """Its key."""
    marathon: tuple[str, ...] = ()
    """URLs of Marathons: their checks, labels and service ports are added to what Mesos says of
    their tasks. Several of one Marathon may be named, and several Marathons."""
    marathon_credentials_file: Path | None = None
    """The same as `credentials_file`, for Marathon."""
    marathon_service_ports: bool = False
    """Number a port that a container maps by its service port in Marathon instead of the
    container's port. Ports on the host's network are numbered so anyway."""
    domain: str = "mesos"
    """The last part of every hostname: `TASK.FRAMEWORK.mesos`."""
    aliases: tuple[Literal["mesos-dns", "vip", "autoip"], ...] = ("mesos-dns", "vip")
    """Other names under which services are found: with a single label for the service, by virtual
    address (`NAME.FRAMEWORK.l4lb.thisdcos.directory`), and as DC/OS' DNS has them."""
    namespace: Literal["framework", "role", "environment"] = "framework"
    """What a service's namespace is: its framework, its tasks' role, or the environment of their
    discovery; the framework where there is none."""
    honour_visibility: bool = False
    """Take `FRAMEWORK` in a task's discovery to mean: seen in its own namespace only. Marathon says
    so of everything, so leave it off with Marathon."""
    grants: tuple[Grant, ...] = ()
    """Who may appear as which service account; see `Identities` in the documentation."""
    credentials_file: Path | None = None
    """A file with `principal:secret` for HTTP basic authentication, or with a whole value of the
    `Authorization` header; read again at every session."""
    ca_file: Path | None = None
    """Certificates of the authorities to trust instead of the system's, as PEM."""
    wire: Literal["json", "protobuf"] = "json"
    """In which form the master is to speak. Large clusters spare it work with `protobuf`, which
    costs a little more here."""
    resync: Duration = Duration(30)
    """How often tasks and agents are listed besides following events, which do not tell all."""
    hold: Duration = Duration(600)
    """How long tasks are kept that may still run behind a partition, and those of agents that a
    new master has not heard from. Not shorter than the masters' `agent_reregister_timeout`."""
    prefer: Literal["auto", "agent", "container"] = "auto"
    """Which address of a task to take where nothing says which one serves a port."""
    ip_family: Literal["ipv4", "ipv6"] = "ipv4"
    """Which of a task's own addresses is the first one, where it has both."""
    agent_address: str = "pid"
    """Where an agent's own address stands: `pid`, `hostname` (an IP address), or
    `attribute:NAME`."""
    subzone_attribute: str = ""
    """The agent attribute that says where in its zone it stands, such as `rack`."""
    agent_labels: tuple[str, ...] = ()
    """Agent attributes that its tasks carry as labels `agent.NAME`."""
    drain_before: Duration = Duration(0)
    """How long before a machine's maintenance its tasks start to drain."""

    def __post_init__(self) -> None:
        findings = [
            Finding(f"{name}[{n}]", 0, 0, f"expected http://HOST:PORT, found {url!r}")
            for name, urls in (("masters", self.masters), ("marathon", self.marathon))
            for n, url in enumerate(urls)
            if not _is_url(url)
        ]
        findings += _findings_of_zookeeper(self)
        how, _, name = self.agent_address.partition(":")
        if self.agent_address not in ("pid", "hostname") and not (how == "attribute" and name):
            words = "expected pid, hostname or attribute:NAME"
            findings.append(Finding("agent_address", 0, 0, words))
        if self.resync <= 0:
            findings.append(Finding("resync", 0, 0, "it has to be longer than nothing"))
        if findings:
            raise ConfigError(*findings)


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname)
        return is_whole and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        return False


def _findings_of_zookeeper(config: MesosConfig) -> list[Finding]:
    if bool(config.masters) == bool(config.zookeeper):
        return [Finding("masters", 0, 0, "name either `masters` or a `zookeeper`")]
    parts = urlsplit(config.zookeeper)
    if "@" in parts.netloc:
        words = "credentials do not belong here: name a `zookeeper_credentials_file`"
        return [Finding("zookeeper", 0, 0, words)]
    if config.zookeeper and not (parts.scheme == "zk" and parts.netloc and parts.path.strip("/")):
        words = "expected zk://HOST:PORT,HOST:PORT/FOLDER"
        return [Finding("zookeeper", 0, 0, f"{words}, found {config.zookeeper!r}")]
    if bool(config.zookeeper_cert_file) != bool(config.zookeeper_key_file):
        return [Finding("zookeeper_cert_file", 0, 0, "a certificate and its key come together")]
    return []
