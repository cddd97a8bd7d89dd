"""A SOAP library that is not ours, with IHE's own service contracts, walks through publish, query and retrieve."""

from __future__ import annotations

import os
import warnings
from typing import Any

import pytest
from lxml import etree

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the library itself; what it does here is ours to judge
    import zeep
    from zeep.transports import Transport

from tests.conformance.changes import UPDATE, Change, Revised, revision
from tests.conformance.soap import APPROVED, FOLDER, QUERIES, Document, SoapClient, Submission, oid
from tests.papers import CtStudy, Person

WSDL = FOLDER / "wsdl"
ADDRESSES = {"iti41": "/xds/repository", "iti43": "/xds/repository", "iti42": "/xds/registry", "iti18": "/xds/registry"}
ADDRESSES["rad69"] = "/xds/repository"

pytestmark = pytest.mark.skipif(
    not WSDL.is_dir() and os.environ.get("CI") != "true", reason="IHE's contracts are not on this machine"
)


class ThroughTheDoor(Transport):  # type: ignore[misc]
    """The library's own way to the network, which ends at the door of the hospital."""

    def __init__(self, soap: SoapClient) -> None:
        super().__init__()
        self.soap = soap

    def post(self, address: str, message: bytes, headers: dict[str, str]) -> Any:
        reply = self.soap.hospital.sends("POST", address, body=message, headers=headers)
        answer = zeep.transports.Response()
        answer.status_code, answer._content = reply.status, reply.body
        answer.headers.update(reply.headers)
        return answer


class WithObjects(zeep.Plugin):  # type: ignore[misc]
    """Registry objects into their list: the library does not know the substitution groups of ebRIM's schema."""

    def __init__(self, submitted: Any) -> None:
        self.objects = list(submitted[0])

    def egress(self, envelope: Any, headers: dict[str, str], operation: Any, options: Any) -> tuple[Any, Any]:
        (listed,) = envelope.iter("{urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0}RegistryObjectList")
        listed.extend(self.objects)
        return envelope, headers


def service(soap: SoapClient, name: str, *plugins: Any, address: str = "") -> Any:
    """The one operation of a contract, and its address here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = zeep.Client(
            str(WSDL / f"{name}.wsdl"),
            transport=ThroughTheDoor(soap),
            plugins=list(plugins),
            settings=zeep.Settings(strict=False),
        )
    ((binding_name, binding),) = client.wsdl.bindings.items()
    (operation,) = binding._operations
    return client.create_service(binding_name, address or ADDRESSES[name])[operation]


def test_a_foreign_library_publishes_asks_and_retrieves(soap: SoapClient) -> None:
    document = Document("A1", b"%PDF by a foreign library")
    submitted = etree.fromstring(Submission("A1", [document]).xml(soap))
    answer = service(soap, "iti41", WithObjects(submitted))(
        SubmitObjectsRequest={"RegistryObjectList": {}},
        Document=[{"_value_1": document.content, "id": document.id}],
    )
    assert answer.status.endswith(":Success")

    slots = {"PatientId": f"'{soap.cx('A1')}'", "Status": f"('{APPROVED}')"}
    found = service(soap, "iti18")(
        ResponseOption={"returnType": "LeafClass", "returnComposedObjects": True},
        AdhocQuery={
            "id": f"urn:uuid:{QUERIES['FindDocuments']}",
            "Slot": [
                {"name": f"$XDSDocumentEntry{n}", "ValueList": {"_value_1": [{"Value": v}]}} for n, v in slots.items()
            ],
        },
    )
    assert found.status.endswith(":Success")

    got = service(soap, "iti43")(
        DocumentRequest=[{"RepositoryUniqueId": soap.repository, "DocumentUniqueId": document.unique_id}],
    )
    assert got.RegistryResponse.status.endswith(":Success")
    (one,) = got.DocumentResponse
    assert (one.mimeType, one.Document) == ("application/pdf", document.content)


def test_a_foreign_library_reads_why_it_was_refused(soap: SoapClient) -> None:
    submitted = etree.fromstring(Submission("ZZ", [Document("ZZ")]).xml(soap))
    answer = service(soap, "iti42", WithObjects(submitted))(RegistryObjectList={})
    assert answer.status.endswith(":Failure")
    (error,) = answer.RegistryErrorList.RegistryError
    assert error.errorCode == "XDSRegistryMetadataError"
    with pytest.raises(zeep.exceptions.Fault) as refused:
        service(soap, "iti43", address="/xds/registry")(
            DocumentRequest=[{"RepositoryUniqueId": "2.25.1", "DocumentUniqueId": "2.25.1"}]
        )
    assert "action" in refused.value.message


def test_a_foreign_library_retrieves_images_by_ihes_own_contract(soap: SoapClient) -> None:
    person = Person("zeep", "Lưu Thị Thử", "1966-02-01")
    soap.hospital.registers(person)
    study = CtStudy(person, oid())
    soap.hospital.publishes_study(study)
    wanted = {"RepositoryUniqueId": soap.repository, "DocumentUniqueId": f"{study.uid}.1.2"}
    got = service(soap, "rad69")(
        StudyRequest=[
            {
                "studyInstanceUID": study.uid,
                "SeriesRequest": [{"seriesInstanceUID": f"{study.uid}.1", "DocumentRequest": [wanted]}],
            }
        ],
        TransferSyntaxUIDList={"TransferSyntaxUID": ["1.2.840.10008.1.2.1"]},
    )
    assert got.RegistryResponse.status.endswith(":Success")
    (one,) = got.DocumentResponse
    assert (one.mimeType, one.Document) == ("application/dicom", study.slices("bac-ninh")[1])


class Saying(zeep.Plugin):  # type: ignore[misc]
    """Another action for the same payload: IHE has no contract for ITI-57, whose message is that of ITI-42."""

    def __init__(self, action: str) -> None:
        self.action = action

    def egress(self, envelope: Any, headers: dict[str, str], operation: Any, options: Any) -> tuple[Any, Any]:
        (said,) = envelope.iter("{http://www.w3.org/2005/08/addressing}Action")
        said.text = self.action
        return envelope, {**headers, "Content-Type": "application/soap+xml; charset=utf-8"}


def test_a_foreign_library_changes_metadata(soap: SoapClient) -> None:
    document = Document("A1", b"%PDF to be changed")
    assert soap.provides(Submission("A1", [document])).outcome == "Success"
    by_id = ("$XDSDocumentEntryUniqueId", f"('{document.unique_id}')")
    (entry,) = soap.queries("GetDocuments", by_id).documents
    new = Revised("A1", document.content, unique_id=document.unique_id, lid=entry.get("id"), title="Đọc lại")
    submitted = etree.fromstring(Change("A1", [new], operations=[revision(new, "1.1")]).xml(soap))
    answer = service(soap, "iti42", WithObjects(submitted), Saying(UPDATE))(RegistryObjectList={})
    assert answer.status.endswith(":Success")
    assert len(soap.queries("GetDocuments", by_id).documents) == 2
