"""Live events: what changes, as it changes."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from inside import Inside, inside
from pilot_core.model import Problem
from program import CATALOGUE, write_mesh


@contextlib.asynccontextmanager
async def listening(daemon: Inside) -> AsyncIterator[asyncio.StreamReader]:
    ip, _, port = daemon.parts.admin.address.rpartition(":")
    reader, writer = await asyncio.open_connection(ip, int(port))
    writer.write(b"GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n")
    head = await reader.readuntil(b": connected\n\n")
    assert b"text/event-stream" in head
    try:
        yield reader
    finally:
        writer.close()


def _problem(object: str) -> Problem:
    return Problem(code="test", object=object, message="something")


async def event(reader: asyncio.StreamReader, name: str) -> dict[str, Any]:
    """The next event of that name."""
    async with asyncio.timeout(30):
        await reader.readuntil(f"event: {name}\ndata: ".encode())
        body: dict[str, Any] = json.loads(await reader.readuntil(b"\n\n"))
        return body


async def test_a_change_is_told_with_the_names_it_touches(tmp_path):
    async with inside(write_mesh(tmp_path)) as daemon, listening(daemon) as reader:
        text = CATALOGUE.replace("10.0.0.7", "10.0.0.9")
        (tmp_path / "catalogue" / "shop.yaml").write_text(text)
        told = await event(reader, "change")

    assert {
        "services": [],
        "endpoints": ["reviews.shop.mesh"],
        "changed": 1,
        "see": "/api/v1/services",
    } == told


async def test_problems_that_come_and_go_are_told(tmp_path):
    async with inside(write_mesh(tmp_path)) as daemon, listening(daemon) as reader:
        before = len(await daemon.items("/api/v1/problems"))
        (tmp_path / "catalogue" / "more.yaml").write_text("services: 5\n")
        more = await event(reader, "problems")
        (tmp_path / "catalogue" / "more.yaml").unlink()
        fewer = await event(reader, "problems")

    assert [before + 1, before] == [more["open"], fewer["open"]]


async def test_the_end_of_the_daemon_ends_the_stream(tmp_path):
    async with inside(write_mesh(tmp_path)) as daemon, listening(daemon) as reader:
        await daemon.parts.admin.stop()

        assert (await reader.read()).endswith(b"0\r\n\r\n")


async def test_a_listener_that_does_not_read_makes_nobody_wait(tmp_path):
    async with inside(write_mesh(tmp_path)) as daemon, listening(daemon):
        for number in range(300):
            daemon.parts.problems.raise_(_problem(str(number)))

        assert 200 == (await daemon.get("/livez"))[0]
