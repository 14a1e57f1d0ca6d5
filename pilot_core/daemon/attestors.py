"""Who vouches for workloads, as the configuration says it: proofs for the certificate services."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from pilot_certs import chain, possession
from pilot_certs.account_tokens import AccountTokens
from pilot_certs.account_tokens import Platform as Issuer
from pilot_certs.attest_service import Proof, TokenProof
from pilot_certs.authority import Authority
from pilot_certs.platforms import Attestor, Platform
from pilot_certs.possession import Possession
from pilot_core.clock import Clock
from pilot_core.config.identity import AttestorSettings
from pilot_core.config.schema import Settings
from pilot_core.errors import ConfigError

Find: TypeAlias = Callable[[str], Attestor | None]
Made: TypeAlias = Possession | Platform | AccountTokens


def made(settings: Settings, authority: Authority, clock: Clock, attestor: Find) -> dict[str, Made]:
    """By the name under which agents choose it. Raises ConfigError where a file cannot be used."""
    return {
        said.name: _made(said, authority, clock, attestor) for said in settings.identity.attestors
    }


def as_proofs(made: Mapping[str, Made]) -> dict[str, Proof]:
    """All of them as agents use them."""
    return {
        name: TokenProof(proof) if isinstance(proof, AccountTokens) else proof
        for name, proof in made.items()
    }


def _made(said: AttestorSettings, authority: Authority, clock: Clock, attestor: Find) -> Made:
    domain = authority.trust_domain
    if said.jwks_file is not None:
        keys = _content(said, said.jwks_file)
        issuer = Issuer(
            name=said.name, issuer=said.issuer, audience=said.audience, prefix=said.prefix
        )
        return AccountTokens(issuer, keys, domain, clock)
    shown = None
    if said.ca_file is not None:
        shown = Possession(
            said.name,
            _roots(said, said.ca_file),
            clock,
            identity=possession.common_name(domain, said.prefix),
            foreign_to=lambda: authority.roots,
            check_address=said.check_address,
        )
        if not said.adapter:
            return shown
    return Platform(
        said.name, lambda: attestor(said.adapter), domain, said.prefix, possession=shown
    )


def _roots(said: AttestorSettings, path: Path) -> tuple[str, ...]:
    try:
        found = chain.split(_content(said, path))
    except chain.Untrusted as error:
        raise ConfigError(f"attestor {said.name}: {path}: {error}") from None
    return found


def _content(said: AttestorSettings, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"attestor {said.name}: {path}: {error.strerror}") from None
