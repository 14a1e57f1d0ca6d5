"""What the transport alone costs on the same work: the row `floor` beside the daemon's own.

The finished bytes are those that the daemon has just sent to the same clients.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import statistics
from pathlib import Path

from process import Process
from scenarios import CHANGES, Fleet
from xds_client import CDS, EDS, RDS, Sent

_PROGRAM = Path(__file__).with_name("floor.py")


class FloorServer(Process):
    """`floor.py`, with what a daemon has sent."""

    def __init__(self, sent: Sent) -> None:
        super().__init__()
        self._pushes = self.folder / "push"
        self._answer_with(sent.largest)

    def _answer_with(self, answers: dict[str, bytes]) -> None:
        for url, data in answers.items():
            (self.folder / url.rpartition(".")[2]).write_bytes(data)

    def answer_nothing(self) -> None:
        """As a server does that clients come back to with what it has."""
        for path in self.folder.iterdir():
            if path.is_file() and path.suffix != ".log":
                path.unlink()

    async def start(self) -> None:
        await self.launch(str(_PROGRAM), str(self.folder))

    def write(self, _name: str, entries: list[bytes]) -> None:
        """The change: these messages to everybody."""
        shutil.rmtree(self._pushes, ignore_errors=True)
        self._pushes.mkdir()
        for number, message in enumerate(entries):
            (self._pushes / str(number)).write_bytes(message)
        self.signal(signal.SIGUSR1)


async def measure(fleet: Fleet) -> dict[str, float | str]:
    """The floor's row: the same clients, the same bytes."""
    sent = fleet.shared.sent
    server = FloorServer(sent)
    try:
        await server.start()
        await asyncio.sleep(0.5)
        floor = Fleet(server, fleet.services, len(fleet.clients), is_delta=fleet.is_delta)
        floor.row["variant"] = "floor"
        await floor.storm()
        marker, endpoint = sent.endpoint
        await floor.changes([(marker, [endpoint])] * CHANGES)
        hostname, messages = sent.service
        # The endpoints go out behind their cluster, and again when the client asks for them.
        added = [messages[kind] for kind in (CDS, EDS, EDS, RDS)]
        costs = [(await floor.change(hostname, added, times=len(added)))[0] for _ in range(3)]
        floor.row["service_cpu"] = statistics.median(costs)
        await floor.idle()
        if fleet.is_delta:
            server.answer_nothing()
            await floor.restart(fleet.clients[0].has)
        floor.close()
        return floor.row
    finally:
        await server.close()
