"""The asking side of SOAP between hospitals: who is it there, what is there of them, and the bytes of one document.

What a gateway answers is believed as little as over FHIR: bounded, of its own community, of the patient that was meant,
and under ids that are labelled with its facility code.

Source: IHE ITI TF-2: 3.38, 3.39, 3.55 (Initiating Gateway)
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from urllib.parse import unquote
from uuid import uuid4

from adapters.dicom.multipart import Part, boundary_of, media_type, read_parts
from adapters.peers.answers import BadAnswer
from adapters.peers.fhir_client import MAX_ENTRIES, Holder, Question, refuse_other_person
from adapters.soap import names
from adapters.soap.datatypes import oid_of, write_cx, write_dtm, write_unique_id
from adapters.soap.ebrim import RimObject, read_objects
from adapters.soap.envelope import text, write_envelope
from adapters.soap.errors import SoapError
from adapters.soap.hl7v3 import CODES, INTERACTIONS, h, open_tag, read_ii, write_head, write_ii, write_name
from adapters.soap.mtom import ENVELOPE_LIMIT, XOP_XML
from adapters.soap.names import HL7, QUERY, RIM, SOAP, XDS, XOP, named, text_of
from adapters.soap.reading import NOT_KNOWN_HASH, as_remote, read_document
from adapters.xml_door import XmlElement, XmlRefused, parse_xml_bytes
from registry.answers import OutcomeKind
from registry.documents import DocumentEntry, DocumentStatus
from registry.errors import NotFound, RegistryError
from registry.identifiers import HomeCommunityId, PatientIdentifier
from registry.people import PatientInQuestion

DISCOVERY = "urn:hl7-org:v3:PRPA_IN201305UV02:CrossGatewayPatientDiscovery"
DEFERRED_DISCOVERY = "urn:hl7-org:v3:PRPA_IN201305UV02:Deferred:CrossGatewayPatientDiscovery"
QUERY_ACTION, RETRIEVE_ACTION = names.ITI_2007 + "CrossGatewayQuery", names.ITI_2007 + "CrossGatewayRetrieve"
FIND_DOCUMENTS = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
GET_DOCUMENTS = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"
MAX_BYTES = 5 * 1024 * 1024
_UUID = re.compile(r"urn:uuid:[0-9a-fA-F-]{36}")
_ABSENT = {"XDSDocumentUniqueIdError", "XDSUnknownRepositoryId"}
_STATUS = {DocumentStatus.CURRENT: names.APPROVED, DocumentStatus.SUPERSEDED: names.DEPRECATED}


def fingerprint(patient: PatientInQuestion) -> str:
    """Tells descriptions apart without holding them."""
    known = patient.demographics
    said = [str(known.name and known.name.text), str(known.birth_date), known.gender]
    said += sorted(f"{number.system}|{number.value}" for number in patient.numbers)
    return hashlib.sha256("\n".join(said).encode()).hexdigest()


# ---- questions ----


def question(action: str, body: str, security: str) -> bytes:
    """A message with who asks in its header."""
    return "".join(write_envelope(action, body, header=security)).encode()


def discovery(
    patient: PatientInQuestion,
    *,
    home: HomeCommunityId,
    to: HomeCommunityId,
    now: datetime,
    later: tuple[str, str] | None = None,
) -> str:
    """PRPA_IN201305UV02: the patient as far as we know them.

    later  to be answered later: the id that the answer has to name, and where it belongs (IHE ITI TF-2: 3.55.6.2)
    """
    known = patient.demographics
    parameters = [
        f'<livingSubjectAdministrativeGender><value code="{CODES[known.gender]}"/>{_meaning("Gender")}'
        "</livingSubjectAdministrativeGender>"
        if known.gender in CODES
        else "",
        f'<livingSubjectBirthTime><value value="{str(known.birth_date).replace("-", "")}"/>{_meaning("BirthTime")}'
        "</livingSubjectBirthTime>"
        if known.birth_date
        else "",
        *(
            f"<livingSubjectId>{write_ii(number, 'value')}{_meaning('Id')}</livingSubjectId>"
            for number in patient.identifiers
            if oid_of(number.system)
        ),
        f"<livingSubjectName>{write_name(known.name, 'value')}{_meaning('Name')}</livingSubjectName>"
        if known.name
        else "",
    ]
    query = (
        f'<queryByParameter><queryId root="{later[0] if later else uuid4()}"/><statusCode code="new"/>'
        f'<responseModalityCode code="R"/><responsePriorityCode code="{"D" if later else "I"}"/>'
        f"<parameterList>{''.join(parameters)}</parameterList></queryByParameter>"
    )
    head = write_head(
        "PRPA_IN201305UV02",
        home=home,
        receiver=to.value.removeprefix("urn:oid:"),
        acknowledges=None,
        moment=write_dtm(now),
        later=later,
    )
    return (
        f'{open_tag("PRPA_IN201305UV02")}{head}<controlActProcess classCode="CACT" moodCode="EVN">'
        f'<code code="PRPA_TE201305UV02" codeSystem="{INTERACTIONS}"/>{query}</controlActProcess></PRPA_IN201305UV02>'
    )


def _meaning(what: str) -> str:
    return f"<semanticsText>LivingSubject.{what.lower()}</semanticsText>"


def find_documents(
    number: PatientIdentifier, home: HomeCommunityId, statuses: Iterable[DocumentStatus], *, whole: bool = True
) -> str:
    """FindDocuments at one community, under the number that it told; whole entries, or only which there are."""
    listed = ",".join(f"'{_STATUS[status]}'" for status in statuses)
    slots = {"PatientId": f"'{write_cx(number)}'", "Status": f"({listed})"}
    return _stored_query(FIND_DOCUMENTS, home, slots, whole=whole)


def get_documents(entry_uuids: Iterable[str], home: HomeCommunityId) -> str:
    """GetDocuments at one community: these entries, whole."""
    listed = ",".join(f"'{one}'" for one in entry_uuids)
    return _stored_query(GET_DOCUMENTS, home, {"EntryUUID": f"({listed})"}, whole=True)


def _stored_query(query: str, home: HomeCommunityId, slots: Mapping[str, str], *, whole: bool) -> str:
    written = "".join(
        f'<r:Slot name="$XDSDocumentEntry{name}"><r:ValueList><r:Value>{text(value)}</r:Value></r:ValueList></r:Slot>'
        for name, value in slots.items()
    )
    return (
        '<q:AdhocQueryRequest><q:ResponseOption returnComposedObjects="true" '
        f'returnType="{"LeafClass" if whole else "ObjectRef"}"/>'
        f'<r:AdhocQuery id="{query}" home="{home}">{written}</r:AdhocQuery></q:AdhocQueryRequest>'
    )


def retrieve(home: HomeCommunityId, repository: str, unique_id: str) -> str:
    """One document of one community."""
    return (
        f"<x:RetrieveDocumentSetRequest><x:DocumentRequest><x:HomeCommunityId>{home}</x:HomeCommunityId>"
        f"<x:RepositoryUniqueId>{text(repository)}</x:RepositoryUniqueId><x:DocumentUniqueId>"
        f"{text(write_unique_id(unique_id))}</x:DocumentUniqueId></x:DocumentRequest></x:RetrieveDocumentSetRequest>"
    )


def as_package(envelope: bytes, boundary: str) -> bytes:
    """A question as MTOM, which retrieving wants both ways."""
    head = f'Content-ID: <root@hie-node>\r\nContent-Type: {XOP_XML}; charset=UTF-8; type="application/soap+xml"'
    return (
        f"--{boundary}\r\n{head}\r\nContent-Transfer-Encoding: binary\r\n\r\n".encode()
        + envelope
        + (f"\r\n--{boundary}--\r\n".encode())
    )


# ---- answers ----


def read_discovered(body: bytes, content_type: str, holder: Holder) -> PatientIdentifier | OutcomeKind:
    """Their number of the patient; else what became of the question. Raises BadAnswer."""
    told, community = told_in(payload_of(body, content_type, HL7, "PRPA_IN201306UV02"))
    if told is OutcomeKind.BROKEN:
        raise BadAnswer("the question for the patient was refused")
    if community not in ("", holder.community.home.value):
        raise BadAnswer("a patient of another community")
    return told


def told_in(message: XmlElement) -> tuple[PatientIdentifier | OutcomeKind, str]:
    """What an answer of ITI-55 tells, and of which community the number is. Raises BadAnswer."""
    control = h(message, "controlActProcess")
    code = h(control, "queryAck/queryResponseCode")
    subjects = [] if control is None else control.findall(named(HL7, "subject"))
    if code is None or code.get("code") not in ("OK", "NF"):
        return OutcomeKind.BROKEN, ""
    if code.get("code") == "NF":
        return OutcomeKind.WITHHELD, ""
    if len(subjects) != 1:
        return OutcomeKind.NOT_UNIQUE, ""
    try:
        found = h(subjects[0], "registrationEvent/subject1/patient/id")
        number = None if found is None else read_ii(found)
    except RegistryError as error:
        raise BadAnswer("a patient without a usable number") from error
    custodian = h(subjects[0], "registrationEvent/custodian/assignedEntity/id")
    if number is None or custodian is None:
        raise BadAnswer("a patient without a usable number")
    return number, f"urn:oid:{custodian.get('root')}"


def read_found(
    body: bytes, content_type: str, holder: Holder, asked: Question, number: PatientIdentifier
) -> tuple[tuple[DocumentEntry, ...], OutcomeKind, str]:
    """The documents in an answer, what became of the question, and words for it. Raises BadAnswer."""
    message = payload_of(body, content_type, QUERY, "AdhocQueryResponse")
    errors = {one.get("errorCode", "") for one in message.iter(named(names.RS, "RegistryError"))}
    listed = message.find(named(RIM, "RegistryObjectList"))
    if "XDSUnknownPatientId" in errors:
        return (), OutcomeKind.WITHHELD, ""
    if message.get("status") == names.FAILURE or listed is None:
        raise BadAnswer("the question was refused")
    try:
        if len(listed) > MAX_ENTRIES:
            raise BadAnswer(f"more than {MAX_ENTRIES} entries")
        found = tuple(
            read_entry(one, holder, asked, number) for one in read_objects(listed) if one.kind != "Association"
        )
    except (SoapError, RegistryError, ValueError) as error:
        # whatever a peer sends costs its own line and nothing else; the text may quote what it sent
        raise BadAnswer(f"an entry that cannot be read ({type(error).__name__})") from error
    if len({one.id for one in found}) != len(found):
        raise BadAnswer("the same entry twice")
    partial = message.get("status") == names.PARTIAL
    return found, OutcomeKind.INCOMPLETE if partial else OutcomeKind.ANSWERED, "in part" if partial else ""


def read_references(body: bytes, content_type: str) -> tuple[str, ...]:
    """The entryUUIDs in an answer that lists which entries there are. Raises BadAnswer."""
    message = payload_of(body, content_type, QUERY, "AdhocQueryResponse")
    if message.get("status") != names.SUCCESS:
        raise BadAnswer("the question was refused")
    ids = tuple(dict.fromkeys(one.get("id", "") for one in message.iter(named(RIM, "ObjectRef"))))
    if not all(map(_UUID.fullmatch, ids)):
        raise BadAnswer("an entry whose id cannot be one")
    return ids


def read_entry(rim: RimObject, holder: Holder, asked: Question, number: PatientIdentifier) -> DocumentEntry:
    """A document as a gateway lists it. Raises BadAnswer, and what reading raises."""
    home = holder.community.home
    read = read_document(rim, registry_id="")
    entry = read.entry
    if rim.attributes.get("home", str(home)) != str(home) or entry.patient != number:
        raise BadAnswer("an entry about another patient")
    if entry.source_demographics is not None:
        refuse_other_person(PatientInQuestion((), entry.source_demographics), asked)
    if read.announced_size is None or entry.attachment.hash == NOT_KNOWN_HASH or read.repository is None:
        raise BadAnswer("a document without hash, size and repository")
    label = f"{holder.community.facility}.{entry.entry_uuid.removeprefix('urn:uuid:')}"
    return replace(as_remote(read, rim, entry_id=label, home=home), repository=read.repository)


def payload_of(body: bytes, content_type: str, namespace: str, name: str) -> XmlElement:
    """What the Body of an answer holds, packed or not. Raises BadAnswer for a fault and for anything else."""
    try:
        envelope = _unpacked(body, content_type)
        root = parse_xml_bytes(envelope, max_bytes=MAX_BYTES)
    except (XmlRefused, RegistryError, SoapError, StopIteration, ValueError) as error:
        raise BadAnswer("no message that can be read") from error
    found = root.find(f"{named(SOAP, 'Body')}/{named(namespace, name)}")
    if found is None:
        raise BadAnswer("a fault, or another message than was asked for")
    return found


def _unpacked(body: bytes, content_type: str) -> bytes:
    if media_type(content_type).value != "multipart/related":
        return body
    root = next(read_parts((body,), boundary_of(content_type, XOP_XML)))
    return b"".join(root.chunks)


def read_content(chunks: Iterable[bytes], content_type: str, unique_id: str) -> Iterator[bytes]:
    """The bytes of the one document that was asked for, as they come.

    Raises NotFound where the holder has none to show, BadAnswer where what it sends cannot be used.
    """
    if media_type(content_type).value != "multipart/related":
        yield from _inline(chunks, unique_id)
        return
    try:
        parts = read_parts(chunks, boundary_of(content_type, XOP_XML))
        href = _reference(_whole(next(parts)), unique_id)
        for part in parts:
            if part.headers.get("content-id", "").strip("<> ") == href:
                yield from part.chunks
                return
    except NotFound:
        raise
    except (RegistryError, SoapError, StopIteration) as error:
        raise BadAnswer("no package that can be read") from error
    raise BadAnswer("the document is not in the answer")


def _whole(part: Part) -> bytes:
    found = bytearray()
    for piece in part.chunks:
        found += piece
        if len(found) > MAX_BYTES:
            raise BadAnswer("an envelope that is too large")
    return bytes(found)


def _inline(chunks: Iterable[bytes], unique_id: str) -> Iterator[bytes]:
    found = bytearray()
    for piece in chunks:
        found += piece
        if len(found) > ENVELOPE_LIMIT:
            raise BadAnswer("a document inside an envelope that is too large")
    element = _document_element(bytes(found), unique_id)
    try:
        yield base64.b64decode("".join((element.text or "").split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadAnswer("content that is no base64") from error


def _reference(envelope: bytes, unique_id: str) -> str:
    include = _document_element(envelope, unique_id).find(named(XOP, "Include"))
    if include is None or not include.get("href", "").startswith("cid:"):
        raise BadAnswer("a document without its bytes")
    return unquote(include.get("href")[4:])


def _document_element(envelope: bytes, unique_id: str) -> XmlElement:
    try:
        root = parse_xml_bytes(envelope, max_bytes=ENVELOPE_LIMIT)
    except XmlRefused as error:
        raise BadAnswer("no message that can be read") from error
    for one in root.iter(named(XDS, "DocumentResponse")):
        if text_of(one.find(named(XDS, "DocumentUniqueId"))) == write_unique_id(unique_id):
            element = one.find(named(XDS, "Document"))
            if element is not None:
                return element
    if {one.get("errorCode") for one in root.iter(named(names.RS, "RegistryError"))} & _ABSENT:
        raise NotFound("this document of another hospital")
    raise BadAnswer("the document is not in the answer")
