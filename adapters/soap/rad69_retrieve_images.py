"""RAD-69 Retrieve Imaging Document Set and RAD-75 between gateways: objects of studies as they are stored.

They travel beside their envelope like the documents of ITI-43; none of them is in memory as a whole.

Source: IHE RAD TF-2: 4.69, 4.75
"""

from __future__ import annotations

from dataclasses import replace

from adapters.soap import iti43_retrieve
from adapters.soap.datatypes import write_unique_id
from adapters.soap.errors import SoapFault
from adapters.soap.faults import ErrorLine, error_line
from adapters.soap.messages import payload
from adapters.soap.names import RAD, RAD_2009, RAD_2011, XDS, children, named, text_of
from adapters.transactions import HOUSE, NETWORK, PEER, Transaction
from adapters.wire import WireRequest, WireResponse
from adapters.xml_door import XmlElement
from registry.commands import DocumentAsked, RetrievedDocuments
from registry.image_sets import ImageAsked, RetrieveImages

MOST_IMAGES = 5_000
"""Objects in one message; a study with more is asked for in pieces."""
MOST_SYNTAXES = 100
_REQUESTS = frozenset({named(XDS, "DocumentRequest"), named(RAD, "DocumentRequest")})
"""The schemas in use do not agree in whose namespace a request stands; what is inside it is XDS's in all of them."""


def decode(request: WireRequest) -> RetrieveImages:
    body = payload(request, RAD, "RetrieveImagingDocumentSetRequest").body
    wanted = [one for study in children(body, RAD, "StudyRequest") for one in _of_study(study, request)]
    if not 1 <= len(wanted) <= MOST_IMAGES:
        raise SoapFault(f"1 to {MOST_IMAGES} DocumentRequests in one message.")
    if len(set(wanted)) != len(wanted):
        raise SoapFault("Each object is asked for once.")
    listed = body.find(named(RAD, "TransferSyntaxUIDList"))
    syntaxes = [] if listed is None else [text_of(one) for one in children(listed, RAD, "TransferSyntaxUID")]
    if not 1 <= len(syntaxes) <= MOST_SYNTAXES or not all(syntaxes):
        raise SoapFault(f"A TransferSyntaxUIDList with 1 to {MOST_SYNTAXES} TransferSyntaxUIDs is needed.")
    return RetrieveImages(tuple(wanted), frozenset(syntaxes))


def _of_study(study: XmlElement, request: WireRequest) -> list[ImageAsked]:
    found = []
    for series in children(study, RAD, "SeriesRequest"):
        uids = study.get("studyInstanceUID", ""), series.get("seriesInstanceUID", "")
        if not all(uids):
            raise SoapFault("A StudyRequest has a studyInstanceUID, a SeriesRequest a seriesInstanceUID.")
        found += [ImageAsked(*uids, iti43_retrieve.read_asked(one, request)) for one in series if one.tag in _REQUESTS]
    return found


def encode(retrieved: RetrievedDocuments, request: WireRequest) -> WireResponse:
    return iti43_retrieve.answer(retrieved, [_missing(*one) for one in retrieved.missing], request)


def _missing(asked: DocumentAsked, error: Exception) -> ErrorLine:
    """The location is the object that is not there (IHE RAD TF-2: 4.69.5)."""
    return replace(error_line(error), location=write_unique_id(asked.unique_id))


TRANSACTION = Transaction(
    "RAD-69",
    "Retrieve Imaging Document Set",
    source="IHE RAD TF-2: 4.69",
    route=("POST", "/"),
    action=RAD_2009 + "RetrieveImagingDocumentSet",
    command=RetrieveImages,
    decode=decode,
    encode=encode,
    error=iti43_retrieve.error,
    scope=("ImagingStudy", "r"),
    doors=HOUSE,
    family="xds-repository",
)
TRANSACTIONS = (
    TRANSACTION,
    replace(TRANSACTION, title="Retrieve Imaging Document Set, federated", family="xca", doors=NETWORK),
    replace(
        TRANSACTION,
        name="RAD-75",
        title="Cross Gateway Retrieve Imaging Document Set",
        source="IHE RAD TF-2: 4.75",
        action=RAD_2011 + "CrossGatewayRetrieveImagingDocumentSet",
        family="xca",
        doors=PEER,
    ),
)
