"""All stored queries at the initiating gateway: answered across communities, under the rules of homeCommunityId."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from lxml import etree

from tests.conformance.client import Client, consent
from tests.conformance.soap import (
    APPROVED,
    ASSOCIATION,
    DEPRECATED,
    HAS_MEMBER,
    ITI,
    NS,
    QUERIES,
    Document,
    FolderOf,
    SoapAnswer,
    SoapClient,
    Submission,
    envelope,
    external,
    query,
    refuse_faulty,
)
from tests.conformance.test_gateways import NATIONAL, Gateway, gateway
from tests.conformance.test_imaging_gateways import serious_differences
from tests.conformance.test_soap_mutations import mutated

__all__ = ["gateway"]

KNOWN = {"sourcePatientInfo": ["PID-5|Nguyễn^Văn Mẫu", "PID-7|19900501"]}
STATUSES = f"('{APPROVED}','{DEPRECATED}')"


@dataclass
class Filed:
    """A folder with a document, and a second document that was appended to the first, at one hospital."""

    soap: SoapClient
    first: Document = field(default_factory=lambda: Document("A1", b"%PDF 1", slots=KNOWN))
    addendum: Document = field(default_factory=lambda: Document("A1", b"%PDF 2", slots=KNOWN))
    folder: FolderOf = field(default_factory=lambda: FolderOf("A1"))

    def __post_init__(self) -> None:
        member = (HAS_MEMBER, self.folder.id, self.first.id, "")
        one = Submission("A1", [self.first], [self.folder], [member])
        assert self.soap.provides(one).outcome == "Success"
        self.set_id = one.unique_id
        by_id = ("$XDSDocumentEntryUniqueId", f"('{self.first.unique_id}')")
        (listed,) = self.soap.queries("GetDocuments", by_id).documents
        self.uuid = listed.get("id")
        two = Submission("A1", [self.addendum], links=[(f"{ASSOCIATION}APND", self.addendum.id, self.uuid, "")])
        assert self.soap.provides(two).outcome == "Success"


@dataclass
class Network:
    """Bắc Ninh has it filed; a consumer of Bạch Mai asks its own gateway, after it has listed what there is."""

    gateway: Gateway
    theirs: Filed
    consumer: SoapClient

    @property
    def there(self) -> str:
        return str(self.gateway.holder.home)

    def asks(self, name: str, *slots: Any, **how: Any) -> SoapAnswer:
        return self.consumer.queries(name, *slots, path="/xca/initiating", **how)

    def lists(self) -> SoapAnswer:
        return self.asks("GetAll", ("$patientId", f"'{self.consumer.cx('A1')}'"), *ALL)

    def names(self, name: str, **how: Any) -> SoapAnswer:
        """A query that starts from objects, of what Bắc Ninh holds."""
        return self.asks(name, *STARTS[name](self.theirs), home=how.pop("home", self.there), **how)


ALL = [(f"$XDS{kind}Status", STATUSES) for kind in ("DocumentEntry", "SubmissionSet", "Folder")]
STARTS: dict[str, Callable[[Filed], list[tuple[str, str]]]] = {
    "GetDocuments": lambda it: [("$XDSDocumentEntryUniqueId", f"('{it.first.unique_id}')")],
    "GetFolders": lambda it: [("$XDSFolderUniqueId", f"('{it.folder.unique_id}')")],
    "GetAssociations": lambda it: [("$uuid", f"('{it.uuid}')")],
    "GetDocumentsAndAssociations": lambda it: [("$XDSDocumentEntryEntryUUID", f"('{it.uuid}')")],
    "GetSubmissionSets": lambda it: [("$uuid", f"('{it.uuid}')")],
    "GetSubmissionSetAndContents": lambda it: [("$XDSSubmissionSetUniqueId", f"'{it.set_id}'")],
    "GetFolderAndContents": lambda it: [("$XDSFolderUniqueId", f"'{it.folder.unique_id}'")],
    "GetFoldersForDocument": lambda it: [("$XDSDocumentEntryEntryUUID", f"'{it.uuid}'")],
    "GetRelatedDocuments": lambda it: [
        ("$XDSDocumentEntryUniqueId", f"'{it.first.unique_id}'"),
        ("$AssociationTypes", f"('{ASSOCIATION}APND')"),
    ],
}
FROM_A_PATIENT = {
    "FindSubmissionSets": ["$XDSSubmissionSetPatientId", ALL[1]],
    "FindFolders": ["$XDSFolderPatientId", ALL[2]],
    "GetAll": ["$patientId", *ALL],
}


@pytest.fixture
def network(gateway: Gateway) -> Network:
    theirs = Filed(SoapClient(gateway.holder))
    gateway.own.lab.lists(replace(gateway.holder.peer, speaks=frozenset({"xca"})))
    return Network(gateway, theirs, SoapClient(gateway.own))


def ids(answer: SoapAnswer) -> list[tuple[str, str]]:
    """Each object's id with its home, in their order."""
    kinds = ("ExtrinsicObject", "RegistryPackage", "Association", "ObjectRef")
    return [(one.get("id"), one.get("home")) for kind in kinds for one in answer.all(f".//r:{kind}")]


@pytest.mark.parametrize("name", STARTS)
def test_what_is_passed_on_keeps_the_schemas(network: Network, name: str) -> None:
    network.lists()
    holder, caught = network.gateway.holder, []
    answers = holder.door.application
    assert answers is not None

    def listening(environ: Any, start_response: Any) -> Any:
        caught.append(environ["wsgi.input"].read())
        return answers({**environ, "wsgi.input": io.BytesIO(caught[-1])}, start_response)

    holder.door.application = listening
    network.names(name)
    (asked,) = caught
    body = etree.fromstring(asked).find("s:Body", NS)[0]
    refuse_faulty(body)
    query = body.find("r:AdhocQuery", NS)
    assert (query.get("home"), query.get("id")) == (network.there, f"urn:uuid:{QUERIES[name]}")


def test_the_two_lists_of_queries_are_all_that_there_are() -> None:
    assert {*STARTS, *FROM_A_PATIENT, "FindDocuments", "FindDocumentsByReferenceId"} == QUERIES.keys()


@pytest.mark.parametrize("name", STARTS)
def test_a_query_that_starts_from_objects_is_answered_as_there(network: Network, name: str) -> None:
    network.lists()
    answer = network.names(name)
    own = network.theirs.soap.queries(name, *STARTS[name](network.theirs))
    assert (answer.outcome, answer.codes) == ("Success", [])
    assert sorted(ids(answer)) == sorted(ids(own)) != []
    assert sorted(answer.associations) == sorted(own.associations)
    assert {home for _, home in ids(answer)} == {network.there}
    references = network.names(name, refs=True)
    assert sorted(references.references) == sorted(one for one, _ in ids(answer))


@pytest.mark.parametrize("name", FROM_A_PATIENT)
def test_a_query_that_starts_from_a_patient_is_answered_by_everybody(network: Network, name: str) -> None:
    own = Filed(network.consumer)
    patient, *rest = FROM_A_PATIENT[name]
    here = (patient, f"'{network.consumer.cx('A1')}'")
    there = (patient, f"'{network.theirs.soap.cx('A1')}'")
    answer = network.asks(name, here, *rest)
    assert (answer.outcome, answer.codes) == ("Success", [])
    apart = [own.soap.queries(name, here, *rest), network.theirs.soap.queries(name, there, *rest)]
    assert sorted(ids(answer)) == sorted([one for each in apart for one in ids(each)])
    assert sorted(answer.associations) == sorted([one for each in apart for one in each.associations])
    alone = network.asks(name, here, *rest, home=network.there)
    assert {home for _, home in ids(alone)} == {network.there}
    assert sorted(ids(alone)) == sorted(ids(apart[1]))
    network.gateway.holder.goes_down()
    partial = network.asks(name, here, *rest)
    assert (partial.outcome, partial.codes) == ("PartialSuccess", ["XDSUnavailableCommunity"])
    assert partial.all(".//rs:RegistryError")[0].get("location") == network.there
    assert sorted(ids(partial)) == sorted(ids(apart[0]))


def test_objects_of_another_community_keep_what_is_said_of_them(network: Network) -> None:
    listed = network.lists()
    own = network.theirs.soap.queries("GetAll", ("$patientId", f"'{network.theirs.soap.cx('A1')}'"), *ALL)
    for answer in (listed, own):
        (folder,) = [one for one in answer.packages if external(one, "XDSFolder.uniqueId")]
        assert external(folder, "XDSFolder.uniqueId") == network.theirs.folder.unique_id
        assert folder.find("r:Name/r:LocalizedString", NS).get("value") == network.theirs.folder.title
    assert [one.get("status") for one in listed.packages] == [one.get("status") for one in own.packages]
    times = [[v.text for v in each.all(".//r:Slot[@name='lastUpdateTime']//r:Value")] for each in (listed, own)]
    assert times[0] == times[1] != []


@pytest.mark.parametrize("name", STARTS)
def test_the_rules_of_home_community_id(network: Network, name: str) -> None:
    assert network.names(name, home="").codes == ["XDSMissingHomeCommunityId"]
    assert network.names(name, home="urn:oid:2.25.404").codes == ["XDSUnknownCommunity"]
    assert network.names(name, home="there").codes == ["XDSUnknownCommunity"]
    never = network.names(name)
    assert (never.outcome, ids(never), never.codes) == ("Success", [], ["XDSRegistryError"])
    assert network.gateway.holder.rows(transaction="ITI-38") == [], "what was never listed is not asked for"
    network.lists()
    network.gateway.holder.goes_down()
    silent = network.names(name)
    assert (ids(silent), silent.codes) == ([], ["XDSUnavailableCommunity"])
    assert silent.all(".//rs:RegistryError")[0].get("location") == network.there


def test_objects_of_two_patients_are_named_by_their_ids_alone(network: Network) -> None:
    own, holder = Client(network.gateway.own), Client(network.gateway.holder)
    number = {**NATIONAL, "value": "001085000018"}
    for one in (own, holder):
        assert (
            one.registers("C1", name=[{"text": "Lý Thị Hai"}], birthDate="1985-07-01", numbers=[number]).status == 201
        )
    assert holder("POST", "/fhir/Consent", consent(holder.subject("C1"), holder.community, own.community)).status == 201
    known = {"sourcePatientInfo": ["PID-5|Lý^Thị Hai", "PID-7|19850701"]}
    second = Document("C1", b"%PDF of another", slots=known)
    assert network.theirs.soap.provides(Submission("C1", [second])).outcome == "Success"
    network.lists()
    assert network.consumer.finds("C1", path="/xca/initiating").unique_ids == [second.unique_id]
    both = ("$XDSDocumentEntryUniqueId", f"('{network.theirs.first.unique_id}','{second.unique_id}')")
    leaves = network.asks("GetDocuments", both, home=network.there)
    assert (leaves.documents, leaves.codes) == ([], ["XDSResultNotSinglePatient"])
    references = network.asks("GetDocuments", both, home=network.there, refs=True)
    assert (len(references.references), references.codes) == (2, [])


@pytest.mark.parametrize("speaks", [{"xca"}, {"fhir"}])
def test_several_documents_of_one_community_come_in_one_answer(network: Network, speaks: set[str]) -> None:
    holder, theirs = network.gateway.holder, network.theirs
    holder.lab.lists(replace(holder.peer, speaks=frozenset(speaks)))
    network.lists()
    both = (theirs.first.unique_id, theirs.addendum.unique_id)
    answer = network.consumer.retrieves(*both, home=network.there, repository=theirs.soap.repository)
    assert (answer.outcome, answer.codes) == ("Success", [])
    assert sorted(answer.contents) == [b"%PDF 1", b"%PDF 2"]


def test_a_parameter_that_the_query_does_not_know_is_passed_on_and_said(network: Network) -> None:
    patient, *rest = FROM_A_PATIENT["FindFolders"]
    strange = ("$XDSDocumentEntryUniqueId", "('2.25.404')")
    answer = network.asks("FindFolders", (patient, f"'{network.consumer.cx('A1')}'"), *rest, strange)
    assert (len(answer.packages), answer.outcome, answer.codes) == (1, "Success", ["XDSRegistryError"])


def test_without_the_patients_request_nothing_is_told(network: Network) -> None:
    network.lists()
    client = Client(network.gateway.holder)
    for one in client.get("/fhir/Consent").resources:
        assert client("DELETE", f"/fhir/Consent/{one['id']}").status in (200, 204)
    assert ids(network.lists()) == []
    for name in STARTS:
        assert ids(network.names(name)) == [], name


def test_what_the_patient_forbids_at_the_asking_hospital_is_not_shown(network: Network) -> None:
    network.lists()
    own, holder = Client(network.gateway.own), Client(network.gateway.holder)
    denied = consent(own.subject("A1"), holder.community, own.community)
    denied["provision"]["type"] = "deny"
    assert own("POST", "/fhir/Consent", denied).status == 201
    assert ids(network.lists()) == []
    for name in STARTS:
        assert ids(network.names(name)) == [], name


def test_both_hospitals_write_down_what_was_shown(network: Network) -> None:
    holder = network.gateway.holder
    holder.lab.lists(replace(holder.peer, speaks=frozenset({"fhir", "xca"})))
    network.lists()
    assert serious_differences(network.gateway) == ()
    (shown,) = network.gateway.holder.rows(transaction="ITI-38", direction="disclosed")
    came = [row for row in network.gateway.own.rows(transaction="ITI-18", direction="received") if row.items]
    assert [row.exchange for row in came] == [shown.exchange]
    assert len(came[0].items) == len(shown.items) == 5


# ---- hospitals that speak FHIR alone ----

WHOLE = ("GetDocuments", "GetRelatedDocuments")
IN_PART = ("GetDocumentsAndAssociations", "GetAssociations")


@pytest.mark.parametrize("name", STARTS)
def test_of_a_hospital_that_speaks_fhir_alone_is_answered_what_follows_from_its_documents(
    network: Network, name: str
) -> None:
    holder = network.gateway.holder
    holder.lab.lists(replace(holder.peer, speaks=frozenset({"fhir"})))
    listed = network.lists()
    assert (listed.outcome, listed.codes) == ("PartialSuccess", ["XDSUnavailableCommunity"])
    unique_ids = sorted([network.theirs.first.unique_id, network.theirs.addendum.unique_id])
    assert sorted(listed.unique_ids) == unique_ids
    ((kind, source, target),) = listed.associations
    uuids = {external(one, "XDSDocumentEntry.uniqueId"): one.get("id") for one in listed.documents}
    assert (kind, source, target) == (
        "APND", uuids[network.theirs.addendum.unique_id], uuids[network.theirs.first.unique_id]
    )  # fmt: skip
    network.theirs.uuid = target
    asked = len(holder.rows(transaction="ITI-67"))
    answer = network.names(name)
    assert (len(holder.rows(transaction="ITI-67")) > asked) == (name in (*WHOLE, *IN_PART)), "not asked in vain"
    if name in (*WHOLE, *IN_PART):
        assert answer.codes == ([] if name in WHOLE else ["XDSUnavailableCommunity"])
        related = [] if name == "GetDocuments" else [(kind, source, target)]
        assert answer.associations == related
        found = {"GetDocuments": 1, "GetRelatedDocuments": 2, "GetDocumentsAndAssociations": 1}.get(name, 0)
        assert len(answer.documents) == found
    else:
        assert ids(answer) == []
        assert answer.codes in (["XDSUnavailableCommunity"], ["XDSRegistryError"])
        assert name not in ("GetSubmissionSets", "GetFoldersForDocument") or answer.outcome == "PartialSuccess"


# ---- what a hostile community answers ----

LIES: dict[str, Callable[[bytes], bytes]] = {
    "another patient's folder": lambda body: body.replace(b"XDSFolder.patientId", b"XDSFolder.patientId").replace(
        b"A1^^^", b"B1^^^"
    ),
    "another home": lambda body: body.replace(b' home="urn:oid:', b' home="urn:oid:1.'),
    "an association to no id": lambda body: body.replace(b'targetObject="urn:uuid:', b'targetObject="&quot;&gt;x'),
    "another kind": lambda body: body.replace(b"AssociationType:HasMember", b"AssociationType:Hides"),
    "no time of a folder": lambda body: body.replace(b"lastUpdateTime", b"lastUpdateTim"),
    "no list": lambda body: body.replace(b"RegistryObjectList", b"RegistryObjectLis"),
    "failure": lambda body: body.replace(b"ResponseStatusType:Success", b"ResponseStatusType:Failure"),
    "nothing": lambda body: b"",
    "no XML": lambda body: body[: len(body) // 2],
}


def lying(network: Network, lie: Callable[[bytes], bytes]) -> None:
    holder = network.gateway.holder
    answers = holder.door.application
    assert answers is not None

    def application(environ: Any, start_response: Any) -> list[bytes]:
        told: list[Any] = []
        body = b"".join(answers(environ, lambda status, headers: told.extend((status, headers))))
        changed = lie(body) if environ["PATH_INFO"] == "/xca/responding" else body
        start_response(told[0], [(n, v) for n, v in told[1] if n.lower() != "content-length"])
        return [changed]

    holder.door.application = application


@pytest.mark.parametrize("lie", LIES)
def test_a_community_that_lies_costs_its_own_line(network: Network, lie: str) -> None:
    own = Filed(network.consumer)
    lying(network, LIES[lie])
    answer = network.lists()
    assert (answer.outcome, answer.codes) == ("PartialSuccess", ["XDSUnavailableCommunity"])
    assert {home for _, home in ids(answer)} == {str(network.gateway.own.home)}
    assert len(answer.documents) == 2
    assert own.first.unique_id in answer.unique_ids


def test_a_broken_answer_of_a_community_is_never_a_fault_of_ours(network: Network) -> None:
    chance = random.Random(38)
    lying(network, lambda body: mutated(body, chance))
    for _ in range(25):
        answer = network.lists()
        assert answer.status == 200
        assert answer.outcome in ("Success", "PartialSuccess", "Failure")


@pytest.mark.parametrize("name", QUERIES)
def test_a_broken_query_is_answered_by_its_code_or_a_fault(network: Network, name: str) -> None:
    network.lists()
    slots = STARTS[name](network.theirs) if name in STARTS else [("$patientId", f"'{network.consumer.cx('A1')}'")]
    whole = query(name, *slots, home=network.there).encode()
    chance = random.Random(name)
    for _ in range(12):
        root = envelope(f"{ITI}RegistryStoredQuery", mutated(whole, chance).decode())
        answer = network.consumer.sends("/xca/initiating", "application/soap+xml", root, check=False)
        assert answer.status < 500, etree.tostring(answer.envelope)
