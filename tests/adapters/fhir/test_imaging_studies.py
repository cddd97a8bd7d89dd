"""Imaging studies are found by each parameter and come back as they went out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from exchange import BASE, HOME, OTHER, SYSTEM, ask, shown, with_id

from adapters.fhir import find_imaging_studies as search
from adapters.fhir import read_imaging_study as reading
from adapters.fhir.check import check
from adapters.fhir.imaging_study import imaging_study, read_imaging_study
from adapters.fhir.issues import BadRequest
from registry.coded import CodedValue
from registry.commands import Page
from registry.errors import InvalidValue
from registry.identifiers import PatientIdentifier
from registry.searches import Cursor
from registry.studies import Instance, Series, Study

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
NOON = datetime(2026, 5, 4, 5, 0, tzinfo=UTC)
STUDY = Study(
    id="st1",
    study_instance_uid="1.2.840.99.7.1",
    patient=PatientIdentifier(SYSTEM, "BN-000123"),
    record_id="77",
    started=NOON,
    accession_number="ACC-77",
    description="CT so nao",
    referrer="BS. Mẫu",
    institution="BV Thử",
    procedure=CodedValue("18.0219.0040", "urn:x", "CT sọ não"),
    pairing="accession number",
    sensitivity=(CodedValue("R", "urn:x"),),
    series=(
        Series(
            "1.2.840.99.7.1.1",
            "CT",
            number=2,
            description="plain",
            body_part="HEAD",
            laterality="L",
            started=NOON,
            instances=(Instance("1.2.840.99.7.1.1.1", CT_IMAGE, "", "", 0, 1), Instance("1.2.9", CT_IMAGE, "", "", 0)),
        ),
        Series("1.2.840.99.7.1.2", "SR"),
        Series(
            "1.2.840.99.7.1.3",
            "CT",
            slice_thickness=1.25,
            kernel="H60s",
            contrast_agent="Iohexol",
            dose=47.5,
            extent=160.0,
        ),
    ),
)


@pytest.mark.parametrize("study", [STUDY, Study("st2", "1.2.3", STUDY.patient, "77")])
def test_a_study_comes_back_as_it_went_out(study: Study) -> None:
    resource = imaging_study(study, base=BASE, home=HOME)
    assert not check(resource)
    back = read_imaging_study(resource, study_id=study.id, patient=study.patient, record_id="77", home=HOME)
    assert back == study


def test_how_much_was_covered_is_told_to_who_does_not_know_the_slices() -> None:
    places = (10.0, 12.5, 30.0)
    slices = tuple(Instance(f"1.2.9.{n}", CT_IMAGE, "", "", 0, position=place) for n, place in enumerate(places))
    study = replace(STUDY, series=(Series("1.2.9", "CT", slice_thickness=2.5, instances=slices),))
    resource = imaging_study(study, base=BASE, home=HOME)
    back = read_imaging_study(resource, study_id="st1", patient=study.patient, record_id="77", home=HOME)
    assert back.series[0].coverage == study.series[0].coverage == 22.5


@pytest.mark.parametrize(
    "said",
    [
        {"url": "slice-thickness", "valueQuantity": {"value": -1, "code": "mm"}},
        {"url": "slice-thickness", "valueQuantity": {"value": 10**9, "code": "mm"}},
        {"url": "slice-thickness", "valueQuantity": {"value": 1, "code": "cm"}},
        {"url": "slice-thickness", "valueString": "thin"},
        {"url": "kernel", "valueString": "x" * 1000},
        {"url": "kernel", "valueQuantity": {"value": 1}},
        {"url": "something else", "valueString": "x"},
    ],
)
def test_what_a_peer_says_out_of_order_of_a_series_is_passed_over(said: dict[str, object]) -> None:
    resource = imaging_study(STUDY, base=BASE, home=HOME)
    resource["series"][0]["extension"] = [{"url": "urn:hie-node:acquisition", "extension": [said]}]
    back = read_imaging_study(resource, study_id="st1", patient=STUDY.patient, record_id="77", home=HOME)
    assert back.series[0] == STUDY.series[0]


def test_the_images_are_behind_this_node() -> None:
    resource = imaging_study(STUDY, base=BASE, home=HOME)
    assert resource["contained"][0]["address"] == "https://node.example/dicomweb"
    assert resource["endpoint"] == [{"reference": "#wado-rs"}]
    remote = replace(STUDY, id="27001.st1", home=OTHER)
    resource = imaging_study(remote, base="https://node.example/network/fhir", home=HOME)
    assert resource["contained"][0]["address"] == "https://node.example/network/dicomweb"
    assert "reference" not in resource["subject"]
    assert (resource["numberOfSeries"], resource["numberOfInstances"]) == (3, 2)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("identifier", "urn:dicom:uid|urn:oid:1.2.840.99.7.1"),
        ("identifier", "1.2.840.99.7.1"),
        ("identifier", f"{SYSTEM}|ACC-77"),
        ("started", "2026-05"),
        ("modality", "http://dicom.nema.org/resources/ontology/DCM|CT"),
        ("modality", "MR,SR"),
        ("bodysite", "HEAD"),
        ("status", "available"),
        ("series", "1.2.840.99.7.1.1"),
        ("series", "urn:oid:1.2.840.99.7.1.1"),
        ("instance", "1.2.9"),
        ("dicom-class", f"urn:ietf:rfc:3986|urn:oid:{CT_IMAGE}"),
        ("_lastUpdated", "2026-05-04"),
    ],
)
def test_a_study_is_found_by_each_parameter(name: str, value: str) -> None:
    study = replace(STUDY, updated=NOON)
    for wanted, is_found in ((value, True), ("1999", False)):
        command = search.decode(ask(path="/fhir/ImagingStudy", query=(("subject", "Patient/77"), (name, wanted))))
        assert command.search.patient.record_id == "77"
        assert command.search.accepts(study) is is_found


def test_a_page_of_studies_in_xml() -> None:
    request = ask(path="/fhir/ImagingStudy", query=(("patient", "77"), ("_id", "st1"), ("_format", "xml")))
    assert search.decode(request).search.ids == ("st1",)
    answer = shown(search.encode(Page((STUDY,), total=5, next=Cursor(NOON, "st1")), request))
    assert answer["entry"][0]["resource"]["id"] == "st1" and not check(answer)
    assert reading.decode(with_id(request, "st1")).id == "st1"
    assert shown(reading.encode(STUDY, ask(path="/fhir/ImagingStudy/st1")))["id"] == "st1"


def test_the_network_is_asked_about_somebody_or_something() -> None:
    with pytest.raises(BadRequest):
        search.decode(ask(path="/network/fhir/ImagingStudy", query=(("modality", "CT"),), door="network"))
    assert search.decode(ask(query=(("identifier", "urn:dicom:uid|urn:oid:1.2"),), door="network")).search.where


def test_a_study_without_its_uid_is_none() -> None:
    resource = imaging_study(STUDY, base=BASE, home=HOME)
    del resource["identifier"]
    with pytest.raises(InvalidValue):
        read_imaging_study(resource, study_id="x", patient=STUDY.patient, record_id="", home=HOME)
