"""The adapter `http`: tokens, and which authorities it trusts."""

from __future__ import annotations

from pathlib import Path

import pytest

import self_signed
from catalogues import catalogue
from http_registry import HttpRegistry
from pilot_core.adapter import Unavailable
from pilot_core.builtin.http import Http, HttpConfig
from pilot_core.testing import FakeClock, RecordingSink, host, session


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed.write(tmp_path_factory.mktemp("authority") / "both.pem")


async def test_a_server_of_a_trusted_authority_is_read(authority):
    async with HttpRegistry(catalogue("a.mesh"), tls=self_signed.server_tls(authority)) as server:
        http = Http(HttpConfig(url=server.url, ca_file=authority), host())
        async with session(http) as sink:
            await sink.until(lambda: sink.is_synced)
            assert ["a.mesh"] == sink.hostnames


async def test_authorities_that_are_written_anew_are_trusted_by_the_next_session(
    authority, tmp_path
):
    mine = self_signed.write(tmp_path / "trusted.pem")
    async with HttpRegistry(catalogue("a.mesh"), tls=self_signed.server_tls(authority)) as server:
        http = Http(HttpConfig(url=server.url, ca_file=mine), host())
        with pytest.raises(Unavailable, match="certificate verify failed"):
            await http.run(RecordingSink())
        mine.write_bytes(authority.read_bytes())
        async with session(http) as sink:
            await sink.until(lambda: sink.is_synced)
            assert ["a.mesh"] == sink.hostnames


async def test_a_server_of_an_unknown_authority_is_not(authority):
    async with HttpRegistry(catalogue("a.mesh"), tls=self_signed.server_tls(authority)) as server:
        with pytest.raises(Unavailable, match="certificate verify failed"):
            await Http(HttpConfig(url=server.url), host()).run(RecordingSink())
        assert [] == server.requests


async def test_the_token_is_read_again_at_every_poll(tmp_path):
    clock, token = FakeClock(), tmp_path / "token"
    token.write_text("first\n")
    async with HttpRegistry() as server:
        config = HttpConfig(url=server.url, token_file=token)
        async with session(Http(config, host(clock))):
            await clock.until_sleepers()
            token.write_text("second")
            await clock.advance(5)
            await server.asked(2)
        sent = [request.headers["authorization"] for request in server.requests]
        assert ["Bearer first", "Bearer second"] == sent


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file"),
        (b"", "holds no token"),
        (b"two words", "holds no token"),
        (b"line\r\nx-evil: yes", "holds no token"),
        (b"\xff\xfe", "cannot be read"),
    ],
    ids=["missing", "empty", "words", "injected", "binary"],
)
async def test_a_token_that_cannot_be_sent_is_said_and_not_shown(tmp_path, content, words):
    token = tmp_path / "token"
    if content is not None:
        token.write_bytes(content)
    async with HttpRegistry() as server:
        config = HttpConfig(url=server.url, token_file=token)
        with pytest.raises(Unavailable, match=words) as caught:
            await Http(config, host()).run(RecordingSink())
        assert "evil" not in str(caught.value)
        assert [] == server.requests
    assert words in str(*Http.check(config))


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
async def test_a_ca_file_that_cannot_be_used_is_said(tmp_path, content):
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    config = HttpConfig(url="https://127.0.0.1:1/", ca_file=file)
    with pytest.raises(Unavailable, match=f"ca_file {file} cannot be used"):
        await Http(config, host()).run(RecordingSink())
    assert f"ca_file {file} cannot be used" in str(*Http.check(config))


async def test_nothing_comes_from_the_environment(monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with HttpRegistry(catalogue("a.mesh")) as server:
        async with session(Http(HttpConfig(url=server.url), host())) as sink:
            await sink.until(lambda: sink.is_synced)
        assert "authorization" not in server.requests[0].headers
