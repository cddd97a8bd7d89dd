"""Working days in Viet Nam: by when something has to be done that the clock of the law or of the house counts in them.

Source: Labour Code 45/2019/QH14 Art. 112 (public holidays). The days of the lunar calendar, and the second day of
National Day, are announced each year: an operator names them in the settings.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from registry.local_time import VIET_NAM

FIXED_HOLIDAYS = frozenset({(1, 1), (4, 30), (5, 1), (9, 2)})
"""Month and day: New Year, Reunification, Labour, National Day."""
_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Calendar:
    """Which days are not worked. `holidays` are those beside the fixed ones: Tết, Hùng Kings, days moved."""

    holidays: frozenset[date] = frozenset()

    def is_working(self, day: date) -> bool:
        return day.weekday() < _SATURDAY and (day.month, day.day) not in FIXED_HOLIDAYS and day not in self.holidays


def after_working_days(moment: datetime, days: int, calendar: Calendar) -> datetime:
    """The end of the `days`-th working day after the day of `moment`, as the clocks in Viet Nam read."""
    day = moment.astimezone(VIET_NAM).date()
    left = days
    while left > 0:
        day += timedelta(days=1)
        left -= calendar.is_working(day)
    return datetime(day.year, day.month, day.day, tzinfo=VIET_NAM) + timedelta(days=1)
