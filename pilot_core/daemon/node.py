"""`pilot-core agent run`, and the agent beside a proxy: an agent as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from pilot_certs.agent.node import Agent, Node
from pilot_certs.agent.remote import Remote
from pilot_core.aio import Backoff
from pilot_core.clock import SystemClock
from pilot_core.errors import Denied, NotPermitted
from pilot_core.telemetry.log import LogFormat, configure

log = logging.getLogger(__name__)

_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)


def run(node: Node, server: str, *, beside: list[str] | None = None) -> int:
    """Until a signal ends it; with a program beside it, until that ends. Returns the exit code.

    Raises NotPermitted where the server does not know us.
    """
    configure(level="info", format=LogFormat("auto"))
    os.umask(0o077)
    with contextlib.suppress(FileExistsError):
        node.socket.parent.mkdir(mode=0o755, parents=True)
    return asyncio.run(_beside(node, server, beside) if beside else _alone(node, server))


def join(node: Node, server: str) -> list[str]:
    """Join, and keep what was given. Returns the names. Raises NotPermitted, PilotError."""
    try:
        return asyncio.run(_join(node, server))
    except Denied as error:
        raise NotPermitted(str(error)) from None


async def _join(node: Node, server: str) -> list[str]:
    agent = _made(node, server, lambda: None)
    await agent.join()
    agent.save()
    return sorted(map(str, agent.held.svids))


def _made(node: Node, server: str, on_ready: Callable[[], None]) -> Agent:
    return Agent(node, Remote(server, node.trust_domain), SystemClock(), on_ready=on_ready)


async def _alone(node: Node, server: str) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    def say() -> None:
        print(f"listening socket={node.socket}", file=sys.stderr, flush=True)

    agent = asyncio.create_task(_keep_running(_made(node, server, say)))
    await _first(agent, stop)
    await _end(agent)
    return 0


async def _beside(node: Node, server: str, command: list[str]) -> int:
    """The program starts once the agent has what it needs, and goes on whatever happens to the
    agent, which is started again."""
    ready = asyncio.Event()
    agent = asyncio.create_task(_keep_running(_made(node, server, ready.set)))
    await _first(agent, ready)
    if not ready.is_set():
        await _end(agent)
    child = await asyncio.create_subprocess_exec(*command)
    for number in _FORWARDED:
        asyncio.get_running_loop().add_signal_handler(number, child.send_signal, number)
    code = await child.wait()
    await _end(agent)
    if code < 0:
        print(f"{Path(command[0]).name} was ended by {signal.Signals(-code).name}", file=sys.stderr)
        return 128 - code
    return code


async def _keep_running(agent: Agent) -> NoReturn:
    """What ends it before it is ready is raised; after that it is started again, with all that it
    holds: proxies depend on it."""
    backoff = Backoff(1.0, 30.0)
    while True:
        try:
            await agent.run()
        except Exception as error:
            if not agent.is_ready:
                raise
            log.exception("the agent failed", extra={"error": str(error)})
        await asyncio.sleep(backoff.delay())


async def _first(agent: asyncio.Task[NoReturn], event: asyncio.Event) -> None:
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait([agent, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


async def _end(agent: asyncio.Task[NoReturn]) -> None:
    """Raises what has ended the agent, if anything has."""
    agent.cancel()
    try:
        await agent
    except asyncio.CancelledError:
        return
    except Denied as error:
        raise NotPermitted(str(error)) from None
