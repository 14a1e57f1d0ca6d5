"""The authority of a real daemon, through the verbs that people use."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from inside import Inside, inside
from joining import secure_mesh
from pilot_certs import audit, chain
from pilot_certs.validity import Lifetimes
from pilot_core.admin import openapi
from program import Ran, pilot, process, running, write_mesh

Verb = Callable[..., Any]


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Inside]:
    async with inside(secure_mesh(tmp_path)) as made:
        yield made


@pytest.fixture
def verb(daemon: Inside, tmp_path: Path) -> Verb:
    async def run(*arguments: str, token: bool = True) -> Ran:
        more = ["--server", f"http://{daemon.parts.admin.address}"]
        if token:
            more += ["--token-file", str(tmp_path / "state" / "admin.token")]
        return await asyncio.to_thread(pilot, *arguments, *more)

    return run


async def test_the_first_start_makes_an_authority_which_is_shown(verb: Verb) -> None:
    shown = await verb("ca", "status", "-o", "json")

    said = json.loads(shown.out)
    [signer] = said["signers"]
    assert ("active", True, False) == (signer["state"], signer["is_root"], signer["tainted"])
    assert ("cluster.local", 1, None) == (said["trust_domain"], said["sequence"], said["damage"])
    assert ["init"] == [step["step"] for step in said["steps"]]
    assert signer["id"][:12] in (await verb("ca", "status")).out


async def test_a_rotation_by_hand_waits_for_what_it_has_to_wait_for(verb: Verb) -> None:
    prepared = (await verb("ca", "prepare", "--why", "a drill")).out.split()[0]
    early = await verb("ca", "activate")
    assert 1 == early.code
    assert "was prepared too short ago" in early.err
    assert "--force" in early.err

    assert f"{prepared} active\n" == (await verb("ca", "activate", "--force")).out
    old = json.loads((await verb("ca", "status", "-o", "json")).out)["signers"][0]["id"]
    assert f"{old[:12]} tainted\n" == (await verb("ca", "taint", old[:8])).out
    assert f"{old[:12]} dropped\n" == (await verb("ca", "drop", old[:8], "--force")).out

    said = json.loads((await verb("ca", "status", "-o", "json")).out)
    assert [prepared] == [s["id"][:12] for s in said["signers"]]
    steps = ["init", "prepare", "activate", "taint", "drop"]
    assert steps == [step["step"] for step in said["steps"]]
    assert "a drill" == said["steps"][1]["why"]


async def test_a_step_that_does_not_follow_says_what_does(verb: Verb) -> None:
    assert "prepare one first" in (await verb("ca", "activate")).err
    assert "0 signers are called 'ffff'" in (await verb("ca", "drop", "ffff")).err


async def test_changes_need_the_token_also_on_loopback(verb: Verb, daemon: Inside) -> None:
    for arguments in (
        ("ca", "prepare"),
        ("token", "create", "--identity", "/ns/shop/sa/reviews"),
    ):
        refused = await verb(*arguments, token=False)
        assert 4 == refused.code
        assert "admin.token" in refused.err

    assert 1 == len((await daemon.ask("/api/v1/ca"))["signers"])


async def test_the_token_is_for_nobody_else_s_eyes(daemon: Inside, tmp_path: Path) -> None:
    path = tmp_path / "state" / "admin.token"

    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert 40 < len(path.read_text())


async def test_what_is_exported_is_what_is_to_be_trusted(verb: Verb, daemon: Inside) -> None:
    exported = (await verb("ca", "export")).out

    assert daemon.parts.identity is not None
    assert daemon.parts.identity.authority.roots == chain.split(exported.encode())


async def test_signers_are_in_the_list_of_certificates(verb: Verb) -> None:
    listed = await verb("certs", "-o", "json")

    [entry] = json.loads(listed.out)["items"]
    assert ("signer", "active", "spiffe://cluster.local") == (
        entry["kind"],
        entry["state"],
        entry["name"],
    )
    assert 0 == listed.code


async def test_a_join_token_is_made_shown_once_and_written_down_without_itself(
    verb: Verb, tmp_path: Path
) -> None:
    made = await verb("token", "create", "--namespace", "shop", "--service-account", "reviews")

    assert 0 == made.code
    token = made.out.strip()
    assert token.startswith("pilot-join-")
    assert "spiffe://cluster.local/ns/shop/sa/reviews" in made.err
    written = (tmp_path / "state" / "audit.jsonl").read_text()
    assert '"event":"token"' in written
    assert token not in written
    assert 1 == audit.verify(tmp_path / "state" / "audit.jsonl")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "say for whom"),
        (("--identity", "ns/shop"), 1, "no path of a SPIFFE id"),
        (("--identity", "/ns/../x"), 1, "no path of a SPIFFE id"),
        (("--identity", "/a", "--ttl", "25h"), 1, "a token lives up to 86400 s"),
        (("--identity", "/a", "--ttl", "soon"), 2, "not a duration"),
    ],
)
async def test_a_token_for_nothing_sensible_is_refused(
    verb: Verb, arguments: tuple[str, ...], code: int, words: str
) -> None:
    refused = await verb("token", "create", *arguments)

    assert code == refused.code
    assert words in refused.err


async def test_every_answer_has_the_described_shape(daemon: Inside) -> None:
    described = openapi.document()["components"]["schemas"]

    for path, shape in (("/api/v1/ca", "ShownAuthority"),):
        assert set(described[shape]["properties"]) == set(await daemon.ask(path))
    [certificate] = await daemon.items("/api/v1/certs")
    assert set(described["ShownCertificate"]["properties"]) == set(certificate)


async def test_readiness_says_whether_the_authority_signs(daemon: Inside, tmp_path: Path) -> None:
    assert daemon.parts.identity is not None
    assert (200, "[+] authority: signs") == await _last_line(daemon)
    daemon.parts.identity.authority.journal.close()
    # So long ahead nothing is written down yet, and a closed journal takes nothing.
    daemon.parts.identity.authority.lifetimes = Lifetimes(leaf=80 * 86400.0)

    status, line = await _last_line(daemon)
    assert 200 == status
    assert line.startswith("[-] authority: the journal is closed")


async def _last_line(daemon: Inside) -> tuple[int, str]:
    status, text = await daemon.get("/readyz?verbose=1")
    return status, text.splitlines()[-1]


async def test_metrics_show_the_authority(daemon: Inside) -> None:
    _, page = await daemon.get("/metrics")
    values = dict(line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))

    assert 364 * 86400 < float(values["citadel_server_root_cert_expiry_seconds"]) < 366 * 86400
    assert 1 == float(values['pilot_certs_signers{state="active"}'])
    assert 1 == float(values["pilot_certs_bundle_sequence"])


@pytest.mark.parametrize("body", ["[]", "{", '{"paths": 5}', '{"x": 1}', "x" * 5000])
async def test_a_body_that_is_nothing_is_refused_with_words(
    daemon: Inside, tmp_path: Path, body: str
) -> None:
    token = (tmp_path / "state" / "admin.token").read_text()
    status, said = await daemon.post("/api/v1/tokens", body, token=token)

    assert 400 == status
    assert said["error"]


async def test_a_server_without_an_authority_says_how_to_start_one(tmp_path: Path) -> None:
    async with inside(write_mesh(tmp_path)) as plain:
        where = f"http://{plain.parts.admin.address}"
        asked = await asyncio.to_thread(pilot, "ca", "status", "--server", where)

        assert 1 == asked.code
        assert "xds.secure_address" in asked.err


def test_init_makes_an_authority_once_and_run_takes_it(tmp_path: Path) -> None:
    config = secure_mesh(tmp_path)
    first = pilot("ca", "init", "-c", str(config))
    again = pilot("ca", "init", "-c", str(config))

    assert (0, 0) == (first.code, again.code)
    assert first.out == again.out
    with running(config) as daemon:
        shown = pilot("ca", "status", "--server", daemon.server)
        assert first.out.split()[-1] in shown.out
        busy = pilot("ca", "init", "-c", str(config))
        assert 2 == busy.code
        assert "is used by another pilot-core" in busy.err


@pytest.mark.parametrize("damage", ["both journals", "a key", "rights"])
def test_a_damaged_authority_stops_the_start_with_words_and_is_never_replaced(
    tmp_path: Path, damage: str
) -> None:
    config = secure_mesh(tmp_path)
    made = pilot("ca", "init", "-c", str(config))
    assert 0 == made.code
    folder = tmp_path / "state" / "ca"
    keys = sorted((folder / "keys").iterdir())
    [key] = [path for path in keys if path.name.startswith(made.out.split()[-1])]
    if damage == "both journals":
        for name in ("ca.sqlite", "ca.sqlite.prev"):
            (folder / name).write_bytes(b"nothing")
    elif damage == "a key":
        key.write_text("nothing")
    else:
        os.chmod(key, 0o644)

    started = process("run", "-c", str(config))
    assert 1 == started.code
    assert str(folder) in started.err
    assert "Traceback" not in started.err
    assert keys == sorted((folder / "keys").iterdir())
