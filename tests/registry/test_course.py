"""The same diagnosis or medicine of two hospitals stands once, with the newest word; what differs stands apart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from registry.clinical import Medication, Problem
from registry.coded import ICD10, CodedValue
from registry.course import Course, VisitFacts, course_of
from registry.identifiers import HomeCommunityId

NOW = datetime(2026, 11, 23, tzinfo=UTC)
HERE, THERE = HomeCommunityId("urn:oid:1.2.3"), HomeCommunityId("urn:oid:1.2.4")


def ago(days: int, *medicines: Medication, problem: Problem | None = None) -> VisitFacts:
    return VisitFacts((problem,) if problem else (), medicines, (), NOW - timedelta(days=days))


def told(course: Course) -> list[tuple[str, HomeCommunityId]]:
    return [(f"{one.fact.name} {one.fact.strength}".strip(), one.home) for one in course.medications]


def test_the_newest_word_stands_with_its_hospital() -> None:
    mine = Problem(CodedValue("I10", ICD10, "Tăng huyết áp"))
    theirs = Problem(CodedValue("I10", ICD10))
    course = course_of([(HERE, ago(90, problem=mine)), (THERE, ago(2, problem=theirs))], now=NOW)
    assert [(one.fact, one.home) for one in course.problems] == [(theirs, THERE)]


def test_a_strength_in_the_name_or_beside_it_is_the_same_and_another_strength_is_not() -> None:
    visits = [
        (HERE, ago(3, Medication("Amlodipin", strength="5mg"))),
        (THERE, ago(5, Medication("Amlodipin 5mg"), Medication("Amlodipin 10mg"), Medication("Vitamin B6"))),
        (THERE, ago(9, Medication("Vitamin B12"))),
    ]
    assert told(course_of(visits, now=NOW)) == [
        ("Amlodipin 5mg", HERE),
        ("Amlodipin 10mg", THERE),
        ("Vitamin B6", THERE),
        ("Vitamin B12", THERE),
    ]


def test_medicines_are_those_of_a_year() -> None:
    course = course_of([(HERE, ago(400, Medication("Aspirin"))), (HERE, ago(300, Medication("Statin")))], now=NOW)
    assert told(course) == [("Statin", HERE)]
