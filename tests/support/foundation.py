"""A Cloud Foundry foundation in tests: its recordings, and an adapter over its fakes."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest
from fake_bbs import FakeBbs
from pilot_adapter_cloudfoundry import CloudFoundry
from pilot_adapter_cloudfoundry.config import BbsConfig, CloudFoundryConfig

from consul_tls import Authority
from pilot_core.adapter import Denied, Unavailable
from pilot_core.testing import RecordingSink
from pilot_core.testing.session import host, session

RECORDINGS = Path(__file__).parents[1] / "adapters" / "cloudfoundry" / "recordings"


def recorded(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (RECORDINGS / name).read_text().splitlines()]


def recorded_frames() -> list[tuple[str, bytes]]:
    """The events of the recorded stream: kind and payload."""
    _, _, body = (RECORDINGS / "bbs_lrp_instances_r1.raw").read_bytes().partition(b"\r\n\r\n")
    found = []
    while body:
        size, _, rest = body.partition(b";\r\n")
        length = int(size, 16)
        lines = dict(line.split(": ", 1) for line in rest[:length].decode().splitlines() if line)
        found.append((lines["event"], base64.b64decode(lines["data"])))
        body = rest[length + 2 :]
    return found


def bbs_config(authority: Authority, bbs: FakeBbs, **more: Any) -> BbsConfig:
    """Settings that lead to this BBS, with a certificate of the authority's."""
    folder = authority.file.parent
    if not (folder / "mesh.pem").exists():
        authority.issue("mesh")
    return BbsConfig(
        url=bbs.url,
        ca_file=authority.file,
        cert_file=folder / "mesh.pem",
        key_file=folder / "mesh.key",
        **more,
    )


def over_bbs(authority: Authority, bbs: FakeBbs, **more: Any) -> CloudFoundryConfig:
    """An adapter's settings, over this BBS alone."""
    return CloudFoundryConfig(bbs=bbs_config(authority, bbs), **more)


Ep = tuple[str, str]


def eps(sink: RecordingSink, hostname: str, port: str = "http") -> list[Ep]:
    """The endpoints behind a name, sorted: `address:port`, and whose certificate it has to be."""
    found = [e for record in sink.endpoints(hostname) for e in record.endpoints]
    numbers = ((e, dict(e.ports).get(port)) for e in found)
    return sorted((f"{e.address}:{number}", e.tls_name) for e, number in numbers if number)


def health(sink: RecordingSink, hostname: str) -> dict[str, str]:
    """The health of each instance behind a name, by its guid."""
    found = [e for record in sink.endpoints(hostname) for e in record.endpoints]
    return {dict(e.labels)["cf.instance.id"]: str(e.health) for e in found}


class Following:
    """A BBS, and an adapter that follows it."""

    def __init__(self, bbs: FakeBbs, adapter: CloudFoundry, sink: RecordingSink) -> None:
        self.bbs, self.adapter, self.sink = bbs, adapter, sink

    def eps(self, hostname: str, port: str = "http") -> list[Ep]:
        return eps(self.sink, hostname, port)

    async def sees(self, hostname: str, expected: list[Ep], port: str = "http") -> None:
        """Wait until just these are behind the name."""
        await self.sink.until(lambda: self.eps(hostname, port) == expected)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[None]:
        """One session, followed once it has synced."""
        try:
            async with session(self.adapter, self.sink):
                await self.sink.until(lambda: self.sink.is_synced)
                yield
        finally:
            self.sink.next_session()

    async def over(self) -> NoReturn:
        """Wait for the session to end by itself."""
        await self.sink.until(lambda: False)
        raise AssertionError("it goes on")

    @contextmanager
    def ends(self, words: str = "") -> Iterator[pytest.ExceptionInfo[ExceptionGroup[Exception]]]:
        """A block that the end of a session ends, which the core takes for an outage."""
        with pytest.raises(ExceptionGroup) as caught:
            yield caught
        assert caught.group_contains((Unavailable, Denied), match=words)


@asynccontextmanager
async def foundation(folder: Path, **more: Any) -> AsyncIterator[Following]:
    """A BBS that nobody follows yet."""
    authority = Authority(Path(tempfile.mkdtemp(dir=folder)))
    async with FakeBbs(authority) as bbs:
        clock = more.pop("clock", None)
        bbs_settings = more.pop("bbs", {})
        config = CloudFoundryConfig(bbs=bbs_config(authority, bbs, **bbs_settings), **more)
        yield Following(bbs, CloudFoundry(config, host(clock)), RecordingSink())
