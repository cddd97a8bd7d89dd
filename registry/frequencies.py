"""How common names and communes are among the records at hand: what makes an agreement of strangers likely or not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from registry.traits import Traits
from registry.weights import Frequencies, tenths

PSEUDO = 200.0
"""How many records, or pairs, what was believed before is worth: a small hospital changes little."""
_LISTED_FROM = 3
_COUNTED = ("given", "given_bare", "family", "middle", "commune")
_BySex = dict[int, dict[str, int]]


def frequencies_of(records: Iterable[Traits], before: Frequencies) -> Frequencies:
    """How common names and communes are here."""
    tally = Tally()
    for traits in records:
        tally.add(traits)
    return tally.frequencies(before)


class Tally:
    """How often names and communes were seen; by sex, since that is how a stranger would agree."""

    def __init__(self) -> None:
        self._seen: tuple[_BySex, ...] = tuple({} for _ in _COUNTED)

    def add(self, traits: Traits) -> None:
        name, sex = traits.name, traits.sex
        if name is None:
            values = ("", "", "", "", traits.place.commune)
        else:
            toned = name.given_toned if name.marked else ""
            values = (toned, name.given, name.family, name.middle, traits.place.commune)
        for seen, value in zip(self._seen, values, strict=True):
            if value:
                times = seen.setdefault(sex, {})
                times[value] = times.get(value, 0) + 1

    def frequencies(self, before: Frequencies) -> Frequencies:
        common = {kind: _common(seen, getattr(before, kind)) for kind, seen in zip(_COUNTED, self._seen, strict=True)}
        return replace(before, **common)


def _common(by_sex: _BySex, before: Mapping[str, int]) -> dict[str, int]:
    found = dict(before)
    listed = {value for times in by_sex.values() for value, seen in times.items() if seen >= _LISTED_FROM}
    everybody = [(times, sum(times.values())) for times in by_sex.values()]
    # what only patients of unknown sex are called is as common as among those
    told = [(times, sum(times.values())) for sex, times in by_sex.items() if sex] or everybody
    for value in listed:
        known = 2 ** (-before[value] / 10) if value in before else 0.0
        among = told if known or any(value in times for times, _ in told) else everybody
        found[value] = -tenths(max((times.get(value, 0) + PSEUDO * known) / (all_ + PSEUDO) for times, all_ in among))
    return found
