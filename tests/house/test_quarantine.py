"""Images under the wrong number: nobody sees them, nobody loses them, and a registrar says whose they are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapters.dicom.part10 import read_instance
from consent.requesters import Role
from hie_node.acts import Act, Caller
from hie_node.flows.quarantine import ANOTHER_PATIENT, ANOTHER_PERSON, reject, waiting
from hie_node.flows.release import release
from registry.errors import NotFound, PatientMismatch
from registry.identifiers import PatientIdentifier
from registry.studies import Quarantined
from tests.lab import Hospital, Lab
from tests.papers import HOA, LAN, CtStudy, Person

STUDY = CtStudy(LAN)


def act(hospital: Hospital) -> Act:
    return Act(hospital.house, Caller(hospital.requester(Role.REGISTRAR), "house"), "hie quarantine")


def mistyped(hospital: Hospital, *, who: Person = HOA) -> CtStudy:
    """Lan's number typed in for somebody else."""
    return replace(STUDY, patient=replace(who, key=LAN.key))


def kept(hospital: Hospital) -> list[Quarantined]:
    return [aside for aside, _ in waiting(act(hospital))]


def sent(hospital: Hospital, study: CtStudy) -> list[str]:
    """What the sender of these files is told."""
    files = {f"{n}.dcm": content for n, content in enumerate(study.slices(hospital.name))}
    return [text for one in hospital.publishes_files(files) for text in (*one.warnings, one.reason) if text]


def stored(hospital: Hospital) -> int:
    with hospital.house.storage.read() as unit:
        study = unit.studies.by_uid(STUDY.uid)
    return len(study.selected()) if study else 0


@pytest.fixture
def bac_ninh(lab: Lab) -> Hospital:
    (hospital,) = lab.hospitals("bac-ninh")
    hospital.registers(LAN)
    hospital.registers(HOA)
    return hospital


def test_images_of_somebody_else_under_a_known_number_are_kept_and_not_shown(bac_ninh: Hospital) -> None:
    assert all("kept aside" in text for text in sent(bac_ninh, mistyped(bac_ninh)))
    (aside,) = kept(bac_ninh)
    assert (aside.reason, len(aside.instances)) == (ANOTHER_PERSON, STUDY.count)
    assert stored(bac_ninh) == 0
    assert bac_ninh.fetches(_as_listed(bac_ninh), base="").status == 404
    sent(bac_ninh, mistyped(bac_ninh))
    assert [len(one.instances) for one in kept(bac_ninh)] == [STUDY.count]


def _as_listed(hospital: Hospital) -> object:
    content = STUDY.slices(hospital.name)[0]
    path = hospital.lab.folder / "one.dcm"
    path.write_bytes(content)
    return replace(read_instance(path, size=len(content), own_issuer="urn:x").study, record_id="r")


def test_a_registrar_gives_them_to_whose_they_are(bac_ninh: Hospital) -> None:
    sent(bac_ninh, mistyped(bac_ninh))
    (aside,) = kept(bac_ninh)
    result = release(act(bac_ninh), aside.id, bac_ninh.number_of(HOA))
    assert (len(result.stored), kept(bac_ninh)) == (STUDY.count, [])
    with bac_ninh.house.storage.read() as unit:
        study = unit.studies.by_uid(STUDY.uid)
    assert study is not None and study.patient == bac_ninh.number_of(HOA)
    assert bac_ninh.fetches(study, base="").status == 200
    assert not any(bac_ninh.house.contents.exists(aside.id, one.content_hash) for one in aside.instances)
    with pytest.raises(NotFound):
        release(act(bac_ninh), aside.id, bac_ninh.number_of(HOA))


def test_what_is_rejected_is_gone_and_can_be_sent_again(bac_ninh: Hospital) -> None:
    sent(bac_ninh, mistyped(bac_ninh))
    (aside,) = kept(bac_ninh)
    reject(act(bac_ninh), aside.id)
    assert kept(bac_ninh) == [] and stored(bac_ninh) == 0
    assert not any(bac_ninh.house.contents.exists(aside.id, one.content_hash) for one in aside.instances)
    assert sent(bac_ninh, STUDY) == []
    assert stored(bac_ninh) == STUDY.count


def test_a_study_of_one_patient_takes_no_images_of_another(bac_ninh: Hospital) -> None:
    bac_ninh.publishes_study(STUDY)
    other = replace(STUDY, patient=HOA, count=4)
    sent(bac_ninh, other)
    (aside,) = kept(bac_ninh)
    assert aside.reason == ANOTHER_PATIENT and stored(bac_ninh) == STUDY.count
    with pytest.raises(PatientMismatch):
        release(act(bac_ninh), aside.id, bac_ninh.number_of(HOA))
    with pytest.raises(NotFound):
        release(act(bac_ninh), aside.id, PatientIdentifier(aside.patient.system, "nobody"))
    assert len(kept(bac_ninh)) == 1


def test_images_follow_their_patient_through_a_merge(bac_ninh: Hospital) -> None:
    bac_ninh.publishes_study(replace(STUDY, count=2))
    bac_ninh.registers(LAN, number="BN-new")
    bac_ninh.feeds(LAN, merged_into="BN-new")
    assert sent(bac_ninh, STUDY) == []
    assert (stored(bac_ninh), kept(bac_ninh)) == (3, [])
    with bac_ninh.house.storage.read() as unit:
        study = unit.studies.by_uid(STUDY.uid)
    assert study is not None and len(bac_ninh.fetches(study, base="").instances) == 3
