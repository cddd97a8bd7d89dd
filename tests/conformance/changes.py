"""What a foreign document administrator sends: metadata changed, metadata and documents removed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4
from xml.sax.saxutils import escape

from consent.requesters import Role
from tests.conformance.client import Client, own_name
from tests.conformance.soap import (
    HAS_MEMBER,
    LCM,
    RIM,
    Document,
    SoapAnswer,
    SoapClient,
    Submission,
    X,
    envelope,
    read_answer,
)

ITI_2010 = "urn:ihe:iti:2010:"
UPDATE, REMOVE = f"{ITI_2010}UpdateDocumentSet", f"{ITI_2010}DeleteDocumentSet"
REMOVE_BYTES = "urn:ihe:iti:2017:RemoveDocuments"
RMD = "urn:ihe:iti:rmd:2017"
STATUS = "urn:oasis:names:tc:ebxml-regrep:StatusType:"
SET = "SubmissionSet01"


def stranger(soap: SoapClient) -> str:
    """The number of a patient whom nobody resembles."""
    seed = uuid4()
    born = f"{1930 + seed.int % 80}-{1 + seed.int // 80 % 12:02}-{1 + seed.int // 960 % 28:02}"
    answer = Client(soap.hospital).registers(f"P{seed.hex[:8]}", name=own_name(), birthDate=born)
    assert answer.status == 201
    return f"P{seed.hex[:8]}"


def slot_xml(name: str, value: str) -> str:
    return f'<r:Slot name="{name}"><r:ValueList><r:Value>{value}</r:Value></r:ValueList></r:Slot>'


def operation(kind: str, target: str, own_id: str = "", source: str = SET, **slots: str) -> str:
    """An association of the submission set that says what is to be done."""
    inside = "".join(slot_xml(name, value) for name, value in slots.items())
    return (
        f'<r:Association id="{own_id or uuid4().urn}" associationType="{kind}" sourceObject="{source}" '
        f'targetObject="{target}">{inside}</r:Association>'
    )


def revision(document: Document, previous: str, **slots: str) -> str:
    given = {"SubmissionSetStatus": "Original", "PreviousVersion": previous, **slots}
    return operation(HAS_MEMBER, document.id, **given)


def status_change(target: str, before: str, after: str) -> str:
    kind = ITI_2010 + "AssociationType:UpdateAvailabilityStatus"
    return operation(kind, target, OriginalStatus=STATUS + before, NewStatus=STATUS + after)


def new_link(kind: str, source: str, target: str) -> str:
    own = uuid4().urn
    return operation(ITI_2010 + "AssociationType:SubmitAssociation", own) + operation(kind, target, own, source)


@dataclass
class Revised(Document):
    """A document of the registry with other metadata: the same uniqueId, the logicalID in `lid`."""

    lid: str = ""
    status: str = ""

    def xml(self, client: SoapClient) -> str:
        bytes_ = self.content or b""
        known = {
            "size": [str(len(bytes_))],
            "hash": [hashlib.sha1(bytes_, usedforsecurity=False).hexdigest()],
            "repositoryUniqueId": [client.repository],
        }
        self.slots = {**known, **self.slots}
        told = f' lid="{self.lid}"' if self.lid else ""
        told += f' status="{STATUS}{self.status}"' if self.status else ""
        return super().xml(client).replace("<r:ExtrinsicObject ", f"<r:ExtrinsicObject{told} ", 1)


@dataclass
class Change(Submission):
    """One ITI-57 message: `operations` stand beside the set and what it brings."""

    operations: Sequence[str] = field(default_factory=tuple)
    linked: bool = False

    def xml(self, client: SoapClient) -> str:
        end = "</r:RegistryObjectList>"
        return super().xml(client).replace(end, "".join(self.operations) + end)


def changes(
    soap: SoapClient, number: str, *operations: str, documents: Sequence[Document] = (), **how: Any
) -> SoapAnswer:
    """ITI-57."""
    change = Change(number, documents, operations=operations, **how)
    return soap.asks("/xds/registry", UPDATE, change.xml(soap))


def removal(*ids: str, extra: str = "") -> str:
    listed = "".join(f'<r:ObjectRef id="{escape(one)}"/>' for one in ids)
    body = f'<l:RemoveObjectsRequest xmlns:l="{LCM}" xmlns:r="{RIM}"{extra}><r:ObjectRefList>{listed}</r:ObjectRefList>'
    return body + "</l:RemoveObjectsRequest>"


def removes(soap: SoapClient, *ids: str, extra: str = "") -> SoapAnswer:
    """ITI-62."""
    return soap.asks("/xds/registry", REMOVE, removal(*ids, extra=extra))


def as_somebody(soap: SoapClient, role: Role, path: str, action: str, body: str) -> SoapAnswer:
    """The same message by a person of the hospital."""
    headers = {"Content-Type": "application/soap+xml; charset=UTF-8"}
    who = soap.hospital.requester(role)
    reply = soap.hospital.sends("POST", path, body=envelope(action, body), headers=headers, who=who)
    return read_answer(reply.status, reply.headers, reply.body)


def bytes_removal(*pairs: str) -> str:
    """uniqueId and repositoryUniqueId, in turn."""
    wanted = "".join(
        f"<x:DocumentRequest><x:RepositoryUniqueId>{repository}</x:RepositoryUniqueId>"
        f"<x:DocumentUniqueId>{unique_id}</x:DocumentUniqueId></x:DocumentRequest>"
        for unique_id, repository in zip(pairs[::2], pairs[1::2], strict=True)
    )
    return f'<d:RemoveDocumentsRequest xmlns:d="{RMD}" xmlns:x="{X}">{wanted}</d:RemoveDocumentsRequest>'


def removes_bytes(soap: SoapClient, *unique_ids: str, repository: str = "") -> SoapAnswer:
    """ITI-86."""
    pairs = [part for one in unique_ids for part in (one, repository or soap.repository)]
    return soap.asks("/xds/repository", REMOVE_BYTES, bytes_removal(*pairs))


def everything_of(soap: SoapClient, number: str) -> SoapAnswer:
    both = f"('{STATUS}Approved','{STATUS}Deprecated')"
    return soap.queries(
        "GetAll",
        ("$patientId", f"'{soap.cx(number)}'"),
        ("$XDSDocumentEntryStatus", both),
        ("$XDSSubmissionSetStatus", both),
        ("$XDSFolderStatus", both),
    )


def ids_of(answer: SoapAnswer) -> list[str]:
    """Every object of an answer."""
    return [one.get("id") for one in [*answer.documents, *answer.packages, *answer.all(".//r:Association")]]
