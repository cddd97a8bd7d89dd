"""A hospital publishes: what is taken, what is refused and why, and what the answer says."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from exchange import (
    BASE,
    BIN_URL,
    DOC_URL,
    MHD,
    PDF,
    SYSTEM,
    ask,
    binary,
    bundle,
    document,
    entry,
    folder,
    patch,
    shown,
    submission_set,
)

from adapters.fhir import iti65_provide_document_bundle as iti65
from adapters.fhir import iti105_simplified_publish as iti105
from adapters.fhir.check import check
from adapters.fhir.outcome import describe
from adapters.fhir.xml_format import to_xml
from registry.commands import Provided
from registry.documents import RelationKind
from registry.submissions import Submission

ROOT = "/fhir"


def provide(message: object, **headers: str) -> tuple[Submission, Any]:
    request = ask("POST", ROOT, body=message, **headers)
    return iti65.decode(request).submission, request


def stored(submission: Submission, outcome: str = "stored") -> Provided:
    documents = tuple(replace(one.entry, record_id="77") for one in submission.documents)
    return Provided(outcome, documents, submission.submission_set, submission.folders)


def refused(message: object, **headers: str) -> tuple[int, str, str]:
    with pytest.raises(Exception) as caught:
        provide(message, **headers)
    status, issues = describe(caught.value)
    return status, issues[0].code, " ".join((*issues[0].expression, issues[0].text))


def nested(message: dict[str, Any], *path: Any, value: Any = None) -> dict[str, Any]:
    """The message with one place changed, or removed."""
    changed = deepcopy(message)
    *way, last = path
    place: Any = changed
    for step in way:
        place = place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return changed


def test_a_comprehensive_bundle_becomes_one_submission_of_one_patient() -> None:
    submission, _ = provide(bundle())
    (one,) = submission.documents
    assert str(submission.patient.identifier).startswith(SYSTEM)
    assert submission.patient.demographics.name and submission.patient.demographics.gender == "female"
    assert b"".join(one.content.chunks()) == PDF
    assert one.entry.unique_id == "urn:oid:1.2.840.99.1.10" and one.entry.entry_uuid == DOC_URL
    assert one.entry.type and one.entry.type.code == "18748-4"
    assert one.entry.authors[0].person == "Lê Văn Mẫu"
    assert one.entry.sensitivity == ()
    assert submission.submission_set and submission.submission_set.members == (one.entry.id,)
    assert submission.submission_set.source_id == "urn:oid:1.2.840.99.1"


def test_xml_is_read_like_json() -> None:
    submission, _ = provide(to_xml(bundle()), content_type="application/fhir+xml")
    assert submission.documents[0].entry.attachment.title == "CT sọ não"


def test_the_answer_has_a_line_for_each_entry_in_the_order_they_came() -> None:
    message = bundle()
    message["entry"].reverse()
    submission, request = provide(message)
    answer = shown(iti65.encode(stored(submission), request))
    places = [each["response"]["location"].split("/")[0] for each in answer["entry"]]
    assert places == ["Binary", "DocumentReference", "List"]
    assert {each["response"]["status"] for each in answer["entry"]} == {"201 Created"}
    assert answer["type"] == "transaction-response" and not [i for i in check(answer) if i.is_error]


def test_the_same_bundle_again_gets_the_same_answer() -> None:
    first, request = provide(bundle())
    before = stored(first)
    again, other = provide(bundle())
    assert again.submission_set and first.submission_set and again.submission_set.id == first.submission_set.id
    assert iti65.encode(before, request).body == iti65.encode(replace(before, outcome="unchanged"), other).body


def test_a_fullurl_that_a_sender_uses_again_and_again_names_nothing() -> None:
    plain = document()
    del plain["identifier"]
    other = plain | {"masterIdentifier": {"value": "urn:oid:1.2.840.99.1.99"}}
    names = {provide(bundle(doc=each))[0].documents[0].entry.entry_uuid for each in (plain, plain, other)}
    assert len(names) == 2 and DOC_URL not in names


def test_what_is_odd_but_harmless_is_a_warning_in_the_answer() -> None:
    submission, request = provide(bundle(doc=document(invented="x")))
    answer = shown(iti65.encode(replace(stored(submission), warnings=("no study",)), request))
    told = answer["entry"][0]["response"]["outcome"]["issue"]
    assert [each["severity"] for each in told] == ["warning", "warning"]
    assert submission.documents[0].entry.extra["invented"] == "x"


def test_a_replacement_names_what_it_replaces_and_supersedes_it() -> None:
    doc = document(relatesTo=[{"code": "replaces", "target": {"reference": "DocumentReference/old"}}])
    submission, request = provide(bundle(entry("", patch(), "PATCH", "DocumentReference/old"), doc=doc))
    (relation,) = submission.documents[0].entry.relations
    assert (relation.kind, relation.target) == (RelationKind.REPLACES, "old")
    assert submission.supersede == ("old",)
    answer = shown(iti65.encode(stored(submission), request))
    assert answer["entry"][3]["response"] == {"status": "200 OK", "location": "DocumentReference/old"}


def test_a_folder_holds_the_documents_of_the_bundle() -> None:
    at = "urn:uuid:44444444-1111-4111-8111-111111111111"
    both = submission_set(entry=[{"item": {"reference": DOC_URL}}, {"item": {"reference": at}}])
    submission, request = provide(bundle(entry(at, folder(), "POST", "List"), set=both))
    (made,) = submission.folders
    assert made.members == (submission.documents[0].entry.id,) and made.title == "Đợt điều trị"
    assert submission.submission_set and made.id in submission.submission_set.members
    answer = shown(iti65.encode(stored(submission), request))
    assert answer["entry"][3]["response"]["location"].startswith(f"List/{made.id}")


def test_references_into_the_bundle_become_the_ids_that_are_given() -> None:
    second = "urn:uuid:55555555-1111-4111-8111-111111111111"
    other = document(
        identifier=[{"use": "official", "system": "urn:ietf:rfc:3986", "value": second}],
        masterIdentifier={"use": "usual", "system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.840.99.1.11"},
        relatesTo=[{"code": "appends", "target": {"reference": DOC_URL}}],
    )
    both = submission_set(entry=[{"item": {"reference": DOC_URL}}, {"item": {"reference": second}}])
    submission, _ = provide(bundle(entry(second, other, "POST", "DocumentReference"), set=both))
    one, two = (each.entry for each in submission.documents)
    assert two.relations[0].target == one.id


@pytest.mark.parametrize(
    "subject",
    [
        {"reference": "Patient/77"},
        {"reference": f"{BASE}/Patient/77"},
        {"reference": "Patient/77", "identifier": {"system": SYSTEM, "value": "BN-000123"}},
    ],
)
def test_the_patient_may_be_named_by_a_reference_to_this_node(subject: dict[str, Any]) -> None:
    doc = document(subject=subject)
    submission, _ = provide(bundle(doc=doc, set=submission_set(subject=subject)))
    assert submission.documents[0].entry.record_id == "77"
    assert "identifier" in subject or submission.patient.record_id == "77"


def test_a_patient_in_the_bundle_says_who_an_unknown_patient_is() -> None:
    at = "urn:uuid:66666666-1111-4111-8111-111111111111"
    patient = {
        "resourceType": "Patient",
        "identifier": [
            {"system": "http://fhir.ehealth.gov.vn/core/sid/national_id", "value": "001161000123"},
            {"use": "usual", "system": SYSTEM, "value": "BN-9"},
        ],
        "name": [{"text": "Phạm Thị Mẫu"}],
    }
    doc = document(subject={"reference": at})
    del doc["contained"], doc["author"], doc["context"]["sourcePatientInfo"]
    message = bundle(
        entry(at, patient, "POST", "Patient"), doc=doc, set=submission_set(subject={"reference": at}), profile="Minimal"
    )
    submission, _ = provide(message)
    assert submission.patient.identifier.value == "BN-9"
    assert [number.value for number in submission.patient.numbers] == ["001161000123"]
    assert submission.patient.demographics.name and submission.patient.demographics.name.text == "Phạm Thị Mẫu"


def test_a_hash_of_hex_digits_as_in_old_examples_is_accepted() -> None:
    from base64 import b64encode
    from hashlib import sha1

    told = b64encode(sha1(PDF).hexdigest().encode()).decode()
    submission, _ = provide(nested(bundle(), "entry", 1, "resource", "content", 0, "attachment", "hash", value=told))
    assert submission.documents[0].announced_hash == sha1(PDF).hexdigest()


DOC = ("entry", 1, "resource")
ATTACHMENT = (*DOC, "content", 0, "attachment")
BROKEN: list[tuple[tuple[Any, ...], Any, int, str]] = [
    # the bundle
    (("type",), "batch", 422, "not-supported"),
    (("meta",), None, 422, "not-supported"),
    (("entry", 0), None, 422, "required"),
    (("entry", 0, "request", "method"), "PUT", 422, "not-supported"),
    (("entry", 1, "request", "url"), "Binary", 422, "not-supported"),
    (("entry", 1, "request", "ifNoneMatch"), 'W/"1"', 422, "not-supported"),
    (("entry", 1, "fullUrl"), None, 422, "required"),
    (("entry", 2, "fullUrl"), DOC_URL, 422, "duplicate"),
    (("entry", 2), None, 422, "required"),
    (("entry", 2, "resource"), {"resourceType": "Basic", "code": {"text": "x"}}, 422, "structure"),
    (("entry", 2, "resource"), {"resourceType": "Bundle", "type": "collection"}, 422, "not-supported"),
    # the bytes
    (("entry", 2, "resource", "contentType"), "text/plain", 422, "business-rule"),
    (("entry", 2, "resource", "data"), None, 422, "required"),
    (("entry", 2, "resource", "data"), "AAAA", 422, "conflict"),
    ((*ATTACHMENT, "size"), 3, 422, "conflict"),
    ((*ATTACHMENT, "hash"), "AAAAAAAAAAAAAAAAAAAAAAAAAAA=", 422, "conflict"),
    ((*ATTACHMENT, "hash"), "AAAA", 422, "value"),
    ((*ATTACHMENT, "url"), "https://elsewhere.example/x", 422, "structure"),
    ((*ATTACHMENT, "data"), "AAAA", 400, "structure"),
    ((*ATTACHMENT, "contentType"), None, 422, "required"),
    ((*ATTACHMENT, "language"), None, 422, "required"),
    ((*ATTACHMENT, "creation"), None, 422, "required"),
    # the document
    ((*DOC, "docStatus"), "final", 400, "structure"),
    ((*DOC, "implicitRules"), "http://rules.example", 400, "structure"),
    ((*DOC, "status"), "superseded", 422, "value"),
    ((*DOC, "status"), "lost", 422, "code-invalid"),
    ((*DOC, "masterIdentifier"), None, 422, "required"),
    ((*DOC, "masterIdentifier", "value"), "urn:oid:not.an.oid", 422, "value"),
    ((*DOC, "category"), [{"text": "a"}, {"text": "b"}], 400, "structure"),
    ((*DOC, "content", 0, "format"), None, 422, "required"),
    ((*DOC, "type"), None, 422, "required"),
    ((*DOC, "securityLabel"), None, 422, "required"),
    ((*DOC, "context", "facilityType"), None, 422, "required"),
    ((*DOC, "context", "practiceSetting"), None, 422, "required"),
    ((*DOC, "context", "sourcePatientInfo"), {"reference": "Patient/1"}, 400, "structure"),
    ((*DOC, "author"), [{"reference": "Practitioner/1"}], 400, "structure"),
    ((*DOC, "modifierExtension"), [{"url": "http://x.example", "valueBoolean": True}], 422, "extension"),
    ((*DOC, "relatesTo"), [{"code": "replaces", "target": {"reference": "Patient/1"}}], 400, "structure"),
    ((*DOC, "relatesTo"), [{"code": "replaces", "target": {"display": "old"}}], 422, "not-found"),
    # the submission set
    (("entry", 0, "resource", "entry"), None, 400, "structure"),
    (("entry", 0, "resource", "entry"), [{"item": {"reference": BIN_URL}}], 400, "structure"),
    (("entry", 0, "resource", "status"), "retired", 422, "value"),
    (("entry", 0, "resource", "mode"), "snapshot", 422, "value"),
    (("entry", 0, "resource", "date"), None, 422, "required"),
    (("entry", 0, "resource", "extension", 1), None, 422, "required"),
    (("entry", 0, "resource", "extension", 0), None, 422, "required"),
    (("entry", 0, "resource", "subject"), None, 422, "required"),
    (("entry", 0, "resource", "encounter"), {"reference": "Encounter/1"}, 400, "structure"),
    (("entry", 0, "resource", "entry", 0, "deleted"), True, 400, "structure"),
    (("entry", 0, "resource", "code"), {"text": "list"}, 422, "structure"),
    # the patient
    ((*DOC, "subject"), {"identifier": {"system": SYSTEM, "value": "BN-000124"}}, 422, "business-rule"),
    ((*DOC, "subject"), {"display": "somebody"}, 422, "not-found"),
    (
        (*DOC, "subject"),
        {"reference": "Patient/1", "identifier": {"system": SYSTEM, "value": "B2"}},
        422,
        "business-rule",
    ),
]


@pytest.mark.parametrize(("place", "value", "status", "code"), BROKEN, ids=lambda each: str(each)[:60])
def test_each_broken_rule_is_told_and_nothing_becomes_a_command(
    place: tuple[Any, ...], value: Any, status: int, code: str
) -> None:
    found = refused(nested(bundle(), *place, value=value))
    assert found[:2] == (status, code), found


def test_a_patch_that_does_anything_else_is_refused() -> None:
    other = nested(patch(), "parameter", 0, "part", 1, "valueString", value="DocumentReference.subject")
    assert refused(bundle(entry("", other, "PATCH", "DocumentReference/old")))[:2] == (422, "not-supported")


def test_a_fault_behind_a_hundred_oddities_is_still_found() -> None:
    doc = {f"odd{number}": 1 for number in range(150)} | document(status=7)
    assert refused(bundle(doc=doc))[0] in (400, 422)


@pytest.mark.parametrize("meta", [5, "x", [], {"profile": 5}, {"profile": [[], {}]}, None])
def test_a_bundle_with_a_nonsensical_profile_is_none_of_ours(meta: object) -> None:
    assert refused(bundle() | {"meta": meta})[:2] == (422, "not-supported")


def test_errors_hold_nothing_of_the_patient() -> None:
    doc = document(subject={"identifier": {"system": SYSTEM, "value": "SECRET-987654321"}})
    assert "SECRET" not in refused(bundle(doc=doc))[2]


def test_no_answer_in_an_unwanted_format_is_found_out_before_anything_is_read() -> None:
    assert refused(bundle(), accept="image/png")[0] == 406
    assert refused(bundle(), content_type="text/csv")[0] == 415
    assert refused(b"x" * (iti65.MAX_BYTES + 1))[0] == 413
    assert refused(b"")[0] == 400
    assert refused({"resourceType": "Patient"})[0] == 400


def simple(**changes: Any) -> dict[str, Any]:
    resource = document(**changes)
    attachment = resource["content"][0]["attachment"]
    del resource["identifier"], attachment["url"]
    return nested(resource, "content", 0, "attachment", "data", value=binary()["data"])


def test_one_document_can_be_published_alone() -> None:
    request = ask("POST", "/fhir/DocumentReference", body=simple())
    submission = iti105.decode(request).submission
    assert submission.documents[0].entry.attachment.size == len(PDF)
    assert submission.submission_set and submission.submission_set.unique_id.startswith("urn:uuid:")
    answer = iti105.encode(stored(submission), request)
    assert answer.status == 201
    assert dict(answer.headers)["Location"] == f"{BASE}/DocumentReference/{submission.documents[0].entry.id}/_history/1"
    assert iti105.encode(stored(submission, "unchanged"), request).status == 200


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("content", 0, "attachment", "data"), None),
        (("content", 0, "attachment", "url"), "Binary/1"),
        (("identifier",), [{"system": "urn:x", "value": "1"}]),
        (("subject",), None),
        (("docStatus",), "final"),
    ],
)
def test_simplified_publish_has_its_own_rules(place: tuple[Any, ...], value: Any) -> None:
    with pytest.raises(Exception) as caught:
        iti105.decode(ask("POST", "/fhir/DocumentReference", body=nested(simple(), *place, value=value)))
    assert describe(caught.value)[0] in (400, 422)


def test_the_profiles_differ_in_what_they_need() -> None:
    plain = document()
    del plain["type"], plain["securityLabel"], plain["contained"], plain["author"]
    del plain["context"]["sourcePatientInfo"]
    assert provide(bundle(doc=plain, profile="Minimal"))[0].documents
    assert refused(bundle(doc=plain, profile="UnContained.Comprehensive"))[1] == "required"
    linked = document(author=[{"reference": "Practitioner/1", "display": "BS. Mẫu"}])
    assert provide(bundle(doc=linked, profile="UnContained.Comprehensive"))[0].documents[0].entry.authors
    assert refused(bundle(doc=linked))[1] == "structure"
    assert MHD in str(bundle()["meta"])
