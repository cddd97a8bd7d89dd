"""Documents of reports that come as HL7 v2: the text as Vietnamese doctors read it, and files that came along.

The sender's own number of a report is its key: sent again with the same words it changes nothing, with others it
replaces what was there. A text that is not final never becomes a document.

Source: HL7 2.8, chapter 7: 7.4.2 (OBX), tables 0085 and 0125; 2A.2.24 (ED)
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha1
from uuid import UUID, uuid5

from adapters.hl7v2.authorities import Receiver
from adapters.hl7v2.errors import BadValue
from adapters.hl7v2.message import MAX_TEXT, Field, Message, Segment
from adapters.hl7v2.patient import ReadPatient
from adapters.hl7v2.values import Moment
from registry.clinical import Result
from registry.coded import MIME_TYPE_SUFFICIENT, CodedValue
from registry.documents import Attachment, Author, DocumentEntry
from registry.identifiers import VISIT, PatientIdentifier
from registry.submissions import Bytes, SubmittedDocument

TEXT_TYPE = "text/plain; charset=utf-8"
LANGUAGE = "vi-VN"
FINAL = frozenset({"F", "C", "U", "A", ""})
WITHDRAWN = frozenset({"D", "W", "X"})
_NAMES = UUID("0a4a5f0f-3f60-5b57-8d2b-1f1f4b0f9b31")
_FILES = ((b"%PDF-", "application/pdf"), (b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n", "image/png"))
_HEADINGS = {
    "18782-3": "MÔ TẢ",
    "59776-5": "MÔ TẢ",
    "GDT": "MÔ TẢ",
    "19005-8": "KẾT LUẬN",
    "59777-3": "KẾT LUẬN",
    "IMP": "KẾT LUẬN",
    "55111-9": "KỸ THUẬT",
    "55115-0": "YÊU CẦU",
    "18834-2": "SO SÁNH",
    "18783-1": "ĐỀ NGHỊ",
    "REC": "ĐỀ NGHỊ",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a report beside its words.

    key        parts of the sender's own name of it
    heads      lines above the text
    codes      diagnoses and services, for the check against closed lists
    results    its values as facts, where some are numbers
    visit      the number of the stay or consultation (PV1-19)
    """

    key: tuple[str, ...]
    title: str
    type: CodedValue
    category: CodedValue
    format: CodedValue = MIME_TYPE_SUFFICIENT
    heads: tuple[str, ...] = ()
    setting: CodedValue | None = None
    events: tuple[CodedValue, ...] = ()
    codes: tuple[CodedValue, ...] = ()
    references: tuple[PatientIdentifier, ...] = ()
    results: tuple[Result, ...] = ()
    visit: str = ""
    author: str = ""
    performed: Moment | None = None
    written: Moment | None = None
    examination: str | None = None


@dataclass(slots=True)
class Body:
    """What the OBX of a report hold: lines under headings, and files; and where those stand that nobody could open."""

    sections: dict[str, list[str]] = field(default_factory=dict)
    files: list[tuple[bytes, str]] = field(default_factory=list)
    unusable: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        parts = [f"{heading}\n{text}" if heading else text for heading, text in self._joined() if text.strip()]
        return "\n\n".join(parts)

    def _joined(self) -> Iterable[tuple[str, str]]:
        return ((heading, "\n".join(lines).strip("\n")) for heading, lines in self.sections.items())


def source_key(receiver: Receiver, key: Sequence[str], form: str = "") -> str:
    """The sender's own name of a report, the same after every restart; `form` tells its files from its text."""
    return f"hl7v2:{_name(receiver, *key, form)}"


def _name(receiver: Receiver, *parts: str) -> UUID:
    place = [str(receiver.home), str(receiver.facility), *parts]
    return uuid5(_NAMES, json.dumps(place, ensure_ascii=False))


def read_body(observations: Iterable[Segment], message: Message) -> Body:
    """Text and files of the observations that stand; those that are preliminary or withdrawn are left out."""
    body = Body()
    heading = ""
    for segment in observations:
        if segment.name == "NTE":
            notes = (each.whole(longest=MAX_TEXT) for each in segment.repetitions(3))
            body.sections.setdefault(heading, []).extend(notes)
            continue
        if segment.text(11).upper() not in FINAL:
            message.note("an OBX that is not final was left out")
            continue
        heading = _add(body, segment, message) or heading
    if body.unusable and not body.files and not body.text:
        raise BadValue(body.unusable[0], "neither PDF nor picture, and nothing stands beside it; nothing was stored")
    return body


def _add(body: Body, obx: Segment, message: Message) -> str:
    """One observation; gives the heading under which notes after it belong."""
    kind = obx.text(2).upper()
    if kind == "ED":
        for each in obx.repetitions(5):
            content, found = _file(each)
            if found:
                body.files.append((content, found))
            else:
                message.note("OBX-5 holds a file that is neither PDF nor picture; left out")
                body.unusable.append(f"{each.location}^5")
        return ""
    if kind == "RP":
        message.note("OBX-5 points to a file elsewhere; not fetched")
        return ""
    code, name = obx.text(3, 1), obx.text(3, 2) or obx.text(3, 1)
    if kind in ("TX", "FT", "ST", ""):
        heading = _HEADINGS.get(code.upper().split("&")[0], name)
        lines = ["" if each.is_null else each.whole(longest=MAX_TEXT) for each in obx.repetitions(5)]
        body.sections.setdefault(heading, []).extend(lines)
        return heading
    value = _coded(obx) if kind in ("CE", "CWE", "CNE", "CF") else obx.first(5).whole()
    if kind == "SN":
        value = "".join(obx.text(5, part) for part in range(1, 5))
    unit, normal, flag = obx.text(6, 1), obx.first(7).whole(), obx.text(8)
    told = f"{name}: {value} {unit}".rstrip()
    extra = "; ".join(filter(None, (f"tham chiếu {normal}" if normal else "", flag)))
    body.sections.setdefault("", []).append(f"{told} ({extra})" if extra else told)
    return ""


def _coded(obx: Segment) -> str:
    return ", ".join(each.text(2) or each.text(1) for each in obx.repetitions(5))


def _file(each: Field) -> tuple[bytes, str]:
    """ED: application, type, subtype, encoding, content. Its first bytes tell what it is, or do not."""
    encoding, written = each.text(4).lower(), each.raw_component(5)
    if encoding not in ("base64", ""):
        raise BadValue(f"{each.location}^4", "expected Base64; nothing was stored")
    try:
        content = binascii.a2b_base64("".join(written.split()), strict_mode=True)
    except (binascii.Error, ValueError):
        raise BadValue(f"{each.location}^5", "not Base64; nothing was stored") from None
    return content, next((kind for start, kind in _FILES if content.startswith(start)), "")


def documents(facts: Facts, body: Body, patient: ReadPatient, receiver: Receiver) -> tuple[SubmittedDocument, ...]:
    """The text, where there is one, and each file."""
    made = []
    text = body.text
    if text:
        whole = "\n".join(filter(None, facts.heads)) + f"\n\n{text}\n"
        made.append(_document(whole.encode(), TEXT_TYPE, "", facts, patient, receiver, texts=(whole,)))
    for place, (content, kind) in enumerate(body.files, 1):
        made.append(_document(content, kind, f"file {place}", facts, patient, receiver, texts=(text,) if text else ()))
    return tuple(made)


def _document(
    content: bytes,
    content_type: str,
    form: str,
    facts: Facts,
    patient: ReadPatient,
    receiver: Receiver,
    *,
    texts: tuple[str, ...],
) -> SubmittedDocument:
    digest = sha1(content).hexdigest()  # noqa: S324 (the hash that IHE prescribes)
    unique = _name(receiver, *facts.key, form, digest)
    is_text = content_type == TEXT_TYPE
    written = facts.written or facts.performed
    entry = DocumentEntry(
        id=str(unique),
        entry_uuid=f"urn:uuid:{_name(receiver, *facts.key, form, digest, 'entry')}",
        unique_id=f"urn:uuid:{unique}",
        patient=patient.identifier,
        record_id="",
        attachment=Attachment(
            content_type=content_type,
            size=len(content),
            hash=digest,
            content_hash="",
            language=LANGUAGE,
            title=facts.title,
            creation=facts.written.fhir if facts.written else None,
        ),
        type=facts.type,
        categories=(facts.category,),
        format=facts.format if is_text else MIME_TYPE_SUFFICIENT,
        practice_setting=facts.setting,
        events=facts.events,
        authors=(Author(person=facts.author or None, institution=str(receiver.facility)),),
        date=written.at if written else None,
        start=facts.performed.at if facts.performed and facts.performed.is_exact else None,
        references=facts.references,
        encounters=(PatientIdentifier(f"{VISIT}:{receiver.facility}", facts.visit),) if facts.visit else (),
        source_patient=patient.identifier,
        source_demographics=patient.demographics,
        home=receiver.home,
        examination=facts.examination,
        results=facts.results if is_text else (),
    )
    key = source_key(receiver, facts.key, form)
    return SubmittedDocument(entry, Bytes(content), source_key=key, texts=texts, codes=facts.codes)
