"""Logging in by an auth method of a real Consul; policies that suffice, and not by accident."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from consul_catalogue import causes, clear, register
from consul_server import ConsulAgent
from pilot_adapter_consul.adapter import Consul
from pilot_adapter_consul.settings import ConsulConfig, LoginSettings
from pilot_core.config import init
from pilot_core.model import Protocol
from pilot_core.testing import FakeClock, RecordingSink, host, session
from server_process import Refused

WEB = "web.service.consul"
ROOT = Path(__file__).parents[3]


class Issuer:
    """Signs the bearer tokens of one auth method."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())

    @property
    def public(self) -> str:
        encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        return self._key.public_key().public_bytes(encoding, form).decode()

    def token(self, subject: str = "pilot-core", *, lasts: float = 600) -> str:
        now = int(time.time())
        claims = {"iss": "test", "sub": subject, "iat": now, "exp": now + int(lasts)}
        return str(jwt.encode(claims, self._key, algorithm="ES256"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def locked() -> AsyncIterator[ConsulAgent]:
    async with ConsulAgent(acl=True) as running:
        rules = 'service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }'
        await running.call("PUT", "/v1/acl/policy", {"Name": "reader", "Rules": rules})
        role = {"Name": "reader", "Policies": [{"Name": "reader"}]}
        await running.call("PUT", "/v1/acl/role", role)
        yield running


@pytest.fixture
async def consul(locked: ConsulAgent) -> ConsulAgent:
    await clear(locked)
    await register(locked, "web")
    return locked


async def policy(consul: ConsulAgent, name: str, rules: str) -> str:
    """A token with exactly this policy."""
    await consul.call("PUT", "/v1/acl/policy", {"Name": name, "Rules": rules})
    made = await consul.call("PUT", "/v1/acl/token", {"Policies": [{"Name": name}]})
    return str(made["SecretID"])


@pytest.fixture
async def issuer(consul: ConsulAgent) -> Issuer:
    """Of the auth method `jwt`, which gives whoever it vouches for the right to read."""
    made = Issuer()
    with contextlib.suppress(Refused):  # there is none yet
        await consul.call("DELETE", "/v1/acl/auth-method/jwt")
    config = {"JWTValidationPubKeys": [made.public], "BoundIssuer": "test"}
    method = {"Name": "jwt", "Type": "jwt", "MaxTokenTTL": "90s", "Config": config}
    await consul.call("PUT", "/v1/acl/auth-method", method)
    binding = {"AuthMethod": "jwt", "BindType": "role", "BindName": "reader"}
    await consul.call("PUT", "/v1/acl/binding-rule", binding)
    return made


def login(consul: ConsulAgent, file: Path, clock: Any = None) -> Consul:
    settings = LoginSettings(auth_method="jwt", bearer_file=file)
    return Consul(ConsulConfig(address=consul.address, login=settings), host(clock))


async def logged_in(consul: ConsulAgent) -> set[str]:
    tokens = await consul.call("GET", "/v1/acl/tokens?authmethod=jwt")
    return {token["AccessorID"] for token in tokens}


async def test_whom_an_auth_method_vouches_for_reads_and_logs_out_at_the_end(
    consul, issuer, tmp_path
):
    file = tmp_path / "bearer"
    file.write_text(issuer.token())
    async with session(login(consul, file)) as sink:
        await sink.until(lambda: sink.is_synced)
        assert ["10.1.0.1"] == sink.addresses(WEB)
        assert 1 == len(await logged_in(consul))
    assert set() == await logged_in(consul)


async def test_another_token_is_asked_for_before_the_first_expires(consul, issuer, tmp_path):
    file = tmp_path / "bearer"
    file.write_text(issuer.token())
    clock = FakeClock()
    async with session(login(consul, file, clock)) as sink:
        await sink.until(lambda: sink.is_synced)
        [first] = await logged_in(consul)
        await clock.advance(61)  # two thirds of 90 s
        await register(consul, "web", "10.1.0.2")
        await sink.until(lambda: ["10.1.0.1", "10.1.0.2"] == sink.addresses(WEB))
        while first in await logged_in(consul):
            await clock.advance(0.1)
        assert 1 == len(await logged_in(consul))


async def test_a_bearer_that_the_method_does_not_take_is_refused_with_its_words(
    consul, issuer, tmp_path
):
    file = tmp_path / "bearer"
    file.write_text(issuer.token(lasts=-600))
    with pytest.raises(BaseException) as refused:
        await login(consul, file).run(RecordingSink())
    assert f"auth method jwt does not take what is in {file}: " in causes(refused.value)
    file.unlink()
    with pytest.raises(BaseException) as missing:
        await login(consul, file).run(RecordingSink())
    assert f"bearer_file {file} cannot be read: No such file" in causes(missing.value)
    config = ConsulConfig(
        address=consul.address, login=LoginSettings(auth_method="jwt", bearer_file=file)
    )
    assert ["No such file or directory"] == [
        found.message.rpartition(": ")[2] for found in Consul.check(config)
    ]


def advertised() -> str:
    """The policy in the configuration that `init` prints: what is written after each `#`."""
    text = init.sample(["consul"], adapter_types=lambda kind: Consul)
    words = " ".join(line.partition("#")[2].strip() for line in text.splitlines())
    found = re.findall(r'(?:service|node)_prefix "" \{ policy = "read" \}', words)
    return "\n".join(dict.fromkeys(found))


def documented() -> str:
    """The first policy in the adapter's documentation."""
    text = (ROOT / "docs" / "adapters" / "consul.md").read_text()
    return text.split("```hcl\n", 1)[1].split("```", 1)[0]


@pytest.mark.parametrize("rules", [advertised, documented])
async def test_the_policy_that_people_are_told_to_write_is_enough(consul, tmp_path, rules):
    file = tmp_path / "token"
    assert rules()
    file.write_text(await policy(consul, rules.__name__, rules()))
    entry = {"Kind": "service-defaults", "Name": "web", "Protocol": "http"}
    await consul.call("PUT", "/v1/config", entry)
    intentions = {"Kind": "service-intentions", "Name": "web"}
    intentions["Sources"] = [{"Name": "*", "Action": "deny"}]  # type: ignore[assignment]  # JSON
    await consul.call("PUT", "/v1/config", intentions)
    config = ConsulConfig(address=consul.address, token_file=file)
    async with session(Consul(config, host())) as sink:
        await sink.until(lambda: sink.is_synced)
        assert [Protocol.HTTP] == [port.protocol for port in sink.services[WEB].ports]
        assert {"config/service-defaults/web", "config/service-intentions/web"} <= set(sink.sources)
        await register(consul, "web", "10.1.0.2")
        await sink.until(lambda: ["10.1.0.1", "10.1.0.2"] == sink.addresses(WEB))
        assert [] == sink.problems


async def test_peers_need_a_rule_of_their_own_and_its_lack_is_said(consul, tmp_path):
    file = tmp_path / "token"
    file.write_text(await policy(consul, "no-peers", documented()))
    config = ConsulConfig(address=consul.address, token_file=file, peers=("east",))
    async with session(Consul(config, host())) as sink:
        await sink.until(lambda: WEB in sink.hostnames)
        for _ in range(6):  # Consul takes ten seconds and more to say this no
            with contextlib.suppress(TimeoutError):
                await sink.until(lambda: sink.lost)
                break
        [(_, message)] = sink.lost
        assert message.startswith("peer east: ")
        assert 'needs peering = "read"' in message


async def test_keys_need_a_rule_of_their_own_and_its_lack_is_said(consul, tmp_path):
    await consul.call("PUT", "/v1/kv/mesh/a", {"services": [{"hostname": "kv.mesh"}]})
    file = tmp_path / "token"
    file.write_text(await policy(consul, "no-keys", documented()))
    config = ConsulConfig(address=consul.address, token_file=file, kv="mesh/")
    reader, sink = Consul(config, host()), RecordingSink()
    async with session(reader, sink):
        await sink.until(lambda: sink.is_synced)
        [(_, said)] = sink.notes
        assert 'it needs key_prefix "mesh/" read' in said
    rules = documented() + '\nkey_prefix "mesh/" { policy = "read" }'
    file.write_text(await policy(consul, "keys", rules))
    sink.next_session()
    async with session(reader, sink):
        await sink.until(lambda: sink.is_synced)
        assert ("kv.mesh" in sink.hostnames, []) == (True, sink.notes)
    # The right is taken away: what was read stays.
    file.write_text(await policy(consul, "keys-gone", documented()))
    sink.next_session()
    async with session(reader, sink):
        await sink.until(lambda: sink.is_synced)
        assert "kv.mesh" in sink.hostnames
