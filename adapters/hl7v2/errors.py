"""What is wrong with an HL7 message, as nouns.

Hl7Fault
├── Malformed               no message: no header, two headers, bytes of no character set, out of order
├── MissingField            a required field is empty
├── BadValue                a field that its data type, or this door's bounds, do not allow
├── BeyondBounds            reading it took more time or memory than one message may have
├── UnknownCode             a code, parameter or name that is in none of the tables
├── UnknownKey              a number or an authority that nobody here knows
├── SenderNotAllowed        MSH-3 and MSH-4 name a system that is not on the list
├── UnsupportedMessage      a type of message that is not spoken here
├── UnsupportedEvent        a known type, another event
├── UnsupportedProcessing   training or debugging messages at a node that treats patients
└── UnsupportedVersion      not of the 2.x family that is read here

`location` is as ERR-2 wants it: segment, its number, field, repetition, component. Texts hold no value of the message.
"""

from __future__ import annotations


class Hl7Fault(Exception):
    """Base of everything that is wrong with a message itself."""

    def __init__(self, location: str, text: str) -> None:
        self.location, self.text = location, text
        super().__init__(f"{location or 'message'}: {text}")


class Malformed(Hl7Fault):
    """No message, or one whose segments make no sense in this order (HL7 table 0357: 100)."""


class MissingField(Hl7Fault):
    """A required field is empty (101)."""

    def __init__(self, location: str) -> None:
        super().__init__(location, "this field is required; nothing was stored")


class BadValue(Hl7Fault):
    """A value that its data type does not allow, or beyond the bounds of this door (102)."""


class BeyondBounds(Hl7Fault):
    """Reading it took more time or memory than one message may have (207)."""

    def __init__(self) -> None:
        super().__init__("", "took more time or memory than one message may have; nothing was stored")


class UnknownCode(Hl7Fault):
    """A value that is in none of the tables (103)."""


class UnknownKey(Hl7Fault):
    """A number or an authority that nobody here knows (204)."""


class SenderNotAllowed(Hl7Fault):
    """MSH-3 and MSH-4 name a system that the settings do not list (103)."""

    def __init__(self) -> None:
        super().__init__("MSH^1^3", "this sending application and facility are not on the list; nothing was stored")


class UnsupportedMessage(Hl7Fault):
    """A type of message that is not spoken here (200)."""

    def __init__(self) -> None:
        super().__init__("MSH^1^9^1^1", "this type of message is not spoken here; nothing was stored")


class UnsupportedEvent(Hl7Fault):
    """A type that is spoken, with an event that is not (201)."""

    def __init__(self) -> None:
        super().__init__("MSH^1^9^1^2", "this event is not spoken here; nothing was stored")


class UnsupportedProcessing(Hl7Fault):
    """Training and debugging messages have no place among patients (202)."""

    def __init__(self) -> None:
        super().__init__("MSH^1^11", "expected P: this node keeps the records of patients; nothing was stored")


class UnsupportedVersion(Hl7Fault):
    """Not of the 2.x family (203)."""

    def __init__(self) -> None:
        super().__init__("MSH^1^12", "expected a version from 2.1 to 2.9; nothing was stored")
