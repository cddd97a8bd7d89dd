"""Which report belongs to which images is never guessed: where the data do not decide it, a person does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from adapters.store.people import User
from consent.requesters import Role
from hie_node.acts import Act, Caller
from hie_node.cli import app
from hie_node.commands.output import home_option
from hie_node.flows.pairs import BY_A_PERSON, apart, how_many_pairs, put_together
from registry.errors import InvalidValue, NotFound, PatientMismatch
from registry.identifiers import ACCESSION, PatientIdentifier
from registry.studies import Study
from tests.lab import Hospital, Lab
from tests.papers import HOA, LAN, CtStudy, ct_report

AT_THE_TIME = "2026-03-10T08:20:00+07:00"


def act(hospital: Hospital) -> Act:
    return Act(hospital.house, Caller(hospital.requester(Role.REGISTRAR), "house"), "hie pairs")


@pytest.fixture
def hospital(lab: Lab) -> Hospital:
    made = lab.hospital("bac-ninh")
    made.registers(LAN)
    made.registers(HOA)
    return made


@pytest.fixture
def desk(hospital: Hospital) -> Iterator[None]:
    """A registrar at the command line of the hospital."""
    with hospital.house.storage.begin() as unit:
        unit.people_of_the_house.add_user(User("tn.tuan", "no password", Role.REGISTRAR, "Tuấn"))
    before = home_option.set(None)
    yield
    home_option.reset(before)


def said(hospital: Hospital, *command: str) -> list[tuple[str, str]]:
    """Images and report of each line of what `hie pairs` answers."""
    home = str(hospital.house.settings.home)
    found = CliRunner().invoke(app, ["--home", home, "pairs", *command, "--as", "tn.tuan", "--json"])
    if found.exception is not None:
        raise found.exception
    told = json.loads(found.stdout)
    return [(one["images"], one["report"]) for one in (told if isinstance(told, list) else [told])]


def two_studies(hospital: Hospital) -> list[Study]:
    """The same examination twice within an hour, as after a patient who had moved."""
    return [hospital.publishes_study(CtStudy(LAN, uid=f"1.2.826.0.1.99.{n}")) for n in (71, 72)]


def test_a_report_that_fits_two_studies_waits_for_a_person(hospital: Hospital) -> None:
    first, second = two_studies(hospital)
    report = hospital.publishes(ct_report(LAN, performed=AT_THE_TIME))
    found = apart(act(hospital), hospital.number_of(LAN))
    assert {one.id for one in found.studies} == {first.id, second.id}
    assert [one.id for one in found.reports] == [report.id]

    joined = put_together(act(hospital), second.id, report.id)
    assert (joined.report_id, joined.pairing) == (report.id, BY_A_PERSON)
    found = apart(act(hospital), hospital.number_of(LAN))
    assert [one.id for one in found.studies] == [first.id] and found.reports == ()
    (shown,) = hospital.finds_own_documents(LAN).found
    assert any(second.study_instance_uid in str(one) for one in shown["context"]["related"])
    (row,) = [one for one in hospital.rows(direction="changed") if one.transaction == "hie pairs"]
    assert set(row.items) == {second.id, report.id} and row.requester.role is Role.REGISTRAR


def test_what_is_together_or_is_of_somebody_else_is_not_put_together(hospital: Hospital) -> None:
    first, second = two_studies(hospital)
    report = hospital.publishes(ct_report(LAN, performed=AT_THE_TIME))
    theirs = hospital.publishes(ct_report(HOA, performed=AT_THE_TIME))
    with pytest.raises(PatientMismatch):
        put_together(act(hospital), first.id, theirs.id)
    put_together(act(hospital), first.id, report.id)
    with pytest.raises(InvalidValue):
        put_together(act(hospital), first.id, report.id)
    with pytest.raises(InvalidValue):
        put_together(act(hospital), second.id, report.id)
    with pytest.raises(NotFound):
        put_together(act(hospital), "nothing", report.id)
    with pytest.raises(NotFound):
        apart(act(hospital), hospital.number_of(LAN).__class__(hospital.number_of(LAN).system, "NOBODY"))


def test_what_the_rules_settle_later_waits_for_nobody(hospital: Hospital) -> None:
    first, _ = two_studies(hospital)
    report = hospital.publishes(ct_report(LAN, performed=AT_THE_TIME, unique_id="1.2.3.4"))
    assert how_many_pairs(hospital.house) == 2
    with hospital.house.storage.begin() as unit:
        unit.studies.save(replace(first, accession_number="A1", version=first.version + 1))
        entry = unit.documents.entry(report.id)
        assert entry is not None
        named = replace(entry, references=(PatientIdentifier(ACCESSION, "A1"),), version=entry.version + 1)
        unit.documents.replace(named)
    hospital.publishes_files({"9.dcm": CtStudy(LAN, uid=first.study_instance_uid, count=9).slices(hospital.name)[8]})
    with hospital.house.storage.read() as unit:
        joined = unit.studies.study(first.id)
    assert joined is not None and joined.report_id == report.id
    assert how_many_pairs(hospital.house) == 0


def test_the_command_line_keeps_two_apart_and_takes_it_back(hospital: Hospital, desk: None) -> None:
    first, second = two_studies(hospital)
    report = hospital.publishes(ct_report(LAN, performed=AT_THE_TIME))
    waits = [(first.id, report.id), (second.id, report.id)]
    assert sorted(said(hospital, "review")) == sorted(waits)

    said(hospital, "keep-apart", first.id, report.id)
    assert said(hospital, "review") == [(second.id, report.id)]
    said(hospital, "undo", first.id, report.id)
    assert sorted(said(hospital, "review")) == sorted(waits)

    said(hospital, "join", first.id, report.id)
    with pytest.raises(InvalidValue):
        said(hospital, "keep-apart", first.id, report.id)
    said(hospital, "undo", first.id, report.id)
    assert sorted(said(hospital, "review")) == sorted(waits)
    with pytest.raises(NotFound):
        said(hospital, "undo", first.id, report.id)
    rows = [one for one in hospital.rows(direction="changed") if one.transaction == "hie pairs" and one.items]
    assert len(rows) == 4 and {one.requester.subject for one in rows} == {"tn.tuan"}
