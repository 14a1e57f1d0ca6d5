"""Replicas that want to lead, for tests of locks."""

from __future__ import annotations

import asyncio

from pilot_core.adapter import Term
from server_process import wait_for


class Replica:
    """Leads as long as it may, or until it is told to be done."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.terms: list[Term] = []
        self.held_at_the_end: list[bool] = []
        self.done = asyncio.Event()
        self.fails: Exception | None = None

    @property
    def leads(self) -> bool:
        return len(self.terms) > len(self.held_at_the_end)

    async def lead(self, term: Term) -> str:
        self.terms.append(term)
        try:
            await self.done.wait()
        finally:
            self.held_at_the_end.append(term.holds())
        if self.fails is not None:
            raise self.fails
        return self.name

    async def led(self, times: int = 1) -> Term:
        """Wait until it leads for the n-th time; that term."""

        async def look() -> bool:
            return self.leads and len(self.terms) == times

        await wait_for(look, f"term {times} of {self.name}")
        return self.terms[-1]

    async def stepped_down(self) -> None:
        async def look() -> bool:
            return not self.leads

        await wait_for(look, f"{self.name} steps down")
