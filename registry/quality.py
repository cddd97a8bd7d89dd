"""How good a grouping of registrations is, against the truth.

Sources: pairwise precision and recall; B-cubed after Bagga and Baldwin 1998; false merges as clusters that hold more
than one person, counted once for each person too many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quality:
    """Pairwise and B-cubed precision and recall, and false merges per 100,000 registrations."""

    registrations: int
    precision: float
    recall: float
    b3_precision: float
    b3_recall: float
    false_merges: int

    @property
    def f1(self) -> float:
        return _f1(self.precision, self.recall)

    @property
    def b3_f1(self) -> float:
        return _f1(self.b3_precision, self.b3_recall)

    @property
    def false_merges_per_100k(self) -> float:
        return 100_000 * self.false_merges / self.registrations if self.registrations else 0.0


def quality(truth: Sequence[int], clusters: Sequence[int]) -> Quality:
    """`truth` and `clusters` name the person and the cluster of every registration, in the same order."""
    together = Counter(zip(truth, clusters, strict=True))
    people, found = Counter(truth), Counter(clusters)
    right = sum(map(_pairs, together.values()))
    count = len(truth)
    return Quality(
        registrations=count,
        precision=_share(right, sum(map(_pairs, found.values()))),
        recall=_share(right, sum(map(_pairs, people.values()))),
        b3_precision=_share(sum(n * n / found[cluster] for (_, cluster), n in together.items()), count),
        b3_recall=_share(sum(n * n / people[person] for (person, _), n in together.items()), count),
        false_merges=len(together) - len(found),
    )


def _pairs(size: int) -> int:
    return size * (size - 1) // 2


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 1.0


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
