"""Another hospital sends other bytes than it listed: nothing wrong is shown, and the answer says whose fault it is."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from ssl import SSLSocket
from typing import Any

import pytest

from tests.adapters.peers.peer_nodes import answer
from tests.impostors import Impostors, searchset
from tests.lab import Fetched, Hospital, Lab
from tests.papers import LAN

PDF = b"%PDF-1.4 " + b"x" * 3000
UID = "1.2.840.99999.77.1"
LOINC = {"coding": [{"system": "http://loinc.org", "code": "18748-4"}]}
DCM = {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT"}
OWNER = {"identifier": {"system": "urn:oid:1.2.840.99999.5", "value": "E1"}}
PARTS = b"--bb\r\nContent-Type: application/dicom\r\n\r\nDICM\r\n--bb--\r\n"
RELATED = 'Content-Type: multipart/related; type="application/dicom"; boundary=bb\r\n'


def document() -> dict[str, Any]:
    attachment = {"contentType": "application/pdf", "language": "vi", "url": "https://elsewhere/x", "size": len(PDF)}
    attachment["hash"] = base64.b64encode(hashlib.sha1(PDF).digest()).decode()
    return {
        "resourceType": "DocumentReference",
        "id": "d1",
        "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.840.99999.8"},
        "status": "current",
        "type": LOINC,
        "category": [LOINC],
        "subject": OWNER,
        "date": "2026-01-01T00:00:00Z",
        "content": [{"attachment": attachment}],
    }


def study() -> dict[str, Any]:
    instance = {"uid": f"{UID}.1.1", "sopClass": {"system": "urn:ietf:rfc:3986", "code": "urn:oid:1.2.3"}}
    return {
        "resourceType": "ImagingStudy",
        "id": "s1",
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{UID}"}],
        "status": "available",
        "subject": OWNER,
        "started": "2026-01-01",
        "modality": [DCM],
        "series": [{"uid": f"{UID}.1", "modality": DCM, "instance": [instance]}],
    }


def asking(lab: Lab, impostors: Impostors, sends: bytes | Callable[[SSLSocket], None]) -> Hospital:
    """Bạch Mai has listed what the other hospital says to have; what it sends when it is opened is `sends`."""
    bach_mai = lab.hospital("bach-mai")

    def behaves(tls: SSLSocket, question: bytes) -> None:
        if b"_search" in question.partition(b"\r\n")[0]:
            found = document() if b"/DocumentReference/" in question.partition(b"\r\n")[0] else study()
            tls.sendall(answer(json.dumps(searchset(found)).encode(), extra="Content-Type: application/fhir+json\r\n"))
        elif isinstance(sends, bytes):
            tls.sendall(sends)
        else:
            sends(tls)

    impostors.behaves("99999", behaves)
    bach_mai.registers(LAN)
    assert bach_mai.finds_documents(LAN).ids == ["99999.d1"]
    assert bach_mai.finds_studies(LAN).ids == ["99999.s1"]
    return bach_mai


def opened(bach_mai: Hospital, *, range_: str = "") -> Fetched:
    return bach_mai.fetches("99999.d1", range_=range_)


@pytest.mark.parametrize("sent", [b"y" * len(PDF), PDF[:100], PDF + b"z", b""], ids=["other", "less", "more", "none"])
def test_other_bytes_than_listed_are_never_shown(lab: Lab, impostors: Impostors, sent: bytes) -> None:
    fetched = opened(asking(lab, impostors, answer(sent)))
    assert fetched.status == 502
    assert json.loads(fetched.body)["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    "told",
    [
        answer(PDF),
        answer(PDF[5:15], head="HTTP/1.1 206 Partial Content", extra=f"Content-Range: bytes 5-14/{len(PDF)}\r\n"),
        answer(PDF[:10], head="HTTP/1.1 206 Partial Content", extra="Content-Range: bytes 0-9/10\r\n"),
        answer(PDF[:3], head="HTTP/1.1 206 Partial Content", extra=f"Content-Range: bytes 0-9/{len(PDF)}\r\n"),
        answer(PDF[:10], head="HTTP/1.1 206 Partial Content"),
    ],
    ids=["the whole", "another part", "of another whole", "less than it says", "no word of which"],
)
def test_another_part_than_the_one_asked_for_is_never_shown(lab: Lab, impostors: Impostors, told: bytes) -> None:
    assert opened(asking(lab, impostors, told), range_="bytes=0-9").status == 502


def test_the_part_that_was_asked_for_arrives(lab: Lab, impostors: Impostors) -> None:
    told = answer(PDF[:10], head="HTTP/1.1 206 Partial Content", extra=f"Content-Range: bytes 0-9/{len(PDF)}\r\n")
    fetched = opened(asking(lab, impostors, told), range_="bytes=0-9")
    assert (fetched.status, fetched.body, fetched.broken) == (206, PDF[:10], None)


@pytest.mark.parametrize("kind", ["text/html", "application/json", "", "multipart/related; type=text/html; boundary=b"])
def test_what_is_no_image_does_not_reach_a_viewer(lab: Lab, impostors: Impostors, kind: str) -> None:
    told = answer(b"<script>1</script>", extra=f"Content-Type: {kind}\r\n" if kind else "")
    reply = asking(lab, impostors, told).sends("GET", f"/network/dicomweb/studies/{UID}", headers={"Accept": "*/*"})
    assert (reply.status, reply.headers["content-type"]) == (502, "application/problem+json")


@pytest.mark.parametrize("length", ["abc", "3"])
def test_a_length_beside_the_real_one_does_not_cut_a_study(lab: Lab, impostors: Impostors, length: str) -> None:
    head = f"HTTP/1.1 200 OK\r\n{RELATED}Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n\r\n"
    told = head.encode() + b"%x\r\n%s\r\n0\r\n\r\n" % (len(PARTS), PARTS)
    reply = asking(lab, impostors, told).sends("GET", f"/network/dicomweb/studies/{UID}", headers={"Accept": "*/*"})
    assert (reply.status, reply.body) == (200, PARTS)
    assert "content-length" not in reply.headers
