from __future__ import annotations

from pilot_core.model import Severity
from pilot_core.registry.remarks import LIMIT, NOT_HONOURED, PART_STALE, REFUSED, Remarks
from pilot_core.telemetry.problems import Problems
from pilot_core.testing import FakeClock


class Refusing:
    def __init__(self) -> None:
        self.problems = Problems(FakeClock())
        self.remarks = Remarks("dc1", self.problems)

    @property
    def shown(self) -> list[tuple[str, str]]:
        return [(p.source, p.object) for p in self.problems if p.code == REFUSED]


def test_a_refusal_is_shown_with_its_origin_until_its_source_is_settled():
    refusing = Refusing()
    refusing.remarks.refuse("f", "a.mesh", "wrong", origin="f:3:1")
    refusing.remarks.refuse("g", "b.mesh", "wrong")
    assert ["f:3:1", "dc1/g"] == [p.origin for p in refusing.problems]
    refusing.remarks.settle("f")
    assert [("g", "b.mesh")] == refusing.shown
    assert 1 == len(refusing.remarks)


def test_the_same_object_is_one_problem_however_often_it_is_refused():
    refusing = Refusing()
    for _ in range(3):
        refusing.remarks.refuse("f", "a.mesh", "wrong")
    [problem] = refusing.problems
    assert (3, 1) == (problem.count, len(refusing.remarks))


def test_a_complete_view_settles_whatever_is_not_in_it():
    refusing = Refusing()
    for source in "fgh":
        refusing.remarks.refuse(source, "a.mesh", "wrong")
    refusing.remarks.settle_all_but("g".__eq__, set())
    assert [("g", "a.mesh")] == refusing.shown


def test_a_flood_is_shown_up_to_the_limit_and_then_as_one():
    refusing = Refusing()
    for n in range(LIMIT + 500):
        refusing.remarks.refuse(f"s{n}", "a.mesh", "wrong")
    assert LIMIT + 1 == len(refusing.problems)
    [rest] = [p for p in refusing.problems if not p.source]
    assert f"more than {LIMIT} objects are refused: those of 500 sources" in rest.message
    assert LIMIT + 500 == len(refusing.remarks)


def test_what_was_not_shown_of_a_flood_is_over_when_its_sources_are_settled():
    refusing = Refusing()
    for n in range(LIMIT + 2):
        refusing.remarks.refuse(f"s{n}", "a.mesh", "wrong")
        refusing.remarks.refuse(f"s{n}", "a.mesh", "wrong")
    refusing.remarks.settle(f"s{LIMIT}")
    assert LIMIT + 1 == len(refusing.problems)
    refusing.remarks.settle(f"s{LIMIT + 1}")
    assert LIMIT == len(refusing.problems)
    refusing.remarks.forget()
    assert (0, 0) == (len(refusing.problems), len(refusing.remarks))


def test_what_is_not_honoured_is_a_warning_beside_what_is_refused():
    refusing = Refusing()
    refusing.remarks.refuse("f", "a.mesh", "wrong")
    refusing.remarks.note("f", "a.mesh", "half of it")
    assert [(REFUSED, Severity.ERROR), (NOT_HONOURED, Severity.WARNING)] == [
        (p.code, p.severity) for p in refusing.problems
    ]
    assert 2 == len(refusing.remarks)
    refusing.remarks.settle("f")
    assert (0, 0) == (len(refusing.problems), len(refusing.remarks))


def test_notes_are_bounded_by_themselves():
    refusing = Refusing()
    for n in range(LIMIT + 1):
        refusing.remarks.note(f"s{n}", "a.mesh", "half of it")
    refusing.remarks.refuse("f", "a.mesh", "wrong")
    assert [("f", "a.mesh")] == refusing.shown
    [rest] = [p for p in refusing.problems if not p.source]
    assert (NOT_HONOURED, True) == (rest.code, "not honoured: those of 1 sources" in rest.message)


def test_a_lost_part_is_one_error_until_it_is_found():
    refusing = Refusing()
    for text in ("no path", "still none"):
        refusing.remarks.lose("far/", text)
    [problem] = refusing.problems
    assert (PART_STALE, "far/", "dc1/far/", 2) == (
        problem.code,
        problem.object,
        problem.origin,
        problem.count,
    )
    assert problem.message == "still none; what was last read of far/ is served"
    refusing.remarks.find("far/")
    assert 0 == len(refusing.problems)


def test_a_complete_view_leaves_the_parts_that_are_lost():
    refusing = Refusing()
    for prefix in ("far/", "near/"):
        refusing.remarks.lose(prefix, "no path")
    refusing.remarks.settle_all_but(lambda source: False, {"far/"})
    assert ["far/"] == [p.object for p in refusing.problems]
    refusing.remarks.forget()
    assert 0 == len(refusing.problems)
