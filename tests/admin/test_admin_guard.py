"""Who may ask the admin API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from inside import Inside, inside
from mesh import http_get
from pilot_core.admin.guard import is_local
from program import pilot, write_mesh


async def _raw(address: str, *lines: str) -> bytes:
    ip, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(ip, int(port))
    writer.write("\r\n".join([*lines, "connection: close", "", ""]).encode("latin-1"))
    answer = await reader.read()
    writer.close()
    return answer


@pytest.fixture
async def guarded(tmp_path) -> AsyncIterator[Inside]:
    (tmp_path / "token").write_text("s3cret\n")
    more = 'admin: {address: "127.0.0.1:0", token_file: token}\n'
    async with inside(write_mesh(tmp_path, more=more)) as made:
        yield made


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("authorization: Bearer s3cret", 200),
        ("authorization: bearer s3cret", 200),
        ("authorization: Bearer wrong", 401),
        ("authorization: Bearer", 401),
        ("authorization: Basic s3cret", 401),
        ("authorization: Bearer s3cr\xe9t", 401),
        ("x-other: s3cret", 401),
    ],
)
async def test_with_a_token_file_only_its_token_opens(guarded, header, status):
    answer = await _raw(
        guarded.parts.admin.address, "GET /api/v1/services HTTP/1.1", "host: x", header
    )

    assert f"HTTP/1.1 {status} ".encode() == answer[:13]


@pytest.mark.parametrize("path", ["/metrics", "/debug/syncz", "/version", "/api/v1/events", "/x"])
async def test_everything_needs_the_token(guarded, path):
    assert 401 == (await guarded.get(path))[0]


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_probes_need_none(guarded, path):
    assert 200 == (await guarded.get(path))[0]


async def test_a_rotated_token_holds_from_the_next_request_on(guarded, tmp_path):
    (tmp_path / "token").write_text("fresh")
    address = guarded.parts.admin.address
    ask = ("GET /version HTTP/1.1", "host: x")

    old = await _raw(address, *ask, "authorization: Bearer s3cret")
    new = await _raw(address, *ask, "authorization: Bearer fresh")
    (tmp_path / "token").write_text("")
    empty = await _raw(address, *ask, "authorization: Bearer ")

    assert [b"401", b"200", b"401"] == [answer[9:12] for answer in (old, new, empty)]


@pytest.mark.parametrize(
    ("token", "code"), [("right", 0), ("wrong", 4), (None, 4)], ids=["right", "wrong", "none"]
)
async def test_the_command_line_shows_the_token_and_exits_with_4_without(
    guarded, tmp_path, token, code
):
    (tmp_path / "right").write_text("s3cret")
    (tmp_path / "wrong").write_text("other")
    where = f"http://{guarded.parts.admin.address}"
    options = ["--token-file", str(tmp_path / token)] if token else []

    ran = await asyncio.to_thread(pilot, "services", "--server", where, *options)

    assert code == ran.code
    assert bool(code) == ("a token is needed: --token-file FILE" in ran.err)


async def test_off_a_token_no_foreign_name_reaches_it(tmp_path):
    async with inside(write_mesh(tmp_path)) as daemon:
        address = daemon.parts.admin.address
        foreign = await http_get(address, "/api/v1/services", host="evil.example")
        local = await http_get(address, "/api/v1/services", host="localhost:1")

    assert 403 == foreign[0]
    assert b"answers to localhost, not to evil.example" in foreign[1]
    assert 200 == local[0]


async def test_a_403_is_exit_code_4_too(tmp_path):
    async with inside(write_mesh(tmp_path)) as daemon:
        port = daemon.parts.admin.address.rpartition(":")[2]
        # A name that leads to loopback, and is not localhost.
        ran = await asyncio.to_thread(pilot, "services", "--server", f"http://2130706433:{port}")

    assert (4, "") == (ran.code, ran.out)
    assert "this server answers to localhost" in ran.err


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:80", "127.0.0.1:15014", "127.9.9.9", "[::1]:15014"]
)
def test_loopback_is_local_however_it_is_written(host):
    assert is_local(host)


@pytest.mark.parametrize(
    "host", ["", "example.com", "127.0.0.1.example.com:80", "10.0.0.1", "localhost.evil", "[::2]:1"]
)
def test_nothing_else_is_local(host):
    assert not is_local(host)
