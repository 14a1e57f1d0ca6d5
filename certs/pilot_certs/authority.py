"""The certificate authority: signs for names that others have authorized, and rotates itself.

Rule 1: a new authority is made only where there has never been one. Whatever is damaged or missing
is an error; nobody would trust what a fresh one signs.
Rule 2: signing is done in place, on the event loop. It takes 0.2 ms; a thread beside other work
takes fifty times as long.
Rule 3: what is in memory is what the journal says.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Sequence

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from pilot_certs import chain, jwt_svids, profile, public_key, rotation, signers, validity
from pilot_certs.audit import AuditLog, Decision
from pilot_certs.durable import StateError
from pilot_certs.journal import Content, Journal, Step
from pilot_certs.jwt_svids import Minted
from pilot_certs.keys import Keys
from pilot_certs.profile import Issuer, PrivateKey
from pilot_certs.public_key import PublicKey
from pilot_certs.refusal import InvalidRequest, NotReady
from pilot_certs.rotation import Due, Fleet, Thresholds
from pilot_certs.signers import Signer, Signers, State
from pilot_certs.spiffe import SpiffeId
from pilot_certs.validity import Lifetimes, Window
from pilot_core.clock import Clock

log = logging.getLogger(__name__)

_AHEAD = 600.0
"""How far ahead it is written down until when leaves are valid, so that not each one is."""
_KID = 16
"""Characters of a key's id by which a token names it."""
_CHECKED = "/pilot-core/self-test"


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate that was just signed."""

    name: SpiffeId
    chain: tuple[str, ...]
    """PEM, leaf first, without roots."""
    roots: tuple[str, ...]
    serial: int
    sha256: str
    spki_sha256: str
    window: Window
    signer: str


class Authority:
    """One trust domain's authority, over a journal and a store of keys."""

    def __init__(
        self,
        journal: Journal,
        keys: Keys,
        clock: Clock,
        *,
        lifetimes: Lifetimes | None = None,
        thresholds: Thresholds | None = None,
        audit: AuditLog | None = None,
    ) -> None:
        self.journal, self.keys, self.clock = journal, keys, clock
        self._audit = audit
        self.lifetimes = lifetimes or Lifetimes()
        self.thresholds = thresholds or Thresholds()
        self._content = Content(trust_domain="unknown")
        self._issuer: Issuer | None = None
        self._listeners: list[Callable[[], None]] = []

    def start(self, trust_domain: str, *, who: str, plugged: Plugged | None = None) -> None:
        """Go on where the journal ends; where there has never been one, make the first signer, or
        take the one that is plugged in. Raises StateError."""
        if self.journal.exists:
            self._open(trust_domain)
        elif len(self.keys):
            raise StateError(
                f"there are keys, but {self.journal.path} is missing: restore it from a backup; "
                "where the keys have never been used, remove them"
            )
        else:
            self._create(trust_domain, who, plugged)

    def _create(self, trust_domain: str, who: str, plugged: Plugged | None) -> None:
        self._content = Content(trust_domain=SpiffeId(trust_domain).trust_domain)
        first = self._adopted(plugged) if plugged else self._fresh()
        now = self.clock.now()
        first = first.replace(state=State.ACTIVE, prepared_at=now, activated_at=now)
        content = Content(trust_domain=trust_domain, sequence=1, signers=(first,))
        self.journal.create(content, Step(now, "init", first.id, who, "the first authority"))
        self._take(content)

    def _open(self, trust_domain: str) -> None:
        content = self.journal.open()
        if content.trust_domain != trust_domain:
            raise StateError(
                f"this authority is that of {content.trust_domain}, not of {trust_domain}: "
                "set mesh.trust_domain back, or use another state_dir"
            )
        self._take(content)

    @property
    def trust_domain(self) -> str:
        return self._content.trust_domain

    @property
    def signers(self) -> Signers:
        return self._content.signers

    @property
    def sequence(self) -> int:
        """Rises with every change of what is trusted, or of who signs."""
        return self._content.sequence

    @property
    def roots(self) -> tuple[str, ...]:
        """The trust bundle, in PEM."""
        return signers.bundle(self.signers)

    @property
    def intermediates(self) -> tuple[str, ...]:
        """Of all signers, in PEM."""
        return tuple(certificate for signer in self.signers for certificate in signer.chain)

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every step."""
        self._listeners.append(listener)

    def unsubscribe(self, listener: Callable[[], None]) -> None:
        """Call it no more."""
        self._listeners.remove(listener)

    def sign(
        self, key: PublicKey, name: SpiffeId, *, seconds: int = 0, dns: Sequence[str] = ()
    ) -> Issued:
        """A certificate for this key and name. Raises InvalidRequest, NotReady."""
        signer, issuer = signers.active(self.signers), self._issuer
        if signer is None or issuer is None:
            raise NotReady("no-signer", "no signer is active")
        if name.trust_domain != self.trust_domain or not name.path:
            raise InvalidRequest("trust-domain", f"{name} is no workload of {self.trust_domain}")
        own = public_key.fingerprint(key)
        if any(own == known.id for known in self.signers):
            raise InvalidRequest("csr-key", "the key is one of the authority's own")
        window = validity.window(self.clock.now(), seconds, self.lifetimes, signer.not_after)
        self._note_leaves(signer, window.not_after)
        leaf = profile.leaf(key, name, window, issuer, dns)
        return Issued(
            name=name,
            chain=(_pem(leaf), *signer.chain),
            roots=self.roots,
            serial=leaf.serial_number,
            sha256=leaf.fingerprint(SHA256()).hex(),
            spki_sha256=own,
            window=window,
            signer=signer.id,
        )

    @property
    def jwt_keys(self) -> tuple[jwt_svids.PublicKey, ...]:
        """What verifies tokens of ours."""
        return tuple(
            jwt_svids.PublicKey(s.jwt_key[:_KID], base64.b64decode(s.jwt_public))
            for s in self.signers
            if s.jwt_key
        )

    def mint(self, name: SpiffeId, audiences: Sequence[str]) -> Minted:
        """A token for this name and these audiences. Raises InvalidRequest, NotReady."""
        signer = signers.active(self.signers)
        if signer is None or not signer.jwt_key:
            raise NotReady("no-jwt-key", "the active signer has no key for tokens: rotate it")
        try:
            key = self.keys.signer(signer.jwt_key)
        except StateError as error:
            raise NotReady("jwt-key", str(error)) from None
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return jwt_svids.mint(name, audiences, key, signer.jwt_key[:_KID], self.clock.now())

    def check(self) -> None:
        """Sign something, and see that the bundle vouches for it. Raises NotReady."""
        key = ec.generate_private_key(ec.SECP256R1()).public_key()
        made = self.sign(key, SpiffeId(self.trust_domain, _CHECKED))
        try:
            chain.check(made.chain, made.roots, self.clock.now())
        except chain.Untrusted as error:
            raise NotReady("self-test", str(error)) from None

    def prepare(self, *, who: str, why: str, plugged: Plugged | None = None) -> Signer:
        """Hand out a new root; nothing is signed with it yet. Raises WrongStep, StateError."""
        new = self._adopted(plugged) if plugged else self._fresh()
        now = self.clock.now()
        self._step("prepare", new, signers.prepare(self.signers, new, now), who, why)
        return new

    def activate(self, fleet: Fleet, *, who: str, why: str, force: bool = False) -> Signer:
        """Sign with the prepared one from now on. Raises NotYet unless forced, WrongStep."""
        now = self.clock.now()
        after = signers.activate(self.signers, now)
        if not force:
            rotation.check_activation(self.signers, fleet, now, self.thresholds)
        new = signers.active(after)
        assert new is not None
        self._issuer_of(new)
        self._step("activate", new, after, who, why)
        return new

    def taint(self, prefix: str, *, who: str, why: str) -> Signer:
        """Have what an old one has signed replaced now. Raises WrongStep."""
        signer = signers.find(self.signers, prefix)
        self._step("taint", signer, signers.taint(self.signers, signer), who, why)
        return signer

    def drop(self, prefix: str, fleet: Fleet, *, who: str, why: str, force: bool = False) -> Signer:
        """Trust one no more, and delete its key. Raises NotYet unless forced, WrongStep."""
        signer = signers.find(self.signers, prefix)
        after = signers.drop(self.signers, signer)
        if not force:
            rotation.check_drop(signer, fleet, self.clock.now())
        self._step("drop", signer, after, who, why)
        self.keys.delete(signer.id)
        if signer.jwt_key:
            self.keys.delete(signer.jwt_key)
        return signer

    def is_new(self, plugged: Plugged) -> bool:
        """Is this authority none of those that are known?"""
        return all(plugged.signer.id != known.id for known in self.signers)

    def is_renewed(self, plugged: Plugged) -> bool:
        """Is it one that is known, with another certificate for the same key?"""
        known = next((s for s in self.signers if s.id == plugged.signer.id), None)
        return known is not None and known.certificate != plugged.signer.certificate

    def renew(self, plugged: Plugged, *, who: str, why: str) -> Signer:
        """Go on with a new certificate for a key that is known. Raises WrongStep, StateError."""
        after = signers.renew(self.signers, plugged.signer)
        self._step("renew", plugged.signer, after, who, why)
        return plugged.signer

    def advance(self, fleet: Fleet, *, is_plugged: bool = False) -> Due | None:
        """Do the step whose time has come, if there is one. Raises NotYet, StateError."""
        now = self.clock.now()
        found = rotation.due(self.signers, now, self.thresholds, is_plugged=is_plugged)
        if found is None:
            return None
        step, signer = found
        who, why = "pilot-core", "its time has come"
        if step is Due.PREPARE:
            self.prepare(who=who, why=why)
        elif step is Due.ACTIVATE:
            # An authority that is about to end is worse than somebody who was not told.
            current = signers.active(self.signers)
            ends = current is None or current.not_after - now < _last_moments(current)
            self.activate(fleet, force=ends, who=who, why=why)
        else:
            self.drop(signer.id, fleet, who=who, why=why)
        return step

    def _step(self, step: str, about: Signer, after: Signers, who: str, why: str) -> None:
        content = Content(trust_domain=self.trust_domain, sequence=self.sequence + 1, signers=after)
        self.journal.write(content, Step(self.clock.now(), step, about.id, who, why))
        self._take(content)
        if self._audit is not None:
            self._audit.write(
                Decision(event="rotated", requested=step, signer=about.id, attestor=who, reason=why)
            )
        log.info("authority: " + step, extra={"signer": about.id[:12], "who": who, "why": why})

    def _take(self, content: Content) -> None:
        current = signers.active(content.signers)
        self._issuer = self._issuer_of(current) if current else None
        self._content = content
        for listener in tuple(self._listeners):
            listener()

    def _issuer_of(self, signer: Signer) -> Issuer:
        """Raises StateError where the key is missing, or the chain does not end in a root."""
        certificate = x509.load_pem_x509_certificate(signer.certificate.encode())
        key = self.keys.signer(signer.id)
        try:
            chain.check_authority(signer.chain, signer.roots)
        except chain.Untrusted as error:
            raise StateError(f"signer {signer.id[:12]} cannot be used: {error}") from None
        return Issuer(certificate, key)

    def _note_leaves(self, signer: Signer, until: float) -> None:
        """Write down until when leaves of this signer are valid, before one of them is made."""
        if until <= signer.leaves_until:
            return
        ahead = min(until + min(_AHEAD, self.lifetimes.leaf / 2), signer.not_after)
        noted = tuple(
            s.replace(leaves_until=ahead) if s.id == signer.id else s for s in self.signers
        )
        content = msgspec.structs.replace(self._content, signers=noted)
        try:
            self.journal.write(content)
        except StateError as error:
            raise NotReady("journal", str(error)) from None
        self._content = content

    def _fresh(self) -> Signer:
        """A root of our own, with a new key."""
        key_id = self.keys.generate()
        now = self.clock.now()
        life = self.lifetimes
        window = Window(float(int(now - life.backdate)), float(int(now + life.authority)))
        domain = SpiffeId(self.trust_domain)
        made = _pem(profile.root(self.keys.signer(key_id), domain, window))
        return self._with_jwt_key(
            Signer(
                id=key_id,
                state=State.PREPARED,
                chain=(),
                roots=(made,),
                not_before=window.not_before,
                not_after=window.not_after,
            )
        )

    def _with_jwt_key(self, signer: Signer) -> Signer:
        key_id = self.keys.generate()
        public = public_key.allowed(self.keys.signer(key_id).public_key())
        shown = base64.b64encode(public_key.spki(public)).decode()
        return signer.replace(jwt_key=key_id, jwt_public=shown)

    def _adopted(self, plugged: Plugged) -> Signer:
        now = self.clock.now()
        if (
            not plugged.signer.not_before
            <= now + self.lifetimes.backdate
            < plugged.signer.not_after
        ):
            raise StateError("the plugged-in authority is not valid now: look at its dates")
        self.keys.adopt(plugged.key)
        return self._with_jwt_key(plugged.signer)


class Plugged:
    """An authority that was made elsewhere: its certificates, and its key."""

    def __init__(self, signer: Signer, key: PrivateKey) -> None:
        self.signer, self.key = signer, key


def _last_moments(signer: Signer) -> float:
    """How long before its end, in seconds, a signer gives way without waiting for anybody."""
    return min(_AHEAD, (signer.not_after - signer.not_before) / 20)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()
