"""What people say on the command line about a proxy, as a proxy's own description of itself."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

import msgspec

from pilot_core.errors import ConfigError
from pilot_core.model import NO_LOCALITY, Locality, Mode, ProxyKind
from pilot_core.model.endpoint import UNIX
from pilot_core.model.proxy import AGENT, REGISTRY_ONLY
from pilot_core.plan.addresses import is_unix
from pilot_core.plan.carried import is_hostname

_PORTS = range(1, 65536)
_NOT_IN_NAMES = frozenset(" ~/|")


class ProxyOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of `bootstrap` and `proxy`, checked. Addresses are `IP:PORT` texts.

    Raises ConfigError where a name cannot be a part of a node's id.
    """

    workload: str
    namespace: str = "default"
    address: str = "127.0.0.1"
    kind: ProxyKind = ProxyKind.SIDECAR
    service_account: str = ""
    labels: dict[str, str] = {}
    locality: Locality = NO_LOCALITY
    xds: str = "127.0.0.1:15010"
    mode: Mode = Mode.NONE
    is_registry_only: bool = False
    """Intercepted connections to what no registry knows are refused."""
    outbound: dict[str, str] = {}
    inbound: dict[str, str] = {}
    http_listener: str = ""
    admin: str = "127.0.0.1:15000"
    agent_socket: str = ""
    """The path of the agent's Unix socket; empty: no agent, no certificate, plaintext only."""
    control_plane: str = ""
    """The SPIFFE id by which the server of `xds` is known, over mutual TLS with certificates of the
    agent's; empty: plaintext."""
    is_sotw: bool = False

    def __post_init__(self) -> None:
        _check_name("--workload", self.workload)
        _check_name("--namespace", self.namespace)
        if self.agent_socket and not is_unix(UNIX + self.agent_socket):
            raise ConfigError(
                f"--agent-socket {self.agent_socket}: expected a path of at most 107 bytes from /"
            )
        if self.control_plane and not self.agent_socket:
            raise ConfigError("--tls: certificates come from an agent: --agent-socket PATH")

    @property
    def node_id(self) -> str:
        """Istio's form: `sidecar~IP~WORKLOAD.NAMESPACE~DOMAIN`."""
        name = f"{self.workload}.{self.namespace}"
        return f"{self.kind}~{self.address}~{name}~{self.namespace}.svc.cluster.local"

    def metadata(self) -> dict[str, object]:
        """The node's metadata, without what was not said."""
        said: dict[str, object] = {
            "NAMESPACE": self.namespace,
            "WORKLOAD_NAME": self.workload,
            "SERVICE_ACCOUNT": self.service_account,
            "LABELS": self.labels,
            "INSTANCE_IPS": self.address,
            "INTERCEPTION_MODE": self.mode.upper(),
            "PILOT_OUTBOUND_POLICY": REGISTRY_ONLY if self.is_registry_only else "",
            "PILOT_OUTBOUND": self.outbound,
            "PILOT_INBOUND": self.inbound,
            "PILOT_HTTP_LISTENER": self.http_listener,
        }
        if self.agent_socket:
            said["PILOT_TLS"] = AGENT
        return {key: value for key, value in said.items() if value}


def _check_name(option: str, text: str) -> None:
    if not text or not text.isprintable() or set(text) & _NOT_IN_NAMES:
        raise ConfigError(f"{option} {text!r}: a name has no blanks and none of ~ / |")


def outbound(texts: Iterable[str]) -> dict[str, str]:
    """`[IP:]PORT=HOSTNAME:PORT` each. Raises ConfigError."""
    found: dict[str, str] = {}
    for text in texts:
        listen, _, target = text.partition("=")
        hostname, _, port = target.rpartition(":")
        if not is_hostname(hostname.lower()) or not _is_port(port):
            raise ConfigError(f"--outbound {text}: expected [IP:]PORT=HOSTNAME:PORT")
        where = _join(*_address("--outbound", text, listen, "127.0.0.1"))
        if where in found:
            raise ConfigError(f"--outbound {text}: {where} is used for {found[where]} already")
        found[where] = f"{hostname.lower()}:{port}"
    return found


def inbound(texts: Iterable[str]) -> dict[str, str]:
    """`PORT=IP:PORT` each: where the application behind an endpoint's port is. Raises
    ConfigError."""
    found: dict[str, str] = {}
    for text in texts:
        port, _, application = text.partition("=")
        if not _is_port(port):
            raise ConfigError(f"--inbound {text}: expected PORT=IP:PORT")
        found[port] = _join(*_address("--inbound", text, application, "127.0.0.1"))
    return found


def labels(texts: Iterable[str]) -> dict[str, str]:
    """`K=V` each. Raises ConfigError."""
    found: dict[str, str] = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not key or not sign:
            raise ConfigError(f"--label {text}: expected K=V")
        found[key] = value
    return found


def address(option: str, text: str, *, zero: bool = False) -> str:
    """`IP:PORT`, checked; port 0 only where the option lets it be chosen. Raises ConfigError."""
    ip, port = _address(option, text, text, "127.0.0.1", zero=zero)
    return _join(ip, port)


def host_and_port(option: str, text: str) -> str:
    """`HOST:PORT`, where HOST may be a name. Raises ConfigError."""
    host, _, port = text.rpartition(":")
    if not host or not _is_port(port):
        raise ConfigError(f"{option} {text}: expected HOST:PORT")
    return text


def ip(option: str, text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ConfigError(f"{option} {text}: expected an IP address") from None


def _address(
    option: str, whole: str, text: str, default_ip: str, *, zero: bool = False
) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not _is_port(port) and not (zero and port == "0"):
        raise ConfigError(f"{option} {whole}: {port!r} is not a port (1…65535)")
    return ip(option, host.strip("[]") or default_ip), int(port)


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_port(text: str) -> bool:
    return text.isdecimal() and int(text) in _PORTS
