"""Which weights a list is linked with where nobody chose: those for patients, or some that are learnt from itself.

The shipped model was learnt for the names of this country. A list of names from abroad is none of its hospitals' lists:
such a list is learnt from, and only strangers are reckoned with (`registry.weights.only_strangers`). Never for a node.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

from hie_node.patient_lists import read_list
from registry import weights
from registry.training import train
from registry.weights import Model

_LOOKED_AT = 5_000
_ENOUGH_TO_LEARN = 200
_MOSTLY = 0.8


def model_for(source: Path, *, tell: Callable[[str], None] = lambda _: None) -> Model:
    """The model for a list; `tell` hears of it where it is not the shipped one. Raises InvalidValue as `read_list`."""
    names = [name for line in islice(read_list(source), _LOOKED_AT) if (name := line.traits.name) is not None]
    abroad = sum(name.guest for name in names)
    if len(names) < _ENOUGH_TO_LEARN or abroad < _MOSTLY * len(names):
        return weights.shipped()
    tell(
        f"{abroad} of the first {len(names)} names are from abroad: weights learnt from this list; "
        "twins and relatives of one name are not reckoned with. For patients: --model shipped"
    )
    records = [line.read_for(abroad=True) for line in read_list(source)]
    start = weights.only_strangers(weights.shipped())
    return replace(train(records, start).model, version=f"{start.version}+abroad")
