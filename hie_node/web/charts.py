"""Quiet charts as plain SVG from the server: what was used and repeated, month by month. No script, no style."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from registry.ledger import Sum

WIDTH, HEIGHT, FOOT = 720, 200, 24
"""Units of the drawing; it grows with its place."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One month: two parts that stand on each other."""

    x: float
    width: float
    label: str
    used: int
    repeated: int
    used_height: float
    repeated_height: float

    @property
    def used_y(self) -> float:
        return HEIGHT - FOOT - self.used_height

    @property
    def repeated_y(self) -> float:
        return self.used_y - self.repeated_height


@dataclass(frozen=True, slots=True)
class Chart:
    """All bars, and the lines that help to read them: height in the drawing, and what it stands for."""

    bars: tuple[Bar, ...]
    lines: tuple[tuple[float, int], ...]
    width: int = WIDTH
    height: int = HEIGHT


def months(sums: Mapping[str, Sum]) -> Chart:
    """A bar for each month, the last on the right; the same width whether there are three or twelve."""
    most = _round(max((one.decisions for one in sums.values()), default=1) or 1)
    room, left = HEIGHT - FOOT - 12, 40.0
    step = (WIDTH - left) / max(len(sums), 6)
    bars = tuple(
        Bar(
            round(left + place * step + step * 0.2, 1),
            round(step * 0.6, 1),
            f"{month[5:]}/{month[:4]}",
            one.used,
            one.repeated,
            round(room * one.used / most, 1),
            round(room * one.repeated / most, 1),
        )
        for place, (month, one) in enumerate(sums.items())
    )
    lines = tuple((round(HEIGHT - FOOT - room * share, 1), round(most * share)) for share in (0.0, 0.5, 1.0))
    return Chart(bars, lines)


def _round(most: int) -> int:
    """The next even number that is easy to read."""
    for step in (2, 4, 10, 20, 50, 100, 200, 500, 1000):
        if most <= step:
            return step
    return -(-most // 1000) * 1000
