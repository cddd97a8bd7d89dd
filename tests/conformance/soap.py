"""A foreign SOAP system: it writes its envelopes and packages by hand and validates what comes back by the schemas.

The schemas are the official ones, read where they lie beside the project; on a machine without them what comes back is
read all the same. Under CI=true they have to be there.
"""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from tests.lab import Hospital

_PLACES = [above / "shared" / "conformance" for above in Path(__file__).resolve().parents]
FOLDER = next((place for place in _PLACES if place.is_dir()), _PLACES[0])

S = "http://www.w3.org/2003/05/soap-envelope"
A = "http://www.w3.org/2005/08/addressing"
X = "urn:ihe:iti:xds-b:2007"
RIM = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
RS = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0"
LCM = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"
QUERY = "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"
HL7 = "urn:hl7-org:v3"
XOP = "http://www.w3.org/2004/08/xop/include"
NS = {"s": S, "a": A, "x": X, "r": RIM, "rs": RS, "l": LCM, "q": QUERY, "h": HL7}
ITI = "urn:ihe:iti:2007:"
APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
DEPRECATED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated"
ASSOCIATION = "urn:ihe:iti:2007:AssociationType:"
HAS_MEMBER = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
QUERIES = {
    "FindDocuments": "14d4debf-8f97-4251-9a74-a90016b0af0d",
    "FindSubmissionSets": "f26abbcb-ac74-4422-8a30-edb644bbc1a9",
    "FindFolders": "958f3006-baad-4929-a4de-ff1114824431",
    "GetAll": "10b545ea-725c-446d-9b95-8aeb444eddf3",
    "GetDocuments": "5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4",
    "GetFolders": "5737b14c-8a1a-4539-b659-e03a34a5e1e4",
    "GetAssociations": "a7ae438b-4bc2-4642-93e9-be891f7bb155",
    "GetDocumentsAndAssociations": "bab9529a-4a10-40b3-a01f-f68a615d247a",
    "GetSubmissionSets": "51224314-5390-4169-9b91-b1980040715a",
    "GetSubmissionSetAndContents": "e8e3cb2c-e39c-46b9-99e4-c12f57260b83",
    "GetFolderAndContents": "b909a503-523d-4517-8acf-8e5834dfc4c7",
    "GetFoldersForDocument": "10cae35a-c7f9-4cf5-b61e-fc3278ffb578",
    "GetRelatedDocuments": "d90e5407-b356-4d91-a89f-873917b4b0e6",
    "FindDocumentsByReferenceId": "12941a89-e02e-4be5-967c-ce4bfc8fe492",
}
CODES = {
    "class": ("41a5887f-8865-4c09-adf7-e362475b143a", "18748-4", "2.16.840.1.113883.6.1", "Diagnostic imaging study"),
    "confidentiality": ("f4f85eac-e6cb-4883-b524-f2705394840f", "N", "2.16.840.1.113883.5.25", "normal"),
    "format": ("a09d5840-386c-46f2-b5ad-9c3699a4309d", "urn:ihe:rad:PDF", "1.3.6.1.4.1.19376.1.2.3", "PDF"),
    "facility": ("f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1", "HOSP", "2.16.840.1.113883.5.11", "Hospital"),
    "practice": ("cccf5598-8b07-4b77-a05e-ae952c785ead", "RAD", "Thử nghiệm", "Radiology"),
    "type": ("f0306f51-975f-434e-a61c-c59651d33983", "24725-4", "2.16.840.1.113883.6.1", "CT Head"),
}


@cache
def schema(name: str) -> etree.XMLSchema | None:
    """One of the official schemas; None on a machine that has none of them."""
    path = FOLDER / "xsd" / name
    if not path.exists():
        assert os.environ.get("CI") != "true", f"{path} has to be there where everything is tested"
        return None
    return etree.XMLSchema(etree.parse(str(path)))


def refuse_faulty(body: Any) -> None:
    """What is inside a Body, against the schema of its namespace."""
    namespace = etree.QName(body).namespace
    names = {X: "xds/XDS.b_DocumentRepository.xsd", RS: "xds/rs.xsd", QUERY: "xds/query.xsd", LCM: "xds/lcm.xsd"}
    name = names.get(namespace) or f"hl7v3/ne2008/multicacheschemas/{etree.QName(body).localname}.xsd"
    if namespace == HL7 or namespace in names:
        official = schema(name)
        if official is not None:
            alone = etree.fromstring(etree.tostring(body))
            for include in list(alone.iter("{http://www.w3.org/2004/08/xop/include}Include")):
                include.getparent().remove(include)  # the schema knows the bytes, not where they travel
            official.assertValid(alone)


@dataclass
class SoapAnswer:
    """What came back: the payload of the Body, and the parts beside it."""

    status: int
    headers: Mapping[str, str]
    envelope: Any
    parts: dict[str, bytes] = field(default_factory=dict)

    @property
    def body(self) -> Any:
        return self.envelope.find("s:Body", NS)[0]

    def all(self, path: str) -> list[Any]:
        return list(self.envelope.iterfind(path, NS))

    def header(self, name: str) -> str:
        return str(self.envelope.findtext(f"s:Header/a:{name}", "", NS))

    @property
    def fault(self) -> tuple[str, str]:
        """Code and subcode."""
        return (
            self.envelope.findtext(".//s:Fault/s:Code/s:Value", "", NS),
            self.envelope.findtext(".//s:Fault/s:Code/s:Subcode/s:Value", "", NS),
        )

    @property
    def outcome(self) -> str:
        found = [one for one in self.body.iter() if one.get("status", "").find("ResponseStatusType") >= 0]
        return str(found[0].get("status").rpartition(":")[2])

    @property
    def codes(self) -> list[str]:
        return [one.get("errorCode") for one in self.all(".//rs:RegistryError")]

    @property
    def documents(self) -> list[Any]:
        return self.all(".//r:ExtrinsicObject")

    @property
    def unique_ids(self) -> list[str]:
        return [external(one, "XDSDocumentEntry.uniqueId") for one in self.documents]

    @property
    def packages(self) -> list[Any]:
        return self.all(".//r:RegistryPackage")

    @property
    def references(self) -> list[str]:
        return [one.get("id") for one in self.all(".//r:ObjectRef")]

    @property
    def associations(self) -> list[tuple[str, str, str]]:
        return [
            (one.get("associationType").rpartition(":")[2], one.get("sourceObject"), one.get("targetObject"))
            for one in self.all(".//r:Association")
        ]

    @property
    def contents(self) -> list[bytes]:
        """The documents of a retrieve, wherever their bytes are."""
        import base64

        found = []
        for one in self.all(".//x:DocumentResponse/x:Document"):
            include = one[0] if len(one) else None
            found.append(self.parts[include.get("href")[4:]] if include is not None else base64.b64decode(one.text))
        return found


def external(element: Any, name: str) -> str:
    for one in element.iterfind("r:ExternalIdentifier", NS):
        if one.find("r:Name/r:LocalizedString", NS).get("value") == name:
            return str(one.get("value"))
    return ""


def slot(element: Any, name: str) -> list[str]:
    return [str(v.text) for v in element.iterfind(f"r:Slot[@name='{name}']/r:ValueList/r:Value", NS)]


def envelope(action: str, body: str, *, header: str = "", message_id: str = "urn:uuid:1") -> bytes:
    return (
        f'<s:Envelope xmlns:s="{S}" xmlns:a="{A}"><s:Header><a:Action s:mustUnderstand="1">{action}</a:Action>'
        f"<a:MessageID>{message_id}</a:MessageID><a:ReplyTo><a:Address>{A}/anonymous</a:Address></a:ReplyTo>"
        f'<a:To s:mustUnderstand="1">https://here</a:To>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>'
    ).encode()


def package(root: bytes, parts: Mapping[str, tuple[str, bytes]], *, boundary: str = "b1") -> tuple[str, bytes]:
    """Content type and body of an MTOM message."""
    kind = f'multipart/related; boundary="{boundary}"; type="application/xop+xml"; start="<root@test>"; '
    kind += 'start-info="application/soap+xml"'
    head = b'Content-ID: <root@test>\r\nContent-Type: application/xop+xml; charset=UTF-8; type="application/soap+xml"'
    pieces = [b"--%b\r\n%b\r\n\r\n%b\r\n" % (boundary.encode(), head, root)]
    for name, (media, content) in parts.items():
        lines = f"Content-ID: <{name}>\r\nContent-Type: {media}\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        pieces.append(f"--{boundary}\r\n{lines}".encode() + content + b"\r\n")
    return kind, b"".join(pieces) + f"--{boundary}--\r\n".encode()


class SoapClient:
    """One system of a hospital that speaks nothing but SOAP."""

    def __init__(self, hospital: Hospital) -> None:
        self.hospital = hospital

    @property
    def authority(self) -> str:
        return self.hospital.house.settings.patient_id_system.removeprefix("urn:oid:")

    def cx(self, number: str) -> str:
        return f"{number}^^^&{self.authority}&ISO"

    @property
    def repository(self) -> str:
        return f"{str(self.hospital.home).removeprefix('urn:oid:')}.2"

    def sends(self, path: str, content_type: str, body: bytes, *, check: bool = True, **headers: str) -> SoapAnswer:
        told = {"Content-Type": content_type, "Accept": "*/*", **headers}
        reply = self.hospital.sends("POST", path, body=body, headers=told)
        return read_answer(reply.status, reply.headers, reply.body, check=check)

    def asks(self, path: str, action: str, body: str, *, mtom: bool = False, **headers: str) -> SoapAnswer:
        root = envelope(action, body)
        if mtom:
            return self.sends(path, *package(root, {}), **headers)
        return self.sends(path, "application/soap+xml; charset=UTF-8", root, **headers)

    # ---- what it wants ----

    def provides(self, submission: Submission, *, inline: bool = False, check: bool = True) -> SoapAnswer:
        """ITI-41: MTOM, or all in one envelope."""
        import base64

        documents, parts = "", {}
        for number, one in enumerate(submission.documents):
            if one.content is None:
                continue
            parts[f"d{number}@test"] = (one.mime, one.content)
            include = f'<xop:Include xmlns:xop="http://www.w3.org/2004/08/xop/include" href="cid:d{number}%40test"/>'
            text = base64.b64encode(one.content).decode() if inline else include
            documents += f'<x:Document id="{one.id}">{text}</x:Document>'
        body = f'<x:ProvideAndRegisterDocumentSetRequest xmlns:x="{X}">{submission.xml(self)}{documents}'
        body += "</x:ProvideAndRegisterDocumentSetRequest>"
        if check and inline:
            refuse_faulty(etree.fromstring(body))
        root = envelope(f"{ITI}ProvideAndRegisterDocumentSet-b", body)
        if inline:
            return self.sends("/xds/repository", "application/soap+xml", root)
        return self.sends("/xds/repository", *package(root, parts))

    def registers(self, submission: Submission) -> SoapAnswer:
        """ITI-42."""
        return self.asks("/xds/registry", f"{ITI}RegisterDocumentSet-b", submission.xml(self))

    def queries(
        self,
        name: str,
        *slots: tuple[str, str | Sequence[str]],
        refs: bool = False,
        home: str = "",
        path: str = "/xds/registry",
        action: str = f"{ITI}RegistryStoredQuery",
    ) -> SoapAnswer:
        return self.asks(path, action, query(name, *slots, refs=refs, home=home))

    def finds(self, number: str, *slots: tuple[str, str | Sequence[str]], **how: Any) -> SoapAnswer:
        """FindDocuments of one patient, approved unless a slot says otherwise."""
        patient = ("$XDSDocumentEntryPatientId", f"'{self.cx(number)}'")
        status = ("$XDSDocumentEntryStatus", f"('{APPROVED}')")
        given = {name for name, _ in slots}
        return self.queries("FindDocuments", patient, *(() if status[0] in given else (status,)), *slots, **how)

    def retrieves(self, *unique_ids: str, mtom: bool = True, home: str = "", repository: str = "") -> SoapAnswer:
        wanted = "".join(
            f"<x:DocumentRequest>{f'<x:HomeCommunityId>{home}</x:HomeCommunityId>' if home else ''}"
            f"<x:RepositoryUniqueId>{repository or self.repository}</x:RepositoryUniqueId>"
            f"<x:DocumentUniqueId>{each}</x:DocumentUniqueId></x:DocumentRequest>"
            for each in unique_ids
        )
        body = f'<x:RetrieveDocumentSetRequest xmlns:x="{X}">{wanted}</x:RetrieveDocumentSetRequest>'
        path = "/xca/initiating" if home else "/xds/repository"
        return self.asks(path, f"{ITI}RetrieveDocumentSet", body, mtom=mtom)


def query(name: str, *slots: tuple[str, str | Sequence[str]], refs: bool = False, home: str = "") -> str:
    def one(name: str, values: str | Sequence[str]) -> str:
        listed = "".join(f"<r:Value>{escape(v)}</r:Value>" for v in ([values] if isinstance(values, str) else values))
        return f'<r:Slot name="{name}"><r:ValueList>{listed}</r:ValueList></r:Slot>'

    at = f' home="{home}"' if home else ""
    body = (
        f'<q:AdhocQueryRequest xmlns:q="{QUERY}" xmlns:r="{RIM}"><q:ResponseOption returnComposedObjects="true" '
        f'returnType="{"ObjectRef" if refs else "LeafClass"}"/>'
        f'<r:AdhocQuery id="urn:uuid:{QUERIES.get(name, name)}"{at}>'
        f"{''.join(one(*each) for each in slots)}</r:AdhocQuery></q:AdhocQueryRequest>"
    )
    refuse_faulty(etree.fromstring(body))
    return body


def read_answer(status: int, headers: Mapping[str, str], body: bytes, *, check: bool = True) -> SoapAnswer:
    kind = headers.get("content-type", "")
    parts: dict[str, bytes] = {}
    if kind.startswith("multipart/related"):
        boundary = re.search(r'boundary="?([^";]+)', kind)[1].encode()  # type: ignore[index]
        raw = (b"\r\n" + body).split(b"\r\n--" + boundary)
        assert raw[-1].strip() == b"--", "the package ends as it should"
        for piece in raw[1:-1]:
            head, _, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
            name = re.search(rb"content-id: <([^>]+)>", head, re.IGNORECASE)[1].decode()  # type: ignore[index]
            parts[name] = content
        start = re.search(r'start="<([^>]+)>"', kind)[1]  # type: ignore[index]
        envelope_bytes = parts.pop(start)
    else:
        assert kind.startswith("application/soap+xml"), (status, kind, body[:300])
        envelope_bytes = body
    answer = SoapAnswer(status, headers, etree.fromstring(envelope_bytes), parts)
    if answer.all(".//s:Fault"):
        assert status >= 400
    else:
        assert status == 200
        if check:
            refuse_faulty(answer.body)
    return answer


# ---- what it hands in ----


def oid() -> str:
    return f"2.25.{uuid.uuid4().int}"


@dataclass
class Document:
    """One document with its metadata; `drop` are slots or codes that are left out, `slots` those that differ."""

    number: str
    content: bytes | None = b"%PDF-1.4 report"
    id: str = "Document01"
    unique_id: str = field(default_factory=oid)
    title: str = "CT sọ não"
    mime: str = "application/pdf"
    drop: frozenset[str] = frozenset()
    slots: Mapping[str, Sequence[str]] = field(default_factory=dict)
    codes: Mapping[str, tuple[str, str, str, str]] = field(default_factory=dict)
    extra: str = ""
    patient: str | None = None

    def xml(self, client: SoapClient) -> str:
        slots: dict[str, Sequence[str]] = {
            "creationTime": ["20260503021500"],
            "languageCode": ["vi-VN"],
            "serviceStartTime": ["202605030210"],
            "serviceStopTime": ["202605030220"],
            "sourcePatientId": [client.cx(self.number)],
            "sourcePatientInfo": [
                f"PID-3|{client.cx(self.number)}",
                "PID-5|Nguyễn^Lan^Thị",
                "PID-7|19580321",
                "PID-8|F",
            ],
            **self.slots,
        }
        written = "".join(
            f'<r:Slot name="{name}"><r:ValueList>{"".join(f"<r:Value>{escape(v)}</r:Value>" for v in values)}'
            "</r:ValueList></r:Slot>"
            for name, values in slots.items()
            if name not in self.drop
        )
        codes = "".join(
            coded(self.id, *code) for name, code in {**CODES, **self.codes}.items() if name not in self.drop
        )
        patient = client.cx(self.number) if self.patient is None else self.patient
        numbers = {"patientId": ("58a6f841-87b3-4a3e-92fd-a8ffeff98427", patient)}
        numbers["uniqueId"] = ("2e82c1f6-a085-4c72-9da3-8640a32e42ab", self.unique_id)
        listed = "".join(
            identifier(self.id, scheme, value, f"XDSDocumentEntry.{name}")
            for name, (scheme, value) in numbers.items()
            if name not in self.drop
        )
        return (
            f'<r:ExtrinsicObject id="{self.id}" mimeType="{self.mime}" '
            f'objectType="urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1">{written}'
            f"<r:Name><r:LocalizedString value={quoteattr(self.title)}/></r:Name>{author(self.id)}{codes}{self.extra}"
            f"{listed}</r:ExtrinsicObject>"
        )


def author(owner: str, scheme: str = "93606bcf-9494-43ec-9b4e-a7748d1a838d") -> str:
    slots = "".join(
        f'<r:Slot name="{name}"><r:ValueList><r:Value>{escape(value)}</r:Value></r:ValueList></r:Slot>'
        for name, value in (
            ("authorPerson", "BS01^Lê^Mẫu^Văn^^BS.^^^&2.25.77&ISO"),
            ("authorInstitution", "Bệnh viện Thử^^^^^&2.25.78&ISO^^^^1"),
            ("authorRole", "bác sĩ"),
        )
    )
    return (
        f'<r:Classification id="{uuid.uuid4().urn}" classificationScheme="urn:uuid:{scheme}" '
        f'classifiedObject="{owner}" nodeRepresentation="">{slots}</r:Classification>'
    )


def coded(owner: str, scheme: str, code: str, system: str, display: str) -> str:
    return (
        f'<r:Classification id="{uuid.uuid4().urn}" classificationScheme="urn:uuid:{scheme}" '
        f'classifiedObject="{owner}" nodeRepresentation="{code}"><r:Slot name="codingScheme"><r:ValueList><r:Value>'
        f"{system}</r:Value></r:ValueList></r:Slot><r:Name><r:LocalizedString value={quoteattr(display)}/></r:Name>"
        "</r:Classification>"
    )


def identifier(owner: str, scheme: str, value: str, name: str) -> str:
    return (
        f'<r:ExternalIdentifier id="{uuid.uuid4().urn}" registryObject="{owner}" '
        f'identificationScheme="urn:uuid:{scheme}" value={quoteattr(value)}>'
        f'<r:Name><r:LocalizedString value="{name}"/></r:Name></r:ExternalIdentifier>'
    )


@dataclass
class FolderOf:
    """A folder that is handed in."""

    number: str
    id: str = "Folder01"
    unique_id: str = field(default_factory=oid)
    title: str = "Hồ sơ chấn thương"

    def xml(self, client: SoapClient) -> str:
        code = coded(self.id, "1ba97051-7806-41a8-a48b-8fce7af683c5", "trauma", "2.25.99", "Trauma")
        patient = identifier(
            self.id, "f64ffdf0-4b97-4e06-b79f-a52b38ec2f8a", client.cx(self.number), "XDSFolder.patientId"
        )
        unique = identifier(self.id, "75df8f67-9973-4fbe-a900-df66cefecc5a", self.unique_id, "XDSFolder.uniqueId")
        return (
            f'<r:RegistryPackage id="{self.id}"><r:Name><r:LocalizedString value={quoteattr(self.title)}/></r:Name>'
            f"{code}{node(self.id, 'd9d542f3-6cc4-48b6-8870-ea235fbc94c2')}{patient}{unique}</r:RegistryPackage>"
        )


def node(owner: str, value: str) -> str:
    return (
        f'<r:Classification id="{uuid.uuid4().urn}" classifiedObject="{owner}" classificationNode="urn:uuid:{value}"/>'
    )


def association(kind: str, source: str, target: str, status: str = "") -> str:
    inside = ""
    if status:
        inside = '<r:Slot name="SubmissionSetStatus"><r:ValueList><r:Value>'
        inside += f"{status}</r:Value></r:ValueList></r:Slot>"
    return (
        f'<r:Association id="{uuid.uuid4().urn}" associationType="{kind}" sourceObject="{source}" '
        f'targetObject="{target}">{inside}</r:Association>'
    )


@dataclass
class Submission:
    """One submission set with what it brings. `links` are further associations: kind, source, target, status."""

    number: str
    documents: Sequence[Document] = ()
    folders: Sequence[FolderOf] = ()
    links: Sequence[tuple[str, str, str, str]] = ()
    unique_id: str = field(default_factory=oid)
    source_id: str = "2.25.5"
    sets: int = 1
    linked: bool = True

    def xml(self, client: SoapClient) -> str:
        things = [*self.documents, *self.folders]
        listed = "".join(one.xml(client) for one in things) + self._set(client) * self.sets
        if self.linked:
            listed += "".join(association(HAS_MEMBER, "SubmissionSet01", one.id, "Original") for one in things)
        listed += "".join(association(*link) for link in self.links)
        return (
            f'<l:SubmitObjectsRequest xmlns:l="{LCM}" xmlns:r="{RIM}"><r:RegistryObjectList>{listed}'
            "</r:RegistryObjectList></l:SubmitObjectsRequest>"
        )

    def _set(self, client: SoapClient) -> str:
        own = "SubmissionSet01"
        code = coded(own, "aa543740-bdda-424e-8c96-df4873be8500", "rad", "2.25.98", "Radiology")
        numbers = {
            "patientId": ("6b5aea1a-874d-4603-a4bc-96a0a7b38446", client.cx(self.number)),
            "sourceId": ("554ac39e-e3fe-47fe-b233-965d2a147832", self.source_id),
            "uniqueId": ("96fdda7c-d067-4183-912e-bf5ee74998a8", self.unique_id),
        }
        listed = "".join(identifier(own, s, v, f"XDSSubmissionSet.{name}") for name, (s, v) in numbers.items())
        return (
            f'<r:RegistryPackage id="{own}"><r:Slot name="submissionTime"><r:ValueList><r:Value>20260503030000'
            f"</r:Value></r:ValueList></r:Slot>{author(own, 'a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d')}{code}"
            f"{node(own, 'a54d6aa5-d40d-43f9-88c5-b4633d873bdd')}{listed}</r:RegistryPackage>"
        )


def with_hash(document: Document, content: bytes | None = None, **slots: str) -> Document:
    """The document with size, hash and the repository of ITI-42."""
    bytes_ = content if content is not None else document.content or b""
    known = {"size": str(len(bytes_)), "hash": hashlib.sha1(bytes_, usedforsecurity=False).hexdigest(), **slots}
    document.slots = {**document.slots, **{name: [value] for name, value in known.items()}}
    return document
