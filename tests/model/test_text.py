"""The text form of a world: nothing is lost, nothing is made up."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings

from pilot_core.model import Endpoint, Locality, MeshService, Service, Shard, World
from pilot_core.model.text import plain, world
from worlds import worlds

SMALL = {
    "services": [
        {
            "hostname": "reviews.shop.mesh",
            "namespace": "shop",
            "ports": [{"name": "http", "number": 80, "protocol": "http"}],
            "registries": ["dc1"],
        }
    ],
    "endpoints": [
        {
            "hostname": "reviews.shop.mesh",
            "registry": "dc1",
            "source": "shop.yaml",
            "endpoints": [{"addresses": ["10.0.0.7"], "locality": "eu/a", "labels": {"v": "1"}}],
        }
    ],
}


def test_a_world_is_read_from_plain_data():
    made = world(SMALL)
    service = made.service("reviews.shop.mesh")
    assert service is not None
    assert "shop" == service.namespace
    assert [
        Endpoint(addresses=("10.0.0.7",), locality=Locality("eu", "a"), labels=(("v", "1"),))
    ] == list(made.endpoints_of("reviews.shop.mesh"))


def test_defaults_are_not_written():
    bare, _ = World().apply(
        {"a": MeshService(Service(hostname="a"), ("dc1",))},
        {"a": (Shard("dc1", "s", (Endpoint(addresses=("10.0.0.1",)),)),)},
    )
    assert {
        "services": [{"hostname": "a", "registries": ["dc1"]}],
        "endpoints": [
            {
                "hostname": "a",
                "registry": "dc1",
                "source": "s",
                "endpoints": [{"addresses": ["10.0.0.1"]}],
            }
        ],
    } == plain(bare)


def test_plain_data_survives_json():
    assert SMALL == json.loads(json.dumps(plain(world(SMALL))))


@settings(max_examples=50, deadline=None)
@given(worlds())
def test_every_world_comes_back_as_it_was(random_world):
    again = world(plain(random_world))
    assert dict(random_world.services) == dict(again.services)
    assert dict(random_world.endpoints) == dict(again.endpoints)


@pytest.mark.parametrize(
    "tree",
    [
        {"service": []},
        {"services": [{"hostname": "a", "prots": []}]},
        {"services": [{"namespace": "shop"}]},
        {"endpoints": [{"hostname": "a", "endpoints": [{"addresses": "10.0.0.1"}]}]},
    ],
)
def test_what_is_not_a_world_is_refused_with_its_path(tree):
    with pytest.raises(msgspec.ValidationError):
        world(tree)
