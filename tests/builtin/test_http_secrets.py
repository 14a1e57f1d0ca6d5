"""The adapter `http`: tokens, and which authorities it trusts."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from catalogues import catalogue
from http_registry import HttpRegistry
from pilot_core.adapter import Unavailable
from pilot_core.builtin.http import Http, HttpConfig
from pilot_core.testing import FakeClock, RecordingSink, host, session


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that is its own authority, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "registry")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("authority") / "both.pem"
    pem = serialization.Encoding.PEM
    path.write_bytes(
        certificate.public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


def server_tls(authority: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority)
    return context


async def test_a_server_of_a_trusted_authority_is_read(authority):
    async with HttpRegistry(catalogue("a.mesh"), tls=server_tls(authority)) as server:
        http = Http(HttpConfig(url=server.url, ca_file=authority), host())
        async with session(http) as sink:
            await sink.until(lambda: sink.is_synced)
            assert ["a.mesh"] == sink.hostnames


async def test_a_server_of_an_unknown_authority_is_not(authority):
    async with HttpRegistry(catalogue("a.mesh"), tls=server_tls(authority)) as server:
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
