"""The settings of the identity layer: the authority, and what it signs."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pilot_core.document.duration import Duration
from pilot_core.errors import ConfigError, Finding

_HOUR = 3600
_DAY = 24 * _HOUR
_SHORTEST = 10


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """How workloads get their certificates. It is at work where `xds.secure_address` is set; keys
    and journal are kept in `state_dir`, in the folder `ca`."""

    authority_dir: Path | None = None
    """The folder of an authority of your own: `ca-cert.pem`, `ca-key.pem`, `cert-chain.pem` and
    `root-cert.pem`, or `tls.crt`, `tls.key` and `ca.crt`. Put new files there to rotate it.
    Without it, pilot-core makes its own root and rotates that by itself."""
    authority_lifetime: Duration = Duration(365 * _DAY)
    """How long a root of pilot-core's own is valid. The next one is handed out at half of it, 30
    days before its end at the latest."""
    leaf_lifetime: Duration = Duration(24 * _HOUR)
    """How long a workload's certificate is valid; it is renewed at half of that. An hour is better
    where agents are seldom away for long: it bounds what a stolen key is worth."""
    leaf_lifetime_max: Duration = Duration(90 * _DAY)
    """The longest that anybody gets who asks for more."""
    settle: Duration = Duration(_HOUR)
    """How long a new root is handed out before anything is signed with it: whoever is away learns
    of it meanwhile."""
    dns_names: tuple[str, ...] = ()
    """Names, besides the SPIFFE id, that the server's own certificate carries, for clients that
    know the control plane by a DNS name only."""

    def __post_init__(self) -> None:
        findings = [*self._leaves(), *self._authority()]
        if findings:
            raise ConfigError(*findings)

    def _leaves(self) -> list[Finding]:
        if self.leaf_lifetime < _SHORTEST:
            return [Finding("leaf_lifetime", 0, 0, f"it has to be {_SHORTEST}s at least")]
        if self.leaf_lifetime_max < self.leaf_lifetime:
            message = f"it has to be as long as leaf_lifetime at least ({self.leaf_lifetime})"
            return [Finding("leaf_lifetime_max", 0, 0, message)]
        return []

    def _authority(self) -> list[Finding]:
        if self.authority_lifetime < 2 * self.leaf_lifetime:
            # With less, a certificate would end with its signer before it is half over.
            message = f"it has to be twice leaf_lifetime at least ({self.leaf_lifetime})"
            return [Finding("authority_lifetime", 0, 0, message)]
        return []
