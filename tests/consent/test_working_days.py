"""The end of a working day in Viet Nam: week-ends, holidays and the hour of the clock there."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from consent.working_days import Calendar, after_working_days
from registry.local_time import VIET_NAM

TET = Calendar(frozenset({date(2026, 2, 16), date(2026, 2, 17)}))


@pytest.mark.parametrize(
    ("moment", "days", "calendar", "end"),
    [
        (datetime(2026, 11, 23, 3, tzinfo=UTC), 3, Calendar(), date(2026, 11, 27)),
        (datetime(2026, 11, 23, 3, tzinfo=UTC), 0, Calendar(), date(2026, 11, 24)),
        (datetime(2026, 11, 26, 3, tzinfo=UTC), 1, Calendar(), date(2026, 11, 28)),
        (datetime(2026, 11, 26, 3, tzinfo=UTC), 2, Calendar(), date(2026, 12, 1)),
        (datetime(2026, 11, 27, 3, tzinfo=UTC), 3, Calendar(), date(2026, 12, 3)),
        (datetime(2026, 11, 23, 18, tzinfo=UTC), 1, Calendar(), date(2026, 11, 26)),
        (datetime(2026, 2, 13, 3, tzinfo=UTC), 1, Calendar(), date(2026, 2, 17)),
        (datetime(2026, 2, 13, 3, tzinfo=UTC), 1, TET, date(2026, 2, 19)),
    ],
)
def test_a_deadline_ends_with_its_working_day(moment: datetime, days: int, calendar: Calendar, end: date) -> None:
    assert after_working_days(moment, days, calendar) == datetime(end.year, end.month, end.day, tzinfo=VIET_NAM)


@pytest.mark.parametrize("holiday", [date(2027, 1, 1), date(2026, 4, 30), date(2026, 5, 1), date(2026, 9, 2)])
def test_the_fixed_holidays_are_not_worked(holiday: date) -> None:
    assert holiday.weekday() < 5
    assert not Calendar().is_working(holiday)
    assert Calendar().is_working(holiday.replace(day=14))


def test_clocks_in_viet_nam_are_seven_hours_ahead() -> None:
    assert datetime(2026, 11, 24, tzinfo=VIET_NAM) == datetime(2026, 11, 23, 17, tzinfo=UTC)
