"""Values of one laboratory test over time: as written, in order, and never two things in one line."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from registry.clinical import Result
from registry.coded import CodedValue
from registry.identifiers import HomeCommunityId
from registry.trends import Trend
from registry.trends import trends as trends_of

NOW = datetime(2026, 11, 23, tzinfo=UTC)
HERE, THERE = HomeCommunityId("urn:oid:1.2.3"), HomeCommunityId("urn:oid:1.2.4")


def glucose(value: str, days_ago: float | None, **more: object) -> Result:
    when = None if days_ago is None else NOW - timedelta(days=days_ago)
    return Result("Glucose", value, unit=str(more.pop("unit", "mmol/L")), resulted=when, **more)  # type: ignore[arg-type]


def trends(results: Iterable[Result]) -> tuple[Trend, ...]:
    return trends_of((HERE, one) for one in results)


def test_readings_of_two_hospitals_are_one_line_and_each_says_whose_it_is() -> None:
    (line,) = trends_of([(THERE, glucose("5.1", 90)), (HERE, glucose("7.2", 2)), (THERE, glucose("7.2", 2))])
    assert [(one.value, one.home) for one in line.readings] == [("5.1", THERE), ("7.2", HERE), ("7.2", THERE)]


def test_a_code_is_the_same_whatever_words_two_hospitals_show_with_it() -> None:
    mine, theirs = CodedValue("14749-6", "http://loinc.org", "Glucose"), CodedValue("14749-6", "http://loinc.org")
    found = trends_of([(HERE, glucose("5", 2, codes=(mine,))), (THERE, glucose("6", 1, codes=(theirs,)))])
    assert len(found) == 1


def test_readings_of_one_test_are_one_line_oldest_first() -> None:
    (line,) = trends([glucose("9,8", 2), glucose("5.1", 90), glucose("7.2", 30)])
    assert (line.name, line.unit) == ("Glucose", "mmol/L")
    assert [one.value for one in line.readings] == ["5.1", "7.2", "9,8"]
    assert [number for _, number in line.numbers] == [5.1, 7.2, 9.8]
    assert line.latest.value == "9,8"


def test_two_units_are_two_lines() -> None:
    assert {one.unit for one in trends([glucose("5.1", 2), glucose("92", 1, unit="mg/dL")])} == {"mmol/L", "mg/dL"}


def test_a_code_holds_together_what_is_written_differently_and_another_code_keeps_apart() -> None:
    code, other = CodedValue("14749-6", "http://loinc.org"), CodedValue("2345-7", "http://loinc.org")
    early = Result("Đường máu", "5.1", (code,), "mmol/L", NOW - timedelta(days=3))
    found = trends([early, glucose("6", 1, codes=(code,)), glucose("8", 1, codes=(other,))])
    assert sorted(len(one.readings) for one in found) == [1, 2]


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("<0.01", 0.01),
        ("> 500", 500.0),
        ("-2,5", -2.5),
        ("âm tính", None),
        ("1+", None),
        ("1.234,5", None),
        ("250.000", None),
        ("0.125", 0.125),
    ],
)
def test_words_stay_words_and_a_limit_is_drawn_where_it_stands(value: str, number: float | None) -> None:
    (line,) = trends([glucose(value, 1)])
    assert line.latest.value == value and line.latest.number == number


def test_a_reading_that_came_twice_counts_once_and_one_without_a_time_is_not_drawn() -> None:
    (line,) = trends([glucose("5.1", 3), glucose("5.1", 3), glucose("4", None)])
    assert [one.value for one in line.readings] == ["4", "5.1"] and len(line.numbers) == 1


def test_what_was_measured_last_stands_first() -> None:
    old = Result("Ure", "5", unit="mmol/L", resulted=NOW - timedelta(days=9))
    assert [one.name for one in trends([old, glucose("5", 1)])] == ["Glucose", "Ure"]


def test_a_digit_in_a_name_makes_it_another_test() -> None:
    names = ("FT3", "FT4", "CA 125", "CA 19-9", "ca  125")
    found = trends(Result(name, "5.1", (), "U/mL", NOW - timedelta(days=n)) for n, name in enumerate(names))
    assert sorted((one.name, len(one.readings)) for one in found) == [
        ("CA 125", 2),
        ("CA 19-9", 1),
        ("FT3", 1),
        ("FT4", 1),
    ]
