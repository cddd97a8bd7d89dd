"""Consents as FHIR sees them: the rule is kept exactly, or the consent is refused."""

from __future__ import annotations

import copy
import hashlib
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.fhir import iti108_access_consent as iti108
from adapters.fhir.consent import ADVANCED, BASIC, INTERMEDIATE, consent, read_consent
from adapters.fhir.issues import BadRequest, FhirError
from adapters.fhir.json_format import parse_json, to_json
from adapters.fhir.xml_format import to_xml
from consent.commands import RecordConsent
from consent.consents import ALL_NORMAL, Actor, Consent, Evidence, Period, Provision
from consent.decide import AccessRequest, Item, decide
from consent.errors import ConsentError, EvidenceMissing, InvalidConsent
from consent.policy import VIET_NAM
from consent.reasons import Reason
from consent.receipts import receipt_of
from consent.requesters import PurposeOfUse, Requester, Role
from registry.commands import Page
from registry.identifiers import HomeCommunityId
from tests.adapters.fhir.fhir_people import A1, BACH_MAI, BASE, HOME, OWN, ask, read, sound

SCAN = b"%PDF-1.7 signed"
NOW = datetime(2026, 11, 23, 3, tzinfo=UTC)
IRCP = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]}
REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
VISITED = {
    "meaning": "related",
    "reference": {"type": "Encounter", "identifier": {"system": "urn:hie-node:visit:27001", "value": "V|1"}},
}
LICENCE = "http://fhir.ehealth.gov.vn/core/sid/provider-license-number"


def community(home: HomeCommunityId) -> dict[str, Any]:
    return {"identifier": {"system": "urn:ietf:rfc:3986", "value": str(home)}}


def actor(reference: dict[str, Any]) -> dict[str, Any]:
    return {"role": IRCP, "reference": reference}


MESSAGE: dict[str, Any] = {
    "resourceType": "Consent",
    "status": "active",
    "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
    "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}], "text": "Đồng ý chia sẻ"}],
    "patient": {"identifier": {"system": OWN, "value": "A1"}},
    "dateTime": "2026-11-23T08:00:00+07:00",
    "performer": [{"identifier": {"system": OWN, "value": "A1"}}],
    "organization": [community(HOME)],
    "sourceAttachment": {"contentType": "application/pdf", "data": b64encode(SCAN).decode(), "title": "Giấy đồng ý"},
    "policy": [{"uri": "https://profiles.ihe.net/ITI/PCF/Policy-basic-normal"}],
    "provision": {
        "type": "permit",
        "period": {"start": "2026-11-23", "end": "2027-11-22"},
        "actor": [actor(community(BACH_MAI))],
        "purpose": [{"system": REASON, "code": "TREAT", "display": "treatment"}],
    },
    "identifier": [{"system": "urn:desk", "value": "2026-77"}],
}
NESTED = {
    "type": "deny",
    "dataPeriod": {"start": "2024-01-01", "end": "2024-06-30"},
    "data": [{"meaning": "instance", "reference": {"reference": "DocumentReference/d1"}}],
}


def message(**changed: Any) -> dict[str, Any]:
    """The message with elements replaced; None takes one away, a double underscore leads into the provision."""
    made: dict[str, Any] = copy.deepcopy(MESSAGE)
    for name, value in changed.items():
        inner, _, outer = name.partition("__")[::-1]
        place = made["provision"] if outer == "provision" else made
        key = inner if outer == "provision" else name
        if value is None:
            place.pop(key)
        else:
            place[key] = value
    return made


def recorded(resource: dict[str, Any], **headers: str) -> RecordConsent:
    return iti108.decode_create(ask("POST", "/Consent", body=resource, **headers))


def stored(command: RecordConsent) -> Consent:
    """What a flow makes of it: id, record, and where the scan lies."""
    evidence = command.consent.evidence
    if evidence and not evidence.reference:
        evidence = replace(evidence, reference="DocumentReference/e1")
    return replace(command.consent, id="c1", record_id="p1", patient=A1, evidence=evidence, updated=NOW)


# ---- what is understood ----


def test_a_consent_becomes_a_rule_with_its_evidence() -> None:
    command = recorded(MESSAGE)
    noun = command.consent
    assert noun.provision == Provision(
        "permit",
        period=Period(datetime(2026, 11, 22, 17, tzinfo=UTC), datetime(2027, 11, 22, 17, tzinfo=UTC)),
        actors=(Actor(home=BACH_MAI),),
        purposes=frozenset({PurposeOfUse.TREAT}),
    )
    assert (noun.patient, noun.custodian, noun.given) == (A1, HOME, datetime(2026, 11, 23, 1, tzinfo=UTC))
    assert command.evidence == (SCAN, "application/pdf")
    assert noun.evidence == Evidence("paper", "", hashlib.sha256(SCAN).hexdigest())
    assert SCAN.hex() not in str(noun.extra) and MESSAGE["sourceAttachment"]["data"] not in str(noun.extra)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"provision__provision": [NESTED]},
        {"provision__data": [VISITED]},
        {"provision__securityLabel": [{"system": CONFIDENTIALITY, "code": "R"}]},
        {"organization": [{"reference": "Organization/01929"}]},
        {"provision__actor": [actor({"identifier": {"system": "urn:hie-node:facility", "value": "01929"}})]},
        {"provision__actor": [actor({"type": "Practitioner", "identifier": {"system": LICENCE, "value": "001"}})]},
        {"sourceAttachment": None, "sourceReference": {"reference": "DocumentReference/d9", "display": "giấy"}},
        {"dateTime": "2026-11-23"},
        {"provision__period": {"start": "2026-11"}},
        {"language": "vi", "extension": [{"url": "urn:desk:counter", "valueDecimal": 4}]},
    ],
)
def test_a_consent_comes_back_as_it_was_recorded(changed: dict[str, Any]) -> None:
    sent = message(**changed)
    shown = consent(stored(recorded(sent)), BASE)
    sound(shown)
    for name, value in sent.items():
        if name == "sourceAttachment":
            assert shown[name]["title"] == value["title"]
            assert shown[name]["url"] == f"{BASE}/Binary/e1"
            assert "data" not in shown[name]
        elif name == "extension":
            assert value[0] in shown[name]
        else:
            assert shown[name] == value, name


def test_xml_records_the_same_consent() -> None:
    as_xml = to_xml(parse_json(to_json(MESSAGE)))
    again = iti108.decode_create(ask("POST", "/Consent", body=as_xml, Content_Type="application/fhir+xml"))
    assert again.consent.provision == recorded(MESSAGE).consent.provision
    assert again.evidence == (SCAN, "application/pdf")


def test_what_was_shown_can_be_sent_back_and_means_the_same() -> None:
    noun = stored(recorded(message(provision__provision=[NESTED])))
    again = read_consent(parse_json(to_json(consent(noun, BASE))), BASE, consent_id="c1").consent
    assert (again.provision, again.evidence) == (noun.provision, noun.evidence)


@pytest.mark.parametrize(
    "provision",
    [
        Provision("permit", period=Period(NOW, NOW + timedelta(days=30))),
        Provision("permit", period=Period(None, NOW + timedelta(microseconds=5))),
        Provision("deny", id="r1", actors=(Actor(BACH_MAI, "dr.an"), Actor(BACH_MAI, role="doctor"), Actor())),
        Provision("permit", actors=(Actor(facility="01929"), Actor(subject="001"), Actor(role="nurse"))),
        Provision("permit", labels=frozenset({"R", "HIV"}), purposes=frozenset(PurposeOfUse)),
        Provision(
            "permit", instances=frozenset({"d1", "urn:uuid:0b0e0c7c-4b3c-4b5e-9d2c-1f1f1f1f1f1f", "1.2.840.1.5.6"})
        ),
        Provision("deny", authors=frozenset({str(BACH_MAI), "urn:hie-node:facility|01929", "001"})),
        Provision("permit", provisions=(Provision("deny", data_period=Period(NOW, None)),)),
    ],
)
def test_a_rule_made_at_the_desk_is_the_same_rule_after_fhir(provision: Provision) -> None:
    evidence = Evidence("witnessed", "DocumentReference/1", "a" * 64)
    noun = Consent("c1", A1, "p1", "active", NOW, ALL_NORMAL, provision, evidence=evidence)
    shown = consent(noun, BASE)
    sound(shown)
    again = read_consent(parse_json(to_json(shown)), BASE, consent_id="c1").consent
    assert replace(again, record_id="p1", patient=A1, extra={}) == noun


@pytest.mark.parametrize(
    ("provision", "profile"),
    [
        (Provision("permit", purposes=frozenset({PurposeOfUse.BTG})), BASIC),
        (Provision("permit", data_period=Period(NOW)), INTERMEDIATE),
        (Provision("permit", provisions=(Provision("deny", labels=frozenset({"PSY"})),)), ADVANCED),
    ],
)
def test_a_consent_says_which_profile_it_keeps(provision: Provision, profile: str) -> None:
    noun = Consent("c1", A1, "p1", "inactive", NOW, ALL_NORMAL, provision)
    assert consent(noun, BASE)["meta"]["profile"] == [profile]


# ---- who is meant ----

ORGANIZATION = {"resourceType": "Organization", "id": "org", **{"identifier": [community(BACH_MAI)["identifier"]]}}
PERSON = {
    "resourceType": "Practitioner",
    "id": "p",
    "identifier": [{"value": "dr.an", "assigner": community(BACH_MAI)}],
}
JOB = {
    "resourceType": "PractitionerRole",
    "id": "job",
    "practitioner": {"identifier": {"value": "dr.an"}},
    "organization": {"reference": "#org"},
    "code": [{"coding": [{"system": "urn:hie-node:role", "code": "doctor"}]}],
}


@pytest.mark.parametrize(
    ("reference", "meant"),
    [
        (community(BACH_MAI), Actor(BACH_MAI)),
        ({"identifier": {"system": "urn:hie-node:facility", "value": "01929"}}, Actor(facility="01929")),
        ({"reference": "Organization/01929"}, Actor(facility="01929")),
        ({"reference": f"{BASE}/Organization/1901"}, Actor(facility="1901")),
        ({"reference": "#org"}, Actor(BACH_MAI)),
        ({"reference": "#p"}, Actor(BACH_MAI, "dr.an")),
        ({"reference": "#job"}, Actor(BACH_MAI, "dr.an", "doctor")),
        ({"type": "Practitioner", "identifier": {"system": LICENCE, "value": "001"}}, Actor(subject="001")),
    ],
)
def test_an_actor_is_named_in_each_of_the_agreed_ways(reference: dict[str, Any], meant: Actor) -> None:
    sent = message(provision__actor=[actor(reference)], contained=[ORGANIZATION, PERSON, JOB])
    command = recorded(sent)
    assert command.consent.provision.actors == (meant,)
    shown = consent(stored(command), BASE)
    assert shown["provision"] == sent["provision"]


def test_a_facility_is_nobody_until_the_directory_knows_it() -> None:
    noun = stored(recorded(message(provision__actor=[actor({"reference": "Organization/01929"})])))
    doctor = Requester("dr.an", Role.DOCTOR, BACH_MAI)
    assert not decide(AccessRequest(doctor, HOME, Item()), [noun], VIET_NAM, now=NOW).permit
    assert receipt_of(noun, [A1], signer=HOME, now=NOW) is None
    resolved = noun.resolved({"01929": BACH_MAI}.get)
    assert decide(AccessRequest(doctor, HOME, Item()), [resolved], VIET_NAM, now=NOW).permit
    assert consent(resolved, BASE)["provision"]["actor"] == [actor({"reference": "Organization/01929"})]
    with pytest.raises(InvalidConsent):
        noun.resolved({}.get)


def test_a_refusal_of_an_unresolved_hospital_closes_for_everybody() -> None:
    permit = stored(recorded(MESSAGE))
    deny = stored(
        recorded(message(provision__type="deny", provision__actor=[actor({"reference": "Organization/01929"})]))
    )
    newest = replace(deny, id="c2", given=permit.given + timedelta(hours=1))
    ask_ = AccessRequest(Requester("dr.an", Role.DOCTOR, BACH_MAI), HOME, Item())
    assert decide(ask_, [permit, newest], VIET_NAM, now=NOW).reason is Reason.PATIENT_REFUSED


def test_an_author_named_by_facility_is_resolved_like_an_actor() -> None:
    data = [{"meaning": "authoredby", "reference": {"reference": "Organization/01929"}}]
    noun = stored(recorded(message(provision__data=data)))
    assert noun.is_unresolved
    assert noun.resolved({"01929": BACH_MAI}.get).provision.authors == {str(BACH_MAI)}


# ---- what is refused ----

Break = Callable[[dict[str, Any]], None]


def without(name: str) -> Break:
    return lambda made: made.pop(name)


def put(name: str, value: Any) -> Break:
    return lambda made: made.update({name: value})


def provide(name: str, value: Any) -> Break:
    return lambda made: made["provision"].update({name: value})


UNKNOWN = [{"url": "urn:somebody:only-on-weekdays", "valueBoolean": True}]
CODED = {"coding": [{"system": "urn:x", "code": "x"}]}


@pytest.mark.parametrize(
    ("broken", "where"),
    [
        (without("sourceAttachment"), "source[x]"),
        (put("sourceAttachment", {"contentType": "application/pdf"}), "source[x]"),
        (put("sourceAttachment", {"url": "https://desk.example/77"}), "source[x].hash"),
        (lambda m: m["sourceAttachment"].update(hash="AAAA"), "source[x].hash"),
        (lambda m: m["sourceAttachment"].update(size=3), "source[x].size"),
        (without("dateTime"), "dateTime"),
        (without("performer"), "performer"),
        (without("organization"), "organization"),
        (without("provision"), "provision"),
        (without("policy"), "policy"),
        (put("policy", [{"uri": "urn:some-other-policy"}]), "policy.uri"),
        (put("policy", MESSAGE["policy"] * 2), "policy.uri"),
        (
            put("scope", {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "adr"}]}),
            "scope",
        ),
        (put("verification", [{"verified": True}]), "verification"),
        (put("implicitRules", "urn:rules"), "implicitRules"),
        (put("modifierExtension", UNKNOWN), "modifierExtension"),
        (put("organization", [community(HOME), community(BACH_MAI)]), "organization"),
        (put("organization", [{"display": "Bạch Mai"}]), "organization"),
        (put("patient", {"display": "Lan"}), "patient"),
        (put("patient", {"reference": "https://elsewhere.example/fhir/Patient/1"}), "patient"),
        (lambda m: m["provision"].pop("type"), "provision.type"),
        (provide("code", [CODED]), "provision.code"),
        (provide("class", [{"system": "urn:x", "code": "x"}]), "provision.class"),
        (provide("action", [CODED]), "provision.action"),
        (provide("extension", UNKNOWN), "provision.extension"),
        (provide("modifierExtension", UNKNOWN), "provision.modifierExtension"),
        (provide("_type", {"extension": UNKNOWN}), "provision.type"),
        (provide("period", {"start": "2026-11-23", "extension": UNKNOWN}), "provision.period.extension"),
        (provide("period", {"start": "2027", "end": "2026"}), "period"),
        (provide("purpose", [{"system": REASON, "code": "MARKETING"}]), "provision.purpose"),
        (provide("purpose", [{"system": "urn:x", "code": "TREAT"}]), "provision.purpose"),
        (
            provide("purpose", [{"system": REASON, "code": "TREAT", "extension": UNKNOWN}]),
            "provision.purpose.extension",
        ),
        (provide("securityLabel", [{"system": CONFIDENTIALITY, "code": "SECRET"}]), "provision.securityLabel"),
        (provide("securityLabel", [{"system": "urn:x", "code": "R"}]), "provision.securityLabel"),
        (provide("securityLabel", [{"code": "SECRET"}]), "provision.securityLabel"),
        (provide("provision", [NESTED | {"provision": [NESTED]}]), "provision.provision[0].provision"),
        (provide("provision", [NESTED | {"type": None}]), "provision.provision"),
        (provide("actor", [{"role": CODED, "reference": community(HOME)}]), "provision.actor.role"),
        (provide("actor", [actor(community(HOME)) | {"extension": UNKNOWN}]), "provision.actor.extension"),
        (provide("actor", [actor({"display": "Bạch Mai"})]), "provision.actor.reference"),
        (provide("actor", [actor({"reference": "#nobody"})]), "provision.actor.reference"),
        (provide("actor", [actor({"reference": "Group/1"})]), "provision.actor.reference"),
        (provide("actor", [actor({"reference": "RelatedPerson/1"})]), "provision.actor.reference"),
        (provide("actor", [actor({"reference": "https://elsewhere.example/fhir/Organization/1"})]), "provision.actor"),
        (
            provide("actor", [actor({"type": "Practitioner", "identifier": {"value": "dr.an"}})]),
            "provision.actor.reference",
        ),
        (
            provide("data", [{"meaning": "dependents", "reference": {"reference": "Encounter/1"}}]),
            "provision.data.meaning",
        ),
        (
            provide("data", [{"meaning": "related", "reference": {"reference": "Encounter/1"}}]),
            "provision.data.reference",
        ),
        (
            provide("data", [{"meaning": "related", "reference": {"identifier": {"value": "V1"}}}]),
            "provision.data.reference",
        ),
        (
            provide("data", [NESTED["data"][0], VISITED]),
            "provision.data",
        ),
        (
            provide("data", [{"meaning": "instance", "reference": {"reference": "Observation/1"}}]),
            "provision.data.reference",
        ),
        (
            provide("data", [NESTED["data"][0], {"meaning": "authoredby", "reference": community(HOME)}]),
            "provision.data",
        ),
        (provide("data", [NESTED["data"][0] | {"extension": UNKNOWN}]), "provision.data.extension"),
        (lambda m: (put("meta", {"profile": [BASIC]})(m), provide("provision", [NESTED])(m)), "provision"),
    ],
)
def test_what_is_not_allowed_or_not_understood_is_refused(broken: Break, where: str) -> None:
    made = message()
    broken(made)
    with pytest.raises((FhirError, ConsentError)) as refusal:
        recorded(made)
    error = refusal.value
    if isinstance(error, FhirError):
        assert error.status in (400, 422)
        assert any(where in place for issue in error.issues for place in issue.expression), error.issues
    else:
        assert isinstance(error, InvalidConsent)
        assert where in error.element


def test_a_refusal_needs_no_written_request_and_a_permit_does() -> None:
    assert recorded(message(sourceAttachment=None, provision__type="deny")).consent.evidence is None
    assert recorded(message(sourceAttachment=None, status="draft")).consent.evidence is None
    with pytest.raises(EvidenceMissing):
        recorded(message(sourceAttachment=None))


# ---- exchange ----


def test_a_recorded_consent_is_answered_with_its_place() -> None:
    noun = stored(recorded(MESSAGE))
    response = iti108.encode_created(noun, ask("POST", "/Consent"))
    headers = dict(response.headers)
    assert (response.status, headers["Location"]) == (201, f"{BASE}/Consent/c1/_history/1")
    assert headers["ETag"] == 'W/"1"'
    assert read(response)["patient"]["identifier"]["value"] == "A1"


def test_an_update_names_its_consent_and_its_version() -> None:
    request = ask("PUT", "/Consent/c1", body=MESSAGE | {"id": "c1"}, If_Match='W/"3"')
    command = iti108.decode_update(request)
    assert (command.consent.id, command.create, command.expected_version) == ("c1", False, 3)
    for body, match in ((MESSAGE, ""), (MESSAGE | {"id": "c2"}, ""), (MESSAGE | {"id": "c1"}, '"three"')):
        with pytest.raises(BadRequest):
            iti108.decode_update(ask("PUT", "/Consent/c1", body=body, If_Match=match))


def test_consents_are_searched_as_pcf_says() -> None:
    request = ask(
        "GET",
        "/Consent",
        ("patient.identifier", f"{OWN}|A1"),
        ("status", "active,draft"),
        ("_id", "c1"),
        ("actor:identifier", f"urn:ietf:rfc:3986|{BACH_MAI}"),
    )
    command = iti108.decode_search(request)
    assert command.patient.described is not None
    assert command.patient.described.identifiers == (A1,)
    assert (command.statuses, command.ids, command.actor) == (("active", "draft"), ("c1",), str(BACH_MAI))
    assert stored(recorded(MESSAGE)).provision.actors[0].is_named(str(BACH_MAI))
    by_id = iti108.decode_search(ask("GET", "/Consent", ("patient", "Patient/p1"), ("actor", "Organization/1901")))
    assert (by_id.patient.record_id, by_id.actor) == ("p1", "1901")
    bundle = read(iti108.encode_search(Page((stored(recorded(MESSAGE)),), total=1), request))
    assert bundle["entry"][0]["resource"]["id"] == "c1"


@pytest.mark.parametrize(
    "query",
    [
        ("status", "asleep"),
        ("patient", "https://elsewhere.example/fhir/Patient/1"),
        ("patient.identifier", "A1"),
        ("actor", "a,b"),
        ("actor", "https://elsewhere.example/fhir/Organization/1"),
        ("patient", "a/b/c/d"),
    ],
)
def test_a_consent_search_that_is_unclear_is_refused(query: tuple[str, str]) -> None:
    with pytest.raises(BadRequest):
        iti108.decode_search(ask("GET", "/Consent", query))


def test_a_withdrawn_consent_is_gone_without_a_body() -> None:
    assert iti108.decode_delete(ask("DELETE", "/Consent/c1")).id == "c1"
    response = iti108.encode_deleted(replace(stored(recorded(MESSAGE)), version=4), ask("DELETE", "/Consent/c1"))
    assert (response.status, response.body, dict(response.headers)["ETag"]) == (204, b"", 'W/"4"')


def test_a_provision_is_shown_with_the_id_that_decisions_name() -> None:
    noun = stored(recorded(message(provision__provision=[NESTED])))
    inner = replace(noun.provision.provisions[0], id="r2")
    shown = consent(replace(noun, provision=replace(noun.provision, id="r1", provisions=(inner,))), BASE)
    assert shown["provision"]["id"] == "r1"
    assert shown["provision"]["provision"] == [{"id": "r2", **NESTED}]
    assert shown["provision"]["purpose"][0]["display"] == "treatment"


def test_a_withdrawn_consent_keeps_the_words_of_its_message() -> None:
    withdrawn = replace(stored(recorded(MESSAGE)), status="inactive", version=2)
    shown = consent(withdrawn, BASE)
    assert (shown["status"], shown["provision"], shown["category"]) == (
        "inactive",
        MESSAGE["provision"],
        MESSAGE["category"],
    )
