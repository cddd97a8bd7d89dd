"""Quiet charts as plain SVG from the server: what was used and repeated, month by month, and a laboratory value over
time. No script, no style."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from registry.ledger import Sum
from registry.trends import Trend

WIDTH, HEIGHT, FOOT = 720, 232, 52
"""Units of the drawing; it grows with its place."""
SPARK_WIDTH, SPARK_HEIGHT = 120, 32
LEAST_DRAWN = 2
MOST_NAMED = 13
"""Months up to which each bar has its number below it."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One month: two parts that stand on each other. `short` and `year` stand below it, where they find room."""

    x: float
    width: float
    label: str
    short: str
    year: str
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
    room, left = HEIGHT - FOOT - 12, 48.0
    step = (WIDTH - left) / max(len(sums), 6)
    bars = tuple(
        Bar(
            round(left + place * step + step * 0.2, 1),
            round(step * 0.6, 1),
            f"{month[5:]}/{month[:4]}",
            *_below(month, first=place == 0, many=len(sums) > MOST_NAMED),
            one.used,
            one.repeated,
            round(room * one.used / most, 1),
            round(room * one.repeated / most, 1),
        )
        for place, (month, one) in enumerate(sums.items())
    )
    lines = tuple((round(HEIGHT - FOOT - room * share, 1), round(most * share)) for share in (0.0, 0.5, 1.0))
    return Chart(bars, lines)


def _below(month: str, *, first: bool, many: bool) -> tuple[str, str]:
    """The month and its year as they stand below a bar on the narrowest screen: of many months each third is named, and
    the year where it begins."""
    number = int(month[5:])
    named = not many or number % 3 == 1
    year = month[:4] if number == 1 or (first and not many) else ""
    return str(number) if named else "", year


@dataclass(frozen=True, slots=True)
class Spark:
    """A small line: its points in the drawing, and where the last one is."""

    points: str
    x: float
    y: float
    width: int = SPARK_WIDTH
    height: int = SPARK_HEIGHT


def spark(trend: Trend) -> Spark | None:
    """The readings by their time; None where there is no line to draw."""
    drawn = trend.numbers
    if len(drawn) < LEAST_DRAWN:
        return None
    times, values = [when.timestamp() for when, _ in drawn], [number for _, number in drawn]
    across, up = (times[-1] - times[0]) or 1.0, (max(values) - min(values)) or 1.0
    edge = 4
    placed = [
        (
            round(edge + (SPARK_WIDTH - 2 * edge) * (when - times[0]) / across, 1),
            round(SPARK_HEIGHT - edge - (SPARK_HEIGHT - 2 * edge) * (value - min(values)) / up, 1),
        )
        for when, value in zip(times, values, strict=True)
    ]
    return Spark(" ".join(f"{x},{y}" for x, y in placed), *placed[-1])


def _round(most: int) -> int:
    """The next even number that is easy to read."""
    for step in (2, 4, 10, 20, 50, 100, 200, 500, 1000):
        if most <= step:
            return step
    return -(-most // 1000) * 1000
