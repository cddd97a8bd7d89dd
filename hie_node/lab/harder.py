"""Lists made harder in one way throughout, to see which habit of a region a matcher leans on.

Where the other generators err here and there, these take something away from every line, or make it worthless.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from zlib import crc32

from hie_node.lab.exports import Row
from hie_node.lab.spelling import without_marks
from hie_node.patient_lists import birth_date

_NAMES = ("full_name", "family_name", "middle_name", "given_name", "guardian_name", "address_line", "commune")


def harder(rows: Iterable[Row], way: str) -> Iterator[Row]:
    """Every line, changed; `way` is one of `WAYS`."""
    change = WAYS[way]
    return (change(dict(row)) for row in rows)


def _without(*columns: str) -> Callable[[Row], Row]:
    return lambda row: {name: "" if name in columns else value for name, value in row.items()}


def _no_marks(row: Row) -> Row:
    return {name: without_marks(value) if name in _NAMES else value for name, value in row.items()}


def _one_phone(row: Row) -> Row:
    """The telephone of the commune's loudspeaker, for everybody who lives there."""
    place = row.get("commune") or row.get("address_line", "")
    return {**row, "phone": f"0105{crc32(place.encode()) % 10**6:06d}" if row.get("phone") else ""}


def _years(row: Row) -> Row:
    born = birth_date(row.get("birth_date", ""))
    return {**row, "birth_date": born.value[:4] if born else ""}


def _same_local_ids(row: Row) -> Row:
    """A program that began to count anew each quarter: a thousand numbers for everybody."""
    return {**row, "local_id": f"{crc32(row.get('local_id', '').encode()) % 1000:04d}"}


WAYS: Mapping[str, Callable[[Row], Row]] = {
    "no numbers": _without("national_id", "insurance_number"),
    "no addresses": _without("address_line", "commune", "district", "province", "guardian_name"),
    "no phones": _without("phone"),
    "no sex": _without("sex"),
    "no marks": _no_marks,
    "one phone a commune": _one_phone,
    "years only": _years,
    "local ids again": _same_local_ids,
}
