"""The document registry, the index of studies, and what peers listed, on each kind of database."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import event

from adapters.store.engine import make_engine
from adapters.store.unit import Storage
from registry.coded import HIV, NORMAL
from registry.documents import DocumentStatus, Folder, SubmissionSet
from registry.errors import DuplicateUniqueId, NotFound
from registry.identifiers import FacilityCode
from registry.people import PatientInQuestion, SourceRecord
from registry.ports import RemoteEntry
from registry.searches import Cursor, DocumentSearch, StudySearch, SubmissionSearch
from registry.submissions import Referral, Visit
from tests.adapters.store.samples import BAC_NINH, LATER, NOW, closed_entry, entry, id_of, patient, study


@pytest.fixture
def hospital(storage: Storage) -> Storage:
    with storage.begin() as unit:
        unit.patients.save(patient())
        unit.patients.save(patient("2", number=None))
    return storage


def test_an_entry_reads_back_as_it_was_added(hospital: Storage) -> None:
    with hospital.begin() as unit:
        unit.documents.add(entry(), source_key="XML|79001|1")
    with hospital.read() as unit:
        assert unit.documents.entry(entry().id) == entry()
        assert unit.documents.by_unique_id(entry().unique_id) == entry()
        assert unit.documents.by_source_key("XML|79001|1") == entry()
        assert unit.documents.by_source_key("XML|79001|2") is None


def test_a_unique_id_is_registered_once_and_the_refusal_can_be_recorded(hospital: Storage) -> None:
    twin = replace(entry("twin"), unique_id=entry().unique_id)
    with hospital.begin() as unit:
        unit.documents.add(entry())
        with pytest.raises(DuplicateUniqueId):
            unit.documents.add(twin)
        unit.documents.add(entry("other"))
    with hospital.read() as unit:
        assert unit.documents.entry(twin.id) is None
        assert unit.documents.entry(id_of("other")) is not None


def test_a_superseded_entry_is_found_as_superseded(hospital: Storage) -> None:
    old = replace(entry(), status=DocumentStatus.SUPERSEDED, version=2)
    with hospital.begin() as unit:
        unit.documents.add(entry())
        unit.documents.replace(old)
        with pytest.raises(NotFound):
            unit.documents.replace(entry("nowhere"))
    with hospital.read() as unit:
        assert list(unit.documents.find(DocumentSearch(statuses=(DocumentStatus.CURRENT,)))) == []
        assert list(unit.documents.find(DocumentSearch(statuses=(DocumentStatus.SUPERSEDED,)))) == [old]


def test_documents_come_newest_first_over_all_records_of_the_person(hospital: Storage) -> None:
    one, two = patient(), patient("2", number=None)
    hanoi, greenwich = timezone(timedelta(hours=7)), timezone(timedelta(0))
    times = {
        "a": datetime(2026, 5, 1, 9, 0, tzinfo=hanoi),
        "b": datetime(2026, 5, 1, 3, 0, tzinfo=greenwich),
        "c": datetime(2026, 5, 1, 9, 30, tzinfo=hanoi),
        "d": None,
        "e": datetime(1, 1, 1, tzinfo=hanoi),
    }
    with hospital.begin() as unit:
        for place, (key, when) in enumerate(times.items()):
            unit.documents.add(entry(key, (one, two)[place % 2], start=when, date=None))
        unit.documents.add(entry("stranger", patient("2", number=None), start=NOW))
    with hospital.read() as unit:
        both = unit.documents.find(DocumentSearch(record_ids=(one.id, two.id)))
        assert [found.id for found in both] == [id_of(key) for key in ("stranger", "b", "c", "a", "e", "d")]
        assert len(list(unit.documents.find(DocumentSearch(record_ids=(one.id,))))) == 3
        assert list(unit.documents.find(DocumentSearch(record_ids=()))) == []


@pytest.mark.parametrize("whose", ["one person", "anybody"])
def test_pages_neither_lose_nor_repeat_a_document(hospital: Storage, whose: str) -> None:
    record_ids = (patient().id,) if whose == "one person" else None
    keys = [f"{number:03}" for number in range(60)]
    with hospital.begin() as unit:
        for number, key in enumerate(keys):
            unit.documents.add(entry(key, start=NOW + timedelta(minutes=number // 7)))
    seen: list[str] = []
    after = None
    with hospital.read() as unit:
        while True:
            search = DocumentSearch(record_ids=record_ids, limit=8, after=after)
            page = [found for found, _ in zip(unit.documents.find(search), range(8), strict=False)]
            if not page:
                break
            seen += [found.id for found in page]
            after = Cursor(page[-1].performed, page[-1].id)
        everything = [found.id for found in unit.documents.find(DocumentSearch(record_ids=record_ids, limit=1))]
    assert seen == everything
    assert sorted(seen) == sorted(map(id_of, keys))


def test_the_newest_of_many_documents_are_read_without_the_others(hospital: Storage) -> None:
    read: list[str] = []
    with hospital.begin() as unit:
        for number in range(300):
            unit.documents.add(entry(f"{number}", start=NOW + timedelta(minutes=number)))
    with hospital.read() as unit:
        search = DocumentSearch(where=(lambda one: not read.append(one.id),), record_ids=(patient().id,), limit=20)
        found = unit.documents.find(search)
        newest = [next(found).id for _ in range(20)]
    assert newest == read == [id_of(str(number)) for number in range(299, 279, -1)]


def test_an_identifier_is_a_unique_id_or_an_entry_uuid(hospital: Storage) -> None:
    with hospital.begin() as unit:
        for key in ("a", "b", "c"):
            unit.documents.add(entry(key))
    with hospital.read() as unit:
        wanted = (entry("a").unique_id, entry("b").entry_uuid, "urn:oid:1.2.3")
        found = unit.documents.find(DocumentSearch(identifiers=wanted))
        assert {one.id for one in found} == {id_of("a"), id_of("b")}
        assert [one.id for one in unit.documents.find(DocumentSearch(ids=(id_of("c"), "x")))] == [id_of("c")]


def test_documents_are_counted_by_what_closes_them(hospital: Storage) -> None:
    with hospital.begin() as unit:
        for key in ("a", "b", "c"):
            unit.documents.add(entry(key))
        unit.documents.add(closed_entry("hiv"))
    ct_only = (lambda one: one.id != id_of("c"),)
    with hospital.read() as unit:
        every = DocumentSearch(record_ids=(patient().id,), after=Cursor(NOW, ""))
        assert unit.documents.counts(every) == {(NORMAL,): 3, (HIV,): 1}
        assert unit.documents.counts(replace(every, where=ct_only)) == {(NORMAL,): 2, (HIV,): 1}
        assert unit.documents.counts(DocumentSearch(record_ids=())) == {}


def test_submission_sets_and_folders_are_kept_and_listed(hospital: Storage) -> None:
    act = SubmissionSet(
        id_of("act"), "urn:uuid:" + id_of("act-e"), "1.2.3.4", "1.2.3", patient().identifier, patient().id, NOW
    )
    later = replace(act, id=id_of("later"), unique_id="1.2.3.5", submitted=LATER, members=(id_of("report"),))
    folder = Folder(id_of("f"), "urn:uuid:1", "1.2.9", patient().identifier, patient().id, "Đột quỵ", NOW)
    with hospital.begin() as unit:
        unit.documents.add_submission(act)
        unit.documents.add_submission(later)
        with pytest.raises(DuplicateUniqueId):
            unit.documents.add_submission(replace(act, id=id_of("again")))
        unit.documents.save_folder(folder)
        unit.documents.save_folder(replace(folder, members=(id_of("report"),)))
        with pytest.raises(DuplicateUniqueId):
            unit.documents.save_folder(replace(folder, id=id_of("other folder")))
    with hospital.read() as unit:
        assert unit.documents.submission(act.id) == unit.documents.by_submission_unique_id("1.2.3.4") == act
        assert list(unit.documents.find_submissions(SubmissionSearch(record_ids=(patient().id,)))) == [later, act]
        assert list(unit.documents.find_submissions(SubmissionSearch(identifiers=("1.2.3.5",)))) == [later]
        assert list(unit.documents.find_submissions(SubmissionSearch(where=(lambda one: one.id == act.id,)))) == [act]
        assert unit.documents.folder(folder.id) == replace(folder, members=(id_of("report"),))
        assert [one.id for one in unit.documents.find_folders((patient().id,))] == [folder.id]
        assert list(unit.documents.find_folders(("nobody",))) == []


def test_a_visit_keeps_the_message_that_told_of_it(hospital: Storage) -> None:
    visit = Visit("MA_LK-1", FacilityCode("27001"), NOW, LATER, kept={"XML4": 12}, source=b"\x00<GIAMDINHHS/>\xff")
    referral = Referral("12/GCT", FacilityCode("27001"), FacilityCode("01001"), NOW, reason="đột quỵ")
    with hospital.begin() as unit:
        unit.documents.save_visit(patient().id, replace(visit, source=b"first"))
        unit.documents.save_visit(patient().id, visit)
        unit.documents.save_referral(patient().id, referral)
        unit.documents.save_referral(patient().id, replace(referral, reason="nhồi máu não"))
        unit.documents.save_referral(patient().id, replace(referral, number="13/GCT", signed=LATER))
    with hospital.read() as unit:
        assert unit.documents.visit(patient().id, "MA_LK-1") == visit
        assert unit.documents.visit(patient().id, "MA_LK-2") is None
        assert [(one.number, one.reason) for one in unit.documents.referrals_of(patient().id)] == [
            ("13/GCT", "đột quỵ"),
            ("12/GCT", "nhồi máu não"),
        ]


def test_a_study_grows_by_its_instances(hospital: Storage) -> None:
    small, large = study(instances=2), study(instances=2000)
    with hospital.begin() as unit:
        unit.studies.save(small)
        unit.studies.save(large)
        with pytest.raises(DuplicateUniqueId):
            unit.studies.save(replace(small, id=id_of("another study")))
    with hospital.read() as unit:
        assert unit.studies.study(small.id) == unit.studies.by_uid(small.study_instance_uid) == large


def test_studies_come_newest_first_and_are_counted(hospital: Storage) -> None:
    old, new = study("1"), study("2", started=LATER, sensitivity=(HIV,))
    stranger = study("3", patient("2", number=None), started=None)
    with hospital.begin() as unit:
        for one in (old, stranger, new):
            unit.studies.save(one)
    with hospital.read() as unit:
        mine = StudySearch(record_ids=(patient().id,))
        assert list(unit.studies.find(mine)) == [new, old]
        assert list(unit.studies.find(StudySearch())) == [new, old, stranger]
        assert list(unit.studies.find(replace(mine, after=Cursor(new.started, new.id)))) == [old]
        assert list(unit.studies.find(StudySearch(study_instance_uids=(old.study_instance_uid,)))) == [old]
        assert unit.studies.counts(mine) == {(NORMAL,): 1, (HIV,): 1}
        assert unit.studies.counts(replace(mine, where=(lambda one: one.id == old.id,))) == {(NORMAL,): 1}


def test_what_a_peer_listed_is_kept_until_it_is_forgotten(storage: Storage) -> None:
    person: SourceRecord = patient()
    question = PatientInQuestion(person.identifiers, person.demographics)
    seen = RemoteEntry("27001.x", "study", BAC_NINH, "x", question, None, None, None, "1.2.3", NOW)
    again = replace(seen, seen=LATER)
    with storage.begin() as unit:
        unit.remote.remember([seen, replace(seen, id="27001.y", study_instance_uid=None)])
        unit.remote.remember([again])
    with storage.begin() as unit:
        assert unit.remote.entry("27001.x") == again
        assert unit.remote.of_study("1.2.3") == (again,)
        assert unit.remote.forget_before(LATER) == 1
        assert unit.remote.entry("27001.y") is None


def test_newest_twenty_of_a_patient_need_one_statement(database_url: str) -> None:
    engine = make_engine(database_url)
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    storage = Storage(engine)
    with storage.read() as unit:
        list(unit.documents.find(DocumentSearch(record_ids=("a",), limit=20)))
    storage.close()
    assert len([one for one in statements if one.startswith("SELECT document")]) == 1
