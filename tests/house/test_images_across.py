"""Images of another hospital as a viewer asks for them: by the own patient number, frame by frame."""

from __future__ import annotations

import json
from typing import Any

from consent.consents import Consent
from tests.adapters.dicom.files import element
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


def test_how_thin_the_slices_are_and_that_contrast_was_given_is_told_across_hospitals(lab: Lab) -> None:
    """What a doctor weighs before ordering it again."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    bac_ninh.registers(LAN)
    bach_mai.registers(LAN)
    bach_mai.records(WrittenRequest(LAN, to="bach-mai"))
    thin = element(0x00180050, "DS", b"1.25")
    agent = element(0x00180010, "LO", b"Iohexol")
    sent = [one.replace(thin, agent + thin) for one in STUDY.slices("bac-ninh")]
    bac_ninh.publishes_files({f"{n}.dcm": one for n, one in enumerate(sent)})
    (study,) = bach_mai.finds_studies(LAN).found
    (how,) = study["series"][0]["extension"]
    told = {one["url"]: one.get("valueString") or one["valueQuantity"]["value"] for one in how["extension"]}
    assert told == {"slice-thickness": 1.25, "contrast-agent": "Iohexol"}
