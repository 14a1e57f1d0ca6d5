"""The kinds of objects that are watched: where they are, and how one of them is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from pilot_adapter_kubernetes import facts, wire


class Fact(Protocol):
    """What every kind of fact has."""

    @property
    def key(self) -> str: ...
    @property
    def uid(self) -> str: ...


F = TypeVar("F", bound=Fact)
_named = msgspec.json.Decoder(wire.Named)


class Kind(Generic[F]):
    """One resource of the API."""

    def __init__(
        self,
        group: str,
        plural: str,
        type: type[Any],
        convert: Callable[[Any], F],
        **selectors: str,
    ) -> None:
        self.root = "/api/v1" if not group else f"/apis/{group}"
        self.plural = plural
        self.selectors = selectors
        self._decoder = msgspec.json.Decoder(type)
        self._convert = convert

    def path(self, namespace: str = "") -> str:
        """Of the whole cluster, or of one namespace."""
        scope = f"/namespaces/{namespace}" if namespace else ""
        return f"{self.root}{scope}/{self.plural}"

    def read(self, raw: msgspec.Raw) -> F:
        """One object. Raises ValueError (msgspec.ValidationError is one) where it is malformed."""
        return self._convert(self._decoder.decode(raw))


def meta_of(raw: msgspec.Raw) -> wire.Meta:
    """The object's metadata, whatever else is wrong with it; empty where even that is."""
    try:
        return _named.decode(raw).metadata
    except msgspec.MsgspecError:
        return wire.Meta()


SERVICES = Kind("", "services", wire.Service, facts.service)
SLICES = Kind("discovery.k8s.io/v1", "endpointslices", wire.EndpointSlice, facts.endpoint_slice)
PODS = Kind("", "pods", wire.Pod, facts.pod, fieldSelector="status.phase!=Failed")
NODES = Kind("", "nodes", wire.Node, facts.node)
SECRETS = Kind(
    "", "secrets", wire.Secret, facts.kubeconfigs, labelSelector="istio/multiCluster=true"
)


def namespaces(selector: str) -> Kind[facts.Namespace]:
    """Those with labels that the selector means; one that loses them is gone."""
    return Kind("", "namespaces", wire.Named, facts.namespace, labelSelector=selector)


def definition(name: str) -> Kind[facts.Definition]:
    """The definition of one custom resource, `PLURAL.GROUP`."""
    group, plural = "apiextensions.k8s.io/v1", "customresourcedefinitions"
    selector = f"metadata.name={name}"
    return Kind(group, plural, wire.Definition, facts.definition, fieldSelector=selector)


def custom(group: str, version: str, plural: str) -> Kind[facts.Custom]:
    """The objects of one custom resource."""
    return Kind(f"{group}/{version}", plural, wire.Custom, facts.custom)
