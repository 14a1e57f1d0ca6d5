"""Worlds for tests: small ones by hand, and random ones that are as odd as adapters may be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from hypothesis import strategies as st

from pilot_core.model import (
    NO_LOCALITY,
    Claim,
    Endpoint,
    Health,
    Inbound,
    InboundTls,
    Locality,
    MeshService,
    Mode,
    Port,
    Protocol,
    Proxy,
    ProxyKind,
    RecordKey,
    Resolution,
    Roots,
    Service,
    Shard,
    TlsMode,
    World,
)

NAMESPACES = ("shop", "bank", "default")
PLACES = (
    NO_LOCALITY,
    Locality("eu"),
    Locality("eu", "a"),
    Locality("eu", "a", "1"),
    Locality("us"),
)
HTTP = Port("http", 80, Protocol.HTTP)


def service(hostname: str, namespace: str = "shop", **more: object) -> Service:
    """A service with one HTTP port, unless `more` says otherwise."""
    fields: dict[str, object] = {"ports": (HTTP,), **more}
    return Service(hostname=hostname, namespace=namespace, **fields)  # type: ignore[arg-type]


def endpoint(address: str, **more: object) -> Endpoint:
    return Endpoint(addresses=(address,), **more)  # type: ignore[arg-type]


def world(*services: Service, **endpoints: Iterable[Endpoint]) -> World:
    """Services, and the endpoints of each under the first label of its hostname."""
    by_label = {s.hostname.partition(".")[0]: s.hostname for s in services}
    made, _ = World().apply(
        {s.hostname: MeshService(s, ("file",)) for s in services},
        {by_label[label]: (Shard("file", "f", tuple(es)),) for label, es in endpoints.items()},
    )
    return made


def _addresses() -> st.SearchStrategy[tuple[str, ...]]:
    ip = st.sampled_from([f"10.0.0.{n}" for n in range(1, 9)] + ["127.0.0.1", "::1", "fd00::7"])
    odd = st.sampled_from(
        ["unix:///run/app.sock", "0.0.0.0", "db.example.com", "10.0.0.300", "x y"]
    )
    return st.one_of(
        ip.map(lambda a: (a,)),
        st.lists(ip, min_size=2, max_size=2, unique=True).map(tuple),
        odd.map(lambda a: (a,)),
    )


def _ports() -> st.SearchStrategy[tuple[Port, ...]]:
    port = st.builds(
        Port,
        st.sampled_from(["http", "admin", "db", "grpc"]),
        st.sampled_from([80, 8080, 443, 53, 65535]),
        st.sampled_from(Protocol),
    )
    return st.lists(port, max_size=3, unique_by=lambda p: p.name).map(tuple)


HOSTNAMES = (
    "reviews.shop.mesh",
    "reviews.bank.mesh",
    "reviews",
    "ratings.shop.mesh",
    "*.shop.mesh",
    "*",
    "db.example.com",
    "web",
    "x_y.shop.mesh",
)

services = st.builds(
    Service,
    hostname=st.sampled_from(HOSTNAMES),
    namespace=st.sampled_from(NAMESPACES),
    ports=_ports(),
    resolution=st.sampled_from(Resolution),
    visibility=st.sampled_from([("*",), (".",), ("bank",), (".", "bank"), (), ("shop", "default")]),
    addresses=st.sampled_from([(), (), ("10.96.0.1",), ("10.96.0.1", "fd00::1"), ("10.96.0.2",)]),
    identities=st.sampled_from([(), ("spiffe://cluster.local/ns/shop/sa/old",)]),
)

endpoints = st.builds(
    Endpoint,
    addresses=_addresses(),
    ports=st.one_of(
        st.just(()),
        st.dictionaries(
            st.sampled_from(["http", "admin", "db", "grpc"]), st.sampled_from([80, 9000, 65535])
        ).map(lambda d: tuple(sorted(d.items()))),
    ),
    health=st.sampled_from(Health),
    weight=st.sampled_from([0, 1, 1, 2, 100, 2**32 - 1]),
    locality=st.sampled_from(PLACES),
    labels=st.sampled_from([(), (("version", "v1"),)]),
    service_account=st.sampled_from(["", "reviews", "web.v2"]),
    identity=st.sampled_from(["", "spiffe://elsewhere.example/web"]),
    tls=st.sampled_from(TlsMode),
    tls_name=st.sampled_from(["", "", "guid-1"]),
    tls_roots=st.sampled_from(["", "cf"]),
)

shards = st.lists(
    st.builds(
        Shard,
        st.sampled_from(["file", "dc1"]),
        st.sampled_from(["a", "b"]),
        st.lists(endpoints, max_size=4).map(tuple),
    ),
    max_size=2,
).map(tuple)


statements = st.builds(
    Inbound,
    name=st.sampled_from(["a", "b"]),
    namespace=st.sampled_from(["", *NAMESPACES]),
    labels=st.sampled_from([(), (), (("version", "v1"),)]),
    mode=st.sampled_from([None, *InboundTls]),
    ports=st.sampled_from([(), (), ((80, InboundTls.DISABLED),)]),
)
trusted = st.one_of(statements, st.just(Roots(name="cf", certificates="PEM")))

Change: TypeAlias = tuple[
    dict[str, MeshService | None],
    dict[str, tuple[Shard, ...]],
    dict[RecordKey, tuple[Claim, ...]],
]


@st.composite
def changes(draw: st.DrawFn) -> Change:
    """What `World.apply` takes: some services, endpoints and statements put, some removed."""
    put = {s.hostname: MeshService(s, ("file",)) for s in draw(st.lists(services, max_size=5))}
    gone = draw(st.lists(st.sampled_from(HOSTNAMES), max_size=2))
    moved = draw(st.dictionaries(st.sampled_from(HOSTNAMES), shards, max_size=5))
    said = {one.key: (Claim("file", "f", one),) for one in draw(st.lists(trusted, max_size=2))}
    unsaid: dict[RecordKey, tuple[Claim, ...]] = draw(
        st.dictionaries(st.sampled_from([("inbound", "a"), ("roots", "cf")]), st.just(()))
    )
    return {**put, **dict.fromkeys(gone)}, moved, {**said, **unsaid}


def worlds() -> st.SearchStrategy[World]:
    return changes().map(lambda change: World().apply(*change)[0])


listens = st.sampled_from(["9001", "127.0.0.1:9001", "127.0.0.1:15001", "10.0.0.1:80", "rubbish"])
targets = st.sampled_from(
    ["reviews.shop.mesh:80", "reviews:80", "ratings:8080", "web:80", "nobody:1", "no-port", ":80"]
)

proxies = st.builds(
    Proxy,
    id=st.just("p"),
    kind=st.sampled_from(ProxyKind),
    addresses=st.lists(
        st.sampled_from(["10.0.0.1", "10.0.0.2", "127.0.0.1", "::1", "0.0.0.0", "x"]), max_size=2
    ).map(tuple),
    namespace=st.sampled_from(NAMESPACES),
    locality=st.sampled_from(PLACES),
    outbound=st.dictionaries(listens, targets, max_size=3).map(lambda d: tuple(sorted(d.items()))),
    inbound=st.dictionaries(
        st.sampled_from([80, 9000]), st.sampled_from(["127.0.0.1:9000", "10.0.0.1:80", "x"])
    ).map(lambda d: tuple(sorted(d.items()))),
    mode=st.sampled_from(Mode),
    is_registry_only=st.booleans(),
    has_agent=st.booleans(),
    http_listener=st.sampled_from(["", "127.0.0.1:9001", "rubbish", "[::1]:15001"]),
)
