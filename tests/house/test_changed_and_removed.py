"""Metadata changed and documents removed on each kind of database, also while others publish, change and read."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from hie_node.flows.streaming import TransferStopped
from registry.ports import StoredContent
from tests.conformance.changes import (
    Revised,
    changes,
    everything_of,
    ids_of,
    removes,
    removes_bytes,
    revision,
)
from tests.conformance.soap import DEPRECATED, Document, SoapClient, Submission
from tests.lab import Lab
from tests.papers import LAN

LARGE = b"%PDF large " * 30_000


@pytest.fixture
def soap(lab: Lab) -> SoapClient:
    """A system of Bắc Ninh that speaks SOAP; LAN is registered."""
    hospital = lab.hospital("bac-ninh")
    hospital.registers(LAN)
    return SoapClient(hospital)


def published(soap: SoapClient, content: bytes = b"%PDF small") -> tuple[Document, str]:
    document = Document(LAN.number_at("bac-ninh"), content)
    assert soap.provides(Submission(document.number, [document])).outcome == "Success"
    (entry,) = soap.queries("GetDocuments", ("$XDSDocumentEntryUniqueId", f"('{document.unique_id}')")).documents
    return document, entry.get("id")


def removed(soap: SoapClient, number: str, unique_id: str) -> None:
    assert removes(soap, *ids_of(everything_of(soap, number))).outcome == "Success"
    assert removes_bytes(soap, unique_id).outcome == "Success"


@pytest.mark.parametrize("content", [b"%PDF small", LARGE])
def test_a_document_is_changed_removed_and_handed_in_again(soap: SoapClient, content: bytes) -> None:
    document, first = published(soap, content)
    new = Revised(document.number, content, unique_id=document.unique_id, lid=first, title="Đọc lại")
    assert changes(soap, document.number, revision(new, "1.1"), documents=[new]).outcome == "Success"
    old = soap.finds(document.number, ("$XDSDocumentEntryStatus", f"('{DEPRECATED}')"))
    assert [one.get("id") for one in old.documents] == [first]
    removed(soap, document.number, document.unique_id)
    assert ids_of(everything_of(soap, document.number)) == []
    assert soap.retrieves(document.unique_id).codes == ["XDSDocumentUniqueIdError"]
    assert soap.provides(Submission(document.number, [document])).outcome == "Success"
    assert soap.retrieves(document.unique_id).contents == [content]


def test_of_many_who_change_the_same_version_at_once_one_does(soap: SoapClient) -> None:
    document, first = published(soap)
    news = [
        Revised(document.number, document.content, unique_id=document.unique_id, lid=first, title=f"Lần {n}")
        for n in range(6)
    ]

    def change(new: Revised) -> list[str]:
        return changes(soap, document.number, revision(new, "1.1"), documents=[new]).codes

    with ThreadPoolExecutor(6) as pool:
        codes = list(pool.map(change, news))
    assert codes.count([]) == 1
    assert all(one in ([], ["XDSMetadataVersionError"], ["XDSRegistryBusy"]) for one in codes)
    assert len(soap.finds(document.number, ("$XDSDocumentEntryStatus", f"('{DEPRECATED}')")).documents) == 1


def test_bytes_that_are_published_again_while_they_are_removed_are_there(
    soap: SoapClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other publishes between writing the bytes, which are here already, and naming them."""
    document, _ = published(soap, LARGE)
    contents = soap.hospital.house.contents
    put, between = contents.put, [lambda: removed(soap, document.number, document.unique_id)]

    def interrupted(owner: str, chunks: Any) -> StoredContent:
        stored = put(owner, chunks)
        if between:
            between.pop()()
        return stored

    monkeypatch.setattr(contents, "put", interrupted)
    again = Document(document.number, LARGE)
    assert soap.provides(Submission(again.number, [again])).outcome == "Success"
    assert between == []
    assert soap.retrieves(again.unique_id).contents == [LARGE]


def test_what_is_removed_while_it_flows_goes_no_further(soap: SoapClient, lab: Lab) -> None:
    document, _ = published(soap, LARGE * 20)
    hospital = soap.hospital
    (listed,) = hospital.finds_own_documents(LAN).ids
    reply = hospital.opens(listed, base="")
    arrived = len(next(reply.flowing))
    assert removes(soap, *ids_of(everything_of(soap, document.number))).outcome == "Success"
    lab.clock.moves(by=timedelta(seconds=3))
    with pytest.raises(TransferStopped):
        arrived += sum(map(len, reply.flowing))
    assert 0 < arrived < len(LARGE * 20)
