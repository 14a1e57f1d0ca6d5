"""Policies on their way from an adapter to the world: let in, merged, kept and shown."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from pilot_core.clock import SystemClock
from pilot_core.model import Authorization, Claim, Origin, Problem, Protocol, Traffic, World
from pilot_core.model.policy import How, Match, Permission, Route, Rule, Target, Where
from pilot_core.model.text import plain, world
from pilot_core.registry import admission
from pilot_core.registry.state_file import read, replace
from pilot_core.registry.unapplied import LIMIT, UNAPPLIED, Unapplied
from pilot_core.telemetry.problems import Problems
from registries import registration, running, service

TRAFFIC = Traffic(
    name="splits/web",
    hostname="web.mesh",
    routes=(
        Route(
            matches=((Match(Where.PATH, How.PREFIX, "/v2"),),),
            targets=(Target("web.mesh", "v1", 90), Target("web.mesh", "v2", 10)),
            timeout=1.5,
        ),
    ),
)
AUTHORIZATION = Authorization(
    name="who/web",
    hostname="*",
    rules=(
        Rule(
            caller="api.mesh",
            permissions=(
                Permission(is_allowed=True, matches=(Match(Where.METHOD, How.EXACT, "GET"),)),
            ),
        ),
        Rule(caller="*", is_allowed=False),
    ),
)


@pytest.mark.parametrize("policy", [TRAFFIC, AUTHORIZATION])
def test_a_sound_policy_gets_in_and_comes_out_of_the_state_file_as_it_was(policy, tmp_path):
    admitted = admission.admit(policy)
    file = tmp_path / "state.sqlite"
    replace(file, {("dc1", "config"): (admitted,)})

    assert {("dc1", "config"): (policy,)} == read(file).sources


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (Traffic(name="", hostname="web.mesh"), "traffic '' has no name"),
        (Traffic(name="a\nb", hostname="web.mesh"), "has no name"),
        (Traffic(name="x" * 501, hostname="web.mesh"), "1 to 500 characters"),
        (Traffic(name="x", hostname="Web"), "traffic x: 'Web' is not a hostname"),
        (Authorization(name="x", hostname=""), "authorization x: a hostname is empty"),
        (Traffic(name="x", hostname="web.mesh", routes=[Route()]), "lists where tuples should be"),
        (Traffic(name=7, hostname="web.mesh"), "Traffic is not of the right types"),
    ],
)
def test_a_policy_that_is_not_sound_is_refused_by_its_name(policy, said):
    with pytest.raises(admission.Refused, match=said):
        admission.admit(policy)


def claim(policy, registry="dc1") -> tuple[Claim, ...]:
    return (Claim(registry, "config", policy),)


def test_the_world_says_which_policies_differ_and_touches_no_service():
    first, delta = World().apply({}, {}, {TRAFFIC.key: claim(TRAFFIC)})
    same, nothing = first.apply({}, {}, {TRAFFIC.key: claim(TRAFFIC)})
    gone, last = same.apply({}, {}, {TRAFFIC.key: ()})

    assert {TRAFFIC.key} == delta.policies == last.policies
    assert (frozenset(), False, True) == (delta.hostnames, bool(nothing), first is same)
    assert [] == list(gone.policies)


def test_a_world_s_policies_are_in_its_text():
    made, _ = World().apply({}, {}, {p.key: claim(p) for p in (TRAFFIC, AUTHORIZATION)})

    assert plain(made) == plain(world(plain(made)))
    assert made.policies.diff(world(plain(made)).policies) == ({}, ())


def shown(problems: Problems) -> list[Problem]:
    return [problem for problem in problems if problem.code == UNAPPLIED]


async def test_a_policy_is_shown_as_known_and_not_applied_until_it_goes():
    told = []

    async def run(sink):
        placed = msgspec.structs.replace(TRAFFIC, origin=Origin("kv:1:1"), unread=("Hash",))
        sink.put("web", [service("web.mesh")])
        sink.put("config", [placed, AUTHORIZATION])
        sink.synced()
        told.append(sink)
        await asyncio.Event().wait()

    async with running(registration("dc1", run)) as stage:
        by_object = {problem.object: problem for problem in shown(stage.problems)}
        traffic = by_object["traffic splits/web"]
        assert ("dc1", "config", "kv:1:1") == (traffic.registry, traffic.source, traffic.origin)
        assert "known and not yet applied" in traffic.message
        assert "Hash cannot be read at all" in traffic.message
        assert "nobody is refused by it" in by_object["authorization who/web"].message
        assert {TRAFFIC.key, AUTHORIZATION.key} == set(stage.hub.world.policies)
        told[0].drop("config")
        await stage.pass_time(1)
        assert [] == shown(stage.problems)
        assert ["web.mesh"] == list(stage.hub.world.services)


def test_a_protocol_is_no_promise_that_is_not_kept_but_what_cannot_be_read_is():
    problems = Problems(SystemClock())
    follower = Unapplied(problems)
    bare = Traffic(name="t", hostname="web.mesh", protocol=Protocol.HTTP)
    follower.policies({bare.key: claim(bare)})
    assert [] == shown(problems)

    more = msgspec.structs.replace(bare, unread=("UpstreamConfig",))
    follower.policies({bare.key: claim(more)})
    assert ["UpstreamConfig cannot be read at all"] == [
        problem.message.rpartition("; of it, ")[2] for problem in shown(problems)
    ]


def test_policies_beyond_the_limit_are_counted():
    problems = Problems(SystemClock())
    follower = Unapplied(problems)
    many = [Authorization(name=f"t{n}", hostname="web.mesh") for n in range(LIMIT + 2)]
    follower.policies({policy.key: claim(policy) for policy in many})

    assert LIMIT + 1 == len(shown(problems))
    assert "2 more policies" in next(p.message for p in shown(problems) if not p.object)
    follower.policies({policy.key: () for policy in many})
    assert [] == shown(problems)
