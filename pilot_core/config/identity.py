"""The settings of the identity layer: the authority, and what it signs."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from pilot_core.document.duration import Duration
from pilot_core.errors import ConfigError, Finding

_HOUR = 3600
_DAY = 24 * _HOUR
_SHORTEST = 10
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_PATH = re.compile(r"(?:/(?!\.\.?(?:/|$))[A-Za-z0-9._-]+)+")
_TAKEN = ("join-token",)


class AttestorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who vouches for workloads, and for which identities: an adapter, authorities of a platform's
    own certificates, or a platform's token keys."""

    name: str
    """By which agents choose it: letters, digits, `.`, `-` and `_`."""
    prefix: str
    """What the paths of its identities begin with, such as `/ns` or `/vm`; nothing outside is ever
    given on its word. For `jwks_file`, it stands before `/ns/NAMESPACE/sa/ACCOUNT` and may be
    empty."""
    adapter: str = ""
    """The name of an adapter that vouches for the workloads of its platform."""
    ca_file: Path | None = None
    """Authorities (PEM) whose certificates count, once their holder has proved to have the key.
    Without an adapter, the common name is the last part of the identity."""
    check_address: bool = True
    """Whether a certificate that names IP addresses is good from those only. Switch it off where
    addresses are translated on the way."""
    jwks_file: Path | None = None
    """The keys (JWKS) that sign the tokens of a platform's service accounts. They are verified
    without asking the platform: one that was taken back counts until it expires."""
    issuer: str = ""
    """The `iss` of those tokens."""
    audience: str = "istio-ca"
    """The `aud` that those tokens have to carry."""

    def __post_init__(self) -> None:
        findings = [*self._names(), *self._kind()]
        if findings:
            raise ConfigError(*findings)

    def _names(self) -> list[Finding]:
        found = []
        if not _NAME.fullmatch(self.name) or self.name in _TAKEN:
            found.append(Finding("name", 0, 0, f"{self.name!r} cannot be the name of an attestor"))
        if self.prefix and not _PATH.fullmatch(self.prefix):
            message = "a prefix is a path such as /vm or /site/one, without a slash at its end"
            found.append(Finding("prefix", 0, 0, message))
        return found

    def _kind(self) -> list[Finding]:
        if self.jwks_file is not None:
            if self.adapter or self.ca_file:
                message = "an attestor with jwks_file has neither adapter nor ca_file"
                return [Finding("jwks_file", 0, 0, message)]
            if not self.issuer:
                return [Finding("jwks_file", 0, 0, "put `issuer` beside it, the `iss` of tokens")]
            return []
        if not self.adapter and self.ca_file is None:
            return [Finding("name", 0, 0, "say who vouches: adapter, ca_file or jwks_file")]
        if not self.prefix:
            return [Finding("prefix", 0, 0, "it cannot be empty: nobody vouches for everybody")]
        return []


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
    attestors: tuple[AttestorSettings, ...] = ()
    """Who vouches for workloads besides join tokens."""
    dns_names: tuple[str, ...] = ()
    """Names, besides the SPIFFE id, that the server's own certificate carries, for clients that
    know the control plane by a DNS name only."""

    def __post_init__(self) -> None:
        findings = [*self._leaves(), *self._authority(), *self._attestors()]
        if findings:
            raise ConfigError(*findings)

    def _attestors(self) -> list[Finding]:
        names = [attestor.name for attestor in self.attestors]
        twice = sorted({name for name in names if names.count(name) > 1})
        return [Finding("attestors", 0, 0, f"two attestors are called {name}") for name in twice]

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
