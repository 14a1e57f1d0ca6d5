"""One real Consul for the tests of a file; each begins with an empty catalogue."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from consul_catalogue import clear
from consul_server import ConsulAgent


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def agent() -> AsyncIterator[ConsulAgent]:
    async with ConsulAgent() as running:
        yield running


@pytest.fixture
async def consul(agent: ConsulAgent) -> ConsulAgent:
    if not agent.process.running:
        await agent.process.start()
    await clear(agent)
    return agent
