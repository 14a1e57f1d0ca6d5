"""Istio's certificate service over TLS, called by a client that knows its wire format alone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from grpc import aio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import authorities
from authorities import DOMAIN, REVIEWS
from pilot_certs import chain, istio_service
from pilot_certs.audit import AuditLog
from pilot_certs.authority import Authority
from pilot_certs.caller import ByCertificate
from pilot_certs.issuing import Issuing, Limits
from pilot_certs.join import JoinTokens
from pilot_certs.limits import Rate
from pilot_certs.refusal import InvalidRequest
from pilot_certs.served import served
from pilot_certs.serving import ServerCertificate
from pilot_certs.spiffe import SpiffeId
from pilot_core.clock import SystemClock
from pilot_core.rpc.server import Server
from pilot_core.testing import FakeClock

METHOD = "/istio.v1.auth.IstioCertificateService/CreateCertificate"
NAME = "istiod.istio-system.svc"
PEOPLE = Rate(1e6, 1e6)


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    made = b""
    while value > 127:
        made, value = made + bytes([value & 127 | 128]), value >> 7
    return made + bytes([value])


def _request(csr: bytes, seconds: int = 0, *more: bytes) -> bytes:
    return _field(1, csr) + b"\x18" + _varint(seconds) + b"".join(more)


def _strings(data: bytes) -> list[str]:
    """The elements of field 1, which is all that a response has."""
    found, at = [], 0
    while at < len(data):
        assert 0x0A == data[at]
        at, size, shift = at + 1, 0, 0
        while True:
            size |= (data[at] & 127) << shift
            at, shift = at + 1, shift + 7
            if data[at - 1] < 128:
                break
        found.append(data[at : at + size].decode())
        at += size
    return found


class Office:
    """A server on loopback with a certificate of its own authority."""

    def __init__(self, folder: Path) -> None:
        # Real peers verify by the real time.
        clock = SystemClock()
        self.authority: Authority = authorities.started(folder, clock)
        self.tokens = JoinTokens(self.authority.journal, DOMAIN, clock)
        self.issuing = Issuing(
            self.authority,
            (ByCertificate(self.authority, clock), self.tokens),
            AuditLog(folder / "audit.jsonl", clock),
            limits=Limits(identity=PEOPLE, failures=PEOPLE),
        )
        self.address = ""

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Office]:
        shown = ServerCertificate(self.authority, [NAME])
        methods = served(istio_service.methods(self.issuing))
        server = Server("127.0.0.1:0", methods, clock=SystemClock(), tls=shown.context)
        await server.start()
        self.address = server.address
        try:
            yield self
        finally:
            await server.stop()

    async def call(
        self, data: bytes, token: str = "", *, pair: tuple[bytes, bytes] | None = None
    ) -> list[str]:
        roots = "".join(self.authority.roots).encode()
        key, shown = pair or (None, None)
        credentials = grpc.ssl_channel_credentials(roots, key, shown)
        options = [("grpc.ssl_target_name_override", NAME)]
        async with aio.secure_channel(self.address, credentials, options=options) as channel:
            headers = (("authorization", f"Bearer {token}"), ("clusterid", "one"))
            method = channel.unary_unary(METHOD)
            answer: bytes = await method(data, metadata=headers if token else ())
            return _strings(answer)


def _pem(key: Any) -> bytes:
    made: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return made


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with Office(tmp_path).open() as opened:
        yield opened


async def _refused(office: Office, data: bytes, token: str = "") -> tuple[grpc.StatusCode, str]:
    with pytest.raises(aio.AioRpcError) as refused:
        await office.call(data, token)
    return refused.value.code(), refused.value.details() or ""


async def test_a_workload_gets_leaf_and_roots(office: Office) -> None:
    token = office.tokens.create(REVIEWS.path)

    said = await office.call(_request(authorities.csr_pem(), 3600), token)

    assert 2 == len(said)
    assert list(office.authority.roots) == [said[-1]]
    assert REVIEWS == chain.check(said[:1], said[1:], SystemClock().now())


async def test_two_roots_come_together_in_the_last_element(office: Office) -> None:
    office.authority.prepare(who="test", why="a test")

    said = await office.call(_request(authorities.csr_pem()), office.tokens.create(REVIEWS.path))

    assert 2 == len(said)
    assert 2 == len(chain.split(said[-1].encode()))


async def test_a_certificate_is_renewed_over_mutual_tls(office: Office) -> None:
    key = authorities.key()
    token = office.tokens.create(REVIEWS.path)
    first = await office.call(_request(authorities.csr_pem(key)), token)
    pair = _pem(key), first[0].encode()

    second = await office.call(_request(authorities.csr_pem()), pair=pair)

    assert REVIEWS == chain.name_of(chain.load(second[0]))
    assert first[0] != second[0]


async def test_who_proves_nothing_hears_nothing_of_why(office: Office) -> None:
    used = office.tokens.create(REVIEWS.path)
    request = _request(authorities.csr_pem())
    await office.call(request, used)

    answers = {await _refused(office, request, token) for token in ("", "x", used, "a.b.c")}

    assert {(grpc.StatusCode.UNAUTHENTICATED, "request authenticate failure")} == answers


@pytest.mark.parametrize(
    "data",
    [
        _request(b"junk"),
        _request(b""),
        _request(authorities.csr_pem(), 2**62),
        _request(authorities.csr_pem(), 7776001),
        _field(1, b"\xff\xfe"),
        b"\x0a\xff\xff\xff\xff\x0f",
        b"\x0c" * 50,
    ],
    ids=range(7),
)
async def test_a_request_that_makes_no_sense_is_an_invalid_argument(
    office: Office, data: bytes
) -> None:
    answer = await _refused(office, data, office.tokens.create(REVIEWS.path))

    assert (grpc.StatusCode.INVALID_ARGUMENT, "invalid certificate request") == answer


async def test_another_identity_than_ones_own_is_denied(office: Office) -> None:
    entry = _field(1, b"ImpersonatedIdentity") + _field(
        2, _field(3, f"spiffe://{DOMAIN}/ns/shop/sa/ratings".encode())
    )
    data = _request(authorities.csr_pem(), 0, _field(4, _field(1, entry)))

    code, _ = await _refused(office, data, office.tokens.create(REVIEWS.path))

    assert grpc.StatusCode.PERMISSION_DENIED is code


async def test_what_is_too_long_is_refused_and_the_server_goes_on(office: Office) -> None:
    code, _ = await _refused(office, _request(b"x" * (1 << 20)))
    assert grpc.StatusCode.RESOURCE_EXHAUSTED is code

    token = office.tokens.create(REVIEWS.path)
    assert await office.call(_request(authorities.csr_pem()), token)


async def test_an_unknown_field_of_an_old_client_is_ignored(office: Office) -> None:
    data = _request(authorities.csr_pem(), -1, _field(2, b"somebody"))

    assert await office.call(data, office.tokens.create(REVIEWS.path))


async def test_many_at_once_are_all_served(office: Office) -> None:
    async def one(number: int) -> SpiffeId:
        token = office.tokens.create(f"/node/n{number}")
        said = await office.call(_request(authorities.csr_pem()), token)
        return chain.check(said[:1], said[1:], SystemClock().now())

    names = await asyncio.gather(*(one(number) for number in range(50)))

    assert [SpiffeId(DOMAIN, f"/node/n{number}") for number in range(50)] == names
    assert 50 == office.issuing.counts["issued"]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=300))
def test_any_bytes_are_a_request_or_refused(data: bytes) -> None:
    with contextlib.suppress(InvalidRequest):
        assert istio_service.decoded(data).csr is not None


def test_a_struct_of_any_depth_is_decoded_or_refused() -> None:
    value = b""
    for _ in range(10_000):
        value = _field(6, _field(1, value))
    entry = _field(1, b"deep") + _field(2, value)

    with pytest.raises(InvalidRequest):
        istio_service.decoded(_request(b"csr", 0, _field(4, _field(1, entry))))


def test_a_clock_of_a_test_signs_like_the_real_one(tmp_path: Path) -> None:
    issued = authorities.started(tmp_path, FakeClock()).sign(
        authorities.key().public_key(), REVIEWS
    )

    assert [*issued.chain, "".join(issued.roots)] == _strings(istio_service.response(issued))
