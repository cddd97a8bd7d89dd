"""A message that is huge in any direction gets its answer, costs a bounded amount of work, and stores nothing."""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path
from types import FrameType

import pytest

from adapters.hl7v2.message import read_message
from hie_node.hl7v2 import handle
from tests.house.hospital import Hospital, code, error, make_house, written

SIZE = 3 << 20
HEAD = "MSH|^~\\&|LIS|BV|HIE|27001|20261110090000||ORU^R01^ORU_R01|L1|P|2.5|||||VNM|UNICODE UTF-8\r"
PATIENT = "PID|1||BN1^^^OWN^MR||Nguyễn^Văn^Mẫu||19900501|M\r"
ORDER = "OBR|1||XN1^LIS|CHEM^Sinh hóa^L|||20261110080000||||||||||||||||||F\r"


def full_of(text: str) -> str:
    return text * (SIZE // len(text))


TOO_MUCH = {
    "repetitions of a value": (PATIENT + ORDER + f"OBX|1|TX|A||{full_of('~')}", "OBX^1^5"),
    "components of a number": (PATIENT + ORDER + f"OBX|1|NM|A||{full_of('^')}", "OBX^1^5^1"),
    "subcomponents of a code": (PATIENT + ORDER + f"OBX|1|CE|A||{full_of('&')}", "OBX^1^5^1"),
    "fields": (PATIENT + ORDER + f"OBX|1|TX|A||x{full_of('|')}", "OBX^1"),
    "escapes": (PATIENT + ORDER + "OBX|1|TX|A||" + full_of("\\a"), "OBX^1^5^1"),
    "a name": (f"PID|1||BN1^^^OWN^MR||{full_of('a')}\r" + ORDER + "OBX|1|TX|A||x", "PID^1^5^1"),
    "repetitions everywhere": (
        PATIENT + ORDER + "".join(f"OBX|{n}|TX|A||{'a~' * 900}\r" for n in range(1_500)),
        "OBX^56^5",
    ),
    "reports": (PATIENT + "".join(ORDER + "OBX|1|TX|A||x\r" for _ in range(600)), "OBR^501"),
}


@pytest.fixture
def hospital(tmp_path: Path) -> Hospital:
    return Hospital(make_house(tmp_path))


@pytest.mark.parametrize("name", TOO_MUCH)
def test_what_is_too_much_is_refused_in_its_place_and_nothing_is_stored(hospital: Hospital, name: str) -> None:
    body, place = TOO_MUCH[name]
    hospital.tell(HEAD.replace("ORU^R01^ORU_R01", "ADT^A04") + PATIENT)  # what is made once is made
    data, calls = written(HEAD + body), 0

    def count(_frame: FrameType, _event: str, _argument: object) -> None:
        nonlocal calls
        calls += 1

    tracemalloc.start()
    sys.setprofile(count)
    try:
        handled = hospital.handled(data)
    finally:
        sys.setprofile(None)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    (answer,) = handled.answers
    assert error(read_message(answer)) == ("AE", place, "102")
    assert hospital.documents("BN1") == []
    assert calls < 2_000_000 and peak < 8 * max(len(data), 1 << 20)


def test_a_header_that_nobody_could_be_answered_by_is_refused_and_not_dropped(hospital: Hospital) -> None:
    sent = written(HEAD.replace("|LIS|", f"|{'A' * 100_000}|") + PATIENT)
    (raw,) = handle(hospital.house, sent).answers  # to whom it goes is repeated, and is longer than a name may be
    answer = read_message(raw)
    assert code(answer) == "AR" and error(answer)[1].startswith("MSH^1^3")


def test_a_long_laboratory_report_of_an_honest_system_is_read(hospital: Hospital) -> None:
    lines = (f"OBX|{n}|NM|T{n}^Chất {n}^L||{n}|mmol/L|1 - 5|H|||F\r" for n in range(1, 901))
    assert code(hospital.tell(HEAD + PATIENT + ORDER + "".join(lines))) == "AA"
    (found,) = hospital.documents("BN1")
    assert len(found.results) == 900 and found.results[-1].value == "900"
