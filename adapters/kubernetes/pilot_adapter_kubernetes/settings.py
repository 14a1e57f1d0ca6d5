"""What a user sets: which cluster, which part of it, and which other clusters."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pilot_core.adapter import Config, ConfigError
from pilot_core.dialects import objects
from pilot_core.document import Duration
from pilot_core.document.words import unknown

_PORTS = 65536


class ClustersConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """More clusters of the same mesh. A service that several of them have is one service."""

    files: tuple[Path, ...] = ()
    """Kubeconfig files, and folders of them; each is a cluster, called by the file's name without
    its ending."""
    secrets: str = ""
    """A namespace: each key of its Secrets with the label `istio/multiCluster: "true"` is the name
    of a cluster, and the value its kubeconfig."""


class InjectConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What pods get beside them whose API server asks `/inject` about them."""

    image: str = ""
    """With `pilot-core`, its Envoy and `iptables`; without it, nobody is answered."""
    xds: str = ""
    """`HOST:PORT` of this server, as pods reach it."""
    agent_socket: str = ""
    """The node agent's socket, for mutual TLS: its folder is mounted."""


class WebhookConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom an API server asks before it takes objects of `custom_resources`, at `/validate`, and
    pods, at `/inject`."""

    address: str = ""
    """`IP:PORT`, such as `0.0.0.0:15017`; without it, off."""
    cert_file: Path = Path("tls.crt")
    """The server's certificate; renewed files are read."""
    key_file: Path = Path("tls.key")
    """Its private key."""
    inject: InjectConfig = InjectConfig()


class StatusConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether what is found about custom resources is written into their status."""

    lease_namespace: str = ""
    """The namespace of the Lease by which one replica is chosen to write; without it, nothing is
    ever written."""
    holder: str = "pilot-core"
    """What this replica is called in the Lease."""


class KubernetesConfig(Config, frozen=True):
    """Settings of one cluster, and of those beside it."""

    kubeconfig: Path | None = None
    """A kubeconfig file; without it, the service account of the pod that the daemon runs in."""
    context: str = ""
    """A context in the kubeconfig; without it, the current one."""
    namespaces: tuple[str, ...] = ()
    """Only these; without any, all of the cluster."""
    namespace_selector: str = ""
    """Only namespaces with these labels, such as `mesh=on,stage!=test`."""
    domain: str = "cluster.local"
    """The cluster's DNS domain: services are `NAME.NAMESPACE.svc.DOMAIN`."""
    idle: Duration = Duration(180)
    """A watch that is silent for longer is dead; servers send something every minute."""
    clusters: ClustersConfig = ClustersConfig()
    custom_resources: tuple[str, ...] = ()
    """Custom resources to read, `PLURAL.GROUP`, such as `serviceentries.networking.istio.io`."""
    webhook: WebhookConfig = WebhookConfig()
    status: StatusConfig = StatusConfig()
    token_audience: str = "istio-ca"
    """Whom tokens of service accounts have to be meant for, to prove who somebody is."""
    node_agents: tuple[str, ...] = ()
    """Service accounts, `NAMESPACE/NAME`, that may ask for the identities of pods on their node."""

    def __post_init__(self) -> None:
        if self.context and self.kubeconfig is None:
            raise ConfigError("context: without a kubeconfig there is none to choose from")
        if not self.domain or self.domain != self.domain.lower().strip("."):
            raise ConfigError(f"domain: {self.domain!r} is no DNS domain in lower case")
        if len(set(self.namespaces)) < len(self.namespaces):
            raise ConfigError("namespaces: one of them is there twice")
        if self.namespaces and self.namespace_selector:
            raise ConfigError(
                "namespace_selector: namespaces are named already; choose one of both"
            )
        for name in self.custom_resources:
            if name not in objects.KINDS:
                raise ConfigError(f"custom_resources: {unknown('resource', name, objects.KINDS)}")
        self._check_address(self.webhook.address)
        if self.webhook.inject.image and not self.webhook.inject.xds:
            raise ConfigError("webhook.inject.xds: proxies have to know whom to ask")
        for agent in self.node_agents:
            if not all(agent.partition("/")) or agent.count("/") > 1:
                raise ConfigError(f"node_agents: {agent!r} is not of the form NAMESPACE/NAME")
        if not self.token_audience:
            raise ConfigError("token_audience: tokens that are meant for anybody prove nothing")
        if self.idle < 1:
            raise ConfigError("idle: less than 1s would end watches that are alive")

    def _check_address(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        if address and not (host and port.isdecimal() and int(port) < _PORTS):
            raise ConfigError(f"webhook.address: {address!r} is not of the form IP:PORT")
