"""Whoever tries the registrar's pages after the demonstration finds something on each of them."""

from __future__ import annotations

from urllib.parse import urlencode

from consent.requesters import Role
from hie_node.lab.for_people import (
    SECOND_NUMBER,
    registered_again,
    reported_under_the_wrong_number,
    scanned_under_the_wrong_number,
)
from hie_node.lab.province import plan
from hie_node.lab.seeding import SEED
from hie_node.lab.studies import write_study
from registry.identifiers import NATIONAL_ID
from tests.house.web.browser import Browser
from tests.house.web.test_files_page import drops
from tests.lab import Hospital


def test_a_look_alike_images_and_a_report_wait_for_the_registrar(bach_mai: Hospital) -> None:
    story = plan(SEED, 300).story
    number, system = story.numbers["bach-mai"], bach_mai.house.settings.patient_id_system
    again = registered_again(story.person, system)
    as_known = [{"system": system, "value": number}, {"system": NATIONAL_ID, "value": story.person.national_id}]
    for patient in ({**again, "identifier": [*as_known, again["identifier"][2]]}, again):
        local = patient["identifier"][0]["value"]
        target = "/fhir/Patient?" + urlencode({"identifier": f"{system}|{local}"})
        assert bach_mai.asked("PUT", target, patient).status in (200, 201)
    spec = scanned_under_the_wrong_number(number, bach_mai.facility, story.ct.performed)
    folder = bach_mai.lab.folder / "scanned"
    bach_mai.publishes_files({path.name: path.read_bytes() for path in write_study(spec, folder)})
    drops(bach_mai, reported_under_the_wrong_number(number, story.ct.performed))

    registrar = Browser(bach_mai)
    registrar.signs_in(Role.REGISTRAR)
    doubt = registrar.opens(registrar.opens("/reviews").link("/reviews/"))
    assert number in doubt.text and SECOND_NUMBER in doubt.text
    assert "Trần Văn Bình" in registrar.opens("/quarantine").text
    paper = registrar.opens(registrar.opens("/files").link("/files/"))
    assert "sieu-am.pdf" in paper.text
