"""How common names and communes are among the records at hand: what makes an agreement of strangers likely or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from registry.traits import Traits
from registry.weights import Frequencies, tenths

PSEUDO = 200.0
"""How many records, or pairs, what was believed before is worth: a small hospital changes little."""
_LISTED_FROM = 3


def frequencies_of(records: Sequence[Traits], before: Frequencies) -> Frequencies:
    """How common names and communes are here; by sex, since that is how a stranger would agree."""
    return Frequencies(
        given=_common(records, before.given, lambda t: t.name.given_toned if t.name and t.name.marked else ""),
        given_bare=_common(records, before.given_bare, lambda t: t.name.given if t.name else ""),
        family=_common(records, before.family, lambda t: t.name.family if t.name else ""),
        middle=_common(records, before.middle, lambda t: t.name.middle if t.name else ""),
        commune=_common(records, before.commune, lambda t: t.place.commune),
        rare=before.rare,
    )


def _common(records: Sequence[Traits], before: Mapping[str, int], value_of: Callable[[Traits], str]) -> dict[str, int]:
    by_sex: dict[int, Counter[str]] = {}
    for traits in records:
        if value := value_of(traits):
            by_sex.setdefault(traits.sex, Counter())[value] += 1
    found = dict(before)
    listed = {value for counter in by_sex.values() for value, times in counter.items() if times >= _LISTED_FROM}
    # what only patients of unknown sex are called is as common as among those
    told = [counter for sex, counter in by_sex.items() if sex] or list(by_sex.values())
    for value in listed:
        known = 2 ** (-before[value] / 10) if value in before else 0.0
        counters = told if known or any(value in counter for counter in told) else list(by_sex.values())
        shares = ((counter[value] + PSEUDO * known) / (counter.total() + PSEUDO) for counter in counters)
        found[value] = -tenths(max(shares))
    return found
