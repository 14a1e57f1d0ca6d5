"""The adapter `cloudfoundry`: a foundation's applications, from its BBS, its emitters, or both.

Rule: what has been told outlives sessions; what cannot be told apart from an outage stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

from pilot_adapter_cloudfoundry import attest
from pilot_adapter_cloudfoundry.config import CloudFoundryConfig
from pilot_adapter_cloudfoundry.parts import Parts
from pilot_adapter_cloudfoundry.session import Session
from pilot_core.adapter import Adapter, Denied, Finding, Host, Sink, Unavailable
from pilot_core.model import Evidence, Workload


class CloudFoundry(Adapter):
    """Reads the HTTP, TCP and internal routes of a Cloud Foundry foundation."""

    api = 1
    Config = CloudFoundryConfig

    def __init__(self, config: Any, host: Host) -> None:
        super().__init__(config, host)
        self._config: CloudFoundryConfig = config
        self.parts = Parts(config, host)

    @classmethod
    def check(cls, config: Any) -> Iterable[Finding]:
        """Are the files there?"""
        for setting, path in config.files():
            if not path.is_file():
                yield Finding(setting, 0, 0, f"there is no file {path}")

    async def run(self, sink: Sink) -> NoReturn:
        await Session(self.parts, sink).run()

    async def attest(self, evidence: Evidence) -> Workload:
        """`pilot_core.adapter.Attestor`: the process whose instance shows its certificate."""
        if evidence.kind != attest.KIND:
            raise Denied(f"a proof of kind {evidence.kind[:40]!r} is none of an instance")
        cells = self.parts.cells
        if cells is None:
            raise Denied("instances are known by `bbs`, which is not set")
        said = attest.identity(evidence.payload)
        if cells.age() > self._config.vouch:
            raise Unavailable(f"the BBS has not been read for {cells.age():.0f} s")
        if cells.age() and cells.diego.instance(said.guid) is None:
            raise Unavailable(f"{said.guid} is not known, and the BBS cannot be read now")
        return attest.workload(said, cells.diego)
