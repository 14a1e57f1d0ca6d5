"""The least that grpc.aio costs: a server that answers with finished bytes and knows nothing else.

    python floor.py FOLDER

The first request of a type is answered with FOLDER/<type>, if there is such a file; what follows it
is an acknowledgement, and is left alone. SIGUSR1 writes FOLDER/push/* to every stream. So the same
messages cross the wire as with the daemon, and what the daemon costs more is its own.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import grpc
from grpc import aio

from pilot_xds.ads import SERVICE

OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_concurrent_streams", 100),
    ("grpc.max_send_message_length", -1),
    # Probing for bandwidth pings the client with nearly every message, which is a third of what a
    # push costs. What clients send is small: a window that holds their largest usual request does.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 256 << 10),
    ("grpc.so_reuseport", 0),
]
TYPES = ("Cluster", "ClusterLoadAssignment", "Listener", "RouteConfiguration")
_URLS = {name: f".v3.{name}".encode() for name in TYPES}
_METHODS = ("StreamAggregatedResources", "DeltaAggregatedResources")


class Floor:
    """Streams, and what to send them."""

    def __init__(self, folder: Path) -> None:
        self._pushes = folder / "push"
        self._answers = {
            name: path.read_bytes() for name in TYPES if (path := folder / name).exists()
        }
        self._streams: set[Any] = set()
        self._writes: set[asyncio.Task[None]] = set()

    async def handle(self, _requests: Any, context: Any) -> None:
        self._streams.add(context)
        waiting = list(TYPES)
        try:
            while (data := await context.read()) is not aio.EOF:  # type: ignore[attr-defined]
                asked = next((name for name in waiting if _URLS[name] in data), "")
                if asked:
                    waiting.remove(asked)
                if asked in self._answers:
                    await context.write(self._answers[asked])
        except (grpc.RpcError, aio.UsageError, aio.BaseError):
            return
        finally:
            self._streams.discard(context)

    def push(self) -> None:
        messages = [path.read_bytes() for path in sorted(self._pushes.iterdir())]
        for context in self._streams:
            task = asyncio.create_task(_write(context, messages))
            self._writes.add(task)
            task.add_done_callback(self._writes.discard)


async def _write(context: Any, messages: list[bytes]) -> None:
    for message in messages:
        await context.write(message)


async def main(folder: Path) -> None:
    floor = Floor(folder)
    server = aio.server(options=OPTIONS)
    handlers = {name: grpc.stream_stream_rpc_method_handler(floor.handle) for name in _METHODS}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, floor.push)
    print(f"listening xds=127.0.0.1:{port} admin=-", file=sys.stderr, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
