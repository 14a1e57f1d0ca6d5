from __future__ import annotations

from pilot_core.registry.refusals import LIMIT, REFUSED, Refusals
from pilot_core.telemetry.problems import Problems
from pilot_core.testing import FakeClock


class Refusing:
    def __init__(self) -> None:
        self.problems = Problems(FakeClock())
        self.refusals = Refusals("dc1", self.problems)

    @property
    def shown(self) -> list[tuple[str, str]]:
        return [(p.source, p.object) for p in self.problems if p.code == REFUSED]


def test_a_refusal_is_shown_with_its_origin_until_its_source_is_settled():
    refusing = Refusing()
    refusing.refusals.refuse("f", "a.mesh", "wrong", origin="f:3:1")
    refusing.refusals.refuse("g", "b.mesh", "wrong")
    assert ["f:3:1", "dc1/g"] == [p.origin for p in refusing.problems]
    refusing.refusals.settle("f")
    assert [("g", "b.mesh")] == refusing.shown
    assert 1 == len(refusing.refusals)


def test_the_same_object_is_one_problem_however_often_it_is_refused():
    refusing = Refusing()
    for _ in range(3):
        refusing.refusals.refuse("f", "a.mesh", "wrong")
    [problem] = refusing.problems
    assert (3, 1) == (problem.count, len(refusing.refusals))


def test_a_complete_view_settles_whatever_is_not_in_it():
    refusing = Refusing()
    for source in "fgh":
        refusing.refusals.refuse(source, "a.mesh", "wrong")
    refusing.refusals.settle_all_but({"g"})
    assert [("g", "a.mesh")] == refusing.shown


def test_a_flood_is_shown_up_to_the_limit_and_then_as_one():
    refusing = Refusing()
    for n in range(LIMIT + 500):
        refusing.refusals.refuse(f"s{n}", "a.mesh", "wrong")
    assert LIMIT + 1 == len(refusing.problems)
    [rest] = [p for p in refusing.problems if not p.source]
    assert f"more than {LIMIT} objects are refused: those of 500 sources" in rest.message
    assert LIMIT + 500 == len(refusing.refusals)


def test_what_was_not_shown_of_a_flood_is_over_when_its_sources_are_settled():
    refusing = Refusing()
    for n in range(LIMIT + 2):
        refusing.refusals.refuse(f"s{n}", "a.mesh", "wrong")
        refusing.refusals.refuse(f"s{n}", "a.mesh", "wrong")
    refusing.refusals.settle(f"s{LIMIT}")
    assert LIMIT + 1 == len(refusing.problems)
    refusing.refusals.settle(f"s{LIMIT + 1}")
    assert LIMIT == len(refusing.problems)
    refusing.refusals.forget()
    assert (0, 0) == (len(refusing.problems), len(refusing.refusals))
