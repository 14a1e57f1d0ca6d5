"""What proxies refuse and what cannot be built, as problems that name their cause."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import TypeAlias

from pilot_core.model import Problem, Severity
from pilot_core.plan.proxies import Shut
from pilot_core.telemetry.problems import Problems
from pilot_xds.types import ResourceType

log = logging.getLogger(__name__)

NACK = "nack"
NOT_BUILT = "resource-not-built"
UNSERVED, UNREACHABLE = "strict-without-agent", "strict-but-plain"
_WITHOUT_AGENT = (
    "(inbound: strict), and this proxy has no agent to have one from itself: it does not listen"
)
_PLAIN = "(inbound: strict), and the registry says `tls: plain` of it: callers are refused"
MISMATCH = "identity-mismatch"
_WORD = re.compile(r"[\w.-]+")
OriginOf: TypeAlias = Callable[[str], str]
"""Where a hostname was written down: `file:line:column`, `registry/source`, or empty where nobody
has."""


class Complaints:
    def __init__(self, problems: Problems, origin_of: OriginOf) -> None:
        self._problems, self._origin_of = problems, origin_of

    def refused(self, proxy_id: str, kind: ResourceType, words: str) -> None:
        """A proxy did not take a response; `words` are its own."""
        log.warning(
            "refused by a proxy", extra={"proxy": proxy_id, "type": kind.short, "error": words}
        )
        self._problems.raise_(
            Problem(
                code=NACK,
                severity=Severity.ERROR,
                source=kind.short,
                object=proxy_id,
                message=words,
                origin=self._origin(words),
            )
        )

    def accepted(self, proxy_id: str, kind: ResourceType) -> None:
        self._problems.clear(NACK, source=kind.short, object=proxy_id)

    def shut(self, proxy_id: str, found: Shut) -> None:
        """Where nobody gets in at a proxy, and why; until that is over."""
        for code, addresses, why in (
            (UNSERVED, found.unserved, _WITHOUT_AGENT),
            (UNREACHABLE, found.unreachable, _PLAIN),
        ):
            if not addresses:
                self._problems.clear(code, source="", object=proxy_id)
                continue
            text = f"{', '.join(addresses)}: only callers with a certificate may connect {why}"
            self._problems.raise_(Problem(code=code, object=proxy_id, message=text))

    def denied(self, proxy_id: str, identity: str, peer: str, words: str) -> None:
        """Somebody has proved to be another one than he says. Known by what he has proved: there
        are only so many identities, and any number of names."""
        log.warning(
            "a proxy is not who it says",
            extra={"proxy": proxy_id, "identity": identity, "peer": peer, "error": words},
        )
        self._problems.raise_(
            Problem(
                code=MISMATCH,
                object=identity,
                message=f"{proxy_id or 'a proxy'} from {peer} was sent away: {words}",
            )
        )

    def admitted(self, identity: str) -> None:
        self._problems.clear(MISMATCH, source="", object=identity)

    def not_built(self, kind: ResourceType, name: str, words: str) -> None:
        """A resource cannot be built, the last good one stays; without words: it can again."""
        if not words:
            self._problems.clear(NOT_BUILT, source=kind.short, object=name)
            return
        log.error(
            "a resource cannot be built",
            extra={"type": kind.short, "resource": name, "error": words},
        )
        self._problems.raise_(
            Problem(
                code=NOT_BUILT,
                source=kind.short,
                object=name,
                message=f"cannot be built, what was served before stays: {words}",
                origin=self._origin(name),
            )
        )

    def _origin(self, text: str) -> str:
        """Of the first hostname that the text mentions and that somebody wrote down."""
        hostnames = (word.strip(".-").lower() for word in _WORD.findall(text))
        return next(filter(None, map(self._origin_of, hostnames)), "")
