"""Rows of the record as DICOM audit messages in syslog over TLS, for a hospital that collects them.

Sources: IHE ITI TF-2: 3.20 (ITI-20), RFC 5424 (the line), RFC 5425 (TLS, octet counting), DICOM PS3.15 A.5 (the
message). Subjects appear by identifier, never by name.
"""

from __future__ import annotations

import base64
import codecs
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

from lxml import etree

from consent.disclosures import Disclosure
from registry.identifiers import HomeCommunityId

PORT = 6514
PRIORITY, VERSION, MESSAGE_ID, PROGRAM = 85, 1, "IHE+RFC-3881", "hie-node"
SECONDS = 10.0
DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>'
_EXPORT, _IMPORT = ("110106", "Export"), ("110107", "Import")
_QUERY, _PATIENT_RECORD = ("110112", "Query"), ("110110", "Patient Record")
_TRANSFERRED = ("110104", "DICOM Instances Transferred")
_EVENTS = {
    ("disclosed", "R"): _EXPORT,
    ("received", "R"): _IMPORT,
    ("published", "C"): _IMPORT,
}
_OF_TRANSACTIONS = {"ITI-57": _IMPORT, "RAD-69": _TRANSFERRED, "RAD-75": _TRANSFERRED}
"""Where the profile of a transaction has an event of its own."""
_SERIOUS, _MINOR, _SUCCESS = "8", "4", "0"


class AuditNotDelivered(Exception):
    """The collector did not take it; it can be tried again. `reason` holds nothing of the rows."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"audit: {reason}")


@dataclass(frozen=True, slots=True)
class Collector:
    """Where audit messages go: over TLS, with the node's own certificate, to a server that `authority` signed."""

    host: str
    port: int
    authority: Path | None
    certificate: Path
    key: Path


def deliver(collector: Collector, lines: Iterable[bytes]) -> int:
    """Send them in one connection that is ended in order; raises AuditNotDelivered, and then all may come again."""
    try:
        context = ssl.create_default_context(cafile=str(collector.authority) if collector.authority else None)
        context.load_cert_chain(collector.certificate, collector.key)
        with (
            socket.create_connection((collector.host, collector.port), timeout=SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=collector.host) as connection,
        ):
            count = 0
            for line in lines:
                connection.sendall(b"%d %s" % (len(line), line))
                count += 1
            _end(connection)
            return count
    except (OSError, ValueError) as error:
        raise AuditNotDelivered(type(error).__name__) from error


def _end(connection: ssl.SSLSocket) -> None:
    """Say that it is over, and hear of a refusal: in TLS 1.3 a certificate is judged after the first bytes.

    Many collectors close without a word, which is no refusal.
    """
    try:
        connection.unwrap()
    except ssl.SSLError as error:
        if not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError):
            raise
    except OSError as error:
        if error.errno:
            raise


def syslog_line(row: Disclosure, *, home: HomeCommunityId, host: str, process: int) -> bytes:
    """One row as it travels, without its frame. What is UTF-8 begins with its mark (RFC 5424: 6.4)."""
    moment = row.recorded.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    head = f"<{PRIORITY}>{VERSION} {moment} {host} {PROGRAM} {process} {MESSAGE_ID} - "
    return head.encode("ascii", "replace") + codecs.BOM_UTF8 + audit_message(row, home=home)


def audit_message(row: Disclosure, *, home: HomeCommunityId) -> bytes:
    """The row in the form of DICOM PS3.15 A.5."""
    root = etree.Element("AuditMessage")
    code, text = _event(row)
    event = etree.SubElement(
        root,
        "EventIdentification",
        EventActionCode=row.action,
        EventDateTime=row.recorded.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        EventOutcomeIndicator=_outcome(row),
    )
    _coded(event, "EventID", code, "DCM", text)
    system = "IHE Transactions" if row.transaction.startswith(("ITI-", "RAD-")) else "hie-node"
    _coded(event, "EventTypeCode", row.transaction, system, row.transaction)
    _participants(root, row, home)
    etree.SubElement(root, "AuditSourceIdentification", AuditSourceID=str(home), AuditEnterpriseSiteID=str(home))
    _objects(root, row, system)
    return b'<?xml version="1.0" encoding="UTF-8"?>' + bytes(
        etree.tostring(root, encoding="UTF-8", xml_declaration=False)
    )


def _event(row: Disclosure) -> tuple[str, str]:
    own = _OF_TRANSACTIONS.get(row.transaction)
    return own or _EVENTS.get((row.direction, row.action), _QUERY if row.action == "E" else _PATIENT_RECORD)


def _outcome(row: Disclosure) -> str:
    if row.direction == "refused":
        return _MINOR
    return _SUCCESS if row.complete else _SERIOUS


def _participants(root: etree._Element, row: Disclosure, home: HomeCommunityId) -> None:
    asker = row.requester
    person = etree.SubElement(
        root, "ActiveParticipant", UserID=asker.subject, AlternativeUserID=asker.client_id or asker.subject,
        UserIsRequestor="true",
    )  # fmt: skip
    _coded(person, "RoleIDCode", asker.role.value, "urn:hie-node:role", asker.role.value)
    holder = row.other if row.direction in ("asked", "received") else home
    for who, code, text in (
        (asker.home, "110153", "Source Role ID"),
        (holder or home, "110152", "Destination Role ID"),
    ):
        side = etree.SubElement(
            root, "ActiveParticipant", UserID=str(who), UserIsRequestor="false", NetworkAccessPointID=str(who),
            NetworkAccessPointTypeCode="5",
        )  # fmt: skip
        _coded(side, "RoleIDCode", code, "DCM", text)


def _objects(root: etree._Element, row: Disclosure, system: str) -> None:
    if row.patient is not None:
        patient = etree.SubElement(
            root, "ParticipantObjectIdentification", ParticipantObjectID=f"{row.patient.system}|{row.patient.value}",
            ParticipantObjectTypeCode="1", ParticipantObjectTypeCodeRole="1",
        )  # fmt: skip
        _coded(patient, "ParticipantObjectIDTypeCode", "2", "RFC-3881", "Patient Number")
        _named(patient, row.patient.value)
        _detail(patient, "purpose-of-use", row.requester.purpose.value)
        for reason, number in sorted(row.reasons.items()):
            _detail(patient, "reason", f"{reason} {number}")
    for item in row.items:
        shown = etree.SubElement(
            root, "ParticipantObjectIdentification", ParticipantObjectID=item,
            ParticipantObjectTypeCode="2", ParticipantObjectTypeCodeRole="3",
        )  # fmt: skip
        _coded(shown, "ParticipantObjectIDTypeCode", "9", "RFC-3881", "Report Number")
        _named(shown, item)
    if row.query:
        asked = etree.SubElement(
            root, "ParticipantObjectIdentification", ParticipantObjectID=row.exchange or row.id,
            ParticipantObjectTypeCode="2", ParticipantObjectTypeCodeRole="24",
        )  # fmt: skip
        _coded(asked, "ParticipantObjectIDTypeCode", row.transaction, system, row.transaction)
        etree.SubElement(asked, "ParticipantObjectQuery").text = row.query


def _coded(parent: etree._Element, name: str, code: str, system: str, text: str) -> None:
    found = etree.SubElement(parent, name)
    found.set("csd-code", code)
    found.set("codeSystemName", system)
    found.set("originalText", text)


def _named(parent: etree._Element, number: str) -> None:
    """An object has a name or a query (PS3.15 A.5.1); nobody's name is told, so that the number stands there too."""
    etree.SubElement(parent, "ParticipantObjectName").text = number


def _detail(parent: etree._Element, kind: str, value: str) -> None:
    etree.SubElement(
        parent, "ParticipantObjectDetail", type=kind, value=base64.b64encode(value.encode()).decode()
    )  # fmt: skip
