"""A patient is erased: nothing opens any more, nobody finds the name, and the record of disclosures holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from adapters.store.contents import FolderContentStore
from adapters.store.engine import make_engine
from adapters.store.schema import metadata
from consent.errors import ErasureRefused
from consent.requesters import Role
from hie_node import jobs
from hie_node.acts import Act
from hie_node.flows.erase import Erased, erase_patient
from hie_node.flows.publish import publish
from hie_node.publishing import publisher
from registry.commands import ProvideSubmission
from registry.errors import InvalidValue
from registry.ledger import Entry, Told
from registry.people import PatientInQuestion
from registry.ports import StoredContent
from registry.searches import PatientSelector
from tests.lab import Hospital, Lab
from tests.papers import HOA, LAN, CtStudy, Person, ct_report, written_request

KEPT_AS_PROOF = {"consent", "consent_version", "receipt"}
"""That a disclosure was lawful has to be shown after the patient is gone."""
WHY = "theo yêu cầu của người bệnh"


def _erases(hospital: Hospital, person: Person, role: Role = Role.DATA_PROTECTION_OFFICER, why: str = WHY) -> Erased:
    who = PatientSelector(described=PatientInQuestion((hospital.number_of(person),)))
    return erase_patient(hospital._act("erase", role), who, because=why)


def test_nothing_of_an_erased_patient_opens_and_the_record_holds(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    report, study = bac_ninh.publishes(ct_report(LAN)), bac_ninh.publishes_study(CtStudy(LAN))
    other = bac_ninh.publishes(ct_report(HOA))
    bac_ninh.records(written_request(LAN, to="bach-mai"))
    assert report in bach_mai.finds_documents(LAN)
    rows = len(bac_ninh.rows(patient=bac_ninh.number_of(LAN)))
    bac_ninh.seals()
    done = _erases(bac_ninh, LAN)
    assert done.rows >= 3 and done.withdrawn == 1
    assert report not in bach_mai.finds_documents(LAN) and bac_ninh.finds_own_documents(LAN).ids == []
    assert bac_ninh.fetches(report).status == 404 and bac_ninh.fetches(study).status == 404
    assert bac_ninh.fetches(other).status == 200, "nobody else is touched"
    bac_ninh.seals()
    assert bac_ninh.verifies().findings == ()
    kept = bac_ninh.rows(patient=bac_ninh.number_of(LAN))
    assert len(kept) >= rows + 1 and any(row.transaction == "erase" and row.requester.reason == WHY for row in kept)


class Interrupted:
    """Content during which, when it is read to its end for the first time, something else happens."""

    def __init__(self, value: bytes, meanwhile: Callable[[], object]) -> None:
        self._value, self._meanwhile = value, [meanwhile]

    def chunks(self) -> Iterator[bytes]:
        yield self._value
        if self._meanwhile:
            self._meanwhile.pop()()


def test_what_is_published_while_its_patient_is_erased_can_be_opened(lab: Lab) -> None:
    bac_ninh = lab.hospital("bac-ninh")
    before = bac_ninh.publishes(ct_report(LAN))
    submission = bac_ninh.submission(ct_report(LAN, "x" * 100_000))
    (document,) = submission.documents
    assert document.content is not None
    value = b"".join(document.content.chunks())
    during = Interrupted(value, lambda: _erases(bac_ninh, LAN))
    command = ProvideSubmission(replace(submission, documents=(replace(document, content=during),)))
    (report,) = publish(Act(bac_ninh.house, publisher(bac_ninh.house, "his"), "publish"), command).documents
    assert bac_ninh.fetches(before).status == 404
    assert bac_ninh.fetches(report).body == value


def test_images_that_come_while_their_patient_is_erased_can_be_opened(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    bac_ninh = lab.hospital("bac-ninh")
    bac_ninh.registers(LAN)
    meanwhile = [lambda: _erases(bac_ninh, LAN)]
    put = FolderContentStore.put

    def interrupted(store: FolderContentStore, *arguments: Any, **named: Any) -> StoredContent:
        stored = put(store, *arguments, **named)
        if meanwhile:
            meanwhile.pop()()
        return stored

    monkeypatch.setattr(FolderContentStore, "put", interrupted)
    study = bac_ninh.publishes_study(CtStudy(LAN))
    assert bac_ninh.fetches(study).status == 200


def test_no_name_or_number_of_an_erased_patient_is_left_in_the_tables_of_the_index(lab: Lab) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    bac_ninh.registers(LAN)
    bac_ninh.feeds(LAN, number=LAN.number_at("bac-ninh"))
    report = bac_ninh.publishes(ct_report(LAN, "x" * 100_000))
    bac_ninh.publishes(ct_report(LAN, "kích thước nhỏ"))
    content = bac_ninh.house.settings.contents.rglob(report.attachment.content_hash)
    assert list(content)
    _erases(bac_ninh, LAN)
    engine = make_engine(bac_ninh.house.settings.database_url)
    with engine.connect() as connection:
        for table in (
            "source_record",
            "source_record_version",
            "document",
            "study",
            "submission_set",
            "disclosure",
            "small_content",
        ):
            told = " ".join(str(row) for row in connection.execute(text(f"SELECT * FROM {table}")))
            assert [secret for secret in (LAN.name, *(v for _, v in LAN.numbers)) if secret in told] == [], table
        for table in ("name_word", "small_content"):
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() == 0
        assert connection.execute(text("SELECT count(*) FROM patient_key")).scalar_one() == 0
    engine.dispose()
    assert not list(bac_ninh.house.settings.contents.rglob(report.attachment.content_hash))


def test_what_others_told_about_an_erased_patient_goes_as_well(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    reports = [bac_ninh.publishes(ct_report(person)) for person in (LAN, HOA)]
    for person in (LAN, HOA):
        bach_mai.registers(person)
        bach_mai.records(written_request(person, to="bach-mai"))
    for person, report in zip((LAN, HOA), reports, strict=True):
        assert report in bach_mai.finds_documents(person)
    listed = {person: bach_mai.finds_documents(person).ids for person in (LAN, HOA)}
    _erases(bach_mai, LAN)
    with bach_mai.house.storage.read() as unit:
        assert [unit.remote.entry(one) for one in listed[LAN]] == [None]
        assert all(unit.remote.entry(one) for one in listed[HOA]), "nobody else is touched"
    engine = make_engine(bach_mai.house.settings.database_url)
    with engine.connect() as connection:
        for table in metadata.tables.keys() - KEPT_AS_PROOF:
            told = " ".join(str(row) for row in connection.execute(text(f"SELECT * FROM {table}")))
            assert [secret for secret in (LAN.name, *(v for _, v in LAN.numbers)) if secret in told] == [], table
    engine.dispose()


def test_the_ledger_keeps_a_decision_and_not_about_whom(lab: Lab) -> None:
    (bach_mai,) = lab.hospitals("bach-mai")
    bach_mai.registers(LAN)
    with bach_mai.house.storage.read() as unit:
        record = unit.patients.record(bach_mai.number_of(LAN))
    assert record is not None
    now = bach_mai.house.now()
    with bach_mai.house.storage.begin() as unit:
        unit.orders.tell(Told("c1", now, record.id, "CT/head", "", "27001", "27001.x", now, True, "page"))
        unit.orders.decide(Entry("c1", now, "repeated", "CT/head", "27001", record.id))
        unit.orders.decide(Entry("c2", now, "repeated", "CT/head", "27001", "else"))
    _erases(bach_mai, LAN)
    with bach_mai.house.storage.read() as unit:
        assert unit.orders.told("c1") is None
        assert [one.record_id for one in unit.orders.decisions(now, now + timedelta(seconds=1))] == ["", "else"]


def test_who_keeps_a_request_of_an_erased_patient_is_told_that_it_is_withdrawn(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    bach_mai.registers(LAN)
    bac_ninh.publishes(ct_report(LAN))
    consent = bach_mai.records(written_request(LAN, to="bach-mai"))
    assert bach_mai.finds_documents(LAN).ids
    _erases(bach_mai, LAN)
    jobs.carry_withdrawals(bach_mai.house)
    with bac_ninh.house.storage.read() as unit:
        kept = unit.receipts.kept(consent.id)
        assert kept is not None and kept.withdrawn is not None


def test_only_the_officer_erases_and_says_why(lab: Lab) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    report = bac_ninh.publishes(ct_report(LAN))
    for role in set(Role) - {Role.DATA_PROTECTION_OFFICER}:
        with pytest.raises(ErasureRefused):
            _erases(bac_ninh, LAN, role)
    with pytest.raises(InvalidValue):
        _erases(bac_ninh, LAN, why="vì vậy")
    assert bac_ninh.fetches(report).status == 200


def test_an_erased_patient_who_comes_again_is_registered_anew(lab: Lab) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    bac_ninh.publishes(ct_report(LAN))
    _erases(bac_ninh, LAN)
    bac_ninh.registers(LAN)
    report = bac_ninh.publishes(ct_report(LAN, "Lần mới."))
    assert bac_ninh.finds_own_documents(LAN).ids == [report.id]
