"""Every error has its code, every sender the answer it asked for, and no answer says anything of a patient."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from samples import RECEIVER, message, sample

from adapters.hl7v2 import errors as hl7
from adapters.hl7v2.ack import ACCEPTED, AE, AR, CODES, Verdict, answers, sender_of, verdict
from adapters.hl7v2.catalogue import EXCHANGES, exchange_of
from adapters.hl7v2.message import Message, read_message
from consent import errors as consent
from registry import errors as registry

NOW = RECEIVER.now
_MODULES = {registry.__name__, consent.__name__, hl7.__name__}


def below(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for each in kind.__subclasses__():
        yield from below(each)


def rooms() -> list[type[Exception]]:
    trees = (registry.RegistryError, consent.ConsentError, hl7.Hl7Fault)
    return [kind for tree in trees for kind in below(tree) if kind.__module__ in _MODULES]


def told(read: Message, result: Verdict = ACCEPTED) -> list[Message]:
    return [read_message(each) for each in answers(sender_of(read, b""), result, now=NOW)]


@pytest.mark.parametrize("kind", rooms(), ids=lambda kind: kind.__name__)
def test_no_error_is_missing(kind: type[Exception]) -> None:
    code, number, _, text = CODES[kind]
    assert code in (AE, AR) and 100 <= number <= 207
    assert text or issubclass(kind, hl7.Hl7Fault)


def test_texts_of_errors_hold_no_value() -> None:
    for error in (
        registry.InvalidValue("PID-7", expected="a date", found="Nguyễn Thị Hoa"),
        registry.UnknownPatient("Nguyễn Thị Hoa"),
        ZeroDivisionError("Nguyễn Thị Hoa"),
    ):
        assert "Hoa" not in str(verdict(error))


def test_the_answer_goes_back_to_who_asked_in_their_version() -> None:
    (answer,) = told(message("adt_a04"))
    head = answer.header
    assert [head.text(number) for number in (3, 4, 5, 6)] == ["HIE", "27001", "HIS", "BV_BN"]
    said = (head.field(9), head.text(11), head.text(12), head.text(18))
    assert said == ("ACK^A04^ACK", "P", "2.3.1", "UNICODE UTF-8")
    assert (answer.one("MSA").text(1), answer.one("MSA").text(2)) == ("AA", "M1")
    (newer,) = told(message("adt_a08"))
    assert newer.header.field(9) == "ACK^A08^ACK"
    assert answer.control_id and answer.control_id != newer.control_id
    assert told(message("adt_a04"))[0].control_id == answer.control_id


def test_an_error_says_where_and_which() -> None:
    wrong = verdict(hl7.MissingField("PID^1^3"))
    (answer,) = told(message("adt_a08"), wrong)
    err = answer.one("ERR")
    assert (err.field(2), err.field(3), err.field(4)) == ("PID^1^3", "101^Required field missing^HL70357", "E")
    (older,) = told(message("adt_a04"), wrong)
    assert older.one("ERR").raw == "ERR|PID^1^3^101&Required field missing&HL70357"
    assert older.one("MSA").text(3).startswith("this field is required")


@pytest.mark.parametrize(
    ("accept", "application", "result", "expected"),
    [
        ("AL", "NE", ACCEPTED, ["CA"]),
        ("AL", "AL", ACCEPTED, ["CA", "AA"]),
        ("NE", "AL", ACCEPTED, ["AA"]),
        ("NE", "NE", ACCEPTED, []),
        ("ER", "ER", ACCEPTED, []),
        ("SU", "ER", ACCEPTED, ["CA"]),
        ("AL", "AL", Verdict(AE, 204), ["CA", "AE"]),
        ("AL", "NE", Verdict(AE, 204), ["CE"]),  # it would believe that its message had an effect
        ("ER", "NE", Verdict(AE, 204), ["CE"]),
        ("ER", "ER", Verdict(AE, 204), ["AE"]),
        ("AL", "AL", Verdict(AR, 201), ["CR"]),
        ("NE", "AL", Verdict(AR, 201), ["AR"]),
        ("AL", "AL", Verdict(AR, 207, transient=True), ["CE"]),
    ],
)
def test_enhanced_mode_tells_what_the_sender_wants_to_hear(
    accept: str, application: str, result: Verdict, expected: list[str]
) -> None:
    read = message("adt_a08", **{"|P|2.5|||||": f"|P|2.5|||{accept}|{application}|"})
    found = told(read, result)
    assert [each.one("MSA").text(1) for each in found] == expected
    assert all(each.header.text(15) == each.header.text(16) == "NE" for each in found)


def test_the_answer_is_in_the_character_set_of_the_sender_or_in_utf8() -> None:
    note = ["Số của người bệnh"]
    for told_, charset in (("windows-1258", "cp1258"), ("8859/1", "utf-8")):
        data = sample("adt_a08").replace(b"UNICODE UTF-8", told_.encode()).replace("ễ".encode(), b"e")
        data = data.decode().encode("ascii", "replace")
        (raw,) = answers(sender_of(read_message(data), data), ACCEPTED, now=NOW, notes=note)
        assert "S" in raw.decode(charset)
        assert read_message(raw).one("ERR").text(8) == note[0]


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"MSH", b"MSH|^~\\&|HIS|BV|X|Y|2026||ADT^A04|77|P|2.5\rPID|\0", b"\xff" * 50]
)
def test_what_could_not_be_read_is_answered_too(data: bytes) -> None:
    (raw,) = answers(sender_of(None, data), Verdict(AR, 100), now=NOW)
    answer = read_message(raw)
    assert answer.one("MSA").text(1) == "AR" and answer.one("MSA").text(2) == ("77" if b"77" in data else "")


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"ADT^A08^ADT_A01": "SIU^S12"}, hl7.UnsupportedMessage),
        ({"ADT^A08^ADT_A01": "ADT^A99"}, hl7.UnsupportedEvent),
        ({"ADT^A08^ADT_A01": ""}, hl7.MissingField),
        ({"|M2|": "||"}, hl7.MissingField),
        ({"|P|2.5|": "|T|2.5|"}, hl7.UnsupportedProcessing),
        ({"|P|2.5|": "|P|3.0|"}, hl7.UnsupportedVersion),
    ],
)
def test_a_header_that_is_not_spoken_here_is_rejected(changed: dict[str, str], error: type[hl7.Hl7Fault]) -> None:
    with pytest.raises(error) as found:
        exchange_of(message("adt_a08", **changed), is_lab=False)
    assert verdict(found.value).code == AR


def test_a_header_that_only_leaves_things_out_is_read() -> None:
    read = message("adt_a08", **{"ADT^A08^ADT_A01": "ADT", "|P|2.5|": "|||"})
    assert exchange_of(read, is_lab=False).name == "ITI-8"
    assert read.deviations == ["MSH-11 is missing; read as P", "MSH-12 is missing; read as 2.5"]


def test_no_event_is_spoken_twice() -> None:
    events = [event for exchange in EXCHANGES for event in exchange.events]
    assert len(events) == len(set(events))
