"""The identity layer of a daemon: the authority with all that is about it, from the settings."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import NamedTuple

from pilot_certs import durable, istio_service, plugged_in, signers
from pilot_certs.attest_service import IdentityService, TokenProof
from pilot_certs.audit import AuditLog
from pilot_certs.authority import Authority
from pilot_certs.caller import ByCertificate
from pilot_certs.exchange import Methods
from pilot_certs.holders import Holders
from pilot_certs.issuing import Issuing
from pilot_certs.join import JoinTokens
from pilot_certs.journal import Journal
from pilot_certs.keys import FileKeys
from pilot_certs.ledger import Ledger
from pilot_certs.platforms import Tokens
from pilot_certs.possession import Possession
from pilot_certs.rotating import Rotating
from pilot_certs.rotation import Thresholds
from pilot_certs.serving import ServerCertificate
from pilot_certs.validity import Lifetimes
from pilot_core.clock import Clock, SystemClock
from pilot_core.config import load
from pilot_core.config.schema import Settings
from pilot_core.daemon import attestors, state_dir
from pilot_core.errors import ConfigError
from pilot_core.registry import loader
from pilot_core.telemetry.problems import Problems

JOIN_TOKEN = "join-token"
AUTHORITY, AUDIT, ADMIN_TOKEN = "ca", "audit.jsonl", "admin.token"
_TOKEN_BYTES = 32


class Identity:
    """Lives as long as the daemon. `state` is the state directory, which is ours alone."""

    def __init__(
        self,
        settings: Settings,
        state: Path,
        clock: Clock,
        problems: Problems,
        *,
        attestor: attestors.Find = lambda name: None,
    ) -> None:
        """Opens the authority, or makes the first one; `attestor` finds the adapter that vouches
        under a name. Raises StateError, ConfigError."""
        self.audit = AuditLog(state / AUDIT, clock)
        self.authority = authority(settings, state, clock, audit=self.audit)
        self.ledger = Ledger(clock)
        self.ledger.restore(self.audit.recent(), self.authority.signers)
        self.holders = Holders(self.ledger, clock)
        domain = self.authority.trust_domain
        self.tokens = JoinTokens(self.authority.journal, domain, clock, self.audit)
        proofs = attestors.made(settings, self.authority, clock, attestor)
        known = ByCertificate(self.authority, clock)
        of_platforms = [p for p in proofs.values() if not isinstance(p, Possession)]
        self.proofs = (known, Tokens(of_platforms))
        """What proves who somebody is without being used up."""
        self.issuing = Issuing(
            self.authority,
            (known, Tokens([self.tokens, *of_platforms])),
            self.audit,
            ledger=self.ledger,
        )
        self.certificate = ServerCertificate(self.authority, settings.identity.dns_names)
        own = IdentityService(
            self.issuing,
            self.authority,
            self.holders,
            known=known,
            proofs={JOIN_TOKEN: TokenProof(self.tokens)} | attestors.as_proofs(proofs),
        )
        self.methods: Methods = {**istio_service.methods(self.issuing), **own.methods()}
        self.rotating = Rotating(
            self.authority,
            self.holders,
            self.ledger,
            problems,
            folder=settings.identity.authority_dir,
        )
        self.token_file = settings.admin.token_file or _admin_token(state)

    def close(self) -> None:
        self.authority.journal.close()
        self.audit.close()


def authority(
    settings: Settings, state: Path, clock: Clock, *, audit: AuditLog | None = None
) -> Authority:
    """The authority in the state directory, started. Raises StateError."""
    said = settings.identity
    folder = state / AUTHORITY
    made = Authority(
        Journal(folder),
        FileKeys(folder / "keys"),
        clock,
        lifetimes=Lifetimes(
            leaf=said.leaf_lifetime,
            longest_leaf=said.leaf_lifetime_max,
            authority=said.authority_lifetime,
        ),
        thresholds=Thresholds(settle=said.settle),
        audit=audit,
    )
    is_first = not made.journal.exists
    plugged = plugged_in.read(said.authority_dir) if said.authority_dir and is_first else None
    made.start(settings.mesh.trust_domain, who="pilot-core", plugged=plugged)
    return made


class First(NamedTuple):
    """An authority that is ready to be used."""

    folder: Path
    trust_domain: str
    signer: str


def first(config: Path) -> First:
    """Make the authority of this configuration, or see that it is there and sound.

    Raises ConfigError, StateError.
    """
    settings = load.load(config, adapter_types=loader.load)
    if settings.state_dir is None:
        raise ConfigError(f"{config}: set state_dir, the folder for the keys of the authority")
    with state_dir.locked(settings.state_dir):
        made = authority(settings, settings.state_dir, SystemClock())
        made.check()
        current = signers.active(made.signers)
        made.journal.close()
    folder = settings.state_dir / AUTHORITY
    return First(folder, made.trust_domain, current.id if current else "none")


def _admin_token(state: Path) -> Path:
    """What changes the authority needs a token even on loopback, where everybody on the machine
    can connect: where none is configured, one that only the daemon's own user can read."""
    path = state / ADMIN_TOKEN
    if not path.exists():
        durable.write(path, secrets.token_urlsafe(_TOKEN_BYTES).encode())
    return path
