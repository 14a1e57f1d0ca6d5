"""gRPC's own xDS client against the real daemon: a second opinion on the protocol."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

import grpc_xds_client
from mesh import Mesh, document, mesh, service, until

NAMES = "names.shop.mesh"


class Names:
    """A gRPC server that answers with its own name."""

    def __init__(self, name: str) -> None:
        self.name, self.port = name, 0
        self._server = grpc.aio.server()

    async def start(self) -> None:
        say = grpc.unary_unary_rpc_method_handler(self._say)
        service, _, method = grpc_xds_client.METHOD.strip("/").partition("/")
        handler = grpc.method_handlers_generic_handler(service, {method: say})
        self._server.add_generic_rpc_handlers((handler,))
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()

    async def _say(self, request: bytes, context: object) -> bytes:
        return self.name.encode()

    async def stop(self) -> None:
        await self._server.stop(0)


class Client:
    """The program, and what it answers."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def call(self, target: str, count: int = 1) -> dict[str, int]:
        return await self._tell(f"call {target} {count}")

    async def close(self, target: str) -> None:
        await self._tell(f"close {target}")

    async def _tell(self, line: str) -> dict[str, int]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{line}\n".encode())
        async with asyncio.timeout(60):
            answers: dict[str, int] = json.loads(await self.process.stdout.readline())
        return answers


@contextlib.asynccontextmanager
async def client(folder: Path, xds: str, node: str = "client") -> AsyncIterator[Client]:
    bootstrap = folder / "grpc.json"
    server = {
        "server_uri": xds,
        "channel_creds": [{"type": "insecure"}],
        "server_features": ["xds_v3"],
    }
    bootstrap.write_text(json.dumps({"xds_servers": [server], "node": {"id": node}}))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        grpc_xds_client.__file__,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "GRPC_XDS_BOOTSTRAP": str(bootstrap)},
    )
    try:
        yield Client(process)
    finally:
        process.kill()
        await process.wait()


@pytest.fixture
async def stage() -> AsyncIterator[Mesh]:
    async with mesh() as made:
        yield made


@pytest.fixture
async def backends() -> AsyncIterator[list[Names]]:
    made = [Names(f"b{n}") for n in range(3)]
    for backend in made:
        await backend.start()
    yield made
    for backend in made:
        await backend.stop()


def shop(*backends: Names, hostname: str = NAMES, port: int = 50051) -> str:
    where = [f"127.0.0.1:{b.port}" for b in backends]
    return service(hostname, where, port=port, protocol="grpc")


async def nothing_refused(daemon) -> None:
    assert [] == await daemon.nacks()


@pytest.mark.parametrize("target", [f"xds:///{NAMES}:50051", f"xds:///{NAMES}"])
async def test_a_name_is_resolved_and_calls_go_to_all_endpoints_in_turn(stage, backends, target):
    stage.write("shop.yaml", document(shop(*backends)))
    daemon = await stage.daemon()
    async with client(stage.folder, daemon.xds) as me:
        await me.call(target, 30)

        async def balanced() -> bool:
            return await me.call(target, 30) == {"b0": 10, "b1": 10, "b2": 10}

        await until(balanced, "ten answers of each")
        [proxy] = await daemon.items("/api/v1/proxies")
        assert ("client", "sotw") == (proxy["id"], proxy["variant"])
        await nothing_refused(daemon)


async def test_endpoints_for_proxies_with_tls_are_refused_by_nobody(stage, backends):
    plain, other = (f"127.0.0.1:{backend.port}" for backend in backends[:2])
    listed = [plain, f"{other} tls_name=guid tls_roots=cf", "127.0.0.1:1 tls=mutual"]
    stage.write("shop.yaml", document(service(NAMES, listed, port=50051, protocol="grpc")))
    daemon = await stage.daemon()
    async with client(stage.folder, daemon.xds) as me:

        async def answered() -> bool:
            return "b0" in await me.call(f"xds:///{NAMES}:50051", 5)

        await until(answered, "an answer of the plaintext endpoint")
        await nothing_refused(daemon)


async def test_every_change_of_the_endpoints_is_followed(stage, backends):
    stage.write("shop.yaml", document(shop(backends[0])))
    daemon = await stage.daemon()
    target = f"xds:///{NAMES}:50051"
    async with client(stage.folder, daemon.xds) as me:
        assert {"b0": 5} == await me.call(target, 5)
        for there in ([1], [0, 2], [], [2]):
            stage.write("shop.yaml", document(shop(*(backends[n] for n in there))))
            wanted = {f"b{n}" for n in there} or {"UNAVAILABLE"}

            async def followed(wanted: set[str] = wanted) -> bool:
                return set(await me.call(target, 6)) == wanted

            await until(followed, f"answers of {wanted}")
        await nothing_refused(daemon)


async def test_a_name_that_comes_later_is_found_then_and_lost_when_it_goes(stage, backends):
    late = "late.shop.mesh"
    stage.write("shop.yaml", document(shop(backends[0])))
    daemon = await stage.daemon()
    async with client(stage.folder, daemon.xds) as me:
        assert {"b0": 1} == await me.call(f"xds:///{NAMES}:50051")
        both = document(shop(backends[0]), shop(backends[1], hostname=late))
        stage.write("shop.yaml", both)

        async def found() -> bool:
            return await me.call(f"xds:///{late}:50051") == {"b1": 1}

        await until(found, "the name to be found")
        stage.write("shop.yaml", document(shop(backends[0])))

        async def lost() -> bool:
            return await me.call(f"xds:///{late}:50051") == {"UNAVAILABLE": 1}

        await until(lost, "the name to be lost")
        assert {"b0": 1} == await me.call(f"xds:///{NAMES}:50051")
        await nothing_refused(daemon)


async def test_calls_go_on_while_the_daemon_restarts_and_changes_arrive_after(stage, backends):
    stage.write("shop.yaml", document(shop(backends[0])))
    daemon = await stage.daemon()
    target = f"xds:///{NAMES}:50051"
    async with client(stage.folder, daemon.xds) as me:
        assert {"b0": 5} == await me.call(target, 5)
        await daemon.child.kill()
        assert {"b0": 5} == await me.call(target, 5)
        stage.write("shop.yaml", document(shop(backends[1])))
        await daemon.start()

        async def followed() -> bool:
            return await me.call(target, 5) == {"b1": 5}

        await until(followed, "the backend that came meanwhile")
        await nothing_refused(daemon)


async def test_an_unhealthy_endpoint_and_one_without_weight_get_no_calls(stage, backends):
    good, bad, idle = (f"127.0.0.1:{backend.port}" for backend in backends)
    where = [good, f"{bad} health=unhealthy", f"{idle} weight=0"]
    stage.write("shop.yaml", document(service(NAMES, where, port=50051, protocol="grpc")))
    daemon = await stage.daemon()
    async with client(stage.folder, daemon.xds) as me:
        assert {"b0": 30} == await me.call(f"xds:///{NAMES}:50051", 30)
        await nothing_refused(daemon)
