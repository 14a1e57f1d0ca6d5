"""The settings of the adapter `mesos`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from pilot_core.adapter import Config, ConfigError, Finding
from pilot_core.document import Duration


class MesosConfig(Config, frozen=True):
    """Which cluster to read, and how to name what is in it."""

    masters: Annotated[
        tuple[str, ...],
        msgspec.Meta(min_length=1, examples=[["http://master.mesos.example:5050"]]),
    ]
    """The masters' URLs. Any of them will do: whoever leads is found from there."""
    domain: str = "mesos"
    """The last part of every hostname: `TASK.FRAMEWORK.mesos`."""
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
    agent_address: str = "pid"
    """Where an agent's own address stands: `pid`, `hostname` (an IP address), or
    `attribute:NAME`."""
    subzone_attribute: str = ""
    """The agent attribute that says where in its zone it stands, such as `rack`."""

    def __post_init__(self) -> None:
        findings = [
            Finding(f"masters[{n}]", 0, 0, f"expected http://HOST:PORT, found {url!r}")
            for n, url in enumerate(self.masters)
            if not _is_url(url)
        ]
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
