"""The master patient index, on each kind of database."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from adapters.store.unit import Storage
from registry.errors import NotFound, VersionConflict
from registry.identifiers import INSURANCE_NUMBER, NATIONAL_ID, PatientIdentifier
from registry.people import BirthDate, Demographics, HumanName, Link, PatientInQuestion, SourceRecord
from registry.ports import Review
from registry.searches import PatientSearch
from tests.adapters.store.samples import LATER, LOCAL, NOW, id_of, patient

OTHER = "urn:oid:1.2.826.0.1.3680043.10.2.1"


def question(record: SourceRecord) -> PatientInQuestion:
    return PatientInQuestion(record.identifiers, record.demographics)


def link(record: SourceRecord, person_id: str, key: str = "link") -> Link:
    return Link(id_of(key), record.id, person_id, ("name same",), "corroborated-number/1", "registrar.hoa", NOW)


def found(storage: Storage, wanted: PatientInQuestion) -> set[str]:
    with storage.read() as unit:
        return {record.id for person in unit.patients.candidates(wanted, limit=20) for record in person.records}


def test_a_record_reads_back_as_it_was_saved(storage: Storage) -> None:
    with storage.begin() as unit:
        unit.patients.save(patient())
    with storage.read() as unit:
        assert unit.patients.record(patient().identifier) == patient()
        assert unit.patients.record_by_id(patient().id) == patient()
        assert unit.patients.record(PatientIdentifier(OTHER, "000123")) is None
        assert unit.patients.systems() == {LOCAL, NATIONAL_ID, INSURANCE_NUMBER}


def test_every_version_of_a_record_is_kept(storage: Storage) -> None:
    moved = replace(patient(), version=2, demographics=replace(patient().demographics, phones=("0911111111",)))
    with storage.begin() as unit:
        unit.patients.save(patient())
        unit.patients.save(moved)
        unit.patients.save(moved)
    with storage.read() as unit:
        assert unit.patients.version(patient().id, 1) == patient()
        assert unit.patients.version(patient().id, 2) == unit.patients.record_by_id(patient().id) == moved
        assert unit.patients.version(patient().id, 3) is None


def test_a_revision_of_an_outdated_version_is_refused(storage: Storage) -> None:
    with storage.begin() as unit:
        unit.patients.save(patient())
        unit.patients.save(replace(patient(), version=2, active=False))
    with pytest.raises(VersionConflict), storage.begin() as unit:
        unit.patients.save(replace(patient(), version=2))


def test_two_records_never_share_a_local_identifier(storage: Storage) -> None:
    with storage.begin() as unit:
        unit.patients.save(patient())
    with pytest.raises(VersionConflict), storage.begin() as unit:
        unit.patients.save(replace(patient(), id=str(uuid4())))


def test_what_leads_to_a_candidate(storage: Storage) -> None:
    known = patient()
    with storage.begin() as unit:
        unit.patients.save(known)
        unit.patients.save(patient("000999", "Lê Văn Tám", "1990-12-30", gender="male", number="001090000001"))

    def asks(name: str | None = None, born: str | None = None, *numbers: PatientIdentifier) -> set[str]:
        described = Demographics(HumanName.of(name) if name else None, BirthDate(born) if born else None, "female")
        return found(storage, PatientInQuestion(numbers, described))

    assert asks(None, None, PatientIdentifier(NATIONAL_ID, "0271-5800-4321")) == {known.id}
    assert asks(None, None, PatientIdentifier(INSURANCE_NUMBER, "7158004321")) == {known.id}
    assert asks(None, None, known.identifier) == {known.id}
    assert asks("TRAN THI THUY DUONG", "1958") == {known.id}
    assert asks("Dương Thuỳ Thị Trần", "1958-01-01") == {known.id}
    assert asks("Phạm Dương", "1958-03-21") == {known.id}
    assert asks("Trần Dương", "1958-03-21") == asks("Trần Dươg", "1958-03-21") == {known.id}
    assert asks("Trần Hoa", "1958-03-21") == set(), "another given name is another person"
    assert asks("Phạm Dương", "1958-03-22") == set()
    assert asks("Trần Thị Thuỳ Dương") == set()


def test_day_and_month_exchanged_still_find_the_patient(storage: Storage) -> None:
    known = patient(born="1958-03-11")
    with storage.begin() as unit:
        unit.patients.save(known)
    asked = Demographics(HumanName.of("Phạm Dương"), BirthDate("1958-11-03"), "female")
    assert found(storage, PatientInQuestion((), asked)) == {known.id}


def test_a_dummy_number_makes_nobody_a_candidate(storage: Storage) -> None:
    with storage.begin() as unit:
        unit.patients.save(patient(number="000000000000"))
    wanted = PatientInQuestion((PatientIdentifier(NATIONAL_ID, "000000000000"),))
    assert found(storage, wanted) == set()


def test_a_revised_record_is_found_by_what_it_says_now_only(storage: Storage) -> None:
    before, after = patient(number="027158004321"), replace(patient(number="027158009999"), version=2)
    with storage.begin() as unit:
        unit.patients.save(before)
        unit.patients.save(after)
    assert found(storage, PatientInQuestion((PatientIdentifier(NATIONAL_ID, "027158004321"),))) == set()
    assert found(storage, PatientInQuestion((PatientIdentifier(NATIONAL_ID, "027158009999"),))) == {after.id}


def test_a_candidate_is_a_person_with_all_records_and_who_shares_a_number_comes_first(storage: Storage) -> None:
    here, there = patient(), patient("77", "Trần Dương", "1958", number=None, system=OTHER)
    namesake = patient("000124", number="027158007777")
    namesake = replace(namesake, numbers=namesake.numbers[:1])
    with storage.begin() as unit:
        for record in (namesake, here, there):
            unit.patients.save(record)
        person_id = unit.patients.person_of(here.id)
        assert person_id is not None
        unit.patients.link(link(there, person_id))
    with storage.read() as unit:
        candidates = unit.patients.candidates(question(here), limit=10)
        assert [{record.id for record in person.records} for person in candidates] == [
            {here.id, there.id},
            {namesake.id},
        ]
        assert len(unit.patients.candidates(question(here), limit=1)) == 1


def test_after_undoing_a_link_the_record_is_a_person_of_its_own(storage: Storage) -> None:
    here, there = patient(), patient("77", system=OTHER)
    with storage.begin() as unit:
        unit.patients.save(here)
        unit.patients.save(there)
        person_id = unit.patients.person_of(here.id)
        assert person_id is not None
        unit.patients.link(link(there, person_id))
        assert unit.patients.records_of(person_id) == (here, there)
        unit.patients.undo(id_of("link"), now=LATER, author="registrar.hoa")
        unit.patients.undo(id_of("link"), now=LATER, author="somebody.else")
    with storage.read() as unit:
        assert unit.patients.records_of(person_id) == (here,)
        alone = unit.patients.person_of(there.id)
        assert alone not in (None, person_id)
        (kept,) = unit.patients.links_of(person_id)
        assert (kept.undone, kept.undone_by) == (LATER, "registrar.hoa")


def test_a_newer_link_of_a_record_ends_the_older(storage: Storage) -> None:
    one, two, moving = patient("1"), patient("2"), patient("3")
    with storage.begin() as unit:
        for record in (one, two, moving):
            unit.patients.save(record)
        first, second = unit.patients.person_of(one.id), unit.patients.person_of(two.id)
        assert first and second
        unit.patients.link(link(moving, first, "first"))
        unit.patients.link(link(moving, second, "second"))
        unit.patients.undo(id_of("first"), now=LATER, author="late.click")
    with storage.read() as unit:
        assert unit.patients.person_of(moving.id) == second
        assert [kept.undone is None for kept in unit.patients.links_of(first)] == [False]


def test_linking_or_undoing_what_is_not_here_is_refused(storage: Storage) -> None:
    with pytest.raises(NotFound), storage.begin() as unit:
        unit.patients.link(link(patient(), str(uuid4())))
    with pytest.raises(NotFound), storage.begin() as unit:
        unit.patients.undo(str(uuid4()), now=NOW, author="registrar.hoa")


def test_a_search_wants_every_word_and_every_number(storage: Storage) -> None:
    duong, tam = patient(), patient("000999", "Lê Văn Tám", "1990-12-30", gender="male", number="001090000001")
    elsewhere = patient("77", "Trần Thị Thuỳ Dương", "1958-03-21", number=None, system=OTHER)
    with storage.begin() as unit:
        for record in (duong, tam, elsewhere):
            unit.patients.save(record)
        person_id = unit.patients.person_of(duong.id)
        assert person_id
        unit.patients.link(link(elsewhere, person_id))

    def searched(**conditions: object) -> set[str]:
        with storage.read() as unit:
            return {record.id for record in unit.patients.search(PatientSearch(**conditions))}  # type: ignore[arg-type]

    assert searched(name_words=("tran", "duo")) == {duong.id, elsewhere.id}
    assert searched(name_words=("tran", "tam")) == set()
    assert searched(name_words=("%",)) == set()
    assert searched(name_words=("l",), birth_year=1990) == {tam.id}
    assert searched(identifiers=(PatientIdentifier(NATIONAL_ID, "001090000001"),)) == {tam.id}
    both = (PatientIdentifier(NATIONAL_ID, "027158004321"), elsewhere.identifier)
    assert searched(identifiers=both) == {duong.id, elsewhere.id}
    assert searched(identifiers=(*both, tam.identifier)) == set()
    assert searched(ids=(tam.id, "nobody")) == {tam.id}
    assert searched(where=(lambda record: record.demographics.gender == "male",)) == {tam.id}


def test_a_search_goes_on_where_its_page_ended(storage: Storage) -> None:
    everybody = [patient(str(number), number=None) for number in range(7)]
    with storage.begin() as unit:
        for record in everybody:
            unit.patients.save(record)
    seen: list[str] = []
    after = None
    with storage.read() as unit:
        while page := unit.patients.search(PatientSearch(name_words=("duong",), limit=3, after=after)):
            seen += [record.id for record in page]
            after = page[-1].id
    assert seen == sorted(record.id for record in everybody)


def test_a_doubt_is_resolved_once(storage: Storage) -> None:
    doubt = Review(id_of("doubt"), "look-alike", id_of("a"), id_of("b"), ("name same",), NOW)
    with storage.begin() as unit:
        unit.patients.open_review(doubt)
        unit.patients.open_review(doubt)
        assert unit.patients.reviews() == (doubt,)
        unit.patients.close_review(doubt.id, now=LATER, author="registrar.hoa", decision="two people")
        assert unit.patients.reviews() == ()
        (closed,) = unit.patients.reviews(only_open=False)
        assert (closed.closed, closed.closed_by, closed.decision) == (LATER, "registrar.hoa", "two people")
    with pytest.raises(VersionConflict), storage.begin() as unit:
        unit.patients.close_review(doubt.id, now=LATER, author="registrar.lan", decision="one person")
