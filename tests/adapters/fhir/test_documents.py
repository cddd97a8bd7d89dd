"""Documents are found, read and written: every parameter, every page, and nothing lost on the way."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from exchange import BAC_NINH, BASE, HOME, OTHER, SYSTEM, ask, binary, bundle, document, shown, with_id

from adapters.fhir import iti65_provide_document_bundle as iti65
from adapters.fhir import iti66_find_document_lists as iti66
from adapters.fhir import iti67_find_document_references as iti67
from adapters.fhir import read_document_reference, read_list
from adapters.fhir.check import check
from adapters.fhir.document_reference import Filing, document_reference
from adapters.fhir.document_reference import read_document_reference as read_noun
from adapters.fhir.issues import BadRequest
from adapters.fhir.lists import list_of, read_folder, read_submission_set
from adapters.fhir.writing import is_personal
from adapters.store.codec import dump, load
from adapters.wire import Pairs, WireRequest
from registry.answers import CommunityOutcome, OutcomeKind
from registry.coded import HIV, IMAGING_REPORT, CodedValue
from registry.commands import Page
from registry.documents import (
    Attachment,
    Author,
    DocumentEntry,
    DocumentStatus,
    Folder,
    Relation,
    RelationKind,
    SubmissionSet,
)
from registry.identifiers import PatientIdentifier
from registry.people import Address, BirthDate, Demographics, HumanName
from registry.searches import Cursor

LAN = PatientIdentifier(SYSTEM, "BN-000123")
LONG = "https://node.example/network/fhir"
NOON = datetime(2026, 5, 4, 5, 0, tzinfo=UTC)

ENTRY = DocumentEntry(
    id="d1",
    entry_uuid="urn:uuid:11111111-1111-4111-8111-111111111111",
    unique_id="urn:oid:1.2.840.99.1.10",
    patient=LAN,
    record_id="77",
    attachment=Attachment("application/pdf", 27, "ab" * 20, "", "vi-VN", "CT sọ não", "2026-05-04"),
    type=IMAGING_REPORT,
    categories=(CodedValue("18726-0", "http://loinc.org"),),
    format=CodedValue("urn:ihe:rad:PDF", "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode"),
    facility_type=CodedValue("22232009", "http://snomed.info/sct"),
    practice_setting=CodedValue("394914008", "http://snomed.info/sct"),
    events=(CodedValue("CT", "http://dicom.nema.org/resources/ontology/DCM"),),
    authors=(Author("BS. Lê Văn Mẫu"), Author("Đỗ Thử", "BV Thử", "doctor", "radiology"), Author(institution="Khoa X")),
    authenticator=Author("Lê Văn Mẫu", identifier=PatientIdentifier("urn:x", "9")),
    description="một báo cáo",
    date=NOON,
    start=datetime(2026, 5, 3, 15, 15, tzinfo=UTC),
    stop=datetime(2026, 5, 3, 16, 0, tzinfo=UTC),
    references=(PatientIdentifier("urn:oid:1.2.840.99.1.7", "ACC-77"),),
    relations=(Relation(RelationKind.REPLACES, "d0"), Relation(RelationKind.APPENDS, "urn:oid:1.2.3")),
    source_patient=LAN,
    source_demographics=Demographics(
        HumanName("Trần Thị Thử", "Trần", "Thị Thử"),
        BirthDate("1961-04"),
        "female",
        ("0900000000",),
        Address("xã Thử, Bắc Ninh", "xã Thử", "Bắc Ninh", "VN", "16000"),
        "Lê Thị Mẫu",
        True,
    ),
)
BARE = DocumentEntry("d2", "urn:uuid:22222222-1111-4111-8111-111111111111", "1.2.3^A", LAN, "77", ENTRY.attachment)


def filed(entry: DocumentEntry) -> Filing:
    return Filing(entry.id, entry.entry_uuid, entry.patient, entry.record_id, entry.attachment)


@pytest.mark.parametrize(
    "entry",
    [
        ENTRY,
        BARE,
        replace(BARE, unique_id="http://his.example|4711"),
        replace(ENTRY, sensitivity=(HIV, CodedValue("R", "urn:x"))),
        replace(ENTRY, status=DocumentStatus.SUPERSEDED, authors=()),
        replace(ENTRY, encounters=(PatientIdentifier("urn:hie-node:visit:27001", "LK-7"),)),
    ],
)
def test_a_document_comes_back_as_it_went_out(entry: DocumentEntry) -> None:
    resource = document_reference(entry, base=BASE, home=HOME)
    assert not check(resource)
    assert read_noun(resource, filed(entry), home=HOME) == entry


def test_what_the_sender_wrote_is_given_back_where_the_nouns_do_not_know_it() -> None:
    sent = document(
        text={"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'},
        extension=[{"url": "http://his.example/ward", "valueString": "B4"}],
        language="vi",
    )
    sent["identifier"].append({"system": "http://his.example", "value": "HIS-1"})
    sent["type"]["coding"].append({"system": "http://his.example", "code": "CT01"})
    sent["context"]["related"].append({"reference": "Procedure/9"})
    visit = {"identifier": {"system": "urn:his:visit", "value": "V7"}, "display": "lượt khám"}
    sent["context"]["encounter"] = [visit, {"reference": "Encounter/9"}]
    message = iti65.decode(ask("POST", "/fhir", body=bundle(doc=sent))).submission
    entry = message.documents[0].entry
    assert entry.encounters == (PatientIdentifier("urn:his:visit", "V7"),)
    back = document_reference(entry, base=BASE, home=HOME)
    for name in ("text", "extension", "language", "type", "author", "contained", "category", "date"):
        assert back[name] == sent[name], name
    assert back["context"] == sent["context"]
    assert back["identifier"][1] == {"system": "http://his.example", "value": "HIS-1"}
    assert back["content"][0]["attachment"]["url"] == f"{BASE}/Binary/{entry.id}"
    assert not [issue for issue in check(back) if issue.is_error]
    assert read_noun(back, filed(entry), home=HOME) == entry


def test_what_is_kept_survives_storage_to_the_last_digit() -> None:
    dose = [{"url": "http://his.example/dose", "valueDecimal": Decimal("1.50")}]
    odd = {"decimal()": "no number"}
    noun = read_noun(document(extension=dose, odd=odd), filed(ENTRY), home=HOME)
    back = document_reference(load(DocumentEntry, dump(noun)), base=BASE, home=HOME)
    assert str(back["extension"][0]["valueDecimal"]) == "1.50" and back["odd"] == odd


def test_what_the_registry_governs_is_never_the_senders() -> None:
    sent = document(id="mine", subject={"reference": "Patient/other", "display": "Trần Thị Thử"})
    noun = read_noun(sent, filed(ENTRY), home=HOME)
    back = document_reference(replace(noun, status=DocumentStatus.SUPERSEDED), base=BASE, home=HOME)
    assert back["id"] == "d1" and back["status"] == "superseded"
    assert back["subject"] == {"reference": "Patient/77", "identifier": {"system": SYSTEM, "value": "BN-000123"}}


def test_a_label_in_words_still_closes_a_document() -> None:
    labels = [{"text": "kín"}, {"coding": [{"code": "N", "system": "x"}, {"code": "HIV"}]}]
    noun = read_noun(document(securityLabel=labels), filed(ENTRY), home=HOME)
    assert [label.code for label in noun.sensitivity] == ["N", "HIV", "kín"]


def test_a_document_of_another_hospital_says_so_and_points_through_this_node() -> None:
    remote = replace(ENTRY, id="27001.d1", home=OTHER, extra={"custodian": {"reference": "Organization/1"}})
    shown_as = document_reference(remote, base=LONG, home=HOME, names={OTHER: BAC_NINH.name})
    assert shown_as["subject"] == {"identifier": {"system": SYSTEM, "value": "BN-000123"}}
    assert shown_as["custodian"]["identifier"] == {"system": "urn:ietf:rfc:3986", "value": OTHER.value}
    assert shown_as["custodian"]["display"] == BAC_NINH.name
    assert shown_as["content"][0]["attachment"]["url"] == f"{LONG}/Binary/27001.d1"


def test_xml_says_the_same_as_json() -> None:
    request = with_id(ask(path="/fhir/DocumentReference/d1", accept="application/fhir+xml"), "d1")
    assert read_document_reference.decode(request).id == "d1"
    answer = read_document_reference.encode(ENTRY, request)
    assert shown(answer) == document_reference(ENTRY, base=BASE, home=HOME)
    again = with_id(ask(path="/fhir/DocumentReference/d1", if_none_match='W/"1"'), "d1")
    assert read_document_reference.encode(ENTRY, again).status == 304


# ---- search ----


def search(*query: tuple[str, str], **headers: Any) -> tuple[Any, WireRequest]:
    request = ask(query=tuple(query), **headers)
    return iti67.decode(request).search, request


HITS = [
    ("_lastUpdated", "ge2026"),
    ("author.family", "le"),
    ("author.family", "Lê"),
    ("author.given", "mau"),
    ("author.given", "Văn Mẫu"),
    ("category", "http://loinc.org|18726-0"),
    ("creation", "2026-05-04"),
    ("creation", "ge2026-05"),
    ("date", "2026-05-04"),
    ("date", "lt2027"),
    ("event", "CT"),
    ("facility", "22232009"),
    ("format", "urn:ihe:rad:PDF"),
    ("period", "ge2026-05-03"),
    ("period", "2026-05-03"),
    ("related:identifier", "urn:oid:1.2.840.99.1.7|ACC-77"),
    ("related.identifier", "ACC-77"),
    ("security-label", "N"),
    ("setting", "394914008"),
    ("type", "http://loinc.org|18748-4"),
    ("type", "57133-1,18748-4"),
    ("type:not", "57133-1"),
    ("type:missing", "false"),
]
MISSES = [
    ("_lastUpdated", "lt2020"),
    ("author.family", "tran"),
    ("author.given:exact", "mau"),
    ("category", "urn:x|18726-0"),
    ("creation", "gt2026-05-04"),
    ("date", "2026-05-05"),
    ("event", "MR"),
    ("facility", "1"),
    ("format", "|urn:ihe:rad:PDF"),
    ("period", "eb2026-05-01"),
    ("related:identifier", "ACC-78"),
    ("related", "Procedure/9"),
    ("security-label", "R"),
    ("setting", "1"),
    ("type", "18748"),
    ("type:not", "18748-4"),
    ("period:missing", "true"),
]


@pytest.mark.parametrize(("name", "value"), HITS)
def test_a_search_finds_what_it_describes(name: str, value: str) -> None:
    wanted, request = search((name, value), ("patient", "77"))
    assert wanted.accepts(replace(ENTRY, updated=NOON))
    assert request.kept["used"] == ((name, value), ("patient", "77"))


@pytest.mark.parametrize(("name", "value"), MISSES)
def test_a_search_leaves_out_what_it_does_not_describe(name: str, value: str) -> None:
    wanted, _ = search((name, value), ("patient", "77"))
    assert not wanted.accepts(replace(ENTRY, updated=NOON))


def test_ids_identifiers_and_statuses_go_to_the_index() -> None:
    wanted, _ = search(
        ("_id", "d1,d2"),
        ("_id", "d2"),
        ("identifier", "urn:ietf:rfc:3986|URN:UUID:11111111-1111-4111-8111-111111111111,urn:oid:1.2.3|A"),
        ("status", "current"),
        ("_count", "7"),
    )
    assert wanted.ids == ("d2",)
    assert wanted.identifiers == ("urn:uuid:11111111-1111-4111-8111-111111111111", "1.2.3^A")
    assert wanted.statuses == (DocumentStatus.CURRENT,) and wanted.limit == 7
    assert search(("status", "entered-in-error"))[0].statuses == ()


def test_the_patient_is_described_in_the_question() -> None:
    wanted, _ = search(
        ("patient.identifier", f"{SYSTEM}|BN-1,urn:x|2"),
        ("patient.identifier", "urn:y|3"),
        ("patient.name", "Trần Thị Thử"),
        ("patient.birthdate", "1961"),
        ("patient.gender", "female"),
    )
    described = wanted.patient.described
    assert [number.value for number in described.identifiers] == ["BN-1", "2", "3"]
    assert described.demographics == Demographics(HumanName("Trần Thị Thử"), BirthDate("1961"), "female")
    parts = search(("patient.family", "Trần"), ("patient.given", "Thị Thử"))[0].patient.described
    assert parts.demographics.name == HumanName("Trần Thị Thử", "Trần", "Thị Thử")
    assert search(("patient", f"{BASE}/Patient/77"))[0].patient.record_id == "77"
    assert search(("patient", f"{BASE}/Patient/77"), door="network", base=LONG)[0].patient.record_id == "77"
    assert search(("patient:identifier", "urn:x|2"))[0].patient.described.identifiers[0].value == "2"


@pytest.mark.parametrize(
    "query",
    [
        [("patient", "1,2")],
        [("patient", "1"), ("patient", "2")],
        [("patient", "https://elsewhere.example/fhir/Patient/1")],
        [("patient", "Practitioner/1")],
        [("patient.identifier", "123")],
        [("patient.birthdate", "1961")],
        [("patient.birthdate", "ge1961"), ("patient.name", "A")],
        [("patient.telecom", "0900")],
        [("patient.name:exact", "A")],
        [("patient.gender", "x"), ("patient.name", "A")],
        [("status", "")],
        [("date", "yesterday")],
        [("date:above", "2026")],
        [("type:in", "x")],
        [("_count", "-1")],
        [("_after", "nonsense")],
        [("_after", "W10")],
        [("identifier", "urn:x|")],
        [("type", "a|b|c")],
        [("type", "\x00")],
        [("a", "b")] * 101,
    ],
)
def test_what_cannot_be_asked_is_refused(query: list[tuple[str, str]]) -> None:
    with pytest.raises(BadRequest):
        search(*query)


def test_unknown_parameters_are_dropped_or_refused_when_strict() -> None:
    query = (("patient", "77"), ("invented", "1"), ("_sort", "author"), ("_include", "x"), ("_sort", "-date"))
    _, request = search(*query)
    assert request.kept["used"] == (("patient", "77"), ("_sort", "-date"))
    with pytest.raises(BadRequest):
        search(*query, prefer="handling=strict")


def test_the_network_is_not_searched_for_everybody() -> None:
    with pytest.raises(BadRequest):
        search(("status", "current"), door="network", base=LONG)
    assert search(("patient", "77"), door="network", base=LONG)[0].patient.record_id == "77"


def links(answer: dict[str, Any]) -> dict[str, str]:
    return {each["relation"]: each["url"] for each in answer["link"]}


def test_a_page_says_what_was_asked_and_where_it_goes_on() -> None:
    _, request = search(("patient", "77"), ("_count", "1"), ("invented", "x"))
    page = Page((ENTRY,), total=3, next=Cursor(NOON, "d1"))
    answer = shown(iti67.encode(page, request))
    assert answer["total"] == 3 and answer["entry"][0]["fullUrl"] == f"{BASE}/DocumentReference/d1"
    assert links(answer)["self"] == f"{BASE}/DocumentReference?patient=77&_count=1"
    following = tuple(parse_qsl(urlsplit(links(answer)["next"]).query))
    assert search(*following)[0].after == Cursor(NOON, "d1")
    assert not check(answer)


def test_what_is_personal_never_moves_from_a_form_into_a_link() -> None:
    sealed: list[Pairs] = []

    def seal(pairs: Pairs) -> str:
        sealed.append(pairs)
        return "SEALED"

    query = (("patient.identifier", f"{SYSTEM}|BN-1"), ("status", "current"))
    page = Page((ENTRY,), total=3, next=Cursor(NOON, "d1"))
    _, request = search(*query, method="POST", path="/fhir/DocumentReference/_search")
    answer = shown(iti67.encode(page, request))
    assert "next" not in links(answer)
    assert answer["entry"][-1]["resource"]["issue"][0]["code"] == "incomplete"
    answer = shown(iti67.encode(page, replace(request, seal_page=seal)))
    assert links(answer)["next"] == f"{BASE}/DocumentReference?_page=SEALED"
    assert sealed[0][:2] == query and sealed[0][2][0] == "_after"
    assert is_personal("patient.name:exact") and not is_personal("status")


def test_counting_shows_nothing_but_the_number() -> None:
    for parameter in (("_summary", "count"), ("_count", "0")):
        wanted, request = search(("patient", "77"), parameter)
        assert wanted.count_only
        answer = shown(iti67.encode(Page((), total=4), request))
        assert answer["total"] == 4 and "entry" not in answer


def test_every_community_has_its_line() -> None:
    _, request = search(("patient", "77"), door="network", base=LONG)
    outcomes = tuple(CommunityOutcome(BAC_NINH, kind, 1) for kind in OutcomeKind)
    answer = shown(iti67.encode(Page((ENTRY,), total=1, outcomes=outcomes), request))
    lines = [each["resource"]["issue"][0] for each in answer["entry"] if each["search"]["mode"] == "outcome"]
    assert [line["details"]["coding"][0]["code"] for line in lines] == [kind.value for kind in OutcomeKind]
    assert {line["severity"] for line in lines} == {"information", "warning"}
    assert all(line["extension"][0]["valueOid"] == OTHER.value for line in lines)
    assert not check(answer)


# ---- lists ----

SET = SubmissionSet(
    id="s1",
    entry_uuid="urn:uuid:33333333-1111-4111-8111-111111111111",
    unique_id="urn:oid:1.2.840.99.1.9",
    source_id="urn:oid:1.2.840.99.1",
    patient=LAN,
    record_id=None,
    submitted=NOON,
    content_type=IMAGING_REPORT,
    authors=(Author("Lê Văn Mẫu"),),
    title="Gửi",
    intended_recipients=("BV Bạch Mai",),
    members=("d1", "folder-x"),
    updated=NOON,
)
FOLDER = Folder("folder-x", SET.entry_uuid, SET.unique_id, LAN, "", "Đợt", NOON, (IMAGING_REPORT,), ("d1",))


def test_a_submission_set_and_a_folder_come_back_as_they_went_out() -> None:
    sent = list_of(SET)
    assert not check(sent)
    assert [each["item"]["reference"] for each in sent["entry"]] == ["DocumentReference/d1", "List/folder-x"]
    back = read_submission_set(sent, entry_uuid="", patient=LAN, members=SET.members)
    assert replace(back, id="s1", updated=NOON) == SET
    assert read_folder(list_of(FOLDER), entry_uuid="", patient=LAN, members=("d1",), folder_id="folder-x") == FOLDER
    request = with_id(ask(path="/fhir/List/s1"), "s1")
    assert read_list.decode(request).id == "s1"
    assert shown(read_list.encode(SET, request))["id"] == "s1"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("_lastUpdated", "2026-05-04"),
        ("date", "2026-05"),
        ("designationType", "18748-4"),
        ("source.family", "le"),
        ("source.given", "mau"),
        ("sourceId", "urn:ietf:rfc:3986|urn:oid:1.2.840.99.1"),
        ("status", "current"),
    ],
)
def test_lists_are_found_by_each_parameter(name: str, value: str) -> None:
    found = iti66.decode(ask(path="/fhir/List", query=(("patient", "77"), (name, value)))).search
    missed = iti66.decode(ask(path="/fhir/List", query=(("patient", "77"), (name, "1999")))).search
    assert all(condition(SET) for condition in found.where)
    assert not all(condition(SET) for condition in missed.where)


def test_the_code_tells_submission_sets_from_folders() -> None:
    for code, wanted in (("submissionset", (True, False)), ("folder", (False, True)), ("x", (False, False))):
        command = iti66.decode(ask(path="/fhir/List", query=(("code", code), ("patient.identifier", "urn:x|1"))))
        assert (command.submission_sets, command.folders) == wanted
    request = ask(path="/fhir/List", query=(("patient", "77"),))
    iti66.decode(request)
    answer = shown(iti66.encode(Page((SET, FOLDER)), request))
    assert answer["total"] == 2 and not check(answer)
    assert binary()["resourceType"] == "Binary"
