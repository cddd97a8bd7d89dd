"""A summary has the newest word on each thing, and never hides that something was left out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from registry.clinical import Medication, Result
from registry.coded import ICD10, CodedValue
from registry.identifiers import FacilityCode
from registry.submissions import Visit
from registry.summary import compose

NOW = datetime(2026, 11, 23, tzinfo=UTC)
HYPERTENSION = CodedValue("I10", ICD10)


def visit(days_ago: float, **facts: object) -> Visit:
    return Visit(f"V{days_ago}", FacilityCode("27001"), admitted=NOW - timedelta(days=days_ago), **facts)  # type: ignore[arg-type]


def test_a_diagnosis_that_comes_again_stands_once_with_its_newest_date() -> None:
    told = compose(
        [visit(400, diagnoses=(HYPERTENSION,)), visit(3, diagnoses=(HYPERTENSION,))], (), withheld=0, now=NOW
    )
    (problem,) = told.problems
    assert problem.made == NOW - timedelta(days=3)


def test_the_newest_value_of_each_test_counts() -> None:
    early = Result("Glucose", "5.1", resulted=NOW - timedelta(days=9))
    late = Result("glucose", "9.8", resulted=NOW - timedelta(days=2))
    told = compose([visit(2, results=(late,)), visit(9, results=(early,))], (), withheld=0, now=NOW)
    assert [one.value for one in told.results] == ["9.8"]


def test_medicines_of_long_ago_are_history_and_cancelled_visits_are_nothing() -> None:
    old = visit(500, medications=(Medication("Amlodipin"),))
    cancelled = visit(1, medications=(Medication("Aspirin"),), cancelled=True)
    told = compose([old, cancelled, visit(5, medications=(Medication("Metformin"),))], (), withheld=2, now=NOW)
    assert [one.name for one in told.medications] == ["Metformin"]
    assert (told.visits, told.withheld) == (2, 2)


def test_a_digit_in_a_name_makes_it_another_medicine_and_another_test() -> None:
    vitamins = (Medication("Vitamin B6"), Medication("Vitamin B12"))
    tests = (Result("FT3", "5.1"), Result("FT4", "14"))
    told = compose([visit(2, medications=vitamins, results=tests)], (), withheld=0, now=NOW)
    assert [one.name for one in told.medications] == ["Vitamin B6", "Vitamin B12"]
    assert [one.name for one in told.results] == ["FT3", "FT4"]
