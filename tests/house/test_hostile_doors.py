"""What strangers may send to the doors, and what they get: an answer in the door's own language, and nothing else."""

from __future__ import annotations

import json
import time
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from adapters.trust.peer_tokens import make_peer_token
from hie_node.commands.output import home_option, seal_what_is_left
from hie_node.commands.peers import expel, resume
from tests.lab import Hospital, Lab
from tests.papers import LAN, STRANGER, CtStudy, ct_report, written_request
from tests.stand_in_edge import Reply, ask

SEARCH = "/fhir/DocumentReference/_search"
FORM = "application/x-www-form-urlencoded"


def knocks(one: Hospital, method: str, target: str, *, door: str = "house", **headers: str) -> Reply:
    return ask(one.application, door, method, target, headers=headers)


def test_an_unknown_address_is_told_in_the_language_of_its_door(lab: Lab) -> None:
    node = lab.hospital("bac-ninh")
    for path in ("/fhir/Foo", "/network/fhir/Foo", "/fhir/ImagingStudy/x/_history"):
        answer = knocks(node, "GET", path)
        assert (answer.status, json.loads(answer.body)["resourceType"]) == (404, "OperationOutcome")
    for door, path in (("house", "/dicomweb/foo"), ("house", "/oauth/foo"), ("peer", "/"), ("peer", "/metrics")):
        answer = knocks(node, "GET", path, door=door)
        assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")


def test_a_method_that_an_address_does_not_have_is_405_and_names_those_it_has(lab: Lab) -> None:
    node = lab.hospital("bac-ninh")
    answer = knocks(node, "DELETE", "/fhir/DocumentReference")
    assert (answer.status, json.loads(answer.body)["resourceType"]) == (405, "OperationOutcome")
    assert {"GET", "POST"} <= set(answer.headers["allow"].split(", "))
    for method in ("GET", "OPTIONS", "PUT"):
        answer = knocks(node, method, "/oauth/token")
        assert (answer.status, answer.headers["allow"]) == (405, "POST")


def test_a_token_request_that_names_a_parameter_twice_or_comes_as_another_form_is_refused(lab: Lab) -> None:
    node = lab.hospital("bac-ninh")
    twice = urlencode([("grant_type", "client_credentials"), ("grant_type", "client_credentials")]).encode()
    once = urlencode({"grant_type": "client_credentials"}).encode()
    for kind, body in ((FORM, twice), ("multipart/form-data; boundary=x", once), ("application/json", b"{}")):
        answer = ask(node.application, "house", "POST", "/oauth/token", headers={"Content-Type": kind}, body=body)
        assert (answer.status, json.loads(answer.body)) == (400, {"error": "invalid_request"})


def test_bad_parameters_of_images_are_the_askers_fault_and_no_fault_in_the_log(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    node = lab.hospital("bac-ninh")
    assert node.sends("GET", "/dicomweb/studies?fuzzymatching=maybe", headers={"Accept": "*/*"}).status == 400
    assert node.sends("GET", "/dicomweb/studies", headers={"Accept": "text/html"}).status == 406
    assert "fault" not in {record.getMessage() for record in caplog.records}


def test_a_study_of_a_hospital_that_is_down_is_unreachable_and_not_a_fault(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    bac_ninh.registers(LAN)
    study = bac_ninh.publishes_study(CtStudy(LAN))
    bac_ninh.records(written_request(LAN, to="bach-mai"))
    assert study in bach_mai.finds_studies(LAN)
    bac_ninh.goes_down()
    answer = bach_mai.opens(study)
    assert (answer.status, answer.headers["content-type"]) == (504, "application/problem+json")


def test_what_stood_in_a_form_does_not_come_back_in_a_link(lab: Lab) -> None:
    node = lab.hospital("bac-ninh")
    node.publishes(ct_report(LAN))
    by_form = node.finds_own_documents(LAN).bundle["link"]
    assert all(LAN.national_id not in link["url"] and "patient" not in link["url"] for link in by_form)
    again = node.asked("GET", urlsplit(by_form[0]["url"])._replace(scheme="", netloc="").geturl())
    assert again.total == 1
    assert all(LAN.national_id not in link["url"] for link in again.bundle["link"])
    by_url = node.asked("GET", "/fhir/DocumentReference?" + urlencode({"patient.identifier": "a|b"}))
    assert parse_qsl(urlsplit(by_url.bundle["link"][0]["url"]).query) == [("patient.identifier", "a|b")]


def peer_knocks(asker: Hospital, holder: Hospital, *, signed: str, sent: str, query: str | None = None) -> int:
    token = make_peer_token(
        asker.house.keys,
        asker.requester(),
        audience=holder.home,
        method="GET",
        path=signed,
        query=query or "",
        body=b"",
        certificate_thumbprint=asker.house.transport.thumbprint,
        now=asker.house.now(),
    )
    headers = {"Authorization": f"Bearer {token}"}
    deadline = time.monotonic() + 10
    transport = asker.house.transport
    return transport.request(holder.peer, "GET", sent, headers, deadline=deadline, max_bytes=1 << 20).status


def test_a_peers_token_is_for_the_path_as_it_is_written_and_for_the_query_where_it_names_one(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    plain, question = "/fhir/DocumentReference", "patient.identifier=a%7Cb"
    for other in ("/fhir/DocumentReference/", "/fhir/Document%52eference"):
        assert peer_knocks(bach_mai, bac_ninh, signed=plain, sent=other) == 401
        assert peer_knocks(bach_mai, bac_ninh, signed=other, sent=other) == 200
    sent = f"{plain}?{question}"
    assert peer_knocks(bach_mai, bac_ninh, signed=plain, sent=sent) == 200
    assert peer_knocks(bach_mai, bac_ninh, signed=plain, sent=sent, query=question) == 200
    assert peer_knocks(bach_mai, bac_ninh, signed=plain, sent=sent, query=question + "c") == 401


def test_what_shows_nothing_leaves_a_peer_door_in_a_beat(lab: Lab) -> None:
    """Whether somebody is known costs a few queries more; many refusals would tell it by their time."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai", refusal_pace=0.3)
    bac_ninh.publishes(ct_report(LAN))
    for person in (LAN, STRANGER):
        began = time.monotonic()
        assert bach_mai.asks(bac_ninh, person).said == ["withheld"]
        assert time.monotonic() - began >= 0.3


def test_more_written_requests_than_a_question_carries_do_not_stop_the_question(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    report = bac_ninh.publishes(ct_report(LAN))
    bach_mai.registers(LAN)
    for _ in range(20):
        bach_mai.records(written_request(LAN, to="bach-mai"))
    assert report in bach_mai.finds_documents(LAN)


def test_an_expelled_hospital_comes_back_only_by_its_entry(lab: Lab) -> None:
    bac_ninh, _bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    before = home_option.set(bac_ninh.house.settings.home)
    expel("01929")
    seal_what_is_left()
    with pytest.raises(ValueError, match="hie peers add"):
        resume("01929")
    seal_what_is_left()
    home_option.reset(before)
