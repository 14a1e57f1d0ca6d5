"""What has been found about custom resources, written into their status: only where that is asked
for, and only by the one replica that leads.

Rule 1: of an object's conditions, only ours is touched, and only where it says something else.
Rule 2: an object that has changed meanwhile is judged anew before it is written.
"""

from __future__ import annotations

import asyncio
import datetime
from typing import Any, NoReturn

import msgspec

from pilot_adapter_kubernetes.api import Api, Refused
from pilot_core.adapter import Host, Term, Unavailable

CONDITION = "pilot-core/Accepted"
_GONE, _CONFLICT = 404, 409
_RETRY = 5.0


class _Verdict(msgspec.Struct, frozen=True):
    collection: str
    """The path of the object's kind, such as `/apis/networking.istio.io/v1`, and its plural."""
    plural: str
    wrong: str


class Statuses:
    """`judge` what has been read; `lead` writes it as long as a term lasts."""

    def __init__(self, api: Api, host: Host) -> None:
        self._api, self._clock, self._log = api, host.clock, host.log
        self._verdicts: dict[str, _Verdict] = {}
        self._dirty: dict[str, None] = {}
        self._changed = asyncio.Event()

    def judge(self, root: str, plural: str, key: str, wrong: str) -> None:
        """The object of that key is wrong, or is not (an empty text)."""
        self._verdicts[f"{plural}/{key}"] = _Verdict(root, plural, wrong)
        self._touch(f"{plural}/{key}")

    def forget(self, plural: str, key: str) -> None:
        self._verdicts.pop(f"{plural}/{key}", None)
        self._dirty.pop(f"{plural}/{key}", None)

    def _touch(self, name: str) -> None:
        self._dirty[name] = None
        self._changed.set()

    async def lead(self, term: Term) -> NoReturn:
        """Write all there is, then what changes."""
        self._dirty |= dict.fromkeys(self._verdicts)
        self._changed.set()
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._dirty and term.holds():
                name = next(iter(self._dirty))
                del self._dirty[name]
                await self._write(name, self._verdicts[name])

    async def _write(self, name: str, verdict: _Verdict) -> None:
        key = name.partition("/")[2]
        namespace, _, short = key.partition("/")
        path = f"{verdict.collection}/namespaces/{namespace}/{verdict.plural}/{short}"
        try:
            found = msgspec.json.decode(await self._api.call("GET", path))
            body = _with_condition(found, verdict.wrong, self._clock.now())
            if body is not None:
                await self._api.call("PATCH", f"{path}/status", body)
        except Refused as refused:
            if refused.status == _CONFLICT:
                self._touch(name)
            elif refused.status != _GONE:
                self._log.warning("status not written", extra={"object": name, "why": str(refused)})
        except Unavailable:
            self._touch(name)
            await self._clock.sleep(_RETRY)


def _with_condition(found: dict[str, Any], wrong: str, now: float) -> dict[str, Any] | None:
    """The patch that says it; None where the object says so already."""
    conditions = (found.get("status") or {}).get("conditions") or []
    meta = found["metadata"]
    mine = {
        "type": CONDITION,
        "status": "False" if wrong else "True",
        "reason": "Invalid" if wrong else "Accepted",
        "message": wrong,
        "observedGeneration": str(meta.get("generation", 0)),
    }
    before: dict[str, Any] = next((c for c in conditions if c.get("type") == CONDITION), {})
    if mine == {name: before.get(name) for name in mine}:
        return None
    stamp = datetime.datetime.fromtimestamp(now, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    is_same = before.get("status") == mine["status"]
    since = before.get("lastTransitionTime", stamp) if is_same else stamp
    others = [c for c in conditions if c.get("type") != CONDITION]
    return {
        "metadata": {"resourceVersion": meta["resourceVersion"]},
        "status": {"conditions": [*others, {**mine, "lastTransitionTime": since}]},
    }
