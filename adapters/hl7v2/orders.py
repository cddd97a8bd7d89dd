"""OMG and ORM: an order on its way asks whether it has been done, here or elsewhere; the answer stands in its reply.

The node fills no order. It answers with what is known, one NTE for each earlier examination, and one for hospitals that
did not answer; what is done with it is the doctor's decision. A cancelled or changed order is only acknowledged.

Source: HL7 2.8, chapter 4: 4.4.1 (OMG^O19, ORG^O20), 4.4.6 (ORM^O01, ORR^O02); design section 10
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from adapters.hl7v2.authorities import Receiver
from adapters.hl7v2.exchanges import Exchange, Read, Reply, events
from adapters.hl7v2.message import Message, Segment
from adapters.hl7v2.oru import ordered_services
from adapters.hl7v2.patient import read_patient, segment
from registry.advice import CheckOrder, OrderAdvice, RequestedService
from registry.done_before import Match
from registry.people import PatientInQuestion
from registry.searches import PatientSelector

ASKING = frozenset({"ORM", "OMG"})
"""Messages that may ask other hospitals: nothing else of their sender waits inside one transaction with them."""

NEW = frozenset({"NW", ""})
MOST_NOTES, LONGEST_NOTE = 5, 400
_REPLIES = {"ORM": ("ORR", "O02", "ORR_O02"), "OMG": ("ORG", "O20", "ORG_O20")}


def decode(message: Message, receiver: Receiver) -> Read:
    """One question for all new orders of the message."""
    patient = read_patient(message.patient(), message, receiver)
    requested = tuple(_requested(message))
    if not requested:
        return Read()
    person = next((orc.text(12) for orc in message.all("ORC") if orc.text(12)), "")
    whose = PatientSelector(described=PatientInQuestion((patient.identifier,)))
    return Read((CheckOrder(whose, requested, via="hl7v2", person=person[:64]),))


def _requested(message: Message) -> Iterator[RequestedService]:
    control, placer = "", ""
    diagnoses = tuple(code for dg1 in message.all("DG1") if (code := dg1.text(3)))
    for each in message.segments:
        if each.name == "ORC":
            control, placer = each.text(1).upper(), each.text(2)
        elif each.name == "OBR" and control in NEW:
            yield _service(each, placer, diagnoses)


def _service(obr: Segment, placer: str, diagnoses: tuple[str, ...]) -> RequestedService:
    services = ordered_services(obr)
    texts = tuple(one.display for one in services if one.display)
    return RequestedService((obr.text(2) or placer)[:64], services, texts, diagnoses)


def reply(results: Sequence[OrderAdvice], message: Message, receiver: Receiver) -> Reply:
    """What was done before, as notes."""
    lines = [line for advice in results for line in _lines(advice)]
    notes = [
        segment("NTE", {1: str(place), 3: message.delimiters.written(line[:LONGEST_NOTE])}, message.delimiters)
        for place, line in enumerate(lines, 1)
    ]
    return Reply(_REPLIES[message.kind[0]], tuple(notes))


def _lines(advice: OrderAdvice) -> Iterator[str]:
    if advice.not_unique:
        yield "Có nhiều người bệnh phù hợp; chưa thể trả lời."
    for one in advice.advices:
        for match in one.matches[:MOST_NOTES]:
            yield _line(match, advice)
    if advice.advices and advice.missing:
        yield f"Chưa có câu trả lời của: {', '.join(line.community.name for line in advice.missing)}"


def _line(match: Match, advice: OrderAdvice) -> str:
    earlier = match.earlier
    when = f"{earlier.performed:%d/%m/%Y}" if earlier.performed else "không rõ ngày"
    ago = f" ({match.age_days} ngày trước)" if match.age_days is not None else ""
    told = f"Đã thực hiện: {earlier.title or 'không rõ tên'}, {when}{ago}, {advice.place(earlier.home)}"
    conclusion = " ".join(earlier.conclusion.split())
    return f"{told}. Kết luận: {conclusion}" if conclusion else told


EXCHANGE = Exchange(
    "OMG-O19",
    "Order, asked whether it has been done before",
    source="HL7 2.8: 4.4.1, 4.4.6",
    events=events("OMG", "O19") | events("ORM", "O01"),
    decode=decode,
    reply=reply,
)
