"""The authority: what it signs, how it rotates, and what it does after a crash."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

import authorities
from authorities import DOMAIN, REVIEWS, Fleet
from pilot_certs import chain, public_key
from pilot_certs.authority import Authority, Issued
from pilot_certs.durable import StateError
from pilot_certs.journal import Journal
from pilot_certs.keys import FileKeys
from pilot_certs.refusal import InvalidRequest, NotReady
from pilot_certs.rotation import Due, NotYet
from pilot_certs.signers import State, WrongStep
from pilot_certs.spiffe import SpiffeId
from pilot_core.testing import FakeClock

BY = {"who": "test", "why": "a test"}
HOUR, DAY = 3600.0, 86400.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def authority(tmp_path: Path, clock: FakeClock) -> Authority:
    return authorities.started(tmp_path, clock)


def _leaf(issued: Issued) -> x509.Certificate:
    return x509.load_pem_x509_certificate(issued.chain[0].encode())


def _signed(authority: Authority, seconds: int = 0) -> Issued:
    return authority.sign(authorities.key().public_key(), REVIEWS, seconds=seconds)


def test_a_leaf_is_what_a_verifier_of_spiffe_ids_expects(
    authority: Authority, clock: FakeClock
) -> None:
    issued = _signed(authority)

    assert REVIEWS == chain.check(issued.chain, authority.roots, clock.now())
    leaf = _leaf(issued)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage)
    purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [x509.UniformResourceIdentifier(str(REVIEWS))] == list(names.value)
    assert names.critical
    assert usage.critical
    assert usage.value.digital_signature
    assert not (usage.value.key_cert_sign)
    assert not (usage.value.crl_sign)
    expected = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    assert expected == set(purposes)
    assert [] == list(leaf.subject)
    for kind in (x509.SubjectKeyIdentifier, x509.AuthorityKeyIdentifier):
        assert leaf.extensions.get_extension_for_class(kind)


def test_an_rsa_leaf_may_also_encipher_keys(authority: Authority) -> None:
    key = rsa.generate_private_key(65537, 2048).public_key()
    usage = _leaf(authority.sign(key, REVIEWS)).extensions.get_extension_for_class(x509.KeyUsage)

    assert usage.value.key_encipherment


def test_serial_numbers_are_random_and_long(authority: Authority) -> None:
    serials = {_signed(authority).serial for _ in range(20)}

    assert 20 == len(serials)
    assert min(serials) > 1 << 100


def test_clocks_may_differ_by_two_minutes(authority: Authority, clock: FakeClock) -> None:
    assert clock.now() - 120 == _leaf(_signed(authority)).not_valid_before_utc.timestamp()


@pytest.mark.parametrize(
    ("asked", "granted"), [(0, DAY), (-1, DAY), (-(2**62), DAY), (3600, HOUR), (7776000, 90 * DAY)]
)
def test_a_leaf_lives_as_long_as_was_asked_for_within_bounds(
    authority: Authority, clock: FakeClock, asked: int, granted: float
) -> None:
    assert clock.now() + granted == _signed(authority, asked).window.not_after


@pytest.mark.parametrize("asked", [7776001, 2**31, 2**62, 2**63 - 1])
def test_a_longer_life_than_anybody_gets_is_refused(authority: Authority, asked: int) -> None:
    with pytest.raises(InvalidRequest) as refused:
        _signed(authority, asked)

    assert "ttl" == refused.value.reason


async def test_no_leaf_outlives_its_signer(authority: Authority, clock: FakeClock) -> None:
    signer = authority.signers[0]
    await clock.advance(signer.not_after - clock.now() - HOUR)

    assert signer.not_after == _signed(authority).window.not_after


async def test_a_signer_at_its_end_signs_nothing(authority: Authority, clock: FakeClock) -> None:
    await clock.advance(authority.signers[0].not_after - clock.now() - 599)

    with pytest.raises(NotReady):
        _signed(authority)


@pytest.mark.parametrize("name", [SpiffeId("other.example", "/a"), SpiffeId(DOMAIN)])
def test_names_outside_the_trust_domain_are_refused(authority: Authority, name: SpiffeId) -> None:
    with pytest.raises(InvalidRequest):
        authority.sign(authorities.key().public_key(), name)


def test_the_authority_signs_no_leaf_for_a_key_of_its_own(authority: Authority) -> None:
    own = public_key.allowed(authority.keys.signer(authority.signers[0].id).public_key())

    with pytest.raises(InvalidRequest):
        authority.sign(own, REVIEWS)


def test_each_root_has_a_name_of_its_own(authority: Authority) -> None:
    authority.prepare(**BY)

    subjects = {chain.load(pem).subject for pem in authority.roots}

    assert 2 == len(subjects)


async def test_a_whole_rotation_leaves_no_moment_without_trust(
    authority: Authority, clock: FakeClock
) -> None:
    fleet, before = Fleet(), _signed(authority)
    authority.prepare(**BY)
    prepared = _signed(authority)
    await clock.advance(HOUR)
    authority.activate(fleet, **BY)
    after = _signed(authority)
    old = authority.signers[0]

    assert before.signer == prepared.signer == old.id != after.signer
    for issued in (before, prepared, after):
        assert REVIEWS == chain.check(issued.chain, authority.roots, clock.now())
    with pytest.raises(NotYet, match="valid for another"):
        authority.drop(old.id, fleet, **BY)
    await clock.advance(old.leaves_until - clock.now() + 1)
    authority.drop(old.id[:8], fleet, **BY)
    assert 1 == len(authority.roots)
    # Its own, and the one for tokens.
    assert 2 == len(authority.keys)
    with pytest.raises(chain.Untrusted):
        chain.check(before.chain, authority.roots, before.window.not_after - 1)
    steps = [step.step for step in authority.journal.steps()]
    assert ["init", "prepare", "activate", "drop"] == steps


async def test_a_rotation_goes_on_after_a_crash_between_any_two_steps(
    tmp_path: Path, clock: FakeClock
) -> None:
    fleet = Fleet()
    known = authorities.started(tmp_path, clock).signers
    for round in range(3):
        for step in (Due.PREPARE, Due.ACTIVATE, Due.DROP):
            # Nothing was closed or said goodbye to: this is another process on the same folder.
            authority = authorities.started(tmp_path, clock)
            assert known == authority.signers, (round, step)
            before = _signed(authority)
            due = {
                Due.PREPARE: authority.signers[0].not_after - 30 * DAY,
                Due.ACTIVATE: authority.signers[0].not_after - 7 * DAY,
                Due.DROP: authority.signers[0].leaves_until + 1,
            }[step]
            await clock.advance(max(0.0, due - clock.now()))
            assert step == authority.advance(fleet)
            if step is not Due.DROP:
                chain.check(before.chain, authority.roots, before.window.not_after - 1)
            authority.check()
            known = authority.signers
    assert [State.ACTIVE] == [s.state for s in known]


async def test_a_rotation_waits_for_the_fleet_until_waiting_is_worse(
    authority: Authority, clock: FakeClock
) -> None:
    fleet = Fleet()
    fleet.missing = ["node-1"]
    ends = authority.signers[0].not_after
    await clock.advance(ends - 30 * DAY - clock.now())
    assert Due.PREPARE == authority.advance(fleet)
    await clock.advance(ends - 7 * DAY - clock.now())
    with pytest.raises(NotYet):
        authority.advance(fleet)

    await clock.advance(ends - 300 - clock.now())

    assert Due.ACTIVATE == authority.advance(fleet)
    authority.check()


def test_an_operator_can_force_what_the_fleet_is_not_ready_for(authority: Authority) -> None:
    fleet = Fleet()
    fleet.missing = ["node-1"]
    new = authority.prepare(**BY)
    with pytest.raises(NotYet):
        authority.activate(fleet, **BY)

    authority.activate(fleet, force=True, **BY)

    assert new.id == _signed(authority).signer
    old = authority.taint(authority.signers[0].id, **BY)
    assert authority.signers[0].is_tainted
    authority.drop(old.id, fleet, force=True, **BY)
    assert [new.id] == [s.id for s in authority.signers]


def test_the_active_signer_cannot_be_dropped_even_by_force(authority: Authority) -> None:
    with pytest.raises(WrongStep):
        authority.drop(authority.signers[0].id, Fleet(), force=True, **BY)


def test_a_prepared_signer_can_be_given_up(authority: Authority) -> None:
    new = authority.prepare(**BY)

    authority.drop(new.id, Fleet(), **BY)

    assert 1 == len(authority.signers)


def test_who_follows_hears_of_every_step(authority: Authority) -> None:
    heard: list[int] = []
    authority.subscribe(lambda: heard.append(authority.sequence))
    authority.prepare(**BY)
    authority.activate(Fleet(), force=True, **BY)

    assert [2, 3] == heard


def test_another_trust_domain_does_not_take_over_an_authority(
    tmp_path: Path, clock: FakeClock
) -> None:
    authorities.started(tmp_path, clock)

    with pytest.raises(StateError, match=r"that of mesh\.example, not of other"):
        authorities.unopened(tmp_path, clock).start("other", who="test")


def test_keys_without_a_journal_are_no_reason_for_a_new_authority(
    tmp_path: Path, clock: FakeClock
) -> None:
    authorities.started(tmp_path, clock)
    for path in (tmp_path / "ca").glob("ca.sqlite*"):
        path.unlink()

    with pytest.raises(StateError, match="restore it from a backup"):
        authorities.started(tmp_path, clock)


def test_a_missing_key_is_no_reason_for_a_new_authority(tmp_path: Path, clock: FakeClock) -> None:
    authority = authorities.started(tmp_path, clock)
    authority.keys.delete(authority.signers[0].id)

    with pytest.raises(StateError, match="cannot be read"):
        authorities.started(tmp_path, clock)


def test_a_prepared_signer_without_its_key_is_not_activated(authority: Authority) -> None:
    new = authority.prepare(**BY)
    authority.keys.delete(new.id)

    with pytest.raises(StateError):
        authority.activate(Fleet(), force=True, **BY)

    assert _signed(authority).signer != new.id
    authority.check()


def test_no_private_key_is_in_the_journal_or_in_what_objects_say(
    tmp_path: Path, authority: Authority
) -> None:
    key = authority.keys.signer(authority.signers[0].id)
    numbers = key.private_numbers()
    scalar = getattr(numbers, "private_value", 0)
    forms = (
        str(scalar).encode(),
        scalar.to_bytes(32, "big"),
        f"{scalar:x}".encode(),
        b"PRIVATE KEY",
    )
    said = [repr(authority.signers), repr(vars(authority)), str(authority.journal.steps())]
    shown = "".join(said).encode()
    for path in (tmp_path / "ca").glob("ca.sqlite*"):
        shown += path.read_bytes()

    assert [] == [form for form in forms if form in shown]


def test_the_journal_and_keys_are_known_to_work_before_anything_is_signed(
    tmp_path: Path, clock: FakeClock
) -> None:
    unopened = Authority(Journal(tmp_path / "ca"), FileKeys(tmp_path / "ca" / "keys"), clock)

    with pytest.raises(NotReady):
        unopened.sign(authorities.key().public_key(), REVIEWS)
