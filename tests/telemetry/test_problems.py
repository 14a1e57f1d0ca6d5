from __future__ import annotations

import msgspec

from pilot_core.model import Problem, Severity
from pilot_core.telemetry.problems import Problems, legible
from pilot_core.testing import FakeClock


def problem(code: str, **fields: object) -> Problem:
    return Problem(code=code, **{"message": "m", **fields})


async def test_the_same_problem_is_one_with_its_first_time_and_its_newest_text():
    clock = FakeClock(100.0)
    problems = Problems(clock)
    problems.raise_(problem("nack", object="p", message="old"))
    await clock.advance(7)
    problems.raise_(problem("nack", object="p", message="new"))
    assert [(100.0, 2, "new")] == [(p.since, p.count, p.message) for p in problems]


async def test_a_problem_that_comes_back_begins_anew():
    clock = FakeClock(100.0)
    problems = Problems(clock)
    problems.raise_(problem("nack", object="p"))
    problems.clear("nack", source="", object="p")
    await clock.advance(7)
    problems.raise_(problem("nack", object="p"))
    assert [(107.0, 1)] == [(p.since, p.count) for p in problems]


def test_problems_come_with_the_worst_first():
    problems = Problems(FakeClock())
    for code, severity in (("b", Severity.INFO), ("a", Severity.WARNING), ("z", Severity.ERROR)):
        problems.raise_(problem(code, severity=severity))
    assert ["z", "a", "b"] == [p.code for p in problems]


def test_clearing_a_code_of_a_registry_clears_nothing_else():
    problems = Problems(FakeClock())
    for registry in ("dc1", "dc2"):
        for object in ("x", "y"):
            problems.raise_(problem("held", registry=registry, object=object))
    problems.clear("held", registry="dc1")
    problems.clear("held", registry="dc2", object="x")
    problems.clear("other", registry="dc2")
    assert [("dc2", "y")] == [(p.registry, p.object) for p in problems]


def test_listeners_hear_of_changes_and_not_of_clearing_what_was_not_there():
    problems, heard = Problems(FakeClock()), []
    problems.subscribe(lambda: heard.append(len(problems)))
    problems.raise_(problem("a"))
    problems.clear("b")
    problems.clear("a")
    assert [1, 0] == heard


def test_whatever_texts_are_made_of_they_can_be_shown_and_cleared():
    problems = Problems(FakeClock())
    odd = "caf\udce9" * 1_000_000
    problems.raise_(problem("a", source=odd, object=odd, message=odd, origin=odd))
    [shown] = problems
    assert 10_000 > len(msgspec.json.encode(shown))
    assert shown.object.startswith("caf?caf?")
    problems.clear("a", source=odd, object=odd)
    assert 0 == len(problems)


def test_an_error_is_legible_too():
    assert "no" == legible(ValueError("no"))
    assert ("é…", 2) == (legible("éxx", 2), len(legible("éxx", 2)))
