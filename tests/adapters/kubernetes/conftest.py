"""Servers that several files ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from kube_platforms import started, stop_server

from kube_server import KubeApi


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[KubeApi, KubeApi]]:
    async def both() -> list[KubeApi]:
        return await asyncio.gather(started(KubeApi()), started(KubeApi()))

    home, away = asyncio.run(both())
    yield home, away
    for server in (home, away):
        stop_server(server)
