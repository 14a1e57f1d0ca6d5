"""Agents of a real daemon: what it takes to start one in a test, and to end it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from inside import Inside
from pilot_certs.agent.node import Agent, Node
from pilot_certs.agent.proofs import JoinToken
from pilot_certs.agent.remote import Remote
from pilot_certs.spiffe import SpiffeId
from pilot_core.clock import Clock, SystemClock
from program import write_mesh

DOMAIN = "cluster.local"
REVIEWS = SpiffeId(DOMAIN, "/ns/shop/sa/reviews")
RATINGS = SpiffeId(DOMAIN, "/ns/shop/sa/ratings")


def secure_mesh(folder: Path, *, more: str = "", state: str = "state") -> Path:
    """A configuration with a port for mutual TLS, on free ports; returns its path."""
    config = write_mesh(folder)
    lines = config.read_text().splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(("xds:", "admin:"))]
    secure = 'xds: {address: "127.0.0.1:0", secure_address: "127.0.0.1:0"}\n'
    rest = f'admin: {{address: "127.0.0.1:0"}}\nstate_dir: {state}\n{more}'
    config.write_text("".join(kept) + secure + rest)
    return config


class Site:
    """A folder for agents of one daemon."""

    def __init__(self, daemon: Inside, folder: Path) -> None:
        self.daemon, self.folder = daemon, folder
        self.ca = folder / "root.pem"
        assert daemon.parts.identity is not None
        assert daemon.parts.secure is not None
        self.identity = daemon.parts.identity
        self.ca.write_text("".join(self.identity.authority.roots))
        self.address = daemon.parts.secure.address

    def token(self, *names: SpiffeId, file: str = "token", **fields: Any) -> JoinToken:
        path = self.folder / file
        path.write_text(self.identity.tokens.create(*(n.path for n in names), **fields))
        return JoinToken(path)

    def node(self, **fields: Any) -> Node:
        said = {
            "trust_domain": DOMAIN,
            "socket": self.folder / "agent.sock",
            "ca_file": self.ca,
            **fields,
        }
        return Node(**said)

    @contextlib.asynccontextmanager
    async def agent(self, clock: Clock | None = None, **fields: Any) -> AsyncIterator[Agent]:
        """Running, and ready."""
        ready = asyncio.Event()
        remote = Remote(self.address, DOMAIN)
        made = Agent(self.node(**fields), remote, clock or SystemClock(), on_ready=ready.set)
        task = asyncio.create_task(made.run())
        waiting = asyncio.create_task(ready.wait())
        try:
            await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                await task
            yield made
        finally:
            waiting.cancel()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def mine(self, *names: SpiffeId) -> dict[SpiffeId, int]:
        return dict.fromkeys(names, os.geteuid())
