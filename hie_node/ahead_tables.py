"""The table [ahead] of `node.toml`: what is brought ahead of referred patients, and how much of a line it may take."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from hie_node.setting_tables import UnsafeSettings
from registry.local_time import VIET_NAM

"""Viet Nam has one time and no summer time."""


@dataclass(frozen=True, slots=True)
class Line:
    """The line to one hospital, where it is another than [ahead] says.

    facility      its facility code
    mbit          Mbit/s
    clinic_share  share of it for transfers ahead in clinic hours; absent: as in [ahead]
    other_share   the same outside of them
    """

    facility: str
    mbit: float
    clinic_share: float | None = None
    other_share: float | None = None


@dataclass(frozen=True, slots=True)
class TransfersAhead:
    """Reports and images of referred patients are fetched before they arrive, at their request.

    days          that a copy is kept; 0: nothing is fetched ahead
    mbit          Mbit/s of the line to another hospital
    clinic_from   hour of the day from which the clinic works (Viet Nam's clock), and
    clinic_until  hour until which it does
    clinic_share  share of a line that transfers ahead take at most in these hours; 0: none then. What somebody waits
                  for comes first at any hour, whatever the share
    other_share   the same at other hours
    leave_free    GB of the disk that copies leave free; with less, nothing more is fetched ahead
    lines         lines to single hospitals
    """

    days: int = 30
    mbit: float = 100.0
    clinic_from: int = 7
    clinic_until: int = 17
    clinic_share: float = 0.5
    other_share: float = 1.0
    leave_free: float = 5.0
    lines: tuple[Line, ...] = ()

    def check(self) -> None:
        """Raise UnsafeSettings for hours and shares that mean nothing."""
        if not (0 <= self.clinic_from <= 24 and 0 <= self.clinic_until <= 24):
            raise UnsafeSettings("[ahead] clinic_from, clinic_until: expected hours from 0 to 24")
        shares = [self.clinic_share, self.other_share]
        shares += [one for line in self.lines for one in (line.clinic_share, line.other_share) if one is not None]
        if any(not 0 <= share <= 1 for share in shares):
            raise UnsafeSettings("[ahead] clinic_share, other_share: expected from 0 to 1")
        if min([self.mbit, *(line.mbit for line in self.lines)]) <= 0:
            raise UnsafeSettings("[ahead] mbit: expected more than 0")

    def bytes_per_second(self, facility: str, now: datetime) -> float:
        """What transfers ahead may take of the line to this hospital at this hour; 0: nothing."""
        line = next((one for one in self.lines if one.facility == facility), Line(facility, self.mbit))
        in_clinic = self.clinic_from <= now.astimezone(VIET_NAM).hour < self.clinic_until
        own = line.clinic_share if in_clinic else line.other_share
        share = own if own is not None else self.clinic_share if in_clinic else self.other_share
        return line.mbit * 1e6 / 8 * share
