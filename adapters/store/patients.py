"""Source records, the persons they belong to, and doubts about them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any
from uuid import uuid4

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    Table,
    and_,
    bindparam,
    delete,
    func,
    insert,
    select,
    union_all,
    update,
)

from adapters.store.apart import StoredApart
from adapters.store.codec import dump, load
from adapters.store.rows import Values, any_of, insert_once, moment, once
from adapters.store.schema import (
    assigning_authority,
    blocking_key,
    index_version,
    link,
    name_word,
    review,
    source_record,
    source_record_version,
)
from registry.blocking import KEYS_VERSION, blocking_keys, crowd, number_key, wanted_keys
from registry.errors import NotFound, VersionConflict
from registry.identifiers import PatientIdentifier
from registry.matching import Candidate
from registry.people import Link, PatientInQuestion, SourceRecord
from registry.ports import Review
from registry.searches import PatientSearch

_NUMBER_WEIGHT = 8
MOST_KEYS = 200
"""Keys under which one description is looked for. Nobody has as many; a program that hangs a number for every visit on
its patient must not make every registration wait."""

_PAGE = 200
_SIZE = select(func.max(source_record.c.number))

_current = select(source_record.c.number, source_record.c.person_id, source_record.c.version, source_record.c.body)
_BY_IDENTIFIER = _current.where(
    source_record.c.system == bindparam("system"), source_record.c.value == bindparam("value")
)
_named = source_record.alias("named")
_BY_ID = _current.where(source_record.c.id == bindparam("id"))
_OF_PERSON = select(source_record.c.body).where(source_record.c.person_id == bindparam("person_id"))
_PERSON_WITH = (
    select(source_record.c.person_id, source_record.c.body)
    .where(
        source_record.c.person_id == select(_named.c.person_id).where(_named.c.id == bindparam("id")).scalar_subquery()
    )
    .order_by(source_record.c.number)
)
_OF_PERSONS = select(source_record.c.person_id, source_record.c.body).where(
    any_of(source_record.c.person_id, "persons")
)
_VERSIONS = (
    select(source_record_version.c.body)
    .where(source_record_version.c.record_id == bindparam("id"))
    .order_by(source_record_version.c.version.desc())
)
_VERSION = select(source_record_version.c.body).where(
    source_record_version.c.record_id == bindparam("id"), source_record_version.c.version == bindparam("version")
)
_REVISE = update(source_record).where(source_record.c.id == bindparam("key"))
_LINK = select(link.c.body).where(link.c.id == bindparam("id"))
_LINKS_OF_PERSON = (
    select(link.c.body).where(link.c.person_id == bindparam("person_id")).order_by(link.c.created, link.c.id)
)
_STANDING_LINKS = select(link.c.body).where(link.c.record_id == bindparam("record_id"), link.c.undone.is_(None))
_REVIEW = select(review.c.body).where(review.c.id == bindparam("id"))
_REVIEWS = select(review.c.body).order_by(review.c.opened, review.c.id)


@cache
def _added(dialect: str) -> Any:
    """A new record, with the number that it gets; nothing where it is there already."""
    return once(source_record, dialect).returning(source_record.c.number)


_EVERYBODY = _current.where(source_record.c.number > bindparam("after")).order_by(source_record.c.number).limit(_PAGE)


class StoredPatients(StoredApart):
    """The master patient index in tables. Implements `registry.ports.Patients`."""

    __slots__ = ()

    def record(self, identifier: PatientIdentifier) -> SourceRecord | None:
        """What one authority says of one of its patients."""
        normal = identifier.normal
        return self._noun(SourceRecord, _BY_IDENTIFIER, system=normal.system, value=normal.value)

    def record_by_id(self, record_id: str) -> SourceRecord | None:
        return self._noun(SourceRecord, _BY_ID, id=record_id)

    def versions(self, record_id: str) -> tuple[SourceRecord, ...]:
        """Every version that is kept, the newest first; none for an unknown id."""
        current = self.record_by_id(record_id)
        return () if current is None else (current, *self._nouns(SourceRecord, _VERSIONS, id=record_id))

    def version(self, record_id: str, version: int) -> SourceRecord | None:
        """The record as it was in this version, or as it is."""
        current = self._noun(SourceRecord, _BY_ID, id=record_id)
        if current is None or current.version == version:
            return current
        row = self._connection.execute(_VERSION, {"id": record_id, "version": version}).first()
        return None if row is None else load(SourceRecord, row.body)

    def save(self, record: SourceRecord) -> None:
        """Add a record as a person of its own, or its next version. Raises VersionConflict where another came first."""
        row = self._row(_BY_ID, id=record.id)
        if row is None:
            self._add(record)
            return
        known = load(SourceRecord, row.body)
        if known == record:
            return
        if record.version != known.version + 1:
            raise VersionConflict("patient record", expected=str(record.version - 1), found=str(known.version))
        history = {"record_id": known.id, "version": known.version, "body": row.body}
        self._connection.execute(insert(source_record_version), history)
        self._connection.execute(_REVISE, {"key": known.id, **_columns(record)})
        self._index(row.number, _keys(record), _keys(known), table=blocking_key)
        self._index(row.number, _words(record), _words(known), table=name_word)
        self._know_systems(record)

    def _add(self, record: SourceRecord) -> None:
        statement = _added(self._connection.dialect.name)
        values = {"id": record.id, "person_id": str(uuid4()), **_columns(record)}
        number = self._connection.execute(statement, values).scalar()
        if number is None:
            raise VersionConflict(f"patient {record.identifier}", expected="none", found="registered meanwhile")
        self._index(number, _keys(record), frozenset(), table=blocking_key)
        self._index(number, _words(record), frozenset(), table=name_word)
        self._know_systems(record)

    def _know_systems(self, record: SourceRecord) -> None:
        for system in sorted({number.normal.system for number in record.identifiers}):
            insert_once(self._connection, assigning_authority, {"system": system})

    def _index(
        self, number: int, new: frozenset[int] | frozenset[str], old: frozenset[int] | frozenset[str], *, table: Table
    ) -> None:
        name = table.columns.keys()[0]
        gone = [{"k": value, "n": number} for value in old - new]
        come = [{name: value, "record_number": number} for value in new - old]
        if gone:
            here = and_(table.c[name] == bindparam("k"), table.c.record_number == bindparam("n"))
            self._connection.execute(delete(table).where(here), gone)
        if come:
            self._connection.execute(once(table, self._connection.dialect.name), come)

    def person_of(self, record_id: str) -> str | None:
        """Whose record it is. That alone locks nothing: whoever only asks waits for nobody who changes the patient."""
        row = self._connection.execute(_BY_ID, {"id": record_id}).first()
        return None if row is None else str(row.person_id)

    def person_with(self, record_id: str) -> Candidate | None:
        """The person whose record it is, with all their records, as they stood at one moment."""
        rows = self._connection.execute(_PERSON_WITH, {"id": record_id}).all()
        return Candidate(rows[0].person_id, tuple(load(SourceRecord, row.body) for row in rows)) if rows else None

    def records_of(self, person_id: str) -> tuple[SourceRecord, ...]:
        """Every record of the person, the oldest first."""
        return self._nouns(SourceRecord, _OF_PERSON.order_by(source_record.c.number), person_id=person_id)

    def candidates(self, wanted: PatientInQuestion, *, limit: int) -> tuple[Candidate, ...]:
        """The persons worth comparing, with all their records; those that share more, or a number, come first."""
        keys = sorted(sorted(wanted_keys(wanted), key=_by_what_it_tells)[:MOST_KEYS])
        if not keys:
            return ()
        values: Values = {f"key{place}": _hashed(key) for place, key in enumerate(keys)}
        values |= {f"weight{place}": _weight(key) for place, key in enumerate(keys)}
        values |= {f"crowd{place}": crowd(key) for place, key in enumerate(keys)}
        found = self._connection.execute(_persons(len(keys)), {**values, "persons": limit})
        persons: dict[str, list[SourceRecord]] = {row.person_id: [] for row in found}
        if not persons:
            return ()
        for row in self._connection.execute(_OF_PERSONS, {"persons": list(persons)}):
            persons[row.person_id].append(load(SourceRecord, row.body))
        if not all(persons.values()):  # somebody was joined to another person between the two looks
            return self.candidates(wanted, limit=limit)
        return tuple(Candidate(person_id, tuple(records)) for person_id, records in persons.items())

    def size(self) -> int:
        """How many records there are, nearly: numbers are given in order and records are not deleted."""
        return int(self._connection.execute(_SIZE).scalar() or 0)

    def review(self, review_id: str) -> Review | None:
        return self._noun(Review, _REVIEW, id=review_id)

    def everybody(self) -> Iterator[tuple[str, SourceRecord]]:
        """Every record with its person, in the order they came."""
        after = 0
        while rows := self._connection.execute(_EVERYBODY, {"after": after}).all():
            yield from ((row.person_id, load(SourceRecord, row.body)) for row in rows)
            after = rows[-1].number

    def keys_version(self) -> int:
        """Which way of making keys the index was filled with."""
        return int(self._connection.execute(select(index_version.c.version)).scalar() or 0)

    def reindex(self) -> int:
        """Fill the index anew from the records; gives how many there are. Nobody else may write meanwhile."""
        for table in (blocking_key, name_word):
            self._connection.execute(delete(table))
        done = after = 0
        while rows := self._connection.execute(_EVERYBODY, {"after": after}).all():
            records = [(row.number, load(SourceRecord, row.body)) for row in rows]
            keys = [{"key": key, "record_number": number} for number, record in records for key in _keys(record)]
            words = [{"word": word, "record_number": number} for number, record in records for word in _words(record)]
            for table, values in ((blocking_key, keys), (name_word, words)):
                if values:
                    self._connection.execute(insert(table), values)
            self._refold(records)
            done, after = done + len(rows), rows[-1].number
        self._connection.execute(update(index_version).values(version=KEYS_VERSION))
        return done

    def _refold(self, records: Iterable[tuple[int, SourceRecord]]) -> None:
        statement = update(source_record).where(source_record.c.number == bindparam("n"))
        names = [{"n": number, "folded_name": _columns(record)["folded_name"]} for number, record in records]
        self._connection.execute(statement, names)

    def search(self, search: PatientSearch) -> tuple[SourceRecord, ...]:
        """Records in the order of their ids, at most `search.limit`, from after `search.after` on."""
        found: list[SourceRecord] = []
        for record in self._searched(search):
            if search.accepts(record) and self._carries(record, search.identifiers):
                found.append(record)
                if len(found) == search.limit:
                    break
        return tuple(found)

    def _searched(self, search: PatientSearch) -> Iterator[SourceRecord]:
        statement = select(source_record.c.id, source_record.c.body).where(*_conditions(search))
        statement = statement.order_by(source_record.c.id).limit(_PAGE)
        after = search.after
        while True:
            page = statement if after is None else statement.where(source_record.c.id > after)
            rows = self._connection.execute(page).all()
            yield from (load(SourceRecord, row.body) for row in rows)
            if len(rows) < _PAGE:
                return
            after = rows[-1].id

    def _carries(self, record: SourceRecord, identifiers: tuple[PatientIdentifier, ...]) -> bool:
        """Keys are hashes, so what they found is read again; the person's other records may carry the rest."""
        wanted = {identifier.normal for identifier in identifiers}
        if not wanted <= {identifier.normal for identifier in record.identifiers}:
            person_id = self.person_of(record.id)
            records = self.records_of(person_id) if person_id else ()
            return wanted <= {identifier.normal for one in records for identifier in one.identifiers}
        return True

    def link(self, link_: Link) -> None:
        """Move the record to the person. An earlier link of the same record ends with it."""
        row = self._row(_BY_ID, id=link_.record_id)
        if row is None:
            raise NotFound("patient record")
        standing = self._nouns(Link, _STANDING_LINKS, record_id=link_.record_id)
        for known in standing:
            self._end(known, now=link_.created, author=link_.author)
        made = replace(link_, came_from=row.person_id, replaces=standing[-1].id if standing else None)
        values = {"id": made.id, "record_id": made.record_id, "person_id": made.person_id}
        times = {"created": moment(made.created), "undone": None, "body": dump(made)}
        self._connection.execute(insert(link), values | times)
        self._connection.execute(_REVISE, {"key": made.record_id, "person_id": made.person_id})

    def link_by_id(self, link_id: str) -> Link | None:
        return self._noun(Link, _LINK, id=link_id)

    def undo(self, link_id: str, *, now: datetime, author: str) -> Link:
        """The record is again where it was before; gives the link. Undone once, it stays undone."""
        known = self._noun(Link, _LINK, id=link_id)
        if known is None:
            raise NotFound("link")
        if known.undone is None:
            self._end(known, now=now, author=author)
            self._connection.execute(_REVISE, {"key": known.record_id, "person_id": known.came_from or str(uuid4())})
            before = self._noun(Link, _LINK, id=known.replaces) if known.replaces else None
            if before is not None:
                self._store_end(replace(before, undone=None, undone_by=None))
            for apart in known.overruled:
                self.keep_apart(apart.record_id, (apart.other_id,), now=apart.decided, author=apart.author)
        return known

    def _end(self, known: Link, *, now: datetime, author: str) -> None:
        self._store_end(replace(known, undone=now, undone_by=author))

    def _store_end(self, known: Link) -> None:
        statement = update(link).where(link.c.id == bindparam("key"))
        ended = moment(known.undone) if known.undone else None
        self._connection.execute(statement, {"key": known.id, "undone": ended, "body": dump(known)})

    def decided_together(self, decision: str, person_id: str) -> tuple[Link, ...]:
        """The standing links to this person that one decision made."""
        links = self.links_of(person_id)
        return tuple(one for one in links if one.decision == decision and one.undone is None)

    def links_of(self, person_id: str) -> tuple[Link, ...]:
        """Every link to the person, the undone ones too, oldest first."""
        return self._nouns(Link, _LINKS_OF_PERSON, person_id=person_id)

    def open_review(self, review_: Review) -> None:
        """Keep a doubt; the same id again changes nothing."""
        values = {"id": review_.id, "opened": moment(review_.opened), "closed": None, "body": dump(review_)}
        insert_once(self._connection, review, values)

    def close_review(
        self, review_id: str, *, now: datetime, author: str, decision: str, apart: Sequence[str] = ()
    ) -> None:
        known = self._noun(Review, _REVIEW, id=review_id)
        if known is None:
            raise NotFound("review")
        if known.closed is not None:
            raise VersionConflict("review", expected="open", found="closed")
        closed = replace(known, closed=now, closed_by=author, decision=decision, apart=tuple(apart))
        statement = update(review).where(review.c.id == bindparam("key"))
        self._connection.execute(statement, {"key": review_id, "closed": moment(now), "body": dump(closed)})

    def reopen_review(self, review_id: str) -> Review:
        """A decision was taken back: the doubt waits again."""
        known = self._noun(Review, _REVIEW, id=review_id)
        if known is None:
            raise NotFound("review")
        waiting = replace(known, closed=None, closed_by=None, decision=None, apart=None)
        statement = update(review).where(review.c.id == bindparam("key"))
        self._connection.execute(statement, {"key": review_id, "closed": None, "body": dump(waiting)})
        return known

    def reviews(self, *, only_open: bool = True) -> tuple[Review, ...]:
        """Oldest first."""
        return self._nouns(Review, _REVIEWS.where(review.c.closed.is_(None)) if only_open else _REVIEWS)

    def systems(self) -> frozenset[str]:
        """The assigning authorities of whom some number is known here."""
        return frozenset(self._connection.execute(select(assigning_authority.c.system)).scalars())


def _columns(record: SourceRecord) -> Values:
    born, name, normal = record.demographics.birth_date, record.demographics.name, record.identifier.normal
    return {
        "system": normal.system,
        "value": normal.value,
        "birth_year": born.year if born else None,
        "folded_name": f" {name.folded}" if name else "",
        "version": record.version,
        "body": dump(record),
    }


def _hashed(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode(errors="replace"), digest_size=8).digest(), "big", signed=True)


def _keys(record: SourceRecord) -> frozenset[int]:
    return frozenset(map(_hashed, blocking_keys(record.identifiers, record.demographics)))


def _words(record: SourceRecord) -> frozenset[str]:
    name = record.demographics.name
    return frozenset(name.folded.split()) if name else frozenset()


def _by_what_it_tells(key: str) -> tuple[int, str]:
    """Names and dates, of which there are a few; then numbers that mean a person anywhere; then all others."""
    kind = key.split("|", 2)
    if kind[0] == "number":
        return (1 if kind[1] != "local" else 2), key
    return (3 if kind[0] == "phone" else 0), key


def _weight(key: str) -> int:
    return _NUMBER_WEIGHT if key.startswith("number|") else 1


@cache
def _persons(keys: int) -> Select[tuple[str]]:
    """Persons under any of the keys, each key an index range of its own, cut where it is a crowd."""
    ranges = [
        select(
            select(blocking_key.c.record_number, bindparam(f"weight{place}", type_=Integer).label("weight"))
            .where(blocking_key.c.key == bindparam(f"key{place}"))
            .limit(bindparam(f"crowd{place}", type_=Integer))
            .subquery(f"range{place}")
        )
        for place in range(keys)
    ]
    found = union_all(*ranges).subquery("found")
    return (
        select(source_record.c.person_id)
        .join(found, found.c.record_number == source_record.c.number)
        .group_by(source_record.c.person_id)
        .order_by(func.sum(found.c.weight).desc(), source_record.c.person_id)
        .limit(bindparam("persons"))
    )


def _conditions(search: PatientSearch) -> Iterable[ColumnElement[bool]]:
    if search.ids is not None:
        yield source_record.c.id.in_(search.ids)
    for identifier in search.identifiers:
        key = number_key(identifier)
        carrying = select(blocking_key.c.record_number).where(blocking_key.c.key == _hashed(key or ""))
        persons = select(source_record.c.person_id).where(source_record.c.number.in_(carrying))
        yield source_record.c.person_id.in_(persons)
    if search.birth_year is not None:
        yield source_record.c.birth_year == search.birth_year
    words = sorted(set(search.name_words), key=len)
    for word in words:
        yield source_record.c.folded_name.contains(f" {word}", autoescape=True)
    if words and not search.identifiers:
        # the longest word narrows it most; the index over words finds it
        start = words[-1]
        begins = and_(name_word.c.word >= start, name_word.c.word < start + "\U0010ffff")
        yield source_record.c.number.in_(select(name_word.c.record_number).where(begins))
