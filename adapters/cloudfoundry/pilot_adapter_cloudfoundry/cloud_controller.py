"""The Cloud Controller's lists, page by page, now and then: what users call things.

Rule 1: it is asked seldom, and slower where it says so; nobody waits for it.
Rule 2: pages are no snapshot: what is on two of them is taken once, and a list that has changed
while it was read is read again.
Rule 3: an answer counts whole or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import httpx
import msgspec

from pilot_adapter_cloudfoundry import records
from pilot_adapter_cloudfoundry.config import ApiConfig
from pilot_adapter_cloudfoundry.https import Https
from pilot_adapter_cloudfoundry.names import Names, NetworkPolicy
from pilot_adapter_cloudfoundry.tls import TlsFiles
from pilot_adapter_cloudfoundry.uaa import Uaa
from pilot_core.adapter import Denied, Unavailable

T = TypeVar("T")
_TIMEOUT = 60.0
_PER_PAGE = 5000
_READINGS = 3
"""How often a list is read that changes while it is."""
_PAUSE = 60.0
"""Seconds to wait where it does not say how long."""
_POLICIES = "/networking/v1/external/policies"
_REVISIONS = 50
"""New revisions that are looked up at a time: there is no list of all."""


class Limited(Unavailable):
    """It has had enough of our questions, for `after` seconds."""

    def __init__(self, url: str, after: float) -> None:
        super().__init__(f"{url} lets us ask again in {after:g} s")
        self.after = after


class CloudController:
    """Raises Unavailable or Denied."""

    def __init__(self, config: ApiConfig, uaa: Uaa) -> None:
        self._url, self._uaa = config.url, uaa
        self._https = Https(config.url, TlsFiles(config.ca_file), timeout=_TIMEOUT)
        self._revisions: dict[str, str] = {}

    async def close(self) -> None:
        await self._https.close()

    async def names(self) -> Names:
        """Everything, as it is now."""
        if not self._uaa.url:
            self._uaa.url = await self._login()
        orgs = await self._list("/v3/organizations", records.Named)
        spaces = await self._list("/v3/spaces", records.Space)
        apps = await self._list("/v3/apps", records.App)
        processes = await self._list("/v3/processes", records.Process)
        domains = await self._list("/v3/domains", records.Domain)
        routes = await self._list("/v3/routes", records.Route)
        await self._look_up({p.revision for p in processes.values() if p.revision})
        return Names(
            apps=records.labels_of_apps(orgs, spaces, apps),
            processes=records.labels_of_processes(processes, self._revisions),
            tcp_domains=records.tcp_domains(domains),
            weights=records.weights(routes),
            policies=await self._policies(),
        )

    async def _login(self) -> str:
        response = await self._https.ask("GET", "/")
        found = _decoded(records.Root, response, self._url)
        link = found.links.get("uaa") or found.links.get("login")
        if link is None or not link.href:
            raise Unavailable(f"{self._url} does not say where its UAA is")
        return link.href

    async def _list(self, path: str, kind: type[T]) -> dict[str, T]:
        """By guid."""
        seen: dict[str, T] = {}
        for _ in range(_READINGS):
            found, is_whole = await self._pages(path, kind)
            if is_whole:
                return found
            seen.update(found)
        # It changes faster than it can be read: what has been on any page is there.
        return seen

    async def _pages(self, path: str, kind: type[T]) -> tuple[dict[str, T], bool]:
        """A list, and whether it stood still meanwhile."""
        found: dict[str, T] = {}
        totals: set[int] = set()
        url: str | None = f"{path}?per_page={_PER_PAGE}&order_by=created_at"
        while url:
            page = _decoded(records.Page, await self._ask(url), self._url)
            totals.add(page.pagination.total_results)
            for raw in page.resources:
                item = _converted(kind, raw, self._url)
                found[item.guid] = item  # type: ignore[attr-defined]
                # mypy: every kind of resource has a guid.
            following = page.pagination.next
            url = following.href if following is not None else None
        return found, totals == {len(found)}

    async def _look_up(self, revisions: set[str]) -> None:
        """Which number a revision has; it never changes."""
        for guid in sorted(revisions - self._revisions.keys())[:_REVISIONS]:
            answer = await self._ask(f"/v3/revisions/{guid}", may_miss=True)
            if answer.status_code == 200:
                revision = _decoded(records.Revision, answer, self._url)
                self._revisions[guid] = str(revision.version)

    async def _policies(self) -> tuple[NetworkPolicy, ...] | None:
        """None where we may not see them, or where there is nobody who keeps them."""
        answer = await self._ask(_POLICIES, may_miss=True)
        if answer.status_code != 200:
            return None
        said = _decoded(records.Policies, answer, self._url)
        return tuple(sorted(records.policy(entry) for entry in said.policies or ()))

    async def _ask(self, path: str, *, may_miss: bool = False) -> httpx.Response:
        response = await self._once(path)
        if response.status_code == 401:
            self._uaa.refuse()
            response = await self._once(path)
        status = response.status_code
        if status == 429:
            raise Limited(self._url, _retry_after(response))
        if status == 200 or (may_miss and status in (403, 404)):
            return response
        if status in (401, 403):
            raise Denied(f"{self._url} does not let us read {path.partition('?')[0]} ({status})")
        raise Unavailable(f"{self._url} answers {status} to {path.partition('?')[0]}")

    async def _once(self, path: str) -> httpx.Response:
        return await self._https.ask("GET", path, headers=await self._uaa.headers())


def _retry_after(response: httpx.Response) -> float:
    try:
        return max(1.0, float(response.headers.get("retry-after", _PAUSE)))
    except ValueError:
        return _PAUSE


def _decoded(kind: type[T], response: httpx.Response, url: str) -> T:
    if response.status_code != 200:
        raise Unavailable(f"{url} answers {response.status_code}")
    try:
        return msgspec.json.decode(response.content, type=kind)
    except msgspec.MsgspecError as error:
        raise Unavailable(f"{url} answers something else than expected: {error}") from None


def _converted(kind: type[T], raw: Mapping[str, Any], url: str) -> T:
    try:
        return msgspec.convert(raw, kind)
    except msgspec.MsgspecError as error:
        raise Unavailable(f"{url} answers something else than expected: {error}") from None
