"""Subscriptions as a foreign system uses them: asked for, told in order, and asked for what was missed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import hie_node
from adapters.store.people import Client as System
from consent.requesters import PurposeOfUse, Role
from consent.subscriptions import LOST_NUMBERS
from hie_node.acts import Act, Caller
from hie_node.backups import mark_returned
from hie_node.flows.erase import erase_patient
from hie_node.setting_tables import Subscriptions
from registry.identifiers import PatientIdentifier
from registry.people import PatientInQuestion
from registry.searches import PatientSelector
from tests.conformance.changes import Revised, changes, everything_of, ids_of, removes, revision
from tests.conformance.client import Client, Resource, consent, provided, stored
from tests.conformance.endpoint import Endpoint, Notice, status_of
from tests.conformance.profiles import refuse_faulty
from tests.conformance.soap import Document, SoapClient, Submission
from tests.conformance.test_own_records import folder

BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-"
TOPIC = "https://profiles.ihe.net/ITI/DSUBm/SubscriptionTopic/DSUBm-SubscriptionTopic-"
OF_ONE = f"{TOPIC}DocumentReference-PatientDependent"
OF_ALL = f"{TOPIC}DocumentReference-MultiPatient"
ALL_EVENTS = f"{TOPIC}DocReference-PatientDependent-AllEvents"
FOLDERS = f"{TOPIC}Basic-Folder-Subscription"
SETS = f"{TOPIC}SubmissionSet-PatientDependent"


@dataclass
class Subscriber:
    """A system of Bắc Ninh and its endpoint."""

    node: Client
    endpoint: Endpoint

    def asks(self, topic: str = OF_ONE, filters: tuple[str, ...] | None = None, **more: Any) -> Resource:
        """A Subscription by the profiles, as somebody writes it by hand."""
        filters = (f"DocumentReference?patient.identifier={self.node.system}|A1",) if filters is None else filters
        channel = {
            "extension": more.pop("extension", []),
            "type": "rest-hook",
            "endpoint": self.endpoint.url,
            "payload": more.pop("payload", "application/fhir+json"),
            "_payload": {
                "extension": [{"url": f"{BACKPORT}payload-content", "valueCode": more.pop("content", "id-only")}]
            },
            "header": more.pop("header", ["Authorization: Bearer s3cret"]),
        }
        asked: Resource = {
            "resourceType": "Subscription",
            "meta": {"profile": [f"{BACKPORT}subscription"]},
            "status": "requested",
            "reason": "báo kết quả mới",
            "criteria": topic,
            "channel": {name: value for name, value in channel.items() if value},
        }
        if filters:
            told = [{"url": f"{BACKPORT}filter-criteria", "valueString": text} for text in filters]
            asked["_criteria"] = {"extension": told}
        return asked | more

    def subscribes(self, *args: Any, **more: Any) -> str:
        """Its URL, once hands were shaken."""
        answer = self.node("POST", "/fhir/Subscription", self.asks(*args, **more))
        assert answer.status == 201, answer.body
        assert answer.bundle["status"] == "requested"
        self.node.hospital.works()
        return f"/fhir/Subscription/{answer.bundle['id']}"

    def state(self, url: str) -> Resource:
        told = self.node("GET", f"{url}/$status").bundle
        assert told["total"] == 1
        return status_of(told["entry"][0]["resource"])

    def events(self, url: str, **asked: str) -> Notice:
        answer = self.node.get(f"{url}/$events", **asked)
        assert answer.status == 200, answer.body
        return Notice("", {"content-type": "json"}, answer.body)  # type: ignore[arg-type]

    def publishes(self, number: str = "A1", **more: Any) -> str:
        document = stored(self.node("POST", "/fhir", provided(self.node.subject(number), **more)))
        self.node.hospital.works()
        return document

    def later(self, **passed: float) -> None:
        self.node.hospital.lab.clock.moves(by=timedelta(**passed))
        self.node.hospital.works()


@pytest.fixture
def his(clients: Callable[..., tuple[Client, ...]]) -> Iterator[Subscriber]:
    (node,) = clients("bac-ninh")
    house = node.hospital.house
    tls = house.settings.tls
    endpoint = Endpoint(tls / "house.crt", tls / "house.key")
    told = Subscriptions((f"127.0.0.1:{endpoint.port}",), "tls/federation-ca.crt", give_up=1.0, most=5)
    node.hospital.house = replace(house, settings=replace(house.settings, subscriptions=told))
    node.hospital.opens_anew()
    with house.storage.begin() as unit:
        unit.people_of_the_house.add_client(System("his", {"keys": []}, ("system/*.cruds",), Role.SYSTEM))
    assert node.registers("A1").status == 201
    assert node.registers("B1", birthDate="1950-01-01").status == 201
    yield Subscriber(node, endpoint)
    endpoint.close()


def test_a_new_document_is_told_after_a_handshake(his: Subscriber) -> None:
    before = his.publishes()
    url = his.subscribes()
    (hands,) = his.endpoint.notices
    refuse_faulty(hands.bundle)
    assert hands.status["type"] == "handshake" and hands.status["events-since-subscription-start"] == "0"
    assert (hands.path, hands.headers["authorization"]) == ("/told?of=documents", "Bearer s3cret")
    assert his.node("GET", url).bundle["status"] == "active"
    document = his.publishes()
    his.publishes("B1")
    (notice,) = his.endpoint.takes("event-notification")
    refuse_faulty(notice.bundle)
    (event,) = notice.status["events"]
    assert (event["event-number"], event["focus"]["reference"]) == ("1", f"{his.node.base}/fhir/{document}")
    first, about = notice.bundle["entry"]
    assert first["request"] == {"method": "GET", "url": f"{his.node.base}{url}/$status"}
    assert about["fullUrl"].endswith(document) and "resource" not in about
    assert before not in notice.body.decode()
    assert his.state(url)["events-since-subscription-start"] == "1"


@pytest.mark.parametrize("payload", ["application/fhir+json", "application/fhir+xml"])
@pytest.mark.parametrize("content", ["empty", "id-only", "full-resource"])
def test_a_message_holds_as_much_as_was_asked_for(his: Subscriber, content: str, payload: str) -> None:
    his.subscribes(content=content, payload=payload)
    document = his.publishes()
    (notice,) = his.endpoint.takes("event-notification")
    refuse_faulty(notice.bundle)
    assert notice.headers["content-type"].startswith(payload)
    assert [("focus" in event) for event in notice.status["events"]] == [content != "empty"]
    told = [entry.get("resource", {}).get("id", "") for entry in notice.bundle["entry"][1:]]
    known = document.rpartition("/")[2]
    assert told == {"empty": [], "id-only": [""], "full-resource": [known]}[content]


def test_each_message_is_on_record_before_it_leaves(his: Subscriber) -> None:
    his.subscribes(content="full-resource")
    document = his.publishes()
    (row,) = his.node.hospital.rows(transaction="ITI-112")
    assert (row.direction, list(row.items)) == ("disclosed", [document.rpartition("/")[2]])
    assert row.requester.client_id == "his" and row.patient is not None
    audit = his.node.get("/fhir/AuditEvent", **{"patient.identifier": f"{his.node.system}|A1"})
    assert "ITI-112" in audit.body.decode()


def closing(his: Subscriber) -> Resource:
    """The patient forbids this hospital's own systems."""
    none: Resource = {"type": "deny"}
    return consent(his.node.subject("A1"), his.node.community, his.node.community, provision=none)


def test_what_the_patient_took_back_keeps_its_number_and_says_nothing(his: Subscriber) -> None:
    url = his.subscribes(content="full-resource")
    his.endpoint.answer = 503
    document = his.publishes()
    made = his.node("POST", "/fhir/Consent", closing(his))
    assert made.status == 201, made.body
    his.endpoint.answer = 200
    his.later(minutes=1)
    (notice,) = his.endpoint.takes("event-notification")
    assert notice.numbers == [1] and document.rpartition("/")[2] not in notice.body.decode()
    assert len(notice.bundle["entry"]) == 1 and "focus" not in notice.status["events"][0]
    assert [row.direction for row in his.node.hospital.rows(transaction="ITI-112")] == ["disclosed", "refused"]
    his.publishes()
    assert his.state(url)["events-since-subscription-start"] == "1", "what may not be shown leaves no number behind"
    assert his.events(url).numbers == [1] and document not in his.events(url).body.decode()
    taken = his.node("PUT", f"/fhir/Consent/{made.bundle['id']}", made.bundle | {"status": "inactive"})
    assert taken.status == 200, taken.body
    assert document in his.events(url).body.decode(), "what may be shown again is there to be asked for"


def test_nothing_is_lost_while_the_endpoint_is_away(his: Subscriber) -> None:
    url = his.subscribes()
    his.endpoint.answer = 500
    documents = [his.publishes() for _ in range(3)]
    assert his.node("GET", url).bundle["error"] == "the endpoint could not be told: status-500"
    his.endpoint.answer = 200
    his.node.hospital.works()
    assert his.endpoint.takes("event-notification") == [], "not before the pause is over"
    his.later(minutes=11)
    assert [one.numbers for one in his.endpoint.takes("event-notification")] == [[1, 2, 3]]
    told = [event["focus"]["reference"].partition("/fhir/")[2] for event in his.endpoint.notices[-1].status["events"]]
    assert told == documents
    assert "error" not in his.node("GET", url).bundle


def test_an_endpoint_that_stays_away_is_given_up_and_what_was_missed_can_be_asked_for(his: Subscriber) -> None:
    url = his.subscribes()
    his.endpoint.answer = 500
    his.publishes()
    for _ in range(8):
        his.later(minutes=10)
    assert his.node("GET", url).bundle["status"] == "error"
    his.publishes()
    his.endpoint.answer = 200
    his.later(minutes=10)
    assert his.endpoint.takes("event-notification") == []
    assert his.state(url)["status"] == "error"
    missed = his.events(url, eventsSinceNumber="1")
    refuse_faulty(missed.bundle)
    assert missed.status["type"] == "query-event" and missed.numbers == [1, 2]
    assert his.events(url, eventsSinceNumber="2", eventsUntilNumber="2").numbers == [2]
    again = his.node("PUT", url, his.node("GET", url).bundle | {"status": "requested"})
    assert again.status == 200, again.body
    his.node.hospital.works()
    his.node.hospital.works()
    assert [one.status["type"] for one in his.endpoint.notices[1:]] == ["handshake", "event-notification"]
    assert his.endpoint.notices[-1].numbers == [1, 2]
    assert his.endpoint.notices[-1].headers["authorization"] == "Bearer s3cret", "a header that was shown veiled stays"


def test_events_stay_in_order_and_come_in_parts(his: Subscriber) -> None:
    his.subscribes(extension=[{"url": f"{BACKPORT}max-count", "valuePositiveInt": 2}])
    for number in range(5):
        stored(his.node("POST", "/fhir", provided(his.node.subject("A1"), content=b"%%PDF %d" % number)))
    for _ in range(4):
        his.node.hospital.works()
    assert [one.numbers for one in his.endpoint.takes("event-notification")] == [[1, 2], [3, 4], [5]]


def test_a_heartbeat_comes_only_after_silence(his: Subscriber) -> None:
    his.subscribes(extension=[{"url": f"{BACKPORT}heartbeat-period", "valueUnsignedInt": 60}])
    his.later(seconds=59)
    assert his.endpoint.takes("heartbeat") == []
    his.later(seconds=2)
    (beat,) = his.endpoint.takes("heartbeat")
    refuse_faulty(beat.bundle)
    assert len(beat.bundle["entry"]) == 1
    his.later(seconds=30)
    his.publishes()
    his.later(seconds=40)
    assert len(his.endpoint.takes("heartbeat")) == 1
    his.later(seconds=30)
    assert len(his.endpoint.takes("heartbeat")) == 2


def test_a_subscription_ends_when_it_is_put_off_when_its_time_is_over_and_with_its_system(his: Subscriber) -> None:
    first, second, third = his.subscribes(), his.subscribes(end="2999-01-01T00:00:00Z"), his.subscribes(OF_ALL, ())
    off = his.node("PUT", first, his.node("GET", first).bundle | {"status": "off"})
    assert (off.status, off.bundle["status"]) == (200, "off")
    soon = his.node.hospital.lab.clock() + timedelta(minutes=1)
    ends = his.node("PUT", second, his.node("GET", second).bundle | {"status": "requested", "end": soon.isoformat()})
    assert ends.status == 200, ends.body
    his.node.hospital.works()
    his.later(minutes=2)
    his.publishes()
    told = his.endpoint.takes("event-notification")
    assert [(one.status["subscription"]["reference"], one.status["status"]) for one in told] == [
        (f"{his.node.base}/fhir/Subscription/{first.rpartition('/')[2]}", "off"),
        (f"{his.node.base}/fhir/Subscription/{second.rpartition('/')[2]}", "off"),
        (f"{his.node.base}/fhir/Subscription/{third.rpartition('/')[2]}", "active"),
    ]
    assert [one.numbers for one in told] == [[], [], [1]]
    assert his.node("GET", second).bundle["status"] == "off"
    with his.node.hospital.house.storage.begin() as unit:
        unit.people_of_the_house.disable_client("his")
    his.publishes()
    assert len(his.endpoint.takes("event-notification")) == 3
    assert his.node("GET", third).bundle["status"] == "off"


def test_filters_count_and_changes_are_told_to_who_asked_for_them(his: Subscriber) -> None:
    everything = his.subscribes(ALL_EVENTS)
    reports = his.subscribes(
        OF_ALL, ("DocumentReference?type=http://loinc.org|24725-4&status=current", "DocumentReference?author.family=Lê")
    )
    sets = his.subscribes(SETS, (f"List?code=submissionset&patient.identifier={his.node.system}|A1",))
    first = provided(his.node.subject("A1"))
    old = stored(his.node("POST", "/fhir", first))
    named = {"identifier": first["entry"][1]["resource"]["identifier"][0]}
    other = {"coding": [{"system": "http://loinc.org", "code": "11502-2"}]}
    his.publishes(type=other, relatesTo=[{"code": "replaces", "target": named}])
    his.node.hospital.works()
    told = his.events(everything)
    assert [entry["request"]["method"] for entry in told.bundle["entry"]] == ["GET", "PUT", "POST"]
    assert told.numbers == [1, 2, 3]
    assert his.events(reports).numbers == [1] and old in his.events(reports).body.decode()
    kinds = [entry["fullUrl"].rpartition("/")[0].rpartition("/")[2] for entry in his.events(sets).bundle["entry"][1:]]
    assert kinds == ["List", "List"]


def test_what_a_soap_system_publishes_and_changes_is_told_too(his: Subscriber) -> None:
    everything, soap = his.subscribes(ALL_EVENTS), SoapClient(his.node.hospital)
    document = Document("A1", b"%PDF by SOAP")
    assert soap.provides(Submission("A1", [document])).outcome == "Success"
    his.node.hospital.works()
    assert his.events(everything).numbers == [1]
    (entry,) = soap.finds("A1").documents
    new = Revised("A1", document.content, unique_id=document.unique_id, lid=entry.get("id"))
    assert changes(soap, "A1", revision(new, "1.1"), documents=[new]).outcome == "Success"
    his.node.hospital.works()
    told = his.events(everything)
    assert (told.numbers, told.bundle["entry"][1]["request"]["method"]) == ([1, 2], "PUT")
    assert removes(soap, *ids_of(everything_of(soap, "A1"))).outcome == "Success"
    his.node.hospital.works()
    assert his.events(everything).numbers == [1, 2]


def test_folders_and_what_goes_out_of_use_have_topics_of_their_own(his: Subscriber) -> None:
    mine = f"List?code=folder&patient.identifier={his.node.system}|A1"
    new, changed = (
        his.subscribes(FOLDERS, (mine,)),
        his.subscribes(f"{TOPIC}Folder-Subscription-for-Full-Events", (mine,)),
    )
    superseded = his.subscribes(f"{TOPIC}DocReference-PatientDependent-MinUpdate")
    first = provided(his.node.subject("A1"))
    made = folder(his.node, first["entry"][1]["fullUrl"])
    url = "urn:uuid:7f6c2b7e-5b0e-4d55-9d6b-3f0f6a3f0003"
    first["entry"].append({"fullUrl": url, "resource": made, "request": {"method": "POST", "url": "List"}})
    first["entry"][0]["resource"]["entry"].append({"item": {"reference": url}})
    stored(his.node("POST", "/fhir", first))
    named = {"identifier": first["entry"][1]["resource"]["identifier"][0]}
    his.publishes(relatesTo=[{"code": "replaces", "target": named}])
    his.node.hospital.works()
    assert his.events(new).numbers == [1] and his.events(changed).numbers == [1, 2]
    assert [entry["request"]["method"] for entry in his.events(superseded).bundle["entry"][1:]] == ["PUT", "POST"]
    assert his.events(superseded).numbers == [1, 2, 3]
    refuse_faulty(his.events(changed, content="full-resource").bundle)
    wrong = his.asks(FOLDERS, (f"List?code=submissionset&patient.identifier={his.node.system}|A1",))
    assert his.node("POST", "/fhir/Subscription", wrong).status == 422


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"criteria": "https://example.org/topic"}, 422),
        ({"filters": ()}, 422),
        ({"filters": ("DocumentReference?type=x",)}, 422),
        ({"filters": ("DocumentReference?colour=red&patient.identifier=a|A1",)}, 422),
        ({"filters": ("DocumentReference?_lastUpdated=2020&patient.identifier=a|A1",)}, 422),
        ({"filters": ("Observation?patient.identifier=a|A1",)}, 422),
        ({"filters": ("DocumentReference?patient.identifier=urn:oid:1.2.3|nobody",)}, 422),
        ({"topic": OF_ALL, "filters": ("DocumentReference?patient.identifier=a|A1",)}, 422),
        ({"header": ["Host: elsewhere"]}, 422),
        ({"header": ["X: a\r\nY: b"]}, 422),
        ({"header": ["Authorization: (kept secret)"]}, 422),
        ({"payload": "text/html"}, 422),
        ({"content": "everything"}, 422),
        ({"status": "error"}, 422),
        ({"extension": [{"url": f"{BACKPORT}heartbeat-period", "valueUnsignedInt": 1}]}, 422),
    ],
    ids=lambda each: str(each)[:50],
)
def test_what_cannot_be_watched_is_refused_whole(his: Subscriber, change: Resource, status: int) -> None:
    answer = his.node("POST", "/fhir/Subscription", his.asks(**change))
    assert answer.status == status, answer.body
    assert "s3cret" not in answer.body.decode()
    assert his.node.get("/fhir/Subscription").total == 0
    his.node.hospital.works()
    assert his.endpoint.notices == []


@pytest.mark.parametrize(
    "endpoint",
    ["http://127.0.0.1/", "https://127.0.0.1/", "https://10.0.0.1/", "https://u:p@127.0.0.1/", "https://example.org/"],
)
def test_only_listed_endpoints_are_taken(his: Subscriber, endpoint: str) -> None:
    asked = his.asks()
    asked["channel"]["endpoint"] = endpoint
    answer = his.node("POST", "/fhir/Subscription", asked)
    assert (answer.status, answer.issues[0]["code"]) == (422, "business-rule")
    assert his.node.get("/fhir/Subscription").total == 0


def test_a_redirect_is_not_followed_and_no_handshake_means_no_subscription(his: Subscriber) -> None:
    his.endpoint.answer = 302
    url = his.subscribes()
    for _ in range(3):
        his.later(minutes=1)
    assert his.node("GET", url).bundle["status"] == "error"
    assert his.node("GET", url).bundle["error"].endswith("status-302")
    his.endpoint.answer = 200
    his.publishes()
    assert his.endpoint.notices == []


def test_each_system_sees_its_own_subscriptions_alone(his: Subscriber) -> None:
    url = his.subscribes()
    mine = his.node("GET", url)
    assert mine.bundle["channel"]["header"] == ["Authorization: (kept secret)"]
    hospital = his.node.hospital
    other = replace(hospital.requester(Role.SYSTEM, PurposeOfUse.TREAT), subject="ris", client_id="ris")
    for method, target in (("GET", url), ("GET", f"{url}/$status"), ("GET", f"{url}/$events"), ("GET", f"{url}x")):
        assert hospital.sends(method, target, who=other).status == 404
    listed = hospital.sends("GET", "/fhir/Subscription", who=other)
    assert b'"total":0' in listed.body.replace(b" ", b"")
    nobody = hospital.sends("GET", "/fhir/Subscription", who=replace(other, client_id=""))
    assert nobody.status in (200, 401) and b"Subscription/" not in nobody.body.replace(b"/fhir/Subscription", b"")


def test_what_else_a_subscription_says_is_given_back(his: Subscriber) -> None:
    more = {
        "contact": [{"system": "email", "value": "cntt@benhvien.example"}],
        "extension": [{"url": "https://benhvien.example/khoa", "valueString": "CĐHA"}],
        "end": "2999-01-01T00:00:00+07:00",
    }
    asked = his.asks(extension=[{"url": "https://benhvien.example/kenh", "valueCode": "a"}])
    made = his.node("POST", "/fhir/Subscription", asked | more)
    assert made.status == 201, made.body
    read = his.node("GET", f"/fhir/Subscription/{made.bundle['id']}").bundle
    assert {name: read[name] for name in more} == more
    assert {"url": "https://benhvien.example/kenh", "valueCode": "a"} in read["channel"]["extension"]
    assert read["channel"]["header"] == ["Authorization: (kept secret)"]
    xml = his.node("GET", f"/fhir/Subscription/{made.bundle['id']}?_format=xml")
    assert xml.status == 200 and b"s3cret" not in xml.body


def test_subscriptions_are_found_by_what_they_are(his: Subscriber) -> None:
    url = his.subscribes()
    his.subscribes(OF_ALL, ())
    for asked, total in (
        ({"topic": OF_ONE}, 1),
        ({"criteria": TOPIC}, 2),
        ({"status": "active"}, 2),
        ({"status": "off"}, 0),
        ({"url": his.endpoint.url}, 2),
        ({"filter-criteria": "DocumentReference?patient"}, 1),
        ({"_id": url.rpartition("/")[2]}, 1),
        ({"type": "email"}, 0),
    ):
        assert his.node.get("/fhir/Subscription", **asked).total == total, asked
    assert his.node.get("/fhir/Subscription", status="asleep").status == 400
    assert his.node("GET", "/fhir/Subscription/$status?status=active").bundle["total"] == 2
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "id", "valueId": url.rpartition("/")[2]}]}
    assert his.node("POST", "/fhir/Subscription/$status", parameters).bundle["total"] == 1


def test_a_system_subscribes_once_under_its_condition_and_not_without_end(his: Subscriber) -> None:
    condition = f"topic={OF_ONE}&url={his.endpoint.url.replace('?', '%3F').replace('=', '%3D')}"
    first = his.node("POST", "/fhir/Subscription", his.asks(), If_None_Exist=condition)
    again = his.node("POST", "/fhir/Subscription", his.asks(), If_None_Exist=condition)
    assert (first.status, again.status, again.bundle["id"]) == (201, 200, first.bundle["id"])
    assert his.node("POST", "/fhir/Subscription", his.asks(), If_None_Exist="_count=1").status == 412
    for _ in range(4):
        assert his.node("POST", "/fhir/Subscription", his.asks()).status == 201
    assert his.node("POST", "/fhir/Subscription", his.asks()).status == 422


def test_topics_say_what_can_be_subscribed_to(his: Subscriber) -> None:
    found = his.node.get("/fhir/Basic", code="SubscriptionTopic", status="active")
    urls = [one["extension"][0]["valueUri"] for one in found.found]
    assert {OF_ONE, OF_ALL, ALL_EVENTS, SETS} <= set(urls) and found.total == len(urls)
    assert his.node.get("/fhir/Basic", url=OF_ONE).total == 1
    assert his.node.get("/fhir/Basic", resource="List").total == 4
    assert his.node.get("/fhir/Basic", status="retired").total == 0
    assert his.node("GET", f"/fhir/Basic/{found.ids[0]}").status == 200
    assert his.node("GET", "/fhir/Basic/nothing").status == 404
    named = [[e for e in one["extension"] if e["url"].endswith("canFilterBy")] for one in found.found]
    assert all(named)


def test_a_node_that_came_back_from_a_backup_gives_no_number_twice(his: Subscriber) -> None:
    url = his.subscribes()
    his.publishes()
    mark_returned(his.node.hospital.house.settings)
    assert his.node("GET", url).bundle["status"] == "error"
    his.publishes()
    again = his.node("PUT", url, his.node("GET", url).bundle | {"status": "requested"})
    assert again.status == 200, again.body
    for _ in range(4):
        his.node.hospital.works()
    assert [one.numbers for one in his.endpoint.takes("event-notification")] == [[1], [LOST_NUMBERS + 2]]


def test_a_subscription_follows_its_patient_through_a_merge_and_ends_with_erasure(his: Subscriber) -> None:
    his.node.registers("A9")
    url = his.subscribes()
    link = [{"other": his.node.subject("A1"), "type": "replaced-by"}]
    assert his.node.registers("A9", active=False, link=link).status == 200
    document = his.publishes("A9")
    assert his.events(url).numbers == [1] and document in his.events(url).body.decode()
    house = his.node.hospital.house
    officer = replace(his.node.hospital.requester(Role.DATA_PROTECTION_OFFICER), client_id="")
    act = Act(house, Caller(officer, "house"), "erase")
    number = PatientIdentifier(his.node.system, "A1")
    selector = PatientSelector(described=PatientInQuestion((number,)))
    erase_patient(act, selector, because="người bệnh yêu cầu xóa bằng văn bản ngày 10/11")
    assert his.node("GET", url).status == 404
    with house.storage.read() as unit:
        assert unit.subscriptions.events(url.rpartition("/")[2], 1, 9, limit=9) == ()
        assert unit.documents.versions(document.rpartition("/")[2]) == ()
    his.node.hospital.works()


def test_no_secret_of_a_channel_is_in_the_database(his: Subscriber) -> None:
    his.subscribes()
    database = his.node.hospital.house.settings.home / "node.db"
    stored_bytes = database.read_bytes() + database.with_name("node.db-wal").read_bytes()
    assert his.endpoint.url.encode() in stored_bytes and b"s3cret" not in stored_bytes


def test_nothing_of_the_house_changes_a_document_untold() -> None:
    """Whoever changes the index goes by `flows/changes.py`, or subscribers would miss it without a gap to see."""
    untold = re.compile(r"documents\.(?:add|replace|add_submission|save_folder)\(")
    files = [one for one in Path(hie_node.__file__).parent.rglob("*.py") if one.name != "changes.py"]
    assert len(files) > 100
    assert [one.name for one in files if untold.search(one.read_text("utf-8"))] == []
