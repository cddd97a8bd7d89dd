"""A message that breaks a rule gets the fault that names it: no stack trace, no half effect, nothing fetched."""

from __future__ import annotations

import pytest
from lxml import etree

from tests.conformance.soap import ITI, XOP, Document, SoapAnswer, SoapClient, Submission, X, envelope, package, query

ADDRESSING, SOAP_11 = "http://www.w3.org/2005/08/addressing", "http://schemas.xmlsoap.org/soap/envelope/"
ACTION = f"{ITI}RegistryStoredQuery"
QUESTION = query("GetDocuments", ("$XDSDocumentEntryUniqueId", "('2.25.1')"))
GOOD = envelope(ACTION, QUESTION)
HEADER = b"<s:Header>"
ENTITY = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
UNDERSTAND = b'<s:Header><t:Other xmlns:t="urn:other" s:mustUnderstand="true"/>'
REPLY = f"{ADDRESSING}/anonymous".encode()

SENDER, HEADER_FAULT = "s:Sender", "a:InvalidAddressingHeader"
ENVELOPE_11 = GOOD.replace(b"http://www.w3.org/2003/05/soap-envelope", SOAP_11.encode())
OTHER_DOOR = envelope(f"{ITI}CrossGatewayQuery", QUESTION)
ELSEWHERE = GOOD.replace(REPLY, b"http://192.0.2.1/steal")
FAULTS: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"", SENDER, ""),
    "no XML": (b"hello", SENDER, ""),
    "cut off": (GOOD[:-20], SENDER, ""),
    "a DOCTYPE": (ENTITY + GOOD, SENDER, ""),
    "SOAP 1.1": (ENVELOPE_11, "s:VersionMismatch", ""),
    "no envelope": (b"<x/>", SENDER, ""),
    "empty body": (envelope(ACTION, ""), SENDER, ""),
    "two payloads": (envelope(ACTION, QUESTION * 2), SENDER, ""),
    "another payload": (envelope(ACTION, "<x/>"), SENDER, ""),
    "no action": (GOOD.replace(b"a:Action", b"a:Motion"), SENDER, "a:MessageAddressingHeaderRequired"),
    "two actions": (GOOD.replace(HEADER, HEADER + b"<a:Action>x</a:Action>"), SENDER, HEADER_FAULT),
    "unknown action": (envelope("urn:x", QUESTION), SENDER, "a:ActionNotSupported"),
    "action of another door": (OTHER_DOOR, SENDER, "a:ActionNotSupported"),
    "answer elsewhere": (ELSEWHERE, SENDER, "a:OnlyAnonymousAddressSupported"),
    "must understand": (GOOD.replace(HEADER, UNDERSTAND), "s:MustUnderstand", ""),
}
TYPES: dict[str, tuple[int, str, str]] = {
    "application/json": (415, SENDER, ""),
    "text/xml": (415, "s:VersionMismatch", ""),
    "multipart/form-data; boundary=x": (415, SENDER, ""),
    'multipart/related; type="text/plain"; boundary=x': (415, SENDER, ""),
    'application/soap+xml; action="urn:x"': (400, SENDER, "a:ActionMismatch"),
}


def sent(soap: SoapClient, body: bytes, kind: str, path: str = "/xds/registry") -> SoapAnswer:
    return soap.sends(path, kind, body)


@pytest.mark.parametrize("name", FAULTS)
def test_a_message_that_breaks_a_rule_gets_the_fault_that_names_it(soap: SoapClient, name: str) -> None:
    body, code, subcode = FAULTS[name]
    answer = sent(soap, body, "application/soap+xml")
    assert (answer.status, *answer.fault) == (400, code, subcode)
    assert "Traceback" not in etree.tostring(answer.envelope).decode()


@pytest.mark.parametrize("kind", TYPES)
def test_what_is_no_soap_is_told_so(soap: SoapClient, kind: str) -> None:
    answer = sent(soap, GOOD, kind)
    assert (answer.status, *answer.fault) == TYPES[kind]


def test_headers_for_somebody_else_and_comments_do_no_harm(soap: SoapClient) -> None:
    other = b'<s:Header><t:O xmlns:t="urn:other" s:mustUnderstand="1" s:role="urn:next-but-one"/><!-- x -->'
    assert sent(soap, GOOD.replace(HEADER, other), "application/soap+xml").outcome == "Success"


def test_without_a_token_nothing_is_read_and_nothing_is_said(soap: SoapClient) -> None:
    for token in ("", "Bearer nonsense", "Basic eDp5"):
        answer = soap.sends("/xds/registry", "application/soap+xml", GOOD, Authorization=token)
        assert (answer.status, answer.fault) == (401, ("s:Sender", "wsse:FailedAuthentication"))
        assert answer.headers["www-authenticate"] == "Bearer"


# ---- packages ----

DOCUMENT = Document("A1", b"%PDF package")


def provided(soap: SoapClient, href: str) -> bytes:
    include = f'<xop:Include xmlns:xop="{XOP}" href="{href}"/>'
    inside = f'{Submission("A1", [DOCUMENT]).xml(soap)}<x:Document id="Document01">{include}</x:Document>'
    body = f'<x:ProvideAndRegisterDocumentSetRequest xmlns:x="{X}">{inside}</x:ProvideAndRegisterDocumentSetRequest>'
    return envelope(f"{ITI}ProvideAndRegisterDocumentSet-b", body)


def packed(soap: SoapClient, href: str = "cid:d@t") -> tuple[str, bytes]:
    return package(
        provided(soap, href),
        {"d@t": ("application/pdf", b"%PDF package")},
    )


@pytest.mark.parametrize(
    "href", ["http://192.0.2.1/x", "file:///etc/passwd", "https://localhost/fhir/metadata", "", "#Document01"]
)
def test_a_reference_out_of_the_message_is_never_followed(soap: SoapClient, href: str) -> None:
    before = soap.hospital.holds()
    kind, body = packed(soap, href)
    assert sent(soap, body, kind, "/xds/repository").fault[0] == "s:Sender"
    assert soap.hospital.holds() == before


def test_a_reference_to_a_part_that_is_not_there_is_a_missing_document(soap: SoapClient) -> None:
    kind, body = packed(soap, "cid:other@t")
    assert sent(soap, body, kind, "/xds/repository").codes == ["XDSMissingDocument"]


def test_bytes_without_metadata_are_refused(soap: SoapClient) -> None:
    kind, body = packed(soap)
    more = body.replace(b"</x:ProvideAndRegister", b'<x:Document id="D9">eA==</x:Document></x:ProvideAndRegister')
    assert sent(soap, more, kind, "/xds/repository").codes == ["XDSMissingDocumentMetadata"]
    twice = body.replace(
        b"</x:ProvideAndRegister", b'<x:Document id="Document01">eA==</x:Document></x:ProvideAndRegister'
    )
    assert sent(soap, twice, kind, "/xds/repository").codes == ["XDSRepositoryMetadataError"]
    no_base64 = body.replace(b"</x:ProvideAndRegister", b'<x:Document id="D9">!</x:Document></x:ProvideAndRegister')
    assert sent(soap, no_base64, kind, "/xds/repository").fault[0] == "s:Sender"


def broken_packages(kind: str, body: bytes) -> dict[str, tuple[str, bytes]]:
    return {
        "cut in the document": (kind, body[:-40]),
        "cut in the envelope": (kind, body[:400]),
        "without closing boundary": (kind, body.replace(b"--b1--", b"--b1")),
        "another boundary": (kind.replace("b1", "b2"), body),
        "no boundary": (kind.replace('boundary="b1"; ', ""), body),
        "root is not there": (kind.replace("<root@test>", "<other@test>"), body),
        "root of another type": (kind, body.replace(b"application/xop+xml", b"text/plain", 1)),
        "encoded part": (
            kind,
            body.replace(b"Content-Transfer-Encoding: binary", b"Content-Transfer-Encoding: base64"),
        ),
        "header without end": (kind, body.replace(b"\r\n\r\n", b"\r\nX: y\r\n")),
        "two parts of one name": (kind, body.replace(b"--b1--", b"--b1\r\nContent-ID: <d@t>\r\n\r\nx\r\n--b1--")),
        "part without a name": (kind, body.replace(b"Content-ID: <d@t>", b"Content-Nothing: 1")),
    }


def test_a_package_that_is_broken_stores_nothing(soap: SoapClient) -> None:
    before = soap.hospital.holds()
    for name, (kind, body) in broken_packages(*packed(soap)).items():
        answer = sent(soap, body, kind, "/xds/repository")
        assert (name, 400 <= answer.status < 500, answer.fault[0]) == (name, True, "s:Sender")
    assert soap.hospital.holds() == before


def test_parts_may_come_before_their_envelope(soap: SoapClient) -> None:
    kind, body = packed(soap)
    first, second, third = body.split(b"--b1")[1:4]
    assert (
        sent(soap, b"--b1" + second + b"--b1" + first + b"--b1" + third, kind, "/xds/repository").outcome == "Success"
    )
    assert soap.retrieves(DOCUMENT.unique_id).contents == [DOCUMENT.content]
