"""What the authority says no with: a reason from a closed set, and words for the log.

Rule 1: the peer hears the opaque sentence of the class; the message is for log and audit alone.
Rule 2: `reason` becomes a metric's label, so it never holds what a peer has sent.
"""

from __future__ import annotations

from typing import ClassVar

from pilot_core.errors import PilotError


class Refused(PilotError):
    """Base of all of them. `reason` is short and stable, such as `csr-key`."""

    opaque: ClassVar[str] = "request refused"
    code: ClassVar[int] = 2
    """The status in gRPC's numbers; one that lasts is none at which clients try again."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


class InvalidRequest(Refused):
    """What was asked for makes no sense, whoever asks (gRPC: INVALID_ARGUMENT)."""

    opaque = "invalid certificate request"
    code = 3


class Unauthenticated(Refused):
    """Who asks has not proved who it is (gRPC: UNAUTHENTICATED)."""

    opaque = "request authenticate failure"
    code = 16


class NotAuthorized(Refused):
    """Who asks is known, and may not have this (gRPC: PERMISSION_DENIED)."""

    opaque = "not authorized"
    code = 7


class RateLimited(Refused):
    """Too much is asked for now; a retry makes sense (gRPC: RESOURCE_EXHAUSTED)."""

    opaque = "too many requests: try again"
    code = 8


class NotReady(Refused):
    """The authority cannot sign now (gRPC: UNAVAILABLE)."""

    opaque = "certificate authority not ready"
    code = 14
