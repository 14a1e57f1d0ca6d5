"""What a proxy says of itself against what it has proved."""

from __future__ import annotations

import pytest

from pilot_core.model import Endpoint, Proxy, Service, Shard, World
from pilot_core.model.merge import MeshService
from pilot_xds import claims
from pilot_xds.claims import Impostor

REVIEWS = "spiffe://mesh.example/ns/shop/sa/reviews"
PLATFORM = "spiffe://mesh.example/tasks/framework/reviews"


def world(*endpoints: Endpoint, namespace: str = "shop") -> World:
    service = Service(hostname="reviews.mesh", namespace=namespace)
    made, _ = World().apply(
        {"reviews.mesh": MeshService(service, ("files",))},
        {"reviews.mesh": (Shard("files", "a", endpoints),)},
    )
    return made


def proxy(**fields: object) -> Proxy:
    said = {"id": "x", "namespace": "shop", "addresses": ("10.0.0.1",), **fields}
    return Proxy(**said)  # type: ignore[arg-type]


def endpoint(**fields: object) -> Endpoint:
    return Endpoint(addresses=("10.0.0.1",), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("claimed", "identity", "there"),
    [
        (proxy(), REVIEWS, ()),
        (proxy(service_account="reviews"), REVIEWS, ()),
        (proxy(), REVIEWS, (endpoint(),)),
        (proxy(), REVIEWS, (endpoint(service_account="reviews"),)),
        (proxy(), REVIEWS, (endpoint(service_account="other", identity=REVIEWS),)),
        (proxy(), "spiffe://mesh.example/cluster/one/ns/shop/sa/reviews", ()),
        (proxy(), PLATFORM, (endpoint(identity=PLATFORM),)),
        # Another namespace's endpoint at the same address is nothing that it stands for.
        (proxy(addresses=("10.0.0.2",)), REVIEWS, (endpoint(service_account="ratings"),)),
    ],
)
def test_who_says_what_he_is_gets_in(claimed, identity, there):
    claims.check(claimed, identity, world(*there))


@pytest.mark.parametrize(
    ("claimed", "identity", "there", "words"),
    [
        (proxy(namespace="bank"), REVIEWS, (), "it says namespace bank"),
        (proxy(service_account="ratings"), REVIEWS, (), "it says service account ratings"),
        (proxy(), REVIEWS, (endpoint(service_account="ratings"),), "that of service account rat"),
        (proxy(), REVIEWS, (endpoint(identity=PLATFORM),), f"that of {PLATFORM}"),
        (proxy(), PLATFORM, (), "no registry has an endpoint"),
        (proxy(addresses=()), PLATFORM, (), "no address"),
        (proxy(), PLATFORM, (endpoint(identity=REVIEWS),), "no registry has an endpoint"),
        (proxy(), "spiffe://mesh.example/ns/shop/sa/reviews/more", (), "no registry"),
        (proxy(), "spiffe://mesh.example/ns/shop/sa/", (), "no registry"),
        (proxy(), "spiffe://mesh.example/xns/shop/sa/reviews", (), "no registry"),
    ],
)
def test_who_says_something_else_is_sent_away_with_the_reason(claimed, identity, there, words):
    with pytest.raises(Impostor, match=words):
        claims.check(claimed, identity, world(*there))
