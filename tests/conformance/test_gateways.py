"""A foreign gateway at the peer door, a foreign consumer at the initiating gateway: XCA and XCPD by their rules."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pytest
from lxml import etree

from adapters.trust import certificates
from tests.conformance.changes import (
    REMOVE,
    UPDATE,
    Change,
    Revised,
    changes,
    everything_of,
    ids_of,
    removal,
    removes,
    revision,
)
from tests.conformance.client import Client, consent
from tests.conformance.saml import Statement, header, signed
from tests.conformance.soap import (
    APPROVED,
    DEPRECATED,
    HL7,
    ITI,
    NS,
    Document,
    SoapAnswer,
    SoapClient,
    Submission,
    X,
    envelope,
    external,
    package,
    query,
    read_answer,
    refuse_faulty,
)
from tests.conformance.test_soap_mutations import mutated
from tests.lab import Hospital
from tests.stand_in_edge import ask

NATIONAL = {"system": "http://fhir.ehealth.gov.vn/core/sid/national_id", "value": "001090000017"}
NATIONAL_OID = "2.25.241241039401945507851549157743366102887"
DISCOVERY = "urn:hl7-org:v3:PRPA_IN201305UV02:CrossGatewayPatientDiscovery"
STATUS = ("$XDSDocumentEntryStatus", f"('{APPROVED}')")


@dataclass
class Gateway:
    """Bạch Mai's gateway as a foreign program: its certificate, its listed key, and messages written by hand."""

    own: Hospital
    holder: Hospital

    def sends(
        self, path: str, action: str, body: str, *, mtom: bool = False, check: bool = True, **said: Any
    ) -> SoapAnswer:
        house = self.own.house
        name = f"_{uuid4().hex}"
        one = {"id": name, **said}
        statement = Statement(str(self.own.home), str(self.holder.home), house.now(), **one)
        security = header(signed(statement.xml(), house.keys.signs_now().key, reference=name))
        root = envelope(action, body, header=security)
        kind, content = package(root, {}) if mtom else ("application/soap+xml", root)
        return self.posts(path, kind, content, check=check)

    def posts(
        self, path: str, kind: str, content: bytes, *, certificate: bytes | None = None, check: bool = True
    ) -> SoapAnswer:
        shown = certificates.to_der((self.own.house.settings.tls / "node.crt").read_bytes())
        reply = ask(
            self.holder.application,
            "peer",
            "POST",
            path,
            headers={"Content-Type": kind},
            body=content,
            certificate=shown if certificate is None else certificate,
        )
        return read_answer(reply.status, reply.headers, reply.body, check=check)

    def discovers(self, **how: Any) -> SoapAnswer:
        return self.sends("/xcpd", DISCOVERY, discovery(self.own, **how))

    def queries(self, name: str, *slots: Any, home: str = "") -> SoapAnswer:
        return self.sends("/xca/responding", f"{ITI}CrossGatewayQuery", query(name, *slots, home=home))

    def retrieves(self, unique_id: str, *, home: str | None = None, mtom: bool = True) -> SoapAnswer:
        home = str(self.holder.home) if home is None else home
        at = f"<x:HomeCommunityId>{home}</x:HomeCommunityId>" if home else ""
        repository = f"{str(self.holder.home).removeprefix('urn:oid:')}.2"
        body = (
            f'<x:RetrieveDocumentSetRequest xmlns:x="{X}"><x:DocumentRequest>{at}<x:RepositoryUniqueId>{repository}'
            f"</x:RepositoryUniqueId><x:DocumentUniqueId>{unique_id}</x:DocumentUniqueId></x:DocumentRequest>"
            "</x:RetrieveDocumentSetRequest>"
        )
        return self.sends("/xca/responding", f"{ITI}CrossGatewayRetrieve", body, mtom=mtom)


def discovery(
    own: Hospital,
    *,
    name: tuple[str, str] | None = ("Nguyễn", "Văn Mẫu"),
    born: str | None = "19900501",
    number: str | None = NATIONAL["value"],
) -> str:
    """PRPA_IN201305UV02 as IHE has it."""
    device = 'classCode="DEV" determinerCode="INSTANCE"'
    parameters = '<livingSubjectAdministrativeGender><value code="M"/><semanticsText>G</semanticsText>'
    parameters += "</livingSubjectAdministrativeGender>"
    if born is not None:
        parameters += f'<livingSubjectBirthTime><value value="{born}"/><semanticsText>B</semanticsText>'
        parameters += "</livingSubjectBirthTime>"
    if number is not None:
        parameters += f'<livingSubjectId><value root="{NATIONAL_OID}" extension="{number}"/>'
        parameters += "<semanticsText>I</semanticsText></livingSubjectId>"
    if name is not None:
        parameters += f"<livingSubjectName><value><family>{name[0]}</family><given>{name[1]}</given></value>"
        parameters += "<semanticsText>N</semanticsText></livingSubjectName>"
    return (
        f'<PRPA_IN201305UV02 xmlns="{HL7}" ITSVersion="XML_1.0"><id root="2.25.1" extension="m1"/>'
        '<creationTime value="20260503"/><interactionId root="2.16.840.1.113883.1.6" extension="PRPA_IN201305UV02"/>'
        '<processingCode code="P"/><processingModeCode code="T"/><acceptAckCode code="AL"/>'
        f'<receiver typeCode="RCV"><device {device}><id root="2.25.9"/></device></receiver>'
        f'<sender typeCode="SND"><device {device}><id root="2.25.8"/></device></sender>'
        '<controlActProcess classCode="CACT" moodCode="EVN"><code code="PRPA_TE201305UV02" '
        'codeSystem="2.16.840.1.113883.1.6"/><queryByParameter><queryId root="2.25.1" extension="q1"/>'
        '<statusCode code="new"/><responseModalityCode code="R"/><responsePriorityCode code="I"/>'
        f"<parameterList>{parameters}</parameterList></queryByParameter></controlActProcess></PRPA_IN201305UV02>"
    )


@pytest.fixture
def gateway(clients: Callable[..., tuple[Client, ...]]) -> Gateway:
    """Bắc Ninh holds a document of A1, who lets Bạch Mai see it."""
    holder, asking = clients("bac-ninh", "bach-mai")
    for one in (holder, asking):
        assert one.registers("A1", numbers=[NATIONAL]).status == 201
    holder.registers("B1", name=[{"text": "Trần Thị Khác"}], birthDate="1950-01-01")
    made = holder("POST", "/fhir/Consent", consent(holder.subject("A1"), holder.community, asking.community))
    assert made.status == 201
    return Gateway(asking.hospital, holder.hospital)


def holds(gateway: Gateway, number: str = "A1", content: bytes = b"%PDF held") -> Document:
    document = Document(number, content, slots={"sourcePatientInfo": ["PID-5|Nguyễn^Văn Mẫu", "PID-7|19900501"]})
    assert SoapClient(gateway.holder).provides(Submission(number, [document])).outcome == "Success"
    return document


def matched(answer: SoapAnswer) -> tuple[str, str]:
    found = answer.envelope.find(".//h:subject1/h:patient/h:id", NS)
    return found.get("root"), found.get("extension")


def test_who_is_it_what_is_there_and_its_bytes(gateway: Gateway) -> None:
    document = holds(gateway)
    found = gateway.discovers()
    root, number = matched(found)
    assert (root, number) == (SoapClient(gateway.holder).authority, "A1")
    custodian = found.envelope.find(".//h:custodian/h:assignedEntity/h:id", NS)
    assert custodian.get("root") == str(gateway.holder.home).removeprefix("urn:oid:")
    patient = ("$XDSDocumentEntryPatientId", f"'{number}^^^&{root}&ISO'")
    answer = gateway.queries("FindDocuments", patient, STATUS)
    assert answer.unique_ids == [document.unique_id]
    assert answer.documents[0].get("home") == str(gateway.holder.home)
    for mtom in (True, False):
        fetched = gateway.retrieves(document.unique_id, mtom=mtom)
        assert fetched.contents == [b"%PDF held"]
        assert fetched.body.findtext(".//x:HomeCommunityId", "", NS) == str(gateway.holder.home)


def test_a_number_that_was_never_told_is_nobodys(gateway: Gateway) -> None:
    """A typing mistake in a number would show somebody else."""
    document = holds(gateway)
    patient = ("$XDSDocumentEntryPatientId", f"'{SoapClient(gateway.holder).cx('A1')}'")
    unknown = ("$XDSDocumentEntryPatientId", f"'{SoapClient(gateway.holder).cx('ZZ')}'")
    for one in (patient, unknown):
        answer = gateway.queries("FindDocuments", one, STATUS)
        assert (answer.documents, answer.codes) == ([], ["XDSUnknownPatientId"])
    assert document.unique_id not in answer.unique_ids


NOBODY: dict[str, dict[str, Any]] = {
    "another name": {"name": ("Lê", "Thị Khác")},
    "another day of birth": {"born": "19910501"},
    "another number": {"number": "001090000099"},
    "no number": {"number": None},
}


@pytest.mark.parametrize("name", NOBODY)
def test_a_description_that_does_not_fit_is_answered_like_one_of_a_stranger(gateway: Gateway, name: str) -> None:
    answer = gateway.discovers(**NOBODY[name])
    assert answer.envelope.find(".//h:queryAck/h:queryResponseCode", NS).get("code") in ("NF", "OK")
    assert answer.all(".//h:subject1") == []


def test_whoever_gave_no_request_is_not_known_here(gateway: Gateway) -> None:
    """The answer is the same for somebody who was never here."""
    client = Client(gateway.holder)
    client.registers(
        "C1", name=[{"text": "Lý Văn Kín"}], birthDate="1980-02-03", numbers=[{**NATIONAL, "value": "001080000001"}]
    )
    known = gateway.discovers(name=("Lý", "Văn Kín"), born="19800203", number="001080000001")
    stranger = gateway.discovers(name=("Lý", "Văn Lạ"), born="19800204", number="001080000002")
    codes = [one.envelope.find(".//h:queryAck/h:queryResponseCode", NS).get("code") for one in (known, stranger)]
    assert codes == ["NF", "NF"]


@pytest.mark.parametrize("how", [{"name": None, "number": None}, {"born": None, "number": None}, {"born": "19901340"}])
def test_a_question_that_says_too_little_is_an_error_of_its_own_language(gateway: Gateway, how: dict[str, Any]) -> None:
    answer = gateway.discovers(**how)
    assert answer.status == 200
    assert answer.envelope.find(".//h:acknowledgement/h:typeCode", NS).get("code") == "AE"
    assert answer.envelope.find(".//h:queryAck/h:queryResponseCode", NS).get("code") == "AE"


def test_a_question_with_thousands_of_numbers_is_refused(gateway: Gateway) -> None:
    many = "".join(
        f'<livingSubjectId><value root="2.25.1" extension="{n}"/><semanticsText>I</semanticsText></livingSubjectId>'
        for n in range(3000)
    )
    asked = discovery(gateway.own).replace("<livingSubjectName", f"{many}<livingSubjectName")
    answer = gateway.sends("/xcpd", DISCOVERY, asked)
    assert answer.envelope.find(".//h:queryAck/h:queryResponseCode", NS).get("code") == "AE"


def test_home_community_rules(gateway: Gateway) -> None:
    document = holds(gateway)
    here, elsewhere = str(gateway.holder.home), str(gateway.own.home)
    by_id = ("$XDSDocumentEntryUniqueId", f"('{document.unique_id}')")
    assert gateway.queries("GetDocuments", by_id).codes == ["XDSMissingHomeCommunityId"]
    assert gateway.queries("GetDocuments", by_id, home=elsewhere).codes == ["XDSUnknownCommunity"]
    assert gateway.queries("GetDocuments", by_id, home="here").codes == ["XDSUnknownCommunity"]
    assert gateway.queries("GetDocuments", by_id, home=here).unique_ids == [document.unique_id]
    assert gateway.retrieves(document.unique_id, home="").codes == ["XDSMissingHomeCommunityId"]
    assert gateway.retrieves(document.unique_id, home=elsewhere).codes == ["XDSUnknownCommunity"]
    wrong = gateway.queries("GetDocuments", by_id)
    assert wrong.all(".//rs:RegistryError")[0].get("location") == here


def test_what_may_not_be_seen_is_not_there_in_any_query(gateway: Gateway) -> None:
    hidden = holds(gateway, "B1", b"%PDF of somebody else")
    here = str(gateway.holder.home)
    by_id = ("$XDSDocumentEntryUniqueId", f"('{hidden.unique_id}')")
    for name in ("GetDocuments", "GetDocumentsAndAssociations", "GetFoldersForDocument"):
        slots = (by_id[0], f"'{hidden.unique_id}'") if name == "GetFoldersForDocument" else by_id
        answer = gateway.queries(name, slots, home=here)
        assert (answer.outcome, answer.documents, answer.associations) == ("Success", [], [])
    entry = SoapClient(gateway.holder).queries("GetDocuments", by_id).documents[0]
    sets = gateway.queries("GetSubmissionSets", ("$uuid", f"('{entry.get('id')}')"), home=here)
    assert (sets.packages, sets.associations) == ([], [])
    assert gateway.retrieves(hidden.unique_id).codes == ["XDSDocumentUniqueIdError"]
    absent = gateway.retrieves("2.25.404")
    assert absent.codes == ["XDSDocumentUniqueIdError"]


def test_what_the_holder_changes_and_removes_another_hospital_sees_as_it_is_now(gateway: Gateway) -> None:
    document = holds(gateway)
    system, here = SoapClient(gateway.holder), str(gateway.holder.home)
    root, number = matched(gateway.discovers())
    patient = ("$XDSDocumentEntryPatientId", f"'{number}^^^&{root}&ISO'")
    any_status = ("$XDSDocumentEntryStatus", f"('{APPROVED}','{DEPRECATED}')")
    first = gateway.queries("FindDocuments", patient, STATUS).documents[0].get("id")
    new = Revised("A1", document.content, unique_id=document.unique_id, title="Đọc lại", lid=first)
    assert changes(system, "A1", revision(new, "1.1"), documents=[new]).outcome == "Success"
    (entry,) = gateway.queries("FindDocuments", patient, any_status).documents
    assert entry.find("r:Name/r:LocalizedString", NS).get("value") == "Đọc lại"
    by_id = ("$XDSDocumentEntryUniqueId", f"('{document.unique_id}')")
    for asked in (by_id, ("$XDSDocumentEntryLogicalID", f"('{first}')")):
        assert [one.get("id") for one in gateway.queries("GetDocuments", asked, home=here).documents] == (
            [entry.get("id")] if asked is by_id else []
        )

    closed = Revised(
        "A1", document.content, unique_id=document.unique_id, lid=first, codes={"confidentiality": RESTRICTED_HIV}
    )
    assert changes(system, "A1", revision(closed, "2"), documents=[closed]).outcome == "Success"
    assert gateway.queries("FindDocuments", patient, any_status).documents == []
    opened = Revised("A1", document.content, unique_id=document.unique_id, lid=first)
    assert changes(system, "A1", revision(opened, "3"), documents=[opened]).outcome == "Success"
    assert gateway.queries("FindDocuments", patient, any_status).documents == [], "what the law closes stays closed"

    other = holds(gateway, content=b"%PDF of a mistake")
    assert gateway.queries("FindDocuments", patient, any_status).unique_ids == [other.unique_id]
    assert removes(system, *ids_of(everything_of(system, "A1"))).outcome == "Success"
    answer = gateway.queries("FindDocuments", patient, any_status)
    assert (answer.documents, answer.codes) == ([], [])
    assert gateway.retrieves(other.unique_id).codes == ["XDSDocumentUniqueIdError"]
    for action, body in ((REMOVE, removal(first)), (UPDATE, Change("A1").xml(system))):
        refused = gateway.sends("/xca/responding", action, body)
        assert (refused.status, refused.fault[1]) == (400, "a:ActionNotSupported")


RESTRICTED_HIV = ("f4f85eac-e6cb-4883-b524-f2705394840f", "HIV", "2.16.840.1.113883.5.4", "HIV")


def test_a_summary_is_made_for_the_own_hospital_alone(gateway: Gateway) -> None:
    holds(gateway)
    system = SoapClient(gateway.holder)
    asked = ("$XDSDocumentEntryType", "('urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248')")
    (unique_id,) = system.finds("A1", asked).unique_ids
    root, number = matched(gateway.discovers())
    patient = ("$XDSDocumentEntryPatientId", f"'{number}^^^&{root}&ISO'")
    assert gateway.queries("FindDocuments", patient, STATUS, asked).documents == []
    by_id = ("$XDSDocumentEntryUniqueId", f"('{unique_id}')")
    assert gateway.queries("GetDocuments", by_id, home=str(gateway.holder.home)).documents == []
    assert gateway.retrieves(unique_id).codes == ["XDSDocumentUniqueIdError"]


def test_a_connection_without_the_certificate_of_a_hospital_learns_nothing(gateway: Gateway) -> None:
    root = envelope(DISCOVERY, discovery(gateway.own))
    for certificate in (b"", b"no certificate"):
        answer = gateway.posts("/xcpd", "application/soap+xml", root, certificate=certificate)
        assert (answer.status, answer.fault[1]) == (401, "wsse:FailedAuthentication")
    assert gateway.posts("/xcpd", "application/soap+xml", root).status == 401


def test_only_the_certificates_that_the_directory_lists_are_taken_where_it_lists_some(gateway: Gateway) -> None:
    assert gateway.discovers().status == 200
    gateway.own.lab.lists(replace(gateway.own.peer, thumbprints=frozenset({"another"})))
    assert gateway.discovers().status == 401


@pytest.mark.parametrize(
    "said", [{"issuer": "urn:oid:2.25.1"}, {"role": ("registrar-general", "urn:x")}, {"audience": "urn:oid:2.25.1"}]
)
def test_an_assertion_of_another_hospital_or_for_another_is_refused(gateway: Gateway, said: dict[str, Any]) -> None:
    house = gateway.own.house
    statement = Statement(str(gateway.own.home), str(gateway.holder.home), house.now())
    for name, value in said.items():
        setattr(statement, name, value)
    security = header(signed(statement.xml(), house.keys.signs_now().key))
    root = envelope(DISCOVERY, discovery(gateway.own), header=security)
    assert gateway.posts("/xcpd", "application/soap+xml", root).status == 401


def test_what_this_node_asks_keeps_the_schemas_too(gateway: Gateway) -> None:
    """The messages of our own side, caught at the other hospital's door."""
    caught: list[bytes] = []
    answers = gateway.holder.door.application
    assert answers is not None

    def listening(environ: Any, start_response: Any) -> Any:
        body = environ["wsgi.input"].read()
        if environ["PATH_INFO"].startswith("/xc"):
            caught.append(body)
        return answers({**environ, "wsgi.input": io.BytesIO(body)}, start_response)

    gateway.holder.door.application = listening
    document = holds(gateway)
    gateway.own.lab.lists(replace(gateway.holder.peer, speaks=frozenset({"xca"})))
    soap = SoapClient(gateway.own)
    found = soap.finds("A1", path="/xca/initiating")
    assert found.unique_ids == [document.unique_id]
    assert soap.retrieves(document.unique_id, home=str(gateway.holder.home), repository=_repository(gateway)).contents
    assert len(caught) == 3
    for body in caught:
        # retrieving is asked for in a package
        start, end = body.index(b"<s:Envelope"), body.index(b"</s:Envelope>") + len(b"</s:Envelope>")
        refuse_faulty(etree.fromstring(body[start:end]).find("s:Body", NS)[0])


def _repository(gateway: Gateway) -> str:
    return SoapClient(gateway.holder).repository


# ---- the initiating gateway ----


def test_the_network_answers_a_consumer_that_knows_only_xds(gateway: Gateway) -> None:
    theirs = holds(gateway)
    soap = SoapClient(gateway.own)
    own = Document("A1", b"%PDF own")
    assert soap.provides(Submission("A1", [own])).outcome == "Success"
    found = soap.finds("A1", path="/xca/initiating")
    assert found.outcome == "Success"
    homes = {external(one, "XDSDocumentEntry.uniqueId"): one.get("home") for one in found.documents}
    assert homes == {theirs.unique_id: str(gateway.holder.home), own.unique_id: str(gateway.own.home)}
    for document, hospital in ((theirs, gateway.holder), (own, gateway.own)):
        repository = SoapClient(hospital).repository
        fetched = soap.retrieves(document.unique_id, home=str(hospital.home), repository=repository)
        assert fetched.contents == [document.content]


def test_a_community_that_does_not_answer_is_named(gateway: Gateway) -> None:
    soap = SoapClient(gateway.own)
    own = Document("A1", b"%PDF own")
    assert soap.provides(Submission("A1", [own])).outcome == "Success"
    gateway.holder.goes_down()
    found = soap.finds("A1", path="/xca/initiating")
    assert (found.outcome, found.codes, found.unique_ids) == (
        "PartialSuccess",
        ["XDSUnavailableCommunity"],
        [own.unique_id],
    )
    assert found.all(".//rs:RegistryError")[0].get("location") == str(gateway.holder.home)
    unknown = soap.retrieves("2.25.1", home="urn:oid:2.25.404", repository="2.25.404.2")
    assert unknown.codes == ["XDSUnknownCommunity"]


@pytest.mark.parametrize("speaks", [{"xca"}, {"fhir"}])
def test_what_was_found_as_references_is_got_by_name(gateway: Gateway, speaks: set[str]) -> None:
    """As many consumers do it: first which there are, then those that they have not."""
    theirs, soap = holds(gateway), SoapClient(gateway.own)
    holds(gateway, content=b"%PDF another")
    gateway.own.lab.lists(replace(gateway.holder.peer, speaks=frozenset(speaks)))
    there = str(gateway.holder.home)
    asked: dict[str, Any] = {"path": "/xca/initiating", "home": there}
    references = soap.finds("A1", path="/xca/initiating", refs=True).references
    assert len(references) == 2
    by_uuid = soap.queries("GetDocuments", ("$XDSDocumentEntryEntryUUID", f"('{references[0]}')"), **asked)
    assert ([one.get("id") for one in by_uuid.documents], by_uuid.codes) == (references[:1], [])
    by_id = soap.queries("GetDocuments", ("$XDSDocumentEntryUniqueId", f"('{theirs.unique_id}')"), **asked)
    assert (by_id.unique_ids, by_id.documents[0].get("home")) == ([theirs.unique_id], there)
    both = soap.queries(
        "GetDocuments", ("$XDSDocumentEntryEntryUUID", f"('{references[0]}','{references[1]}')"), **asked
    )
    assert ({one.get("id") for one in both.documents}, both.codes) == (set(references), [])
    nothing = soap.queries("GetDocuments", ("$XDSDocumentEntryUniqueId", "('2.25.404')"), **asked)
    assert (nothing.outcome, nothing.documents, nothing.codes) == ("Success", [], ["XDSRegistryError"])
    gateway.holder.goes_down()
    silent = soap.queries("GetDocuments", ("$XDSDocumentEntryUniqueId", f"('{theirs.unique_id}')"), **asked)
    assert silent.codes == ["XDSUnavailableCommunity"]


def test_a_question_for_one_community_asks_only_that(gateway: Gateway) -> None:
    theirs, soap = holds(gateway), SoapClient(gateway.own)
    assert soap.provides(Submission("A1", [Document("A1", b"%PDF own")])).outcome == "Success"
    found = soap.finds("A1", path="/xca/initiating", home=str(gateway.holder.home))
    assert found.unique_ids == [theirs.unique_id]


def test_a_broken_question_of_another_hospital_is_answered(gateway: Gateway) -> None:
    chance = random.Random(55)
    for _ in range(60):
        broken = mutated(discovery(gateway.own).encode(), chance).decode()
        # what was broken in the question is repeated in the answer, as it has to be
        answer = gateway.sends("/xcpd", DISCOVERY, broken, check=False)
        assert answer.status < 500, broken
