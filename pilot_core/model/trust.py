"""Trust: whose certificates proxies believe."""

from __future__ import annotations

from typing import ClassVar, TypeAlias

import msgspec

from pilot_core.model.inbound import Inbound
from pilot_core.model.origin import NOWHERE, Origin


class Roots(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="roots", tag_field="kind"):
    """The authorities that sign for a platform's own TLS servers (`Endpoint.tls_name`).

    `certificates` is PEM, one certificate after another: while an authority is replaced there are
    two. `name` is one for the whole mesh: an adapter begins it with its own (`Host.name`).
    """

    kind: ClassVar[str] = "roots"
    name: str
    certificates: str
    origin: Origin = NOWHERE

    @property
    def key(self) -> tuple[str, str]:
        return ("roots", self.name)


Trust: TypeAlias = Roots | Inbound
