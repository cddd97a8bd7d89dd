"""The bytes of a document: whole, in part, unchanged, and only to who takes their type."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from exchange import PDF, SYSTEM, ask, shown, with_id

from adapters.fhir import iti68_retrieve_document as iti68
from adapters.fhir.issues import NotAcceptable
from adapters.wire import WireResponse
from registry.commands import Retrieved, RetrieveDocument
from registry.documents import Attachment, DocumentEntry
from registry.identifiers import PatientIdentifier

ENTRY = DocumentEntry(
    id="d1",
    entry_uuid="urn:uuid:11111111-1111-4111-8111-111111111111",
    unique_id="urn:oid:1.2.3",
    patient=PatientIdentifier(SYSTEM, "BN-1"),
    record_id="77",
    attachment=Attachment("application/pdf", len(PDF), "ab" * 20, "", "vi-VN", "CT sọ não"),
)


class Bytes:
    """What a flow gives: pieces, and whether they were let go."""

    def __init__(self, content: bytes) -> None:
        self.left = [content[at : at + 4] for at in range(0, len(content), 4)]
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if not self.left:
            raise StopIteration
        return self.left.pop(0)

    def close(self) -> None:
        self.closed = True


def fetch(entry: DocumentEntry = ENTRY, method: str = "GET", **headers: str) -> tuple[WireResponse, bytes, Bytes]:
    request = with_id(ask(method, "/fhir/Binary/d1", **headers), "d1")
    command = iti68.decode(request)
    end = None if command.length is None else command.start + command.length
    content = Bytes(PDF[command.start : end])
    response = iti68.encode(Retrieved(entry, content, len(PDF), command.start, command.length), request)
    return response, b"".join(response.body) if not isinstance(response.body, bytes) else response.body, content


def header(response: WireResponse, name: str) -> str:
    return dict(response.headers)[name]


def test_a_document_arrives_as_it_was_published_and_is_never_run_by_a_browser() -> None:
    response, body, _ = fetch(accept="*/*")
    assert (response.status, body) == (200, PDF)
    assert header(response, "Content-Type") == "application/pdf"
    assert header(response, "X-Content-Type-Options") == "nosniff"
    assert header(response, "Cache-Control") == "no-store"
    assert header(response, "Content-Length") == str(len(PDF))
    assert header(response, "Content-Disposition").endswith("UTF-8''CT%20s%E1%BB%8D%20n%C3%A3o")


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=0-3", 0, 4), ("bytes=5-", 5, len(PDF)), ("bytes=20-9999", 20, len(PDF)), ("bytes = 2-2", 2, 3)],
)
def test_a_transfer_that_broke_off_is_resumed(asked: str, start: int, end: int) -> None:
    response, body, _ = fetch(range=asked)
    assert (response.status, body) == (206, PDF[start:end])
    assert header(response, "Content-Range") == f"bytes {start}-{end - 1}/{len(PDF)}"
    assert header(response, "Content-Length") == str(end - start)


@pytest.mark.parametrize("asked", ["bytes=-5", "bytes=9-3", "bytes=0-1,4-5", "items=0-1", "bytes=x-", "bytes=٣-٤"])
def test_ranges_that_this_node_does_not_cut_give_the_whole(asked: str) -> None:
    response, body, _ = fetch(range=asked)
    assert (response.status, body) == (200, PDF)


def test_a_range_behind_the_end_says_how_long_the_document_is() -> None:
    response, body, content = fetch(range=f"bytes={len(PDF)}-")
    assert (response.status, body, content.closed) == (416, b"", True)
    assert header(response, "Content-Range") == f"bytes */{len(PDF)}"


def test_a_part_is_given_only_of_the_document_that_was_meant() -> None:
    etag = f'"{"ab" * 20}"'
    assert fetch(range="bytes=3-9", if_range=etag)[1] == PDF[3:10]
    assert fetch(range="bytes=0-2", if_range=etag)[1] == PDF[:3]
    assert fetch(range="bytes=3-9", if_range='"other"')[1] == PDF
    response, body, content = fetch(if_none_match=etag)
    assert (response.status, body, content.closed) == (304, b"", True)


def test_head_says_the_same_without_the_bytes() -> None:
    response, body, content = fetch(method="HEAD")
    assert (response.status, body, content.closed) == (200, b"", True)
    assert header(response, "Content-Length") == str(len(PDF))


@pytest.mark.parametrize("accept", ["application/pdf", "application/*", "", "text/html, */*;q=0.1"])
def test_the_type_is_given_to_who_takes_it(accept: str) -> None:
    assert fetch(accept=accept)[0].status == 200


@pytest.mark.parametrize("accept", ["text/plain", "image/*", "application/pdf;q=0", "*/*, application/pdf;q=0"])
def test_the_type_is_not_given_to_who_does_not_take_it(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        fetch(accept=accept)


@pytest.mark.parametrize("accept", ["application/fhir+json", "application/fhir+xml"])
def test_who_asks_for_fhir_gets_a_binary(accept: str) -> None:
    response, _, _ = fetch(accept=accept)
    resource = shown(response)
    assert b64decode(resource["data"]) == PDF and resource["contentType"] == "application/pdf"
    assert resource["securityContext"] == {"reference": "DocumentReference/d1"}


def test_a_large_document_is_not_put_into_a_resource() -> None:
    request = with_id(ask(path="/fhir/Binary/d1", accept="application/fhir+json"), "d1")
    content = Bytes(b"")
    with pytest.raises(NotAcceptable):
        iti68.encode(Retrieved(ENTRY, content, iti68.LARGEST_BINARY + 1), request)
    assert content.closed


def test_a_senders_words_make_no_headers() -> None:
    attachment: dict[str, Any] = {
        "content_type": "text/plain;\rSet-Cookie: a=b",
        "title": 'x"\r\nA: b',
        "language": "vi\r",
    }
    response, _, _ = fetch(replace(ENTRY, attachment=replace(ENTRY.attachment, **attachment)), accept="*/*")
    assert header(response, "Content-Type") == "application/octet-stream"
    assert not any("\r" in value or "\n" in value for _, value in response.headers)
    assert "Content-Language" not in dict(response.headers)
    assert iti68.decode(with_id(ask(path="/fhir/Binary/d1"), "d1")) == RetrieveDocument("d1")
