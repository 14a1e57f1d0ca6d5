"""Adapters that vouch for their workloads: each within its own prefix, and none for ever."""

from __future__ import annotations

import pytest

from authorities import DOMAIN
from pilot_certs.caller import Call, Caller
from pilot_certs.platforms import Platform, Tokens
from pilot_certs.refusal import NotAuthorized, NotReady, Refused, Unauthenticated
from pilot_core.errors import Denied, Unavailable
from pilot_core.model import Evidence, Workload


class Adapter:
    """Vouches for whoever shows `good`, under the path that the test sets."""

    def __init__(self, path: str = "/ns/shop/sa/reviews") -> None:
        self.path = path
        self.error: Exception | None = None
        self.asked: list[Evidence] = []

    async def attest(self, evidence: Evidence) -> Workload:
        self.asked.append(evidence)
        if self.error is not None:
            raise self.error
        if evidence.payload != b"good":
            raise Denied("no token of ours")
        return Workload(path=self.path)


def platform(adapter: Adapter | None, *, name: str = "one", prefix: str = "/ns") -> Platform:
    return Platform(name, lambda: adapter, DOMAIN, prefix)


async def refusal(tried: Platform | Tokens, token: str) -> Refused:
    with pytest.raises(Refused) as refused:
        await tried.authenticate(Call(token=token, peer="10.0.0.1"))
    return refused.value


async def test_an_adapter_is_asked_with_what_was_shown_and_from_where() -> None:
    adapter = Adapter()
    caller = await platform(adapter).authenticate(Call(token="good", peer="10.0.0.1"))

    assert caller is not None
    assert [f"spiffe://{DOMAIN}/ns/shop/sa/reviews"] == [str(n) for n in caller.identities]
    assert [Evidence(kind="token", payload=b"good", peer="10.0.0.1")] == adapter.asked
    assert "good" not in caller.evidence


@pytest.mark.parametrize(
    "path", ["/nsx/shop/sa/a", "/ns", "/other/a", "/ns/../admin", "/ns//a", "", "ns/shop", "/ns/a/"]
)
async def test_a_platform_that_speaks_for_others_is_not_believed(path: str) -> None:
    refused = await refusal(platform(Adapter(path)), "good")

    assert isinstance(refused, NotAuthorized)


async def test_a_refusal_of_the_platform_s_proves_nothing() -> None:
    assert isinstance(await refusal(platform(Adapter()), "bad"), Unauthenticated)


@pytest.mark.parametrize("error", [Unavailable("away"), TimeoutError()])
async def test_a_platform_that_is_away_is_to_be_asked_again(error: Exception) -> None:
    adapter = Adapter()
    adapter.error = error

    assert isinstance(await refusal(platform(adapter), "good"), NotReady)
    assert isinstance(await refusal(platform(None), "good"), NotReady)


async def test_of_several_platforms_the_one_that_knows_the_token_decides() -> None:
    first, second = Adapter(), Adapter("/two/a")
    first.error = Denied("not ours")
    both = Tokens([platform(first), platform(second, name="two", prefix="/two")])
    caller = await both.authenticate(Call(token="good"))

    assert isinstance(caller, Caller)
    assert "two" == caller.attestor
    assert None is await both.authenticate(Call())


async def test_one_that_cannot_be_asked_might_have_known() -> None:
    first, second = Adapter(), Adapter()
    first.error = Unavailable("away")
    both = Tokens([platform(first), platform(second, name="two")])

    assert isinstance(await refusal(both, "bad"), NotReady)
