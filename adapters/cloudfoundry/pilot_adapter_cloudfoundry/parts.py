"""Everything of a foundation that outlives sessions: what has been told, and who is asked."""

from __future__ import annotations

from collections import defaultdict

from pilot_adapter_cloudfoundry.cells import Cells
from pilot_adapter_cloudfoundry.config import CloudFoundryConfig
from pilot_adapter_cloudfoundry.diego import Diego
from pilot_adapter_cloudfoundry.emitters import Emitters
from pilot_adapter_cloudfoundry.enrichment import Enrichment
from pilot_adapter_cloudfoundry.kinds import kinds
from pilot_adapter_cloudfoundry.routing_api import RoutingApi
from pilot_adapter_cloudfoundry.uaa import Uaa
from pilot_core.adapter import Host


class Parts:
    """Parts that the settings leave out are None."""

    def __init__(self, config: CloudFoundryConfig, host: Host) -> None:
        self.config, self.host = config, host
        self.diego = Diego(config.bbs.max_loss) if config.bbs else None
        self.cells = Cells(config.bbs, self.diego, host) if config.bbs and self.diego else None
        self.emitters = Emitters(config, host)
        self.uaa = Uaa(config.uaa, host) if config.uaa else None
        self.enrichment = Enrichment(host)
        self.routing: RoutingApi | None = None
        if config.routing_api is not None and self.uaa is not None:
            self.routing = RoutingApi(config.routing_api, self.uaa, host)
        self.kinds = kinds(
            config,
            self.diego,
            self.emitters.router.table,
            self.emitters.discovery.table,
            self.routing.table if self.routing is not None else None,
        )

    def note_changes(self) -> None:
        """Tell every kind which of Diego's processes look different."""
        if self.diego is None:
            return
        processes, self.diego.changed = self.diego.changed, set()
        for kind in self.kinds:
            if kind.own is not None:
                for process in processes:
                    kind.own.update(process)

    def hostnames(self) -> dict[str, tuple[str, ...]]:
        """The names under which each application is known, sorted."""
        found: dict[str, set[str]] = defaultdict(set)
        for process in self.diego.processes if self.diego is not None else ():
            desired = self.diego.desired(process) if self.diego is not None else None
            if desired is not None:
                found[desired.app].update(desired.internal, (route.host for route in desired.http))
        return {app: tuple(sorted(names)) for app, names in found.items()}
