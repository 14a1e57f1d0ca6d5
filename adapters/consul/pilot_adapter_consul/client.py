"""The API of `python-consul2` over an agent's connections: KV, transactions, sessions, ACL.

The library's own transports make a connection for each request, trust no authority of ours, show
no client certificate and take address and token from the environment
(github.com/poppyred/python-consul2). So its endpoints run on this one.

Rule 1: what is refused or out of reach is an error of the contract, Denied or Unavailable. Wrong
requests stay the library's errors: `BadRequest`, `NotFound`, `ClientError`.
Rule 2: an answer that leaves out what the token may not see is Denied: partial is not an answer.
Rule 3: no blocking queries; `Agent.read` has the timeouts and the headers for them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import partialmethod
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from consul import base

from pilot_adapter_consul.agent import Agent
from pilot_core.adapter import Denied, Unavailable

T = TypeVar("T")

_Params = Iterable[tuple[str, object]] | None
_TOO_MANY = 429


class Client:
    """The endpoints of one agent, each a class of the library's with coroutines for methods.

    A `token` given to a method goes before the one in the agent's file.
    """

    def __init__(self, agent: Agent, *, datacenter: str = "") -> None:
        # What the library's endpoints want to find; an agent's file has the token.
        self.http = Transport(agent)
        self.token: str | None = None
        self.dc = datacenter or None
        self.consistency = "default"
        with warnings.catch_warnings():
            # The library warns of its legacy ACL endpoints whenever it makes these.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.acl: Any = base.Consul.ACL(self)
        self.catalog: Any = base.Consul.Catalog(self)
        self.kv: Any = base.Consul.KV(self)
        self.session: Any = base.Consul.Session(self)
        self.txn: Any = base.Consul.Txn(self)


class Transport:
    """What the library calls an HTTP client."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    async def get(
        self,
        callback: Callable[[Any], T],
        path: str,
        params: _Params = None,
        headers: Mapping[str, str] | None = None,
    ) -> T:
        return await self._send("GET", callback, path, params, headers=headers)

    async def _write(
        self,
        method: str,
        callback: Callable[[Any], T],
        path: str,
        params: _Params = None,
        data: str | bytes | None = "",
        headers: Mapping[str, str] | None = None,
    ) -> T:
        return await self._send(method, callback, path, params, data=data, headers=headers)

    put = partialmethod(_write, "PUT")
    delete = partialmethod(_write, "DELETE")
    post = partialmethod(_write, "POST")

    async def _send(
        self,
        method: str,
        callback: Callable[[Any], T],
        path: str,
        params: _Params,
        *,
        data: str | bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> T:
        target = quote(path, safe="/")
        if params:
            target += f"?{urlencode(list(params))}"
        body = data.encode() if isinstance(data, str) else data
        answer = await self._agent.exchange(method, target, data=body, headers=headers)
        self._refuse(path, answer.status, answer.said(), answer.is_filtered)
        # The one header that the library looks at; it stumbles where there is none.
        found = {"X-Consul-Index": answer.headers.get("X-Consul-Index", "1")}
        text = answer.content.decode(errors="replace")
        return callback(base.Response(answer.status, found, text, answer.content))

    def _refuse(self, path: str, status: int, said: str, is_filtered: bool) -> None:
        where = f"{self._agent.url}{path}"
        if status in (401, 403):
            raise Denied(f"{where}: {said}")
        if status < 200 or 300 <= status < 400 or status == _TOO_MANY or status >= 500:
            raise Unavailable(f"{where}: {said}")
        if is_filtered:
            raise Denied(f"{where}: the token may not see all of it")
