"""What the Cloud Controller adds: users' labels, revisions, weights, domains, network policies."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from bbs_lrps import CELL, GROUP, desired, http_route, process_guid, running, tcp_route
from fake_cloud_controller import SECRET, FakeCloudController, policy, resource, route
from pilot_adapter_cloudfoundry.config import ApiConfig, UaaConfig

from consul_tls import Authority
from foundation import Following, foundation
from pilot_core.document import Duration
from pilot_core.model import Authorization

H, CART = "cart.example.com", process_guid("cart")
PROCESS = CART[:36]


class Named(Following):
    """A foundation with a Cloud Controller."""

    api: FakeCloudController

    def labels(self, hostname: str = H) -> dict[str, str]:
        found = [e for record in self.sink.endpoints(hostname) for e in record.endpoints]
        return dict(found[0].labels) if found else {}

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            await self.bbs.turn()


Make = Callable[..., Awaitable[Named]]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    authority = Authority(tmp_path)
    (tmp_path / "uaa.secret").write_text(f"{SECRET}\n")
    async with AsyncExitStack() as stack:

        async def made(**more: Any) -> Named:
            api = await stack.enter_async_context(FakeCloudController(authority))
            uaa = UaaConfig(
                client_id="pilot-core",
                client_secret_file=tmp_path / "uaa.secret",
                ca_file=authority.file,
            )
            settings = {"interval": Duration(0.1), **more}
            over = ApiConfig(url=api.url, ca_file=authority.file, **settings)
            found = await stack.enter_async_context(foundation(tmp_path, uaa=uaa, api=over))
            found.__class__ = Named
            assert isinstance(found, Named)
            found.api = api
            fill(found)
            return found

        yield made


def fill(found: Named) -> None:
    found.bbs.desire(desired(CART, app="app-1", http=[http_route(H)], tags={"process_type": "web"}))
    found.bbs.run(running("i0", CART))
    api = found.api
    api.add("organizations", resource("org-1", labels={"tier": "org", "cost": "42"}))
    api.add("spaces", resource("space-1", labels={"tier": "space"}, organization="org-1"))
    api.add("apps", resource("app-1", labels={"team": "cart"}, space="space-1"))
    process = resource(PROCESS, labels={"example.com/role": "front"}, app="app-1", revision="rev-1")
    api.add("processes", {**process, "type": "web"})
    api.revisions["rev-1"] = 17


async def test_users_labels_stand_under_a_prefix_and_the_nearest_holds(make: Make) -> None:
    found = await make()
    async with found.session():
        await found.until(lambda: "label.cf/team" in found.labels())
        labels = found.labels()
        assert "space" == labels["label.cf/tier"]
        assert "42" == labels["label.cf/cost"]
        assert "front" == labels["label.cf/example.com/role"]
        assert ("17", "17") == (labels["cf.revision"], labels["version"])
        assert ("i0", "app-1") == (labels["cf.instance.id"], labels["cf.app.id"])


async def test_a_label_called_version_is_the_version(make: Make) -> None:
    found = await make()
    found.api.add("apps", resource("app-1", labels={"version": "v7"}, space="space-1"))
    found.api.kinds["processes"].clear()
    async with found.session():
        await found.until(lambda: found.labels().get("version") == "v7")


async def test_an_application_that_is_renamed_is_so_without_the_cloud_controller(
    make: Make,
) -> None:
    found = await make()
    async with found.session():
        assert "shop" == found.labels()["cf.app.name"]
        tags = {"app_name": "renamed", "process_type": "web"}
        found.bbs.desire(desired(CART, app="app-1", http=[http_route(H)], tags=tags))
        await found.until(lambda: found.labels()["cf.app.name"] == "renamed")


async def test_endpoints_come_and_go_while_nobody_answers_and_labels_stay(make: Make) -> None:
    found = await make()
    async with found.session():
        await found.until(lambda: "label.cf/team" in found.labels())
        found.api.status = 500
        await found.until(lambda: found.sink.notes)
        assert "labels are as they were last" in str(found.sink.notes)
        found.bbs.change("i0", routable=False)
        await found.sees(H, [])
        found.bbs.change("i0", routable=True)
        await found.sees(H, [(f"{CELL}:61011", "i0")])
        assert "cart" == found.labels()["label.cf/team"]
        found.api.status = 200
        await found.until(lambda: not found.sink.notes)


async def test_a_start_without_the_cloud_controller_is_in_sync(make: Make) -> None:
    found = await make()
    found.api.status = 503
    async with found.session():
        assert [(f"{CELL}:61011", "i0")] == found.eps(H)
        found.api.status = 200
        await found.until(lambda: "label.cf/team" in found.labels())


async def test_who_says_how_long_to_wait_is_asked_no_sooner(make: Make) -> None:
    found = await make()
    async with found.session():
        await found.until(lambda: "label.cf/team" in found.labels())
        found.api.limit = 3
        await found.until(lambda: found.sink.notes)
        assert "lets us ask again in 7 s" in str(found.sink.notes)
        asked = len(found.api.asked)
        for _ in range(50):
            await found.bbs.turn()
        assert asked == len(found.api.asked)


async def test_a_token_that_has_ended_is_renewed_once(make: Make) -> None:
    found = await make()
    async with found.session():
        await found.until(lambda: "label.cf/team" in found.labels())
        assert 1 == found.api.given
        found.api.tokens.clear()
        found.api.add("apps", resource("app-1", labels={"team": "other"}, space="space-1"))
        await found.until(lambda: found.labels()["label.cf/team"] == "other")
        assert 2 == found.api.given


async def test_a_token_is_renewed_before_it_ends(make: Make) -> None:
    found = await make()
    found.api.expires_in = 0
    async with found.session():
        await found.until(lambda: found.api.given > 3)
        assert [] == found.sink.notes


async def test_a_wrong_secret_is_told_and_never_shown(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    found = await make()
    (tmp_path / "uaa.secret").write_text("not-the-secret")
    async with found.session():
        await found.until(lambda: found.sink.notes)
        assert "gives no token to pilot-core (401)" in str(found.sink.notes)
    (tmp_path / "uaa.secret").write_text(SECRET)
    async with found.session():
        await found.until(lambda: "label.cf/team" in found.labels())
    shown = f"{caplog.text}{found.sink.notes}{found.sink.sources}"
    secrets = {SECRET, "not-the-secret", *found.api.tokens}
    assert [] == [secret for secret in secrets if secret in shown]


async def test_an_application_that_is_deleted_between_two_pages_loses_no_other(
    make: Make,
) -> None:
    found = await make()
    apps = found.api.kinds["apps"]
    apps.clear()
    for number in range(5):
        app = resource(f"app-{number}", labels={"number": str(number)}, space="space-1")
        found.api.add("apps", app)
        process = process_guid(f"p{number}")
        name = f"p{number}.example.com"
        found.bbs.desire(desired(process, app=f"app-{number}", http=[http_route(name)]))
        lrp = running(f"p{number}-0", process, port=62000 + 10 * number, cell=f"c{number}")
        found.bbs.run(lrp)
    deleted: list[str] = []

    def delete_first(path: str) -> None:
        if path.startswith("/v3/apps") and "page=2" not in path and not deleted:
            deleted.append(apps.pop("app-0")["guid"])

    found.api.between_pages = delete_first
    async with found.session():
        await found.until(lambda: "label.cf/number" in found.labels("p4.example.com"))
        numbers = [found.labels(f"p{n}.example.com").get("label.cf/number") for n in range(1, 5)]
        assert ["1", "2", "3", "4"] == numbers
        assert ["app-0"] == deleted


async def test_weights_of_a_route_are_parted_among_the_instances(make: Make) -> None:
    found = await make()
    other = process_guid("canary")
    found.bbs.desire(desired(CART, app="app-1", http=[http_route(H)], instances=2))
    found.bbs.run(running("i1", CART, 1, port=61020, container="10.255.77.5"))
    found.bbs.desire(desired(other, app="app-2", http=[http_route(H)]))
    found.bbs.run(running("c0", other, port=61030, container="10.255.77.6"))
    found.api.add("routes", route("r1", H, ("app-1", "web", 90), ("app-2", "web", 10)))

    def weights() -> dict[str, int]:
        [record] = found.sink.endpoints(H)
        return {dict(e.labels)["cf.instance.id"]: e.weight for e in record.endpoints}

    async with found.session():
        await found.until(lambda: set(weights().values()) != {1})
        assert {"i0": 45_000, "i1": 45_000, "c0": 10_000} == weights()


async def test_a_router_group_is_known_by_its_domain(make: Make) -> None:
    found = await make()
    domain = {**resource("d1"), "name": "tcp.example.com", "router_group": {"guid": GROUP}}
    found.api.add(
        "domains", domain, {**resource("d2"), "name": "example.com", "router_group": None}
    )
    found.bbs.desire(desired(CART, app="app-1", tcp=[tcp_route(1030)]))
    async with found.session():
        ep = [(f"{CELL}:61011", "i0")]
        await found.until(lambda: found.eps("tcp.example.com", "tcp-1030") == ep)
        assert f"tcp-{GROUP}" not in found.sink.hostnames


async def test_network_policies_say_who_may_call_containers(make: Make) -> None:
    found = await make()
    shop = process_guid("shop")
    found.bbs.desire(desired(CART, app="app-1", internal=["cart.apps.internal"]))
    found.bbs.desire(desired(shop, app="app-2", http=[http_route("shop.example.com")]))
    found.api.policies = [policy("app-2", "app-1"), policy("app-9", "app-1", 9090)]

    def allowed() -> list[Authorization]:
        records = found.sink.sources.get("internal/cart.apps.internal", ())
        return [r for r in records if isinstance(r, Authorization)]

    async with found.session():
        await found.until(allowed)
        [record] = allowed()
        callers = [(rule.caller, rule.is_allowed) for rule in record.rules]
        assert [("shop.example.com", True), ("*", False)] == callers
        assert "calls from app-9, which has no name" in record.unread
        assert "that app-2 may call ports 8080/tcp only" in record.unread
        found.api.policies = None
        await found.until(lambda: not allowed())
