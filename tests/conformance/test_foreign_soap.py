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

from tests.conformance.soap import APPROVED, FOLDER, QUERIES, Document, SoapClient, Submission

WSDL = FOLDER / "wsdl"
ADDRESSES = {"iti41": "/xds/repository", "iti43": "/xds/repository", "iti42": "/xds/registry", "iti18": "/xds/registry"}

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
