"""Images of another hospital as a viewer asks for them: by the own patient number, frame by frame."""

from __future__ import annotations

import json
from typing import Any

from consent.consents import Consent
from tests.lab import Hospital, Lab
from tests.papers import LAN, CtStudy, WrittenRequest

STUDY = CtStudy(LAN)
SERIES = f"/studies/{STUDY.uid}/series/{STUDY.uid}.1"
OCTETS = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'


JSON = {"Accept": "application/dicom+json"}
FRAME = f"/network/dicomweb{SERIES}/instances/{STUDY.uid}.1.2/frames/1"


def opened(lab: Lab) -> tuple[Hospital, Consent]:
    """Bạch Mai may see the study of Lan's that Bắc Ninh has."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    bac_ninh.registers(LAN)
    bac_ninh.publishes_study(STUDY)
    bach_mai.registers(LAN)
    return bach_mai, bach_mai.records(WrittenRequest(LAN, to="bach-mai"))


def found(hospital: Hospital) -> list[dict[str, Any]]:
    number = LAN.number_at(hospital.name)
    answer = hospital.sends("GET", f"/network/dicomweb/studies?PatientID={number}", headers=JSON)
    return list(json.loads(answer.body or b"[]"))


def test_a_viewer_finds_and_opens_images_elsewhere_by_the_own_patient_number(lab: Lab) -> None:
    bach_mai, _ = opened(lab)
    assert [one["0020000D"]["Value"] for one in found(bach_mai)] == [[STUDY.uid]]
    headers = bach_mai.sends("GET", f"/network/dicomweb{SERIES}/metadata", headers=JSON)
    assert [one["00200013"]["Value"] for one in json.loads(headers.body)] == [[1], [2], [3]]
    frame = bach_mai.sends("GET", FRAME, headers={"Accept": OCTETS})
    assert (frame.status, bytes([2]) * STUDY.size in frame.body) == (200, True)


def test_frames_of_a_patient_who_took_the_request_back_are_not_shown(lab: Lab) -> None:
    bach_mai, consent = opened(lab)
    assert found(bach_mai)
    bach_mai.withdraws(consent)
    assert bach_mai.sends("GET", FRAME, headers={"Accept": OCTETS}).status == 404
