"""Whether a hospital's records still look as the model of its matcher expects; told without naming a patient.

A name that became common proves less than the model believes; a field that went empty is a desk that stopped asking.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from registry.blocking import CROWD, keys_of
from registry.traits import Traits
from registry.weights import Model, tenths

_BITS = 10
_SEEN = 20
_MOST = 20


@dataclass(frozen=True, slots=True)
class Drift:
    """missing    by field: the share of records that do not say it
    commoner   (part, value, tenths of a bit assumed, tenths here): more than twice as common as the model believes
    crowds     keys under which so many records stand that nobody looks there
    """

    records: int
    missing: tuple[tuple[str, float], ...]
    commoner: tuple[tuple[str, str, int, int], ...]
    crowds: int


_KNOWN: Mapping[str, Callable[[Traits], object]] = {
    "name": lambda one: one.name,
    "full birth date": lambda one: one.day,
    "sex": lambda one: one.sex,
    "personal number": lambda one: one.personal,
    "insurance number": lambda one: one.insurance,
    "phone": lambda one: one.phones,
    "commune": lambda one: one.place.commune,
    "guardian": lambda one: one.guardian,
}


def drift(records: Sequence[Traits], model: Model) -> Drift:
    count = max(1, len(records))
    missing = tuple((name, sum(not known(one) for one in records) / count) for name, known in _KNOWN.items())
    keys = Counter(key for one in records for key in keys_of(one))
    return Drift(len(records), missing, _commoner(records, model), sum(times > CROWD for times in keys.values()))


def _commoner(records: Sequence[Traits], model: Model) -> tuple[tuple[str, str, int, int], ...]:
    frequencies, found = model.frequencies, []
    parts: tuple[tuple[str, Callable[[Traits], str], Mapping[str, int]], ...] = (
        ("family", lambda one: one.name.family if one.name else "", frequencies.family),
        ("given", lambda one: one.name.given if one.name else "", frequencies.given_bare),
        ("middle", lambda one: one.name.middle if one.name else "", frequencies.middle),
        ("commune", lambda one: one.place.commune, frequencies.commune),
    )
    for part, value_of, known in parts:
        counted = Counter(filter(None, map(value_of, records)))
        for value, times in counted.items():
            assumed, here = known.get(value, frequencies.rare[part]), -tenths(times / counted.total())
            if times >= _SEEN and assumed - here > _BITS:
                found.append((part, value, assumed, here))
    return tuple(sorted(found, key=lambda one: one[3] - one[2])[:_MOST])
