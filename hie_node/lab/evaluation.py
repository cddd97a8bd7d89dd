"""How well a model groups registrations whose truth is known, by zone, by error class and by order of arrival."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from registry.linking import Linker, Placed
from registry.matching import Zone
from registry.quality import Quality, quality
from registry.settling import settle
from registry.traits import Traits
from registry.weighing import Weighing
from registry.weights import Model


@dataclass(frozen=True, slots=True)
class Known:
    """One registration with its truth; `person` None: nobody could name the patient, so nothing may be linked."""

    traits: Traits
    person: str | None
    applied: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class OfClass:
    """Of registrations of people who were known already: how many were linked rightly, wrongly, or asked about."""

    registrations: int
    linked: int
    wrongly: int
    asked: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came out.

    after         the same, had a person answered every review
    reviews       how many were asked, `reviews_true` of them about the same person
    nobody        unknown patients that were linked to somebody; must be 0
    seconds       for all decisions, look-up included, without reading the file
    """

    unaided: Quality
    after: Quality
    reviews: int
    reviews_true: int
    nobody: int
    seconds: float
    clusters: tuple[int, ...]
    placed: tuple[Placed, ...] = field(repr=False)
    classes: dict[str, OfClass] = field(default_factory=dict)

    @property
    def reviews_per_1000(self) -> float:
        return 1000 * self.reviews / max(1, self.unaided.registrations)

    @property
    def share_true(self) -> float:
        return self.reviews_true / self.reviews if self.reviews else 1.0


def evaluate(known: Sequence[Known], model: Model) -> Evaluation:
    """Decide on all, in their order."""
    truth = _numbered(known)
    linker = Linker(Weighing(model), least=len(known))
    gc.collect()
    gc.freeze()
    start = time.perf_counter()
    placed = linker.add_all(one.traits for one in known)
    seconds = time.perf_counter() - start
    settled = settle(linker)
    gc.unfreeze()
    clusters = linker.persons
    members: dict[int, set[int]] = {}
    for person, cluster in zip(truth, clusters, strict=True):
        members.setdefault(cluster, set()).add(person)
    asked = [(doubt.record, doubt.other) for doubt in settled.doubts]
    right = [(one, other) for one, other in asked if truth[one] in members[clusters[other]]]
    return Evaluation(
        unaided=quality(truth, clusters),
        after=quality(truth, _joined(clusters, right)),
        reviews=len(asked),
        reviews_true=len(right),
        nobody=sum(known[one.record].person is None and one.zone is Zone.LINK for one in placed),
        seconds=seconds,
        clusters=clusters,
        placed=tuple(placed),
        classes=_classes(known, truth, clusters, asked),
    )


def shuffled_agreement(known: Sequence[Known], first: Evaluation, model: Model, *, seed: int) -> float:
    """Share of the pairs that one order or another links, which both link: 1.0 means that order does not matter."""
    order = list(range(len(known)))
    Random(seed).shuffle(order)  # noqa: S311
    again = evaluate([known[place] for place in order], model)
    other = [0] * len(known)
    for place, cluster in zip(order, again.clusters, strict=True):
        other[place] = cluster
    common = _pairs(Counter(zip(first.clusters, other, strict=True)))
    either = _pairs(Counter(first.clusters)) + _pairs(Counter(other)) - common
    return common / either if either else 1.0


def _pairs(sizes: Counter[object] | Counter[int] | Counter[tuple[int, int]]) -> int:
    return sum(n * (n - 1) // 2 for n in sizes.values())


def _numbered(known: Sequence[Known]) -> list[int]:
    """A number for every person; whom nobody could name is always another."""
    numbers: dict[str, int] = {}
    return [
        -place - 1 if one.person is None else numbers.setdefault(one.person, len(numbers))
        for place, one in enumerate(known)
    ]


def _joined(clusters: Sequence[int], pairs: Sequence[tuple[int, int]]) -> list[int]:
    leader = {cluster: cluster for cluster in clusters}

    def find(cluster: int) -> int:
        while leader[cluster] != cluster:
            leader[cluster] = leader[leader[cluster]]
            cluster = leader[cluster]
        return cluster

    for one, other in pairs:
        leader[find(clusters[one])] = find(clusters[other])
    return [find(cluster) for cluster in clusters]


def _classes(
    known: Sequence[Known], truth: Sequence[int], clusters: Sequence[int], asked: Sequence[tuple[int, int]]
) -> dict[str, OfClass]:
    counts: dict[str, list[int]] = {}
    seen: set[int] = set()
    of: dict[int, set[int]] = {}
    doubted = {clusters[record] for pair in asked for record in pair}
    for one, person, cluster in zip(known, truth, clusters, strict=True):
        there = of.setdefault(cluster, set())
        linked = person in there
        for name in one.applied or {"no error"}:
            row = counts.setdefault(name, [0, 0, 0, 0])
            if person in seen:
                row[0] += 1
                row[1] += linked
                row[3] += not linked and cluster in doubted
            row[2] += bool(there) and not linked
        seen.add(person)
        there.add(person)
    return {name: OfClass(*row) for name, row in sorted(counts.items())}
