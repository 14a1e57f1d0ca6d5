"""Asking an agent about one scope, once or for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import msgspec

from pilot_adapter_consul.agent import SHORT, Agent, Reply
from pilot_adapter_consul.position import Pace, Position
from pilot_adapter_consul.scope import Scope
from pilot_core.adapter import Host


class Reader(msgspec.Struct, frozen=True):
    """One session's way to ask; every method raises Unavailable and Denied."""

    agent: Agent
    scope: Scope
    host: Host

    async def ask(
        self, path: str, *, is_decisive: bool = False, absent: bytes | None = None
    ) -> Reply:
        """One answer, at once; the leader's, where it is decisive."""
        return await self.agent.read(path, scope=self.scope, is_decisive=is_decisive, absent=absent)

    async def follow(
        self,
        path: str,
        position: Position,
        taken: Callable[[Reply], None],
        *,
        wait: int = SHORT,
        absent: bytes | None = None,
    ) -> NoReturn:
        """Hand over every answer to a blocking query, for ever."""
        pace = Pace()
        while True:
            pause = pace.delay(self.host.clock.monotonic())
            if pause:
                await self.host.clock.sleep(pause)
            reply = await self.agent.read(
                path, scope=self.scope, index=position.index, wait=wait, absent=absent
            )
            taken(reply)
            position.advance(reply.index)
