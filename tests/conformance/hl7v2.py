"""HL7 v2 answers as two foreign libraries read them: hl7apy at its strictest, and the models of hl7types.

Both know the segments, groups, fields, data types and lengths of each version; hl7types also writes again what it has
understood, so that a field which a version does not have is seen to be missing. Tables are what neither looks at: those
few that an answer speaks in stand here.
Source: HL7 2.8, tables 0008, 0208, 0357, 0392 and 0516; chapter 5: 5.4 (the question is repeated as it was asked)
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any

import hl7types
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.core import Message
from hl7apy.exceptions import HL7apyException
from hl7apy.parser import parse_segments

CHARSETS = {"": "ascii", "UNICODE UTF-8": "utf-8", "8859/1": "latin-1", "windows-1258": "cp1258", "ASCII": "ascii"}
TABLES = {
    ("MSA", 1): {"AA", "AE", "AR", "CA", "CE", "CR"},
    ("QAK", 2): {"OK", "NF", "AE", "AR"},
    ("ERR", 4): {"E", "F", "I", "W"},
    ("QRI", 2): {"DB", "NA", "NP", "PH", "SS"},
}
CONDITIONS = {"0", *map(str, range(100, 104)), *map(str, range(200, 208))}
NO_NAME = "|~^^^^^^S"
"""PID-5 where a name is left out on purpose (IHE ITI TF-2: 3.9.4.2.2.6); an empty repetition is nothing to hl7types."""


def refuse_faulty(answer: bytes) -> None:
    found = faults(answer)
    assert not found, (found, answer)


def faults(answer: bytes) -> list[str]:
    """What is wrong with a message, by whom."""
    lines = _lines(answer)
    judged = _Judged([_with_control_id(line) for line in lines])
    return [*judged.by_hl7apy(), *judged.by_hl7types(), *judged.by_tables()]


def _with_control_id(line: str) -> str:
    """MSA-2 is required, and nobody can repeat a control id that was not sent: there alone it may be left out."""
    if not line.startswith("MSA") or len(fields := line.split(line[3])) > 2:
        return line
    assert fields[1] in ("AE", "AR")
    return line[3].join((*fields, "nobody"))


def _lines(answer: bytes) -> list[str]:
    assert answer.startswith(b"MSH") and answer.endswith(b"\r") and b"\n" not in answer
    header = dict(enumerate(answer.partition(b"\r")[0].split(answer[3:4]), 1))
    is_named = header[12] not in (b"2.1", b"2.2")  # before there was MSH-18, an answer was in the set of its question
    charset = CHARSETS[header.get(18, b"").decode("ascii")] if is_named else "utf-8"
    return answer.decode(charset).removesuffix("\r").split("\r")


class _Judged:
    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.field, self.component, self.repetition, self.escape, self.subcomponent = lines[0][3:8]
        header = lines[0].split(self.field)
        self.version, self.kind = header[11], header[8].split(self.component)

    @property
    def structure(self) -> str:
        """Where MSH-9 has no third part, its first two say it; of an acknowledgement the first."""
        return self.kind[2] if len(self.kind) > 2 else self.kind[0] if self.kind[0] == "ACK" else "_".join(self.kind)

    def by_hl7apy(self) -> Iterator[str]:
        if self.version == "2.1":  # there it wants a second part of every time, which the standard does not have
            return
        version = {"2.7.1": "2.7", "2.9": "2.8.2"}.get(self.version, self.version)  # the nearest before that it has
        structure = "RSP_K21" if (version, self.structure) == ("2.6", "RSP_K22") else self.structure
        signs = {
            "SEGMENT": "\r", "FIELD": self.field, "COMPONENT": self.component, "REPETITION": self.repetition,
            "ESCAPE": self.escape, "SUBCOMPONENT": self.subcomponent, "GROUP": "\r",
        }  # fmt: skip
        text = "\r".join(map(self._without_own_fields, self.lines)) + "\r"
        strict = VALIDATION_LEVEL.STRICT
        try:
            message = Message(structure, version=version, validation_level=strict, encoding_chars=signs)
            message.children = parse_segments(text, version, signs, strict, message.reference, find_groups=True)
            message.validate()
        except HL7apyException as fault:
            yield f"hl7apy: {type(fault).__name__} {fault}"

    def _without_own_fields(self, line: str) -> str:
        """From the third on, and what repeats there, a question's fields are the query's own; hl7apy knows no query."""
        fields = line.split(self.field)
        if line.startswith("QPD"):
            fields[3:] = [each.split(self.repetition)[0] for each in fields[3:4]]
        return self.field.join(fields)

    def by_hl7types(self) -> Iterator[str]:
        text = "\r".join(self.lines)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # of a segment that is out of place it only warns
                again = hl7types.encode_er7(hl7types.decode_er7(text, msg_cls=_model(self.version, self.structure)))
        except (AttributeError, LookupError, UserWarning, ValueError) as fault:
            yield f"hl7types: {type(fault).__name__} {fault}"
            return
        for sent, read in zip(self.lines, again.removesuffix("\r").split("\r"), strict=True):
            wanted = sent.replace(NO_NAME, NO_NAME.replace("~", ""))
            if not sent.startswith("QPD") and self._plain(read) != wanted:
                yield f"hl7types: of {sent} there is in {self.version} only {read}"

    def _plain(self, line: str) -> str:
        """Where a field had no parts yet, it writes their signs as text."""
        signs = {"S": self.component, "T": self.subcomponent, "R": self.repetition}
        for letter, sign in signs.items():
            line = line.replace(f"{self.escape}{letter}{self.escape}", sign)
        return line

    def by_tables(self) -> Iterator[str]:
        for line in self.lines:
            fields = dict(enumerate(line.split(self.field)))
            for (segment, number), allowed in TABLES.items():
                told = set(filter(None, fields.get(number, "").split(self.repetition)))
                if fields[0] == segment and not told <= allowed:
                    yield f"{segment}-{number}: {told - allowed}"
            if fields[0] == "ERR" and self._condition(fields) not in CONDITIONS:
                yield f"ERR: {self._condition(fields)} is not of table 0357"

    def _condition(self, fields: dict[int, str]) -> str:
        if 3 in fields:
            return fields[3].split(self.component)[0]
        return fields[1].split(self.component)[3].split(self.subcomponent)[0]


@cache
def _model(version: str, structure: str) -> Any:
    version = {"2.9": "2.8.2"}.get(version, version)  # the newest that it has
    messages = importlib.import_module(f"hl7types.hl7.v{version.replace('.', '_')}.messages")
    return getattr(messages, structure)
