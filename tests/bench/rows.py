"""One line of the result: a figure, what it is held against in the same run, and the goal."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Row:
    """A measured goal.

    figure, unit  what the node did
    against       the limit or peer, and `limit` what it did in this run, in the same unit
    ratio         what `base` and `aim` are about: figure / limit unless a row says otherwise
    better        whether a larger or a smaller ratio is better
    facts         more that was seen
    """

    key: str
    what: str
    figure: float
    unit: str
    against: str
    limit: float
    base: float
    aim: float
    better: Literal["more", "less"] = "more"
    ratio: float = float("nan")
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> float:
        """The ratio, however this row defines it."""
        return self.ratio if self.ratio == self.ratio else self.figure / self.limit

    def meets(self, goal: float) -> bool:
        return self.value >= goal if self.better == "more" else self.value <= goal

    @property
    def verdict(self) -> str:
        if self.meets(self.aim):
            return "aim"
        return "base" if self.meets(self.base) else "BELOW BASE"

    def line(self) -> str:
        sign = ">=" if self.better == "more" else "<="
        facts = "".join(f"  {name}={value}" for name, value in self.facts.items())
        return (
            f"{self.key:5}{self.what}\n"
            f"     {_short(self.figure)} {self.unit}; {self.against}: {_short(self.limit)}\n"
            f"     {_short(self.value)} (base {sign} {self.base:g}, aim {sign} {self.aim:g})  {self.verdict}{facts}"
        )

    def document(self) -> dict[str, Any]:
        return asdict(self) | {"ratio": round(self.value, 4), "verdict": self.verdict}


def _short(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value >= 1 else f"{value:.3f}"
