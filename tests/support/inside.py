"""A daemon's parts in this process: the real ones, on free ports, without a process around them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from mesh import http_get, until
from pilot_core.config import load
from pilot_core.daemon.parts import Parts, registrations
from pilot_core.daemon.reload import Reloader
from pilot_core.daemon.state_dir import STATE_FILE
from pilot_core.registry import loader


class Inside:
    """Parts over a configuration file, and how to ask them."""

    def __init__(self, config: Path) -> None:
        self.config = config
        self.settings = load.load(config, adapter_types=loader.load)
        state = self.settings.state_dir
        if state is not None:
            state.mkdir(mode=0o700, exist_ok=True)
        self.parts = Parts(self.settings, state / STATE_FILE if state else None)
        self.reloader = Reloader(config, self.settings, self.parts)

    async def post(self, path: str, body: Any, *, token: str = "") -> tuple[int, Any]:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        url = f"http://{self.parts.admin.address}{path}"
        async with aiohttp.ClientSession() as session:
            answer = await session.post(url, json=body, headers=headers)
            return answer.status, await answer.json()

    async def get(self, path: str, *, method: str = "GET") -> tuple[int, str]:
        status, body = await http_get(self.parts.admin.address, path, method=method)
        return status, body.decode()

    async def ask(self, path: str) -> Any:
        status, body = await self.get(path)
        assert status == 200, body
        return json.loads(body)

    async def items(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.ask(path))["items"]
        return found

    async def codes(self) -> set[str]:
        return {problem["code"] for problem in await self.items("/api/v1/problems")}

    async def serve(self) -> None:
        """What the daemon does once its registries have been read."""
        await self.parts.hub.start(registrations(self.settings))
        await self.parts.hub.ready.wait()
        self.parts.fleet.open()
        self.parts.admin.is_ready = True


@contextlib.asynccontextmanager
async def inside(config: Path, *, serve: bool = True) -> AsyncIterator[Inside]:
    """A daemon over this configuration, serving unless the test wants to see it before that."""
    made = Inside(config)
    await made.parts.listen()
    try:
        if serve:
            await made.serve()
        yield made
    finally:
        await made.parts.drain(0)
        await made.parts.hub.stop()
        await made.parts.admin.stop()
        if made.parts.identity is not None:
            made.parts.identity.close()


async def until_problem(daemon: Inside, code: str) -> dict[str, Any]:
    """The open problem with this code, once there is one."""

    async def look() -> dict[str, Any]:
        items = await daemon.items("/api/v1/problems")
        return next((item for item in items if item["code"] == code), {})

    found: dict[str, Any] = await until(look, code)
    return found
