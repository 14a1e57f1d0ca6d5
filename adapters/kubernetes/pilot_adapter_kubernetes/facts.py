"""What is kept of each object, in the form in which it is joined with others.

Rule 1: two facts are equal if nothing that anybody reads differs: a heartbeat is no change.
Rule 2: strings that recur (labels, accounts, nodes) are one object in memory.
"""

from __future__ import annotations

import base64
import re
import sys

import msgspec

from pilot_adapter_kubernetes import wire
from pilot_core.model import NO_LOCALITY, Locality

SERVICE_OF = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
CONTROLLER = "endpointslice-controller.k8s.io"
REGION, ZONE = "topology.kubernetes.io/region", "topology.kubernetes.io/zone"
OLD_REGION, OLD_ZONE = (
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
)
SUBZONE, NETWORK = "topology.istio.io/subzone", "topology.istio.io/network"
_FROM_CRON_JOB = re.compile(r"(.+)-\d{8,10}\Z")
_OVER = ("Succeeded", "Failed")

Labels = tuple[tuple[str, str], ...]


class Service(msgspec.Struct, frozen=True, gc=False):
    """A Service as it was sent; `selector` empty where somebody else writes its slices."""

    key: str
    uid: str
    spec: wire.ServiceSpec
    labels: Labels
    annotations: Labels


class SliceEndpoint(msgspec.Struct, frozen=True, gc=False):
    """One entry of a slice: its address, and who is said to be there.

    `pod` is `namespace/name`, empty where the target is no pod; `owned` says that there is a
    target at all.
    """

    address: str
    conditions: wire.Conditions
    pod: str
    pod_uid: str
    owned: bool
    node: str


class Slice(msgspec.Struct, frozen=True, gc=False):
    """An EndpointSlice. `version` orders what two slices say of one endpoint, newest first."""

    key: str
    uid: str
    service: str
    address_type: str
    by_controller: bool
    version: int
    endpoints: tuple[SliceEndpoint, ...]
    ports: tuple[wire.SlicePort, ...] | None


class Pod(msgspec.Struct, frozen=True, gc=False):
    key: str
    uid: str
    labels: Labels
    account: str
    node: str
    host_network: bool
    addresses: tuple[str, ...]
    workload: str
    created: str
    leaving: bool
    """It is told to end, or has ended."""
    over: bool
    """It has ended."""
    ready: bool

    def label(self, name: str) -> str:
        return next((value for key, value in self.labels if key == name), "")

    @property
    def namespace(self) -> str:
        return self.key.partition("/")[0]


class Node(msgspec.Struct, frozen=True, gc=False):
    key: str
    uid: str
    locality: Locality
    network: str


class Namespace(msgspec.Struct, frozen=True, gc=False):
    """One that is selected: that it is there is all there is to know."""

    key: str
    uid: str


class Kubeconfigs(msgspec.Struct, frozen=True, gc=False):
    """A Secret with kubeconfigs: (name of the cluster, text)."""

    key: str
    uid: str
    clusters: Labels


class Definition(msgspec.Struct, frozen=True, gc=False):
    """A custom resource that is installed: the versions in which it can be read now."""

    key: str
    uid: str
    served: tuple[str, ...]


class Custom(msgspec.Struct, frozen=True, gc=False):
    """An object of a custom resource: what a user wrote of it, as JSON."""

    key: str
    uid: str
    content: bytes


def key_of(meta: wire.Meta) -> str:
    """`namespace/name`, or the name alone where the kind has no namespaces."""
    return f"{meta.namespace}/{meta.name}" if meta.namespace else meta.name


def service(sent: wire.Service) -> Service:
    meta = sent.metadata
    return Service(key_of(meta), meta.uid, sent.spec, _pairs(meta.labels), _pairs(meta.annotations))


def endpoint_slice(sent: wire.EndpointSlice) -> Slice:
    meta = sent.metadata
    labels = meta.labels or {}
    name = labels.get(SERVICE_OF, "")
    version = meta.resource_version
    return Slice(
        key=key_of(meta),
        uid=meta.uid,
        service=sys.intern(f"{meta.namespace}/{name}") if name else "",
        address_type=sent.address_type,
        by_controller=labels.get(MANAGED_BY) == CONTROLLER,
        # Opaque by contract, but integers that grow in every server there is; elsewhere all are 0,
        # and the names of the slices decide.
        version=int(version) if version.isdecimal() else 0,
        endpoints=tuple(
            _slice_endpoint(entry, address, meta.namespace)
            for entry in sent.endpoints or ()
            for address in entry.addresses or ()
        ),
        ports=None if sent.ports is None else tuple(sent.ports),
    )


def _slice_endpoint(sent: wire.SliceEndpoint, address: str, namespace: str) -> SliceEndpoint:
    target = sent.target_ref
    is_pod = target is not None and target.kind == "Pod"
    return SliceEndpoint(
        address=address,
        conditions=sent.conditions or wire.Conditions(),
        pod=f"{target.namespace or namespace}/{target.name}" if target and is_pod else "",
        pod_uid=target.uid if target and is_pod else "",
        owned=target is not None,
        node=sys.intern(sent.node_name or ""),
    )


def pod(sent: wire.Pod) -> Pod:
    meta, spec, status = sent.metadata, sent.spec, sent.status
    addresses = [entry.ip for entry in status.pod_ips or () if entry.ip]
    if not addresses and status.pod_ip:
        addresses = [status.pod_ip]
    return Pod(
        key=key_of(meta),
        uid=meta.uid,
        labels=_pairs(meta.labels),
        account=sys.intern(spec.service_account_name or "default"),
        node=sys.intern(spec.node_name or ""),
        host_network=bool(spec.host_network),
        addresses=tuple(addresses),
        workload=sys.intern(workload_of(meta)),
        created=meta.creation_timestamp or "",
        leaving=meta.deletion_timestamp is not None or status.phase in _OVER,
        over=status.phase in _OVER,
        ready=any(c.type == "Ready" and c.status == "True" for c in status.conditions or ()),
    )


def node(sent: wire.Node) -> Node:
    labels = sent.metadata.labels or {}
    place = Locality(
        sys.intern(labels.get(REGION) or labels.get(OLD_REGION, "")),
        sys.intern(labels.get(ZONE) or labels.get(OLD_ZONE, "")),
        sys.intern(labels.get(SUBZONE, "")),
    )
    known = place if place.region else NO_LOCALITY
    return Node(key_of(sent.metadata), sent.metadata.uid, known, labels.get(NETWORK, ""))


def namespace(sent: wire.Named) -> Namespace:
    return Namespace(key_of(sent.metadata), sent.metadata.uid)


def kubeconfigs(sent: wire.Secret) -> Kubeconfigs:
    """Raises ValueError where a value is no base64 or no text."""
    found = {name: base64.b64decode(value).decode() for name, value in (sent.data or {}).items()}
    return Kubeconfigs(key_of(sent.metadata), sent.metadata.uid, tuple(sorted(found.items())))


def definition(sent: wire.Definition) -> Definition:
    conditions = (sent.status.conditions if sent.status else None) or ()
    is_there = any(c.type == "Established" and c.status == "True" for c in conditions)
    served = tuple(v.name for v in sent.spec.versions if v.served)
    return Definition(sent.metadata.name, sent.metadata.uid, served if is_there else ())


def custom(sent: wire.Custom) -> Custom:
    meta = sent.metadata
    named = {"name": meta.name, "namespace": meta.namespace}
    written = {"apiVersion": sent.api_version, "kind": sent.kind, "metadata": named}
    return Custom(key_of(meta), meta.uid, msgspec.json.encode({**written, "spec": sent.spec}))


def workload_of(meta: wire.Meta) -> str:
    """What the pod is one of: its Deployment, StatefulSet, DaemonSet, CronJob or Job."""
    owner = next((o for o in meta.owner_references or () if o.controller), None)
    if owner is None:
        return meta.name
    template = (meta.labels or {}).get("pod-template-hash", "")
    if owner.kind == "ReplicaSet" and template:
        return owner.name.removesuffix(f"-{template}")
    from_cron_job = _FROM_CRON_JOB.match(owner.name) if owner.kind == "Job" else None
    return from_cron_job.group(1) if from_cron_job else owner.name


def _pairs(labels: dict[str, str] | None) -> Labels:
    if not labels:
        return ()
    return tuple(sorted((sys.intern(k), sys.intern(v)) for k, v in labels.items()))
