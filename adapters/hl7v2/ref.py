"""REF^I12 and I13: a patient is referred to another hospital, which opens the referral here as insurance table 13 does.

The slip becomes a referral note for doctors, and the referral is told to the receiving hospital as soon as the patient
has asked for that. The same number again is the same referral, as it now stands.

Source: HL7 2.5.1, chapter 11: 11.3.1 (REF/RRI), 11.6.1 (RF1), 11.6.3 (PRD), tables 0286 and 0336
"""

from __future__ import annotations

from collections.abc import Iterator

from adapters.hl7v2.authorities import Receiver
from adapters.hl7v2.documents import Body, Facts, documents, read_body, source_key
from adapters.hl7v2.errors import BadValue, MissingField, UnknownKey
from adapters.hl7v2.exchanges import Exchange, Read, events
from adapters.hl7v2.message import Message, Segment
from adapters.hl7v2.patient import read_patient
from adapters.hl7v2.values import Moment, read_moment
from adapters.hl7v2.visit import read_diagnoses, visit_key
from consent.closed_lists import sensitivity
from registry.coded import REFERRAL_NOTE, CodedValue
from registry.commands import ProvideSubmission
from registry.errors import InvalidValue
from registry.identifiers import FacilityCode
from registry.submissions import Referral, Submission
from registry.vietnamese import composed

MAX_FILES = 4
_TITLE = "Phiếu chuyển cơ sở khám bệnh, chữa bệnh"
_LONGEST_NUMBER = 64
_REFERRING, _REFERRED_TO = frozenset({"RP"}), frozenset({"RT"})
"""PRD-1, table 0286."""

_PLACES = ((10, 10), (10, 3), (7, 1), (4, 4))
"""Where PRD may say which hospital it is: its organization (from 2.6 on), its identifier, the facility of its place."""


def decode(message: Message, receiver: Receiver) -> Read:
    """The slip as a document, and the referral."""
    rf1 = message.one("RF1")
    number = rf1.required(6)
    if len(number) > _LONGEST_NUMBER or not number.isprintable():
        raise BadValue(
            rf1.location(6), f"expected a number of at most {_LONGEST_NUMBER} characters; nothing was stored"
        )
    _refuse_other_sender(message, receiver)
    to = _receiving(message, receiver)
    patient = read_patient(message.patient(), message, receiver)
    diagnoses, words = read_diagnoses(message)
    reasons = "; ".join(filter(None, (composed(each.text(2) or each.text(1)) for each in rf1.repetitions(10))))
    signed = _signed(rf1, message)
    facts = _facts(message, number, signed, diagnoses)
    body = _body(message, {"number": number, "from": str(receiver.facility), "to": str(to)}, words, reasons)
    made = documents(facts, body, patient, receiver)
    forms = {source_key(receiver, facts.key, form) for form in ("", *(f"file {n + 1}" for n in range(MAX_FILES)))}
    closed = bool(sensitivity(diagnoses, texts=tuple(filter(None, (words, reasons)))))
    if closed:
        message.note("the referral goes without diagnoses and reason: closed list")
    referral = Referral(
        number,
        receiver.facility,
        to,
        signed.at if signed else None,
        () if closed else diagnoses,
        None if closed else reasons[:500] or None,
    )
    withdrawn = tuple(sorted(forms - {one.source_key or "" for one in made}))
    return Read((ProvideSubmission(Submission(patient.mention, made, referral=referral, withdrawn=withdrawn)),))


def _receiving(message: Message, receiver: Receiver) -> FacilityCode:
    """The hospital that the patient goes to. Raises MissingField, UnknownKey or BadValue."""
    found = [prd for prd in message.all("PRD") if prd.text(1).upper() in _REFERRED_TO]
    if not found:
        raise MissingField("PRD^1^1")
    told = next(filter(None, map(_facility, found)), None)
    if told is None:
        raise UnknownKey(
            found[0].location(7), "expected the facility code of the receiving hospital; nothing was stored"
        )
    if told == receiver.facility:
        raise BadValue(
            found[0].location(7), "this hospital itself; a referral leads to another one; nothing was stored"
        )
    return told


def _refuse_other_sender(message: Message, receiver: Receiver) -> None:
    """A hospital opens its own referrals and nobody else's."""
    for prd in message.all("PRD"):
        told = _facility(prd) if prd.text(1).upper() in _REFERRING else None
        if told is not None and told != receiver.facility:
            raise UnknownKey(prd.location(7), "another hospital refers here than this one; nothing was stored")


def _facility(prd: Segment) -> FacilityCode | None:
    for field, component in _PLACES:
        try:
            return FacilityCode(prd.text(field, component).upper().replace("-", ""))
        except InvalidValue:
            continue
    return None


def _signed(rf1: Segment, message: Message) -> Moment | None:
    """RF1-7, when it takes effect."""
    told = rf1.text(7)
    found = read_moment(told)
    if told and found is None:
        message.note("RF1-7 is no time that exists; it counts as unknown")
    return found


def _facts(message: Message, number: str, signed: Moment | None, diagnoses: tuple[CodedValue, ...]) -> Facts:
    authority = message.one("RF1").text(6, 2) or message.header.text(3)
    return Facts(
        key=("REF", authority, number),
        title=_TITLE,
        type=REFERRAL_NOTE,
        category=REFERRAL_NOTE,
        heads=(_TITLE.upper(),),
        codes=diagnoses,
        visit=visit_key(message),
        written=signed,
    )


def _body(message: Message, slip: dict[str, str], diagnosis: str, reasons: str) -> Body:
    """What doctors read: where from and where to, why, and whatever the message tells in OBX and NTE."""
    told = read_body([each for each in message.segments if each.name in ("OBX", "NTE")], message)
    if len(told.files) > MAX_FILES:
        raise BadValue("OBX", f"more than {MAX_FILES} files in one referral; nothing was stored")
    sections = {heading: lines for heading, lines in _sections(slip, diagnosis, reasons) if any(lines)}
    for heading, lines in told.sections.items():
        sections[heading] = [*sections.get(heading, ()), *lines]
    return Body(sections, told.files)


def _sections(slip: dict[str, str], diagnosis: str, reasons: str) -> Iterator[tuple[str, list[str]]]:
    yield (
        "",
        [
            f"Nơi chuyển đi: {slip['from']}",
            f"Nơi chuyển đến: {slip['to']}",
            f"Số chuyển tuyến: {slip['number']}",
        ],
    )
    yield "CHẨN ĐOÁN", [diagnosis]
    yield "LÝ DO CHUYỂN", [reasons]


EXCHANGE = Exchange(
    "REF-I12",
    "Patient referral",
    source="HL7 2.5.1: 11.3.1",
    events=events("REF", "I12", "I13"),
    decode=decode,
)
