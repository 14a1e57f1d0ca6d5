"""What many streams are sent is worked out once."""

from __future__ import annotations

from collections.abc import Iterator

from pilot_core.model import Table
from pilot_xds.layer import Layer
from pilot_xds.resource import Resource
from pilot_xds.types import ResourceType, Variant


class CountingTable(Table[str, Resource]):
    """A table that counts how often all of it is gone through."""

    walks = 0

    def __iter__(self) -> Iterator[str]:
        self.walks += 1
        return super().__iter__()


def test_a_layer_is_gone_through_once_however_many_clients_get_all_of_it() -> None:
    resources = CountingTable({name: Resource(name, name.encode()) for name in ("b", "a", "c")})
    layer = Layer(ResourceType.CLUSTER, resources)
    bodies = {id(layer.body(Variant.DELTA)) for _ in range(5)}
    before = resources.walks
    layer.body(Variant.DELTA)
    assert (len(bodies), resources.walks) == (1, before)


def test_a_layer_is_encoded_in_the_order_of_its_names() -> None:
    resources = {name: Resource(name, name.encode()) for name in ("b", "a", "c")}
    layer = Layer.of(ResourceType.CLUSTER, resources.values())
    expected = b"".join(resources[name].body(Variant.DELTA) for name in "abc")
    assert layer.body(Variant.DELTA) == expected
