"""The third registry of the demo: a plugin from outside, found as any plugin is.

A distribution of its own is laid out in a folder on PYTHONPATH, with an entry point in its
metadata; pilot-core knows no more of it than of one that pip has installed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pilot_core.demo.stage import NAMESPACE, SERVICE_PORT, Workload

KIND = "ledger"
_DISTRIBUTION = "pilot_adapter_ledger"
_VERSION = "0.1.0"

_METADATA = f"Metadata-Version: 2.1\nName: pilot-adapter-ledger\nVersion: {_VERSION}\n"
_ENTRY_POINTS = f"[pilot_core.adapters]\n{KIND} = {_DISTRIBUTION}:Ledger\n"

_SOURCE = '''\
"""A registry that is one JSON file: {"hostname": [{"address": …, "port": …}]}."""

import json
from pathlib import Path
from typing import NoReturn

from pilot_core.adapter import Adapter, Config, Sink
from pilot_core.document import Duration
from pilot_core.model import Endpoint, Endpoints, Port, Protocol, Service, TlsMode


class LedgerConfig(Config, frozen=True):
    path: Path
    interval: Duration = Duration(1.0)


class Ledger(Adapter):
    api = 1
    Config = LedgerConfig

    async def run(self, sink: Sink) -> NoReturn:
        while True:
            ledger = json.loads(self.config.path.read_text())
            with sink.resync(""):
                for hostname, entries in ledger.items():
                    sink.put(hostname, records(hostname, entries))
            sink.synced()
            await self.host.clock.sleep(self.config.interval)


def records(hostname, entries):
    endpoints = tuple(
        Endpoint(
            addresses=(entry["address"],),
            ports=(("http", entry["port"]),),
            workload=entry["workload"],
            service_account=entry["account"],
            tls=TlsMode.MUTUAL,
        )
        for entry in entries
    )
    http = Port("http", 80, Protocol.HTTP)
    yield Service(hostname=hostname, namespace="NAMESPACE", ports=(http,))
    yield Endpoints(hostname=hostname, endpoints=endpoints)
'''


def install(site: Path) -> None:
    """Lay the distribution out in this folder."""
    info = site / f"{_DISTRIBUTION}-{_VERSION}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(_METADATA)
    (info / "entry_points.txt").write_text(_ENTRY_POINTS)
    source = _SOURCE.replace("NAMESPACE", NAMESPACE)
    (site / f"{_DISTRIBUTION}.py").write_text(source)


def write(path: Path, ledger: Mapping[str, Sequence[Workload]]) -> None:
    """Write the registry's file, at once."""
    entries = {
        hostname: [
            {
                "address": w.address,
                "port": SERVICE_PORT,
                "workload": w.name,
                "account": w.account,
            }
            for w in workloads
        ]
        for hostname, workloads in ledger.items()
    }
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(entries))
    beside.rename(path)
