"""h2spec, a checker of HTTP/2 servers: every clause of the RFCs that it knows."""

from __future__ import annotations

import asyncio
import re

import pytest

from http2_echo import echoing
from server_process import binary
from xds_server import serving

_PATIENCE = "5"
"""Seconds that an answer may take: much more than it does on a machine that is not busy."""
_OF_CONNECTIONS = (
    *(f"generic/{section}" for section in (1, 3, 4, 5)),
    *(f"http2/{section}" for section in (3, 4, 6, 7)),
    "hpack",
)
"""What can be checked without a body in the answer to a request that is no gRPC."""


async def check(address, *options):
    """The titles of what failed, and how many passed."""
    host, _, port = address.rpartition(":")
    command = [str(binary("h2spec")), "-h", host, "-p", port, "-o", _PATIENCE, *options]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(180):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    said = re.sub(r"\x1b\[[0-9;]*m", "", out.decode())
    found = re.search(r"\d+ tests, (\d+) passed", said)
    assert found, said
    failed = re.findall(r"× \d+: (.*)", said.partition("Failures:")[2])
    return set(failed), int(found[1])


@pytest.mark.slow
async def test_every_clause_is_kept():
    async with echoing() as address:
        failed, passed = await check(address, "--strict")
    assert (set(), True) == (failed, passed > 130)


@pytest.mark.slow
async def test_the_xds_server_keeps_every_clause_that_it_can_be_asked_for():
    async with serving() as server:
        failed, passed = await check(server.address, "--strict", *_OF_CONNECTIONS)
    assert (set(), True) == (failed, passed > 80)
