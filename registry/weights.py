"""The weights of the matcher: a versioned file of small integers that a person can read.

Every level of every field has four numbers in tenths of a bit (log2 of a probability): what it says if the two are the
same person, relatives under one roof, twins, or strangers. Where strangers agree on a value, its frequency takes the
place of the fourth number; where they share a number or a telephone, so does the size of the index, since only one of
all strangers is the one whose number was taken. The training record says where the numbers come from.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from registry.errors import InvalidValue
from registry.levels import FIELDS, LINE, POSTCODE

FORMAT = 3
_POSTCODE = frozenset(("postcode", level) for level in FIELDS["postcode"])
_LATER = {1: frozenset({("local number", "another one of the same hospital"), *_POSTCODE}), 2: _POSTCODE}
"""By an older format that is still read: the levels that it has not, and that then say nothing."""
_QUEUE = 20
_LINK_STRANGERS = 50
_SILENT = dict.fromkeys(("same", "relative", "twin", "stranger"), 0)
SHIPPED = Path(__file__).with_name("matching_model.json")
HYPOTHESES = ("same", "relative", "twin", "stranger")
Row = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Frequencies:
    """How common a value is among strangers, in tenths of a bit: 15 is one in three, 100 one in a thousand.

    Names by their folded letters, given names also with their tones. What is not listed is `rare`.
    """

    given: Mapping[str, int]
    given_bare: Mapping[str, int]
    family: Mapping[str, int]
    middle: Mapping[str, int]
    commune: Mapping[str, int]
    rare: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Model:
    """One set of weights.

    version     names the file, and stands in the rule of every link it made
    rows        by field and level, in the order of `levels.FIELDS`
    relatives   tenths of a bit: how many relatives of a patient are in the index
    twins       the same for twins
    twins_from  the year of birth from which on twins are looked for where a name stands without marks; 0: never
    link        from this score on a record is linked without a person
    review      from this score on a person is asked
    again       the same for the second look, when all that is known of two persons is compared
    strangers   for lists in which twins and relatives of one name hardly occur: only strangers are reckoned with, and
                evidence may outweigh every contradiction but two personal numbers; never for patients
    queue       how many questions in 1,000 registrations people have time for
    margin      by how much the best person must be ahead of the next
    """

    version: str
    rows: tuple[tuple[Row, ...], ...]
    frequencies: Frequencies
    relatives: int
    twins: int
    twins_from: int
    link: int
    review: int
    margin: int
    again: int
    queue: int
    strangers: bool = False
    record: Mapping[str, Any] = field(default_factory=dict)


def only_strangers(model: Model) -> Model:
    """The model for lists in which twins and relatives of one name hardly occur, before it has learnt from one. It
    links from fewer bits on, since no relative is mistaken there."""
    rows = list(model.rows)
    rows[LINE] = tuple(map(_rarer, rows[LINE], _HOUSES))
    rows[POSTCODE] = _POSTCODES
    return replace(model, rows=tuple(rows), strangers=True, twins_from=0, link=_LINK_STRANGERS)


_HOUSES = (0, -120, -80, 0)
"""Strangers that share a house, or a street without its number, in a list without relatives: one in 4,000, in 250."""
_POSTCODES: tuple[Row, ...] = (
    (0, 0, 0, 0),
    (-2, -2, -2, -85),
    (-40, -50, -50, -60),
    (-40, -20, -20, 0),
)
"""What a postcode says where everybody has one: same, nearly the same, another."""


def _rarer(row: Row, strangers: int) -> Row:
    same, relative, twin, before = row
    return same, relative, twin, min(before, strangers)


def read(text: str) -> Model:
    """Raises InvalidValue where the file is not one of this format."""
    try:
        return _model(json.loads(text))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidValue("matching model", expected=f"format {FORMAT} with every field and level") from error


def _model(stored: Mapping[str, Any]) -> Model:
    if stored["format"] not in (FORMAT, *_LATER):
        raise ValueError
    later, weights = _LATER.get(stored["format"], frozenset()), stored["weights"]
    rows = tuple(
        (
            (0, 0, 0, 0),
            *(_row(_SILENT if (name, level) in later else weights[name][level]) for level in levels[1:]),
        )
        for name, levels in FIELDS.items()
    )
    prior, zones, frequencies = stored["priors"], stored["zones"], stored["frequencies"]
    return Model(
        version=str(stored["version"]),
        rows=rows,
        frequencies=Frequencies(**{name: {k: int(v) for k, v in frequencies[name].items()} for name in _FREQUENCIES}),
        relatives=int(prior["relatives"]),
        twins=int(prior["twins"]),
        twins_from=int(prior.get("twins from", 0)),
        link=int(zones["link"]),
        review=int(zones["review"]),
        margin=int(zones["margin"]),
        again=int(zones.get("again", zones["review"])),
        queue=int(zones.get("queue", _QUEUE)),
        strangers=bool(prior.get("only strangers", False)),
        record=stored["record"],
    )


_FREQUENCIES = ("given", "given_bare", "family", "middle", "commune", "rare")


def _row(stored: Mapping[str, int]) -> Row:
    same, relative, twin, stranger = (int(stored[hypothesis]) for hypothesis in HYPOTHESES)
    return same, relative, twin, stranger


def written(model: Model) -> str:
    """The file, one level a line; reading it gives the model back."""
    weights = {
        name: {
            level: dict(zip(HYPOTHESES, row, strict=True))
            for level, row in zip(levels[1:], rows[1:], strict=True)
        }
        for (name, levels), rows in zip(FIELDS.items(), model.rows, strict=True)
    }  # fmt: skip
    document = {
        "format": FORMAT,
        "version": model.version,
        "unit": "tenths of a bit",
        "zones": {
            "link": model.link,
            "review": model.review,
            "margin": model.margin,
            "again": model.again,
            "queue": model.queue,
        },
        "priors": {
            "relatives": model.relatives,
            "twins": model.twins,
            "twins from": model.twins_from,
            **({"only strangers": True} if model.strangers else {}),
        },
        "weights": weights,
        "frequencies": {name: dict(getattr(model.frequencies, name)) for name in _FREQUENCIES},
        "record": dict(model.record),
    }
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def tenths(probability: float) -> int:
    """log2 in tenths of a bit."""
    return round(10 * math.log2(probability))


@cache
def shipped() -> Model:
    """The model that comes with the program."""
    return read(SHIPPED.read_text("utf-8"))
