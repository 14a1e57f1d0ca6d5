"""The tour: what the mesh does, shown one step after the other while a background load runs."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from pilot_core.demo import plugin, script
from pilot_core.demo.load import Load, get
from pilot_core.demo.report import NotSeen, Teller
from pilot_core.demo.shop import DOMAIN
from pilot_core.demo.stage import NAMESPACE, SERVICE_PORT, Stage, Workload

_TYPES = ("CDS", "EDS", "LDS", "RDS")
_PATIENCE = 20.0
_LOOK_AGAIN = 0.03
T = TypeVar("T")


class Tour:
    """The steps, in the order in which they make sense."""

    def __init__(self, stage: Stage, teller: Teller) -> None:
        self.stage, self.teller = stage, teller
        self.at: dict[str, Workload] = {}
        self._pythonpath = os.pathsep.join(
            [str(stage.folder / "site"), *filter(None, [os.environ.get("PYTHONPATH")])]
        )

    @property
    def front(self) -> str:
        """Where callers from outside reach the shop: the storefront's sidecar."""
        return f"{self.at['storefront-v1'].address}:{SERVICE_PORT}"

    async def set_up(self) -> None:
        """Everything up to the first request."""
        with self.teller.step("three registries and the control plane") as step:
            plugin.install(self.stage.folder / "site")
            for name in ("storefront", "details", "reviews", "ratings"):
                workload = self.stage.place(name, "v1")
                self.at[workload.name] = workload
            self._write_registries()
            await _all([self._start_applications(), self._start_control_plane()])
            registries = (await self.stage.ask("/api/v1/registries"))["items"]
            step.saw += [
                f"{r['name']:<6} {r['kind']:<6} {r['services']} services, {r['state']}"
                for r in registries
            ]
        with self.teller.step("four applications, an Envoy beside each") as step:
            await _all(self.stage.sidecar(workload) for workload in self.at.values())
            proxies = await self._until("all proxies in sync", self._proxies_in_sync)
            step.saw.append(f"{len(proxies)} Envoys connected, everything acknowledged")
        with self.teller.step("a request through the chain") as step:
            said = await self._until("an answer from the storefront", self._chain)
            step.saw.append(_chain_in_words(said))
        with self.teller.step("mutual TLS: who calls is proved") as step:
            said = await self._until("callers with certificates", self._proved_chain)
            step.saw += _callers_in_words(said)

    async def show(self) -> None:
        """The changes, each under load."""
        load = Load(self.front, f"storefront.{DOMAIN}")
        try:
            async with load:
                await load.after(20)
                await self._add_an_endpoint(load)
                await self._move_a_service(load)
                await self._refuse_a_broken_file(load)
                await self._lose_a_registry_and_restart(load)
                await load.after(20)
        finally:
            # Once the load has ended: what was on its way counts too.
            counted = load.counted
            self.teller.report.requests = {
                "total": counted.total,
                "failed": counted.failed,
                "first_failures": counted.first_failures,
            }
        with self.teller.step("no request lost") as step:
            step.saw.append(f"{counted.total} requests during all this, {counted.failed} failed")
            if counted.failed:
                raise NotSeen("; ".join(counted.first_failures))
        with self.teller.step("who is in sync: pilot-core ps"):
            items = (await self.stage.ask("/api/v1/proxies"))["items"]
            self.teller.report.proxies = items
        for line in _ps(self.teller.report.proxies):
            self.teller.say(f"      {line}")

    async def _start_applications(self) -> None:
        for workload in await _all(map(self.stage.application, self.at.values())):
            self.at[workload.name] = workload

    async def _start_control_plane(self) -> None:
        await self._start_registry()
        await self._start_daemon()
        await self.stage.keep_roots()

    async def _add_workload(self, service: str, instance: str) -> Workload:
        """One more, whose sidecar is there before a registry tells of it, as a platform that waits
        for readiness would have it."""
        added = await self.stage.application(self.stage.place(service, instance))
        await self.stage.sidecar(added)
        self.at[added.name] = added
        await self._until("its Envoy in sync", self._proxies_in_sync)
        return added

    def _write_registries(self) -> None:
        folder = self.stage.folder
        shop = [script.service(n, [self.at[f"{n}-v1"]]) for n in ("storefront", "details")]
        script.write(folder / "catalogue" / "shop.yaml", script.document(*shop))
        reviews = script.service("reviews", [self.at["reviews-v1"]])
        script.write(folder / "web.yaml", script.document(reviews))
        plugin.write(folder / "books.json", {f"ratings.{DOMAIN}": [self.at["ratings-v1"]]})

    async def _start_registry(self) -> None:
        registry = await self.stage.start(
            "web-registry",
            *("-m", "pilot_core.demo.catalogue_server", str(self.stage.folder / "web.yaml")),
            *("--address", self.stage.catalogue),
        )
        await registry.line()

    async def _start_daemon(self) -> None:
        path = self.stage.folder / "pilot.yaml"
        path.write_text(script.configuration(self.stage, plugin.KIND))
        await self.stage.start(
            "pilot-core", "-m", "pilot_core", "run", "-c", str(path), PYTHONPATH=self._pythonpath
        )
        await self._until("the control plane", self._is_up)

    async def _add_an_endpoint(self, load: Load) -> None:
        with self.teller.step("an endpoint added while traffic flows") as step:
            second = await self._add_workload("reviews", "v2")
            both = [self.at["reviews-v1"], second]
            document = script.document(script.service("reviews", both))
            script.write(self.stage.folder / "web.yaml", document)
            started = time.monotonic()
            await self._until("answers of reviews v2", self._answered_by("reviews", "v2"))
            took = time.monotonic() - started
            step.saw.append(f"reviews v2 answered {took:.2f} s after the registry knew of it")
            await load.after(20)

    async def _move_a_service(self, load: Load) -> None:
        with self.teller.step("a service moved from one registry to another") as step:
            moved = await self._add_workload("ratings", "v2")
            folder = self.stage.folder
            ratings = script.document(script.service("ratings", [moved]))
            script.write(folder / "catalogue" / "ratings.yaml", ratings)
            await self._until("ratings in both registries", self._registries_of("files", "books"))
            step.saw.append(f"ratings.{DOMAIN} is in files and in books: endpoints of both")
            await load.after(20)
            plugin.write(folder / "books.json", {})
            await self._until("ratings in one registry", self._registries_of("files"))
            await self._until("answers of ratings v2", self._answered_by("ratings", "v2"))
            step.saw.append(f"ratings.{DOMAIN} is in files alone, under the same name")
            await load.after(20)

    async def _refuse_a_broken_file(self, load: Load) -> None:
        with self.teller.step("a broken file refused, with its line") as step:
            path = self.stage.folder / "catalogue" / "ratings.yaml"
            good = path.read_text()
            script.write(path, good.replace("number: 80", "number: eighty"))
            problem = await self._until("a problem that names it", self._problem_at("ratings.yaml"))
            step.saw.append(f"{_short(problem['origin'])}: {problem['message']}")
            await load.after(20)
            script.write(path, good)
            await self._until("the problem gone", self._no_problem_at("ratings.yaml"))
            step.saw.append("mended: the problem is gone")

    async def _lose_a_registry_and_restart(self, load: Load) -> None:
        with self.teller.step("a registry killed, pilot-core killed and restarted") as step:
            await self.stage.processes.pop("web-registry").kill()
            await self._until("the registry stale", self._state_of("web", "stale"))
            step.saw.append("web is stale: what it last said is served on")
            await load.after(20)
            await self.stage.processes.pop("pilot-core").kill()
            await load.after(20)
            await self._start_daemon()
            reviews = await self.stage.ask(f"/api/v1/services/reviews.{DOMAIN}")
            endpoints = reviews["endpoints"]["total"]
            step.saw.append(f"restarted without it: reviews still has {endpoints} endpoints")
            await self._until("all proxies in sync", self._proxies_in_sync)
            await load.after(20)
            await self._start_registry()
            await self._until("the registry back", self._state_of("web", "synced"))
            step.saw.append("web is back, and in sync")

    async def _until(self, what: str, look: Callable[[], Awaitable[Any]]) -> Any:
        """What `look` sees, once it sees something. Raises NotSeen after 20 seconds."""
        deadline = time.monotonic() + _PATIENCE
        last: Exception | None = None
        while time.monotonic() < deadline:
            self.stage.check()
            try:
                if seen := await look():
                    return seen
            except (OSError, TimeoutError, KeyError, ValueError) as error:
                last = error
            await asyncio.sleep(_LOOK_AGAIN)
        raise NotSeen(f"waited {_PATIENCE:.0f} s for {what}" + (f" ({last})" if last else ""))

    async def _is_up(self) -> bool:
        return bool(await self.stage.ask("/api/v1/registries")) and await self._is_ready()

    async def _is_ready(self) -> bool:
        services = (await self.stage.ask("/api/v1/services"))["items"]
        return len(services) >= 4

    async def _proxies_in_sync(self) -> list[Any]:
        items: list[Any] = (await self.stage.ask("/api/v1/proxies"))["items"]
        in_sync = [p for p in items if all(_state(p, t) == "synced" for t in _TYPES)]
        return in_sync if len(in_sync) == len(self.at) else []

    async def _chain(self) -> dict[str, Any]:
        status, said = await get(self.front, f"storefront.{DOMAIN}")
        return said if status == 200 else {}

    async def _proved_chain(self) -> dict[str, Any]:
        """An answer in which everybody inside the mesh has heard who called."""
        said = await self._chain()
        expected = {
            "details": _identity("storefront"),
            "reviews": _identity("storefront"),
            "ratings": _identity("reviews"),
        }
        return said if expected == _callers(said) else {}

    def _answered_by(self, service: str, instance: str) -> Callable[[], Awaitable[bool]]:
        async def look() -> bool:
            said = await self._chain()
            inner = said.get("reviews", {})
            found = inner if service == "reviews" else inner.get(service, {})
            return bool(found.get("instance") == instance)

        return look

    def _registries_of(self, *names: str) -> Callable[[], Awaitable[bool]]:
        async def look() -> bool:
            ratings = await self.stage.ask(f"/api/v1/services/ratings.{DOMAIN}")
            return bool(ratings["registries"] == list(names))

        return look

    def _state_of(self, registry: str, state: str) -> Callable[[], Awaitable[bool]]:
        async def look() -> bool:
            items = (await self.stage.ask("/api/v1/registries"))["items"]
            return any(r["name"] == registry and r["state"] == state for r in items)

        return look

    def _problem_at(self, file: str) -> Callable[[], Awaitable[dict[str, Any]]]:
        async def look() -> dict[str, Any]:
            items = (await self.stage.ask("/api/v1/problems"))["items"]
            return next((p for p in items if file in (p["origin"] or "")), {})

        return look

    def _no_problem_at(self, file: str) -> Callable[[], Awaitable[bool]]:
        async def look() -> bool:
            return not await self._problem_at(file)()

        return look


async def _all(works: Iterable[Awaitable[T]]) -> list[T]:
    """What they return. All of them come to an end, so that nothing is started behind a failure."""
    done = await asyncio.gather(*works, return_exceptions=True)
    for result in done:
        if isinstance(result, BaseException):
            raise result
    return [result for result in done if not isinstance(result, BaseException)]


def _identity(account: str) -> str:
    return f"spiffe://cluster.local/ns/{NAMESPACE}/sa/{account}"


def _callers(said: dict[str, Any]) -> dict[str, Any]:
    """Who has called each service, as its proxy has seen it proved."""
    found = {name: said.get(name, {}).get("caller") for name in ("details", "reviews")}
    return found | {"ratings": said.get("reviews", {}).get("ratings", {}).get("caller")}


def _callers_in_words(said: dict[str, Any]) -> list[str]:
    return [f"{name} was called by {caller}" for name, caller in _callers(said).items()]


def _short(origin: str) -> str:
    return origin.rpartition("/")[2]


def _chain_in_words(said: dict[str, Any]) -> str:
    reviews = said["reviews"]
    return (
        f"storefront → details ({said['details']['book']}) and reviews {reviews['instance']}"
        f" → ratings {reviews['ratings']['instance']}: 200"
    )


def _state(proxy: dict[str, Any], kind: str) -> str:
    """How far a proxy is with a type; `-` before it has asked for it."""
    return str((proxy["types"][kind] or {}).get("state", "-"))


def _ps(proxies: list[dict[str, Any]]) -> list[str]:
    rows = [["PROXY", "VARIANT", *_TYPES]]
    rows += [[p["workload"], p["variant"], *(_state(p, t) for t in _TYPES)] for p in proxies]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
