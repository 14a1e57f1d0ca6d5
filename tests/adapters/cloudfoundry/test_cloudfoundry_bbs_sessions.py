"""Sessions with a BBS that goes away, is slow, knows less than before, or says so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import fake_bbs
import pytest
from bbs_lrps import CELL, ENVIRONMENT, KEY, desired, http_route, process_guid, running
from fake_bbs import BUFFER, FakeBbs
from pilot_adapter_cloudfoundry import CloudFoundry
from pilot_adapter_cloudfoundry.config import BbsConfig, CloudFoundryConfig

from consul_tls import Authority
from foundation import Following, foundation, over_bbs, session
from pilot_core.adapter import Adapter, ConfigError, Denied, Unavailable
from pilot_core.config import check, init
from pilot_core.document import Duration
from pilot_core.testing import FakeClock, RecordingSink
from pilot_core.testing.session import host

H, CART = "cart.example.com", process_guid("cart")
EP = [(f"{CELL}:61011", "i0")]
QUICK = {"resync": Duration(0.2)}


@pytest.fixture
async def cart(tmp_path: Path) -> AsyncIterator[Following]:
    async with foundation(tmp_path, bbs=QUICK) as found:
        found.bbs.desire(desired(CART, http=[http_route(H)]))
        found.bbs.run(running("i0", CART))
        yield found


async def ending(found: Following) -> str:
    """The words that end the next session."""
    with found.ends() as caught:
        async with found.session():
            await found.over()
    error: BaseException = caught.value
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)


async def many_unread(found: Following) -> None:
    """More events than the BBS keeps for one that does not read."""
    found.bbs.is_reading.clear()
    for number in range(BUFFER + 10):
        found.bbs.change("i0", since=number + 2)
    found.bbs.is_reading.set()


async def test_a_reader_that_was_too_slow_keeps_everything_and_lists_anew(
    cart: Following,
) -> None:
    with cart.ends("has ended the stream of events"):
        async with cart.session():
            await many_unread(cart)
            await cart.over()
    assert EP == cart.eps(H)

    cart.sink.take_changes()
    cart.bbs.run(running("i1", CART, 1, port=61020, container="10.255.77.5"))
    async with cart.session():
        assert EP == cart.eps(H)
        assert set() == cart.sink.take_changes()


@pytest.mark.parametrize("gracefully", [True, False])
async def test_a_bbs_that_goes_away_takes_nothing_along(cart: Following, gracefully: bool) -> None:
    with cart.ends(""):
        async with cart.session():
            await cart.bbs.stop(gracefully=gracefully)
            await cart.over()
    assert "All connection attempts failed" in await ending(cart)

    await cart.bbs.start()
    cart.bbs.answers[fake_bbs.EVENTS] = fake_bbs.status(503)
    assert "is not ready yet (503)" in await ending(cart)

    del cart.bbs.answers[fake_bbs.EVENTS]
    assert EP == cart.eps(H)
    cart.sink.take_changes()
    async with cart.session():
        assert set() == cart.sink.take_changes()


@pytest.mark.parametrize("path", [fake_bbs.ACTUALS, fake_bbs.ROUTING, fake_bbs.DOMAINS])
@pytest.mark.parametrize("type", [28, 31])
async def test_an_error_inside_a_good_status_leaves_everything_as_it_was(
    cart: Following, path: str, type: int
) -> None:
    async with cart.session():
        assert EP == cart.eps(H)
    cart.bbs.answers[path] = fake_bbs.error(type)
    cart.bbs.desired.clear()
    cart.bbs.actual.clear()
    assert f"error {type}: boom" in await ending(cart)
    assert EP == cart.eps(H)
    assert EP == [(f"{i.address}:61011", i.guid) for i in cart.adapter.parts.diego.serving(CART)]


async def test_an_answer_that_is_no_message_is_told_without_its_content(cart: Following) -> None:
    cart.bbs.answers[fake_bbs.ROUTING] = lambda: (200, b"-----BEGIN RSA PRIVATE KEY-----")
    error = await ending(cart)
    assert "31 bytes are no DesiredLRPsResponse" in error
    assert "PRIVATE" not in error


async def test_a_list_that_says_the_same_puts_nothing(cart: Following) -> None:
    cart.bbs.desire(desired(process_guid("other"), http=[http_route("other.example.com")]))
    async with cart.session():
        cart.sink.puts.clear()
        cart.sink.take_changes()
        asked = len(cart.bbs.asked)
        while cart.bbs.asked[asked:].count(fake_bbs.DOMAINS) < 4:
            await cart.bbs.turn()
        assert ([], set()) == (cart.sink.puts, cart.sink.take_changes())


async def test_an_older_bbs_is_asked_for_whole_processes(cart: Following) -> None:
    cart.bbs.answers[fake_bbs.ROUTING] = fake_bbs.status(404)
    async with cart.session():
        assert EP == cart.eps(H)
        await cart.sink.until(lambda: cart.sink.is_synced)
    assert fake_bbs.DESIRED in cart.bbs.asked


async def test_what_vanishes_while_its_domain_is_not_fresh_stays_until_it_is(
    cart: Following,
) -> None:
    async with cart.session():
        cart.bbs.domains, asked = [], len(cart.bbs.asked)
        del cart.bbs.desired[CART]
        cart.bbs.desired[process_guid("other")] = desired(process_guid("other"))
        await listed_again(cart, asked)
        assert EP == cart.eps(H)
        cart.bbs.domains = ["cf-apps"]
        await cart.sink.until(lambda: cart.sink.hostnames == [])


async def test_after_a_restart_too_what_an_unfresh_domain_lacks_stays(cart: Following) -> None:
    other = process_guid("other")
    cart.bbs.desire(desired(other, http=[http_route("other.example.com")]))
    async with cart.session():
        assert [H, "other.example.com"] == cart.sink.hostnames
    del cart.bbs.desired[CART]
    cart.bbs.domains = []
    restarted = CloudFoundry(cart.adapter.config, host())
    async with session(restarted, cart.sink):
        await cart.sink.until(lambda: cart.sink.lost)
        assert "cf-apps is not fresh" in str(cart.sink.lost)
        await cart.sink.until(lambda: cart.sink.is_synced)
        assert EP == cart.eps(H)
        cart.bbs.domains = ["cf-apps"]
        await cart.sink.until(lambda: cart.sink.hostnames == ["other.example.com"])
        assert [] == cart.sink.lost


async def listed_again(found: Following, since: int) -> None:
    """Wait until two more lists have been asked for, so that the first has been taken."""
    bbs = found.bbs
    while bbs.asked[since:].count(fake_bbs.DOMAINS) < 3:
        bbs.change("i0", since=bbs.actual["i0"].since + 1)
        await bbs.turn()


async def test_a_database_that_knows_nothing_yet_is_not_believed(cart: Following) -> None:
    async with cart.session():
        assert EP == cart.eps(H)
    cart.bbs.desired.clear()
    cart.bbs.actual.clear()
    cart.bbs.domains = []
    assert "its database is not filled yet" in await ending(cart)
    assert EP == cart.eps(H)


async def test_a_list_that_has_lost_much_is_believed_when_the_next_one_says_the_same(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    async with foundation(tmp_path, clock=clock) as found:
        found.bbs.desire(desired(CART, http=[http_route(H)], instances=3))
        for index in range(3):
            where = {"address": f"10.0.16.{index}", "cell": f"cell-{index}"}
            found.bbs.run(running(f"i{index}", CART, index, **where))
        async with found.session():
            assert 3 == len(found.eps(H))
            del found.bbs.actual["i1"], found.bbs.actual["i2"]
            await clock.advance(61)
            while not found.adapter.parts.diego.is_holding:
                await found.bbs.turn()
            assert 3 == len(found.eps(H))
            while found.adapter.parts.diego.is_holding:
                await clock.advance(1)
                await found.bbs.turn()
            await clock.advance(1)
            await found.sees(H, [("10.0.16.0:61011", "i0")])


async def test_a_bbs_behind_a_name_with_several_addresses_is_found_where_it_listens(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    async with FakeBbs(authority, name="localhost") as bbs:
        # The name has ::1 and 127.0.0.1; nobody listens at the first, as with one that stands by.
        url = bbs.url.replace("127.0.0.1", "localhost")
        pair = authority.issue("client")
        config = BbsConfig(url=url, ca_file=authority.file, cert_file=pair.cert, key_file=pair.key)
        async with session(CloudFoundry(CloudFoundryConfig(bbs=config), host())) as sink:
            await sink.until(lambda: sink.is_synced)


async def test_a_certificate_that_is_replaced_is_shown_from_then_on(cart: Following) -> None:
    folder = cart.adapter.config.bbs.ca_file.parent
    async with cart.session():
        assert {"mesh"} == set(cart.bbs.certificates)
        authority = cart.bbs.authority
        newer = authority.issue("mesh-2")
        newer.key.replace(folder / "mesh.key")
        seen = len(cart.bbs.asked)
        # One file after the other is replaced: in between they do not fit together.
        await listed_again(cart, seen)
        newer.cert.replace(folder / "mesh.pem")
        while "mesh-2" not in cart.bbs.certificates:
            await cart.bbs.turn()
        assert EP == cart.eps(H)


async def test_who_shows_a_strangers_certificate_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    stranger = Authority(other).issue("mesh")
    authority = Authority(tmp_path)
    async with FakeBbs(authority) as bbs:
        config = BbsConfig(
            url=bbs.url,
            ca_file=authority.file,
            cert_file=stranger.cert,
            key_file=stranger.key,
        )
        with pytest.raises(ExceptionGroup) as caught:
            await CloudFoundry(CloudFoundryConfig(bbs=config), host()).run(RecordingSink())
        # The alert is lost where the connection is reset before it is read.
        words = "a certificate is refused|does not accept who we are"
        assert caught.group_contains((Denied, Unavailable), match=words)


async def test_a_bbs_that_another_authority_vouches_for_is_not_trusted(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    authority = Authority(tmp_path)
    pair = authority.issue("mesh")
    async with FakeBbs(authority) as bbs:
        config = BbsConfig(
            url=bbs.url, ca_file=Authority(other).file, cert_file=pair.cert, key_file=pair.key
        )
        adapter = CloudFoundry(CloudFoundryConfig(bbs=config), host())
        with pytest.raises(ExceptionGroup) as caught:
            await adapter.run(RecordingSink())
        assert caught.group_contains(Denied, match="a certificate is refused")


async def test_files_that_are_not_there_are_told_by_name(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with FakeBbs(authority) as bbs:
        config = over_bbs(authority, bbs)
        assert [] == list(CloudFoundry.check(config))
        (tmp_path / "mesh.key").unlink()
        [finding] = CloudFoundry.check(config)
        assert ("bbs.key_file", f"there is no file {tmp_path / 'mesh.key'}") == (
            finding.path,
            finding.message,
        )
        with pytest.raises(ExceptionGroup) as caught:
            await CloudFoundry(config, host()).run(RecordingSink())
        assert caught.group_contains(Unavailable, match="files for TLS cannot be used")


async def test_no_key_and_no_environment_is_in_what_is_kept(cart: Following) -> None:
    async with cart.session():
        said = cart.bbs.answer(fake_bbs.ROUTING)[1]
        assert KEY.encode() in said
        assert ENVIRONMENT.encode() in said
        cart.bbs.desire(desired(CART, http=[http_route(H)], tags={"app_name": "renamed"}))
        await cart.sink.until(lambda: "renamed" in str(cart.sink.endpoints(H)))
        diego = cart.adapter.parts.diego
        held = f"{cart.sink.sources}{diego.desired(CART)}{cart.sink.problems}{vars(diego)}"
        assert [] == [secret for secret in (KEY, ENVIRONMENT) if secret in held]


def test_settings_of_a_bbs_that_make_no_sense_are_told() -> None:
    files = {"ca_file": Path("a"), "cert_file": Path("c"), "key_file": Path("k")}
    with pytest.raises(ConfigError) as caught:
        CloudFoundryConfig(bbs=BbsConfig(url="http://bbs:8889", resync=Duration(0), **files))
    assert "bbs.url" in str(caught.value)
    assert "bbs.resync" in str(caught.value)
    with pytest.raises(ConfigError, match="one of bbs and nats"):
        CloudFoundryConfig()


def test_a_first_configuration_asks_for_the_bbs_and_is_sound_once_its_files_are_there(
    tmp_path: Path,
) -> None:
    def kinds(kind: str) -> type[Adapter]:
        assert "cloudfoundry" == kind
        return CloudFoundry

    file = tmp_path / "pilot.yaml"
    file.write_text(init.sample(["cloudfoundry"], adapter_types=kinds))
    found = check.check(file, adapter_types=kinds, environment={})
    missing = ["/etc/pilot-core/bbs-ca.pem", "/etc/pilot-core/bbs.key", "/etc/pilot-core/bbs.pem"]
    assert [f"there is no file {name}" for name in missing] == sorted(f.message for f in found)
    text = file.read_text()
    assert "\n    # nats:\n    #   # `nats://HOST:PORT`" in text
    for name in missing:
        path = tmp_path / Path(name).name
        path.touch()
        text = text.replace(name, str(path))
    file.write_text(text)
    assert [] == check.check(file, adapter_types=kinds, environment={})
