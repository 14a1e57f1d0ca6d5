"""Does what a proxy says of itself agree with who it has proved to be?

Rule 1: a proxy that has proved nothing is not judged here: the plaintext port is its network's to
protect.
Rule 2: what decides is the namespace and the service account. Where the endpoints at the proxy's
address belong to somebody else, it stands for none of them, and is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pilot_core.errors import PilotError
from pilot_core.model import Endpoint, Proxy, World

_MESH_FORM = re.compile(r"spiffe://[^/]+/(?:.+/)?ns/([^/]+)/sa/([^/]+)")
"""The mesh's own form of identities; a platform's may have its prefix before it."""


class Impostor(PilotError):
    """The proxy is somebody else than it says; the message says what does not agree."""


def check(proxy: Proxy, identity: str, world: World) -> None:
    """`identity` is the SPIFFE id that the peer has proved. Raises Impostor."""
    found = _MESH_FORM.fullmatch(identity)
    if found is None:
        _check_stated(proxy, identity, tuple(_endpoints(proxy, world)))
        return
    namespace, account = found.groups()
    if proxy.namespace != namespace:
        raise Impostor(f"it says namespace {proxy.namespace}, and is {identity}")
    if proxy.service_account not in ("", account):
        raise Impostor(f"it says service account {proxy.service_account}, and is {identity}")
    check_owners(proxy, identity, world)


def check_owners(proxy: Proxy, identity: str, world: World) -> None:
    """What stands at the proxy's addresses is nobody else's. That nothing stands there is no
    reason: endpoints come and go. Raises Impostor."""
    found = _MESH_FORM.fullmatch(identity)
    account = found[2] if found else ""
    for endpoint in _endpoints(proxy, world):
        if not _is_of(endpoint, identity, account):
            owner = endpoint.identity or f"service account {endpoint.service_account}"
            raise Impostor(f"the endpoint at {endpoint.address} is that of {owner}, not {identity}")


def _check_stated(proxy: Proxy, identity: str, endpoints: tuple[Endpoint, ...]) -> None:
    """An identity in another form says no namespace: a registry has to."""
    if not any(endpoint.identity == identity for endpoint in endpoints):
        where = ", ".join(proxy.addresses) or "no address"
        raise Impostor(
            f"no registry has an endpoint of {identity} at {where} in namespace {proxy.namespace}"
        )


def _is_of(endpoint: Endpoint, identity: str, account: str) -> bool:
    if endpoint.identity:
        return endpoint.identity == identity
    return not account or endpoint.service_account in ("", account)


def _endpoints(proxy: Proxy, world: World) -> Iterator[Endpoint]:
    """What stands at its addresses, in its namespace."""
    for address in proxy.addresses:
        for hostname in world.hostnames_at(address):
            service = world.service(hostname)
            if service is None or service.namespace != proxy.namespace:
                continue
            yield from (e for e in world.endpoints_of(hostname) if address in e.addresses)
