"""Which service somebody is, by what Consul gave him: a leaf of its mesh, or a token that stands
for a service.

Rule 1: Consul is asked each time; nothing is remembered, so what it takes back counts no more.
Rule 2: neither a leaf nor a token says who shows it: whoever does has to be where Consul has an
instance of that service.
Rule 3: a token that stands for several services stands for none. What its roles give it does not
count: to see that takes rights that we do not ask for.

Sources: agent/connect/uri_service.go, and
developer.hashicorp.com/consul/docs/security/acl#service-identities.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Sequence
from urllib.parse import quote, unquote

import msgspec
from cryptography import x509
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from pilot_adapter_consul import entries, places, tokens
from pilot_adapter_consul.agent import Agent
from pilot_adapter_consul.entries import Entry
from pilot_adapter_consul.scope import DEFAULT, Scope
from pilot_core.adapter import Denied, Unavailable
from pilot_core.model import Evidence, Workload

TOKEN, X509 = "token", "x509"
"""Kinds of evidence: an ACL token; a leaf in DER, whose key its holder has proved to have."""
ROOTS = "/v1/connect/ca/roots"
_SELF = "/v1/acl/token/self"
_TEMPLATE = "builtin/service"
_LONGEST = 8192
_NAME = re.compile(
    r"spiffe://(?P<domain>[^/]+)(?:/ap/(?P<partition>[^/]+))?"
    r"/ns/(?P<namespace>[^/]+)/dc/(?P<datacenter>[^/]+)/svc/(?P<service>[^/]+)\Z"
)
_ODD = (ValueError, TypeError, x509.InvalidVersion, x509.DuplicateExtension)


class Claim(msgspec.Struct, frozen=True):
    """Which service somebody says that he is; an empty datacentre is the agent's own."""

    service: str
    scope: Scope
    datacenter: str = ""


async def workload(agent: Agent, evidence: Evidence, now: float) -> Workload:
    """Whom this proves; `now` is in seconds since the epoch. Raises Denied, Unavailable."""
    if len(evidence.payload) > _LONGEST:
        raise Denied(f"evidence of {len(evidence.payload)} bytes is longer than any")
    if evidence.kind == X509:
        claim = await _by_leaf(agent, evidence.payload, now)
    elif evidence.kind == TOKEN:
        claim = await _by_token(agent, evidence.payload)
    else:
        raise Denied(f"evidence of the kind {evidence.kind[:40]!r}: {TOKEN} or {X509} is expected")
    return await _at_its_place(agent, claim, evidence.peer)


async def _by_leaf(agent: Agent, der: bytes, now: float) -> Claim:
    try:
        leaf = x509.load_der_x509_certificate(der)
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = found.value.get_values_for_type(x509.UniformResourceIdentifier)
    except (*_ODD, x509.ExtensionNotFound) as error:
        raise Denied(f"no leaf of Consul's: {error}") from None
    parsed = _NAME.match(names[0]) if len(names) == 1 else None
    if parsed is None:
        raise Denied(f"no leaf of Consul's: it names {', '.join(names)[:200] or 'nobody'}")
    said = {key: unquote(value or "") for key, value in parsed.groupdict().items()}
    roots = entries.read(entries.roots, (await agent.read(ROOTS, is_decisive=True)).content, ROOTS)
    if said["domain"] != roots.trust_domain:
        raise Denied(f"a leaf of {said['domain']}, and this Consul's mesh is {roots.trust_domain}")
    _check_chain(leaf, roots.roots or (), now)
    namespace, partition = (
        "" if said[part] == DEFAULT else said[part] for part in ("namespace", "partition")
    )
    scope = Scope(said["datacenter"], namespace, partition)
    return Claim(said["service"], scope, said["datacenter"])


def _check_chain(leaf: x509.Certificate, roots: Sequence[entries.Root], now: float) -> None:
    try:
        trusted = [x509.load_pem_x509_certificate(root.root_cert.encode()) for root in roots]
        between = [
            x509.load_pem_x509_certificate(pem.encode())
            for root in roots
            for pem in root.intermediate_certs or ()
        ]
    except _ODD as error:
        raise Unavailable(f"{ROOTS}: these are no certificates: {error}") from None
    if not trusted:
        raise Denied("this Consul has no authorities: its mesh is not enabled")
    moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
    builder = PolicyBuilder().store(Store(trusted)).time(moment)
    builder = builder.extension_policies(
        ca_policy=_authorities(), ee_policy=ExtensionPolicy.permit_all()
    )
    try:
        builder.build_client_verifier().verify(leaf, between)
    except (VerificationError, *_ODD) as error:
        raise Denied(f"the leaf is not signed by this Consul, or is out of date: {error}") from None


def _authorities() -> ExtensionPolicy:
    return ExtensionPolicy.permit_all().require_present(
        x509.BasicConstraints, Criticality.AGNOSTIC, _signs
    )


def _signs(policy: Policy, certificate: x509.Certificate, found: x509.BasicConstraints) -> None:
    if not found.ca:
        raise ValueError("one that may not sign has signed")


async def _by_token(agent: Agent, payload: bytes) -> Claim:
    try:
        secret = payload.decode("ascii").strip()
    except UnicodeDecodeError:
        raise Denied("the token is no ACL token") from None
    if not secret or not secret.isprintable() or " " in secret:
        raise Denied("the token is no ACL token")
    answer = await agent.exchange("GET", _SELF, headers=tokens.header(secret))
    if answer.status in (400, 401, 403, 404):
        raise Denied(f"Consul does not know the token: {answer.said()}")
    if answer.status != 200:
        raise Unavailable(f"{agent.url}{_SELF}: {answer.said()}")
    found = entries.read(entries.acl_token, answer.content, _SELF)
    said = sorted(set(_services(found)))
    if len({service for service, _ in said}) != 1:
        names = ", ".join(service for service, _ in said) or "none"
        raise Denied(f"a token has to stand for one service, and this one does for {names}")
    service, datacenters = said[0]
    namespace = "" if found.namespace == DEFAULT else found.namespace
    datacenter = datacenters[0] if len(datacenters) == 1 else ""
    return Claim(service, Scope(datacenter, namespace), datacenter)


def _services(token: entries.AclToken) -> Iterator[tuple[str, tuple[str, ...]]]:
    for identity in token.service_identities or ():
        yield identity.service_name, identity.datacenters or ()
    for policy in token.templated_policies or ():
        about = policy.template_variables
        if policy.template_name == _TEMPLATE and about is not None and about.name:
            yield about.name, policy.datacenters or ()


async def _at_its_place(agent: Agent, claim: Claim, peer: str) -> Workload:
    """The instance of the service that is where the evidence came from."""
    path = f"/v1/health/service/{quote(claim.service, safe='')}"
    reply = await agent.read(path, scope=claim.scope, is_decisive=True)
    found = entries.read(entries.instances, reply.content, path)
    here = sorted(
        (entry for entry in found if peer and peer in _addresses(entry)),
        key=lambda entry: (entry.node.node, entry.service.id),
    )
    if not here:
        raise Denied(f"Consul has no instance of {claim.service} at {peer or 'an unknown address'}")
    instance, node = here[0].service, here[0].node
    namespace = instance.namespace or DEFAULT
    return Workload(
        path=f"/ns/{namespace}/sa/{instance.service}",
        namespace=namespace,
        service_account=instance.service,
        addresses=tuple(sorted(_addresses(here[0]))),
        selectors=(
            ("consul.datacenter", node.datacenter),
            ("consul.node", node.node),
            ("consul.service", instance.service),
            ("consul.service.id", instance.id),
        ),
    )


def _addresses(entry: Entry) -> set[str]:
    own, _ = places.addresses(entry.service, entry.node, is_far=False)
    return {address for address in (*own, entry.node.address) if places.is_ip(address)}
