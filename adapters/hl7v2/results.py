"""The numbers of a report as facts: value, unit, range and flag as the laboratory sent them, nothing converted.

Codes and units get beside them what the hospital's maps say they are; what no map holds stays as it is.
What is no number stays in the text of the report alone, and so does what is not final.

Source: HL7 2.8, chapter 7: 7.4.2 (OBX), tables 0125 and 0078; 2A.2.68 (SN)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from adapters.hl7v2.authorities import Receiver
from adapters.hl7v2.documents import FINAL
from adapters.hl7v2.message import Message, Segment
from adapters.hl7v2.values import Moment, read_moment
from registry.clinical import Result
from registry.coded import LOINC, CodedValue
from registry.vietnamese import composed

MAX_RESULTS = 1_000
"""Values of one report."""

_LONGEST_NAME, _LONGEST_VALUE = 255, 64
_NUMBER = re.compile(r"(?:[<>]=?|=)?\s*[+-]?\d{1,18}(?:[.,]\d{1,17})?", re.ASCII)


def numeric_results(
    lines: Iterable[Segment], message: Message, receiver: Receiver, *, performed: Moment | None
) -> tuple[Result, ...]:
    """Of the OBX among these lines. `performed` is the time of those that have none of their own (OBX-14)."""
    found: list[Result] = []
    for obx in lines:
        if obx.name != "OBX" or obx.text(2).upper() not in ("NM", "SN", "ST") or obx.text(11).upper() not in FINAL:
            continue
        result = _result(obx, message, receiver, performed)
        if result is None:
            continue
        if len(found) == MAX_RESULTS:
            message.note(f"more than {MAX_RESULTS} values in one report; the others stand in its text alone")
            break
        found.append(result)
    return tuple(found)


def _result(obx: Segment, message: Message, receiver: Receiver, performed: Moment | None) -> Result | None:
    kind, value = obx.text(2).upper(), _value(obx)
    name = composed(obx.text(3, 2) or obx.text(3, 5) or obx.text(3, 1))[:_LONGEST_NAME]
    if not value or len(value) > _LONGEST_VALUE or _NUMBER.fullmatch(value) is None:
        if value and kind == "NM":
            message.note("OBX-5 is no number although OBX-2 says so; it stands in the text of the report")
        return None
    own = read_moment(obx.text(14))
    when = own if own and own.is_exact else performed
    unit = composed(obx.text(6, 1) or obx.text(6, 2))[:_LONGEST_VALUE]
    return Result(
        name or "Kết quả",
        value,
        receiver.maps.result(_codes(obx, receiver)),
        unit,
        when.at if when and when.is_exact else None,
        normal=composed(obx.first(7).whole().strip())[:_LONGEST_NAME],
        flags=tuple(flag[:_LONGEST_VALUE] for each in obx.repetitions(8) if (flag := each.text())),
        corrected=obx.text(11).upper() == "C",
        unit_code=receiver.maps.unit(unit),
    )


def _value(obx: Segment) -> str:
    """OBX-5; a structured one (SN) is a sign and a number, and one of two numbers is none."""
    if obx.text(2).upper() != "SN":
        return obx.text(5)
    return "".join(obx.text(5, part) for part in range(1, 5))


def _codes(obx: Segment, receiver: Receiver) -> Iterator[CodedValue]:
    """OBX-3, LOINC first: a code of a system that nobody here knows is the laboratory's own."""
    found = []
    for start in (1, 4):
        code, display, system = (obx.text(3, start + offset)[:_LONGEST_NAME] for offset in range(3))
        if code:
            named = LOINC if system.upper() in ("LN", "LOINC") else receiver.systems.get(system.upper())
            found.append(CodedValue(code, named, composed(display) or None))
    yield from dict.fromkeys(sorted(found, key=lambda one: one.system != LOINC))
