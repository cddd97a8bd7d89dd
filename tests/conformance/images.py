"""What a foreign imaging consumer asks: objects of studies, one by one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lxml import etree

from tests.conformance.soap import SoapAnswer, SoapClient, X, schema

RAD = "urn:ihe:rad:xdsi-b:2009"
RETRIEVE_IMAGES = "urn:ihe:rad:2009:RetrieveImagingDocumentSet"
RETRIEVE_ACROSS = "urn:ihe:rad:2011:CrossGatewayRetrieveImagingDocumentSet"
EXPLICIT, JPEG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50"


def image_request(
    study: str,
    series: str,
    objects: Iterable[str],
    *,
    repository: str,
    home: str = "",
    syntaxes: Sequence[str] = (EXPLICIT,),
) -> str:
    at = f"<x:HomeCommunityId>{home}</x:HomeCommunityId>" if home else ""
    wanted = "".join(
        f"<x:DocumentRequest>{at}<x:RepositoryUniqueId>{repository}</x:RepositoryUniqueId>"
        f"<x:DocumentUniqueId>{one}</x:DocumentUniqueId></x:DocumentRequest>"
        for one in objects
    )
    accepted = "".join(f"<i:TransferSyntaxUID>{one}</i:TransferSyntaxUID>" for one in syntaxes)
    return (
        f'<i:RetrieveImagingDocumentSetRequest xmlns:i="{RAD}" xmlns:x="{X}">'
        f'<i:StudyRequest studyInstanceUID="{study}">'
        f'<i:SeriesRequest seriesInstanceUID="{series}">{wanted}</i:SeriesRequest></i:StudyRequest>'
        f"<i:TransferSyntaxUIDList>{accepted}</i:TransferSyntaxUIDList></i:RetrieveImagingDocumentSetRequest>"
    )


def refuse_faulty_request(body: str) -> None:
    official = schema("xds/XDSI.b_ImagingDocumentSource.xsd")
    if official is not None:
        official.assertValid(etree.fromstring(body))


def images(soap: SoapClient, body: str, *, mtom: bool = True, path: str = "/xds/repository") -> SoapAnswer:
    """RAD-69."""
    return soap.asks(path, RETRIEVE_IMAGES, body, mtom=mtom)
