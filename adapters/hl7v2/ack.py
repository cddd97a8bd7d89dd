"""What is answered to a message: one table from every error to its code, and the bytes of ACK and RSP.

Original mode answers AA, AE or AR. Enhanced mode (MSH-15, MSH-16) answers first whether the message is safe here, then
what became of it, as far as the sender wants to hear either. A sender that wants to hear only of its safety is told CE
where its message had no effect: it would believe it delivered.

Source: HL7 2.8, chapter 2: 2.9 (acknowledgement modes), 2.14.1 to 2.14.13 (ERR, MSA), tables 0008, 0155 and 0357
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from adapters.hl7v2 import errors as hl7
from adapters.hl7v2.charsets import UTF_8, encode
from adapters.hl7v2.exchanges import Reply
from adapters.hl7v2.message import Delimiters, Message, echoed, header_field, spoken_version
from adapters.hl7v2.patient import segment
from adapters.hl7v2.values import written_moment
from consent import errors as consent
from registry import errors as registry

AE, AR = "AE", "AR"
_HEADER_ENDS: dict[tuple[int, ...], int] = {(2, 1): 14, (2, 2): 17}
"""The last field of MSH before there was one for the character set."""
UNEXPECTED = "Something went wrong here; the message was not carried out."
_NOTHING = "nothing was stored"

CODES: dict[type[Exception], tuple[str, int, str, str]] = {
    hl7.Hl7Fault: (AE, 207, "", ""),
    hl7.Malformed: (AE, 100, "", ""),
    hl7.MissingField: (AE, 101, "", ""),
    hl7.BadValue: (AE, 102, "", ""),
    hl7.BeyondBounds: (AE, 207, "", ""),
    hl7.UnknownCode: (AE, 103, "", ""),
    hl7.UnknownKey: (AE, 204, "", ""),
    hl7.SenderNotAllowed: (AR, 103, "", ""),
    hl7.UnsupportedMessage: (AR, 200, "", ""),
    hl7.UnsupportedEvent: (AR, 201, "", ""),
    hl7.UnsupportedProcessing: (AR, 202, "", ""),
    hl7.UnsupportedVersion: (AR, 203, "", ""),
    registry.RegistryError: (AE, 207, "", UNEXPECTED),
    registry.InvalidValue: (AE, 102, "", f"a value is not of the form that its standard allows; {_NOTHING}"),
    registry.InvalidIdentifier: (AE, 102, "", f"an identifier has not the form that its system prescribes; {_NOTHING}"),
    registry.Unreadable: (AE, 102, "", f"the content is not what it says it is; {_NOTHING}"),
    registry.TooLarge: (AR, 102, "", f"larger than this door allows; {_NOTHING}"),
    registry.SubmissionRejected: (AE, 207, "", f"refused as a whole; {_NOTHING}"),
    registry.ChangeRejected: (AE, 207, "", f"refused as a whole; {_NOTHING}"),
    registry.OtherPatient: (AE, 207, "", f"refused as a whole; {_NOTHING}"),
    registry.StillReferenced: (AE, 207, "", f"refused as a whole; {_NOTHING}"),
    registry.LeftAlone: (AE, 207, "", f"refused as a whole; {_NOTHING}"),
    registry.StillRegistered: (AE, 207, "", f"refused as a whole; {_NOTHING}"),
    registry.UnknownPatient: (AE, 204, "PID^1^3^1^1", f"this patient is not known here; {_NOTHING}"),
    registry.PatientMismatch: (
        AE,
        204,
        "PID^1^3^1^1",
        f"the message describes somebody else than it belongs to; {_NOTHING}",
    ),
    registry.NonIdenticalContent: (AE, 205, "", f"this id is known with another content; {_NOTHING}"),
    registry.NonIdenticalHash: (AE, 205, "", f"this id is known with another content; {_NOTHING}"),
    registry.NonIdenticalSize: (AE, 205, "", f"this id is known with another content; {_NOTHING}"),
    registry.DuplicateUniqueId: (AE, 205, "", f"the same id stands for two things; {_NOTHING}"),
    registry.MissingContent: (AE, 101, "", f"the content is missing; {_NOTHING}"),
    registry.UnresolvedReference: (AE, 204, "", f"points to something that is not here; {_NOTHING}"),
    registry.ConditionFitsSeveral: (AE, 205, "", f"several fit the condition; {_NOTHING}"),
    registry.DeprecatedTarget: (
        AE,
        204,
        "PID^1^3^1^1",
        f"this was merged or replaced before and is not used any more; {_NOTHING}",
    ),
    registry.ForeignDomain: (AE, 204, "PID^1^3^1^4", f"numbers of this authority are not this hospital's; {_NOTHING}"),
    registry.WrongId: (AE, 204, "PID^1^3^1", f"the message names another record; {_NOTHING}"),
    registry.UnknownAuthority: (AE, 204, "PID^1^3^1^4", "this assigning authority is not known here"),
    registry.UnknownTargetSystem: (AE, 204, "", "this target domain is not known here"),
    registry.NotFound: (AE, 204, "PID^1^3^1^1", "not known here"),
    registry.NoSuchRepository: (AE, 204, "PID^1^3^1^1", "not known here"),
    registry.NoSuchCommunity: (AE, 204, "PID^1^3^1^1", "not known here"),
    registry.OtherForm: (AE, 204, "", "not here any more"),
    registry.Gone: (AE, 204, "", "not here any more"),
    registry.NotUnique: (AE, 204, "PID^1^3^1^1", "more than one fits; one more detail is needed"),
    registry.VersionConflict: (AE, 206, "", "changed by somebody else at the same time; nothing was changed"),
    registry.StorageUnavailable: (AR, 207, "", "this node cannot store anything now; send it again"),
    registry.NotDrawable: (AE, 207, "", UNEXPECTED),
    registry.ArchiveUnavailable: (AR, 207, "", "the archive does not answer now; send it again"),
    consent.ConsentError: (AE, 207, "", UNEXPECTED),
    consent.InvalidConsent: (AE, 207, "", UNEXPECTED),
    consent.EvidenceMissing: (AE, 207, "", UNEXPECTED),
    consent.RepresentativeMissing: (AE, 207, "", UNEXPECTED),
    consent.InvalidReceipt: (AE, 207, "", UNEXPECTED),
    consent.EmergencyRefused: (AE, 207, "", UNEXPECTED),
    consent.SubscriptionRefused: (AE, 207, "", UNEXPECTED),
    consent.ErasureRefused: (AE, 207, "", UNEXPECTED),
    consent.ReleaseRefused: (AE, 207, "", UNEXPECTED),
    consent.QuotaReached: (AE, 207, "", UNEXPECTED),
    consent.TokenRefused: (AR, 207, "", UNEXPECTED),
    consent.TokenReplayed: (AR, 207, "", UNEXPECTED),
    consent.ScopeMissing: (AR, 207, "", UNEXPECTED),
}
"""Error to MSA-1, code of table 0357, ERR-2 and text; Hl7Fault brings its own place and words. Nothing personal."""

_TEXTS_0357 = {
    0: "Message accepted",
    100: "Segment sequence error",
    101: "Required field missing",
    102: "Data type error",
    103: "Table value not found",
    200: "Unsupported message type",
    201: "Unsupported event code",
    202: "Unsupported processing id",
    203: "Unsupported version id",
    204: "Unknown key identifier",
    205: "Duplicate key identifier",
    206: "Application record locked",
    207: "Application internal error",
}
_ACCEPT = {"AA": "CA", AE: "CE", AR: "CR"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a message. `code` is MSA-1 in original mode."""

    code: str = "AA"
    number: int = 0
    location: str = ""
    text: str = ""
    transient: bool = False


ACCEPTED = Verdict()


def verdict(error: Exception, *, location: str = "") -> Verdict:
    """Any exception as HL7 answers it; one that is not of the rooms says nothing of its inside."""
    kind = next((each for each in type(error).__mro__ if each in CODES), None)
    if kind is None:
        return Verdict(AE, 207, "", UNEXPECTED)
    code, number, where, text = CODES[kind]
    if isinstance(error, hl7.Hl7Fault):
        where, text = error.location, error.text
    # what is wrong with the header says that nothing of the message was understood (HL7 2.8: 2.9.2.2)
    code = AR if where.startswith("MSH") and isinstance(error, hl7.Hl7Fault) else code
    return Verdict(code, number, location or where, text, isinstance(error, registry.StorageUnavailable))


@dataclass(frozen=True, slots=True)
class Sender:
    """What is needed of a message to answer it, also where it could not be read."""

    header: tuple[str, ...]
    event: str
    signs: Delimiters
    charset: str

    def field(self, number: int) -> str:
        return self.header[number - 1]

    @property
    def version(self) -> tuple[int, ...]:
        """Of which the answer is: the sender's own."""
        return spoken_version(self.field(12))


def sender_of(message: Message | None, data: bytes) -> Sender:
    """From the message, or from what of its header can be made out."""
    if message is None:
        safe = [_harmless(header_field(data, number)) for number in range(1, 19)]
        event = safe[8].split("^")[1][:3] if safe[8].count("^") else ""
        return Sender(tuple(safe), event, Delimiters(), UTF_8)
    header = tuple(echoed(message.header.field(number)) for number in range(1, 19))
    return Sender(header, message.kind[1], message.delimiters, message.charset)


def _harmless(text: str) -> str:
    """A field of a header that could not be read, as far as it can be echoed."""
    return text[:199] if text.isascii() and text.isprintable() and "|" not in text else ""


def answers(
    sender: Sender, verdict_: Verdict, *, now: datetime, reply: Reply | None = None, notes: Sequence[str] = ()
) -> list[bytes]:
    """The messages that answer, none to two of them, without framing."""
    accept, application = sender.field(15).upper(), sender.field(16).upper()
    if not accept and not application:
        return [_message(sender, verdict_, verdict_.code, now=now, reply=reply, notes=notes)]
    good = verdict_.code == "AA"
    tells = _wanted(application, good)
    reached = good or (tells and verdict_.code == AE)
    found = []
    if _wanted(accept, reached):
        found.append(_message(sender, verdict_, "CA" if reached else _refusal(verdict_), now=now))
    if tells and (reached or not found):
        found.append(_message(sender, verdict_, verdict_.code, now=now, reply=reply, notes=notes))
    return found


def _refusal(verdict_: Verdict) -> str:
    return "CE" if verdict_.transient else _ACCEPT[verdict_.code]


def _wanted(condition: str, good: bool) -> bool:
    """Table 0155: always, never, on error, on success. An empty one beside a filled one is never."""
    return condition == "AL" or (condition == "ER" and not good) or (condition == "SU" and good)


def _message(
    sender: Sender,
    verdict_: Verdict,
    code: str,
    *,
    now: datetime,
    reply: Reply | None = None,
    notes: Sequence[str] = (),
) -> bytes:
    signs = sender.signs
    is_old = sender.version < (2, 5)
    error = verdict_ if code not in ("AA", "CA") else None
    segments = [_msa(sender, error, code, is_old)]
    if error is not None:
        segments.append(_err(error, "E", signs, is_old))
    elif not is_old and code == "AA":
        segments += [_err(Verdict(text=note), "W", signs, is_old) for note in notes[:5]]
    segments += reply.segments if reply else ()
    kind = reply.kind if reply else _ack_kind(sender)
    kind = kind if sender.version >= (2, 3, 1) else kind[:2]  # there was no third part before
    body = "".join(f"{each}\r" for each in segments)
    head = _msh(sender, kind, code, now)
    charset = encode(head + body, sender.charset)[1]
    whole = f"{head}{signs.field}{charset}".split(signs.field)[: _HEADER_ENDS.get(sender.version)]
    return encode(f"{signs.field.join(whole).rstrip(signs.field)}\r{body}", sender.charset)[0]


def _ack_kind(sender: Sender) -> tuple[str, ...]:
    return ("ACK", sender.signs.written(sender.event), "ACK") if sender.event else ("ACK",)


def _msh(sender: Sender, kind: Sequence[str], code: str, now: datetime) -> str:
    """MSH-1 to 17: who sent it is answered; the control id follows from the sender's, so a resend gets the same."""
    signs = sender.signs
    told = signs.field.join((*(sender.field(number) for number in (3, 4, 10)), code))
    own_id = sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:20]
    fields = {
        2: sender.field(5),
        3: sender.field(6),
        4: sender.field(3),
        5: sender.field(4),
        6: written_moment(now),
        8: signs.component.join(kind),
        9: own_id,
        10: sender.field(11) or "P",
        11: ".".join(map(str, sender.version)),
        16: sender.field(17),
    }
    if sender.field(15) or sender.field(16):
        fields |= {14: "NE", 15: "NE"}
    rest = signs.field.join(fields.get(number, "") for number in range(2, 17))
    return f"MSH{signs.field}{signs.encoding}{signs.field}{rest}"


def _msa(sender: Sender, error: Verdict | None, code: str, is_old: bool) -> str:
    text = sender.signs.written(error.text) if error and is_old else ""
    return segment("MSA", {1: code, 2: sender.field(10), 3: text[:80]}, sender.signs)


def _err(error: Verdict, severity: str, signs: Delimiters, is_old: bool) -> str:
    """ERR as of 2.5; before, it has one field, which says where and what, and the words stand in MSA-3."""
    name = _TEXTS_0357[error.number]
    if is_old:
        place = [*error.location.split("^"), "", "", ""][:3]
        what = signs.subcomponent.join((str(error.number), name, "HL70357"))
        return segment("ERR", {1: signs.component.join((*place, what))}, signs)
    at = signs.component.join(signs.written(part) for part in error.location.split("^")) if error.location else ""
    fields = {
        2: at,
        3: signs.component.join((str(error.number), name, "HL70357")),
        4: severity,
        8: signs.written(error.text),
    }
    return segment("ERR", fields, signs)
