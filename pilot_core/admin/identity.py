"""The authority in the HTTP API: how it is, what it has signed, and the steps of a rotation.

Rule: whatever changes something needs a token, on loopback too: everybody on the machine can
connect there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
from aiohttp import web

from pilot_certs import rotation, signers
from pilot_certs.authority import Authority
from pilot_certs.durable import StateError
from pilot_certs.holders import Holders
from pilot_certs.join import JoinTokens
from pilot_certs.ledger import Held, Ledger
from pilot_certs.refusal import InvalidRequest
from pilot_certs.rotating import Rotating
from pilot_certs.signers import Signer, WrongStep
from pilot_core.admin import shapes
from pilot_core.admin.answers import answer, bad, listing, missing
from pilot_core.admin.guard import has_token

OFF = "this server has no certificate authority"
_HOW = "xds.secure_address in its configuration starts one"
_LONGEST = 4096
T = TypeVar("T")
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Office(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of the identity layer that people look at and talk to."""

    authority: Authority
    ledger: Ledger
    holders: Holders
    tokens: JoinTokens
    rotating: Rotating
    token_file: Path
    """With the token that changes need."""


class StepAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /api/v1/ca/STEP`."""

    signer: str = ""
    """The beginning of its id, for `taint` and `drop`."""
    force: bool = False
    """Whether to go on although somebody is not ready, whose requests will fail."""
    who: str = ""
    why: str = ""


class TokenAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /api/v1/tokens`; paths are those of SPIFFE ids."""

    paths: list[str]
    seconds: float = 600.0
    peer: str = ""
    who: str = ""


class IdentityApi:
    """Serves it; without an office every path says that there is none."""

    def __init__(self, office: Office | None) -> None:
        self._office = office

    def routes(self) -> list[web.RouteDef]:
        ca = "/api/v1/ca"
        return [
            web.get(ca, self._if_on(_status)),
            web.get(f"{ca}/bundle", self._if_on(_bundle)),
            web.get("/api/v1/certs", self._if_on(_certificates)),
            web.post(f"{ca}/{{step}}", self._if_on(_changing(_step))),
            web.post("/api/v1/tokens", self._if_on(_changing(_token))),
        ]

    def _if_on(
        self, handle: Callable[[Office, web.Request], Awaitable[web.StreamResponse]]
    ) -> _Handler:
        async def handler(request: web.Request) -> web.StreamResponse:
            if self._office is None:
                return missing(OFF, None, _HOW)
            return await handle(self._office, request)

        return handler


def _changing(
    handle: Callable[[Office, web.Request], Awaitable[web.StreamResponse]],
) -> Callable[[Office, web.Request], Awaitable[web.StreamResponse]]:
    async def checked(office: Office, request: web.Request) -> web.StreamResponse:
        if not has_token(request, office.token_file):
            hint = f"--token-file {office.token_file}, or PILOT_CORE_TOKEN_FILE"
            said = shapes.ShownError(error="a token is needed for that, also here", hint=hint)
            return answer(said, 401, headers={"www-authenticate": "Bearer"})
        try:
            return await handle(office, request)
        except (InvalidRequest, msgspec.MsgspecError) as error:
            return bad(str(error))
        except (WrongStep, StateError) as error:
            return answer(shapes.ShownError(error=str(error), hint=_hint(error)), 409)

    return checked


def _hint(error: Exception) -> str | None:
    if isinstance(error, rotation.NotYet):
        return "wait for them, or give --force: their requests fail until they have followed"
    return None


async def _asked(request: web.Request, shape: type[T]) -> T:
    body = await request.content.read(_LONGEST + 1)
    if len(body) > _LONGEST:
        raise InvalidRequest("size", f"a body of more than {_LONGEST} bytes")
    return msgspec.json.decode(body or b"{}", type=shape)


async def _status(office: Office, request: web.Request) -> web.StreamResponse:
    return answer(status(office))


async def _bundle(office: Office, request: web.Request) -> web.StreamResponse:
    text = "".join(office.authority.roots)
    return web.Response(text=text, content_type="application/x-pem-file")


async def _certificates(office: Office, request: web.Request) -> web.StreamResponse:
    return await listing(request, "CertificateList", certificates(office))


async def _step(office: Office, request: web.Request) -> web.StreamResponse:
    step = request.match_info["step"]
    asked = await _asked(request, StepAsked)
    by = {"who": f"{asked.who or '?'} from {request.remote}", "why": asked.why or "by hand"}
    authority, force = office.authority, asked.force
    match step:
        case "prepare":
            signer = office.rotating.prepare(**by)
        case "activate":
            signer = authority.activate(office.holders, force=force, **by)
        case "taint":
            signer = authority.taint(asked.signer, **by)
        case "drop":
            signer = authority.drop(asked.signer, office.holders, force=force, **by)
        case _:
            return missing(f"no step is called {step}", None, "prepare, activate, taint, drop")
    return answer(_signer(next((s for s in authority.signers if s.id == signer.id), signer)))


async def _token(office: Office, request: web.Request) -> web.StreamResponse:
    asked = await _asked(request, TokenAsked)
    token = office.tokens.create(
        *asked.paths,
        seconds=asked.seconds,
        peer=asked.peer,
        who=f"{asked.who or '?'} from {request.remote}",
    )
    domain = office.authority.trust_domain
    shown = shapes.ShownToken(
        token=token,
        identities=[f"spiffe://{domain}{path}" for path in asked.paths],
        expires=shapes.time(office.authority.clock.now() + asked.seconds),
    )
    return answer(shown, 201, headers={"cache-control": "no-store"})


def status(office: Office) -> shapes.ShownAuthority:
    """How the authority is."""
    authority = office.authority
    now = authority.clock.now()
    current = signers.active(authority.signers)
    return shapes.ShownAuthority(
        trust_domain=authority.trust_domain,
        sequence=authority.sequence,
        expires=shapes.time_or_none(current.not_after if current else None),
        signers=[_signer(signer) for signer in authority.signers],
        waits_for=office.rotating.waits_for or None,
        certificates=len(office.ledger),
        late=len(office.ledger.late()),
        agents=len(office.holders.following),
        without_new_roots=list(office.holders.without_roots(frozenset(authority.roots))),
        damage=authority.journal.damage or None,
        time=shapes.time(now),
        steps=[
            shapes.ShownStep(
                at=shapes.time(s.at), step=s.step, signer=s.signer, who=s.who, why=s.why
            )
            for s in authority.journal.steps()
        ],
    )


def certificates(office: Office) -> Iterator[shapes.ShownCertificate]:
    """Signers first, then what they have signed and is valid, the soonest to end first."""
    now = office.authority.clock.now()
    for signer in office.authority.signers:
        is_ending = rotation.ending((signer,), now, office.authority.thresholds)
        yield shapes.ShownCertificate(
            name=f"spiffe://{office.authority.trust_domain}",
            kind="signer",
            state="expiring" if is_ending else signer.state,
            holder=None,
            attestor=None,
            serial=signer.id,
            signer=signer.id if not signer.chain else None,
            not_before=shapes.time(signer.not_before),
            not_after=shapes.time(signer.not_after),
        )
    for held in sorted(office.ledger, key=lambda h: (h.window.not_after, h.holder)):
        yield _held(held, now)


def _held(held: Held, now: float) -> shapes.ShownCertificate:
    return shapes.ShownCertificate(
        name=str(held.holder.name),
        kind="workload",
        state="expiring" if held.is_late(now) else "valid",
        holder=held.holder.peer or None,
        attestor=held.attestor,
        serial=held.serial,
        signer=held.signer,
        not_before=shapes.time(held.window.not_before),
        not_after=shapes.time(held.window.not_after),
    )


def _signer(signer: Signer) -> shapes.ShownSigner:
    return shapes.ShownSigner(
        id=signer.id,
        state=signer.state,
        tainted=signer.is_tainted,
        is_root=not signer.chain,
        not_before=shapes.time(signer.not_before),
        not_after=shapes.time(signer.not_after),
        prepared=shapes.time_or_none(signer.prepared_at or None),
        activated=shapes.time_or_none(signer.activated_at or None),
        retired=shapes.time_or_none(signer.retired_at or None),
        leaves_until=shapes.time_or_none(signer.leaves_until or None),
    )
