"""The same services, from a platform and from a file, give the same bytes to every proxy.

For the tests of an adapter. Write the catalogue file that says what the platform holds, by hand,
and let sidecars, gateways and gRPC libraries compare what they are given.

With a real daemon over the real platform (it is waited for; a platform may be slow to tell):

    async def test_a_proxy_cannot_tell_the_platform_from_a_file(shop):
        async with mesh() as stage:
            daemon = await stage.daemon(f"- {{name: s, kind: shop, config: {{url: {shop.url}}}}}")
            await same_bytes.assert_served(stage, daemon, CATALOGUE)

Without one, from what the adapter has put:

    async with session(Shop(config, host())) as sink:
        await sink.until(lambda: sink.is_synced)
        same_bytes.assert_put(sink, CATALOGUE)

Hostnames, namespaces, ports, endpoints and places have to be those that the adapter gives; what
the platform brings along by itself has to be in the file too, or out of the adapter's sight.
`tests/integration/test_same_bytes.py` is the worked example.
"""

from __future__ import annotations

import contextlib
import difflib
import json
from collections.abc import Iterable
from typing import TypeAlias

import mesh
import xds_clients
from mesh import Daemon, Mesh
from pilot_core.dialects import catalogue
from pilot_core.model import Record, World
from pilot_core.plan import proxies
from pilot_core.registry import merging
from pilot_core.registry.mirror import Mirror
from pilot_core.testing import RecordingSink
from pilot_xds.build import resource
from pilot_xds.rendering import as_dict
from pilot_xds.resource import Resource
from pilot_xds.types import ResourceType
from xds_clients import Client, Given

_Pair: TypeAlias = tuple[str, str, Resource | None, Resource | None]
"""Type, name, what the file makes of it, and what the platform does."""

_SHOWN = 6
"""Resources of which the difference is printed in full."""


async def assert_served(stage: Mesh, daemon: Daemon, text: str) -> None:
    """The daemon gives what a daemon over this catalogue gives, to clients of every kind."""
    clients = xds_clients.of_world(world_of_text(text))
    other = await _over_file(stage, text)
    wanted = await xds_clients.given(other.xds, clients)
    found: list[str] = []

    async def is_same() -> bool:
        found[:] = [difference(wanted, await xds_clients.given(daemon.xds, clients))]
        return found == [""]

    with contextlib.suppress(AssertionError):
        await mesh.until(is_same, "the same bytes")
    assert found == [""], f"a file and {daemon.config.name} differ\n{found[0]}"


def assert_put(sink: RecordingSink, text: str) -> None:
    """What has been put makes the same resources as this catalogue."""
    wanted = world_of_text(text)
    clients = xds_clients.of_world(wanted)
    put = [records for _, records in sorted(sink.sources.items())]
    found = difference(planned(wanted, clients), planned(world_of(put), clients))
    assert found == "", f"a file and what has been put differ\n{found}"


def world_of_text(text: str) -> World:
    """The world of one catalogue, in which nothing may be wrong."""
    read = catalogue.read(text, "catalogue.yaml")
    assert read.refused == (), read.refused
    assert read.services, "the catalogue is empty: there would be nothing to compare"
    return world_of([read.records])


def world_of(sources: Iterable[Iterable[Record]]) -> World:
    """The world of one registry with these sources."""
    mirror = Mirror(lambda registry: None)
    for number, records in enumerate(sources):
        mirror.put("registry", f"{number:06d}", tuple(records))
    merged = merging.merged(mirror, mirror.take(), {"registry": 0})
    world, _ = World().apply(merged.services, merged.endpoints)
    return world


def planned(world: World, clients: Iterable[Client]) -> Given:
    """All that a proxy may ask for in this world, by client; no server is involved."""
    return {
        (client.name, ResourceType(key.type).short, view.name): resource(view)
        for client in clients
        for key in proxies.plan(client.proxy).keys
        for view in key.views(world)
    }


def difference(wanted: Given, found: Given) -> str:
    """What differs, for people; empty where every name, version and byte is equal."""
    differing: dict[_Pair, list[str]] = {}
    for client, kind, name in sorted(wanted.keys() | found.keys()):
        key = client, kind, name
        one, other = wanted.get(key), found.get(key)
        if one is None or other is None or not _is_same(one, other):
            differing.setdefault((kind, name, one, other), []).append(client)
    # Clients that see the same things differ in the same things.
    blocks = [_block(pair, clients) for pair, clients in [*differing.items()][:_SHOWN]]
    if len(differing) > _SHOWN:
        blocks.append(f"… and {len(differing) - _SHOWN} more")
    return "\n".join(blocks)


def _is_same(one: Resource, other: Resource) -> bool:
    return (one.name, one.version, one.any) == (other.name, other.version, other.any)


def _block(pair: _Pair, clients: list[str]) -> str:
    kind, name, wanted, found = pair
    title = f"{kind} {name}, for {', '.join(clients)}"
    if found is None:
        return f"{title}: only the file has it"
    if wanted is None:
        return f"{title}: the file has none"
    lines = difflib.unified_diff(_lines(wanted), _lines(found), "file", "platform", lineterm="")
    return "\n".join([title, *(f"  {line}" for line in lines)])


def _lines(shown: Resource) -> list[str]:
    return json.dumps(as_dict(shown), indent=1, sort_keys=True).splitlines()


async def _over_file(stage: Mesh, text: str) -> Daemon:
    folder = stage.folder / "same-bytes"
    folder.mkdir()
    (folder / "catalogue.yaml").write_text(text)
    files = f"- {{name: files, kind: file, config: {{paths: [{folder}/catalogue.yaml]}}}}\n"
    daemon = Daemon(folder, files)
    stage.at_end(daemon.stop)
    await daemon.start()

    async def is_read() -> bool:
        return bool(await daemon.items("/api/v1/services"))

    await mesh.until(is_read, "the file to be read")
    return daemon
