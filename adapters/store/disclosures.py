"""The record of disclosures: rows are added and never changed; triggers refuse it, and seals prove it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import ColumnElement, bindparam, func, insert, literal_column, select, tuple_, update

from adapters.store.codec import dump, load
from adapters.store.rows import Part, insert_once, moment
from adapters.store.schema import disclosure, seal
from consent.disclosures import Disclosure
from consent.merkle import leaf_hash
from consent.ports import Opened, Seal, SealedRow, UnreadableSeal
from consent.requesters import Role
from registry.errors import InvalidValue, VersionConflict
from registry.identifiers import HomeCommunityId
from registry.searches import Cursor

_BATCH = 1000
_ADD = insert(disclosure).inline()
_BY_ID = select(disclosure.c.body).where(disclosure.c.id == bindparam("id"))
_NEWEST = select(disclosure.c.body).order_by(disclosure.c.recorded.desc(), disclosure.c.number.desc())
_PATIENTS = func.count(disclosure.c.record_id.distinct()).label("patients")
_WHO = (disclosure.c.subject, disclosure.c.other)
_IN_TIME = (disclosure.c.recorded >= bindparam("since"), disclosure.c.recorded < bindparam("until"))
_ROLE = {
    "sqlite": "json_extract(disclosure.body, '$.requester.role')",
    "postgresql": "(disclosure.body::json #>> '{requester,role}')",
}
_BREADTH = {
    dialect: select(*_WHO, _PATIENTS)
    .where(*_IN_TIME, disclosure.c.record_id.is_not(None), literal_column(role) != Role.SYSTEM.value)
    .group_by(*_WHO)
    for dialect, role in _ROLE.items()
}
_BREADTH_OF_HOSPITALS = (
    select(disclosure.c.other, _PATIENTS).where(*_IN_TIME, disclosure.c.other.is_not(None)).group_by(disclosure.c.other)
)
_LAST = func.max(disclosure.c.recorded).label("last")
_OPENED = (
    select(disclosure.c.record_id, func.count().label("times"), func.min(disclosure.c.recorded).label("first"), _LAST)
    .group_by(disclosure.c.record_id)
    .order_by(_LAST.desc())
)
_OF_OTHER = select(disclosure.c.body).order_by(disclosure.c.recorded, disclosure.c.number)
_SEALED = (
    select(disclosure.c.position, disclosure.c.body)
    .where(disclosure.c.position >= bindparam("first"), disclosure.c.position < bindparam("last"))
    .order_by(disclosure.c.position)
)
_AS_THEY_STAND = (
    select(
        disclosure.c.position,
        disclosure.c.id,
        disclosure.c.record_id,
        disclosure.c.recorded,
        disclosure.c.subject,
        disclosure.c.other,
        disclosure.c.body,
    )
    .where(disclosure.c.position >= bindparam("first"), disclosure.c.position < bindparam("last"))
    .order_by(disclosure.c.position)
)
_UNSEALED = (
    select(disclosure.c.number, disclosure.c.body)
    .where(disclosure.c.position.is_(None))
    .order_by(disclosure.c.number)
    .limit(bindparam("size"))
)
_PLACE = (
    update(disclosure)
    .where(disclosure.c.number == bindparam("row"), disclosure.c.position.is_(None))
    .values(position=bindparam("place"))
)
_SEALS = select(seal.c.size, seal.c.body).order_by(seal.c.size)
_LAST_SEAL = select(seal.c.size, seal.c.body).order_by(seal.c.size.desc()).limit(1)


class StoredDisclosures(Part):
    """Implements `consent.ports.Disclosures`."""

    __slots__ = ()

    def add(self, disclosure_: Disclosure) -> None:
        values = {
            "id": disclosure_.id,
            "record_id": disclosure_.record_id,
            "recorded": moment(disclosure_.recorded),
            "body": disclosure_.canonical().decode(),
            "subject": disclosure_.requester.subject,
            "other": str(disclosure_.other) if disclosure_.other else None,
        }
        self._connection.execute(_ADD, values)

    def disclosure(self, disclosure_id: str) -> Disclosure | None:
        row = self._connection.execute(_BY_ID, {"id": disclosure_id}).first()
        return None if row is None else _read(row.body)

    def search(
        self,
        *,
        record_ids: Sequence[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        subject: str | None = None,
        other: HomeCommunityId | None = None,
        after: Cursor | None = None,
        limit: int = 100,
    ) -> tuple[Disclosure, ...]:
        """Newest first, from `since` until before `until`, continued where a page ended."""
        statement = _NEWEST.where(*_conditions(record_ids, since, until, subject, other)).limit(limit)
        if after is not None and after.performed is not None:
            last = select(disclosure.c.number).where(disclosure.c.id == after.id).scalar_subquery()
            place = tuple_(disclosure.c.recorded, disclosure.c.number)
            statement = statement.where(place < tuple_(moment(after.performed), last))
        return tuple(_read(row.body) for row in self._connection.execute(statement))

    def count_found(
        self,
        *,
        record_ids: Sequence[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        subject: str | None = None,
        other: HomeCommunityId | None = None,
    ) -> int:
        """How many rows a search finds, wherever a page ended."""
        wanted = _conditions(record_ids, since, until, subject, other)
        statement = select(func.count()).select_from(disclosure).where(*wanted)
        return int(self._connection.execute(statement).scalar_one())

    def breadth(self, since: datetime, until: datetime) -> tuple[tuple[str, str | None, int], ...]:
        """Person, other hospital, and how many different patients they opened in this time; systems left out."""
        within = {"since": moment(since), "until": moment(until)}
        found = self._connection.execute(_BREADTH[self._connection.dialect.name], within)
        return tuple((row.subject or "", row.other, int(row.patients)) for row in found)

    def hospitals(self, since: datetime, until: datetime) -> dict[str, int]:
        """By other hospital, how many different patients it opened in this time."""
        found = self._connection.execute(_BREADTH_OF_HOSPITALS, {"since": moment(since), "until": moment(until)})
        return {row.other: int(row.patients) for row in found}

    def opened(
        self, *, subject: str | None, other: HomeCommunityId | None, since: datetime, until: datetime
    ) -> tuple[Opened, ...]:
        """Which patients this person, or this hospital, opened: how often, first and last; the latest first."""
        which = [disclosure.c.record_id.is_not(None), *_conditions(None, since, until)]
        which += [disclosure.c.subject == subject] if subject is not None else []
        which += [disclosure.c.other == str(other)] if other is not None else []
        rows = self._connection.execute(_OPENED.where(*which))
        return tuple(
            Opened(row.record_id, row.times, datetime.fromisoformat(row.first), datetime.fromisoformat(row.last))
            for row in rows
        )

    def of_other(
        self, other: HomeCommunityId, *, since: datetime, until: datetime, limit: int
    ) -> tuple[Disclosure, ...]:
        """Rows with this hospital on the other side, oldest first."""
        statement = _OF_OTHER.where(disclosure.c.other == str(other), *_conditions(None, since, until)).limit(limit)
        return tuple(_read(row.body) for row in self._connection.execute(statement))

    def sealed_rows(self, first: int, last: int) -> Iterator[tuple[int, Disclosure]]:
        """Position and row, positions `first` to before `last`, as they stand in the database now."""
        for start in range(first, last, _BATCH):
            for row in self._connection.execute(_SEALED, {"first": start, "last": min(start + _BATCH, last)}).all():
                yield row.position, _read(row.body)

    def sealed_bodies(self, first: int, last: int) -> Iterator[str]:
        """The same rows as the very text that was sealed."""
        for start in range(first, last, _BATCH):
            rows = self._connection.execute(_SEALED, {"first": start, "last": min(start + _BATCH, last)}).all()
            yield from (row.body for row in rows)

    def sealed_leaves(self, first: int, last: int) -> Iterator[SealedRow]:
        """The same rows by the hash of the very bytes that stand in the database, readable or not."""
        for start in range(first, last, _BATCH):
            rows = self._connection.execute(_AS_THEY_STAND, {"first": start, "last": min(start + _BATCH, last)}).all()
            for row in rows:
                yield SealedRow(row.position, leaf_hash(row.body.encode()), _found_as_it_reads(row))

    def unsealed(self, limit: int) -> tuple[tuple[int, bytes], ...]:
        """Row number and leaf hash of the oldest rows that no seal covers yet, oldest first."""
        rows = self._connection.execute(_UNSEALED, {"size": limit})
        return tuple((row.number, leaf_hash(row.body.encode())) for row in rows)

    def add_seal(self, seal_: Seal, rows: Sequence[int]) -> None:
        """Give these rows the positions up to `seal.size`, and keep the seal. Raises VersionConflict where another
        sealer was faster."""
        last = self.last_seal()
        covered = last.size if last else 0
        if seal_.size != covered + len(rows) or not rows:
            raise VersionConflict("seal", expected=f"{seal_.size - len(rows)} rows", found=f"{covered} rows")
        if not insert_once(self._connection, seal, {"size": seal_.size, "body": dump(seal_)}):
            raise VersionConflict("seal", expected=f"{covered} rows", found=f"{seal_.size} rows")
        places = [{"row": row, "place": covered + offset} for offset, row in enumerate(rows)]
        if self._connection.execute(_PLACE, places).rowcount != len(rows):
            raise VersionConflict("seal", expected="rows without a seal", found="some that have one")

    def seals(self) -> Iterator[Seal | UnreadableSeal]:
        """All of them, oldest first; one that was spoilt keeps its place."""
        after = -1
        while rows := self._connection.execute(_SEALS.where(seal.c.size > after).limit(_BATCH)).all():
            yield from (_seal(row.size, row.body) for row in rows)
            after = rows[-1].size

    def seal_over(self, size: int) -> Seal | None:
        """The seal over just so many rows. Raises InvalidValue for one that was spoilt."""
        row = self._connection.execute(select(seal.c.size, seal.c.body).where(seal.c.size == size)).first()
        return None if row is None else _readable(row.size, row.body)

    def last_seal(self) -> Seal | None:
        """The newest. Raises InvalidValue for one that was spoilt."""
        row = self._connection.execute(_LAST_SEAL).first()
        return None if row is None else _readable(row.size, row.body)

    def count(self) -> int:
        """All rows, sealed or not."""
        return int(self._connection.execute(select(func.count()).select_from(disclosure)).scalar_one())


def _readable(size: int, body: str) -> Seal:
    found = _seal(size, body)
    if isinstance(found, UnreadableSeal):
        raise InvalidValue("seal", expected=f"one over {size} rows that can be read")
    return found


def _seal(size: int, body: str) -> Seal | UnreadableSeal:
    try:
        return load(Seal, body)
    except (ValueError, KeyError, TypeError, AttributeError):
        return UnreadableSeal(size)


def _found_as_it_reads(row: Any) -> bool:
    """The columns by which a row is searched say what its body says; else it could be hidden from its patient."""
    try:
        told = _read(row.body)
    except (ValueError, KeyError, TypeError, InvalidValue):
        return False
    return _columns(told) == (row.id, row.record_id, row.recorded, row.subject, row.other)


def _columns(told: Disclosure) -> tuple[str | None, ...]:
    other = str(told.other) if told.other else None
    return (told.id, told.record_id, moment(told.recorded), told.requester.subject, other)


def _conditions(
    record_ids: Sequence[str] | None,
    since: datetime | None,
    until: datetime | None,
    subject: str | None = None,
    other: HomeCommunityId | None = None,
) -> Iterator[ColumnElement[bool]]:
    if record_ids is not None:
        yield disclosure.c.record_id.in_(list(record_ids))
    if since is not None:
        yield disclosure.c.recorded >= moment(since)
    if until is not None:
        yield disclosure.c.recorded < moment(until)
    if subject is not None:
        yield disclosure.c.subject == subject
    if other is not None:
        yield disclosure.c.other == str(other)


def _read(body: str) -> Disclosure:
    return Disclosure.from_json(orjson.loads(body))
