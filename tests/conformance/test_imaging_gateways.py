"""Images over gateways: found by their manifest, retrieved with RAD-75, as far as the patient lets another hospital."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from lxml import etree

from adapters.dicom.manifest import read_manifest
from adapters.peers.errors import PeerBroken
from hie_node.flows.reconcile import reconcile
from registry.errors import RegistryError
from tests.conformance.images import EXPLICIT, JPEG, RETRIEVE_ACROSS, image_request, refuse_faulty_request
from tests.conformance.images import images as ask_images
from tests.conformance.soap import APPROVED, NS, SoapAnswer, SoapClient, slot
from tests.conformance.test_foreign_soap import WSDL, ThroughTheDoor, zeep
from tests.conformance.test_gateways import Gateway, gateway, matched
from tests.papers import CtStudy, Person, WrittenRequest

__all__ = ["gateway"]

MAI = Person("0091", "Đinh Văn Thử", "1971-08-14", "male", national_id="001071000912")
STATUS = ("$XDSDocumentEntryStatus", f"('{APPROVED}')")


@pytest.fixture
def study(gateway: Gateway) -> CtStudy:
    """A CT at Bắc Ninh of somebody who lets Bạch Mai see everything."""
    gateway.holder.registers(MAI)
    made = CtStudy(MAI)
    gateway.holder.publishes_study(made)
    return made


def permitted(gateway: Gateway) -> Any:
    return gateway.holder.records(WrittenRequest(MAI, to="bach-mai"))


def manifests(gateway: Gateway) -> SoapAnswer:
    """What another gateway finds of them after it has asked who they are."""
    who = gateway.discovers(name=("Đinh", "Văn Thử"), born="19710814", number="001071000912")
    root, number = matched(who)
    return gateway.queries("FindDocuments", ("$XDSDocumentEntryPatientId", f"'{number}^^^&{root}&ISO'"), STATUS)


def images(gateway: Gateway, study: CtStudy, *numbers: int, **how: Any) -> SoapAnswer:
    given = {"repository": f"{str(gateway.holder.home).removeprefix('urn:oid:')}.2", "home": str(gateway.holder.home)}
    body = image_request(study.uid, f"{study.uid}.1", [f"{study.uid}.1.{n}" for n in numbers], **{**given, **how})
    return gateway.sends("/xca/responding", RETRIEVE_ACROSS, body, mtom=True)


def test_another_hospital_finds_the_manifest_and_retrieves_the_images(gateway: Gateway, study: CtStudy) -> None:
    permitted(gateway)
    found = manifests(gateway)
    (entry,) = found.documents
    assert slot(entry, "urn:ihe:iti:xds:2013:referenceIdList")[0].startswith(study.uid)
    assert gateway.retrieves(found.unique_ids[0]).contents[0][128:132] == b"DICM"
    answer = images(gateway, study, 1, 2, 3)
    assert (answer.outcome, answer.contents) == ("Success", study.slices("bac-ninh"))
    assert answer.header("Action").endswith("CrossGatewayRetrieveImagingDocumentSetResponse")
    assert images(gateway, study, 1, syntaxes=[JPEG]).codes == ["XDSRepositoryError"]
    assert images(gateway, study, 1, syntaxes=[JPEG, EXPLICIT]).outcome == "Success"


def test_without_a_request_there_is_nothing_and_no_telling_it_from_nothing(gateway: Gateway, study: CtStudy) -> None:
    consent = permitted(gateway)
    (unique_id,) = manifests(gateway).unique_ids
    gateway.holder.withdraws(consent)
    hidden, absent = images(gateway, study, 1), images(gateway, CtStudy(MAI, "2.25.404"), 1)
    assert hidden.codes == absent.codes == ["XDSDocumentUniqueIdError"]
    told = [one.all(".//rs:RegistryError")[0].get("codeContext").partition(":")[2] for one in (hidden, absent)]
    assert told[0] == told[1]
    assert gateway.retrieves(unique_id).codes == ["XDSDocumentUniqueIdError"]
    answer = gateway.queries(
        "GetDocuments", ("$XDSDocumentEntryUniqueId", f"('{unique_id}')"), home=str(gateway.holder.home)
    )
    assert answer.documents == []


def test_home_community_rules(gateway: Gateway, study: CtStudy) -> None:
    permitted(gateway)
    assert images(gateway, study, 1, home="").codes == ["XDSMissingHomeCommunityId"]
    assert images(gateway, study, 1, home=str(gateway.own.home)).codes == ["XDSUnknownCommunity"]
    assert images(gateway, study, 1, home="bac-ninh").codes == ["XDSUnknownCommunity"]
    assert images(gateway, study, 1, repository="2.25.1").codes == ["XDSUnknownRepositoryId"]


# ---- the initiating gateway ----


@pytest.fixture
def consumer(gateway: Gateway, study: CtStudy) -> SoapClient:
    """A system of Bạch Mai that has found her manifest over the network."""
    permitted(gateway)
    gateway.own.registers(MAI)
    gateway.own.lab.lists(replace(gateway.holder.peer, speaks=frozenset({"fhir", "xca"})))
    soap = SoapClient(gateway.own)
    found = soap.finds(MAI.number_at("bach-mai"), path="/xca/initiating")
    (entry,) = found.documents
    assert entry.get("home") == str(gateway.holder.home)
    repository = SoapClient(gateway.holder).repository
    (manifest,) = soap.retrieves(*found.unique_ids, home=str(gateway.holder.home), repository=repository).contents
    assert manifest[128:132] == b"DICM"
    return soap


def asks(soap: SoapClient, gateway: Gateway, study: CtStudy, *numbers: int, **how: Any) -> SoapAnswer:
    """RAD-69 to the own gateway."""
    given = {"repository": SoapClient(gateway.holder).repository, "home": str(gateway.holder.home)}
    mtom = how.pop("mtom", True)
    body = image_request(study.uid, f"{study.uid}.1", [f"{study.uid}.1.{n}" for n in numbers], **{**given, **how})
    return ask_images(soap, body, path="/xca/initiating", mtom=mtom)


@pytest.mark.parametrize("mtom", [True, False])
def test_a_consumer_gets_the_images_of_another_hospital(
    consumer: SoapClient, gateway: Gateway, study: CtStudy, mtom: bool
) -> None:
    caught: list[bytes] = []
    answers = gateway.holder.door.application
    assert answers is not None

    def listening(environ: Any, start_response: Any) -> Any:
        caught.append(environ["wsgi.input"].read())
        return answers({**environ, "wsgi.input": io.BytesIO(caught[-1])}, start_response)

    gateway.holder.door.application = listening
    answer = asks(consumer, gateway, study, 3, 1, mtom=mtom)
    (asked,) = caught
    start, end = asked.index(b"<s:Envelope"), asked.index(b"</s:Envelope>") + len(b"</s:Envelope>")
    refuse_faulty_request(etree.tostring(etree.fromstring(asked[start:end]).find("s:Body", NS)[0]).decode())
    slices = study.slices("bac-ninh")
    assert (answer.outcome, answer.contents) == ("Success", [slices[2], slices[0]])
    received = [row for row in gateway.own.rows(direction="received") if row.transaction == "RAD-69"]
    assert [(row.complete, row.bytes_sent) for row in received] == [(True, len(slices[2]) + len(slices[0]))]
    given = [row for row in gateway.holder.rows(direction="disclosed") if row.transaction == "RAD-75"]
    assert {row.exchange for row in given} == {received[0].exchange}
    assert serious_differences(gateway) == ()


def serious_differences(gateway: Gateway) -> Any:
    """Between what the two hospitals wrote down, but for what this test sends as a gateway of its own."""
    now = gateway.own.house.now()
    period = {"since": now - timedelta(hours=1), "until": now + timedelta(hours=1)}
    return reconcile(gateway.own.house, gateway.holder.peer, **period).serious


def test_what_the_other_hospital_does_not_have_is_named(consumer: SoapClient, gateway: Gateway, study: CtStudy) -> None:
    part = asks(consumer, gateway, study, 1, 9)
    assert (part.outcome, part.codes) == ("PartialSuccess", ["XDSDocumentUniqueIdError"])
    assert part.contents == study.slices("bac-ninh")[:1]
    assert asks(consumer, gateway, study, 1, syntaxes=[JPEG]).codes == ["XDSRepositoryError"]
    unlisted = asks(consumer, gateway, CtStudy(MAI, "2.25.404"), 1)
    assert (unlisted.outcome, unlisted.codes) == ("Failure", ["XDSDocumentUniqueIdError"])


def test_own_images_and_those_of_another_hospital_come_in_one_answer(
    consumer: SoapClient, gateway: Gateway, study: CtStudy
) -> None:
    own = CtStudy(MAI, "1.2.826.0.1.3680043.10.99.7")
    gateway.own.publishes_study(own)
    first, second = (
        image_request(
            one.uid, f"{one.uid}.1", [f"{one.uid}.1.2"], repository=SoapClient(at).repository, home=str(at.home)
        )
        for one, at in ((study, gateway.holder), (own, gateway.own))
    )
    start, end = second.index("<i:StudyRequest"), second.index("<i:TransferSyntaxUIDList>")
    answer = ask_images(
        consumer, first.replace("<i:Transfer", second[start:end] + "<i:Transfer", 1), path="/xca/initiating"
    )
    assert answer.outcome == "Success"
    given = {one.findtext("x:DocumentUniqueId", "", NS): content for one, content in
             zip(answer.all(".//x:DocumentResponse"), answer.contents, strict=True)}  # fmt: skip
    assert given == {f"{one.uid}.1.2": one.slices(at)[1] for one, at in ((study, "bac-ninh"), (own, "bach-mai"))}


def test_studies_of_one_hospital_and_of_an_unknown_one_come_as_far_as_they_are(
    consumer: SoapClient, gateway: Gateway, study: CtStudy
) -> None:
    second = CtStudy(MAI, "1.2.826.0.1.3680043.10.99.8")
    gateway.holder.publishes_study(second)
    consumer.finds(MAI.number_at("bach-mai"), path="/xca/initiating")
    homes = (str(gateway.holder.home), str(gateway.holder.home), "urn:oid:2.25.404")
    first, *others = (
        image_request(
            one.uid, f"{one.uid}.1", [f"{one.uid}.1.2"], repository=SoapClient(gateway.holder).repository, home=home
        )
        for one, home in zip((study, second, CtStudy(MAI, "2.25.405")), homes, strict=True)
    )
    listed = "".join(one[one.index("<i:StudyRequest") : one.index("<i:TransferSyntaxUIDList>")] for one in others)
    answer = ask_images(consumer, first.replace("<i:Transfer", listed + "<i:Transfer", 1), path="/xca/initiating")
    assert (answer.outcome, answer.codes) == ("PartialSuccess", ["XDSUnknownCommunity"])
    assert sorted(answer.contents) == sorted(one.slices("bac-ninh")[1] for one in (study, second))


def test_a_hospital_that_does_not_answer_or_has_changed_its_mind(
    consumer: SoapClient, gateway: Gateway, study: CtStudy
) -> None:
    assert asks(consumer, gateway, study, 1, home="").codes == ["XDSMissingHomeCommunityId"]
    assert asks(consumer, gateway, study, 1, home="urn:oid:2.25.404").codes == ["XDSUnknownCommunity"]
    gateway.holder.goes_down()
    assert asks(consumer, gateway, study, 1).codes == ["XDSUnavailableCommunity"]


# ---- a hospital that speaks no SOAP ----


@pytest.fixture
def without_soap(gateway: Gateway, study: CtStudy) -> SoapClient:
    """A system of Bạch Mai, whose doctors have seen over FHIR that there is a study at Bắc Ninh."""
    permitted(gateway)
    gateway.own.registers(MAI)
    gateway.own.records(WrittenRequest(MAI, to="bach-mai"))
    gateway.own.lab.lists(replace(gateway.holder.peer, speaks=frozenset({"fhir"})))
    assert len(gateway.own.finds_studies(MAI).found) == 1
    return SoapClient(gateway.own)


@pytest.mark.parametrize("mtom", [True, False])
@pytest.mark.parametrize("numbers", [(3, 1), (2,)])
def test_images_of_a_hospital_that_speaks_no_soap_come_by_wado(
    without_soap: SoapClient, gateway: Gateway, study: CtStudy, mtom: bool, numbers: tuple[int, ...]
) -> None:
    answer = asks(without_soap, gateway, study, *numbers, mtom=mtom)
    slices = study.slices("bac-ninh")
    assert answer.outcome == "Success"
    named = [one.findtext("x:DocumentUniqueId", "", NS) for one in answer.all(".//x:DocumentResponse")]
    assert dict(zip(named, answer.contents, strict=True)) == {f"{study.uid}.1.{n}": slices[n - 1] for n in numbers}
    received = [row for row in gateway.own.rows(direction="received") if row.transaction == "RAD-69"]
    assert [row.complete for row in received] == [True]
    given = [row for row in gateway.holder.rows(direction="disclosed") if row.transaction == "RAD-107"]
    assert {row.exchange for row in given} == {received[0].exchange}


def test_what_does_not_come_by_wado_is_named(without_soap: SoapClient, gateway: Gateway, study: CtStudy) -> None:
    part = asks(without_soap, gateway, study, 1, 9)
    assert (part.outcome, part.codes) == ("PartialSuccess", ["XDSDocumentUniqueIdError"])
    assert part.contents == study.slices("bac-ninh")[:1]
    assert asks(without_soap, gateway, study, 1, syntaxes=[JPEG]).codes == ["XDSRepositoryError"]
    body = image_request(
        study.uid, "../../../fhir/Patient", ["../x"], repository="2.25.1", home=str(gateway.holder.home)
    )
    assert ask_images(without_soap, body, path="/xca/initiating").codes == ["XDSDocumentUniqueIdError"]
    gateway.holder.goes_down()
    assert asks(without_soap, gateway, study, 1).codes == ["XDSUnavailableCommunity"]


@pytest.mark.parametrize("lie", [b"--x--", b"", b"another"])
def test_a_holder_that_lies_over_dicomweb_costs_its_own_line(
    without_soap: SoapClient, gateway: Gateway, study: CtStudy, lie: bytes
) -> None:
    slices = study.slices("bac-ninh")
    answers = gateway.holder.door.application
    assert answers is not None

    def lying(environ: Any, start_response: Any) -> Any:
        told: list[Any] = []
        body = b"".join(answers(environ, lambda status, fields, exc_info=None: told.extend((status, fields))))
        body = body.replace(slices[0], slices[1]) if lie == b"another" else lie
        start_response(told[0], [(k, str(len(body)) if k.lower() == "content-length" else v) for k, v in told[1]])
        return [body]

    gateway.holder.door.application = lying
    answer = asks(without_soap, gateway, study, 1)
    assert (answer.outcome, answer.contents) == ("Failure", [])
    assert answer.codes in (["XDSUnavailableCommunity"], ["XDSDocumentUniqueIdError"])


def test_a_request_taken_back_closes_what_wado_had_opened(gateway: Gateway, study: CtStudy) -> None:
    consent = permitted(gateway)
    gateway.own.registers(MAI)
    gateway.own.lab.lists(replace(gateway.holder.peer, speaks=frozenset({"fhir"})))
    assert len(gateway.own.finds_studies(MAI).found) == 1
    soap = SoapClient(gateway.own)
    assert asks(soap, gateway, study, 1).outcome == "Success"
    gateway.holder.withdraws(consent)
    assert asks(soap, gateway, study, 1).codes == ["XDSDocumentUniqueIdError"]


def test_a_system_that_knows_only_soap_finds_and_gets_images_of_a_hospital_that_speaks_only_fhir(
    gateway: Gateway, study: CtStudy
) -> None:
    permitted(gateway)
    gateway.own.registers(MAI)
    gateway.own.lab.lists(replace(gateway.holder.peer, speaks=frozenset({"fhir"})))
    soap = SoapClient(gateway.own)
    found = soap.finds(MAI.number_at("bach-mai"), path="/xca/initiating")
    assert (found.outcome, found.codes) == ("Success", [])
    (entry,) = found.documents
    assert entry.get("home") == str(gateway.holder.home)
    (repository,) = slot(entry, "repositoryUniqueId")
    got = soap.retrieves(*found.unique_ids, home=str(gateway.holder.home), repository=repository)
    (manifest,) = got.contents
    assert slot(entry, "hash") == [hashlib.sha1(manifest, usedforsecurity=False).hexdigest()]
    read = read_manifest(manifest)
    assert read.studies == {study.uid: tuple(f"{study.uid}.1.{n}" for n in (1, 2, 3))}
    answer = asks(soap, gateway, study, 1, 2, 3, repository=repository)
    assert (answer.outcome, answer.contents) == ("Success", study.slices("bac-ninh"))
    assert serious_differences(gateway) == ()


def test_a_study_that_has_grown_has_another_manifest_here_too(gateway: Gateway, study: CtStudy) -> None:
    permitted(gateway)
    gateway.own.registers(MAI)
    gateway.own.lab.lists(replace(gateway.holder.peer, speaks=frozenset({"fhir"})))
    soap, number = SoapClient(gateway.own), MAI.number_at("bach-mai")
    (first,) = soap.finds(number, path="/xca/initiating").unique_ids
    gateway.holder.publishes_study(replace(study, count=5))
    repository, home = SoapClient(gateway.holder).repository, str(gateway.holder.home)
    assert soap.retrieves(first, home=home, repository=repository).codes == ["XDSDocumentUniqueIdError"]
    (second,) = soap.finds(number, path="/xca/initiating").unique_ids
    (manifest,) = soap.retrieves(second, home=home, repository=repository).contents
    assert len(read_manifest(manifest).studies[study.uid]) == 5


def test_studies_that_cannot_be_asked_for_are_said_to_be_missing(gateway: Gateway, study: CtStudy) -> None:
    permitted(gateway)
    gateway.own.registers(MAI)
    gateway.own.lab.lists(replace(gateway.holder.peer, speaks=frozenset({"fhir"})))
    answers = gateway.holder.door.application
    assert answers is not None

    def without_studies(environ: Any, start_response: Any) -> Any:
        if "ImagingStudy" in environ["PATH_INFO"]:
            start_response("500 x", [("Content-Length", "0")])
            return [b""]
        return answers(environ, start_response)

    gateway.holder.door.application = without_studies
    found = SoapClient(gateway.own).finds(MAI.number_at("bach-mai"), path="/xca/initiating")
    assert (found.codes, found.documents) == (["XDSTooManyResults"], []), "there is more than was brought"


def other_objects(study: CtStudy) -> dict[str, Any]:
    """What a holder that errs or lies could send."""
    slices = study.slices("bac-ninh")
    return {
        "another object": lambda body: body.replace(slices[0], slices[1]),
        "no object": lambda body: body.replace(slices[0], b"<html>"),
        "cut": lambda body: body[: len(body) - 200],
        "another name": lambda body: body.replace(b"<document-1@hie-node>", b"<document-7@hie-node>"),
        "not asked for": lambda body: body.replace(b".1.1</x:DocumentUniqueId>", b".1.5</x:DocumentUniqueId>"),
        "nonsense": lambda body: b"--x--",
        "no envelope": lambda body: body.replace(b"RetrieveDocumentSetResponse", b"SomethingElse"),
        "a fault": lambda body: body.replace(b"x:RetrieveDocumentSetResponse", b"s:Fault"),
    }


@pytest.mark.parametrize("name", list(other_objects(CtStudy(MAI))))
def test_a_holder_that_lies_costs_its_own_line_or_breaks_off(
    consumer: SoapClient, gateway: Gateway, study: CtStudy, name: str
) -> None:
    answers = gateway.holder.door.application
    assert answers is not None
    lie = other_objects(study)[name]

    def lying(environ: Any, start_response: Any) -> Any:
        told: list[Any] = []
        body = b"".join(answers(environ, lambda status, fields, exc_info=None: told.extend((status, fields))))
        body = lie(body)
        start_response(told[0], [(k, str(len(body)) if k.lower() == "content-length" else v) for k, v in told[1]])
        return [body]

    gateway.holder.door.application = lying
    slices = study.slices("bac-ninh")
    try:
        answer = asks(consumer, gateway, study, 1)
    except (PeerBroken, RegistryError):
        return  # a consumer sees a connection that broke
    assert answer.codes in (["XDSUnavailableCommunity"], ["XDSDocumentUniqueIdError"])
    assert slices[1] not in answer.contents


class ThroughTheGateway(ThroughTheDoor):
    """What the library has written leaves as a message of the own gateway, with its certificate and assertion."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(SoapClient(gateway.own))
        self.gateway = gateway

    def post(self, address: str, message: bytes, headers: dict[str, str]) -> Any:
        root = etree.fromstring(message)
        action = root.findtext("s:Header/a:Action", "", NS)
        answer = self.gateway.sends("/xca/responding", action, etree.tostring(root.find("s:Body", NS)[0]).decode())
        reply = zeep.transports.Response()
        reply.status_code, reply._content = answer.status, etree.tostring(answer.envelope)
        reply.headers["Content-Type"] = "application/soap+xml"
        return reply


@pytest.mark.skipif(not WSDL.is_dir() and os.environ.get("CI") != "true", reason="IHE's contracts are not here")
def test_a_foreign_library_retrieves_images_across_by_ihes_own_contract(gateway: Gateway, study: CtStudy) -> None:
    permitted(gateway)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        settings = zeep.Settings(strict=False)
        client = zeep.Client(str(WSDL / "rad75.wsdl"), transport=ThroughTheGateway(gateway), settings=settings)
    ((name, binding),) = client.wsdl.bindings.items()
    (operation,) = binding._operations
    home = str(gateway.holder.home)
    wanted = {"HomeCommunityId": home, "RepositoryUniqueId": SoapClient(gateway.holder).repository}
    wanted["DocumentUniqueId"] = f"{study.uid}.1.3"
    series = {"seriesInstanceUID": f"{study.uid}.1", "DocumentRequest": [wanted]}
    got = client.create_service(name, "https://holder/xca")[operation](
        StudyRequest=[{"studyInstanceUID": study.uid, "SeriesRequest": [series]}],
        TransferSyntaxUIDList={"TransferSyntaxUID": [EXPLICIT]},
    )
    assert got.RegistryResponse.status.endswith(":Success")
    (one,) = got.DocumentResponse
    assert (one.HomeCommunityId, one.Document) == (home, study.slices("bac-ninh")[2])
