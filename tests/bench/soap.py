"""i: stored queries over SOAP against the same question over FHIR, and a retrieve of 150 MB."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

from tests.bench import loading, messages
from tests.bench.hospital import Hospital, System, hospitals
from tests.bench.rows import Row

ROWS = "s1 s2 s3 s4"
SIZES = {"s1": 1, "s2": 100, "s3": 10_000}
NAMES = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "a": "http://www.w3.org/2005/08/addressing",
    "x": "urn:ihe:iti:xds-b:2007",
    "r": "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0",
    "l": "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0",
    "q": "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0",
}
ITI = "urn:ihe:iti:2007:"
APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
FIND = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"


def measure(wanted: frozenset[str], *, quick: bool) -> Iterator[Row]:
    with hospitals("bac-ninh") as (hospital,):
        system = hospital.system()
        for number, key in enumerate(SIZES):
            if key in wanted:
                entries = min(SIZES[key], 2_000) if quick else SIZES[key]
                loading.fill(hospital.settings, patients=1, documents_each=entries, first=number)
                yield _query(key, hospital, system, number, entries, rounds=3 if entries > 1000 else 20)
        if "s4" in wanted:
            yield _retrieve(hospital, system, (32 if quick else 150) << 20)


def _query(key: str, hospital: Hospital, system: System, n: int, entries: int, *, rounds: int) -> Row:
    soap = _median(_over_soap(hospital, system, n), rounds)
    fhir = _median(_over_fhir(hospital, system, n, entries), rounds)
    facts = {"ms_per_entry": round(soap / entries, 3), "bytes": len(_over_soap(hospital, system, n)())}
    what = f"stored query with {entries} entries, LeafClass"
    return Row(key, what, soap, "ms", "the same question over FHIR, all pages", fhir, 2.0, 1.0, "less", facts=facts)


def _median(ask: Callable[[], bytes], rounds: int) -> float:
    """Milliseconds until the whole answer is there."""
    times = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        ask()
        times.append((time.perf_counter() - started) * 1e3)
    return statistics.median(times[1:])


def _over_soap(hospital: Hospital, system: System, n: int) -> Callable[[], bytes]:
    oid = hospital.entry["patient_id_system"].removeprefix("urn:oid:")
    slots = {"PatientId": f"'{messages.number(n)}^^^&amp;{oid}&amp;ISO'", "Status": f"('{APPROVED}')"}
    written = "".join(
        f'<r:Slot name="$XDSDocumentEntry{k}"><r:ValueList><r:Value>{v}</r:Value></r:ValueList></r:Slot>'
        for k, v in slots.items()
    )
    option = '<q:ResponseOption returnComposedObjects="true" returnType="LeafClass"/>'
    body = f'<q:AdhocQueryRequest>{option}<r:AdhocQuery id="{FIND}">{written}</r:AdhocQuery></q:AdhocQueryRequest>'
    message = envelope(f"{ITI}RegistryStoredQuery", body)

    def ask() -> bytes:
        answer = system.post_bytes("/xds/registry", message, "application/soap+xml")
        assert answer.status_code == 200 and b"ResponseStatusType:Success" in answer.content[:2000]
        return answer.content

    return ask


def _over_fhir(hospital: Hospital, system: System, n: int, entries: int) -> Callable[[], bytes]:
    number = f"{hospital.entry['patient_id_system']}|{messages.number(n)}"
    question = {"patient.identifier": number, "status": "current", "_count": "500"}

    def ask() -> bytes:
        found, following = 0, "/fhir/DocumentReference?" + "&".join(f"{k}={v}" for k, v in question.items())
        while following:
            bundle: dict[str, Any] = system.get(following).json()
            found += len(bundle.get("entry", ()))
            links = [each["url"] for each in bundle["link"] if each["relation"] == "next"]
            following = links[0].removeprefix(hospital.url) if links else ""
        assert found >= entries, (found, entries)
        return b""

    return ask


def envelope(action: str, body: str) -> bytes:
    declared = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMES.items())
    head = f"<a:Action>{action}</a:Action><a:MessageID>{uuid4().urn}</a:MessageID>"
    return f"<s:Envelope {declared}><s:Header>{head}</s:Header><s:Body>{body}</s:Body></s:Envelope>".encode()


def _retrieve(hospital: Hospital, system: System, size: int) -> Row:
    """The bytes of one large document, and what they cost in memory while they flow."""
    unique_id = _publish_large(hospital, system, size)
    repository = hospital.entry["home_community_id"].removeprefix("urn:oid:") + ".2"
    asked = f"<x:RepositoryUniqueId>{repository}</x:RepositoryUniqueId>"
    asked += f"<x:DocumentUniqueId>{unique_id}</x:DocumentUniqueId>"
    body = f"<x:DocumentRequest>{asked}</x:DocumentRequest>"
    root = envelope(f"{ITI}RetrieveDocumentSet", f"<x:RetrieveDocumentSetRequest>{body}</x:RetrieveDocumentSetRequest>")
    idle = most = hospital.memory()
    started, received = time.perf_counter(), 0
    with system.streams("/xds/repository", *package(root)) as answer:
        for number, piece in enumerate(answer.iter_content(1 << 20)):
            received += len(piece)
            most = max(most, hospital.memory()) if number % 16 == 0 else most
    seconds = time.perf_counter() - started
    assert received > size
    grew = (most - idle) / 1e6
    facts = {"mb": round(size / 1e6), "mb_per_s": round(size / 1e6 / seconds), "value": "MB grown"}
    return Row("s4", "retrieve one document as MTOM, memory", grew, "MB", "the document", size / 1e6, 64, 16, "less",
               ratio=grew, facts=facts)  # fmt: skip


def package(root: bytes, *parts: tuple[str, bytes]) -> tuple[bytes, str]:
    pieces = [("root", b'application/xop+xml; charset=UTF-8; type="application/soap+xml"', root)]
    pieces += [(name, b"application/pdf", content) for name, content in parts]
    body = b"".join(
        b"--b\r\nContent-ID: <%b>\r\nContent-Type: %b\r\n\r\n%b\r\n" % (name.encode(), kind, content)
        for name, kind, content in pieces
    )
    kind = (
        'multipart/related; type="application/xop+xml"; start="<root>"; start-info="application/soap+xml"; boundary=b'
    )
    return body + b"--b--\r\n", kind


def _publish_large(hospital: Hospital, system: System, size: int) -> str:
    """ITI-41 by the example of the documentation, which knows how to say it."""
    from docs.examples.soap import oid, submission

    loading.fill(hospital.settings, patients=1, documents_each=0, first=9)
    authority = hospital.entry["patient_id_system"].removeprefix("urn:oid:")
    unique_id = oid()
    include = '<i:Include xmlns:i="http://www.w3.org/2004/08/xop/include" href="cid:file"/>'
    said = submission(f"{messages.number(9)}^^^&{authority}&ISO", unique_id)
    inside = f'{said}<x:Document id="doc">{include}</x:Document>'
    wrapped = f"<x:ProvideAndRegisterDocumentSetRequest>{inside}</x:ProvideAndRegisterDocumentSetRequest>"
    root = envelope(f"{ITI}ProvideAndRegisterDocumentSet-b", wrapped)
    answer = system.post_bytes("/xds/repository", *package(root, ("file", b"\x17" * size)))
    assert b"ResponseStatusType:Success" in answer.content, answer.content[:500]
    return str(unique_id)
