"""A gateway lists which documents it has: an id that cannot be one is not asked for, and a refusal is no empty list."""

from __future__ import annotations

from html import unescape

import pytest

from adapters.peers.answers import BadAnswer
from adapters.peers.xca_client import get_documents, read_references
from registry.identifiers import HomeCommunityId

SOAP = "application/soap+xml"
ONE, OTHER = (f"urn:uuid:8fa09a05-37a3-5fd1-bcdc-a585bd69024{n}" for n in "de")


def answer(*ids: str, status: str = "Success") -> bytes:
    listed = "".join(f'<r:ObjectRef id="{one}" home="urn:oid:1.2.3"/>' for one in ids)
    return (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>'
        '<q:AdhocQueryResponse xmlns:q="urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0" '
        'xmlns:r="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0" '
        f'status="urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:{status}">'
        f"<r:RegistryObjectList>{listed}</r:RegistryObjectList></q:AdhocQueryResponse></s:Body></s:Envelope>"
    ).encode()


def test_each_document_is_named_once_in_the_order_of_the_list() -> None:
    assert read_references(answer(OTHER, ONE, OTHER), SOAP) == (OTHER, ONE)
    assert read_references(answer(), SOAP) == ()


@pytest.mark.parametrize("wrong", ["", "1.2.3", f"{ONE}')or('", "urn:uuid:" + "0" * 40])
def test_an_id_that_could_change_the_next_question_is_refused(wrong: str) -> None:
    with pytest.raises(BadAnswer):
        read_references(answer(ONE, wrong), SOAP)


def test_a_refusal_is_not_taken_for_a_hospital_that_has_nothing() -> None:
    with pytest.raises(BadAnswer):
        read_references(answer(status="Failure"), SOAP)


def test_documents_are_asked_for_by_their_ids() -> None:
    body = unescape(get_documents([ONE, OTHER], HomeCommunityId("urn:oid:1.2.3")))
    assert f"('{ONE}','{OTHER}')" in body and 'returnType="LeafClass"' in body
