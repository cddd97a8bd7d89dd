"""Whatever a message is turned into, it is read or refused in words, and answered."""

from __future__ import annotations

import random

import pytest
from samples import FOLDER, RECEIVER, sample

from adapters.hl7v2.ack import UNEXPECTED, answers, sender_of, verdict
from adapters.hl7v2.catalogue import exchange_of
from adapters.hl7v2.errors import Hl7Fault
from adapters.hl7v2.message import Message, read_message
from consent.errors import ConsentError
from registry.errors import RegistryError

_SIGNS = [b"|", b"^", b"~", b"&", b"\\", b"\r", b"\n", b"|||||", b'""', b"\\X0D\\"]
_PIECES = [*_SIGNS, b"MSH|", b"\x0b", b"\xff", b"\xc3", b"9" * 300]


def mutated(data: bytes, chance: random.Random) -> bytes:
    """A few changes at the level of segments, fields and bytes."""
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(data))
        match chance.randrange(5):
            case 0:
                data = data[:place] + chance.choice(_PIECES) + data[place:]
            case 1:
                data = data[:place] + data[place + chance.randint(1, 20) :]
            case 2:
                lines = data.split(b"\r")
                chance.shuffle(lines)
                data = b"\r".join(lines)
            case 3:
                fields = data.split(b"|")
                fields[chance.randrange(len(fields))] = chance.choice(_PIECES)
                data = b"|".join(fields)
            case _:
                data = data[:place] + bytes([chance.randrange(256)]) + data[place + 1 :]
    return data


@pytest.mark.parametrize("name", sorted(file.stem for file in FOLDER.glob("*.hl7")))
def test_a_mutated_message_is_read_or_refused_in_words(name: str) -> None:
    chance = random.Random(name)
    original = sample(name)
    for _ in range(600):
        data = mutated(original, chance)
        message: Message | None = None
        try:
            message = read_message(data)
            exchange_of(message, is_lab=False).decode(message, RECEIVER)
        except (Hl7Fault, RegistryError, ConsentError) as error:
            judged = verdict(error)
            assert judged.text and judged.text != UNEXPECTED, type(error)
            for answer in answers(sender_of(message, data), judged, now=RECEIVER.now):
                assert read_message(answer).one("MSA").text(1) in ("AE", "AR", "CE", "CR", "CA")
