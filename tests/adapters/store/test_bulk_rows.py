"""What the bench loads in bulk is what the store would have kept."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from sqlalchemy import select

from adapters.store.schema import document
from adapters.store.unit import Storage
from tests.adapters.store.samples import patient
from tests.bench import loading


def test_a_row_that_was_filled_in_is_the_row_that_the_store_keeps(storage: Storage) -> None:
    one, other, when = str(uuid4()), str(uuid4()), datetime(2020, 3, 1, 7, 30, tzinfo=UTC)
    whose = patient("bulk-777")
    said = (one, other, "BN000000777", whose.id, when, "urn:oid:1.2.3.4")
    made = loading.filled(loading.form_of(loading.row_of(loading.entry_of(*loading.MARKS))), *said)
    with storage.begin() as unit:
        unit.patients.save(whose)
        unit.documents.add(loading.entry_of(*said))
        kept = unit.documents._connection.execute(select(document)).one()._asdict()
    assert kept == made
    assert all(any(mark in str(value) for value in made.values()) for mark in said[:4])
