"""A noun that was stored is the noun that comes back."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest

from adapters.store.codec import dump, dump_as, load, load_as
from registry.coded import CodedValue
from registry.documents import DocumentEntry
from registry.errors import InvalidValue
from registry.people import HumanName, SourceRecord
from tests.adapters.store.samples import NOW, consent, entry, patient, receipt, study


@dataclass(frozen=True, slots=True)
class Everything:
    day: date
    seen: datetime | None = None
    raw: bytes = b""
    inner: tuple[Everything, ...] = ()
    words: frozenset[str] = frozenset()
    share: float = 0.5
    kept: dict[str, Any] = field(default_factory=dict)


@pytest.mark.parametrize(
    "noun", [patient(), entry(), study(), consent(), receipt()], ids=lambda noun: type(noun).__name__
)
def test_a_noun_reads_back_equal(noun: object) -> None:
    assert load(type(noun), dump(noun)) == noun


def test_a_time_keeps_its_offset() -> None:
    nepal = timezone(timedelta(hours=5, minutes=45))
    odd = Everything(date(1958, 3, 21), NOW.astimezone(nepal), b"\x00\xff", (Everything(date(2026, 1, 1)),))
    back = load(Everything, dump(odd))
    assert back == odd
    assert back.seen is not None and back.seen.utcoffset() == timedelta(hours=5, minutes=45)


def test_two_equal_sets_of_labels_are_one_text() -> None:
    labels = (CodedValue("R", "urn:x", "kín"),)
    assert load_as(tuple[CodedValue, ...], dump_as(tuple[CodedValue, ...], labels)) == labels


@pytest.mark.parametrize("bad", ["\ud800", {"a": object()}, {1: 2}])
def test_what_is_no_text_is_refused_before_anything_is_stored(bad: object) -> None:
    with pytest.raises(InvalidValue):
        dump(Everything(date(2026, 1, 1), kept={"a": bad}))


def test_what_was_stored_wrong_is_not_believed() -> None:
    with pytest.raises(InvalidValue):
        load(HumanName, '["", null, null]')
    with pytest.raises(KeyError):
        load(DocumentEntry, '{"nonsense": 1}')
    assert load(SourceRecord, dump(patient())).extra == {"occupation": "nông dân"}
