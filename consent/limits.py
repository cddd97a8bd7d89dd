"""How much looking is usual: quotas a day, an alarm at unusual breadth, and what such an alarm is.

One account that was stolen, or one peer that harvests, opens many different patients; a ward round does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median


@dataclass(frozen=True, slots=True)
class Alarm:
    """What somebody has to look at. Nothing in it names a patient.

    kind   `unusual-breadth`, `quota`, `canary-answered`, `head-conflict`, `emergency-overdue` …
    about  the login or hospital it is about
    found  in words, with numbers
    """

    kind: str
    about: str
    found: str
    raised: datetime

    @property
    def id(self) -> str:
        """One of a kind a day about one login or hospital."""
        return f"{self.kind}:{self.about}:{self.raised.date().isoformat()}"


@dataclass(frozen=True, slots=True)
class Breadth:
    """How many different patients one login or one hospital opened: today, and on each earlier day that it did."""

    today: int
    before: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class BreadthRule:
    """When breadth is unusual: so many times the own median day, but never below `least`."""

    times: float = 5.0
    least: int = 100

    def bound(self, breadth: Breadth) -> float:
        """Patients a day from which on somebody should look."""
        usual = median(breadth.before) if breadth.before else 0.0
        return max(float(self.least), self.times * usual)

    def is_unusual(self, breadth: Breadth) -> bool:
        return breadth.today > self.bound(breadth)
