"""ITI-41 Provide and Register Document Set-b: documents and what is known of them, stored whole or not at all.

Source: IHE ITI TF-2: 3.41; IHE ITI TF-3: 4.2
"""

from __future__ import annotations

from adapters.soap.errors import MetadataFault
from adapters.soap.faults import registry_error, registry_response
from adapters.soap.messages import payload
from adapters.soap.mtom import content_of
from adapters.soap.names import ITI_2007, LCM, RIM, XDS, children, named
from adapters.soap.submission import read_provided
from adapters.transactions import Transaction
from adapters.wire import WireRequest, WireResponse
from adapters.xml_door import XmlElement
from registry.commands import Provided, ProvideSubmission
from registry.submissions import Content


def decode(request: WireRequest) -> ProvideSubmission:
    message = payload(request, XDS, "ProvideAndRegisterDocumentSetRequest")
    submitted = message.body.find(named(LCM, "SubmitObjectsRequest"))
    listed = None if submitted is None else submitted.find(named(RIM, "RegistryObjectList"))
    contents: dict[str, Content] = {}
    for element in children(message.body, XDS, "Document"):
        name = _name(element)
        if name in contents:
            raise MetadataFault("two documents of the message have one id", "XDSRepositoryMetadataError")
        contents[name] = content_of(element, message.package)
    return ProvideSubmission(read_provided(listed, contents, request.home))


def _name(element: XmlElement) -> str:
    name: str = element.get("id", "")
    if not name:
        raise MetadataFault("a Document needs an id", "XDSRepositoryMetadataError")
    return name


def encode(provided: Provided, request: WireRequest) -> WireResponse:
    """The same message again is acknowledged again."""
    return registry_response(request)


TRANSACTION = Transaction(
    "ITI-41",
    "Provide and Register Document Set-b",
    source="IHE ITI TF-2: 3.41",
    route=("POST", "/"),
    action=ITI_2007 + "ProvideAndRegisterDocumentSet-b",
    command=ProvideSubmission,
    decode=decode,
    encode=encode,
    error=registry_error,
    scope=("DocumentReference", "c"),
    family="xds-repository",
)
