"""The fake BBS says what a real one said: byte for byte, from the recordings."""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import fake_bbs
import httpx
import pytest
from fake_bbs import BUFFER, FakeBbs
from pilot_adapter_cloudfoundry.wire import MESSAGES

from consul_tls import Authority
from foundation import RECORDINGS, recorded_frames

DATE = re.compile(rb"Date: [^\r]*")


@asynccontextmanager
async def client(authority: Authority, bbs: FakeBbs) -> AsyncIterator[httpx.AsyncClient]:
    pair = authority.issue("client")
    context = ssl.create_default_context(cafile=authority.file)
    context.load_cert_chain(pair.cert, pair.key)
    async with httpx.AsyncClient(base_url=bbs.url, verify=context, trust_env=False) as found:
        yield found


def test_a_stream_is_framed_as_the_recorded_one() -> None:
    recorded = (RECORDINGS / "bbs_lrp_instances_r1.raw").read_bytes()
    frames = recorded_frames()
    made = fake_bbs.stream_head() + b"".join(
        fake_bbs.chunk(fake_bbs.frame(number, kind, payload))
        for number, (kind, payload) in enumerate(frames)
    )
    assert 26 == len(frames)
    assert DATE.sub(b"", recorded) == DATE.sub(b"", made)


@pytest.mark.parametrize("moment", ["s1_two_running", "s2_evacuating"])
def test_lists_hold_every_byte_of_the_recorded_ones(tmp_path: Path, moment: str) -> None:
    def said(name: str) -> bytes:
        return (RECORDINGS / f"{moment}.{name}.pb").read_bytes()

    bbs = FakeBbs(Authority(tmp_path))
    for lrp in MESSAGES["ActualLRPsResponse"].FromString(said("actual")).actual_lrps:
        bbs.actual[lrp.instance_key.instance_guid] = lrp
    for lrp in MESSAGES["DesiredLRPsResponse"].FromString(said("routing_infos")).desired_lrps:
        bbs.desired[lrp.process_guid] = lrp
    # Fields that are not declared come last, so the order within a message is another one.
    for path, name, kind in (
        (fake_bbs.ACTUALS, "actual", "ActualLRPsResponse"),
        (fake_bbs.ROUTING, "routing_infos", "DesiredLRPsResponse"),
    ):
        status, made = bbs.answer(path)
        assert (200, sorted(said(name))) == (status, sorted(made))
        assert MESSAGES[kind].FromString(said(name)) == MESSAGES[kind].FromString(made)
    assert (200, said("domains")) == bbs.answer(fake_bbs.DOMAINS)


async def test_who_reads_too_slowly_gets_what_was_waiting_and_a_clean_end(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with FakeBbs(authority) as bbs, client(authority, bbs) as http:
        bbs.is_reading.clear()
        async with http.stream("POST", fake_bbs.EVENTS) as response:
            await bbs.subscribed()
            for _ in range(BUFFER + 10):
                bbs.emit("desired_lrp_removed", b"")
            bbs.is_reading.set()
            body = b"".join([part async for part in response.aiter_raw()])
    assert BUFFER == body.count(b"\n\n")
    assert f"id: {BUFFER - 1}\n".encode() in body


async def test_without_a_certificate_nobody_is_answered(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = ssl.create_default_context(cafile=authority.file)
    async with (
        FakeBbs(authority) as bbs,
        httpx.AsyncClient(verify=context, trust_env=False) as http,
    ):
        with pytest.raises(httpx.HTTPError):
            await http.post(f"{bbs.url}{fake_bbs.DOMAINS}")
